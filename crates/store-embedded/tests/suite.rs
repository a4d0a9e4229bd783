//! The conformance suite of `store`, over this store.

mod common;

use std::sync::Arc;

use common::Dir;

async fn make_store() -> (Arc<dyn store::Store>, Dir) {
    let dir = Dir::new();
    (Arc::new(dir.open()), dir)
}

store::suite::tests!(make_store);
