//! A serial line that notes when bytes cross it.

use cgminer_hal::uart::{Uart, UartError};
use cgminer_hal::units::Baud;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// When bytes last crossed, seen from the bench's thread.
#[derive(Clone, Default)]
pub struct Tap(Arc<Mutex<Times>>);

#[derive(Default)]
struct Times {
    /// First write since it was armed.
    written: Option<Instant>,
    read: Option<Instant>,
}

impl Tap {
    /// Forgets the last write.
    pub fn arm(&self) {
        self.times().written = None;
    }

    /// First write since it was armed.
    pub fn written(&self) -> Option<Instant> {
        self.times().written
    }

    /// Last time that bytes were read.
    pub fn read(&self) -> Option<Instant> {
        self.times().read
    }

    fn times(&self) -> std::sync::MutexGuard<'_, Times> {
        self.0.lock().expect("no holder panics")
    }
}

/// The line with its tap.
pub struct TappedUart {
    inner: Box<dyn Uart>,
    tap: Tap,
}

impl TappedUart {
    /// Puts a tap on a line.
    pub fn new(inner: Box<dyn Uart>, tap: Tap) -> Self {
        Self { inner, tap }
    }
}

impl AsyncRead for TappedUart {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_read(context, buffer);
        if result.is_ready() {
            self.tap.times().read = Some(Instant::now());
        }
        result
    }
}

impl AsyncWrite for TappedUart {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(context, bytes);
        if matches!(result, Poll::Ready(Ok(count)) if count > 0) {
            self.tap.times().written.get_or_insert_with(Instant::now);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl Uart for TappedUart {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn baud(&self) -> Baud {
        self.inner.baud()
    }

    fn set_baud(&mut self, baud: Baud) -> Result<Baud, UartError> {
        self.inner.set_baud(baud)
    }

    fn is_drained(&self) -> Result<bool, UartError> {
        self.inner.is_drained()
    }

    fn discard_input(&mut self) -> Result<(), UartError> {
        self.inner.discard_input()
    }
}
