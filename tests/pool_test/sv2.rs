//! Pools of Stratum v2, played by the reference implementation's crates.

#[path = "../hostile_pool/sv2/wire.rs"]
mod wire;

use super::{pool_test, row, told};
use binary_sv2::{Seq0255, Sv2Option, U256, from_bytes};
use cgminer_rs::pool::authority::AuthorityKey;
use common_messages_sv2::{SetupConnection, SetupConnectionError, SetupConnectionSuccess};
use mining_sv2::{
    NewExtendedMiningJob, OpenExtendedMiningChannel, OpenExtendedMiningChannelSuccess,
    OpenMiningChannelError, SetNewPrevHash,
};
use std::io::Result;
use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncWrite};
use wire::{PUBLIC, Reader, Writer};

/// How a pool behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manners {
    Good,
    RefusesConnection,
    RefusesUser,
    /// Closes the connection once a channel is asked for.
    HangsUp,
}

/// A pool at an address of this machine, for as many connections as come.
fn pool(manners: Manners) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .expect("a clock")
                .as_secs();
            while let Ok((stream, _)) = listener.accept().await {
                // The other end hangs up when it knows enough.
                if let Ok((reader, writer)) = wire::accept(stream, now).await {
                    let _ = serve(reader, writer, manners).await;
                }
            }
        });
    });
    port
}

async fn serve<S: AsyncRead + AsyncWrite>(
    mut reader: Reader<S>,
    mut writer: Writer<S>,
    manners: Manners,
) -> Result<()> {
    loop {
        let (kind, mut bytes) = reader.next().await?;
        match kind {
            0x00 => {
                let setup: SetupConnection<'_> = from_bytes(&mut bytes).expect("its layout");
                assert_eq!(setup.endpoint_host.as_bytes(), b"127.0.0.1");
                if manners == Manners::RefusesConnection {
                    let error_code = "unsupported-protocol".try_into().expect("a text");
                    let error = SetupConnectionError {
                        flags: 0,
                        error_code,
                    };
                    writer.say(error, 0x02).await?;
                    continue;
                }
                let success = SetupConnectionSuccess {
                    used_version: 2,
                    flags: 0,
                };
                writer.say(success, 0x01).await?;
            }
            0x13 if manners == Manners::HangsUp => return Ok(()),
            0x13 => {
                let open: OpenExtendedMiningChannel<'_> =
                    from_bytes(&mut bytes).expect("its layout");
                let request_id = open.request_id;
                if manners == Manners::RefusesUser {
                    let error_code = "unknown-user".try_into().expect("a text");
                    let error = OpenMiningChannelError {
                        request_id,
                        error_code,
                    };
                    writer.say(error, 0x12).await?;
                    continue;
                }
                assert_eq!(open.user_identity.as_bytes(), b"account.worker");
                open_channel(&mut writer, request_id).await?;
            }
            other => panic!("an unwanted message: {other:x}"),
        }
    }
}

/// A channel of difficulty 1 with 6 bytes of extranonce for the miner, and its first job.
async fn open_channel<S: AsyncWrite>(writer: &mut Writer<S>, request_id: u32) -> Result<()> {
    let mut target = [0; 32];
    target[26..28].copy_from_slice(&[0xff, 0xff]);
    let success = OpenExtendedMiningChannelSuccess {
        request_id,
        channel_id: 7,
        target: U256::from(&target),
        extranonce_size: 6,
        extranonce_prefix: (&[0xc0, 0xff, 0xee][..]).try_into().expect("a prefix"),
        group_channel_id: 70,
    };
    writer.say(success, 0x14).await?;
    // Of a kind that nobody knows.
    writer.raw(vec![0, 0, 0x7f, 3, 0, 0, 1, 2, 3]).await?;
    let branch = [0x0b; 32];
    let job = NewExtendedMiningJob {
        channel_id: 70,
        job_id: 42,
        min_ntime: Sv2Option::new(None),
        version: 0x2000_0000,
        version_rolling_allowed: true,
        merkle_path: Seq0255::new(vec![U256::from(&branch)]).expect("a path"),
        coinbase_tx_prefix: (&[1; 40][..]).try_into().expect("a coinbase"),
        coinbase_tx_suffix: (&[2; 50][..]).try_into().expect("a coinbase"),
    };
    writer.say(job, 0x1f).await?;
    let hash = [3; 32];
    let previous = SetNewPrevHash {
        channel_id: 70,
        job_id: 42,
        prev_hash: U256::from(&hash),
        min_ntime: 0x6449_5522,
        nbits: 0x1705_c739,
    };
    writer.say(previous, 0x20).await
}

fn url(port: u16) -> String {
    format!("stratum2+tcp://127.0.0.1:{port}/{PUBLIC}")
}

#[test]
fn a_good_pool_is_described_and_the_exit_code_is_zero() {
    let port = pool(Manners::Good);
    let (code, text, error) = told(&pool_test(&[&url(port)]));
    assert_eq!((code, error.as_str()), (Some(0), ""), "{text}");
    assert_eq!(row(&text, "address"), url(port));
    assert!(row(&text, "connected").starts_with(&format!("to 127.0.0.1:{port} within ")));
    assert!(row(&text, "noise").starts_with("Noise_NX, Secp256k1+EllSwift_ChaChaPoly"));
    assert!(row(&text, "first answer").ends_with(" ms"));
    assert!(row(&text, "authorized").starts_with("as account.worker after "));
    assert_eq!(row(&text, "extranonce1"), "3 bytes");
    assert_eq!(row(&text, "extranonce2"), "6 bytes");
    assert_eq!(row(&text, "version rolling"), "1fffe000, 16 bits");
    assert_eq!(row(&text, "difficulty"), "1");
    let job = row(&text, "first job");
    let behind = ": 1 merkle branches, coinbase of 99 bytes";
    assert!(
        job.starts_with("42 after ") && job.ends_with(behind),
        "{job}"
    );
}

#[test]
fn refusals_are_told_in_the_pools_words() {
    for (manners, words) in [
        (
            Manners::RefusesConnection,
            "SetupConnection refused: unsupported-protocol",
        ),
        (
            Manners::RefusesUser,
            "no mining channel for this user: unknown-user",
        ),
        (Manners::HangsUp, "connection lost"),
    ] {
        let (code, text, error) = told(&pool_test(&[&url(pool(manners))]));
        assert!(code == Some(1) && error.contains(words), "{error}");
        assert!(row(&text, "noise").starts_with("Noise_NX"));
    }
}

#[test]
fn another_key_than_the_pools_or_none_is_told_apart() {
    let port = pool(Manners::Good);
    // The generator's x: a point of the curve, and nobody's authority.
    let point = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    let mut other = [0; 32];
    for (byte, at) in other.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&point[at..at + 2], 16).expect("a digit");
    }
    let other = format!("stratum2+tcp://127.0.0.1:{port}/{}", AuthorityKey(other));
    let (code, _, error) = told(&pool_test(&[&other]));
    let says_so = error.contains("not signed by the key in the address");
    assert!(code == Some(1) && says_so, "{error}");

    let none = format!("stratum2+tcp://127.0.0.1:{port}");
    let (code, _, error) = told(&pool_test(&[&none]));
    let says_so = error.contains("ends with the pool's authority key");
    assert!(code == Some(3) && says_so, "{error}");
}
