//! Hundreds of histories, each with its own crashes, and every crash point of a few small ones.

use std::collections::BTreeSet;

use podium_engine::{Mutation, RunOutcome};
use podium_model::kinds::Recovery::{Indeterminate, Named, Token};
use podium_model::plan::Action::{Create, Delete, Replace, Update};
use podium_testkit::{CrashMode, Options, Report, Scenario, Simulation, Violation};

/// How many histories are played, unless `PODIUM_SIM_SEEDS` says otherwise.
const SEEDS: u64 = 1000;

fn seeds() -> u64 {
    std::env::var("PODIUM_SIM_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(SEEDS)
}

fn must_be_right(report: &Report) {
    assert!(
        report.violations.is_empty(),
        "seed {}: {:#?}\nreplay it with: PODIUM_SIM_SEED={} cargo test -p podium-testkit --test simulation replay \
         -- --nocapture",
        report.seed,
        report.violations,
        report.seed,
    );
}

#[test]
fn every_history_keeps_the_rules() {
    let mut sizes = Vec::new();
    let mut outcomes = BTreeSet::new();
    let (mut crashed, mut taken_over, mut waited, mut steps) = (0, 0, 0, 0);
    let seeds = seeds();
    for seed in 0..seeds {
        let report = Simulation::run(seed, &Options::default());
        must_be_right(&report);
        sizes.push(report.nodes);
        crashed += u32::from(report.crashes > 0);
        taken_over += u32::from(report.leases > u64::from(report.crashes) + 1);
        waited += u32::from(report.waits > 0);
        steps += report.steps;
        outcomes.insert(format!("{:?}", report.finished.expect("it ended").outcome));
    }
    sizes.sort_unstable();
    println!(
        "{seeds} histories, {steps} steps: {crashed} with crashes, {taken_over} with a lease lost otherwise, {waited} that \
         waited for a person; median {} nodes, most {}",
        sizes[sizes.len() / 2],
        sizes[sizes.len() - 1]
    );
    // The histories are worth something only if they hold what they are for.
    assert_eq!(outcomes.len(), 3, "{outcomes:?}");
    let most = u32::try_from(seeds).unwrap();
    assert!(crashed > most * 3 / 4, "{crashed} crashed");
    assert!(taken_over > most / 10, "{taken_over} were taken over");
    assert!(waited > most / 4, "{waited} waited");
    assert!((5..=12).contains(&sizes[sizes.len() / 2]));
}

/// One round of `cargo xtask soak`: histories that no other round plays.
#[test]
#[ignore = "a round of a soak"]
fn soak_histories() {
    const HISTORIES: u64 = 5000;
    let round: u64 = std::env::var("PODIUM_SOAK_SEED").map_or(0, |round| round.parse().expect("a number"));
    // Beyond the seeds of the ordinary tests.
    let first = SEEDS + round * HISTORIES;
    for seed in first..first + HISTORIES {
        must_be_right(&Simulation::run(seed, &Options::default()));
    }
}

/// Plays the seed of `PODIUM_SIM_SEED` and tells all of it.
#[test]
fn replay() {
    let Ok(seed) = std::env::var("PODIUM_SIM_SEED") else {
        return;
    };
    let report = Simulation::run(seed.parse().expect("a number"), &Options::default());
    for line in &report.history {
        println!("{line}");
    }
    must_be_right(&report);
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..25 {
        let one = Simulation::run(seed, &Options::default());
        let two = Simulation::run(seed, &Options::default());
        assert_eq!(one.history, two.history, "seed {seed}");
        let other = Simulation::run(seed + 1_000_000, &Options::default());
        assert_ne!(one.history, other.history, "seed {seed}");
    }
}

fn small_scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for recovery in [Named, Token, Indeterminate] {
        scenarios.push(Scenario::of(&[(Create, recovery, &[])]));
        scenarios.push(Scenario::of(&[
            (Replace, recovery, &[]),
            (Update, recovery, &[0]),
        ]));
        scenarios.push(Scenario::of(&[(Delete, recovery, &[]), (Delete, recovery, &[0])]));
    }
    scenarios.push(Scenario::of(&[
        (Create, Named, &[]),
        (Create, Token, &[0]),
        (Create, Indeterminate, &[0]),
        (Update, Named, &[1, 2]),
    ]));
    scenarios
}

fn calm(scenario: &Scenario, points: &[u32], carried_out: bool, mutation: Option<Mutation>) -> Options {
    Options {
        scenario: Some(scenario.clone()),
        crashes: CrashMode::At {
            points: points.to_vec(),
            carried_out,
        },
        troubles: false,
        mutation,
    }
}

#[test]
fn a_crash_at_every_point_of_small_runs_breaks_nothing() {
    let mut histories = 0;
    for scenario in small_scenarios() {
        let smooth = Simulation::run(1, &calm(&scenario, &[], true, None));
        must_be_right(&smooth);
        assert_eq!(smooth.finished.expect("it ended").outcome, RunOutcome::Succeeded);
        for point in 0..smooth.points {
            for carried_out in [false, true] {
                let report = Simulation::run(1, &calm(&scenario, &[point], carried_out, None));
                assert_eq!(report.crashes, 1, "point {point} is reached");
                assert_eq!(
                    report.violations,
                    [],
                    "point {point} of {scenario:#?}: {:#?}",
                    report.history
                );
                histories += 1;
            }
        }
    }
    println!("{histories} histories");
}

#[test]
fn two_crashes_at_every_pair_of_points_of_the_smallest_runs_break_nothing() {
    for recovery in [Named, Token, Indeterminate] {
        let scenario = Scenario::of(&[(Create, recovery, &[])]);
        let once = Simulation::run(1, &calm(&scenario, &[], true, None)).points;
        for first in 0..once {
            let twice = Simulation::run(1, &calm(&scenario, &[first], true, None)).points;
            for second in first + 1..twice {
                let report = Simulation::run(1, &calm(&scenario, &[first, second], true, None));
                assert_eq!(
                    report.violations,
                    [],
                    "points {first} and {second}: {:#?}",
                    report.history
                );
            }
        }
    }
}

/// Whether the same seeds notice a mistake, by `sign`.
fn is_caught(mutation: Mutation, sign: fn(&Violation) -> bool) -> bool {
    let options = Options {
        mutation: Some(mutation),
        ..Options::default()
    };
    (0..SEEDS).any(|seed| Simulation::run(seed, &options).violations.iter().any(sign))
}

#[test]
fn effects_before_the_journal_are_caught() {
    assert!(is_caught(Mutation::EffectBeforeJournal, |violation| matches!(
        violation,
        Violation::EffectBeforeIntent(_)
    )));
    // Not only as a breach of the rule, but by what comes of it.
    assert!(is_caught(Mutation::EffectBeforeJournal, |violation| matches!(
        violation,
        Violation::MadeTwice(_) | Violation::RepeatedSilently(_)
    )));
}

#[test]
fn a_worker_without_fencing_is_caught() {
    assert!(is_caught(Mutation::NoFencing, |violation| matches!(
        violation,
        Violation::Unfenced(_)
    )));
}

#[test]
fn a_new_token_at_each_attempt_is_caught() {
    assert!(is_caught(Mutation::RetryWithoutToken, |violation| matches!(
        violation,
        Violation::MadeTwice(_)
    )));
}
