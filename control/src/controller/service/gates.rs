//! Which gates were asked, and what they answered.

use super::ServiceRun;
use super::pending::GateInquiry;
use crate::controller::shared::Shared;
use serin_core::ids::RolloutId;
use serin_core::rollout::{Answer, Ask, Command, GateRef};
use serin_core::time::{Mono, Now};
use std::time::Duration;

/// A gate that refused is asked again after so long.
const ASK_AGAIN: Duration = Duration::from_secs(10);

impl ServiceRun {
    pub(super) fn ask(&mut self, shared: &Shared, asks: Vec<Ask>, now: Now) {
        for ask in asks {
            if self.may_ask(&ask.rollout, &ask.gate, now.mono) {
                shared.effects.ask(&self.name, ask);
            }
        }
    }

    pub(crate) fn gate_answered(
        &mut self,
        shared: &mut Shared,
        gate: &GateRef,
        answer: Answer,
        now: Now,
    ) {
        self.answered(gate, now.mono.plus(ASK_AGAIN));
        let actor = "webhook".to_owned();
        let asked = Command::GateAnswered { gate: gate.clone(), answer, actor };
        // Refused when the rollout has moved on: then nobody waits for the answer.
        if let Ok(decision) = self.pilot.command(&asked, &shared.conditions, now) {
            if self.pending.is_none() {
                self.perform(shared, decision, None, now);
            } else {
                self.answered(gate, now.mono);
            }
        }
    }

    /// Whether this gate may be asked now; if so it counts as asked.
    fn may_ask(&mut self, rollout: &RolloutId, gate: &GateRef, now: Mono) -> bool {
        self.asked.retain(|asked| asked.rollout == *rollout);
        match self.asked.iter_mut().find(|asked| asked.gate == *gate) {
            Some(GateInquiry { again: None, .. }) => false,
            Some(asked) => {
                let may = asked.again.is_some_and(|again| now >= again);
                if may {
                    asked.again = None;
                }
                may
            }
            None => {
                let (rollout, gate) = (rollout.clone(), gate.clone());
                self.asked.push(GateInquiry { rollout, gate, again: None });
                true
            }
        }
    }

    fn answered(&mut self, gate: &GateRef, again: Mono) {
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.gate == *gate) {
            asked.again = Some(again);
        }
    }
}
