//! The words: what a page says (`{"url":…}`) and what it hears (`{"event":…,"response":…}`).
//!
//! `docs/reference/chat.md` is the whole list.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Limits,
    name::is_plain,
    person::{Address, Person},
    receipt::Receipt,
};

/// What a page asks for, checked.
#[derive(Debug, PartialEq)]
pub(crate) enum Order {
    /// `/chat/heart-beat`
    HeartBeat,
    /// `/chat/online`
    Online {
        person: Person,
        name: Option<String>,
        since: Option<Since>,
    },
    /// `/chat/join`
    Join { room: String, since: Option<Since> },
    /// `/chat/leave`
    Leave { room: String },
    /// `/chat/people`
    People { room: Option<String> },
    /// `/chat/msg`
    Say(Saying),
    /// `/chat/ack`
    Acknowledge(Receipt),
}

impl Order {
    /// Bytes of the texts in it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Say(saying) => {
                let room = match &saying.to {
                    Receiver::Room(room) => room.len(),
                    Receiver::Person(_) => 0,
                };
                saying.text.len() + saying.id.as_ref().map_or(0, String::len) + room
            }
            Self::Acknowledge(receipt) => receipt.epoch.len(),
            Self::Join { room, .. } | Self::Leave { room } => room.len(),
            Self::HeartBeat | Self::Online { .. } | Self::People { .. } => 0,
        }
    }
}

/// What somebody says, to whom.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Saying {
    pub(crate) to: Receiver,
    pub(crate) text: String,
    /// The page's own, so that a message sent again isn't there twice.
    pub(crate) id: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Receiver {
    Person(Address),
    Room(String),
}

/// How far a page that returns has read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Since {
    /// The number of the last message it has.
    pub(crate) seq: u64,
    /// Of which history; another one begins from nothing. `None` takes it to be the present one.
    pub(crate) epoch: Option<String>,
}

/// Why a page doesn't get what it asked for: the `ERROR` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Binary,
    BadJson,
    UnknownUrl,
    BadToken,
    WrongUuid,
    BadField(&'static str),
    TooLong(&'static str),
    NotOnline,
    NoSuchPerson,
    NotInRoom,
    TooManyRooms,
    TooFast,
    TooMuch,
    MailboxFull,
    Busy,
    NotKept,
    Stopped,
}

impl Trouble {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::BadJson => "bad_json",
            Self::UnknownUrl => "unknown_url",
            Self::BadToken => "bad_token",
            Self::WrongUuid => "wrong_uuid",
            Self::BadField(_) => "bad_field",
            Self::TooLong(_) => "too_long",
            Self::NotOnline => "not_online",
            Self::NoSuchPerson => "no_such_person",
            Self::NotInRoom => "not_in_room",
            Self::TooManyRooms => "too_many_rooms",
            Self::TooFast => "too_fast",
            Self::TooMuch => "too_much",
            Self::MailboxFull => "mailbox_full",
            Self::Busy => "busy",
            Self::NotKept => "not_kept",
            Self::Stopped => "stopped",
        }
    }

    /// What is wrong, and the way out.
    pub(crate) fn message(self) -> String {
        let text = match self {
            Self::Binary => "this is a binary message: say it as text, in JSON",
            Self::BadJson => "this is not a JSON object with a \"url\"",
            Self::UnknownUrl => "nothing is served under this url",
            Self::BadToken => "the chat_token is not accepted",
            Self::WrongUuid => "ask /socket/chat-uuid for a uuid first; one connection has one",
            Self::BadField(field @ ("name" | "room")) => {
                return format!("{field} is empty, or has characters that are not seen");
            }
            Self::BadField(field) => return format!("{field} is missing or not what it should be"),
            Self::TooLong(field) => return format!("{field} is too long"),
            Self::NotOnline => "say /chat/online first",
            Self::NoSuchPerson => "nobody with this address has been here",
            Self::NotInRoom => "join the room first",
            Self::TooManyRooms => "this connection is in as many rooms as it may: leave one",
            Self::TooFast => "too fast: this message was not taken, wait a moment",
            Self::TooMuch => "you were given much just now: ask again in a moment",
            Self::MailboxFull => {
                "they are away, and there is no room for more that waits for them, or comes from you: this was not sent"
            }
            Self::Stopped => "the chat has stopped, and waits for its server to be started again",
            Self::Busy => "the chat is busy: this was not taken, try again",
            Self::NotKept => "this could not be stored and was not sent, try again",
        };
        text.to_owned()
    }

    /// Whether the connection ends with it (1008).
    pub(crate) fn is_fatal(self) -> bool {
        matches!(self, Self::BadToken)
    }
}

/// What an answer repeats, so that a page knows what it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Echoed {
    pub(crate) url: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) room: Option<String>,
}

impl Echoed {
    /// Bytes of what is repeated.
    pub(crate) fn bytes(&self) -> usize {
        let parts = [&self.url, &self.id, &self.room];
        parts.into_iter().flatten().map(String::len).sum()
    }
}

/// As it stands on the wire. Unknown fields are tolerated.
#[derive(Deserialize)]
struct Said {
    url: String,
    #[serde(default)]
    chat_token: Value,
    #[serde(default)]
    uuid: Value,
    #[serde(default)]
    name: Value,
    #[serde(default)]
    room: Value,
    #[serde(default)]
    to: Value,
    #[serde(default)]
    text: Value,
    #[serde(default)]
    id: Value,
    #[serde(default)]
    since: Value,
    #[serde(default)]
    epoch: Value,
    #[serde(default)]
    seq: Value,
}

/// Reads what a page says. `admit` decides about its token.
///
/// A heart-beat needs no token, as in the older of the two pages; one that comes with it has to be right all the same.
pub(crate) fn read(
    text: &str,
    limits: &Limits,
    admit: impl Fn(&str) -> bool,
) -> Result<(Order, Echoed), (Trouble, Echoed)> {
    let Ok(said) = serde_json::from_str::<Said>(text) else {
        return Err((Trouble::BadJson, Echoed::default()));
    };
    let echoed = Echoed {
        url: Some(said.url.chars().take(URL_CHARS_MAX).collect()),
        id: match &said.id {
            Value::String(id) => Some(id.chars().take(limits.id_chars_max).collect()),
            _ => None,
        },
        room: match &said.room {
            Value::String(room) => Some(room.chars().take(limits.name_chars_max).collect()),
            _ => None,
        },
    };
    let may_lack_token = said.url == HEART_BEAT && said.chat_token.is_null();
    if !may_lack_token && !said.chat_token.as_str().is_some_and(admit) {
        return Err((Trouble::BadToken, echoed));
    }
    match said.order(limits) {
        Ok(order) => Ok((order, echoed)),
        Err(trouble) => Err((trouble, echoed)),
    }
}

impl Said {
    fn order(self, limits: &Limits) -> Result<Order, Trouble> {
        match self.url.as_str() {
            HEART_BEAT => Ok(Order::HeartBeat),
            "/chat/online" => {
                let uuid = self.uuid.as_str().ok_or(Trouble::WrongUuid)?;
                Ok(Order::Online {
                    person: Person::parse(uuid).ok_or(Trouble::WrongUuid)?,
                    name: optional(&self.name, |name| label(name, "name", limits))?,
                    since: self.since()?,
                })
            }
            "/chat/join" => Ok(Order::Join {
                room: label(&self.room, "room", limits)?,
                since: self.since()?,
            }),
            "/chat/leave" => Ok(Order::Leave {
                room: label(&self.room, "room", limits)?,
            }),
            "/chat/people" => Ok(Order::People {
                room: optional(&self.room, |room| label(room, "room", limits))?,
            }),
            "/chat/msg" => self.saying(limits).map(Order::Say),
            "/chat/ack" => {
                let epoch = self.epoch.as_str().ok_or(Trouble::BadField("epoch"))?;
                let seq = self.seq.as_u64().ok_or(Trouble::BadField("seq"))?;
                Ok(Order::Acknowledge(Receipt {
                    epoch: epoch.to_owned(),
                    seq,
                }))
            }
            _ => Err(Trouble::UnknownUrl),
        }
    }

    fn saying(&self, limits: &Limits) -> Result<Saying, Trouble> {
        let to = match (&self.to, &self.room) {
            (Value::String(to), Value::Null) => {
                Receiver::Person(Address::parse(to).ok_or(Trouble::NoSuchPerson)?)
            }
            (Value::Null, room) => Receiver::Room(label(room, "room", limits)?),
            _ => return Err(Trouble::BadField("to")),
        };
        let text = self.text.as_str().ok_or(Trouble::BadField("text"))?;
        if text.trim().is_empty() {
            return Err(Trouble::BadField("text"));
        }
        if text.chars().count() > limits.text_chars_max {
            return Err(Trouble::TooLong("text"));
        }
        let id = optional(&self.id, |id| match id.as_str() {
            Some("") | None => Err(Trouble::BadField("id")),
            Some(id) if id.chars().count() > limits.id_chars_max => Err(Trouble::TooLong("id")),
            Some(id) => Ok(id.to_owned()),
        })?;
        Ok(Saying {
            to,
            text: text.to_owned(),
            id,
        })
    }

    fn since(&self) -> Result<Option<Since>, Trouble> {
        optional(&self.since, |seq| {
            Ok(Since {
                seq: seq.as_u64().ok_or(Trouble::BadField("since"))?,
                epoch: self.epoch.as_str().map(str::to_owned),
            })
        })
    }
}

fn optional<T>(
    value: &Value,
    read: impl FnOnce(&Value) -> Result<T, Trouble>,
) -> Result<Option<T>, Trouble> {
    match value {
        Value::Null => Ok(None),
        value => read(value).map(Some),
    }
}

/// The name of somebody or of a room: not empty, and what it looks like.
pub(crate) fn label(
    value: &Value,
    field: &'static str,
    limits: &Limits,
) -> Result<String, Trouble> {
    let text = value.as_str().ok_or(Trouble::BadField(field))?.trim();
    if !is_plain(text) {
        return Err(Trouble::BadField(field));
    }
    if text.chars().count() > limits.name_chars_max {
        return Err(Trouble::TooLong(field));
    }
    Ok(text.to_owned())
}

/// Somebody, as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) address: Address,
    pub(crate) name: String,
}

/// A message, as it is heard and as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heard {
    /// Its place in the history of the room, or of the person who hears it.
    pub(crate) seq: u64,
    pub(crate) from: Known,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<Known>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) room: Option<String>,
    pub(crate) text: String,
    /// Milliseconds since 1970.
    pub(crate) time: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
}

/// What there is of a history, for a page that comes or returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Past {
    /// Identity of the history: the numbers count within it.
    pub(crate) epoch: String,
    /// Number of its last message; 0 if there was none.
    pub(crate) seq: u64,
    /// Whether nothing that the page missed is gone.
    pub(crate) complete: bool,
    /// A JSON array of what is [`Heard`], which all who come to a room share.
    pub(crate) messages: Arc<str>,
}

impl Default for Past {
    fn default() -> Self {
        Self {
            epoch: String::new(),
            seq: 0,
            complete: true,
            messages: "[]".into(),
        }
    }
}

impl Receipt {
    /// What a page says that it has read, if it says of which history.
    pub(crate) fn of(since: &Since) -> Option<Self> {
        let epoch = since.epoch.clone()?;
        Some(Self {
            epoch,
            seq: since.seq,
        })
    }
}

/// An event as text, with a `past` in its response, which must not be empty.
pub(crate) fn event_with(name: &str, response: &Value, past: &Past) -> String {
    let mut text = event(name, response);
    // The past is text already, and may be long.
    text.truncate(text.len() - "}}".len());
    let epoch = json!(past.epoch);
    let (seq, complete) = (past.seq, past.complete);
    text += &format!(r#","past":{{"epoch":{epoch},"seq":{seq},"complete":{complete},"messages":"#);
    text += &past.messages;
    text += "}}}";
    text
}

/// An event as text.
pub(crate) fn event(name: &str, response: impl Serialize) -> String {
    json!({ "event": name, "response": response }).to_string()
}

/// The `ERROR` event.
pub(crate) fn error(trouble: Trouble, echoed: &Echoed) -> String {
    let mut response = json!({ "code": trouble.code(), "message": trouble.message() });
    if let Some(url) = &echoed.url {
        response["url"] = json!(url);
    }
    if let Some(id) = &echoed.id {
        response["id"] = json!(id);
    }
    if let Some(room) = &echoed.room {
        response["room"] = json!(room);
    }
    event("ERROR", response)
}

const HEART_BEAT: &str = "/chat/heart-beat";

/// Characters of an unknown url that an answer repeats.
const URL_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> Result<Order, Trouble> {
        let read = read(text, &Limits::default(), |token| token == "abc");
        read.map(|(order, _)| order).map_err(|(trouble, _)| trouble)
    }

    #[test]
    fn the_sentences_of_the_articles_are_understood() {
        // Both articles' heart-beats, as they stand.
        for text in [
            r#"{"url":"/chat/heart-beat"}"#,
            r#"{"url":"/chat/heart-beat","chat_token":"abc"}"#,
        ] {
            assert_eq!(order(text), Ok(Order::HeartBeat));
        }
        let person = Person::new();
        let text = format!(r#"{{"url":"/chat/online","chat_token":"abc","uuid":"{person}"}}"#);
        let online = Order::Online {
            person,
            name: None,
            since: None,
        };
        assert_eq!(order(&text), Ok(online));
    }

    #[test]
    fn every_mistake_has_its_name() {
        let long = "x".repeat(2001);
        for (text, trouble) in [
            ("", Trouble::BadJson),
            ("[1]", Trouble::BadJson),
            ("{}", Trouble::BadJson),
            (r#"{"url":1}"#, Trouble::BadJson),
            (
                r#"{"url":"/chat/heart-beat","chat_token":"no"}"#,
                Trouble::BadToken,
            ),
            (r#"{"url":"/chat/join","room":"a"}"#, Trouble::BadToken),
            (
                r#"{"url":"/chat/join","chat_token":7,"room":"a"}"#,
                Trouble::BadToken,
            ),
            (
                r#"{"url":"/nothing","chat_token":"abc"}"#,
                Trouble::UnknownUrl,
            ),
            (
                r#"{"url":"/chat/online","chat_token":"abc"}"#,
                Trouble::WrongUuid,
            ),
            (
                r#"{"url":"/chat/online","chat_token":"abc","uuid":"1"}"#,
                Trouble::WrongUuid,
            ),
            (
                r#"{"url":"/chat/join","chat_token":"abc","room":" "}"#,
                Trouble::BadField("room"),
            ),
            (
                r#"{"url":"/chat/join","chat_token":"abc","room":"a\nb"}"#,
                Trouble::BadField("room"),
            ),
            (
                r#"{"url":"/chat/join","chat_token":"abc","room":"\u202Eb"}"#,
                Trouble::BadField("room"),
            ),
            (
                r#"{"url":"/chat/join","chat_token":"abc","room":"a","since":-1}"#,
                Trouble::BadField("since"),
            ),
            (
                r#"{"url":"/chat/msg","chat_token":"abc","room":"a"}"#,
                Trouble::BadField("text"),
            ),
            (
                r#"{"url":"/chat/msg","chat_token":"abc","text":"a"}"#,
                Trouble::BadField("room"),
            ),
            (
                r#"{"url":"/chat/msg","chat_token":"abc","text":"a","to":"b"}"#,
                Trouble::NoSuchPerson,
            ),
            (
                r#"{"url":"/chat/msg","chat_token":"abc","text":"a","room":"b","id":7}"#,
                Trouble::BadField("id"),
            ),
            (
                &format!(r#"{{"url":"/chat/msg","chat_token":"abc","room":"b","text":"{long}"}}"#),
                Trouble::TooLong("text"),
            ),
        ] {
            assert_eq!(order(text), Err(trouble), "{text}");
        }
    }

    #[test]
    fn an_error_says_what_it_answers() {
        let said = r#"{"url":"/chat/msg","chat_token":"abc","id":"m1"}"#;
        let (trouble, echoed) = read(said, &Limits::default(), |_| true).unwrap_err();
        let event: Value = serde_json::from_str(&error(trouble, &echoed)).unwrap();
        assert_eq!(event["event"], "ERROR");
        let response = &event["response"];
        assert_eq!(
            [&response["code"], &response["url"], &response["id"]],
            ["bad_field", "/chat/msg", "m1"]
        );
    }
}
