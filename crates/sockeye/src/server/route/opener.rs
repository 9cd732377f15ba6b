//! What waits at the end of a route, made and not yet begun.

use std::sync::Arc;

use sockeye_proto::CloseCode;
use tokio::runtime::Handle;

use crate::{
    connection::{Established, Session},
    endpoint::{self, Endpoint},
    error::Error,
    server::registry::{Known, Stay},
    websocket::WebSocket,
};

/// What waits at the end of a route, made before 101 and begun after it.
pub(crate) enum Opener {
    /// Callbacks, for whatever drives the connection. An endpoint without fields costs no memory.
    Endpoint(Box<dyn Endpoint>),
    /// A loop, in a task of its own.
    Conversation(Box<dyn FnOnce(Established, Stay) -> Result<(), Error> + Send>),
}

impl Opener {
    /// Begins, in a task.
    ///
    /// # Errors
    ///
    /// The system gives no entropy.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub(crate) fn spawn(self, established: Established, stay: Stay) -> Result<(), Error> {
        match self {
            Self::Endpoint(endpoint) => spawn_endpoint(endpoint, established, stay),
            Self::Conversation(begin) => begin(established, stay),
        }
    }

    /// The conversation that `talk` holds.
    pub(crate) fn conversation<T>(talk: impl FnOnce(WebSocket) -> T + Send + 'static) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        Self::Conversation(Box::new(move |established, mut stay| {
            let websocket = WebSocket::new(established)?;
            let session = websocket.session().clone();
            let registry = Arc::clone(stay.registry());
            registry.enter(&session);
            stay.begin(&session);
            session.keep(Arc::clone(stay.permit()));
            session.shared().forget_request();
            let id = session.id();
            let task = tokio::spawn(async move {
                let held = Held {
                    session,
                    stay: Some(stay),
                };
                // Made here: a future that was captured would lie in the task twice.
                talk(websocket).await;
                held.leave().await;
            });
            registry.attach(id, task.abort_handle());
            Ok(())
        }))
    }
}

/// A conversation that is being held.
struct Held {
    session: Session,
    /// `Some` until it leaves.
    stay: Option<Stay>,
}

impl Held {
    /// Waits for the end, and is counted until then.
    async fn leave(mut self) {
        self.session.closed().await;
        if let Some(mut stay) = self.stay.take() {
            stay.leave(&self.session);
        }
    }
}

impl Drop for Held {
    /// Its task was stopped, or has panicked: then it ends in order, as an endpoint that panics.
    fn drop(&mut self) {
        let Some(mut stay) = self.stay.take() else {
            return;
        };
        if !std::thread::panicking() {
            return;
        }
        self.session.close(CloseCode::INTERNAL_ERROR, "");
        if let Ok(runtime) = Handle::try_current() {
            let session = self.session.clone();
            runtime.spawn(async move {
                session.closed().await;
                stay.leave(&session);
            });
        }
    }
}

fn spawn_endpoint(
    endpoint: Box<dyn Endpoint>,
    established: Established,
    stay: Stay,
) -> Result<(), Error> {
    let registry = Arc::clone(stay.registry());
    let known = Box::new(Known { endpoint, stay });
    let (task, session) = endpoint::serve(established, known)?;
    registry.enter(&session);
    let task = tokio::spawn(task);
    registry.attach(session.id(), task.abort_handle());
    Ok(())
}
