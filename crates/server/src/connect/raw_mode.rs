//! The terminal's settings, given back whatever happens.

/// Remembers the terminal's settings, and gives them back when dropped and when any thread panics.
///
/// The editor gives them back too, but a panic's message is printed before anything is dropped: in raw mode its lines
/// would begin where the one before ended.
pub(crate) struct RawMode {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl RawMode {
    /// To be called before the terminal is in raw mode.
    #[cfg(unix)]
    pub(crate) fn watch() -> Self {
        let before = rustix::termios::tcgetattr(std::io::stdin()).ok();
        if let Some(before) = before.clone() {
            let print = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore(&before);
                print(panic);
            }));
        }
        Self { before }
    }

    /// The editor's own way is all there is.
    #[cfg(not(unix))]
    pub(crate) fn watch() -> Self {
        Self {}
    }
}

#[cfg(unix)]
impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            restore(before);
        }
    }
}

#[cfg(unix)]
fn restore(before: &rustix::termios::Termios) {
    use rustix::termios::{OptionalActions, tcsetattr};
    // A terminal that has gone needs nothing.
    let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
}
