//! Rules that the fields of several resources share.

use std::str::FromStr;

use domain::{
    application::{MAX_METADATA_BYTES, Metadata},
    name::InvalidName,
};

use providers::source::ConfigError;

use crate::{
    body::Patch,
    error::{Fault, Faults},
};

/// Text for people holds no control characters below a tab.
pub fn text(faults: &mut Faults, field: &'static str, value: &str) {
    if value.bytes().any(|b| b <= 0x08) {
        faults.body(field, "must not hold control characters");
    }
}

/// Labels are small.
pub fn metadata(faults: &mut Faults, labels: &Metadata) {
    let bytes = serde_json::to_vec(labels).map_or(usize::MAX, |json| json.len());
    if bytes > MAX_METADATA_BYTES {
        faults.body("metadata", format!("at most {MAX_METADATA_BYTES} bytes as JSON"));
    }
}

/// A limit lets something through. It has two names.
pub fn rate(faults: &mut Faults, rate_limit: Option<u16>, throttle: Option<u16>) {
    for (field, rate) in [("rateLimit", rate_limit), ("throttleRate", throttle)] {
        if rate == Some(0) {
            faults.body(field, "must be at least 1");
        }
    }
}

/// The same for a change.
pub fn patched_rates(faults: &mut Faults, rate_limit: Patch<u16>, throttle_rate: Patch<u16>) {
    let value = |patch| match patch {
        Patch::Value(value) => Some(value),
        Patch::Null | Patch::Absent => None,
    };
    rate(faults, value(rate_limit), value(throttle_rate));
}

/// A list of names, each once, in their order; `count` bounds the list.
pub fn names<N>(
    faults: &mut Faults,
    field: &'static str,
    names: Vec<String>,
    count: std::ops::RangeInclusive<usize>,
) -> Option<Vec<N>>
where
    N: FromStr<Err = InvalidName> + PartialEq,
{
    if !count.contains(&names.len()) {
        let (least, most) = (count.start(), count.end());
        faults.body(field, format!("must hold {least} to {most} items, or be null"));
        return None;
    }
    let mut checked = Vec::with_capacity(names.len());
    for name in names {
        let name = faults.check(field, name.parse())?;
        if !checked.contains(&name) {
            checked.push(name);
        }
    }
    Some(checked)
}

/// What is wrong with a source's type or configuration, where it stands in the body.
pub fn config_fault(error: ConfigError) -> Fault {
    let ConfigError { field, why } = error;
    let Some(field) = field else { return Fault::new(&["body", "type"], why) };
    let mut fault = Fault::new(&["body", "config"], why);
    fault.loc.extend((!field.is_empty()).then(|| field.into()));
    fault
}
