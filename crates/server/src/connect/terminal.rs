//! Somebody types: a line that can be edited while messages come.

use std::io::Write as _;

use rustyline_async::{Readline, ReadlineError, ReadlineEvent, SharedWriter};
use sockeye::CloseCode;
use tokio::{sync::oneshot, task::JoinHandle};

use super::input::{Input, Reading};

/// The editor, which runs in a task of its own. It has the terminal in raw mode until [`Terminal::stop`].
pub(crate) struct Terminal {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Terminal {
    /// Takes the terminal. What is written to the writer appears above the line that is being edited.
    pub(crate) fn start(reading: Reading) -> Result<(Self, SharedWriter), ReadlineError> {
        let (editor, writer) = Readline::new("> ".to_owned())?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(edit(editor, writer.clone(), reading, stopped));
        Ok((Self { task, stop }, writer))
    }

    /// Shows what is still to be shown and gives the terminal back as it was.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// Ends with the input, or when told to stop.
async fn edit(
    mut editor: Readline,
    mut writer: SharedWriter,
    reading: Reading,
    mut stopped: oneshot::Receiver<()>,
) {
    loop {
        let line = tokio::select! {
            _ = &mut stopped => return drop(editor.flush()),
            event = editor.readline() => match event {
                Ok(ReadlineEvent::Line(line)) => line,
                Ok(ReadlineEvent::Eof | ReadlineEvent::Interrupted) => break,
                Err(error) => {
                    reading.push(Input::Bad(format!("cannot read the terminal: {error}"))).await;
                    break;
                }
            },
        };
        let _ = editor.add_history_entry(line.clone());
        match input(&line, &reading) {
            Ok(input) => reading.push(input).await,
            Err(hint) => drop(writeln!(writer, "{hint}")),
        }
    }
    // Without inputs the conversation ends; the terminal stays ours until it has.
    drop(reading);
    let _ = stopped.await;
    let _ = editor.flush();
}

/// A command, or a message; two slashes stand for one at the start of a line.
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

/// What a line that begins with a single slash asks for.
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
                Some(_) if reason.len() > CONTROL_BYTES_MAX - 2 => {
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
