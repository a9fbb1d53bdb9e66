//! Certificates that have few days left, told before clients find out.
//!
//! Looked at when Serin starts, after each reload, and every hour; the same certificate is told
//! once a day, so that nobody learns to look away.

use crate::run::Parts;
use serin_control::Handle;
use serin_core::time::Wall;
use serin_proxy::ServedCertificate;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const LOOK: Duration = Duration::from_secs(3600);
const DAY: i64 = 24 * 3600 * 1000;
const SOON: i64 = 14 * DAY;

/// The first look is at once.
pub(crate) async fn watch(parts: Weak<Parts>) {
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        let Some(parts) = parts.upgrade() else { return };
        parts.tell_expiring();
    }
}

/// What was told, and when.
#[derive(Debug, Default)]
pub(crate) struct Expiry(Mutex<BTreeMap<ServedCertificate, Wall>>);

impl Expiry {
    pub(crate) fn tell(&self, served: Vec<ServedCertificate>, handle: &Handle) {
        for ServedCertificate { listener, subject, expires } in self.due(served, now()) {
            tracing::warn!(listener, subject, "the certificate expires within 14 days");
            handle.certificate_expiring(&listener, &subject, expires);
        }
    }

    /// Those to be told now. What is no longer served is forgotten.
    fn due(&self, served: Vec<ServedCertificate>, now: Wall) -> Vec<ServedCertificate> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|certificate, _| served.contains(certificate));
        let mut due = Vec::new();
        for certificate in served {
            let soon = certificate.expires.0 - now.0 < SOON;
            // Also when the clock was set back.
            let lately = |at: &Wall| (0..DAY).contains(&(now.0 - at.0));
            if soon && !told.get(&certificate).is_some_and(lately) {
                told.insert(certificate.clone(), now);
                due.push(certificate);
            }
        }
        due
    }
}

fn now() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::{DAY, Expiry, ServedCertificate};
    use serin_core::time::Wall;

    fn expiring_on(day: i64) -> ServedCertificate {
        let (listener, subject) = ("https".to_owned(), "shop.test".to_owned());
        ServedCertificate { listener, subject, expires: Wall(day * DAY) }
    }

    #[test]
    fn a_certificate_is_told_under_fourteen_days_and_once_a_day() {
        let expiry = Expiry::default();
        let due = |day: i64, ms| {
            let served = vec![expiring_on(100), expiring_on(300)];
            expiry.due(served, Wall(day * DAY + ms))
        };
        assert_eq!(due(86, 0), []);
        assert_eq!(due(86, 1), [expiring_on(100)]);
        assert_eq!(due(86, 3_600_000), []);
        assert_eq!(due(87, 0), []);
        assert_eq!(due(87, 1), [expiring_on(100)]);
        assert_eq!(due(101, 0), [expiring_on(100)], "also when it is too late");
    }

    #[test]
    fn a_renewed_certificate_is_another_one() {
        let expiry = Expiry::default();
        assert_eq!(expiry.due(vec![expiring_on(100)], Wall(95 * DAY)).len(), 1);
        assert_eq!(expiry.due(vec![expiring_on(400)], Wall(95 * DAY)), []);
        assert_eq!(expiry.due(vec![expiring_on(101)], Wall(95 * DAY)).len(), 1);
    }
}
