//! One listener for all: what is posted by providers, what browsers show, and the API.

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use api::{Api, ApiError, JudgeAgain, NotTaken};
use async_trait::async_trait;
use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use console::Console;
use destinations::http::HttpDestination;
use futures_util::FutureExt;
use gateway::{Fetch, Gateway, Replayed};
use store::rejected::RejectedRequest;
use tower::{Service, ServiceExt};
use url::Url;

/// Longest that a provider's key may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// The service of the listener.
#[derive(Clone)]
pub struct Front {
    api: Api,
    gateway: Arc<Gateway>,
    console: Console,
}

impl Front {
    /// Of these.
    pub fn new(api: Api, gateway: Arc<Gateway>, console: Console) -> Self {
        Self { api, gateway, console }
    }
}

impl Service<Request> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let path = request.uri().path();
        if Console::serves(path) {
            return Box::pin(std::future::ready(Ok(self.console.answer(&request))));
        }
        if !path.starts_with(gateway::PATH) {
            return Box::pin(self.api.clone().oneshot(request));
        }
        let gateway = self.gateway.clone();
        Box::pin(async move {
            // A bug is an answer too, not a closed connection.
            let answered = AssertUnwindSafe(gateway.answer(request)).catch_unwind().await;
            Ok(answered.unwrap_or_else(|_| ApiError::Internal.into_response()))
        })
    }
}

/// Judges refused requests again.
pub struct Judge(pub Arc<Gateway>);

#[async_trait]
impl JudgeAgain for Judge {
    async fn judge_again(&self, request: &RejectedRequest) -> Result<(), NotTaken> {
        match self.0.replay(request).await {
            Replayed::Stored => Ok(()),
            Replayed::NotGenuine(why) => Err(NotTaken::NotGenuine(why)),
            Replayed::Unusable(why) => Err(NotTaken::Unusable(why.to_owned())),
            Replayed::Refused(_) => Err(NotTaken::Unavailable),
        }
    }
}

/// Fetches the keys of providers like everything else that goes out: past the guard.
pub struct KeyFetch(pub Arc<HttpDestination>);

#[async_trait]
impl Fetch for KeyFetch {
    async fn fetch(&self, url: &str, most: usize) -> Option<Vec<u8>> {
        let parsed = Url::parse(url).ok().filter(|url| url.scheme() == "https")?;
        let fetched = self.0.fetch(&parsed, most, FETCH_TIMEOUT).await;
        fetched
            .inspect_err(|error| {
                tracing::warn!(host = parsed.host_str(), error, "no key of a provider")
            })
            .ok()
    }
}
