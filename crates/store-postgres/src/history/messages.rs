//! Messages: lists, look-ups, and the end of a payload.

use domain::{
    clock::Timestamp,
    delivery::{Cause, EndState},
    id::{EndpointId, MessageId},
    message::Message,
    name::Ref,
    page::{Page, PageRequest},
};
use store::{
    history::{MessageFilter, Tenant},
    paging::Window,
};

use super::walk::{Bounds, Walk};
use crate::{
    Shared,
    conn::{Conn, Params, Tx},
    ending::{self, MOST_CONFLICTS, Pending},
    error::{Error, Result},
    feed, rows,
};

pub(super) async fn list(
    conn: &Conn,
    tenant: Tenant,
    filter: &MessageFilter,
    page: &PageRequest<MessageId>,
    with_body: bool,
) -> Result<Page<Message>> {
    let window = Window::new(page).within(filter.after, filter.before, MessageId::floor);
    let sql = format!(
        "/* messages */ SELECT {} FROM message m
         WHERE m.org = $1 AND m.app = $2 AND m.id > $3 AND m.id < $4 ORDER BY m.id {} LIMIT $5",
        rows::MESSAGE,
        window.direction()
    );
    let mut walk = Walk::along(&window);
    let mut messages: Vec<Message> = Vec::new();
    loop {
        let mut matching = Vec::new();
        for row in walk.next(conn, &sql, tenant, None).await? {
            if messages.len() + matching.len() < window.wanted()
                && rows::labels_match(&row, 1, filter)?
            {
                matching.push(rows::message(&row, tenant)?);
            }
        }
        // A full page ends here, even if some of it goes before its body is read.
        let full = messages.len() + matching.len() == window.wanted();
        let mut end = matching.last().filter(|_| full).map(|message| *message.id.raw());
        if with_body {
            let heavy;
            (matching, heavy) = with_bodies(conn, tenant, &matching, &mut walk.bounds).await?;
            if heavy {
                end = matching.last().map(|message| *message.id.raw());
            }
        }
        messages.append(&mut matching);
        if end.is_some() {
            return Ok(window.page_until(messages, end));
        }
        if walk.is_over() {
            return Ok(window.page_until(messages, walk.reached()));
        }
    }
}

/// Reads messages once more, with their bodies, in the same order, as far as bounds let it: true if the
/// last one that is given back has reached them. One that has gone meanwhile is left out.
pub(super) async fn with_bodies(
    conn: &Conn,
    tenant: Tenant,
    bare: &[Message],
    bounds: &mut Bounds,
) -> Result<(Vec<Message>, bool)> {
    let ids: Vec<&[u8]> = bare.iter().map(|message| message.id.raw().as_slice()).collect();
    let expiry = || bare.iter().map(|message| message.expires_at.as_micros());
    let Some(((first, last), (soonest, latest))) =
        span(&ids).zip(expiry().min().zip(expiry().max()))
    else {
        return Ok((Vec::new(), false));
    };
    // A body is never stored larger than it is: what this leaves out lies behind the bound.
    let sql = format!(
        "/* bodies */ SELECT * FROM (
             SELECT found.*, u.place, coalesce(sum(octet_length(found.body)) OVER (ORDER BY u.place
                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
             FROM unnest($3::bytea[]) WITH ORDINALITY AS u (id, place)
             CROSS JOIN LATERAL (SELECT {}, {} FROM message m {}
                 WHERE m.org = $1 AND m.app = $2 AND m.id = u.id AND m.id BETWEEN $4 AND $5
                 LIMIT 1) found
         ) read WHERE before < $8 ORDER BY place",
        rows::MESSAGE,
        rows::PAYLOAD,
        rows::join_payload("AND p.expires_at BETWEEN $6 AND $7")
    );
    let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
    let left = i64::try_from(bounds.bytes_left()).map_err(Error::corrupt)?;
    let params: Params<'_> = &[&org, &app, &ids, &first, &last, &soonest, &latest, &left];
    let mut read = Vec::new();
    for row in conn.query(&sql, params).await? {
        let message = rows::message_with_body(&row, tenant)?;
        let bytes = message.body.as_ref().map_or(0, |body| body.bytes.len());
        read.push(message);
        if bounds.add_bytes(bytes) {
            return Ok((read, true));
        }
    }
    Ok((read, false))
}

/// Those of an application's messages that meet a filter, without their bodies, in the order of `ids`.
pub(super) async fn matching(
    conn: &Conn,
    tenant: Tenant,
    ids: &[MessageId],
    filter: &MessageFilter,
) -> Result<Vec<Message>> {
    let ids: Vec<&[u8]> = ids.iter().map(|id| id.raw().as_slice()).collect();
    let Some((first, last)) = span(&ids) else { return Ok(Vec::new()) };
    let sql = format!(
        "/* messages_by_id */ SELECT found.* FROM unnest($3::bytea[]) WITH ORDINALITY AS u (id, place)
         CROSS JOIN LATERAL (SELECT {} FROM message m
             WHERE m.org = $1 AND m.app = $2 AND m.id = u.id AND m.id BETWEEN $4 AND $5
             LIMIT 1) found ORDER BY u.place",
        rows::MESSAGE
    );
    let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
    let mut messages = Vec::new();
    for row in conn.query(&sql, &[&org, &app, &ids, &first, &last]).await? {
        if rows::labels_match(&row, 1, filter)? {
            messages.push(rows::message(&row, tenant)?);
        }
    }
    Ok(messages)
}

/// The lowest and the highest of some ids; `None` of none.
pub(super) fn span<'a>(ids: &[&'a [u8]]) -> Option<(&'a [u8], &'a [u8])> {
    ids.iter().copied().min().zip(ids.iter().copied().max())
}

pub(super) async fn by_id(
    conn: &Conn,
    tenant: Tenant,
    ids: &[MessageId],
    with_body: bool,
) -> Result<Vec<Message>> {
    let bare = matching(conn, tenant, ids, &MessageFilter::default()).await?;
    if !with_body {
        return Ok(bare);
    }
    // As many at a time as a page may weigh.
    let (mut messages, mut rest) = (Vec::new(), &bare[..]);
    loop {
        let (mut read, heavy) =
            with_bodies(conn, tenant, rest, &mut Bounds::new(rest.len())).await?;
        let last = read.last().map(|message| message.id);
        messages.append(&mut read);
        let Some(at) = rest.iter().position(|message| Some(message.id) == last).filter(|_| heavy)
        else {
            return Ok(messages);
        };
        rest = &rest[at + 1..];
    }
}

pub(super) async fn find(
    conn: &Conn,
    tenant: Tenant,
    message: &Ref<MessageId>,
) -> Result<Option<Message>> {
    let id = match message {
        Ref::Id(id) => *id,
        Ref::Uid(event_id) => {
            let sql = "/* message */ SELECT id FROM message
                 WHERE org = $1 AND app = $2 AND event_id = $3 ORDER BY id DESC LIMIT 1";
            let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
            match conn.query_opt(sql, &[&org, &app, &event_id.as_str()]).await? {
                Some(row) => rows::id(&row, 0)?,
                None => return Ok(None),
            }
        }
    };
    Ok(by_id(conn, tenant, &[id], true).await?.pop())
}

/// The endpoints that a message ever went to; `None` if there is no such message.
pub(super) async fn endpoints(
    conn: &Conn,
    tenant: Tenant,
    message: MessageId,
) -> Result<Option<Vec<EndpointId>>> {
    let sql = "/* message */ SELECT endpoints FROM message WHERE org = $1 AND app = $2 AND id = $3";
    let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
    let found = conn.query_opt(sql, &[&org, &app, &message.raw().as_slice()]).await?;
    found.map(|row| Ok(rows::ids(rows::bytes(&row, 0)?))).transpose()
}

/// Takes the payload away, and ends what is pending of it.
pub(super) async fn expunge(
    shared: &Shared,
    tenant: Tenant,
    message: MessageId,
    now: Timestamp,
) -> Result<bool> {
    let mut conflicts = 0;
    loop {
        let tx = shared.begin().await?;
        match expunge_in(&tx, tenant, message, now).await {
            Ok(true) => {
                tx.commit().await?;
                return Ok(true);
            }
            Ok(false) => {
                tx.rollback().await?;
                return Ok(false);
            }
            Err(error) if error.is_conflict() && conflicts < MOST_CONFLICTS => {
                tx.rollback().await?;
                conflicts += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn expunge_in(tx: &Tx, tenant: Tenant, message: MessageId, now: Timestamp) -> Result<bool> {
    let (org, app) = (tenant.org.raw().as_slice(), tenant.app.raw().as_slice());
    let id = message.raw().as_slice();
    // Locked: no delivery is added to it from now on.
    let sql = "/* expunge_message */ SELECT endpoints, expires_at, has_payload FROM message
               WHERE org = $1 AND app = $2 AND id = $3 FOR UPDATE";
    let Some(row) = tx.query_opt(sql, &[&org, &app, &id]).await? else { return Ok(false) };
    if rows::get(&row, 2)? {
        let sql = "/* expunge_message */ UPDATE message SET has_payload = false
                   WHERE org = $1 AND app = $2 AND id = $3";
        tx.execute(sql, &[&org, &app, &id]).await?;
        let sql = "/* expunge_message */ DELETE FROM payload
                   WHERE org = $1 AND app = $2 AND message = $3 AND expires_at = $4";
        tx.execute(sql, &[&org, &app, &id, &rows::get::<i64>(&row, 1)?]).await?;
    }
    let pending = pending(tx, tenant, message, &rows::ids(rows::bytes(&row, 0)?)).await?;
    let end = (EndState::Cancelled, Cause::Expunged);
    ending::end_pending(tx, &pending, end, now).await?;
    feed::note_expunged(tx, tenant.org, tenant.app, message).await?;
    Ok(true)
}

/// What is pending of a message.
async fn pending(
    tx: &Tx,
    Tenant { org, app }: Tenant,
    message: MessageId,
    endpoints: &[EndpointId],
) -> Result<Vec<Pending>> {
    let sql = "/* expunge_message */ SELECT d.endpoint, d.delivery, d.next_due
         FROM unnest($3::bytea[]) AS u (endpoint)
         CROSS JOIN LATERAL (SELECT d.endpoint, d.delivery, d.next_due FROM delivery d
             WHERE d.org = $1 AND d.app = $2 AND d.endpoint = u.endpoint AND d.message = $4
             AND d.state IS NULL OFFSET 0) d";
    let endpoints: Vec<&[u8]> = endpoints.iter().map(|id| id.raw().as_slice()).collect();
    let key = (org.raw().as_slice(), app.raw().as_slice(), message.raw().as_slice());
    let found = tx.query(sql, &[&key.0, &key.1, &endpoints, &key.2]).await?;
    let pending = |row: &tokio_postgres::Row| {
        let (endpoint, delivery) = (rows::id(row, 0)?, rows::id(row, 1)?);
        Ok(Pending { org, app, endpoint, message, delivery, due: rows::time(row, 2)? })
    };
    found.iter().map(pending).collect()
}
