//! `session`: what keeps a user on one version.

use super::{Check, headers};
use crate::file::{self, SessionKind};
use crate::model::SessionBy;
use crate::source::At;

/// A key that signs has at least 128 bits.
const SHORTEST_KEY: usize = 16;

pub(super) fn check(
    service: &str,
    found: Option<&At<file::Session>>,
    check: &mut Check<'_>,
) -> SessionBy {
    let Some(found) = found else { return SessionBy::None };
    let Some(by) = found.by else { return SessionBy::None };
    foreign(by.value, found, check);
    match by.value {
        SessionKind::None => SessionBy::None,
        SessionKind::ClientIp => SessionBy::ClientIp,
        SessionKind::Header => {
            let Some(name) = &found.name else {
                check
                    .error(by.at, "a session by header without its name")
                    .hint("add the header that tells users apart: `name: x-user-id`");
                return SessionBy::None;
            };
            SessionBy::Header { name: headers::name(name, check).unwrap_or_default() }
        }
        SessionKind::Cookie => SessionBy::Cookie {
            name: cookie_name(service, found.name.as_ref(), check),
            ttl: found.ttl(),
            keys: keys(found, check),
        },
    }
}

/// Parts that mean nothing for this kind of session: whoever switches it keeps them for later.
fn foreign(by: SessionKind, found: &file::Session, check: &mut Check<'_>) {
    let cookie_only = [
        ("ttl", found.ttl.as_ref().map(|at| at.at)),
        ("keyFile", found.key_file.as_ref().map(|at| at.at)),
        ("keyFiles", found.key_files.as_ref().map(|at| at.at)),
    ];
    if by != SessionKind::Cookie {
        for (key, at) in cookie_only {
            if let Some(at) = at {
                check
                    .warning(at, format!("`{key}` has no effect: it is a cookie's"))
                    .hint("write `by: cookie`, or remove it");
            }
        }
    }
    let named = matches!(by, SessionKind::Cookie | SessionKind::Header);
    if let Some(name) = found.name.as_ref().filter(|_| !named) {
        check
            .warning(name.at, "`name` has no effect: this kind of session has none")
            .hint("write `by: cookie` or `by: header`, or remove it");
    }
}

fn cookie_name(service: &str, found: Option<&At<String>>, check: &mut Check<'_>) -> String {
    match found {
        // A cookie's name follows the same grammar as a header's, and keeps its case.
        Some(found) => {
            headers::name(found, check);
            found.value.clone()
        }
        None => format!("serin_{service}"),
    }
}

fn keys(found: &file::Session, check: &mut Check<'_>) -> Vec<crate::model::Secret> {
    if let (Some(one), Some(several)) = (&found.key_file, &found.key_files) {
        check
            .error(several.at, "`keyFiles` beside `keyFile`")
            .also(one.at, "the one key")
            .hint("list every key in `keyFiles`, the one that signs first");
    }
    let several = found.key_files.as_ref().map(|at| at.value.as_slice()).unwrap_or_default();
    let paths = found.key_file.iter().chain(several);
    paths.filter_map(|path| key(path, check)).collect()
}

fn key(path: &At<String>, check: &mut Check<'_>) -> Option<crate::model::Secret> {
    let secret = check.secret(path, "the cookie's key")?;
    if secret.expose().len() < SHORTEST_KEY {
        check
            .error(path.at, format!("the key has fewer than {SHORTEST_KEY} characters"))
            .hint("make one with `openssl rand -hex 32`");
    }
    Some(secret)
}
