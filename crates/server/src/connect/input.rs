//! Where the input comes from: a terminal or a pipe.

use std::{
    io::{self, IsTerminal},
    thread,
    time::Duration,
};

use tokio::sync::mpsc;

use super::{
    ConnectArgs,
    reading::{INPUTS_MAX, Input, Reading, TYPED_INPUTS_MAX},
    screen::Screen,
    terminal::Terminal,
};
use crate::tty;

/// The source of the input.
pub(crate) enum Source {
    /// A person types.
    Terminal(Terminal),
    /// A program or a file writes to stdin.
    Pipe,
}

impl Source {
    /// Returns how long to wait for answers after the last input.
    pub(crate) fn patience(&self, wait: Duration) -> Duration {
        match self {
            // A person presses ctrl-D after seeing the answers.
            Self::Terminal(_) => Duration::ZERO,
            Self::Pipe => wait,
        }
    }
}

/// Starts to read stdin, until its end.
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
    let reading = Reading::new(args, sender);
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
