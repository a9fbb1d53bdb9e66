//! What happens in the demo, in order, with the reasons that Serin gives.

use super::Options;
use super::screen::Screen;
use super::stage::{RATE, SERVICE, Stage};
use serin_control::{Actor, Command, Order, RolloutState, RolloutView, StartRollout};
use serin_core::ids::ServiceName;
use std::time::{Duration, Instant};

/// Past this something is wrong with the machine, not with the rollout.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// v3 looks well for so long.
const HEALTHY_FOR: Duration = Duration::from_secs(4);

pub(super) async fn tell(
    stage: &Stage,
    screen: &mut Screen,
    options: &Options,
) -> Result<(), String> {
    screen.say(&format!("A shop with a new version, and {RATE:.0} requests a second."));
    screen.say(&format!("  the shop   http://{}/", stage.http));
    screen.say(&format!("  the admin  http://{}/", stage.admin));
    screen.say("");
    screen.title("1. A healthy release: v2 comes in at 10%, then 50%, then 100%");
    start(stage, "v2 is ready").await?;
    follow(stage, screen, |_| ()).await?;
    verdict(stage, screen);

    screen.title("2. A bad release: v3 looks well, then one answer in four is an error");
    stage.release_v3().await?;
    start(stage, "v3 is ready").await?;
    let mut broken = None;
    let break_it = |rollout: &RolloutView| {
        let at_work = rollout.weight > 0;
        if at_work && broken.is_none() && rollout.held_seconds >= HEALTHY_FOR.as_secs() {
            stage.break_v3();
            broken = Some(Instant::now());
        }
    };
    follow(stage, screen, break_it).await?;
    if let Some(broken) = broken {
        let took = broken.elapsed().as_secs_f64();
        screen.say(&format!("  v3 was broken, judged and gone in {took:.1} s"));
    }
    verdict(stage, screen);
    if options.stay {
        screen.say("Serving until Ctrl-C.");
        std::future::pending::<()>().await;
    }
    Ok(())
}

fn service() -> Result<ServiceName, String> {
    ServiceName::new(SERVICE).map_err(|e| e.to_string())
}

/// Tried again until the data plane has seen the service's endpoints.
async fn start(stage: &Stage, reason: &str) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let command = Command::Start(StartRollout {
            to: None,
            reason: reason.to_owned(),
            release: None,
            committed_at: None,
            supersede: false,
        });
        let order = Order::new(command, Actor("demo".to_owned()));
        match stage.handle().command(&service()?, order).await {
            Ok(_) => return Ok(()),
            Err(refusal) if Instant::now() > deadline => return Err(refusal.to_string()),
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Until the rollout is over; `each` sees every look at it.
async fn follow(
    stage: &Stage,
    screen: &mut Screen,
    mut each: impl FnMut(&RolloutView),
) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    let mut last = None;
    loop {
        let snapshot = stage.handle().snapshot();
        let Some(service) = snapshot.service(SERVICE) else { return Err("no service".to_owned()) };
        if let Some(rollout) = &service.rollout {
            each(rollout);
            let now = (rollout.state, rollout.weight, rollout.waiting_for);
            if last != Some(now) {
                let weight = f64::from(rollout.weight) / 100.0;
                let state = rollout.state.as_str();
                // How it ended is told with the evidence.
                let reason = match rollout.state.is_over() {
                    true => String::new(),
                    false => format!(": {}", rollout.reason),
                };
                screen.event(&format!("{state} at {weight}%{reason}"));
                last = Some(now);
            }
            if rollout.state.is_over() {
                return Ok(());
            }
            screen.status(service, rollout, stage.clients());
        }
        if Instant::now() > deadline {
            return Err(format!("the rollout did not end within {PATIENCE:?}"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn verdict(stage: &Stage, screen: &mut Screen) {
    screen.end();
    let Ok(service) = service() else { return };
    let snapshot = stage.handle().snapshot();
    let rollout = snapshot.service(SERVICE).and_then(|s| s.rollout.as_ref());
    if let Some(rollout) = rollout {
        screen.fact("why", &rollout.reason);
    }
    let bad = stage.handle().why(&service).map_or(Vec::new(), |why| why.bad_requests);
    for bad in bad.iter().take(3) {
        screen.fact("bad", &format!("request {} ({})", bad.request_id, bad.what));
    }
    if let Some(rollout) = rollout.filter(|r| r.state == RolloutState::RolledBack) {
        screen.fact("harm", &format!("{} requests in all", rollout.harm.failed_requests));
    }
    let (sent, failed) = stage.clients();
    screen.fact("clients", &format!("{sent} requests so far, {failed} of them failed"));
    screen.say("");
}

pub(super) fn farewell(screen: &mut Screen, options: &Options, stage: &Stage) {
    let file = options.write.display();
    let admin = stage.admin;
    screen.say(&format!("The configuration is in {file}. To look closer, let it go on:"));
    screen.say(&format!("  serin demo --stay --admin {admin}"));
    screen.say("and in another terminal:");
    for verb in ["status --watch", "why shop", "rollout retry shop", "dora"] {
        screen.say(&format!("  serin {verb} --admin {admin}"));
    }
    screen.say("For an app of your own:");
    screen.say("  serin quickstart --stable http://127.0.0.1:8081 --canary http://127.0.0.1:8082");
}
