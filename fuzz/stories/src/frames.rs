//! Any bytes after the handshake, in any pieces.

use sockeye_proto::{
    Delivery, Limits, ProtocolError, Receiver, Role,
    extension::{DeflateParams, Pool},
};

use crate::{
    choices::Choices,
    witness::{Seen, Witness},
};

/// A server reads any bytes.
pub fn frames_server(data: &[u8]) {
    frames(Role::Server, data);
}

/// A client reads any bytes.
pub fn frames_client(data: &[u8]) {
    frames(Role::Client, data);
}

/// However the bytes are cut and handed out, the story is the same.
fn frames(role: Role, data: &[u8]) {
    let mut choices = Choices::new(data);
    let limits = match choices.flag() {
        true => choices.limits(),
        false => Limits::default(),
    };
    let deflate = choices.flag().then(|| choices.params());
    let sizes = [
        1 + usize::from(choices.byte() % 16),
        1 + usize::from(choices.byte()),
    ];
    let bytes = choices.rest();

    let whole = told(
        role,
        &limits,
        deflate,
        Delivery::Whole,
        bytes,
        &[usize::MAX],
    );
    for delivery in [Delivery::Whole, Delivery::Parts] {
        for sizes in [&sizes[..], &[1], &[usize::MAX]] {
            let story = told(role, &limits, deflate, delivery, bytes, sizes);
            assert_eq!(story, whole, "{delivery:?} in pieces of {sizes:?}");
        }
    }
}

fn told(
    role: Role,
    limits: &Limits,
    deflate: Option<DeflateParams>,
    delivery: Delivery,
    bytes: &[u8],
    sizes: &[usize],
) -> (Vec<Seen>, Option<ProtocolError>) {
    let mut receiver = Receiver::new(role, deflate);
    receiver.deliver(delivery);
    let (mut pool, mut witness) = (Pool::new(), Witness::default());
    let mut bytes = bytes.to_vec();
    let mut rest = bytes.as_mut_slice();
    for size in sizes.iter().cycle() {
        let (piece, left) = rest.split_at_mut((*size).min(rest.len()));
        witness.feed(&mut receiver, piece, limits, &mut pool, |_| {});
        rest = left;
        if rest.is_empty() {
            break;
        }
    }
    witness.into_story()
}
