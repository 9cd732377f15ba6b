//! Who publishes in the modes `fan-out` and `hub`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sockeye::{ClientTls, Message, Session};
use sockeye_hub::wire::{Command, Encoding, PublishRequest};
use tokio::sync::mpsc;

use super::{link::Run, payload::Stamp};
use crate::http_client::HttpClient;

/// Sends the publications of a run.
pub(crate) trait Publisher: Send {
    /// Publishes the item with this number. Returns whether it was taken.
    fn publish(&self, number: u64) -> bool;

    fn is_open(&self) -> bool;
}

/// A member of a room, where what one sends goes to all.
pub(crate) struct RoomPublisher {
    pub(crate) session: Session,
    pub(crate) stamp: Arc<Stamp>,
}

impl Publisher for RoomPublisher {
    fn publish(&self, number: u64) -> bool {
        self.session.try_send(self.stamp.message(number)).is_ok()
    }

    fn is_open(&self) -> bool {
        self.session.is_open()
    }
}

/// A client of a hub.
pub(crate) struct ClientPublisher {
    pub(crate) session: Session,
    pub(crate) stamp: Arc<Stamp>,
    pub(crate) encoding: Encoding,
    /// The names of the channels.
    pub(crate) names: Arc<[String]>,
}

impl Publisher for ClientPublisher {
    fn publish(&self, number: u64) -> bool {
        let publish = PublishRequest {
            channel: self.names[(number % self.names.len() as u64) as usize].clone(),
            data: data(&self.stamp, number).into(),
            ..PublishRequest::default()
        };
        // Ids may come again after so many, when no reply with the same one is awaited.
        let id = (number % u64::from(u32::MAX - FIRST_ID)) as u32 + FIRST_ID;
        let command = Command {
            id,
            publish: Some(publish),
            ..Command::default()
        };
        send(&self.session, self.encoding, &[command])
    }

    fn is_open(&self) -> bool {
        self.session.is_open()
    }
}

/// Sends commands in one frame. Returns whether the outbox took it.
pub(crate) fn send(session: &Session, encoding: Encoding, commands: &[Command]) -> bool {
    let mut frame = vec![];
    for command in commands {
        if encoding.encode_command(command, &mut frame).is_err() {
            return false;
        }
    }
    let message = match encoding {
        Encoding::Json => String::from_utf8(frame).map(Message::from).ok(),
        Encoding::Protobuf => Some(Message::from(frame)),
    };
    message.is_some_and(|message| session.try_send(message).is_ok())
}

/// Returns the payload of a publication: a JSON string.
pub(crate) fn data(stamp: &Stamp, number: u64) -> String {
    format!("\"{}\"", stamp.text(number))
}

/// The HTTP API of a hub.
pub(crate) struct ApiPublisher {
    numbers: mpsc::UnboundedSender<u64>,
    is_broken: Arc<AtomicBool>,
}

/// What publishes for an [`ApiPublisher`].
pub(crate) struct Api {
    pub(crate) url: url::Url,
    pub(crate) key: String,
    pub(crate) batch_max: usize,
    pub(crate) stamp: Arc<Stamp>,
    pub(crate) names: Arc<[String]>,
    pub(crate) run: Arc<Run>,
    /// Publications that the server has accepted.
    pub(crate) accepted: Arc<AtomicU64>,
}

impl ApiPublisher {
    /// Starts a task that sends what waits, one request after the other.
    pub(crate) fn start(api: Api) -> Self {
        // As many wait as publications are in flight.
        let (numbers, mut waiting) = mpsc::unbounded_channel();
        let is_broken = Arc::new(AtomicBool::new(false));
        let broken = Arc::clone(&is_broken);
        tokio::spawn(async move {
            let http = HttpClient::new(
                api.url.clone(),
                ClientTls::default(),
                None,
                RESPONSE_BYTES_MAX,
            );
            let mut batch = vec![];
            while waiting.recv_many(&mut batch, api.batch_max).await > 0 {
                if let Err(what) = api.publish(&http, &batch).await {
                    api.run.count_error(format!("not published: {what}"));
                    broken.store(true, Ordering::Relaxed);
                    return;
                }
                let accepted = batch.len() as u64;
                api.accepted.fetch_add(accepted, Ordering::Relaxed);
                batch.clear();
            }
        });
        Self { numbers, is_broken }
    }
}

impl Publisher for ApiPublisher {
    fn publish(&self, number: u64) -> bool {
        self.numbers.send(number).is_ok()
    }

    fn is_open(&self) -> bool {
        !self.is_broken.load(Ordering::Relaxed)
    }
}

/// The order `batch` of the HTTP API.
#[derive(Serialize)]
struct Batch {
    commands: Vec<Order>,
}

#[derive(Serialize)]
struct Order {
    publish: Publish,
}

#[derive(Serialize)]
struct Publish {
    channel: String,
    data: String,
}

/// The answer: one reply for each command, or an error.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    replies: Vec<Value>,
    error: Option<Value>,
}

impl Api {
    async fn publish(&self, http: &HttpClient, numbers: &[u64]) -> Result<(), String> {
        let order = |number: &u64| Order {
            publish: Publish {
                channel: self.names[(number % self.names.len() as u64) as usize].clone(),
                data: self.stamp.text(*number),
            },
        };
        let batch = Batch {
            commands: numbers.iter().map(order).collect(),
        };
        let body = serde_json::to_vec(&batch).map_err(|error| error.to_string())?;
        let request = Request::post("/")
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-api-key", &self.key)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let answer = http
            .send(request)
            .await
            .map_err(|error| error.to_string())?;
        let answer: Answer = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
        if let Some(error) = answer.error {
            return Err(error.to_string());
        }
        let refused = answer
            .replies
            .iter()
            .find(|reply| reply.get("error").is_some());
        match refused {
            Some(reply) => Err(reply["error"].to_string()),
            None if answer.replies.len() == numbers.len() => Ok(()),
            None => Err(format!(
                "{} replies to {} orders",
                answer.replies.len(),
                numbers.len()
            )),
        }
    }
}

/// Bytes. The answer to a batch.
const RESPONSE_BYTES_MAX: usize = 16 << 20;

/// The id of the first publish command: above those of the commands that connect and subscribe.
pub(crate) const FIRST_ID: u32 = 1 << 16;
