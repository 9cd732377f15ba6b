//! `sockeye log`: looks at the log of channels in a data directory, and mends it.

use std::{
    error::Error as _,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use sockeye_hub::broker::{LogError, check_log, dump_log, repair_log};

use crate::{fail, hub, log::Notices, print};

/// Shown at the end of `sockeye log --help`.
pub(crate) const AFTER_HELP: &str = "\
No server may run on the directory meanwhile.

Exit code:
  0  the log is whole
  1  it is damaged, or was
  2  it cannot be read or written";

/// What is done with the log.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum ChannelLogCommand {
    /// Read all records and change nothing; say where the first one is that cannot be read
    #[command(after_help = AFTER_HELP)]
    Check(ChannelLogArgs),
    /// Let the server skip what cannot be read. Publications in it are lost, and all channels get new epochs
    #[command(after_help = AFTER_HELP)]
    Repair(ChannelLogArgs),
    /// Print a line for each record: file, position, and what it says
    #[command(after_help = AFTER_HELP)]
    Dump(ChannelLogArgs),
}

/// Options.
#[derive(Args, Clone, Debug)]
pub(crate) struct ChannelLogArgs {
    /// The directory that `sockeye serve --data` has
    #[arg(value_name = "DIR")]
    data: PathBuf,
}

/// Runs a command.
pub(crate) fn run(command: &ChannelLogCommand, notices: Notices) -> ExitCode {
    let (ChannelLogCommand::Check(args)
    | ChannelLogCommand::Repair(args)
    | ChannelLogCommand::Dump(args)) = command;
    let directory = args.data.join(hub::LOG_DIRECTORY);
    if !directory.is_dir() {
        let text = format!("{}: there is no log of channels", directory.display());
        return fail(notices, &text);
    }
    match command {
        ChannelLogCommand::Check(_) => check(&directory, notices),
        ChannelLogCommand::Repair(_) => repair(&directory, notices),
        ChannelLogCommand::Dump(_) => dump(&directory, notices),
    }
}

fn check(directory: &Path, notices: Notices) -> ExitCode {
    let report = match check_log(directory) {
        Ok(report) => report,
        Err(error) => return refuse(&error, notices),
    };
    let mut text = match report.channels {
        1 => "1 channel\n".to_owned(),
        count => format!("{count} channels\n"),
    };
    if let Some((file, position, bytes)) = &report.cut {
        text += &format!(
            "{file} ends at {position} in the midst of a record; the server cuts off {bytes} bytes that were not accepted, \
             or not synced before power was cut\n"
        );
    }
    if let Some(reason) = &report.full_scan {
        text += &format!("{reason}; the server reads the whole log instead\n");
    }
    print(text.as_bytes())
}

fn repair(directory: &Path, notices: Notices) -> ExitCode {
    match repair_log(directory) {
        Ok(changes) if changes.is_empty() => print(b"there is nothing to repair\n"),
        Ok(changes) => {
            let mut text = changes.join("\n");
            text += "\nall channels get new epochs when the server starts\n";
            print(text.as_bytes());
            ExitCode::FAILURE
        }
        Err(error) => refuse(&error, notices),
    }
}

fn dump(directory: &Path, notices: Notices) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    match dump_log(directory, &mut |line| writeln!(out, "{line}")) {
        // A closed stdout (`| head`) is no error.
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => refuse(&error, notices),
    }
}

fn refuse(error: &LogError, notices: Notices) -> ExitCode {
    let cause = error.source().map(|cause| format!(": {cause}"));
    notices.fail(&format!("{error}{}", cause.unwrap_or_default()));
    match error {
        LogError::Damaged { .. } | LogError::Missing { .. } => ExitCode::FAILURE,
        _ => ExitCode::from(2),
    }
}
