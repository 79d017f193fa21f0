//! Process groups that the configuration names and does not define: requests for them are answered 500.
#![forbid(unsafe_code)]

use super::tree::Node;
use super::words::{all, show, word};

/// How alike, from 0 to 1, two names are at least if one is taken for a misspelling of the other.
const ALIKE: f64 = 0.8;

/// Returns one sentence for each directive that names a group which is not among those that are defined.
pub fn groups(tree: &[Node], defined: &[&[u8]]) -> Vec<String> {
    let mut found = Vec::new();
    look(tree, defined, &mut found);
    found.dedup();
    found
}

fn look(nodes: &[Node], defined: &[&[u8]], found: &mut Vec<String>) {
    for node in nodes {
        let unknown = named(node).into_iter().filter(|name| is_literal(name) && !defined.contains(&name.as_slice()));
        found.extend(unknown.map(|name| sentence(&node.name, &name, defined)));
        look(&node.inside, defined, found);
    }
}

/// The groups that a directive names.
pub(super) fn named(node: &Node) -> Vec<Vec<u8>> {
    let name = node.name.to_ascii_lowercase();
    match name.as_slice() {
        b"wsgiprocessgroup" | b"wsgirestrictprocess" => all(&node.arguments),
        // In any case what it defines.
        b"wsgidaemonprocess" => Vec::new(),
        _ if name.starts_with(b"wsgi") => {
            let starts =
                (0..node.arguments.len()).filter(|at| *at == 0 || node.arguments[at - 1].is_ascii_whitespace());
            let value = |at: usize| word(&mut node.arguments[at..].strip_prefix(b"process-group=")?);
            starts.filter_map(value).collect()
        }
        _ => Vec::new(),
    }
}

fn is_literal(name: &[u8]) -> bool {
    !name.is_empty() && !name.starts_with(b"%")
}

fn sentence(directive: &[u8], name: &[u8], defined: &[&[u8]]) -> String {
    let name = show(name);
    let likeness = |other: &[u8]| strsim::jaro_winkler(&name.to_lowercase(), &show(other).to_lowercase());
    let nearest = defined.iter().copied().map(|other| (likeness(other), other)).filter(|(alike, _)| *alike >= ALIKE);
    let nearest = nearest.max_by(|one, other| one.0.total_cmp(&other.0));
    let cure = match nearest {
        Some((_, nearest)) => format!("did you mean `{}`?", show(nearest)),
        None => "add that, or correct the name".to_owned(),
    };
    format!("{} names the process group `{name}`, which no WSGIDaemonProcess defines; {cure}", show(directive))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nothing_defines_are_told_with_the_nearest() {
        let inside =
            ["WSGIProcessGroup shop", "WSGIProcessGroup Shpo", "WSGIProcessGroup Shpo"].map(Node::of_line).to_vec();
        let section = Node { name: b"<VirtualHost".to_vec(), arguments: b"*:80>".to_vec(), inside };
        let lines = [
            "WSGIDaemonProcess shop user=shop",
            "WSGIScriptAlias / /a.wsgi process-group=%{GLOBAL}",
            "WSGIScriptAlias /b '/b c.wsgi' process-group='e l'",
            "WSGIRestrictProcess shop %{GLOBAL} blog",
            "WSGIProcessGroup %{ENV:GROUP}",
            "SetEnv process-group=x",
        ];
        let tree: Vec<Node> = [section].into_iter().chain(lines.map(Node::of_line)).collect();
        let told = groups(&tree, &[b"shop", b"wiki"]);
        let start = "names the process group";
        assert_eq!(
            told,
            [
                format!("WSGIProcessGroup {start} `Shpo`, which no WSGIDaemonProcess defines; did you mean `shop`?"),
                format!(
                    "WSGIScriptAlias {start} `e l`, which no WSGIDaemonProcess defines; add that, or correct the name"
                ),
                format!(
                    "WSGIRestrictProcess {start} `blog`, which no WSGIDaemonProcess defines; add that, or correct the name"
                ),
            ]
        );
    }
}
