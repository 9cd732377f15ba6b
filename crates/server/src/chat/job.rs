//! The jobs of the processor.

use sockeye::Session;
use tokio::sync::oneshot;

use super::{
    archive::Delivery,
    client_network::ClientNetwork,
    protocol::{Command, EchoedFields},
    receipt::Receipt,
};
use crate::identity::Person;

/// A job of the processor.
#[derive(Debug)]
pub(crate) enum Job {
    /// A command of a connection.
    Command(Session, Command, EchoedFields),
    /// A connection has ended. Holds its session's id.
    SessionEnded(u64),
    /// A browser was given this identity. The receipt says what it has received.
    Issue(Person, Option<Receipt>),
    /// Asks whether this person is known.
    IsKnown(Person, oneshot::Sender<bool>),
    /// Fetches waiting messages for `/socket/get-msg`. The answer is `None` if the person has received too much lately.
    Fetch(
        Person,
        Option<Receipt>,
        Option<ClientNetwork>,
        oneshot::Sender<Option<Delivery>>,
    ),
}

impl Job {
    /// Returns the connection to tell if the job fails.
    pub(crate) fn requester(&self) -> Option<(Session, EchoedFields)> {
        match self {
            Self::Command(session, _, echoed) => Some((session.clone(), echoed.clone())),
            _ => None,
        }
    }

    /// Returns the bytes that the job takes while it waits.
    pub(crate) fn bytes(&self) -> usize {
        let said = match self {
            Self::Command(_, command, echoed) => command.bytes() + echoed.bytes(),
            _ => 0,
        };
        size_of::<Self>() + said
    }

    /// Returns the connection that sent the job.
    pub(crate) fn session(&self) -> Option<&Session> {
        match self {
            Self::Command(session, ..) => Some(session),
            _ => None,
        }
    }
}
