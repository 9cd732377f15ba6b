//! What a hook's request over HTTP has beside its endpoint: a table in the file, JSON elsewhere.

use std::{collections::BTreeMap, fs, str::FromStr};

use serde::Deserialize;
use sockeye::ClientTls;
use sockeye_hub::Disconnect;

use super::shape::Shape;

/// Header fields, codes and TLS of a hook's requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ProxyHttp {
    /// Fields of every request, which a forwarded one replaces.
    pub(crate) static_headers: BTreeMap<String, String>,
    pub(crate) status_to_code_transforms: Vec<StatusTransform>,
    tls: ProxyTls,
}

/// What a client is told when the application answers with a status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StatusTransform {
    pub(crate) status_code: u16,
    pub(crate) to_error: ToError,
    pub(crate) to_disconnect: ToDisconnect,
}

/// The error of a transform. Code 0: none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ToError {
    pub(crate) code: u32,
    pub(crate) message: String,
    pub(crate) temporary: bool,
}

/// The disconnect of a transform. Code 0: none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ToDisconnect {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

/// TLS to an endpoint. Without it `https://` trusts the roots of the system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ProxyTls {
    enabled: bool,
    /// PEM, or the file that has it; so are the others.
    server_ca_pem: String,
    cert_pem: String,
    key_pem: String,
    server_name: String,
    insecure_skip_verify: bool,
}

impl FromStr for ProxyHttp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text is not shown, since it may hold secrets.
        let refuse = |message: &dyn std::fmt::Display| {
            let allowed = Shape::ProxyHttp.allowed();
            format!("{message}; allowed: {allowed}")
        };
        let http: Self = serde_json::from_str(text).map_err(|error| {
            let error = error.to_string();
            let reason = error.split(" at line ").next().unwrap_or_default();
            refuse(&reason)
        })?;
        for (name, value) in &http.static_headers {
            let is_field = http::HeaderName::from_str(name).is_ok()
                && http::HeaderValue::from_str(value).is_ok();
            if !is_field {
                return Err(refuse(&format!(
                    "static_headers: {name:?} is not a header field"
                )));
            }
        }
        for transform in &http.status_to_code_transforms {
            let status = transform.status_code;
            transform.check().map_err(|message| {
                refuse(&format!("status_to_code_transforms: {status}: {message}"))
            })?;
        }
        Ok(http)
    }
}

impl StatusTransform {
    fn check(&self) -> Result<(), String> {
        if !(100..600).contains(&self.status_code) {
            return Err("not a status_code".to_owned());
        }
        match (self.to_error.code, self.to_disconnect.code) {
            (0, 0) => Err("has no code".to_owned()),
            (_, 0) => Ok(()),
            (0, code) => Disconnect::of_application(code, self.to_disconnect.reason.clone())
                .map(|_| ())
                .map_err(|error| error.to_string()),
            _ => Err("has both an error and a disconnect".to_owned()),
        }
    }
}

impl ProxyHttp {
    /// Returns the TLS of requests, and the name that the certificate must have, if it isn't the URL's.
    ///
    /// # Errors
    /// A file can't be read, or isn't PEM.
    pub(crate) fn tls(&self) -> Result<(ClientTls, Option<String>), String> {
        let keys = &self.tls;
        let mut tls = ClientTls::new();
        if !keys.enabled {
            return Ok((tls, None));
        }
        let used = |name: &str, result: Result<ClientTls, sockeye::Error>| {
            result.map_err(|error| format!("http.tls.{name}: {}", error.report()))
        };
        if !keys.server_ca_pem.is_empty() {
            tls = used(
                "server_ca_pem",
                tls.roots_only(pem("server_ca_pem", &keys.server_ca_pem)?),
            )?;
        }
        if !keys.cert_pem.is_empty() || !keys.key_pem.is_empty() {
            let certificate = pem("cert_pem", &keys.cert_pem)?;
            let key = pem("key_pem", &keys.key_pem)?;
            tls = used("cert_pem", tls.client_certificate(certificate, key))?;
        }
        if keys.insecure_skip_verify {
            tls = tls.dangerous_accept_any_certificate();
        }
        let server_name = Some(keys.server_name.clone()).filter(|name| !name.is_empty());
        Ok((tls, server_name))
    }
}

/// Returns PEM that is given itself, or by the name of its file.
fn pem(name: &str, given: &str) -> Result<Vec<u8>, String> {
    if given.contains("-----BEGIN ") {
        return Ok(given.as_bytes().to_vec());
    }
    fs::read(given).map_err(|error| format!("http.tls.{name}: {given}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_checked() {
        let good = r#"{"static_headers": {"X-Key": "k"}, "tls": {"enabled": false},
            "status_to_code_transforms": [
                {"status_code": 404, "to_error": {"code": 1404, "message": "nothing"}},
                {"status_code": 418, "to_disconnect": {"code": 4418, "reason": "teapot"}}
            ]}"#;
        let http: ProxyHttp = good.parse().unwrap();
        assert_eq!(http.static_headers["X-Key"], "k");
        assert_eq!(http.status_to_code_transforms[1].to_disconnect.code, 4418);
        for (bad, expected) in [
            (r#"{"static_header": {}}"#, "unknown field `static_header`"),
            (
                r#"{"static_headers": {"a b": "s3cret"}}"#,
                "static_headers: \"a b\" is not a header field",
            ),
            (
                r#"{"status_to_code_transforms": [{"status_code": 404}]}"#,
                "status_to_code_transforms: 404: has no code",
            ),
            (
                r#"{"status_to_code_transforms": [{"status_code": 4, "to_error": {"code": 1}}]}"#,
                "status_to_code_transforms: 4: not a status_code",
            ),
            (
                r#"{"status_to_code_transforms": [{"status_code": 404, "to_error": {"code": 1}, "to_disconnect": {"code": 4000}}]}"#,
                "status_to_code_transforms: 404: has both an error and a disconnect",
            ),
        ] {
            let error = bad.parse::<ProxyHttp>().unwrap_err();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn certificates_are_read_when_the_configuration_is() {
        let missing = r#"{"tls": {"enabled": true, "server_ca_pem": "/no/such/file"}}"#;
        let error = missing.parse::<ProxyHttp>().unwrap().tls().unwrap_err();
        assert!(
            error.starts_with("http.tls.server_ca_pem: /no/such/file: "),
            "{error}"
        );
        let off = missing.replace("true", "false");
        assert!(off.parse::<ProxyHttp>().unwrap().tls().is_ok());
    }
}
