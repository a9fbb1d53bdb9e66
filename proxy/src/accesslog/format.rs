//! A record as a line. Nothing that a client sends can end a line or a field.

use super::record::{Field, Record};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use serin_core::secret::without_secrets;
use std::fmt::Write;

pub(super) fn json(record: &Record, line: &mut String) {
    let mut fields = Map::new();
    fields.insert("time".into(), timestamp(record).to_string().into());
    for (name, field) in record.fields() {
        fields.insert(name.into(), value(field));
    }
    if let Some(trace) = &record.trace_id {
        fields.insert("trace_id".into(), trace.as_str().into());
    }
    line.push_str(&Value::Object(fields).to_string());
    line.push('\n');
}

fn value(field: Field<'_>) -> Value {
    match field {
        Field::Text(text) => text.into(),
        Field::Whole(number) => number.into(),
        // To a hundredth of a millisecond.
        Field::Seconds(time) => ((time.as_micros() as f64 / 10.0).round() / 1e5).into(),
    }
}

fn timestamp(record: &Record) -> Timestamp {
    let exact = Timestamp::try_from(record.at).unwrap_or_default();
    exact.round(jiff::Unit::Microsecond).unwrap_or(exact)
}

/// As Apache and nginx write it.
pub(super) fn combined(record: &Record, line: &mut String) {
    let time = timestamp(record).to_zoned(TimeZone::UTC).strftime("%d/%b/%Y:%H:%M:%S %z");
    let _ = write!(line, "{} - - [{time}] \"", record.client);
    let target = without_secrets(&record.target);
    let request = [record.method.as_str(), &target, record.protocol];
    escape(&request.join(" "), line);
    let _ = write!(line, "\" {} {} \"", record.status, record.bytes_out);
    escape(&without_secrets(record.referer.as_deref().unwrap_or("-")), line);
    line.push_str("\" \"");
    escape(record.user_agent.as_deref().unwrap_or("-"), line);
    line.push_str("\"\n");
}

fn escape(text: &str, line: &mut String) {
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                line.push('\\');
                line.push(c);
            }
            c if c.is_control() => {
                let _ = write!(line, "\\x{:02x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    fn record() -> Record {
        let mut record = Record::new([192, 0, 2, 7].into());
        record.at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        record.method = "GET".into();
        record.target = "/a?b=\"c\"\n".into();
        record.protocol = "HTTP/1.1";
        record.status = 200;
        record.bytes_out = 42;
        record.duration = Duration::from_micros(1234);
        record
    }

    #[test]
    fn a_combined_line_cannot_be_broken_by_what_a_client_sends() {
        let mut line = String::new();
        combined(&record(), &mut line);
        assert_eq!(
            line,
            "192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] \"GET /a?b=\\\"c\\\"\\x0a HTTP/1.1\" 200 42 \"-\" \"-\"\n"
        );
    }

    #[test]
    fn neither_format_tells_what_a_query_calls_secret() {
        let mut record = record();
        record.target = "/a?access_token=s3cret&b=1".into();
        record.referer = Some("https://shop.example/?sig=s3cret".into());
        let mut lines = String::new();
        combined(&record, &mut lines);
        json(&record, &mut lines);
        assert!(!lines.contains("s3cret"), "{lines}");
        assert_eq!(lines.matches("access_token=REDACTED&b=1").count(), 2, "{lines}");
        assert_eq!(lines.matches("sig=REDACTED").count(), 2, "{lines}");
    }

    #[test]
    fn a_json_line_leaves_out_what_is_not_known() {
        let mut line = String::new();
        json(&record(), &mut line);
        let parsed: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["time"], "2023-11-14T22:13:20.123Z");
        assert_eq!(parsed["http.server.request.duration"], 0.00123);
        assert_eq!(parsed["url.path"], "/a");
        assert_eq!(parsed["url.query"], "b=\"c\"\n");
        assert!(parsed.get("serin.version").is_none());
        assert_eq!(line.matches('\n').count(), 1);
    }
}
