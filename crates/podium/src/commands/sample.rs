//! `podium sample`: the sample application of the quickstart, a small server inside the binary.

use std::process::ExitCode;

use anyhow::{Context as _, Result};

pub(crate) use crate::sample::SampleArguments as SampleArgs;

pub(crate) fn run(args: SampleArgs) -> Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?
        .block_on(crate::sample::run(args))?;
    Ok(ExitCode::SUCCESS)
}
