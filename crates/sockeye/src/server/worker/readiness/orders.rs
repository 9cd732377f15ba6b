//! How a worker carries out the server's orders.

use crate::{
    connection::Session,
    handshake::Refusal,
    server::{
        first_request::ToTokio,
        handoff::Order,
        shared::Phase,
        worker::readiness::{ReadinessLoop, Slot, drop_catching_panic},
    },
};

impl ReadinessLoop {
    /// Carries out all orders that the server has posted.
    pub(super) fn handle_orders(&mut self) {
        for order in self.orders.take() {
            self.handle_order(order);
        }
    }

    fn handle_order(&mut self, order: Order) {
        match order {
            Order::Serve(handoff) => self.handle_handoff(*handoff),
            Order::Close {
                closing_notice,
                open_sessions,
            } => {
                let sessions = self.sessions();
                match open_sessions {
                    // The receiver is gone if the drain was cancelled; the sessions stay open then.
                    Some(open_sessions) => drop(open_sessions.send(sessions)),
                    None => {
                        for session in sessions {
                            closing_notice.send_to(&session);
                        }
                    }
                }
                self.closing_notice = Some(closing_notice);
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
                for slot in self.slots.numbers() {
                    if let Some(Slot::ActiveSession(active)) = self.slots.at_mut(slot) {
                        active.abort(self.shared.registry.stats());
                        drop_catching_panic(self.slots.remove(slot));
                    }
                }
            }
        }
        if self.phase != Phase::Serving {
            for slot in self.slots.numbers() {
                if let Some(Slot::PendingHandshake(_)) = self.slots.at_mut(slot) {
                    self.pass_to_tokio(slot, ToTokio::Refused(Refusal::going_away()));
                }
            }
        }
    }

    fn sessions(&mut self) -> Vec<Session> {
        let mut sessions = Vec::new();
        for slot in self.slots.numbers() {
            if let Some(Slot::ActiveSession(active)) = self.slots.at_mut(slot) {
                sessions.push(active.session().clone());
            }
        }
        sessions
    }
}
