//! What is said to whom: pure, of messages alone.

use super::Service;
use super::packet::{Data, Message, Question, Record, kind, parse};
use std::net::Ipv4Addr;

/// The service.
const SERVICE: &str = "_cgminer-rs._tcp.local";
/// Under which all services are listed (RFC 6763, 9).
const ALL_SERVICES: &str = "_services._dns-sd._udp.local";
/// Seconds that a host's records hold, and the others (RFC 6762, 10).
const HOST_TTL: u32 = 120;
const OTHER_TTL: u32 = 4500;
/// The same for those who know nothing of multicast (RFC 6762, 6.7).
const LEGACY_TTL: u32 = 10;

/// Knows our records.
pub struct Responder {
    instance: String,
    host: String,
    port: u16,
    address: Ipv4Addr,
    texts: Vec<String>,
}

impl Responder {
    /// Records of a service. From the second name on its number stands in it.
    pub fn new(service: &Service, number: u32, address: Ipv4Addr) -> Self {
        let host = label(&service.host);
        let label = if number > 1 {
            format!("{host}-{number}")
        } else {
            host.clone()
        };
        Self {
            instance: format!("{label}.{SERVICE}"),
            // Another machine of that name has another address; so the name of its host is ours alone, too.
            host: format!("{label}.local"),
            port: service.address.port(),
            address,
            texts: vec![
                "path=/".into(),
                "api=/api/v1".into(),
                format!("version={}", env!("CARGO_PKG_VERSION")),
                format!("board={}", service.board),
                format!("emulated={}", service.emulated),
            ],
        }
    }

    /// Full name of what is told.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Address that is told.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Asks whether the names are free.
    pub fn probe(&self) -> Vec<u8> {
        let question = |name: &str| Question {
            name: name.to_owned(),
            kind: kind::ANY,
        };
        let wanted = [self.service_record(), self.host_record(self.address)];
        Message {
            questions: vec![question(&self.instance), question(&self.host)],
            records: wanted.to_vec(),
            ..Message::default()
        }
        .to_bytes()
    }

    /// Whether somebody else has told that one of the names is theirs.
    pub fn conflicts(&self, bytes: &[u8]) -> bool {
        let Ok(message) = parse(bytes) else {
            return false;
        };
        message.response
            && message.records.iter().any(|record| match &record.data {
                Data::A(address) => self.is_host(&record.name) && *address != self.address,
                Data::Srv(port, host) => {
                    same(&record.name, &self.instance)
                        && (*port != self.port || !same(host, &self.host))
                }
                _ => false,
            })
    }

    /// Tells all.
    pub fn announcement(&self) -> Vec<u8> {
        response(self.all())
    }

    /// Tells that all of it holds no longer.
    pub fn goodbye(&self) -> Vec<u8> {
        let mut records = self.all();
        for record in &mut records {
            record.ttl = 0;
        }
        response(records)
    }

    /// The answer to a question; none when it is none of ours, or the asker knows it already. `alone`: for an asker that knows
    /// nothing of multicast. `address` is our own as that asker sees it.
    pub fn answer(&self, bytes: &[u8], alone: bool, address: Ipv4Addr) -> Option<Vec<u8>> {
        let message = parse(bytes).ok().filter(|message| !message.response)?;
        let mut records: Vec<Record> = Vec::new();
        let mut add = |record: Record| {
            let known = message.records.iter().any(|known| {
                known.kind == record.kind
                    && same(&known.name, &record.name)
                    && same_data(&known.data, &record.data)
                    && known.ttl >= record.ttl / 2
            });
            if !known && !records.contains(&record) {
                records.push(record);
            }
        };
        let mut ours = Vec::new();
        for question in &message.questions {
            let wants = |kind: u16| question.kind == kind || question.kind == kind::ANY;
            let before = ours.len();
            if same(&question.name, ALL_SERVICES) && wants(kind::PTR) {
                ours.push(pointer(ALL_SERVICES, SERVICE));
            }
            if same(&question.name, SERVICE) && wants(kind::PTR) {
                ours.push(pointer(SERVICE, &self.instance));
            }
            if same(&question.name, &self.instance) && wants(kind::SRV) {
                ours.push(self.service_record());
            }
            if same(&question.name, &self.instance) && wants(kind::TXT) {
                ours.push(self.text_record());
            }
            if self.is_host(&question.name) && wants(kind::A) {
                ours.push(self.host_record(address));
            }
            // What the asker would ask next.
            if ours.len() > before && same(&question.name, SERVICE) {
                ours.extend([
                    self.service_record(),
                    self.text_record(),
                    self.host_record(address),
                ]);
            }
        }
        ours.into_iter().for_each(&mut add);
        // Without the pointer the rest says nothing new to one who asked for pointers.
        let first = records.first()?;
        let asked_pointer = message
            .questions
            .iter()
            .all(|question| same(&question.name, SERVICE));
        if asked_pointer && first.kind != kind::PTR {
            return None;
        }
        if !alone {
            return Some(response(records));
        }
        for record in &mut records {
            record.ttl = record.ttl.min(LEGACY_TTL);
        }
        Some(
            Message {
                id: message.id,
                response: true,
                questions: message.questions,
                records,
            }
            .to_bytes(),
        )
    }

    fn all(&self) -> Vec<Record> {
        vec![
            pointer(ALL_SERVICES, SERVICE),
            pointer(SERVICE, &self.instance),
            self.service_record(),
            self.text_record(),
            self.host_record(self.address),
        ]
    }

    fn service_record(&self) -> Record {
        Record {
            name: self.instance.clone(),
            kind: kind::SRV,
            ttl: HOST_TTL,
            data: Data::Srv(self.port, self.host.clone()),
        }
    }

    fn text_record(&self) -> Record {
        Record {
            name: self.instance.clone(),
            kind: kind::TXT,
            ttl: OTHER_TTL,
            data: Data::Txt(self.texts.clone()),
        }
    }

    fn host_record(&self, address: Ipv4Addr) -> Record {
        Record {
            name: self.host.clone(),
            kind: kind::A,
            ttl: HOST_TTL,
            data: Data::A(address),
        }
    }

    fn is_host(&self, name: &str) -> bool {
        same(name, &self.host)
    }
}

fn pointer(name: &str, target: &str) -> Record {
    Record {
        name: name.into(),
        kind: kind::PTR,
        ttl: OTHER_TTL,
        data: Data::Ptr(target.into()),
    }
}

fn response(records: Vec<Record>) -> Vec<u8> {
    Message {
        response: true,
        records,
        ..Message::default()
    }
    .to_bytes()
}

/// Names are the same whatever the size of their letters.
fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

fn same_data(one: &Data, other: &Data) -> bool {
    match (one, other) {
        (Data::Ptr(one), Data::Ptr(other)) => same(one, other),
        (Data::Srv(port, host), Data::Srv(other_port, other)) => {
            port == other_port && same(host, other)
        }
        (Data::A(one), Data::A(other)) => one == other,
        _ => false,
    }
}

/// A machine's name as one label: letters, digits and dashes.
fn label(name: &str) -> String {
    let first = name.split('.').next().unwrap_or_default();
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '-'
        }
    };
    let label: String = first.chars().map(plain).take(50).collect();
    let label = label.trim_matches('-');
    if label.is_empty() {
        "cgminer-rs".into()
    } else {
        label.to_owned()
    }
}
