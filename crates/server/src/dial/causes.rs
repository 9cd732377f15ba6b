//! The text for an error of connecting.

use sockeye::{Error, Printable};

/// Returns why connecting failed, in one line, with the start of the server's answer.
pub(crate) fn reason(error: &Error) -> String {
    let body = error
        .rejection()
        .map(|refused| String::from_utf8_lossy(&refused.body).into_owned());
    let body = body
        .as_deref()
        .map(str::trim)
        .filter(|body| !body.is_empty());
    let body = body
        .map(|body| format!(": {}", Printable(first_line(body))))
        .unwrap_or_default();
    let report = error.report().to_string();
    let hint = TLS_HINTS.iter().find(|(cause, _)| report.contains(cause));
    let hint = hint.map(|(_, hint)| format!("; {hint}"));
    format!("{report}{body}{}", hint.unwrap_or_default())
}

/// What rustls says of certificates, and what to do about it.
const TLS_HINTS: &[(&str, &str)] = &[
    (
        "CaUsedAsEndEntity",
        "the server's certificate is that of an authority: make one without CA:TRUE, issued by that authority, and trust the \
         authority with --cacert",
    ),
    (
        "UnknownIssuer",
        "trust the authority that has issued the server's certificate with --cacert",
    ),
    (
        "CertificateRequired",
        "the server asks for a client certificate: --cert and --key",
    ),
];

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}
