//! What was sent and what came of it. Lists walk an index in the order they are shown in, a chunk of
//! rows at a time, and filter as they go, over a bounded number of rows, of bytes, and of time.
//!
//! Each chunk sees its own moment, as each page of a list does. What is read by the keys of a chunk is
//! read key by key (`unnest … CROSS JOIN LATERAL … LIMIT`): so it takes as long as there are keys,
//! whatever is known of the tables. Bounds on the key that partitions go by stand beside it, for those
//! that hold none of it to be left out.

mod attempts;
mod counts;
mod messages;
mod recovery;
mod standing;
mod walk;

use async_trait::async_trait;
use domain::{
    attempt::Attempt,
    clock::Timestamp,
    id::{AttemptId, EndpointId, MessageId},
    message::Message,
    name::Ref,
    page::{Page, PageRequest},
};
use store::{
    History,
    history::{
        AttemptFilter, DeliveryRecord, EndpointCounts, EndpointMessage, MessageEndpoint,
        MessageFilter, Status, Tenant,
    },
};

use crate::PostgresStore;

#[async_trait]
impl History for PostgresStore {
    async fn messages(
        &self,
        tenant: Tenant,
        filter: MessageFilter,
        page: PageRequest<MessageId>,
        with_body: bool,
    ) -> store::Result<Page<Message>> {
        let conn = self.shared.read().await?;
        Ok(messages::list(&conn, tenant, &filter, &page, with_body).await?)
    }

    async fn message(
        &self,
        tenant: Tenant,
        message: &Ref<MessageId>,
    ) -> store::Result<Option<Message>> {
        let conn = self.shared.read().await?;
        Ok(messages::find(&conn, tenant, message).await?)
    }

    async fn messages_by_id(
        &self,
        tenant: Tenant,
        ids: Vec<MessageId>,
        with_body: bool,
    ) -> store::Result<Vec<Message>> {
        let conn = self.shared.read().await?;
        Ok(messages::by_id(&conn, tenant, &ids, with_body).await?)
    }

    async fn attempts_by_endpoint(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        filter: AttemptFilter,
        page: PageRequest<AttemptId>,
    ) -> store::Result<Page<Attempt>> {
        let conn = self.shared.read().await?;
        Ok(attempts::by_endpoint(&conn, tenant, endpoint, &filter, &page).await?)
    }

    async fn attempts_by_message(
        &self,
        tenant: Tenant,
        message: MessageId,
        filter: AttemptFilter,
        page: PageRequest<AttemptId>,
    ) -> store::Result<Page<Attempt>> {
        let conn = self.shared.read().await?;
        Ok(attempts::by_message(&conn, tenant, message, &filter, &page).await?)
    }

    async fn attempt(
        &self,
        tenant: Tenant,
        message: MessageId,
        attempt: AttemptId,
    ) -> store::Result<Option<Attempt>> {
        let conn = self.shared.read().await?;
        Ok(attempts::find(&conn, tenant, message, attempt).await?)
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
        let conn = self.shared.read().await?;
        Ok(standing::at_endpoint(&conn, tenant, endpoint, &wanted, &page).await?)
    }

    async fn message_endpoints(
        &self,
        tenant: Tenant,
        message: MessageId,
        page: PageRequest<EndpointId>,
    ) -> store::Result<Page<MessageEndpoint>> {
        let conn = self.shared.read().await?;
        Ok(standing::of_message(&conn, tenant, message, &page).await?)
    }

    async fn delivery_records(
        &self,
        tenant: Tenant,
        messages: Vec<MessageId>,
        endpoint: EndpointId,
    ) -> store::Result<Vec<DeliveryRecord>> {
        let conn = self.shared.read().await?;
        Ok(standing::records_at(&conn, tenant, &messages, endpoint).await?)
    }

    async fn endpoint_counts(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        since: Timestamp,
        until: Timestamp,
    ) -> store::Result<EndpointCounts> {
        Ok(counts::count(&self.shared, tenant, endpoint, (since, until)).await?)
    }

    async fn failed_messages(
        &self,
        tenant: Tenant,
        endpoint: EndpointId,
        range: (Timestamp, Timestamp),
        after: Option<AttemptId>,
        limit: usize,
    ) -> store::Result<(Vec<MessageId>, Option<AttemptId>)> {
        let conn = self.shared.read().await?;
        Ok(recovery::failed(&conn, tenant, endpoint, range, after, limit).await?)
    }

    async fn expunge_message(
        &self,
        tenant: Tenant,
        message: MessageId,
        now: Timestamp,
    ) -> store::Result<bool> {
        Ok(messages::expunge(&self.shared, tenant, message, now).await?)
    }

    async fn expunge_attempt(
        &self,
        tenant: Tenant,
        message: MessageId,
        attempt: AttemptId,
    ) -> store::Result<bool> {
        Ok(attempts::expunge(&self.shared, tenant, message, attempt).await?)
    }
}
