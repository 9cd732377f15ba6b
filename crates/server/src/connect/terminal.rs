//! The line editor, which works while messages are shown.

use std::io::Write as _;

use rustyline_async::{Readline, ReadlineError, ReadlineEvent, SharedWriter};
use sockeye::{CloseCode, CloseFrame};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    raw_mode::RawMode,
    reading::{Input, Reading},
};

/// The editor, which runs in its own task. The terminal is in raw mode until [`Terminal::stop`].
pub(crate) struct Terminal {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
    stop_keys: Option<mpsc::Receiver<()>>,
    raw_mode: RawMode,
}

impl Terminal {
    /// Starts the editor. Text for the writer appears above the line that is being edited.
    pub(crate) fn start(reading: Reading) -> Result<(Self, SharedWriter), ReadlineError> {
        let raw_mode = RawMode::watch();
        let (editor, writer) = Readline::new("> ".to_owned())?;
        let (stop, stopped) = oneshot::channel();
        let (keys, stop_keys) = mpsc::channel(STOP_KEYS_MAX);
        let editing = Editing {
            editor,
            writer: writer.clone(),
            reading: Some(reading),
            keys,
        };
        let task = tokio::spawn(editing.run(stopped));
        let terminal = Self {
            task,
            stop,
            stop_keys: Some(stop_keys),
            raw_mode,
        };
        Ok((terminal, writer))
    }

    /// Returns the channel that gets an item for each ctrl-C, and for each ctrl-D after the first. Can be taken once.
    pub(crate) fn stop_keys(&mut self) -> Option<mpsc::Receiver<()>> {
        self.stop_keys.take()
    }

    /// Flushes the output and restores the terminal.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
        drop(self.raw_mode);
    }
}

struct Editing {
    editor: Readline,
    writer: SharedWriter,
    /// `None` after the end of the input.
    reading: Option<Reading>,
    keys: mpsc::Sender<()>,
}

impl Editing {
    /// Reads keys until it is stopped, also after the end of the input, since ctrl-C may be pressed again.
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        loop {
            let event = tokio::select! {
                _ = &mut stopped => break,
                event = self.editor.readline() => event,
            };
            match event {
                Ok(ReadlineEvent::Line(line)) => self.enter(line),
                // Lines entered before are still sent.
                Ok(ReadlineEvent::Eof) if self.reading.is_some() => self.reading = None,
                Ok(ReadlineEvent::Eof | ReadlineEvent::Interrupted) => {
                    // The second press is already in the channel, and more have no effect.
                    let _ = self.keys.try_send(());
                }
                Err(error) => {
                    if let Some(reading) = self.reading.take() {
                        let what = format!("cannot read the terminal: {error}");
                        let _ = reading.try_push(Input::Bad(what));
                    }
                    let _ = stopped.await;
                    break;
                }
            }
        }
        let _ = self.editor.flush();
    }

    fn enter(&mut self, line: String) {
        let Some(reading) = &self.reading else {
            return;
        };
        self.editor.add_history_entry(line.clone());
        let entered = input(&line, reading).and_then(|input| reading.try_push(input));
        if let Err(hint) = entered {
            let _ = writeln!(self.writer, "{hint}");
        }
    }
}

/// Capacity of the channel of stop keys.
const STOP_KEYS_MAX: usize = 2;

/// Parses a line: a command or a message. Two slashes at the start stand for one.
fn input(line: &str, reading: &Reading) -> Result<Input, String> {
    command(line).unwrap_or_else(|| {
        let text = if line.starts_with("//") {
            &line[1..]
        } else {
            line
        };
        reading.message(text).map(Input::Message)
    })
}

/// Parses a command, a line that begins with a single slash.
fn command(line: &str) -> Option<Result<Input, String>> {
    let line = line
        .strip_prefix('/')
        .filter(|rest| !rest.starts_with('/'))?;
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    Some(match name {
        "ping" if rest.len() <= CONTROL_BYTES_MAX => Ok(Input::Ping(rest.as_bytes().to_vec())),
        "ping" => Err("a ping carries 125 bytes at most".to_owned()),
        "close" => {
            let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            let code = if code.is_empty() {
                Some(1000)
            } else {
                code.parse().ok()
            };
            match code.map(CloseCode::new).filter(|code| code.is_sendable()) {
                Some(_) if reason.len() > CloseFrame::REASON_BYTES_MAX => {
                    Err("a reason has 123 bytes at most".to_owned())
                }
                Some(code) => Ok(Input::Close(code, reason.to_owned())),
                None => Err("codes: 1000 to 1003, 1007 to 1014, 3000 to 4999".to_owned()),
            }
        }
        _ => Err(
            "commands: /ping [TEXT], /close [CODE [REASON]]; // begins a message with a slash"
                .to_owned(),
        ),
    })
}

/// Bytes (RFC 6455 section 5.5).
const CONTROL_BYTES_MAX: usize = 125;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_begins_a_command_and_two_a_message() {
        assert!(command("hello").is_none());
        assert!(command("//hello").is_none());
        assert!(
            matches!(command("/ping a b"), Some(Ok(Input::Ping(payload))) if payload == b"a b")
        );
        assert!(matches!(
            command("/close"),
            Some(Ok(Input::Close(CloseCode::NORMAL, _)))
        ));
        assert!(
            matches!(command("/close 4001 had enough"), Some(Ok(Input::Close(_, reason))) if reason == "had enough")
        );
        for bad in ["/", "/close 1005", "/close x", "/help"] {
            assert!(matches!(command(bad), Some(Err(_))), "{bad}");
        }
    }
}
