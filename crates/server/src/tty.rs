//! Checks what a terminal can show beside plain text.

use std::{env, ffi::OsStr, io::IsTerminal};

/// Returns whether the terminal can't move its cursor (`TERM=dumb`).
pub(crate) fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == OsStr::new("dumb"))
}

/// Returns whether `stream` gets colours: it is a terminal that can show them, and `NO_COLOR` is not set
/// (https://no-color.org).
pub(crate) fn has_colors(stream: &impl IsTerminal) -> bool {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !unwanted && !is_dumb()
}
