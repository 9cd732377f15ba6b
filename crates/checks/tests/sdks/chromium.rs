//! The JavaScript SDK in Chromium. The page and the SDK come from another origin than the server's, so the browser asks for permission
//! (Fetch Standard, CORS) before each kind of request.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sockeye_checks::{Browser, Tab, need};

use crate::{
    back_end::File,
    client::{Client, Peer},
    scenario,
    world::World,
};

/// A page whose facts wait in a list.
impl Peer for Tab<'_> {
    fn order(&mut self, line: &str) {
        self.evaluate(&format!("void order({})", json!(line)));
    }

    fn next(&mut self) -> Value {
        self.evaluate("nextFact()")
    }
}

/// Lets the SDK go through the scenario in tabs of one browser.
#[track_caller]
fn run(transport: &str, script: &'static str, protobuf: bool) {
    let Some(files) = files(script) else {
        return;
    };
    let (Some(browser), Some(mut world)) = (Browser::start(&[]), World::start(files)) else {
        return;
    };
    let page = world.back_end.url("/");
    scenario::run(&mut world, &|base, tokens| {
        let tab = browser.tab();
        assert_eq!(tab.open(&page)["status"], 200);
        let settings =
            json!({ "base": base, "tokens": tokens, "transport": transport, "protobuf": protobuf });
        tab.evaluate(&format!("start({settings})"));
        Client::new(tab)
    });
}

fn files(script: &str) -> Option<BTreeMap<&'static str, File>> {
    let sdk = std::fs::read_to_string(need::package_file(script)?).unwrap();
    let orders = need::root().join("crates/checks/peers/sdk_orders.mjs");
    let orders = std::fs::read_to_string(orders).unwrap();
    let script = |text| File {
        kind: "text/javascript",
        text,
    };
    let page = File {
        kind: "text/html",
        text: PAGE.to_owned(),
    };
    Some(BTreeMap::from([
        ("/", page),
        ("/centrifuge.js", script(sdk)),
        ("/sdk_orders.mjs", script(orders)),
    ]))
}

#[test]
fn a_page_over_websocket() {
    run("websocket", JSON, false);
}

#[test]
fn a_page_over_websocket_with_protobuf() {
    run("websocket", PROTOBUF, true);
}

#[test]
fn a_page_over_an_http_stream() {
    run("http_stream", JSON, false);
}

#[test]
fn a_page_over_server_sent_events() {
    run("sse", JSON, false);
}

const JSON: &str = "centrifuge/dist/centrifuge.js";
const PROTOBUF: &str = "centrifuge/dist/centrifuge.protobuf.js";

const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8">
<title>SDK</title>
<script src="/centrifuge.js"></script>
<script>
  const facts = [];
  let wake = () => {};
  const nextFact = async () => {
    while (facts.length === 0) await new Promise((resolve) => { wake = resolve; });
    return facts.shift();
  };
  const tell = (fact) => { facts.push(fact); wake(); };
  let order;
  const start = async (settings) => {
    const { client } = await import("/sdk_orders.mjs");
    order = client({ Centrifuge, print: tell, more: {}, ...settings });
  };
</script>
"#;
