//! The same over a PostgreSQL, with one node and with three.
use super::{Campaign, Store};
use crate::{
    database::Database,
    fleet::Fleet,
    goals::{
        Goal::{AtLeast, AtMost},
        Goals, median,
    },
    loadgen::number,
    server::Server,
};
use anyhow::Result;

const NODES: usize = 3;

/// Tenants with an endpoint each, so that every node owns some.
const TENANTS: &str = "--apps 64 --endpoints 1";

/// Delivered messages of 1 KiB per second with one node, at least.
const ONE_NODE: f64 = 7_000.0;

/// What is left of that with three of them.
const SHARE_OF_THREE: f64 = 0.8;

/// From request to arrival, where they are of different nodes, in ms.
const LATENCY_P99: f64 = 50.0;

/// Runs the campaign.
pub fn run(full: bool) -> Result<()> {
    let settings = [("shared_buffers", "1GB"), ("max_wal_size", "4GB")];
    let database = Database::start_with(&settings);
    let urls = vec![database.url(); NODES];
    let fleet = Fleet::start("load-postgres", &urls[..1], "")?;
    let goals = Goals::new("load-postgres", full);
    let postgres = ("postgres".to_owned(), database.postmaster()?);
    let servers = fleet.nodes;
    let mut campaign = Campaign { servers, pids: Vec::new(), goals, full, store: Store::Postgres };
    campaign.account(&postgres)?;
    let one = campaign.one_node()?;
    campaign.others()?;
    let mut fleet = Fleet { nodes: campaign.servers };
    fleet.grow("load-postgres", &urls[1..], "")?;
    campaign.servers = fleet.nodes;
    campaign.account(&postgres)?;
    campaign.three_nodes(one)?;
    campaign.elsewhere()?;
    let Campaign { servers, goals, .. } = campaign;
    goals.finish()?;
    servers.into_iter().try_for_each(Server::discard)
}

impl Campaign {
    /// Accounts for all servers, and for PostgreSQL with all its processes.
    fn account(&mut self, postgres: &(String, u32)) -> Result<()> {
        let pid = |server: &Server| Ok((server.name.clone(), server.pid()?));
        self.pids = self.servers.iter().map(pid).collect::<Result<_>>()?;
        self.pids.push(postgres.clone());
        Ok(())
    }

    /// The closed loop over so many nodes; messages delivered per second.
    fn closed(&mut self, name: &str, nodes: usize, tenants: &str) -> Result<f64> {
        let (times, n) = self.pick((3, 100_000), (1, 15_000));
        let (mut rates, mut servers, mut postgres) = (vec![], vec![], vec![]);
        for _ in 0..times {
            let report = self
                .loadgen_over(nodes, &format!("closed --c 256 --n {n} --warmup 5000 {tenants}"))?;
            self.complete(name, &report)?;
            rates.push(number(&report, "delivered_per_s")?);
            let cpu = number(&report, "cpu/servers/postgres/cpu_us_per_delivery")?;
            servers.push(number(&report, "cpu/servers_cpu_us_per_delivery")? - cpu);
            postgres.push(cpu);
        }
        for (whose, cpu) in [("servers", servers), ("PostgreSQL", postgres)] {
            let cpu = median(cpu);
            self.goals.shown(&format!("{name}: CPU of {whose}, µs per delivery"), cpu);
        }
        Ok(median(rates))
    }

    /// The closed loop with one node; messages delivered per second with many tenants.
    fn one_node(&mut self) -> Result<f64> {
        let rate = self.closed("one node, one endpoint", 1, "")?;
        self.goals.figure("one node, one endpoint: delivered/s", rate, AtLeast(ONE_NODE));
        let rate = self.closed("one node", 1, TENANTS)?;
        self.goals.figure("one node, 64 endpoints: delivered/s", rate, AtLeast(ONE_NODE));
        Ok(rate)
    }

    /// The same with three: `one` is what one of them does.
    fn three_nodes(&mut self, one: f64) -> Result<()> {
        let rate = self.closed("three nodes", NODES, TENANTS)?;
        let goals = &mut self.goals;
        let wanted = SHARE_OF_THREE * ONE_NODE;
        goals.figure("three nodes, 64 endpoints: delivered/s", rate, AtLeast(wanted));
        goals.figure("three nodes: share of one node's", rate / one, AtLeast(SHARE_OF_THREE));
        Ok(())
    }

    /// From a request to one node to the arrival of what two others, mostly, deliver.
    fn elsewhere(&mut self) -> Result<()> {
        let secs = self.pick(30, 5);
        let report =
            self.loadgen(&format!("open --rate 300 --secs {secs} --warmup 600 {TENANTS}"))?;
        self.complete("open loop to one of three nodes", &report)?;
        let name =
            |part: &str| format!("300/s to one of three nodes: request to arrival {part}, ms");
        let p50: f64 = number(&report, "e2e/p50_ms")?;
        self.goals.shown(&name("p50"), p50);
        self.goals.figure(&name("p99"), number(&report, "e2e/p99_ms")?, AtMost(LATENCY_P99));
        Ok(())
    }
}
