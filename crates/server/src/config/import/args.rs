//! The command line of `sockeye config import`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{source, translation::Translation};
use crate::{fail, log::Notices, print};

/// Shown at the end of `sockeye config import --help`.
pub(crate) const AFTER_HELP: &str = "\
The configuration goes to stdout. What has no counterpart is listed on stderr, with what to do instead.

Exit code:
  0  all settings are translated
  1  some settings have no counterpart, which is usual: the rest is translated
  2  the file cannot be read

Example:
  sockeye config import centrifugo.json > sockeye.toml; sockeye config check";

/// Options.
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ImportArgs {
    /// Configuration of Centrifugo 6, in JSON or TOML; `-` reads it from stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Prints the configuration that `args` name as one of Sockeye.
pub(crate) fn run(args: &ImportArgs, notices: Notices) -> ExitCode {
    let file = match args.file.to_str() {
        Some("-") => "stdin".to_owned(),
        _ => args.file.display().to_string(),
    };
    let source = match source::read(&args.file) {
        Ok(source) => source,
        Err(message) => return fail(notices, &format!("{file}: {message}")),
    };
    let translation = Translation::of(&source);
    print(translation.toml(&file).as_bytes());
    let notes = translation.notes();
    if notes.is_empty() {
        return ExitCode::SUCCESS;
    }
    let count = match notes.len() {
        1 => "1 setting has".to_owned(),
        count => format!("{count} settings have"),
    };
    notices.fail(&format!("{file}: {count} no counterpart"));
    for (path, advice) in notes {
        notices.fail(&format!("{path}: {advice}"));
    }
    ExitCode::FAILURE
}
