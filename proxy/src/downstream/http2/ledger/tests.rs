//! What the ledger decides, and that nobody waits for what has come.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

fn opened(streams: u32) -> Ledger {
    let mut ledger = Ledger::default();
    (0..streams).for_each(|n| ledger.opened(2 * n + 1));
    ledger
}

/// How many of those that ask get their turn.
fn gone(ledger: &mut Ledger, asking: impl Iterator<Item = u32>) -> usize {
    let mut places = None;
    asking.filter(|n| ledger.go(2 * n + 1, &mut places) == Turn::Goes).count()
}

#[test]
fn few_streams_begin_that_have_hardly_a_window() {
    for window in [0, 1, WIDE as u32 - 1] {
        let mut ledger = opened(200);
        assert_eq!(gone(&mut ledger, 0..50), 50);
        ledger.initial(window);
        assert_eq!(gone(&mut ledger, 50..100), 0, "as many have begun");
        (0..50).for_each(|n| ledger.closed(2 * n + 1));
        assert_eq!(gone(&mut ledger, 50..100), MAX_SHUT);
        // One that is granted some makes place for another, and one that asks needs none.
        ledger.granted(101, WIDE as u32);
        assert_eq!(gone(&mut ledger, 80..100), 1);
        ledger.granted(199, WIDE as u32);
        assert_eq!(gone(&mut ledger, 99..100), 1);
        // Those that are cancelled keep nobody back, and do not begin.
        (50..60).for_each(|n| ledger.closed(2 * n + 1));
        assert_eq!(ledger.go(101, &mut None), Turn::Gone);
        assert_eq!(gone(&mut ledger, 100..200), MAX_SHUT - 1);
    }
}

#[test]
fn what_a_stream_held_goes_with_it() {
    let mut ledger = opened(3);
    ledger.handed(1, 40_000);
    ledger.handed(3, 30_000);
    assert_eq!(ledger.unsent, 70_000);
    ledger.data_left(1, 10_000);
    ledger.closed(3);
    assert_eq!(ledger.unsent, 30_000);
    ledger.closed(1);
    ledger.closed(1);
    assert_eq!(ledger.unsent, 0);
    assert!(ledger.take_head(MAX_HEADS) && !ledger.take_head(1));
    ledger.head_gone(MAX_HEADS);
    assert!(ledger.take_head(1));
}

#[test]
fn those_that_wait_for_room_are_woken_as_it_comes_and_none_is_forgotten() {
    let mut ledger = opened(1);
    ledger.handed(1, MAX_UNSENT);
    (0..20).for_each(|n| ledger.waits_for_room(n % 10, Waker::noop()));
    assert_eq!(ledger.writers.len(), 10, "each once");
    assert_eq!(ledger.woken().len(), 0);
    ledger.data_left(1, PIECE);
    assert_eq!(ledger.woken().len(), 1);
    ledger.closed(1);
    assert_eq!(ledger.woken().len(), 9);
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Opened(u32),
    Closed(u32),
    RequestEnded(u32),
    AnswerEnded(u32),
    HeadLeft(u32),
    DataLeft(u32, usize),
    /// On the connection where the stream is none.
    Granted(u32, u32),
    Initial(u32),
}

fn event() -> impl Strategy<Value = Event> {
    let stream = || (0..24u32).prop_map(|n| 2 * n + 1);
    let window = || prop_oneof![Just(0), Just(1), Just(1023), Just(1024), Just(70_000)];
    prop_oneof![
        4 => stream().prop_map(Event::Opened),
        2 => stream().prop_map(Event::Closed),
        1 => stream().prop_map(Event::RequestEnded),
        1 => stream().prop_map(Event::AnswerEnded),
        1 => stream().prop_map(Event::HeadLeft),
        1 => (stream(), window()).prop_map(|(n, bytes)| Event::DataLeft(n, bytes as usize)),
        1 => (prop_oneof![Just(0), stream()], window()).prop_map(|(n, by)| Event::Granted(n, by)),
        1 => window().prop_map(Event::Initial),
    ]
}

fn happens(event: Event, ledger: &mut Ledger) {
    match event {
        Event::Opened(stream) => ledger.opened(stream),
        Event::Closed(stream) => ledger.closed(stream),
        Event::RequestEnded(stream) => ledger.request_ended(stream),
        Event::AnswerEnded(stream) => ledger.answer_ended(stream),
        Event::HeadLeft(stream) => ledger.head_left(stream),
        Event::DataLeft(stream, bytes) => ledger.data_left(stream, bytes),
        Event::Granted(stream, by) => ledger.granted(stream, by),
        Event::Initial(window) => ledger.initial(window),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Those that wait look again when something has changed, and never else.
    #[test]
    fn whatever_lets_somebody_go_on_says_so(events in prop::collection::vec(event(), 1..120)) {
        let mut ledger = Ledger::default();
        let (mut waiting, mut opened) = (Vec::new(), HashSet::new());
        for event in events {
            // No number is used twice.
            if matches!(event, Event::Opened(stream) if !opened.insert(stream)) {
                continue;
            }
            happens(event, &mut ledger);
            let changed = std::mem::take(&mut ledger.changed);
            // The first of them is asked first, as the queue does it.
            let (mut places, before) = (None, waiting.len());
            waiting.retain(|stream: &u32| ledger.go(*stream, &mut places) == Turn::Waits);
            prop_assert!(changed || waiting.len() == before, "{event:?}: one of {before} may go");
            if let Event::Opened(stream) = event
                && !waiting.contains(&stream)
                && ledger.go(stream, &mut None) == Turn::Waits
            {
                waiting.push(stream);
            }
        }
    }
}
