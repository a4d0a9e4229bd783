//! Sends a test event, and shows the answer.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use destinations::http::{HickoryResolver, HttpDestination};
use domain::{
    attempt::Outcome,
    destination::{Destination, Request},
    endpoint::shown_url,
    id::ApplicationId,
};
use providers::{Sample, SignedRequest};
use url::Url;

use crate::{
    commands::{sender::is_here, streams},
    config::Config,
    env::SystemClock,
    serve, wiring,
};

/// Over the whole exchange.
const DEADLINE: Duration = Duration::from_secs(30);

/// Sends it through the configured proxy, if there is one, to any address: whoever runs the command
/// could reach it as well.
pub fn send(
    to: &Url,
    sample: &Sample,
    made: SignedRequest,
    config: &Config,
) -> anyhow::Result<ExitCode> {
    let to = target(to, sample, &made)?;
    let mut options = wiring::http_options(config)?;
    options.allow = ["0.0.0.0/0", "::/0"].map(|all| all.parse().expect("a network")).into();
    if is_here(&to) {
        options.proxy = None;
    }
    let request = Request {
        app: ApplicationId::from_raw([0; 20]),
        url: Arc::new(to.clone()),
        headers: made.headers.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        body: made.body.into(),
        deadline: DEADLINE,
    };
    let outcome = serve::runtime(1)?.block_on(async {
        let resolver = Arc::new(HickoryResolver::from_system()?);
        let destination = HttpDestination::new(options, resolver, Arc::new(SystemClock::new()));
        anyhow::Ok(destination.deliver(request).await)
    })?;
    let (ok, text) = shown(&outcome);
    streams::print(format!("POST {}\n{text}", shown_url(&to)).as_bytes())?;
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where to, with what the provider has added to the query.
fn target(to: &Url, sample: &Sample, made: &SignedRequest) -> anyhow::Result<Url> {
    let mut to = to.clone();
    let added = made.url.strip_prefix(&sample.url).context("the signed URL is another")?;
    let added = added.trim_start_matches(['?', '&']);
    if !added.is_empty() {
        let query = match to.query() {
            Some(query) if !query.is_empty() => format!("{query}&{added}"),
            _ => added.to_owned(),
        };
        to.set_query(Some(&query));
    }
    Ok(to)
}

/// Whether it was taken, and what to say.
fn shown(outcome: &Outcome) -> (bool, String) {
    // What comes from elsewhere must not steer the terminal.
    let answer: String = String::from_utf8_lossy(&outcome.response)
        .chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c })
        .collect();
    let answer = answer.trim_end();
    let Some(status) = outcome.status_code else {
        return (false, format!("no answer: {answer}\n"));
    };
    let took = outcome.duration.as_secs_f64() * 1_000.0;
    let body = if answer.is_empty() { String::new() } else { format!("{answer}\n") };
    ((200..300).contains(&status), format!("HTTP {status} after {took:.1} ms\n{body}"))
}
