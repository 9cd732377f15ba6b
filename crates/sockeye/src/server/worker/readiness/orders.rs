//! How a worker carries out what the server asks of it.

use crate::{
    connection::Session,
    handshake::Refusal,
    server::{
        first_request::ToTokio,
        handoff::Order,
        shared::Phase,
        worker::readiness::{ReadinessLoop, Slot, let_go},
    },
};

impl ReadinessLoop {
    pub(super) fn handle_order(&mut self, order: Order) {
        match order {
            Order::TakeOver(handoff) => self.take_over(*handoff),
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
            Phase::Draining => self.acceptors.clear(),
            Phase::Ended => {
                self.acceptors.clear();
                for place in self.slots.numbers() {
                    if let Some(Slot::ActiveSession(active)) = self.slots.at_mut(place) {
                        active.cut(self.shared.registry.stats());
                        let_go(self.slots.remove(place));
                    }
                }
            }
        }
        if self.phase != Phase::Serving {
            for place in self.slots.numbers() {
                if let Some(Slot::PendingHandshake(_)) = self.slots.at_mut(place) {
                    self.hand_over(place, ToTokio::OutboxError(Refusal::going_away()));
                }
            }
        }
    }

    fn sessions(&mut self) -> Vec<Session> {
        let mut sessions = Vec::new();
        for place in self.slots.numbers() {
            if let Some(Slot::ActiveSession(active)) = self.slots.at_mut(place) {
                sessions.push(active.session().clone());
            }
        }
        sessions
    }
}
