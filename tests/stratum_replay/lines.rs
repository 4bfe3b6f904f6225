//! Single lines of other projects' tests.

use super::recording::lines_of;
use cgminer_rs::pool::message::{Message, MessageError};

/// What a single line is read as, in few words.
fn read(line: &str) -> String {
    match Message::parse(line.as_bytes()) {
        Ok(Message::Notify(template)) => {
            format!(
                "notify {} {:x} {}",
                template.job_id, template.ntime, template.clean
            )
        }
        Ok(Message::SetDifficulty(difficulty)) => format!("difficulty {}", difficulty.value()),
        Ok(Message::SetExtranonce(nonce)) => {
            format!(
                "extranonce {:x?} {}",
                nonce.extranonce1, nonce.extranonce2_size
            )
        }
        Ok(Message::SetVersionMask(mask)) => format!("mask {mask:x}"),
        Ok(Message::ShowMessage(text)) => format!("message {text}"),
        Ok(Message::GetVersion(id)) => format!("version? {:?}", id.0),
        Ok(Message::Ping(id)) => format!("ping {:?}", id.0),
        Ok(Message::Reconnect(_)) => "reconnect".into(),
        Ok(Message::UnknownMethod(method)) => format!("unknown {method}"),
        Ok(Message::SetTarget(target)) => format!("target {target:?}"),
        Ok(Message::Reply(reply)) => {
            format!(
                "reply {} {} {:?}",
                reply.id,
                reply.result,
                reply.error.map(|e| e.reason())
            )
        }
        Err(MessageError::Notify(error)) => format!("bad notify: {error}"),
        Err(error) => format!("bad: {error}"),
    }
}

#[test]
fn single_lines_of_other_projects_tests_are_read_right() {
    let table: [(&str, &[&str]); 2] = [
        (
            "esp-miner-unit",
            &[
                "notify 1b4c3d9041 64495522 false",
                "notify 1b4c3d9041 64495522 true",
                "notify 1b4c3d9041 64495522 true",
                "difficulty 1638",
                "difficulty 100.5",
                "notify 1d2e0c4d3d 64495522 false",
                r#"reply 2 [[["mining.notify","695482c0"]],"4de05269",8] None"#,
                r#"reply 2 [[["mining.notify","abc"]],"4de05269"] None"#,
                "mask 1fffe000",
                "reply 4 true None",
                "reply 5 true None",
                "reply 32769 true None",
                "reply 65536 true None",
                "reply 4 null Some(Stale)",
                "reply 5 null Some(Stale)",
                "reply 8 false Some(LowDifficulty)",
                "reply 618 false Some(Stale)",
                "reply 618 null Some(Stale)",
                "reply 50 null Some(Stale)",
                "reply 42 null Some(Duplicate)",
                "bad notify: 0 parameters, a job needs at least 8",
                "extranonce [de, ad, be, ef] 8",
                "bad: extranonce: extranonce1 is missing or no text",
                "message Welcome to the pool!",
                "bad: client.show_message without a text",
                "version? Some(Number(10))",
                "reconnect",
                "ping None",
                "unknown mining.hashrate",
                r#"reply 1 {"version-rolling":true,"version-rolling.mask":"1fffe000"} None"#,
            ],
        ),
        (
            "braiins-v1",
            &[
                r#"reply 0 {"version-rolling":true,"version-rolling.mask":"1fffe000"} None"#,
                r#"reply 1 [[["mining.set_difficulty","4"],["mining.notify","1"]],"6c6f010000000c",4] None"#,
                r#"reply 1 ["01650f001f25ea",4] None"#,
                "reply 1 null Some(Other)",
                "difficulty 4",
                "notify ahoj 5d10bc0a false",
                "reply 1 true None",
            ],
        ),
    ];
    for (name, expected) in table {
        let lines = lines_of(name);
        let read: Vec<String> = lines
            .iter()
            .filter(|line| line.from_pool)
            .map(|line| read(&line.text))
            .collect();
        assert_eq!(read, expected, "{name}");
    }
}
