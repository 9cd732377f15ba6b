//! Reads the configured certificate, and the authorities of clients.

use std::fs;

use sockeye::ServerTls;

use crate::config::{ClientAuth, Config};

/// Reads the certificate and its key; `None` without TLS.
pub(crate) fn read(config: &Config) -> Result<Option<ServerTls>, String> {
    let (Some(cert), Some(key)) = (&config.tls_cert, &config.tls_key) else {
        return Ok(None);
    };
    let tls = ServerTls::from_files(cert, key).map_err(|error| error.report().to_string())?;
    let Some(file) = &config.tls_client_ca else {
        return Ok(Some(tls));
    };
    let about =
        |error: &dyn std::fmt::Display| format!("--tls-client-ca {}: {error}", file.display());
    let roots = fs::read(file).map_err(|error| about(&error))?;
    let asking = match config.tls_client_auth.unwrap_or(ClientAuth::Require) {
        ClientAuth::Off => return Ok(Some(tls)),
        ClientAuth::Request => tls.request_client_certificates(roots),
        ClientAuth::Require => tls.require_client_certificates(roots),
    };
    asking.map(Some).map_err(|error| about(&error.report()))
}
