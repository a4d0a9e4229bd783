//! Schemes `hmac` and `asym`: a signature over a template of bytes.

use std::borrow::Cow;

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest, hmac};
use domain::clock::Timestamp;
use zeroize::Zeroizing;

use super::{
    judge_time, pair,
    signature::{Group, groups},
};
use crate::{
    Reason, Secret, body, encoding, moment,
    row::{Algorithm, Hash, KeyForm, Mac, Piece, SignedRule, UrlVariant},
    verdict::Proof,
    view::{Beside, View},
};

/// What public keys of Standard Webhooks begin with; they verify version `v1a`.
const PUBLIC_PREFIX: &str = "whpk_";

pub(crate) fn verify(
    rule: &SignedRule,
    view: &View<'_>,
    secrets: &[Secret],
    now: Timestamp,
) -> Result<Proof, Reason> {
    let groups = groups(rule, view)?;
    let body_hashed = body_hash(rule, view)?;
    let urls = urls(&rule.url_variants, view.request.url);
    let mut why = Reason::MalformedSignature;
    for group in &groups {
        match verify_group(rule, view, group, secrets, &urls, body_hashed) {
            Ok((secret, sent_at)) => {
                let tolerance = rule.time.as_ref().and_then(|t| t.tolerance_s);
                match sent_at.map_or(Ok(()), |sent| judge_time(sent, now, tolerance)) {
                    Ok(()) => {
                        return Ok(Proof { secret: Some(secret), sent_at, ..Proof::default() });
                    }
                    Err(reason) => why = reason,
                }
            }
            Err(reason) if why == Reason::MalformedSignature => why = reason,
            Err(_) => {}
        }
    }
    Err(why)
}

fn verify_group(
    rule: &SignedRule,
    view: &View<'_>,
    group: &Group,
    secrets: &[Secret],
    urls: &[String],
    body_hashed: bool,
) -> Result<(usize, Option<Timestamp>), Reason> {
    let beside = Beside { signature: &group.fields, ..Beside::default() };
    let (time, sent_at) = match &rule.time {
        Some(time) => {
            let text = view.first_text(&time.places, beside).ok_or(Reason::MissingTimestamp)?;
            let at = moment::read(time.unit, &text).ok_or(Reason::MalformedTimestamp)?;
            (text, Some(at))
        }
        None => (String::new(), None),
    };
    let candidates = decoded(rule, group.signatures.iter());
    // Standard Webhooks' key pairs sign as another version beside, or in place of, the shared secret.
    let pairs = decoded(rule, group.fields.iter().filter(|(n, _)| n == "v1a").map(|(_, v)| v));
    if candidates.is_empty() && (rule.key != KeyForm::Whsec || pairs.is_empty()) {
        return Err(Reason::MalformedSignature);
    }
    let mut usable = false;
    for url in urls {
        for (index, secret) in secrets.iter().enumerate() {
            let Some(key) = key(rule.key, secret) else { continue };
            usable = true;
            let public = rule.key == KeyForm::Whsec && secret.text().starts_with(PUBLIC_PREFIX);
            let source = Source { rule, view, beside, time: &time, url, secret, body_hashed };
            let signed = source.bytes()?;
            let genuine = match rule.mac {
                _ if public => {
                    let message = signed.concat();
                    let fits = |c: &Vec<u8>| pair::verifies(Algorithm::Ed25519, &key, &message, c);
                    pairs.iter().any(fits)
                }
                Mac::Hmac(hash) => any_equal(&candidates, mac(hash, &key, &signed).as_ref()),
                Mac::Plain(hash) => any_equal(&candidates, plain(hash, &signed).as_ref()),
                Mac::Pair(algorithm) => {
                    let message = signed.concat();
                    candidates.iter().any(|c| pair::verifies(algorithm, &key, &message, c))
                }
            };
            if genuine {
                return Ok((index, sent_at));
            }
        }
    }
    Err(if usable { Reason::Mismatch } else { Reason::UnusableSecret })
}

fn decoded<'t>(rule: &SignedRule, texts: impl Iterator<Item = &'t String>) -> Vec<Vec<u8>> {
    let bytes = texts.filter_map(|text| encoding::decode(rule.encoding, text.as_bytes()));
    bytes.filter(|bytes| !bytes.is_empty()).collect()
}

fn any_equal(candidates: &[Vec<u8>], right: &[u8]) -> bool {
    candidates.iter().any(|c| verify_slices_are_equal(c, right).is_ok())
}

/// What fills a template.
pub(crate) struct Source<'s, 'v> {
    pub(crate) rule: &'s SignedRule,
    pub(crate) view: &'v View<'v>,
    pub(crate) beside: Beside<'s>,
    pub(crate) time: &'s str,
    pub(crate) url: &'s str,
    pub(crate) secret: &'s Secret,
    /// Whether the URL carries the body's hash, which then stands for the form.
    pub(crate) body_hashed: bool,
}

impl<'s> Source<'s, '_> {
    /// The signed bytes, in pieces.
    pub(crate) fn bytes(&'s self) -> Result<Vec<Cow<'s, [u8]>>, Reason> {
        let mut pieces = Vec::with_capacity(self.rule.template.len());
        for piece in &self.rule.template {
            pieces.push(match piece {
                Piece::Text(text) => Cow::Borrowed(text.as_bytes()),
                Piece::Body => Cow::Borrowed(self.view.request.body),
                Piece::Timestamp => Cow::Borrowed(self.time.as_bytes()),
                Piece::Url => Cow::Borrowed(self.url.as_bytes()),
                Piece::Method => Cow::Borrowed(self.view.request.method.as_bytes()),
                Piece::Secret => Cow::Borrowed(self.secret.text().as_bytes()),
                Piece::FormSorted if self.body_hashed => Cow::Borrowed(&[][..]),
                Piece::FormSorted => Cow::Owned(body::sorted(self.view.form()).into_bytes()),
                Piece::Id => {
                    let places = self.rule.message_id.as_ref().ok_or(Reason::MissingPart)?;
                    self.view.first(places, self.beside).ok_or(Reason::MissingPart)?
                }
                Piece::At(places) => {
                    self.view.first(places, self.beside).ok_or(Reason::MissingPart)?
                }
            });
        }
        Ok(pieces)
    }
}

/// Whether the URL says what the body's hash is, and says it rightly.
fn body_hash(rule: &SignedRule, view: &View<'_>) -> Result<bool, Reason> {
    let Some(name) = &rule.body_hash_query else { return Ok(false) };
    let Some(said) = view.request.query_value(name) else { return Ok(false) };
    let hash = digest::digest(&digest::SHA256, view.request.body);
    let said = encoding::hex(said.as_bytes()).ok_or(Reason::BodyHash)?;
    verify_slices_are_equal(&said, hash.as_ref()).map_err(|_| Reason::BodyHash)?;
    Ok(true)
}

/// The key in a secret. None if it has not the form.
pub(crate) fn key(form: KeyForm, secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    let text = secret.text();
    let key = match form {
        KeyForm::Utf8 => text.as_bytes().to_vec(),
        KeyForm::Hex | KeyForm::RawHex => encoding::hex(text.as_bytes())?,
        KeyForm::Base64 | KeyForm::RawBase64 | KeyForm::SpkiBase64 => {
            encoding::pasted_base64(text)?
        }
        KeyForm::Whsec => {
            let bare = text.strip_prefix("whsec_").or_else(|| text.strip_prefix(PUBLIC_PREFIX));
            encoding::pasted_base64(bare.unwrap_or(text))?
        }
        KeyForm::Sha256 => digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec(),
        KeyForm::Pem => pair::public_key_pem(text)?,
        KeyForm::Jwks => return None,
    };
    (!key.is_empty()).then(|| Zeroizing::new(key))
}

pub(crate) fn mac(hash: Hash, key: &[u8], pieces: &[Cow<'_, [u8]>]) -> hmac::Tag {
    let algorithm = match hash {
        Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => hmac::HMAC_SHA256,
        Hash::Sha512 => hmac::HMAC_SHA512,
    };
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
    pieces.iter().for_each(|piece| context.update(piece));
    context.sign()
}

pub(crate) fn plain(hash: Hash, pieces: &[Cow<'_, [u8]>]) -> digest::Digest {
    let mut context = digest::Context::new(match hash {
        Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha512 => &digest::SHA512,
    });
    pieces.iter().for_each(|piece| context.update(piece));
    context.finish()
}

/// The URL as given, and the other spellings that the sender may have signed.
fn urls(variants: &[UrlVariant], url: &str) -> Vec<String> {
    let mut urls = vec![url.to_owned()];
    for variant in variants {
        let other = match variant {
            UrlVariant::WithoutPort => with_authority(url, |host, _| host.to_owned()),
            UrlVariant::WithPort => with_authority(url, |host, port| format!("{host}:{port}")),
            UrlVariant::Decoded => Some(hubspot_decoded(url)),
        };
        urls.extend(other.filter(|o| o != url));
    }
    urls.dedup();
    urls
}

fn with_authority(url: &str, change: impl Fn(&str, u16) -> String) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at_checked(end)?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let port = if scheme == "http" { 80 } else { 443 };
    Some(format!("{scheme}://{}{tail}", change(host, port)))
}

/// The encodings that HubSpot's page on request validation asks to undo; those of the query's `&`,
/// `=` and `#` stay.
fn hubspot_decoded(url: &str) -> String {
    const UNDONE: [(&str, &str); 12] = [
        ("%3A", ":"),
        ("%2F", "/"),
        ("%3F", "?"),
        ("%40", "@"),
        ("%21", "!"),
        ("%24", "$"),
        ("%27", "'"),
        ("%28", "("),
        ("%29", ")"),
        ("%2A", "*"),
        ("%2C", ","),
        ("%3B", ";"),
    ];
    UNDONE.iter().fold(url.to_owned(), |url, (from, to)| {
        url.replace(from, to).replace(&from.to_ascii_lowercase(), to)
    })
}
