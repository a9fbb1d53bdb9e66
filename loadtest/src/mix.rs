//! Which requests are sent: one, a weighted mix from a file, or an access log played again.
//!
//! The lines of a mix are `[weight] METHOD path-or-url [body-bytes]`; an access log is
//! recognised by its combined or JSON format and gives each of its lines once, in order.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn get(path: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Mix {
    Weighted {
        requests: Vec<(f64, Request)>,
        total: f64,
    },
    /// In order, from the beginning again after the last.
    Sequence(Vec<Request>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MixError {
    pub line: usize,
    pub what: String,
}

impl fmt::Display for MixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.what),
            line => write!(f, "line {line}: {}", self.what),
        }
    }
}

impl std::error::Error for MixError {}

impl Mix {
    pub fn one(request: Request) -> Self {
        Self::Weighted { requests: vec![(1.0, request)], total: 1.0 }
    }

    pub fn parse(text: &str) -> Result<Self, MixError> {
        let lines = text.lines().map(str::trim).enumerate();
        let lines: Vec<(usize, &str)> =
            lines.filter(|(_, l)| !l.is_empty() && !l.starts_with('#')).collect();
        let Some((_, first)) = lines.first() else {
            return Err(MixError { line: 0, what: "holds no request".to_owned() });
        };
        if first.starts_with('{') {
            return sequence(&lines, from_json);
        }
        if first.contains("] \"") {
            return sequence(&lines, from_combined);
        }
        let mut requests = Vec::with_capacity(lines.len());
        for (number, line) in lines {
            requests.push(from_mix(line).map_err(|what| MixError { line: number + 1, what })?);
        }
        let total = requests.iter().map(|(weight, _)| weight).sum();
        Ok(Self::Weighted { requests, total })
    }

    /// `dice` is in [0, 1).
    pub fn pick(&self, number: u64, dice: f64) -> &Request {
        match self {
            Self::Sequence(requests) => &requests[(number % requests.len() as u64) as usize],
            Self::Weighted { requests, total } => {
                let mut left = dice * total;
                for (weight, request) in requests {
                    if left < *weight {
                        return request;
                    }
                    left -= weight;
                }
                &requests[requests.len() - 1].1
            }
        }
    }
}

fn sequence(
    lines: &[(usize, &str)],
    parse: impl Fn(&str) -> Result<Request, String>,
) -> Result<Mix, MixError> {
    let parsed = lines
        .iter()
        .map(|(number, line)| parse(line).map_err(|what| MixError { line: number + 1, what }));
    parsed.collect::<Result<Vec<_>, _>>().map(Mix::Sequence)
}

fn from_mix(line: &str) -> Result<(f64, Request), String> {
    let mut words = line.split_whitespace().peekable();
    let weight = match words.peek().and_then(|word| word.parse::<f64>().ok()) {
        Some(weight) if weight > 0.0 => {
            words.next();
            weight
        }
        Some(_) => return Err("a weight is above 0".to_owned()),
        None => 1.0,
    };
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err("a request is `[weight] METHOD /path [body-bytes]`".to_owned());
    };
    let bytes = match words.next() {
        None => 0,
        Some(word) => word.parse().map_err(|_| format!("{word:?} is no number of body bytes"))?,
    };
    Ok((weight, request(method, path, bytes)?))
}

fn request(method: &str, path: &str, body_bytes: usize) -> Result<Request, String> {
    if !method.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(format!("{method:?} is no method; they are upper case"));
    }
    if !path.starts_with('/') {
        return Err(format!("{path:?} does not begin with '/'"));
    }
    Ok(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: vec![b'x'; body_bytes],
    })
}

/// `… [time] "GET /path HTTP/1.1" 200 …`
fn from_combined(line: &str) -> Result<Request, String> {
    let quoted = line.split('"').nth(1).ok_or("no quoted request")?;
    let mut words = quoted.split(' ');
    match (words.next(), words.next()) {
        (Some(method), Some(path)) => request(method, path, 0),
        _ => Err(format!("{quoted:?} is no request line")),
    }
}

/// Serin's JSON, or any other whose names are common.
fn from_json(line: &str) -> Result<Request, String> {
    let entry: serde_json::Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let text =
        |names: &[&str]| names.iter().find_map(|name| entry.get(name)?.as_str().map(str::to_owned));
    let method = text(&["http.request.method", "method", "request_method"]);
    let path = text(&["url.path", "path", "uri", "request_uri"]);
    let query = text(&["url.query", "query"]).filter(|q| !q.is_empty());
    match (method, path) {
        (Some(method), Some(path)) => {
            request(&method, &query.map_or(path.clone(), |q| format!("{path}?{q}")), 0)
        }
        _ => Err("no method and path".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_divides_by_its_weights() {
        let mix = Mix::parse("# shop\n9 GET /\n1 POST /cart 16\n").expect("parses");
        assert_eq!(mix.pick(0, 0.89).path, "/");
        let post = mix.pick(0, 0.91);
        assert_eq!((post.method.as_str(), post.body.len()), ("POST", 16));
    }

    #[test]
    fn access_logs_are_played_in_order() {
        let combined =
            "1.2.3.4 - - [20/Nov/2026:10:00:00 +0000] \"GET /a?b=1 HTTP/1.1\" 200 5 \"-\" \"-\"\n";
        let mix = Mix::parse(combined).expect("parses");
        assert_eq!(mix.pick(0, 0.0).path, "/a?b=1");
        let json = "{\"http.request.method\":\"GET\",\"url.path\":\"/a\"}\n{\"method\":\"HEAD\",\"path\":\"/b\"}";
        let mix = Mix::parse(json).expect("parses");
        assert_eq!(mix.pick(1, 0.0).method, "HEAD");
        assert_eq!(mix.pick(2, 0.0).path, "/a");
    }

    #[test]
    fn a_fault_names_its_line_and_the_way_out() {
        let fault = |text: &str| Mix::parse(text).expect_err("is refused").to_string();
        assert_eq!(fault(""), "holds no request");
        assert_eq!(fault("GET /\nget /x"), "line 2: \"get\" is no method; they are upper case");
        assert_eq!(fault("GET"), "line 1: a request is `[weight] METHOD /path [body-bytes]`");
        assert_eq!(fault("0 GET /"), "line 1: a weight is above 0");
    }
}
