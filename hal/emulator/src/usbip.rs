//! A bus for a machine outside: a USB/IP server that is one `i2c-tiny-usb` adapter, with the emulated parts behind it.
//!
//! A Linux kernel with `vhci-hcd` and `i2c-tiny-usb` that attaches to it gets a `/dev/i2c-N` whose parts live here. From
//! Linux's `Documentation/usb/usbip_protocol.rst` and `drivers/i2c/busses/i2c-tiny-usb.c`.
//!
//! ```text
//! import request --> device --> submit / unlink --> reply, one after the other, until either side goes away
//! ```

use cgminer_hal::emulated::I2cBus;
use embedded_hal::i2c::{I2c, Operation};
use std::io;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};

const VERSION: u16 = 0x0111;
const IMPORT: u16 = 0x8003;
const IMPORTED: u16 = 0x0003;
const SUBMIT: u32 = 1;
const UNLINK: u32 = 2;
const SUBMITTED: u32 = 3;
const UNLINKED: u32 = 4;
/// `-EPIPE`, by which a USB device refuses a request.
const STALL: i32 = -32;
/// No transfer of an I2C part is longer; a longer one ends the connection.
const TRANSFER_MAX: u32 = 4096;
/// `I2C_M_RD` of a message's flags.
const READ: u16 = 1;

/// Vendor and product that `i2c-tiny-usb` binds to.
const IDS: (u16, u16) = (0x0403, 0xC631);
const DEVICE_DESCRIPTOR: [u8; 18] = [
    18, 1, 0x10, 0x01, 0xFF, 0, 0, 8, 0x03, 0x04, 0x31, 0xC6, 0x05, 0x02, 0, 0, 0, 1,
];
/// One configuration with one interface that has no endpoint but the control one.
const CONFIGURATION: [u8; 18] = [9, 2, 18, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 0, 0xFF, 0, 0, 0];
/// What the adapter can: plain I2C and the SMBus transfers that are made of it, but no quick command.
const FUNCTIONS: u32 = 0x0EFE_0001;

/// Serves a bus for ever, to the newest holder alone: a machine that was reset never says good-bye to its old connection.
///
/// # Errors
/// When the listener itself fails.
pub async fn serve(listener: TcpListener, bus: I2cBus) -> io::Result<()> {
    let (mut stream, _) = listener.accept().await?;
    loop {
        stream.set_nodelay(true)?;
        // When the other side goes away or speaks nonsense, the next one comes through the listener.
        let (next, _) = tokio::select! {
            biased;
            next = listener.accept() => next?,
            _ = attach(stream, Adapter::new(bus.clone())) => listener.accept().await?,
        };
        stream = next;
    }
}

async fn attach<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    mut adapter: Adapter,
) -> io::Result<()> {
    let mut request = [0; 40];
    stream.read_exact(&mut request).await?;
    let [_, _, code_high, code_low, ..] = request;
    if u16::from_be_bytes([code_high, code_low]) != IMPORT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    stream.write_all(&imported()).await?;
    loop {
        let mut header = [0; 48];
        stream.read_exact(&mut header).await?;
        let header = Header::read(&header);
        match header.command {
            SUBMIT if header.length <= TRANSFER_MAX => {
                let mut out = vec![0; header.outgoing()];
                stream.read_exact(&mut out).await?;
                stream.write_all(&adapter.submit(&header, &out)).await?;
            }
            // Each request is answered before the next is read, so there is never one to take back.
            UNLINK => {
                let reply = words(&[UNLINKED, header.sequence, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                stream.write_all(&reply).await?;
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// The answer to an import: that it is had, and what it is.
fn imported() -> Vec<u8> {
    let mut reply = [
        VERSION.to_be_bytes(),
        IMPORTED.to_be_bytes(),
        [0; 2],
        [0; 2],
    ]
    .concat();
    let mut text = |text: &str, width: usize| {
        let mut field = text.as_bytes().to_vec();
        field.resize(width, 0);
        reply.extend(field);
    };
    text("/sys/devices/emulated/1-1", 256);
    text("1-1", 32);
    // Bus, device, full speed; then the IDs, the device's version, class, and one configuration with one interface.
    reply.extend(words(&[1, 2, 2]));
    reply.extend([IDS.0, IDS.1, 0x0205].map(u16::to_be_bytes).concat());
    reply.extend([0xFF, 0, 0, 1, 1, 1]);
    reply
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// What is used of a request's head.
#[derive(Clone, Copy, Debug)]
struct Header {
    command: u32,
    sequence: u32,
    to_host: bool,
    endpoint: u32,
    length: u32,
    setup: [u8; 8],
}

impl Header {
    fn read(bytes: &[u8; 48]) -> Self {
        let word = |index: usize| {
            let at = bytes.get(index * 4..).and_then(|rest| rest.first_chunk());
            at.map_or(0, |word| u32::from_be_bytes(*word))
        };
        Self {
            command: word(0),
            sequence: word(1),
            to_host: word(3) != 0,
            endpoint: word(4),
            length: word(6),
            setup: *bytes.last_chunk().unwrap_or(&[0; 8]),
        }
    }

    fn outgoing(&self) -> usize {
        if self.to_host {
            0
        } else {
            self.length as usize
        }
    }
}

/// The adapter, with the messages that wait for the end of their transaction.
struct Adapter {
    bus: I2cBus,
    waiting: Vec<Vec<u8>>,
    acknowledged: bool,
}

impl Adapter {
    fn new(bus: I2cBus) -> Self {
        Self {
            bus,
            waiting: Vec::new(),
            acknowledged: true,
        }
    }

    /// Carries a request out and gives the bytes of its reply.
    fn submit(&mut self, header: &Header, out: &[u8]) -> Vec<u8> {
        let answer = if header.endpoint == 0 {
            self.control(header.setup, out)
        } else {
            None
        };
        let status = if answer.is_some() { 0 } else { STALL };
        let mut data = answer.unwrap_or_default();
        data.truncate(header.length as usize);
        let length = match (header.to_host, status) {
            (_, STALL) => 0,
            (true, _) => data.len() as u32,
            (false, _) => header.length,
        };
        let mut reply = words(&[SUBMITTED, header.sequence, 0, 0, 0, status as u32, length]);
        reply.resize(48, 0);
        if header.to_host {
            reply.extend(data);
        }
        reply
    }

    /// A control transfer; none where the device refuses it.
    fn control(&mut self, setup: [u8; 8], out: &[u8]) -> Option<Vec<u8>> {
        let [
            kind,
            request,
            value_low,
            value_high,
            index_low,
            index_high,
            length @ ..,
        ] = setup;
        let value = u16::from_le_bytes([value_low, value_high]);
        let index = u16::from_le_bytes([index_low, index_high]);
        let length = usize::from(u16::from_le_bytes(length));
        let vendor = kind & 0x60 == 0x40;
        match (vendor, request) {
            (true, 0) => Some(value.to_le_bytes().into()),
            (true, 1) => Some(FUNCTIONS.to_le_bytes().into()),
            // The delay of a bus that takes no time; address, configuration and interface, of which there is one each.
            (true, 2) | (false, 5 | 9 | 11) => Some(Vec::new()),
            (true, 3) => Some(vec![if self.acknowledged { 1 } else { 2 }]),
            (true, 4..=7) => {
                let last = request & 2 != 0;
                Some(self.message(
                    u8::try_from(index).ok()?,
                    value & READ != 0,
                    last,
                    length,
                    out,
                ))
            }
            // Standard requests: descriptors, status, configuration.
            (false, 6) => match value_high {
                1 => Some(DEVICE_DESCRIPTOR.into()),
                2 => Some(CONFIGURATION.into()),
                _ => None,
            },
            (false, 0) => Some(vec![0, 0]),
            _ => None,
        }
    }

    /// One message of a transaction. What is written is kept until the stop or a read, because a part sees a transaction as
    /// one; a refusal is then told at the last message, which is enough for the adapter's driver.
    fn message(
        &mut self,
        address: u8,
        read: bool,
        last: bool,
        length: usize,
        out: &[u8],
    ) -> Vec<u8> {
        let mut into = vec![
            0xFF;
            if read {
                length.min(TRANSFER_MAX as usize)
            } else {
                0
            }
        ];
        if !read {
            self.waiting.push(out.to_vec());
        }
        if !read && !last {
            self.acknowledged = self.bus.addresses().contains(&address);
            return into;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let mut operations: Vec<_> = waiting.iter().map(|out| Operation::Write(out)).collect();
        if read {
            operations.push(Operation::Read(&mut into));
        }
        self.acknowledged = self.bus.transaction(address, &mut operations).is_ok();
        into
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cgminer_hal::emulated::{BusError, I2cDevice};

    /// Gives back what was last written, and counts the stops before it.
    #[derive(Default)]
    struct Echo {
        stops: u8,
        written: Vec<u8>,
    }

    impl I2cDevice for Echo {
        fn write(&mut self, bytes: &[u8]) -> Result<(), BusError> {
            self.written = bytes.to_vec();
            Ok(())
        }

        fn read(&mut self, into: &mut [u8]) -> Result<(), BusError> {
            let bytes = std::iter::once(&self.stops).chain(&self.written);
            for (place, byte) in into.iter_mut().zip(bytes) {
                *place = *byte;
            }
            Ok(())
        }

        fn stop(&mut self) {
            self.stops += 1;
        }
    }

    fn adapter() -> Adapter {
        let bus = I2cBus::default();
        bus.attach(0x10, Echo::default());
        Adapter::new(bus)
    }

    fn transfer(
        adapter: &mut Adapter,
        request: u8,
        read: bool,
        address: u8,
        out: &[u8],
    ) -> Vec<u8> {
        let length = if read { 3 } else { out.len() as u8 };
        let setup = [0x41, request, u8::from(read), 0, address, 0, length, 0];
        adapter.control(setup, out).unwrap()
    }

    fn status(adapter: &mut Adapter) -> u8 {
        adapter.control([0xC1, 3, 0, 0, 0, 0, 1, 0], &[]).unwrap()[0]
    }

    #[test]
    fn a_write_and_a_read_are_one_transaction() {
        let mut adapter = adapter();
        transfer(&mut adapter, 5, false, 0x10, &[7, 8]);
        assert_eq!(status(&mut adapter), 1);
        assert_eq!(transfer(&mut adapter, 6, true, 0x10, &[]), [0, 7, 8]);
        assert_eq!(transfer(&mut adapter, 7, true, 0x10, &[]), [1, 7, 8]);
    }

    #[test]
    fn an_address_without_a_part_is_not_acknowledged() {
        let mut adapter = adapter();
        for request in [5, 7] {
            transfer(&mut adapter, request, false, 0x11, &[1]);
            assert_eq!(status(&mut adapter), 2);
        }
        adapter
            .bus
            .set_fault(0x10, Some(cgminer_hal::emulated::BusFault::Nak));
        transfer(&mut adapter, 7, true, 0x10, &[]);
        assert_eq!(status(&mut adapter), 2);
    }

    #[tokio::test]
    async fn the_newest_holder_takes_the_bus_from_one_that_was_reset() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, I2cBus::default()));
        let mut request = [VERSION.to_be_bytes(), IMPORT.to_be_bytes(), [0; 2], [0; 2]].concat();
        request.resize(40, 0);
        let mut reply = [0; 320];
        let mut first = tokio::net::TcpStream::connect(address).await.unwrap();
        first.write_all(&request).await.unwrap();
        first.read_exact(&mut reply).await.unwrap();
        let mut second = tokio::net::TcpStream::connect(address).await.unwrap();
        second.write_all(&request).await.unwrap();
        second.read_exact(&mut reply).await.unwrap();
        assert_eq!(first.read(&mut reply).await.unwrap(), 0, "it is let go");
    }

    #[tokio::test]
    async fn a_kernel_imports_asks_and_leaves() {
        let (mut host, device) = tokio::io::duplex(4096);
        let server = tokio::spawn(attach(device, adapter()));
        let mut request = [VERSION.to_be_bytes(), IMPORT.to_be_bytes(), [0; 2], [0; 2]].concat();
        request.resize(40, 0);
        host.write_all(&request).await.unwrap();
        let mut reply = [0; 320];
        host.read_exact(&mut reply).await.unwrap();
        assert_eq!(reply[..8], [1, 0x11, 0, 3, 0, 0, 0, 0]);
        // Device descriptor, of which more is asked for than there is.
        let mut submit = words(&[SUBMIT, 9, 0, 1, 0, 0, 64, 0, 0, 0]);
        submit.extend([0x80, 6, 0, 1, 0, 0, 64, 0]);
        host.write_all(&submit).await.unwrap();
        let mut head = [0; 48];
        host.read_exact(&mut head).await.unwrap();
        assert_eq!(head[..8], words(&[SUBMITTED, 9])[..]);
        assert_eq!(head[20..28], words(&[0, 18])[..]);
        let mut descriptor = [0; 18];
        host.read_exact(&mut descriptor).await.unwrap();
        assert_eq!(descriptor, DEVICE_DESCRIPTOR);
        drop(host);
        assert!(server.await.unwrap().is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_request_makes_the_adapter_panic(
            heads in proptest::collection::vec(proptest::array::uniform32(0_u8..), 0..20),
            out in proptest::collection::vec(0_u8.., 0..40),
        ) {
            let mut adapter = adapter();
            for head in heads {
                let mut bytes = [0; 48];
                bytes[16..].copy_from_slice(&head);
                let header = Header::read(&bytes);
                let setup = header.setup;
                let _ = adapter.control(setup, &out);
                let _ = adapter.submit(&Header { length: header.length % 64, endpoint: 0, ..header }, &out);
            }
        }
    }
}
