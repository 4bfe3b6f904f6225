use super::*;

struct Table(Vec<SocketAddr>);

impl Resolver for Table {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// Black holes all but one address.
struct Holes {
    alive: SocketAddr,
    tried: Mutex<Vec<SocketAddr>>,
}

impl Dialer for &'static Holes {
    fn dial(&self, address: SocketAddr) -> Boxed<'_, io::Result<Box<dyn Stream>>> {
        self.tried.lock().unwrap().push(address);
        let holes: &'static Holes = self;
        Box::pin(async move {
            if address != holes.alive {
                std::future::pending::<()>().await;
            }
            Ok(Box::new(tokio::io::duplex(16).0) as Box<dyn Stream>)
        })
    }
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn families_are_tried_in_turn_and_the_number_is_bounded() {
    let found = addresses(&[
        "192.0.2.1:1",
        "192.0.2.2:1",
        "192.0.2.2:1",
        "[2001:db8::1]:1",
    ]);
    let order = addresses(&["[2001:db8::1]:1", "192.0.2.1:1", "192.0.2.2:1"]);
    assert_eq!(interleaved(&found), order);
    let many: Vec<_> = (0..50)
        .map(|n| SocketAddr::from(([192, 0, 2, n], 1)))
        .collect();
    assert_eq!(interleaved(&many).len(), 50);
    let many = many.repeat(2).into_iter().enumerate();
    let many: Vec<_> = many
        .map(|(n, address)| SocketAddr::new(address.ip(), u16::try_from(n).unwrap()))
        .collect();
    assert_eq!(interleaved(&many).len(), MOST_FOUND);
}

/// A pool of so many addresses, all black holes but one.
fn holes(count: u8, alive: u8) -> (DirectConnector<Table, &'static Holes>, &'static Holes) {
    let address = |n| SocketAddr::from(([192, 0, 2, n], 1));
    let holes: &'static Holes = Box::leak(Box::new(Holes {
        alive: address(alive),
        tried: Mutex::default(),
    }));
    let table = Table((0..count).map(address).collect());
    (DirectConnector::new(table, holes), holes)
}

#[tokio::test(start_paused = true)]
async fn seven_black_holes_before_a_living_address_cost_a_second_each() {
    let (connector, holes) = holes(8, 7);
    let url: PoolUrl = "pool.example.com:1".parse().unwrap();
    let began = Instant::now();
    let connection = connector.connect(&url, &Deadlines::default()).await;
    assert_eq!(connection.ok().unwrap().peer, holes.alive.to_string());
    assert_eq!(began.elapsed(), 7 * STAGGER);
    assert_eq!(holes.tried.lock().unwrap().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_answers_late_is_still_taken_before_its_deadline() {
    struct Late;
    impl Dialer for Late {
        fn dial(&self, address: SocketAddr) -> Boxed<'_, io::Result<Box<dyn Stream>>> {
            Box::pin(async move {
                if !address.is_ipv6() {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                tokio::time::sleep(Duration::from_secs(4)).await;
                Ok(Box::new(tokio::io::duplex(16).0) as Box<dyn Stream>)
            })
        }
    }
    let table = Table(addresses(&[
        "192.0.2.1:1",
        "[2001:db8::1]:1",
        "192.0.2.3:1",
    ]));
    let connector = DirectConnector::new(table, Late);
    let url: PoolUrl = "pool.example.com:1".parse().unwrap();
    let began = Instant::now();
    let connection = connector.connect(&url, &Deadlines::default()).await;
    assert_eq!(connection.ok().unwrap().peer, "[2001:db8::1]:1");
    assert_eq!(began.elapsed(), Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_name_with_more_addresses_than_one_try_takes_is_gone_through_try_by_try() {
    let (connector, holes) = holes(30, 25);
    let url: PoolUrl = "pool.example.com:1".parse().unwrap();
    let deadlines = Deadlines::default();
    let mut failed = 0;
    let connection = loop {
        let began = Instant::now();
        match connector.connect(&url, &deadlines).await {
            Ok(connection) => break connection,
            Err(error) => {
                failed += 1;
                let text = error.to_string();
                assert!(text.contains("the last of 8 tried"), "{text}");
                assert!(began.elapsed() < deadlines.connect_all);
            }
        }
    };
    assert_eq!((failed, connection.peer), (3, holes.alive.to_string()));
    // What was found good is where the next try begins.
    holes.tried.lock().unwrap().clear();
    assert!(connector.connect(&url, &deadlines).await.is_ok());
    assert_eq!(holes.tried.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn refused_addresses_cost_no_time() {
    struct Refusing;
    impl Dialer for Refusing {
        fn dial(&self, _: SocketAddr) -> Boxed<'_, io::Result<Box<dyn Stream>>> {
            Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
        }
    }
    let all = addresses(&["192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"]);
    let connector = DirectConnector::new(Table(all), Refusing);
    let url: PoolUrl = "pool.example.com:1".parse().unwrap();
    let began = Instant::now();
    let error = connector.connect(&url, &Deadlines::default()).await.err();
    assert!(error.unwrap().to_string().contains("the last of 3 tried"));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn the_system_finds_localhost_and_tcp_reaches_it() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url: PoolUrl = format!("localhost:{port}").parse().unwrap();
    let deadlines = Deadlines::default();
    let connector = DirectConnector::system();
    let connection = connector.connect(&url, &deadlines).await.ok().unwrap();
    assert_eq!(connection.peer, format!("127.0.0.1:{port}"));
}

#[tokio::test]
async fn a_name_whose_look_up_hangs_gets_no_second_thread_and_stalls_no_other() {
    let resolver = SystemResolver::default();
    let hanging = resolver
        .turn("dead.example.com")
        .unwrap()
        .acquire_owned()
        .await
        .unwrap();
    let again = resolver.resolve("dead.example.com", 1);
    assert!(timeout(Duration::from_millis(20), again).await.is_err());
    assert!(!resolver.resolve("127.0.0.1", 1).await.unwrap().is_empty());
    drop(hanging);
    assert_eq!(
        resolver
            .turn("dead.example.com")
            .unwrap()
            .available_permits(),
        1
    );
}

#[tokio::test]
async fn an_onion_name_is_never_looked_up() {
    let url: PoolUrl = "stratum+tcp://poolpoolpool.onion:3333".parse().unwrap();
    let holes: &'static Holes = Box::leak(Box::new(Holes {
        alive: "192.0.2.3:1".parse().unwrap(),
        tried: Mutex::default(),
    }));
    let connector = DirectConnector::new(Table(vec![holes.alive]), holes);
    let deadlines = Deadlines::default();
    let error = connector.connect(&url, &deadlines).await.err().unwrap();
    assert!(error.to_string().contains("socks5://"), "{error}");
    assert!(holes.tried.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_address_that_asks_for_tls_is_never_spoken_to_in_the_clear() {
    let url: PoolUrl = "stratum+tls://pool.example.com:443".parse().unwrap();
    let deadlines = Deadlines::default();
    let error = DirectConnector::system()
        .connect(&url, &deadlines)
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("stratum+tcp://"), "{error}");
}

#[test]
fn what_only_another_build_can_reach_is_refused_by_the_name_of_its_feature() {
    let key = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";
    let noise = format!("stratum2+tcp://pool.example.com:34254/{key}");
    for (address, words) in [
        (&*noise, ["the feature `sv2`", "stratum+tcp://"]),
        (
            "stratum+tls://pool.example.com:443",
            ["the feature `tls`", "stratum+tcp://"],
        ),
    ] {
        let error = ConnectError::unless_bare(&address.parse().unwrap()).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with(address), "{error}");
        assert!(words.iter().all(|words| error.contains(words)), "{error}");
    }
}
