//! How many WebSockets Apache can have that hold no thread of it.
#![forbid(unsafe_code)]

use super::tree::Node;

/// The value of `AsyncRequestWorkerFactor` where it is not set.
const USUAL: f64 = 2.0;

/// The value of `AsyncRequestWorkerFactor` in a configuration.
pub fn factor(tree: &[Node]) -> f64 {
    last(tree).unwrap_or(USUAL)
}

/// The last one counts, wherever it stands.
fn last(tree: &[Node]) -> Option<f64> {
    tree.iter().rev().find_map(|node| {
        if !node.name.eq_ignore_ascii_case(b"AsyncRequestWorkerFactor") {
            return last(&node.inside);
        }
        let text = std::str::from_utf8(&node.arguments).ok()?;
        text.trim().trim_matches('"').parse().ok().filter(|factor: &f64| *factor > 0.0 && factor.is_finite())
    })
}

/// How many WebSockets there may be for each child with so many threads. A child accepts connections as long as it has
/// fewer of them than `threads + idle threads × factor`, WebSockets included. They may be distributed in any way: a
/// child that is full leaves the others to accept, and Apache starts another one if it may. With this many for each
/// there are always some that accept, and where all have as many, each does so with half of its threads busy.
pub fn room(threads: u32, factor: f64) -> u32 {
    // A conversion stays within the numbers that there are.
    (f64::from(threads) * (factor - 1.0).min(factor / 2.0)).max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_factor_of_the_configuration_counts() {
        let line = Node::of_line;
        assert!((factor(&[line("Listen 80")]) - 2.0).abs() < 1e-9);
        let section =
            Node { inside: vec![line("asyncrequestworkerfactor \"8.5\"")], ..line("<IfModule mpm_event_module>") };
        assert!((factor(&[line("AsyncRequestWorkerFactor 4"), section]) - 8.5).abs() < 1e-9);
        assert!((factor(&[line("AsyncRequestWorkerFactor x")]) - 2.0).abs() < 1e-9);
    }

    /// Whether Apache accepts another connection in such a child (`connections_above_limit` of the MPM event).
    fn accepts(threads: u32, factor: f64, busy: u32, websockets: u32) -> bool {
        let idle = threads - busy;
        f64::from(websockets + busy) < f64::from(threads) + f64::from(idle) * factor
    }

    #[test]
    fn others_are_accepted_beside_websockets() {
        for threads in [4, 8, 25, 64] {
            for factor in [1.0, 1.5, 2.0, 3.0, 10.0, 400.0] {
                let room = room(threads, factor);
                assert!(accepts(threads, factor, threads / 2 - 1, room), "{threads} {factor} {room}");
            }
        }
        assert_eq!([room(25, 2.0), room(25, 10.0), room(25, 1.0), room(25, 0.5)], [25, 125, 0, 0]);
    }
}
