//! Fills a data directory with weeks of traffic, made in minutes:
//!
//! ```text
//! cargo run --release -p hookwright-store-embedded --example fill -- \
//!     dir=DATA_DIR [attempts=1000000] [applications=1000] [days=30]
//! ```
//!
//! The directory is one that a server has made: its `master.key` is used. The traffic is of the default
//! organization, and ends now.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use domain::{
    clock::{ManualClock, Timestamp},
    entropy::SeededEntropy,
    id::OrganizationId,
};
use hookwright_store_embedded::{EmbeddedOptions, EmbeddedStore, Ports, disk_space};
use store::{
    suite::fill::{Filling, fill},
    vault::Vault,
};

/// The key of a data directory.
fn key(dir: &std::path::Path) -> [u8; 32] {
    let text = std::fs::read_to_string(dir.join("master.key")).expect("the directory has a key");
    let hex = text.lines().next().expect("a line").trim();
    let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal");
    std::array::from_fn(byte)
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "a tool of its own, which reads the time once")]
async fn main() {
    let args: BTreeMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())))
        .collect();
    let number = |name: &str, default: usize| {
        args.get(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let dir = PathBuf::from(args.get("dir").expect("dir=DATA_DIR"));
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let until = Timestamp::EPOCH.plus(since.expect("after 1970"));
    let from = until.minus(Duration::from_secs(number("days", 30) as u64 * 86_400));
    let clock = Arc::new(ManualClock::new(from));
    let entropy = Arc::new(SeededEntropy::new(1));
    let ports = Ports {
        vault: Arc::new(Vault::new(&[key(&dir)], entropy.clone()).expect("a vault")),
        clock: clock.clone(),
        entropy,
        free_space: Arc::new(disk_space),
        on_fatal: Arc::new(|why| panic!("{why}")),
    };
    let options = EmbeddedOptions { cache_mib: 256, ..EmbeddedOptions::new(&dir) };
    let store = EmbeddedStore::open(&options, ports).expect("opens");
    let org: OrganizationId = OrganizationId::DEFAULT.parse().expect("an id");
    let (attempts, applications) = (number("attempts", 1_000_000), number("applications", 1_000));
    let filling = Filling { attempts, applications, range: (from, until) };
    let progress = |done| eprintln!("{done} attempts");
    fill(&store, org, &clock, filling, progress).await;
}
