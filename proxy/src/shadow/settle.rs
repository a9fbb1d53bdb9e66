//! Both answers are there: what the copy comes to.
//!
//! Failed, same or different counts for guards and gates. A difference that may be stable's own
//! doing counts only after stable was asked again and agreed with itself; where it could not be
//! asked, the copy was answered and is left out.

use super::compare::{Found, Unknown};
use super::head::{field, path_of};
use super::mirror::Mirror;
use super::response_pair::{Answer, Answered, Heard, Primary};
use super::send::{Outgoing, send};
use crate::clock;
use crate::meter::Shadowed;
use serin_core::shadow::{DifferenceSample, Place};
use std::sync::Arc;
use std::time::Instant;

pub(super) fn settle((primary, answered): (Primary, Box<Answered>)) {
    let mirror = Arc::clone(&answered.copy.mirror);
    let Primary::Whole(heard) = primary else { return mirror.count(Shadowed::Answered) };
    let Answered { copy, answer } = &*answered;
    if let (Some(stable), Some(shadow)) = (heard.answer.took, answer.took) {
        mirror.board().latencies(stable, shadow);
    }
    if answer.status >= 500 && heard.answer.status < 500 {
        let found = Found {
            path: "status".to_owned(),
            stable: heard.answer.status.to_string(),
            shadow: answer.status.to_string(),
        };
        tell(&mirror, &answered, &[found]);
        return mirror.count(Shadowed::Failed);
    }
    let Some(rules) = &mirror.rules else { return mirror.count(Shadowed::Answered) };
    let Ok(found) = rules.compare(&heard.answer, answer) else {
        return mirror.count(Shadowed::Answered);
    };
    if !mirror.asks_for_noise() {
        return conclude(&mirror, &answered, &found);
    }
    let mut board = mirror.board();
    board.noise.compared();
    let is_noise = |found: &Found| board.noise.is_noise(&place(&answered, found));
    let is_open =
        |found: &Found| !is_noise(found) || board.noise.is_young(&place(&answered, found));
    let asks = copy.again.is_some() && found.iter().any(is_open);
    let real: Vec<Found> = found.iter().filter(|found| !is_noise(found)).cloned().collect();
    let nothing_known = |found: &Found| !board.noise.is_cleared(&place(&answered, found));
    let unsettled = asks && !real.is_empty() && real.iter().all(nothing_known);
    let ask = asks && board.noise.may_ask();
    drop(board);
    if ask {
        tokio::spawn(ask_again(mirror, heard, answered, found));
    } else if unsettled {
        mirror.count(Shadowed::Answered);
    } else {
        conclude(&mirror, &answered, &real);
    }
}

/// Asks the version that answered once more, and takes out what differs by itself.
async fn ask_again(
    mirror: Arc<Mirror>,
    heard: Heard,
    answered: Box<Answered>,
    mut found: Vec<Found>,
) {
    let second = second(&mirror, &heard, &answered).await;
    let own = match (&mirror.rules, second) {
        (Some(rules), Some(second)) => rules.compare(&heard.answer, &second),
        (_, _) => Err(Unknown),
    };
    let mut board = mirror.board();
    board.noise.answered();
    let Ok(own) = own else {
        drop(board);
        return mirror.count(Shadowed::Answered);
    };
    for own in &own {
        board.noise.learn(&place(&answered, own), true);
    }
    let differs_by_itself = |found: &Found| own.iter().any(|own| own.path == found.path);
    found.retain(|found| !differs_by_itself(found));
    for found in &found {
        board.noise.learn(&place(&answered, found), false);
    }
    found.retain(|found| !board.noise.is_noise(&place(&answered, found)));
    drop(board);
    conclude(&mirror, &answered, &found);
}

async fn second(mirror: &Mirror, heard: &Heard, answered: &Answered) -> Option<Answer> {
    let outgoing = Outgoing {
        copy: None,
        head: answered.copy.again.as_deref()?,
        body: &[],
        framed: false,
        rules: mirror.rules.as_ref(),
        most: mirror.config.max_body,
        memory: mirror.shadows.memory(),
    };
    let mut fields = Vec::new();
    let sent = send(&outgoing, &heard.by, &mut fields, Instant::now());
    tokio::time::timeout(mirror.config.timeout, sent).await.ok()?.ok()
}

fn conclude(mirror: &Mirror, answered: &Answered, found: &[Found]) {
    if found.is_empty() {
        return mirror.count(Shadowed::Same);
    }
    tell(mirror, answered, found);
    mirror.count(Shadowed::Different);
}

fn tell(mirror: &Mirror, answered: &Answered, found: &[Found]) {
    let head = &answered.copy.head;
    let id = field(head, "x-request-id").map(String::from_utf8_lossy).unwrap_or_default();
    let request = format!("{} {}", answered.copy.method(), path_of(head));
    let at = clock::wall();
    let mut board = mirror.board();
    for found in found {
        let sample = DifferenceSample {
            at,
            request_id: id.clone().into_owned(),
            request: request.clone(),
            stable: found.stable.clone(),
            shadow: found.shadow.clone(),
        };
        board.differs(place(answered, found), sample);
    }
}

fn place(answered: &Answered, found: &Found) -> Place {
    Place { route: answered.copy.route.clone(), path: found.path.clone() }
}
