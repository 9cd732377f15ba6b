//! Stands for TLS in a build without the feature `rustls`. A server can't be given any, and a client returns an error.

use std::io;

use crate::{
    connection::Stream,
    error::{Error, ErrorKind},
    tls::secured::{Alpn, Secured},
};

/// A client without TLS.
#[derive(Clone, Debug, Default)]
pub struct ClientTls(());

impl ClientTls {
    pub(crate) fn new() -> Self {
        Self(())
    }

    pub(crate) fn anonymous(&self) -> Self {
        Self(())
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        Err(Error::new(
            ErrorKind::Config,
            "TLS is not part of this program: `wss:` and `https:` need the feature `tls` of the crate `sockeye`",
        ))
    }

    pub(crate) async fn connect<H>(
        &self,
        _stream: Box<dyn Stream>,
        _host: &H,
        _alpn: Alpn,
    ) -> Result<Secured, Error> {
        self.check()?;
        Err(io::Error::from(io::ErrorKind::Unsupported).into())
    }
}

/// Has no value: a server without TLS.
#[derive(Clone, Debug)]
pub enum ServerTls {}

impl ServerTls {
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        match *self {}
    }
}

/// Has no value: a server without TLS.
#[derive(Clone)]
pub enum TlsAcceptor {}
