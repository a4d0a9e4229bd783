/// A request as it arrived. Borrows everything; nothing is decoded.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// In upper case.
    pub method: &'a str,
    /// The address as the sender knows it, query included. Behind a proxy this is not what the
    /// server sees: nine senders sign it.
    pub url: &'a str,
    /// Name and value, in the order received; names in any case, and as often as they came.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Exactly the bytes received, before any decompression.
    pub body: &'a [u8],
}

/// A header's value is not looked at if it is longer than this, in bytes.
pub const LONGEST_HEADER: usize = 16 * 1024;

impl<'a> Request<'a> {
    /// All values of a header that are neither empty nor too long.
    pub fn headers_named(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| *v)
            .filter(|v| !v.is_empty() && v.len() <= LONGEST_HEADER)
    }

    /// The one value of a header. None if it comes with two values: which of them the sender meant
    /// cannot be known.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let mut values = self.headers_named(name);
        let first = values.next()?;
        values.all(|v| v == first).then_some(first)
    }

    /// [`Request::header`] as text, if it is UTF-8.
    pub fn header_text(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.header(name)?).ok()
    }

    /// What follows the first `?` of the URL, without a fragment.
    pub fn query(&self) -> &'a str {
        let url = self.url.split('#').next().unwrap_or_default();
        url.split_once('?').map_or("", |(_, query)| query)
    }

    /// The value of a query parameter, decoded. None if it is empty or there are two.
    pub fn query_value(&self, name: &str) -> Option<String> {
        let mut values = url::form_urlencoded::parse(self.query().as_bytes())
            .take(crate::body::MOST_FIELDS)
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.into_owned());
        let first = values.next()?;
        (!first.is_empty() && values.all(|v| v == first)).then_some(first)
    }
}
