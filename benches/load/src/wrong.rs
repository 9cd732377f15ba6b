//! Why there is no figure.

use std::{fmt, io};

/// What went wrong: the server's answer, or the system beneath.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// The server sent something else than it should have.
    Answer(String),
    /// The server ended a connection.
    Closed,
    /// Nothing came for so many seconds.
    Silence(u64),
    /// The system refused.
    System(&'static str, io::Error),
}

impl Wrong {
    /// For `map_err`: what was being done when the system refused.
    pub(crate) fn system(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::System(doing, error)
    }

    /// The first byte that differs.
    pub(crate) fn differs(found: &[u8], expected: &[u8]) -> Self {
        let at = found.iter().zip(expected).position(|(a, b)| a != b);
        let at = at.unwrap_or_else(|| found.len().min(expected.len()));
        let near = |bytes: &[u8]| format!("{:02x?}", &bytes[at..bytes.len().min(at + 12)]);
        Self::Answer(format!(
            "byte {at} of {}: expected {}, found {}",
            found.len(),
            near(expected),
            near(found)
        ))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(what) => write!(f, "wrong answer: {what}"),
            Self::Closed => f.write_str("the server ended a connection"),
            Self::Silence(seconds) => write!(f, "nothing came for {seconds} s"),
            Self::System(doing, error) => write!(f, "{doing}: {error}"),
        }
    }
}
