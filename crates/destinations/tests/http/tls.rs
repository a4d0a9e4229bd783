//! TLS: who is believed, and that sessions are resumed.

use std::sync::Arc;

use domain::attempt::OutcomeClass::{self, *};
use hookwright_destinations::http::HttpOptions;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::{
    HandshakeKind, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use crate::support::*;

/// An authority and what it signs.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A certificate for `name` that is good from 2026 up to the year `until`.
    pub fn acceptor(&self, name: &str, until: i32) -> TlsAcceptor {
        self.acceptor_with(name, until, WebPkiClientVerifier::no_client_auth())
    }

    /// One that turns away who has no certificate, which in TLS 1.3 it does after the session is made.
    fn demanding_acceptor(&self, name: &str) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(self.root()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        self.acceptor_with(name, 2027, builder.build().expect("a verifier"))
    }

    fn acceptor_with(
        &self,
        name: &str,
        until: i32,
        clients: Arc<dyn ClientCertVerifier>,
    ) -> TlsAcceptor {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![cert.der().clone()], key.into())
            .expect("a key that fits");
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Answers over TLS, once per connection, and tells how each session was made and under which name.
pub async fn secured(
    acceptor: TlsAcceptor,
    tell: tokio::sync::mpsc::UnboundedSender<(Option<HandshakeKind>, Option<String>)>,
) -> Receiver {
    Receiver::start(move |stream, _| {
        let (acceptor, tell) = (acceptor.clone(), tell.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let session = stream.get_ref().1;
            let _ = tell.send((session.handshake_kind(), session.server_name().map(str::to_owned)));
            read_request(&mut stream).await;
            let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

fn names() -> Names {
    Names::default()
        .with("hooks.test", &[&["127.0.0.1"]])
        .with("hooks.test.", &[&["127.0.0.1"]])
        .with("other.test", &[&["127.0.0.1"]])
}

#[tokio::test]
async fn who_is_believed() {
    let (trusted, unknown) = (Authority::new("trusted"), Authority::new("unknown"));
    for (authority, name, until, host, class, says) in [
        (&trusted, "hooks.test", 2027, "hooks.test", Success, ""),
        (&trusted, "hooks.test", 2027, "HOOKS.test.", Success, ""),
        (&trusted, "127.0.0.1", 2027, "127.0.0.1", Success, ""),
        (&trusted, "hooks.test", 2027, "other.test", Tls, "its certificate is for another host"),
        (&trusted, "hooks.test", 2027, "127.0.0.1", Tls, "its certificate is for another host"),
        (&trusted, "hooks.test", 2026, "hooks.test", Tls, "its certificate has expired"),
        (&unknown, "hooks.test", 2027, "hooks.test", Tls, "not from an authority"),
    ] {
        let (tell, told) = events();
        let receiver = secured(authority.acceptor(name, until), tell).await;
        let url = format!("https://{host}:{}/", receiver.address.port());
        let options = HttpOptions { extra_roots: vec![trusted.root()], ..local() };
        let outcome = Sender::with(options, names()).post(&url).await;
        assert_eq!(outcome.class, class, "{name} {until} as {host}: {outcome:?}");
        assert!(text(&outcome).contains(says), "{outcome:?}");
        if class == OutcomeClass::Success && host != "127.0.0.1" {
            assert_eq!(next(&told).await.1.as_deref(), Some("hooks.test"), "the name asked for");
        }
        let options = HttpOptions { dangerous_disable_tls_verification: true, ..local() };
        let outcome = Sender::with(options, names()).post(&url).await;
        assert_eq!(outcome.class, Success, "unverified: {outcome:?}");
    }
}

#[tokio::test]
async fn sessions_are_resumed() {
    let authority = Authority::new("trusted");
    let (tell, told) = events();
    let receiver = secured(authority.acceptor("hooks.test", 2027), tell).await;
    let options = HttpOptions { extra_roots: vec![authority.root()], ..local() };
    let sender = Sender::with(options, names());
    let url = format!("https://hooks.test:{}/", receiver.address.port());
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
        assert_eq!(sender.post(&url).await.class, Success);
        assert_eq!(next(&told).await.0, Some(kind));
    }
}

/// The request has left by then: what the receiver made of it is not known.
#[tokio::test]
async fn an_alert_after_the_request_is_ambiguous() {
    let authority = Authority::new("trusted");
    let (tell, _told) = events();
    let receiver = secured(authority.demanding_acceptor("hooks.test"), tell).await;
    let options = HttpOptions { extra_roots: vec![authority.root()], ..local() };
    let url = format!("https://hooks.test:{}/", receiver.address.port());
    let outcome = Sender::with(options, names()).post(&url).await;
    assert_eq!((outcome.class, outcome.status_code), (Ambiguous, None), "{outcome:?}");
    assert!(text(&outcome).contains("CertificateRequired"), "{outcome:?}");
}

#[tokio::test]
async fn no_tls_at_all() {
    let talking = Receiver::start(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Plain\r\ncontent-length: 0\r\n\r\n").await;
        let _ = read_head(&mut stream).await;
    })
    .await;
    let silent = Receiver::start(|stream, _| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let sender = Sender::with(local(), names());
    let url = |receiver: &Receiver| format!("https://hooks.test:{}/", receiver.address.port());
    let outcome = sender.post_in_vain(&url(&talking)).await;
    assert_eq!(outcome.class, Tls, "{outcome:?}");
    let outcome = sender.post_in_vain(&url(&silent)).await;
    assert_eq!((outcome.class, outcome.timed_out), (Timeout, true));
    assert!(text(&outcome).starts_with("no TLS session with 127.0.0.1:"), "{outcome:?}");
}
