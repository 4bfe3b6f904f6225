//! The terminal: taken for the time of the view, and given back as it was.

use super::Failure;
use cgminer_hal::task::thread;
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use std::io::{self, IsTerminal, Read, Write};
use tokio::sync::mpsc;

/// Another screen, no cursor, no wrapping of long lines.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
/// And back.
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// Asks where the lowest right corner is; the answer comes as input.
const ASK_SIZE: &str = "\x1b7\x1b[999;999H\x1b[6n\x1b8";
/// Bytes of an answer of the terminal that are waited for.
const LONGEST_ANSWER: usize = 32;
/// Inputs that may wait.
const QUEUE: usize = 64;

/// What came from the keyboard, or from the terminal itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The view is to end.
    Quit,
    /// Lines that the terminal has.
    Rows(usize),
    /// Something else.
    Other,
}

/// A terminal that is ours. Dropped, it is as before.
pub struct Terminal {
    before: Termios,
    inputs: mpsc::Receiver<Input>,
}

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When there is none.
    pub fn open() -> Result<Self, Failure> {
        let stdin = io::stdin();
        if !stdin.is_terminal() || !io::stdout().is_terminal() {
            return Err(Failure::Usage(
                "`top` needs a terminal; `status` tells the same once".into(),
            ));
        }
        let failed = |error: nix::Error| Failure::Other(format!("the terminal: {error}"));
        let before = tcgetattr(&stdin).map_err(failed)?;
        let mut raw = before.clone();
        // Ctrl-C comes as a byte, so that it, too, gives the terminal back.
        raw.local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG);
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(&stdin, SetArg::TCSAFLUSH, &raw).map_err(failed)?;
        let (sender, inputs) = mpsc::channel(QUEUE);
        // Made before the screen is changed: whatever fails from here on is undone by its end.
        let terminal = Self { before, inputs };
        // The thread hangs in its read when the program ends, which takes it along.
        thread("keys", move || read_keys(&sender))
            .map_err(|error| Failure::Other(format!("the keyboard: {error}")))?;
        write(ENTER)?;
        Ok(terminal)
    }

    /// Shows lines from the top.
    #[allow(
        clippy::unused_self,
        reason = "only who has the terminal may draw on it"
    )]
    pub fn draw(&mut self, lines: &[String]) -> Result<(), Failure> {
        let mut text = String::from("\x1b[H");
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                text.push_str("\r\n");
            }
            text.push_str(line);
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b[J");
        text.push_str(ASK_SIZE);
        write(&text)
    }

    /// The next input; none when the terminal is gone.
    pub async fn input(&mut self) -> Option<Input> {
        self.inputs.recv().await
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = write(LEAVE);
        let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.before);
    }
}

fn write(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(|error| Failure::Other(format!("the terminal: {error}")))
}

fn read_keys(sender: &mpsc::Sender<Input>) {
    let mut keys = Keys::default();
    let mut buffer = [0; 64];
    loop {
        match io::stdin().lock().read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                for &byte in buffer.get(..count).unwrap_or_default() {
                    if let Some(input) = keys.take(byte) {
                        if sender.blocking_send(input).is_err() {
                            return;
                        }
                    }
                }
            }
        }
    }
}

/// Tells keys from the terminal's answers.
#[derive(Debug, Default)]
struct Keys {
    /// What stands behind an escape, as far as it has come.
    answer: Option<Vec<u8>>,
}

impl Keys {
    fn take(&mut self, byte: u8) -> Option<Input> {
        if byte == 0x1B {
            self.answer = Some(Vec::new());
            return None;
        }
        let Some(answer) = &mut self.answer else {
            return Some(match byte {
                b'q' | b'Q' | 0x03 | 0x04 => Input::Quit,
                _ => Input::Other,
            });
        };
        answer.push(byte);
        let ends = answer.len() > 1 && (0x40..=0x7E).contains(&byte);
        let begins_otherwise = answer.len() == 1 && byte != b'[';
        if begins_otherwise || answer.len() > LONGEST_ANSWER {
            self.answer = None;
            // Escape and a key: the key counts.
            return matches!(byte, b'q' | 0x03).then_some(Input::Quit);
        }
        if !ends {
            return None;
        }
        let answer = self.answer.take()?;
        let rows = answer
            .strip_prefix(b"[")
            .and_then(|rest| rest.strip_suffix(b"R"))
            .and_then(|place| std::str::from_utf8(place).ok()?.split_once(';'))
            .and_then(|(rows, _)| rows.parse().ok());
        Some(rows.map_or(Input::Other, Input::Rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn inputs(bytes: &[u8]) -> Vec<Input> {
        let mut keys = Keys::default();
        bytes.iter().filter_map(|&byte| keys.take(byte)).collect()
    }

    #[test]
    fn keys_and_answers_of_the_terminal_are_told_apart() {
        assert_eq!(inputs(b"\x1b[50;180R"), [Input::Rows(50)]);
        assert_eq!(inputs(b"xq"), [Input::Other, Input::Quit]);
        assert_eq!(inputs(b"\x03"), [Input::Quit]);
        assert_eq!(inputs(b"\x1b[Aq"), [Input::Other, Input::Quit], "an arrow");
        assert_eq!(inputs(b"\x1bq"), [Input::Quit]);
        assert_eq!(inputs(b"\x1b[24;"), []);
    }

    proptest! {
        #[test]
        fn whatever_comes_a_q_still_ends_it(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = bytes;
            bytes.extend([b'a'; LONGEST_ANSWER + 2]);
            bytes.push(b'q');
            prop_assert_eq!(inputs(&bytes).last().copied(), Some(Input::Quit));
        }
    }
}
