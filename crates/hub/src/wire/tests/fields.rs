//! Each field of each message: its number in Protobuf, its name in JSON. Both columns are written by hand from the
//! protocol's description, so a field that is swapped or misspelt shows.
//!
//! A key in Protobuf is `number << 3 | type`: type 0 for a varint, 2 for a length and bytes.

use std::fmt::Debug;

use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

use super::hex;
use crate::wire::{
    ClientInfo, Command, ConnectPush, ConnectRequest, ConnectResult, Dictionary, DisconnectPush,
    EmulationRequest, ErrorReply, FilterNode, HistoryRequest, HistoryResult, JoinPush, KeyedItem,
    LeavePush, MessagePush, PingRequest, PingResult, PresenceRequest, PresenceResult,
    PresenceStatsRequest, PresenceStatsResult, Publication, PublishRequest, PublishResult, Push,
    RefreshPush, RefreshRequest, RefreshResult, Reply, RpcRequest, RpcResult, SendRequest,
    StreamPosition, SubRefreshRequest, SubRefreshResult, SubscribePush, SubscribeRequest,
    SubscribeResult, TrackBatch, UnsubscribePush, UnsubscribeRequest, UnsubscribeResult,
};

/// Checks that the Protobuf and the JSON of each row are the same message, and that the message is encoded as the row says.
#[track_caller]
fn assert_same<T: Message + Default + PartialEq + Debug + Serialize + DeserializeOwned>(
    rows: &[(&str, &str)],
) {
    for (protobuf, json) in rows {
        let from_protobuf = T::decode(hex(protobuf)).expect(protobuf);
        let from_json: T = serde_json::from_str(json).expect(json);
        assert_eq!(from_protobuf, from_json, "{protobuf} {json}");
        assert_eq!(from_json.encode_to_vec(), hex(protobuf), "{json}");
        assert_eq!(
            serde_json::to_string(&from_protobuf).expect("JSON"),
            *json,
            "{protobuf}"
        );
    }
}

#[test]
fn commands() {
    assert_same::<Command>(&[
        ("", r#"{}"#),
        ("08 ac02", r#"{"id":300}"#),
        ("08 ffffffff0f", r#"{"id":4294967295}"#),
        ("22 00", r#"{"connect":{}}"#),
        ("2a 00", r#"{"subscribe":{}}"#),
        ("32 00", r#"{"unsubscribe":{}}"#),
        ("3a 00", r#"{"publish":{}}"#),
        ("42 00", r#"{"presence":{}}"#),
        ("4a 00", r#"{"presence_stats":{}}"#),
        ("52 00", r#"{"history":{}}"#),
        ("5a 00", r#"{"ping":{}}"#),
        ("62 00", r#"{"send":{}}"#),
        ("6a 00", r#"{"rpc":{}}"#),
        ("72 00", r#"{"refresh":{}}"#),
        ("7a 00", r#"{"sub_refresh":{}}"#),
        (
            "08 01 22 04 0a 02 6162",
            r#"{"id":1,"connect":{"token":"ab"}}"#,
        ),
    ]);
}

#[test]
fn requests_to_connect_and_subscribe() {
    assert_same::<ConnectRequest>(&[
        ("0a 01 74", r#"{"token":"t"}"#),
        ("12 02 7b7d", r#"{"data":{}}"#),
        (
            "1a 08 0a 01 63 12 03 38 ac02",
            r#"{"subs":{"c":{"offset":300}}}"#,
        ),
        ("22 02 6a73", r#"{"name":"js"}"#),
        ("2a 01 31", r#"{"version":"1"}"#),
        ("32 06 0a 01 68 12 01 76", r#"{"headers":{"h":"v"}}"#),
        ("38 01", r#"{"flag":1}"#),
        ("42 01 64", r#"{"dict":"d"}"#),
        ("4a 01 70", r#"{"profile":"p"}"#),
    ]);
    assert_same::<SubscribeRequest>(&[
        ("0a 01 63", r#"{"channel":"c"}"#),
        ("12 01 74", r#"{"token":"t"}"#),
        ("18 01", r#"{"recover":true}"#),
        ("32 01 65", r#"{"epoch":"e"}"#),
        (
            "38 ffffffffffffffffff01",
            r#"{"offset":18446744073709551615}"#,
        ),
        ("42 04 6e756c6c", r#"{"data":null}"#),
        ("48 01", r#"{"positioned":true}"#),
        ("50 01", r#"{"recoverable":true}"#),
        ("58 01", r#"{"join_leave":true}"#),
        ("62 06 666f7373696c", r#"{"delta":"fossil"}"#),
        ("6a 00", r#"{"tf":{}}"#),
        ("70 03", r#"{"flag":3}"#),
        ("78 04", r#"{"type":4}"#),
        ("8001 02", r#"{"phase":2}"#),
        ("8a01 01 63", r#"{"cursor":"c"}"#),
        ("9001 ffffffffffffffffff01", r#"{"limit":-1}"#),
        ("9801 01", r#"{"asc":true}"#),
    ]);
}

#[test]
fn other_requests() {
    assert_same::<UnsubscribeRequest>(&[("0a 01 63", r#"{"channel":"c"}"#)]);
    assert_same::<PublishRequest>(&[
        ("0a 01 63", r#"{"channel":"c"}"#),
        ("12 01 31", r#"{"data":1}"#),
        ("18 01", r#"{"type":1}"#),
        ("22 01 6b", r#"{"key":"k"}"#),
        ("28 01", r#"{"removed":true}"#),
    ]);
    assert_same::<PresenceRequest>(&[("0a 01 63", r#"{"channel":"c"}"#)]);
    assert_same::<PresenceStatsRequest>(&[("0a 01 63", r#"{"channel":"c"}"#)]);
    assert_same::<HistoryRequest>(&[
        ("0a 01 63", r#"{"channel":"c"}"#),
        ("38 05", r#"{"limit":5}"#),
        (
            "42 05 08 07 12 01 65",
            r#"{"since":{"offset":7,"epoch":"e"}}"#,
        ),
        ("48 01", r#"{"reverse":true}"#),
    ]);
    assert_same::<StreamPosition>(&[
        ("08 07", r#"{"offset":7}"#),
        ("12 01 65", r#"{"epoch":"e"}"#),
    ]);
    assert_same::<PingRequest>(&[("", r#"{}"#)]);
    assert_same::<SendRequest>(&[("0a 02 5b5d", r#"{"data":[]}"#)]);
    assert_same::<RpcRequest>(&[
        ("0a 01 30", r#"{"data":0}"#),
        ("12 01 6d", r#"{"method":"m"}"#),
    ]);
    assert_same::<RefreshRequest>(&[("0a 01 74", r#"{"token":"t"}"#)]);
    assert_same::<SubRefreshRequest>(&[
        ("0a 01 63", r#"{"channel":"c"}"#),
        ("12 01 74", r#"{"token":"t"}"#),
        ("18 02", r#"{"type":2}"#),
        ("22 03 0a 01 73", r#"{"track":[{"signature":"s"}]}"#),
        ("2a 01 61 2a 01 62", r#"{"untrack":["a","b"]}"#),
    ]);
    assert_same::<TrackBatch>(&[
        ("0a 01 73", r#"{"signature":"s"}"#),
        (
            "12 05 0a 01 6b 10 02",
            r#"{"items":[{"key":"k","version":2}]}"#,
        ),
    ]);
    assert_same::<KeyedItem>(&[
        ("0a 01 6b", r#"{"key":"k"}"#),
        ("10 02", r#"{"version":2}"#),
    ]);
    assert_same::<FilterNode>(&[
        ("0a 03 616e64", r#"{"op":"and"}"#),
        ("12 01 6b", r#"{"key":"k"}"#),
        ("1a 02 6571", r#"{"cmp":"eq"}"#),
        ("22 01 76", r#"{"val":"v"}"#),
        ("2a 01 61 2a 00", r#"{"vals":["a",""]}"#),
        ("32 02 32 00", r#"{"nodes":[{"nodes":[{}]}]}"#),
    ]);
    assert_same::<EmulationRequest>(&[
        ("0a 01 6e", r#"{"node":"n"}"#),
        ("12 01 73", r#"{"session":"s"}"#),
        ("1a 04 227b7d22", r#"{"data":"{}"}"#),
    ]);
}

#[test]
fn replies() {
    assert_same::<Reply>(&[
        ("", r#"{}"#),
        ("08 01", r#"{"id":1}"#),
        ("12 00", r#"{"error":{}}"#),
        ("22 00", r#"{"push":{}}"#),
        ("2a 00", r#"{"connect":{}}"#),
        ("32 00", r#"{"subscribe":{}}"#),
        ("3a 00", r#"{"unsubscribe":{}}"#),
        ("42 00", r#"{"publish":{}}"#),
        ("4a 00", r#"{"presence":{"presence":{}}}"#),
        (
            "52 00",
            r#"{"presence_stats":{"num_clients":0,"num_users":0}}"#,
        ),
        (
            "5a 00",
            r#"{"history":{"publications":[],"epoch":"","offset":0}}"#,
        ),
        ("62 00", r#"{"ping":{}}"#),
        ("6a 00", r#"{"rpc":{}}"#),
        ("72 00", r#"{"refresh":{}}"#),
        ("7a 00", r#"{"sub_refresh":{}}"#),
    ]);
    assert_same::<ErrorReply>(&[
        ("08 64", r#"{"code":100}"#),
        ("12 01 6d", r#"{"message":"m"}"#),
        ("18 01", r#"{"temporary":true}"#),
    ]);
}

#[test]
fn results_of_connect_and_subscribe() {
    assert_same::<ConnectResult>(&[
        ("0a 01 63", r#"{"client":"c"}"#),
        ("12 01 76", r#"{"version":"v"}"#),
        ("18 01", r#"{"expires":true}"#),
        ("20 3c", r#"{"ttl":60}"#),
        ("2a 01 31", r#"{"data":1}"#),
        (
            "32 07 0a 01 63 12 02 40 01",
            r#"{"subs":{"c":{"recovered":true}}}"#,
        ),
        ("38 19", r#"{"ping":25}"#),
        ("40 01", r#"{"pong":true}"#),
        ("4a 01 73", r#"{"session":"s"}"#),
        ("52 01 6e", r#"{"node":"n"}"#),
        ("58 01", r#"{"time":1}"#),
        ("60 01", r#"{"flag":1}"#),
        ("6a 00", r#"{"dict":{}}"#),
    ]);
    assert_same::<Dictionary>(&[
        ("0a 01 69", r#"{"id":"i"}"#),
        ("12 01 31", r#"{"data":1}"#),
        ("1a 01 62", r#"{"data_b64":"b"}"#),
    ]);
    assert_same::<SubscribeResult>(&[
        ("08 01", r#"{"expires":true}"#),
        ("10 3c", r#"{"ttl":60}"#),
        ("18 01", r#"{"recoverable":true}"#),
        ("32 01 65", r#"{"epoch":"e"}"#),
        (
            "3a 02 30 01 3a 02 30 02",
            r#"{"publications":[{"offset":1},{"offset":2}]}"#,
        ),
        ("40 01", r#"{"recovered":true}"#),
        ("48 07", r#"{"offset":7}"#),
        ("50 01", r#"{"positioned":true}"#),
        ("5a 01 31", r#"{"data":1}"#),
        ("60 01", r#"{"was_recovering":true}"#),
        ("68 01", r#"{"delta":true}"#),
        ("70 05", r#"{"id":5}"#),
        ("78 01", r#"{"type":1}"#),
        ("8001 01", r#"{"phase":1}"#),
        ("8a01 01 63", r#"{"cursor":"c"}"#),
        ("9201 02 30 01", r#"{"state":[{"offset":1}]}"#),
        ("9801 e807", r#"{"publish_debounce":1000}"#),
    ]);
}

#[test]
fn other_results() {
    assert_same::<UnsubscribeResult>(&[("", r#"{}"#)]);
    assert_same::<PublishResult>(&[("08 05", r#"{"debounce":5}"#)]);
    assert_same::<PresenceResult>(&[(
        "0a 08 0a 01 63 12 03 0a 01 75",
        r#"{"presence":{"c":{"user":"u","client":""}}}"#,
    )]);
    assert_same::<PresenceStatsResult>(&[
        ("08 02", r#"{"num_clients":2,"num_users":0}"#),
        ("10 01", r#"{"num_clients":0,"num_users":1}"#),
    ]);
    assert_same::<HistoryResult>(&[
        (
            "0a 02 30 01",
            r#"{"publications":[{"offset":1}],"epoch":"","offset":0}"#,
        ),
        ("12 01 65", r#"{"publications":[],"epoch":"e","offset":0}"#),
        ("18 07", r#"{"publications":[],"epoch":"","offset":7}"#),
    ]);
    assert_same::<PingResult>(&[("", r#"{}"#)]);
    assert_same::<RpcResult>(&[("0a 01 31", r#"{"data":1}"#)]);
    assert_same::<RefreshResult>(&[
        ("0a 01 63", r#"{"client":"c"}"#),
        ("12 01 76", r#"{"version":"v"}"#),
        ("18 01", r#"{"expires":true}"#),
        ("20 3c", r#"{"ttl":60}"#),
    ]);
    assert_same::<SubRefreshResult>(&[
        ("08 01", r#"{"expires":true}"#),
        ("10 3c", r#"{"ttl":60}"#),
        ("1a 02 30 01", r#"{"items":[{"offset":1}]}"#),
    ]);
}

#[test]
fn pushes() {
    assert_same::<Push>(&[
        ("08 05", r#"{"id":5}"#),
        ("12 01 63", r#"{"channel":"c"}"#),
        ("22 00", r#"{"pub":{}}"#),
        ("2a 00", r#"{"join":{}}"#),
        ("32 00", r#"{"leave":{}}"#),
        ("3a 00", r#"{"unsubscribe":{}}"#),
        ("42 00", r#"{"message":{}}"#),
        ("4a 00", r#"{"subscribe":{}}"#),
        ("52 00", r#"{"connect":{}}"#),
        ("5a 00", r#"{"disconnect":{}}"#),
        ("62 00", r#"{"refresh":{}}"#),
    ]);
    assert_same::<JoinPush>(&[("0a 03 12 01 63", r#"{"info":{"user":"","client":"c"}}"#)]);
    assert_same::<LeavePush>(&[("0a 03 12 01 63", r#"{"info":{"user":"","client":"c"}}"#)]);
    assert_same::<UnsubscribePush>(&[
        ("10 c413", r#"{"code":2500}"#),
        ("1a 01 72", r#"{"reason":"r"}"#),
    ]);
    assert_same::<MessagePush>(&[("0a 01 31", r#"{"data":1}"#)]);
    assert_same::<SubscribePush>(&[
        ("08 01", r#"{"recoverable":true}"#),
        ("22 01 65", r#"{"epoch":"e"}"#),
        ("28 07", r#"{"offset":7}"#),
        ("30 01", r#"{"positioned":true}"#),
        ("3a 01 31", r#"{"data":1}"#),
    ]);
    assert_same::<ConnectPush>(&[
        ("0a 01 63", r#"{"client":"c"}"#),
        ("12 01 76", r#"{"version":"v"}"#),
        ("1a 01 31", r#"{"data":1}"#),
        (
            "22 07 0a 01 63 12 02 40 01",
            r#"{"subs":{"c":{"recovered":true}}}"#,
        ),
        ("28 01", r#"{"expires":true}"#),
        ("30 3c", r#"{"ttl":60}"#),
        ("38 19", r#"{"ping":25}"#),
        ("40 01", r#"{"pong":true}"#),
        ("4a 01 73", r#"{"session":"s"}"#),
        ("52 01 6e", r#"{"node":"n"}"#),
        ("58 01", r#"{"time":1}"#),
    ]);
    assert_same::<DisconnectPush>(&[
        ("08 b917", r#"{"code":3001}"#),
        ("12 01 72", r#"{"reason":"r"}"#),
        ("18 01", r#"{"reconnect":true}"#),
    ]);
    assert_same::<RefreshPush>(&[("08 01", r#"{"expires":true}"#), ("10 3c", r#"{"ttl":60}"#)]);
}

#[test]
fn publications() {
    assert_same::<Publication>(&[
        ("22 01 31", r#"{"data":1}"#),
        ("2a 03 0a 01 75", r#"{"info":{"user":"u","client":""}}"#),
        ("30 01", r#"{"offset":1}"#),
        ("3a 06 0a 01 6b 12 01 76", r#"{"tags":{"k":"v"}}"#),
        ("40 01", r#"{"delta":true}"#),
        ("48 01", r#"{"time":1}"#),
        ("52 01 63", r#"{"channel":"c"}"#),
        ("5a 01 6b", r#"{"key":"k"}"#),
        ("60 01", r#"{"removed":true}"#),
        // sint64 counts 0, -1, 1, -2: the one field that does.
        ("68 03", r#"{"score":-2}"#),
        ("72 01 65", r#"{"epoch":"e"}"#),
        ("7a 01 31", r#"{"prev_data":1}"#),
        ("8001 01", r#"{"version":1}"#),
    ]);
    assert_same::<ClientInfo>(&[
        ("", r#"{"user":"","client":""}"#),
        ("0a 01 75", r#"{"user":"u","client":""}"#),
        ("12 01 63", r#"{"user":"","client":"c"}"#),
        ("1a 01 31", r#"{"user":"","client":"","conn_info":1}"#),
        ("22 01 31", r#"{"user":"","client":"","chan_info":1}"#),
    ]);
}

#[test]
fn an_entry_of_a_map_has_its_key_and_its_value_also_where_they_are_zero() {
    assert_same::<ConnectRequest>(&[
        ("1a 05 0a 01 63 12 00", r#"{"subs":{"c":{}}}"#),
        ("1a 04 0a 00 12 00", r#"{"subs":{"":{}}}"#),
        ("32 05 0a 01 6b 12 00", r#"{"headers":{"k":""}}"#),
    ]);
    assert_same::<ConnectResult>(&[("32 05 0a 01 63 12 00", r#"{"subs":{"c":{}}}"#)]);
    assert_same::<ConnectPush>(&[("22 05 0a 01 63 12 00", r#"{"subs":{"c":{}}}"#)]);
    assert_same::<PresenceResult>(&[(
        "0a 05 0a 01 63 12 00",
        r#"{"presence":{"c":{"user":"","client":""}}}"#,
    )]);
    assert_same::<Publication>(&[("3a 05 0a 01 6b 12 00", r#"{"tags":{"k":""}}"#)]);
}

#[test]
fn an_entry_without_a_value_has_a_zero_one_and_of_several_with_one_key_the_last_counts() {
    let connected = ConnectResult::decode(hex("32 03 0a 01 63")).expect("an entry");
    assert_eq!(connected.subs.to_map()["c"], &SubscribeResult::default());
    let twice = "3a 06 0a 01 6b 12 01 31 3a 06 0a 01 6b 12 01 32";
    let publication = Publication::decode(hex(twice)).expect("two entries");
    assert_eq!(publication.tags.to_map()["k"], "2");
    let json = serde_json::to_string(&publication).expect("JSON");
    assert_eq!(json, r#"{"tags":{"k":"2"}}"#);
    assert_eq!(publication.tags.into_map()["k"], "2");
}
