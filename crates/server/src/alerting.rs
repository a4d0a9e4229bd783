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
        let from: Mailbox = from.parse().ok().context("`smtp_from`: expected an e-mail address")?;
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
        Ok(Self { destination, user_agent: config.user_agent.clone(), mailer: mailer.transpose()? })
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use destinations::http::{HickoryResolver, HttpOptions};
    use tokio::{
        io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
        net::{TcpListener, TcpStream},
        sync::oneshot,
        task::JoinHandle,
    };

    use super::*;
    use crate::env::SystemClock;

    /// A mail server that takes one e-mail (or refuses it), and gives what it was told: the envelope's
    /// commands, and the message.
    async fn mail_server(refuse: bool) -> (Url, JoinHandle<(Vec<String>, String)>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("smtp://{}", listener.local_addr().expect("an address"));
        let served = async move {
            let (stream, _) = listener.accept().await.expect("a client");
            talk(stream, refuse).await
        };
        #[expect(clippy::disallowed_methods, reason = "a test's own server")]
        let serving = tokio::spawn(served);
        (url.parse().expect("a URL"), serving)
    }

    async fn talk(stream: TcpStream, refuse: bool) -> (Vec<String>, String) {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let (mut commands, mut message) = (Vec::new(), String::new());
        write.write_all(b"220 mail.example ESMTP\r\n").await.expect("greeted");
        while let Ok(Some(line)) = lines.next_line().await {
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            commands.push(line);
            let answer: &[u8] = match verb.as_str() {
                "EHLO" => b"250-mail.example\r\n250 8BITMIME\r\n",
                "RCPT" if refuse => b"550 no such user\r\n",
                "DATA" => {
                    write.write_all(b"354 go on\r\n").await.expect("answered");
                    while let Ok(Some(line)) = lines.next_line().await {
                        if line == "." {
                            break;
                        }
                        message.push_str(line.strip_prefix('.').unwrap_or(&line));
                        message.push('\n');
                    }
                    b"250 taken\r\n"
                }
                "QUIT" => {
                    let _ = write.write_all(b"221 bye\r\n").await;
                    break;
                }
                _ => b"250 ok\r\n",
            };
            if write.write_all(answer).await.is_err() {
                break;
            }
        }
        (commands, message)
    }

    fn out(mailer: Option<Mailer>, allow: &str) -> Out {
        let options =
            HttpOptions { allow: vec![allow.parse().expect("a range")], ..HttpOptions::default() };
        let resolver = Arc::new(HickoryResolver::from_system().expect("a resolver"));
        let destination = HttpDestination::new(options, resolver, Arc::new(SystemClock::new()));
        let user_agent = "Hookwright".to_owned();
        Out { destination: Arc::new(destination), user_agent, mailer }
    }

    #[tokio::test]
    async fn a_mail_server_gets_the_message() {
        let (url, served) = mail_server(false).await;
        let mailer = Mailer::new(&url, "Hookwright <alerts@hooks.example>").expect("a mailer");
        let out = out(Some(mailer), "10.0.0.0/8");
        let line = "Alert: Too few arrive: Acmé: 81.2 % of attempts succeeded. https://x.example/a";
        let sent = out.mail("ops@example.com", "Alert: Too few arrive", &format!("{line}\n")).await;
        assert_eq!(sent, Ok(()));
        drop(out);
        let (commands, message) = served.await.expect("served");
        assert_eq!(commands[0], "EHLO hooks.example");
        assert!(commands[1].starts_with("MAIL FROM:<alerts@hooks.example>"), "{commands:?}");
        assert_eq!(commands[2], "RCPT TO:<ops@example.com>");
        let (head, body) = message.split_once("\n\n").expect("head and body");
        for header in [
            "From: Hookwright <alerts@hooks.example>",
            "To: ops@example.com",
            "Subject: Alert: Too few arrive",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(head.lines().any(|line| line == header), "{header} in {head}");
        }
        assert!(head.contains("Date: "), "{head}");
        // As plain, quoted or eight-bit text: what is not ASCII may be written in two ways.
        let plain = body.replace("=\n", "").replace("=C3=A9", "é");
        assert!(plain.starts_with(line), "{body}");
    }

    #[tokio::test]
    async fn a_mail_server_that_refuses_says_why() {
        let (url, _served) = mail_server(true).await;
        let mailer = Mailer::new(&url, "alerts@hooks.example").expect("a mailer");
        let sent = out(Some(mailer), "10.0.0.0/8").mail("nobody@example.com", "s", "t").await;
        let error = sent.expect_err("refused");
        assert!(error.contains("no such user"), "{error}");
        let sent = out(None, "10.0.0.0/8").mail("nobody@example.com", "s", "t").await;
        assert!(sent.expect_err("no server").contains("`smtp_url` is not set"));
    }

    #[test]
    fn what_is_no_mail_server_is_refused_without_its_password() {
        for (url, from) in [
            ("http://me:hush@mail.example", "a@b.example"),
            ("smtps://me:hush@mail.example", "nobody"),
            ("smtp://me:hush@mail.example?tls=perhaps", "a@b.example"),
        ] {
            let error = Mailer::new(&url.parse().expect("a URL"), from).err().expect("refused");
            assert!(!format!("{error:#}").contains("hush"), "{error:#}");
        }
        for url in ["smtps://me:pw@mail.example", "smtp://mail.example:587?tls=required"] {
            assert!(Mailer::new(&url.parse().expect("a URL"), "a@b.example").is_ok(), "{url}");
        }
    }

    /// Takes one request, answers with `status`, and gives what was sent.
    async fn receiver(status: &'static str) -> (Url, oneshot::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (tell, told) = oneshot::channel();
        let served = async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let (mut request, mut buffer) = (Vec::new(), [0; 4_096]);
            while !request.ends_with(b"}") {
                let read = stream.read(&mut buffer).await.expect("read");
                assert!(read > 0, "cut off");
                request.extend_from_slice(&buffer[..read]);
            }
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok");
            stream.write_all(answer.as_bytes()).await.expect("answered");
            let _ = tell.send(String::from_utf8(request).expect("text"));
            // Until the other side closes.
            let _ = stream.read(&mut buffer).await;
        };
        #[expect(clippy::disallowed_methods, reason = "a test's own server")]
        tokio::spawn(served);
        (format!("http://{address}/services/hush").parse().expect("a URL"), told)
    }

    #[tokio::test]
    async fn a_slack_webhook_gets_its_text() {
        let (url, told) = receiver("200 OK").await;
        let org = OrganizationId::management();
        let body = r#"{"text":"Alert"}"#;
        let out = out(None, "127.0.0.0/8");
        assert_eq!(out.post_json(org, &url, body.to_owned()).await, Ok(()));
        let request = tokio::time::timeout(Duration::from_secs(10), told).await;
        let request = request.expect("in time").expect("told");
        assert!(request.starts_with("POST /services/hush HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("content-type: application/json\r\n"), "{request}");
        assert!(request.ends_with(&format!("\r\n\r\n{body}")), "{request}");
        let (url, _told) = receiver("404 Not Found").await;
        let sent = out.post_json(org, &url, body.to_owned()).await;
        assert_eq!(sent, Err("it answered 404".to_owned()));
    }

    #[tokio::test]
    async fn what_the_guard_refuses_is_not_dialled() {
        let (url, mut told) = receiver("200 OK").await;
        let org = OrganizationId::management();
        let sent = out(None, "10.0.0.0/8").post_json(org, &url, "{}".to_owned()).await;
        let error = sent.expect_err("refused");
        assert!(!error.contains("hush") && told.try_recv().is_err(), "{error}");
    }
}
