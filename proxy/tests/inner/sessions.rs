use super::support::*;
use http::HeaderMap;
use proptest::prelude::*;
use serin_config::model::{self, Secret, SessionBy};
use serin_core::plane::DataPlane;
use serin_core::split::{InForce, Scope, Sessions};
use serin_core::time::Wall;
use serin_proxy::config_generation::{ConfigGeneration, Environment};
use serin_proxy::plane::Plane;
use serin_proxy::service::{Assigned, Because, Service, Who};
use serin_proxy::thread::{ThreadId, random};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const START: i64 = 1_800_000_000_000;
const HOUR: i64 = 3_600_000;

fn by_cookie(key: &str) -> model::Service {
    let secret = Secret::new(PathBuf::from("key"), key.to_owned());
    let ttl = Duration::from_secs(3_600);
    model::Service {
        session: SessionBy::Cookie { name: "serin_shop".to_owned(), ttl, keys: vec![secret] },
        ..shop()
    }
}

fn a_shop() -> (Plane, Arc<Service>) {
    plane_of(by_cookie("0123456789abcdef"))
}

fn visit(service: &Service, cookie: Option<&str>, at: i64) -> Assigned {
    let mut headers = HeaderMap::new();
    if let Some(cookie) = cookie {
        headers.insert("cookie", cookie.parse().unwrap());
    }
    service.assign(ThreadId(0), &Who { wall: &|| Wall(at), ..who(&headers) }, random())
}

/// What a browser sends back.
fn kept(assigned: &Assigned) -> String {
    let set = assigned.set_cookie.as_ref().unwrap().to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

#[test]
fn a_user_keeps_the_version_that_the_cookie_names() {
    let (plane, service) = a_shop();
    plane.publish(split(rollout(1, 50)));
    for _ in 0..50 {
        let first = visit(&service, None, START);
        let cookie = kept(&first);
        let again = visit(&service, Some(&cookie), START + 1_000);
        assert_eq!(again.version.name, first.version.name);
        assert_eq!(again.user, first.user);
        assert_eq!(again.because, Because::Session);
        assert!(again.set_cookie.is_none(), "the cookie still says it all");
    }
}

#[test]
fn the_cookie_is_out_of_reach_of_scripts_and_of_plain_connections() {
    let (_plane, service) = a_shop();
    let headers = HeaderMap::new();
    let secure = Who { secure: true, ..who(&headers) };
    let assigned = service.assign(ThreadId(0), &secure, 7);
    let text = assigned.set_cookie.unwrap();
    let text = text.to_str().unwrap();
    assert!(text.starts_with("serin_shop="), "{text}");
    for attribute in ["Path=/", "Max-Age=3600", "HttpOnly", "SameSite=Lax", "Secure"] {
        assert!(text.contains(&format!("; {attribute}")), "{attribute} in {text}");
    }
}

#[test]
fn an_active_session_is_renewed_and_an_idle_one_ends() {
    let (plane, service) = a_shop();
    plane.publish(split(rollout(1, 50)));
    let first = visit(&service, None, START);
    let renewed = visit(&service, Some(&kept(&first)), START + HOUR * 2 / 3);
    assert_eq!(renewed.user, first.user);
    let later = visit(&service, Some(&kept(&renewed)), START + HOUR * 4 / 3);
    assert_eq!(later.because, Because::Session);
    let idle = visit(&service, Some(&kept(&first)), START + HOUR * 4 / 3);
    assert_eq!(idle.because, Because::Split);
    assert!(idle.set_cookie.is_some());
}

#[test]
fn a_revoked_session_leaves_the_candidate_at_once_and_a_drained_one_may_finish() {
    let (plane, service) = a_shop();
    plane.publish(split(rollout(1, 100)));
    let cookie = kept(&visit(&service, None, START));
    let at = |sessions| {
        plane.publish(split(InForce { sessions, ..rollout(1, 0) }));
        visit(&service, Some(&cookie), START).version.name.to_string()
    };
    assert_eq!(at(Sessions::Drain), "v2");
    assert_eq!(at(Sessions::Revoke), "v1");
}

#[test]
fn with_new_sessions_an_old_user_stays_on_stable_and_out_of_the_comparison() {
    let (plane, service) = a_shop();
    let before = kept(&visit(&service, None, START));
    plane.publish(split(InForce { of: Scope::NewSessions, ..rollout(1, 100) }));
    for cookie in [before.as_str(), "app_session=42"] {
        let old = visit(&service, Some(cookie), START);
        assert_eq!(old.version.name.as_str(), "v1");
        assert_eq!(old.counting, serin_proxy::meter::Counting::Rest);
    }
    assert_eq!(visit(&service, None, START).version.name.as_str(), "v2");
}

#[test]
fn a_cookie_of_another_service_key_or_release_means_nothing() {
    let (plane, service) = a_shop();
    plane.publish(split(rollout(1, 100)));
    let cookie = kept(&visit(&service, None, START));
    let because = |other: model::Service| {
        let (plane, service) = plane_of(other);
        let mut stranger = (*split(rollout(1, 100))).clone();
        stranger.service = service.name.clone();
        plane.publish(Arc::new(stranger));
        visit(&service, Some(&cookie), START).because
    };
    let same = by_cookie("0123456789abcdef");
    assert_eq!(because(same.clone()), Because::Session);
    assert_eq!(because(by_cookie("another key, as long")), Because::Split);
    let renamed = model::Service { name: service_name("other"), ..same.clone() };
    assert_eq!(because(renamed), Because::Split);
    let mut released = same.clone();
    released.versions[1].release = "later".to_owned();
    assert_eq!(because(released), Because::Split);
    let mut removed = same;
    removed.versions[1].name = version_name("v3");
    assert_ne!(because(removed), Because::Session);
}

#[test]
fn every_cut_and_every_flipped_bit_is_noticed() {
    let (plane, service) = a_shop();
    plane.publish(split(rollout(1, 100)));
    let cookie = kept(&visit(&service, None, START));
    let (name, value) = cookie.split_once('=').unwrap();
    for length in 0..value.len() {
        let cut = format!("{name}={}", &value[..length]);
        assert_eq!(visit(&service, Some(&cut), START).because, Because::Split, "{length}");
    }
    for place in 0..value.len() {
        let mut forged = value.as_bytes().to_vec();
        forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
        let forged = format!("{name}={}", String::from_utf8(forged).unwrap());
        assert_eq!(visit(&service, Some(&forged), START).because, Because::Split, "{place}");
    }
    let both = format!("{name}=forged; other=1; {cookie}");
    assert_eq!(visit(&service, Some(&both), START).because, Because::Session);
}

proptest! {
    #[test]
    fn no_cookie_breaks_anything(line in "[ -~]{0,300}", value in "[A-Za-z0-9_=-]{0,300}") {
        let (plane, service) = a_shop();
        plane.publish(split(rollout(1, 50)));
        let ours = format!("serin_shop={value}");
        for cookie in [line, ours] {
            if http::HeaderValue::from_str(&cookie).is_ok() {
                prop_assert_eq!(visit(&service, Some(&cookie), START).because, Because::Split);
            }
        }
    }
}

#[test]
fn without_a_key_one_is_made_for_the_owner_alone_and_holds_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let mut shop = by_cookie("");
        let ttl = Duration::from_secs(3_600);
        shop.session = SessionBy::Cookie { name: "serin_shop".to_owned(), ttl, keys: Vec::new() };
        let mut config = config(vec![shop], Vec::new());
        config.state_dir = folder.path().join("state");
        let generation =
            ConfigGeneration::build(Arc::new(config), None, &Environment::new(1, None)).unwrap();
        Arc::clone(generation.service(&service_name("shop")).unwrap())
    };
    let cookie = kept(&visit(&start(), None, START));
    assert_eq!(visit(&start(), Some(&cookie), START).because, Because::Session);
    let file = std::fs::metadata(folder.path().join("state/session.key")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let left: Vec<_> = std::fs::read_dir(folder.path().join("state")).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing is left beside it");
}

#[test]
fn a_key_that_is_too_short_is_refused() {
    let config = config(vec![by_cookie("short")], Vec::new());
    let built = ConfigGeneration::build(Arc::new(config), None, &Environment::new(1, None));
    assert!(built.unwrap_err().to_string().contains("shorter than 16 bytes"));
}

#[test]
fn a_cookie_does_not_tell_which_version_its_user_has() {
    use base64::Engine;
    let (plane, service) = a_shop();
    plane.publish(split(rollout(1, 50)));
    let mut seen = std::collections::BTreeMap::new();
    let mut named = 0;
    for _ in 0..200 {
        let first = visit(&service, None, START);
        let cookie = kept(&first);
        let (_, value) = cookie.split_once('=').unwrap();
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(value).unwrap();
        let name = first.version.name.to_string();
        named += usize::from(bytes.windows(name.len()).any(|window| window == name.as_bytes()));
        seen.entry(name).or_insert_with(Vec::new).push(bytes);
    }
    assert_eq!(seen.len(), 2, "both versions were met");
    // Two letters come together by chance, in one cookie of a thousand.
    assert!(named < 10, "{named} of 200 cookies have the version's name in them");
    let all: Vec<&Vec<u8>> = seen.values().flatten().collect();
    assert!(all.iter().all(|bytes| bytes.len() == all[0].len()), "no length tells");
    // No byte but the format's is the same for all users of one version.
    for users in seen.values() {
        let constant = |at: usize| users.iter().all(|bytes| bytes[at] == users[0][at]);
        let told: Vec<usize> = (0..users[0].len()).filter(|at| constant(*at)).collect();
        assert_eq!(told, [0]);
    }
}

#[test]
fn cookies_that_an_older_key_has_signed_stay_valid_and_the_newest_signs() {
    let keyed = |keys: &[&str]| {
        let secret = |key: &&str| Secret::new(PathBuf::from("key"), (*key).to_owned());
        let keys = keys.iter().map(secret).collect();
        let ttl = Duration::from_secs(3_600);
        let name = "serin_shop".to_owned();
        model::Service { session: SessionBy::Cookie { name, ttl, keys }, ..shop() }
    };
    let (old, new) = ("0123456789abcdef", "fedcba9876543210");
    let at_first = plane_of(keyed(&[old])).1;
    let rotated = plane_of(keyed(&[new, old])).1;
    let afterwards = plane_of(keyed(&[new])).1;
    let cookie = kept(&visit(&at_first, None, START));
    assert_eq!(visit(&rotated, Some(&cookie), START).because, Because::Session);
    assert_ne!(visit(&afterwards, Some(&cookie), START).because, Because::Session);
    let renewed = kept(&visit(&rotated, None, START));
    assert_eq!(visit(&afterwards, Some(&renewed), START).because, Because::Session);
}
