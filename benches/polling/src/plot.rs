//! The results as a picture: four panels of bars, logarithmic, for one number of clients.

use std::fmt::Write as _;

use crate::{results::Outcome, visitor::Method};

/// A whole SVG file.
pub(crate) fn svg(outcomes: &[Outcome]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"13\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    for (index, panel) in PANELS.iter().enumerate() {
        let left = PANEL_WIDTH * (index % 2) as f64;
        let top = PANEL_HEIGHT * (index / 2) as f64;
        panel.draw(&mut svg, outcomes, left, top);
    }
    for (index, method) in methods(outcomes).into_iter().enumerate() {
        let left = 60.0 + 170.0 * index as f64;
        let top = HEIGHT - 24.0;
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{top}\" width=\"14\" height=\"14\" fill=\"{}\"/>\
             <text x=\"{}\" y=\"{}\" fill=\"#222\">{}</text>",
            COLOURS[index % COLOURS.len()],
            left + 20.0,
            top + 12.0,
            method
        );
    }
    svg.push_str("</svg>\n");
    svg
}

struct Panel {
    title: &'static str,
    value: fn(&Outcome) -> f64,
}

const PANELS: [Panel; 4] = [
    Panel {
        title: "KiB for each client, with TCP/IP headers",
        value: |outcome| outcome.bytes_with_headers() as f64 / 1024.0 / outcome.cell.clients as f64,
    },
    Panel {
        title: "HTTP requests for each client",
        value: |outcome| outcome.requests as f64 / outcome.cell.clients as f64,
    },
    Panel {
        title: "processor time of the server, ms",
        value: Outcome::processor_ms,
    },
    Panel {
        title: "delay from update to client, p99, ms",
        value: |outcome| outcome.delay_ms(0.99),
    },
];

impl Panel {
    fn draw(&self, svg: &mut String, outcomes: &[Outcome], left: f64, top: f64) {
        let values = || outcomes.iter().map(self.value).filter(|value| *value > 0.0);
        let low = values().fold(f64::INFINITY, f64::min).log10();
        // The shortest bar is a bar, too.
        let low = (low - 0.1).floor();
        let high = values().fold(0.0, f64::max).log10().ceil().max(low + 1.0);
        let base = top + PANEL_HEIGHT - 50.0;
        let height = PANEL_HEIGHT - 100.0;
        let at =
            |value: f64| base - height * ((value.log10() - low) / (high - low)).clamp(0.0, 1.0);
        let (from, to) = (left + 60.0, left + PANEL_WIDTH - 20.0);
        let _ = writeln!(
            svg,
            "<text x=\"{from}\" y=\"{}\" fill=\"#222\" font-weight=\"600\">{}</text>",
            top + 30.0,
            self.title
        );
        let mut power = low;
        while power <= high {
            let (y, value) = (at(10f64.powf(power)), 10f64.powf(power));
            let _ = writeln!(
                svg,
                "<line x1=\"{from}\" y1=\"{y:.1}\" x2=\"{to}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{}\" y=\"{:.1}\" fill=\"#555\" text-anchor=\"end\">{value}</text>",
                from - 8.0,
                y + 4.0
            );
            power += 1.0;
        }
        let methods = methods(outcomes);
        let mut counts: Vec<usize> = outcomes
            .iter()
            .map(|outcome| outcome.cell.updates)
            .collect();
        counts.sort_unstable();
        counts.dedup();
        let group = (to - from) / counts.len().max(1) as f64;
        for (place, updates) in counts.iter().enumerate() {
            let begin = from + group * place as f64;
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#555\" text-anchor=\"middle\">{updates} updates</text>",
                begin + group / 2.0,
                base + 20.0
            );
            let bar = group * 0.8 / methods.len() as f64;
            for (index, &method) in methods.iter().enumerate() {
                let found = outcomes.iter().find(|outcome| {
                    outcome.cell.updates == *updates && outcome.cell.method == method
                });
                let Some(value) = found.map(self.value) else {
                    continue;
                };
                let (x, y) = (
                    begin + group * 0.1 + bar * index as f64,
                    at(value.max(f64::MIN_POSITIVE)),
                );
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"/>\
                     <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#222\" font-size=\"10\" text-anchor=\"middle\">{}</text>",
                    bar - 3.0,
                    base - y,
                    COLOURS[index % COLOURS.len()],
                    x + (bar - 3.0) / 2.0,
                    y - 4.0,
                    short(value)
                );
            }
        }
    }
}

/// In the order in which they were measured.
fn methods(outcomes: &[Outcome]) -> Vec<Method> {
    let mut methods: Vec<Method> = outcomes.iter().map(|outcome| outcome.cell.method).collect();
    let mut seen = Vec::new();
    methods.retain(|method| {
        let is_new = !seen.contains(method);
        seen.push(*method);
        is_new
    });
    methods
}

/// Two digits are enough above a bar.
fn short(value: f64) -> String {
    match value {
        value if value < 1.0 => format!("{value:.2}"),
        value if value < 10.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// Told apart by people who see no red or no green, too.
const COLOURS: [&str; 5] = ["#d55e00", "#cc79a7", "#e6b400", "#0072b2", "#009e73"];

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 680.0;
const PANEL_WIDTH: f64 = WIDTH / 2.0;
const PANEL_HEIGHT: f64 = (HEIGHT - 40.0) / 2.0;

#[cfg(test)]
mod tests {

    use super::*;
    use crate::results::tests::outcomes;

    #[test]
    fn each_measurement_is_a_bar_in_each_panel() {
        let outcomes = outcomes(&[3, 60]);
        let svg = svg(&outcomes);
        let bars = svg.matches("font-size=\"10\"").count();
        assert_eq!(bars, 4 * 6);
        assert!(svg.contains("60 updates") && !svg.contains("NaN") && !svg.contains("inf"));
    }
}
