use super::packet::{Data, Message, Question, kind, parse};
use super::*;
use proptest::prelude::*;

const HERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

fn service() -> Service {
    Service {
        host: "Miner 7.lan".into(),
        address: "0.0.0.0:8080".parse().unwrap(),
        board: "l7".into(),
        emulated: true,
    }
}

fn responder() -> Responder {
    Responder::new(&service(), 1, HERE)
}

fn question(name: &str, kind: u16) -> Message {
    Message {
        id: 77,
        questions: vec![Question {
            name: name.into(),
            kind,
        }],
        ..Message::default()
    }
}

fn answered(question: &Message, alone: bool) -> Option<Message> {
    let told = responder().answer(&question.to_bytes(), alone, HERE)?;
    Some(parse(&told).unwrap())
}

#[test]
fn who_asks_for_the_service_gets_name_host_port_and_address() {
    let told = answered(&question("_CGMINER-RS._tcp.local", kind::PTR), false).unwrap();
    assert!(told.response && told.id == 0 && told.questions.is_empty());
    let data: Vec<_> = told.records.iter().map(|record| &record.data).collect();
    let instance = "miner-7._cgminer-rs._tcp.local";
    assert_eq!(*data[0], Data::Ptr(instance.into()));
    assert_eq!(*data[1], Data::Srv(8080, "miner-7.local".into()));
    assert_eq!(*data[3], Data::A(HERE));
    let services = question("_services._dns-sd._udp.local", kind::PTR);
    let told = answered(&services, false).unwrap();
    assert_eq!(
        told.records[0].data,
        Data::Ptr("_cgminer-rs._tcp.local".into())
    );
    let told = answered(&question("miner-7.local", kind::A), false).unwrap();
    assert_eq!((told.records.len(), told.records[0].ttl), (1, 120));
}

#[test]
fn an_asker_without_multicast_gets_its_own_number_and_short_times() {
    let asked = question("miner-7._cgminer-rs._tcp.local", kind::ANY);
    let told = answered(&asked, true).unwrap();
    assert_eq!((told.id, &told.questions), (77, &asked.questions));
    assert_eq!(told.records.len(), 2);
    assert!(told.records.iter().all(|record| record.ttl <= 10));
}

#[test]
fn what_is_not_ours_what_is_known_and_what_is_no_question_gets_no_answer() {
    assert_eq!(answered(&question("other.local", kind::A), false), None);
    assert_eq!(answered(&question("miner-7.local", kind::TXT), false), None);
    let mut known = question("_cgminer-rs._tcp.local", kind::PTR);
    known.records = answered(&known, false).unwrap().records;
    assert_eq!(answered(&known, false), None);
    known.records[0].ttl = 100;
    assert!(answered(&known, false).is_some(), "it forgets soon");
    let announcement = responder().announcement();
    assert_eq!(responder().answer(&announcement, false, HERE), None);
}

#[test]
fn a_goodbye_names_all_that_was_announced_for_no_time_at_all() {
    let announced = parse(&responder().announcement()).unwrap();
    let goodbye = parse(&responder().goodbye()).unwrap();
    assert_eq!(announced.records.len(), 5);
    for (one, other) in announced.records.iter().zip(&goodbye.records) {
        assert_eq!((&one.name, one.kind), (&other.name, other.kind));
        assert!(one.ttl >= 120 && other.ttl == 0);
    }
}

#[test]
fn a_name_that_another_machine_has_is_a_conflict_and_our_own_is_none() {
    let ours = responder();
    assert!(!ours.conflicts(&ours.announcement()));
    assert!(!ours.conflicts(&ours.probe()));
    let elsewhere = Responder::new(&service(), 1, Ipv4Addr::new(192, 0, 2, 8));
    assert!(ours.conflicts(&elsewhere.announcement()));
    let second = Responder::new(&service(), 2, HERE);
    assert_eq!(second.instance(), "Miner-7-2._cgminer-rs._tcp.local");
    assert!(!second.conflicts(&elsewhere.announcement()));
}

#[test]
fn a_probe_asks_for_both_names_and_says_what_for() {
    let probe = parse(&responder().probe()).unwrap();
    let names: Vec<_> = probe
        .questions
        .iter()
        .map(|each| each.name.as_str())
        .collect();
    assert_eq!(names, ["miner-7._cgminer-rs._tcp.local", "miner-7.local"]);
    assert!(!probe.response && probe.records.len() == 2);
}

#[test]
fn names_that_jump_in_circles_or_forward_are_refused() {
    let head = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for name in [
        &[0xC0, 12][..],
        &[1, b'a', 0xC0, 12],
        &[0xC0, 40],
        &[0x80, 0],
        &[63, 1],
    ] {
        let bytes = [&head[..], name, &[0, 1, 0, 1]].concat();
        assert!(parse(&bytes).is_err(), "{name:?}");
    }
}

/// On a machine alone, over loopback: what is announced can be asked for.
#[tokio::test]
async fn a_gateway_for_the_machine_itself_is_told_to_nobody() {
    let (_stop, stopped) = watch::channel(false);
    let service = Service {
        address: "127.0.0.1:8080".parse().unwrap(),
        ..service()
    };
    // Ends by itself, without a socket.
    run(service, stopped).await;
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_a_bounded_message(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(message) = parse(&bytes) {
            prop_assert!(message.questions.len() + message.records.len() <= 64);
        }
        let _ = responder().answer(&bytes, true, HERE);
        let _ = responder().conflicts(&bytes);
    }

    #[test]
    fn changed_bytes_of_a_real_message_do_no_harm(at in 0_usize..300, byte: u8) {
        let mut bytes = responder().announcement();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = parse(&bytes);
        let _ = responder().conflicts(&bytes);
    }
}
