//! Follows a run to its end, through restarts of the server.
//!
//! One task reads the stream and opens it again whenever it breaks; the other side draws, waits for Ctrl-C and
//! watches the time. So nothing that redraws can cut a request off.

use std::time::Duration;

use anyhow::Result;
use podium_model::api::Steps;
use podium_model::kinds::{RUNS, RunPhase};
use tokio::sync::mpsc;

use super::now;
use crate::client::watch::Pauses;
use crate::client::{Client, ClientError, kinds, lines::Lines};
use crate::render::live::Live;
use crate::render::terminal::Terminal;

/// How often the clocks in the picture move.
const TICK: Duration = Duration::from_millis(100);

/// How following ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// Nothing more will happen.
    Final(Steps),
    /// A person has to approve it.
    NeedsPerson(Steps),
    /// It is still at work, and the time is up.
    TimeUp(Option<Steps>),
    /// Ctrl-C.
    Interrupted,
}

enum Event {
    Steps(Box<Steps>),
    Away(String),
    Broken(ClientError),
}

/// Follows the run; `left` is the time that remains.
pub(super) async fn follow(
    client: &Client,
    terminal: &Terminal,
    heading: &str,
    namespace: &str,
    run: &str,
    left: Duration,
) -> Result<Ending> {
    let (sender, mut events) = mpsc::channel(16);
    let path = format!("{}/steps", kinds::object(RUNS, Some(namespace), run));
    let reader = tokio::spawn(read(client.clone(), path, sender));
    let mut live = Live::new(terminal, heading.to_owned());
    let ending = watch(&mut events, &mut live, left).await;
    reader.abort();
    live.finish(now());
    ending
}

async fn watch(events: &mut mpsc::Receiver<Event>, live: &mut Live<'_>, left: Duration) -> Result<Ending> {
    let time_up = tokio::time::sleep(left);
    tokio::pin!(time_up);
    let mut tick = tokio::time::interval(TICK);
    let mut latest: Option<Steps> = None;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = tick.tick(), if live.ticks() => {
                live.draw(now());
                continue;
            }
            () = &mut time_up => return Ok(Ending::TimeUp(latest)),
            _ = tokio::signal::ctrl_c() => return Ok(Ending::Interrupted),
        };
        match event {
            Some(Event::Steps(steps)) => {
                live.show((*steps).clone(), now());
                match steps.phase {
                    phase if phase.is_final() => return Ok(Ending::Final(*steps)),
                    RunPhase::AwaitingApproval => return Ok(Ending::NeedsPerson(*steps)),
                    _ => latest = Some(*steps),
                }
            }
            Some(Event::Away(reason)) => live.notice(&reason, now()),
            Some(Event::Broken(error)) => return Err(error.into()),
            // The reader ends only after it has sent what ends this loop.
            None => return Ok(Ending::TimeUp(latest)),
        }
    }
}

async fn read(client: Client, path: String, events: mpsc::Sender<Event>) {
    let mut pauses = Pauses::new();
    loop {
        match stream(&client, &path, &events, &mut pauses).await {
            // Ended by the server before the run did, as when it stops.
            Ok(false) => {}
            Ok(true) => return,
            Err(error) if error.is_passing() => {
                let reason = format!("the server at {} is away; trying again", client.server());
                if events.send(Event::Away(reason)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                let _nobody_listens = events.send(Event::Broken(error)).await;
                return;
            }
        }
        pauses.wait().await;
    }
}

/// Reads one stream to its end; says whether the run is final or nobody listens.
async fn stream(
    client: &Client,
    path: &str,
    events: &mpsc::Sender<Event>,
    pauses: &mut Pauses,
) -> Result<bool, ClientError> {
    let response = client.stream(path, &[("follow", "true".to_owned())]).await?;
    let mut lines = Lines::new(client, response);
    while let Some(line) = lines.next().await? {
        let steps: Steps = serde_json::from_slice(&line).map_err(|error| ClientError::Answer {
            request: format!("GET {path}"),
            problem: error.to_string(),
        })?;
        pauses.reset();
        let last = steps.phase.is_final();
        if events.send(Event::Steps(Box::new(steps))).await.is_err() || last {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use podium_model::api::Steps;
    use podium_model::kinds::RunPhase;

    use super::{Ending, follow};
    use crate::client::testing::{Reply, Server};
    use crate::render::terminal::Terminal;

    fn line(phase: RunPhase) -> String {
        let steps = Steps {
            run: "r".into(),
            release: 1,
            phase,
            needs: vec![],
            failures: vec![],
            steps: vec![],
        };
        serde_json::to_string(&steps).unwrap() + "\n"
    }

    async fn ending(replies: Vec<Reply>, time: Duration) -> anyhow::Result<Ending> {
        let server = Server::start(replies).await;
        follow(
            &server.client(),
            &Terminal::detect(),
            "demo/dev",
            "demo-dev",
            "r",
            time,
        )
        .await
    }

    #[tokio::test]
    async fn a_run_is_followed_through_a_restart_of_the_server() {
        let replies = vec![
            Reply::Broken(line(RunPhase::Queued) + &line(RunPhase::Running)),
            Reply::Nothing,
            Reply::Whole(503, "starting".into()),
            Reply::Whole(200, line(RunPhase::Running)),
            Reply::Whole(200, line(RunPhase::Succeeded)),
        ];
        let ending = ending(replies, Duration::from_mins(1)).await.unwrap();
        assert!(matches!(ending, Ending::Final(steps) if steps.phase == RunPhase::Succeeded));
    }

    #[tokio::test]
    async fn a_server_that_stays_away_is_waited_for_no_longer_than_asked() {
        let ending = ending(
            vec![Reply::Broken(line(RunPhase::Running))],
            Duration::from_millis(600),
        )
        .await
        .unwrap();
        assert!(matches!(ending, Ending::TimeUp(Some(steps)) if steps.phase == RunPhase::Running));
    }

    #[tokio::test]
    async fn a_run_that_waits_for_a_person_or_is_gone_ends_it() {
        let waits = vec![Reply::Broken(line(RunPhase::AwaitingApproval))];
        let ended = ending(waits, Duration::from_mins(1)).await.unwrap();
        assert!(matches!(ended, Ending::NeedsPerson(_)));
        let gone = vec![Reply::Whole(404, r#"{"message":"runs \"r\" not found"}"#.into())];
        let error = ending(gone, Duration::from_mins(1)).await.unwrap_err();
        assert_eq!(error.to_string(), "runs \"r\" not found");
    }
}
