//! Loop style: the handle that a program holds.

use crate::established::Established;

/// The handle that a program holds, both directions.
pub struct WebSocket;

impl WebSocket {
    pub(crate) fn new(established: Established) -> Self {
        let _ = established;
        unimplemented!()
    }
}
