use std::borrow::Cow;

use serde_json::Value;

use crate::row::Pointer;

/// Elements that a step `*` looks at.
const MOST_ELEMENTS: usize = 1_000;

/// The values at a pointer: none if it leads nowhere, several if a step is `*`.
pub(crate) fn values<'v>(root: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = vec![root];
    for step in path.split('/').skip(1).filter(|s| !s.is_empty()) {
        let step = step.replace("~1", "/").replace("~0", "~");
        found = found
            .into_iter()
            .flat_map(|value| match value {
                Value::Array(items) if step == "*" => items.iter().take(MOST_ELEMENTS).collect(),
                Value::Array(items) => {
                    step.parse::<usize>().ok().and_then(|i| items.get(i)).into_iter().collect()
                }
                Value::Object(members) => members.get(&step).into_iter().collect(),
                _ => Vec::new(),
            })
            .take(MOST_ELEMENTS)
            .collect();
    }
    found
}

/// The text at a pointer: that of a string, number or boolean.
pub(crate) fn text<'v>(root: &'v Value, at: &Pointer) -> Option<Cow<'v, str>> {
    let found = values(root, &at.path);
    let value = *found.first()?;
    match &at.inner {
        None => scalar(value),
        Some(inner) => {
            let wrapped: Value = serde_json::from_str(value.as_str()?).ok()?;
            let found = values(&wrapped, inner);
            scalar(found.first()?).map(|t| Cow::Owned(t.into_owned()))
        }
    }
}

/// The name of the first member that is not `name`.
pub(crate) fn first_other_key<'v>(root: &'v Value, name: &str) -> Option<&'v str> {
    root.as_object()?.keys().map(String::as_str).find(|k| *k != name)
}

fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
