//! One endpoint of the application.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use sockeye_hub::ClientHeaders;
use tokio::sync::Semaphore;

use super::{answer::Answer, failure_log::FailureLog, question::Question};
use crate::{
    config::EndpointConfig,
    http_client::{HttpClient, HttpError},
};

/// One endpoint of the application, and how it is asked.
pub(super) struct Endpoint {
    pub(super) config: Arc<EndpointConfig>,
    client: HttpClient,
    /// Fields of every request.
    headers: HeaderMap,
    requests: Semaphore,
    failures: FailureLog,
}

/// The application has not answered, or not what a hook can answer. It is in the log.
#[derive(Debug)]
pub(super) struct Failed;

impl Endpoint {
    pub(super) fn new(config: Arc<EndpointConfig>) -> Self {
        let client = HttpClient::new(
            config.url.clone(),
            config.tls.clone(),
            config.server_name.clone(),
            config.response_bytes_max,
        );
        let mut headers = HeaderMap::new();
        for (name, value) in &config.static_headers {
            insert(&mut headers, name, value);
        }
        Self {
            client,
            headers,
            requests: Semaphore::new(config.requests_max),
            failures: FailureLog::default(),
            config,
        }
    }

    /// Asks, and waits for the answer until the timeout.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the request up; the application may have it.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        hook: &'static str,
        question: &Question<'_>,
        headers: Option<&ClientHeaders>,
    ) -> Result<Answer<T>, Failed> {
        let asked = self.exchange(question, headers);
        let answer: Result<Answer<T>, String> =
            match tokio::time::timeout(self.config.timeout, asked).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer within {:?}", self.config.timeout)),
            };
        let answer = answer.map_err(|reason| self.fail(hook, &reason))?;
        if !answer.unknown_keys.is_empty() {
            let (section, keys) = (&self.config.section, &answer.unknown_keys);
            self.failures.write_unknown_keys(hook, section, keys);
        }
        Ok(answer)
    }

    /// Notes that an answer can't be used.
    pub(super) fn fail(&self, hook: &'static str, reason: &str) -> Failed {
        self.failures.write(hook, &self.config.section, reason);
        Failed
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        question: &Question<'_>,
        headers: Option<&ClientHeaders>,
    ) -> Result<Answer<T>, String> {
        let mut request = Request::new(Full::new(question.json()));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = self.request_headers(headers);
        let _permit = self
            .requests
            .acquire()
            .await
            .map_err(|error| error.to_string())?;
        match self.client.send(request).await {
            Ok(body) => Answer::parse(&body),
            Err(HttpError::Status(status)) => {
                let answer = Answer::of_status(status.as_u16(), &self.config.status_transforms);
                answer.ok_or_else(|| HttpError::Status(status).to_string())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Returns the fields of a request: the static ones, over them those of the connect command, over them those of the
    /// client's request.
    fn request_headers(&self, brought: Option<&ClientHeaders>) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let Some(brought) = brought {
            for (names, fields) in [
                (&self.config.emulated_headers, &brought.emulated),
                (&self.config.http_headers, &brought.request),
            ] {
                for name in names {
                    if let Some(value) = fields.get(name) {
                        insert(&mut headers, name, value);
                    }
                }
            }
        }
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers
    }
}

/// Sets a field, unless it is about the connection or the body, which are others here.
fn insert(headers: &mut HeaderMap, name: &str, value: &str) {
    let field = name
        .parse::<HeaderName>()
        .ok()
        .zip(HeaderValue::from_str(value).ok());
    if let Some((name, value)) = field
        && !NEVER_FORWARDED.contains(&name)
    {
        headers.insert(name, value);
    }
}

const NEVER_FORWARDED: [HeaderName; 10] = [
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
