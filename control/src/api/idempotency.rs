//! `Idempotency-Key` on POST: a request repeated with its key is answered again, not done again.
//!
//! Two layers make that true. This one remembers whole answers, so that a repetition is answered
//! byte for byte. Control remembers the keys of its commands in the journal, so that a
//! repetition after a restart is not carried out twice either.
//! Only what was done is remembered: a refusal changed nothing, and its key may be tried again.

use super::problem::{Kind, Problem};
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub(crate) static KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(crate) static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How many answers are remembered, how large each may be, and for how long.
const REMEMBERED: usize = 1024;
const LARGEST: usize = 64 * 1024;
const FOR: Duration = Duration::from_secs(24 * 3600);
const LONGEST_KEY: usize = 255;

#[derive(Debug, Default)]
pub(crate) struct Store {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<Key, Entry>,
    /// Oldest first; what is beyond the bound is forgotten in this order.
    order: VecDeque<Key>,
}

/// A key belongs to its caller and its resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) caller: String,
    pub(crate) path: String,
    pub(crate) key: String,
}

#[derive(Debug)]
struct Entry {
    body: blake3::Hash,
    at: Instant,
    /// `None` while the first request is being carried out.
    answer: Option<Answer>,
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What is to be done with a request that carries a key.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It is the first: carry it out and [`Store::keep`] the answer.
    First,
    Replay(Answer),
}

/// The request's key, if it has one.
pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all(&KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let visible = |key: &&str| {
        (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|b| (0x20..0x7f).contains(&b))
    };
    match (key.to_str().ok().filter(visible), keys.next()) {
        (Some(key), None) => Ok(Some(key.to_owned())),
        (Some(_), Some(_)) | (None, _) => Err(Problem::malformed(format!(
            "Idempotency-Key is one value of 1 to {LONGEST_KEY} visible ASCII characters"
        ))),
    }
}

impl Store {
    pub(crate) fn begin(&self, key: &Key, body: &[u8], now: Instant) -> Result<Turn, Problem> {
        let body = blake3::hash(body);
        let mut entries = self.lock();
        entries.drop_older_than(now);
        if let Some(known) = entries.by_key.get(key) {
            if known.body != body {
                return Err(reused());
            }
            return match &known.answer {
                Some(answer) => Ok(Turn::Replay(answer.clone())),
                None => Err(Problem::conflict(
                    "a request with this Idempotency-Key is still being carried out",
                )),
            };
        }
        entries.by_key.insert(key.clone(), Entry { body, at: now, answer: None });
        entries.order.push_back(key.clone());
        while entries.order.len() > REMEMBERED {
            entries.drop_oldest();
        }
        Ok(Turn::First)
    }

    /// Remembers the answer, unless a repetition deserves another try.
    pub(crate) fn keep(&self, key: &Key, answer: Answer) {
        if !answer.status.is_success() || answer.body.len() > LARGEST {
            return self.forget(key);
        }
        if let Some(entry) = self.lock().by_key.get_mut(key) {
            entry.answer = Some(answer);
        }
    }

    fn forget(&self, key: &Key) {
        let mut entries = self.lock();
        entries.by_key.remove(key);
        entries.order.retain(|known| known != key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn drop_older_than(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front() {
            let expired = self
                .by_key
                .get(oldest)
                .is_none_or(|entry| now.saturating_duration_since(entry.at) > FOR);
            if !expired {
                return;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(key) = self.order.pop_front() {
            self.by_key.remove(&key);
        }
    }
}

impl Answer {
    pub(crate) fn replayed(self) -> (StatusCode, HeaderMap, Bytes) {
        let mut headers = self.headers;
        headers.insert(REPLAYED.clone(), HeaderValue::from_static("true"));
        (self.status, headers, self.body)
    }
}

/// 422: the key stands for another request.
pub(crate) fn reused() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unprocessable,
        "this Idempotency-Key was used with another body; use a new key for a new request",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { caller: "ci".to_owned(), path: "/v1/x".to_owned(), key: name.to_owned() }
    }

    fn answer(status: StatusCode) -> Answer {
        Answer { status, headers: HeaderMap::new(), body: Bytes::from_static(b"{}") }
    }

    #[test]
    fn a_repetition_is_answered_again_and_another_body_is_refused() {
        let (store, now) = (Store::default(), Instant::now());
        assert!(matches!(store.begin(&key("a"), b"1", now), Ok(Turn::First)));
        assert_eq!(store.begin(&key("a"), b"1", now).unwrap_err().status(), 409);
        store.keep(&key("a"), answer(StatusCode::CREATED));
        let Ok(Turn::Replay(again)) = store.begin(&key("a"), b"1", now) else {
            panic!("not replayed")
        };
        assert_eq!(again.replayed().0, StatusCode::CREATED);
        assert_eq!(store.begin(&key("a"), b"2", now).unwrap_err().status(), 422);
        let other = Key { caller: "someone".to_owned(), ..key("a") };
        assert!(matches!(store.begin(&other, b"2", now), Ok(Turn::First)));
    }

    #[test]
    fn what_was_refused_may_be_tried_again() {
        let (store, now) = (Store::default(), Instant::now());
        for refused in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::CONFLICT] {
            assert!(matches!(store.begin(&key("a"), b"1", now), Ok(Turn::First)));
            store.keep(&key("a"), answer(refused));
        }
        assert!(matches!(store.begin(&key("a"), b"2", now), Ok(Turn::First)));
    }

    #[test]
    fn memory_is_bounded_and_a_day_is_remembered() {
        let (store, now) = (Store::default(), Instant::now());
        for i in 0..2 * REMEMBERED {
            assert!(store.begin(&key(&i.to_string()), b"", now).is_ok());
        }
        assert_eq!(store.lock().by_key.len(), REMEMBERED);
        let tomorrow = now + FOR + Duration::from_secs(1);
        assert!(matches!(store.begin(&key("new"), b"", tomorrow), Ok(Turn::First)));
        assert_eq!(store.lock().by_key.len(), 1);
    }

    #[test]
    fn a_key_is_one_short_visible_value() {
        let mut headers = HeaderMap::new();
        assert_eq!(key_of(&headers), Ok(None));
        headers.insert(&KEY, "a-1".parse().unwrap());
        assert_eq!(key_of(&headers), Ok(Some("a-1".to_owned())));
        headers.append(&KEY, "b".parse().unwrap());
        assert!(key_of(&headers).is_err());
        headers.insert(&KEY, "x".repeat(256).parse().unwrap());
        assert!(key_of(&headers).is_err());
    }
}
