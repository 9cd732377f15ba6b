//! The configuration file: TOML whose keys are all known.

use std::path::Path;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    ConfigError, ConfigErrors,
    key::Key,
    named_list::{NAME, unknown_option},
    shape::Shape,
    suggest::nearest,
};

/// A checked value of the file, as text.
#[derive(Debug)]
pub(crate) struct FileValue {
    pub(crate) id: String,
    pub(crate) values: Vec<String>,
    pub(crate) line: usize,
    /// The lines of the tables, if the value is a list of them.
    pub(crate) table_lines: Vec<usize>,
}

/// Reads `text`, the content of `file`. An error of one key doesn't hide those of others.
pub(crate) fn read(file: &Path, text: &str, keys: &[Key]) -> Result<Vec<FileValue>, ConfigErrors> {
    let reader = Reader { file, text, keys };
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        file: file.to_owned(),
        line: error.span().map_or(1, |span| reader.line(span.start)),
        message: error
            .message()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
    })?;
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    reader.table(None, table.get_ref(), &mut found, &mut errors);
    // A table of TOML is sorted by its keys.
    errors.sort_by_key(ConfigError::line);
    match errors.is_empty() {
        true => Ok(found),
        false => Err(ConfigErrors(errors)),
    }
}

struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    keys: &'a [Key],
}

impl Reader<'_> {
    fn table(
        &self,
        section: Option<&str>,
        table: &DeTable<'_>,
        found: &mut Vec<FileValue>,
        errors: &mut Vec<ConfigError>,
    ) {
        // The earlier name of a key comes last, so that the key has a value already if it is there under both names.
        let (earlier, current): (Vec<_>, Vec<_>) = table
            .iter()
            .partition(|(name, _)| section.is_none() && self.renamed(name.get_ref()).is_some());
        for (name, value) in current.into_iter().chain(earlier) {
            let line = self.line(name.span().start);
            let name = name.get_ref();
            let inner_section = path(section, name);
            if let DeValue::Table(inner) = value.get_ref()
                && self.is_section(&inner_section)
            {
                self.table(Some(&inner_section), inner, found, errors);
                continue;
            }
            let key = self.keys.iter().find(|key| {
                key.path().is_some() && key.section() == section && key.name() == name.as_ref()
            });
            let renamed = || self.renamed(name).filter(|_| section.is_none());
            let Some(key) = key.or_else(renamed) else {
                errors.push(self.unknown(line, section, name));
                continue;
            };
            match self.values(key, line, value) {
                Ok(values) => found.push(FileValue {
                    id: key.id().to_owned(),
                    values,
                    line,
                    table_lines: self.table_lines(line, value.get_ref()),
                }),
                Err(error) => errors.extend(error.0),
            }
        }
    }

    /// Returns the key that had this name at the top of the file.
    fn renamed(&self, name: &str) -> Option<&Key> {
        self.keys
            .iter()
            .find(|key| key.earlier_id().is_some_and(|earlier| earlier == name))
    }

    fn values(
        &self,
        key: &Key,
        line: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<String>, ConfigErrors> {
        let path = key.path().unwrap_or_default();
        let table_keys = key.shape().table_keys();
        if let (Some(keys), DeValue::Array(tables)) = (table_keys, value.get_ref()) {
            return Ok(vec![self.tables(
                key.shape(),
                &path,
                line,
                tables,
                &keys,
            )?]);
        }
        let items = match value.get_ref() {
            DeValue::Array(items) if key.is_list() && !items.is_empty() => items.iter().collect(),
            _ => vec![value],
        };
        let mut values = Vec::new();
        for item in items {
            values.push(self.checked(key, &path, line, item)?);
        }
        Ok(values)
    }

    /// Returns one value as text.
    fn checked(
        &self,
        key: &Key,
        path: &str,
        line: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<String, ConfigError> {
        let line = self.line_of(value, line);
        let text = scalar(key, value.get_ref()).ok_or_else(|| {
            let list = if key.is_list() {
                ", or a list of them"
            } else {
                ""
            };
            let kind = value.get_ref().type_str();
            let allowed = key.shape().allowed();
            let article = article(kind);
            self.error(
                line,
                format!("{path}: {article} {kind} does not fit; allowed: {allowed}{list}"),
            )
        })?;
        key.shape()
            .check(&text)
            .map_err(|message| self.error(line, format!("{path}: {message}")))?;
        Ok(text)
    }

    /// Returns the tables of a list as JSON.
    fn tables(
        &self,
        shape: Shape,
        path: &str,
        line: usize,
        tables: &[Spanned<DeValue<'_>>],
        keys: &[Key],
    ) -> Result<String, ConfigErrors> {
        let (mut list, mut errors) = (Vec::new(), Vec::new());
        for table in tables {
            let line = self.line_of(table, line);
            let DeValue::Table(table) = table.get_ref() else {
                let noun = shape.table_noun();
                errors.push(self.error(line, format!("{path}: a {noun} is a table")));
                continue;
            };
            list.push(self.named_table(shape, path, line, table, keys, &mut errors));
        }
        match errors.is_empty() {
            true => Ok(serde_json::Value::Array(list).to_string()),
            false => Err(ConfigErrors(errors)),
        }
    }

    fn table_lines(&self, line: usize, value: &DeValue<'_>) -> Vec<usize> {
        match value {
            DeValue::Array(items) => items.iter().map(|item| self.line_of(item, line)).collect(),
            _ => Vec::new(),
        }
    }

    /// Returns the line of a value, which is that of its key if the value has no place of its own.
    fn line_of(&self, value: &Spanned<DeValue<'_>>, line: usize) -> usize {
        match value.span().is_empty() {
            true => line,
            false => self.line(value.span().start),
        }
    }

    fn named_table(
        &self,
        shape: Shape,
        path: &str,
        line: usize,
        table: &DeTable<'_>,
        keys: &[Key],
        errors: &mut Vec<ConfigError>,
    ) -> serde_json::Value {
        let mut object = serde_json::Map::new();
        for (option, value) in table {
            let line = self.line(option.span().start);
            let option = option.get_ref().as_ref();
            if let (NAME, DeValue::String(name)) = (option, value.get_ref()) {
                object.insert(NAME.to_owned(), name.to_string().into());
                continue;
            }
            let Some(key) = keys.iter().find(|key| key.id() == option) else {
                let message = unknown_option(option, keys);
                errors.push(self.error(line, format!("{path}: {message}")));
                continue;
            };
            match self.option(key, path, line, value) {
                Ok(value) => drop(object.insert(option.to_owned(), value)),
                Err(error) => errors.push(error),
            }
        }
        if !object.contains_key(NAME) {
            let noun = shape.table_noun();
            errors.push(self.error(line, format!("{path}: a {noun} needs a name")));
        }
        object.into()
    }

    /// Returns the value of an option in a table as JSON.
    fn option(
        &self,
        key: &Key,
        path: &str,
        line: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<serde_json::Value, ConfigError> {
        let path = format!("{path}: {}", key.id());
        if let (DeValue::Array(items), true) = (value.get_ref(), key.is_list()) {
            let items = items.iter().map(|item| {
                let text = self.checked(key, &path, line, item)?;
                Ok(serde_json::Value::from(text))
            });
            return Ok(items.collect::<Result<Vec<_>, ConfigError>>()?.into());
        }
        let text = self.checked(key, &path, line, value)?;
        Ok(match value.get_ref() {
            DeValue::Integer(_) => text.parse::<u64>().map_or(text.into(), Into::into),
            DeValue::Boolean(value) => (*value).into(),
            inner @ DeValue::Table(_) => json(inner),
            _ => text.into(),
        })
    }

    fn unknown(&self, line: usize, section: Option<&str>, name: &str) -> ConfigError {
        let path = path(section, name);
        let here = self
            .keys
            .iter()
            .filter(|key| key.path().is_some() && key.section() == section);
        let mut allowed: Vec<_> = here.map(|key| key.name().to_owned()).collect();
        allowed.extend(self.subsections(section));
        // The key may exist in another section, or be misspelt.
        let elsewhere = self
            .keys
            .iter()
            .find(|key| key.name() == name || key.id() == name)
            .and_then(Key::path);
        let misspelt = || {
            let words = allowed.iter().map(|word| {
                let word = word.trim_matches(['[', ']']);
                word.rsplit_once('.').map_or(word, |(_, name)| name)
            });
            let words: Vec<_> = words.collect();
            nearest(name, &words).map(|word| self::path(section, word))
        };
        let hint = match elsewhere.or_else(misspelt) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("allowed here: {}", allowed.join(", ")),
        };
        self.error(line, format!("unknown key {path}; {hint}"))
    }

    /// Returns whether there are keys in this section or below it.
    fn is_section(&self, path: &str) -> bool {
        let mut sections = self.keys.iter().filter_map(Key::section);
        sections.any(|section| {
            section
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// Returns the sections within a section, in brackets: those at the top of the file for `None`.
    fn subsections(&self, section: Option<&str>) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for path in self.keys.iter().filter_map(Key::section) {
            let below = match section {
                None => Some(path),
                Some(section) => path
                    .strip_prefix(section)
                    .and_then(|rest| rest.strip_prefix('.')),
            };
            // A section can be there for those within it alone, as channel.proxy is.
            let name = below.and_then(|below| below.split('.').next());
            let bracketed = name.map(|name| format!("[{}]", self::path(section, name)));
            if let Some(bracketed) = bracketed
                && !found.contains(&bracketed)
            {
                found.push(bracketed);
            }
        }
        found
    }

    fn error(&self, line: usize, message: String) -> ConfigError {
        ConfigError::File {
            file: self.file.to_owned(),
            line,
            message,
        }
    }

    fn line(&self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }
}

fn path(section: Option<&str>, name: &str) -> String {
    section.map_or_else(|| name.to_owned(), |section| format!("{section}.{name}"))
}

/// Returns the value as the command line has it; `None` if its type doesn't fit the key.
fn scalar(key: &Key, value: &DeValue<'_>) -> Option<String> {
    let shape = key.shape();
    match value {
        DeValue::String(text) if shape.takes_string() => Some(text.to_string()),
        DeValue::Integer(number) if shape.takes_integer() => Some(match number.radix() {
            10 => number.as_str().replace('_', ""),
            radix => u64::from_str_radix(number.as_str(), radix)
                .ok()?
                .to_string(),
        }),
        DeValue::Boolean(value) if shape.takes_boolean() => Some(value.to_string()),
        DeValue::Table(_) if shape.takes_table() => Some(json(value).to_string()),
        _ => None,
    }
}

/// Returns a value of any shape as JSON. What JSON doesn't have is a string.
fn json(value: &DeValue<'_>) -> serde_json::Value {
    match value {
        DeValue::String(text) => text.to_string().into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| number.as_str().into(), serde_json::Value::from),
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .map_or_else(|_| number.as_str().into(), serde_json::Value::from),
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => table
            .iter()
            .map(|(name, value)| (name.get_ref().to_string(), json(value.get_ref())))
            .collect(),
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}
