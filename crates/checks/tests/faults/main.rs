//! Faults: a connection that breaks silently is noticed, within the time that is promised, and by no end that it
//! doesn't concern. Each test prints how long it took beside its bound.

mod clock;
mod full_disk;
mod memory;
mod network;
mod processes;
mod slow_links;
mod support;
