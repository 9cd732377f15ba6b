//! Errors of the configuration.

use std::{fmt, path::PathBuf};

/// An error of the configuration. The text is one line: the place, the key and what is allowed.
#[derive(Debug)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    Unreadable {
        file: PathBuf,
        error: std::io::Error,
    },
    /// The file is not TOML.
    Syntax {
        file: PathBuf,
        line: usize,
        message: String,
    },
    /// A key or value in the file is not allowed.
    File {
        file: PathBuf,
        line: usize,
        message: String,
    },
    /// An environment variable holds a bad value.
    Environment { name: String, message: String },
    /// Values exclude each other.
    Together(String),
}

/// What is wrong with a configuration: at least one error.
#[derive(Debug)]
pub(crate) struct ConfigErrors(pub(crate) Vec<ConfigError>);

impl ConfigError {
    /// Returns the line of the file, if the error is in one.
    pub(crate) fn line(&self) -> Option<usize> {
        match self {
            Self::Syntax { line, .. } | Self::File { line, .. } => Some(*line),
            _ => None,
        }
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("; "))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, error } => {
                write!(f, "cannot read configuration {}: {error}", file.display())
            }
            Self::Syntax {
                file,
                line,
                message,
            } => {
                write!(f, "{}:{line}: not TOML: {message}", file.display())
            }
            Self::File {
                file,
                line,
                message,
            } => write!(f, "{}:{line}: {message}", file.display()),
            Self::Environment { name, message } => write!(f, "{name}: {message}"),
            Self::Together(message) => f.write_str(message),
        }
    }
}
