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

/// A port of multicast that nobody else here speaks at, and a socket that hears it on the loopback alone.
fn loopback() -> (Net, UdpSocket) {
    let free = StdSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let net = Net {
        port: free.local_addr().unwrap().port(),
        at: Ipv4Addr::LOCALHOST,
    };
    drop(free);
    (net, open(net).unwrap())
}

async fn next(socket: &UdpSocket, patience: Duration) -> Option<Message> {
    let mut buffer = vec![0; LONGEST];
    let until = Instant::now() + patience;
    let (count, _) = timeout_at(until, socket.recv_from(&mut buffer))
        .await
        .ok()?
        .ok()?;
    Some(parse(&buffer[..count]).unwrap())
}

/// Asks the group from a socket of its own and gives what comes back to it.
async fn asked_over(net: Net, patience: Duration) -> Option<Message> {
    let asker = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    asker.set_multicast_if_v4(&net.at).unwrap();
    asker.bind(&SocketAddr::from((net.at, 0)).into()).unwrap();
    asker.set_nonblocking(true).unwrap();
    let asker = UdpSocket::from_std(asker.into()).unwrap();
    let question = question("_cgminer-rs._tcp.local", kind::PTR).to_bytes();
    asker.send_to(&question, (GROUP, net.port)).await.unwrap();
    next(&asker, patience).await
}

#[tokio::test]
async fn over_real_sockets_the_service_is_announced_answers_and_says_goodbye() {
    const PATIENCE: Duration = Duration::from_secs(60);
    let (net, listener) = loopback();
    assert_eq!(asked_over(net, Duration::from_millis(100)).await, None);
    let address = "192.0.2.7:8080".parse().unwrap();
    let service = Service::of(true, Some("Miner 7.lan".into()), address, ("l7", true)).unwrap();
    let (stop, stopped) = watch::channel(false);
    let telling = tokio::spawn(run_at(net, service, stopped));
    let announced = loop {
        let heard = next(&listener, PATIENCE).await.expect("it is announced");
        if heard.response {
            break heard;
        }
    };
    assert!(announced.records.iter().all(|record| record.ttl > 0));
    // Until it has announced itself twice it only listens for others.
    let told = loop {
        if let Some(told) = asked_over(net, Duration::from_secs(2)).await {
            break told;
        }
    };
    assert!(told.response && told.id == 77 && told.questions.len() == 1);
    let data: Vec<_> = told.records.iter().map(|record| &record.data).collect();
    assert!(matches!(data[0], Data::Ptr(name) if name.ends_with("._cgminer-rs._tcp.local")));
    assert!(data.iter().any(|data| matches!(data, Data::Srv(8080, _))));
    assert!(data.contains(&&Data::A(HERE)));
    stop.send(true).unwrap();
    telling.await.unwrap();
    loop {
        let heard = next(&listener, PATIENCE).await.expect("it says goodbye");
        if heard.response && heard.records.iter().all(|record| record.ttl == 0) {
            break;
        }
    }
    assert_eq!(asked_over(net, Duration::from_millis(100)).await, None);
}

#[test]
fn who_does_not_want_it_or_is_reached_by_nobody_else_is_not_told_of() {
    let tells = |wanted, address: &str| {
        Service::of(wanted, None, address.parse().unwrap(), ("l7", false)).is_some()
    };
    assert!(tells(true, "0.0.0.0:80") && tells(true, "192.0.2.7:80") && tells(true, "[::]:80"));
    for address in ["0.0.0.0:80", "192.0.2.7:80", "[::]:80"] {
        assert!(!tells(false, address), "{address}");
    }
    assert!(!tells(true, "127.0.0.1:80") && !tells(true, "[::1]:80"));
}
