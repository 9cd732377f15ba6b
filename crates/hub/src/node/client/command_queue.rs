//! In which order the commands of a client are carried out, when some of them take time. Pure.
//!
//! Commands about one channel are carried out one after the other, in their order. Others may overtake each other, a few
//! at a time. Nothing overtakes `connect`.

use std::collections::VecDeque;

use crate::wire::Command;

/// What a command is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The connection as a whole: nothing else runs meanwhile.
    Connection,
    Channel(String),
    /// Nothing that another command is about.
    Nothing,
}

#[derive(Default)]
pub(crate) struct CommandQueue {
    running: Vec<Subject>,
    waiting: VecDeque<Waiting>,
    /// Bytes. What the commands in `waiting` take.
    bytes: usize,
}

struct Waiting {
    subject: Subject,
    /// Boxed, since it is moved often.
    command: Box<Command>,
    bytes: usize,
}

/// A command that can be carried out.
#[derive(Debug, PartialEq)]
pub(crate) struct Ready {
    pub(crate) subject: Subject,
    pub(crate) command: Box<Command>,
    /// Bytes. What the command takes.
    pub(crate) bytes: usize,
}

/// Limits of one client's queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    pub(crate) running_max: usize,
    pub(crate) waiting_max: usize,
    /// Bytes. What the commands that wait may take.
    pub(crate) waiting_bytes_max: usize,
}

/// More commands wait than a client may have waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueFull;

impl CommandQueue {
    /// Takes a command in. Returns it if it can be carried out now; the caller says [`CommandQueue::finish`] after that.
    pub(crate) fn push(
        &mut self,
        mut command: Box<Command>,
        bytes: usize,
        limits: QueueLimits,
    ) -> Result<Option<Ready>, QueueFull> {
        let subject = Subject::of(&command);
        if self.running.len() < limits.running_max && self.is_free(&subject, self.waiting.len()) {
            self.running.push(subject.clone());
            return Ok(Some(Ready {
                subject,
                command,
                bytes,
            }));
        }
        if self.waiting.len() >= limits.waiting_max || self.bytes + bytes > limits.waiting_bytes_max
        {
            return Err(QueueFull);
        }
        // A slice would hold the whole frame.
        command.copy_payloads();
        self.bytes += bytes;
        self.waiting.push_back(Waiting {
            subject,
            command,
            bytes,
        });
        Ok(None)
    }

    /// Notes that a command about `subject` was carried out, and returns one that can be carried out now. To be called
    /// with `None` until it returns nothing.
    pub(crate) fn finish(
        &mut self,
        subject: Option<&Subject>,
        limits: QueueLimits,
    ) -> Option<Ready> {
        if let Some(subject) = subject
            && let Some(at) = self.running.iter().position(|running| running == subject)
        {
            self.running.swap_remove(at);
        }
        if self.running.len() >= limits.running_max {
            return None;
        }
        let at = (0..self.waiting.len()).find(|&at| self.is_free(&self.waiting[at].subject, at))?;
        let Waiting {
            subject,
            command,
            bytes,
        } = self.waiting.remove(at)?;
        self.bytes -= bytes;
        self.running.push(subject.clone());
        Some(Ready {
            subject,
            command,
            bytes,
        })
    }

    /// Returns the bytes of the commands that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Whether a command about `subject`, before which `ahead` commands wait, overtakes none that it must not.
    fn is_free(&self, subject: &Subject, ahead: usize) -> bool {
        let waiting = self
            .waiting
            .iter()
            .take(ahead)
            .map(|waiting| &waiting.subject);
        let mut others = self.running.iter().chain(waiting);
        others.all(|other| match (subject, other) {
            (Subject::Connection, _) | (_, Subject::Connection) => false,
            (Subject::Channel(one), Subject::Channel(other)) => one != other,
            _ => true,
        })
    }
}

impl Subject {
    fn of(command: &Command) -> Self {
        if command.connect.is_some() {
            return Self::Connection;
        }
        let channel = None
            .or(command.subscribe.as_ref().map(|request| &request.channel))
            .or(command.unsubscribe.as_ref().map(|request| &request.channel))
            .or(command.publish.as_ref().map(|request| &request.channel))
            .or(command.presence.as_ref().map(|request| &request.channel))
            .or(command
                .presence_stats
                .as_ref()
                .map(|request| &request.channel))
            .or(command.history.as_ref().map(|request| &request.channel))
            .or(command.sub_refresh.as_ref().map(|request| &request.channel));
        channel.map_or(Self::Nothing, |channel| Self::Channel(channel.clone()))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::{ConnectRequest, PublishRequest, RpcRequest, SubscribeRequest};

    fn connect() -> Box<Command> {
        Box::new(Command {
            connect: Some(ConnectRequest::default()),
            ..Command::default()
        })
    }

    fn subscribe(id: u32, channel: &str) -> Box<Command> {
        Box::new(Command {
            id,
            subscribe: Some(SubscribeRequest {
                channel: channel.to_owned(),
                ..SubscribeRequest::default()
            }),
            ..Command::default()
        })
    }

    fn publish(id: u32, channel: &str) -> Box<Command> {
        Box::new(Command {
            id,
            publish: Some(PublishRequest {
                channel: channel.to_owned(),
                ..PublishRequest::default()
            }),
            ..Command::default()
        })
    }

    fn rpc(id: u32) -> Box<Command> {
        Box::new(Command {
            id,
            rpc: Some(RpcRequest::default()),
            ..Command::default()
        })
    }

    const LIMITS: QueueLimits = QueueLimits {
        running_max: 8,
        waiting_max: 100,
        waiting_bytes_max: 10_000,
    };

    fn push(queue: &mut CommandQueue, command: Box<Command>) -> Option<u32> {
        let ready = queue.push(command, 10, LIMITS).unwrap();
        ready.map(|ready| ready.command.id)
    }

    fn finish(queue: &mut CommandQueue, subject: &Subject) -> Vec<u32> {
        let mut begun = Vec::new();
        let mut next = queue.finish(Some(subject), LIMITS);
        while let Some(ready) = next {
            begun.push(ready.command.id);
            next = queue.finish(None, LIMITS);
        }
        begun
    }

    #[test]
    fn nothing_overtakes_connect() {
        let mut queue = CommandQueue::default();
        push(&mut queue, connect());
        assert_eq!(push(&mut queue, subscribe(2, "a")), None);
        assert_eq!(push(&mut queue, rpc(3)), None);
        assert_eq!(finish(&mut queue, &Subject::Connection), [2, 3]);
    }

    #[test]
    fn commands_about_one_channel_keep_their_order() {
        let mut queue = CommandQueue::default();
        assert_eq!(push(&mut queue, subscribe(1, "a")), Some(1));
        assert_eq!(push(&mut queue, publish(2, "a")), None);
        assert_eq!(push(&mut queue, publish(3, "a")), None);
        assert_eq!(push(&mut queue, subscribe(4, "b")), Some(4));
        assert_eq!(push(&mut queue, rpc(5)), Some(5));
        let a = Subject::Channel("a".to_owned());
        assert_eq!(finish(&mut queue, &a), [2]);
        assert_eq!(finish(&mut queue, &a), [3]);
        assert_eq!(finish(&mut queue, &a), [] as [u32; 0]);
    }

    #[test]
    fn only_so_many_run_at_once() {
        let mut queue = CommandQueue::default();
        for id in 1..=8 {
            assert_eq!(push(&mut queue, rpc(id)), Some(id));
        }
        assert_eq!(push(&mut queue, rpc(9)), None);
        assert_eq!(finish(&mut queue, &Subject::Nothing), [9]);
    }

    #[test]
    fn a_client_cannot_make_the_queue_grow_without_end() {
        let mut queue = CommandQueue::default();
        push(&mut queue, connect());
        for id in 0..100 {
            push(&mut queue, rpc(id));
        }
        assert_eq!(queue.push(rpc(0), 10, LIMITS), Err(QueueFull));
    }

    #[test]
    fn few_large_commands_fill_the_queue_as_many_small_ones_do() {
        let mut queue = CommandQueue::default();
        push(&mut queue, connect());
        assert_eq!(queue.push(rpc(1), 6_000, LIMITS), Ok(None));
        assert_eq!(queue.push(rpc(2), 4_001, LIMITS), Err(QueueFull));
        assert_eq!(queue.push(rpc(3), 4_000, LIMITS), Ok(None));
        assert_eq!(queue.bytes(), 10_000);
        assert_eq!(finish(&mut queue, &Subject::Connection), [1, 3]);
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn a_command_that_waits_does_not_hold_its_frame() {
        let frame = Bytes::from(vec![b'1'; 1_000]);
        let mut queue = CommandQueue::default();
        push(&mut queue, connect());
        let mut command = rpc(1);
        command.rpc.as_mut().unwrap().data = frame.slice(0..1);
        push(&mut queue, command);
        assert!(frame.is_unique());
    }
}
