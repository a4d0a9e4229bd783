//! What a sync costs on this disk now: the floor under every durable acknowledgement.
use crate::hist::Hist;
use anyhow::{Context, Result};
use serde_json::Value;
use std::{io::Write, path::Path, time::Instant};

const SYNCS: usize = 200;

/// Latency of `fdatasync` after appends of 4-8 KiB, what a group commit of a few messages writes.
pub fn sync_latency(dir: &Path) -> Result<Value> {
    let mut file = tempfile::tempfile_in(dir)
        .with_context(|| format!("making the probe's file in {}", dir.display()))?;
    let block = [0x5a; 8192];
    let hist = Hist::default();
    for i in 0..SYNCS {
        file.write_all(&block[..4096 + i % 9 * 512])?;
        let start = Instant::now();
        file.sync_data()?;
        hist.record(start.elapsed().as_micros() as u64);
    }
    Ok(hist.json())
}
