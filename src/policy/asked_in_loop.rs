//! Scripts that are asked about requests, in process groups that have an event loop in place of the threads which such
//! scripts run in.
#![forbid(unsafe_code)]

use super::tree::Node;
use super::undefined::named;
use super::words::show;

/// The directives of scripts that are asked about requests.
const ASKED: [&[u8]; 4] = [b"wsgiaccessscript", b"wsgiauthuserscript", b"wsgiauthgroupscript", b"wsgidispatchscript"];

/// Returns one sentence, with the cure, for the first such directive that names one of these groups.
pub fn mistake(tree: &[Node], groups: &[&[u8]]) -> Option<String> {
    tree.iter().find_map(|node| {
        let is_asked = ASKED.contains(&node.name.to_ascii_lowercase().as_slice());
        let group = named(node).into_iter().find(|name| is_asked && groups.contains(&name.as_slice()));
        group.map(|group| sentence(&node.name, &group)).or_else(|| mistake(&node.inside, groups))
    })
}

fn sentence(directive: &[u8], group: &[u8]) -> String {
    format!(
        "{} names the process group `{}`, which has interface=asgi, and a script that is asked about requests needs interface=wsgi: name such a group, or leave process-group out",
        show(directive),
        show(group)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scripts_that_are_asked_are_kept_from_event_loops() {
        let told = |line: &str| {
            let section =
                Node { name: b"<Location".to_vec(), arguments: b"/>".to_vec(), inside: vec![Node::of_line(line)] };
            mistake(&[section], &[b"loop"])
        };
        for directive in ["WSGIAccessScript", "WSGIAuthUserScript", "wsgiauthgroupscript", "WSGIDispatchScript"] {
            let sentence = told(&format!("{directive} /a.wsgi process-group=loop")).unwrap();
            assert!(sentence.starts_with(&format!("{directive} names the process group `loop`")), "{sentence}");
        }
        for line in [
            "WSGIAccessScript /a.wsgi",
            "WSGIAccessScript /a.wsgi process-group=x",
            "WSGIScriptAlias / /a process-group=loop",
        ] {
            assert_eq!(told(line), None, "{line}");
        }
    }
}
