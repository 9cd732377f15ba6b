//! The picture: bars, as an SVG that needs nothing else.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    peer::{OURS, OURS_LOOP, Peer, RAW, REFERENCE},
    plan::Part,
    rounds::Outcome,
};

/// A group of bars for each cell: every server's rate as a multiple of the reference's.
pub(crate) fn bars(part: &Part, outcomes: &BTreeMap<String, Outcome>) -> String {
    let cells: Vec<&Outcome> = part
        .cells
        .iter()
        .filter_map(|cell| outcomes.get(&cell.name()))
        .collect();
    let mut body = String::new();
    let mut top = MARGIN + 20.0;
    for outcome in cells {
        let _ = writeln!(
            body,
            r#"<text x="{MARGIN}" y="{:.0}" font-weight="bold">{}</text>"#,
            top, outcome.name
        );
        top += 8.0;
        for peer in &part.peers {
            let Some(ratio) = outcome.ratio(&peer.name, REFERENCE, |one| one.per_second) else {
                continue;
            };
            bar(&mut body, peer, ratio, top);
            top += BAR + 3.0;
        }
        top += 26.0;
    }
    let one = LEFT + UNIT;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top:.0}" viewBox="0 0 {WIDTH} {top:.0}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="{MARGIN}" y="{MARGIN}" font-size="14">Echo: messages per second, uWebSockets = 1</text>
<line x1="{one}" y1="{MARGIN}" x2="{one}" y2="{top:.0}" stroke="#888888" stroke-dasharray="4 3"/>
{body}</svg>
"##
    )
}

fn bar(body: &mut String, peer: &Peer, ratio: f64, top: f64) {
    let colour = match peer.name.as_str() {
        OURS => "#d1495b",
        OURS_LOOP => "#e58a97",
        REFERENCE => "#30638e",
        RAW => "#555555",
        _ => "#a9b8c2",
    };
    let width = (ratio * UNIT).min(WIDTH - LEFT - 60.0);
    let baseline = top + BAR - 3.0;
    let _ = writeln!(
        body,
        r#"<text x="{:.0}" y="{baseline:.0}" text-anchor="end">{}</text><rect x="{LEFT}" y="{top:.0}" width="{width:.1}" height="{BAR}" fill="{colour}"/><text x="{:.0}" y="{baseline:.0}">{ratio:.2}</text>"#,
        LEFT - 6.0,
        peer.name,
        LEFT + width + 5.0,
    );
}

/// Pixels.
const WIDTH: f64 = 760.0;
/// Pixels at the edge.
const MARGIN: f64 = 20.0;
/// Pixels before the bars, for names.
const LEFT: f64 = 150.0;
/// Pixels of a ratio of 1.
const UNIT: f64 = 180.0;
/// Pixels of a bar's height.
const BAR: f64 = 14.0;
