//! What may be written to a terminal beside plain text.

use std::{env, ffi::OsStr, io::IsTerminal};

/// Whether the terminal can't move its cursor (`TERM=dumb`).
pub(crate) fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == OsStr::new("dumb"))
}

/// Whether colours belong on `stream`: it is a terminal that can show them, and nobody has asked for none
/// (https://no-color.org).
pub(crate) fn has_colors(stream: &impl IsTerminal) -> bool {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !unwanted && !is_dumb()
}
