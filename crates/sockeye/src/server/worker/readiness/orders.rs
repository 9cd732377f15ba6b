//! How a worker carries out what the server asks of it.

use crate::{
    connection::Session,
    handshake::Refusal,
    server::{
        first_request::Stranger,
        handoff::Order,
        shared::Phase,
        worker::readiness::{Guest, ReadinessLoop, let_go},
    },
};

impl ReadinessLoop {
    pub(super) fn handle_order(&mut self, order: Order) {
        match order {
            Order::Adopt(adoption) => self.adopt(*adoption),
            Order::Farewell { farewell, roll } => {
                let sessions = self.sessions();
                match roll {
                    // Nobody takes it if the drain was given up; those who are here stay then.
                    Some(roll) => drop(roll.send(sessions)),
                    None => {
                        for session in sessions {
                            farewell.say_to(&session);
                        }
                    }
                }
                self.farewell = Some(farewell);
            }
            Order::Phase => self.handle_phase(),
        }
    }

    fn handle_phase(&mut self) {
        self.phase = self.shared.phase();
        match self.phase {
            Phase::Serving => {}
            Phase::Draining => self.entrances.clear(),
            Phase::Ended => {
                self.entrances.clear();
                for place in self.guests.numbers() {
                    if let Some(Guest::Served(served)) = self.guests.at_mut(place) {
                        served.cut(self.shared.registry.tally());
                        let_go(self.guests.remove(place));
                    }
                }
            }
        }
        if self.phase != Phase::Serving {
            for place in self.guests.numbers() {
                if let Some(Guest::Opening(_)) = self.guests.at_mut(place) {
                    self.hand_over(place, Stranger::Refused(Refusal::going_away()));
                }
            }
        }
    }

    fn sessions(&mut self) -> Vec<Session> {
        let mut sessions = Vec::new();
        for place in self.guests.numbers() {
            if let Some(Guest::Served(served)) = self.guests.at_mut(place) {
                sessions.push(served.session().clone());
            }
        }
        sessions
    }
}
