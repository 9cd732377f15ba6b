//! The commands that need a channel or the application, and leave the client as it is.

use std::sync::Arc;

use super::{
    Client, Failure,
    room::{AnswerRoom, RoomWait},
    state::Connected,
    subscribe::unresolved,
    subscriptions::Subscription,
};
use crate::{
    Disconnect, Epoch, ErrorCode, History, HistoryQuery, Limit, RareBytes, StreamPosition,
    namespace::{ChannelOptions, Membership, ResolvedChannel},
    node::{MessageEvent, PublishEvent, PublishGrant, Right, RpcEvent, push, shared::accepts},
    wire::{
        HistoryRequest, HistoryResult, PresenceRequest, PresenceResult, PresenceStatsRequest,
        PresenceStatsResult, PublishRequest, PublishResult, Reply, RpcRequest, RpcResult,
        SendRequest,
    },
};

impl Client {
    pub(super) async fn publish(
        self: &Arc<Self>,
        request: PublishRequest,
    ) -> Result<Reply, Failure> {
        if request.r#type != 0 {
            return self.change_map(request).await;
        }
        let PublishRequest { channel, data, .. } = request;
        let resolved = self.node.namespaces.resolve(&channel).map_err(unresolved)?;
        if resolved.options.subscription_type.is_map() {
            return Err(ErrorCode::BadRequest.into());
        }
        // Before the application is asked, so that it never sees what can't be published.
        let is_asked = self.node.handlers.publish.is_some();
        if is_asked && !accepts(resolved.publication_data_format, &data) {
            return Err(ErrorCode::BadRequest.into());
        }
        let (view, info, is_allowed) = {
            let mut state = self.state.lock();
            let connected = state.connected()?;
            let is_allowed = self.has(
                connected,
                &resolved,
                &channel,
                ChannelOptions::allows_publish,
            );
            let chan_info = connected.subscriptions.find(&channel);
            let chan_info = chan_info.map_or_else(RareBytes::default, Subscription::chan_info);
            (
                connected.view(&*self.transport),
                connected.info_in(&chan_info),
                is_allowed,
            )
        };
        let granted = match &self.node.handlers.publish {
            Some(handler) => {
                let event = PublishEvent {
                    client: view,
                    channel: channel.clone(),
                    namespace: resolved.namespace.to_owned(),
                    data: data.clone(),
                };
                self.node.call(handler, event).await?
            }
            None => None,
        };
        let grant = match granted {
            Some(grant) => grant,
            None if is_allowed => PublishGrant::default(),
            None => {
                let right = ChannelOptions::allows_publish;
                self.demand(&resolved, &channel, "publish", right)?;
                PublishGrant::default()
            }
        };
        let data = grant.data.unwrap_or(data);
        self.node
            .publish_of_client(&channel, &resolved, data, info, grant.how)
            .await?;
        Ok(Reply {
            publish: Some(PublishResult::default()),
            ..Reply::default()
        })
    }

    pub(super) async fn presence(
        &self,
        request: &PresenceRequest,
        room: &mut Option<AnswerRoom>,
    ) -> Result<Reply, Failure> {
        let clients = self.presence_of(&request.channel)?;
        let bytes = clients.iter().map(|info| info.answer_bytes()).sum();
        if bytes > self.node.settings.answer_bytes_max {
            return Err(ErrorCode::LimitExceeded.into());
        }
        *room = Some(self.make_room(bytes).await?);
        let presence = clients
            .iter()
            .map(|info| (info.client.to_string(), info.as_ref().into()))
            .collect();
        Ok(Reply {
            presence: Some(PresenceResult { presence }),
            ..Reply::default()
        })
    }

    pub(super) fn presence_stats(&self, request: &PresenceStatsRequest) -> Result<Reply, Failure> {
        let clients = self.presence_of(&request.channel)?;
        let stats = crate::node::PresenceStats::of(&clients);
        Ok(Reply {
            presence_stats: Some(PresenceStatsResult {
                num_clients: stats.num_clients,
                num_users: stats.num_users,
            }),
            ..Reply::default()
        })
    }

    fn presence_of(&self, channel: &str) -> Result<Vec<Arc<crate::ClientInfo>>, Failure> {
        let resolved = self.node.namespaces.resolve(channel).map_err(unresolved)?;
        if !resolved.options.presence {
            return Err(ErrorCode::NotAvailable.into());
        }
        let right = ChannelOptions::allows_presence;
        self.demand(&resolved, channel, "presence", right)?;
        Ok(self.node.presence(channel))
    }

    pub(super) async fn history(
        self: &Arc<Self>,
        request: HistoryRequest,
        room: &mut Option<AnswerRoom>,
    ) -> Result<Reply, Failure> {
        let channel: Arc<str> = request.channel.as_str().into();
        let resolved = self.node.namespaces.resolve(&channel).map_err(unresolved)?;
        if !resolved.options.has_history() {
            return Err(ErrorCode::NotAvailable.into());
        }
        let right = ChannelOptions::allows_history;
        self.demand(&resolved, &channel, "history", right)?;
        let since = request.since.map(|since| StreamPosition {
            offset: since.offset,
            epoch: Epoch::new(&since.epoch),
        });
        // Below the first there is nothing to go back to.
        if request.reverse && since.as_ref().is_some_and(|since| since.offset == 0) {
            return Err(ErrorCode::BadRequest.into());
        }
        let publications_max = self.node.settings.history_max_publication_limit;
        let query = HistoryQuery {
            limit: match usize::try_from(request.limit) {
                Ok(0) => Limit::PositionOnly,
                Ok(limit) => Limit::AtMost(limit.min(publications_max)),
                Err(_) => Limit::AtMost(publications_max),
            },
            since: since.clone(),
            reverse: request.reverse,
            bytes_max: Some(self.node.settings.answer_bytes_max),
            meta_ttl: resolved.history_meta_ttl,
        };
        let mut wait = RoomWait::default();
        let (history, made) = loop {
            let history = self.node.broker.history(&channel, query.clone()).await?;
            match self.try_make_room(answer_bytes(&history)) {
                Ok(made) => break (history, made),
                Err(no_room) => {
                    drop(history);
                    wait.pause(no_room, self).await?;
                }
            }
        };
        *room = Some(made);
        let is_of_other_epoch = since
            .is_some_and(|since| !since.epoch.is_empty() && since.epoch != history.position.epoch);
        if is_of_other_epoch {
            return Err(ErrorCode::UnrecoverablePosition.into());
        }
        Ok(Reply {
            history: Some(HistoryResult {
                publications: push::of_history(
                    history.publications.iter(),
                    &history.position.epoch,
                ),
                epoch: history.position.epoch.as_str().to_owned(),
                offset: history.position.offset,
            }),
            ..Reply::default()
        })
    }

    pub(super) async fn rpc(
        self: &Arc<Self>,
        request: RpcRequest,
        room: &mut Option<AnswerRoom>,
    ) -> Result<Reply, Failure> {
        let view = self.view()?;
        let Some(handler) = &self.node.handlers.rpc else {
            return Err(ErrorCode::NotAvailable.into());
        };
        let event = RpcEvent {
            client: view,
            method: request.method,
            data: request.data,
        };
        let data = self.node.call(handler, event).await?;
        *room = Some(self.make_room(data.len()).await?);
        Ok(Reply {
            rpc: Some(RpcResult { data }),
            ..Reply::default()
        })
    }

    pub(super) async fn message(self: &Arc<Self>, request: SendRequest) -> Result<(), Failure> {
        let client = self.view()?;
        let Some(handler) = &self.node.handlers.message else {
            return Err(Disconnect::NOT_AVAILABLE.into());
        };
        let data = request.data;
        let handled = self.node.call(handler, MessageEvent { client, data });
        match handled.await.map_err(Failure::from) {
            // There is no reply that could carry it.
            Err(Failure::Error(error)) => {
                tracing::debug!(client = &*self.id, error.code, "a message failed");
                Ok(())
            }
            other => other,
        }
    }

    /// Returns error 103 unless the client has the right in this channel.
    fn demand(
        &self,
        resolved: &ResolvedChannel<'_>,
        channel: &str,
        name: &'static str,
        right: Right,
    ) -> Result<(), Failure> {
        let mut state = self.state.lock();
        let connected = state.connected()?;
        if self.has(connected, resolved, channel, right) {
            return Ok(());
        }
        let membership = membership(connected, channel);
        let user = &connected.info.user;
        Err(self.node.deny(name, right, resolved, user, membership))
    }

    fn has(
        &self,
        connected: &Connected,
        resolved: &ResolvedChannel<'_>,
        channel: &str,
        right: Right,
    ) -> bool {
        let membership = membership(connected, channel);
        self.node.settings.insecure || right(resolved.options, &connected.info.user, membership)
    }
}

fn membership(connected: &Connected, channel: &str) -> Membership {
    match connected.subscriptions.is_active(channel) {
        true => Membership::Subscriber,
        false => Membership::Outsider,
    }
}

/// Returns the bytes that the publications of a history take in an answer, about.
pub(super) fn answer_bytes(history: &History) -> usize {
    let publications = history.publications.iter();
    publications
        .map(|publication| publication.answer_bytes())
        .sum()
}
