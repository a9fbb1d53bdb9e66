//! Every way in which a request can end, and what it says of the version.

use proptest::prelude::*;
use serin_core::outcome::{BadStatuses, Ending, Failure, Outcome, TlsFault, judge};

fn by_default(ending: Ending) -> Outcome {
    judge(ending, &BadStatuses::server_errors())
}

#[test]
fn a_status_is_bad_when_the_operator_says_so() {
    let mut bad = BadStatuses::server_errors();
    bad.insert(429);
    for status in 100..600 {
        let answered = Ending::Answered { status, grpc: None };
        let asked_for = matches!(status, 501 | 505);
        let expected = match status {
            501 | 505 => Outcome::Excluded,
            500.. => Outcome::Bad,
            _ => Outcome::Good,
        };
        assert_eq!(by_default(answered), expected, "{status}");
        let expected = if status == 429 { Outcome::Bad } else { expected };
        assert_eq!(judge(answered, &bad), expected, "{status}");
        let unnamed = if asked_for { Outcome::Excluded } else { Outcome::Good };
        assert_eq!(judge(answered, &BadStatuses::NONE), unnamed, "{status}");
    }
}

#[test]
fn what_a_client_can_choose_is_bad_only_when_it_is_named() {
    let mut bad = BadStatuses::server_errors();
    bad.insert(501);
    bad.insert_grpc(4);
    let answered = |status, grpc| judge(Ending::Answered { status, grpc }, &bad);
    assert_eq!(answered(501, None), Outcome::Bad);
    assert_eq!(answered(505, None), Outcome::Excluded);
    assert_eq!(answered(200, Some(4)), Outcome::Bad);
    assert_eq!(answered(200, Some(12)), Outcome::Excluded);
    assert_eq!(answered(200, Some(2)), Outcome::Bad, "what is always bad stays so");
}

#[test]
fn a_grpc_status_counts_beside_the_200_that_carries_it() {
    // ok, cancelled, invalid argument, not found, already exists, permission denied, resource
    // exhausted, failed precondition, aborted, out of range, unauthenticated
    let of_the_client = [0, 1, 3, 5, 6, 7, 8, 9, 10, 11, 16];
    for grpc in 0..=16 {
        // deadline exceeded, unimplemented
        let expected = match grpc {
            4 | 12 => Outcome::Excluded,
            grpc if of_the_client.contains(&grpc) => Outcome::Good,
            _ => Outcome::Bad,
        };
        assert_eq!(by_default(Ending::Answered { status: 200, grpc: Some(grpc) }), expected);
        // The status of the head still counts.
        let unavailable = Ending::Answered { status: 503, grpc: Some(grpc) };
        assert_eq!(by_default(unavailable), Outcome::Bad);
    }
}

#[test]
fn a_grpc_status_that_does_not_exist_is_an_unknown_failure() {
    for grpc in [17, 99, u32::MAX] {
        let ending = Ending::Answered { status: 200, grpc: Some(grpc) };
        assert_eq!(by_default(ending), Outcome::Bad, "{grpc}");
    }
}

#[test]
fn what_broke_off_or_never_came_is_bad_whatever_the_operator_says() {
    let failures = [
        Failure::Connect,
        Failure::ConnectTimeout,
        Failure::Reset,
        Failure::RefusedStream,
        Failure::Timeout,
        Failure::Invalid,
        Failure::NoEndpoint,
        Failure::Tls(TlsFault::Expired),
    ];
    for failure in failures {
        assert_eq!(judge(Ending::Failed(failure), &BadStatuses::NONE), Outcome::Bad);
    }
    let own = Ending::Failed(Failure::Exhausted);
    assert_eq!(judge(own, &BadStatuses::NONE), Outcome::Excluded, "nobody's but this process's");
    for status in [101, 200, 206, 404, 500] {
        assert_eq!(judge(Ending::Truncated { status }, &BadStatuses::NONE), Outcome::Bad);
    }
}

#[test]
fn a_websocket_is_bad_from_internal_error_to_the_end_of_the_protocols_own_codes() {
    assert_eq!(by_default(Ending::Upgraded { close_code: None }), Outcome::Good);
    for code in [1000, 1001, 1002, 1008, 1010, 3000, 3999, 4000, 4999] {
        let ending = Ending::Upgraded { close_code: Some(code) };
        assert_eq!(by_default(ending), Outcome::Good, "{code}");
    }
    for code in [1011, 1012, 1013, 1014, 1015, 2999] {
        let ending = Ending::Upgraded { close_code: Some(code) };
        assert_eq!(by_default(ending), Outcome::Bad, "{code}");
    }
}

#[test]
fn a_client_that_leaves_says_nothing_of_the_version() {
    assert_eq!(by_default(Ending::ClientAborted), Outcome::Excluded);
}

#[test]
fn outcomes_and_failures_have_the_names_that_metrics_and_retries_use() {
    let outcomes = [Outcome::Good, Outcome::Bad, Outcome::Excluded].map(Outcome::as_str);
    assert_eq!(outcomes, ["good", "bad", "excluded"]);
    assert_eq!(Failure::Connect.as_str(), "connectFailure");
    assert_eq!(Failure::Reset.as_str(), "reset");
}

proptest! {
    #[test]
    fn a_set_of_statuses_holds_what_was_put_in_and_nothing_else(
        inserted in prop::collection::btree_set(100u16..600, 0..20),
        asked: u16,
    ) {
        let mut bad = BadStatuses::NONE;
        inserted.iter().for_each(|status| bad.insert(*status));
        prop_assert_eq!(bad.contains(asked), inserted.contains(&asked));
    }
}
