//! A count and a checksum of records, by which two stores are compared that keep them in ways of their
//! own and give them out in orders of their own.

use aws_lc_rs::digest;
use domain::{
    analytics::{Rollup, Sketch},
    application::Application,
    attempt::{Attempt, Outcome},
    clock::Timestamp,
    endpoint::{Endpoint, EndpointSecret},
    event_type::EventType,
    id::Id,
    message::Message,
    organization::Organization,
    task::Task,
    token::{Revocation, Revoked, Token},
};
use serde::Serialize;

use super::{
    AuditRow, MovedBody, MovedDelivery, MovedHeaders, MovedMarks, MovedMessage, MovedRollup, Record,
};
use crate::{
    Result,
    alert_doc::rule_doc,
    codec,
    history::DeliveryRecord,
    publish::{Claim, SavedResponse},
};

/// How many records there are, and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The sum of the first 16 bytes of each one's SHA-256.
    pub sum: u128,
}

impl Tally {
    /// Adds a record.
    pub fn add(&mut self, record: &Record) -> Result<()> {
        let mut fields = Fields(digest::Context::new(&digest::SHA256));
        write(&mut fields, record)?;
        let hash = fields.0.finish();
        let mut first = [0; 16];
        first.copy_from_slice(&hash.as_ref()[..16]);
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(first));
        self.count += 1;
        Ok(())
    }
}

/// Fields of a record, one after the other. Each says how long it is, so that none runs into another.
struct Fields(digest::Context);

impl Fields {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn number(&mut self, number: impl Into<i128>) {
        self.0.update(&number.into().to_le_bytes());
    }

    fn flag(&mut self, flag: bool) {
        self.number(u8::from(flag));
    }

    fn id(&mut self, id: &impl Id) {
        self.0.update(id.raw());
    }

    fn time(&mut self, time: Timestamp) {
        self.number(time.as_micros());
    }

    /// What has a text form of its own.
    fn json<T: Serialize + ?Sized>(&mut self, value: &T) {
        let text = serde_json::to_vec(value);
        self.bytes(&text.expect("only maps with text keys, lists and text are written so"));
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.number(items.len() as u64);
        items.iter().for_each(|item| write(self, item));
    }
}

/// Every field is named, so that a new one is not forgotten.
fn write(f: &mut Fields, record: &Record) -> Result<()> {
    match record {
        Record::Organization { organization: Organization { id, settings }, version } => {
            f.text("organization");
            f.id(id);
            f.json(settings);
            f.number(*version);
        }
        Record::Application { application, deleted_at, version } => {
            f.text("application");
            write_application(f, application);
            f.option(*deleted_at, Fields::time);
            f.number(*version);
        }
        Record::Endpoint { endpoint, deleted_at } => {
            f.text("endpoint");
            write_endpoint(f, endpoint);
            f.option(*deleted_at, Fields::time);
        }
        Record::PastHeaders(past) => {
            let MovedHeaders { org, app, endpoint, revision, headers, replaced_at } = past;
            f.text("past headers");
            f.id(org);
            f.id(app);
            f.id(endpoint);
            f.number(*revision);
            f.json(headers);
            f.time(*replaced_at);
        }
        Record::EventType(event_type) => {
            f.text("event type");
            write_event_type(f, event_type);
        }
        Record::Message(message) => {
            f.text("message");
            write_message(f, message)?;
        }
        Record::Delivery(delivery) => {
            f.text("delivery");
            write_delivery(f, delivery);
        }
        Record::Attempt(attempt) => {
            f.text("attempt");
            write_attempt(f, attempt);
        }
        Record::Claim { org, claim: Claim { key, expires_at }, message } => {
            f.text("claim");
            f.id(org);
            f.bytes(&key.0);
            f.time(*expires_at);
            f.id(message);
        }
        Record::Response { org, key, response: SavedResponse { status, body }, expires_at } => {
            f.text("response");
            f.id(org);
            f.bytes(&key.0);
            f.number(*status);
            f.bytes(body);
            f.time(*expires_at);
        }
        Record::Token(token) => {
            f.text("token");
            write_token(f, token);
        }
        Record::Revocation(Revocation { what, issued_until, at, forget_at }) => {
            f.text("revocation");
            write_revoked(f, what);
            f.time(*issued_until);
            f.time(*at);
            f.time(*forget_at);
        }
        Record::Task(task) => {
            let Task { org, id, kind, status, cursor, done, scanned, total, result, updated_at } =
                task;
            f.text("task");
            f.id(org);
            f.id(id);
            f.json(kind);
            f.json(status);
            f.option(cursor.as_ref(), |f, cursor| f.bytes(cursor));
            f.number(*done);
            f.number(*scanned);
            f.option(total.as_ref(), |f, total| f.number(*total));
            f.option(result.as_ref(), |f, result| f.json(&**result));
            f.time(*updated_at);
        }
        Record::AlertRule(rule) => {
            f.text("alert rule");
            f.id(&rule.org);
            f.id(&rule.id);
            f.text(&rule_doc(rule));
            f.json(&rule.channels);
        }
        Record::Alert(alert) => {
            f.text("alert");
            f.json(alert);
        }
        Record::Audit(AuditRow { org, at, actor, action, target, detail }) => {
            f.text("audit");
            f.id(org);
            f.time(*at);
            for text in [actor, action, target, detail] {
                f.text(text);
            }
        }
        Record::Rollup(rollup) => {
            f.text("rollup");
            write_rollup(f, rollup);
        }
        Record::Counted(MovedMarks { since, counted, quarters, days }) => {
            f.text("counted");
            for time in [since, counted, quarters, days] {
                f.time(*time);
            }
        }
    }
    Ok(())
}

fn write_rollup(f: &mut Fields, moved: &MovedRollup) {
    let MovedRollup { org, app, unit, at, endpoint, event_type, rollup } = moved;
    let Rollup { messages, bytes, attempts, retries, unaccepted, response, delivery } = rollup;
    f.id(org);
    f.id(app);
    f.number(*unit as u8);
    f.time(*at);
    f.option(endpoint.as_ref(), Fields::id);
    f.json(event_type);
    for number in [messages, bytes, retries].into_iter().chain(attempts).chain(unaccepted) {
        f.number(*number);
    }
    for sketch in [response, delivery] {
        let buckets: &[(u16, u64)] = Sketch::buckets(sketch);
        f.list(buckets, |f, (bucket, count)| {
            f.number(*bucket);
            f.number(*count);
        });
    }
}

fn write_application(f: &mut Fields, application: &Application) {
    let Application { org, id, uid, name, throttle_rate, metadata, source, created_at, updated_at } =
        application;
    f.id(org);
    f.id(id);
    f.json(uid);
    f.text(name);
    f.option(*throttle_rate, Fields::number);
    f.json(metadata);
    f.json(source);
    f.time(*created_at);
    f.time(*updated_at);
}

fn write_endpoint(f: &mut Fields, endpoint: &Endpoint) {
    let Endpoint {
        org,
        app,
        id,
        uid,
        url,
        description,
        throttle_rate,
        version,
        disabled,
        event_types,
        channels,
        metadata,
        headers,
        secrets,
        retry_schedule,
        transformation,
        first_failure_at,
        revision,
        created_at,
        updated_at,
    } = endpoint;
    f.id(org);
    f.id(app);
    f.id(id);
    f.json(uid);
    f.text(url.as_str());
    f.text(description);
    f.option(*throttle_rate, Fields::number);
    f.number(*version);
    f.flag(*disabled);
    f.json(event_types);
    f.json(channels);
    f.json(metadata);
    f.json(headers);
    f.list(secrets, |f, EndpointSecret { id, secret, expires_at }| {
        f.id(id);
        f.text(&secret.expose());
        f.option(*expires_at, Fields::time);
    });
    f.json(retry_schedule);
    f.json(transformation);
    f.option(*first_failure_at, Fields::time);
    f.number(*revision);
    f.time(*created_at);
    f.time(*updated_at);
}

fn write_event_type(f: &mut Fields, event_type: &EventType) {
    let EventType {
        org,
        name,
        description,
        archived,
        deprecated,
        schemas,
        group_name,
        feature_flags,
        schema_mode,
        retry_schedule,
        created_at,
        updated_at,
    } = event_type;
    f.id(org);
    f.text(name.as_str());
    f.text(description);
    f.flag(*archived);
    f.flag(*deprecated);
    f.json(schemas);
    f.json(group_name);
    f.json(feature_flags);
    f.json(schema_mode);
    f.json(retry_schedule);
    f.time(*created_at);
    f.time(*updated_at);
}

fn write_message(f: &mut Fields, moved: &MovedMessage) -> Result<()> {
    let MovedMessage { message, body, routed, endpoints } = moved;
    let Message {
        org,
        app,
        id,
        event_id,
        event_type,
        channels,
        tags,
        body: _,
        origin,
        created_at,
        deliver_at,
        expires_at,
    } = message;
    f.id(org);
    f.id(app);
    f.id(id);
    f.json(event_id);
    f.text(event_type.as_str());
    f.json(channels);
    f.json(tags);
    f.number(*origin as u8);
    f.time(*created_at);
    f.option(*deliver_at, Fields::time);
    f.time(*expires_at);
    f.number(*routed);
    f.list(endpoints, Fields::id);
    f.flag(body.is_some());
    if let Some(MovedBody { packed, content_type, headers }) = body {
        f.bytes(&codec::decode(packed.codec, &packed.bytes)?);
        f.text(content_type);
        f.json(headers);
    }
    Ok(())
}

fn write_delivery(f: &mut Fields, delivery: &MovedDelivery) {
    let MovedDelivery { org, app, record, attempts, give_up_at } = delivery;
    let DeliveryRecord {
        id,
        message,
        endpoint,
        trigger,
        attempts: tries,
        next_attempt,
        end,
        last_status_code,
        ended_at,
    } = record;
    f.id(org);
    f.id(app);
    f.id(id);
    f.id(message);
    f.id(endpoint);
    f.number(*trigger as u8);
    f.number(*tries);
    f.option(*next_attempt, Fields::time);
    f.option(*end, |f, (state, cause)| {
        f.number(state as u8);
        f.number(cause as u8);
    });
    f.option(*last_status_code, Fields::number);
    f.option(*ended_at, Fields::time);
    f.list(attempts, Fields::id);
    f.option(*give_up_at, Fields::time);
}

fn write_attempt(f: &mut Fields, attempt: &Attempt) {
    let Attempt {
        id,
        org,
        app,
        endpoint,
        message,
        delivery,
        number,
        trigger,
        url,
        outcome,
        started_at,
        endpoint_revision,
        secrets,
        body_hash,
        superseded,
    } = attempt;
    let Outcome { class, status_code, response, duration, retry_after, timed_out } = outcome;
    f.id(id);
    f.id(org);
    f.id(app);
    f.id(endpoint);
    f.id(message);
    f.id(delivery);
    f.number(*number);
    f.number(*trigger as u8);
    f.text(url);
    f.number(*class as u8);
    f.option(*status_code, Fields::number);
    f.bytes(response);
    f.json(duration);
    f.json(retry_after);
    f.flag(*timed_out);
    f.time(*started_at);
    f.number(*endpoint_revision);
    f.list(secrets, Fields::id);
    f.bytes(body_hash);
    f.flag(*superseded);
}

fn write_token(f: &mut Fields, token: &Token) {
    let Token { id, org, app, session_id, name, access, hash, .. } = token;
    f.id(id);
    f.id(org);
    f.option(app.as_ref(), Fields::id);
    f.option(session_id.as_deref(), Fields::text);
    f.option(name.as_deref(), Fields::text);
    f.number(access.code());
    f.option(hash.as_ref(), |f, hash| f.bytes(hash));
    let Token { last_used_at, created_at, expires_at, .. } = token;
    f.option(*last_used_at, Fields::time);
    f.time(*created_at);
    f.time(*expires_at);
}

fn write_revoked(f: &mut Fields, what: &Revoked) {
    match what {
        Revoked::Token(hash) => f.bytes(hash),
        Revoked::Application(org, app) => {
            f.id(org);
            f.id(app);
        }
        Revoked::Session(org, app, session) => {
            f.id(org);
            f.id(app);
            f.text(session);
        }
    }
}
