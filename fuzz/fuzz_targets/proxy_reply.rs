//! Answers of proxies, SOCKS5 and HTTP: never a panic, never more wanted than an answer can have.
#![no_main]

use cgminer_rs::pool::proxy::http::HttpConnect;
use cgminer_rs::pool::proxy::socks5::Socks5;
use cgminer_rs::pool::proxy::{Conversation, Credentials, Next};
use cgminer_rs::pool::url::Host;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(host) = Host::parse("pool.example.com") else {
        return;
    };
    let credentials = Credentials {
        user: "user".into(),
        password: "password".into(),
    };
    if let Ok(mut conversation) = Socks5::new(&host, 3333, Some(&credentials)) {
        feed(&mut conversation, bytes);
    }
    feed(&mut HttpConnect::new(&host, 3333, Some(&credentials)), bytes);
});

fn feed(conversation: &mut dyn Conversation, mut bytes: &[u8]) {
    let mut taken = 0;
    loop {
        match conversation.next() {
            Next::Send(_) => {}
            Next::Through => return,
            Next::Read(length) => {
                let Some((now, later)) = bytes.split_at_checked(length) else {
                    return;
                };
                taken += length;
                assert!(length > 0 && taken <= 9000);
                bytes = later;
                if conversation.take(now).is_err() {
                    return;
                }
            }
        }
    }
}
