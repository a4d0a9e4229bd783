//! What can be seen of a server from outside: its log, its process, its metrics.
use super::Server;
use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};
use ureq::Agent;

impl Server {
    /// Waits until it has said `text` so many times, since it was made; false if not within `limit`.
    pub fn wait_said(&self, text: &str, times: usize, limit: Duration) -> Result<bool> {
        let until = Instant::now() + limit;
        while self.said(text)? < times {
            if Instant::now() > until {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(true)
    }

    /// How often it has said `text`.
    pub fn said(&self, text: &str) -> Result<usize> {
        Ok(fs::read_to_string(self.dir.join("log"))?.matches(text).count())
    }

    /// How many lines it has logged in each second that had any, by the second, as it is written.
    pub fn lines_by_second(&self) -> Result<BTreeMap<String, usize>> {
        let mut lines = BTreeMap::new();
        for line in fs::read_to_string(self.dir.join("log"))?.lines() {
            // Other lines are the rest of one before.
            if let Some((second, _)) = line.split_once('.')
                && second.len() == "2026-01-01T00:00:00".len()
                && second.contains('T')
            {
                *lines.entry(second.to_owned()).or_insert(0) += 1;
            }
        }
        Ok(lines)
    }

    /// A metric, summed over its labels; 0 while it has no value.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let address = self.metrics.context("this server has no metrics")?;
        let config = Agent::config_builder().timeout_global(Some(Duration::from_secs(2))).build();
        let mut answer = Agent::from(config).get(format!("http://{address}/metrics")).call()?;
        Ok(sum(&answer.body_mut().read_to_string()?, name))
    }

    /// Resident memory in MiB, now.
    pub fn rss_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// Open descriptors, now.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid()?))?.count())
    }

    /// Bytes of all files in the data directory, in MiB.
    pub fn data_mib(&self) -> Result<f64> {
        Ok(bytes_in(&self.data_dir())? as f64 / f64::from(1 << 20))
    }
}

/// The sum of all samples of a metric, in Prometheus's text format.
fn sum(text: &str, name: &str) -> f64 {
    let value = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labels) => labels.rsplit_once("} ")?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.parse::<f64>().ok()
    };
    text.lines().filter_map(value).sum()
}

fn bytes_in(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes += bytes_in(&entry.path())?,
            Ok(meta) => bytes += meta.len(),
            // Taken away meanwhile.
            Err(_) => {}
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_over_their_labels() {
        let text = "# TYPE a counter\na{x=\"1\",y=\"} 7\"} 2\na{x=\"2\"} 3\nab 7\n# b\nb 1.5\n";
        assert!((sum(text, "a") - 5.0).abs() < 1e-9);
        assert!((sum(text, "b") - 1.5).abs() < 1e-9);
        assert!(sum(text, "c").abs() < 1e-9);
    }
}
