//! `sockeye completions`: the script that completes commands and options in a shell.

use clap::{Args, Command};
use clap_complete::Shell;

/// Shown at the end of `sockeye completions --help`.
pub(crate) const WHERE_TO: &str = "\
Examples:
  sockeye completions bash > ~/.local/share/bash-completion/completions/sockeye
  sockeye completions zsh > ~/.zfunc/_sockeye          # a directory in $fpath
  sockeye completions fish > ~/.config/fish/completions/sockeye.fish";

/// Options.
#[derive(Args, Clone, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell that reads the script
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Returns the script that completes `command` in this shell.
pub(crate) fn script(shell: Shell, mut command: Command) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "sockeye", &mut script);
    script
}
