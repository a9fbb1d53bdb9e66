//! Errors as RFC 9457 problem documents.
//!
//! `detail` is written for the operator who reads it in a terminal: it names the thing, what
//! was found and what would be right. It never contains a token, a secret or a stack of
//! internal errors. HTTP status codes are chosen here and in the resources, nowhere deeper.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong: the error of everything here. Boxed, because it travels in results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    document: Box<Document>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// A problem as the client gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document {
    /// Names the kind of problem; stable over releases, so that scripts can branch on it.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: String,
    status: u16,
    /// What an operator can act on.
    detail: String,
    /// Faults of a configuration, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<super::config::Fault>,
}

pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

impl Problem {
    pub(crate) fn new(status: StatusCode, kind: Kind, detail: impl Into<String>) -> Self {
        let document = Document {
            kind: format!("urn:serin:problem:{}", kind.slug()),
            title: kind.title().to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            faults: Vec::new(),
        };
        Self { document: Box::new(document), headers: Vec::new() }
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> u16 {
        self.document.status
    }

    #[cfg(test)]
    pub(crate) fn detail(&self) -> &str {
        &self.document.detail
    }

    #[must_use]
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    #[must_use]
    pub(crate) fn with_faults(mut self, faults: Vec<super::config::Fault>) -> Self {
        self.document.faults = faults;
        self
    }

    /// Something by this name does not exist; `known` are the names that do.
    pub(crate) fn unknown<'a>(
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::new(StatusCode::NOT_FOUND, Kind::NotFound, unknown_detail(what, name, known))
    }

    /// The request is well formed and cannot be right.
    pub(crate) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, Kind::Unprocessable, detail)
    }

    /// The request would be right at another time.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, Kind::Conflict, detail)
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Kind::Malformed, detail)
    }
}

/// `there is no service "chekout"; did you mean "checkout"? known: checkout, cart`
pub(crate) fn unknown_detail<'a>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    /// More names than this make a message that nobody reads.
    const LISTED: usize = 20;
    let known: Vec<&str> = known.into_iter().collect();
    let shown: String = name.chars().take(80).collect();
    let mut detail = format!("there is no {what} {shown:?}");
    let nearest = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(candidate, name), *candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((_, nearest)) = nearest {
        detail.push_str(&format!("; did you mean {nearest:?}?"));
    }
    if known.is_empty() {
        detail.push_str("; there is none at all");
    } else if known.len() <= LISTED {
        detail.push_str(&format!("; known: {}", known.join(", ")));
    } else {
        let rest = known.len() - LISTED;
        detail.push_str(&format!("; known: {} and {rest} more", known[..LISTED].join(", ")));
    }
    detail
}

/// The kinds of problem that a script may want to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Malformed,
    Unauthorized,
    Forbidden,
    ForeignHost,
    ForeignOrigin,
    NotFound,
    MethodNotAllowed,
    TooSlow,
    Conflict,
    Changed,
    TooLarge,
    NotJson,
    Unprocessable,
    InvalidConfig,
    TooMany,
    Internal,
    Unavailable,
}

impl Kind {
    fn slug(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::ForeignHost => "foreign-host",
            Self::ForeignOrigin => "foreign-origin",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::TooSlow => "too-slow",
            Self::Conflict => "conflict",
            Self::Changed => "changed",
            Self::TooLarge => "too-large",
            Self::NotJson => "not-json",
            Self::Unprocessable => "unprocessable",
            Self::InvalidConfig => "invalid-config",
            Self::TooMany => "too-many-requests",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Malformed => "The request cannot be read",
            Self::Unauthorized => "A valid token is needed",
            Self::Forbidden => "The token's role does not allow this",
            Self::ForeignHost => "This Host is not answered",
            Self::ForeignOrigin => "Changes from another origin are refused",
            Self::NotFound => "There is no such thing",
            Self::MethodNotAllowed => "The method does not apply here",
            Self::TooSlow => "The request took too long",
            Self::Conflict => "Not in this state",
            Self::Changed => "It has changed in the meantime",
            Self::TooLarge => "The body is too large",
            Self::NotJson => "Only JSON is accepted",
            Self::Unprocessable => "The request cannot be carried out",
            Self::InvalidConfig => "The configuration is invalid",
            Self::TooMany => "Too many requests",
            Self::Internal => "An error inside Serin",
            Self::Unavailable => "Not available now",
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.document).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_one_and_the_known_ones() {
        let problem = Problem::unknown("service", "chekout", ["cart", "checkout"]);
        assert_eq!(
            problem.detail(),
            "there is no service \"chekout\"; did you mean \"checkout\"?; known: cart, checkout"
        );
        assert_eq!(problem.status(), 404);
    }

    #[test]
    fn a_long_list_of_names_is_cut() {
        let names: Vec<String> = (0..30).map(|i| format!("svc{i}")).collect();
        let problem = Problem::unknown("service", "x", names.iter().map(String::as_str));
        assert!(problem.detail().ends_with("svc19 and 10 more"), "{}", problem.detail());
    }
}
