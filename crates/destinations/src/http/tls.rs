//! TLS by rustls, with one provider and one store of sessions.

use std::{net::IpAddr, sync::Arc, time::Duration};

use domain::{attempt::OutcomeClass, clock::Clock};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
    time_provider::TimeProvider,
};
use tokio_rustls::TlsConnector;
use tracing::warn;
use url::Host;

use super::{HttpOptions, answer::Failure, stream::Stream};

/// How many hosts' sessions are kept for resumption.
const RESUMABLE_HOSTS: usize = 8192;

/// Trusts what the system trusts, what is built in (webpki-roots) and what the options add.
pub(super) fn connector(options: &HttpOptions, clock: Arc<dyn Clock>) -> TlsConnector {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_details(Arc::clone(&provider), Arc::new(WallClock(clock)))
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.2 and 1.3");
    let mut config = if options.dangerous_disable_tls_verification {
        warn!("certificates of receivers are not verified");
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth()
    } else {
        builder.with_root_certificates(roots(&options.extra_roots)).with_no_client_auth()
    };
    config.resumption = Resumption::in_memory_sessions(RESUMABLE_HOSTS);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

fn roots(extra: &[CertificateDer<'static>]) -> RootCertStore {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let native = rustls_native_certs::load_native_certs();
    for error in native.errors {
        warn!(%error, "a trusted certificate of the system could not be read");
    }
    roots.add_parsable_certificates(native.certs);
    let (_, unusable) = roots.add_parsable_certificates(extra.iter().cloned());
    if unusable > 0 {
        warn!(unusable, "configured root certificates could not be used");
    }
    roots
}

/// Makes a session with `host` over `stream`.
///
/// # Errors
/// None came about; the text says why.
pub(super) async fn secure(
    connector: &TlsConnector,
    host: &Host<String>,
    stream: Stream,
) -> Result<Stream, Failure> {
    let name = server_name(host)?;
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
        Err(error) => {
            let why = error.get_ref().and_then(|source| source.downcast_ref::<Error>());
            let why = why.map_or_else(|| error.to_string(), in_plain_words);
            Err(Failure::new(OutcomeClass::Tls, format!("no TLS session with {host}: {why}")))
        }
    }
}

fn server_name(host: &Host<String>) -> Result<ServerName<'static>, Failure> {
    match host {
        // A trailing dot belongs to the lookup, not to the name in a certificate.
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.'))
            .map(|name| name.to_owned())
            .map_err(|_| {
                let text = format!("{name:.256} cannot be the name in a certificate");
                Failure::new(OutcomeClass::Invalid, text)
            }),
        Host::Ipv4(address) => Ok(IpAddr::V4(*address).into()),
        Host::Ipv6(address) => Ok(IpAddr::V6(*address).into()),
    }
}

fn in_plain_words(error: &Error) -> String {
    use CertificateError as C;
    match error {
        Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            "its certificate has expired".to_owned()
        }
        Error::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => {
            "its certificate is not valid yet".to_owned()
        }
        Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            "its certificate is for another host".to_owned()
        }
        Error::InvalidCertificate(C::UnknownIssuer) => {
            "its certificate is not from an authority that is trusted here".to_owned()
        }
        other => other.to_string(),
    }
}

/// The time that certificates and sessions are judged by.
struct WallClock(Arc<dyn Clock>);

impl std::fmt::Debug for WallClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WallClock")
    }
}

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        let micros = u64::try_from(self.0.now().as_micros()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_micros(micros)))
    }
}

/// Accepts whoever answers; signatures are checked all the same.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
