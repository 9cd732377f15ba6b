//! The paths below which a protocol over plain HTTP answers.

use std::sync::Arc;

use http::Uri;

use crate::error::{Error, ErrorKind};

/// The paths of all mounts of one protocol.
pub(crate) struct PathMounts<M>(matchit::Router<Arc<M>>);

/// The mount that matches a path.
pub(crate) struct FoundMount<M> {
    pub(crate) mount: Arc<M>,
    /// Names and percent-decoded values, in the order of the path.
    pub(crate) params: Vec<(String, String)>,
    /// The length of the part of the path that is the mount's own.
    pub(crate) base_bytes: usize,
}

/// What belongs to a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each protocol has one of them")]
pub(crate) enum MountExtent {
    /// Its path, with and without a final slash.
    Path,
    /// All paths below it, too.
    Below,
}

impl<M> Default for PathMounts<M> {
    fn default() -> Self {
        Self(matchit::Router::new())
    }
}

impl<M> PathMounts<M> {
    /// Adds a mount at `path`, which has no final slash. `protocol` is for the error.
    ///
    /// # Errors
    ///
    /// Kind `Config` if the path is malformed or there already.
    pub(crate) fn add(
        &mut self,
        path: &str,
        extent: MountExtent,
        mount: &Arc<M>,
        protocol: &str,
    ) -> Result<(), Error> {
        let suffixes: &[&str] = match extent {
            MountExtent::Path => &["", "/"],
            MountExtent::Below => &["", "/", "/{*mount-rest}"],
        };
        for suffix in suffixes {
            let inserted = self.0.insert(format!("{path}{suffix}"), Arc::clone(mount));
            inserted.map_err(|error| {
                Error::new(ErrorKind::Config, format!("{protocol} on {path}")).with_source(error)
            })?;
        }
        Ok(())
    }

    /// Returns the mount that matches `path`.
    pub(crate) fn find(&self, path: &str) -> Option<FoundMount<M>> {
        let found = self.0.at(path).ok()?;
        let rest = found.params.get(REST_PARAM).map(|rest| rest.len() + 1);
        let rest = rest.unwrap_or_else(|| usize::from(path.ends_with('/')));
        let own = found.params.iter().filter(|(name, _)| *name != REST_PARAM);
        let decoded = own.map(|(name, value)| {
            let value = percent_encoding::percent_decode_str(value)
                .decode_utf8()
                .ok()?;
            Some((name.to_owned(), value.into_owned()))
        });
        Some(FoundMount {
            mount: Arc::clone(found.value),
            params: decoded.collect::<Option<_>>()?,
            base_bytes: path.len() - rest,
        })
    }
}

/// Returns the target with the first `path_bytes` of its path, and its query.
pub(crate) fn with_path(uri: &Uri, path_bytes: usize) -> Uri {
    let path = &uri.path()[..path_bytes];
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    // A prefix of a valid path is one.
    target.parse().unwrap_or_default()
}

/// The name of what follows a mount's path.
const REST_PARAM: &str = "mount-rest";
