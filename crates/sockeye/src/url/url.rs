//! A URL with a host.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::url::{error::UrlError, host::Host};

/// A URL with a host: of the schemes `ws`, `wss`, `http`, `https` and other special ones, or of any other scheme that is
/// followed by `//`, which is parsed in the same way.
///
/// All parts are percent-encoded as the URL Standard has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// In lower case, without the colon.
    scheme: String,
    /// Empty if there is none.
    username: String,
    password: Option<String>,
    host: Host,
    /// `None` for the default of the scheme.
    port: Option<u16>,
    /// Begins with a slash.
    path: String,
    /// Without the `?`.
    query: Option<String>,
    /// Without the `#`.
    fragment: Option<String>,
}

/// The URL Standard's percent-encode sets.
const FRAGMENT: AsciiSet = CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`');
const QUERY: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\'');
const PATH: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}');
const USERINFO: AsciiSet = PATH
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'=')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'|');

impl Url {
    /// Parses an absolute URL.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let text = cleaned(text);
        let (scheme, rest) = split_scheme(&text).ok_or(UrlError::NoScheme)?;
        Self::parse_authority(scheme, rest.trim_start_matches(is_slash))
    }

    /// Parses a reference to another URL, as that of a redirect: absolute, or relative to this one.
    pub(crate) fn join(&self, text: &str) -> Result<Self, UrlError> {
        let text = cleaned(text);
        let rest = match split_scheme(&text) {
            Some((scheme, rest))
                if scheme != self.scheme
                    || rest.starts_with(is_slash) && rest[1..].starts_with(is_slash) =>
            {
                return Self::parse_authority(scheme, rest.trim_start_matches(is_slash));
            }
            Some((_, rest)) => rest,
            None => &text,
        };
        if rest.starts_with(is_slash) && rest[1..].starts_with(is_slash) {
            let scheme = self.scheme.clone();
            return Self::parse_authority(scheme, rest.trim_start_matches(is_slash));
        }
        let mut url = Self {
            fragment: None,
            ..self.clone()
        };
        let directory = match rest.chars().next() {
            None | Some('#') => {
                url.set_tail(rest);
                return Ok(url);
            }
            Some('?') => {
                url.query = None;
                url.set_tail(rest);
                return Ok(url);
            }
            Some(first) if is_slash(first) => String::new(),
            Some(_) => {
                let end = self.path.rfind('/').unwrap_or_default();
                self.path[..end].to_owned()
            }
        };
        url.query = None;
        url.set_path_and_tail(directory, rest);
        Ok(url)
    }

    /// Parses what follows the slashes behind the scheme.
    fn parse_authority(scheme: String, text: &str) -> Result<Self, UrlError> {
        let end = text
            .find(|c| is_slash(c) || c == '?' || c == '#')
            .unwrap_or(text.len());
        let (authority, rest) = text.split_at(end);
        let (userinfo, host_and_port) = match authority.rsplit_once('@') {
            Some((userinfo, host_and_port)) => (userinfo, host_and_port),
            None => ("", authority),
        };
        let (username, password) = match userinfo.split_once(':') {
            Some((username, password)) => (username, Some(password)),
            None => (userinfo, None),
        };
        let (host, port) = split_port(host_and_port);
        if host.is_empty() {
            return Err(UrlError::NoHost);
        }
        let host = Host::parse(host)?;
        let mut url = Self {
            port: parse_port(port)?.filter(|port| default_port(&scheme) != Some(*port)),
            scheme,
            username: encoded(username, &USERINFO),
            password: password
                .filter(|password| !password.is_empty())
                .map(|password| encoded(password, &USERINFO)),
            host,
            path: String::new(),
            query: None,
            fragment: None,
        };
        url.set_path_and_tail(String::new(), rest);
        Ok(url)
    }

    /// Sets path, query and fragment. `directory` is what the path of `text` is relative to, without a slash at its end.
    fn set_path_and_tail(&mut self, directory: String, text: &str) {
        let end = text.find(['?', '#']).unwrap_or(text.len());
        let (path, tail) = text.split_at(end);
        self.path = directory;
        let path = path.strip_prefix(is_slash).unwrap_or(path);
        let mut segments = path.split(is_slash).peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            match dots(segment) {
                Dots::None => {
                    self.path.push('/');
                    self.path.push_str(&encoded(segment, &PATH));
                }
                Dots::One => {}
                Dots::Two => self.path.truncate(self.path.rfind('/').unwrap_or_default()),
            }
            if is_last && dots(segment) != Dots::None {
                self.path.push('/');
            }
        }
        self.set_tail(tail);
    }

    /// Sets query and fragment, as far as `text` has them.
    fn set_tail(&mut self, text: &str) {
        let (query, fragment) = match text.split_once('#') {
            Some((query, fragment)) => (query, Some(fragment)),
            None => (text, None),
        };
        if let Some(query) = query.strip_prefix('?') {
            self.query = Some(encoded(query, &QUERY));
        }
        self.fragment = fragment.map(|fragment| encoded(fragment, &FRAGMENT));
    }

    pub(crate) fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns the user, percent-encoded; empty if there is none.
    pub(crate) fn username(&self) -> &str {
        &self.username
    }

    /// Returns the password, percent-encoded.
    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Returns the port; `None` for the default of the scheme.
    pub(crate) fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns the port, or the default of the scheme; `None` for a scheme without one.
    pub(crate) fn port_or_default(&self) -> Option<u16> {
        self.port.or_else(|| default_port(&self.scheme))
    }

    /// Returns path and query as they stand in a request line.
    pub(crate) fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    pub(crate) fn fragment(&self) -> Option<&str> {
        self.fragment.as_deref()
    }

    pub(crate) fn remove_fragment(&mut self) {
        self.fragment = None;
    }

    pub(crate) fn remove_userinfo(&mut self) {
        self.username.clear();
        self.password = None;
    }

    /// Replaces the scheme by one with the same default port.
    pub(crate) fn set_scheme(&mut self, scheme: &str) {
        scheme.clone_into(&mut self.scheme);
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if !self.username.is_empty() || self.password.is_some() {
            f.write_str(&self.username)?;
            if let Some(password) = &self.password {
                write!(f, ":{password}")?;
            }
            f.write_str("@")?;
        }
        self.host.fmt(f)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)?;
        if let Some(query) = &self.query {
            write!(f, "?{query}")?;
        }
        if let Some(fragment) = &self.fragment {
            write!(f, "#{fragment}")?;
        }
        Ok(())
    }
}

/// Removes what the URL Standard ignores: control characters and spaces at both ends, tabs and line ends everywhere.
fn cleaned(text: &str) -> String {
    let text = text.trim_matches(|c: char| c <= ' ');
    text.replace(['\t', '\n', '\r'], "")
}

/// Returns the scheme, in lower case, and what follows its colon.
fn split_scheme(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then(|| (scheme.to_ascii_lowercase(), rest))
}

/// Special schemes have backslashes for slashes.
fn is_slash(c: char) -> bool {
    matches!(c, '/' | '\\')
}

/// Splits at the colon behind the host, which may be an IPv6 address in brackets.
fn split_port(text: &str) -> (&str, &str) {
    let after_brackets = match text.starts_with('[') {
        true => text.find(']').unwrap_or(text.len()),
        false => 0,
    };
    match text[after_brackets..].find(':') {
        Some(colon) => (
            &text[..after_brackets + colon],
            &text[after_brackets + colon + 1..],
        ),
        None => (text, ""),
    }
}

fn parse_port(text: &str) -> Result<Option<u16>, UrlError> {
    if text.is_empty() {
        return Ok(None);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UrlError::BadPort);
    }
    let significant = text.trim_start_matches('0');
    match significant.is_empty() {
        true => Ok(Some(0)),
        false => significant.parse().map(Some).map_err(|_| UrlError::BadPort),
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "ws" | "http" => Some(80),
        "wss" | "https" => Some(443),
        "ftp" => Some(21),
        _ => None,
    }
}

fn encoded(text: &str, set: &'static AsciiSet) -> String {
    utf8_percent_encode(text, set).to_string()
}

/// Whether a segment of a path stands for the directory, or for the one above it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dots {
    None,
    One,
    Two,
}

fn dots(segment: &str) -> Dots {
    match segment.to_ascii_lowercase().replace("%2e", ".").as_str() {
        "." => Dots::One,
        ".." => Dots::Two,
        _ => Dots::None,
    }
}
