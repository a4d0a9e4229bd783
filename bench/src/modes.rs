//! The modes, one file each.
pub mod backlog;
pub mod fanout;
pub mod isolate;
pub mod limits;
pub mod scheduled;
pub mod survive;
pub mod throughput;
