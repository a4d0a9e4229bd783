//! Secrets that anybody can guess. This finds what people put in the place of a secret; it does not
//! measure how random one is.

/// Shortest secret for tokens.
pub const MIN_CHARS: usize = 16;

/// Fewest different characters: a random hexadecimal one of the shortest length has more.
const MIN_DIFFERENT: usize = 6;

/// Longest piece that a secret may not be a repetition of.
const MAX_PERIOD: usize = 8;

/// Fewest letters and digits that must be left when all of [`WORDS`] are gone.
const MIN_LEFT: usize = 8;

/// Of these, placeholders are made.
const WORDS: [&str; 32] = [
    "0123456789",
    "123456789",
    "12345678",
    "1234567",
    "123456",
    "abcdefgh",
    "abcdef",
    "hookwright",
    "svix",
    "webhook",
    "changeme",
    "change",
    "replace",
    "placeholder",
    "example",
    "insecure",
    "development",
    "default",
    "password",
    "passwort",
    "secret",
    "signing",
    "token",
    "jwt",
    "super",
    "please",
    "this",
    "your",
    "test",
    "here",
    "key",
    "xxx",
];

/// Whether a secret is empty, short, a repetition, or made of the words of placeholders.
pub fn is_weak(secret: &str) -> bool {
    let chars: Vec<char> = secret.chars().collect();
    let mut different = chars.clone();
    different.sort_unstable();
    different.dedup();
    let repeats = |period| chars.iter().skip(period).zip(&chars).all(|(a, b)| a == b);
    let mut left = secret.to_lowercase();
    for word in WORDS {
        left = left.replace(word, " ");
    }
    chars.len() < MIN_CHARS
        || different.len() < MIN_DIFFERENT
        || (1..=MAX_PERIOD).any(repeats)
        || left.chars().filter(|c| c.is_alphanumeric()).count() < MIN_LEFT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_secrets() {
        for weak in [
            "",
            "short",
            "secretsecretsecret",
            "aaaaaaaaaaaaaaaaaaaa",
            "abcabcabcabcabcabcabc",
            "svix-SVIX-svix-svix",
            "changeme-changeme-1",
            "please-change-this-secret",
            "your-256-bit-secret",
            "super-secret-jwt-key",
            "1234567890123456",
            "abababababababababababab",
        ] {
            assert!(is_weak(weak), "{weak}");
        }
        for strong in [
            "p9Zr2kQ7vXw4Lm1N",
            "9f86d081884c7d659a2feaa0c55ad015",
            "a-secret-of-the-tests-3f9c1b",
            "a secret of the test, not of anybody",
        ] {
            assert!(!is_weak(strong), "{strong}");
        }
    }
}
