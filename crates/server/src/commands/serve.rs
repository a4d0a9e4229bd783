//! `hookwright serve`: the server.

use std::process::ExitCode;

use crate::{cli, config::Config, serve, telemetry::Telemetry, wiring};

/// Serves until it is told to stop (SIGTERM, SIGINT), then drains.
pub fn run(config: Config) -> anyhow::Result<ExitCode> {
    cli::arm_fail_point()?;
    let telemetry = Telemetry::init(&config)?;
    let ended = serve::runtime(serve::workers())?.block_on(async {
        let house = wiring::build(&config).await?;
        serve::run(house, &config, &telemetry, serve::signal()).await
    });
    telemetry.flush();
    ended.map(|()| ExitCode::SUCCESS)
}
