//! Log lines on stderr. stdout is for the output of commands.

use std::{
    ffi::OsString,
    fmt,
    io::{self, Write as _},
    panic,
};

use serde_json::{Map, Value, json};
use sockeye::Printable;
use tracing::field::{Field, Visit};
use tracing_subscriber::{
    EnvFilter, Registry,
    field::RecordFields,
    fmt::{
        FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    layer::SubscriberExt as _,
    reload,
    util::SubscriberInitExt as _,
};

use crate::{
    config::{Filter, LogFormat},
    tty,
};

/// The log, with notices that are printed whatever the filter.
#[derive(Clone)]
pub(crate) struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    notices: Notices,
}

impl Log {
    /// Starts to write `tracing` events to stderr. With JSON, a panic is a line of JSON too.
    pub(crate) fn start(filter: &Filter, format: LogFormat) -> Self {
        let (filter, handle) = reload::Layer::new(EnvFilter::new(&filter.0));
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(tty::has_colors(&io::stderr()));
        let registry = tracing_subscriber::registry().with(filter);
        // A second start happens in tests only; the first one stays.
        let _ = match format {
            LogFormat::Text => registry.with(lines.fmt_fields(PrintableFields)).try_init(),
            LogFormat::Json => registry.with(lines.json()).try_init(),
        };
        let notices = Notices(format);
        if format == LogFormat::Json {
            panic::set_hook(Box::new(|info| write_to_stderr(&panic_line(info))));
        }
        Self {
            filter: handle,
            notices,
        }
    }

    /// Replaces the filter.
    pub(crate) fn refilter(&self, filter: &Filter) {
        // Fails only without a subscriber, which lives as long as the process.
        let _ = self.filter.reload(EnvFilter::new(&filter.0));
    }

    pub(crate) fn notices(&self) -> Notices {
        self.notices
    }
}

/// Notices of the program, printed whatever the filter: a line of text, or of JSON in the form of a log line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notices(pub(crate) LogFormat);

impl Notices {
    /// Prints a notice to stderr: `text` for people, or `message` and `fields` as JSON.
    pub(crate) fn say(self, text: &str, message: &str, fields: Value) {
        self.write("INFO", text, message, fields);
    }

    /// Prints a warning to stderr.
    pub(crate) fn warn(self, text: &str) {
        self.write("WARN", &format!("warning: {text}"), text, Value::Null);
    }

    /// Prints a fatal error to stderr.
    pub(crate) fn fail(self, text: &str) {
        self.write("ERROR", text, text, Value::Null);
    }

    /// Returns a line of JSON about a listener.
    pub(crate) fn served(message: &str, fields: Value) -> String {
        line("INFO", message, fields)
    }

    fn write(self, level: &str, text: &str, message: &str, fields: Value) {
        let line = match self.0 {
            LogFormat::Text => format!("sockeye: {}\n", Printable(text)),
            LogFormat::Json => line(level, message, fields),
        };
        write_to_stderr(&line);
    }
}

fn write_to_stderr(line: &str) {
    // A closed stderr doesn't stop the program.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Returns a panic as a line of JSON.
fn panic_line(info: &panic::PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("a panic without a text");
    let thread = std::thread::current();
    let location = info.location().map(ToString::to_string);
    let fields = json!({ "thread": thread.name(), "location": location });
    line("ERROR", &format!("panicked: {message}"), fields)
}

/// Returns a line of JSON in the form of `tracing_subscriber`.
fn line(level: &str, message: &str, fields: Value) -> String {
    let mut timestamp = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    let mut all = Map::from_iter([("message".to_owned(), message.into())]);
    if let Value::Object(fields) = fields {
        all.extend(fields);
    }
    let line = json!({
        "timestamp": timestamp,
        "level": level,
        "fields": all,
        "target": "sockeye_server",
    });
    format!("{line}\n")
}

/// Writes fields as text. Escapes control characters, so that a value can't control a terminal or forge a line.
struct PrintableFields;

impl<'w> FormatFields<'w> for PrintableFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Fields {
            writer,
            is_first: true,
            result: Ok(()),
        };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Fields<'w> {
    writer: Writer<'w>,
    is_first: bool,
    result: fmt::Result,
}

impl Fields<'_> {
    fn write(&mut self, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
        let name = field.name();
        // Fields that the bridge from the crate `log` adds.
        if name.starts_with("log.") {
            return Ok(());
        }
        if !self.is_first {
            self.writer.write_char(' ')?;
        }
        self.is_first = false;
        let value = Printable(format_args!("{value:?}"));
        let name = name.strip_prefix("r#").unwrap_or(name);
        match (name, self.writer.has_ansi_escapes()) {
            ("message", _) => write!(self.writer, "{value}"),
            // The name in italics, the sign dimmed.
            (_, true) => write!(self.writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m{value}"),
            (_, false) => write!(self.writer, "{name}={value}"),
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.result.is_ok() {
            self.result = self.write(field, value);
        }
    }
}

/// Returns the log format of the command line or environment, before the rest of them is checked.
pub(crate) fn format_asked_for(args: &[OsString]) -> LogFormat {
    let asked = args.iter().enumerate().find_map(|(index, arg)| {
        let arg = arg.to_str()?;
        match arg.strip_prefix("--log-format")? {
            "" => args.get(index + 1)?.to_str().map(str::to_owned),
            value => value.strip_prefix('=').map(str::to_owned),
        }
    });
    let asked = asked.or_else(|| std::env::var("SOCKEYE_LOG_FORMAT").ok());
    match asked.as_deref() {
        Some("json") => LogFormat::Json,
        _ => LogFormat::Text,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_panic_is_one_line_of_json() {
        let (sender, receiver) = mpsc::channel();
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| drop(sender.send(panic_line(info)))));
        let _ = panic::catch_unwind(|| panic!("first\nsecond"));
        panic::set_hook(before);
        // Other tests may panic at the same time.
        let line = receiver.iter().find(|line| line.contains("first")).unwrap();
        assert_eq!(line.lines().count(), 1, "{line}");
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["level"], "ERROR");
        assert_eq!(line["fields"]["message"], "panicked: first\nsecond");
        let location = line["fields"]["location"].as_str().unwrap();
        assert!(location.contains("log.rs:"), "{location}");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn the_format_is_known_before_the_command_line_is() {
        for (args, format) in [
            (&["sockeye", "--log-format", "json"][..], LogFormat::Json),
            (
                &["sockeye", "serve", "--log-format=json", "--x"],
                LogFormat::Json,
            ),
            (&["sockeye", "--log-format=text"], LogFormat::Text),
            (&["sockeye", "--log-format"], LogFormat::Text),
            (&["sockeye"], LogFormat::Text),
        ] {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            assert_eq!(format_asked_for(&args), format, "{args:?}");
        }
    }
}
