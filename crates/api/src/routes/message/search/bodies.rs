//! The lines that a search answers.

use bytes::Bytes;
use domain::clock::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    error::{ApiError, HttpErrorOut},
    routes::message::MessageOut,
};

/// One line of what a search answers: an object with one of these.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessageSearchLine)]
pub enum Line<'a> {
    /// A message that was found.
    Message(MessageOut<'a>),
    /// How far it is.
    Progress(ProgressOut),
    /// It is over: the last line.
    Done(DoneOut),
    /// It cannot go on: the last line.
    Error(HttpErrorOut<'a>),
}

/// How far a search is.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageSearchProgress)]
pub struct ProgressOut {
    /// Messages read so far: those of the time, types, channel and tag that were asked for.
    pub scanned: u64,
    /// The time of the last one; `null` if there was none yet.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
}

/// What came of a search.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageSearchDone)]
pub struct DoneOut {
    /// Messages read.
    pub scanned: u64,
    /// Messages found.
    pub found: u64,
    /// Why it is over.
    pub reason: Reason,
}

/// Why a search is over.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MessageSearchReason)]
pub enum Reason {
    /// There is no more to look at.
    End,
    /// It has found as many as it was asked for.
    Limit,
    /// It has looked for as long, or at as much, as a search may: go on from the last progress.
    Bound,
}

impl Line<'_> {
    /// As it is sent.
    pub fn bytes(&self) -> Bytes {
        let mut line = serde_json::to_vec(self).expect("plain data");
        line.push(b'\n');
        line.into()
    }

    /// Of what went wrong.
    pub fn error(error: &ApiError) -> Bytes {
        let (code, detail) = error.parts();
        Line::Error(HttpErrorOut { code, detail }).bytes()
    }
}
