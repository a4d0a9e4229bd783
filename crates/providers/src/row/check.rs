//! From what is written to what is followed: every bound and every "together with" of a row.

use std::collections::BTreeMap;

use url::Url;

use super::{
    Challenge, JwtAlgorithm, JwtRule, KeyForm, KeySource, Mac, MacKind, Piece, Place, Places, Row,
    RowError, Rule, Rules, Scheme, Shape, SignedRule, TimeRule,
    places::places,
    template::{expression, template},
};

/// A tolerance is at most this, in seconds: a day.
const LONGEST_TOLERANCE: u32 = 86_400;
/// Texts that have no bound of their own have this one, in bytes.
const LONGEST_TEXT: usize = 2_000;

impl Row {
    /// Understands the row. Names the field that is wrong.
    pub fn parse(&self) -> Result<Rules, RowError> {
        self.rules().map_err(|e| e.of(&self.id))
    }

    fn rules(&self) -> Result<Rules, RowError> {
        self.check_texts()?;
        let rule = match self.scheme {
            Scheme::Hmac | Scheme::Asym => Rule::Signed(Box::new(self.signed_rule()?)),
            Scheme::Jwt => Rule::Jwt(Box::new(self.jwt_rule()?)),
            Scheme::Token => Rule::Token(places("token", need("token", self.token.as_deref())?)?),
            Scheme::Basic => Rule::Basic,
            Scheme::Bearer => Rule::Bearer,
            Scheme::None => Rule::Open,
            Scheme::Code => {
                let code = self.code.ok_or_else(|| missing("code"))?;
                Rule::Code { code, tolerance_s: self.tolerance()? }
            }
        };
        self.check_unused(&rule)?;
        let event = |field: &str, text: &Option<String>| match text {
            Some(text) => expression(field, text).map(Some),
            None => Ok(None),
        };
        let rules = Rules {
            event_id: event("event_id", &self.event_id)?,
            event_type: event("event_type", &self.event_type)?,
            challenge: self.challenge.as_deref().map(Challenge::parse).transpose()?,
            rule,
        };
        self.check_signed_id(&rules)?;
        Ok(rules)
    }

    fn check_texts(&self) -> Result<(), RowError> {
        for id in std::iter::once(&self.id).chain(&self.aliases) {
            let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if !(1..=64).contains(&id.len()) || !id.bytes().all(fine) {
                return Err(RowError::new("id", id, "an id is 1 to 64 of a-z, 0-9 and -"));
            }
        }
        if self.name.chars().count() > 100 {
            return Err(RowError::new("name", &self.name, "a name has at most 100 characters"));
        }
        if !self.docs.is_empty()
            && !Url::parse(&self.docs).is_ok_and(|u| u.scheme() == "https" && u.has_host())
        {
            return Err(RowError::new("docs", &self.docs, "an https address"));
        }
        if self.notes.len() > LONGEST_TEXT {
            return Err(RowError::new("notes", &self.notes, "at most 2,000 bytes"));
        }
        let ack = &self.ack;
        if !(200..300).contains(&ack.status) {
            return Err(RowError::new("ack.status", &ack.status.to_string(), "200 to 299"));
        }
        if ack.body.len() > 1024 {
            return Err(RowError::new("ack.body", &ack.body, "at most 1,024 bytes"));
        }
        if ack.content_type.len() > 100 || ack.content_type.bytes().any(|b| !(32..127).contains(&b))
        {
            return Err(RowError::new("ack.content_type", &ack.content_type, "no content type"));
        }
        for (field, separator) in
            [("groups", &self.groups), ("items", &self.items), ("kv", &self.kv)]
        {
            if separator.as_ref().is_some_and(|s| s.is_empty() || s.len() > 8) {
                return Err(RowError::new(field, "", "a separator has 1 to 8 bytes"));
            }
        }
        if self.settings.len() > 8 {
            return Err(RowError::new("settings", "", "at most 8"));
        }
        Ok(())
    }

    fn tolerance(&self) -> Result<Option<u32>, RowError> {
        match self.tolerance_s {
            Some(s) if s == 0 || s > LONGEST_TOLERANCE => {
                Err(RowError::new("tolerance_s", &s.to_string(), "1 to 86,400 seconds"))
            }
            tolerance => Ok(tolerance),
        }
    }

    fn signed_rule(&self) -> Result<SignedRule, RowError> {
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

    fn jwt_rule(&self) -> Result<JwtRule, RowError> {
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

    /// A field that the scheme does not read is a mistake: its author thinks that it does something.
    fn check_unused(&self, rule: &Rule) -> Result<(), RowError> {
        let signed = matches!(rule, Rule::Signed(_));
        let jwt = matches!(rule, Rule::Jwt(_));
        let token = matches!(rule, Rule::Token(_));
        for (field, there, read) in [
            ("signature", self.signature.is_some(), signed),
            ("prefix", self.prefix.is_some(), signed),
            ("items", self.items.is_some(), signed),
            ("encoding", self.encoding.is_some(), signed),
            ("hash", self.hash.is_some(), self.scheme == Scheme::Hmac),
            ("algorithm", self.algorithm.is_some(), self.scheme == Scheme::Asym),
            ("signed", self.signed.is_some(), signed),
            ("timestamp", self.timestamp.is_some(), signed),
            ("url_variants", !self.url_variants.is_empty(), signed),
            ("body_hash_query", self.body_hash_query.is_some(), signed),
            ("tolerance_s", self.tolerance_s.is_some(), signed || self.code.is_some()),
            ("token", self.token.is_some(), jwt || token),
            ("algorithms", !self.algorithms.is_empty(), jwt),
            ("jwks", self.jwks.is_some(), jwt),
            ("claims", !self.claims.is_empty(), jwt),
            ("max_age_s", self.max_age_s.is_some(), jwt),
            ("body_claim", self.body_claim.is_some(), jwt),
            ("request_claim", self.request_claim.is_some(), jwt),
            ("code", self.code.is_some(), self.scheme == Scheme::Code),
        ] {
            if there && !read {
                let why = format!("scheme {} does not read it", self.scheme);
                return Err(RowError::new(field, "", why));
            }
        }
        Ok(())
    }

    fn check_signed_id(&self, rules: &Rules) -> Result<(), RowError> {
        let Some(id) = &rules.event_id else {
            return if self.event_id_signed {
                Ok(())
            } else {
                Err(RowError::new("event_id_signed", "false", "there is no event id"))
            };
        };
        let places: Vec<&Place> = id
            .iter()
            .filter_map(|p| if let Piece::At(p) = p { Some(p) } else { None })
            .flatten()
            .collect();
        let covered = match &rules.rule {
            Rule::Signed(rule) => places.iter().all(|p| covers(rule, p)),
            Rule::Jwt(rule) => places.iter().all(|p| {
                matches!(p, Place::Claim(_))
                    || (rule.body_claim.is_some() && matches!(p, Place::Json(_)))
            }),
            // Each of these knows by itself what it signs; the row says it.
            Rule::Code { .. } => self.event_id_signed,
            Rule::Token(_) | Rule::Basic | Rule::Bearer | Rule::Open => false,
        };
        if covered == self.event_id_signed {
            return Ok(());
        }
        let why = if covered { "the signature does cover it" } else { "nothing signs it" };
        Err(RowError::new("event_id_signed", &self.event_id_signed.to_string(), why))
    }

    /// What the catalogue asks beyond [`Row::parse`]: that a row can be shown to people, and says
    /// where its facts come from.
    pub fn check_catalogue(&self) -> Result<(), RowError> {
        let wanted = [
            ("name", self.name.is_empty()),
            ("docs", self.docs.is_empty()),
            ("content", self.content.is_empty()),
            ("category", self.category == super::Category::Custom),
            ("evidence", self.evidence == super::Evidence::Given),
        ];
        match wanted.iter().find(|(_, lacks)| *lacks) {
            Some((field, _)) => Err(missing(field).of(&self.id)),
            None => Ok(()),
        }
    }

    /// The row with its settings put in: those given, or their defaults. Also says which are
    /// needed and not given; these have a stand-in.
    pub fn with_settings(
        &self,
        given: &BTreeMap<String, String>,
    ) -> Result<(Self, Vec<String>), RowError> {
        let wrong = |name: &str, value: &str, why: &str| {
            RowError::new(&format!("settings.{name}"), value, why).of(&self.id)
        };
        for (name, value) in given {
            if !self.settings.contains_key(name) {
                return Err(wrong(name, value, "the provider has no such setting"));
            }
            if value.is_empty() || value.len() > 500 {
                return Err(wrong(name, value, "a setting has 1 to 500 bytes"));
            }
            if value.chars().any(|c| c.is_control() || "{}|".contains(c)) {
                return Err(wrong(name, value, "no {, }, | or control characters"));
            }
        }
        let mut missing = Vec::new();
        let mut row = serde_json::to_value(self)
            .map_err(|e| wrong("", "", &format!("cannot be written: {e}")))?;
        for (name, setting) in &self.settings {
            let value = match given.get(name).or(setting.default.as_ref()) {
                Some(value) => value.as_str(),
                None => {
                    missing.push(name.clone());
                    "unset"
                }
            };
            replace(&mut row, &format!("{{setting:{name}}}"), value);
        }
        let row = serde_json::from_value(row)
            .map_err(|e| wrong("", "", &format!("cannot be read again: {e}")))?;
        Ok((row, missing))
    }
}

fn replace(value: &mut serde_json::Value, from: &str, to: &str) {
    match value {
        serde_json::Value::String(text) if text.contains(from) => *text = text.replace(from, to),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|i| replace(i, from, to)),
        serde_json::Value::Object(members) => {
            members.values_mut().for_each(|m| replace(m, from, to));
        }
        _ => {}
    }
}

/// Whether a signature covers what stands at a place.
fn covers(rule: &SignedRule, place: &Place) -> bool {
    let holds = |places: &Option<&Places>| places.is_some_and(|p| p.contains(place));
    rule.template.iter().any(|piece| match (piece, place) {
        (Piece::At(places), _) => places.contains(place),
        (Piece::Id, _) => holds(&rule.message_id.as_ref()),
        (Piece::Timestamp, _) => holds(&rule.time.as_ref().map(|t| &t.places)),
        (
            Piece::Body,
            Place::Json(_) | Place::Form(..) | Place::Xml { .. } | Place::OtherKey(_),
        )
        | (Piece::FormSorted, Place::Form(..))
        | (Piece::Url, Place::Query(_)) => true,
        _ => false,
    })
}

fn need<'a>(field: &str, text: Option<&'a str>) -> Result<&'a str, RowError> {
    text.filter(|t| !t.is_empty()).ok_or_else(|| missing(field))
}

fn missing(field: &str) -> RowError {
    RowError::new(field, "", "is missing")
}
