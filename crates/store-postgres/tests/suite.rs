//! The conformance suite of `store`, over this store.

mod common;

use std::sync::Arc;

use common::Database;

async fn make_store() -> (Arc<dyn store::Store>, Database) {
    let database = Database::new();
    (Arc::new(database.open(77).await), database)
}

store::suite::tests!(in_one_process make_store);
