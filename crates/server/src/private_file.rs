//! Small files that only their owner can read, such as keys. Each is there whole or not at all, also
//! after a power cut.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// The text of a file, made by `make` if it is not there. Of two who make it at a time one wins, and
/// both get what it wrote.
pub fn read_or_make(path: &Path, make: impl FnOnce() -> String) -> anyhow::Result<String> {
    let read = || fs::read_to_string(path).map(|text| text.trim().to_owned());
    let reading = || format!("reading {}", path.display());
    match read() {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        found => return found.with_context(reading),
    }
    let text = make();
    let made = written(path, &text).and_then(|new| {
        // A link, unlike a rename, never takes the place of a file.
        let linked = fs::hard_link(&new, path);
        fs::remove_file(&new)?;
        linked?;
        sync_directory(path)
    });
    match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => read().with_context(reading),
        made => made.map(|()| text).with_context(|| format!("writing {}", path.display())),
    }
}

/// Replaces a file.
pub fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    written(path, text)
        .and_then(|new| fs::rename(new, path))
        .and_then(|()| sync_directory(path))
        .with_context(|| format!("writing {}", path.display()))
}

/// A file beside `path`, on stable storage, that is to take its name.
fn written(path: &Path, text: &str) -> io::Result<PathBuf> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".new-{}", std::process::id()));
    let new = PathBuf::from(name);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    Ok(new)
}

/// A name is on stable storage once its directory is.
fn sync_directory(of: &Path) -> io::Result<()> {
    let dir = of.parent().filter(|dir| !dir.as_os_str().is_empty());
    File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn is_private_and_made_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("deep/key");
        assert_eq!(read_or_make(&path, || "one".to_owned()).expect("made"), "one");
        assert_eq!(read_or_make(&path, || panic!("it is there")).expect("read"), "one");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        replace(&path, "two").expect("replaced");
        assert_eq!(fs::read_to_string(&path).expect("read"), "two\n");
        let left = fs::read_dir(path.parent().expect("a directory")).expect("listed").count();
        assert_eq!(left, 1, "nothing is left beside it");
    }

    /// Somebody else makes it between our look and our write.
    #[test]
    fn the_first_to_make_it_wins() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        let text = read_or_make(&path, || {
            fs::write(&path, "theirs\n").expect("written");
            "ours".to_owned()
        });
        assert_eq!(text.expect("read"), "theirs");
        assert_eq!(fs::read_to_string(&path).expect("read"), "theirs\n");
    }
}
