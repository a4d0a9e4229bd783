//! `hookwright token`: a token of an organization, for a product's backend.

use std::process::ExitCode;

use domain::{duration::HumanDuration, id::OrganizationId};

use crate::{config::Config, wiring};

/// Prints a token.
pub fn run(config: &Config, org: Option<&str>, expires: &str) -> anyhow::Result<ExitCode> {
    let org = org.map(str::parse::<OrganizationId>).transpose()?;
    let expires: HumanDuration = expires.parse()?;
    println!("{}", wiring::organization_token(config, org, expires.0)?);
    Ok(ExitCode::SUCCESS)
}
