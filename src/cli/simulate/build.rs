//! Scenario and configuration → a simulation, or the first fault with its line.

use super::file::{Moment, Scenario, Traffic as FileTraffic, Version, WebhookAnswer};
use super::quantity::{Share, Span};
use super::recording;
use crate::cli::span::parse_weight;
use serde_saphyr::{Location, Spanned};
use serin_config::model::{Config, Service, SessionBy};
use serin_core::ids::VersionName;
use serin_core::rollout::{Answer, Command, Identity, Position, StartCommand, Terms};
use serin_core::simulate::{
    Behaviour, Change, Curve, Happening, HeavyUsers, Made, SessionKind, Simulation, SlowUsers,
    Source, Storms, Swing, Traffic,
};
use serin_core::time::Wall;
use serin_core::weights::{BasisPoints, Weights};
use std::path::Path;
use std::time::Duration;

/// A Tuesday afternoon in winter.
const STARTS: &str = "2026-11-24T14:30[UTC]";
const TICK: Duration = Duration::from_millis(100);
const ACTOR: &str = "operator";

/// What the timeline says above everything else.
#[derive(Debug)]
pub(super) struct Heading {
    pub(super) about: Option<String>,
    pub(super) service: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) starts: jiff::Zoned,
    pub(super) lasts: Duration,
    pub(super) seed: u64,
}

pub(super) fn simulation(
    config: &Config,
    scenario: Scenario,
    path: &Path,
    seed: Option<u64>,
) -> Result<(Heading, Simulation), String> {
    let file = At { path };
    let service = service(config, &scenario, file)?;
    let terms = terms(service);
    let starts = starts(&scenario, file)?;
    let seed = seed.or(scenario.seed).unwrap_or(1);
    let heading = Heading {
        about: scenario.about.clone(),
        service: service.name.to_string(),
        from: terms.file_stable().to_string(),
        to: terms.wanted().map_or_else(|| "no rollout".into(), |wanted| wanted.to_string()),
        starts: starts.clone(),
        lasts: scenario.lasts.0,
        seed,
    };
    let webhooks = scenario.webhooks.as_ref();
    let simulation = Simulation {
        position: Position::at_rest(terms.file_stable()),
        source: source(service, &scenario, file)?,
        starts: Wall(starts.timestamp().as_millisecond()),
        length: scenario.lasts.0,
        tick: scenario.tick.map_or(TICK, |tick| tick.0),
        seed,
        happenings: happenings(&terms, &scenario, file)?,
        webhooks: webhooks.map_or((Duration::from_secs(2), Answer::Granted), |webhooks| {
            let answer = match webhooks.answer {
                WebhookAnswer::Granted => Answer::Granted,
                WebhookAnswer::Refused => Answer::Refused { detail: "409".into() },
            };
            (webhooks.after.0, answer)
        }),
        terms,
    };
    Ok((heading, simulation))
}

#[derive(Debug, Clone, Copy)]
struct At<'a> {
    path: &'a Path,
}

impl At<'_> {
    fn fault(self, place: &Location, what: &str) -> String {
        format!("{}:{}:{}: {what}", self.path.display(), place.line(), place.column())
    }
}

fn service<'a>(
    config: &'a Config,
    scenario: &Scenario,
    file: At<'_>,
) -> Result<&'a Service, String> {
    if let Some(name) = &scenario.service {
        let found = config.services.values().find(|s| s.name.as_str() == name.value);
        let unknown = format!("the configuration has no service {:?}", name.value);
        return found.ok_or_else(|| file.fault(&name.referenced, &unknown));
    }
    let mut planned = config.services.values().filter(|service| service.rollout.is_some());
    match (planned.next(), planned.next()) {
        (Some(only), None) => Ok(only),
        (Some(_) | None, _) => {
            Err(format!("{}: name the service that it is about", file.path.display()))
        }
    }
}

fn terms(service: &Service) -> Terms {
    let identity = |v: &serin_config::model::Version| Identity {
        version: v.name.clone(),
        release: v.release.clone(),
    };
    Terms {
        service: service.name.clone(),
        stable: service.stable.clone(),
        versions: service.versions.iter().map(identity).collect(),
        objectives: service.objectives.clone(),
        plan: service.rollout.clone(),
    }
}

fn starts(scenario: &Scenario, file: At<'_>) -> Result<jiff::Zoned, String> {
    let (text, place) = match &scenario.starts {
        Some(spanned) => (spanned.value.as_str(), Some(&spanned.referenced)),
        None => (STARTS, None),
    };
    text.parse().map_err(|error| {
        let what = format!("{text:?} is no moment like {STARTS}: {error}");
        place.map_or_else(|| what.clone(), |place| file.fault(place, &what))
    })
}

fn source(service: &Service, scenario: &Scenario, file: At<'_>) -> Result<Source, String> {
    if let Some(recorded) = &scenario.recorded {
        let beside = file.path.parent().unwrap_or(Path::new("."));
        return recording::read(&beside.join(recorded)).map(Source::Recorded);
    }
    for (name, version) in &scenario.versions {
        check_version(service, name, &version.referenced, file)?;
    }
    let mut traffic = traffic(service, &scenario.traffic);
    let mut behaviours = Vec::new();
    for version in &service.versions {
        let said = scenario.versions.get(version.name.as_str()).map(|v| v.value.clone());
        behaviours.push(behaviour(version, said.unwrap_or_default()));
    }
    for moment in &scenario.course {
        let Moment { at, over, lasts, .. } = &moment.value;
        let change = |to: f64| Change {
            at: at.0,
            to,
            over: over.0,
            until: lasts.map(|lasts| at.0 + lasts.0),
        };
        if let Some(rate) = moment.value.requests_per_second {
            traffic.requests_per_second.change(change(rate));
        }
        for (name, said) in &moment.value.versions {
            check_version(service, name, &moment.referenced, file)?;
            let found = behaviours.iter_mut().find(|b| b.version.as_str() == name);
            if let Some(behaviour) = found {
                apply(behaviour, said, change);
            }
        }
    }
    let storms = scenario.storms.iter().map(|said| Storms {
        per_day: said.per_day.max(0.0),
        errors: said.errors.0,
        lasts: (said.lasts.0.0, said.lasts.1.0),
        shift: said.shift.0,
    });
    let swing = scenario.swing.as_ref().map(|said| Swing {
        errors: said.errors,
        traffic: said.traffic,
        over: said.over.0,
    });
    let storms = storms.collect();
    Ok(Source::Made(Box::new(Made { traffic, behaviours, storms, swing })))
}

fn check_version(
    service: &Service,
    name: &str,
    place: &Location,
    file: At<'_>,
) -> Result<(), String> {
    match service.versions.iter().any(|version| version.name.as_str() == name) {
        true => Ok(()),
        false => Err(file.fault(place, &format!("{} has no version {name:?}", service.name))),
    }
}

fn traffic(service: &Service, said: &FileTraffic) -> Traffic {
    let rate = said.requests_per_second.unwrap_or(100.0);
    Traffic {
        requests_per_second: Curve::constant(rate),
        sessions: match service.session {
            SessionBy::None => SessionKind::None,
            SessionBy::Cookie { .. } => SessionKind::Cookie,
            SessionBy::Header { .. } | SessionBy::ClientIp => SessionKind::Keyed,
        },
        users: said.users.unwrap_or((rate * 10.0).ceil() as usize),
        new_sessions: said.new_sessions.map_or(0.1, |share| share.0),
        idempotent: said.idempotent.map_or(0.8, |share| share.0),
        shadow: service.shadow.as_ref().map(|s| (s.to.clone(), s.share.ratio())),
        timeout: service.timeouts.response,
        heavy_users: said.heavy_users.map(|h| HeavyUsers { share: h.share.0, of: h.of.0 }),
        slow_users: said.slow_users.map(|s| SlowUsers { share: s.share.0, times: s.times }),
        retries: said.retries,
    }
}

fn behaviour(version: &serin_config::model::Version, said: Version) -> Behaviour {
    let mut behaviour = Behaviour::healthy(version.name.clone());
    if let Some(listed) = version.endpoints.count() {
        behaviour.endpoints = u32::try_from(listed).unwrap_or(u32::MAX);
    }
    let from_the_start =
        |to: f64| Change { at: Duration::ZERO, to, over: Duration::ZERO, until: None };
    apply(&mut behaviour, &said, from_the_start);
    behaviour
}

fn apply(behaviour: &mut Behaviour, said: &Version, change: impl Fn(f64) -> Change) {
    let share = |curve: &mut Curve, said: Option<Share>| {
        if let Some(share) = said {
            curve.change(change(share.0));
        }
    };
    let seconds = |curve: &mut Curve, said: Option<Span>| {
        if let Some(span) = said {
            curve.change(change(span.0.as_secs_f64()));
        }
    };
    share(&mut behaviour.errors, said.errors);
    share(&mut behaviour.broken_users, said.broken_users);
    share(&mut behaviour.mismatch, said.mismatch);
    share(&mut behaviour.ready, said.ready);
    seconds(&mut behaviour.p50, said.p50);
    seconds(&mut behaviour.p95, said.p95);
    for (name, to) in &said.signals {
        if !behaviour.signals.iter().any(|(known, _)| known == name) {
            behaviour.signals.push((name.clone(), Curve::constant(to.0)));
        }
        let found = behaviour.signals.iter_mut().find(|(known, _)| known == name);
        if let Some((_, curve)) = found {
            curve.change(change(to.0));
        }
    }
}

fn happenings(
    terms: &Terms,
    scenario: &Scenario,
    file: At<'_>,
) -> Result<Vec<(Duration, Happening)>, String> {
    let mut all = Vec::new();
    for moment in &scenario.course {
        let happenings = of_moment(terms, moment, file)?;
        let changes = moment.value.requests_per_second.is_some();
        if happenings.is_empty() && !changes && moment.value.versions.is_empty() {
            return Err(file.fault(&moment.referenced, "nothing happens at this moment"));
        }
        all.extend(happenings.into_iter().map(|h| (moment.value.at.0, h)));
    }
    Ok(all)
}

fn of_moment(
    terms: &Terms,
    moment: &Spanned<Moment>,
    file: At<'_>,
) -> Result<Vec<Happening>, String> {
    let said = &moment.value;
    let actor = || ACTOR.to_owned();
    let start = |reason: &String| StartCommand {
        to: None,
        release: None,
        reason: reason.clone(),
        committed_at: None,
        supersede: false,
        actor: actor(),
    };
    let weight = |text: &Spanned<String>| {
        let points = parse_weight(&text.value).ok().and_then(BasisPoints::new);
        points.ok_or_else(|| file.fault(&text.referenced, "this is no weight; write it like 25%"))
    };
    let mut asks = Vec::new();
    asks.extend(said.start.as_ref().map(|reason| Command::Start(start(reason))));
    asks.extend(said.retry.as_ref().map(|reason| Command::Retry(start(reason))));
    asks.extend(said.promote.as_ref().map(|_| Command::Promote { actor: actor() }));
    asks.extend(said.resume.as_ref().map(|_| Command::Resume { actor: actor() }));
    let reason = |reason: &String| (actor(), reason.clone());
    if let Some((actor, reason)) = said.pause.as_ref().map(reason) {
        asks.push(Command::Pause { actor, reason });
    }
    if let Some((actor, reason)) = said.abort.as_ref().map(reason) {
        asks.push(Command::Abort { actor, reason });
    }
    if let Some(text) = &said.approve {
        asks.push(Command::Approve { before: Some(weight(text)?), actor: actor() });
    }
    if let Some(text) = &said.weight {
        asks.push(by_hand(terms, weight(text)?));
    }
    let mut happenings: Vec<Happening> = asks.into_iter().map(Happening::Ask).collect();
    if let Some(reason) = &said.freeze {
        happenings.push(Happening::Freeze { by: actor(), reason: reason.clone() });
    }
    happenings.extend(said.thaw.as_ref().map(|_| Happening::Thaw));
    happenings.extend(said.restart.map(|downtime| Happening::Restart { downtime: downtime.0 }));
    happenings.extend(said.clock.map(|shift| Happening::Clock { by_ms: shift.0 }));
    happenings.extend(said.silence.map(|lasts| Happening::Silence { lasts: lasts.0 }));
    happenings.extend(said.starve.map(|lasts| Happening::Starve { lasts: lasts.0 }));
    Ok(happenings)
}

/// The candidate's weight against stable.
fn by_hand(terms: &Terms, weight: BasisPoints) -> Command {
    let stable: VersionName = terms.stable.clone();
    let weights = match &terms.plan {
        Some(plan) if plan.to != stable => Weights::two(stable, plan.to.clone(), weight),
        Some(_) | None => Weights::all_to(stable),
    };
    Command::SetWeights { weights, actor: ACTOR.into(), reason: "by hand".into() }
}
