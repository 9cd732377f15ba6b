//! The command line of a server.

use std::{env, net::SocketAddr, path::PathBuf, process};

/// What a server is asked to do.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// permessage-deflate.
    pub deflate: Deflate,
    /// Certificate and key, in PEM, if TLS is wanted.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// A way of working that only this server knows.
    pub style: Option<String>,
    /// Threads that serve.
    pub workers: usize,
}

/// How messages are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deflate {
    /// Not at all.
    #[default]
    Off,
    /// No context is taken over: compressors may be shared.
    Shared,
    /// Every connection keeps its context.
    Own,
}

impl Asked {
    /// Reads the command line; ends the process with 2 if it makes no sense.
    #[must_use]
    pub fn read() -> Self {
        let mut asked = Self {
            workers: 1,
            ..Self::default()
        };
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| refuse(&word));
            match word.as_str() {
                "--deflate" => {
                    asked.deflate = match value().as_str() {
                        "off" => Deflate::Off,
                        "shared" => Deflate::Shared,
                        "own" => Deflate::Own,
                        other => refuse(other),
                    }
                }
                "--tls" => asked.tls = Some((value().into(), value().into())),
                "--style" => asked.style = Some(value()),
                "--workers" => {
                    asked.workers = value().parse().unwrap_or_else(|_| refuse(&word));
                }
                other => refuse(other),
            }
        }
        asked
    }

    /// Ends the process with 2 if TLS or deflate is asked for: for a server that knows neither.
    pub fn plain_only(&self) {
        if self.tls.is_some() || self.deflate != Deflate::Off {
            refuse("--tls and --deflate are unknown here");
        }
    }
}

/// Says that the server listens, and where.
pub fn listening(address: SocketAddr) {
    println!("listening {}", address.port());
}

fn refuse(word: &str) -> ! {
    eprintln!("not understood: {word}");
    process::exit(2);
}
