//! The numbers of a worker's slots, timers and events.

use mio::Token;

/// The token of the mailbox.
pub(super) const MAILBOX: Token = Token(usize::MAX);

/// The token of the timer. The tokens below it are those of acceptors; the tokens from 0 on are slots.
pub(super) const TIMER_FD: Token = Token(usize::MAX - 1);

pub(super) fn acceptor_token(number: usize) -> Token {
    Token(TIMER_FD.0 - 1 - number)
}

pub(super) fn acceptor_number(token: Token) -> usize {
    TIMER_FD.0 - 1 - token.0
}

/// Returns the timers of acceptors have the largest numbers.
pub(super) fn timer_of_acceptor(number: usize) -> u32 {
    u32::MAX - number as u32
}

pub(super) fn acceptor_of_timer(slot: u32) -> Option<usize> {
    let number = (u32::MAX - slot) as usize;
    (number < ACCEPTORS_MAX).then_some(number)
}

/// Addresses that a worker listens on, far more than any server has.
const ACCEPTORS_MAX: usize = 1 << 16;

/// The timer of the handshake deadlines: the number below those of the acceptors.
pub(super) const HANDSHAKE_TIMER: u32 = u32::MAX - ACCEPTORS_MAX as u32;
