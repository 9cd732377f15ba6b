//! Chromium, controlled by tests: tabs that open pages, and the events in them.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::{Value, json};

use crate::need;
use crate::process::{Process, Source};

/// A running Chromium without a window, which ends when this is dropped.
pub struct Browser {
    driver: RefCell<Driver>,
}

/// One tab.
pub struct Tab<'a> {
    browser: &'a Browser,
    number: u64,
}

/// Whether a browser has a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connectivity {
    /// Nothing gets through.
    Lost,
    /// It is there.
    There,
}

struct Driver {
    process: Process,
    /// Events that came while a test waited for others: `(tab, event, text)`.
    events: Vec<(u64, String, String)>,
}

impl Browser {
    /// Starts Chromium with these arguments beside the usual ones; `None` if something is missing here.
    #[track_caller]
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let chromium = need::chromium()?;
        let mut command = need::node("browser.mjs")?;
        command.arg(chromium).args(arguments);
        let mut process = Process::start("Chromium", &mut command, LIMIT);
        process.wait_for_text("\"ready\"");
        let driver = Driver {
            process,
            events: Vec::new(),
        };
        Some(Self {
            driver: RefCell::new(driver),
        })
    }

    /// Returns a new, empty tab.
    #[track_caller]
    pub fn tab(&self) -> Tab<'_> {
        let number = self.order(&json!({ "do": "tab" })).as_u64();
        Tab {
            browser: self,
            number: number.expect("a tab's number"),
        }
    }

    /// Returns a new, empty tab with cookies and storage of its own: somebody else's browser.
    #[track_caller]
    pub fn stranger(&self) -> Tab<'_> {
        let number = self.order(&json!({ "do": "tab", "alone": true })).as_u64();
        Tab {
            browser: self,
            number: number.expect("a tab's number"),
        }
    }

    /// Somebody else's browser with these options of Playwright's `newContext`, such as `userAgent`.
    #[track_caller]
    pub fn stranger_with(&self, options: &Value) -> Tab<'_> {
        let order = json!({ "do": "tab", "alone": true, "options": options });
        Tab {
            browser: self,
            number: self.order(&order).as_u64().expect("a tab's number"),
        }
    }

    /// Ends Chromium in an orderly way, so that its own logs are complete.
    #[track_caller]
    pub fn quit(self) {
        self.order(&json!({ "do": "quit" }));
        self.driver.into_inner().process.wait();
    }

    #[track_caller]
    fn order(&self, order: &Value) -> Value {
        let mut driver = self.driver.borrow_mut();
        driver.process.write_line(&order.to_string());
        let Driver { process, events } = &mut *driver;
        let answer = process.wait_for(&format!("an answer to {order}"), |line| {
            let value = parse(line)?;
            note(&value, events);
            (value.get("answer").is_some() || value.get("failed").is_some()).then_some(value)
        });
        if let Some(failure) = answer.get("failed") {
            // The transcript can be shown only when the driver isn't borrowed any more.
            let transcript = driver.process.transcript();
            panic!("{order}: {failure}\n{transcript}");
        }
        answer["answer"].clone()
    }
}

impl Tab<'_> {
    /// Opens a page, and returns its HTTP status and version (`{"status": 200, "version": "h2"}`).
    #[track_caller]
    pub fn open(&self, url: &str) -> Value {
        self.order(json!({ "do": "open", "url": url }))
    }

    /// Returns the value of an expression; a promise is waited for.
    #[track_caller]
    pub fn evaluate(&self, script: &str) -> Value {
        self.order(json!({ "do": "evaluate", "script": script }))
    }

    /// Clicks on an element.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        self.order(json!({ "do": "click", "selector": selector }));
    }

    /// Types into a field.
    #[track_caller]
    pub fn fill(&self, selector: &str, text: &str) {
        self.order(json!({ "do": "fill", "selector": selector, "text": text }));
    }

    /// Presses a key in a field.
    #[track_caller]
    pub fn press(&self, selector: &str, key: &str) {
        self.order(json!({ "do": "press", "selector": selector, "key": key }));
    }

    /// Presses the back button. Wait for what the page then is.
    #[track_caller]
    pub fn back(&self) {
        self.order(json!({ "do": "back" }));
    }

    /// Presses a key where the focus is.
    #[track_caller]
    pub fn key(&self, key: &str) {
        self.order(json!({ "do": "key", "key": key }));
    }

    /// Sets what the page's media queries see: Playwright's options of `emulateMedia`, such as `colorScheme`.
    #[track_caller]
    pub fn media(&self, media: &Value) {
        self.order(json!({ "do": "media", "media": media }));
    }

    /// Takes the network away from the tab's browser, or gives it back.
    #[track_caller]
    pub fn network(&self, network: Connectivity) {
        self.order(json!({ "do": "offline", "offline": network == Connectivity::Lost }));
    }

    /// Writes a picture of the whole page to `$CHECKS_PICTURES/NAME.png`; does nothing without that variable.
    #[track_caller]
    pub fn picture(&self, name: &str) {
        if let Some(folder) = std::env::var_os("CHECKS_PICTURES") {
            let file = std::path::Path::new(&folder).join(format!("{name}.png"));
            self.order(json!({ "do": "picture", "file": file.display().to_string() }));
        }
    }

    /// Returns how often the page was laid out since the first call.
    #[track_caller]
    pub fn layouts(&self) -> u64 {
        let count = self.order(json!({ "do": "layouts" }));
        count.as_u64().expect("a count")
    }

    /// Replaces the page at this address by this text, whatever the server sends.
    #[track_caller]
    pub fn serve_text(&self, url: &str, text: &str) {
        self.order(json!({ "do": "serve", "url": url, "text": text }));
    }

    /// Replaces the page at this address by this file, whatever the server sends.
    #[track_caller]
    pub fn serve_file(&self, url: &str, file: &str) {
        self.order(json!({ "do": "serve", "url": url, "file": file }));
    }

    /// Chooses a file in an `<input type=file>`.
    #[track_caller]
    pub fn choose(&self, selector: &str, file: &str) {
        self.order(json!({ "do": "choose", "selector": selector, "file": file }));
    }

    /// Makes the tab as large as a device's screen, in CSS pixels.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u32) {
        self.order(json!({ "do": "resize", "width": width, "height": height }));
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn until(&self, script: &str) {
        self.order(json!({ "do": "until", "script": script }));
    }

    /// Waits for a dialog (`alert`) with this text; it has been accepted.
    #[track_caller]
    pub fn wait_for_dialog(&self, text: &str) {
        self.wait_for_event("dialog", text);
    }

    /// Waits for a line on the console.
    #[track_caller]
    pub fn wait_for_console(&self, text: &str) {
        self.wait_for_event("console", text);
    }

    /// Waits for an uncaught error of the page that contains `text`.
    #[track_caller]
    pub fn wait_for_error(&self, text: &str) {
        self.wait_for_event("error", text);
    }

    /// Returns the uncaught errors that have come so far and that the test didn't wait for.
    pub fn errors(&self) -> Vec<String> {
        let driver = self.browser.driver.borrow();
        let errors = driver.events.iter();
        let errors = errors.filter(|(tab, event, _)| *tab == self.number && event == "error");
        errors.map(|(_, _, text)| text.clone()).collect()
    }

    #[track_caller]
    fn wait_for_event(&self, event: &str, text: &str) {
        let wanted = |(tab, seen, said): &(u64, String, String)| {
            *tab == self.number && seen == event && said.contains(text)
        };
        let mut driver = self.browser.driver.borrow_mut();
        let Driver { process, events } = &mut *driver;
        if !events.iter().any(wanted) {
            process.wait_for(
                &format!("{event} {text:?} in tab {}", self.number),
                |line| {
                    note(&parse(line)?, events);
                    events.last().filter(|last| wanted(last)).map(|_| ())
                },
            );
        }
        let at = events.iter().position(wanted).expect("it was seen");
        events.remove(at);
    }

    #[track_caller]
    fn order(&self, mut order: Value) -> Value {
        order["tab"] = json!(self.number);
        self.browser.order(&order)
    }
}

fn parse(line: &crate::process::Line) -> Option<Value> {
    if line.source == Source::Err {
        return None;
    }
    serde_json::from_str(&line.text).ok()
}

fn note(value: &Value, events: &mut Vec<(u64, String, String)>) {
    let (Some(tab), Some(event)) = (value["tab"].as_u64(), value["event"].as_str()) else {
        return;
    };
    let text = value["text"].as_str().unwrap_or_default();
    events.push((tab, event.to_owned(), text.to_owned()));
}

/// A cold start takes ten seconds on a busy machine; the rest is for the test itself.
const LIMIT: Duration = Duration::from_secs(180);
