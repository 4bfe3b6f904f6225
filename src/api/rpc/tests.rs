use super::*;
use crate::api::access::Access;
use crate::config::Network;
use crate::pool::settings::Place;
use crate::pool::status::{PoolPhase, PoolStatus};
use crate::telemetry::ChainPhase;
use crate::telemetry::samples::Rooms;
use serde_json::Value;
use tokio::io::duplex;

/// Replies captured from cgminer 4.11.1 (github.com/ckolivas/cgminer, commit b8491c66) on a machine without devices.
const CAPTURED: &str = include_str!("../../../tests/data/cgminer_api_replies.jsonl");

/// The reply to a client that may only read, which waits for nobody.
pub(super) fn answer(bytes: &[u8], source: &SnapshotSource) -> String {
    let mut answer = std::pin::pin!(super::answer(bytes, source, Visitor::default()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match answer.as_mut().poll(&mut context) {
        std::task::Poll::Ready(text) => text,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

fn captured() -> impl Iterator<Item = (String, String)> {
    CAPTURED.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let request = match line["raw_request"].as_str() {
            Some(raw) => raw.to_owned(),
            None => line["request"].to_string(),
        };
        (
            request,
            line["reply"]
                .as_str()
                .unwrap()
                .trim_end_matches('\0')
                .to_owned(),
        )
    })
}

#[tokio::test(start_paused = true)]
async fn errors_have_the_codes_and_words_of_captured_ones() {
    let (source, _rooms) = Rooms::at_work();
    let mut compared = 0;
    for (request, theirs) in captured() {
        if ![
            "{bad json",
            "{\"command\":5}",
            "{\"parameter\":\"x\"}",
            "[]",
            "{}",
            "{\"command\":\"version\"}\0",
        ]
        .contains(&request.as_str())
            && !request.contains("nosuch\"")
        {
            continue;
        }
        let ours = answer(request.as_bytes(), &source);
        let status = |reply: &str| {
            let reply: Value = serde_json::from_str(reply).unwrap_or_default();
            (
                reply["STATUS"][0]["Code"].clone(),
                reply["STATUS"][0]["Msg"].clone(),
            )
        };
        assert_eq!(status(&ours), status(&theirs), "{request}");
        assert_eq!(ours.starts_with('{'), theirs.starts_with('{'), "{request}");
        assert_eq!(
            ours.contains("Description"),
            theirs.contains("Description"),
            "{request}"
        );
        compared += 1;
    }
    assert!(compared >= 6, "{compared}");
}

#[tokio::test(start_paused = true)]
async fn values_are_those_of_the_snapshot() {
    let (source, _rooms) = Rooms::at_work();
    let ask = |request: &str| -> Value {
        serde_json::from_str(&answer(request.as_bytes(), &source)).unwrap()
    };
    let summary = ask("{\"command\":\"summary\"}");
    assert_eq!(summary["SUMMARY"][0]["Accepted"], 9);
    assert_eq!(summary["SUMMARY"][0]["Best Share"], 4096);
    assert_eq!(summary["SUMMARY"][0]["Network Blocks"], 1);
    let devs = ask("{\"command\":\"devs\"}");
    assert_eq!(devs["DEVS"][0]["Temperature"], 65.5);
    assert_eq!(
        ask("{\"command\":\"asc\",\"parameter\":0}")["ASC"][0],
        devs["DEVS"][0]
    );
    assert_eq!(
        ask("{\"command\":\"asc\",\"parameter\":3}")["STATUS"][0]["Msg"],
        "Invalid ASC id 3 - range is 0 - 0"
    );
    let pools = ask("{\"command\":\"pools\"}");
    assert_eq!(pools["POOLS"][0]["URL"], "stratum+tcp://pool.example:3333");
    assert_eq!(pools["POOLS"][0]["Status"], "Alive");
}

#[tokio::test(start_paused = true)]
async fn a_reserve_without_a_connection_is_not_called_disabled() {
    let (source, rooms) = Rooms::at_work();
    let now = Instant::now();
    rooms.pools.send_modify(|pools| {
        let spare = PoolStatus {
            phase: PoolPhase::Idle,
            place: Place {
                quota: 3,
                ..Place::default()
            },
            ..PoolStatus::default()
        };
        let mut seen_well = spare.clone();
        seen_well.last_error_at = Some(now);
        seen_well.last_job_at = Some(now + Duration::from_secs(1));
        let mut seen_ill = spare.clone();
        seen_ill.last_error_at = Some(now);
        let mut off = spare.clone();
        off.place.enabled = false;
        pools.pools.extend([spare, seen_well, seen_ill, off]);
    });
    sleep(Duration::from_secs(2)).await;
    let reply = answer(b"{\"command\":\"pools\"}", &source);
    let reply: Value = serde_json::from_str(&reply).unwrap();
    let told: Vec<_> = reply["POOLS"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pool| (pool["Status"].as_str(), pool["Quota"].as_u64()))
        .collect();
    let expected = [
        (Some("Alive"), Some(1)),
        (None, Some(3)),
        (Some("Alive"), Some(3)),
        (Some("Dead"), Some(3)),
        (Some("Disabled"), Some(3)),
    ];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn a_device_is_told_by_its_phase_and_its_owners_will() {
    let (source, rooms) = Rooms::at_work();
    let off = Some(crate::telemetry::SWITCHED_OFF);
    for (phase, reason, told) in [
        (ChainPhase::Hashing, None, ("Y", "Alive")),
        (ChainPhase::BringUp, None, ("Y", "Initialising")),
        (
            ChainPhase::BackOff,
            Some("chips are missing"),
            ("Y", "Sick"),
        ),
        (ChainPhase::Failed, Some("chips are missing"), ("Y", "Dead")),
        (ChainPhase::Stopped, None, ("Y", "NoStart")),
        (ChainPhase::Stopped, off, ("N", "NoStart")),
    ] {
        rooms.chain.send_modify(|chain| {
            chain.phase = phase;
            chain.reason = reason.map(Into::into);
        });
        let reply = answer(b"{\"command\":\"devs\"}", &source);
        let reply: Value = serde_json::from_str(&reply).unwrap();
        let device = &reply["DEVS"][0];
        assert_eq!(
            (&device["Enabled"], &device["Status"]),
            (&told.0.into(), &told.1.into()),
            "{phase:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_modelled_temperature_is_no_reading() {
    let (source, rooms) = Rooms::at_work();
    rooms.keeper.send_modify(|keeper| {
        if let Some(keeper) = keeper {
            Arc::make_mut(keeper).chains[0].measured = false;
        }
    });
    let reply = answer(b"{\"command\":\"devs\"}", &source);
    let reply: Value = serde_json::from_str(&reply).unwrap();
    assert_eq!(reply["DEVS"][0]["Temperature"], Value::Null);
    let chain = &source.snapshot().chains[0];
    assert!(chain.temperature.reason().unwrap().contains("model"));
    assert_eq!(chain.acted_on.map(|celsius| celsius.0), Some(65.5));
}

#[tokio::test(start_paused = true)]
async fn nothing_can_be_changed() {
    let (source, _rooms) = Rooms::at_work();
    for command in [
        "switchpool",
        "addpool",
        "quit",
        "restart",
        "privileged",
        "ascset",
    ] {
        let reply = answer(format!("{command}|0").as_bytes(), &source);
        assert!(
            reply.contains(",Code=45,") && reply.starts_with("STATUS=E,"),
            "{reply}"
        );
        let reply = answer(format!("check|{command}").as_bytes(), &source);
        assert!(reply.ends_with("CHECK,Exists=Y,Access=N|"), "{reply}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_programs_of_allowed_networks_may_write_and_no_joined_command_does() {
    let network = |text: &str| Network::try_from(text.to_owned()).unwrap();
    let access = Access {
        writers: vec![network("192.0.2.0/24")],
        ..Access::default()
    };
    let control = Control {
        orders: Orders::channel().0,
        access: tokio::sync::watch::Sender::new(Arc::new(access)).subscribe(),
    };
    let (source, _rooms) = Rooms::at_work();
    let stranger = visitor("198.51.100.1".parse().unwrap(), &control);
    assert!(stranger.writer.is_none());
    for (request, code) in [
        ("privileged", 46),
        ("quit", 45),
        ("restart", 45),
        ("version+privileged", 45),
    ] {
        let friend = visitor("192.0.2.9".parse().unwrap(), &control);
        let reply = super::answer(request.as_bytes(), &source, friend).await;
        assert!(reply.contains(&format!("Code={code},")), "{reply}");
    }
    for (command, access) in [("switchpool", "Y"), ("quit", "N")] {
        let friend = visitor("192.0.2.9".parse().unwrap(), &control);
        let request = format!("check|{command}");
        let reply = super::answer(request.as_bytes(), &source, friend).await;
        assert!(reply.ends_with(&format!("Access={access}|")), "{reply}");
    }
}

#[tokio::test(start_paused = true)]
async fn joined_commands_are_answered_each_under_its_name() {
    let (source, _rooms) = Rooms::at_work();
    let json: Value =
        serde_json::from_str(&answer(b"{\"command\":\"version+asc+pools\"}", &source)).unwrap();
    assert_eq!(json["version"][0]["VERSION"][0]["API"], "3.7");
    assert_eq!(
        json["asc"][0]["STATUS"][0]["Code"], 45,
        "asc cannot be joined"
    );
    assert_eq!(json["pools"][0]["POOLS"][0]["POOL"], 0);
    assert_eq!(json["id"], 1);
    let text = answer(b"version+pools", &source);
    assert!(
        text.starts_with("CMD=version|STATUS=S,") && text.contains("|CMD=pools|STATUS=S,"),
        "{text}"
    );
    assert!(
        text.contains("|POOL=0,URL=stratum+tcp://pool.example:3333,"),
        "{text}"
    );
}

/// Sends the pieces half a second apart and reads to the end.
async fn dialogue(pieces: &[&str], hang_up: bool) -> (String, Duration) {
    let (source, _rooms) = Rooms::at_work();
    let (mut client, server) = duplex(65_536);
    let start = Instant::now();
    let serving = async {
        serve(server, &source, Visitor::default()).await;
        start.elapsed()
    };
    let asking = async {
        for piece in pieces {
            client.write_all(piece.as_bytes()).await.unwrap();
            sleep(Duration::from_millis(50)).await;
        }
        if hang_up {
            client.shutdown().await.unwrap();
        }
        let mut reply = String::new();
        client.read_to_string(&mut reply).await.unwrap();
        reply
    };
    let (took, reply) = tokio::join!(serving, asking);
    (reply, took)
}

#[tokio::test(start_paused = true)]
async fn a_request_in_pieces_is_answered_whole_and_closed_with_one_zero() {
    for pieces in [&["{\"command\"", ":\"version\"", "}"][..], &["ver", "sion"]] {
        let (reply, took) = dialogue(pieces, false).await;
        assert!(reply.contains("CGMiner versions"), "{reply}");
        assert!(reply.ends_with('\0') && reply.matches('\0').count() == 1);
        assert!(took < REQUEST_TIME, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_and_an_unfinished_request_end_in_time() {
    let (reply, took) = dialogue(&[], false).await;
    assert_eq!((reply.as_str(), took), ("", REQUEST_TIME));
    let (reply, took) = dialogue(&["{\"command\":"], false).await;
    assert!(
        reply.contains("\"Code\":23,") && took == REQUEST_TIME,
        "{reply} {took:?}"
    );
    let (reply, _) = dialogue(&["{\"command\":"], true).await;
    assert!(reply.contains("\"Code\":23,"), "{reply}");
    let (reply, _) = dialogue(&[&"x".repeat(10_000)], false).await;
    assert!(reply.contains("Code=14,"), "{reply}");
}

#[tokio::test]
async fn many_silent_clients_block_nobody() {
    let (source, _rooms) = Rooms::at_work();
    let rpc = Rpc::open(
        ([127, 0, 0, 1], 0).into(),
        source,
        crate::api::tests::no_control(),
    )
    .unwrap();
    let address = rpc.address().unwrap();
    let task = tokio::spawn(rpc.run());
    let mut silent = Vec::new();
    for _ in 0..CLIENTS - 1 {
        silent.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client
        .write_all(b"{\"command\":\"version\"}")
        .await
        .unwrap();
    let mut reply = String::new();
    client.read_to_string(&mut reply).await.unwrap();
    assert!(reply.contains("CGMiner versions"), "{reply}");
    task.abort();
}
