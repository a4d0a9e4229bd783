//! From what is written to what is followed: every bound and every "together with" of a row.

use url::Url;

use super::{
    Challenge, Piece, Place, Places, Row, RowError, Rule, Rules, Scheme, SignedRule,
    places::places, template::expression,
};

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

pub(super) fn need<'a>(field: &str, text: Option<&'a str>) -> Result<&'a str, RowError> {
    text.filter(|t| !t.is_empty()).ok_or_else(|| missing(field))
}

pub(super) fn missing(field: &str) -> RowError {
    RowError::new(field, "", "is missing")
}
