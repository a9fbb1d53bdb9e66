use super::support::*;
use proptest::prelude::*;
use serin_config::model::{Retries, RetryOn};
use serin_core::outcome::{Ending, Failure};
use serin_proxy::upstream::{Attempted, RetryBudget, RetryPolicy};

fn policy() -> RetryPolicy {
    RetryPolicy::new(shop().retries)
}

fn reset() -> Attempted {
    Attempted {
        made: 1,
        ending: Ending::Failed(Failure::Reset),
        idempotent: true,
        sent: true,
        replayable: true,
        answered: false,
    }
}

#[test]
fn what_may_have_been_processed_is_never_sent_twice() {
    let policy = policy();
    assert!(policy.wants(&reset()));
    assert!(!policy.wants(&Attempted { idempotent: false, ..reset() }));
    let refused = Ending::Failed(Failure::Connect);
    let unsent = Attempted { idempotent: false, sent: false, ending: refused, ..reset() };
    assert!(policy.wants(&unsent), "nothing of it was sent");
    assert!(!policy.wants(&Attempted { replayable: false, ..reset() }));
    assert!(!policy.wants(&Attempted { answered: true, ..reset() }));
    let broke_off = Attempted { ending: Ending::Truncated { status: 200 }, ..reset() };
    assert!(!policy.wants(&broke_off));
}

#[test]
fn only_what_the_operator_names_is_tried_again_and_only_so_often() {
    let policy = policy();
    let answered =
        |status| Attempted { ending: Ending::Answered { status, grpc: None }, ..reset() };
    assert!(policy.wants(&answered(503)));
    assert!(!policy.wants(&answered(500)));
    assert!(!policy.wants(&Attempted { ending: Ending::Failed(Failure::Timeout), ..reset() }));
    assert!(!policy.wants(&Attempted { made: 2, ..reset() }));
    let none = RetryPolicy::new(Retries { attempts: 0, ..shop().retries });
    assert!(!none.wants(&reset()));
    let refused = Ending::Failed(Failure::RefusedStream);
    let refused = Attempted { ending: refused, sent: false, idempotent: false, ..reset() };
    for on in [RetryOn::ConnectFailure, RetryOn::Reset] {
        let policy = RetryPolicy::new(Retries { on: vec![on], ..shop().retries });
        assert!(policy.wants(&refused), "nobody has looked at it");
    }
    let timeouts = RetryPolicy::new(Retries { on: vec![RetryOn::Timeout], ..shop().retries });
    assert!(timeouts.wants(&Attempted { ending: Ending::Failed(Failure::Timeout), ..reset() }));
}

proptest! {
    #[test]
    fn retries_in_flight_stay_within_their_share(
        requests in 0..2_000u64,
        percent in 0..=100u32,
        steps in proptest::collection::vec(any::<bool>(), 0..600),
    ) {
        let share = f64::from(percent) / 100.0;
        let policy = RetryPolicy::new(Retries { budget: share, ..shop().retries });
        let allowed = policy.allowed(requests);
        let floor = if percent == 0 { 0 } else { 3 };
        let exact = requests * u64::from(percent) / 100;
        prop_assert!(u64::from(allowed).abs_diff(exact.max(floor)) <= 1);
        let budget = RetryBudget::default();
        let mut held = Vec::new();
        for take in steps {
            if take {
                held.extend(budget.take(allowed));
            } else {
                held.pop();
            }
            prop_assert_eq!(budget.in_flight() as usize, held.len());
            prop_assert!(held.len() <= allowed as usize);
        }
    }
}

#[test]
fn threads_share_one_budget() {
    let budget = RetryBudget::default();
    let held: Vec<_> = std::thread::scope(|scope| {
        let take = || (0..1_000).filter_map(|_| budget.take(100)).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(held.len(), 100);
    drop(held);
    assert_eq!(budget.in_flight(), 0);
}
