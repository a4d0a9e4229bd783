//! Rounds: something is changed through one node, and at once asked of another.
use super::{NODES, Shared};
use crate::{api::Api, chance::Chance};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// What is changed.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// An endpoint is created, disabled, enabled and deleted.
    Endpoint,
    /// An event type gets a schema, and loses it.
    Schema,
    /// A token ends.
    Token,
}

impl Kind {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Endpoint, Self::Schema, Self::Token];

    /// With which what is told of it begins.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Schema => "schema",
            Self::Token => "token",
        }
    }
}

/// One that changes things of its own application.
pub struct Changer<'a> {
    shared: &'a Shared,
    chance: Chance,
    /// Its application.
    pub app: String,
    /// The endpoint that is always there.
    endpoint: String,
    event_type: String,
}

impl<'a> Changer<'a> {
    /// Makes the application.
    pub fn new(shared: &'a Shared, number: usize, chance: Chance) -> Result<Self> {
        let node = &shared.nodes[0];
        let app = node.post("/api/v1/app", &json!({ "name": format!("changes {number}") }))?;
        let app = id(&app)?;
        let endpoint = node.post(
            &format!("/api/v1/app/{app}/endpoint"),
            &json!({ "url": shared.receiver.url, "version": 1 }),
        )?;
        let endpoint = id(&endpoint)?;
        Ok(Self { shared, chance, app, endpoint, event_type: format!("changing.{number}") })
    }

    /// One round; says what was not obeyed.
    pub fn round(&mut self, kind: Kind) -> Result<Vec<String>> {
        let wrong = match kind {
            Kind::Endpoint => self.endpoint_round(),
            Kind::Schema => self.schema_round(),
            Kind::Token => self.token_round(),
        };
        wrong.with_context(|| format!("a round of {kind:?}"))
    }

    /// A node that something is changed through, and another one.
    fn two_nodes(&mut self) -> (&'a Api, &'a Api) {
        let first = self.chance.index(NODES);
        let second = (first + 1 + self.chance.index(NODES - 1)) % NODES;
        (&self.shared.nodes[first], &self.shared.nodes[second])
    }

    fn endpoint_round(&mut self) -> Result<Vec<String>> {
        let endpoints = format!("/api/v1/app/{}/endpoint", self.app);
        let new = json!({ "url": self.shared.receiver.url, "version": 1 });
        let (one, other) = self.two_nodes();
        let created = id(&change(self.shared, one, "POST", &endpoints, Some(&new))?)?;
        let mut wrong = Vec::new();
        wrong.extend(self.routed(other, &created, true, "created")?);
        let path = format!("{endpoints}/{created}");
        for (disabled, what) in [(true, "disabled"), (false, "enabled")] {
            let (one, other) = self.two_nodes();
            change(self.shared, one, "PATCH", &path, Some(&json!({ "disabled": disabled })))?;
            wrong.extend(self.routed(other, &created, !disabled, what)?);
        }
        let (one, other) = self.two_nodes();
        change(self.shared, one, "DELETE", &path, None)?;
        wrong.extend(self.routed(other, &created, false, "deleted")?);
        Ok(wrong)
    }

    /// Posts a message and looks whom it is for: the endpoint that is always there, and the given one
    /// if it is to be.
    fn routed(
        &self,
        node: &Api,
        endpoint: &str,
        to_be: bool,
        what: &str,
    ) -> Result<Option<String>> {
        let posted = self.shared.message(node, &self.app, "changes.routed", &json!({ "n": 1 }))?;
        let path = format!("/api/v1/app/{}/msg/{}/endpoint", self.app, posted.id()?);
        let (status, list) = node.call("GET", &path, None)?;
        ensure!(status == 200, "{path}: {status} {list}");
        let list = list["data"].as_array().context("a list")?;
        let has = |id: &str| list.iter().any(|endpoint| endpoint["id"] == id);
        let right = has(endpoint) == to_be && has(&self.endpoint);
        let wrong =
            || format!("endpoint {endpoint} {what}: {} was for {list:?}", posted.answer["id"]);
        Ok((!right).then(wrong))
    }

    fn schema_round(&mut self) -> Result<Vec<String>> {
        let path = format!("/api/v1/event-type/{}", self.event_type);
        let schema = json!({
            "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"],
        });
        let with = json!({
            "description": "Changes", "schemas": { "1": schema }, "schemaMode": "reject",
        });
        let without = json!({ "description": "Changes", "schemas": null, "schemaMode": "reject" });
        let mut wrong = Vec::new();
        for (event_type, refused, what) in [(with, 422, "added"), (without, 202, "removed")] {
            let (one, other) = self.two_nodes();
            change(self.shared, one, "PUT", &path, Some(&event_type))?;
            let payload = json!({ "n": "a text" });
            let posted = self.shared.message(other, &self.app, &self.event_type, &payload)?;
            if posted.status != refused {
                let answer = &posted.answer;
                wrong.push(format!("schema {what}: answered {} {answer}", posted.status));
            }
        }
        Ok(wrong)
    }

    fn token_round(&mut self) -> Result<Vec<String>> {
        let (one, other) = self.two_nodes();
        let access = format!("/api/v1/auth/app-portal-access/{}", self.app);
        let access = change(self.shared, one, "POST", &access, Some(&json!({})))?;
        let token = access["token"].as_str().context("a token")?;
        // The only messages that such a token may make.
        let path = format!("/api/v1/app/{}/endpoint/{}/send-example", self.app, self.endpoint);
        let example = json!({ "eventType": "svix.ping" });
        let ask = || other.call_as(token, "POST", &path, Some(&example));
        let post = || self.shared.insist(ask);
        let (status, answer) = post()?;
        ensure!(status == 200, "{path}: {status} {answer}");
        if self.chance.below(2) == 0 {
            let (status, answer) = one.call_as(token, "POST", "/api/v1/auth/logout", None)?;
            ensure!(status == 204, "logout: {status} {answer}");
        } else {
            let path = format!("/api/v1/auth/app/{}/expire-all", self.app);
            change(self.shared, one, "POST", &path, Some(&json!({})))?;
        }
        let (status, answer) = post()?;
        let wrong = || format!("token revoked: answered {status} {answer}");
        Ok((status != 401).then(wrong).into_iter().collect())
    }
}

/// A change that must succeed.
fn change(
    shared: &Shared,
    node: &Api,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Value> {
    let (status, answer) = shared.insist(|| node.call(method, path, body))?;
    ensure!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    Ok(answer)
}

fn id(thing: &Value) -> Result<String> {
    Ok(thing["id"].as_str().context("it has no id")?.to_owned())
}
