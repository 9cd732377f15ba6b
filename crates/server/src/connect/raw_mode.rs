//! Restores the terminal's settings.

/// Saves the terminal's settings, and restores them when it is dropped and when any thread panics.
///
/// The editor restores them too, but a panic's message is printed before any value is dropped, and in raw mode its lines would be
/// staggered.
pub(crate) struct RawMode {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl RawMode {
    /// Saves the settings. Must be called before the terminal is in raw mode.
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

    /// Does nothing: only the editor restores the settings.
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
    // A closed terminal needs no settings.
    let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
}
