//! `hookwright listen`: the events of a source, or of an application, on a developer's machine. The
//! machine is not reached from outside: it connects to the server and takes deliveries from there.

mod desk;
mod forward;
mod keys;
mod remote;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};
use destinations::http::{HickoryResolver, HttpDestination, HttpOptions};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{sleep, timeout},
};

use self::{
    desk::{Desk, Whose},
    forward::{Arrival, Forwarder, say},
    keys::{Key, Keyboard},
    remote::{Lines, Remote, refusal},
};
use super::sender::{address, is_here};
use crate::{config::Config, env::SystemClock, serve, wiring};

/// A connection on which nothing comes for so long is dead: heartbeats come every 10 seconds.
const SILENCE: Duration = Duration::from_secs(30);
/// The first wait before connecting again; it doubles, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How long taking the endpoint away may take at the end.
const PARTING: Duration = Duration::from_secs(5);

/// What the command line offers.
pub fn command() -> Command {
    let text =
        |name: &'static str, value: &'static str| Arg::new(name).long(name).value_name(value);
    Command::new("listen")
        .about("Bring the events of a source or an application to this machine")
        .arg(text("source", "ID").help("The source, by its id or uid"))
        .arg(text("app", "ID").help("Or the application, by its id or uid"))
        .group(ArgGroup::new("whose").args(["source", "app"]).required(true))
        .arg(
            text("forward-to", "URL")
                .required(true)
                .help("Where events are posted: http://localhost:3000/hooks"),
        )
        .arg(text("server", "URL").default_value("http://127.0.0.1:8071").help("The server"))
        .arg(
            text("token", "TOKEN")
                .env("HOOKWRIGHT_TOKEN")
                .hide_env_values(true)
                .required(true)
                .help("A token of the organization, or for --app one of the application"),
        )
        .arg(text("endpoint", "ID").help("Go on with an endpoint that is there, and keep it"))
        .arg(Arg::new("keep").long("keep").action(ArgAction::SetTrue).help(
            "Leave the endpoint at the end: what arrives meanwhile waits for an hour or more",
        ))
}

/// Listens until it is told to stop.
pub fn run(arguments: &ArgMatches, config: &Config) -> anyhow::Result<ExitCode> {
    let text = |name: &str| arguments.get_one::<String>(name).map(String::as_str);
    let required = |name: &str| text(name).with_context(|| format!("--{name} is required"));
    let to = address("--forward-to", required("forward-to")?)?;
    let server = address("--server", required("server")?)?;
    let whose = match (text("source"), text("app")) {
        (Some(source), _) => Whose::Source(source),
        (None, app) => Whose::App(app.context("--source or --app is required")?),
    };
    serve::runtime(serve::workers())?.block_on(async {
        // Whoever runs the command could reach these addresses as well.
        let allow = || ["0.0.0.0/0", "::/0"].map(|all| all.parse().expect("a network")).into();
        let mut outside = HttpOptions { allow: allow(), ..wiring::http_options(config)? };
        if is_here(&server) {
            outside.proxy = None;
        }
        let inside = HttpOptions {
            allow: allow(),
            // A developer's own server has a certificate of its own making.
            dangerous_disable_tls_verification: is_here(&to),
            ..HttpOptions::default()
        };
        let remote = Remote::new(server, required("token")?.to_owned(), destination(outside)?);
        let desk = Desk::open(remote, whose, text("endpoint")).await?;
        let forwarder = Forwarder { desk, to: Arc::new(to), http: destination(inside)? };
        let keep = arguments.get_flag("keep") || text("endpoint").is_some();
        let forwarder = Arc::new(forwarder);
        let ended = listen(&forwarder).await;
        part(&forwarder.desk, keep).await;
        ended.map(|()| ExitCode::SUCCESS)
    })
}

fn destination(options: HttpOptions) -> anyhow::Result<Arc<HttpDestination>> {
    let resolver = Arc::new(HickoryResolver::from_system()?);
    Ok(Arc::new(HttpDestination::new(options, resolver, Arc::new(SystemClock::new()))))
}

/// Takes the endpoint away, or says how to go on with it.
async fn part(desk: &Desk, keep: bool) {
    let Desk { app, endpoint, .. } = desk;
    if keep {
        say(&format!("{endpoint} stays; go on with --app {app} --endpoint {endpoint}"));
        return;
    }
    let error = match timeout(PARTING, desk.delete()).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the server does not answer".to_owned(),
    };
    say(&format!("{endpoint} of {app} could not be deleted: {error}"));
}

/// Resolves when the process is told to end.
async fn told_to_end() -> anyhow::Result<()> {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [interrupt, terminate, hangup] = kinds.map(signal);
    let (mut interrupt, mut terminate, mut hangup) = (interrupt?, terminate?, hangup?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// Connects again and again, until the end.
async fn listen(forwarder: &Arc<Forwarder>) -> anyhow::Result<()> {
    let (keyboard, mut keys) = Keyboard::open();
    let desk = &forwarder.desk;
    say(&format!("Events of {} at {} go to {}", desk.app, desk.remote.shown(), forwarder.to));
    let enter = if keyboard.is_terminal() { "" } else { " and Enter" };
    say(&format!("r{enter} sends the last one again, q{enter} ends"));
    let mut session = Session { forwarder, last: None, away: false };
    tokio::select! {
        ended = told_to_end() => ended,
        ended = session.run(&mut keys) => ended,
    }
}

/// What there is to remember while connections come and go.
struct Session<'a> {
    forwarder: &'a Arc<Forwarder>,
    /// The message that arrived last.
    last: Option<String>,
    /// That the server is away has been said.
    away: bool,
}

impl Session<'_> {
    async fn run(&mut self, keys: &mut mpsc::UnboundedReceiver<Key>) -> anyhow::Result<()> {
        let path = self.forwarder.desk.listen_path();
        let mut wait = FIRST_WAIT;
        loop {
            match self.forwarder.desk.remote.lines(&path).await {
                Ok(Ok(lines)) => {
                    wait = FIRST_WAIT;
                    self.away = false;
                    say("Listening");
                    if self.attend(lines, keys).await? {
                        return Ok(());
                    }
                    self.note("the connection ended");
                }
                // Of nodes that share a store another one delivers: a load balancer leads there.
                Ok(Err((503, answer))) if answer["code"] == "not_here" => wait = FIRST_WAIT,
                Ok(Err((status @ (408 | 429 | 500..=599), answer))) => {
                    self.note(&refusal("the server", status, &answer));
                }
                Ok(Err((status, answer))) => bail!(refusal(&path, status, &answer)),
                Err(error) => self.note(&format!("{error:#}")),
            }
            tokio::select! {
                () = sleep(wait) => {}
                Some(key) = keys.recv() => match key {
                    Key::Quit => return Ok(()),
                    Key::Replay => say("not connected"),
                },
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Says why the server is away, once.
    fn note(&mut self, why: &str) {
        if !self.away {
            say(&format!("Not listening: {why}. Trying again; nothing is lost meanwhile"));
            self.away = true;
        }
    }

    /// Forwards what comes on a connection until it ends; `true` if that was asked for.
    async fn attend(
        &mut self,
        mut lines: Lines,
        keys: &mut mpsc::UnboundedReceiver<Key>,
    ) -> anyhow::Result<bool> {
        loop {
            tokio::select! {
                line = timeout(SILENCE, lines.next()) => {
                    let Ok(Some(line)) = line else { return Ok(false) };
                    let Some(arrival) = Arrival::read(&line)? else { continue };
                    self.last = Some(arrival.message.clone());
                    let forwarder = self.forwarder.clone();
                    dispatch::spawn::spawn("listen.forward", async move {
                        forwarder.forward(arrival).await;
                    });
                }
                Some(key) = keys.recv() => match key {
                    Key::Quit => return Ok(true),
                    Key::Replay => self.replay(),
                },
            }
        }
    }

    /// Has the last event sent again; it arrives like any other.
    fn replay(&self) {
        let Some(message) = self.last.clone() else {
            return say("nothing has arrived yet");
        };
        let forwarder = self.forwarder.clone();
        dispatch::spawn::spawn("listen.replay", async move {
            if let Err(error) = forwarder.desk.resend(&message).await {
                say(&format!("{message} could not be sent again: {error:#}"));
            }
        });
    }
}
