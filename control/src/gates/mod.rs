//! Webhooks that a step waits for, asked off the tick.
//!
//! A 2xx grants, everything else refuses with what it said; the rollout then waits and asks again. At
//! most [`AT_ONCE`] are asked at a time; one more waits for its turn, and the controller never does.

use crate::outbound::{Call, Outbound};
use serde::Serialize;
use serin_core::ids::ServiceName;
use serin_core::rollout::{Answer, Ask};
use std::sync::Arc;
use tokio::sync::Semaphore;

const AT_ONCE: usize = 16;
/// Of a refusal's body, so much is shown to operators.
const SHOWN: usize = 200;

#[derive(Debug, Clone)]
pub(crate) struct Gates {
    outbound: Outbound,
    turns: Arc<Semaphore>,
}

/// What the webhook is sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    service: &'a str,
    rollout: &'a str,
    /// Basis points of the step that waits.
    before: u16,
}

impl Gates {
    pub(crate) fn new(outbound: Outbound) -> Self {
        Self { outbound, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    pub(crate) async fn ask(&self, service: &ServiceName, ask: &Ask) -> Answer {
        let Ok(_turn) = self.turns.acquire().await else {
            return Answer::Refused { detail: "control is shutting down".to_owned() };
        };
        let question = Question {
            service: service.as_str(),
            rollout: ask.rollout.as_str(),
            before: ask.gate.before.get(),
        };
        let call = Call {
            url: &ask.url,
            content_type: "application/json",
            headers: &[],
            body: serde_json::to_string(&question).unwrap_or_default(),
            timeout: ask.timeout,
        };
        match self.outbound.post(call).await {
            Ok(answered) if answered.status.is_success() => Answer::Granted,
            Ok(answered) => {
                let said: String = answered.text.chars().take(SHOWN).collect();
                let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
                Answer::Refused { detail: format!("{} {said}", answered.status.as_u16()) }
            }
            Err(fault) => Answer::Refused { detail: fault.to_string() },
        }
    }
}
