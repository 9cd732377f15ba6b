//! The handlers of the node that ask the application.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use sockeye_hub::{
    ClientHeaders, Clock as _, ConnectEvent, Credentials, ErrorCode, MapChangeEvent,
    MapChangeGrant, NodeBuilder, PublishEvent, PublishGrant, RefreshEvent, Refreshed, Rejection,
    RpcEvent, SubRefreshEvent, SubRefreshed, SubscribeEvent, SubscriptionGrant, SystemClock,
    UnixMillis,
};

use super::{
    answer::{
        ConnectJson, MapPublishJson, MapRemoveJson, PublishJson, RefreshJson, RpcJson,
        SubscribeJson,
    },
    endpoint::{Endpoint, Failed},
    question::{NotJson, Question},
};
use crate::{
    config::{EndpointConfig, HookConfig},
    hub::json::NotBase64,
};

/// The endpoints of the application, by what they are asked about.
pub(crate) struct Hooks {
    config: HookConfig,
    endpoints: Endpoints,
}

/// Endpoints by their section, so that hooks share them.
#[derive(Default)]
struct Endpoints(HashMap<String, Arc<Endpoint>>);

impl Hooks {
    pub(crate) fn new(config: HookConfig) -> Self {
        Self {
            config,
            endpoints: Endpoints::default(),
        }
    }

    /// Makes the hooks the handlers of a node. What is not configured has none.
    pub(crate) fn install(mut self, mut builder: NodeBuilder) -> NodeBuilder {
        if let Some(config) = &self.config.connect {
            let endpoint = self.endpoints.get(config);
            builder = builder.on_connect(move |event| connect(Arc::clone(&endpoint), event));
        }
        if let Some(config) = &self.config.refresh {
            let endpoint = self.endpoints.get(config);
            builder = builder.on_refresh(move |event| refresh(Arc::clone(&endpoint), event));
        }
        let chosen = self.endpoints.by_namespace(&self.config.subscribe);
        if !chosen.is_empty() {
            builder = builder.on_subscribe(move |event| {
                let endpoint = chosen.get(&event.namespace).map(Arc::clone);
                async move { subscribe(endpoint, event).await }
            });
        }
        let chosen = self.endpoints.by_namespace(&self.config.publish);
        if !chosen.is_empty() {
            builder = builder.on_publish(move |event| {
                let endpoint = chosen.get(&event.namespace).map(Arc::clone);
                async move { publish(endpoint, event).await }
            });
        }
        let set = self.endpoints.by_namespace(&self.config.map_publish);
        let removed = self.endpoints.by_namespace(&self.config.map_remove);
        if !set.is_empty() || !removed.is_empty() {
            builder = builder.on_map_change(move |event| {
                let chosen = if event.data.is_some() { &set } else { &removed };
                let endpoint = chosen.get(&event.namespace).map(Arc::clone);
                async move { change_map(endpoint, event).await }
            });
        }
        let chosen = self.endpoints.by_namespace(&self.config.sub_refresh);
        if !chosen.is_empty() {
            builder = builder.on_sub_refresh(move |event| {
                let endpoint = chosen.get(&event.namespace).map(Arc::clone);
                async move { sub_refresh(endpoint, event).await }
            });
        }
        if self.config.rpc.is_used() {
            let procedures = Procedures::new(&self.config, &mut self.endpoints);
            builder = builder.on_rpc(move |event| {
                let endpoint = procedures.find(&event.method);
                async move { call(endpoint?, event).await }
            });
        }
        builder
    }
}

impl Endpoints {
    fn get(&mut self, config: &Arc<EndpointConfig>) -> Arc<Endpoint> {
        let endpoint = self.0.entry(config.section.clone());
        let endpoint = endpoint.or_insert_with(|| Arc::new(Endpoint::new(Arc::clone(config))));
        Arc::clone(endpoint)
    }

    fn by_namespace(
        &mut self,
        configs: &BTreeMap<String, Arc<EndpointConfig>>,
    ) -> BTreeMap<String, Arc<Endpoint>> {
        configs
            .iter()
            .map(|(namespace, config)| (namespace.clone(), self.get(config)))
            .collect()
    }
}

/// Which endpoint answers which procedure.
struct Procedures {
    namespace_boundary: String,
    /// `None`: calls are not answered.
    namespaces: BTreeMap<String, Option<Arc<Endpoint>>>,
}

impl Procedures {
    fn new(config: &HookConfig, endpoints: &mut Endpoints) -> Self {
        let namespaces = config.rpc.namespaces.iter().map(|(namespace, config)| {
            let endpoint = config.as_ref().map(|config| endpoints.get(config));
            (namespace.clone(), endpoint)
        });
        Self {
            namespace_boundary: config.rpc.namespace_boundary.clone(),
            namespaces: namespaces.collect(),
        }
    }

    /// Returns who answers a call: error 104 in an unknown namespace, 108 in one without a hook.
    fn find(&self, method: &str) -> Result<Arc<Endpoint>, Rejection> {
        let namespace = match self.namespace_boundary.as_str() {
            "" => "",
            boundary => method
                .split_once(boundary)
                .map_or("", |(namespace, _)| namespace),
        };
        match self.namespaces.get(namespace) {
            Some(Some(endpoint)) => Ok(Arc::clone(endpoint)),
            Some(None) => Err(ErrorCode::NotAvailable.into()),
            None => Err(ErrorCode::MethodNotFound.into()),
        }
    }
}

async fn connect(
    endpoint: Arc<Endpoint>,
    event: ConnectEvent,
) -> Result<Option<Credentials>, Rejection> {
    let question = Question::of_connect(&event, &endpoint.config)?;
    let headers = Some(&*event.headers);
    decide(
        &endpoint,
        "connect",
        &question,
        headers,
        ConnectJson::credentials,
    )
    .await
}

async fn subscribe(
    endpoint: Option<Arc<Endpoint>>,
    event: SubscribeEvent,
) -> Result<Option<SubscriptionGrant>, Rejection> {
    let Some(endpoint) = endpoint else {
        return Ok(None);
    };
    let mut question = Question::of(&event.client, &endpoint.config);
    question.channel = &event.channel;
    let question = question.with_data(&event.data, &endpoint.config)?;
    let headers = event.client.headers.as_deref();
    let grant = decide(
        &endpoint,
        "subscribe",
        &question,
        headers,
        SubscribeJson::grant,
    )
    .await?;
    // An answer without a result is a yes.
    Ok(Some(grant.unwrap_or_default()))
}

async fn publish(
    endpoint: Option<Arc<Endpoint>>,
    event: PublishEvent,
) -> Result<Option<PublishGrant>, Rejection> {
    let Some(endpoint) = endpoint else {
        return Ok(None);
    };
    let mut question = Question::of(&event.client, &endpoint.config);
    question.channel = &event.channel;
    let question = question.with_data(&event.data, &endpoint.config)?;
    let headers = event.client.headers.as_deref();
    let grant = decide(&endpoint, "publish", &question, headers, PublishJson::grant).await?;
    // An answer without a result is a yes.
    Ok(Some(grant.unwrap_or_default()))
}

async fn change_map(
    endpoint: Option<Arc<Endpoint>>,
    event: MapChangeEvent,
) -> Result<Option<MapChangeGrant>, Rejection> {
    let Some(endpoint) = endpoint else {
        return Ok(None);
    };
    let mut question = Question::of(&event.client, &endpoint.config);
    question.channel = &event.channel;
    question.key = &event.key;
    let headers = event.client.headers.as_deref();
    let grant = match &event.data {
        Some(data) => {
            let question = question.with_data(data, &endpoint.config)?;
            let meaning = MapPublishJson::grant;
            decide(&endpoint, "map_publish", &question, headers, meaning).await?
        }
        None => {
            let meaning = MapRemoveJson::grant;
            decide(&endpoint, "map_remove", &question, headers, meaning).await?
        }
    };
    // An answer without a result is a yes.
    Ok(Some(grant.unwrap_or_default()))
}

async fn call(endpoint: Arc<Endpoint>, event: RpcEvent) -> Result<Bytes, Rejection> {
    let mut question = Question::of(&event.client, &endpoint.config);
    question.method = &event.method;
    let question = question.with_data(&event.data, &endpoint.config)?;
    let headers = event.client.headers.as_deref();
    let data = decide(&endpoint, "rpc", &question, headers, RpcJson::data).await?;
    Ok(data.unwrap_or_default())
}

async fn refresh(endpoint: Arc<Endpoint>, event: RefreshEvent) -> Result<Refreshed, Rejection> {
    let question = Question::of(&event.client, &endpoint.config);
    let headers = event.client.headers.as_deref();
    let refreshed = match decide_refresh(&endpoint, "refresh", &question, headers).await {
        Err(Failed) => Refreshed {
            expire_at: Some(later()),
            ..Refreshed::default()
        },
        Ok(None) => Refreshed {
            expire_at: Some(UnixMillis(0)),
            ..Refreshed::default()
        },
        Ok(Some((answer, info))) => Refreshed {
            // Without a new time the old one stays, which is over.
            expire_at: answer.expire_at().or(Some(UnixMillis(0))),
            info,
            meta: answer.meta(),
        },
    };
    Ok(refreshed)
}

async fn sub_refresh(
    endpoint: Option<Arc<Endpoint>>,
    event: SubRefreshEvent,
) -> Result<SubRefreshed, Rejection> {
    let Some(endpoint) = endpoint else {
        return Err(ErrorCode::NotAvailable.into());
    };
    let mut question = Question::of(&event.client, &endpoint.config);
    question.channel = &event.channel;
    let headers = event.client.headers.as_deref();
    let refreshed = match decide_refresh(&endpoint, "sub_refresh", &question, headers).await {
        Err(Failed) => SubRefreshed {
            expire_at: Some(later()),
            info: None,
        },
        Ok(None) => SubRefreshed {
            expire_at: Some(UnixMillis(0)),
            info: None,
        },
        Ok(Some((answer, info))) => SubRefreshed {
            expire_at: answer.expire_at(),
            info,
        },
    };
    Ok(refreshed)
}

/// Asks, and returns what the result means; `None` for an answer without one. An application that can't be asked
/// is error 100.
async fn decide<T: DeserializeOwned, R>(
    endpoint: &Endpoint,
    hook: &'static str,
    question: &Question<'_>,
    headers: Option<&ClientHeaders>,
    meaning: fn(T) -> Result<R, NotBase64>,
) -> Result<Option<R>, Rejection> {
    let answer = endpoint.ask(hook, question, headers).await?;
    if let Some(refusal) = answer.refusal {
        return Err(refusal);
    }
    let result = answer.result.map(meaning).transpose();
    result.map_err(|NotBase64| endpoint.fail(hook, NOT_BASE64).into())
}

/// Asks whether something goes on; `None`: it doesn't. A refusal counts as an answer without a result.
async fn decide_refresh(
    endpoint: &Endpoint,
    hook: &'static str,
    question: &Question<'_>,
    headers: Option<&ClientHeaders>,
) -> Result<Option<(RefreshJson, Option<Bytes>)>, Failed> {
    let answer = endpoint.ask::<RefreshJson>(hook, question, headers).await?;
    match answer.result.filter(|result| !result.expired) {
        None => Ok(None),
        Some(result) => match result.info() {
            Ok(info) => Ok(Some((result, info))),
            Err(NotBase64) => Err(endpoint.fail(hook, NOT_BASE64)),
        },
    }
}

/// Returns when to ask again, if the application couldn't be asked: as long a time passes as Centrifugo has.
fn later() -> UnixMillis {
    UnixMillis(SystemClock.now().0 + FAILED_REFRESH_EXTENSION.as_millis() as u64)
}

const FAILED_REFRESH_EXTENSION: Duration = Duration::from_secs(60);

const NOT_BASE64: &str = "what should be base64 is not";

impl From<Failed> for Rejection {
    fn from(Failed: Failed) -> Self {
        ErrorCode::Internal.into()
    }
}

impl From<NotJson> for Rejection {
    /// It is the client's payload that is wrong, so it isn't told to try again.
    fn from(NotJson: NotJson) -> Self {
        ErrorCode::BadRequest.into()
    }
}
