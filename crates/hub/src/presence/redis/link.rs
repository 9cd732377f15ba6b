//! The two connections to Redis: one for commands, one that listens.

use std::{fmt, time::Duration};

use futures_util::StreamExt as _;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisResult,
    aio::{MultiplexedConnection, PubSubStream},
};
use tokio::time::timeout;

use crate::StoreError;

/// The two connections to Redis. After an error it's good for nothing.
pub(super) struct Link {
    commands: MultiplexedConnection,
    /// What was published. The library queues it without a limit; it is taken at once but while a save is
    /// under way, which [`ANSWER_TIMEOUT`] ends.
    notices: PubSubStream,
    /// For errors: who is meant.
    address: String,
}

impl Link {
    /// Connects, and listens to `channel`.
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

    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, StoreError> {
        let answer = command.query_async(&mut self.commands).await;
        answer.map_err(|error| explain(&self.address, &error))
    }

    pub(super) async fn ask_all<T: FromRedisValue>(
        &mut self,
        commands: &Pipeline,
    ) -> Result<T, StoreError> {
        let answer = commands.query_async(&mut self.commands).await;
        answer.map_err(|error| explain(&self.address, &error))
    }

    /// The next notice. Cancel safe.
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

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// All of it is tried again: a wrong password may be put right in Redis as well as here.
fn explain(address: &str, error: &redis::RedisError) -> StoreError {
    StoreError::outage(format!("Redis at {address}: {error}"))
}

/// From the first byte to the subscription.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A Redis that takes longer for one command is stuck, or out of reach.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
