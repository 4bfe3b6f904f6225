//! Real bytes through a pseudo-terminal and a Unix socket, and the control socket.

use crate::common::{read_all, write_all};
use cgminer_emulator::{
    clock::Clock,
    control,
    machine::{Machine, MachineSettings, RunningMachine},
    transport::{self, Pty},
};
use rustix::fs::{Mode, OFlags};
use std::{path::Path, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, join},
    net::{UnixStream, unix::pipe},
    time::timeout,
};

/// A question that nobody answers is asked again after so long: there was no power yet.
const AGAIN: Duration = Duration::from_secs(1);
/// For the rest of an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A machine of short chains that has power, in real time.
fn machine() -> Machine {
    let mut settings = MachineSettings::l7().unwrap();
    settings.supply = None;
    for chain in &mut settings.chains {
        chain.chips = 5;
    }
    let machine = Machine::new(settings, 1, Clock::tokio());
    (0..3).for_each(|chain| assert!(machine.control().set_reset(chain, false)));
    machine
}

/// Asks until the rail is up and an answer of this length has come. What has begun to come is waited for, however busy the
/// machine is that the chain is emulated on; a question more is an answer more.
async fn answer<S: AsyncReadExt + AsyncWriteExt + Unpin>(line: &mut S, length: usize) -> Vec<u8> {
    let mut heard = Vec::new();
    loop {
        line.write_all(&read_all(0)).await.unwrap();
        line.flush().await.unwrap();
        while heard.len() < length {
            let patience = if heard.is_empty() { AGAIN } else { PATIENCE };
            match timeout(patience, line.read_buf(&mut heard)).await {
                Ok(count) => assert!(count.unwrap() > 0, "the line has ended"),
                Err(_) if heard.is_empty() => break,
                Err(error) => panic!("half an answer, {heard:?}: {error}"),
            }
        }
        if heard.len() >= length {
            heard.truncate(length);
            return heard;
        }
    }
}

#[tokio::test]
async fn a_chain_answers_through_a_pseudo_terminal_and_follows_its_speed() {
    let machine = machine();
    let (pty, device) = Pty::open(&machine.uarts()[0]).unwrap();
    let _running: RunningMachine = machine.spawn_thread().unwrap();
    tokio::spawn(pty.carry());
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("chain0");
    transport::link(Path::new("/nowhere"), &link).unwrap();
    transport::link(&device, &link).unwrap();

    let terminal = rustix::fs::open(
        &link,
        OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK,
        Mode::empty(),
    )
    .unwrap();
    let mut line = join(
        pipe::Receiver::from_owned_fd_unchecked(terminal.try_clone().unwrap()).unwrap(),
        pipe::Sender::from_owned_fd_unchecked(terminal.try_clone().unwrap()).unwrap(),
    );
    let heard = answer(&mut line, 45).await;
    assert!(heard.chunks(9).all(|frame| frame[..2] == [0xAA, 0x55]));

    line.write_all(&write_all(0x28, 0x1130_0000)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut settings = rustix::termios::tcgetattr(&terminal).unwrap();
    settings.set_speed(3_125_000).unwrap();
    rustix::termios::tcsetattr(&terminal, rustix::termios::OptionalActions::Now, &settings)
        .unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(answer(&mut line, 45).await, heard, "at the new speed");
}

#[tokio::test]
async fn a_chain_answers_through_a_unix_socket_at_any_speed() {
    let machine = machine();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain1");
    tokio::spawn(transport::serve_socket(
        transport::listen(&path).unwrap(),
        machine.uarts().remove(1),
    ));
    let _running = machine.spawn_thread().unwrap();
    for _ in 0..2 {
        let mut line = UnixStream::connect(&path).await.unwrap();
        let heard = answer(&mut line, 45).await;
        assert!(heard.chunks(9).all(|frame| frame[..2] == [0xAA, 0x55]));
        line.write_all(&write_all(0x28, 0x1130_0000)).await.unwrap();
        assert_eq!(answer(&mut line, 45).await, heard);
    }
    assert!(
        transport::listen(&path).is_ok(),
        "an old socket is replaced"
    );
}

#[tokio::test]
async fn the_control_socket_answers_line_by_line() {
    let machine = machine();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control");
    tokio::spawn(control::serve(
        transport::listen(&path).unwrap(),
        machine.control(),
    ));
    let stream = UnixStream::connect(&path).await.unwrap();
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write
        .write_all(b"inject { fault = \"chain-mute\", chain = 1 }\nclear 1\nnonsense\n")
        .await
        .unwrap();
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "ok 1");
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "ok");
    assert!(
        lines
            .next_line()
            .await
            .unwrap()
            .unwrap()
            .starts_with("error")
    );
    write.write_all(&[b'x'; 5000]).await.unwrap();
    assert_eq!(
        lines.next_line().await.unwrap().unwrap(),
        "error line too long"
    );
    assert_eq!(
        lines.next_line().await.ok().flatten(),
        None,
        "and the connection ends"
    );
}
