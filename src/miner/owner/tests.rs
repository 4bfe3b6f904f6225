use super::*;
use crate::api::openapi::fit::misfits_of_answer;
use crate::api::orders::Orders;
use crate::config::scribe::Scribe;
use crate::config::{Role, hash};
use crate::link::{Down, KeeperEnd, Refusal, Up, in_process};
use cgminer_board::thermal::FanMode;
use cgminer_hal::units::Celsius;
use std::path::PathBuf;
use std::time::Duration;

const FILE: &str = "# mine\n[[pool]]\nurl = \"stratum+tcp://a.example:1\"\nuser = \"u\"\npassword = \"secret\" # quiet\n";

/// An owner's task with all that it reaches, and a keeper that obeys or does not.
struct House {
    directory: tempfile::TempDir,
    orders: Orders,
    pools: mpsc::Receiver<Command>,
    access: watch::Receiver<Arc<Access>>,
    wishes: Vec<watch::Receiver<ChainWish>>,
    asked: mpsc::UnboundedReceiver<Request>,
    _scribe: Scribe,
}

impl House {
    fn new(text: &str) -> Self {
        Self::with_recipe(text, Recipe::default())
    }

    fn with_recipe(text: &str, recipe: Recipe) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let run_directory = directory.path().to_str().unwrap();
        let mut recipe = Recipe {
            file: directory.path().join("c.toml"),
            named: true,
            ..recipe
        };
        recipe
            .flags
            .push(format!("api.run_directory={run_directory}"));
        std::fs::write(&recipe.file, text).unwrap();
        let config = recipe.load().unwrap().config;
        let scribe = Scribe::start(recipe.clone(), directory.path(), |_| Vec::new()).unwrap();
        let (orders, given) = Orders::channel();
        let (pool_commands, pools) = mpsc::channel(8);
        let alerts = watch::Sender::new(crate::miner::notify::Settings::of(&config));
        let (access, allowed) = watch::channel(Access::of(&config));
        let (chains, wishes) = (0..2).map(|_| watch::channel(ChainWish::default())).unzip();
        let (keeper, end) = in_process();
        let (tell, asked) = mpsc::unbounded_channel();
        tokio::spawn(obey(end, tell));
        tokio::spawn(serve(
            Reach {
                recipe,
                config,
                board_voltage: Millivolts(13_200),
                board_frequency: Megahertz(525.0),
                frequency_limits: (Megahertz(50.0), Megahertz(700.0)),
                keeper,
                pools: pool_commands,
                machine: crate::miner::sources::Machine::of_one_chain(1e12),
                chains,
                access,
                alerts,
            },
            given,
        ));
        Self {
            directory,
            orders,
            pools,
            access: allowed,
            wishes,
            asked,
            _scribe: scribe,
        }
    }

    async fn order(&self, order: Order) -> Outcome {
        let (method, path) = operation(&order);
        let outcome = self.orders.give(order, "a test").await;
        if let Ok(answer) = &outcome {
            let wrong = misfits_of_answer(method, path, answer);
            assert!(wrong.is_empty(), "{method} {path}: {}", wrong.join("\n"));
        }
        outcome
    }

    async fn refused(&self, order: Order) -> &'static str {
        self.order(order).await.unwrap_err().code
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("c.toml")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    /// What the pools were told last, as far as is there.
    fn replaced_pools(&mut self) -> Option<usize> {
        let mut latest = None;
        while let Ok(command) = self.pools.try_recv() {
            if let Command::Replace(sources, _) = command {
                latest = Some(sources.len());
            }
        }
        latest
    }

    fn requests(&mut self) -> Vec<Request> {
        std::iter::from_fn(|| self.asked.try_recv().ok()).collect()
    }
}

/// A keeper that grants all but 20 V and a target of 90 C.
async fn obey(mut end: KeeperEnd, tell: mpsc::UnboundedSender<Request>) {
    while let Ok(message) = end.receive().await {
        let Down::Request { id, request } = message else {
            continue;
        };
        let result = match request {
            Request::SetVoltage { voltage } if voltage.0 > 15_000 => Err(Refusal::OperatorOnly),
            Request::SetCooling {
                target: Some(asked),
                ..
            } if asked.0 >= 90.0 => Err(Refusal::TargetOutOfLimits {
                asked,
                lowest: Celsius(20.0),
                highest: Celsius(75.0),
            }),
            _ => Ok(()),
        };
        let _ = tell.send(request);
        let _ = end.send(Up::Reply { id, result });
    }
}

/// Where each order is asked for. What it answers is held to the description of that.
fn operation(order: &Order) -> (&'static str, &'static str) {
    match order {
        Order::Start => ("POST", "/api/v1/control/start"),
        Order::Stop => ("POST", "/api/v1/control/stop"),
        Order::Pause => ("POST", "/api/v1/control/pause"),
        Order::Resume => ("POST", "/api/v1/control/resume"),
        Order::Restart => ("POST", "/api/v1/control/restart"),
        Order::ClearLatch => ("POST", "/api/v1/control/clear-latch"),
        Order::RestartChain(_) => ("POST", "/api/v1/devices/{index}/restart"),
        Order::EnableChain(_, true) => ("POST", "/api/v1/devices/{index}/enable"),
        Order::EnableChain(_, false) => ("POST", "/api/v1/devices/{index}/disable"),
        Order::ChangeChain(..) => ("PATCH", "/api/v1/devices/{index}/config"),
        Order::AddPool(_) => ("POST", "/api/v1/pools"),
        Order::ChangePool(..) => ("PATCH", "/api/v1/pools/{index}"),
        Order::ArrangePools(_) => ("PUT", "/api/v1/pools/order"),
        Order::RemovePool(_) => ("DELETE", "/api/v1/pools/{index}"),
        Order::SwitchPool(_) => ("POST", "/api/v1/pools/{index}/switch"),
        Order::EnablePool(_, true) => ("POST", "/api/v1/pools/{index}/enable"),
        Order::EnablePool(_, false) => ("POST", "/api/v1/pools/{index}/disable"),
        Order::TestPool(_) => ("POST", "/api/v1/pools/test"),
        Order::TestConfiguredPool(_) => ("POST", "/api/v1/pools/{index}/test"),
        Order::Fans(_) => ("PATCH", "/api/v1/fans"),
        Order::Supply(_) => ("PATCH", "/api/v1/supply"),
        Order::Locate(_) => ("PUT", "/api/v1/locate"),
        Order::ReadConfig => ("GET", "/api/v1/config"),
        Order::CheckConfig(_) => ("POST", "/api/v1/config/check"),
        Order::ReplaceConfig(_) => ("PUT", "/api/v1/config"),
        Order::ReloadConfig => ("POST", "/api/v1/config/reload"),
        Order::Backup => ("GET", "/api/v1/backup"),
        Order::ReadFirmware => ("GET", "/api/v1/firmware"),
        Order::Restore(_) => ("POST", "/api/v1/restore"),
        Order::ListTokens => ("GET", "/api/v1/tokens"),
        Order::ClaimToken => ("POST", "/api/v1/tokens/claim"),
        Order::CreateToken(..) => ("POST", "/api/v1/tokens"),
        Order::RevokeToken(_) => ("DELETE", "/api/v1/tokens/{name}"),
        Order::RotateToken(_) => ("POST", "/api/v1/tokens/{name}/rotate"),
    }
}

fn fields(pairs: &[(&str, toml::Value)]) -> Fields {
    let field = |(name, value): &(&str, toml::Value)| ((*name).to_owned(), Some(value.clone()));
    pairs.iter().map(field).collect()
}

#[tokio::test]
async fn pools_come_change_and_go_in_file_and_manager_and_comments_stay() {
    let mut house = House::new(FILE);
    let added = fields(&[("url", "b.example:2".into()), ("user", "v".into())]);
    house.order(Order::AddPool(added)).await.unwrap();
    assert_eq!(house.replaced_pools(), Some(2));
    let changed = fields(&[("user", "w".into()), ("quota", 3.into())]);
    house.order(Order::ChangePool(0, changed)).await.unwrap();
    assert!(house.text().contains("user = \"w\"") && house.text().contains("quota = 3"));
    house.order(Order::SwitchPool(1)).await.unwrap();
    house.order(Order::EnablePool(1, false)).await.unwrap();
    assert!(house.text().contains("enabled = false"));
    assert_eq!(house.refused(Order::SwitchPool(1)).await, "switched_off");
    house.order(Order::RemovePool(1)).await.unwrap();
    assert_eq!(house.replaced_pools(), Some(1));
    assert!(house.text().starts_with("# mine\n") && house.text().contains("# quiet"));
    for order in [
        Order::RemovePool(1),
        Order::SwitchPool(1),
        Order::EnablePool(7, true),
    ] {
        assert_eq!(house.refused(order).await, "no_such_pool");
    }
    assert_eq!(house.replaced_pools(), None);
}

#[tokio::test]
async fn no_pool_is_put_first_where_each_has_its_part() {
    for (strategy, outcome) in [("quota", false), ("load-balance", false), ("groups", true)] {
        let house = House::new(&format!("[pools]\nstrategy = \"{strategy}\"\n{FILE}"));
        let switched = house.order(Order::SwitchPool(0)).await;
        assert_eq!(switched.is_ok(), outcome, "{strategy}");
        if let Err(failure) = switched {
            assert_eq!(failure.code, "no_first_pool");
            assert!(failure.message.contains(strategy), "{}", failure.message);
        }
    }
}

#[tokio::test]
async fn pools_are_put_in_another_order_whole_or_not_at_all() {
    let house = House::new(FILE);
    for name in ["b", "c"] {
        let url = format!("{name}.example:2");
        let added = fields(&[("url", url.into()), ("user", name.into())]);
        house.order(Order::AddPool(added)).await.unwrap();
    }
    let first = |text: &str, name: &str| text.find(&format!("user = \"{name}\"")).unwrap();
    house
        .order(Order::ArrangePools(vec![2, 0, 1]))
        .await
        .unwrap();
    let text = house.text();
    assert!(first(&text, "c") < first(&text, "b"), "{text}");
    assert!(text.find("b.example") > text.find("c.example"), "{text}");
    for order in [vec![0], vec![0, 0, 1], vec![0, 1, 3]] {
        let refused = house.refused(Order::ArrangePools(order)).await;
        assert_eq!(refused, "no_such_pool");
    }
    assert_eq!(house.text(), text);
}

#[tokio::test]
async fn a_wrong_change_changes_nothing() {
    let mut house = House::new(FILE);
    house.order(Order::ReloadConfig).await.unwrap();
    house.requests();
    for order in [
        Order::AddPool(fields(&[("user", "no url".into())])),
        Order::ChangePool(0, fields(&[("url", "ftp://x".into())])),
        Order::Fans(fields(&[("mode", "fixed".into())])),
        Order::Fans(fields(&[("duty", 3.into())])),
        Order::ReplaceConfig("[lgo]".into()),
    ] {
        let code = house.refused(order.clone()).await;
        assert_eq!(code, "wrong_configuration", "{order:?}");
    }
    assert_eq!(house.text(), FILE);
    assert_eq!(house.replaced_pools(), None);
    assert_eq!(house.requests(), []);
}

#[tokio::test]
async fn fans_and_voltage_are_asked_of_the_keeper_and_what_it_refuses_is_not_written() {
    let mut house = House::new(FILE);
    let fixed = fields(&[("mode", "fixed".into()), ("duty", 60.into())]);
    house.order(Order::Fans(fixed)).await.unwrap();
    let duty = cgminer_hal::units::DutyPercent(60.0);
    let mode = FanMode::Fixed { duty };
    assert!(house.requests().contains(&Request::SetFanMode { mode }));
    assert!(house.text().contains("mode = \"fixed\""));
    house.order(Order::Supply(13_000)).await.unwrap();
    let voltage = Millivolts(13_000);
    assert_eq!(house.requests(), [Request::SetVoltage { voltage }]);
    let before = house.text();
    assert_eq!(house.refused(Order::Supply(20_000)).await, "refused");
    assert_eq!(house.text(), before);
    // Fans that were asked for together with a refused voltage do not stay either.
    house.requests();
    let text = format!("{FILE}[chains]\nvoltage = 20000\n");
    assert_eq!(house.refused(Order::ReplaceConfig(text)).await, "refused");
    assert_eq!(house.text(), before);
    let back = house.order(Order::ReplaceConfig(FILE.into())).await;
    assert_eq!(back.unwrap()["done"], true);
    let last = house.requests();
    let auto = FanMode::Auto;
    assert!(
        last.contains(&Request::SetFanMode { mode: auto }),
        "{last:?}"
    );
}

#[tokio::test]
async fn a_changed_target_is_asked_of_the_keeper_and_touches_no_chip() {
    let mut house = House::new(FILE);
    house.order(Order::ReloadConfig).await.unwrap();
    house.requests();
    let text = |target: u8| format!("{FILE}[cooling]\ntarget = {target}\nminimum_fans = 3\n");
    std::fs::write(house.file(), text(55)).unwrap();
    let outcome = house.order(Order::ReloadConfig).await.unwrap();
    assert_eq!(outcome["restart_needed"], json!([]));
    let asked = Request::SetCooling {
        target: Some(Celsius(55.0)),
        minimum_fans: Some(3),
    };
    assert_eq!(house.requests(), [asked]);
    assert!(house.wishes.iter().all(|wish| !wish.has_changed().unwrap()));
    assert_eq!(house.replaced_pools(), None);
    // What the keeper refuses is told with its reason and is not in force.
    std::fs::write(house.file(), text(90)).unwrap();
    let refused = house.order(Order::ReloadConfig).await.unwrap_err();
    assert_eq!(refused.code, "refused");
    assert!(
        refused.message.contains("this board allows"),
        "{}",
        refused.message
    );
    let read = house.order(Order::ReadConfig).await.unwrap();
    assert_eq!(read["in_force"]["cooling"]["target"], json!(55.0));
}

#[tokio::test]
async fn a_start_whose_target_the_keeper_narrowed_goes_on_and_takes_other_changes() {
    let text = format!("{FILE}[cooling]\ntarget = 90\n");
    let mut house = House::new(&text);
    house.order(Order::ReloadConfig).await.unwrap();
    house.requests();
    let louder = format!("{text}[chains]\nvoltage = 13000\n");
    house.order(Order::ReplaceConfig(louder)).await.unwrap();
    let voltage = Millivolts(13_000);
    assert_eq!(house.requests(), [Request::SetVoltage { voltage }]);
}

#[tokio::test]
async fn a_change_that_cannot_be_written_is_taken_back_from_the_keeper() {
    let mut house = House::new("[board]\nname = \"l7\"\n");
    house.order(Order::ReloadConfig).await.unwrap();
    house.requests();
    let text = "[board]\nname = \"s19\"\n[cooling]\nmode = \"fixed\"\nduty = 50\n";
    let refused = house.refused(Order::ReplaceConfig(text.into())).await;
    assert_eq!(refused, "not_written");
    let asked = house.requests();
    let mode = FanMode::Auto;
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1], Request::SetFanMode { mode });
}

#[tokio::test]
async fn a_changed_file_is_taken_whole_or_not_at_all() {
    let mut house = House::new(FILE);
    house.order(Order::ReloadConfig).await.unwrap();
    let two = format!("{FILE}[[pool]]\nurl = \"b:2\"\nuser = \"v\"\n");
    std::fs::write(house.file(), &two).unwrap();
    let told = tokio::time::timeout(Duration::from_secs(240), house.pools.recv());
    assert!(matches!(
        told.await.unwrap(),
        Some(Command::Replace(sources, _)) if sources.len() == 2
    ));
    std::fs::write(house.file(), format!("{two}[lgo]\n")).unwrap();
    assert_eq!(
        house.refused(Order::ReloadConfig).await,
        "wrong_configuration"
    );
    assert_eq!(house.replaced_pools(), None);
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_what_a_later_layer_sets_is_refused() {
    let recipe = Recipe {
        environment: vec![("CGMINER_POOL_0_USER".into(), "from outside".into())],
        ..Recipe::default()
    };
    let house = House::with_recipe(FILE, recipe);
    let text = format!("{FILE}[log]\nformat = \"json\"\n[api]\nhosts = [\"miner.lan\"]\n");
    let outcome = house.order(Order::ReplaceConfig(text)).await.unwrap();
    assert_eq!(outcome["restart_needed"], json!(["log.format"]));
    assert_eq!(house.access.borrow().hosts, ["miner.lan"]);
    let user = fields(&[("user", "w".into())]);
    let refused = house.order(Order::ChangePool(0, user)).await.unwrap_err();
    assert_eq!(refused.code, "set_elsewhere");
}

#[tokio::test]
async fn the_first_token_is_claimed_once_and_tokens_are_known_by_their_hashes() {
    let house = House::new(FILE);
    let claimed = house.order(Order::ClaimToken).await.unwrap();
    assert_eq!(
        (&claimed["name"], &claimed["role"]),
        (&json!("owner"), &json!("admin"))
    );
    let token = claimed["token"].as_str().unwrap().to_owned();
    assert!(!house.text().contains(&token) && house.text().contains(&hash(&token)));
    assert!(house.access.borrow().tokens[0].has_hash(&hash(&token)));
    assert_eq!(house.refused(Order::ClaimToken).await, "already_claimed");
    let create = |name: &str| Order::CreateToken(name.into(), Role::Viewer);
    house.order(create("phone")).await.unwrap();
    assert_eq!(house.refused(create("phone")).await, "name_taken");
    assert_eq!(house.refused(create("a b")).await, "wrong_configuration");
    let rotated = house.order(Order::RotateToken("phone".into())).await;
    let fresh = rotated.unwrap()["token"].as_str().unwrap().to_owned();
    assert!(house.access.borrow().tokens[1].has_hash(&hash(&fresh)));
    house
        .order(Order::RevokeToken("owner".into()))
        .await
        .unwrap();
    let left = house.order(Order::ListTokens).await.unwrap();
    assert_eq!(left, json!([{"name": "phone", "role": "viewer"}]));
    assert!(
        !house
            .access
            .borrow()
            .tokens
            .iter()
            .any(|one| one.has_hash(&hash(&token)))
    );
    let gone = Order::RotateToken("owner".into());
    assert_eq!(house.refused(gone).await, "no_such_token");
}

#[tokio::test]
async fn a_backup_has_no_secret_and_comes_back_with_those_of_the_machine() {
    let house = House::new(FILE);
    house.order(Order::ClaimToken).await.unwrap();
    let whole = house.text();
    let backup = house.order(Order::Backup).await.unwrap();
    let text = backup["text"].as_str().unwrap().to_owned();
    assert!(!text.contains("secret") && text.contains("<redacted>") && text.contains("# quiet"));
    let read = house.order(Order::ReadConfig).await.unwrap();
    assert!(!read.to_string().contains("\"secret\""), "{read}");
    house
        .order(Order::ReplaceConfig(String::new()))
        .await
        .unwrap();
    assert_eq!(
        house.refused(Order::Restore(text.clone())).await,
        "wrong_configuration"
    );
    house
        .order(Order::ReplaceConfig(whole.clone()))
        .await
        .unwrap();
    let restored = text.replace("# mine", "# back");
    house.order(Order::Restore(restored)).await.unwrap();
    assert_eq!(house.text(), whole.replace("# mine", "# back"));
}

#[tokio::test]
async fn a_text_is_checked_without_being_taken() {
    let house = House::new(FILE);
    let check = |text: &str| Order::CheckConfig(text.into());
    let verdict = house.order(check("[lgo]\n")).await.unwrap();
    assert_eq!(verdict["valid"], false);
    assert_eq!(verdict["problems"][0]["path"], "lgo");
    assert_eq!(house.order(check(FILE)).await.unwrap()["valid"], true);
    assert_eq!(house.text(), FILE);
}

#[tokio::test]
async fn chains_and_power_follow_their_orders() {
    let mut house = House::new(FILE);
    house.order(Order::EnableChain(1, false)).await.unwrap();
    house.order(Order::RestartChain(0)).await.unwrap();
    let wishes: Vec<_> = house.wishes.iter().map(|wish| *wish.borrow()).collect();
    assert_eq!((wishes[0].restarts, wishes[1].enabled), (1, false));
    assert_eq!(
        house.refused(Order::RestartChain(2)).await,
        "no_such_device"
    );
    house.order(Order::Stop).await.unwrap();
    house.order(Order::Locate(true)).await.unwrap();
    let asked = house.requests();
    assert!(asked.contains(&Request::SetPower { on: false }));
    assert!(asked.contains(&Request::Locate { on: true }));
    house.order(Order::Pause).await.unwrap();
    let mut paused = false;
    while let Ok(command) = house.pools.try_recv() {
        paused |= matches!(command, Command::Pause(true));
    }
    assert!(paused);
}

#[tokio::test]
async fn the_clock_of_chains_follows_file_and_orders_within_the_boards_limits() {
    let house = House::new(FILE);
    let wishes = || -> Vec<_> {
        let all = house.wishes.iter();
        all.map(|wish| wish.borrow().frequency.map(|frequency| frequency.0))
            .collect()
    };
    let text = format!("{FILE}[chains]\nfrequency = 500\n");
    let outcome = house.order(Order::ReplaceConfig(text.clone())).await;
    assert_eq!(outcome.unwrap()["restart_needed"], json!([]));
    assert_eq!(wishes(), [Some(500.0), Some(500.0)]);
    let one = Order::ChangeChain(1, Some(Megahertz(450.0)));
    house.order(one).await.unwrap();
    assert_eq!(wishes(), [Some(500.0), Some(450.0)]);
    house.order(Order::ChangeChain(1, None)).await.unwrap();
    assert_eq!(wishes(), [Some(500.0), Some(500.0)]);
    for wrong in [900.0, 10.0, f32::NAN] {
        let order = Order::ChangeChain(0, Some(Megahertz(wrong)));
        assert_eq!(house.refused(order).await, "refused");
    }
    let missing = Order::ChangeChain(2, None);
    assert_eq!(house.refused(missing).await, "no_such_device");
    let fast = text.replace("500", "900");
    assert_eq!(house.refused(Order::ReplaceConfig(fast)).await, "refused");
    assert_eq!(house.text(), text);
    house
        .order(Order::ReplaceConfig(FILE.into()))
        .await
        .unwrap();
    assert_eq!(wishes(), [Some(525.0), Some(525.0)]);
}

#[tokio::test]
async fn a_pool_is_tried_beside_other_orders_and_one_at_a_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let house = House::new(FILE);
    let url = format!("stratum+tcp://{address}");
    let test = || Order::TestPool(fields(&[("url", url.clone().into())]));
    let trying = {
        let (orders, order) = (house.orders.clone(), test());
        tokio::spawn(async move { orders.give(order, "a test").await })
    };
    let (stream, _) = listener.accept().await.unwrap();
    assert_eq!(house.refused(test()).await, "busy");
    house.order(Order::ListTokens).await.unwrap();
    drop(stream);
    let found = trying.await.unwrap().unwrap();
    assert_eq!(found["works"], false);
    assert_eq!(found["connected"]["peer"], address.to_string());
    assert!(found["error"].is_string() && found["job"].is_null());
    for (order, code) in [
        (Order::TestConfiguredPool(7), "no_such_pool"),
        (
            Order::TestPool(fields(&[("url", "ftp://x".into())])),
            "wrong_configuration",
        ),
        (
            Order::TestPool(fields(&[("user", "u".into())])),
            "wrong_configuration",
        ),
    ] {
        assert_eq!(house.refused(order).await, code);
    }
}

#[tokio::test]
async fn the_firmware_is_asked_of_the_process_that_may_install_it() {
    let house = House::new(FILE);
    assert_eq!(house.refused(Order::ReadFirmware).await, "not_done");
    let places = crate::updates::Places {
        updater: house.directory.path().join("none"),
        ..Default::default()
    };
    let _office = crate::updates::Office::start(house.directory.path(), places).unwrap();
    let told = house.order(Order::ReadFirmware).await.unwrap();
    assert_eq!(told["available"], false);
}
