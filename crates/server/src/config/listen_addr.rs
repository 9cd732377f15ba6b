//! Where the server listens: an address, a Unix socket, or a socket of the service manager. Who may use a Unix socket.

use std::{fmt, path::PathBuf, str::FromStr};

use super::shape::Shape;

/// A place to listen: `HOST:PORT`, `unix:PATH`, `fd:NUMBER` or `fd:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListenAddr {
    Tcp {
        /// A name, an IPv4 address or an IPv6 address without brackets.
        host: String,
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
    /// The number or the name of a socket that the service manager passes.
    Passed(String),
}

impl FromStr for ListenAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || Shape::Addr.refuse(text);
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.is_empty() || path.contains('\0') {
                true => Err(refuse()),
                false => Ok(Self::Unix(path.into())),
            };
        }
        if let Some(socket) = text.strip_prefix("fd:") {
            // sd_listen_fds_with_names(3): what a name consists of. The colon separates them.
            let is_name = socket.bytes().all(|b| b.is_ascii_graphic() && b != b':');
            return match is_name && (1..=PASSED_NAME_BYTES_MAX).contains(&socket.len()) {
                true => Ok(Self::Passed(socket.to_owned())),
                false => Err(refuse()),
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(refuse)?;
        if host.is_empty() {
            // Other programs take it for every interface. Nothing is reachable from outside by accident here.
            return Err(format!(
                "{text:?} has no host; say 0.0.0.0:{port} or 127.0.0.1:{port}"
            ));
        }
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(refuse)?,
            None if host.contains(':') => return Err(refuse()),
            None => host,
        };
        let name = host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-_:%".contains(&b));
        let port = port
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| port.parse().ok())
            .flatten();
        match port {
            Some(port) if name => Ok(Self::Tcp {
                host: host.to_owned(),
                port,
            }),
            _ => Err(refuse()),
        }
    }
}

/// Bytes, as systemd allows.
const PASSED_NAME_BYTES_MAX: usize = 255;

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Passed(socket) => write!(f, "fd:{socket}"),
        }
    }
}

/// The mode of a file, in octal: `660`, `0660`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileMode(pub(crate) u32);

impl FromStr for FileMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_octal = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        match u32::from_str_radix(text, 8) {
            Ok(mode @ 0..=0o777) if is_octal => Ok(Self(mode)),
            _ => Err(Shape::Mode.refuse(text)),
        }
    }
}

/// The owner of a file: `USER`, `USER:GROUP` or `:GROUP`, each a name or a number. One of them is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileOwner {
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
}

impl FromStr for FileOwner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let is_name = |name: &str| {
            let mut bytes = name.bytes();
            bytes.all(|b| b.is_ascii_alphanumeric() || b"._-@$".contains(&b))
        };
        let is_wrong = group.is_some_and(|group| group.is_empty() || !is_name(group));
        if is_wrong || !is_name(user) || user.is_empty() && group.is_none() {
            return Err(Shape::Owner.refuse(text));
        }
        Ok(Self {
            user: Some(user.to_owned()).filter(|user| !user.is_empty()),
            group: group.map(ToOwned::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        let shown = |text: &str| text.parse::<ListenAddr>().map(|addr| addr.to_string());
        assert_eq!(shown("127.0.0.1:8080").unwrap(), "127.0.0.1:8080");
        assert_eq!(shown("[::1]:0").unwrap(), "[::1]:0");
        assert_eq!(
            shown(":80").unwrap_err(),
            "\":80\" has no host; say 0.0.0.0:80 or 127.0.0.1:80"
        );
        for bad in [
            "",
            "8080",
            "::1:80",
            "[::1:80",
            "a:65536",
            "a:+1",
            "a:",
            "a b:1",
            "http://a:1",
        ] {
            assert!(shown(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unix_sockets_have_a_path_and_passed_sockets_a_number_or_a_name() {
        let unix = ListenAddr::Unix("/run/a b:c.sock".into());
        assert_eq!("unix:/run/a b:c.sock".parse(), Ok(unix));
        for socket in ["3", "web", "sockeye.socket"] {
            let passed = ListenAddr::Passed(socket.to_owned());
            assert_eq!(format!("fd:{socket}").parse(), Ok(passed));
        }
        for bad in ["unix:", "fd:", "fd:a:b", "fd:a b", "unix"] {
            assert!(bad.parse::<ListenAddr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!("660".parse(), Ok(FileMode(0o660)));
        assert_eq!("0600".parse(), Ok(FileMode(0o600)));
        for bad in ["", "8", "+66", "1777", "00660", "rw-rw----"] {
            assert!(bad.parse::<FileMode>().is_err(), "{bad}");
        }
    }

    #[test]
    fn owners_are_a_user_a_group_or_both() {
        let owner = |user: Option<&str>, group: Option<&str>| {
            Ok(FileOwner {
                user: user.map(ToOwned::to_owned),
                group: group.map(ToOwned::to_owned),
            })
        };
        assert_eq!("www-data".parse(), owner(Some("www-data"), None));
        assert_eq!("33:nginx".parse(), owner(Some("33"), Some("nginx")));
        assert_eq!(":nginx".parse(), owner(None, Some("nginx")));
        for bad in ["", ":", "a:", "a:b:c", "a b"] {
            assert!(bad.parse::<FileOwner>().is_err(), "{bad}");
        }
    }
}
