//! Publishing over the reference store.

mod each;
mod nodes;
mod support;
