//! Faults one after the other, as a terminal shows them. What a thousand services are warned of in
//! the same words is shown a few times and then counted: a list that nobody reads hides the one line
//! that matters. Errors are never grouped, because each is to be repaired; nor is what programs read.

use crate::fault::{Fault, Severity, Style};
use std::collections::HashMap;

/// So many services are shown with their line.
const SHOWN: usize = 3;
/// So many more are named.
const NAMED: usize = 8;

/// What a warning says of any service: the key below the service, and the words.
type Words<'a> = (&'a str, &'a str, Option<&'a str>);

#[derive(Default)]
struct Group<'a> {
    shown: usize,
    services: Vec<&'a str>,
}

/// With an empty line between them.
pub fn render_all(faults: &[Fault], style: Style) -> String {
    let mut groups: HashMap<Words<'_>, Group<'_>> = HashMap::new();
    for (service, words) in faults.iter().filter_map(of_service) {
        groups.entry(words).or_default().services.push(service);
    }
    let each = faults.iter().filter_map(|fault| {
        let Some((_, words)) = of_service(fault) else { return Some(fault.render(style) + "\n") };
        let group = groups.get_mut(&words)?;
        group.shown += 1;
        // One more is as short as the line that says so.
        let cut = group.services.len() > SHOWN + 1;
        match group.shown {
            shown if !cut || shown < SHOWN => Some(fault.render(style) + "\n"),
            SHOWN => Some(format!("{}\n{}\n", fault.render(style), more(&group.services[SHOWN..]))),
            _ => None,
        }
    });
    each.collect::<Vec<_>>().join("\n")
}

fn of_service(fault: &Fault) -> Option<(&str, Words<'_>)> {
    let path = fault.path.strip_prefix("services.")?;
    let (service, key) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
    let words = (key, fault.message.as_str(), fault.hint.as_deref());
    (fault.severity == Severity::Warning).then_some((service, words))
}

fn more(services: &[&str]) -> String {
    let named = services.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let rest = if services.len() > NAMED { ", …" } else { "" };
    format!("  … and {} more services: {named}{rest}", services.len())
}
