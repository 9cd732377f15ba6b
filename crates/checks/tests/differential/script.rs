//! Scripts: one exchange a line.
//!
//! ```text
//! # A comment.
//! == subscribing                      a group; its settings follow, and stay for the groups of this file
//! server: open                        a file of `servers/`
//! encodings: json protobuf
//! before: {"id":1,"connect":{}}       steps that stand before those of each exchange
//! {"id":2,"subscribe":{"channel":"~"}} ;; api publish {"channel":"~","data":1}
//! [delta compression] {"id":2,…}      differs on purpose: this row of the docs says why
//! ```
//!
//! Steps are joined by ` ;; `:
//!
//! | step | what |
//! |---|---|
//! | `{…}` | client `a` sends a frame; `⏎` stands for a line feed |
//! | `b: …` | another client sends it |
//! | `b: hex 0a00` | sends bytes |
//! | `b: path /connection/uni_websocket` | where the client's WebSocket is opened, before it has sent anything |
//! | `b: stream POST /connection/http_stream {…}` | the client reads an HTTP response |
//! | `b: emulate {…}` | the client of such a stream sends commands |
//! | `b: end` | closes its connection |
//! | `gone CHANNEL` | waits until nobody is in the channel, which has presence |
//! | `b: wait` | until its connection has ended |
//! | `b: wait 2` | until two more messages have come |
//! | `b: have 3` | until three messages have come in all, also where an order before brings some of them |
//! | `api NAME {…}` | an order of the server API, with the key |
//! | `http METHOD PATH <field: value> … BODY` | any request |
//!
//! `~` is a text of the exchange's own, for channels and users that no other exchange uses. [`crate::expand`] has the macros.

use sockeye_checks::need;

/// One exchange in one encoding or two.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// `subscribe.txt:17`
    pub(crate) place: String,
    pub(crate) group: String,
    pub(crate) server: String,
    pub(crate) encodings: Vec<Encoding>,
    /// The row of the docs that tells why the servers differ.
    pub(crate) row: Option<String>,
    pub(crate) steps: Vec<String>,
    /// As it stands in the script.
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    Protobuf,
}

impl Exchange {
    /// Returns where it stands and what it is.
    pub(crate) fn describe(&self) -> String {
        format!("{} ({}): {}", self.place, self.group, self.text)
    }
}

/// The scripts.
const SCRIPTS: [&str; 10] = [
    "connect.txt",
    "subscribe.txt",
    "recovery.txt",
    "publish.txt",
    "questions.txt",
    "orders.txt",
    "api.txt",
    "http.txt",
    "times.txt",
    "maps.txt",
];

/// Reads all scripts.
pub(crate) fn read_all() -> Vec<Exchange> {
    let directory = need::root().join("crates/checks/tests/differential/scripts");
    SCRIPTS
        .iter()
        .flat_map(|name| {
            let text = std::fs::read_to_string(directory.join(name)).expect("a script");
            read(name, &text)
        })
        .collect()
}

fn read(name: &str, text: &str) -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    let mut group = String::new();
    let mut server = String::new();
    let mut encodings = Vec::new();
    let mut before = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let place = format!("{name}:{}", index + 1);
        if line.is_empty() || line.starts_with('#') {
        } else if let Some(title) = line.strip_prefix("== ") {
            title.clone_into(&mut group);
        } else if let Some(name) = line.strip_prefix("server: ") {
            name.clone_into(&mut server);
        } else if let Some(names) = line.strip_prefix("encodings: ") {
            encodings = names.split(' ').map(encoding).collect();
        } else if let Some(steps) = line.strip_prefix("before:") {
            before = steps_of(steps.trim());
        } else {
            let (row, steps) = match line.strip_prefix('[') {
                Some(rest) => {
                    let (row, steps) = rest.split_once("] ").expect("a row ends with ]");
                    (Some(row.to_owned()), steps)
                }
                None => (None, line),
            };
            let steps = before.iter().cloned().chain(steps_of(steps)).collect();
            exchanges.push(Exchange {
                place,
                group: group.clone(),
                server: server.clone(),
                encodings: encodings.clone(),
                row,
                steps,
                text: line.to_owned(),
            });
        }
    }
    exchanges
}

fn encoding(name: &str) -> Encoding {
    match name {
        "json" => Encoding::Json,
        "protobuf" => Encoding::Protobuf,
        other => panic!("no encoding: {other}"),
    }
}

fn steps_of(line: &str) -> Vec<String> {
    line.split(" ;; ")
        .filter(|step| !step.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Returns the first cells of the table "Differences from Centrifugo".
pub(crate) fn rows_of(page: &str) -> Vec<String> {
    let (_, table) = page
        .split_once("## Differences from Centrifugo\n")
        .expect("the table of differences");
    let lines = table.lines().skip_while(|line| !line.starts_with('|'));
    lines
        .take_while(|line| line.starts_with('|'))
        // The names of the columns, and the line below them.
        .skip(2)
        .map(|line| line.split(" | ").next().expect("a cell")[2..].to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_has_the_settings_of_its_group() {
        let text = "== one\nserver: open\nencodings: json\nbefore: {}\n\n[a row] b: {\"x\":1} ;; api info {}\n";
        let [exchange] = read("x.txt", text).try_into().unwrap();
        assert_eq!(exchange.place, "x.txt:6");
        assert_eq!(exchange.row.as_deref(), Some("a row"));
        assert_eq!(exchange.steps, ["{}", "b: {\"x\":1}", "api info {}"]);
        assert_eq!(exchange.encodings, [Encoding::Json]);
    }

    #[test]
    fn the_rows_are_the_first_cells() {
        let page =
            "x\n## Differences from Centrifugo\n\n| what | here |\n|---|---|\n| a `b` | c |\n\nend";
        assert_eq!(rows_of(page), ["a `b`"]);
    }
}
