//! How a frame of the protocol is written for each transport that receives.

use super::json::push_string;
use crate::server::polling::RelayEnd;

/// How a receiving transport writes frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `POST …/xhr`: one frame.
    XhrPolling,
    /// `POST …/xhr_streaming`: frames until the response is long enough.
    XhrStreaming,
    /// `GET …/eventsource`.
    EventSource,
    /// `GET …/htmlfile`.
    HtmlFile(Callback),
    /// `GET …/jsonp`: one frame.
    Jsonp(Callback),
}

/// The name of a JavaScript function, which a client chooses. Its characters can't end the script that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Callback(String);

impl Form {
    /// Returns whether one response has many frames.
    pub(super) fn is_streaming(&self) -> bool {
        match self {
            Self::XhrStreaming | Self::EventSource | Self::HtmlFile(_) => true,
            Self::XhrPolling | Self::Jsonp(_) => false,
        }
    }

    pub(super) fn content_type(&self) -> &'static str {
        match self {
            Self::XhrPolling | Self::XhrStreaming | Self::Jsonp(_) => {
                "application/javascript; charset=UTF-8"
            }
            Self::EventSource => "text/event-stream",
            Self::HtmlFile(_) => "text/html; charset=UTF-8",
        }
    }

    /// Returns what precedes all frames of a response. It doesn't count towards the length of the response.
    pub(super) fn prelude(&self) -> Vec<u8> {
        match self {
            Self::XhrPolling | Self::Jsonp(_) => Vec::new(),
            // Some browsers show nothing of a response before so many bytes.
            Self::XhrStreaming => [&[b'h'; XHR_PRELUDE_BYTES][..], b"\n"].concat(),
            Self::EventSource => b"\r\n".to_vec(),
            Self::HtmlFile(Callback(callback)) => {
                let mut page = HTML_FILE_PAGE.replace("CALLBACK", callback).into_bytes();
                page.resize(page.len().max(HTML_FILE_BYTES), b' ');
                page.extend_from_slice(b"\r\n\r\n");
                page
            }
        }
    }

    /// Returns `frame` as the transport writes it.
    pub(super) fn write(&self, frame: &str) -> Vec<u8> {
        let mut written = Vec::with_capacity(frame.len() + FORM_BYTES);
        match self {
            Self::XhrPolling | Self::XhrStreaming => {
                written.extend_from_slice(frame.as_bytes());
                written.push(b'\n');
            }
            Self::EventSource => {
                written.extend_from_slice(b"data: ");
                push_for_event_source(frame, &mut written);
                written.extend_from_slice(b"\r\n\r\n");
            }
            Self::HtmlFile(_) => {
                written.extend_from_slice(b"<script>\np(");
                push_script_string(frame, &mut written);
                written.extend_from_slice(b");\n</script>\r\n");
            }
            Self::Jsonp(Callback(callback)) => {
                // The comment keeps a response from being taken for a Flash file (CVE-2014-4671).
                written.extend_from_slice(b"/**/");
                written.extend_from_slice(callback.as_bytes());
                written.push(b'(');
                push_script_string(frame, &mut written);
                written.extend_from_slice(b");\r\n");
            }
        }
        written
    }
}

impl Callback {
    /// Checks `name` and makes it a callback. `None` if it is empty, too long, or has a character that may not stand in it.
    pub(super) fn new(name: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let fits = (1..=CALLBACK_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_allowed);
        fits.then(|| Self(name.to_owned()))
    }
}

/// Returns the frame of messages, each a JSON string, that are joined by commas.
pub(super) fn message_frame(messages: &str) -> String {
    format!("a[{messages}]")
}

/// Returns the frame by which a client learns of the end of its session.
pub(super) fn end_frame(end: &RelayEnd) -> String {
    match end {
        RelayEnd::Closed(close) => close_frame(close.code, &close.reason),
        RelayEnd::Interrupted => close_frame(1002, "Connection interrupted"),
    }
}

/// Returns the frame that ends a session.
pub(super) fn close_frame(code: u16, reason: &str) -> String {
    let mut json = Vec::with_capacity(reason.len() + 2);
    push_string(reason, &mut json);
    format!("c[{code},{}]", String::from_utf8_lossy(&json))
}

/// The frame that opens a session.
pub(super) const OPEN: &str = "o";

/// The frame that shows that the server lives.
pub(super) const HEARTBEAT: &str = "h";

/// Appends `frame` for the transport `eventsource`, whose client decodes it as a part of a URI.
fn push_for_event_source(frame: &str, written: &mut Vec<u8>) {
    for byte in frame.bytes() {
        match byte {
            b'%' => written.extend_from_slice(b"%25"),
            b'\r' => written.extend_from_slice(b"%0D"),
            b'\n' => written.extend_from_slice(b"%0A"),
            0 => written.extend_from_slice(b"%00"),
            _ => written.push(byte),
        }
    }
}

/// Appends `frame` as a string of JavaScript that can stand in an element `script`, which `</script` and `<!--` would end or
/// change.
fn push_script_string(frame: &str, written: &mut Vec<u8>) {
    let mut json = Vec::with_capacity(frame.len() + FORM_BYTES);
    push_string(frame, &mut json);
    let mut copied = 0;
    for (index, pair) in json.windows(2).enumerate() {
        if matches!(pair, b"</" | b"<!") {
            written.extend_from_slice(&json[copied..index]);
            written.extend_from_slice(b"\\u003c");
            copied = index + 1;
        }
    }
    written.extend_from_slice(&json[copied..]);
}

/// Bytes.
const XHR_PRELUDE_BYTES: usize = 2048;

/// Bytes. Internet Explorer shows nothing of a page before 1,024.
const HTML_FILE_BYTES: usize = 1024;

/// Bytes. Longer than any name that the client makes.
const CALLBACK_BYTES_MAX: usize = 32;

/// Bytes. What the longest form adds to a frame, if it has little to escape.
const FORM_BYTES: usize = 64;

const HTML_FILE_PAGE: &str = "<!doctype html>
<html><head>
  <meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\" />
  <meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.CALLBACK;
    c.start();
    function p(d) {c.message(d);};
    window.onload = function() {c.stop();};
  </script>";

#[cfg(test)]
mod tests {
    use super::*;

    fn callback() -> Callback {
        Callback::new("_jp.cb").unwrap()
    }

    fn written(form: &Form, frame: &str) -> String {
        String::from_utf8(form.write(frame)).unwrap()
    }

    #[test]
    fn each_transport_writes_a_frame_in_its_own_form() {
        for (form, expected) in [
            (Form::XhrPolling, "a[\"x\"]\n"),
            (Form::XhrStreaming, "a[\"x\"]\n"),
            (Form::EventSource, "data: a[\"x\"]\r\n\r\n"),
            (
                Form::HtmlFile(callback()),
                "<script>\np(\"a[\\\"x\\\"]\");\n</script>\r\n",
            ),
            (Form::Jsonp(callback()), "/**/_jp.cb(\"a[\\\"x\\\"]\");\r\n"),
        ] {
            assert_eq!(
                written(&form, &message_frame("\"x\"")),
                expected,
                "{form:?}"
            );
        }
    }

    #[test]
    fn a_frame_of_eventsource_survives_that_the_client_decodes_it() {
        let written = written(&Form::EventSource, "a[\"50% %41\"]");
        assert_eq!(written, "data: a[\"50%25 %2541\"]\r\n\r\n");
    }

    #[test]
    fn no_message_ends_the_script_that_it_stands_in() {
        for form in [Form::HtmlFile(callback()), Form::Jsonp(callback())] {
            let written = written(&form, "a[\"</script><!--x<y\"]");
            assert!(
                written.contains("\\u003c/script>\\u003c!--x<y"),
                "{written}"
            );
            let text = written
                .split_once('(')
                .unwrap()
                .1
                .rsplit_once(");")
                .unwrap()
                .0;
            let frame: String = serde_json::from_str(text).unwrap();
            assert_eq!(frame, "a[\"</script><!--x<y\"]");
        }
    }

    #[test]
    fn a_callback_is_a_short_name() {
        let longest = "x".repeat(32);
        for good in ["c", "_jp.a-1", &longest] {
            assert!(Callback::new(good).is_some(), "{good}");
        }
        let too_long = "x".repeat(33);
        for bad in ["", " ", "*", "abc(", "a;b", "\u{e9}", &too_long] {
            assert!(Callback::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn preludes_are_long_enough_for_the_browsers_that_wait_for_them() {
        let prelude = Form::XhrStreaming.prelude();
        assert_eq!(prelude.len(), 2049);
        assert_eq!(prelude.iter().filter(|byte| **byte == b'h').count(), 2048);
        assert_eq!(prelude.last(), Some(&b'\n'));
        assert_eq!(Form::EventSource.prelude(), b"\r\n");
        let page = String::from_utf8(Form::HtmlFile(callback()).prelude()).unwrap();
        assert!(page.len() > 1024);
        assert!(page.contains("var c = parent._jp.cb;"));
        for form in [Form::XhrPolling, Form::Jsonp(callback())] {
            assert_eq!(form.prelude(), b"");
        }
    }

    #[test]
    fn a_close_frame_has_its_code_and_its_reason() {
        assert_eq!(close_frame(3000, "Go away!"), "c[3000,\"Go away!\"]");
        assert_eq!(close_frame(1000, "a\"\u{2028}"), "c[1000,\"a\\\"\\u2028\"]");
    }
}
