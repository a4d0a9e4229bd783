//! The files that `build.rs` made.

/// A file.
pub struct File {
    /// Its path in URLs.
    pub path: &'static str,
    /// Told apart from other versions by this.
    pub etag: &'static str,
    /// As it is.
    pub body: &'static [u8],
    /// Compressed, if that is worth while.
    pub brotli: Option<&'static [u8]>,
}

const FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

impl File {
    /// The file at a path.
    pub fn named(path: &str) -> Option<&'static Self> {
        FILES.iter().find(|file| file.path == path)
    }

    /// What it is, by the end of its name.
    pub fn content_type(&self) -> &'static str {
        match self.path.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        }
    }
}

/// The page, with a place for the nonce.
pub fn page() -> &'static str {
    let file = File::named("/index.html").expect("every build has a page");
    std::str::from_utf8(file.body).expect("pages are UTF-8")
}
