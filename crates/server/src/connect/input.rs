//! What the person or the program on stdin says.

use std::{
    io::{self, BufRead, IsTerminal, Read},
    thread,
    time::Duration,
};

use sockeye::{CloseCode, Message};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{ConnectArgs, screen::Screen, terminal::Terminal};
use crate::tty;

/// One thing to do.
#[derive(Debug)]
pub(crate) enum Input {
    Message(Message<'static>),
    Ping(Vec<u8>),
    Close(CloseCode, String),
    /// Stdin can't be sent as it is.
    Bad(String),
}

/// Where the input comes from.
pub(crate) enum Source {
    /// Somebody types.
    Terminal(Terminal),
    /// A program or a file.
    Pipe,
}

impl Source {
    /// How long to wait for answers after the last input.
    pub(crate) fn patience(&self, wait: Duration) -> Duration {
        match self {
            // Whoever pressed ctrl-D saw the answers already.
            Self::Terminal(_) => Duration::ZERO,
            Self::Pipe => wait,
        }
    }
}

/// Reads stdin from now on, until its end.
pub(crate) fn start(args: &ConnectArgs) -> (Source, mpsc::Receiver<Input>, Screen) {
    let is_raw = args.binary || args.null;
    let interactive =
        io::stdin().is_terminal() && io::stdout().is_terminal() && !is_raw && !tty::is_dumb();
    let inputs_max = if interactive {
        TYPED_INPUTS_MAX
    } else {
        INPUTS_MAX
    };
    let (sender, receiver) = mpsc::channel(inputs_max);
    let reading = Reading {
        form: Form::of(args),
        separator: args.separator(),
        message_bytes_max: args.dial.max_message.0,
        sender,
    };
    if interactive && let Ok((terminal, writer)) = Terminal::start(reading.clone()) {
        return (
            Source::Terminal(terminal),
            receiver,
            Screen::terminal(writer, args),
        );
    }
    thread::spawn(move || reading.pipe());
    (Source::Pipe, receiver, Screen::pipe(args))
}

/// How stdin becomes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Lines,
    Hex,
    Bytes,
}

impl Form {
    fn of(args: &ConnectArgs) -> Self {
        match (args.binary, args.hex) {
            (true, _) => Self::Bytes,
            (_, true) => Self::Hex,
            _ => Self::Lines,
        }
    }
}

/// Makes messages of what is read.
#[derive(Clone)]
pub(crate) struct Reading {
    form: Form,
    /// Ends each message of a pipe.
    separator: u8,
    message_bytes_max: usize,
    sender: mpsc::Sender<Input>,
}

impl Reading {
    fn pipe(self) {
        let read = match self.form {
            Form::Bytes => self.chunks(),
            Form::Lines | Form::Hex => self.lines(),
        };
        if let Err(message) = read {
            let _ = self.push_blocking(Input::Bad(message));
        }
    }

    fn lines(&self) -> Result<(), String> {
        let mut stdin = io::stdin().lock();
        let what = match self.separator {
            b'\n' => "line",
            _ => "message",
        };
        let mut line = Vec::new();
        // Two characters of hexadecimal to the byte, and the line's end.
        let line_bytes_max = 2 * self.message_bytes_max as u64 + 2;
        for number in 1.. {
            line.clear();
            let count = stdin
                .by_ref()
                .take(line_bytes_max)
                .read_until(self.separator, &mut line);
            match count.map_err(|error| format!("cannot read stdin: {error}"))? {
                0 => break,
                _ if self.separator == b'\n' && line.ends_with(b"\r\n") => {
                    line.truncate(line.len() - 2);
                }
                _ if line.ends_with(&[self.separator]) => line.truncate(line.len() - 1),
                _ => {}
            }
            let text = str::from_utf8(&line)
                .map_err(|_| format!("stdin, {what} {number}: not UTF-8; use --binary"))?;
            let message = self
                .message(text)
                .map_err(|hint| format!("stdin, {what} {number}: {hint}"))?;
            if self.push_blocking(Input::Message(message)).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Sends what is there at once: whoever writes a live stream doesn't fill the buffer first.
    fn chunks(&self) -> Result<(), String> {
        let mut stdin = io::stdin().lock();
        let mut buffer = vec![0; CHUNK_BYTES.min(self.message_bytes_max)];
        loop {
            let count = match stdin.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(format!("cannot read stdin: {error}")),
            };
            let message = buffer[..count].to_vec().into();
            if self.push_blocking(Input::Message(message)).is_err() {
                return Ok(());
            }
        }
    }

    pub(crate) fn message(&self, line: &str) -> Result<Message<'static>, String> {
        let message: Message<'static> = match self.form {
            Form::Hex => parse_hex(line)?.into(),
            _ => line.to_owned().into(),
        };
        match message.len() {
            length if length > self.message_bytes_max => {
                Err(format!("{length} bytes are more than --max-message"))
            }
            _ => Ok(message),
        }
    }

    /// Fails with a hint when there is no room. When nobody takes inputs any more, the conversation is over.
    pub(crate) fn try_push(&self, input: Input) -> Result<(), String> {
        match self.sender.try_send(input) {
            Err(TrySendError::Full(_)) => Err(format!(
                "not sent: {TYPED_INPUTS_MAX} lines wait already for a server that takes nothing"
            )),
            _ => Ok(()),
        }
    }

    /// Fails when nobody takes inputs any more.
    fn push_blocking(&self, input: Input) -> Result<(), ()> {
        self.sender.blocking_send(input).map_err(drop)
    }
}

fn parse_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(value(*high)? << 4 | value(*low)?),
        _ => None,
    };
    digits
        .chunks(2)
        .map(byte)
        .collect::<Option<_>>()
        .ok_or_else(|| "not pairs of hexadecimal digits".to_owned())
}

/// Messages read ahead of the network.
const INPUTS_MAX: usize = 8;
/// Lines typed ahead of the network. More than people type, as many as they paste.
const TYPED_INPUTS_MAX: usize = 1024;
/// Bytes. One pipe buffer of Linux.
const CHUNK_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_in_pairs() {
        assert_eq!(parse_hex("00 fF 1a").unwrap(), [0, 255, 26]);
        assert_eq!(parse_hex("").unwrap(), [0_u8; 0]);
        for bad in ["0", "0x", "gg"] {
            assert!(parse_hex(bad).is_err(), "{bad}");
        }
    }
}
