//! Whether a client may subscribe.

use super::{Client, Failure};
use crate::{
    ErrorCode,
    namespace::{Membership, ResolvedChannel},
    node::{ClientView, Right, SubscribeEvent, SubscriptionGrant},
    wire::SubscribeRequest,
};

impl Client {
    /// Decides whether the client may subscribe: by a token, by the channel's name, by the application, by the channel's
    /// options.
    pub(super) async fn grant(
        &self,
        view: &ClientView,
        resolved: &ResolvedChannel<'_>,
        request: &SubscribeRequest,
    ) -> Result<SubscriptionGrant, Failure> {
        if !request.token.is_empty() {
            let claims = self
                .node
                .subscription_claims(&request.token, &request.channel, view)
                .await?;
            return Ok(SubscriptionGrant {
                options: claims.options,
                expire_at: claims.expire_at,
            });
        }
        if let Some(grant) = self.ask_application(view, resolved, request).await? {
            return Ok(grant);
        }
        if resolved.is_private {
            self.node.log_denied("subscribe", resolved, || {
                "a token: the channel's name begins with channel.private_prefix".to_owned()
            });
            return Err(ErrorCode::PermissionDenied.into());
        }
        if self.node.settings.insecure {
            return Ok(SubscriptionGrant::default());
        }
        if !resolved.allows_user(&view.user) {
            self.node.log_denied("subscribe", resolved, || {
                "a token: the channel's name lists other users".to_owned()
            });
            return Err(ErrorCode::PermissionDenied.into());
        }
        if resolved.users.is_some() {
            return Ok(SubscriptionGrant::default());
        }
        match resolved.options.allows_subscribe(&view.user) {
            true => Ok(SubscriptionGrant::default()),
            false => {
                let right: Right = |options, user, _| options.allows_subscribe(user);
                let outsider = Membership::Outsider;
                Err(self
                    .node
                    .deny("subscribe", right, resolved, &view.user, outsider))
            }
        }
    }

    /// Asks the application, which decides on channels that neither need a token nor list their users. `None`: it leaves
    /// the decision to the options of the channel.
    async fn ask_application(
        &self,
        view: &ClientView,
        resolved: &ResolvedChannel<'_>,
        request: &SubscribeRequest,
    ) -> Result<Option<SubscriptionGrant>, Failure> {
        let Some(handler) = &self.node.handlers.subscribe else {
            return Ok(None);
        };
        if resolved.is_private || resolved.users.is_some() {
            return Ok(None);
        }
        let event = SubscribeEvent {
            client: view.clone(),
            channel: request.channel.clone(),
            namespace: resolved.namespace.to_owned(),
            data: request.data.clone(),
        };
        let grant = self.node.call(handler, event).await?;
        let expire_at = grant.as_ref().and_then(|grant| grant.expire_at);
        match expire_at.is_some_and(|expire_at| expire_at <= self.node.now()) {
            true => Err(ErrorCode::Expired.into()),
            false => Ok(grant),
        }
    }
}
