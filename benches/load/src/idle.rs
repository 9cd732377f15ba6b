//! Idle: connections that do nothing, then talk once, then do nothing again.
//!
//! Each step ends with a line of JSON and begins with a line on standard input, so that the program that runs this
//! can look at the server's memory in between.

use std::io;

use crate::{
    cli::{Idle, Target},
    course::Course,
    cycle::{Cycle, Payload, Wire},
    opening::Opening,
    squeezed,
    track::{Pace, Reading, Track},
    wrong::Wrong,
};

/// Runs the scenario.
pub(crate) fn run(target: &Target, idle: &Idle) -> Result<(), Wrong> {
    let lanes = Opening::new(target.address, Wire::WebSocket)
        .deflate(idle.deflate)
        .tls(target.tls_ca.as_deref())?
        .open("/", idle.connections)?;
    let mut course = Course::new(lanes)?;
    finish("opened")?;
    let cycle = match idle.deflate {
        Some(_) => squeezed::cycle(BURST_BYTES),
        None => Cycle::new(Payload::Binary, BURST_BYTES, Wire::WebSocket),
    };
    let mut track = Track::new(cycle, idle.burst);
    track.reading = Reading::Each;
    track.pace = Pace::Ending;
    course.send(&mut track, idle.burst)?;
    course.end(&mut track)?;
    finish("burst")
}

/// Says which step is done, and waits until the next one is wanted.
fn finish(step: &str) -> Result<(), Wrong> {
    println!("{{\"step\":\"{step}\"}}");
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .map_err(Wrong::system("standard input"))?;
    Ok(())
}

/// Bytes of one message.
const BURST_BYTES: usize = 1024;
