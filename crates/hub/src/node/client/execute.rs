//! One command, from the request to the reply.

use std::sync::Arc;

use super::{Client, Failure, room::AnswerRoom};
use crate::{
    Disconnect,
    metrics::FrameKind,
    node::ClientView,
    wire::{Command, ErrorReply, Reply},
};

impl Client {
    /// Carries out a command and answers it.
    pub(super) async fn execute(self: Arc<Self>, command: Box<Command>) {
        let id = command.id;
        let kind = FrameKind::of_command(&command);
        let begun = self.node.elapsed();
        let mut room = None;
        let failed = match self.answer(command, &mut room).await {
            Ok(Some(mut reply)) => {
                reply.id = id;
                match &room {
                    Some(room) => self.send_answer(kind, &reply, room.bytes),
                    None => self.send(kind, &reply),
                }
                .map_err(Failure::Disconnect)
            }
            Ok(None) => Ok(()),
            Err(failure) => Err(failure),
        };
        match failed {
            Ok(()) | Err(Failure::Closed) => {}
            Err(Failure::Error(error)) => self.refuse(id, kind, error),
            Err(Failure::Disconnect(disconnect)) => {
                // Of a connect that is refused the reason is in the log.
                if disconnect == Disconnect::BAD_REQUEST && kind != FrameKind::Connect {
                    self.node.log_bad_command(kind.name());
                }
                self.disconnect(disconnect);
            }
        }
        let took = self.node.elapsed().saturating_sub(begun);
        self.node.recorder.executed(kind, took);
    }

    /// Returns the reply; `None` if it was sent already, or if there is none. Sets `room` if room was made for the reply.
    async fn answer(
        self: &Arc<Self>,
        command: Box<Command>,
        room: &mut Option<AnswerRoom>,
    ) -> Result<Option<Reply>, Failure> {
        let is_message = command.send.is_some();
        if command.id == 0 && !is_message {
            return Err(Disconnect::BAD_REQUEST.into());
        }
        if command.connect.is_none() {
            self.state.lock().connected()?;
        }
        let id = command.id;
        // What is rare is boxed, so that a publication takes less memory while it is carried out.
        match *command {
            Command {
                connect: Some(request),
                ..
            } => return Box::pin(self.connect(id, request)).await.map(|()| None),
            Command {
                subscribe: Some(request),
                ..
            } => return Box::pin(self.subscribe(id, request)).await.map(|()| None),
            Command {
                unsubscribe: Some(request),
                ..
            } => self.unsubscribe(&request),
            Command {
                publish: Some(request),
                ..
            } => self.publish(request).await,
            Command {
                presence: Some(request),
                ..
            } => Box::pin(self.presence(&request, room)).await,
            Command {
                presence_stats: Some(request),
                ..
            } => self.presence_stats(&request),
            Command {
                history: Some(request),
                ..
            } => Box::pin(self.history(request, room)).await,
            Command {
                send: Some(request),
                ..
            } => return self.message(request).await.map(|()| None),
            Command {
                rpc: Some(request), ..
            } => self.rpc(request, room).await,
            Command {
                refresh: Some(request),
                ..
            } => Box::pin(self.refresh(&request)).await,
            Command {
                sub_refresh: Some(request),
                ..
            } => Box::pin(self.sub_refresh(&request)).await,
            // A command of a kind that isn't known here, or none; also `ping`, which only the server sends.
            _ => Err(Disconnect::BAD_REQUEST.into()),
        }
        .map(Some)
    }

    /// Tells the client that a command has failed.
    fn refuse(self: &Arc<Self>, id: u32, kind: FrameKind, error: ErrorReply) {
        self.node.recorder.failed(kind, error.code);
        let reply = Reply {
            id,
            error: Some(error),
            ..Reply::default()
        };
        if let Err(disconnect) = self.send(kind, &reply) {
            self.disconnect(disconnect);
        }
    }

    pub(super) fn view(&self) -> Result<ClientView, Failure> {
        let mut state = self.state.lock();
        Ok(state.connected()?.view(&*self.transport))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<Answer>(_: impl FnOnce(Arc<Client>, Box<Command>) -> Answer) -> usize {
        size_of::<Answer>()
    }

    #[test]
    fn a_command_takes_little_memory_while_it_is_carried_out() {
        let bytes = future_bytes(Client::execute);
        assert!(bytes <= 4_096, "{bytes}");
    }
}
