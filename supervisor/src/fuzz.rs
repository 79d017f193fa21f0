//! What the fuzz target in `fuzz/` calls: all that a daemon process can say to the supervisor, in any order. Compiled
//! for it and for the unit tests, which try the corpus.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use wsgi_wire::control::Reason;
use wsgi_wire::frame;
use wsgi_wire::limits::{DAEMON_BURST, DAEMON_RATE};

use crate::channel::Channel;
use crate::group_history::GroupHistory;
use crate::lifecycle::Phase;
use crate::process::dialogue::{Dialogue, News};

/// What a target does with its input. It panics where a promise is broken.
pub type Target = fn(&[u8]);

/// All targets by the names of their directories in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[("dialogue", dialogue)];

/// How many bytes of an input are sent: the socket's buffer holds them.
const LONGEST: usize = 32 << 10;

/// Reads what comes over the control socket. The first byte of the input says what the supervisor does in the meantime.
pub fn dialogue(data: &[u8]) {
    let Some((how, said)) = data.split_first() else { return };
    let Some((theirs, channel)) =
        UnixStream::pair().ok().and_then(|(ours, theirs)| Some((theirs, Channel::new(ours).ok()?)))
    else {
        return;
    };
    let said = &said[..said.len().min(LONGEST)];
    let written = (&theirs).write_all(said);
    assert!(written.is_ok(), "a socket takes that much");
    drop(theirs);
    let started = Instant::now();
    let (mut dialogue, mut history) = (Dialogue::new(channel, started), GroupHistory::default());
    let (mut heard, mut ready, mut open) = (0, 0, true);
    while open {
        open = dialogue.listen();
        loop {
            let before = rank(dialogue.phase());
            let news = match dialogue.news() {
                Ok(Some(news)) => news,
                Ok(None) => break,
                // What a process says that does not keep to the protocol is its last word.
                Err(_) => return,
            };
            heard += 1;
            assert!(rank(dialogue.phase()) >= before, "nobody becomes younger");
            match news {
                News::Ready(_) => {
                    ready += 1;
                    assert_eq!(before, rank(Phase::Starting { reported: false }), "who is ready was starting");
                    dialogue.enter(if how & 1 == 0 { Phase::Ready } else { Phase::Stopping });
                }
                News::Retiring { first, anew, .. } => {
                    assert!(dialogue.wish().is_some() && dialogue.is_its_own_doing() && (anew || !first));
                    match how >> 1 & 3 {
                        0 => drop(dialogue.drain()),
                        1 => drop(dialogue.resume()),
                        2 => dialogue.stops(Reason::ShutdownSignal),
                        _ => {}
                    }
                }
                News::Draining(reason) => {
                    assert_eq!((dialogue.phase(), dialogue.reason()), (Phase::Draining, Some(reason)));
                }
                News::Loaded(script) => history.wants(script, u32::from(*how)),
                News::ScoreboardWanted => {}
            }
        }
        let max = u128::from(DAEMON_BURST) + started.elapsed().as_millis() * u128::from(DAEMON_RATE) / 1000;
        assert!(heard <= max + 1, "{heard} messages are more than a process may say");
        if dialogue.heard_at().is_some() {
            // Those that come too late are no news, but have been heard.
            assert!(frames(said) >= DAEMON_BURST as usize, "a process may say so much");
            return;
        }
    }
    assert!(ready <= 1 && history.scripts().len() <= 200);
}

/// How many whole frames an input has.
fn frames(mut data: &[u8]) -> usize {
    let mut count = 0;
    while let Ok(Some(frame)) = frame::first(data) {
        (count, data) = (count + 1, &data[frame.size()..]);
    }
    count
}

/// The rank of a phase: it grows during the life of a process.
fn rank(phase: Phase) -> u32 {
    match phase {
        Phase::Starting { .. } => 0,
        Phase::Ready => 1,
        Phase::Draining => 2,
        Phase::Stopping => 3,
        Phase::TakingStacks => 4,
        Phase::Killed => 5,
    }
}

#[cfg(test)]
#[path = "../../fuzz/corpus.rs"]
mod corpus;
