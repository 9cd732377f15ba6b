//! Stands for the certificates of a peer in a build without the feature `rustls`.

/// Has no value: no peer shows a certificate.
#[derive(Clone, Debug)]
pub enum PeerCertificates {}
