//! `sockeye man`: manual pages, one for each command.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Command};

use crate::{fail, log::Notices, print};

/// Shown at the end of `sockeye man --help`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  sockeye man connect | man -l -
  sockeye man config check
  sockeye man --dir ~/.local/share/man/man1";

/// Options.
#[derive(Args, Clone, Debug)]
pub(crate) struct ManArgs {
    /// The command whose page is printed [default: sockeye itself]
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Vec<String>,

    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints one page of `command`, or writes all of them.
pub(crate) fn run(args: &ManArgs, command: Command, notices: Notices) -> ExitCode {
    let pages = pages(command);
    if let Some(dir) = &args.dir {
        return match write(&pages, dir) {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => fail(notices, &message),
        };
    }
    let name = [&["sockeye".to_owned()], &args.command[..]]
        .concat()
        .join("-");
    match pages.iter().find(|page| page.name == name) {
        Some(page) => print(&page.roff),
        None => {
            let command = args.command.join(" ");
            fail(notices, &format!("there is no command {command:?}"))
        }
    }
}

/// One manual page.
struct Page {
    /// `sockeye-config-check`.
    name: String,
    roff: Vec<u8>,
}

/// Returns the pages of all commands, the one of `sockeye` first.
fn pages(command: Command) -> Vec<Page> {
    // The subcommand `help` shows nothing that the pages don't.
    let mut root = command.disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    add(&root, &mut pages);
    pages
}

fn add(command: &Command, pages: &mut Vec<Page>) {
    let mut roff = Vec::new();
    clap_mangen::Man::new(command.clone())
        .source(concat!("sockeye ", env!("CARGO_PKG_VERSION")))
        .render(&mut roff)
        .expect("writing to memory doesn't fail");
    let name = command.get_display_name().unwrap_or(command.get_name());
    pages.push(Page {
        name: name.to_owned(),
        roff,
    });
    for command in command.get_subcommands() {
        add(command, pages);
    }
}

fn write(pages: &[Page], dir: &Path) -> Result<(), String> {
    let failed = |path: &Path, error: io::Error| format!("--dir {}: {error}", path.display());
    fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    for page in pages {
        let path = dir.join(format!("{}.1", page.name));
        fs::write(&path, &page.roff).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    /// Checks that the page of `command` and those of its subcommands have every option.
    fn check(command: &Command, pages: &[Page]) {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let page = pages.iter().find(|page| page.name == name).expect(name);
        let text = str::from_utf8(&page.roff).unwrap().replace("\\-", "-");
        for long in command.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(text.contains(&format!("--{long}")), "{name}: --{long}");
        }
        for command in command.get_subcommands() {
            let name = command.get_display_name().unwrap();
            assert!(text.contains(&format!("{name}(1)")), "{name}");
            check(command, pages);
        }
    }

    #[test]
    fn every_command_has_a_page_with_all_of_its_options() {
        let mut root = cli::command().disable_help_subcommand(true);
        root.build();
        check(&root, &pages(cli::command()));
    }
}
