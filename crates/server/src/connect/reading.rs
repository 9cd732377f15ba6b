//! Reads stdin and turns it into messages.

use std::io::{self, BufRead, Read};

use sockeye::{CloseCode, Message};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::ConnectArgs;

/// An order of the person or program on stdin.
#[derive(Debug)]
pub(crate) enum Input {
    Message(Message<'static>),
    Ping(Vec<u8>),
    Close(CloseCode, String),
    /// Stdin has something that can't be sent.
    Bad(String),
}

/// The form of messages on stdin.
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

/// Turns stdin into messages and queues them.
#[derive(Clone)]
pub(crate) struct Reading {
    form: Form,
    /// Ends each message of a pipe.
    separator: u8,
    message_bytes_max: usize,
    sender: mpsc::Sender<Input>,
}

impl Reading {
    /// Creates the reader of one conversation, which fills `sender`.
    pub(crate) fn new(args: &ConnectArgs, sender: mpsc::Sender<Input>) -> Self {
        Self {
            form: Form::of(args),
            separator: args.separator(),
            message_bytes_max: args.dial.max_message.0,
            sender,
        }
    }

    /// Reads a pipe until its end.
    pub(crate) fn pipe(self) {
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
        // Two hexadecimal digits for each byte, and the line's end.
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

    /// Sends each read of stdin as one message at once, since the writer of a live stream may pause before the buffer is full.
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

    /// Adds an input to the queue. Fails with a hint when the queue is full. A closed queue is no error: the conversation is
    /// over.
    pub(crate) fn try_push(&self, input: Input) -> Result<(), String> {
        match self.sender.try_send(input) {
            Err(TrySendError::Full(_)) => Err(format!(
                "not sent: {TYPED_INPUTS_MAX} lines wait already for a server that takes nothing"
            )),
            _ => Ok(()),
        }
    }

    /// Adds an input to the queue, and waits for room. Fails when the queue is closed.
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

/// Messages from a pipe that wait for the network.
pub(crate) const INPUTS_MAX: usize = 8;
/// Typed lines that wait for the network. People type fewer, and may paste as many.
pub(crate) const TYPED_INPUTS_MAX: usize = 1024;
/// Bytes. The pipe buffer of Linux.
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
