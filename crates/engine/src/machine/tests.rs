//! The machine, transition by transition.

use std::collections::BTreeSet;

use podium_model::coordinate::Coordinate;
use podium_model::kinds::{DriverKind, Recovery, Retry};
use podium_model::plan::Action;
use serde_json::json;

use super::*;
use crate::executor::{Prepared, StepOutcome};

fn coordinate(name: &str) -> Coordinate {
    Coordinate::new("thing", "default", name)
}

fn node(name: &str, action: Action, needs: &[&str]) -> WorkNode {
    WorkNode {
        coordinate: coordinate(name),
        name: name.to_owned(),
        action,
        pending: false,
        driver: DriverKind::Script,
        runner: "process".to_owned(),
        module: "script/thing v1".to_owned(),
        owner: "platform".to_owned(),
        needs: needs.iter().map(|need| coordinate(need)).collect::<BTreeSet<_>>(),
        retry: Retry {
            attempts: 3,
            backoff_seconds: 1,
        },
        timeout_seconds: 60,
        recovery: Recovery::Named,
    }
}

fn context() -> RunContext {
    RunContext {
        uid: "uid".to_owned(),
        name: "run-1".to_owned(),
        namespace: "shop-dev".to_owned(),
        author: "ada".to_owned(),
        release: 1,
    }
}

fn state(nodes: Vec<WorkNode>) -> RunState {
    RunState::new(context(), Work { nodes }, Limits::default()).unwrap()
}

/// Feeds an input, checks that each record is admitted, and returns what followed.
#[expect(clippy::needless_pass_by_value, reason = "inputs are written in place")]
fn feed(state: &mut RunState, now_ms: i64, input: Input) -> (Vec<Fact>, Vec<Effect>) {
    let records = state.decide(&input, now_ms).unwrap();
    let mut checked = state.clone();
    for record in &records {
        checked.admits(record).unwrap();
        checked.apply(record);
    }
    let effects = state.advance(&records);
    (records.into_iter().map(|record| record.fact).collect(), effects)
}

fn begun(nodes: Vec<WorkNode>) -> RunState {
    let mut state = state(nodes);
    feed(&mut state, 0, Input::Begin);
    state
}

fn prepared(name: &str, prepared: Prepared) -> Input {
    Input::Prepared {
        node: name.to_owned(),
        prepared,
    }
}

fn proceed(name: &str, operations: &[Operation]) -> Input {
    prepared(
        name,
        Prepared::Proceed {
            operations: operations.to_vec(),
        },
    )
}

fn ended(state: &RunState, name: &str, outcome: StepOutcome) -> Input {
    Input::StepEnded {
        step: state.step(name).expect("a step is under way").id,
        outcome,
    }
}

fn done() -> StepOutcome {
    StepOutcome::Succeeded {
        result: json!({"digest": "d"}),
    }
}

fn failed(retriable: bool) -> StepOutcome {
    StepOutcome::Failed {
        message: "no route".to_owned(),
        retriable,
    }
}

fn unknown() -> StepOutcome {
    StepOutcome::Indeterminate {
        known: "the tool was killed".to_owned(),
    }
}

fn phase_of<'a>(state: &'a RunState, name: &str) -> &'a NodePhase {
    &state.node(name).unwrap().1.phase
}

fn prepares<'a>(effects: &'a [Effect]) -> Vec<&'a str> {
    let name = |effect: &'a Effect| match effect {
        Effect::Prepare(name) => Some(name.as_str()),
        _ => None,
    };
    effects.iter().filter_map(name).collect()
}

use Operation::{Apply, Destroy};

#[test]
fn work_that_nobody_can_carry_out_is_refused() {
    let refuse = |nodes| RunState::new(context(), Work { nodes }, Limits::default()).unwrap_err();
    let create = Action::Create;
    assert_eq!(
        refuse(vec![node("a", create, &[]), node("a", create, &[])]),
        WorkError::Twice("a".to_owned())
    );
    assert_eq!(
        refuse(vec![node("a", create, &["b"])]),
        WorkError::UnknownNeed {
            node: "a".to_owned(),
            needed: coordinate("b")
        }
    );
    let circle = vec![
        node("a", create, &["b"]),
        node("b", create, &["a"]),
        node("c", create, &[]),
    ];
    assert_eq!(
        refuse(circle),
        WorkError::Circle {
            nodes: vec!["a".to_owned(), "b".to_owned()]
        }
    );
}

#[test]
fn a_run_of_nothing_succeeds_at_once() {
    let mut state = state(Vec::new());
    let (facts, effects) = feed(&mut state, 5, Input::Begin);
    assert_eq!(facts.len(), 2);
    assert_eq!(effects, [Effect::Finish]);
    assert_eq!(state.finished().unwrap().outcome, RunOutcome::Succeeded);
}

#[test]
fn a_need_is_done_before_what_needs_it_begins() {
    let mut state = state(vec![
        node("app", Action::Create, &["db"]),
        node("db", Action::Create, &[]),
    ]);
    let (_, effects) = feed(&mut state, 0, Input::Begin);
    assert_eq!(prepares(&effects), ["db"]);
    assert_eq!(state.wait("app").unwrap().reason, "waits for db (thing)");

    let (facts, effects) = feed(&mut state, 1_000, proceed("db", &[Apply]));
    let [
        Fact::StepIntended {
            token,
            deadline_ms,
            attempt: 1,
            ..
        },
    ] = facts.as_slice()
    else {
        panic!("{facts:?}")
    };
    assert_eq!((token.as_str(), *deadline_ms), ("uid/db/apply", 61_000));
    let step = state.step("db").unwrap();
    assert_eq!(step.id.to_string(), "uid/db/apply/1");
    let timer = Effect::SetTimer {
        node: "db".to_owned(),
        at_ms: 61_000,
    };
    assert_eq!(effects, [Effect::Execute(step), timer]);

    let input = ended(&state, "db", done());
    let (_, effects) = feed(&mut state, 2_000, input);
    assert_eq!(prepares(&effects), ["app"]);
    feed(&mut state, 2_000, proceed("app", &[Apply]));
    let input = ended(&state, "app", done());
    let (facts, effects) = feed(&mut state, 3_000, input);
    assert_eq!(
        facts.last(),
        Some(&Fact::RunFinished {
            outcome: RunOutcome::Succeeded,
            failures: Vec::new()
        })
    );
    assert_eq!(effects.last(), Some(&Effect::Finish));
    assert_eq!(
        state.decide(&Input::CancelRequested { by: "ada".to_owned() }, 0),
        Err(IllegalInput::Over)
    );
}

#[test]
fn replace_destroys_before_it_applies_and_keeps_its_place_between() {
    let nodes = vec![node("a", Action::Replace, &[]), node("b", Action::Create, &[])];
    let limits = Limits {
        total: 1,
        ..Limits::default()
    };
    let mut state = RunState::new(context(), Work { nodes }, limits).unwrap();
    feed(&mut state, 0, Input::Begin);
    feed(&mut state, 0, proceed("a", &[Destroy, Apply]));
    assert_eq!(state.step("a").unwrap().operation(), Destroy);
    let input = ended(&state, "a", done());
    let (facts, effects) = feed(&mut state, 0, input);
    assert_eq!(facts.len(), 2, "outcome and next intent go in one transaction");
    assert!(prepares(&effects).is_empty(), "b gets no place yet");
    let step = state.step("a").unwrap();
    assert_eq!(
        (step.operation(), step.id.attempt, step.token.as_str()),
        (Apply, 2, "uid/a/apply")
    );
    let input = ended(&state, "a", done());
    let (_, effects) = feed(&mut state, 0, input);
    assert_eq!(prepares(&effects), ["b"]);
    assert_eq!(state.node("a").unwrap().1.done, [Destroy, Apply]);
}

#[test]
fn a_retry_after_half_a_replace_does_not_destroy_again() {
    let mut state = begun(vec![node("a", Action::Replace, &[])]);
    feed(&mut state, 0, proceed("a", &[Destroy, Apply]));
    let input = ended(&state, "a", done());
    feed(&mut state, 0, input);
    let input = ended(&state, "a", failed(true));
    feed(&mut state, 0, input);
    feed(&mut state, 1_000, Input::TimerFired { node: "a".to_owned() });
    assert_eq!(state.progress("a").done, [Destroy]);
    feed(&mut state, 1_000, proceed("a", &[Destroy, Apply]));
    assert_eq!(state.step("a").unwrap().operation(), Apply);
}

#[test]
fn retries_double_their_wait_and_keep_the_token_until_the_allowance_is_spent() {
    let mut state = begun(vec![
        node("a", Action::Create, &[]),
        node("b", Action::Create, &["a"]),
    ]);
    let mut now_ms = 0;
    for (attempt, wait_ms) in [(1, 1_000), (2, 2_000)] {
        feed(&mut state, now_ms, proceed("a", &[Apply]));
        assert_eq!(state.step("a").unwrap().token, "uid/a/apply");
        assert_eq!(state.step("a").unwrap().id.attempt, attempt);
        let input = ended(&state, "a", failed(true));
        let (_, effects) = feed(&mut state, now_ms, input);
        assert_eq!(
            effects,
            [Effect::SetTimer {
                node: "a".to_owned(),
                at_ms: now_ms + wait_ms
            }]
        );
        let wait = state.wait("a").unwrap();
        assert_eq!((wait.reason.as_str(), wait.since_ms), ("no route", Some(now_ms)));
        assert_eq!(wait.next_try_ms, Some(now_ms + wait_ms));
        let early = Input::TimerFired { node: "a".to_owned() };
        assert_eq!(feed(&mut state, now_ms + wait_ms - 1, early.clone()).0, []);
        now_ms += wait_ms;
        assert_eq!(prepares(&feed(&mut state, now_ms, early).1), ["a"]);
    }
    feed(&mut state, now_ms, proceed("a", &[Apply]));
    let input = ended(&state, "a", failed(true));
    let (facts, _) = feed(&mut state, now_ms, input);
    assert!(matches!(
        &facts[0],
        Fact::StepFailed {
            next_try_ms: None,
            ..
        }
    ));
    let because = Because::Needs { node: "a".to_owned() };
    assert_eq!(
        facts[1],
        Fact::NodeSkipped {
            node: "b".to_owned(),
            because
        }
    );
    let finished = state.finished().unwrap();
    assert_eq!(finished.outcome, RunOutcome::Failed);
    assert_eq!(finished.failures, ["a (thing): no route"]);
}

#[test]
fn a_failure_that_trying_again_does_not_cure_is_final_and_the_rest_goes_on() {
    let nodes = vec![
        node("a", Action::Create, &[]),
        node("b", Action::Create, &["a"]),
        node("c", Action::Create, &["b"]),
        node("d", Action::Create, &[]),
    ];
    let mut state = begun(nodes);
    feed(&mut state, 0, proceed("a", &[Apply]));
    let input = ended(&state, "a", failed(false));
    feed(&mut state, 0, input);
    for name in ["b", "c"] {
        let because = Because::Needs { node: "a".to_owned() };
        assert_eq!(phase_of(&state, name), &NodePhase::Skipped { because });
    }
    feed(&mut state, 0, proceed("d", &[Apply]));
    let input = ended(&state, "d", done());
    feed(&mut state, 0, input);
    assert_eq!(phase_of(&state, "d"), &NodePhase::Succeeded);
    assert_eq!(state.finished().unwrap().outcome, RunOutcome::Failed);
}

#[test]
fn an_unknown_outcome_waits_for_a_person_and_approval_tries_again() {
    let mut state = begun(vec![node("a", Action::Create, &[])]);
    feed(&mut state, 0, proceed("a", &[Apply]));
    let input = ended(&state, "a", unknown());
    let (_, effects) = feed(&mut state, 7, input);
    assert_eq!(effects, []);
    assert_eq!(state.awaiting().count(), 1);
    let wait = state.wait("a").unwrap();
    assert!(wait.reason.contains("the tool was killed"), "{}", wait.reason);
    assert_eq!((wait.since_ms, wait.next_try_ms), (Some(7), None));
    // Nothing but a person moves it.
    assert_eq!(
        feed(&mut state, i64::MAX, Input::TimerFired { node: "a".to_owned() }).0,
        []
    );
    assert!(state.decide(&proceed("a", &[Apply]), 8).is_err());

    let (_, effects) = feed(
        &mut state,
        9,
        Input::Approved {
            node: None,
            by: "eve".to_owned(),
        },
    );
    assert_eq!(prepares(&effects), ["a"]);
    let progress = state.progress("a");
    assert_eq!(progress.retry_approved_by.as_deref(), Some("eve"));
    assert_eq!(progress.outside_approved_by, None);
    feed(&mut state, 9, proceed("a", &[Apply]));
    assert_eq!(state.step("a").unwrap().id.attempt, 2);
}

#[test]
fn a_node_outside_its_envelope_frees_its_place_and_the_rest_goes_on() {
    let nodes = vec![node("a", Action::Create, &[]), node("b", Action::Create, &[])];
    let limits = Limits {
        total: 1,
        ..Limits::default()
    };
    let mut state = RunState::new(context(), Work { nodes }, limits).unwrap();
    feed(&mut state, 0, Input::Begin);
    assert_eq!(
        state.wait("b").unwrap().reason,
        "waits for a place: a run works on 1 nodes at a time"
    );
    let outside = Prepared::Outside {
        reason: "it would be replaced".to_owned(),
    };
    let (_, effects) = feed(&mut state, 0, prepared("a", outside));
    assert_eq!(prepares(&effects), ["b"]);
    feed(&mut state, 0, prepared("b", Prepared::Unchanged));
    assert!(state.finished().is_none());
    feed(
        &mut state,
        0,
        Input::Approved {
            node: Some("a".to_owned()),
            by: "eve".to_owned(),
        },
    );
    assert_eq!(state.progress("a").outside_approved_by.as_deref(), Some("eve"));
    // What was approved may destroy, although the plan said create.
    feed(&mut state, 0, proceed("a", &[Destroy, Apply]));
    assert_eq!(state.step("a").unwrap().operation(), Destroy);
}

#[test]
fn destroying_what_the_plan_did_not_destroy_asks_first() {
    let mut state = begun(vec![node("a", Action::Update, &[])]);
    let (facts, _) = feed(&mut state, 0, proceed("a", &[Destroy, Apply]));
    assert!(matches!(&facts[..], [Fact::NodeAwaiting { .. }]), "{facts:?}");
}

#[test]
fn rejecting_ends_a_node_as_skipped_and_what_needs_it_too() {
    let mut state = begun(vec![
        node("a", Action::Create, &[]),
        node("b", Action::Create, &["a"]),
    ]);
    feed(
        &mut state,
        0,
        prepared(
            "a",
            Prepared::Outside {
                reason: "it would be replaced".to_owned(),
            },
        ),
    );
    feed(
        &mut state,
        0,
        Input::Rejected {
            node: None,
            by: "eve".to_owned(),
        },
    );
    let because = Because::Rejected { by: "eve".to_owned() };
    assert_eq!(phase_of(&state, "a"), &NodePhase::Skipped { because });
    let because = Because::Needs { node: "a".to_owned() };
    assert_eq!(phase_of(&state, "b"), &NodePhase::Skipped { because });
    let finished = state.finished().unwrap();
    assert_eq!(finished.outcome, RunOutcome::Failed, "not everything was done");
    assert_eq!(finished.failures, ["a (thing): rejected by eve"]);
}

#[test]
fn cancelling_stops_what_is_under_way_and_begins_nothing() {
    let nodes = vec![
        node("a", Action::Replace, &[]),
        node("b", Action::Create, &["a"]),
        node("c", Action::Create, &[]),
    ];
    let mut state = begun(nodes);
    feed(&mut state, 0, proceed("a", &[Destroy, Apply]));
    let cancel = Input::CancelRequested { by: "eve".to_owned() };
    let (_, effects) = feed(&mut state, 0, cancel.clone());
    assert_eq!(effects, [Effect::StopStep(state.step("a").unwrap())]);
    assert_eq!(feed(&mut state, 0, cancel).0, [], "asking twice changes nothing");
    // An answer that comes late is not an error, and begins nothing.
    assert_eq!(feed(&mut state, 0, proceed("c", &[Apply])).0, []);
    assert!(state.finished().is_none(), "a step is still under way");
    let input = ended(&state, "a", done());
    feed(&mut state, 0, input);
    let because = Because::Cancelled { by: "eve".to_owned() };
    assert_eq!(phase_of(&state, "a"), &NodePhase::Skipped { because });
    assert_eq!(state.finished().unwrap().outcome, RunOutcome::Cancelled);
    assert_eq!(
        state.finished().unwrap().failures,
        ["a (thing): cancelled half way: its last operation was not begun"]
    );
}

#[test]
fn a_cancelled_run_does_not_retry_and_does_not_ask() {
    for outcome in [failed(true), unknown()] {
        let mut state = begun(vec![node("a", Action::Create, &[])]);
        feed(&mut state, 0, proceed("a", &[Apply]));
        feed(&mut state, 0, Input::CancelRequested { by: "eve".to_owned() });
        let input = ended(&state, "a", outcome);
        feed(&mut state, 0, input);
        let finished = state.finished().expect("the run ends");
        assert_eq!(finished.outcome, RunOutcome::Cancelled);
        assert_eq!(finished.failures.len(), 1, "what became of the step is told");
    }
}

#[test]
fn a_step_whose_time_is_up_is_stopped_once() {
    let mut state = begun(vec![node("a", Action::Create, &[])]);
    feed(&mut state, 0, proceed("a", &[Apply]));
    let timer = Input::TimerFired { node: "a".to_owned() };
    assert_eq!(feed(&mut state, 59_999, timer.clone()).0, []);
    let (facts, effects) = feed(&mut state, 60_000, timer.clone());
    assert_eq!(
        facts,
        [Fact::StepOverdue {
            node: "a".to_owned(),
            attempt: 1
        }]
    );
    assert_eq!(effects, [Effect::StopStep(state.step("a").unwrap())]);
    assert_eq!(feed(&mut state, 60_001, timer).0, []);
}

#[test]
fn what_cannot_be_judged_is_asked_again_with_growing_patience() {
    let mut state = begun(vec![node("a", Action::Create, &[])]);
    let mut waits = Vec::new();
    let mut now_ms = 0;
    for _ in 0..12 {
        feed(
            &mut state,
            now_ms,
            prepared(
                "a",
                Prepared::Later {
                    reason: "locked".to_owned(),
                },
            ),
        );
        let next_ms = state.wait("a").unwrap().next_try_ms.unwrap();
        waits.push((next_ms - now_ms) / 1000);
        now_ms = next_ms;
        feed(&mut state, now_ms, Input::TimerFired { node: "a".to_owned() });
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    assert_eq!(state.node("a").unwrap().1.attempt, 0, "asking is no attempt");
}

#[test]
fn what_is_refused_has_failed() {
    let mut state = begun(vec![node("a", Action::Create, &[])]);
    feed(
        &mut state,
        0,
        prepared(
            "a",
            Prepared::Refused {
                message: "no such size".to_owned(),
            },
        ),
    );
    assert_eq!(state.finished().unwrap().failures, ["a (thing): no such size"]);
}

#[test]
fn a_full_runner_does_not_hold_up_another_and_first_come_is_first_served() {
    let mut other = node("c", Action::Create, &[]);
    other.runner = "wasm".to_owned();
    let nodes = vec![
        node("a", Action::Create, &[]),
        node("b", Action::Create, &[]),
        other,
    ];
    let limits = Limits {
        per_runner: [("process".to_owned(), 1)].into(),
        ..Limits::default()
    };
    let mut state = RunState::new(context(), Work { nodes }, limits).unwrap();
    let (_, effects) = feed(&mut state, 0, Input::Begin);
    assert_eq!(prepares(&effects), ["a", "c"]);
    assert_eq!(
        state.wait("b").unwrap().reason,
        "waits for a place: runner process works on 1 at a time"
    );
    // a fails and comes back before b had its turn: b goes first.
    feed(&mut state, 0, proceed("a", &[Apply]));
    let input = ended(&state, "a", failed(true));
    assert_eq!(prepares(&feed(&mut state, 0, input).1), ["b"]);
    assert_eq!(
        prepares(&feed(&mut state, 1_000, Input::TimerFired { node: "a".to_owned() }).1),
        Vec::<&str>::new()
    );
    assert_eq!(
        prepares(&feed(&mut state, 1_000, prepared("b", Prepared::Unchanged)).1),
        ["a"]
    );
}

#[test]
fn illegal_inputs_are_refused_with_their_reason() {
    let fresh = state(vec![node("a", Action::Create, &[])]);
    let by = || "eve".to_owned();
    assert_eq!(
        fresh.decide(&Input::CancelRequested { by: by() }, 0),
        Err(IllegalInput::NotBegun)
    );
    let mut state = begun(vec![
        node("a", Action::Create, &[]),
        node("b", Action::Create, &["a"]),
    ]);
    let table = [
        (Input::Begin, "the run has begun already"),
        (proceed("x", &[Apply]), "the run has no node x"),
        (proceed("b", &[Apply]), "b is waiting"),
        (
            Input::Approved { node: None, by: by() },
            "nothing in the run waits for a person",
        ),
        (
            Input::Rejected {
                node: Some("b".to_owned()),
                by: by(),
            },
            "b is waiting; a rejection is possible",
        ),
        (
            Input::TimerFired { node: "x".to_owned() },
            "the run has no node x",
        ),
    ];
    for (input, says) in table {
        let error = state.decide(&input, 0).unwrap_err().to_string();
        assert!(error.starts_with(says), "{input:?}: {error}");
    }
    feed(&mut state, 0, proceed("a", &[Apply]));
    let mut wrong = state.step("a").unwrap().id;
    wrong.attempt = 2;
    let input = Input::StepEnded {
        step: wrong.clone(),
        outcome: done(),
    };
    assert_eq!(
        state.decide(&input, 0),
        Err(IllegalInput::WrongStep { step: wrong })
    );
    let input = ended(&state, "a", done());
    feed(&mut state, 0, input.clone());
    assert!(
        matches!(state.decide(&input, 0), Err(IllegalInput::WrongStep { .. })),
        "one outcome each"
    );
}

#[test]
fn replay_tells_the_same_state_and_taking_up_what_is_to_be_done() {
    let nodes = || {
        vec![
            node("a", Action::Create, &[]),
            node("b", Action::Create, &[]),
            node("c", Action::Create, &[]),
            node("d", Action::Create, &["a"]),
        ]
    };
    let mut live = state(nodes());
    let mut journal = Vec::new();
    let mut feed = |live: &mut RunState, now_ms, input: Input| {
        let records = live.decide(&input, now_ms).unwrap();
        live.advance(&records);
        journal.extend(records);
    };
    feed(&mut live, 0, Input::Begin);
    feed(&mut live, 1, proceed("a", &[Apply]));
    feed(&mut live, 2, proceed("b", &[Apply]));
    let input = ended(&live, "b", failed(true));
    feed(&mut live, 3, input);
    let text = serde_json::to_string(&journal).unwrap();
    let read: Vec<Record> = serde_json::from_str(&text).unwrap();
    assert_eq!(read, journal, "records survive the journal");

    let mut again = state(nodes()).replay(&read).unwrap();
    assert_eq!(phase_of(&again, "a"), phase_of(&live, "a"));
    assert_eq!(phase_of(&again, "b"), phase_of(&live, "b"));
    let taken = again
        .decide(&Input::TakeUp { by: "w2".to_owned() }, 100_000)
        .unwrap();
    let effects = again.advance(&taken);
    let step = live.step("a").unwrap();
    let expected = [
        Effect::Recover(step),
        Effect::SetTimer {
            node: "a".to_owned(),
            at_ms: 160_000,
        },
        Effect::SetTimer {
            node: "b".to_owned(),
            at_ms: 1_003,
        },
        Effect::Prepare("c".to_owned()),
    ];
    assert_eq!(effects, expected);
}

#[test]
fn a_journal_of_other_work_is_refused() {
    let mut one = state(vec![node("a", Action::Create, &[])]);
    let mut journal = one.decide(&Input::Begin, 0).unwrap();
    one.advance(&journal);
    journal.extend(one.decide(&proceed("a", &[Apply]), 0).unwrap());
    let error = state(vec![node("b", Action::Create, &[])])
        .replay(&journal)
        .unwrap_err();
    assert_eq!(error.what, "a: a step is intended");
    let two = state(vec![
        node("a", Action::Create, &[]),
        node("b", Action::Create, &[]),
    ]);
    assert_eq!(two.replay(&journal).unwrap_err().what, "the run of 1 nodes began");
    journal.push(journal[1].clone());
    assert!(
        state(vec![node("a", Action::Create, &[])])
            .replay(&journal)
            .is_err(),
        "one intent each"
    );
}

#[test]
fn views_show_a_reason_for_every_wait() {
    let mut state = begun(vec![
        node("a", Action::Create, &[]),
        node("b", Action::Create, &["a"]),
    ]);
    feed(
        &mut state,
        0,
        prepared(
            "a",
            Prepared::Outside {
                reason: "it would be replaced".to_owned(),
            },
        ),
    );
    let views = crate::views(&state);
    assert_eq!(views[0].state, "awaitingApproval");
    assert_eq!(views[0].message, "waits for an approval: it would be replaced");
    assert_eq!(views[1].state, "waiting");
    assert_eq!(views[1].message, "waits for a (thing), which waits for a person");
    assert_eq!(
        crate::phase(&state),
        podium_model::kinds::RunPhase::AwaitingApproval
    );
}
