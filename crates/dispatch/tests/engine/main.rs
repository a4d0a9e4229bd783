//! The engine over the reference store and fake receivers, in virtual time: nothing here waits for a
//! real clock, and every run of a test is the same run.

mod delivering;
mod ends;
mod health;
mod holding;
mod isolation;
mod jobs;
mod limits;
mod live;
mod memory;
mod news;
mod nodes;
mod owners;
mod races;
mod restart;
mod stopping;
mod trouble;

mod harness;
