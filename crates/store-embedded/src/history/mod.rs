//! What was sent and what came of it. Lists walk an index in the order they are shown in and filter as
//! they go, over a bounded number of rows and bytes.

mod attempts;
mod counts;
mod messages;
mod recovery;
mod standing;

use async_trait::async_trait;
use domain::{
    attempt::Attempt,
    clock::Timestamp,
    id::{AttemptId, EndpointId, MessageId},
    message::Message,
    name::Ref,
    page::{Page, PageRequest},
};
use rusqlite::{Connection, OptionalExtension};
use store::{
    History,
    history::{
        AttemptFilter, DeliveryRecord, EndpointCounts, EndpointMessage, MOST_PAGE_BYTES,
        MessageEndpoint, MessageFilter, Status, Tenant,
    },
};

use crate::{EmbeddedStore, error::Result, writer::Label};

/// Most rows that one call looks at: few enough to be read from a disk in the second that a read has.
const MOST_ROWS: usize = 10_000;

/// How much one call has looked at.
#[derive(Default)]
struct Bounds {
    rows: usize,
    bytes: usize,
}

impl Bounds {
    /// Counts one more row, with this much in it; true if that was enough.
    fn reached_by(&mut self, bytes: usize) -> bool {
        self.rows += 1;
        self.bytes += bytes;
        self.rows >= MOST_ROWS || self.bytes >= MOST_PAGE_BYTES
    }
}

/// The number of an application, deleted or not.
fn app_no(conn: &Connection, tenant: Tenant) -> Result<Option<i64>> {
    let sql = "/* tenant */ SELECT a.no FROM organization o
               JOIN application a ON a.org_no = o.no AND a.id = ?2 WHERE o.id = ?1";
    let params = [tenant.org.raw(), tenant.app.raw()];
    Ok(conn.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?)
}

/// The numbers of an endpoint.
struct Place {
    app_no: i64,
    endpoint_no: i64,
    lane: i64,
}

/// The numbers of an endpoint, deleted or not.
fn place(conn: &Connection, tenant: Tenant, endpoint: EndpointId) -> Result<Option<Place>> {
    let sql = "/* tenant */ SELECT a.no, e.no, e.lane FROM organization o
               JOIN application a ON a.org_no = o.no AND a.id = ?2
               JOIN endpoint e ON e.app_no = a.no AND e.id = ?3 WHERE o.id = ?1";
    let params = [tenant.org.raw(), tenant.app.raw(), endpoint.raw()];
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Place { app_no: row.get(0)?, endpoint_no: row.get(1)?, lane: row.get(2)? })
    };
    Ok(conn.prepare_cached(sql)?.query_row(params, read).optional()?)
}

#[async_trait]
impl History for EmbeddedStore {
    async fn messages(
        &self,
        tenant: Tenant,
        filter: MessageFilter,
        page: PageRequest<MessageId>,
        with_body: bool,
    ) -> store::Result<Page<Message>> {
        self.readers.read(move |conn| messages::list(conn, tenant, &filter, &page, with_body)).await
    }

    async fn message(
        &self,
        tenant: Tenant,
        message: &Ref<MessageId>,
    ) -> store::Result<Option<Message>> {
        let message = message.clone();
        self.readers.read(move |conn| messages::find(conn, tenant, &message)).await
    }

    async fn messages_by_id(
        &self,
        tenant: Tenant,
        ids: Vec<MessageId>,
        with_body: bool,
    ) -> store::Result<Vec<Message>> {
        self.readers.read(move |conn| messages::by_id(conn, tenant, &ids, with_body)).await
    }

    async fn attempts_by_endpoint(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        filter: AttemptFilter,
        page: PageRequest<AttemptId>,
    ) -> store::Result<Page<Attempt>> {
        self.readers
            .read(move |conn| attempts::by_endpoint(conn, tenant, endpoint, &filter, &page))
            .await
    }

    async fn attempts_by_message(
        &self,
        tenant: Tenant,
        message: MessageId,
        filter: AttemptFilter,
        page: PageRequest<AttemptId>,
    ) -> store::Result<Page<Attempt>> {
        self.readers
            .read(move |conn| attempts::by_message(conn, tenant, message, &filter, &page))
            .await
    }

    async fn attempt(
        &self,
        tenant: Tenant,
        message: MessageId,
        attempt: AttemptId,
    ) -> store::Result<Option<Attempt>> {
        self.readers.read(move |conn| attempts::find(conn, tenant, message, attempt)).await
    }

    async fn endpoint_messages(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        filter: MessageFilter,
        statuses: Vec<Status>,
        page: PageRequest<MessageId>,
        with_body: bool,
    ) -> store::Result<Page<EndpointMessage>> {
        let wanted = standing::Wanted { filter, statuses, with_body };
        self.readers
            .read(move |conn| standing::at_endpoint(conn, tenant, endpoint, &wanted, &page))
            .await
    }

    async fn message_endpoints(
        &self,
        tenant: Tenant,
        message: MessageId,
        page: PageRequest<EndpointId>,
    ) -> store::Result<Page<MessageEndpoint>> {
        self.readers.read(move |conn| standing::of_message(conn, tenant, message, &page)).await
    }

    async fn delivery_records(
        &self,
        tenant: Tenant,
        messages: Vec<MessageId>,
        endpoint: EndpointId,
    ) -> store::Result<Vec<DeliveryRecord>> {
        self.readers
            .read(move |conn| {
                let Some(place) = place(conn, tenant, endpoint)? else { return Ok(Vec::new()) };
                let mut records = Vec::new();
                for message in &messages {
                    let of_one = standing::records(conn, place.endpoint_no, endpoint, *message)?;
                    records.extend(of_one);
                }
                Ok(records)
            })
            .await
    }

    async fn endpoint_counts(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        since: Timestamp,
        until: Timestamp,
    ) -> store::Result<EndpointCounts> {
        counts::count(&self.readers, &*self.ports.clock, tenant, endpoint, (since, until)).await
    }

    async fn failed_messages(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        range: (Timestamp, Timestamp),
        after: Option<AttemptId>,
        limit: usize,
    ) -> store::Result<(Vec<MessageId>, Option<AttemptId>)> {
        self.readers
            .read(move |conn| recovery::failed(conn, tenant, endpoint, range, after, limit))
            .await
    }

    async fn expunge_message(
        &self,
        tenant: Tenant,
        message: MessageId,
        now: Timestamp,
    ) -> store::Result<bool> {
        self.writer
            .write(Label::other("expunge_message"), move |tx| {
                messages::expunge(tx, tenant, message, now)
            })
            .await
    }

    async fn expunge_attempt(
        &self,
        tenant: Tenant,
        message: MessageId,
        attempt: AttemptId,
    ) -> store::Result<bool> {
        self.writer
            .write(Label::other("expunge_attempt"), move |tx| {
                attempts::expunge(tx, tenant, message, attempt)
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        id::{ApplicationId, OrganizationId},
        page::{Cursor, Order},
    };

    use super::*;

    /// A list that comes to the bound of rows before it finds anything says so, and how far it came.
    #[test]
    fn what_is_far_behind_is_found() {
        let conn = Connection::open_in_memory().expect("opens");
        conn.execute_batch(include_str!("../../migrations/0001.sql")).expect("migrates");
        let tenant = Tenant {
            org: OrganizationId::from_raw([1; 20]),
            app: ApplicationId::from_raw([2; 20]),
        };
        conn.execute(
            "INSERT INTO organization VALUES (1, ?1, '{}', 0)",
            [tenant.org.raw().as_slice()],
        )
        .expect("inserts");
        conn.execute(
            "INSERT INTO application VALUES (3, 1, ?1, NULL, '', NULL, '{}', 0, 0, NULL, 0)",
            [tenant.app.raw().as_slice()],
        )
        .expect("inserts");
        let rows = MOST_ROWS + 5;
        conn.execute_batch(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO message (app_no, id, event_type, tags, origin, created_at, expires_at,
                 routed, endpoints)
             SELECT 3, CAST(zeroblob(16) || unhex(printf('%08x', i)) AS BLOB), 'a',
                 iif(i = 1, 't', NULL), 0, 0, 0, 0, x'' FROM n;"
        ))
        .expect("inserts");
        let filter =
            MessageFilter { tag: Some("t".parse().expect("a tag")), ..MessageFilter::default() };
        let mut page = PageRequest { limit: 9, order: Order::Descending, cursor: None };
        let first = messages::list(&conn, tenant, &filter, &page, false).expect("a page");
        assert!(first.items.is_empty() && !first.done);
        let reached = MessageId::from_raw(first.reached.expect("it says how far it came"));
        page.cursor = Some(Cursor::After(reached));
        let second = messages::list(&conn, tenant, &filter, &page, false).expect("a page");
        assert_eq!((second.items.len(), second.done, second.reached), (1, true, None));
    }
}
