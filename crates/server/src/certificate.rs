//! Reads the configured certificate.

use sockeye::ServerTls;

use crate::config::Config;

/// Reads the certificate and its key; `None` without TLS.
pub(crate) fn read(config: &Config) -> Result<Option<ServerTls>, String> {
    let (Some(cert), Some(key)) = (&config.tls_cert, &config.tls_key) else {
        return Ok(None);
    };
    ServerTls::from_files(cert, key)
        .map(Some)
        .map_err(|error| error.report().to_string())
}
