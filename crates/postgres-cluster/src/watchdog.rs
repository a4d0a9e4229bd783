//! Cleans up after a cluster, also if the process ends without dropping it.
use crate::installation::Installation;
use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Stdio},
};

/// Where the files of shared memory that a killed server left are noted, beside its data.
pub(crate) const LEFT: &str = "left";

/// Waits for the end of its input, which comes when the process that holds the other end is gone,
/// however it went. Then whatever works in the data directory is ended, politely first so that it
/// gives its shared memory back; what was left of that by a server that was killed is removed, or
/// the machine runs out of it after some thousand tests; and so is the directory. A server that
/// ended in order has removed its `postmaster.pid`, whose seventh line ends in the number of its
/// segment of System V shared memory.
const SCRIPT: &str = r#"
dir=$1
cat > /dev/null
ours() {
    for process in /proc/[0-9]*; do
        [ "$process/cwd" -ef "$dir/data" ] && echo "${process#/proc/}"
    done
}
for pid in $(ours); do
    grep -o '/dev/shm/PostgreSQL\.[0-9]*' "/proc/$pid/maps" >> "$dir/mapped"
    kill -s CONT "$pid"
done
pid=$(head -n 1 "$dir/data/postmaster.pid")
[ "/proc/$pid/cwd" -ef "$dir/data" ] && kill -s QUIT "$pid"
for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    left=$(ours)
    [ "$left" ] || break
    [ $round -gt 15 ] && kill -s KILL $left
    sleep 0.2
done
segment=$(sed -n '7s/.* //p' "$dir/data/postmaster.pid")
[ "$segment" ] && ipcrm -m "$segment"
cat "$dir/left" "$dir/mapped" | while read -r file; do rm -f "$file"; done
rm -rf "$dir"
"#;

/// A shell that waits for our end, or for being dropped, and then cleans up. Test clusters often
/// live in a `static`, which is never dropped, and a test process may be killed at any time.
pub(crate) struct Watchdog(Child);

impl Watchdog {
    /// Sets one to watch over the directory of a cluster.
    pub(crate) fn over(installation: &Installation, dir: &Path) -> Self {
        let mut shell = installation.command_at(Path::new("/bin/sh"));
        shell.args(["-c", SCRIPT, "watchdog of PostgreSQL"]).arg(dir);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Not in our group: what ends us, such as Ctrl-C, must not end it as well.
        Self(shell.process_group(0).spawn().expect("a shell starts"))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Waiting closes its input first, and so sets it to work.
        let _ = self.0.wait();
    }
}
