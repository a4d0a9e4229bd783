//! One value of a JSON document, without building the document: nothing is kept but the value, so a
//! body of any length costs one pass over it.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// The text at a pointer without `*`: that of a string, number or boolean. None if the body is not
/// JSON. Of members with the same name the last counts, as in a document that is built.
pub(crate) fn select(json: &[u8], pointer: &str) -> Option<String> {
    let steps: Vec<Cow<'_, str>> = pointer
        .split('/')
        .skip(1)
        .filter(|step| !step.is_empty())
        .map(|step| match step.contains('~') {
            true => Cow::Owned(step.replace("~1", "/").replace("~0", "~")),
            false => Cow::Borrowed(step),
        })
        .collect();
    let mut reader = serde_json::Deserializer::from_slice(json);
    let found = At(&steps).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    found
}

struct At<'p>(&'p [Cow<'p, str>]);

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl At<'_> {
    /// A scalar is what is looked for, if there are no more steps to go.
    fn scalar<E>(self, text: impl FnOnce() -> Option<String>) -> Result<Option<String>, E> {
        Ok(if self.0.is_empty() { text() } else { None })
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.scalar(|| Some(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Self::Value, E> {
        self.scalar(|| Some(truth.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        self.scalar(|| Some(number.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        self.scalar(|| Some(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        self.scalar(|| Number::from_f64(number).map(|n| n.to_string()))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        if let Some((step, rest)) = self.0.split_first()
            && let Ok(index) = step.parse::<usize>()
        {
            for _ in 0..index {
                if items.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            found = items.next_element_seed(At(rest))?.flatten();
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let Some((step, rest)) = self.0.split_first() else {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(None);
        };
        while let Some(same) = members.next_key_seed(Same(step))? {
            if same {
                found = members.next_value_seed(At(rest))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Whether a member has this name.
struct Same<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for Same<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Same<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::select;
    use crate::{body::json_text, row::Pointer};

    /// What [`select`] must say: the same as reading the document and looking.
    fn by_document(json: &[u8], path: &str) -> Option<String> {
        let value: Value = serde_json::from_slice(json).ok()?;
        let at = Pointer { path: path.to_owned(), inner: None };
        json_text(&value, &at).map(|t| t.into_owned())
    }

    #[test]
    fn the_same_as_in_the_document() {
        for json in [
            r#"{"a":{"b":[1,"x",{"c":true}]},"d":null,"a/b":1.5,"a~b":-3,"u":"é\n\"","e":{}}"#,
            r#"{"a":1,"a":"last"}"#,
            r#"{"a":1"#,
            r#"{"a":1} x"#,
            r#"[{"a":1},{"a":2}]"#,
            "\"text\"",
            "12345678901234567890123",
            "",
        ] {
            for path in [
                "/a", "/a/b/0", "/a/b/1", "/a/b/2/c", "/a/b/3", "/d", "/a~1b", "/a~0b", "/u", "/e",
                "/0/a", "/1/a", "/", "/a/b/x",
            ] {
                let right = by_document(json.as_bytes(), path);
                assert_eq!(select(json.as_bytes(), path), right, "{path} in {json}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_same_for_any_document(
            json in r#"(\{"a":)?(\[|\{"[ab]":|[0-9]{1,3}|"[a-z]{0,3}"|true|null|,|\]|\}){0,12}"#,
            path in "(/(a|b|0|1)){0,3}",
        ) {
            prop_assert_eq!(select(json.as_bytes(), &path), by_document(json.as_bytes(), &path));
        }
    }
}
