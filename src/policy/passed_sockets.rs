//! Which of the sockets that systemd has opened is for which `Listen`.

use std::net::SocketAddr;

/// What a `Listen` asks for. `Listen 80` asks for two: all addresses of IPv4, and of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The address and port; `None` for what is neither IPv4 nor IPv6.
    pub place: Option<SocketAddr>,
    /// Whether its socket listens already: it was there before a restart.
    pub is_open: bool,
}

/// What is to be done about a `Listen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: httpd opens a socket, or has one.
    Leave,
    /// It gets the passed socket of this index.
    Take(usize),
    /// It gets none: what is passed is for all addresses of the other family, and httpd would try to listen at both.
    Drop,
}

/// Decides about each `Listen`, and finds the passed sockets, by their index, that no `Listen` is for.
pub fn matched(wanted: &[Wanted], passed: &[SocketAddr]) -> (Vec<Step>, Vec<usize>) {
    let is_same = |one: &SocketAddr, other: &SocketAddr| (one.ip(), one.port()) == (other.ip(), other.port());
    let mut steps = vec![Step::Leave; wanted.len()];
    let mut rest = Vec::new();
    let mut met = vec![false; wanted.len()];
    for (index, socket) in passed.iter().enumerate() {
        let is_for = |at: &usize| !met[*at] && wanted[*at].place.is_some_and(|place| is_same(&place, socket));
        let Some(at) = (0..wanted.len()).find(is_for) else {
            rest.push(index);
            continue;
        };
        met[at] = true;
        if !wanted[at].is_open {
            steps[at] = Step::Take(index);
        }
    }
    let everywhere = |place: &SocketAddr| place.ip().is_unspecified();
    for at in 0..wanted.len() {
        let Some(place) = wanted[at].place.filter(everywhere).filter(|_| !met[at] && !wanted[at].is_open) else {
            continue;
        };
        let is_other = |other: &SocketAddr| everywhere(other) && other.port() == place.port();
        if passed.iter().any(is_other) {
            steps[at] = Step::Drop;
        }
    }
    (steps, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<SocketAddr> {
        text.split_whitespace().map(|place| place.parse().unwrap()).collect()
    }

    /// What becomes of each `Listen`; those that end in `!` are open.
    fn steps(wanted: &str, passed: &str) -> (Vec<Step>, Vec<usize>) {
        let wanted: Vec<Wanted> = wanted
            .split_whitespace()
            .map(|word| Wanted {
                place: Some(word.trim_end_matches('!').parse().unwrap()),
                is_open: word.ends_with('!'),
            })
            .collect();
        matched(&wanted, &places(passed))
    }

    #[test]
    fn each_listen_gets_the_socket_of_its_address_and_port() {
        use Step::{Drop, Leave, Take};
        for (wanted, passed, expected, rest) in [
            ("127.0.0.1:80 [::1]:80 127.0.0.1:81", "[::1]:80 127.0.0.1:80", &[Take(1), Take(0), Leave][..], &[][..]),
            ("127.0.0.1:80", "127.0.0.2:80 127.0.0.1:81", &[Leave], &[0, 1]),
            ("127.0.0.1:80", "127.0.0.1:80 127.0.0.1:80", &[Take(0)], &[1]),
            // After a restart.
            ("127.0.0.1:80! 127.0.0.1:81", "127.0.0.1:80 127.0.0.1:81", &[Leave, Take(1)], &[]),
            // Listen 80
            ("0.0.0.0:80 [::]:80", "[::]:80", &[Drop, Take(0)], &[]),
            ("0.0.0.0:80 [::]:80", "0.0.0.0:80", &[Take(0), Drop], &[]),
            ("0.0.0.0:80 [::]:80", "[::]:80 0.0.0.0:80", &[Take(1), Take(0)], &[]),
            ("0.0.0.0:80 [::]:80! 0.0.0.0:81", "[::]:80", &[Drop, Leave, Leave], &[]),
            ("0.0.0.0:80 [::]:80", "127.0.0.1:80", &[Leave, Leave], &[0]),
            ("", "0.0.0.0:80", &[], &[0]),
        ] {
            assert_eq!(steps(wanted, passed), (expected.to_vec(), rest.to_vec()), "{wanted} | {passed}");
        }
    }
}
