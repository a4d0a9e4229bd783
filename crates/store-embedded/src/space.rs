//! Room on the disk: new work stops before it is used up, and a reserve is kept for outcomes.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::options::EmbeddedOptions;

/// Room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What we may still use.
    pub free: u64,
    /// All there is.
    pub total: u64,
}

/// Tells how much room the disk of a directory has.
pub type FreeSpace = Arc<dyn Fn(&Path) -> io::Result<Space> + Send + Sync>;

/// What the system says of the disk of `dir`.
pub fn disk_space(dir: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(Space { free: stat.f_bavail * stat.f_frsize, total: stat.f_blocks * stat.f_frsize })
}

/// Whether there is room for new work, and the ballast.
pub(crate) struct Room {
    dir: PathBuf,
    ballast: PathBuf,
    ballast_bytes: u64,
    low_water_bytes: u64,
    low_water_percent: u8,
    probe: FreeSpace,
    full: AtomicBool,
}

impl Room {
    pub(crate) fn new(options: &EmbeddedOptions, probe: FreeSpace) -> Self {
        Self {
            dir: options.dir.clone(),
            ballast: options.dir.join("ballast"),
            ballast_bytes: options.ballast_bytes,
            low_water_bytes: options.low_water_bytes,
            low_water_percent: options.low_water_percent,
            probe,
            full: AtomicBool::new(false),
        }
    }

    /// Whether new work is refused.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// SQLite found no room: new work is refused until [`Self::look`] finds some.
    pub(crate) fn found_full(&self) {
        if !self.full.swap(true, Ordering::Relaxed) {
            tracing::warn!(dir = %self.dir.display(), "the disk is full: no new messages are taken");
        }
    }

    /// Looks at the disk. New work stops below the low-water mark and goes on a quarter above it, so
    /// that it does not flap; then the ballast is made again, too.
    pub(crate) fn look(&self) {
        let space = match (self.probe)(&self.dir) {
            Ok(space) => space,
            Err(error) => {
                tracing::warn!(%error, dir = %self.dir.display(), "cannot see how full the disk is");
                return;
            }
        };
        let low = self.low_water_bytes.max(space.total / 100 * u64::from(self.low_water_percent));
        if space.free < low {
            if !self.full.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    free = space.free,
                    low_water = low,
                    dir = %self.dir.display(),
                    "little room left on the disk: no new messages are taken"
                );
            }
            return;
        }
        let enough = low + low / 4;
        if space.free >= enough && self.full.swap(false, Ordering::Relaxed) {
            tracing::info!(free = space.free, "there is room on the disk again");
        }
        if space.free >= enough + self.ballast_bytes {
            self.make_ballast();
        }
    }

    /// Makes room for outcomes. False if there was no ballast left to give.
    pub(crate) fn give_up_ballast(&self) -> bool {
        let given = fs::remove_file(&self.ballast).is_ok();
        if given {
            tracing::warn!("the disk is full: the ballast was given up to write outcomes");
        }
        given
    }

    fn make_ballast(&self) {
        if self.ballast_bytes == 0 || self.ballast.exists() {
            return;
        }
        let made = File::create(&self.ballast).and_then(|file| {
            // Blocks, not a hole: a hole would give nothing back.
            let flags = rustix::fs::FallocateFlags::empty();
            rustix::fs::fallocate(&file, flags, 0, self.ballast_bytes).map_err(io::Error::from)
        });
        if let Err(error) = made {
            tracing::warn!(%error, "cannot keep a reserve on the disk for outcomes");
            let _ = fs::remove_file(&self.ballast);
        }
    }
}
