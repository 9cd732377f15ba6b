//! What the numbers mean by which a worker knows its places, its timers and its events.

use mio::Token;

/// The token of the mailbox.
pub(super) const MAILBOX: Token = Token(usize::MAX);

/// The token of the alarm clock. Below it those of the entrances; from 0 on the places.
pub(super) const TIMER_FD: Token = Token(usize::MAX - 1);

pub(super) fn acceptor_token(number: usize) -> Token {
    Token(TIMER_FD.0 - 1 - number)
}

pub(super) fn acceptor_number(token: Token) -> usize {
    TIMER_FD.0 - 1 - token.0
}

/// Entrances stand at the end of the numbers that a timer can have.
pub(super) fn timer_of_acceptor(number: usize) -> u32 {
    u32::MAX - number as u32
}

pub(super) fn acceptor_of_timer(place: u32) -> Option<usize> {
    let number = (u32::MAX - place) as usize;
    (number < ENTRANCES_MAX).then_some(number)
}

/// Addresses that a worker listens on, far more than anybody has.
const ENTRANCES_MAX: usize = 1 << 16;

/// The timer of the lobby: the number below those of the entrances.
pub(super) const HANDSHAKE_TIMER: u32 = u32::MAX - ENTRANCES_MAX as u32;
