//! The way out for alerts: webhooks like everything else that goes out, past the guard; e-mail by the mail
//! server that the operator named. That one needs no guard: no caller can name another.

use std::{sync::Arc, time::Duration};

use alerts::{Notifier, Tell, notify::DEADLINE};
use anyhow::Context;
use api::TellOfAlerts;
use async_trait::async_trait;
use bytes::Bytes;
use destinations::http::HttpDestination;
use domain::{
    alert::Rule,
    attempt::OutcomeClass,
    clock::Clock,
    destination::{Destination, Request},
    entropy::Entropy,
    id::{AlertId, ApplicationId, OrganizationId},
};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::extension::ClientId,
};
use url::Url;

use crate::config::Config;

/// Most bytes of what a mail server said that are kept.
const MAX_ERROR_BYTES: usize = 300;
/// Longest that a mail server may be silent: within what a notice may take.
const SMTP_TIMEOUT: Duration = Duration::from_secs(8);

/// Sends e-mail.
struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    fn new(url: &Url, from: &str) -> anyhow::Result<Self> {
        let from: Mailbox =
            from.parse().ok().context("`smtp_from`: expected an e-mail address")?;
        // What is wrong with it is not said: it holds a password.
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str());
        let transport = transport.ok().context("`smtp_url`: not the URL of a mail server")?;
        let hello = ClientId::Domain(from.email.domain().to_owned());
        let transport = transport.hello_name(hello).timeout(Some(SMTP_TIMEOUT)).build();
        Ok(Self { transport, from })
    }

    async fn send(&self, to: &str, subject: &str, text: &str) -> Result<(), String> {
        let to: Mailbox = to.parse().map_err(|_| "not an e-mail address".to_owned())?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(text.to_owned())
            .map_err(|error| error.to_string())?;
        self.transport.send(message).await.map(drop).map_err(|error| {
            let mut said = format!("the mail server did not take it: {error}");
            said.truncate(said.floor_char_boundary(MAX_ERROR_BYTES));
            said
        })
    }
}

/// The way out.
pub struct Out {
    destination: Arc<HttpDestination>,
    user_agent: String,
    mailer: Option<Mailer>,
}

impl Out {
    /// As it is configured.
    pub fn new(destination: Arc<HttpDestination>, config: &Config) -> anyhow::Result<Self> {
        let mailer = config.smtp_url.as_ref().map(|url| Mailer::new(url, &config.smtp_from));
        Ok(Self {
            destination,
            user_agent: config.user_agent.clone(),
            mailer: mailer.transpose()?,
        })
    }
}

#[async_trait]
impl Notifier for Out {
    async fn post_json(&self, org: OrganizationId, url: &Url, body: String) -> Result<(), String> {
        let request = Request {
            // Connections are not shared between organizations.
            app: ApplicationId::from_raw(*org.raw()),
            url: Arc::new(url.clone()),
            headers: vec![
                ("content-type".into(), "application/json".to_owned()),
                ("user-agent".into(), self.user_agent.clone()),
            ],
            body: Bytes::from(body),
            deadline: DEADLINE,
        };
        let outcome = self.destination.deliver(request).await;
        match (outcome.class, outcome.status_code) {
            (OutcomeClass::Success, _) => Ok(()),
            (_, Some(status)) => Err(format!("it answered {status}")),
            // The text of it names addresses; the class says enough.
            (class, None) => Err(format!("it could not be sent: {}", class.as_str())),
        }
    }

    async fn mail(&self, to: &str, subject: &str, text: &str) -> Result<(), String> {
        match &self.mailer {
            Some(mailer) => mailer.send(to, subject, text).await,
            None => Err("this server sends no e-mail: `smtp_url` is not set".to_owned()),
        }
    }
}

/// Tests of channels, as the API asks for them.
pub struct Tests {
    /// Tells.
    pub tell: Tell,
    /// By this.
    pub out: Arc<Out>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names what never was.
    pub entropy: Arc<dyn Entropy>,
}

#[async_trait]
impl TellOfAlerts for Tests {
    fn can_mail(&self) -> bool {
        self.out.mailer.is_some()
    }

    async fn test(&self, rule: &Rule) -> Vec<Result<(), String>> {
        let now = self.clock.now();
        self.tell.test(rule, AlertId::generate(now, &*self.entropy), now).await
    }
}
