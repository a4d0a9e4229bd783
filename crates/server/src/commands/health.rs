//! `hookwright health`: asks a running server, for probes and scripts.

use std::process::ExitCode;

use anyhow::Context;
use hyper::Method;
use url::Url;

use crate::{client::Client, config::Config, serve};

/// Succeeds if the server answers that it is well.
pub fn run(config: &Config, url: Option<&str>) -> anyhow::Result<ExitCode> {
    let authority = match url {
        None => config.listen.to_string(),
        Some(url) => {
            let parsed: Url = url.parse().with_context(|| format!("not a URL: {url}"))?;
            anyhow::ensure!(
                parsed.scheme() == "http",
                "{url}: this asks over http only; give the server's own address, not that of the \
                 proxy before it"
            );
            let host = parsed.host_str().with_context(|| format!("no host in {url}"))?;
            format!("{host}:{}", parsed.port_or_known_default().unwrap_or(80))
        }
    };
    let client = Client { authority: authority.clone(), token: String::new() };
    let (status, body) =
        serve::runtime(1)?.block_on(client.call(Method::GET, "/api/v1/health", None))?;
    if (200..300).contains(&status) {
        println!("{authority} is well");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{authority} is not well: HTTP {status} {body}");
    Ok(ExitCode::FAILURE)
}
