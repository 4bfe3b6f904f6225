//! A tape archive of plain files, in the format that every `tar` reads (POSIX.1-1988, `ustar`).

use std::io::{self, Write};

/// Bytes of a record; heads have one, and files are filled up to whole ones.
const RECORD: usize = 512;

/// An archive that is being written.
pub(super) struct Archive<W> {
    out: W,
    /// Seconds since 1970.
    time: u64,
}

impl<W: Write> Archive<W> {
    /// An archive whose files all have this time.
    pub(super) fn new(out: W, time: u64) -> Self {
        Self { out, time }
    }

    /// One more file.
    pub(super) fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let head = head(name, bytes.len(), self.time).ok_or(io::ErrorKind::InvalidInput)?;
        self.out.write_all(&head)?;
        self.out.write_all(bytes)?;
        let rest = bytes.len().next_multiple_of(RECORD) - bytes.len();
        self.out.write_all(&[0; RECORD][..rest])
    }

    /// Two empty records are the end.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * RECORD])?;
        Ok(self.out)
    }
}

/// None when a field does not fit.
fn head(name: &str, length: usize, time: u64) -> Option<[u8; RECORD]> {
    let mut head = [0; RECORD];
    let mut put = |at: usize, room: usize, text: &str| {
        let place = head.get_mut(at..at + room)?.get_mut(..text.len())?;
        place.copy_from_slice(text.as_bytes());
        Some(())
    };
    put(0, 100, name)?;
    put(100, 8, "0000600")?;
    put(108, 8, "0000000")?;
    put(116, 8, "0000000")?;
    put(124, 12, &format!("{length:011o}"))?;
    put(136, 12, &format!("{time:011o}"))?;
    // The sum is taken with blanks in its own place.
    put(148, 8, "        ")?;
    put(156, 1, "0")?;
    put(257, 8, "ustar\x0000")?;
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    let text = format!("{sum:06o}\0 ");
    head.get_mut(148..156)?.copy_from_slice(text.as_bytes());
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_systems_own_tar_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        let mut archive = Archive::new(Vec::new(), 1_700_000_000);
        let long = vec![b'x'; 1025];
        archive.append("one.txt", b"first").unwrap();
        archive.append("empty", b"").unwrap();
        archive.append("long", &long).unwrap();
        std::fs::write(&path, archive.finish().unwrap()).unwrap();
        let status = Command::new("tar")
            .args(["-x", "-f"])
            .arg(&path)
            .arg("-C")
            .arg(directory.path())
            .status()
            .unwrap();
        assert!(status.success());
        let read = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
        assert_eq!(
            (read("one.txt"), read("empty")),
            (b"first".to_vec(), vec![])
        );
        assert_eq!(read("long"), long);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut archive = Archive::new(Vec::new(), 0);
        assert!(archive.append(&"x".repeat(101), b"").is_err());
    }
}
