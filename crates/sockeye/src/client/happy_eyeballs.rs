//! Connects to the first of several addresses that answers (RFC 8305).

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::Pin,
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// The recommended "Connection Attempt Delay" (RFC 8305 section 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Addresses that are tried for one name. A resolver can return thousands.
const ADDRESSES_MAX: usize = 16;

/// Connects to the first of `addresses` that answers.
///
/// A new attempt begins when the previous one has failed or hasn't answered for 250 ms. The first success ends the
/// others.
///
/// # Errors
///
/// Returns the error of each address, in the order in which they failed.
///
/// # Cancel safety
///
/// Dropping the future ends all attempts.
pub(crate) async fn race<S, F>(
    addresses: impl IntoIterator<Item = SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<(S, SocketAddr), Vec<(SocketAddr, io::Error)>>
where
    F: Future<Output = io::Result<S>>,
{
    let mut waiting = interleaved(addresses).into_iter();
    let mut running: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::new();
    let mut failed = Vec::new();
    let mut next_attempt = Box::pin(sleep_until(Instant::now()));
    poll_fn(|context| {
        loop {
            let is_due = running.is_empty() || next_attempt.as_mut().poll(context).is_ready();
            if is_due && let Some(address) = waiting.next() {
                running.push((address, Box::pin(connect(address))));
                next_attempt.as_mut().reset(Instant::now() + ATTEMPT_DELAY);
            }
            let failed_before = failed.len();
            let mut index = 0;
            while index < running.len() {
                let (address, attempt) = &mut running[index];
                match attempt.as_mut().poll(context) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Some((stream, *address))),
                    Poll::Ready(Err(error)) => {
                        failed.push((*address, error));
                        drop(running.remove(index));
                    }
                    Poll::Pending => index += 1,
                }
            }
            if running.is_empty() && waiting.len() == 0 {
                return Poll::Ready(None);
            }
            // RFC 8305 section 5: a failure begins the next attempt at once.
            if failed.len() > failed_before {
                next_attempt.as_mut().reset(Instant::now());
                continue;
            }
            if waiting.len() == 0 || next_attempt.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
    .ok_or(failed)
}

/// Orders the addresses: the families alternate, the one that the resolver prefers first (RFC 8305 section 4).
fn interleaved(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut unique: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        if !unique.contains(&address) {
            unique.push(address);
        }
        // More than `ADDRESSES_MAX`, so that a family that the resolver lists last still gets its share.
        if unique.len() == ADDRESSES_MAX * 4 {
            break;
        }
    }
    let Some(first) = unique.first() else {
        return unique;
    };
    let (preferred, other): (Vec<_>, Vec<_>) = unique
        .iter()
        .partition(|address| address.is_ipv4() == first.is_ipv4());
    let mut turns = Vec::with_capacity(unique.len());
    let mut other = other.into_iter();
    for address in preferred {
        turns.push(address);
        turns.extend(other.next());
    }
    turns.extend(other);
    turns.truncate(ADDRESSES_MAX);
    turns
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        future::pending,
    };

    use tokio::time::{advance, sleep};

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn refused() -> io::Error {
        io::ErrorKind::ConnectionRefused.into()
    }

    #[test]
    fn families_take_turns_and_the_resolvers_first_choice_leads() {
        let addresses = [
            "[::1]:1",
            "[::2]:1",
            "[::3]:1",
            "1.1.1.1:1",
            "[::1]:1",
            "2.2.2.2:1",
        ];
        let turns = interleaved(addresses.map(address));
        let expected = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"];
        assert_eq!(turns, expected.map(address));
        assert_eq!(interleaved([]), []);
    }

    #[test]
    fn number_of_addresses_is_bounded() {
        let many = (0..10_000u32).map(|n| SocketAddr::from((n.to_be_bytes(), 1)));
        assert_eq!(interleaved(many).len(), ADDRESSES_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn silent_address_is_overtaken_after_the_attempt_delay() {
        let start = Instant::now();
        let (winner, at) = race(["1.1.1.1:1", "2.2.2.2:1"].map(address), async |addr| {
            if addr == address("1.1.1.1:1") {
                pending::<()>().await;
            }
            Ok::<_, io::Error>(addr.port())
        })
        .await
        .unwrap();
        assert_eq!((winner, at), (1, address("2.2.2.2:1")));
        assert_eq!(start.elapsed(), ATTEMPT_DELAY);
    }

    #[tokio::test(start_paused = true)]
    async fn failed_address_starts_the_next_at_once() {
        let start = Instant::now();
        let ((), at) = race(["1.1.1.1:1", "2.2.2.2:1"].map(address), async |addr| {
            if addr == address("1.1.1.1:1") {
                Err(refused())
            } else {
                Ok(())
            }
        })
        .await
        .unwrap();
        assert_eq!(at, address("2.2.2.2:1"));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_first_address_still_wins_if_it_answers_first() {
        let (_, at) = race(["1.1.1.1:1", "2.2.2.2:1"].map(address), async |addr| {
            let wait = if addr == address("1.1.1.1:1") {
                300
            } else {
                100
            };
            sleep(Duration::from_millis(wait)).await;
            Ok::<_, io::Error>(())
        })
        .await
        .unwrap();
        assert_eq!(at, address("1.1.1.1:1"));
    }

    #[tokio::test(start_paused = true)]
    async fn all_errors_are_reported_in_order() {
        let order = RefCell::new(Vec::new());
        let failed = race(
            ["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"].map(address),
            async |addr| {
                order.borrow_mut().push(addr);
                Err::<(), _>(refused())
            },
        )
        .await
        .unwrap_err();
        let addresses: Vec<_> = failed.iter().map(|(address, _)| *address).collect();
        assert_eq!(
            addresses,
            ["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"].map(address)
        );
        assert_eq!(addresses, *order.borrow());
        assert!(
            race([], async |_| Ok::<(), _>(()))
                .await
                .unwrap_err()
                .is_empty()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn winner_and_drop_end_the_other_attempts() {
        struct Counted<'a>(&'a Cell<usize>);
        impl Drop for Counted<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() - 1);
            }
        }
        let alive = Cell::new(0);
        let attempt = |addr: SocketAddr| {
            let alive = &alive;
            async move {
                alive.set(alive.get() + 1);
                let _counted = Counted(alive);
                if addr.port() == 1 {
                    pending::<()>().await;
                }
                Ok::<_, io::Error>(())
            }
        };
        race(["1.1.1.1:1", "[::1]:1", "2.2.2.2:2"].map(address), attempt)
            .await
            .unwrap();
        assert_eq!(alive.get(), 0);

        let mut silent = Box::pin(race(["1.1.1.1:1", "[::1]:1"].map(address), attempt));
        poll_fn(|context| Poll::Ready(silent.as_mut().poll(context).is_pending())).await;
        advance(ATTEMPT_DELAY).await;
        poll_fn(|context| Poll::Ready(silent.as_mut().poll(context).is_pending())).await;
        assert_eq!(alive.get(), 2);
        drop(silent);
        assert_eq!(alive.get(), 0);
    }
}
