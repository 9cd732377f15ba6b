//! The two connections to Redis: one for commands, one for the subscription.

use std::{fmt, time::Duration};

use futures_util::StreamExt as _;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisResult,
    aio::{MultiplexedConnection, PubSubStream},
};
use tokio::time::timeout;

use crate::StoreError;

/// The two connections to Redis. They can't be used after an error.
pub(super) struct Connections {
    commands: MultiplexedConnection,
    /// The published messages. The library queues them without a limit. The store's task takes each one at once, except
    /// during a save, which [`ANSWER_TIMEOUT`] bounds.
    notices: PubSubStream,
    /// The address of Redis, for error texts.
    address: String,
}

impl Connections {
    /// Connects twice and subscribes to `channel`.
    pub(super) async fn open(client: &Client, channel: &str) -> Result<Self, StoreError> {
        let address = client.get_connection_info().addr().to_string();
        let opened = timeout(CONNECT_TIMEOUT, async {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(ANSWER_TIMEOUT));
            let commands = client.get_multiplexed_async_connection_with_config(&config);
            let commands = commands.await?;
            let mut listening = client.get_async_pubsub().await?;
            listening.subscribe(channel).await?;
            RedisResult::Ok((commands, listening.into_on_message()))
        });
        match opened.await {
            Ok(Ok((commands, notices))) => Ok(Self {
                commands,
                notices,
                address,
            }),
            Ok(Err(error)) => Err(explain(&address, &error)),
            Err(_) => Err(StoreError::outage(format!(
                "Redis at {address} did not answer within {CONNECT_TIMEOUT:?}"
            ))),
        }
    }

    pub(super) async fn query<T: FromRedisValue>(
        &mut self,
        command: &Cmd,
    ) -> Result<T, StoreError> {
        let answer = command.query_async(&mut self.commands).await;
        answer.map_err(|error| explain(&self.address, &error))
    }

    pub(super) async fn query_pipeline<T: FromRedisValue>(
        &mut self,
        commands: &Pipeline,
    ) -> Result<T, StoreError> {
        let answer = commands.query_async(&mut self.commands).await;
        answer.map_err(|error| explain(&self.address, &error))
    }

    /// Waits for the next published message. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, StoreError> {
        match self.notices.next().await {
            Some(message) => Ok(message.get_payload_bytes().to_vec()),
            None => Err(StoreError::outage(format!(
                "Redis at {} closed the connection",
                self.address
            ))),
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Turns every error into an outage: even a wrong password can be corrected in Redis while the server runs.
fn explain(address: &str, error: &redis::RedisError) -> StoreError {
    StoreError::outage(format!("Redis at {address}: {error}"))
}

/// Most time for both connections and the subscription.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Most time for one command.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
