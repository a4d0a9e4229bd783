//! What each scheme needs of a row.

use url::Url;

use super::{
    JwtAlgorithm, JwtRule, KeyForm, KeySource, Mac, MacKind, Piece, Row, RowError, Scheme, Shape,
    SignedRule, TimeRule,
    check::{missing, need},
    places::places,
    template::template,
};

/// A tolerance is at most this, in seconds: a day.
const LONGEST_TOLERANCE: u32 = 86_400;

impl Row {
    pub(super) fn tolerance(&self) -> Result<Option<u32>, RowError> {
        match self.tolerance_s {
            Some(s) if s == 0 || s > LONGEST_TOLERANCE => {
                Err(RowError::new("tolerance_s", &s.to_string(), "1 to 86,400 seconds"))
            }
            tolerance => Ok(tolerance),
        }
    }

    pub(super) fn signed_rule(&self) -> Result<SignedRule, RowError> {
        let mac = match (self.scheme, self.mac) {
            (Scheme::Asym, _) => Mac::Pair(self.algorithm.ok_or_else(|| missing("algorithm"))?),
            (_, MacKind::Hmac) => Mac::Hmac(self.hash.ok_or_else(|| missing("hash"))?),
            (_, MacKind::Hash) => Mac::Plain(self.hash.ok_or_else(|| missing("hash"))?),
        };
        let template = template("signed", need("signed", self.signed.as_deref())?)?;
        let message_id = self.message_id.as_deref().map(|t| places("message_id", t)).transpose()?;
        let time = match &self.timestamp {
            Some(text) => Some(TimeRule {
                places: places("timestamp", text)?,
                unit: self.timestamp_unit,
                tolerance_s: self.tolerance()?,
            }),
            None if self.tolerance_s.is_some() => return Err(missing("timestamp")),
            None => None,
        };
        let has = |piece: Piece| template.contains(&piece);
        if has(Piece::Timestamp) && time.is_none() {
            return Err(missing("timestamp"));
        }
        if has(Piece::Id) != message_id.is_some() {
            return Err(RowError::new(
                "message_id",
                self.message_id.as_deref().unwrap_or_default(),
                "goes together with {id} in `signed`",
            ));
        }
        if has(Piece::Secret) != matches!(mac, Mac::Plain(_)) {
            return Err(RowError::new(
                "signed",
                self.signed.as_deref().unwrap_or_default(),
                "{secret} is among the bytes if, and only if, `mac` is \"hash\"",
            ));
        }
        let public = matches!(
            self.key,
            KeyForm::Pem | KeyForm::RawHex | KeyForm::RawBase64 | KeyForm::SpkiBase64
        );
        let hashed_along = matches!(mac, Mac::Plain(_)) && self.key != KeyForm::Utf8;
        if public != matches!(mac, Mac::Pair(_)) || hashed_along || self.key == KeyForm::Jwks {
            let why = "this form does not fit the scheme";
            return Err(RowError::new("key", self.key.word(), why));
        }
        Ok(SignedRule {
            places: places("signature", need("signature", self.signature.as_deref())?)?,
            shape: self.shape()?,
            encoding: self.encoding.ok_or_else(|| missing("encoding"))?,
            mac,
            template,
            key: self.key,
            message_id,
            time,
            url_variants: self.url_variants.clone(),
            body_hash_query: self.body_hash_query.clone(),
        })
    }

    fn shape(&self) -> Result<Shape, RowError> {
        if self.kv.is_some() != self.version.is_some() {
            return Err(RowError::new("version", "", "`kv` and `version` go together"));
        }
        if self.items.is_none() && (self.kv.is_some() || self.groups.is_some() || self.first > 0) {
            return Err(missing("items"));
        }
        if self.first > 8 || (self.first > 0 && self.kv.is_some()) {
            let value = self.first.to_string();
            return Err(RowError::new("first", &value, "0 to 8, for items without names"));
        }
        Ok(Shape {
            prefix: self.prefix.clone(),
            prefix_optional: self.prefix_optional,
            groups: self.groups.clone(),
            items: self.items.clone(),
            kv: self.kv.clone(),
            version: self.version.clone(),
            first: self.first,
        })
    }

    pub(super) fn jwt_rule(&self) -> Result<JwtRule, RowError> {
        let token = need("token", self.token.as_deref())?;
        let shared = self.algorithms.contains(&JwtAlgorithm::Hs256);
        if self.algorithms.is_empty() {
            return Err(missing("algorithms"));
        }
        // One key must never serve as a public key and as a shared secret.
        if shared && self.algorithms.len() > 1 {
            return Err(RowError::new("algorithms", "HS256", "stands alone"));
        }
        let key = match (self.key, shared) {
            (KeyForm::Utf8, true) => KeySource::Shared,
            (KeyForm::Pem, false) => KeySource::Pem,
            (KeyForm::Jwks, false) => KeySource::Jwks(self.jwks.clone()),
            (key, _) => {
                return Err(RowError::new("key", key.word(), "does not fit the algorithms"));
            }
        };
        if let Some(jwks) = &self.jwks
            && !Url::parse(jwks).is_ok_and(|u| u.scheme() == "https" && u.has_host())
        {
            return Err(RowError::new("jwks", jwks, "an https address"));
        }
        let body_claim = match (&self.body_claim, self.body_claim_encoding) {
            (Some(claim), Some(encoding)) => Some((claim.clone(), encoding)),
            (None, None) => None,
            _ => return Err(missing("body_claim_encoding")),
        };
        Ok(JwtRule {
            places: if token == "body" { None } else { Some(places("token", token)?) },
            algorithms: self.algorithms.clone(),
            key,
            claims: self.claims.clone(),
            max_age_s: self.max_age_s,
            body_claim,
            request_claim: self.request_claim.clone(),
        })
    }
}
