//! A file that lists endpoints, as another program writes it: YAML or JSON.
//!
//! A list of addresses, `10.0.0.1:8080` or `https://10.0.0.1:8443`, or of mappings with `address`,
//! `weight` and `priority`. It is read whole or not at all, and a list of nobody is none: a file that is
//! being written looks like that.

use crate::budget::Budget;
use crate::check::{endpoint_address, plain};
use crate::fault::{Fault, Severity};
use crate::file::{Read, Reader, record};
use crate::load::Environment;
use crate::model::{Endpoint, EndpointHost};
use crate::report::{Report, shown};
use crate::schema::Defs;
use crate::source::{At, Place, Source};
use crate::yaml::{self, Node, Value};
use serde_json::{Value as Json, json};
use std::collections::HashSet;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// No list is longer, and none is larger than so many bytes.
pub const ENDPOINTS_MAX: usize = 1_024;
const LARGEST: u64 = 1 << 20;

/// One endpoint of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedEndpoint {
    pub endpoint: Endpoint,
    /// Whether it says `https://`, or `http://`, itself.
    pub says_scheme: bool,
    /// Its share beside the others'.
    pub weight: u32,
    /// Those of a higher number get requests while none of a lower one is ready.
    pub priority: u32,
}

/// Why a list cannot be used: the first fault in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListError(String);

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ListError {}

record! {
    /// One endpoint of a file that lists them.
    EndpointOfList, "an endpoint of a list" {
        /// `10.0.0.1:8080`, `http://10.0.0.1:8080` or `https://10.0.0.1:8443`.
        "address" required address: String,
        /// Its share of the requests beside the others' of its priority.
        "weight" optional weight: u64 = "1" where 1..=1_000,
        /// Those of a higher number get requests while none of a lower one is ready.
        "priority" optional priority: u64 = "0" where 0..=65_535,
    }
}

/// An address alone, or with more about it.
#[derive(Debug, Clone)]
struct Entry(EndpointOfList);

impl Read for Entry {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        if let Value::Map(_) = node.value {
            return EndpointOfList::read(node, reader).map(Self);
        }
        let value = reader.text(node, "`10.0.0.1:8080`")?.to_owned();
        let address = Some(At { value, at: node.at });
        Some(Self(EndpointOfList { address, ..EndpointOfList::default() }))
    }

    fn schema(defs: &mut Defs) -> Json {
        json!({ "anyOf": [String::schema(defs), EndpointOfList::schema(defs)] })
    }
}

/// Opens a file; it may block.
pub fn read(path: &Path) -> Result<Vec<ListedEndpoint>, ListError> {
    let name = path.display().to_string();
    let text = text(path).map_err(|why| ListError(format!("cannot read {name}: {why}")))?;
    parse(&name, &text)
}

fn text(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| plain(&error))?;
    if !metadata.is_file() {
        return Err(format!("it is {}", crate::check::kind(&metadata)));
    }
    let file = std::fs::File::open(path).map_err(|error| plain(&error))?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| plain(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// What a text lists; `name` is what messages call it.
pub fn parse(name: &str, text: &str) -> Result<Vec<ListedEndpoint>, ListError> {
    let mut report = Report::default();
    let sources = [Source::new(name.to_owned(), PathBuf::new(), text.to_owned())];
    // Another program's file: `${` in it is an address that is none, and no variable.
    let variables = Environment::Fixed(Default::default());
    let root = yaml::parse(0, &sources[0], &variables, &mut Budget::default(), &mut report);
    let owner = Place::default();
    let entries = root
        .as_ref()
        .and_then(|root| Vec::<At<Entry>>::read(root, &mut Reader { report: &mut report, owner }));
    let found = entries.map(|entries| listed(&entries, &mut report)).unwrap_or_default();
    if found.is_empty() && report.errors() == 0 {
        report.error(owner, "the list names no endpoint");
    }
    let (faults, _) = report.finish(&sources, &[root]);
    match faults.iter().find(|fault| fault.severity == Severity::Error) {
        Some(fault) => Err(ListError(said(fault))),
        None => Ok(found),
    }
}

fn said(fault: &Fault) -> String {
    let hint = fault.hint.as_ref().map(|hint| format!(" ({hint})"));
    format!("{}{}", fault.line(), hint.unwrap_or_default())
}

fn listed(entries: &[At<Entry>], report: &mut Report) -> Vec<ListedEndpoint> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for At { value: Entry(entry), .. } in entries {
        let Some(address) = &entry.address else { continue };
        let hint = match endpoint_address(&address.value) {
            Ok(Endpoint { host: EndpointHost::Name(name), .. }) => {
                format!("a file lists addresses; the name {name} stands in `endpoints` itself")
            }
            Ok(endpoint) if !seen.insert(endpoint.to_string()) => {
                report.error(address.at, format!("{endpoint} stands twice"));
                continue;
            }
            Ok(endpoint) => {
                if found.len() == ENDPOINTS_MAX {
                    report.error(address.at, format!("more than {ENDPOINTS_MAX} endpoints"));
                    break;
                }
                let whole = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
                found.push(ListedEndpoint {
                    endpoint,
                    says_scheme: address.value.contains("://"),
                    weight: whole(entry.weight()),
                    priority: whole(entry.priority()),
                });
                continue;
            }
            Err(hint) => hint,
        };
        let message = format!("{} is not an endpoint", shown(&address.value));
        report.error(address.at, message).hint(hint);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Result<Vec<String>, String> {
        let found = parse("v1.yaml", text).map_err(|fault| fault.to_string())?;
        let one = |e: &ListedEndpoint| {
            let scheme = if e.endpoint.tls { "https://" } else { "" };
            format!("{scheme}{} {} {}", e.endpoint, e.weight, e.priority)
        };
        Ok(found.iter().map(one).collect())
    }

    #[test]
    fn addresses_stand_alone_or_with_weight_and_priority() {
        let yaml = "# ours\n- 10.0.0.1:80\n- { address: \"https://[::1]:443\", weight: 3 }\n- { address: 10.0.0.2:80, priority: 1 }\n";
        let json = r#"["10.0.0.1:80",{"address":"https://[::1]:443","weight":3},{"address":"10.0.0.2:80","priority":1}]"#;
        let expected = ["10.0.0.1:80 1 0", "https://[::1]:443 3 0", "10.0.0.2:80 1 1"];
        assert_eq!(addresses(yaml).unwrap(), expected);
        assert_eq!(addresses(json).unwrap(), expected);
    }

    #[test]
    fn a_list_is_read_whole_or_not_at_all_and_its_first_fault_is_said() {
        for (text, said) in [
            ("", "the list names no endpoint"),
            ("[]", "the list names no endpoint"),
            ("- 10.0.0.1:80\n- 10.0.0.256:80\n", "v1.yaml:2:3: [1]: `10.0.0.256:80` is not"),
            ("- app.internal:80\n", "a file lists addresses"),
            ("- 10.0.0.1:80\n- 10.0.0.1:80\n", "10.0.0.1:80 stands twice"),
            ("- { address: 10.0.0.1:80, wieght: 2 }\n", "did you mean `weight`?"),
            ("- { weight: 2 }\n", "`address` is missing"),
            ("- { address: 10.0.0.1:80, weight: 0 }\n", "0 is below 1"),
            ("endpoints: [10.0.0.1:80]\n", "a mapping where a list is expected"),
            ("- [10.0.0.1:80\n", "v1.yaml:"),
        ] {
            let fault = addresses(text).unwrap_err();
            assert!(fault.contains(said), "{text}: {fault}");
        }
    }

    #[test]
    fn a_list_has_an_end() {
        let address = |n: usize| format!("- 10.{}.{}.1:80\n", n / 256, n % 256);
        let text = |count| (0..count).map(address).collect::<String>();
        assert_eq!(addresses(&text(ENDPOINTS_MAX)).unwrap().len(), ENDPOINTS_MAX);
        assert!(addresses(&text(ENDPOINTS_MAX + 1)).unwrap_err().contains("more than 1024"));
    }
}
