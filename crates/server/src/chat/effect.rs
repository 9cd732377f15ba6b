//! The effects of jobs, which run after the commit: nothing is sent before it is stored.

use sockeye::{Group, Session};
use tokio::sync::oneshot;

use super::archive::Delivery;
use crate::event::send_or_close;

/// An effect of a job. Effects run in order, after the commit.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Sends a text to one connection.
    Send(Session, String),
    /// Sends a text to a room.
    SendAll(Group, String),
    /// Adds a connection to a room's group.
    Enter(Group, Session),
    /// Removes a connection from a room's group.
    Exit(Group, Session),
    /// Answers `/socket/get-msg`. `None` if the person has received too much lately.
    Deliver(oneshot::Sender<Option<Delivery>>, Option<Delivery>),
}

impl Effect {
    /// Returns the bytes of the text that it sends.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Send(_, text) | Self::SendAll(_, text) => text.len(),
            Self::Deliver(_, Some(delivery)) => {
                usize::try_from(delivery.bytes).unwrap_or(usize::MAX)
            }
            Self::Deliver(_, None) | Self::Enter(..) | Self::Exit(..) => 0,
        }
    }

    pub(crate) fn run(self) {
        match self {
            Self::Send(session, text) => send_or_close(&session, text),
            Self::SendAll(group, text) => {
                group.send(text);
            }
            Self::Enter(group, session) => group.join(&session),
            Self::Exit(group, session) => group.leave(&session),
            // The request may have ended. Messages that are not confirmed are delivered again.
            Self::Deliver(sender, delivery) => drop(sender.send(delivery)),
        }
    }
}
