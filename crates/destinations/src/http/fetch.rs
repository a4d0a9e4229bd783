//! Reading what is at an address: keys and certificates that providers publish. One GET on a connection
//! of its own, through the same guard, and no redirect. And streams for those who talk for longer.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use domain::attempt::OutcomeClass;
use http::{HeaderValue, StatusCode, header};
use http_body_util::Full;
use tokio::io::{AsyncRead, AsyncWrite};
use url::{Position, Url};

use super::{HttpDestination, Stage, answer::Failure, connection::SendError};

impl HttpDestination {
    /// What an address answers to a GET with a 200: up to `most` bytes (and 1 MiB), within `deadline`.
    /// The error says what happened instead.
    pub async fn fetch(
        &self,
        url: &Url,
        most: usize,
        deadline: Duration,
    ) -> Result<Vec<u8>, String> {
        match tokio::time::timeout(deadline, self.get(url, most)).await {
            Ok(got) => got.map_err(|failure| failure.text().to_owned()),
            Err(_) => Err(format!("no answer within {deadline:?}")),
        }
    }

    /// A stream to where `url` leads, with TLS for `https`, opened within `deadline`: for our own commands
    /// that talk to a server of ours. The error says what happened instead.
    pub async fn open(
        &self,
        url: &Url,
        deadline: Duration,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, String> {
        match tokio::time::timeout(deadline, self.dialer.dial(url, &mut Stage::default())).await {
            Ok(dialled) => dialled.map_err(|failure| failure.text().to_owned()),
            Err(_) => Err(format!("no connection within {deadline:?}")),
        }
    }

    async fn get(&self, url: &Url, most: usize) -> Result<Vec<u8>, Failure> {
        let _slot = self.pool.slot().await;
        let mut connection = self.dial(url, &mut Stage::default()).await?;
        let mut message = http::Request::new(Full::new(Bytes::new()));
        let target = &url[Position::BeforePath..Position::AfterQuery];
        *message.uri_mut() =
            target.try_into().map_err(|_| unusable("a URL that cannot be asked for"))?;
        let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort])
            .map_err(|_| unusable("a host that cannot be named"))?;
        message.headers_mut().insert(header::HOST, host);
        message.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        let response = match connection.send(message).await {
            Ok(response) => response,
            Err(SendError::Unsent(_)) => return Err(unusable("the connection was closed")),
            Err(SendError::Failed(failure)) => return Err(failure),
        };
        if response.status() != StatusCode::OK {
            return Err(unusable(format!("it answered {}", response.status())));
        }
        let whole = pin!(connection.read_whole(response.into_body(), most)).await;
        whole?.ok_or_else(|| unusable(format!("more than {most} bytes")))
    }
}

fn unusable(text: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(OutcomeClass::Protocol, text)
}
