//! The findings of scenarios as JUnit XML, which every pipeline can show.

use crate::scenario::Outcome;
use std::fmt::Write;

pub fn to_junit(outcomes: &[Outcome]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for outcome in outcomes {
        let failures = outcome.findings.iter().filter(|f| !f.met).count();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"{}\" time=\"{:.3}\">",
            escaped(&outcome.name),
            outcome.findings.len() + outcome.troubles.len(),
            outcome.troubles.len(),
            outcome.lasted.as_secs_f64()
        );
        for finding in &outcome.findings {
            let _ = write!(out, "    <testcase name=\"{}\"", escaped(&finding.expected));
            let _ = match finding.met {
                true => writeln!(out, "/>"),
                false => {
                    writeln!(out, "><failure message=\"{}\"/></testcase>", escaped(&finding.found))
                }
            };
        }
        for trouble in &outcome.troubles {
            let _ = writeln!(
                out,
                "    <testcase name=\"the scenario runs\"><error message=\"{}\"/></testcase>",
                escaped(trouble)
            );
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// For text and attributes of XML and HTML. Characters that XML cannot hold are left out.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(character),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}
