//! The names of one configuration value: flag, environment variable, key in the file.

use clap::{Arg, Args, Command};

use super::{Config, value::Shape};

/// One configuration value, as [`Config`] defines it.
pub(crate) struct Key {
    arg: Arg,
}

impl Key {
    /// Returns all keys in the order of their definition, including `config`.
    pub(crate) fn all() -> Vec<Self> {
        let command = Config::augment_args(Command::new("serve"));
        command
            .get_arguments()
            .map(|arg| Self { arg: arg.clone() })
            .collect()
    }

    pub(crate) fn id(&self) -> &str {
        self.arg.get_id().as_str()
    }

    /// Returns the flag without its dashes, such as `tls-cert`.
    pub(crate) fn flag(&self) -> &str {
        self.arg.get_long().expect("every key has a flag")
    }

    /// Returns the environment variable, such as `SOCKEYE_TLS_CERT`.
    pub(crate) fn env(&self) -> String {
        format!("SOCKEYE_{}", self.id().to_ascii_uppercase())
    }

    /// Returns the section in the file, which is also the heading in the help. `None` for the top of the file.
    pub(crate) fn section(&self) -> Option<&str> {
        self.arg.get_help_heading()
    }

    /// Returns the name within its section: the flag without the section's name.
    pub(crate) fn name(&self) -> &str {
        let id = self.id();
        let stripped = self
            .section()
            .and_then(|section| id.strip_prefix(section)?.strip_prefix('_'));
        stripped.unwrap_or(id)
    }

    /// Returns the file's key, such as `tls.cert`; `None` for `config`, which has none.
    pub(crate) fn path(&self) -> Option<String> {
        match self.section() {
            _ if self.id() == "config" => None,
            Some(section) => Some(format!("{section}.{}", self.name())),
            None => Some(self.name().to_owned()),
        }
    }

    pub(crate) fn help(&self) -> String {
        self.arg
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    pub(crate) fn shape(&self) -> Shape {
        Shape::of(&self.arg)
    }

    /// Returns whether several values may be given.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.arg.get_action(), clap::ArgAction::Append)
    }

    pub(crate) fn defaults(&self) -> Vec<String> {
        let values = self.arg.get_default_values().iter();
        values
            .map(|value| value.to_string_lossy().into_owned())
            .collect()
    }
}

/// Adds the environment variable and file key to each option's help.
pub(crate) fn with_origins(mut command: Command) -> Command {
    for key in Key::all() {
        let file = key
            .path()
            .map(|path| format!(", file: {path}"))
            .unwrap_or_default();
        let help = format!("{} [env: {}{file}]", key.help(), key.env());
        command = command.mut_arg(key.id(), |arg| arg.help(help));
    }
    command
}

/// Changes the subcommand at `path`.
pub(crate) fn at_path(
    command: Command,
    path: &[&str],
    change: impl FnOnce(Command) -> Command,
) -> Command {
    match path {
        [] => change(command),
        [first, rest @ ..] => {
            // Recursion through a closure needs one concrete type for `change`.
            let change: Box<dyn FnOnce(Command) -> Command + '_> = Box::new(change);
            command.mut_subcommand(*first, |inner| at_path(inner, rest, change))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_the_flag() {
        let keys = Key::all();
        let key = |id: &str| keys.iter().find(|key| key.id() == id).unwrap();
        assert_eq!(key("tls_cert").path().unwrap(), "tls.cert");
        assert_eq!(key("tls_cert").env(), "SOCKEYE_TLS_CERT");
        assert_eq!(
            key("message_bytes_max").path().unwrap(),
            "limits.message_bytes_max"
        );
        assert_eq!(key("listen").path().unwrap(), "listen");
        assert_eq!(key("config").path(), None);
    }

    #[test]
    fn every_key_has_a_shape_and_a_default_that_fits() {
        for key in Key::all() {
            let _ = key.shape();
            assert!(!key.help().is_empty(), "{}", key.id());
            for value in key.defaults() {
                assert_eq!(key.shape().check(&value), Ok(()));
            }
        }
    }
}
