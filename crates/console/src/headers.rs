//! What browsers are told beside the content.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Of every answer.
pub fn add_common(headers: &mut HeaderMap) {
    let common = [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ];
    for (name, value) in common {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

/// Of a page. The nonce is for the style sheets that the page's library makes at run time; there are
/// no other exceptions.
pub fn add_page(headers: &mut HeaderMap, nonce: &str, ancestors: &str) {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; \
         img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors {ancestors}"
    );
    let policy = HeaderValue::try_from(policy).expect("settings are checked to be printable");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Of a file whose content never changes.
pub fn add_asset(headers: &mut HeaderMap, content_type: &'static str, etag: &str) {
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(header::CACHE_CONTROL, forever);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::ETAG, HeaderValue::try_from(etag).expect("a hash in quotes"));
}
