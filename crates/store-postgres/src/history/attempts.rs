//! Attempts: lists, look-ups, and the end of a response.

use std::collections::HashSet;

use domain::{
    attempt::{Attempt, OutcomeClass},
    id::{AttemptId, EndpointId, MessageId},
    page::{Page, PageRequest},
};
use store::{
    history::{AttemptFilter, EXPUNGED_RESPONSE, MessageFilter, Status, Tenant},
    paging::Window,
};
use tokio_postgres::Row;

use super::{
    messages,
    walk::{Bounds, Walk},
};
use crate::{
    Shared,
    conn::Conn,
    error::{Error, Result},
    rows,
};

/// Columns of an attempt `t` by which it is chosen: for [`Seen::read`].
const SEEN: &str =
    "t.id, t.endpoint, t.message, t.class, t.status_code, octet_length(t.response) AS bytes";

/// What is looked at of an attempt before it is read.
struct Seen {
    id: AttemptId,
    endpoint: EndpointId,
    message: MessageId,
    status: Status,
    status_code: i32,
    /// Of its response.
    bytes: usize,
}

impl Seen {
    /// Reads [`SEEN`].
    fn read(row: &Row) -> Result<Self> {
        let succeeded = rows::get::<i16>(row, 3)? == i16::from(OutcomeClass::Success as u8);
        Ok(Self {
            id: rows::id(row, 0)?,
            endpoint: rows::id(row, 1)?,
            message: rows::id(row, 2)?,
            status: if succeeded { Status::Success } else { Status::Fail },
            status_code: rows::get::<Option<i32>>(row, 4)?.unwrap_or(0),
            bytes: usize::try_from(rows::get::<i32>(row, 5)?).map_err(Error::corrupt)?,
        })
    }

    /// Whether it is as wanted, but for what is asked of its message.
    fn matches(&self, filter: &AttemptFilter) -> bool {
        let class = self.status_code / 100 * 100;
        filter.status.is_none_or(|wanted| wanted == self.status)
            && filter.status_code_class.is_none_or(|wanted| i32::from(wanted) == class)
            && filter.endpoint.is_none_or(|wanted| wanted == self.endpoint)
    }
}

/// Whether anything but the time is asked of messages.
fn asks_of_messages(filter: &MessageFilter) -> bool {
    filter.channel.is_some() || filter.tag.is_some() || filter.event_types.is_some()
}

/// A page in the making.
struct Taken {
    attempts: Vec<Attempt>,
    wanted: usize,
}

impl Taken {
    fn new(window: &Window) -> Self {
        Self { attempts: Vec::new(), wanted: window.wanted() }
    }

    /// Reads the first of these. Says which one is the last of the page, if that is among them: it is
    /// full, or heavy enough.
    async fn take(
        &mut self,
        conn: &Conn,
        tenant: Tenant,
        seen: impl Iterator<Item = Seen>,
        bounds: &mut Bounds,
    ) -> Result<Option<[u8; 20]>> {
        let (mut chosen, mut end) = (Vec::new(), None);
        for attempt in seen {
            chosen.push((attempt.id, attempt.endpoint));
            let full = self.attempts.len() + chosen.len() == self.wanted;
            if bounds.add_bytes(attempt.bytes) || full {
                end = Some(*attempt.id.raw());
                break;
            }
        }
        for row in by_key(conn, tenant, &at_endpoint(), &chosen).await? {
            self.attempts.push(rows::attempt(&row, tenant, rows::id(&row, ENDPOINT)?)?);
        }
        Ok(end)
    }
}

/// Columns of an attempt `t`, and which endpoint's it is.
fn at_endpoint() -> String {
    format!("{}, t.endpoint", rows::ATTEMPT)
}

/// The last column of [`at_endpoint`].
const ENDPOINT: usize = 17;

/// Columns of attempts, in the order of `keys`; those that are not there are left out.
async fn by_key(
    conn: &Conn,
    tenant: Tenant,
    columns: &str,
    keys: &[(AttemptId, EndpointId)],
) -> Result<Vec<Row>> {
    let ids: Vec<&[u8]> = keys.iter().map(|(id, _)| id.raw().as_slice()).collect();
    let endpoints: Vec<&[u8]> = keys.iter().map(|(_, id)| id.raw().as_slice()).collect();
    let Some((first, last)) = messages::span(&ids) else { return Ok(Vec::new()) };
    let sql = format!(
        "/* attempts_by_key */ SELECT found.* FROM unnest($3::bytea[], $4::bytea[])
             WITH ORDINALITY AS u (endpoint, id, place)
         CROSS JOIN LATERAL (SELECT {columns} FROM attempt t
             WHERE t.org = $1 AND t.app = $2 AND t.endpoint = u.endpoint AND t.id = u.id
             AND t.id BETWEEN $5 AND $6 LIMIT 1) found ORDER BY u.place"
    );
    let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
    conn.query(&sql, &[&org, &app, &endpoints, &ids, &first, &last]).await
}

pub(super) async fn by_endpoint(
    conn: &Conn,
    tenant: Tenant,
    endpoint: EndpointId,
    filter: &AttemptFilter,
    page: &PageRequest<AttemptId>,
) -> Result<Page<Attempt>> {
    let MessageFilter { after, before, .. } = filter.message;
    let window = Window::new(page).within(after, before, AttemptId::floor);
    let sql = format!(
        "/* attempts_by_endpoint */ SELECT {SEEN} FROM attempt t
         WHERE t.org = $1 AND t.app = $2 AND t.endpoint = $6 AND t.id > $3 AND t.id < $4
         ORDER BY t.id {} LIMIT $5",
        window.direction()
    );
    let mut walk = Walk::along(&window);
    let mut taken = Taken::new(&window);
    loop {
        let mut seen = Vec::new();
        for row in walk.next(conn, &sql, tenant, Some(endpoint)).await? {
            seen.push(Seen::read(&row)?);
        }
        seen.retain(|attempt| attempt.matches(filter));
        if asks_of_messages(&filter.message) {
            let ids: Vec<MessageId> = seen.iter().map(|attempt| attempt.message).collect();
            let wanted = messages::matching(conn, tenant, &ids, &filter.message).await?;
            let wanted: HashSet<MessageId> = wanted.iter().map(|message| message.id).collect();
            seen.retain(|attempt| wanted.contains(&attempt.message));
        }
        let end = taken.take(conn, tenant, seen.into_iter(), &mut walk.bounds).await?;
        if end.is_some() || walk.is_over() {
            return Ok(window.page_until(taken.attempts, end.or_else(|| walk.reached())));
        }
    }
}

pub(super) async fn by_message(
    conn: &Conn,
    tenant: Tenant,
    message: MessageId,
    filter: &AttemptFilter,
    page: &PageRequest<AttemptId>,
) -> Result<Page<Attempt>> {
    let MessageFilter { after, before, .. } = filter.message;
    let window = Window::new(page).within(after, before, AttemptId::floor);
    let mut taken = Taken::new(&window);
    let mut bounds = Bounds::new(window.wanted());
    let listed = listed(conn, tenant, message, filter, &window).await?;
    let mut rest = &listed[..];
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(bounds.next_chunk().min(rest.len()));
        rest = behind;
        let mut seen = Vec::new();
        for row in by_key(conn, tenant, SEEN, chunk).await? {
            seen.push(Seen::read(&row)?);
        }
        seen.retain(|attempt| attempt.matches(filter));
        let end = taken.take(conn, tenant, seen.into_iter(), &mut bounds).await?;
        bounds.add_rows(chunk.len());
        if end.is_some() {
            return Ok(window.page_until(taken.attempts, end));
        }
        if bounds.are_reached() && !rest.is_empty() {
            let reached = chunk.last().map(|(id, _)| *id.raw());
            return Ok(window.page_until(taken.attempts, reached));
        }
    }
    Ok(window.page(taken.attempts))
}

/// The attempts of a message that are on record with its deliveries, in the order of a window.
async fn listed(
    conn: &Conn,
    tenant: Tenant,
    message: MessageId,
    filter: &AttemptFilter,
    window: &Window,
) -> Result<Vec<(AttemptId, EndpointId)>> {
    let Some(mut endpoints) = messages::endpoints(conn, tenant, message).await? else {
        return Ok(Vec::new());
    };
    endpoints.retain(|endpoint| filter.endpoint.is_none_or(|wanted| wanted == *endpoint));
    if asks_of_messages(&filter.message)
        && messages::matching(conn, tenant, &[message], &filter.message).await?.is_empty()
    {
        return Ok(Vec::new());
    }
    let sql = "/* attempts_by_message */ SELECT d.endpoint, d.attempt_ids
         FROM unnest($3::bytea[]) AS u (endpoint)
         CROSS JOIN LATERAL (SELECT d.endpoint, d.attempt_ids FROM delivery d
             WHERE d.org = $1 AND d.app = $2 AND d.endpoint = u.endpoint AND d.message = $4
             OFFSET 0) d";
    let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
    let endpoints: Vec<&[u8]> = endpoints.iter().map(|id| id.raw().as_slice()).collect();
    let found = conn.query(sql, &[&org, &app, &endpoints, &message.raw().as_slice()]).await?;
    let mut listed = Vec::new();
    for row in &found {
        let endpoint = rows::id(row, 0)?;
        let ids = rows::ids::<AttemptId>(rows::bytes(row, 1)?);
        listed.extend(ids.into_iter().map(|id| (id, endpoint)));
    }
    listed.retain(|(id, _)| window.holds(id));
    listed.sort_unstable();
    if window.is_descending() {
        listed.reverse();
    }
    Ok(listed)
}

pub(super) async fn find(
    conn: &Conn,
    tenant: Tenant,
    message: MessageId,
    attempt: AttemptId,
) -> Result<Option<Attempt>> {
    let Some(endpoints) = messages::endpoints(conn, tenant, message).await? else {
        return Ok(None);
    };
    let keys: Vec<_> = endpoints.into_iter().map(|endpoint| (attempt, endpoint)).collect();
    for row in by_key(conn, tenant, &at_endpoint(), &keys).await? {
        let found = rows::attempt(&row, tenant, rows::id(&row, ENDPOINT)?)?;
        if found.message == message {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Takes the response away.
pub(super) async fn expunge(
    shared: &Shared,
    tenant: Tenant,
    message: MessageId,
    attempt: AttemptId,
) -> Result<bool> {
    let tx = shared.begin().await?;
    let Some(found) = find(&tx, tenant, message, attempt).await? else {
        tx.rollback().await?;
        return Ok(false);
    };
    let sql = "/* expunge_attempt */ UPDATE attempt SET response = $5
               WHERE org = $1 AND app = $2 AND endpoint = $3 AND id = $4";
    let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
    let (endpoint, id) = (found.endpoint.raw().as_slice(), attempt.raw().as_slice());
    tx.execute(sql, &[&org, &app, &endpoint, &id, &&EXPUNGED_RESPONSE[..]]).await?;
    tx.commit().await?;
    Ok(true)
}
