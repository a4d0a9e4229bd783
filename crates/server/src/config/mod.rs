//! Configuration: one flat list of settings, each of which can stand in the file, in the environment
//! (`HOOKWRIGHT_…`) or on the command line, the later winning over the earlier.

mod load;
mod settings;
mod value;

pub use load::Sources;
pub use settings::{Config, SETTINGS};
pub use value::LogFormat;
