//! The reference store keeps the contract.

use std::sync::Arc;

use domain::entropy::SeededEntropy;
use hookwright_store_memory::MemoryStore;
use store::Store;

async fn make_store() -> (Arc<dyn Store>, ()) {
    (Arc::new(MemoryStore::new(Arc::new(SeededEntropy::new(7)))), ())
}

store::suite::tests!(make_store);
