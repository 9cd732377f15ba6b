//! Connects by the options.

use std::{io::Write as _, path::Path};

use http::HeaderValue;
use sockeye::{ClientTls, Connect, Error, Http2, Proxy, Settings};

use super::DialArgs;

/// Returns the `Connect` that the options describe, or an error in one line. Fits the limits and the outbox of `settings` to
/// `--max-message`.
pub(crate) fn dial(args: &DialArgs, mut settings: Settings) -> Result<Connect, String> {
    let mut connect = sockeye::connect(url(&args.url));
    for (name, value) in &args.header {
        // Bytes beyond ASCII too, which a string's own conversion refuses.
        connect = match HeaderValue::from_bytes(value.as_bytes()) {
            Ok(value) => connect.header(name, value),
            Err(_) => connect.header(name, value),
        };
    }
    for resolve in &args.resolve {
        let addresses = resolve.addresses.iter().copied();
        connect = connect.resolve(&resolve.host, resolve.port, addresses);
    }
    if let Some(path) = &args.unix_socket {
        connect = connect.unix_socket(path);
    }
    if let Some(origin) = &args.origin {
        connect = connect.header("Origin", origin);
    }
    if !args.subprotocol.is_empty() {
        connect = connect.subprotocols(&args.subprotocol);
    }
    settings.limits.message_bytes_max = args.max_message.0;
    settings.outbox_bytes_max = settings.outbox_bytes_max.max(2 * args.max_message.0);
    connect = connect.settings(settings).tls(tls(args)?);
    connect = match &args.proxy {
        Some(proxy) => connect.proxy(parse_proxy(proxy)?),
        None if args.no_proxy => connect,
        None => connect.proxy(Proxy::from_env().map_err(|error| error.report().to_string())?),
    };
    // The caller limits the time of all phases together.
    let limit = args.timeout.0;
    connect = connect
        .resolve_timeout(limit)
        .connect_timeout(limit)
        .proxy_timeout(limit);
    connect = connect
        .tls_timeout(limit)
        .handshake_timeout(limit)
        .redirects_max(args.redirects);
    if args.http2 {
        let is_plain = ["ws://", "ws+unix:"];
        if is_plain
            .iter()
            .any(|scheme| url(&args.url).starts_with(scheme))
        {
            return Err("--http2: it is agreed upon by TLS, so the URL must be wss://".to_owned());
        }
        connect = connect.http2(Http2::Auto);
    }
    Ok(connect)
}

/// Warns on stderr about `--insecure`.
pub(crate) fn warn_if_insecure(args: &DialArgs) {
    if args.insecure {
        // A closed stderr doesn't prevent connecting.
        let _ = writeln!(
            std::io::stderr(),
            "sockeye: warning: any certificate is accepted (--insecure): the connection can be read and changed on its way"
        );
    }
}

/// Completes a URL: `example.com/feed` means `ws://example.com/feed`. Accepts `http` and `https`, as address bars have them,
/// and the `ws+unix:` of Unix sockets, which has no slashes.
pub(crate) fn url(text: &str) -> String {
    for (theirs, ours) in [("http://", "ws://"), ("https://", "wss://")] {
        if let Some(rest) = text.strip_prefix(theirs) {
            return format!("{ours}{rest}");
        }
    }
    if text.contains("://") || text.starts_with("ws+unix:") || text.starts_with("wss+unix:") {
        text.to_owned()
    } else {
        format!("ws://{text}")
    }
}

fn parse_proxy(text: &str) -> Result<Proxy, String> {
    let proxy = if text.starts_with("socks5") {
        Proxy::socks5(text)
    } else {
        Proxy::http(text)
    };
    proxy.map_err(|error| about("--proxy", &error))
}

fn tls(args: &DialArgs) -> Result<ClientTls, String> {
    let mut tls = ClientTls::new();
    if let Some(file) = &args.cacert {
        tls = tls
            .root(read("--cacert", file)?)
            .map_err(|error| about("--cacert", &error))?;
    }
    if let (Some(cert), Some(key)) = (&args.cert, &args.key) {
        let (cert, key) = (read("--cert", cert)?, read("--key", key)?);
        tls = tls
            .client_certificate(cert, key)
            .map_err(|error| about("--cert", &error))?;
    }
    if args.insecure {
        tls = tls.dangerous_accept_any_certificate();
    }
    Ok(tls)
}

fn about(flag: &str, error: &Error) -> String {
    format!("{flag}: {}", error.report())
}

fn read(flag: &str, file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("{flag} {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_scheme_is_ws() {
        assert_eq!(url("localhost:8080/echo"), "ws://localhost:8080/echo");
        assert_eq!(url("https://a"), "wss://a");
        assert_eq!(url("wss://a"), "wss://a");
        assert_eq!(url("ws+unix:/run/a.sock:/b"), "ws+unix:/run/a.sock:/b");
    }
}
