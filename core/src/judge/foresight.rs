//! From how much traffic on a plan's steps are taken as soon as their holds end: said before there is
//! any, of a candidate without a failure, by the bets themselves.

use super::bounded::{Accepted, Ahead, Bounded, UNSEEN};
use super::promotion::{NEEDED, Promotion};
use super::suite::allowed;
use crate::rollout::{Accept, Plan};
use crate::slo::Objectives;

/// Requests a second of the whole service; `None` where no traffic would be enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Foresight {
    pub by_proof: Option<f64>,
    /// Where the plan accepts it.
    pub by_bounded_harm: Option<f64>,
}

/// From a request a day to more than anybody has.
const RATES: (f64, f64) = (1e-5, 1e7);

pub fn foresee(plan: &Plan, objectives: &Objectives) -> Foresight {
    let accepts = plan.evidence.accept == Accept::BoundedHarm;
    Foresight {
        by_proof: least(plan, |seen, _| proven(seen, plan, objectives)),
        by_bounded_harm: least(plan, |seen, ahead| bounded(seen, ahead, plan, objectives))
            .filter(|_| accepts),
    }
}

/// The least rate at which something is so at the end of every hold.
fn least(plan: &Plan, is_so: impl Fn(u64, Ahead) -> bool) -> Option<f64> {
    let enough = |rate: f64| ends(plan, rate).all(|(seen, ahead)| is_so(seen, ahead));
    let (mut low, mut high) = RATES;
    if !enough(high) {
        return None;
    }
    while high / low > 1.01 {
        let middle = (low * high).sqrt();
        if enough(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// What the candidate has answered at the end of each hold, and what it gets next.
fn ends(plan: &Plan, rate: f64) -> impl Iterator<Item = (u64, Ahead)> {
    let requests = move |at: usize| {
        let step = plan.steps.get(at)?;
        Some(rate * plan.weight_of(step).ratio() * step.hold.as_secs_f64())
    };
    let mut seen = 0.0;
    (0..plan.steps.len()).map(move |at| {
        let here = requests(at).unwrap_or(0.0);
        seen += here;
        let next = requests(at + 1);
        let whole = rate * UNSEEN.as_secs_f64();
        let ahead = Ahead { requests: next.unwrap_or(whole), completes: next.is_none() };
        (if here < plan.evidence.min_requests as f64 { 0 } else { seen as u64 }, ahead)
    })
}

fn proven(seen: u64, plan: &Plan, objectives: &Objectives) -> bool {
    let bet = Promotion::new(plan.regression.errors, allowed(objectives));
    bet.after_no_failure(seen) >= NEEDED
}

fn bounded(seen: u64, ahead: Ahead, plan: &Plan, objectives: &Objectives) -> bool {
    let bounded = Bounded::after_no_failure(seen);
    let limit = bounded.limit(ahead, Accepted::by(plan, objectives));
    bounded.value(limit) >= NEEDED || proven(seen, plan, objectives)
}
