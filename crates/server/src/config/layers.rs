//! The layers of the configuration: flag over environment over file over default.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, Command, parser::ValueSource};

use super::{
    ClientAuth, Config, ConfigError, HubConfig, PresenceStore, at_path,
    file::{self, FileValue},
    key::Key,
    section,
};

/// The name of the file that is read by default, if it exists.
const DEFAULT_FILE: &str = "sockeye.toml";

/// The configuration with the origin of each value.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// The values as they were written, by key id.
    pub(crate) values: BTreeMap<String, Vec<String>>,
    /// The origins by key id. A key without one has its default.
    pub(crate) origins: BTreeMap<String, Origin>,
}

/// The origin of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag(String),
    Environment(String),
    File(PathBuf, usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Environment(name) => f.write_str(name),
            Self::File(file, line) => write!(f, "{}:{line}", file.display()),
        }
    }
}

/// The values of the environment and the file, for keys that no flag sets.
pub(crate) struct Layers {
    values: Vec<(String, Vec<String>)>,
    origins: BTreeMap<String, Origin>,
}

/// Collects the values below the flags in `matches`.
pub(crate) fn layers(matches: &ArgMatches) -> Result<Layers, ConfigError> {
    let keys = Key::all();
    let mut layers = Layers {
        values: Vec::new(),
        origins: BTreeMap::new(),
    };
    for key in &keys {
        if matches.value_source(key.id()) == Some(ValueSource::CommandLine) {
            layers
                .origins
                .insert(key.id().to_owned(), Origin::Flag(key.flag().to_owned()));
        }
    }
    for key in &keys {
        layers.environment(key)?;
    }
    let named = matches.get_one::<PathBuf>("config").cloned();
    let named = named.or_else(|| layers.value("config").map(PathBuf::from));
    let (file, required) = match named {
        Some(file) => (file, true),
        None => (PathBuf::from(DEFAULT_FILE), false),
    };
    match std::fs::read_to_string(&file) {
        Ok(text) => layers.file(&file, &text, &keys)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {}
        Err(error) => return Err(ConfigError::Unreadable { file, error }),
    }
    Ok(layers)
}

/// Reads the configuration file alone: the one that is named, or `sockeye.toml` if there is one.
pub(crate) fn of_file(named: Option<&Path>) -> Result<Option<Config>, ConfigError> {
    let file = named.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
            return Ok(None);
        }
        Err(error) => {
            let file = file.to_owned();
            return Err(ConfigError::Unreadable { file, error });
        }
    };
    let found = file::read(file, &text, &Key::all())?.into_iter();
    let pairs = found.flat_map(|FileValue { id, values, .. }| {
        values.into_iter().map(move |value| (id.clone(), value))
    });
    let config = section::read(&pairs.collect::<Vec<_>>());
    let config = config.map_err(|error| ConfigError::Together(error.to_string()))?;
    Ok(Some(config))
}

/// Returns whether the configuration says itself that clients are asked for certificates.
fn is_asking_clients(config: &Config) -> bool {
    let asking = [Some(ClientAuth::Request), Some(ClientAuth::Require)];
    asking.contains(&config.tls_client_auth)
}

impl Layers {
    /// Makes the values the defaults of the subcommand at `path`.
    pub(crate) fn apply(&self, command: Command, path: &[&str]) -> Command {
        at_path(command, path, |mut command| {
            for (id, values) in &self.values {
                let values = values.clone();
                command = command.mut_arg(id, |arg| arg.default_values(values));
            }
            command
        })
    }

    /// Checks combinations of values. `config` was read from `matches`.
    pub(crate) fn finish(
        self,
        config: Config,
        matches: &ArgMatches,
    ) -> Result<Loaded, ConfigError> {
        let together = |there: &str, missing: &str| {
            let origin = self
                .origins
                .get(there)
                .map(ToString::to_string)
                .unwrap_or_default();
            let keys = Key::all();
            let flag = keys
                .iter()
                .find(|key| key.id() == missing)
                .map_or("", Key::flag);
            Err(ConfigError::Together(format!(
                "{origin}: needs --{flag} too"
            )))
        };
        match (&config.tls_cert, &config.tls_key) {
            (Some(_), None) => together("tls_cert", "tls_key"),
            (None, Some(_)) => together("tls_key", "tls_cert"),
            (None, None) if config.tls_client_ca.is_some() => together("tls_client_ca", "tls_cert"),
            _ if is_asking_clients(&config) && config.tls_client_ca.is_none() => {
                together("tls_client_auth", "tls_client_ca")
            }
            _ if config.presence_store == PresenceStore::Durable && config.data.is_none() => {
                together("presence_store", "data")
            }
            _ => {
                self.check_hub(&config)?;
                let raw = |key: &Key| {
                    let values = matches.get_raw(key.id()).into_iter().flatten();
                    (
                        key.id().to_owned(),
                        values
                            .map(|value| value.to_string_lossy().into_owned())
                            .collect(),
                    )
                };
                Ok(Loaded {
                    values: Key::all().iter().map(raw).collect(),
                    config,
                    origins: self.origins,
                })
            }
        }
    }

    /// Checks what the keys of the hub say about each other.
    fn check_hub(&self, config: &Config) -> Result<(), ConfigError> {
        let error = match HubConfig::new(config) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        // The options of all namespaces are one value; elsewhere the error says the name of the key.
        let origin = match error.starts_with("channel.namespaces") {
            true => self.origins.get("channel_namespaces"),
            false => None,
        };
        let origin = origin.map(|origin| format!("{origin}: "));
        let origin = origin.unwrap_or_default();
        Err(ConfigError::Together(format!("{origin}{error}")))
    }

    fn environment(&mut self, key: &Key) -> Result<(), ConfigError> {
        let mut names = vec![key.env()];
        names.extend(key.earlier_env());
        let found = names.into_iter().find_map(|name| {
            let text = std::env::var_os(&name)?;
            Some((name, text))
        });
        let Some((name, text)) = found else {
            return Ok(());
        };
        let refuse = |message| ConfigError::Environment {
            name: name.clone(),
            message,
        };
        let text = text
            .into_string()
            .map_err(|_| refuse("not UTF-8".to_owned()))?;
        let values: Vec<_> = match key.is_list() {
            true => text.split(',').map(|part| part.trim().to_owned()).collect(),
            false => vec![text],
        };
        for text in &values {
            key.shape().check(text).map_err(refuse)?;
        }
        self.offer(key.id(), values, Origin::Environment(name));
        Ok(())
    }

    fn file(&mut self, file: &Path, text: &str, keys: &[Key]) -> Result<(), ConfigError> {
        for found in file::read(file, text, keys)? {
            self.offer(
                &found.id,
                found.values,
                Origin::File(file.to_owned(), found.line),
            );
        }
        Ok(())
    }

    /// Sets the values unless a stronger layer has set the key.
    fn offer(&mut self, id: &str, values: Vec<String>, origin: Origin) {
        if !self.origins.contains_key(id) {
            self.origins.insert(id.to_owned(), origin);
            self.values.push((id.to_owned(), values));
        }
    }

    fn value(&self, id: &str) -> Option<&str> {
        let (_, values) = self.values.iter().find(|(known, _)| known == id)?;
        values.first().map(String::as_str)
    }
}
