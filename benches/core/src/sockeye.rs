//! Sockeye's protocol core.

use sockeye_proto::{Event, Input, Limits, Receiver, Role, Sender, extension::Pool};

use crate::story::Story;

/// Reads all; bytes of payload.
pub(crate) fn receive(story: &Story, rounds: usize) -> usize {
    let mut receiver = Receiver::new(Role::Server, None);
    let (mut pool, limits) = (Pool::new(), Limits::default());
    let mut buffer = vec![0; story.wire.len()];
    let mut read = 0;
    for _ in 0..rounds {
        buffer.copy_from_slice(&story.wire);
        let mut input = Input::new(&mut buffer);
        while let Some(event) = receiver
            .poll_event(&mut input, &mut pool, &limits)
            .expect("right bytes")
        {
            if let Event::Message(message) = event {
                read += message.as_bytes().len();
            }
        }
    }
    read
}

/// Reads all and answers with the same; bytes of payload.
pub(crate) fn echo(story: &Story, rounds: usize) -> usize {
    let mut receiver = Receiver::new(Role::Server, None);
    let mut sender = Sender::server(None);
    let (mut pool, mut sender_pool, limits) = (Pool::new(), Pool::new(), Limits::default());
    let (mut buffer, mut out) = (vec![0; story.wire.len()], Vec::new());
    let mut read = 0;
    for _ in 0..rounds {
        buffer.copy_from_slice(&story.wire);
        out.clear();
        let mut input = Input::new(&mut buffer);
        while let Some(event) = receiver
            .poll_event(&mut input, &mut pool, &limits)
            .expect("right bytes")
        {
            if let Event::Message(message) = event {
                read += message.as_bytes().len();
                sender
                    .send(&message, &mut sender_pool, &mut out)
                    .expect("open");
            }
        }
    }
    read
}
