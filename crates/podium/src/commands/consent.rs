//! Shows what is about to happen, and asks before anything is lost.
//!
//! A plan that replaces or deletes is asked about on a terminal. Elsewhere it is refused without `--yes`, before
//! anything is committed.

use anyhow::{Result, bail};
use clap::Args;
use podium_model::api::Consent;
use podium_model::plan::Plan;

use crate::cli::Context;
use crate::render::plan::{Mood, render};
use crate::render::text::counted;

/// The option that agrees beforehand.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct YesArgs {
    /// Agree to everything beforehand, also to replace and delete
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// Shows the plan and returns what the author agrees to; an error when they do not.
pub(super) async fn obtain(context: &Context<'_>, plan: &Plan, yes: YesArgs) -> Result<Consent> {
    let terminal = context.terminal;
    terminal.talk(&render(plan, Mood::Will, None, terminal.talk_paint()));
    let digest = Some(plan.digest.clone());
    if yes.yes {
        return Ok(Consent { digest, any: true });
    }
    let lost = plan.gate.destructive.len();
    if lost == 0 {
        return Ok(Consent { digest, any: false });
    }
    if !terminal.is_interactive() {
        bail!(
            "this replaces or deletes {}, and nobody can be asked; nothing was changed\nagree with --yes, or look at it first: podium plan",
            counted(lost, "resource")
        );
    }
    if terminal
        .ask(&format!("Replace or delete {}?", counted(lost, "resource")))
        .await
    {
        Ok(Consent { digest, any: false })
    } else {
        bail!("not agreed; nothing was changed")
    }
}
