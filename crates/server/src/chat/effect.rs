//! What the desk has decided and not yet done: nobody hears of anything before it is kept.

use sockeye::{CloseCode, Group, Message, Session, TrySendError};
use tokio::sync::oneshot;

use super::archive::Handed;

/// What the desk has decided. Worked off in order, after the commit.
#[derive(Debug)]
pub(crate) enum Effect {
    /// One connection hears it.
    Tell(Session, String),
    /// Everybody in a room hears it.
    TellAll(Group, String),
    /// From here on the connection hears the room.
    Enter(Group, Session),
    /// And from here on no longer.
    Exit(Group, Session),
    /// The answer to `/socket/get-msg`; `None` if there is none for now.
    Hand(oneshot::Sender<Option<Handed>>, Option<Handed>),
}

impl Effect {
    /// What it says.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Tell(_, text) | Self::TellAll(_, text) => text.len(),
            Self::Hand(_, Some(handed)) => usize::try_from(handed.bytes).unwrap_or(usize::MAX),
            Self::Hand(_, None) | Self::Enter(..) | Self::Exit(..) => 0,
        }
    }

    pub(crate) fn run(self) {
        match self {
            Self::Tell(session, text) => tell(&session, text),
            Self::TellAll(group, text) => {
                group.send(text);
            }
            Self::Enter(group, session) => group.join(&session),
            Self::Exit(group, session) => group.leave(&session),
            // Whoever asked may have gone away: what isn't confirmed is handed out again.
            Self::Hand(sender, handed) => drop(sender.send(handed)),
        }
    }
}

/// Sends, or closes the connection: rather that than a gap which its page can't see. It comes back and asks for what it
/// missed. A group does the same.
pub(crate) fn tell(session: &Session, text: String) {
    if let Err(TrySendError::Full(_)) = session.try_send(Message::from(text)) {
        session.close(CloseCode::TRY_AGAIN_LATER, "the page reads too slowly");
    }
}
