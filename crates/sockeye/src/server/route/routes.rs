//! The routes of a server by their paths.

use std::sync::Arc;

use http::StatusCode;
use percent_encoding::percent_decode_str;

use crate::{
    error::{Error, ErrorKind},
    handshake::{Refusal, Request},
    server::route::{
        handler::Handler,
        path,
        route::{CompiledRoute, Route},
    },
    settings::Settings,
};

/// All routes of a server, by path.
#[derive(Default)]
pub(crate) struct Routes(matchit::Router<RouteEntry>);

/// A route, and what adapts it to the path on which it is.
struct RouteEntry {
    route: Arc<CompiledRoute>,
    adapter: Option<Arc<dyn RouteAdapter>>,
}

/// Adapts a route to a path on which another protocol than the route's is spoken above WebSocket.
pub(crate) trait RouteAdapter: Send + Sync + 'static {
    /// Removes from `request` what belongs to that protocol.
    ///
    /// # Errors
    ///
    /// The path doesn't follow that protocol.
    fn strip(&self, request: &mut Request) -> Result<(), Refusal>;

    /// Makes the handler of a WebSocket that joins a session which is there already. `None` if it begins one.
    fn join(&self, _request: &Arc<Request>) -> Option<Result<Handler, Refusal>> {
        None
    }

    /// Makes the handler of a WebSocket on the path from the route's own.
    fn wrap(&self, handler: Handler, request: &Arc<Request>) -> Handler;
}

/// The route that matches a path.
pub(crate) struct RouteMatch {
    pub(crate) route: Arc<CompiledRoute>,
    pub(crate) adapter: Option<Arc<dyn RouteAdapter>>,
    /// Names and percent-decoded values, in the order of the path.
    pub(crate) params: Vec<(String, String)>,
}

impl Routes {
    /// # Errors
    ///
    /// Kind `Config` if a path is malformed or there twice, a subprotocol is not a token, or a listed origin is not
    /// one.
    pub(crate) fn new(routes: Vec<Route>, defaults: &Settings) -> Result<Self, Error> {
        let mut all = Self::default();
        for route in routes {
            let path = route.path().to_owned();
            all.add(&path, &Arc::new(route.compile(defaults)?), None)?;
        }
        Ok(all)
    }

    /// Adds a route on `path`, which may be another than its own.
    ///
    /// # Errors
    ///
    /// Kind `Config` if the path is malformed or there twice.
    pub(crate) fn add(
        &mut self,
        path: &str,
        route: &Arc<CompiledRoute>,
        adapter: Option<Arc<dyn RouteAdapter>>,
    ) -> Result<(), Error> {
        if let Err(why) = path::check(path) {
            let message = format!("route {path:?}: {why}");
            return Err(Error::new(ErrorKind::Config, message));
        }
        let entry = RouteEntry {
            route: Arc::clone(route),
            adapter,
        };
        self.0.insert(path, entry).map_err(|error| {
            Error::new(ErrorKind::Config, format!("route {path}")).with_source(error)
        })
    }

    /// Returns the route that matches `path`.
    pub(crate) fn find(&self, path: &str) -> Result<RouteMatch, Refusal> {
        let found = self.0.at(path).map_err(|_| {
            Refusal::text(
                StatusCode::NOT_FOUND,
                "there is no WebSocket on this path\n",
            )
        })?;
        let mut params = Vec::with_capacity(found.params.len());
        for (name, value) in found.params.iter() {
            // Decoded after the match, so that an encoded slash stays in its segment.
            let value = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| Refusal::text(StatusCode::BAD_REQUEST, "the path is not UTF-8\n"))?;
            params.push((name.to_owned(), value.into_owned()));
        }
        Ok(RouteMatch {
            route: Arc::clone(&found.value.route),
            adapter: found.value.adapter.clone(),
            params,
        })
    }
}
