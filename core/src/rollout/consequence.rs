//! What a configuration means for a service whose position is known: refused, or what moves.
//!
//! A reload asks [`foretell`] before it puts anything in force, `serin diff` shows what it answers,
//! and every decision goes by the same functions: so what was foretold is what happens. Nothing in
//! here changes anything.
//!
//! The files own what is intended, the journal owns what is so. Where a file contradicts the journal
//! about a version that serves requests, it is refused with what to do instead: taking it would
//! give requests to something that nobody has judged.

use super::plan::{OnBusy, Plan, Start};
use super::position::{Identity, Position, RolloutState};
use super::rest;
use super::terms::{Conditions, Terms};
use crate::ids::VersionName;
use crate::weights::BasisPoints;
use std::fmt;

/// A version as a configuration lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub identity: Identity,
    pub endpoints: Vec<String>,
}

/// What a configuration wants of a service, as far as it can move weights.
#[derive(Debug, Clone, Copy)]
pub struct Intent<'a> {
    pub versions: &'a [Identity],
    pub next: Option<Next<'a>>,
}

/// What the plan brings in, and how.
#[derive(Debug, Clone, Copy)]
pub struct Next<'a> {
    pub version: &'a VersionName,
    pub release: &'a str,
    pub start: Start,
    pub on_busy: OnBusy,
    /// See [`Plan::asks_copies`].
    pub asks_copies: bool,
}

impl<'a> Intent<'a> {
    pub fn of(terms: &'a Terms) -> Self {
        Self { versions: &terms.versions, next: terms.plan.as_ref().map(Next::of) }
    }

    fn listed(&self, version: &VersionName) -> Option<&'a Identity> {
        self.versions.iter().find(|identity| identity.version == *version)
    }
}

impl<'a> Next<'a> {
    fn of(plan: &'a Plan) -> Self {
        Self {
            version: &plan.to,
            release: &plan.release,
            start: plan.start,
            on_busy: plan.on_busy,
            asks_copies: plan.asks_copies(),
        }
    }

    pub(super) fn identity(&self) -> Identity {
        Identity { version: self.version.clone(), release: self.release.to_owned() }
    }

    pub(super) fn is(&self, identity: &Identity) -> bool {
        *self.version == identity.version && self.release == identity.release
    }
}

/// What happens to a service when a configuration is put in force.
#[derive(Debug, Clone, PartialEq)]
pub enum Consequence {
    Refused(Conflict),
    /// No rollout is under way, and none begins by itself.
    Rests,
    /// The rollout under way stays where it is, and goes on by the plan as it is then.
    GoesOn(Identity),
    Starts(Identity),
    Queues {
        behind: Identity,
        next: Identity,
    },
    Supersedes {
        ended: Identity,
        weight: BasisPoints,
        next: Identity,
    },
}

/// Where a configuration contradicts the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    StableGone(Identity),
    StableReleased {
        stable: Identity,
        file: String,
    },
    CandidateGone {
        candidate: Identity,
        weight: BasisPoints,
    },
    CandidateReleased {
        candidate: Identity,
        weight: BasisPoints,
        file: String,
    },
    /// The file has no `rollout` any more.
    PlanGone {
        candidate: Identity,
        weight: BasisPoints,
    },
    ServiceGone {
        version: VersionName,
        weight: BasisPoints,
    },
    /// `rollout.to` names what is stable already.
    BackToStable {
        candidate: Identity,
        stable: Identity,
    },
    /// `onBusy: refuse`.
    Busy {
        candidate: Identity,
        next: Identity,
    },
    /// Copies would go to the next candidate while this one is judged by them.
    CopiesElsewhere {
        candidate: Identity,
        next: Identity,
    },
    /// Weights by hand give it a share.
    WeightedGone {
        version: VersionName,
        weight: BasisPoints,
    },
    WeightedReleased {
        version: VersionName,
        weight: BasisPoints,
        was: String,
        file: String,
    },
    /// An endpoint of another version is listed under one that serves requests.
    EndpointMoved {
        endpoint: String,
        from: Identity,
        to: VersionName,
    },
}

impl Conflict {
    /// Whether a start that takes the file would give requests to what nobody has judged. The
    /// others cost a candidate its share at most, so a start takes the file and goes back to stable.
    pub fn raises(&self) -> bool {
        match self {
            Self::StableGone(_)
            | Self::StableReleased { .. }
            | Self::WeightedReleased { .. }
            | Self::EndpointMoved { .. } => true,
            Self::CandidateGone { .. }
            | Self::CandidateReleased { .. }
            | Self::PlanGone { .. }
            | Self::ServiceGone { .. }
            | Self::BackToStable { .. }
            | Self::Busy { .. }
            | Self::CopiesElsewhere { .. }
            | Self::WeightedGone { .. } => false,
        }
    }

    /// Where in the service's configuration: `versions.v1`. Empty: the service itself.
    pub fn key(&self) -> String {
        match self {
            Self::StableGone(_) | Self::CandidateGone { .. } | Self::WeightedGone { .. } => {
                "versions".to_owned()
            }
            Self::StableReleased { stable: identity, .. }
            | Self::CandidateReleased { candidate: identity, .. } => {
                format!("versions.{}.release", identity.version)
            }
            Self::WeightedReleased { version, .. } => format!("versions.{version}.release"),
            Self::EndpointMoved { to, .. } => format!("versions.{to}.endpoints"),
            Self::PlanGone { .. } => "rollout".to_owned(),
            Self::BackToStable { .. } | Self::Busy { .. } | Self::CopiesElsewhere { .. } => {
                "rollout.to".to_owned()
            }
            Self::ServiceGone { .. } => String::new(),
        }
    }
}

/// A configuration that is to be put in force. `known` is what the versions were when one was last
/// in force; `file` is `None` when the service is no longer in it.
pub fn foretell(
    position: &Position,
    known: &[Listed],
    file: Option<(Intent<'_>, &[Listed])>,
    conditions: &Conditions,
) -> Consequence {
    let Some((intent, listed)) = file else {
        return match serving_beside_stable(position).next() {
            Some((version, weight)) => {
                Consequence::Refused(Conflict::ServiceGone { version: version.clone(), weight })
            }
            None => Consequence::Rests,
        };
    };
    let meant = of_plan(intent, position, conditions);
    let changed =
        released(position, known, intent).or_else(|| moved(position, &meant, known, listed));
    match (meant, changed) {
        // A start takes a file that only lowers: what raises must not hide behind it.
        (Consequence::Refused(first), Some(raises)) if !first.raises() => {
            Consequence::Refused(raises)
        }
        (refused @ Consequence::Refused(_), _) => refused,
        (_, Some(changed)) => Consequence::Refused(changed),
        (meant, None) => meant,
    }
}

/// What a plan means for a position, whatever was in force before.
fn of_plan(intent: Intent<'_>, position: &Position, conditions: &Conditions) -> Consequence {
    if let Some(rollout) = position.active() {
        return of_course(intent, position, rollout, conditions);
    }
    if let Some(conflict) = stable_contradicted(intent, position) {
        return Consequence::Refused(conflict);
    }
    if let Some((version, weight)) =
        serving_beside_stable(position).find(|(version, _)| intent.listed(version).is_none())
    {
        return Consequence::Refused(Conflict::WeightedGone { version: version.clone(), weight });
    }
    match (intent.next, rest::why_not_start(intent, position, conditions)) {
        (Some(next), None) => Consequence::Starts(next.identity()),
        (Some(_) | None, _) => Consequence::Rests,
    }
}

/// What a plan means for the rollout under way, whether or not it stands in `position`.
pub(super) fn of_course(
    intent: Intent<'_>,
    position: &Position,
    rollout: &RolloutState,
    conditions: &Conditions,
) -> Consequence {
    match stable_contradicted(intent, position) {
        Some(conflict) => Consequence::Refused(conflict),
        None => under_way(intent, position, rollout, conditions),
    }
}

fn stable_contradicted(intent: Intent<'_>, position: &Position) -> Option<Conflict> {
    let stable = &position.stable;
    match intent.listed(&stable.version) {
        None => Some(Conflict::StableGone(stable.clone())),
        // Without a plan nothing is ever judged: its release is a label.
        Some(listed) if listed.release != stable.release && intent.next.is_some() => {
            let file = listed.release.clone();
            Some(Conflict::StableReleased { stable: stable.clone(), file })
        }
        Some(_) => None,
    }
}

fn under_way(
    intent: Intent<'_>,
    position: &Position,
    rollout: &RolloutState,
    conditions: &Conditions,
) -> Consequence {
    let (candidate, weight) = (rollout.candidate.clone(), rollout.weight);
    let Some(next) = intent.next else {
        return Consequence::Refused(Conflict::PlanGone { candidate, weight });
    };
    if next.is(&candidate) {
        return Consequence::GoesOn(candidate);
    }
    let starts = rest::would_start(next, position);
    if starts && next.on_busy == OnBusy::Supersede && conditions.freeze.is_none() {
        return Consequence::Supersedes { ended: candidate, weight, next: next.identity() };
    }
    let conflict = match intent.listed(&candidate.version) {
        None => Some(Conflict::CandidateGone { candidate: candidate.clone(), weight }),
        Some(listed) if listed.release != candidate.release => {
            let file = listed.release.clone();
            Some(Conflict::CandidateReleased { candidate: candidate.clone(), weight, file })
        }
        Some(_) if *next.version == position.stable.version => {
            let stable = position.stable.clone();
            Some(Conflict::BackToStable { candidate: candidate.clone(), stable })
        }
        Some(_) if next.on_busy == OnBusy::Refuse => {
            Some(Conflict::Busy { candidate: candidate.clone(), next: next.identity() })
        }
        Some(_) if next.asks_copies => {
            Some(Conflict::CopiesElsewhere { candidate: candidate.clone(), next: next.identity() })
        }
        Some(_) => None,
    };
    match conflict {
        Some(conflict) => Consequence::Refused(conflict),
        None if starts => Consequence::Queues { behind: candidate, next: next.identity() },
        None => Consequence::GoesOn(candidate),
    }
}

/// Versions other than stable that have a share, or are about to get one.
fn serving_beside_stable(position: &Position) -> impl Iterator<Item = (&VersionName, BasisPoints)> {
    let rollout = position.active().map(|rollout| (&rollout.candidate.version, rollout.weight));
    let by_hand = position.manual.iter().flat_map(|manual| manual.weights.iter());
    let by_hand = by_hand.filter(|(version, weight)| {
        *weight > BasisPoints::ZERO && **version != position.stable.version
    });
    rollout.into_iter().chain(by_hand)
}

/// Another release of a version that serves by hand. Those of stable and of a candidate are in the
/// position itself.
fn released(position: &Position, known: &[Listed], intent: Intent<'_>) -> Option<Conflict> {
    let manual = position.manual.as_ref()?;
    let changed = |(version, weight): (&VersionName, BasisPoints)| {
        let was = known.iter().find(|listed| listed.identity.version == *version)?;
        let file = intent.listed(version)?;
        (weight > BasisPoints::ZERO && file.release != was.identity.release).then(|| {
            Conflict::WeightedReleased {
                version: version.clone(),
                weight,
                was: was.identity.release.clone(),
                file: file.release.clone(),
            }
        })
    };
    manual.weights.iter().filter(|(v, _)| **v != position.stable.version).find_map(changed)
}

/// An endpoint that was another version's, and now stands under one that serves.
fn moved(
    position: &Position,
    meant: &Consequence,
    known: &[Listed],
    listed: &[Listed],
) -> Option<Conflict> {
    let stays = !matches!(meant, Consequence::Supersedes { .. });
    let serving: Vec<&VersionName> = std::iter::once(&position.stable.version)
        .chain(serving_beside_stable(position).map(|(version, _)| version).filter(|_| stays))
        .collect();
    let of = |version: &VersionName| known.iter().find(|k| k.identity.version == *version);
    for version in listed.iter().filter(|l| serving.contains(&&l.identity.version)) {
        let before = of(&version.identity.version).map(|k| k.endpoints.as_slice());
        let before = before.unwrap_or_default();
        for endpoint in version.endpoints.iter().filter(|e| !before.contains(e)) {
            if let Some(from) = known.iter().find(|k| k.endpoints.contains(endpoint)) {
                return Some(Conflict::EndpointMoved {
                    endpoint: endpoint.clone(),
                    from: from.identity.clone(),
                    to: version.identity.version.clone(),
                });
            }
        }
    }
    None
}

impl fmt::Display for Consequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(conflict) => write!(f, "refused: {conflict}"),
            Self::Rests => f.write_str("no weight moves"),
            Self::GoesOn(candidate) => {
                write!(f, "no weight moves; the rollout of {candidate} goes on")
            }
            Self::Starts(next) => {
                write!(f, "a rollout of {next} starts, from its first step")
            }
            Self::Queues { behind, next } => write!(
                f,
                "no weight moves; {next} is queued, and starts when the rollout of {behind} has ended"
            ),
            Self::Supersedes { ended, weight, next } => write!(
                f,
                "{next} supersedes {ended}: the {weight} that {ended} has go to stable, and a rollout of {next} starts from its first step"
            ),
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StableGone(stable) => write!(
                f,
                "{stable} is stable by the journal and no longer listed; keep it listed until a rollout has made another version stable"
            ),
            Self::StableReleased { stable, file } => write!(
                f,
                "{stable} is stable by the journal, and the file gives {} the release {file}; list the new release as another version and roll it out",
                stable.version
            ),
            Self::CandidateGone { candidate, weight } => write!(
                f,
                "{candidate} has {weight} in a rollout under way and is no longer listed; keep it listed, or end its rollout first (serin rollout abort, or promote), or write `onBusy: supersede` and `start: onChange`"
            ),
            Self::CandidateReleased { candidate, weight, file } => write!(
                f,
                "{candidate} has {weight} in a rollout under way, and the file gives {} the release {file}; list the new release as another version, or end the rollout first (serin rollout abort, or promote), or write `onBusy: supersede` and `start: onChange`",
                candidate.version
            ),
            Self::PlanGone { candidate, weight } => write!(
                f,
                "{candidate} has {weight} in a rollout under way, and the file has no `rollout`; keep it, or end the rollout first (serin rollout abort, or promote)"
            ),
            Self::ServiceGone { version, weight } => write!(
                f,
                "its version {version} has {weight} and the file no longer has the service; end that first (serin rollout abort, or serin weights SERVICE 0%)"
            ),
            Self::BackToStable { candidate, stable } => write!(
                f,
                "`to` names {stable}, which is stable, while a rollout of {candidate} is under way; serin rollout abort goes back to stable"
            ),
            Self::Busy { candidate, next } => write!(
                f,
                "a rollout of {candidate} is under way, and `onBusy: refuse` lets {next} come in only when it has ended"
            ),
            Self::CopiesElsewhere { candidate, next } => write!(
                f,
                "a rollout of {candidate} is under way and judged by copies, which would go to {next}; name {next} when it has ended"
            ),
            Self::WeightedGone { version, weight } => write!(
                f,
                "{version} has {weight}, set by hand, and is no longer listed; give everything to stable first (serin weights SERVICE 0%)"
            ),
            Self::WeightedReleased { version, weight, was, file } => write!(
                f,
                "{version} ({was}) has {weight}, set by hand, and the file gives it the release {file}; give everything to stable first (serin weights SERVICE 0%)"
            ),
            Self::EndpointMoved { endpoint, from, to } => write!(
                f,
                "{endpoint} is an endpoint of {from} and would serve as {to}, which has requests; take it out of {} in one reload and list it under {to} in a later one, once it runs that",
                from.version
            ),
        }
    }
}
