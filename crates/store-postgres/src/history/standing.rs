//! How messages stand at endpoints.

use std::collections::HashMap;

use domain::{
    id::{EndpointId, MessageId},
    page::{Page, PageRequest},
};
use store::{
    history::{
        DeliveryRecord, EndpointMessage, MessageEndpoint, MessageFilter, Status, Tenant, combined,
    },
    paging::Window,
};

use super::{messages, walk::Bounds};
use crate::{
    conn::Conn,
    error::{Error, Result},
    rows,
};

/// What a list of an endpoint's messages asks for.
pub(super) struct Wanted {
    pub(super) filter: MessageFilter,
    /// All if empty.
    pub(super) statuses: Vec<Status>,
    pub(super) with_body: bool,
}

/// All deliveries of some messages to one endpoint; of each message, by id.
pub(super) async fn records_at(
    conn: &Conn,
    tenant: Tenant,
    messages: &[MessageId],
    endpoint: EndpointId,
) -> Result<Vec<DeliveryRecord>> {
    let messages: Vec<&[u8]> = messages.iter().map(|id| id.raw().as_slice()).collect();
    let Some((first, last)) = messages::span(&messages) else { return Ok(Vec::new()) };
    let sql = format!(
        "/* delivery_records */ SELECT d.* FROM unnest($4::bytea[]) AS u (message)
         CROSS JOIN LATERAL (SELECT {} FROM delivery d
             WHERE d.org = $1 AND d.app = $2 AND d.endpoint = $3 AND d.message = u.message
             AND d.message BETWEEN $5 AND $6 ORDER BY d.delivery) d",
        rows::RECORD
    );
    let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
    let at = endpoint.raw().as_slice();
    let found = conn.query(&sql, &[&org, &app, &at, &messages, &first, &last]).await?;
    found.iter().map(|row| rows::record(row, endpoint)).collect()
}

/// All deliveries of one message to some endpoints; of each endpoint, by id.
pub(super) async fn records(
    conn: &Conn,
    tenant: Tenant,
    message: MessageId,
    endpoints: &[EndpointId],
) -> Result<Vec<DeliveryRecord>> {
    let sql = format!(
        "/* delivery_records */ SELECT d.* FROM unnest($3::bytea[]) AS u (endpoint)
         CROSS JOIN LATERAL (SELECT {}, d.endpoint FROM delivery d
             WHERE d.org = $1 AND d.app = $2 AND d.endpoint = u.endpoint AND d.message = $4
             OFFSET 0) d ORDER BY d.endpoint, d.delivery",
        rows::RECORD
    );
    let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
    let endpoints: Vec<&[u8]> = endpoints.iter().map(|id| id.raw().as_slice()).collect();
    let found = conn.query(&sql, &[&org, &app, &endpoints, &message.raw().as_slice()]).await?;
    found.iter().map(|row| rows::record(row, rows::id(row, 9)?)).collect()
}

/// A walk along the records of an endpoint, message by message.
struct Records {
    sql: String,
    /// Behind which message and delivery the next chunk begins.
    behind: (Vec<u8>, Vec<u8>),
    /// The other end of the window.
    end: Vec<u8>,
    /// Those of the last message that was looked at: there may be more of it.
    open: Vec<DeliveryRecord>,
    /// The last message that was looked at whole.
    last: Option<MessageId>,
    ended: bool,
    bounds: Bounds,
}

impl Records {
    fn along(window: &Window) -> Self {
        let (above, below) = (window.above.clone(), window.below.clone());
        // No delivery's id is empty, or as long as this.
        let (behind, end, between) = match window.is_descending() {
            true => (
                (below, Vec::new()),
                above,
                "d.message > $6 AND d.message <= $4 AND (d.message, d.delivery) < ($4, $5)",
            ),
            false => (
                (above, vec![0xff; 21]),
                below,
                "d.message < $6 AND d.message >= $4 AND (d.message, d.delivery) > ($4, $5)",
            ),
        };
        let direction = window.direction();
        let sql = format!(
            "/* endpoint_messages */ SELECT {} FROM delivery d
             WHERE d.org = $1 AND d.app = $2 AND d.endpoint = $3 AND {between}
             ORDER BY d.message {direction}, d.delivery {direction} LIMIT $7",
            rows::RECORD
        );
        let bounds = Bounds::new(window.wanted());
        Self { sql, behind, end, open: Vec::new(), last: None, ended: false, bounds }
    }

    /// The next messages, with all their records each.
    async fn next(
        &mut self,
        conn: &Conn,
        tenant: Tenant,
        endpoint: EndpointId,
    ) -> Result<Vec<Vec<DeliveryRecord>>> {
        let chunk = self.bounds.next_chunk();
        let limit = i64::try_from(chunk).map_err(Error::corrupt)?;
        let key = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
        let at = endpoint.raw().as_slice();
        let (message, delivery) = &self.behind;
        let found = conn
            .query(&self.sql, &[&key.0, &key.1, &at, message, delivery, &self.end, &limit])
            .await?;
        self.bounds.add_rows(found.len());
        self.ended = found.len() < chunk;
        if let Some(row) = found.last() {
            self.behind = (rows::bytes(row, 0)?.to_vec(), rows::bytes(row, 1)?.to_vec());
        }
        let mut whole = Vec::new();
        for row in &found {
            let record = rows::record(row, endpoint)?;
            if self.open.first().is_some_and(|first| first.message != record.message) {
                whole.push(std::mem::take(&mut self.open));
            }
            self.open.push(record);
        }
        if self.ended && !self.open.is_empty() {
            whole.push(std::mem::take(&mut self.open));
        }
        self.last =
            whole.last().and_then(|records| records.first()).map(|r| r.message).or(self.last);
        Ok(whole)
    }

    /// Whether there is no more, or no more is to be looked at. A message is never cut in two.
    fn is_over(&self) -> bool {
        self.ended || self.last.is_some() && self.bounds.are_reached()
    }

    /// How far a walk that is over has come; `None` if it came to its end.
    fn reached(&self) -> Option<[u8; 20]> {
        self.last.filter(|_| !self.ended).map(|id| *id.raw())
    }
}

pub(super) async fn at_endpoint(
    conn: &Conn,
    tenant: Tenant,
    endpoint: EndpointId,
    wanted: &Wanted,
    page: &PageRequest<MessageId>,
) -> Result<Page<EndpointMessage>> {
    let Wanted { filter, statuses, with_body } = wanted;
    let window = Window::new(page).within(filter.after, filter.before, MessageId::floor);
    let mut walk = Records::along(&window);
    let mut found: Vec<EndpointMessage> = Vec::new();
    loop {
        let (mut ids, mut standing) = (Vec::new(), HashMap::new());
        for records in walk.next(conn, tenant, endpoint).await? {
            let (Some(first), Some(stands)) = (records.first(), combined(&records)) else {
                continue;
            };
            if statuses.is_empty() || statuses.contains(&stands.0) {
                ids.push(first.message);
                standing.insert(first.message, stands);
            }
        }
        let mut messages = messages::matching(conn, tenant, &ids, filter).await?;
        messages.truncate(window.wanted() - found.len());
        // A full page ends here, even if some of it goes before its body is read.
        let full = found.len() + messages.len() == window.wanted();
        let mut end = messages.last().filter(|_| full).map(|message| *message.id.raw());
        if *with_body {
            let heavy;
            (messages, heavy) =
                messages::with_bodies(conn, tenant, &messages, &mut walk.bounds).await?;
            if heavy {
                end = messages.last().map(|message| *message.id.raw());
            }
        }
        for message in messages {
            if let Some((status, next_attempt)) = standing.remove(&message.id) {
                found.push(EndpointMessage { message, status, next_attempt });
            }
        }
        if end.is_some() || walk.is_over() {
            return Ok(window.page_until(found, end.or_else(|| walk.reached())));
        }
    }
}

pub(super) async fn of_message(
    conn: &Conn,
    tenant: Tenant,
    message: MessageId,
    page: &PageRequest<EndpointId>,
) -> Result<Page<MessageEndpoint>> {
    let window = Window::new(page);
    let mut listed = messages::endpoints(conn, tenant, message).await?.unwrap_or_default();
    listed.retain(|endpoint| window.holds(endpoint));
    listed.sort_unstable();
    if window.is_descending() {
        listed.reverse();
    }
    let mut found = Vec::new();
    for chunk in listed.chunks(window.wanted()) {
        let mut by_endpoint: HashMap<EndpointId, Vec<DeliveryRecord>> = HashMap::new();
        for record in records(conn, tenant, message, chunk).await? {
            by_endpoint.entry(record.endpoint).or_default().push(record);
        }
        for endpoint in chunk {
            let stands = by_endpoint.get(endpoint).and_then(|records| combined(records));
            found.extend(stands.map(|(status, next_attempt)| MessageEndpoint {
                endpoint: *endpoint,
                status,
                next_attempt,
            }));
            if found.len() == window.wanted() {
                return Ok(window.page(found));
            }
        }
    }
    Ok(window.page(found))
}
