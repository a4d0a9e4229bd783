//! The API as its callers see it: one file per resource, against the real router.
#![allow(clippy::disallowed_methods, reason = "tests")]

mod alert;
mod analytics;
mod application;
mod attempt;
mod attempt_headers;
mod audit_log;
mod auth;
mod background_task;
mod contract;
mod edge;
mod endpoint;
mod environment;
mod event_type;
mod health;
mod idempotency;
mod ingest;
mod ingest_endpoint;
mod isolation;
mod listen;
mod live;
mod message;
mod nodes;
mod operate;
mod provider;
mod replay;
mod search;
mod statistics;
mod support;
mod token;
mod trouble;
