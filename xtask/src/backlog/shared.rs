//! The same in PostgreSQL, and what it does to the table of work that remains.
use super::{SETTINGS, restart, shapes};
use crate::{
    database::Database,
    goals::{Goal::AtMost, Goals},
    loadgen,
    server::Server,
    shell,
};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;

/// Rows that a page asks for: as many as wait in memory of a lane, and one more.
const PAGE: u32 = 513;

/// Where the query is that reads a page.
const QUERY_IN: &str = "crates/store-postgres/src/pages.rs";

/// Runs the campaign.
pub fn run(deliveries: usize, full: bool) -> Result<()> {
    let mut goals = Goals::new("backlog-postgres", full);
    completions(&mut goals, deliveries)?;
    for (name, shape) in shapes(deliveries) {
        let (_database, server) = start()?;
        restart(&mut goals, name, &shape, server)?;
    }
    pages(&mut goals, deliveries)?;
    goals.finish()
}

/// A database of its own and a node that runs.
fn start() -> Result<(Database, Server)> {
    let database = Database::start_with(&[("shared_buffers", "1GB"), ("max_wal_size", "4GB")]);
    let mut server = Server::over("backlog", &database.url(), "n1", SETTINGS)?;
    server.start()?;
    Ok((database, server))
}

/// What was done leaves room for what is to be done: the table does not grow with what has passed
/// through it.
fn completions(goals: &mut Goals, deliveries: usize) -> Result<()> {
    println!("backlog: {deliveries} deliveries that succeed");
    let (database, server) = start()?;
    let tenth = deliveries / 10;
    let deliver = |n: usize| -> Result<f64> {
        let report = loadgen::run(&server, &format!("closed --c 64 --n {n} --linger 0"))?;
        ensure!(report["missing"] == 0, "not all has arrived: {report}");
        Ok(database.sql("SELECT pg_total_relation_size('due')")?.parse()?)
    };
    let after_a_tenth = deliver(tenth)?;
    let after_all = deliver(deliveries - tenth)?;
    let mib = f64::from(1 << 20);
    println!("  due: {:.1} MiB, then {:.1} MiB", after_a_tenth / mib, after_all / mib);
    let name = format!("due after {deliveries} completions, of its size after {tenth}");
    goals.figure(&name, after_all / after_a_tenth, AtMost(2.0));
    server.discard()
}

/// Taking the first of what is due costs as much, however much there is.
fn pages(goals: &mut Goals, deliveries: usize) -> Result<()> {
    let few = (deliveries / 100).max(1_000);
    println!("backlog: a page of {few} and of {deliveries} deliveries to one endpoint");
    let (database, server) = start()?;
    let mut touched = Vec::new();
    for n in [few, deliveries] {
        let arguments =
            format!("closed --c 64 --n {n} --dead 1 --dead-mode refuse --keep --linger 0");
        loadgen::run(&server, &arguments)?;
        // As the planner knows it after a while; the server's own vacuum does not say.
        database.sql("ANALYZE due")?;
        let (buffers, ms) = page(&database)?;
        println!("  {n} pending: {buffers} buffers, {ms:.2} ms");
        touched.push(buffers);
    }
    let name = format!("buffers of a page of {deliveries} pending, of those of {few}");
    goals.figure(&name, touched[1] / touched[0], AtMost(2.0));
    server.discard()
}

/// Buffers that the first page of the longest lane touches, and how long it takes, in ms.
fn page(database: &Database) -> Result<(f64, f64)> {
    let lane = database.sql(
        "SELECT shard, encode(endpoint, 'hex'), encode(org, 'hex'), encode(app, 'hex') FROM due
         GROUP BY 1, 2, 3, 4 ORDER BY count(*) DESC LIMIT 1",
    )?;
    let lane: Vec<&str> = lane.split('|').collect();
    let [shard, endpoint, org, app] = lane[..] else { anyhow::bail!("nothing is due: {lane:?}") };
    let query =
        format!("PREPARE page (smallint[], bytea[], bytea[], bytea[], bigint[]) AS {}", query()?);
    let bytes = |hex: &str| format!("ARRAY['\\x{hex}'::bytea]");
    let arguments =
        [format!("ARRAY[{shard}::smallint]"), bytes(endpoint), bytes(org), bytes(app)].join(", ");
    let explain = format!(
        "{query}; EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE page ({arguments}, ARRAY[{PAGE}::bigint])"
    );
    let told = database.sql(&explain)?;
    let told: Value = serde_json::from_str(&told).with_context(|| told.clone())?;
    let plan = &told[0]["Plan"];
    let number =
        |of: &Value, name: &str| of[name].as_f64().with_context(|| format!("no {name}: {told}"));
    let buffers = number(plan, "Shared Hit Blocks")? + number(plan, "Shared Read Blocks")?;
    Ok((buffers, number(&told[0], "Execution Time")?))
}

/// The query itself, from the source, so that what is explained is what runs.
fn query() -> Result<String> {
    let source = fs::read_to_string(shell::root().join(QUERY_IN))?;
    let begin = "const DUE: &str =";
    let query = source.split_once(begin).and_then(|(_, rest)| rest.split('"').nth(1));
    let query = query.with_context(|| format!("there is no `{begin}` in {QUERY_IN}"))?;
    Ok(query.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_query_is_found() {
        let query = super::query().expect("it is there");
        assert!(query.contains("SELECT") && query.contains("$5"), "{query}");
    }
}
