//! The layers of the configuration: flag over environment over file over default.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, Command, parser::ValueSource};

use super::{
    ClientAuth, Config, ConfigError, ConfigErrors, HubConfig, PresenceStore, at_path,
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
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
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
    /// The lines of the tables in lists of them, by key id.
    table_lines: BTreeMap<String, Vec<usize>>,
    file: Option<PathBuf>,
}

/// Collects the values below the flags in `matches`.
pub(crate) fn layers(matches: &ArgMatches) -> Result<Layers, ConfigErrors> {
    let keys = Key::all();
    let mut errors = Vec::new();
    let mut layers = Layers {
        values: Vec::new(),
        origins: BTreeMap::new(),
        table_lines: BTreeMap::new(),
        file: None,
    };
    for key in &keys {
        if matches.value_source(key.id()) == Some(ValueSource::CommandLine) {
            layers
                .origins
                .insert(key.id().to_owned(), Origin::Flag(key.flag().to_owned()));
        }
    }
    for key in &keys {
        errors.extend(layers.environment(key).err());
    }
    let named = matches.get_one::<PathBuf>("config").cloned();
    let named = named.or_else(|| layers.value("config").map(PathBuf::from));
    let (file, required) = match named {
        Some(file) => (file, true),
        None => (PathBuf::from(DEFAULT_FILE), false),
    };
    match std::fs::read_to_string(&file) {
        Ok(text) => match layers.read(&file, &text, &keys) {
            Ok(()) => layers.file = Some(file),
            Err(of_file) => errors.extend(of_file.0),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {}
        Err(error) => errors.push(ConfigError::Unreadable { file, error }),
    }
    match errors.is_empty() {
        true => Ok(layers),
        false => Err(ConfigErrors(errors)),
    }
}

/// Reads the configuration file alone: the one that is named, or `sockeye.toml` if there is one.
pub(crate) fn of_file(named: Option<&Path>) -> Result<Option<Config>, ConfigErrors> {
    let file = named.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
            return Ok(None);
        }
        Err(error) => {
            let file = file.to_owned();
            return Err(ConfigError::Unreadable { file, error }.into());
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

/// Returns whether an error is about the table of a list that has this name.
fn names_table(error: &str, name: &str) -> bool {
    [
        format!(", {name}: "),
        format!(" {name}: "),
        format!(" {name}."),
        format!(" {name:?}"),
    ]
    .iter()
    .any(|text| error.contains(text))
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
    ) -> Result<Loaded, ConfigErrors> {
        let mut errors: Vec<_> = self.check_together(&config).err().into_iter().collect();
        for error in HubConfig::errors(&config) {
            let place = self.place(&error, &config);
            errors.push(format!("{}{error}", place.unwrap_or_default()));
        }
        if !errors.is_empty() {
            let errors = errors.into_iter().map(ConfigError::Together);
            return Err(ConfigErrors(errors.collect()));
        }
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
            file: self.file,
        })
    }

    /// Checks which keys need others.
    fn check_together(&self, config: &Config) -> Result<(), String> {
        let needs = |there: &str, missing: &str| {
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
            Err(format!("{origin}: needs --{flag} too"))
        };
        match (&config.tls_cert, &config.tls_key) {
            (Some(_), None) => needs("tls_cert", "tls_key"),
            (None, Some(_)) => needs("tls_key", "tls_cert"),
            (None, None) if config.tls_client_ca.is_some() => needs("tls_client_ca", "tls_cert"),
            _ if is_asking_clients(config) && config.tls_client_ca.is_none() => {
                needs("tls_client_auth", "tls_client_ca")
            }
            _ if config.presence_store == PresenceStore::Durable && config.data.is_none() => {
                needs("presence_store", "data")
            }
            _ => Ok(()),
        }
    }

    /// Returns where the value is that an error is about, with a colon: the error begins with the key, or with the section and
    /// the key, or with a list and the name of one of its tables.
    fn place(&self, error: &str, config: &Config) -> Option<String> {
        let lists = [
            ("channel_namespaces", config.channel.namespaces.names()),
            ("rpc_namespaces", config.rpc.namespaces.names()),
            ("proxies", config.proxies.names()),
        ];
        let (place, rest) = error.split_once(": ")?;
        let words = || rest.split([' ', ':']);
        let keys = Key::all();
        let key = keys.iter().find(|key| {
            let path = key.path().unwrap_or_default();
            let is_key = place
                .strip_prefix(&*path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ',']));
            let is_in_section =
                key.section() == Some(place) && words().any(|word| word == key.name());
            self.origins.contains_key(key.id()) && (is_key || is_in_section)
        })?;
        let origin = self.origins.get(key.id())?;
        let names = lists.into_iter().find(|(id, _)| *id == key.id());
        // Of two tables with one name the second is the one that is too many.
        let table = names.and_then(|(_, names)| {
            let named = names.enumerate();
            let named = named.filter(|(_, name)| names_table(error, name));
            named.last().map(|(index, _)| index)
        });
        let line = self.table_lines.get(key.id()).zip(table);
        let line = line.and_then(|(lines, table)| lines.get(table).copied());
        Some(match (origin, line) {
            (Origin::File(file, _), Some(line)) => {
                format!("{}: ", Origin::File(file.clone(), line))
            }
            (origin, _) => format!("{origin}: "),
        })
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

    fn read(&mut self, file: &Path, text: &str, keys: &[Key]) -> Result<(), ConfigErrors> {
        for found in file::read(file, text, keys)? {
            let origin = Origin::File(file.to_owned(), found.line);
            self.table_lines.insert(found.id.clone(), found.table_lines);
            self.offer(&found.id, found.values, origin);
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
