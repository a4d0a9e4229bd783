//! Standbys: making, waiting for and promoting them.
use crate::{
    cluster::{Cluster, PASSWORD, USER, identifier, literal, parameter},
    installation::Installation,
    processes::until,
};
use std::time::Duration;

/// How long a standby may take to get where it should be.
const CAUGHT_UP: Duration = Duration::from_secs(30);

impl Cluster {
    /// Makes a standby of this cluster, which must run, and starts it in recovery, with the same
    /// settings at a port of its own. Returns when it streams. `name` is what the primary knows it
    /// by, its `application_name`.
    pub fn standby(&self, name: &str) -> Self {
        let mut standby = Self::prepare();
        let primary = format!(
            "host=127.0.0.1 port={} user={USER} password={PASSWORD} application_name={}",
            self.port,
            parameter(name)
        );
        let mut backup = self.installation.command("pg_basebackup");
        backup.arg("-D").arg(standby.data()).args(["-d", &primary]);
        backup.args(["-R", "-X", "stream", "-c", "fast", "--no-sync"]);
        Installation::run(&mut backup);
        // If the primary waits for standbys already, this one must not do so once it is promoted.
        standby.append("postgresql.auto.conf", "synchronous_standby_names = ''\n");
        standby.start_somewhere();
        self.wait_for(name, "state", "streaming");
        standby
    }

    /// Makes every commit here wait until the standby of that name has it on its disk, and returns
    /// when this is so. Without that standby no commit returns any more.
    pub fn make_synchronous(&self, name: &str) {
        let names = format!("FIRST 1 ({})", identifier(name));
        self.sql(
            "postgres",
            &format!("ALTER SYSTEM SET synchronous_standby_names = {}", literal(&names)),
        );
        self.sql("postgres", "SELECT pg_reload_conf()");
        self.wait_for(name, "sync_state", "sync");
    }

    /// Makes a primary of this standby, and returns when it takes writes. The old primary is not
    /// told; kill it first, or both take writes.
    pub fn promote(&self) {
        let mut promote = self.installation.command("pg_ctl");
        Installation::run(promote.args(["promote", "-w", "-t", "60", "-D"]).arg(self.data()));
        let ask = || self.try_sql("postgres", "SELECT pg_is_in_recovery()");
        let promoted = until(CAUGHT_UP, || ask().is_ok_and(|answer| answer == "f"));
        assert!(promoted, "promotion takes too long; the log ends:\n{}", self.log_tail());
    }

    /// Waits until the primary says so of a standby.
    fn wait_for(&self, name: &str, column: &str, wanted: &str) {
        let name = literal(name);
        let ask =
            format!("SELECT {column} FROM pg_stat_replication WHERE application_name = {name}");
        let mut said = String::new();
        let there = until(CAUGHT_UP, || {
            said = self.sql("postgres", &ask);
            said.lines().any(|line| line == wanted)
        });
        assert!(there, "standby {name}: {column} is {said:?} and not {wanted}");
    }
}
