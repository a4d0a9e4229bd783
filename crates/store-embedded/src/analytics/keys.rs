//! What a rollup is of.

use domain::{clock::Timestamp, name::EventTypeName};

/// An application's endpoint and event type in one minute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) org_no: i64,
    pub(crate) app_no: i64,
    /// The beginning of the unit.
    pub(crate) at: Timestamp,
    /// 0: of messages, which have none.
    pub(crate) endpoint_no: i64,
    /// `None`: of what never became an event.
    pub(crate) event_type: Option<EventTypeName>,
}

impl Key {
    /// As it is stored.
    pub(crate) fn event_type(&self) -> &str {
        self.event_type.as_ref().map_or("", EventTypeName::as_str)
    }
}

/// From what is stored.
pub(crate) fn event_type(text: &str) -> crate::error::Result<Option<EventTypeName>> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(crate::error::Error::corrupt),
    }
}
