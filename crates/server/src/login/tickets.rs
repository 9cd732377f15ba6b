//! The tickets: what each is good for, and for how long. No clock and no luck in here, both are arguments.
//!
//! ```text
//!   issue ──> waiting ── scan ──> scanned ── confirm ──> confirmed ── exchange ──> finished: used
//!                │                   │ └── deny ──────────────┼────────────────────> finished: used
//!                └───────────────────┴── its time, its browser┴────────────────────> finished: expired
//! ```
//!
//! A ticket that is good for something has one of `max` places; one that is finished gives its place back, and is
//! remembered as long as there is room for that too, so that the phone can be told why it is refused.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::key::Key;
use crate::chat::Person;

/// All tickets of the server.
#[derive(Debug)]
pub(crate) struct Tickets {
    /// Those that are good for something; one for each session, and confirmed ones whose session has ended.
    by_key: HashMap<Key, Ticket>,
    /// The last ticket of each session, if it isn't finished.
    by_session: HashMap<u64, Key>,
    /// Codes of confirmed tickets.
    codes: HashMap<Key, Key>,
    finished: Finished,
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

/// Tickets and codes that are good for nothing any more, and why.
#[derive(Debug, Default)]
struct Finished {
    by_key: HashMap<Key, Denial>,
    /// The oldest first.
    order: VecDeque<Key>,
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
    Scanned {
        phone: Key,
        csrf: Key,
    },
    Confirmed {
        guest: Guest,
        code: Key,
        question: Question,
    },
}

/// Whether the browser was asked to give up who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    NotAsked,
    Asked,
}

/// What a browser that is somebody already says to becoming somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    NotGiven,
    Given,
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
    /// The browser is somebody else already, and has to say that it gives that up.
    Replaces,
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
            Self::Replaces => "replaces",
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
            by_session: HashMap::new(),
            codes: HashMap::new(),
            finished: Finished::default(),
            lifetime,
            max,
        }
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A new ticket for the browser's session; one that it had before is finished.
    pub(crate) fn issue(
        &mut self,
        ticket: Key,
        session: u64,
        browser: Key,
        asker: Asker,
        now: Duration,
    ) -> Result<(), Full> {
        if let Some(before) = self.by_session.remove(&session) {
            self.finish(before, Denial::Expired);
        }
        if self.by_key.len() >= self.max {
            self.finish_expired(now);
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
        self.by_session.insert(session, ticket);
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
        let ticket = self.open(ticket, now)?;
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
        confirmed.state = State::Confirmed {
            guest,
            code,
            question: Question::NotAsked,
        };
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
        let session = self.scanned(ticket, phone, csrf, now)?.session;
        self.finish(ticket, Denial::Used);
        Ok(session)
    }

    /// The browser takes its session. `current` is who it is already; if that is somebody else it has to consent, and
    /// has time to think about it.
    pub(crate) fn exchange(
        &mut self,
        code: Key,
        browser: Key,
        current: Option<Person>,
        consent: Consent,
        now: Duration,
    ) -> Result<Guest, Denial> {
        let key = self.codes.get(&code).copied();
        let key = key.ok_or_else(|| self.finished.why(code))?;
        let ticket = self.by_key.get_mut(&key).ok_or(Denial::Unknown)?;
        if !ticket.browser.matches(browser) {
            return Err(Denial::WrongBrowser);
        }
        if now >= ticket.expires {
            return Err(Denial::Expired);
        }
        let State::Confirmed {
            guest, question, ..
        } = &mut ticket.state
        else {
            return Err(Denial::Unknown);
        };
        let replaces = current.is_some_and(|current| current != guest.person);
        if replaces && consent == Consent::NotGiven {
            if *question == Question::NotAsked {
                *question = Question::Asked;
                ticket.expires = now + DECISION_TIMEOUT;
            }
            return Err(Denial::Replaces);
        }
        let guest = guest.clone();
        self.finish(key, Denial::Used);
        Ok(guest)
    }

    /// The browser has gone away: nobody can confirm its ticket any more. A confirmed one can still be exchanged.
    pub(crate) fn end_session(&mut self, session: u64) {
        let Some(ticket) = self.by_session.remove(&session) else {
            return;
        };
        let state = self.by_key.get(&ticket).map(|ticket| &ticket.state);
        if matches!(state, Some(State::Waiting | State::Scanned { .. })) {
            self.finish(ticket, Denial::Expired);
        }
    }

    fn scanned(
        &mut self,
        ticket: Key,
        phone: Key,
        csrf: Key,
        now: Duration,
    ) -> Result<&mut Ticket, Denial> {
        let ticket = self.open(ticket, now)?;
        match ticket.state {
            State::Scanned {
                phone: first,
                csrf: shown,
            } if first.matches(phone) && shown.matches(csrf) => Ok(ticket),
            _ => Err(Denial::NotScanned),
        }
    }

    /// One that can still be scanned and confirmed.
    fn open(&mut self, ticket: Key, now: Duration) -> Result<&mut Ticket, Denial> {
        let Some(open) = self.by_key.get_mut(&ticket) else {
            return Err(self.finished.why(ticket));
        };
        match open.state {
            State::Confirmed { .. } => Err(Denial::Used),
            State::Waiting | State::Scanned { .. } if now >= open.expires => Err(Denial::Expired),
            State::Waiting | State::Scanned { .. } => Ok(open),
        }
    }

    fn finish_expired(&mut self, now: Duration) {
        let expired = self
            .by_key
            .iter()
            .filter(|(_, ticket)| now >= ticket.expires);
        for key in expired.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.finish(key, Denial::Expired);
        }
    }

    /// Gives its place back.
    fn finish(&mut self, key: Key, why: Denial) {
        let Some(ticket) = self.by_key.remove(&key) else {
            return;
        };
        if self.by_session.get(&ticket.session) == Some(&key) {
            self.by_session.remove(&ticket.session);
        }
        if let State::Confirmed { code, .. } = ticket.state {
            self.codes.remove(&code);
            self.finished.remember(code, why, self.max);
        }
        self.finished.remember(key, why, self.max);
    }
}

impl Finished {
    fn remember(&mut self, key: Key, why: Denial, max: usize) {
        if self.order.len() >= max
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_key.remove(&oldest);
        }
        self.by_key.insert(key, why);
        self.order.push_back(key);
    }

    fn why(&self, key: Key) -> Denial {
        self.by_key.get(&key).copied().unwrap_or(Denial::Unknown)
    }
}

/// For somebody who is asked whether the browser shall be somebody else from now on.
const DECISION_TIMEOUT: Duration = Duration::from_secs(120);

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
            self.exchange_as(None, Consent::NotGiven, s)
        }

        fn exchange_as(
            &mut self,
            current: Option<Person>,
            consent: Consent,
            s: u64,
        ) -> Result<Guest, Denial> {
            self.tickets
                .exchange(self.code, self.browser, current, consent, at(s))
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
        scene.browser = Key::random();
        assert_eq!(scene.exchange(1), Err(Denial::WrongBrowser));
        let code = std::mem::replace(&mut scene.code, ticket);
        scene.browser = browser;
        assert_eq!(scene.exchange(1), Err(Denial::Unknown));
        scene.code = code;
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
        scene.tickets.end_session(1);
        assert_eq!(scene.scan(phone, 5), Err(Denial::Expired));
    }

    #[test]
    fn a_confirmed_ticket_outlives_its_session_and_not_the_next_ticket() {
        for renewed in [false, true] {
            let mut scene = Scene::new();
            let phone = scene.phone;
            let csrf = scene.scan(phone, 1).unwrap();
            scene.confirm(csrf, 1).unwrap();
            match renewed {
                true => scene.issue(Key::random(), 1, 2).unwrap(),
                false => scene.tickets.end_session(1),
            }
            assert_eq!(scene.exchange(2).is_ok(), !renewed);
        }
    }

    #[test]
    fn a_browser_that_is_somebody_is_asked_before_it_is_somebody_else() {
        let mut scene = Scene::new();
        let (phone, other) = (scene.phone, Some(Person::new()));
        let csrf = scene.scan(phone, 1).unwrap();
        scene.confirm(csrf, 1).unwrap();
        let asked = scene.exchange_as(other, Consent::NotGiven, 30);
        assert_eq!(asked, Err(Denial::Replaces));
        // There is time to think, once.
        let asked = scene.exchange_as(other, Consent::NotGiven, 149);
        assert_eq!(asked, Err(Denial::Replaces));
        let late = scene.exchange_as(other, Consent::Given, 150);
        assert_eq!(late, Err(Denial::Expired));
        assert!(scene.exchange_as(other, Consent::Given, 149).is_ok());

        let mut scene = Scene::new();
        let (phone, same) = (scene.phone, Some(scene.guest.person));
        let csrf = scene.scan(phone, 1).unwrap();
        scene.confirm(csrf, 1).unwrap();
        assert!(scene.exchange_as(same, Consent::NotGiven, 2).is_ok());
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

    // Issue 13, A.6.
    #[test]
    fn tickets_that_were_denied_or_used_take_no_room() {
        let mut scene = Scene::new();
        let phone = scene.phone;
        for round in 0..100 {
            scene.ticket = Key::random();
            scene.code = Key::random();
            scene.issue(scene.ticket, 10 + round, 1).unwrap();
            let csrf = scene.scan(phone, 1).unwrap();
            if round % 2 == 0 {
                scene
                    .tickets
                    .deny(scene.ticket, phone, csrf, at(1))
                    .unwrap();
            } else {
                scene.confirm(csrf, 1).unwrap();
                scene.exchange(1).unwrap();
            }
            assert_eq!(scene.scan(phone, 1), Err(Denial::Used));
        }
        // The first one waits still, and what is remembered is bounded.
        assert_eq!(scene.tickets.by_key.len(), 1);
        assert_eq!(scene.tickets.by_session.len(), 1);
        assert_eq!(scene.tickets.codes.len(), 0);
        assert_eq!(scene.tickets.finished.by_key.len(), 2);
        assert_eq!(scene.tickets.finished.order.len(), 2);
    }
}
