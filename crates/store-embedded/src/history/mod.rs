//! What was sent and what came of it. Lists walk an index in the order they are shown in and filter as
//! they go, over a bounded number of rows.

mod attempts;
mod messages;
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
        AttemptFilter, DeliveryRecord, EndpointCounts, EndpointMessage, MessageEndpoint,
        MessageFilter, Status, Tenant,
    },
};

use crate::{EmbeddedStore, error::Result, writer::Label};

/// Most rows that one call looks at.
const MOST_ROWS: usize = 50_000;

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
        status: Option<Status>,
        page: PageRequest<MessageId>,
        with_body: bool,
    ) -> store::Result<Page<EndpointMessage>> {
        let wanted = standing::Wanted { filter, status, with_body };
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
        message: MessageId,
        endpoint: EndpointId,
    ) -> store::Result<Vec<DeliveryRecord>> {
        self.readers
            .read(move |conn| match place(conn, tenant, endpoint)? {
                Some(place) => standing::records(conn, place.endpoint_no, endpoint, message),
                None => Ok(Vec::new()),
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
        self.readers.read(move |conn| standing::counts(conn, tenant, endpoint, since, until)).await
    }

    async fn failed_messages(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        range: (Timestamp, Timestamp),
        after: Option<MessageId>,
        limit: usize,
    ) -> store::Result<(Vec<MessageId>, Option<MessageId>)> {
        self.readers
            .read(move |conn| standing::failed(conn, tenant, endpoint, range, after, limit))
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
