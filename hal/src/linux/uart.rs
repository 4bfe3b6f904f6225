//! A tty as a chain's serial line.

use super::lock;
use super::unsafe_corner::{register, transmitter_is_empty, unlock};
use crate::uart::{Uart, UartError, UartSpec};
use crate::units::Baud;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serialport::{ClearBuffer, SerialPort, TTYPort};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Largest transmit FIFO of the UARTs on these boards, in bytes, with room to spare.
const FIFO: u32 = 128;

/// A tty, opened for this process alone.
///
/// Two descriptors are held: bytes go through one that never blocks and sits in tokio's reactor (8 us one way, where
/// serialport's own reading takes 62 us), speed and queues are asked through serialport's.
///
/// The lock (`flock`) is on the tty itself, not on a file beside it: whoever may open the tty may take it, and nothing is
/// left behind that belongs to the user who opened first. `TIOCEXCL` alone would not stop root. Every opener has to get
/// the lock exclusively first. Then serialport takes it, exclusively for one descriptor, shared for a second one; in the
/// latter case ours is kept, shared too, which still keeps every other opener from the exclusive one.
pub struct LinuxUart {
    spec: UartSpec,
    bytes: AsyncFd<File>,
    control: TTYPort,
    baud: Baud,
    empty_since: Mutex<Option<Instant>>,
    _shared: Option<Flock<File>>,
}

impl LinuxUart {
    /// Opens a tty at the speed that chips listen at after reset. Must be called in a tokio runtime with I/O.
    ///
    /// # Errors
    /// [`UartError::Locked`] when another opener holds it, else [`UartError::Open`].
    pub fn open(spec: &UartSpec) -> Result<Self, UartError> {
        let path = &spec.device;
        let failed = |source| UartError::Open {
            path: path.clone(),
            source,
        };
        // Before serialport makes the tty exclusive, after which nobody but root could open it again.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)
            // An exclusive tty; root gets through, and meets the lock.
            .map_err(|error| match error.kind() {
                io::ErrorKind::ResourceBusy => UartError::Locked { path: path.clone() },
                _ => failed(error),
            })?;
        let refused = |errno| match errno {
            Errno::EWOULDBLOCK => UartError::Locked { path: path.clone() },
            other => failed(other.into()),
        };
        let lock = lock::hold(file.try_clone().map_err(failed)?).map_err(refused)?;
        let shared = if spec.second_descriptor {
            lock.relock(FlockArg::LockSharedNonblock).map_err(refused)?;
            Some(lock)
        } else {
            drop(lock);
            None
        };
        let control = open_control(spec, Baud::RESET).map_err(|error| failed(error.into()))?;
        let bytes = register(file).map_err(failed)?;
        let mut uart = Self {
            spec: spec.clone(),
            bytes,
            control,
            baud: Baud::RESET,
            empty_since: Mutex::new(None),
            _shared: shared,
        };
        uart.set_baud(Baud::RESET)?;
        uart.discard_input()?;
        Ok(uart)
    }

    fn failed(&self, doing: &'static str, source: impl Into<io::Error>) -> UartError {
        UartError::Io {
            path: self.spec.device.clone(),
            doing,
            source: source.into(),
        }
    }

    fn not_empty(&self) {
        if let Ok(mut since) = self.empty_since.lock() {
            *since = None;
        }
    }
}

/// A child that was forked a moment ago holds copies of the descriptors until it becomes another program; serialport only
/// closes its own, so the line would stay locked for that long.
impl Drop for LinuxUart {
    fn drop(&mut self) {
        unlock(&self.control);
    }
}

impl Uart for LinuxUart {
    fn name(&self) -> &str {
        &self.spec.device
    }

    fn baud(&self) -> Baud {
        self.baud
    }

    fn set_baud(&mut self, baud: Baud) -> Result<Baud, UartError> {
        let set = if self.spec.second_descriptor {
            // Opening sets the speed; what was opened closes at once, the first descriptor keeps the port alive.
            open_control(&self.spec, baud).map(|control| unlock(&control))
        } else {
            self.control.set_baud_rate(baud.0)
        };
        set.map_err(|error| self.failed("setting the speed", error))?;
        let read_back = self
            .control
            .baud_rate()
            .map_err(|error| self.failed("reading the speed back", error))?;
        self.baud = Baud(read_back);
        if is_close(baud, self.baud) {
            Ok(self.baud)
        } else {
            Err(UartError::BaudRefused {
                path: self.spec.device.clone(),
                asked: baud,
                read_back: self.baud,
            })
        }
    }

    fn is_drained(&self) -> Result<bool, UartError> {
        let queued = self
            .control
            .bytes_to_write()
            .map_err(|error| self.failed("asking for bytes not yet sent", error))?;
        if queued > 0 {
            self.not_empty();
            return Ok(false);
        }
        let empty = transmitter_is_empty(&self.control)
            .map_err(|error| self.failed("asking whether the transmitter is empty", error))?;
        if let Some(empty) = empty {
            return Ok(empty);
        }
        // The driver cannot say what its FIFO still holds: allow for a full one.
        let now = Instant::now();
        let mut since = self
            .empty_since
            .lock()
            .map_err(|_| self.failed("asking for bytes not yet sent", io::ErrorKind::Other))?;
        Ok(now.duration_since(*since.get_or_insert(now)) >= time_of(FIFO, self.baud))
    }

    fn discard_input(&mut self) -> Result<(), UartError> {
        self.control
            .clear(ClearBuffer::Input)
            .map_err(|error| self.failed("discarding input", error))
    }
}

impl AsyncRead for LinuxUart {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.bytes.poll_read_ready(context))?;
            let unfilled = buffer.initialize_unfilled();
            match guard.try_io(|file| file.get_ref().read(unfilled)) {
                Ok(read) => return Poll::Ready(read.map(|count| buffer.advance(count))),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for LinuxUart {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.not_empty();
        loop {
            let mut guard = ready!(self.bytes.poll_write_ready(context))?;
            match guard.try_io(|file| file.get_ref().write(bytes)) {
                Ok(written) => return Poll::Ready(written),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn open_control(spec: &UartSpec, baud: Baud) -> serialport::Result<TTYPort> {
    serialport::new(&spec.device, baud.0)
        .exclusive(!spec.second_descriptor)
        .open_native()
}

/// Within 2.5 %: half a bit over the ten of a character is 5 %, and the chip needs its half of that.
fn is_close(asked: Baud, read_back: Baud) -> bool {
    u64::from(asked.0.abs_diff(read_back.0)) * 1000 <= u64::from(asked.0) * 25
}

fn time_of(characters: u32, baud: Baud) -> Duration {
    Duration::from_secs(1) * (characters * 10) / baud.0.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A pty: the master stands for the chain. Kept open, or the slave dies.
    struct Pty {
        master: TTYPort,
        spec: UartSpec,
        _slave: File,
    }

    fn pty(second_descriptor: bool) -> Pty {
        let (mut master, slave) = TTYPort::pair().unwrap();
        // The kernel hands bytes over when it has time to.
        master.set_timeout(Duration::from_secs(120)).unwrap();
        let spec = UartSpec {
            device: slave.name().unwrap(),
            second_descriptor,
        };
        Pty {
            master,
            _slave: File::open(&spec.device).unwrap(),
            spec,
        }
    }

    #[test]
    fn the_speed_may_be_off_by_two_and_a_half_per_cent() {
        assert!(is_close(Baud(3_125_000), Baud(3_125_000)));
        assert!(is_close(Baud(115_200), Baud(115_200 * 1025 / 1000)));
        assert!(is_close(Baud(115_200), Baud(115_200 * 975 / 1000 + 1)));
        assert!(!is_close(Baud(115_200), Baud(115_200 * 1026 / 1000 + 1)));
        assert!(
            !is_close(Baud(3_125_000), Baud(115_200)),
            "what an 8250 falls back to"
        );
        assert!(!is_close(Baud(115_200), Baud(0)));
    }

    #[tokio::test]
    async fn bytes_cross_a_pty_unchanged_in_both_directions() {
        let mut pty = pty(false);
        let mut uart = LinuxUart::open(&pty.spec).unwrap();
        let all: Vec<u8> = (0..=255).collect();
        uart.write_all(&all).await.unwrap();
        let mut got = vec![0; 256];
        pty.master.read_exact(&mut got).unwrap();
        assert_eq!(got, all, "a line discipline would eat control characters");
        pty.master.write_all(&all).unwrap();
        got.fill(0);
        uart.read_exact(&mut got).await.unwrap();
        assert_eq!(got, all);
    }

    #[tokio::test]
    async fn any_speed_is_set_and_read_back_with_one_descriptor_or_two() {
        for second_descriptor in [false, true] {
            let pty = pty(second_descriptor);
            let mut uart = LinuxUart::open(&pty.spec).unwrap();
            assert_eq!(uart.baud(), Baud::RESET);
            let first = uart.bytes.as_raw_fd();
            for baud in [
                Baud(3_125_000),
                Baud(1_562_500),
                Baud(6_250_000),
                Baud(115_740),
                Baud::RESET,
            ] {
                assert_eq!(uart.set_baud(baud).unwrap(), baud);
                assert_eq!(uart.baud(), baud);
                assert_eq!(
                    pty.master.baud_rate().unwrap(),
                    baud.0,
                    "as the other end sees it"
                );
            }
            assert_eq!(uart.bytes.as_raw_fd(), first);
        }
    }

    #[tokio::test]
    async fn a_second_opener_is_told_who_holds_the_line_until_the_first_lets_go() {
        for second_descriptor in [false, true] {
            let pty = pty(second_descriptor);
            let first = LinuxUart::open(&pty.spec).unwrap();
            let Err(UartError::Locked { path }) = LinuxUart::open(&pty.spec) else {
                panic!("opened twice");
            };
            assert_eq!(path, pty.spec.device);
            // What a child holds between its fork and its exec.
            let copy = first.control.try_clone_native().unwrap();
            drop(first);
            LinuxUart::open(&pty.spec).unwrap();
            drop(copy);
        }
    }

    /// Whether another user gets the line's lock.
    fn another_user_gets(device: &str) -> bool {
        let words = ["--nonblock", device, "true"];
        let tried = Command::new("flock").args(words).uid(65_534).output();
        tried.unwrap().status.success()
    }

    #[tokio::test]
    async fn a_line_that_root_held_is_free_for_any_user_who_may_open_it() {
        if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
            // Past what the test's harness keeps for itself of a test that passes.
            let _ = writeln!(io::stderr(), "left out: only root can be two users");
            return;
        }
        let pty = pty(true);
        std::fs::set_permissions(&pty.spec.device, Permissions::from_mode(0o666)).unwrap();
        let first = LinuxUart::open(&pty.spec).unwrap();
        assert!(!another_user_gets(&pty.spec.device));
        drop(first);
        assert!(another_user_gets(&pty.spec.device));
    }

    #[tokio::test]
    async fn a_path_that_is_no_tty_is_named_in_the_error() {
        for device in ["/nonexistent/ttyS9", "/dev/null"] {
            let spec = UartSpec {
                device: device.to_owned(),
                second_descriptor: false,
            };
            let Err(error) = LinuxUart::open(&spec) else {
                panic!("{device} opened")
            };
            assert!(matches!(error, UartError::Open { .. }), "{error}");
            assert!(error.to_string().contains(device), "{error}");
        }
    }

    #[tokio::test]
    async fn discarded_input_is_never_read() {
        let mut pty = pty(false);
        let mut uart = LinuxUart::open(&pty.spec).unwrap();
        pty.master.write_all(b"stale").unwrap();
        while uart.control.bytes_to_read().unwrap() < 5 {
            tokio::task::yield_now().await;
        }
        uart.discard_input().unwrap();
        pty.master.write_all(b"fresh").unwrap();
        let mut got = [0; 5];
        uart.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"fresh");
    }

    #[tokio::test]
    async fn the_line_is_drained_once_a_full_fifo_has_had_its_time() {
        let mut pty = pty(false);
        let mut uart = LinuxUart::open(&pty.spec).unwrap();
        let started = Instant::now();
        uart.write_all(&[0x55; 16]).await.unwrap();
        assert!(
            !uart.is_drained().unwrap(),
            "a pty cannot say, so a FIFO's time must pass first"
        );
        pty.master.read_exact(&mut [0; 16]).unwrap();
        while !uart.is_drained().unwrap() {
            tokio::task::yield_now().await;
        }
        assert!(started.elapsed() >= time_of(FIFO, Baud::RESET));
        uart.write_all(&[0x55]).await.unwrap();
        assert!(!uart.is_drained().unwrap(), "new bytes start it anew");
    }

    #[tokio::test]
    async fn a_chain_that_went_away_is_an_error_and_no_endless_wait() {
        let pty = pty(false);
        let mut uart = LinuxUart::open(&pty.spec).unwrap();
        drop(pty.master);
        let read = uart.read(&mut [0; 8]).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
}
