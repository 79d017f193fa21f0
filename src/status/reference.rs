//! The page of the documentation that is made of what Prometheus is told.
#![forbid(unsafe_code)]

use wsgi_wire::table::{Ending, Refusal};

use super::{prometheus, report};

const HEAD: &str = "# Metrics for Prometheus

What `/wsgi-status` tells Prometheus: [how it is set up, and ideas for alerts](monitoring.md#prometheus). Groups keep their counters over graceful restarts; everything
begins anew when Apache itself is restarted. New metrics may be added; none changes its name or meaning. This page is made of an answer of the server:
`UPDATE_METRICS=1 cargo test -p mod_wsgi --lib status::reference`.

| metric | type | labels | |
|---|---|---|---|
";

/// The labels whose values are those of this server, and not words of the interface.
const OPEN: [&str; 4] = ["group", "pid", "version", "le"];

/// An answer of the status page that has every metric with every label.
fn answer() -> String {
    let mut report = report::example::asgi_report("app");
    // One for each interface.
    report.groups.extend(report::example::report("other").groups);
    for group in &mut report.groups {
        group.refused = Refusal::all().map(|why| (why.name(), 0)).collect();
        group.ended = Ending::all().map(|ending| (ending.name(), 0)).collect();
    }
    prometheus::render(&report)
}

/// The labels of a metric, each with its values, in the order of the samples.
fn labels(answer: &str, name: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for line in answer.lines().filter(|line| !line.starts_with('#')) {
        let Some((metric, rest)) = line.split_once('{') else { continue };
        let is_of = metric == name || metric.strip_suffix("_bucket") == Some(name);
        let pairs = rest.split_once('}').filter(|_| is_of).map_or("", |(pairs, _)| pairs);
        for (label, value) in pairs.split(',').filter_map(|pair| pair.split_once('=')) {
            let value = value.trim_matches('"').to_owned();
            match found.iter_mut().find(|(known, _)| known == label) {
                Some((_, values)) if values.contains(&value) => {}
                Some((_, values)) => values.push(value),
                None => found.push((label.to_owned(), vec![value])),
            }
        }
    }
    found
}

fn page() -> String {
    let answer = answer();
    let families = answer.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let rows = families.map(|(name, help)| {
        let kind = answer.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {name} "))).unwrap_or_default();
        let label = |(label, values): (String, Vec<String>)| {
            let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
            let is_open = OPEN.contains(&label.as_str());
            if is_open { format!("`{label}`") } else { format!("`{label}`: {}", values.join(", ")) }
        };
        let labels: Vec<String> = labels(&answer, name).into_iter().map(label).collect();
        format!("| `{name}` | {kind} | {} | {help} |\n", labels.join("; "))
    });
    HEAD.to_owned() + &rows.collect::<String>()
}

#[test]
fn the_page_of_the_documentation_is_that_of_the_answer() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    if std::env::var_os("UPDATE_METRICS").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let update = "UPDATE_METRICS=1 cargo test -p mod_wsgi --lib status::reference";
    assert!(written == page(), "docs/metrics.md is stale: {update}");
}
