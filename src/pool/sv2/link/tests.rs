//! The Noise link against the reference implementation's other end, in memory.

use super::*;
use codec_sv2::{Decrypted, NoiseDecoder, NoiseEncoder};
use framing_sv2::framing::SerializedFrame;
use noise_sv2::Responder;
use proptest::prelude::*;
use std::time::Duration;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// Test keys of the reference implementation's configuration examples (github.com/stratum-mining/sv2-apps).
const PUBLIC: &str = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";
const SECRET: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
const HOST: &str = "stratum2+tcp://pool.example.com:34254";
/// 2027-01-15.
const SET: u64 = 1_800_000_000;
/// A board that has just started.
const NOT_SET: u64 = 60;
const DAY: Duration = Duration::from_secs(86_400);

struct Wires(mpsc::UnboundedSender<DuplexStream>);

impl Connector for Wires {
    fn connect<'a>(
        &'a self,
        url: &'a PoolUrl,
        _: &'a Deadlines,
    ) -> Boxed<'a, Result<Connection, ConnectError>> {
        assert_eq!((url.transport, url.authority), (Transport::Tcp, None));
        let (near, far) = duplex(4096);
        drop(self.0.send(far));
        Box::pin(async {
            Ok(Connection {
                stream: Box::new(near),
                peer: "192.0.2.1:34254".into(),
                secured: None,
            })
        })
    }
}

fn url(key: &str) -> PoolUrl {
    format!("{HOST}/{key}").parse().unwrap()
}

fn connector(clock: u64) -> (NoiseConnector, mpsc::UnboundedReceiver<DuplexStream>) {
    let (sender, wires) = mpsc::unbounded_channel();
    let clock = WallClock::new(move || Duration::from_secs(clock));
    (
        NoiseConnector::with_clock(Arc::new(Wires(sender)), clock),
        wires,
    )
}

fn responder(validity: Duration) -> Box<Responder> {
    let secret: [u8; 36] = crate::pool::base58::decode_check(SECRET).unwrap();
    let public: AuthorityKey = PUBLIC.parse().unwrap();
    Responder::from_authority_kp(&public.0, secret[..32].try_into().unwrap(), validity).unwrap()
}

/// The pool's side of the handshake, with a certificate from `begins` on.
async fn respond(
    far: &mut DuplexStream,
    begins: u64,
    validity: Duration,
) -> noise_sv2::NoiseEngine {
    let mut first = [0; ELLSWIFT_ENCODING_SIZE];
    far.read_exact(&mut first).await.unwrap();
    let mut random = rand::thread_rng();
    let (answer, engine) = responder(validity)
        .step_1_with_now_rng(first, begins as u32, &mut random)
        .unwrap();
    far.write_all(&answer).await.unwrap();
    engine
}

/// Connects to a pool whose certificate begins then and is good for a day.
async fn connect(key: &str, clock: u64, begins: u64) -> Result<Connection, ConnectError> {
    let (connector, mut wires) = connector(clock);
    let pool = async {
        let mut far = wires.recv().await.unwrap();
        respond(&mut far, begins, DAY).await;
        far
    };
    let (url, deadlines) = (url(key), Deadlines::default());
    tokio::join!(connector.connect(&url, &deadlines), pool).0
}

async fn refusal(key: &str, clock: u64, begins: u64) -> String {
    connect(key, clock, begins)
        .await
        .err()
        .expect("refused")
        .to_string()
}

#[tokio::test]
async fn a_pool_with_the_key_of_its_address_is_taken() {
    let connection = connect(PUBLIC, SET, SET).await.ok().unwrap();
    assert!(connection.secured.unwrap().dates_checked);
    assert_eq!(connection.peer, "192.0.2.1:34254");
}

#[tokio::test]
async fn a_pool_with_another_key_is_refused_in_words() {
    // The generator's x: a point of the curve, and nobody's authority.
    let mut other = [0; 32];
    other.copy_from_slice(&hex(
        "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    ));
    for clock in [SET, NOT_SET] {
        let error = refusal(&AuthorityKey(other).to_string(), clock, SET).await;
        assert!(
            error.contains("not signed by the key in the address"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_key_that_is_no_point_of_the_curve_is_told_before_anybody_is_connected_to() {
    let (connector, mut wires) = connector(SET);
    let (url, deadlines) = (
        url(&AuthorityKey([0xff; 32]).to_string()),
        Deadlines::default(),
    );
    let error = connector
        .connect(&url, &deadlines)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("no point of the curve"), "{error}");
    assert!(wires.try_recv().is_err());
}

#[tokio::test]
async fn a_certificate_out_of_its_dates_is_refused() {
    for begins in [SET - 2 * DAY.as_secs(), SET + 60] {
        let error = refusal(PUBLIC, SET, begins).await;
        assert!(error.contains("check this machine's clock"), "{error}");
    }
}

#[tokio::test]
async fn while_the_clock_is_not_set_a_certificate_of_later_is_taken_and_one_that_had_ended_is_not()
{
    let floor = crate::pool::clock::CLOCK_FLOOR.as_secs();
    for begins in [floor - 60, floor + 60, SET] {
        let connection = connect(PUBLIC, NOT_SET, begins).await.ok().unwrap();
        assert!(!connection.secured.unwrap().dates_checked);
    }
    let error = refusal(PUBLIC, NOT_SET, floor - 2 * DAY.as_secs()).await;
    assert!(error.contains("check this machine's clock"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_pool_and_one_that_drips_are_left_at_the_deadline() {
    for dripping in [false, true] {
        let (connector, mut wires) = connector(SET);
        let (url, deadlines) = (url(PUBLIC), Deadlines::default());
        let pool = tokio::spawn(async move {
            let mut far = wires.recv().await.unwrap();
            while !dripping || far.write_all(&[7]).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let began = Instant::now();
        let error = connector
            .connect(&url, &deadlines)
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("no end of the handshake"), "{error}");
        assert_eq!(began.elapsed(), deadlines.noise);
        pool.abort();
    }
}

#[tokio::test]
async fn what_is_no_noise_is_told_from_a_wrong_key() {
    let (connector, mut wires) = connector(SET);
    let (url, deadlines) = (url(PUBLIC), Deadlines::default());
    let pool = async {
        let mut far = wires.recv().await.unwrap();
        far.write_all(&[b'{'; 300]).await.unwrap();
        far
    };
    let error = tokio::join!(connector.connect(&url, &deadlines), pool).0;
    let error = error.err().unwrap().to_string();
    assert!(error.contains("does it speak Stratum v2"), "{error}");
}

/// A link, and the codec of the reference implementation at its other end.
async fn linked() -> (Box<dyn Stream>, DuplexStream, codec_sv2::Transport) {
    let (connector, mut wires) = connector(SET);
    let pool = async {
        let mut far = wires.recv().await.unwrap();
        let mut first = [0; ELLSWIFT_ENCODING_SIZE];
        far.read_exact(&mut first).await.unwrap();
        let (answer, transport) = codec_sv2::Handshake::responder(responder(DAY))
            .step_1_with_now_rng(first, SET as u32, &mut rand::thread_rng())
            .unwrap();
        far.write_all(answer.payload()).await.unwrap();
        (far, transport)
    };
    let (url, deadlines) = (url(PUBLIC), Deadlines::default());
    let (connection, (far, transport)) = tokio::join!(connector.connect(&url, &deadlines), pool);
    (connection.ok().unwrap().stream, far, transport)
}

fn frame(length: usize) -> Vec<u8> {
    let payload = (0..length).map(|at| at as u8);
    let header = [0, 0x80, 0x1f]
        .into_iter()
        .chain((length as u32).to_le_bytes().into_iter().take(3));
    header.chain(payload).collect()
}

#[tokio::test]
async fn frames_of_any_length_pass_both_ways_as_the_reference_codec_has_them() {
    let lengths = [0, 1, 65_518, 65_519, 65_520, 65_535, 131_038, 200_000, 3];
    let (mut near, far, transport) = linked().await;
    let (mut encrypt, mut decrypt) = transport.split();
    let (mut far_reader, mut far_writer) = tokio::io::split(far);
    let sent = async {
        let mut encoder = NoiseEncoder::new();
        for length in lengths {
            let frame = SerializedFrame::<Vec<u8>>::from_bytes(frame(length)).unwrap();
            let bytes = encoder.encode_transport(frame, &mut encrypt).unwrap();
            let bytes: &[u8] = bytes.as_ref();
            far_writer.write_all(bytes).await.unwrap();
        }
    };
    let received = async {
        for length in lengths {
            let mut bytes = vec![0; 6 + length];
            near.read_exact(&mut bytes).await.unwrap();
            assert!(bytes == frame(length), "{length}");
        }
        near
    };
    let ((), mut near) = tokio::join!(sent, received);
    let sent = async {
        for length in lengths {
            near.write_all(&frame(length)).await.unwrap();
        }
        near.flush().await.unwrap();
    };
    let received = async {
        let mut decoder = NoiseDecoder::new();
        for length in lengths {
            let mut found = loop {
                match decoder.next_transport_frame(decrypt).unwrap() {
                    Decrypted::Frame(frame, state) => {
                        decrypt = state;
                        break frame;
                    }
                    Decrypted::Incomplete(_, state) => {
                        decrypt = state;
                        far_reader.read_exact(decoder.writable()).await.unwrap();
                    }
                }
            };
            assert!(found.payload() == &frame(length)[6..], "{length}");
        }
    };
    tokio::join!(sent, received);
}

#[tokio::test]
async fn a_frame_too_long_is_refused_by_its_header() {
    let (mut near, mut far, transport) = linked().await;
    let (mut encrypt, _) = transport.split();
    let frame = SerializedFrame::<Vec<u8>>::from_bytes(frame(LONGEST_FRAME + 1)).unwrap();
    let bytes = NoiseEncoder::new()
        .encode_transport(frame, &mut encrypt)
        .unwrap();
    let bytes: &[u8] = bytes.as_ref();
    far.write_all(&bytes[..22]).await.unwrap();
    let error = near.read_u8().await.unwrap_err();
    assert!(
        error.to_string().contains("a frame of 262145 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn a_damaged_byte_ends_the_link_and_an_end_within_a_frame_is_no_end() {
    let (mut near, mut far, transport) = linked().await;
    let (mut encrypt, _) = transport.split();
    let frame = |length| SerializedFrame::<Vec<u8>>::from_bytes(frame(length)).unwrap();
    let mut encoder = NoiseEncoder::new();
    let bytes = encoder.encode_transport(frame(5), &mut encrypt).unwrap();
    far.write_all(bytes.as_ref()).await.unwrap();
    near.read_exact(&mut [0; 11]).await.unwrap();
    let bytes = encoder.encode_transport(frame(5), &mut encrypt).unwrap();
    let mut bytes: Vec<u8> = AsRef::<[u8]>::as_ref(&bytes).to_vec();
    bytes[3] ^= 1;
    far.write_all(&bytes).await.unwrap();
    let error = near.read_u8().await.unwrap_err();
    assert!(error.to_string().contains("not encrypted"), "{error}");
    assert!(near.read_u8().await.is_err(), "it stays ended");

    let (mut near, mut far, transport) = linked().await;
    let (mut encrypt, _) = transport.split();
    let bytes = NoiseEncoder::new()
        .encode_transport(frame(5), &mut encrypt)
        .unwrap();
    far.write_all(&AsRef::<[u8]>::as_ref(&bytes)[..25])
        .await
        .unwrap();
    drop(far);
    near.read_exact(&mut [0; 6]).await.unwrap();
    let error = near.read(&mut [0; 9]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}

fn hex(text: &str) -> Vec<u8> {
    crate::work::hex::decode(text).unwrap()
}

proptest! {
    /// Whatever answers the first message, nothing panics and nobody is taken for the pool.
    #[test]
    fn any_answer_is_refused(answer in prop::collection::vec(any::<u8>(), 234), clock: u32) {
        let answer: [u8; INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE] = answer.try_into().unwrap();
        let handshake = Handshake::new(PUBLIC.parse().unwrap()).unwrap();
        prop_assert!(handshake.finish(answer, Duration::from_secs(clock.into())).is_err());
    }
}
