//! The tickets and their states. Pure: time and random keys are arguments.
//!
//! ```text
//!   issue ──> waiting ── scan ──> scanned ── confirm ──> confirmed ── exchange ──> finished: used
//!                │                   │ └── deny ──────────────┼────────────────────> finished: used
//!                └───────────────────┴── its time, its browser┴────────────────────> finished: expired
//! ```
//!
//! At most `max` tickets are valid. A finished ticket is removed from them; its reason is remembered, up to `max` of those too,
//! so that the phone can be told why it is refused.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::key::Key;
use crate::identity::Person;

/// All tickets of the server.
#[derive(Debug)]
pub(crate) struct Tickets {
    /// The valid tickets: one for each session, and confirmed ones whose session has ended.
    by_key: HashMap<Key, Ticket>,
    /// The last ticket of each session, unless it is finished.
    by_session: HashMap<u64, Key>,
    /// The tickets of the codes of confirmed tickets.
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
    browser_info: BrowserInfo,
    /// When it expires, since the caller's origin.
    expires: Duration,
    state: State,
}

/// Finished tickets and codes, with the reason.
#[derive(Debug, Default)]
struct Finished {
    by_key: HashMap<Key, Denial>,
    /// The oldest first.
    order: VecDeque<Key>,
}

/// The description of the browser that the phone shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrowserInfo {
    /// Such as "Firefox, Windows".
    pub(crate) browser: String,
    /// The browser's address; empty if it is unknown.
    pub(crate) ip: String,
    /// Milliseconds since 1970.
    pub(crate) time: u64,
}

/// The person who confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfirmedPerson {
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
        confirmed_person: ConfirmedPerson,
        code: Key,
        prompt: Prompt,
    },
}

/// Whether the browser was asked to give up its own identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prompt {
    NotAsked,
    Asked,
}

/// Whether the browser agrees to replace its own identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    NotGiven,
    Given,
}

/// The result of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) session: u64,
    pub(crate) browser_info: BrowserInfo,
    /// The secret that the confirmation must carry.
    pub(crate) csrf: Key,
    pub(crate) left: Duration,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The ticket is unknown, or was finished too long ago.
    Unknown,
    Expired,
    /// Another phone has scanned it first.
    Taken,
    /// This phone has not scanned it, or the request has the wrong secret.
    NotScanned,
    /// It was confirmed, used or denied already.
    Used,
    /// The code belongs to another browser.
    WrongBrowser,
    /// The browser has another identity, and must agree to replace it.
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

/// [`Tickets`] has its maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyTickets;

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

    /// Issues a ticket for the browser's session, and finishes its previous one.
    pub(crate) fn issue(
        &mut self,
        ticket: Key,
        session: u64,
        browser: Key,
        browser_info: BrowserInfo,
        now: Duration,
    ) -> Result<(), TooManyTickets> {
        if let Some(before) = self.by_session.remove(&session) {
            self.finish(before, Denial::Expired);
        }
        if self.by_key.len() >= self.max {
            self.finish_expired(now);
        }
        if self.by_key.len() >= self.max {
            return Err(TooManyTickets);
        }
        let issued = Ticket {
            session,
            browser,
            browser_info,
            expires: now + self.lifetime,
            state: State::Waiting,
        };
        self.by_key.insert(ticket, issued);
        self.by_session.insert(session, ticket);
        Ok(())
    }

    /// Marks the ticket as scanned by a phone. Only the first phone can scan it, and may repeat it. The first scan gives the
    /// person another lifetime, to type a name.
    pub(crate) fn scan(
        &mut self,
        ticket: Key,
        phone: Key,
        csrf: Key,
        now: Duration,
    ) -> Result<Scan, Denial> {
        let lifetime = self.lifetime;
        let ticket = self.open(ticket, now)?;
        let csrf = match ticket.state {
            State::Scanned { phone: first, .. } if !first.matches(phone) => {
                return Err(Denial::Taken);
            }
            State::Scanned { csrf, .. } => csrf,
            _ => {
                ticket.expires = now + lifetime;
                csrf
            }
        };
        ticket.state = State::Scanned { phone, csrf };
        Ok(Scan {
            session: ticket.session,
            browser_info: ticket.browser_info.clone(),
            csrf,
            left: ticket.expires - now,
        })
    }

    /// Confirms the ticket. Returns the browser's session, which is told the code.
    pub(crate) fn confirm(
        &mut self,
        ticket: Key,
        phone: Key,
        csrf: Key,
        confirmed_person: ConfirmedPerson,
        code: Key,
        now: Duration,
    ) -> Result<u64, Denial> {
        let confirmed = self.scanned(ticket, phone, csrf, now)?;
        confirmed.state = State::Confirmed {
            confirmed_person,
            code,
            prompt: Prompt::NotAsked,
        };
        // The browser exchanges the code at once or not at all, so the ticket's own time doesn't matter any more.
        confirmed.expires = now + EXCHANGE_TIMEOUT;
        let session = confirmed.session;
        self.codes.insert(code, ticket);
        Ok(session)
    }

    /// Denies the ticket. Returns the browser's session.
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

    /// Exchanges the browser's code for the person who confirmed. `current` is the browser's identity; if it is another
    /// person, the browser must consent, and gets time to decide.
    pub(crate) fn exchange(
        &mut self,
        code: Key,
        browser: Key,
        current: Option<Person>,
        consent: Consent,
        now: Duration,
    ) -> Result<ConfirmedPerson, Denial> {
        let key = self.codes.get(&code).copied();
        let key = key.ok_or_else(|| self.finished.reason(code))?;
        let ticket = self.by_key.get_mut(&key).ok_or(Denial::Unknown)?;
        if !ticket.browser.matches(browser) {
            return Err(Denial::WrongBrowser);
        }
        if now >= ticket.expires {
            return Err(Denial::Expired);
        }
        let State::Confirmed {
            confirmed_person,
            prompt,
            ..
        } = &mut ticket.state
        else {
            return Err(Denial::Unknown);
        };
        let replaces = current.is_some_and(|current| current != confirmed_person.person);
        if replaces && consent == Consent::NotGiven {
            if *prompt == Prompt::NotAsked {
                *prompt = Prompt::Asked;
                ticket.expires = now + DECISION_TIMEOUT;
            }
            return Err(Denial::Replaces);
        }
        let confirmed_person = confirmed_person.clone();
        self.finish(key, Denial::Used);
        Ok(confirmed_person)
    }

    /// Finishes the ticket of a browser that has disconnected. A confirmed ticket can still be exchanged.
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

    /// Returns a ticket that can still be scanned and confirmed.
    fn open(&mut self, ticket: Key, now: Duration) -> Result<&mut Ticket, Denial> {
        let Some(open) = self.by_key.get_mut(&ticket) else {
            return Err(self.finished.reason(ticket));
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

    /// Removes a ticket and remembers the reason.
    fn finish(&mut self, key: Key, reason: Denial) {
        let Some(ticket) = self.by_key.remove(&key) else {
            return;
        };
        if self.by_session.get(&ticket.session) == Some(&key) {
            self.by_session.remove(&ticket.session);
        }
        if let State::Confirmed { code, .. } = ticket.state {
            self.codes.remove(&code);
            self.finished.remember(code, reason, self.max);
        }
        self.finished.remember(key, reason, self.max);
    }
}

impl Finished {
    fn remember(&mut self, key: Key, reason: Denial, max: usize) {
        if self.order.len() >= max
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_key.remove(&oldest);
        }
        self.by_key.insert(key, reason);
        self.order.push_back(key);
    }

    fn reason(&self, key: Key) -> Denial {
        self.by_key.get(&key).copied().unwrap_or(Denial::Unknown)
    }
}

/// Time for a person to decide whether the browser replaces its identity.
const DECISION_TIMEOUT: Duration = Duration::from_secs(120);

/// Time from the confirmation to the browser's exchange: one slow round trip.
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
        confirmed_person: ConfirmedPerson,
    }

    impl Scene {
        fn new() -> Self {
            let mut scene = Self {
                tickets: Tickets::new(LIFETIME, 2),
                ticket: Key::random(),
                browser: Key::random(),
                phone: Key::random(),
                code: Key::random(),
                confirmed_person: ConfirmedPerson {
                    person: Person::new(),
                    name: "Ann".into(),
                },
            };
            scene.issue(scene.ticket, 1, 0).unwrap();
            scene
        }

        fn issue(&mut self, ticket: Key, session: u64, s: u64) -> Result<(), TooManyTickets> {
            let browser_info = BrowserInfo {
                browser: "a browser".into(),
                ip: String::new(),
                time: 0,
            };
            self.tickets
                .issue(ticket, session, self.browser, browser_info, at(s))
        }

        fn scan(&mut self, phone: Key, s: u64) -> Result<Key, Denial> {
            let scan = self.tickets.scan(self.ticket, phone, Key::random(), at(s));
            scan.map(|scan| scan.csrf)
        }

        fn confirm(&mut self, csrf: Key, s: u64) -> Result<u64, Denial> {
            let confirmed_person = self.confirmed_person.clone();
            self.tickets.confirm(
                self.ticket,
                self.phone,
                csrf,
                confirmed_person,
                self.code,
                at(s),
            )
        }

        fn exchange(&mut self, s: u64) -> Result<ConfirmedPerson, Denial> {
            self.exchange_as(None, Consent::NotGiven, s)
        }

        fn exchange_as(
            &mut self,
            current: Option<Person>,
            consent: Consent,
            s: u64,
        ) -> Result<ConfirmedPerson, Denial> {
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
        assert_eq!(scene.exchange(4), Ok(scene.confirmed_person.clone()));
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
        // Who scans has time to type a name; scanning again gives no more of it.
        let csrf = scene.scan(phone, 119).unwrap();
        scene.scan(phone, 200).unwrap();
        assert_eq!(scene.confirm(csrf, 119 + 120), Err(Denial::Expired));
        let mut scene = Scene::new();
        let csrf = scene.scan(scene.phone, 119).unwrap();
        scene.confirm(csrf, 119 + 119).unwrap();
        assert_eq!(scene.exchange(119 + 119 + 30), Err(Denial::Expired));
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
        let (phone, same) = (scene.phone, Some(scene.confirmed_person.person));
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
        assert_eq!(scene.issue(Key::random(), 3, 1), Err(TooManyTickets));
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
