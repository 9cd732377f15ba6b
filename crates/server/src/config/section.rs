//! A part of the definition that stands under a section of the file.

use std::{fmt, marker::PhantomData, ops::Deref};

use clap::{ArgMatches, Args, Command, FromArgMatches};

/// The keys `K` under the section `S`: `history_size` under `channel.without_namespace` is the key
/// `channel.without_namespace.history_size` and the flag `--channel-without-namespace-history-size`. One set of keys can
/// stand under several sections.
#[derive(Clone)]
pub(crate) struct Under<S, K> {
    keys: K,
    section: PhantomData<S>,
}

/// A section of the file.
pub(crate) trait Section {
    /// Its name in the file, such as `channel.without_namespace`.
    const PATH: &'static str;
}

impl<S, K> Deref for Under<S, K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.keys
    }
}

impl<S, K: fmt::Debug> fmt::Debug for Under<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys.fmt(f)
    }
}

impl<S: Section, K: Args> Args for Under<S, K> {
    fn augment_args(mut command: Command) -> Command {
        for arg in own_command::<K>().get_arguments() {
            let id = prefixed::<S>(arg.get_id().as_str());
            let flag = id.replace('_', "-");
            let arg = arg.clone().id(id).long(flag).help_heading(S::PATH);
            command = command.arg(arg);
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Section, K: Args> FromArgMatches for Under<S, K> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        // The keys know themselves without the section only, so they read a command line of their own.
        let command = own_command::<K>();
        let mut line = Vec::new();
        for arg in command.get_arguments() {
            let name = arg.get_id().as_str();
            let values = matches.get_raw(&prefixed::<S>(name)).into_iter().flatten();
            for value in values {
                line.push((name.to_owned(), value.to_string_lossy().into_owned()));
            }
        }
        Ok(Self {
            keys: read(&line)?,
            section: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Reads keys from pairs of name and value. What isn't there has its default.
pub(super) fn read<K: Args>(pairs: &[(String, String)]) -> Result<K, clap::Error> {
    let line = pairs
        .iter()
        .map(|(name, value)| format!("--{}={value}", name.replace('_', "-")));
    let matches = own_command::<K>().try_get_matches_from(line)?;
    K::from_arg_matches(&matches)
}

fn own_command<K: Args>() -> Command {
    K::augment_args(
        Command::new("keys")
            .no_binary_name(true)
            .disable_help_flag(true),
    )
}

fn prefixed<S: Section>(name: &str) -> String {
    format!("{}_{name}", S::PATH.replace('.', "_"))
}
