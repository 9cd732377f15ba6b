//! The configuration file: TOML whose keys are all known.

use std::path::Path;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{ConfigError, key::Key};

/// A checked value of the file, as text.
#[derive(Debug)]
pub(crate) struct FileValue {
    pub(crate) id: String,
    pub(crate) values: Vec<String>,
    pub(crate) line: usize,
}

/// Reads `text`, the content of `file`.
pub(crate) fn read(file: &Path, text: &str, keys: &[Key]) -> Result<Vec<FileValue>, ConfigError> {
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
    let mut found = Vec::new();
    reader.table(None, table.get_ref(), &mut found)?;
    Ok(found)
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
    ) -> Result<(), ConfigError> {
        for (name, value) in table {
            let line = self.line(name.span().start);
            let name = name.get_ref();
            if let (None, DeValue::Table(inner)) = (section, value.get_ref())
                && self.sections().contains(&name.as_ref())
            {
                self.table(Some(name), inner, found)?;
                continue;
            }
            let key = self.keys.iter().find(|key| {
                key.path().is_some() && key.section() == section && key.name() == name.as_ref()
            });
            let key = key.ok_or_else(|| self.unknown(line, section, name))?;
            found.push(FileValue {
                id: key.id().to_owned(),
                values: self.values(key, line, value)?,
                line,
            });
        }
        Ok(())
    }

    fn values(
        &self,
        key: &Key,
        line: usize,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<String>, ConfigError> {
        let path = key.path().unwrap_or_default();
        let items = match value.get_ref() {
            DeValue::Array(items) if key.is_list() && !items.is_empty() => items.iter().collect(),
            _ => vec![value],
        };
        let mut values = Vec::new();
        for item in items {
            let line = if item.span().is_empty() {
                line
            } else {
                self.line(item.span().start)
            };
            let text = scalar(key, item.get_ref()).ok_or_else(|| {
                let list = if key.is_list() {
                    ", or a list of them"
                } else {
                    ""
                };
                let kind = item.get_ref().type_str();
                self.error(
                    line,
                    format!(
                        "{path}: {} {kind} does not fit; allowed: {}{list}",
                        article(kind),
                        key.shape().allowed()
                    ),
                )
            })?;
            key.shape()
                .check(&text)
                .map_err(|message| self.error(line, format!("{path}: {message}")))?;
            values.push(text);
        }
        Ok(values)
    }

    fn unknown(&self, line: usize, section: Option<&str>, name: &str) -> ConfigError {
        let path = section.map_or_else(|| name.to_owned(), |section| format!("{section}.{name}"));
        let here = self
            .keys
            .iter()
            .filter(|key| key.path().is_some() && key.section() == section);
        let mut allowed: Vec<_> = here.map(|key| key.name().to_owned()).collect();
        if section.is_none() {
            allowed.extend(self.sections().iter().map(|section| format!("[{section}]")));
        }
        // The key may exist in another section.
        let elsewhere = self
            .keys
            .iter()
            .find(|key| key.name() == name || key.id() == name)
            .and_then(Key::path);
        let hint = elsewhere
            .map(|path| format!("; did you mean {path}?"))
            .unwrap_or_default();
        self.error(
            line,
            format!(
                "unknown key {path}{hint}; allowed here: {}",
                allowed.join(", ")
            ),
        )
    }

    fn sections(&self) -> Vec<&str> {
        let mut sections: Vec<_> = self.keys.iter().filter_map(Key::section).collect();
        sections.dedup();
        sections
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
        _ => None,
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}
