//! Which version answered, read from wherever the proxy or the app says it.

use hyper::HeaderMap;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionBy {
    Header(String),
    /// A field of a JSON object.
    BodyField(String),
    /// A cookie that the answer sets.
    Cookie(String),
    Nothing,
}

impl VersionBy {
    /// `header:x-version`, `body:version`, `cookie:track`, `none`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is none of header:NAME, body:FIELD, cookie:NAME and none");
        if text == "none" {
            return Ok(Self::Nothing);
        }
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        match kind {
            _ if name.is_empty() => Err(wrong()),
            "header" => Ok(Self::Header(name.to_ascii_lowercase())),
            "body" => Ok(Self::BodyField(name.to_owned())),
            "cookie" => Ok(Self::Cookie(name.to_owned())),
            _ => Err(wrong()),
        }
    }

    pub(super) fn wants_body(&self) -> bool {
        matches!(self, Self::BodyField(_))
    }

    pub(super) fn of(
        &self,
        headers: &HeaderMap,
        set_cookies: &[String],
        body: Option<&[u8]>,
    ) -> Option<Arc<str>> {
        match self {
            Self::Header(name) => headers.get(name)?.to_str().ok().map(Arc::from),
            Self::BodyField(_) => self.of_body(body?),
            Self::Cookie(name) => set_cookies.iter().find_map(|cookie| {
                let (found, rest) = cookie.split_once('=')?;
                (found == name).then(|| Arc::from(rest.split(';').next().unwrap_or(rest)))
            }),
            Self::Nothing => None,
        }
    }

    /// From a body alone, for messages that have no head.
    pub(super) fn of_body(&self, body: &[u8]) -> Option<Arc<str>> {
        let Self::BodyField(field) = self else { return None };
        let json: serde_json::Value = serde_json::from_slice(body).ok()?;
        json.get(field)?.as_str().map(Arc::from)
    }
}
