//! A serial line in memory.

use super::locked;
use crate::{
    uart::{Uart, UartError},
    units::Baud,
};
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
};

/// Makes a serial line; each direction holds at most `capacity` bytes.
///
/// Bytes cross at once: what a byte takes on the wire is the device's to model, since it alone knows both speeds.
///
/// `host_acted` is told of each act of the host; several lines may share it.
pub fn uart_line(
    name: impl Into<String>,
    capacity: usize,
    host_acted: Arc<Notify>,
) -> (UartSocket, DeviceUart) {
    let line = Arc::new(Line {
        state: Mutex::new(State {
            to_device: VecDeque::with_capacity(capacity),
            to_host: VecDeque::with_capacity(capacity),
            capacity,
            baud: Baud::RESET,
            speedless: false,
            on_the_wire: 0,
            host_open: false,
            device_open: true,
            reader: None,
            writer: None,
        }),
        host_acted,
    });
    (
        UartSocket {
            name: name.into(),
            line: Arc::clone(&line),
        },
        DeviceUart { line },
    )
}

/// Makes a serial line whose host end is open.
pub fn uart_pair(name: impl Into<String>, capacity: usize) -> (HostUart, DeviceUart) {
    let (socket, device) = uart_line(name, capacity, Arc::default());
    locked(&socket.line.state).host_open = true;
    let UartSocket { name, line } = socket;
    (HostUart { name, line }, device)
}

/// Where the host's end is opened, by one holder at a time, as a device file with its lock.
#[derive(Clone, Debug)]
pub struct UartSocket {
    name: String,
    line: Arc<Line>,
}

impl UartSocket {
    /// Opens the host's end at [`Baud::RESET`]; what had been received before is gone.
    ///
    /// # Errors
    /// [`UartError::Locked`] while another holder has it.
    pub fn open(&self) -> Result<HostUart, UartError> {
        let mut state = locked(&self.line.state);
        if state.host_open {
            return Err(UartError::Locked {
                path: self.name.clone(),
            });
        }
        state.host_open = true;
        state.speedless = false;
        state.baud = Baud::RESET;
        state.to_host.clear();
        Ok(HostUart {
            name: self.name.clone(),
            line: Arc::clone(&self.line),
        })
    }
}

impl HostUart {
    /// Says that this end has no speed, as a socket has none: the device takes it to be always right.
    #[must_use]
    pub fn without_speed(self) -> Self {
        locked(&self.line.state).speedless = true;
        self
    }
}

/// The end that the daemon holds.
#[derive(Debug)]
pub struct HostUart {
    name: String,
    line: Arc<Line>,
}

/// The end that the emulated chain holds.
#[derive(Debug)]
pub struct DeviceUart {
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    state: Mutex<State>,
    host_acted: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    to_device: VecDeque<u8>,
    to_host: VecDeque<u8>,
    capacity: usize,
    baud: Baud,
    /// The host's end has no speed of its own.
    speedless: bool,
    /// Bytes that the device took but that have not left the host's shift register yet.
    on_the_wire: usize,
    host_open: bool,
    device_open: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl DeviceUart {
    /// Takes bytes that the host sent, as many as there are and fit; 0 when there are none.
    pub fn try_read(&self, into: &mut [u8]) -> usize {
        let mut state = locked(&self.line.state);
        let count = take(&mut state.to_device, into);
        state.on_the_wire += count;
        if count > 0 {
            wake(&mut state.writer);
        }
        count
    }

    /// Hands bytes to the host and returns how many it had room for; a real UART would lose the rest.
    pub fn try_write(&self, bytes: &[u8]) -> usize {
        let mut state = locked(&self.line.state);
        let count = bytes
            .len()
            .min(state.capacity.saturating_sub(state.to_host.len()));
        state.to_host.extend(bytes.iter().take(count));
        if count > 0 {
            wake(&mut state.reader);
        }
        count
    }

    /// The speed that the host has set now; none for an end that has no speed.
    pub fn host_baud(&self) -> Option<Baud> {
        let state = locked(&self.line.state);
        (!state.speedless).then_some(state.baud)
    }

    /// Says how many of the bytes taken are still being shifted out, for [`Uart::is_drained`].
    pub fn set_on_the_wire(&self, bytes: usize) {
        locked(&self.line.state).on_the_wire = bytes;
    }

    /// Whether the host still holds its end.
    pub fn host_is_open(&self) -> bool {
        locked(&self.line.state).host_open
    }

    /// Waits until the host wrote, changed its speed or closed; an act before the call ends the wait at once.
    pub async fn host_acted(&self) {
        self.line.host_acted.notified().await;
    }
}

impl Drop for DeviceUart {
    fn drop(&mut self) {
        let mut state = locked(&self.line.state);
        state.device_open = false;
        wake(&mut state.reader);
        wake(&mut state.writer);
    }
}

impl Drop for HostUart {
    fn drop(&mut self) {
        locked(&self.line.state).host_open = false;
        self.line.host_acted.notify_one();
    }
}

impl Uart for HostUart {
    fn name(&self) -> &str {
        &self.name
    }

    fn baud(&self) -> Baud {
        locked(&self.line.state).baud
    }

    fn set_baud(&mut self, baud: Baud) -> Result<Baud, UartError> {
        locked(&self.line.state).baud = baud;
        self.line.host_acted.notify_one();
        Ok(baud)
    }

    fn is_drained(&self) -> Result<bool, UartError> {
        let state = locked(&self.line.state);
        Ok(state.to_device.is_empty() && state.on_the_wire == 0)
    }

    fn discard_input(&mut self) -> Result<(), UartError> {
        locked(&self.line.state).to_host.clear();
        Ok(())
    }
}

impl AsyncRead for HostUart {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = locked(&self.line.state);
        if state.to_host.is_empty() && state.device_open && buffer.remaining() > 0 {
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = take(&mut state.to_host, buffer.initialize_unfilled());
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for HostUart {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = locked(&self.line.state);
        if !state.device_open {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes
            .len()
            .min(state.capacity.saturating_sub(state.to_device.len()));
        if count == 0 && !bytes.is_empty() {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.to_device.extend(bytes.iter().take(count));
        drop(state);
        self.line.host_acted.notify_one();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn take(from: &mut VecDeque<u8>, into: &mut [u8]) -> usize {
    let count = from.len().min(into.len());
    for (slot, byte) in into.iter_mut().zip(from.drain(..count)) {
        *slot = byte;
    }
    count
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn one_holder_at_a_time() {
        let (socket, device) = uart_line("chain0", 4, Arc::default());
        let first = socket.open().unwrap();
        device.try_write(&[1]);
        assert!(matches!(socket.open(), Err(UartError::Locked { .. })));
        drop(first);
        let second = socket.open().unwrap();
        assert!(locked(&second.line.state).to_host.is_empty());
    }

    #[tokio::test]
    async fn bytes_cross_in_both_directions() {
        let (mut host, device) = uart_pair("chain0", 64);
        host.write_all(&[0x55, 0xAA]).await.unwrap();
        device.host_acted().await;
        let mut taken = [0; 8];
        assert_eq!(device.try_read(&mut taken), 2);
        assert_eq!(&taken[..2], &[0x55, 0xAA]);
        assert_eq!(device.try_write(&[1, 2, 3]), 3);
        let mut got = [0; 3];
        host.read_exact(&mut got).await.unwrap();
        assert_eq!(got, [1, 2, 3]);
    }

    #[tokio::test]
    async fn a_full_line_holds_the_writer_until_the_device_reads() {
        let (mut host, device) = uart_pair("chain0", 4);
        let writing = tokio::spawn(async move {
            host.write_all(&[0; 6]).await.unwrap();
            host
        });
        while device.try_read(&mut [0; 4]) == 0 {
            tokio::task::yield_now().await;
        }
        let host = writing.await.unwrap();
        assert!(!host.is_drained().unwrap());
        assert_eq!(device.try_read(&mut [0; 8]), 2);
        assert!(
            !host.is_drained().unwrap(),
            "taken bytes are still on the wire"
        );
        device.set_on_the_wire(0);
        assert!(host.is_drained().unwrap());
    }

    #[test]
    fn the_host_loses_what_it_has_no_room_for() {
        let (_host, device) = uart_pair("chain0", 4);
        assert_eq!(device.try_write(&[0; 6]), 4);
        assert_eq!(device.try_write(&[0; 6]), 0);
    }

    #[tokio::test]
    async fn the_device_sees_the_speed_and_the_close() {
        let (mut host, device) = uart_pair("chain0", 4);
        host.set_baud(Baud(3_125_000)).unwrap();
        device.host_acted().await;
        assert_eq!(device.host_baud(), Some(Baud(3_125_000)));
        let host = host.without_speed();
        assert_eq!(device.host_baud(), None);
        drop(host);
        device.host_acted().await;
        assert!(!device.host_is_open());
    }

    #[tokio::test]
    async fn a_dropped_device_ends_reading_and_breaks_writing() {
        let (mut host, device) = uart_pair("chain0", 4);
        drop(device);
        assert_eq!(host.read(&mut [0; 4]).await.unwrap(), 0);
        assert_eq!(
            host.write(&[1]).await.unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }
}
