//! Many users with cookies: each keeps what it was given, as a browser would.

use std::collections::BTreeMap;

#[derive(Debug, Default, Clone)]
pub struct Jar(BTreeMap<String, String>);

impl Jar {
    /// The `Cookie` header, if there is anything to send.
    pub fn header(&self) -> Option<String> {
        let pairs: Vec<String> = self.0.iter().map(|(n, v)| format!("{n}={v}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Takes in one `Set-Cookie`. Attributes other than expiry do not matter to a load test.
    pub fn keep(&mut self, set_cookie: &str) {
        let mut parts = set_cookie.split(';');
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let deleted = parts.any(|attribute| {
            let attribute = attribute.trim();
            attribute.eq_ignore_ascii_case("max-age=0")
        });
        if deleted {
            self.0.remove(name.trim());
        } else {
            self.0.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jar_keeps_replaces_and_forgets() {
        let mut jar = Jar::default();
        assert_eq!(jar.header(), None);
        jar.keep("a=1; Path=/; HttpOnly");
        jar.keep("b=2=3; Max-Age=60");
        jar.keep("a=9");
        assert_eq!(jar.header().as_deref(), Some("a=9; b=2=3"));
        jar.keep("a=; Max-Age=0");
        assert_eq!(jar.header().as_deref(), Some("b=2=3"));
    }
}
