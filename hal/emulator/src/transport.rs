//! A chain's serial line outside of this process: as a pseudo-terminal or as a Unix socket.

use cgminer_hal::{
    emulated::{HostUart, UartSocket},
    uart::Uart,
    units::Baud,
};
use rustix::{
    fs::{Mode, OFlags},
    pty::OpenptFlags,
    termios::{OptionalActions, tcgetattr, tcsetattr},
};
use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, split},
    net::{UnixListener, unix::pipe},
};

/// How often the speed that the other side set is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// Longest time that a change of speed waits for bytes of the old one.
const DRAIN: Duration = Duration::from_secs(1);

/// A chain's line as a pseudo-terminal.
#[derive(Debug)]
pub struct Pty {
    /// Our side, twice: tokio's pipe ends read and write any descriptor that can be waited for, without `unsafe`.
    from_them: pipe::Receiver,
    to_them: pipe::Sender,
    /// Held open, or reading would fail whenever nobody else has it.
    theirs: OwnedFd,
    host: HostUart,
}

impl Pty {
    /// Opens a pseudo-terminal for a chain; gives it and the device file for the other side. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the system has none left, or the chain's line is in use.
    pub fn open(socket: &UartSocket) -> io::Result<(Self, PathBuf)> {
        let host = socket.open().map_err(io::Error::other)?;
        let ours =
            rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::grantpt(&ours)?;
        rustix::pty::unlockpt(&ours)?;
        let name = rustix::pty::ptsname(&ours, Vec::new())?;
        let path = PathBuf::from(name.to_string_lossy().into_owned());
        let theirs = rustix::fs::open(
            &path,
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut settings = tcgetattr(&theirs)?;
        settings.make_raw();
        settings.set_speed(host.baud().0)?;
        tcsetattr(&theirs, OptionalActions::Now, &settings)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        let pty = Self {
            from_them: pipe::Receiver::from_owned_fd_unchecked(ours.try_clone()?)?,
            to_them: pipe::Sender::from_owned_fd_unchecked(ours)?,
            theirs,
            host,
        };
        Ok((pty, path))
    }

    /// Carries bytes and speed between the two sides, for ever.
    ///
    /// # Errors
    /// When the pseudo-terminal or the machine fails.
    pub async fn carry(mut self) -> io::Result<()> {
        let mut down = [0; 512];
        let mut up = [0; 512];
        loop {
            tokio::select! {
                count = self.from_them.read(&mut down) => {
                    let count = count?;
                    self.follow_speed().await?;
                    self.host.write_all(down.get(..count).unwrap_or(&[])).await?;
                }
                count = self.host.read(&mut up) => {
                    let count = count?;
                    if count == 0 {
                        return Ok(());
                    }
                    self.to_them.write_all(up.get(..count).unwrap_or(&[])).await?;
                }
                () = tokio::time::sleep(LOOK) => self.follow_speed().await?,
            }
        }
    }

    /// Takes over the speed that the other side has set, once the bytes of the old one have gone.
    async fn follow_speed(&mut self) -> io::Result<()> {
        let speed = Baud(tcgetattr(&self.theirs)?.output_speed());
        if speed == self.host.baud() {
            return Ok(());
        }
        let until = tokio::time::Instant::now() + DRAIN;
        while !self.host.is_drained().map_err(io::Error::other)?
            && tokio::time::Instant::now() < until
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.host.set_baud(speed).map_err(io::Error::other)?;
        Ok(())
    }
}

/// Points a symbolic link at a device file, in place of one from an earlier run.
///
/// # Errors
/// When the directory cannot be written to, or something else than a link is there.
pub fn link(target: &Path, link: &Path) -> io::Result<()> {
    if fs::symlink_metadata(link).is_ok_and(|found| found.is_symlink()) {
        fs::remove_file(link)?;
    }
    std::os::unix::fs::symlink(target, link)
}

/// Serves a chain's line on a Unix socket for ever, to one holder at a time. A socket has no speed, so the host's is
/// always right there.
///
/// # Errors
/// When the listener itself fails.
pub async fn serve_socket(listener: UnixListener, socket: UartSocket) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        if let Ok(host) = socket.open() {
            let (mut from_host, mut to_host) = split(host.without_speed());
            let (mut from_them, mut to_them) = stream.split();
            // When either side goes away the other is let go; the next one comes through the listener.
            tokio::select! {
                _ = copy(&mut from_them, &mut to_host) => {}
                _ = copy(&mut from_host, &mut to_them) => {}
            }
        }
    }
}

/// Makes a listener where an earlier run may have left its socket.
///
/// # Errors
/// When the place is taken by something else, or cannot be written to.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::FileTypeExt;
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    UnixListener::bind(path)
}
