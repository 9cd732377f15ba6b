//! Protobuf by a table of its own, so that the hub's encoder isn't its own judge.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// The messages of the protocol: `NUMBER NAME KIND`. Kinds: `u` unsigned, `i` signed, `z` zigzag, `b` boolean, `s` text,
/// `j` bytes (a payload), else the name of a message; `*` before it: repeated, `@`: a map with text keys.
const SCHEMA: &str = "
Command: 1 id u, 4 connect Connect, 5 subscribe Subscribe, 6 unsubscribe Channel, 7 publish Publish, 8 presence Channel, 9 presence_stats Channel, 10 history History, 11 ping Empty, 12 send Send, 13 rpc Rpc, 14 refresh Token, 15 sub_refresh SubRefresh
Empty:
Connect: 1 token s, 2 data j, 3 subs @Subscribe, 4 name s, 5 version s, 6 headers @s, 7 flag i
Subscribe: 1 channel s, 2 token s, 3 recover b, 6 epoch s, 7 offset u, 8 data j, 9 positioned b, 10 recoverable b, 11 join_leave b, 12 delta s, 13 tf Filter, 14 flag i, 15 type i, 16 phase i, 17 cursor s, 18 limit i, 19 asc b
Filter: 1 op s, 2 key s, 3 cmp s, 4 val s, 5 vals *s, 6 nodes *Filter
Channel: 1 channel s
Publish: 1 channel s, 2 data j, 3 type i, 4 key s, 5 removed b
History: 1 channel s, 7 limit i, 8 since Position, 9 reverse b
Position: 1 offset u, 2 epoch s
Send: 1 data j
Rpc: 1 data j, 2 method s
Token: 1 token s
SubRefresh: 1 channel s, 2 token s, 3 type i
Reply: 1 id u, 2 error Error, 4 push Push, 5 connect ConnectResult, 6 subscribe SubscribeResult, 7 unsubscribe Empty, 8 publish Empty, 9 presence PresenceResult, 10 presence_stats Stats, 11 history HistoryResult, 12 ping Empty, 13 rpc RpcResult, 14 refresh RefreshResult, 15 sub_refresh SubRefreshResult
Error: 1 code u, 2 message s, 3 temporary b
Push: 1 id i, 2 channel s, 4 pub Publication, 5 join Joined, 6 leave Joined, 7 unsubscribe Unsubscribe, 8 message Send, 9 subscribe SubscribePush, 10 connect ConnectPush, 11 disconnect Disconnect, 12 refresh RefreshPush
ConnectResult: 1 client s, 2 version s, 3 expires b, 4 ttl u, 5 data j, 6 subs @SubscribeResult, 7 ping u, 8 pong b, 9 session s, 10 node s, 11 time i, 12 flag i
SubscribeResult: 1 expires b, 2 ttl u, 3 recoverable b, 6 epoch s, 7 publications *Publication, 8 recovered b, 9 offset u, 10 positioned b, 11 data j, 12 was_recovering b, 13 delta b, 14 id i, 15 type i, 16 phase i, 17 cursor s, 18 state *Publication, 19 publish_debounce u
Publication: 4 data j, 5 info Info, 6 offset u, 7 tags @s, 8 delta b, 9 time i, 10 channel s, 11 key s, 12 removed b, 13 score z, 14 epoch s, 15 prev_data j, 16 version u
Joined: 1 info Info
Info: 1 user s, 2 client s, 3 conn_info j, 4 chan_info j
PresenceResult: 1 presence @Info
Stats: 1 num_clients u, 2 num_users u
HistoryResult: 1 publications *Publication, 2 epoch s, 3 offset u
RpcResult: 1 data j
RefreshResult: 1 client s, 2 version s, 3 expires b, 4 ttl u
SubRefreshResult: 1 expires b, 2 ttl u
Unsubscribe: 2 code u, 3 reason s
SubscribePush: 1 recoverable b, 4 epoch s, 5 offset u, 6 positioned b, 7 data j
ConnectPush: 1 client s, 2 version s, 3 data j, 4 subs @SubscribeResult, 5 expires b, 6 ttl u, 7 ping u, 8 pong b, 9 session s, 10 node s, 11 time i
Disconnect: 1 code u, 2 reason s, 3 reconnect b
RefreshPush: 1 expires b, 2 ttl u
";

#[derive(Debug)]
struct Field {
    number: u64,
    name: &'static str,
    shape: Shape,
    kind: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    One,
    Repeated,
    Map,
}

static FIELDS: LazyLock<HashMap<&str, Vec<Field>>> = LazyLock::new(|| {
    let messages = SCHEMA.lines().filter_map(|line| line.split_once(':'));
    messages
        .map(|(message, fields)| {
            (
                message,
                fields.trim().split(", ").filter_map(field).collect(),
            )
        })
        .collect()
});

fn field(text: &'static str) -> Option<Field> {
    let mut words = text.split(' ');
    let number = words.next()?.parse().ok()?;
    let (name, kind) = (words.next()?, words.next()?);
    let (shape, kind) = match kind.as_bytes()[0] {
        b'*' => (Shape::Repeated, &kind[1..]),
        b'@' => (Shape::Map, &kind[1..]),
        _ => (Shape::One, kind),
    };
    Some(Field {
        number,
        name,
        shape,
        kind,
    })
}

/// Encodes a JSON object as a message. Names that the message doesn't have become field 999, which nobody knows.
pub(crate) fn encode(message: &str, value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in value.as_object().expect("an object") {
        let Some(field) = FIELDS[message].iter().find(|field| field.name == name) else {
            write_bytes(999, value.to_string().as_bytes(), &mut bytes);
            continue;
        };
        match field.shape {
            Shape::One => write(field.number, field.kind, value, &mut bytes),
            Shape::Repeated => {
                for element in value.as_array().expect("an array") {
                    write(field.number, field.kind, element, &mut bytes);
                }
            }
            Shape::Map => {
                for (key, value) in value.as_object().expect("a map") {
                    let mut entry = Vec::new();
                    write_bytes(1, key.as_bytes(), &mut entry);
                    write(2, field.kind, value, &mut entry);
                    write_bytes(field.number, &entry, &mut bytes);
                }
            }
        }
    }
    bytes
}

/// Encodes the request by which a client of an HTTP stream sends commands.
pub(crate) fn encode_emulation(session: &str, node: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, content) in [(1, node.as_bytes()), (2, session.as_bytes()), (3, data)] {
        write_bytes(number, content, &mut bytes);
    }
    bytes
}

/// Puts the length before a message.
pub(crate) fn delimited(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_varint(message.len() as u64, &mut bytes);
    bytes.extend_from_slice(message);
    bytes
}

fn write(number: u64, kind: &str, value: &Value, bytes: &mut Vec<u8>) {
    match kind {
        "u" | "i" | "z" | "b" => {
            let integer = match value {
                Value::Bool(value) => u64::from(*value),
                value => value
                    .as_u64()
                    .unwrap_or_else(|| value.as_i64().expect("an integer").cast_unsigned()),
            };
            if integer != 0 {
                write_varint(number << 3, bytes);
                write_varint(integer, bytes);
            }
        }
        "s" | "j" => {
            let text = value.as_str().expect("a text");
            if !text.is_empty() {
                write_bytes(number, text.as_bytes(), bytes);
            }
        }
        message => write_bytes(number, &encode(message, value), bytes),
    }
}

fn write_bytes(number: u64, content: &[u8], bytes: &mut Vec<u8>) {
    write_varint(number << 3 | 2, bytes);
    write_varint(content.len() as u64, bytes);
    bytes.extend_from_slice(content);
}

fn write_varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Reads a frame of messages, each with its length before it; `None` if it isn't one.
pub(crate) fn decode_frame(message: &str, mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let length = read_varint(&mut bytes)?;
        let (content, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
        messages.push(decode(message, content)?);
        bytes = rest;
    }
    Some(messages)
}

/// Reads a message. Fields that the table doesn't have are shown by their numbers.
pub(crate) fn decode(message: &str, mut bytes: &[u8]) -> Option<Value> {
    let mut object = Map::new();
    while !bytes.is_empty() {
        let tag = read_varint(&mut bytes)?;
        let content = match tag & 7 {
            0 => Content::Integer(read_varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(read_varint(&mut bytes)?).ok()?;
                let (content, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Content::Bytes(content)
            }
            _ => return None,
        };
        let Some(field) = FIELDS[message]
            .iter()
            .find(|field| field.number == tag >> 3)
        else {
            object.insert(format!("field {}", tag >> 3), Value::Null);
            continue;
        };
        match field.shape {
            Shape::One => {
                object.insert(field.name.to_owned(), read(field.kind, &content)?);
            }
            Shape::Repeated => {
                let list = object
                    .entry(field.name)
                    .or_insert_with(|| Vec::<Value>::new().into());
                list.as_array_mut()?.push(read(field.kind, &content)?);
            }
            Shape::Map => {
                let (key, value) = read_entry(field.kind, &content)?;
                let map = object
                    .entry(field.name)
                    .or_insert_with(|| Map::new().into());
                map.as_object_mut()?.insert(key, value);
            }
        }
    }
    Some(object.into())
}

enum Content<'a> {
    Integer(u64),
    Bytes(&'a [u8]),
}

fn read(kind: &str, content: &Content<'_>) -> Option<Value> {
    Some(match (kind, content) {
        ("b", Content::Integer(value)) => (*value != 0).into(),
        ("u", Content::Integer(value)) => (*value).into(),
        ("i", Content::Integer(value)) => value.cast_signed().into(),
        ("z", Content::Integer(value)) => {
            ((value >> 1).cast_signed() ^ -(value & 1).cast_signed()).into()
        }
        ("s" | "j", Content::Bytes(bytes)) => String::from_utf8_lossy(bytes).into(),
        (message, Content::Bytes(bytes)) if FIELDS.contains_key(message) => decode(message, bytes)?,
        _ => return None,
    })
}

fn read_entry(kind: &str, content: &Content<'_>) -> Option<(String, Value)> {
    let Content::Bytes(mut bytes) = *content else {
        return None;
    };
    let empty = Content::Bytes(&[]);
    let (mut key, mut value) = (String::new(), read(kind, &empty)?);
    while !bytes.is_empty() {
        let tag = read_varint(&mut bytes)?;
        let length = usize::try_from(read_varint(&mut bytes)?).ok()?;
        let (content, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        match tag >> 3 {
            1 => key = String::from_utf8_lossy(content).into_owned(),
            _ => value = read(kind, &Content::Bytes(content))?,
        }
    }
    Some((key, value))
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_encoded_as_protobuf_says() {
        let command =
            serde_json::json!({"id": 300, "subscribe": {"channel": "a", "recover": true}});
        assert_eq!(
            encode("Command", &command),
            [0x08, 0xac, 0x02, 0x2a, 0x05, 0x0a, 0x01, b'a', 0x18, 0x01]
        );
    }

    #[test]
    fn a_reply_is_read_back() {
        let reply = serde_json::json!({
            "id": 1,
            "presence": {"presence": {"c": {"user": "u", "client": "c", "conn_info": "{}"}}},
            "push": {"pub": {"score": 0, "tags": {"a": "b"}}},
        });
        let mut bytes = delimited(&encode("Reply", &reply));
        let mut expected = reply;
        expected["push"]["pub"]
            .as_object_mut()
            .unwrap()
            .remove("score");
        assert_eq!(decode_frame("Reply", &bytes), Some(vec![expected]));
        bytes.pop();
        assert_eq!(decode_frame("Reply", &bytes), None);
    }
}
