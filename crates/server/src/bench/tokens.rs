//! Connections that differ by a token.

use std::path::Path;

use sockeye::{Connect, Settings};

use crate::dial::{DialArgs, dial, url};

/// The `Connect` of each connection. They differ by a token, if there are tokens.
pub(crate) struct Dials {
    /// Without what holds [`PLACE`].
    base: Connect,
    places: Places,
    /// Empty if nothing differs.
    tokens: Vec<String>,
}

/// Whether a token has a place where [`PLACE`] need not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    None,
    /// In the first message of the client.
    FirstMessage,
}

/// What holds [`PLACE`].
struct Places {
    url: Option<String>,
    headers: Vec<(String, String)>,
    /// All of them, since their order counts; empty if none holds it.
    subprotocols: Vec<String>,
}

impl Dials {
    /// Reads the tokens and checks the options.
    pub(crate) fn new(
        args: &DialArgs,
        settings: Settings,
        token_file: Option<&Path>,
        elsewhere: Elsewhere,
    ) -> Result<Self, String> {
        let has_place = |text: &str| text.contains(PLACE);
        let Some(file) = token_file else {
            let mut places = args.header.iter().map(|(_, value)| value);
            let is_placed = has_place(&args.url)
                || places.any(|value| has_place(value))
                || args.subprotocol.iter().any(|name| has_place(name));
            if is_placed {
                return Err(format!(
                    "{PLACE}: name the file with the tokens by --token-file"
                ));
            }
            return Ok(Self {
                base: dial(args, settings)?,
                places: Places::none(),
                tokens: Vec::new(),
            });
        };
        let tokens =
            read(file).map_err(|what| format!("--token-file {}: {what}", file.display()))?;
        let mut args = args.clone();
        let mut places = Places::none();
        places.url = has_place(&args.url).then(|| args.url.clone());
        (places.headers, args.header) = args
            .header
            .into_iter()
            .partition(|(_, value)| has_place(value));
        if args.subprotocol.iter().any(|name| has_place(name)) {
            places.subprotocols = std::mem::take(&mut args.subprotocol);
        }
        if places.is_none() && elsewhere == Elsewhere::None {
            return Err(format!(
                "--token-file: put {PLACE} where the token goes: into the URL, a --header or a --subprotocol"
            ));
        }
        Ok(Self {
            base: dial(&args, settings)?,
            places,
            tokens,
        })
    }

    /// Returns the `Connect` of the connection with this number.
    pub(crate) fn connect(&self, number: usize) -> Connect {
        let mut connect = self.base.clone();
        let Some(token) = self.token(number) else {
            return connect;
        };
        if let Some(place) = &self.places.url {
            connect = connect.url(url(&place.replace(PLACE, &encoded(token))));
        }
        for (name, value) in &self.places.headers {
            connect = connect.header(name, value.replace(PLACE, token));
        }
        if !self.places.subprotocols.is_empty() {
            let names = self.places.subprotocols.iter();
            connect = connect.subprotocols(names.map(|name| name.replace(PLACE, token)));
        }
        connect
    }

    /// Returns the description of the connection with this number, without its token.
    pub(crate) fn without_token(&self, number: usize, text: String) -> String {
        match self.token(number) {
            Some(token) => text.replace(&encoded(token), PLACE).replace(token, PLACE),
            None => text,
        }
    }

    /// Returns the token of the connection with this number that goes into its first message, if none goes elsewhere.
    pub(crate) fn first_message_token(&self, number: usize) -> Option<&str> {
        self.token(number).filter(|_| self.places.is_none())
    }

    fn token(&self, number: usize) -> Option<&str> {
        let index = number.checked_rem(self.tokens.len())?;
        self.tokens.get(index).map(String::as_str)
    }
}

impl Places {
    fn none() -> Self {
        Self {
            url: None,
            headers: Vec::new(),
            subprotocols: Vec::new(),
        }
    }

    fn is_none(&self) -> bool {
        self.url.is_none() && self.headers.is_empty() && self.subprotocols.is_empty()
    }
}

/// Reads the tokens, one in each line. Skips empty lines.
fn read(file: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let mut tokens = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let token = line.trim();
        // Characters of a header field's value that need no quoting (RFC 9110 section 5.5). The token is secret and not
        // shown.
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "line {}: a token is visible ASCII without blanks",
                index + 1
            ));
        }
        if !token.is_empty() {
            tokens.push(token.to_owned());
        }
    }
    match tokens.is_empty() {
        true => Err("there is no token in it".to_owned()),
        false => Ok(tokens),
    }
}

/// Percent-encodes a token for a query.
fn encoded(token: &str) -> String {
    url::form_urlencoded::byte_serialize(token.as_bytes()).collect()
}

/// The placeholder of the token.
const PLACE: &str = "{token}";
