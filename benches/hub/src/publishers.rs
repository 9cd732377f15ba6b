//! A hundred publishers, each with one publication on its way: to a hub, to NATS, to Redis.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::ValueEnum;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};

/// What the publishers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// Centrifugal, JSON over WebSocket: a client's `publish`
    Hub,
    /// NATS: a message to a stream (JetStream), and its acknowledgement
    Nats,
    /// Redis: XADD, and its reply
    Redis,
}

/// What they publish.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Load {
    /// What the server speaks
    #[arg(long, value_enum)]
    pub(crate) protocol: Protocol,

    /// The server's port on this machine
    #[arg(long)]
    pub(crate) port: u16,

    /// Publishers. Each has a channel of its own
    #[arg(long, default_value_t = 100)]
    pub(crate) publishers: usize,

    /// Bytes of a publication
    #[arg(long, default_value_t = 128)]
    pub(crate) bytes: usize,

    /// Seconds
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
}

/// What they did after a second of warm-up.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Published {
    pub(crate) count: u64,
    /// The warm-up included.
    pub(crate) all: u64,
    pub(crate) seconds: f64,
}

/// Publishes, and prints what was accepted.
pub(crate) fn run(load: &Load) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let published = runtime.block_on(publish(load))?;
    println!("{}", serde_json::to_string(&published)?);
    Ok(())
}

async fn publish(load: &Load) -> io::Result<Published> {
    if load.protocol == Protocol::Nats {
        create_stream(load).await?;
    }
    let accepted = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for number in 0..load.publishers {
        let (load, accepted) = (load.clone(), Arc::clone(&accepted));
        tasks.spawn(async move {
            match load.protocol {
                Protocol::Hub => publish_to_hub(&load, number, &accepted).await,
                Protocol::Nats => publish_to_nats(&load, number, &accepted).await,
                Protocol::Redis => publish_to_redis(&load, number, &accepted).await,
            }
        });
    }
    let measured = async {
        sleep(Duration::from_secs(1)).await;
        let (begun, before) = (Instant::now(), accepted.load(Ordering::Relaxed));
        sleep(Duration::from_secs_f64(load.seconds)).await;
        let all = accepted.load(Ordering::Relaxed);
        Published {
            count: all - before,
            all,
            seconds: begun.elapsed().as_secs_f64(),
        }
    };
    tokio::select! {
        published = measured => Ok(published),
        ended = tasks.join_next() => Err(match ended {
            Some(Ok(Err(error))) => error,
            _ => io::Error::other("a publisher has ended"),
        }),
    }
}

async fn publish_to_hub(load: &Load, number: usize, accepted: &AtomicU64) -> io::Result<()> {
    let url = format!("ws://127.0.0.1:{}/connection/websocket", load.port);
    let mut websocket = sockeye::connect(url).await.map_err(io::Error::other)?;
    let connect = "{\"id\":1,\"connect\":{}}";
    websocket.send(connect).await.map_err(io::Error::other)?;
    let data = "x".repeat(load.bytes - 2);
    let mut id = 1_u64;
    loop {
        let reply = websocket.recv().await.map_err(io::Error::other)?;
        let reply = reply.ok_or(io::ErrorKind::UnexpectedEof)?;
        let text = reply.as_text().unwrap_or_default();
        if text.contains("\"error\"") {
            return Err(io::Error::other(text.to_owned()));
        }
        if text == "{}" {
            websocket.send("{}").await.map_err(io::Error::other)?;
            continue;
        }
        accepted.fetch_add(u64::from(id > 1), Ordering::Relaxed);
        id += 1;
        let command = format!(
            "{{\"id\":{id},\"publish\":{{\"channel\":\"c{number}\",\"data\":\"{data}\"}}}}"
        );
        websocket.send(command).await.map_err(io::Error::other)?;
    }
}

async fn publish_to_nats(load: &Load, number: usize, accepted: &AtomicU64) -> io::Result<()> {
    let mut stream = BufReader::new(connect(load).await?);
    let begin = format!("CONNECT {{\"verbose\":false}}\r\nSUB _INBOX.{number} 1\r\n");
    stream.get_mut().write_all(begin.as_bytes()).await?;
    let publish = format!(
        "PUB s.{number} _INBOX.{number} {}\r\n{}\r\n",
        load.bytes,
        "x".repeat(load.bytes)
    );
    loop {
        stream.get_mut().write_all(publish.as_bytes()).await?;
        let answer = nats_message(&mut stream).await?;
        if answer.contains("\"error\"") {
            return Err(io::Error::other(answer));
        }
        accepted.fetch_add(1, Ordering::Relaxed);
    }
}

async fn create_stream(load: &Load) -> io::Result<()> {
    let mut stream = BufReader::new(connect(load).await?);
    let config =
        "{\"name\":\"S\",\"subjects\":[\"s.*\"],\"storage\":\"file\",\"max_msgs_per_subject\":100}";
    let create = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB _INBOX.new 1\r\nPUB $JS.API.STREAM.CREATE.S _INBOX.new {}\r\n{config}\r\n",
        config.len()
    );
    stream.get_mut().write_all(create.as_bytes()).await?;
    let answer = nats_message(&mut stream).await?;
    match answer.contains("\"error\"") {
        true => Err(io::Error::other(answer)),
        false => Ok(()),
    }
}

/// Returns the text of the next message.
async fn nats_message(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.starts_with("PING") {
            stream.get_mut().write_all(b"PONG\r\n").await?;
        } else if line.starts_with("MSG ") {
            line.clear();
            stream.read_line(&mut line).await?;
            return Ok(line);
        } else if line.starts_with("-ERR") {
            return Err(io::Error::other(line));
        }
    }
}

async fn publish_to_redis(load: &Load, number: usize, accepted: &AtomicU64) -> io::Result<()> {
    let mut stream = BufReader::new(connect(load).await?);
    let words = [
        "XADD",
        &format!("c{number}"),
        "MAXLEN",
        "100",
        "*",
        "d",
        &"x".repeat(load.bytes),
    ];
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    let mut line = String::new();
    loop {
        stream.get_mut().write_all(command.as_bytes()).await?;
        // The length of the id, and the id.
        for _ in 0..2 {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line.starts_with('-') {
                return Err(io::Error::other(line));
            }
        }
        accepted.fetch_add(1, Ordering::Relaxed);
    }
}

async fn connect(load: &Load) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", load.port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
