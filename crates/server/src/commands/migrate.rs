//! `hookwright migrate-store`: everything that a store holds, into another one.

mod bar;
mod place;

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use domain::clock::Clock;
use store::{
    Transfer,
    transfer::{Limits, Mover, Part, tally},
};

use self::{bar::Bar, place::Place};
use crate::{backend::Backend, config::Config, env::SystemClock, keys, serve};

/// A node that was heard of within this may still be at work.
const LATELY: Duration = Duration::from_secs(10);
/// How much is copied in one transaction.
const LIMITS: Limits = Limits { records: 1_000, bytes: 8 << 20 };

/// Both ends of a move.
struct Ends {
    source: Backend,
    target: Backend,
}

fn transfer(backend: &Backend) -> &dyn Transfer {
    match backend {
        Backend::Embedded(store) => &**store,
        Backend::Postgres(store) => &**store,
    }
}

/// Copies everything, compares both sides, and says what to do next. What was interrupted goes on when
/// it is run again.
pub fn run(
    config: &Config,
    from: &str,
    to: &str,
    from_key: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let from = Place::parse(from).context("`--from`")?;
    let to = Place::parse(to).context("`--to`")?;
    ensure!(from != to, "`--from` and `--to` name the same store");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let same = serve::runtime(serve::workers())?.block_on(async {
        let source = from.open_source(config, from_key, clock.clone()).await.context("`--from`")?;
        let target = to.open_target(config, clock.clone()).await.context("`--to`")?;
        let ends = Ends { source, target };
        ends.are_unused().await?;
        ends.copy(&clock).await?;
        let same = ends.compare(&clock).await?;
        if same {
            ends.are_unused().await?;
            transfer(&ends.target).finish().await.context("`--to`")?;
        }
        anyhow::Ok(same)
    })?;
    if !same {
        println!(
            "\n{} is not the same as {}, and must not be used. If the source was used meanwhile, or \
             is damaged (`hookwright check` tells), see to that; then begin again with an empty \
             target.",
            to.shown(),
            from.shown()
        );
        return Ok(ExitCode::FAILURE);
    }
    println!("\nEverything of {} is in {}.\n", from.shown(), to.shown());
    say_what_is_next(config, &from, &to);
    Ok(ExitCode::SUCCESS)
}

impl Ends {
    /// The lock of a data directory says that no server uses it; a database is asked for its nodes.
    async fn are_unused(&self) -> anyhow::Result<()> {
        for (flag, backend) in [("--from", &self.source), ("--to", &self.target)] {
            let nodes = backend.store().nodes().await.context(flag)?;
            let alive = nodes.iter().filter(|node| node.silent_for < LATELY);
            let alive: Vec<&str> = alive.map(|node| node.name.as_str()).collect();
            ensure!(
                alive.is_empty(),
                "`{flag}`: nodes are at work there, or were a moment ago: {}; stop all of them, and \
                 wait for {} seconds",
                alive.join(", "),
                LATELY.as_secs()
            );
        }
        Ok(())
    }

    async fn copy(&self, clock: &Arc<dyn Clock>) -> anyhow::Result<()> {
        let (source, target) = (transfer(&self.source), transfer(&self.target));
        if target.progress().await.context("`--to`")?.is_none() {
            // Before anything is written.
            self.check(&self.source, "--from").await?;
        }
        let sizes = source.sizes().await.context("`--from`")?;
        let mut mover = Mover::begin(source, target, LIMITS).await?;
        if !mover.progress().is_first() {
            println!("going on where it was interrupted");
        }
        while let Some(part) = mover.progress().part {
            let bar = Bar::new(clock, "copying", part.name(), sizes[part as usize]);
            bar.advance(mover.progress().copied);
            while mover.progress().part == Some(part) {
                let copied = mover.step().await?.map_or(0, |(_, copied)| copied);
                bar.advance(copied as u64);
            }
            bar.end("copied", bar.done());
        }
        Ok(())
    }

    /// Reads both sides from end to end.
    async fn compare(&self, clock: &Arc<dyn Clock>) -> anyhow::Result<bool> {
        let (source, target) = (transfer(&self.source), transfer(&self.target));
        let sizes = source.sizes().await.context("`--from`")?;
        let mut same = true;
        for part in Part::ALL {
            let bar = Bar::new(clock, "comparing", part.name(), 2 * sizes[part as usize]);
            let looked_at = |records| bar.advance(records as u64);
            let (ours, theirs) = tokio::try_join!(
                tally(source, part, LIMITS, looked_at),
                tally(target, part, LIMITS, looked_at)
            )?;
            if ours == theirs {
                bar.end("compared", ours.count);
                continue;
            }
            same = false;
            bar.clear();
            let what = match ours.count == theirs.count {
                true => format!("{} on both sides, and not the same", ours.count),
                false => format!("{} in the source and {} in the target", ours.count, theirs.count),
            };
            println!("PROBLEM  {}: {what}", part.name());
        }
        if same {
            self.check(&self.target, "--to").await?;
        }
        Ok(same)
    }

    async fn check(&self, backend: &Backend, flag: &str) -> anyhow::Result<()> {
        let report = backend.store().check().await.with_context(|| format!("`{flag}`"))?;
        for problem in &report.problems {
            println!("PROBLEM  {problem}");
        }
        ensure!(report.problems.is_empty(), "`{flag}`: what is stored there is not whole");
        Ok(())
    }
}

fn say_what_is_next(config: &Config, from: &Place, to: &Place) {
    let key = |dir: &Path| match &config.master_key {
        Some(_) => "the configured `master_key`".to_owned(),
        None => format!("the one in {}", dir.join(keys::MASTER_KEY_FILE).display()),
    };
    println!("Next:");
    match to {
        Place::Postgres(_) => println!(
            "  - start nodes with `store` set to that URL, and all with the same master key: {}",
            key(&config.data_dir)
        ),
        Place::Files(dir) => println!(
            "  - start the server with `store = none` and `data_dir = {}`; its master key is {}",
            dir.display(),
            key(dir)
        ),
    }
    println!("  - look at it with `hookwright check`");
    println!(
        "  - {} was not changed: never start a server on it again, for it would send a second time \
         what has been sent since; remove it when you need it no more",
        from.shown()
    );
}

#[cfg(test)]
mod tests {
    use domain::{
        id::OrganizationId,
        organization::{Organization, OrganizationSettings},
        token::Actor,
    };

    use super::*;
    use crate::config::Sources;

    fn config(dir: &Path) -> Config {
        let mut sources = Sources::default();
        let dir = dir.to_str().expect("UTF-8").to_owned();
        sources.set("test", "data_dir", dir).expect("a setting");
        // However little room is left where the test runs.
        for setting in ["disk_low_water_mib", "disk_low_water_percent"] {
            sources.set("test", setting, "0".to_owned()).expect("a setting");
        }
        sources.config().expect("valid")
    }

    fn within<T>(work: impl Future<Output = T>) -> T {
        serve::runtime(1).expect("a runtime").block_on(work)
    }

    #[test]
    fn a_data_directory_is_copied_into_one_with_another_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = |name: &str| format!("sqlite:{}", dir.path().join(name).display());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let open = async |name: &str| {
            Backend::open_or_make(&config(&dir.path().join(name)), clock.clone()).await
        };
        let settings = async |backend: Backend, expected: Option<u64>| {
            let (store, org) = (backend.store(), OrganizationId::management());
            let organization = Organization { id: org, settings: OrganizationSettings::default() };
            if let Some(version) = expected {
                let put = store.put_organization(&Actor::System, organization, version).await;
                put.expect("an answer").expect("it was so");
            }
            store.load_organization(org).await.expect("loads").version
        };
        within(async { settings(open("a").await.expect("opens"), Some(0)).await });
        let here = config(dir.path());
        let run = |from: &str, to: &str, key| run(&here, &place(from), &place(to), key);

        let missing = run("nothing", "b", None).expect_err("there is nothing").to_string();
        assert!(missing.contains("--from"), "{missing}");
        assert!(!dir.path().join("nothing").exists());
        let wrong = format!("{:x}{}", 1, "0".repeat(63));
        assert!(run("a", "b", Some(&wrong)).is_err(), "another key");
        run("a", "b", None).expect("it is copied");
        assert_eq!(within(async { settings(open("b").await.expect("opens"), None).await }), 1);
        let keys = ["a", "b"].map(|name| {
            std::fs::read(dir.path().join(name).join(keys::MASTER_KEY_FILE)).expect("a key")
        });
        assert_ne!(keys[0], keys[1]);
        let full = run("a", "b", None).expect_err("it is full").to_string();
        assert!(full.contains("not empty"), "{full}");
    }
}
