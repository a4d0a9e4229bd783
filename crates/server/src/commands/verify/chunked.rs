//! Bodies that were captured with the sizes of their chunks among them (RFC 9112, 7.1).

/// The body without them. None if it is not wholly chunks: whoever captured it has joined them already.
pub fn joined(body: &[u8]) -> Option<Vec<u8>> {
    let (mut whole, mut rest) = (Vec::new(), body);
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n")?;
        let line = std::str::from_utf8(rest.get(..end)?).ok()?;
        let digits = line.split(';').next()?.trim();
        // A sign would be taken by the parser, and is no digit.
        let hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let size = hex.then(|| usize::from_str_radix(digits, 16).ok()).flatten()?;
        rest = rest.get(end + 2..)?;
        if size == 0 {
            return rest.ends_with(b"\r\n").then_some(whole);
        }
        whole.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn chunks_are_joined_and_anything_else_is_left() {
        let whole = joined(b"4;x=y\r\nwiki\r\n5\r\npedia\r\n0\r\n\r\n");
        assert_eq!(whole.as_deref(), Some(&b"wikipedia"[..]));
        assert_eq!(joined(b"0\r\nTrailer: x\r\n\r\n").as_deref(), Some(&b""[..]));
        for other in [
            &b""[..],
            b"{}",
            b"4\r\nwik",
            b"4\r\nwiki",
            b"4\r\nwiki\r\n",
            b"+4\r\nwiki\r\n0\r\n\r\n",
            b"ffffffffffffffff\r\nwiki\r\n0\r\n\r\n",
            b"fffffffffffffffff\r\nwiki\r\n0\r\n\r\n",
        ] {
            assert_eq!(joined(other), None, "{}", String::from_utf8_lossy(other));
        }
    }
}
