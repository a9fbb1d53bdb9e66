//! A path into JSON: `$.name`, `$.list[0].name`, `$.list[*].name`. What can be followed without a
//! query engine.

use std::fmt;

/// It means what stands there, and everything below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    steps: Vec<JsonStep>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonStep {
    Key(String),
    Index(usize),
    /// Every element.
    Any,
}

impl JsonPath {
    /// `None` when it is none, and for `$` alone, which would mean everything.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('$').filter(|rest| !rest.is_empty())?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let step;
            (step, rest) = match rest.strip_prefix('.') {
                Some(rest) => key(rest)?,
                None => index(rest)?,
            };
            steps.push(step);
        }
        Some(Self { steps })
    }

    pub fn steps(&self) -> &[JsonStep] {
        &self.steps
    }
}

fn key(rest: &str) -> Option<(JsonStep, &str)> {
    let (name, rest) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
    let sound = !name.is_empty() && !name.contains([']', '*', ' ']);
    sound.then(|| (JsonStep::Key(name.to_owned()), rest))
}

fn index(rest: &str) -> Option<(JsonStep, &str)> {
    let (index, rest) = rest.strip_prefix('[')?.split_once(']')?;
    if index == "*" {
        return Some((JsonStep::Any, rest));
    }
    let digits = index.bytes().all(|b| b.is_ascii_digit());
    let index = index.parse::<u32>().ok().filter(|_| digits)?;
    Some((JsonStep::Index(index as usize), rest))
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in &self.steps {
            match step {
                JsonStep::Key(name) => write!(f, ".{name}")?,
                JsonStep::Index(index) => write!(f, "[{index}]")?,
                JsonStep::Any => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::JsonPath;

    #[test]
    fn a_path_is_shown_as_it_was_written() {
        for text in ["$.a", "$.a.b[0].c", "$.a[*].b", "$[*]", "$[3][*].x-y"] {
            let path = JsonPath::parse(text).map(|path| path.to_string());
            assert_eq!(path.as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", "$", "a", "$.", "$a", "$.a.", "$.a[", "$.a[x]", "$.a[+1]", "$.*", "$. "] {
            assert_eq!(JsonPath::parse(text), None, "{text}");
        }
    }
}
