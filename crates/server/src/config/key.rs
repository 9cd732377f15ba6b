//! The names of one configuration value: flag, environment variable, key in the file.

use clap::{Arg, Args, Command};

use super::{Config, shape::Shape};

/// One configuration value, as [`Config`] defines it.
pub(crate) struct Key {
    arg: Arg,
}

impl Key {
    /// Returns all keys in the order of their definition, including `config`.
    pub(crate) fn all() -> Vec<Self> {
        Self::all_of::<Config>()
    }

    /// Returns the keys of one part of the definition.
    pub(crate) fn all_of<K: Args>() -> Vec<Self> {
        let command = K::augment_args(Command::new("keys"));
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

    /// Returns the environment variable of the key's earlier name.
    pub(crate) fn earlier_env(&self) -> Option<String> {
        let earlier = self.earlier_id()?;
        Some(format!("SOCKEYE_{}", earlier.to_ascii_uppercase()))
    }

    /// Returns the section in the file, which is also the heading in the help. `None` for the top of the file.
    pub(crate) fn section(&self) -> Option<&str> {
        self.arg.get_help_heading()
    }

    /// Returns the name within its section: the flag without the section's name.
    pub(crate) fn name(&self) -> &str {
        let id = self.id();
        let stripped = self.section().and_then(|section| {
            let prefix = section.replace('.', "_");
            id.strip_prefix(prefix.as_str())?.strip_prefix('_')
        });
        stripped.unwrap_or(id)
    }

    /// Returns the key's earlier name, which is a key at the top of the file, an environment variable and a flag still.
    pub(crate) fn earlier_id(&self) -> Option<&'static str> {
        let earlier = EARLIER_IDS.iter().find(|(id, _)| *id == self.id());
        earlier.map(|(_, earlier)| *earlier)
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

/// Keys that had another name, which is still good: id and earlier id. The new name wins where one layer has both.
const EARLIER_IDS: &[(&str, &str)] = &[("http_api_key", "api_key")];

/// Ids of the options that `-h` shows. `--help` shows all.
const COMMON: &[&str] = &[
    "config",
    "listen",
    "dev",
    "data",
    "tls_cert",
    "tls_key",
    "http_api_key",
    "client_token_hmac_secret_key",
    "log_filter",
];

/// Adds the environment variable and file key to each option's help, and hides the rare ones from the short help.
pub(crate) fn with_origins(mut command: Command) -> Command {
    for key in Key::all() {
        let file = key
            .path()
            .map(|path| format!(", file: {path}"))
            .unwrap_or_default();
        let help = format!("{} [env: {}{file}]", key.help(), key.env());
        let is_rare = !COMMON.contains(&key.id());
        command = command.mut_arg(key.id(), |arg| arg.help(help).hide_short_help(is_rare));
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
        let nested = key("channel_without_namespace_history_size");
        assert_eq!(
            nested.path().unwrap(),
            "channel.without_namespace.history_size"
        );
        assert_eq!(nested.flag(), "channel-without-namespace-history-size");
        assert_eq!(
            nested.env(),
            "SOCKEYE_CHANNEL_WITHOUT_NAMESPACE_HISTORY_SIZE"
        );
    }

    #[test]
    fn common_and_renamed_keys_exist() {
        let keys = Key::all();
        let exists = |id: &str| keys.iter().any(|key| key.id() == id);
        for id in COMMON.iter().chain(EARLIER_IDS.iter().map(|(id, _)| id)) {
            assert!(exists(id), "{id}");
        }
        for (_, earlier) in EARLIER_IDS {
            assert!(!exists(earlier), "{earlier}");
        }
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
