//! Echo: every connection has so many messages under way, and each one that comes back sends the next.

use std::time::Instant;

use crate::{
    cli::{Echo, Target, Window},
    course::Course,
    cycle::{Cycle, Wire},
    opening::Opening,
    report::{Report, Shape},
    squeezed,
    track::{Reading, Track},
    usage::Usage,
    wrong::Wrong,
};

/// Runs the scenario.
pub(crate) fn run(target: &Target, window: &Window, echo: &Echo) -> Result<Report, Wrong> {
    let wire = if echo.raw { Wire::Raw } else { Wire::WebSocket };
    let lanes = Opening::new(target.address, wire)
        .deflate(echo.deflate)
        .tls(target.tls_ca.as_deref())?
        .open("/", echo.connections)?;
    let cycle = match echo.deflate {
        Some(_) => squeezed::cycle(echo.bytes),
        None => Cycle::new(echo.payload, echo.bytes, wire),
    };
    let mut track = Track::new(cycle, echo.in_flight);
    if echo.deflate.is_some() {
        track.reading = Reading::Each;
    }
    let mut course = Course::new(lanes)?;
    let shape = Shape {
        scenario: "echo",
        connections: echo.connections,
        bytes: echo.bytes,
        in_flight: echo.in_flight,
    };
    let messages = window.count.unwrap_or(usize::MAX);
    track.left = messages;
    let before = Usage::now(&target.server_pid);
    let start = Instant::now();
    course.send(&mut track, echo.in_flight)?;
    if window.count.is_some() {
        course.exhaust(&mut track)?;
        let used = Usage::now(&target.server_pid).since(before);
        return Ok(Report::new(shape, start.elapsed(), messages as f64, used));
    }
    course.go(&mut track, window.warm_up())?;
    let (before, start, received) = (
        Usage::now(&target.server_pid),
        Instant::now(),
        course.received,
    );
    course.go(&mut track, window.measured())?;
    let (elapsed, used) = (
        start.elapsed(),
        Usage::now(&target.server_pid).since(before),
    );
    let count = (course.received - received) as f64 / track.cycle.expected_frame as f64;
    course.end(&mut track)?;
    let mut report = Report::new(shape, elapsed, count, used);
    if echo.deflate.is_some() {
        report.wire_bytes = Some(
            track.wire_bytes as f64 * track.cycle.expected_frame as f64 / course.received as f64,
        );
    }
    Ok(report)
}
