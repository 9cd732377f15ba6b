//! The JSON protocol: commands of a page (`{"url":…}`) and events for it (`{"event":…,"response":…}`).
//!
//! `docs/reference/chat.md` lists all of them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Limits, receipt::Receipt};
use crate::{
    event::event,
    identity::{Address, NameError, Person, display_name},
};

/// A checked command of a page.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
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
    Send(NewMessage),
    /// `/chat/ack`
    Acknowledge(Receipt),
}

impl Command {
    /// Returns the bytes of its texts.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Send(new_message) => {
                let room = match &new_message.to {
                    Recipient::Room(room) => room.len(),
                    Recipient::Person(_) => 0,
                };
                new_message.text.len() + new_message.id.as_ref().map_or(0, String::len) + room
            }
            Self::Acknowledge(receipt) => receipt.epoch.len(),
            Self::Join { room, .. } | Self::Leave { room } => room.len(),
            Self::HeartBeat | Self::Online { .. } | Self::People { .. } => 0,
        }
    }
}

/// A message to send.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewMessage {
    pub(crate) to: Recipient,
    pub(crate) text: String,
    /// The page's id of the message, so that a message that is sent again is not stored twice.
    pub(crate) id: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Recipient {
    Person(Address),
    Room(String),
}

/// How far a page has read that reconnects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Since {
    /// The number of the last message it has.
    pub(crate) seq: u64,
    /// The history that `seq` belongs to; another history is sent from its beginning. `None` means the current one.
    pub(crate) epoch: Option<String>,
}

/// Why a command fails: the content of the `ERROR` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChatError {
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
    NotStored,
    Stopped,
}

impl ChatError {
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
            Self::NotStored => "not_kept",
            Self::Stopped => "stopped",
        }
    }

    /// Returns what is wrong and what to do.
    pub(crate) fn message(self) -> String {
        let text = match self {
            Self::Binary => "binary messages are not accepted: send JSON as text",
            Self::BadJson => "this is not a JSON object with a \"url\"",
            Self::UnknownUrl => "there is no such url",
            Self::BadToken => "the chat_token is not accepted",
            Self::WrongUuid => "ask /socket/chat-uuid for a uuid first; one connection has one",
            Self::BadField(field @ ("name" | "room")) => {
                return format!("{field} is empty or has invisible characters");
            }
            Self::BadField(field) => return format!("{field} is missing or invalid"),
            Self::TooLong(field) => return format!("{field} is too long"),
            Self::NotOnline => "send /chat/online first",
            Self::NoSuchPerson => "nobody with this address has been here",
            Self::NotInRoom => "join the room first",
            Self::TooManyRooms => "this connection is in too many rooms: leave one first",
            Self::TooFast => "too many messages: this one was not accepted, wait a moment",
            Self::TooMuch => "too much data was requested lately: ask again in a moment",
            Self::MailboxFull => {
                "they are offline, and too many messages wait for them or come from you: this one was not sent"
            }
            Self::Stopped => "the chat has stopped until the server is restarted",
            Self::Busy => "the chat is busy: this was not accepted, try again",
            Self::NotStored => "this could not be stored and was not sent, try again",
        };
        text.to_owned()
    }

    /// Returns whether the connection is closed with it (1008).
    pub(crate) fn is_fatal(self) -> bool {
        matches!(self, Self::BadToken)
    }
}

/// The fields of a command that its answer repeats, so that the page can match them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EchoedFields {
    pub(crate) url: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) room: Option<String>,
}

impl EchoedFields {
    /// Returns the bytes of the fields.
    pub(crate) fn bytes(&self) -> usize {
        let parts = [&self.url, &self.id, &self.room];
        parts.into_iter().flatten().map(String::len).sum()
    }
}

/// The JSON of a command. Unknown fields are ignored.
#[derive(Deserialize)]
struct RequestFields {
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

/// Parses a message of a page. `admit` checks its token.
///
/// A heart-beat needs no token, as in the older of the two articles; if it has one, that must be right.
pub(crate) fn read(
    text: &str,
    limits: &Limits,
    admit: impl Fn(&str) -> bool,
) -> Result<(Command, EchoedFields), (ChatError, EchoedFields)> {
    let Ok(said) = serde_json::from_str::<RequestFields>(text) else {
        return Err((ChatError::BadJson, EchoedFields::default()));
    };
    let echoed = EchoedFields {
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
        return Err((ChatError::BadToken, echoed));
    }
    match said.command(limits) {
        Ok(command) => Ok((command, echoed)),
        Err(chat_error) => Err((chat_error, echoed)),
    }
}

impl RequestFields {
    fn command(self, limits: &Limits) -> Result<Command, ChatError> {
        match self.url.as_str() {
            HEART_BEAT => Ok(Command::HeartBeat),
            "/chat/online" => {
                let uuid = self.uuid.as_str().ok_or(ChatError::WrongUuid)?;
                Ok(Command::Online {
                    person: Person::parse(uuid).ok_or(ChatError::WrongUuid)?,
                    name: optional(&self.name, |name| label(name, "name", limits))?,
                    since: self.since()?,
                })
            }
            "/chat/join" => Ok(Command::Join {
                room: label(&self.room, "room", limits)?,
                since: self.since()?,
            }),
            "/chat/leave" => Ok(Command::Leave {
                room: label(&self.room, "room", limits)?,
            }),
            "/chat/people" => Ok(Command::People {
                room: optional(&self.room, |room| label(room, "room", limits))?,
            }),
            "/chat/msg" => self.new_message(limits).map(Command::Send),
            "/chat/ack" => {
                let epoch = self.epoch.as_str().ok_or(ChatError::BadField("epoch"))?;
                let seq = self.seq.as_u64().ok_or(ChatError::BadField("seq"))?;
                Ok(Command::Acknowledge(Receipt {
                    epoch: epoch.to_owned(),
                    seq,
                }))
            }
            _ => Err(ChatError::UnknownUrl),
        }
    }

    fn new_message(&self, limits: &Limits) -> Result<NewMessage, ChatError> {
        let to = match (&self.to, &self.room) {
            (Value::String(to), Value::Null) => {
                Recipient::Person(Address::parse(to).ok_or(ChatError::NoSuchPerson)?)
            }
            (Value::Null, room) => Recipient::Room(label(room, "room", limits)?),
            _ => return Err(ChatError::BadField("to")),
        };
        let text = self.text.as_str().ok_or(ChatError::BadField("text"))?;
        if text.trim().is_empty() {
            return Err(ChatError::BadField("text"));
        }
        if text.chars().count() > limits.text_chars_max {
            return Err(ChatError::TooLong("text"));
        }
        let id = optional(&self.id, |id| match id.as_str() {
            Some("") | None => Err(ChatError::BadField("id")),
            Some(id) if id.chars().count() > limits.id_chars_max => Err(ChatError::TooLong("id")),
            Some(id) => Ok(id.to_owned()),
        })?;
        Ok(NewMessage {
            to,
            text: text.to_owned(),
            id,
        })
    }

    fn since(&self) -> Result<Option<Since>, ChatError> {
        optional(&self.since, |seq| {
            Ok(Since {
                seq: seq.as_u64().ok_or(ChatError::BadField("since"))?,
                epoch: self.epoch.as_str().map(str::to_owned),
            })
        })
    }
}

fn optional<T>(
    value: &Value,
    read: impl FnOnce(&Value) -> Result<T, ChatError>,
) -> Result<Option<T>, ChatError> {
    match value {
        Value::Null => Ok(None),
        value => read(value).map(Some),
    }
}

/// Checks the name of a person or room.
fn label(value: &Value, field: &'static str, limits: &Limits) -> Result<String, ChatError> {
    let text = value.as_str().ok_or(ChatError::BadField(field))?;
    match display_name(text, limits.name_chars_max) {
        Ok(name) => Ok(name.to_owned()),
        Err(NameError::NotPlain) => Err(ChatError::BadField(field)),
        Err(NameError::TooLong) => Err(ChatError::TooLong(field)),
    }
}

/// A person as other people see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PersonInfo {
    pub(crate) address: Address,
    pub(crate) name: String,
}

/// A message as it is sent to pages and stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChatMessage {
    /// Its number in the history of the room, or of the person who receives it.
    pub(crate) seq: u64,
    pub(crate) from: PersonInfo,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<PersonInfo>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) room: Option<String>,
    pub(crate) text: String,
    /// Milliseconds since 1970.
    pub(crate) time: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
}

/// The part of a history for a page that joins or reconnects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Past {
    /// The identity of the history, within which the numbers count.
    pub(crate) epoch: String,
    /// The number of its last message; 0 if there was none.
    pub(crate) seq: u64,
    /// Whether it has everything that the page missed.
    pub(crate) complete: bool,
    /// A JSON array of [`ChatMessage`]s, shared by all pages that join a room.
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
    /// Returns what a page has read as a receipt, if it names the history.
    pub(crate) fn of(since: &Since) -> Option<Self> {
        let epoch = since.epoch.clone()?;
        Some(Self {
            epoch,
            seq: since.seq,
        })
    }
}

/// Returns an event as text with a `past` in its response, which must have other fields.
pub(crate) fn event_with(name: &str, response: &Value, past: &Past) -> String {
    let mut text = event(name, response);
    // The past is JSON already and may be long, so it is not parsed again.
    text.truncate(text.len() - "}}".len());
    let epoch = json!(past.epoch);
    let (seq, complete) = (past.seq, past.complete);
    text += &format!(r#","past":{{"epoch":{epoch},"seq":{seq},"complete":{complete},"messages":"#);
    text += &past.messages;
    text += "}}}";
    text
}

/// Returns the `ERROR` event.
pub(crate) fn error(chat_error: ChatError, echoed: &EchoedFields) -> String {
    let mut response = json!({ "code": chat_error.code(), "message": chat_error.message() });
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

/// Most characters of a url that an answer repeats.
const URL_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> Result<Command, ChatError> {
        let read = read(text, &Limits::default(), |token| token == "abc");
        read.map(|(command, _)| command)
            .map_err(|(chat_error, _)| chat_error)
    }

    #[test]
    fn the_sentences_of_the_articles_are_understood() {
        // Both articles' heart-beats, as they stand.
        for text in [
            r#"{"url":"/chat/heart-beat"}"#,
            r#"{"url":"/chat/heart-beat","chat_token":"abc"}"#,
        ] {
            assert_eq!(command(text), Ok(Command::HeartBeat));
        }
        let person = Person::new();
        let text = format!(r#"{{"url":"/chat/online","chat_token":"abc","uuid":"{person}"}}"#);
        let online = Command::Online {
            person,
            name: None,
            since: None,
        };
        assert_eq!(command(&text), Ok(online));
    }

    #[test]
    fn every_mistake_has_its_name() {
        let long = "x".repeat(2001);
        for (text, chat_error) in [
            ("", ChatError::BadJson),
            ("[1]", ChatError::BadJson),
            ("{}", ChatError::BadJson),
            (r#"{"url":1}"#, ChatError::BadJson),
            (
                r#"{"url":"/chat/heart-beat","chat_token":"no"}"#,
                ChatError::BadToken,
            ),
            (r#"{"url":"/chat/join","room":"a"}"#, ChatError::BadToken),
            (
                r#"{"url":"/chat/join","chat_token":7,"room":"a"}"#,
                ChatError::BadToken,
            ),
            (
                r#"{"url":"/nothing","chat_token":"abc"}"#,
                ChatError::UnknownUrl,
            ),
            (
                r#"{"url":"/chat/online","chat_token":"abc"}"#,
                ChatError::WrongUuid,
            ),
            (
                r#"{"url":"/chat/online","chat_token":"abc","uuid":"1"}"#,
                ChatError::WrongUuid,
            ),
            (
                r#"{"url":"/chat/join","chat_token":"abc","room":" "}"#,
                ChatError::BadField("room"),
            ),
            (
                r#"{"url":"/chat/join","chat_token":"abc","room":"a\nb"}"#,
                ChatError::BadField("room"),
            ),
            (
                r#"{"url":"/chat/join","chat_token":"abc","room":"\u202Eb"}"#,
                ChatError::BadField("room"),
            ),
            (
                r#"{"url":"/chat/join","chat_token":"abc","room":"a","since":-1}"#,
                ChatError::BadField("since"),
            ),
            (
                r#"{"url":"/chat/msg","chat_token":"abc","room":"a"}"#,
                ChatError::BadField("text"),
            ),
            (
                r#"{"url":"/chat/msg","chat_token":"abc","text":"a"}"#,
                ChatError::BadField("room"),
            ),
            (
                r#"{"url":"/chat/msg","chat_token":"abc","text":"a","to":"b"}"#,
                ChatError::NoSuchPerson,
            ),
            (
                r#"{"url":"/chat/msg","chat_token":"abc","text":"a","room":"b","id":7}"#,
                ChatError::BadField("id"),
            ),
            (
                &format!(r#"{{"url":"/chat/msg","chat_token":"abc","room":"b","text":"{long}"}}"#),
                ChatError::TooLong("text"),
            ),
        ] {
            assert_eq!(command(text), Err(chat_error), "{text}");
        }
    }

    #[test]
    fn an_error_says_what_it_answers() {
        let said = r#"{"url":"/chat/msg","chat_token":"abc","id":"m1"}"#;
        let (chat_error, echoed) = read(said, &Limits::default(), |_| true).unwrap_err();
        let event: Value = serde_json::from_str(&error(chat_error, &echoed)).unwrap();
        assert_eq!(event["event"], "ERROR");
        let response = &event["response"];
        assert_eq!(
            [&response["code"], &response["url"], &response["id"]],
            ["bad_field", "/chat/msg", "m1"]
        );
    }
}
