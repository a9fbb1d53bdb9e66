//! `matches` of a route: paths, methods, values and client addresses.

use super::{Check, headers, listeners::networks};
use crate::file::{self, Named, ValueRule};
use crate::model::{Match, PathMatch, ValueMatch};
use crate::report::shown;
use crate::source::At;
use crate::suggest::nearest;

/// What one compiled expression may hold, so that ten thousand of them stay affordable.
const REGEX_SIZE: usize = 128 << 10;
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

pub(super) fn check(found: &file::Match, check: &mut Check<'_>) -> Match {
    Match {
        path: found.path.as_ref().map_or_else(everything, |path| path_match(path, check)),
        methods: methods(found.methods.as_ref(), check),
        headers: values(found.headers.as_ref(), headers::name, check),
        query: values(found.query.as_ref(), plain, check),
        cookies: values(found.cookies.as_ref(), headers_case_kept, check),
        client_ip: networks(found.client_ip.as_ref(), check),
    }
}

fn everything() -> PathMatch {
    PathMatch::Prefix("/".to_owned())
}

fn path_match(found: &At<file::PathMatch>, check: &mut Check<'_>) -> PathMatch {
    let given = [found.exact.is_some(), found.prefix.is_some(), found.regex.is_some()];
    let count = given.iter().filter(|given| **given).count();
    if count != 1 && !(count == 0 && found.broken) {
        check
            .error(found.at, "a path is matched in one way")
            .hint("write one of `exact: /a`, `prefix: /a` and `regex: /a/[0-9]+`");
    }
    if let Some(exact) = &found.exact {
        path(exact, check);
        PathMatch::Exact(exact.value.clone())
    } else if let Some(prefix) = &found.prefix {
        path(prefix, check);
        PathMatch::Prefix(segments(&prefix.value))
    } else if let Some(regex) = &found.regex {
        if !regex.value.starts_with(['/', '^', '(', '.', '[']) {
            check
                .warning(regex.at, "this expression matches no path")
                .hint(format!("a path begins with `/`: write `/{}`", regex.value));
        }
        expression(regex, check).map_or_else(everything, PathMatch::Regex)
    } else {
        everything()
    }
}

/// `/a/` and `/a` are the same prefix: it is compared by whole segments.
fn segments(prefix: &str) -> String {
    let trimmed = prefix.trim_end_matches('/');
    if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() }
}

/// A path as requests are compared with it: normalised, without query.
pub(super) fn path(found: &At<String>, check: &mut Check<'_>) {
    let text = found.value.as_str();
    let (message, hint) = if !text.starts_with('/') {
        ("a path begins with `/`", format!("write `/{text}`"))
    } else if let Some((path, _)) = text.split_once('?') {
        ("a path has no query", format!("write `{path}`, and match the rest with `query`"))
    } else if let Some((path, _)) = text.split_once('#') {
        ("a path has no fragment", format!("write `{path}`; browsers never send it"))
    } else if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        (
            "`.` and `..` are resolved before paths are compared",
            "write the path they lead to".to_owned(),
        )
    } else if text.contains("//") {
        (
            "`//` is made one before paths are compared",
            format!("write `{}`", text.replace("//", "/")),
        )
    } else if let Some(bad) = text.chars().find(|c| c.is_control() || *c == ' ') {
        ("a path has no spaces", format!("write it encoded: `%{:02X}`", bad as u32))
    } else if text.contains('*') {
        let stem = text.split('*').next().unwrap_or_default();
        let draft = check.warning(found.at, "`*` stands for itself in a path");
        draft.hint(format!(
            "for everything below write `prefix: {}`, otherwise `regex`",
            segments(stem)
        ));
        return;
    } else {
        return;
    };
    check.error(found.at, format!("{}: {message}", shown(text))).hint(hint);
}

/// Anchored at both ends, and bounded in size.
fn expression(found: &At<String>, check: &mut Check<'_>) -> Option<regex::Regex> {
    let anchored = format!("^(?:{})$", found.value);
    let built = regex::RegexBuilder::new(&anchored).size_limit(REGEX_SIZE).build();
    match built {
        Ok(regex) => Some(regex),
        Err(regex::Error::CompiledTooBig(_)) => {
            check.error(found.at, "this expression is too large").hint(
                "lower its repetitions, or write `[0-9]` for `\\d` and `[a-z0-9_]` for `\\w`",
            );
            None
        }
        Err(error) => {
            // The last line says what is wrong; the others draw the pattern with our anchors.
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let reason = last.strip_prefix("error: ").unwrap_or(last).to_owned();
            check
                .error(found.at, format!("{} is not an expression: {reason}", shown(&found.value)))
                .hint(
                    "the syntax is that of Rust's regex crate: no look-around, no back-references",
                );
            None
        }
    }
}

/// A method in upper case.
pub(super) fn method(found: &At<String>, check: &mut Check<'_>) -> Option<String> {
    let text = found.value.as_str();
    let token = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let upper = text.to_ascii_uppercase();
    if matches!(upper.as_str(), "TRACE" | "CONNECT") {
        check
            .error(found.at, format!("{upper} is never forwarded"))
            .hint("it is always answered 405; remove it");
        return None;
    }
    if !token || upper != text {
        let draft = check.error(found.at, format!("{} is not a method", shown(text)));
        match METHODS.iter().find(|method| **method == upper) {
            Some(method) => draft.hint(format!("write `{method}`: methods are upper case")),
            None => draft.hint("write `GET`, `POST` or another method in upper case"),
        };
        return None;
    }
    if !METHODS.contains(&text)
        && let Some(near) = nearest(text, METHODS.iter().copied())
    {
        check
            .warning(found.at, format!("{} is an unusual method", shown(text)))
            .hint(format!("did you mean `{near}`?"));
    }
    Some(upper)
}

fn methods(found: Option<&At<Vec<At<String>>>>, check: &mut Check<'_>) -> Vec<String> {
    let items = found.map(|found| found.value.as_slice()).unwrap_or_default();
    items.iter().filter_map(|item| method(item, check)).collect()
}

fn plain(found: &At<String>, _: &mut Check<'_>) -> Option<String> {
    Some(found.value.clone())
}

/// Cookies' names tell upper from lower case.
fn headers_case_kept(found: &At<String>, check: &mut Check<'_>) -> Option<String> {
    headers::name(found, check).map(|_| found.value.clone())
}

fn values(
    found: Option<&At<Named<ValueRule>>>,
    name: fn(&At<String>, &mut Check<'_>) -> Option<String>,
    check: &mut Check<'_>,
) -> Vec<(String, ValueMatch)> {
    let entries = found.map(|found| found.value.0.as_slice()).unwrap_or_default();
    let mut values = Vec::with_capacity(entries.len());
    for (key, rule) in entries {
        let name = name(key, check);
        let value = value(key, rule, check);
        values.extend(name.zip(value));
    }
    values
}

fn value(key: &At<String>, rule: &ValueRule, check: &mut Check<'_>) -> Option<ValueMatch> {
    let pattern = match rule {
        ValueRule::Exact(text) => return Some(ValueMatch::Exact(text.clone())),
        ValueRule::Rule(pattern) => pattern,
    };
    match (&pattern.regex, pattern.present) {
        (Some(regex), None) => expression(regex, check).map(ValueMatch::Regex),
        (None, Some(present)) if present.value => Some(ValueMatch::Present),
        (None, Some(present)) => {
            check
                .error(present.at, "absence cannot be matched")
                .hint("route what has it first, and leave it out here");
            None
        }
        (None, None) if pattern.broken => None,
        (Some(_), Some(_)) | (None, None) => {
            check
                .error(key.at, format!("{} is matched in one way", shown(&key.value)))
                .hint("write a value, `{ regex: … }` or `{ present: true }`");
            None
        }
    }
}
