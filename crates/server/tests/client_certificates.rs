//! `sockeye serve --tls-client-ca`, and clients with a certificate, with another authority's, and without one.

mod support;

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use support::{Run, Server, run, run_with_stdin};
use tempfile::TempDir;

/// Writes an authority's certificate as `NAME-ca.pem`, and one that it has signed as `NAME.pem` and `NAME-key.pem`.
fn write_authority(directory: &Path, name: &str) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let own = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let signed = own.signed_by(&key, &issuer).unwrap();
    for (file, text) in [
        (format!("{name}-ca.pem"), root.pem()),
        (format!("{name}.pem"), signed.pem()),
        (format!("{name}-key.pem"), key.serialize_pem()),
    ] {
        std::fs::write(directory.join(file), text).unwrap();
    }
}

/// Runs a client that shows the certificate `name`, or none.
fn talk(directory: &Path, server: &Server, name: Option<&str>) -> Run {
    let path = |file: &str| directory.join(file).to_str().unwrap().to_owned();
    let port = server.addrs[0].rsplit(':').next().unwrap();
    let url = format!("wss://localhost:{port}/echo");
    let root = path("server-ca.pem");
    let mut arguments = vec!["connect", &url, "--exit-after", "1", "--wait", "60s"];
    arguments.extend(["--cacert", &root]);
    let own = name.map(|name| {
        (
            path(&format!("{name}.pem")),
            path(&format!("{name}-key.pem")),
        )
    });
    if let Some((certificate, key)) = &own {
        arguments.extend(["--cert", certificate, "--key", key]);
    }
    run_with_stdin(&arguments, b"hi\n")
}

#[test]
fn a_client_shows_the_certificate_that_the_configuration_asks_for() {
    let directory = TempDir::new().unwrap();
    let place = directory.path();
    for name in ["server", "clients", "strangers"] {
        write_authority(place, name);
    }
    let path = |file: &str| place.join(file).to_str().unwrap().to_owned();
    let (certificate, key, ca) = (
        path("server.pem"),
        path("server-key.pem"),
        path("clients-ca.pem"),
    );
    let mut arguments = vec![
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--tls-cert",
        &certificate,
    ];
    arguments.extend(["--tls-key", &key, "--tls-client-ca", &ca]);
    for (auth, without, of_another) in [
        (&[][..], false, false),
        (&["--tls-client-auth", "request"], true, false),
        (&["--tls-client-auth", "off"], true, true),
    ] {
        let server = Server::start(&[&arguments[..], auth].concat());
        let connects = |name| talk(place, &server, name).code == Some(0);
        assert!(connects(Some("clients")), "{auth:?}");
        let lone = talk(place, &server, None);
        assert_eq!(lone.code == Some(0), without, "{auth:?}");
        assert!(
            without || lone.stderr.contains("--cert and --key"),
            "{}",
            lone.stderr
        );
        assert_eq!(connects(Some("strangers")), of_another, "{auth:?}");
    }
}

#[test]
fn what_is_needed_to_ask_for_certificates_is_named() {
    for (arguments, text) in [
        (
            &["--tls-client-ca", "a.pem"][..],
            "sockeye: --tls-client-ca: needs --tls-cert too\n",
        ),
        (
            &[
                "--tls-cert",
                "a",
                "--tls-key",
                "b",
                "--tls-client-auth",
                "require",
            ],
            "sockeye: --tls-client-auth: needs --tls-client-ca too\n",
        ),
    ] {
        let check = run(&[&["config", "check"], arguments].concat());
        assert_eq!((check.code, check.stderr.as_str()), (Some(2), text));
    }
}
