//! Fills a database with weeks of traffic, made in minutes:
//!
//! ```text
//! cargo run --release -p hookwright-store-postgres --example fill -- \
//!     url=postgres://… key=MASTER_KEY [attempts=1000000] [applications=1000] [days=30]
//! ```
//!
//! The master key is that of the servers that use the database. The traffic is of the default
//! organization, and ends now.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{
    clock::{ManualClock, Timestamp},
    entropy::SeededEntropy,
    id::OrganizationId,
};
use hookwright_store_postgres::{Ports, PostgresOptions, PostgresStore};
use store::{
    suite::fill::{Filling, fill},
    vault::Vault,
};

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "a tool of its own, which reads the time once")]
async fn main() {
    let args: BTreeMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())))
        .collect();
    let number = |name: &str, default: usize| {
        args.get(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let hex = args.get("key").expect("key=MASTER_KEY");
    let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal");
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let until = Timestamp::EPOCH.plus(since.expect("after 1970"));
    let from = until.minus(Duration::from_secs(number("days", 30) as u64 * 86_400));
    let clock = Arc::new(ManualClock::new(from));
    let entropy = Arc::new(SeededEntropy::new(1));
    let vault = Vault::new(&[std::array::from_fn(byte)], entropy.clone()).expect("a vault");
    let ports = Ports { vault: Arc::new(vault), clock: clock.clone(), entropy };
    let options = PostgresOptions::new(args.get("url").expect("url=postgres://…").clone());
    let store = PostgresStore::open(options, ports).await.expect("opens");
    let org: OrganizationId = OrganizationId::DEFAULT.parse().expect("an id");
    let (attempts, applications) = (number("attempts", 1_000_000), number("applications", 1_000));
    let filling = Filling { attempts, applications, range: (from, until) };
    let progress = |done| eprintln!("{done} attempts");
    fill(&store, org, &clock, filling, progress).await;
}
