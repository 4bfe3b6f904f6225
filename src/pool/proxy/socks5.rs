//! SOCKS5 (RFC 1928) with user and password (RFC 1929).
//!
//! ```text
//! method -> (login) -> verdict -> kind -> address -> through
//! ```

use super::{Conversation, Credentials, Next, ProxyError};
use crate::pool::url::Host;
use std::net::IpAddr;

const NAME: &str = "SOCKS5";
const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const DOMAIN: u8 = 3;
const IPV6: u8 = 4;

/// A conversation that ends with a connection to one pool.
#[derive(Debug)]
pub struct Socks5 {
    state: State,
    /// Bytes to send before anything is read.
    output: Vec<u8>,
    login: Option<Vec<u8>>,
    connect: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Method,
    Login,
    /// Version and reply code; a proxy that refuses may send no more.
    Verdict,
    /// A zero, the kind of address, and the first byte of the address.
    Kind,
    /// The rest of the address, and the port.
    Address(usize),
    Through,
}

impl Socks5 {
    /// Asks for a connection to that host, by name if it has one.
    pub fn new(
        host: &Host,
        port: u16,
        credentials: Option<&Credentials>,
    ) -> Result<Self, ProxyError> {
        let login = credentials.map(login).transpose()?;
        let methods: &[u8] = match login {
            Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
            None => &[VERSION, 1, NO_AUTHENTICATION],
        };
        let mut connect = vec![VERSION, CONNECT, 0];
        match host {
            Host::Address(IpAddr::V4(address)) => {
                connect.push(IPV4);
                connect.extend(address.octets());
            }
            Host::Address(IpAddr::V6(address)) => {
                connect.push(IPV6);
                connect.extend(address.octets());
            }
            Host::Name(name) => {
                connect.push(DOMAIN);
                push_text(&mut connect, name, "the pool's name is too long for SOCKS5")?;
            }
        }
        connect.extend(port.to_be_bytes());
        Ok(Self {
            state: State::Method,
            output: methods.to_vec(),
            login,
            connect,
        })
    }

    fn ask_to_connect(&mut self) {
        self.output = std::mem::take(&mut self.connect);
        self.state = State::Verdict;
    }
}

impl Conversation for Socks5 {
    fn next(&mut self) -> Next {
        if !self.output.is_empty() {
            return Next::Send(std::mem::take(&mut self.output));
        }
        match self.state {
            State::Method | State::Login | State::Verdict => Next::Read(2),
            State::Kind => Next::Read(3),
            State::Address(length) => Next::Read(length),
            State::Through => Next::Through,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), ProxyError> {
        match (self.state, bytes) {
            (State::Method, [VERSION, NO_AUTHENTICATION]) | (State::Login, [_, 0]) => {
                self.ask_to_connect();
            }
            (State::Method, [VERSION, USER_AND_PASSWORD]) => match self.login.take() {
                Some(login) => {
                    self.output = login;
                    self.state = State::Login;
                }
                None => return Err(garbage("a method that was not offered", bytes)),
            },
            (State::Method, [VERSION, NO_ACCEPTABLE_METHOD]) => {
                return Err(ProxyError::Unauthorized(
                    "it wants another way to log in than user and password, or wants them",
                ));
            }
            (State::Login, [_, _]) => {
                return Err(ProxyError::Unauthorized("user or password are wrong"));
            }
            (State::Verdict, [VERSION, 0]) => self.state = State::Kind,
            (State::Verdict, [VERSION, code]) => {
                return Err(ProxyError::Refused(refusal(*code)));
            }
            (State::Kind, [_, kind, first]) => {
                // One byte of the address is here already; two of the port follow it.
                self.state = State::Address(match *kind {
                    IPV4 => 4 - 1 + 2,
                    IPV6 => 16 - 1 + 2,
                    DOMAIN => usize::from(*first) + 2,
                    _ => return Err(garbage("an unknown kind of address", bytes)),
                });
            }
            (State::Address(length), bytes) if bytes.len() == length => {
                self.state = State::Through;
            }
            _ => return Err(garbage("an answer of another kind", bytes)),
        }
        Ok(())
    }
}

fn login(credentials: &Credentials) -> Result<Vec<u8>, ProxyError> {
    const TOO_LONG: &str = "`proxy_user` and `proxy_password` need 1 to 255 bytes for SOCKS5";
    let mut bytes = vec![LOGIN_VERSION];
    push_text(&mut bytes, &credentials.user, TOO_LONG)?;
    push_text(&mut bytes, &credentials.password, TOO_LONG)?;
    Ok(bytes)
}

fn push_text(bytes: &mut Vec<u8>, text: &str, error: &'static str) -> Result<(), ProxyError> {
    match u8::try_from(text.len()) {
        Ok(length) if length > 0 => {
            bytes.push(length);
            bytes.extend(text.as_bytes());
            Ok(())
        }
        _ => Err(ProxyError::Unaskable(error)),
    }
}

/// RFC 1928's replies, and those that Tor adds for onion services (its proposal 304).
fn refusal(code: u8) -> String {
    let words = match code {
        1 => "general failure",
        2 => "its rules forbid it",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "it does not know CONNECT",
        8 => "it does not know this kind of address",
        0xf0 => "the onion service is not found",
        0xf1 => "the onion service's descriptor is invalid",
        0xf2 | 0xf3 => "the onion service does not answer",
        0xf4 | 0xf5 => "the onion service wants client authorization",
        0xf6 => "the onion address is invalid",
        0xf7 => "the onion service's introduction timed out",
        _ => "unknown reason",
    };
    format!("{words} (reply {code})")
}

fn garbage(what: &str, bytes: &[u8]) -> ProxyError {
    let head: Vec<String> = bytes
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    ProxyError::Protocol(NAME, format!("{what}: {}", head.join(" ")))
}
