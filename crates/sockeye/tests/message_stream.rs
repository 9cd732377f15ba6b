//! One large message as a stream, sent and received.

mod in_memory;

use std::{io, time::Duration};

use in_memory::{frame, generous, pair_with, server_and_wire};
use sockeye::{CloseCode, ErrorKind, Message, MessageKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Reads an unmasked frame. Returns its first byte and its payload.
async fn read_frame(wire: &mut DuplexStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    wire.read_exact(&mut head).await.unwrap();
    let len = match head[1] {
        126 => u64::from(wire.read_u16().await.unwrap()),
        127 => wire.read_u64().await.unwrap(),
        len => u64::from(len),
    };
    let mut payload = vec![0; len as usize];
    wire.read_exact(&mut payload).await.unwrap();
    (head[0], payload)
}

#[tokio::test]
async fn a_message_goes_out_and_comes_in_as_a_stream() {
    let (mut server, client) = pair_with(generous(), generous());
    let big: Vec<u8> = (0..3_000_000_u32).map(|index| index as u8).collect();
    let expected = big.clone();
    let sending = tokio::spawn(async move {
        let mut writer = client.send_stream(MessageKind::Binary).await.unwrap();
        client.send("behind").await.unwrap();
        writer.write_all(&big).await.unwrap();
        writer.finish().await.unwrap();
        client
    });
    let mut reader = server.recv_stream().await.unwrap().unwrap();
    assert_eq!(reader.kind(), MessageKind::Binary);
    let mut received = Vec::new();
    reader.read_to_end(&mut received).await.unwrap();
    drop(reader);
    assert!(received == expected);
    assert_eq!(server.recv().await.unwrap(), Some(Message::from("behind")));
    drop(sending.await.unwrap());
}

#[tokio::test]
async fn a_reader_dropped_early_skips_the_rest_of_its_message() {
    let (mut server, mut wire) = server_and_wire();
    wire.write_all(&frame(0x02, b"begin")).await.unwrap();
    let mut reader = server.recv_stream().await.unwrap().unwrap();
    let mut begin = [0; 3];
    reader.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"beg");
    drop(reader);
    wire.write_all(&frame(0x00, b"middle")).await.unwrap();
    wire.write_all(&frame(0x80, b"end")).await.unwrap();
    wire.write_all(&frame(0x81, b"next")).await.unwrap();
    assert_eq!(server.recv().await.unwrap(), Some(Message::from("next")));
}

#[tokio::test]
async fn a_stream_ends_with_an_error_if_the_peer_hangs_up_within_the_message() {
    let (mut server, mut wire) = server_and_wire();
    wire.write_all(&frame(0x01, b"begin")).await.unwrap();
    let mut reader = server.recv_stream().await.unwrap().unwrap();
    drop(wire);
    let mut received = Vec::new();
    let error = reader.read_to_end(&mut received).await.unwrap_err();
    assert_eq!(
        (error.kind(), &*received),
        (std::io::ErrorKind::UnexpectedEof, &b"begin"[..])
    );
    drop(reader);
    assert_eq!(server.recv().await.unwrap_err().kind(), ErrorKind::Io);
}

#[tokio::test]
async fn an_abandoned_writer_closes_with_1011() {
    let (server, mut client) = pair_with(generous(), generous());
    let mut writer = server.send_stream(MessageKind::Text).await.unwrap();
    writer.write_all(b"half").await.unwrap();
    drop(writer);
    let error = client.recv().await.unwrap_err();
    assert_eq!(error.closed().unwrap().code, CloseCode::INTERNAL_ERROR);
}

#[tokio::test]
async fn small_writes_of_a_stream_are_joined_to_fragments_of_64_kib() {
    let (server, mut wire) = server_and_wire();
    let copied: Vec<u8> = (0..200 << 10)
        .map(|index: u32| (index >> 3) as u8)
        .collect();
    let source = copied.clone();
    let sending = tokio::spawn(async move {
        let mut writer = server.send_stream(MessageKind::Binary).await.unwrap();
        // 8 KiB at a time.
        tokio::io::copy(&mut &*source, &mut writer).await.unwrap();
        writer.finish().await.unwrap();
        server
    });
    let mut received = Vec::new();
    // `copy` flushes when its source ends, so the last fragment is empty.
    for (first, len) in [
        (0x02, 64 << 10),
        (0x00, 64 << 10),
        (0x00, 64 << 10),
        (0x00, 8 << 10),
        (0x80, 0),
    ] {
        let (found, payload) = timeout(read_frame(&mut wire)).await;
        assert_eq!((found, payload.len()), (first, len));
        received.extend(payload);
    }
    assert!(received == copied);
    drop(sending.await.unwrap());
}

#[tokio::test]
async fn a_flush_sends_what_was_written_of_a_stream() {
    let (server, mut wire) = server_and_wire();
    let mut writer = server.send_stream(MessageKind::Text).await.unwrap();
    for (first, line) in [(0x01, "live: 1"), (0x00, "live: 2"), (0x00, "live: 3")] {
        for piece in line.as_bytes().chunks(2) {
            writer.write_all(piece).await.unwrap();
        }
        writer.flush().await.unwrap();
        let frame = timeout(read_frame(&mut wire)).await;
        assert_eq!(frame, (first, line.as_bytes().to_vec()));
        // A second flush sends nothing.
        writer.flush().await.unwrap();
    }
    writer.write_all(b"end").await.unwrap();
    writer.finish().await.unwrap();
    let frame = timeout(read_frame(&mut wire)).await;
    assert_eq!(frame, (0x80, b"end".to_vec()));
}

#[tokio::test]
async fn writing_to_a_stream_fails_as_soon_as_the_connection_is_closed() {
    let (server, client) = pair_with(generous(), generous());
    let mut writer = server.send_stream(MessageKind::Binary).await.unwrap();
    client.session().close(CloseCode::GOING_AWAY, "");
    client.session().closed().await;
    let error = timeout(writer.write_all(b"late")).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

async fn timeout<F: Future>(future: F) -> F::Output {
    let limit = Duration::from_secs(60);
    let output = tokio::time::timeout(limit, future).await;
    output.expect("it waits for ever")
}
