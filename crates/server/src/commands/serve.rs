//! `hookwright serve`: the server.

use std::process::ExitCode;

use crate::{cli, config::Config, serve, telemetry, wiring};

/// Serves until it is told to stop (SIGTERM, SIGINT), then drains.
pub fn run(config: Config) -> anyhow::Result<ExitCode> {
    cli::arm_fail_point()?;
    telemetry::init_logs(&config)?;
    let metrics = telemetry::init_metrics()?;
    serve::runtime(serve::workers())?.block_on(async move {
        let house = wiring::build(&config).await?;
        serve::run(house, &config, Some(metrics), serve::signal()).await?;
        Ok(ExitCode::SUCCESS)
    })
}
