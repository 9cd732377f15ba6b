//! The tickets: what each is good for, and for how long. No clock and no luck in here, both are arguments.
//!
//! ```text
//!   issue ──> waiting ── scan ──> scanned ── confirm ──> confirmed ── exchange ──> used
//!                │                   │ └── deny ──> denied   │
//!                └───────────────────┴───── its time ────────┴──> expired
//! ```

use std::{collections::HashMap, time::Duration};

use super::key::Key;
use crate::chat::Person;

/// All tickets of the server.
#[derive(Debug)]
pub(crate) struct Tickets {
    by_key: HashMap<Key, Ticket>,
    /// Codes of confirmed tickets.
    codes: HashMap<Key, Key>,
    /// How long a ticket can be scanned and confirmed.
    lifetime: Duration,
    max: usize,
}

#[derive(Debug)]
struct Ticket {
    /// The session of the browser that shows it.
    session: u64,
    /// The browser's cookie.
    browser: Key,
    asker: Asker,
    /// Since the caller's origin.
    expires: Duration,
    state: State,
}

/// What the phone is shown of the browser that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    /// "Firefox on Windows".
    pub(crate) browser: String,
    /// Where the connection comes from; empty if that isn't known.
    pub(crate) ip: String,
    /// Milliseconds since 1970.
    pub(crate) time: u64,
}

/// Who confirms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    pub(crate) person: Person,
    pub(crate) name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Scanned { phone: Key, csrf: Key },
    Confirmed { guest: Guest },
    Used,
    Denied,
}

/// What a scan shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) session: u64,
    pub(crate) asker: Asker,
    /// What the confirmation has to show.
    pub(crate) csrf: Key,
    pub(crate) left: Duration,
}

/// Why it comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// There is no such ticket, or it is too old to be remembered.
    Unknown,
    Expired,
    /// Another phone was first.
    Taken,
    /// It was not scanned by this phone, or the request doesn't come from our page.
    NotScanned,
    /// It was confirmed, used or denied before.
    Used,
    /// Another browser holds the code.
    WrongBrowser,
}

impl Denial {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Taken => "taken",
            Self::NotScanned => "not_scanned",
            Self::Used => "used",
            Self::WrongBrowser => "wrong_browser",
        }
    }
}

/// As many tickets wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Tickets {
    pub(crate) fn new(lifetime: Duration, max: usize) -> Self {
        Self {
            by_key: HashMap::new(),
            codes: HashMap::new(),
            lifetime,
            max,
        }
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A new ticket for the browser's session; one that it had before expires.
    pub(crate) fn issue(
        &mut self,
        ticket: Key,
        session: u64,
        browser: Key,
        asker: Asker,
        now: Duration,
    ) -> Result<(), Full> {
        self.end_session(session, now);
        if self.by_key.len() >= self.max {
            self.by_key.retain(|_, ticket| now < ticket.expires);
            let by_key = &self.by_key;
            self.codes.retain(|_, ticket| by_key.contains_key(ticket));
        }
        if self.by_key.len() >= self.max {
            return Err(Full);
        }
        let issued = Ticket {
            session,
            browser,
            asker,
            expires: now + self.lifetime,
            state: State::Waiting,
        };
        self.by_key.insert(ticket, issued);
        Ok(())
    }

    /// A phone shows the ticket. The first phone has it; it may look again.
    pub(crate) fn scan(
        &mut self,
        ticket: Key,
        phone: Key,
        csrf: Key,
        now: Duration,
    ) -> Result<Scan, Denial> {
        let ticket = self.by_key.get_mut(&ticket).ok_or(Denial::Unknown)?;
        ticket.check(now)?;
        let csrf = match ticket.state {
            State::Scanned { phone: first, .. } if !first.matches(phone) => {
                return Err(Denial::Taken);
            }
            State::Scanned { csrf, .. } => csrf,
            _ => csrf,
        };
        ticket.state = State::Scanned { phone, csrf };
        Ok(Scan {
            session: ticket.session,
            asker: ticket.asker.clone(),
            csrf,
            left: ticket.expires - now,
        })
    }

    /// The phone says yes. The session that is told, with `code`.
    pub(crate) fn confirm(
        &mut self,
        ticket: Key,
        phone: Key,
        csrf: Key,
        guest: Guest,
        code: Key,
        now: Duration,
    ) -> Result<u64, Denial> {
        let confirmed = self.scanned(ticket, phone, csrf, now)?;
        confirmed.state = State::Confirmed { guest };
        // However little was left: the browser takes its session at once, or not at all.
        confirmed.expires = now + EXCHANGE_TIMEOUT;
        let session = confirmed.session;
        self.codes.insert(code, ticket);
        Ok(session)
    }

    /// The phone says no. The session that is told.
    pub(crate) fn deny(
        &mut self,
        ticket: Key,
        phone: Key,
        csrf: Key,
        now: Duration,
    ) -> Result<u64, Denial> {
        let denied = self.scanned(ticket, phone, csrf, now)?;
        denied.state = State::Denied;
        Ok(denied.session)
    }

    /// The browser takes its session.
    pub(crate) fn exchange(
        &mut self,
        code: Key,
        browser: Key,
        now: Duration,
    ) -> Result<Guest, Denial> {
        let ticket = self.codes.get(&code).ok_or(Denial::Unknown)?;
        let ticket = self.by_key.get_mut(ticket).ok_or(Denial::Unknown)?;
        if !ticket.browser.matches(browser) {
            return Err(Denial::WrongBrowser);
        }
        if now >= ticket.expires {
            return Err(Denial::Expired);
        }
        match std::mem::replace(&mut ticket.state, State::Used) {
            State::Confirmed { guest } => Ok(guest),
            other => {
                ticket.state = other;
                Err(Denial::Used)
            }
        }
    }

    /// The browser has gone away: nobody can confirm its ticket any more. A confirmed one can still be exchanged.
    pub(crate) fn end_session(&mut self, session: u64, now: Duration) {
        for ticket in self.by_key.values_mut() {
            let is_open = matches!(ticket.state, State::Waiting | State::Scanned { .. });
            if ticket.session == session && is_open {
                ticket.expires = ticket.expires.min(now);
            }
        }
    }

    fn scanned(
        &mut self,
        ticket: Key,
        phone: Key,
        csrf: Key,
        now: Duration,
    ) -> Result<&mut Ticket, Denial> {
        let ticket = self.by_key.get_mut(&ticket).ok_or(Denial::Unknown)?;
        ticket.check(now)?;
        match ticket.state {
            State::Scanned {
                phone: first,
                csrf: shown,
            } if first.matches(phone) && shown.matches(csrf) => Ok(ticket),
            _ => Err(Denial::NotScanned),
        }
    }
}

impl Ticket {
    /// Whether it can still be scanned and confirmed.
    fn check(&self, now: Duration) -> Result<(), Denial> {
        match self.state {
            State::Confirmed { .. } | State::Used | State::Denied => Err(Denial::Used),
            State::Waiting | State::Scanned { .. } if now >= self.expires => Err(Denial::Expired),
            State::Waiting | State::Scanned { .. } => Ok(()),
        }
    }
}

/// From the phone's yes to the browser's request: a round trip, and a slow one.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(120);

    struct Scene {
        tickets: Tickets,
        ticket: Key,
        browser: Key,
        phone: Key,
        code: Key,
        guest: Guest,
    }

    impl Scene {
        fn new() -> Self {
            let mut scene = Self {
                tickets: Tickets::new(LIFETIME, 2),
                ticket: Key::random(),
                browser: Key::random(),
                phone: Key::random(),
                code: Key::random(),
                guest: Guest {
                    person: Person::new(),
                    name: "Ann".into(),
                },
            };
            scene.issue(scene.ticket, 1, 0).unwrap();
            scene
        }

        fn issue(&mut self, ticket: Key, session: u64, s: u64) -> Result<(), Full> {
            let asker = Asker {
                browser: "a browser".into(),
                ip: String::new(),
                time: 0,
            };
            self.tickets
                .issue(ticket, session, self.browser, asker, at(s))
        }

        fn scan(&mut self, phone: Key, s: u64) -> Result<Key, Denial> {
            let scan = self.tickets.scan(self.ticket, phone, Key::random(), at(s));
            scan.map(|scan| scan.csrf)
        }

        fn confirm(&mut self, csrf: Key, s: u64) -> Result<u64, Denial> {
            let guest = self.guest.clone();
            self.tickets
                .confirm(self.ticket, self.phone, csrf, guest, self.code, at(s))
        }

        fn exchange(&mut self, s: u64) -> Result<Guest, Denial> {
            self.tickets.exchange(self.code, self.browser, at(s))
        }
    }

    fn at(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn a_ticket_goes_its_way_once() {
        let mut scene = Scene::new();
        let phone = scene.phone;
        let csrf = scene.scan(phone, 1).unwrap();
        assert_eq!(scene.scan(phone, 2), Ok(csrf), "the phone may look again");
        assert_eq!(scene.confirm(csrf, 3), Ok(1));
        assert_eq!(scene.confirm(csrf, 3), Err(Denial::Used));
        assert_eq!(scene.scan(phone, 3), Err(Denial::Used));
        assert_eq!(scene.exchange(4), Ok(scene.guest.clone()));
        assert_eq!(scene.exchange(4), Err(Denial::Used));
        assert_eq!(scene.scan(phone, 5), Err(Denial::Used));
    }

    #[test]
    fn only_the_phone_that_scanned_first_can_confirm_and_only_from_our_page() {
        let mut scene = Scene::new();
        let thief = Key::random();
        assert_eq!(scene.confirm(Key::random(), 0), Err(Denial::NotScanned));
        let phone = scene.phone;
        let csrf = scene.scan(phone, 1).unwrap();
        assert_eq!(scene.scan(thief, 1), Err(Denial::Taken));
        assert_eq!(scene.confirm(Key::random(), 1), Err(Denial::NotScanned));
        scene.phone = thief;
        assert_eq!(scene.confirm(csrf, 1), Err(Denial::NotScanned));
    }

    #[test]
    fn the_code_is_no_good_in_another_browser_nor_is_the_ticket() {
        let mut scene = Scene::new();
        let (phone, browser, ticket) = (scene.phone, scene.browser, scene.ticket);
        let csrf = scene.scan(phone, 1).unwrap();
        scene.confirm(csrf, 1).unwrap();
        let tickets = &mut scene.tickets;
        let other = Key::random();
        assert_eq!(
            tickets.exchange(scene.code, other, at(1)),
            Err(Denial::WrongBrowser)
        );
        assert_eq!(
            tickets.exchange(ticket, browser, at(1)),
            Err(Denial::Unknown)
        );
        assert!(scene.exchange(2).is_ok());
    }

    #[test]
    fn every_step_has_its_time() {
        let mut scene = Scene::new();
        let phone = scene.phone;
        assert_eq!(scene.scan(phone, 120), Err(Denial::Expired));
        let mut scene = Scene::new();
        let phone = scene.phone;
        let csrf = scene.scan(phone, 119).unwrap();
        assert_eq!(scene.confirm(csrf, 120), Err(Denial::Expired));
        let csrf = scene.scan(phone, 119).unwrap();
        scene.confirm(csrf, 119).unwrap();
        assert_eq!(scene.exchange(119 + 30), Err(Denial::Expired));
    }

    #[test]
    fn a_ticket_ends_with_its_browser_and_with_the_next_one() {
        let mut scene = Scene::new();
        let phone = scene.phone;
        scene.issue(Key::random(), 1, 10).unwrap();
        assert_eq!(scene.scan(phone, 10), Err(Denial::Expired));
        let mut scene = Scene::new();
        let phone = scene.phone;
        scene.tickets.end_session(1, at(5));
        assert_eq!(scene.scan(phone, 5), Err(Denial::Expired));
    }

    #[test]
    fn no_means_no() {
        let mut scene = Scene::new();
        let (phone, ticket) = (scene.phone, scene.ticket);
        let csrf = scene.scan(phone, 1).unwrap();
        assert_eq!(scene.tickets.deny(ticket, phone, csrf, at(1)), Ok(1));
        assert_eq!(scene.confirm(csrf, 1), Err(Denial::Used));
    }

    #[test]
    fn the_table_is_bounded_and_the_expired_make_room() {
        let mut scene = Scene::new();
        scene.issue(Key::random(), 2, 0).unwrap();
        assert_eq!(scene.issue(Key::random(), 3, 1), Err(Full));
        assert_eq!(scene.issue(Key::random(), 3, 120), Ok(()));
    }
}
