//! Which Unix socket a client connects to instead of TCP, set by the program or named in the URL.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::PathBuf};

use percent_encoding::percent_decode_str;

use crate::{
    client::{connect::Connect, target::shown},
    error::{Error, ErrorKind},
};

impl Connect {
    /// Connects to this Unix socket, whatever the host and the port of the URL: those of a redirect too. `Host`, SNI and the
    /// check of the certificate keep the name of the URL. No proxy is used and no name is resolved. Default: TCP.
    ///
    /// A URL can name the socket as well, as in Node's `ws`: `ws+unix:/run/feed.sock:/echo` has the socket's path before
    /// the second colon and the request's path after it; its host is `localhost`, and `wss+unix:` speaks TLS. A colon in
    /// the socket's path is written `%3A`. A socket that is set here takes precedence.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), sockeye::Error> {
    /// let websocket = sockeye::connect("ws://localhost/echo").unix_socket("/run/feed.sock").await?;
    /// let the_same = sockeye::connect("ws+unix:/run/feed.sock:/echo").await?;
    /// # Ok(()) }
    /// ```
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.unix_socket = Some(path.into());
        self
    }

    /// Returns the URL to request, and the Unix socket to which to connect.
    pub(super) fn location(&self) -> Result<(String, Option<PathBuf>), Error> {
        let own = self.unix_socket.clone();
        match split(&self.url)? {
            None => Ok((self.url.clone(), own)),
            Some((url, socket)) => Ok((url, own.or(Some(socket)))),
        }
    }
}

/// Splits `ws+unix:PATH:REQUEST` into `ws://localhost` with the request, and the path. `None` for other URLs.
fn split(text: &str) -> Result<Option<(String, PathBuf)>, Error> {
    let (scheme, rest) = match text.split_once("+unix:") {
        Some((scheme @ ("ws" | "wss"), rest)) => (scheme, rest),
        _ => return Ok(None),
    };
    let refuse = |why: &str| Error::new(ErrorKind::Url, format!("`{}` {why}", shown(text)));
    let rest = match rest.strip_prefix("//") {
        Some(rest) if rest.starts_with('/') => rest,
        Some(_) => return Err(refuse("has a host, which the URL of a Unix socket can't")),
        None => rest,
    };
    let (socket, request) = rest.split_once(':').unwrap_or((rest, "/"));
    if socket.is_empty() {
        return Err(refuse("names no Unix socket"));
    }
    if !request.starts_with('/') {
        return Err(refuse("has a request path that doesn't begin with /"));
    }
    let socket: Vec<u8> = percent_decode_str(socket).collect();
    let url = format!("{scheme}://localhost{request}");
    Ok(Some((url, OsString::from_vec(socket).into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_the_socket_and_the_request() {
        for (text, url, socket) in [
            ("ws+unix:/run/a.sock", "ws://localhost/", "/run/a.sock"),
            (
                "ws+unix:/run/a.sock:/echo?x=1:2",
                "ws://localhost/echo?x=1:2",
                "/run/a.sock",
            ),
            ("ws+unix:///run/a.sock:/", "ws://localhost/", "/run/a.sock"),
            ("wss+unix:a%3Ab%20c:/p", "wss://localhost/p", "a:b c"),
        ] {
            let expected = Some((url.to_owned(), PathBuf::from(socket)));
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn other_urls_are_left_alone() {
        for text in [
            "ws://a/ws+unix:/b",
            "http+unix:/run/a.sock",
            "ws://a.example/",
        ] {
            assert_eq!(split(text).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn a_url_without_a_socket_or_with_a_host_is_refused() {
        for text in [
            "ws+unix:",
            "ws+unix::/a",
            "ws+unix://run/a.sock",
            "ws+unix:/a.sock:b",
        ] {
            assert_eq!(split(text).unwrap_err().kind(), ErrorKind::Url, "{text}");
        }
    }
}
