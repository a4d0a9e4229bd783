//! `hookwright dev`: everything set up to try it, and one message through the whole real path.

use std::{
    process::ExitCode,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use domain::{
    clock::Clock,
    signature::{SignatureType, SigningSecret},
};
use hyper::Method;
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    cli,
    client::Client,
    commands::sample,
    config::{Config, Sources},
    env::{SystemClock, SystemEntropy},
    inbox::{self, Arrival},
    keys, private_file, serve,
    telemetry::Telemetry,
    wiring,
};

/// Where the secret of the development tokens is kept, in the data directory.
const SECRET_FILE: &str = "dev-jwt-secret";
/// How long the first message may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves for development until it is told to stop.
pub fn run(sources: Sources) -> anyhow::Result<ExitCode> {
    let config = development(sources)?;
    cli::arm_fail_point()?;
    let telemetry = Telemetry::init(&config)?;
    let ended = serve::runtime(serve::workers())?.block_on(async {
        let house = wiring::build(&config).await?;
        let token =
            wiring::organization_token(&config, None, Duration::from_secs(3_600 * 24 * 30))?;
        let ready = Arc::new(tokio::sync::Notify::new());
        // Whoever asks a server that goes down is not answered: that is no failure then.
        let stopping = AtomicBool::new(false);
        let stop = async {
            serve::signal().await;
            stopping.store(true, Ordering::Relaxed);
        };
        let show = dispatch::spawn::spawn("dev.tour", tour(config.clone(), token, ready.clone()));
        let served = serve::run(house, &config, &telemetry, stop);
        ready.notify_one();
        tokio::select! {
            served = served => served?,
            failed = async {
                let failed = failure(show).await;
                if stopping.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                failed
            } => return Err(failed),
        }
        Ok(ExitCode::SUCCESS)
    });
    telemetry.flush();
    ended
}

/// Resolves only if that failed.
async fn failure(task: tokio::task::JoinHandle<anyhow::Result<()>>) -> anyhow::Error {
    match task.await {
        Ok(Ok(())) => std::future::pending().await,
        Ok(Err(error)) => error,
        Err(error) => error.into(),
    }
}

/// The configuration, with a token secret of its own and deliveries to this machine allowed.
fn development(mut sources: Sources) -> anyhow::Result<Config> {
    let config = sources.config()?;
    if !config.listen.ip().is_loopback() {
        bail!("`dev` listens on this machine only, not on {}: use `serve`", config.listen);
    }
    if config.jwt_secret.is_empty() {
        let path = config.data_dir.join(SECRET_FILE);
        let secret = private_file::read_or_make(&path, || keys::random_key(&SystemEntropy))?;
        sources.set("dev", "jwt_secret", secret)?;
    }
    if config.allow_addresses.is_empty() {
        sources.set("dev", "allow_addresses", "127.0.0.0/8, ::1/128".to_owned())?;
    }
    if config.log == "info" {
        sources.set("dev", "log", "warn".to_owned())?;
    }
    Ok(sources.config()?)
}

/// Makes what is needed, sends one message, shows what arrived, then shows whatever arrives.
async fn tour(
    config: Config,
    token: String,
    ready: Arc<tokio::sync::Notify>,
) -> anyhow::Result<()> {
    ready.notified().await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let secret = Arc::new(OnceLock::new());
    let (inbox, mut arrivals) = inbox::open(secret.clone(), clock.clone()).await?;
    let client = Client { authority: config.listen.to_string(), token: token.clone() };
    wait_until_up(&client).await?;
    let app = json!({ "name": "Acme Inc.", "uid": "acme" });
    let app = client.must(Method::POST, "/api/v1/app?get_if_exists=true", app).await?;
    let event_type = json!({ "description": "An invoice was paid" });
    client.must(Method::PUT, "/api/v1/event-type/invoice.paid", event_type).await?;
    let mut endpoint = json!({
        "url": format!("http://{inbox}/inbox"),
        "uid": "inbox",
        "description": "the built-in inbox",
        "eventTypes": ["invoice.paid"],
    });
    let path = "/api/v1/app/acme/endpoint/inbox";
    if client.call(Method::GET, path, None).await?.0 == 404 {
        // The inbox verifies with the secret itself, so it has to be of a kind that is not split.
        let fresh = SigningSecret::generate(SignatureType::Hmac256, &SystemEntropy);
        endpoint["secret"] = json!(*fresh.expose());
        client.must(Method::POST, "/api/v1/app/acme/endpoint", endpoint).await?;
    } else {
        client.must(Method::PUT, path, endpoint).await?;
    }
    let key = client.must(Method::GET, &format!("{path}/secret"), json!(null)).await?;
    let key = key["key"].as_str().context("the endpoint has no secret")?;
    // Set once: this is the only place.
    let _ = secret.set(key.parse::<SigningSecret>()?);

    println!("Hookwright is ready.\n");
    println!("  Console      http://{}/console#token={token}", config.listen);
    println!("  API          http://{}/api/v1  (docs: http://{0}/docs)", config.listen);
    println!("  data         {}", config.data_dir.display());
    println!("  application  {} (uid acme)", app["id"].as_str().unwrap_or("?"));
    println!("  endpoint     http://{inbox}/inbox, a built-in inbox that verifies what arrives");
    println!(
        "  sample       three more applications, and a message a second, for the console to show\n"
    );
    let sent_at = clock.now();
    let message = json!({
        "eventType": "invoice.paid",
        "payload": { "invoice": "in_1", "amount": 4200, "currency": "EUR" },
    });
    let message = client.must(Method::POST, "/api/v1/app/acme/msg", message).await?;
    let id = message["id"].as_str().context("the message has no id")?;
    let arrival = expect(&mut arrivals, id).await?;
    println!("Sent     {id}");
    println!(
        "Arrived  {} after {:.1} ms, signature {}",
        arrival.id,
        arrival.at.since(sent_at).as_secs_f64() * 1_000.0,
        if arrival.verified { "verified" } else { "NOT GENUINE" },
    );
    println!("         {}\n", String::from_utf8_lossy(&arrival.body));
    print_next_steps(&config, &token);
    let sender = Client { authority: client.authority.clone(), token };
    let sample = dispatch::spawn::spawn("dev.sample", sample::run(sender, inbox));
    let shown = show(&mut arrivals);
    tokio::select! {
        () = shown => Ok(()),
        failed = failure(sample) => Err(failed),
    }
}

/// Shows whatever arrives at the inbox.
async fn show(arrivals: &mut mpsc::UnboundedReceiver<Arrival>) {
    while let Some(arrival) = arrivals.recv().await {
        let genuine = if arrival.verified { "verified" } else { "NOT GENUINE" };
        println!("Arrived  {} ({genuine})", arrival.id);
        println!("         {}", String::from_utf8_lossy(&arrival.body));
    }
}

async fn wait_until_up(client: &Client) -> anyhow::Result<()> {
    for _ in 0..100 {
        if client.call(Method::GET, "/api/v1/health", None).await.is_ok_and(|(s, _)| s < 300) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("the server did not come up on {}", client.authority)
}

async fn expect(
    arrivals: &mut mpsc::UnboundedReceiver<Arrival>,
    id: &str,
) -> anyhow::Result<Arrival> {
    let wanted = async {
        loop {
            match arrivals.recv().await {
                Some(arrival) if arrival.id == id => return Some(arrival),
                Some(_) => {}
                None => return None,
            }
        }
    };
    match tokio::time::timeout(PATIENCE, wanted).await {
        Ok(Some(arrival)) => Ok(arrival),
        _ => bail!("{id} did not arrive within {} s", PATIENCE.as_secs()),
    }
}

fn print_next_steps(config: &Config, token: &str) {
    let base = format!("http://{}/api/v1", config.listen);
    println!("Next steps:\n");
    println!("  export HOOKWRIGHT_TOKEN={token}\n");
    println!("  # send another message");
    println!("  curl -s {base}/app/acme/msg -H \"Authorization: Bearer $HOOKWRIGHT_TOKEN\" \\");
    println!(
        "    -d '{{\"eventType\": \"invoice.paid\", \"payload\": {{\"invoice\": \"in_2\"}}}}'\n"
    );
    println!("  # what came of it");
    println!("  curl -s {base}/app/acme/attempt/endpoint/inbox \\");
    println!("    -H \"Authorization: Bearer $HOOKWRIGHT_TOKEN\"\n");
    println!("Ctrl-C stops.\n");
}
