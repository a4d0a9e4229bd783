//! Dropping partitions.

use domain::id::MessageId;
use store::housekeeping::Swept;

use super::{
    count,
    history::{Deliveries, Messages},
    payloads::MOVE_MARK,
};
use crate::{
    Shared, analytics,
    error::Result,
    partitions::{Change, Partition, Table},
};

/// Most deliveries that move while nobody can use history. A partition where more would have to (of an
/// endpoint that is disabled, perhaps) stays until they are fewer.
const MOST_MOVED: usize = 5_000;

/// What became of a partition.
#[derive(Default)]
pub(super) enum Dropped {
    Gone(Swept),
    /// Too much of it has work left.
    Busy,
    /// It is in use, or another node was first.
    #[default]
    NotNow,
}

/// Drops a partition of messages and that of their deliveries.
pub(super) async fn drop_messages(shared: &Shared, partition: &Partition) -> Result<Dropped> {
    let change = Change::begin(shared).await?;
    let partitions = change.partitions().await?;
    let deliveries = partitions.iter().find(|other| {
        other.table == Table::Delivery && (other.from, other.to) == (partition.from, partition.to)
    });
    let there = partitions.iter().any(|other| other.is(partition));
    let Some(deliveries) = deliveries.filter(|_| there) else {
        return Ok(Dropped::NotNow);
    };
    let (message, delivery) = (partition.name.as_str(), deliveries.name.as_str());
    change.keep_vacuum_away(&[message, delivery, "message_default", "delivery_default"]).await?;
    // Whoever adds work to a message locks it, and waits from here on. It is read as before.
    change.lock(&[message], "EXCLUSIVE").await?;
    let (from, to) = (MessageId::floor(partition.from), MessageId::floor(partition.to));
    let most = i64::try_from(MOST_MOVED).unwrap_or(i64::MAX) + 1;
    let busy = change
        .query(
            "/* sweep */ SELECT DISTINCT org, app, message FROM due
             WHERE message >= $1 AND message < $2 LIMIT $3",
            &[&from.raw().as_slice(), &to.raw().as_slice(), &most],
        )
        .await?;
    if busy.len() > MOST_MOVED {
        return Ok(Dropped::Busy);
    }
    let busy = Messages::of(&busy)?;
    let (all_messages, all_deliveries) =
        (change.rows(partition).await?, change.rows(deliveries).await?);
    // The few rows are found by their keys, whatever is known of the tables.
    change
        .batch(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off;
             SET LOCAL enable_mergejoin = off",
        )
        .await?;
    let sql = format!(
        "/* sweep */ SELECT m.org, m.app, m.id, m.endpoints
         FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS u (org, app, id)
         JOIN {message} m ON m.org = u.org AND m.app = u.app AND m.id = u.id"
    );
    let kept = change.query(&sql, &[&busy.org, &busy.app, &busy.id]).await?;
    let (messages, targets) = (Messages::of(&kept)?, Deliveries::of(&kept)?);
    if targets.endpoint.len() > MOST_MOVED {
        return Ok(Dropped::Busy);
    }

    change.execute(analytics::SWEEP_HISTORY, &[&partition.to.as_micros()]).await?;
    change.alone(&["message", "delivery"]).await?;
    change
        .batch(&format!(
            "ALTER TABLE message DETACH PARTITION {message};
             ALTER TABLE delivery DETACH PARTITION {delivery}"
        ))
        .await?;
    let mut moved = 0;
    if !kept.is_empty() {
        let sql = format!(
            "/* sweep */ INSERT INTO message
             SELECT m.* FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS u (org, app, id)
             JOIN {message} m ON m.org = u.org AND m.app = u.app AND m.id = u.id"
        );
        change.execute(&sql, &[&messages.org, &messages.app, &messages.id]).await?;
        let sql = format!(
            "/* sweep */ INSERT INTO delivery SELECT d.*
             FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[])
                 AS u (org, app, endpoint, message)
             JOIN {delivery} d ON d.org = u.org AND d.app = u.app AND d.endpoint = u.endpoint
                 AND d.message = u.message"
        );
        moved = count(change.execute(&sql, &targets.params()).await?)?;
    }
    change.batch(&format!("DROP TABLE {message}, {delivery}")).await?;
    change.commit().await?;
    Ok(Dropped::Gone(Swept {
        messages: all_messages.saturating_sub(kept.len()),
        deliveries: all_deliveries.saturating_sub(moved),
        ..Swept::default()
    }))
}

/// Drops a partition of attempts.
pub(super) async fn drop_attempts(shared: &Shared, partition: &Partition) -> Result<Dropped> {
    let change = Change::begin(shared).await?;
    if !change.partitions().await?.iter().any(|other| other.is(partition)) {
        return Ok(Dropped::NotNow);
    }
    let name = partition.name.as_str();
    change.keep_vacuum_away(&[name, "attempt_default"]).await?;
    let attempts = change.rows(partition).await?;
    change.execute(analytics::SWEEP_HISTORY, &[&partition.to.as_micros()]).await?;
    change.alone(&["attempt"]).await?;
    change.batch(&format!("DROP TABLE {name}")).await?;
    change.commit().await?;
    Ok(Dropped::Gone(Swept { attempts, ..Swept::default() }))
}

/// Drops a partition of bodies; how many went, `None` if another node was first.
pub(super) async fn drop_payloads(shared: &Shared, partition: &Partition) -> Result<Option<usize>> {
    let change = Change::begin(shared).await?;
    if !change.partitions().await?.iter().any(|other| other.is(partition)) {
        return Ok(None);
    }
    let name = partition.name.as_str();
    change.keep_vacuum_away(&[name, "payload_default"]).await?;
    let payloads = change.rows(partition).await?;
    // What is gone must not be missed: the mark is behind the end of the partition in any case.
    change.execute(MOVE_MARK, &[&partition.to.as_micros()]).await?;
    change.alone(&["payload"]).await?;
    change.batch(&format!("DROP TABLE {name}")).await?;
    change.commit().await?;
    Ok(Some(payloads))
}
