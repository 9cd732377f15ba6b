//! The handler of a route, made before 101 and begun after it.

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

/// The handler of one connection, made before 101 and begun after it.
pub(crate) enum Handler {
    /// Callbacks, which a worker or a task calls. An endpoint without fields takes no memory.
    Endpoint(Box<dyn Endpoint>),
    /// A loop in a task of its own.
    Conversation(Box<dyn FnOnce(Established, Registration) -> Result<(), Error> + Send>),
}

impl Handler {
    /// Begins the session in a task.
    ///
    /// # Errors
    ///
    /// The operating system returns no random numbers.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
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

    /// Makes a conversation that runs `talk`.
    pub(crate) fn conversation<T>(talk: impl FnOnce(WebSocket) -> T + Send + 'static) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        Self::Conversation(Box::new(move |established, mut registration| {
            let websocket = WebSocket::new(established)?;
            let session = websocket.session().clone();
            let registry = Arc::clone(registration.registry());
            registry.insert(&session);
            registration.set_session(&session);
            session.keep(Arc::clone(registration.permit()));
            session.shared().forget_request();
            let id = session.id();
            let task = tokio::spawn(async move {
                let conversation = RunningConversation {
                    session,
                    registration: Some(registration),
                };
                // The future is made here, because a captured one would take its memory twice in the task.
                talk(websocket).await;
                conversation.end().await;
            });
            registry.set_task(id, task.abort_handle());
            Ok(())
        }))
    }
}

/// The session of a conversation whose task runs.
struct RunningConversation {
    session: Session,
    /// `None` once the session has ended.
    registration: Option<Registration>,
}

impl RunningConversation {
    /// Waits until the session has ended. It counts as open until then.
    async fn end(mut self) {
        self.session.closed().await;
        if let Some(mut registration) = self.registration.take() {
            registration.end(&self.session);
        }
    }
}

impl Drop for RunningConversation {
    /// Closes the session with 1011 if the task panics, like that of an endpoint that panics. An aborted task ends it
    /// without a Close frame.
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
                registration.end(&session);
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
    let registered = Box::new(RegisteredEndpoint {
        endpoint,
        registration,
    });
    let (task, session) = endpoint::serve(established, registered)?;
    registry.insert(&session);
    let task = tokio::spawn(task);
    registry.set_task(session.id(), task.abort_handle());
    Ok(())
}
