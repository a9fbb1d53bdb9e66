//! Receivers and gates: told and asked, and never in the way.

use crate::test_server::{Setup, TestServer};
use serin_control::{Command, WaitingFor};
use serin_testkit::{
    ConfigText, Fault, Origin, RawOrigin, Script, Serin, ServiceText, eventually, temp_dir,
};
use std::path::Path;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_webhook_holds_its_step_until_it_grants() {
    let gate = Origin::start("gate");
    gate.break_all(Fault::Status(403));
    let url = format!("http://{}/go", gate.address());
    let bench = TestServer::open(&format!(
        "steps: [ {{ weight: 10%, hold: 10m }}, {{ weight: 100%, hold: 10m }} ], gates: [ {{ before: \"10%\", webhook: {{ url: \"{url}\", timeout: 2s }} }} ]"
    ));
    bench.start();
    let waits =
        |b: &TestServer| b.rollout().is_some_and(|r| r.waiting_for == Some(WaitingFor::Webhook));
    bench.until(LONG, waits).expect("waiting for the webhook");
    eventually("the refusal shows", || bench.rollout().is_some_and(|r| r.reason.contains("403")));
    assert_eq!(bench.weight(), 0);
    let asked = gate.requests();
    assert!((1..=2).contains(&asked), "asked {asked} times within moments");
    gate.heal();
    bench.until(LONG, |b| b.weight() == 1_000).expect("the first step");
}

#[test]
fn receivers_are_told_and_one_that_hangs_delays_nothing() {
    let hook = Origin::start("hook");
    let deaf = RawOrigin::always(Script::never_answering());
    let setup = Setup::of("steps: [ { weight: 50%, hold: 10m }, { weight: 100%, hold: 10m } ]");
    let bench = TestServer::set_up(Setup {
        more: &format!(
            "notifications:\n  - {{ name: hook, webhook: {{ url: \"http://{}/hook\" }}, on: [started, rolledBack] }}\n  - {{ name: deaf, webhook: {{ url: \"http://{}/\" }}, on: [started, rolledBack] }}",
            hook.address(),
            deaf.address()
        ),
        ..setup
    });
    bench.start();
    bench.until(LONG, |b| b.weight() > 0).expect("weight");
    let began = Instant::now();
    bench.command(Command::Abort { reason: "a drill".into() }).expect("an abort");
    println!("aborted in {:?} with a receiver that never answers", began.elapsed());
    eventually("both are told", || hook.requests_to("/hook") == 2 && deaf.accepted() >= 1);
    let metrics = bench.handle().metrics();
    let sent = "serin_notifications_total{receiver=\"hook\",result=\"sent\"}";
    eventually("the count", || bench.handle().metrics().contains(sent));
    assert!(!metrics.contains(&hook.address().to_string()), "an address is no label");
}

#[test]
fn a_certificate_with_few_days_left_is_told_at_start_and_another_one_after_a_reload() {
    let (origin, hook) = (Origin::start("v1"), Origin::start("hook"));
    let dir = temp_dir();
    write_certificate(dir.path(), "near", 5);
    write_certificate(dir.path(), "far", 50);
    write_certificate(dir.path(), "new", 9);
    let listener = |name: &str, file: &str| {
        format!(
            "{{ name: {name}, address: \"127.0.0.1:0\", protocol: HTTPS, tls: {{ certificates: [ {{ certFile: {file}.pem, keyFile: {file}.key }} ] }} }}"
        )
    };
    let service = ServiceText::new("shop").version("v1", &[origin.address()]);
    let config = ConfigText::simple(service)
        .listener(&listener("near", "near"))
        .listener(&listener("far", "far"))
        .with(&format!(
            "notifications:\n  - {{ name: hook, webhook: {{ url: \"http://{}/hook\" }}, on: [certificateExpiring] }}",
            hook.address()
        ));
    let path = config.write_to(dir.path());
    let mut serin = Serin::run(env!("CARGO_BIN_EXE_serin"), &path);
    serin.address("admin");
    eventually("the first one is told", || hook.requests_to("/hook") == 1);
    let said = "the certificate near.test of listener near expires";
    eventually("the log says which", || serin.log().contains(said));
    config.listener(&listener("new", "new")).write_to(dir.path());
    serin.signal("HUP");
    let said = "the certificate new.test of listener new expires";
    eventually("the one that came is told", || serin.log().contains(said));
    eventually("and no other one again", || hook.requests_to("/hook") == 2);
}

fn write_certificate(folder: &Path, name: &str, days: i64) {
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
    let date = until.to_zoned(jiff::tz::TimeZone::UTC).date();
    let [month, day] = [date.month(), date.day()].map(|n| u8::try_from(n).expect("a date"));
    let mut params =
        rcgen::CertificateParams::new(vec![format!("{name}.test")]).expect("a certificate");
    params.not_after = rcgen::date_time_ymd(date.year().into(), month, day);
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("a file");
    std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).expect("a file");
}
