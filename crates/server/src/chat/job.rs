//! What the desk is asked to do.

use sockeye::Session;
use tokio::sync::oneshot;

use super::{
    archive::Handed,
    dialect::{Echoed, Order},
    origin::Origin,
    person::Person,
    receipt::Receipt,
};

/// What the desk is asked to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// A connection says something.
    Order(Session, Order, Echoed),
    /// A connection has ended. Its session's id.
    Gone(u64),
    /// A browser was given this identity, and shows what it has got.
    Issue(Person, Option<Receipt>),
    /// Whether somebody has been here, or was given out.
    IsKnown(Person, oneshot::Sender<bool>),
    /// `/socket/get-msg`. `None` if the person has been given too much lately.
    Fetch(
        Person,
        Option<Receipt>,
        Option<Origin>,
        oneshot::Sender<Option<Handed>>,
    ),
}

impl Job {
    /// Who is told if it comes to nothing.
    pub(crate) fn asker(&self) -> Option<(Session, Echoed)> {
        match self {
            Self::Order(session, _, echoed) => Some((session.clone(), echoed.clone())),
            _ => None,
        }
    }

    /// What it takes while it waits.
    pub(crate) fn bytes(&self) -> usize {
        let said = match self {
            Self::Order(_, order, echoed) => order.bytes() + echoed.bytes(),
            _ => 0,
        };
        size_of::<Self>() + said
    }

    /// Who asks over a connection.
    pub(crate) fn session(&self) -> Option<&Session> {
        match self {
            Self::Order(session, ..) => Some(session),
            _ => None,
        }
    }
}
