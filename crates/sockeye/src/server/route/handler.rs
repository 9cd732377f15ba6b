//! What waits at the end of a route, made and not yet begun.

use std::sync::Arc;

use sockeye_proto::CloseCode;
use tokio::runtime::Handle;

use crate::{
    connection::{Established, Session},
    endpoint::{self, Endpoint},
    error::Error,
    server::registry::{RegisteredEndpoint, Registration},
    websocket::WebSocket,
};

/// What waits at the end of a route, made before 101 and begun after it.
pub(crate) enum Handler {
    /// Callbacks, for whatever drives the connection. An endpoint without fields costs no memory.
    Endpoint(Box<dyn Endpoint>),
    /// A loop, in a task of its own.
    Conversation(Box<dyn FnOnce(Established, Registration) -> Result<(), Error> + Send>),
}

impl Handler {
    /// Begins, in a task.
    ///
    /// # Errors
    ///
    /// The system gives no entropy.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub(crate) fn spawn(
        self,
        established: Established,
        registration: Registration,
    ) -> Result<(), Error> {
        match self {
            Self::Endpoint(endpoint) => spawn_endpoint(endpoint, established, registration),
            Self::Conversation(begin) => begin(established, registration),
        }
    }

    /// The conversation that `talk` holds.
    pub(crate) fn conversation<T>(talk: impl FnOnce(WebSocket) -> T + Send + 'static) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        Self::Conversation(Box::new(move |established, mut registration| {
            let websocket = WebSocket::new(established)?;
            let session = websocket.session().clone();
            let registry = Arc::clone(registration.registry());
            registry.enter(&session);
            registration.begin(&session);
            session.keep(Arc::clone(registration.permit()));
            session.shared().forget_request();
            let id = session.id();
            let task = tokio::spawn(async move {
                let held = Held {
                    session,
                    registration: Some(registration),
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
    registration: Option<Registration>,
}

impl Held {
    /// Waits for the end, and is counted until then.
    async fn leave(mut self) {
        self.session.closed().await;
        if let Some(mut registration) = self.registration.take() {
            registration.leave(&self.session);
        }
    }
}

impl Drop for Held {
    /// Its task was stopped, or has panicked: then it ends in order, as an endpoint that panics.
    fn drop(&mut self) {
        let Some(mut registration) = self.registration.take() else {
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
                registration.leave(&session);
            });
        }
    }
}

fn spawn_endpoint(
    endpoint: Box<dyn Endpoint>,
    established: Established,
    registration: Registration,
) -> Result<(), Error> {
    let registry = Arc::clone(registration.registry());
    let known = Box::new(RegisteredEndpoint {
        endpoint,
        registration,
    });
    let (task, session) = endpoint::serve(established, known)?;
    registry.enter(&session);
    let task = tokio::spawn(task);
    registry.attach(session.id(), task.abort_handle());
    Ok(())
}
