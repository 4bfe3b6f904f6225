//! Who may do what: tokens, roles, and the patience with each address.

use super::failure::Failure;
use crate::config::{Config, Network, Role, TokenSection, hash};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Addresses that are remembered.
const PEERS: usize = 1024;
/// Requests that may come at once, in seconds of the rate.
const BURST_SECONDS: f64 = 10.0;
/// Wrong tokens before an address is locked out.
const WRONG_TOKENS: u32 = 5;
/// First and longest time that it is locked out for; it doubles.
const LOCK: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(15 * 60));

/// What the owner allows; changes while running.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Tokens.
    pub tokens: Vec<TokenSection>,
    /// Whether everybody may read.
    pub read_without_token: bool,
    /// Names of this machine.
    pub hosts: Vec<String>,
    /// Origins whose pages may use the interface.
    pub origins: Vec<String>,
    /// Requests that one address may send in the long run.
    pub requests_per_second: f64,
    /// Networks whose programs may write over the cgminer API.
    pub writers: Vec<Network>,
    /// The kind of machine that programs for fleets take it for; `None`: they are told of none.
    pub fleet: Option<String>,
}

/// What a request needs of who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    role: Role,
    /// Nobody has it without a token.
    token: bool,
}

impl Need {
    /// What everybody has who may read without a token, when a viewer's role is enough.
    pub const fn to_read(role: Role) -> Self {
        Self { role, token: false }
    }

    /// A token of that role at least.
    pub const fn of_token(role: Role) -> Self {
        Self { role, token: true }
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Name for the log.
    pub name: String,
    /// What is allowed; none: what everybody may.
    pub role: Option<Role>,
    /// Hash of the token that says so; none for who needs none.
    pub token: Option<String>,
}

impl Access {
    /// What a configuration allows.
    pub fn of(config: &Config) -> Arc<Self> {
        Arc::new(Self {
            tokens: config.token.clone(),
            read_without_token: config.api.read_without_token,
            hosts: config.api.hosts.clone(),
            origins: config.api.origins.clone(),
            requests_per_second: config.api.requests_per_second.into(),
            writers: config.rpc.writers.clone(),
            fleet: config.fleet.enabled.then(|| config.fleet.model.clone()),
        })
    }

    /// Whose token it is. All are looked at, however early one fits.
    fn owner_of(&self, token: &str) -> Option<&TokenSection> {
        let hash = hash(token);
        self.tokens.iter().fold(None, |found, token| {
            if token.has_hash(&hash) {
                Some(token)
            } else {
                found
            }
        })
    }

    /// Whether somebody without a token may claim the first one: only who has just pressed the machine's button, or
    /// stands beside who did.
    pub fn may_claim(&self, caller: &Caller, pressed: bool) -> bool {
        pressed && self.tokens.is_empty() && caller.role.is_none()
    }

    /// Whether a caller that was let in may stay: its token may have been taken back since, or what everybody may.
    pub fn still_allows(&self, caller: &Caller, needed: Need) -> bool {
        let Some(hash) = &caller.token else {
            return self.allow(caller, needed).is_ok();
        };
        let known = self.tokens.iter().find(|token| token.has_hash(hash));
        known.is_some_and(|token| token.role >= needed.role)
    }

    /// Holds a caller's role against the one that is needed.
    ///
    /// # Errors
    /// With what to do to be let in.
    pub fn allow(&self, caller: &Caller, needed: Need) -> Result<(), Failure> {
        match caller.role {
            Some(role) if role >= needed.role => Ok(()),
            Some(_) => Err(ROLE_TOO_LOW),
            None if needed == Need::to_read(Role::Viewer) && self.read_without_token => Ok(()),
            None if self.tokens.is_empty() => Err(NOT_CLAIMED),
            None => Err(TOKEN_NEEDED),
        }
    }
}

/// Keeps count of what each address does.
#[derive(Debug, Default)]
pub struct Gatekeeper {
    peers: HashMap<IpAddr, Peer>,
}

#[derive(Debug)]
struct Peer {
    requests: f64,
    at: Instant,
    wrong: u32,
    lock: Duration,
    locked_until: Option<Instant>,
}

impl Gatekeeper {
    /// Counts a request.
    ///
    /// # Errors
    /// When the address has sent too many.
    pub fn admit(&mut self, address: IpAddr, rate: f64, now: Instant) -> Result<(), Failure> {
        let most = rate * BURST_SECONDS;
        let peer = self.peer(address, most, now);
        let earned = now.saturating_duration_since(peer.at).as_secs_f64() * rate;
        peer.at = now;
        peer.requests = (peer.requests + earned).min(most);
        if peer.requests < 1.0 {
            return Err(TOO_MANY_REQUESTS);
        }
        peer.requests -= 1.0;
        Ok(())
    }

    /// Who sends this Authorization header.
    ///
    /// # Errors
    /// When it is no token of this machine, or the address is locked out.
    pub fn identify(
        &mut self,
        address: IpAddr,
        authorization: Option<&str>,
        access: &Access,
        now: Instant,
    ) -> Result<Caller, Failure> {
        let Some(authorization) = authorization else {
            return Ok(Caller {
                name: address.to_string(),
                role: None,
                token: None,
            });
        };
        let peer = self.peer(address, access.requests_per_second * BURST_SECONDS, now);
        // Nothing is told about any token while the lock holds, not even about the right one.
        if peer.locked_until.is_some_and(|until| now < until) {
            return Err(LOCKED_OUT);
        }
        let token = authorization
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let owner = token.and_then(|token| access.owner_of(token));
        if let Some(owner) = owner {
            peer.wrong = 0;
            peer.lock = LOCK.0;
            peer.locked_until = None;
            return Ok(Caller {
                name: format!("{} at {address}", owner.name),
                role: Some(owner.role),
                token: Some(owner.sha256.expose().to_owned()),
            });
        }
        peer.wrong += 1;
        tracing::warn!(peer = %address, "a wrong token was sent");
        if peer.wrong >= WRONG_TOKENS {
            peer.wrong = 0;
            peer.locked_until = Some(now + peer.lock);
            tracing::warn!(peer = %address, "locked out for {:?} after wrong tokens", peer.lock);
            peer.lock = (peer.lock * 2).min(LOCK.1);
        }
        Err(WRONG_TOKEN)
    }

    fn peer(&mut self, address: IpAddr, requests: f64, now: Instant) -> &mut Peer {
        let address = household(address);
        if self.peers.len() >= PEERS && !self.peers.contains_key(&address) {
            self.forget_one(now);
        }
        self.peers.entry(address).or_insert_with(|| Peer {
            requests,
            at: now,
            wrong: 0,
            lock: LOCK.0,
            locked_until: None,
        })
    }

    /// The one that was silent for longest, those that are locked out last.
    fn forget_one(&mut self, now: Instant) {
        let rank = |peer: &Peer| (peer.locked_until.is_some_and(|until| now < until), peer.at);
        let oldest = self.peers.iter().min_by_key(|(_, peer)| rank(peer));
        if let Some(address) = oldest.map(|(address, _)| *address) {
            self.peers.remove(&address);
        }
    }
}

/// The address by which a client is known: whoever has one IPv6 address has all of its /64.
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            Ipv6Addr::from(network).into()
        }
        IpAddr::V4(address) => address.into(),
    }
}

const TOO_MANY_REQUESTS: Failure = Failure::new(
    429,
    "too_many_requests",
    "this address asks too often",
    "ask less often, or raise api.requests_per_second",
);

const LOCKED_OUT: Failure = Failure::new(
    429,
    "locked_out",
    "too many wrong tokens came from this address",
    "wait: half a minute at first, then ever longer",
);

const WRONG_TOKEN: Failure = Failure::new(
    401,
    "wrong_token",
    "this is no token of this machine",
    "send `Authorization: Bearer TOKEN`; `cgminer-rs token list` names those there are",
);

const TOKEN_NEEDED: Failure = Failure::new(
    401,
    "token_needed",
    "this needs a token",
    "send `Authorization: Bearer TOKEN`",
);

const NOT_CLAIMED: Failure = Failure::new(
    403,
    "not_claimed",
    "nothing can be changed from outside before the first token is claimed",
    "run `cgminer-rs token claim` on the machine, or press its locate button shortly and claim within two minutes",
);

const ROLE_TOO_LOW: Failure = Failure::new(
    403,
    "role_too_low",
    "this token may not do this",
    "use a token of a higher role: viewer, operator, admin",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FreshToken, Secret};

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn with_token(role: Role) -> (Access, String) {
        let fresh = FreshToken::make("phone", role).unwrap();
        let access = Access {
            tokens: vec![
                FreshToken::make("other", Role::Admin).unwrap().kept,
                fresh.kept,
            ],
            requests_per_second: 10.0,
            ..Access::default()
        };
        (access, format!("Bearer {}", fresh.text.expose()))
    }

    fn code(result: Result<Caller, Failure>) -> &'static str {
        result.map_or_else(|failure| failure.code, |_| "let in")
    }

    #[test]
    fn a_token_gives_its_role_and_no_more() {
        let (access, header) = with_token(Role::Operator);
        let now = Instant::now();
        let mut keeper = Gatekeeper::default();
        let caller = keeper.identify(PEER, Some(&header), &access, now).unwrap();
        assert_eq!(caller.role, Some(Role::Operator));
        let allow = |role| access.allow(&caller, Need::of_token(role));
        assert!(allow(Role::Viewer).is_ok() && allow(Role::Operator).is_ok());
        assert_eq!(allow(Role::Admin), Err(ROLE_TOO_LOW));
    }

    #[test]
    fn without_a_token_one_may_read_when_the_owner_says_so_and_never_write() {
        let nobody = Caller {
            name: String::new(),
            role: None,
            token: None,
        };
        let (mut access, _) = with_token(Role::Viewer);
        let (read, write) = (Need::to_read(Role::Viewer), Need::of_token(Role::Operator));
        let configuration = Need::of_token(Role::Viewer);
        assert_eq!(access.allow(&nobody, read), Err(TOKEN_NEEDED));
        access.read_without_token = true;
        assert!(access.allow(&nobody, read).is_ok());
        assert_eq!(access.allow(&nobody, configuration), Err(TOKEN_NEEDED));
        assert_eq!(access.allow(&nobody, write), Err(TOKEN_NEEDED));
        access.tokens.clear();
        assert_eq!(access.allow(&nobody, write), Err(NOT_CLAIMED));
        assert_eq!(access.allow(&nobody, configuration), Err(NOT_CLAIMED));
    }

    #[test]
    fn the_first_token_can_be_claimed_after_the_button_and_no_second_one() {
        let nobody = Caller {
            name: String::new(),
            role: None,
            token: None,
        };
        let (mut access, _) = with_token(Role::Viewer);
        assert!(!access.may_claim(&nobody, true), "it is claimed");
        access.tokens.clear();
        assert!(!access.may_claim(&nobody, false));
        assert!(access.may_claim(&nobody, true));
    }

    #[test]
    fn wrong_tokens_lock_an_address_out_for_ever_longer_and_no_other() {
        let (access, right) = with_token(Role::Admin);
        let mut now = Instant::now();
        let mut keeper = Gatekeeper::default();
        for round in 0..3_u32 {
            for wrong in ["Bearer x", "Basic cm9vdDpyb290", "", "Bearer", "Bearer "] {
                assert_eq!(
                    code(keeper.identify(PEER, Some(wrong), &access, now)),
                    "wrong_token"
                );
            }
            let lock = LOCK.0 * 2_u32.pow(round);
            now += lock.saturating_sub(Duration::from_secs(1));
            assert_eq!(
                code(keeper.identify(PEER, Some(&right), &access, now)),
                "locked_out"
            );
            let other = "192.0.2.2".parse().unwrap();
            assert_eq!(
                code(keeper.identify(other, Some(&right), &access, now)),
                "let in"
            );
            assert_eq!(code(keeper.identify(PEER, None, &access, now)), "let in");
            now += Duration::from_secs(1);
        }
        assert_eq!(
            code(keeper.identify(PEER, Some(&right), &access, now)),
            "let in"
        );
    }

    #[test]
    fn a_revoked_token_is_a_wrong_one() {
        let (mut access, header) = with_token(Role::Admin);
        access.tokens.retain(|token| token.name != "phone");
        let now = Instant::now();
        let told = Gatekeeper::default().identify(PEER, Some(&header), &access, now);
        assert_eq!(code(told), "wrong_token");
        let empty = TokenSection {
            name: "broken".into(),
            role: Role::Admin,
            sha256: Secret::new(""),
        };
        access.tokens = vec![empty];
        let told = Gatekeeper::default().identify(PEER, Some(&header), &access, now);
        assert_eq!(code(told), "wrong_token");
    }

    #[test]
    fn each_address_has_a_rate_and_a_burst() {
        let mut keeper = Gatekeeper::default();
        let mut now = Instant::now();
        let admitted = |keeper: &mut Gatekeeper, now, tries: usize| {
            (0..tries)
                .filter(|_| keeper.admit(PEER, 5.0, now).is_ok())
                .count()
        };
        assert_eq!(admitted(&mut keeper, now, 100), 50);
        now += Duration::from_secs(2);
        assert_eq!(admitted(&mut keeper, now, 100), 10);
        let sibling = |low: u16| IpAddr::from([0x2001, 0xdb8, 0, 7, 0, 0, 0, low]);
        for low in 0..50 {
            assert!(keeper.admit(sibling(low), 5.0, now).is_ok());
        }
        assert!(keeper.admit(sibling(99), 5.0, now).is_err());
    }

    #[test]
    fn the_memory_for_addresses_is_bounded_and_keeps_those_locked_out() {
        let (access, right) = with_token(Role::Admin);
        let mut keeper = Gatekeeper::default();
        let now = Instant::now();
        for _ in 0..WRONG_TOKENS {
            let _ = keeper.identify(PEER, Some("x"), &access, now);
        }
        for number in 0..3000_u32 {
            let address = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
            let _ = keeper.admit(address, 5.0, now + Duration::from_millis(number.into()));
        }
        assert!(keeper.peers.len() <= PEERS);
        let later = now + Duration::from_secs(5);
        assert_eq!(
            code(keeper.identify(PEER, Some(&right), &access, later)),
            "locked_out"
        );
    }
}
