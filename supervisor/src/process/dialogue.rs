//! The dialogue of the supervisor with a daemon process over its control socket, and what that makes of the process.
//! Its application can write there, too, so any message may come at any time, and in any number: no more are read than
//! [`wsgi_wire::limits::DAEMON_RATE`] allows.

use std::time::{Duration, Instant};

use wsgi_wire::budget::{Budget, Rate};
use wsgi_wire::codec::{DecodeError, Wire};
use wsgi_wire::control::{Drain, Draining, Ready, Reason, Retiring};
use wsgi_wire::frame::Kind;
use wsgi_wire::settings::Preload;

use crate::channel::Channel;
use crate::lifecycle::Phase;

/// A process that asks to be replaced within this time after it was ready gives the group a pause, and one that asks
/// again within it is told nothing new: a script may be changed twice in a row.
pub const RESTLESS: Duration = Duration::from_secs(1);

/// A message of a daemon process.
#[derive(Debug)]
pub enum News {
    /// The process could take requests. Has the digests of the reports about scripts that it could not load.
    Ready(Ready),
    /// A request has come for this script.
    Loaded(Preload),
    /// The process asks to be replaced.
    Retiring {
        /// Why the process wants to be replaced.
        reason: Reason,
        /// Whether that is new: neither the process nor the supervisor has wished it before.
        first: bool,
        /// Whether it has not said so within the last second.
        anew: bool,
    },
    /// The process takes no more requests and ends.
    Draining(Reason),
    /// The process waits for Apache's scoreboard.
    ScoreboardWanted,
}

/// The wish of a process to be replaced.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    reason: Reason,
    since: Instant,
    /// Whether the process keeps its requests waiting for a successor.
    pub holds: bool,
}

/// The state of the dialogue on both sides.
#[derive(Debug)]
pub struct Dialogue {
    /// The control socket, until the process closes it.
    channel: Option<Channel>,
    started: Instant,
    /// The budget of messages that are read from the process.
    budget: Budget,
    /// Whether the process has sent more than that, which waits to be read.
    behind: bool,
    phase: Phase,
    since: Instant,
    wish: Option<Wish>,
    patient: bool,
    /// The reason for which the process ends, once it was told to or has said so.
    reason: Option<Reason>,
    /// Whether the process ends by its own decision or fault.
    announced: bool,
}

impl Dialogue {
    /// Begins the dialogue with a process that was started at this moment.
    pub fn new(channel: Channel, started: Instant) -> Self {
        Self {
            channel: Some(channel),
            started,
            budget: Budget::new(),
            behind: false,
            phase: Phase::Starting { reported: false },
            since: started,
            wish: None,
            patient: false,
            reason: None,
            announced: false,
        }
    }

    /// The control socket, until the process closes it.
    pub fn channel(&self) -> Option<&Channel> {
        self.channel.as_ref()
    }

    /// The phase of the process's life.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// When the process entered this phase.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// The process's wish to be replaced.
    pub fn wish(&self) -> Option<&Wish> {
        self.wish.as_ref()
    }

    /// The reason for which the process ends, once it was told to or has said so.
    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Whether requests that make progress may go on beyond the time limit.
    pub fn is_patient(&self) -> bool {
        self.patient
    }

    /// Whether the process ends, or wants to, by its own decision or fault.
    pub fn is_its_own_doing(&self) -> bool {
        self.announced || self.wish.is_some()
    }

    /// Enters another phase.
    pub fn enter(&mut self, phase: Phase) {
        (self.phase, self.since) = (phase, Instant::now());
    }

    /// Notes that its slow start has been reported.
    pub fn slow_start_reported(&mut self) {
        self.phase = Phase::Starting { reported: true };
    }

    /// Notes that the process is being stopped. `reason` counts unless there was one before.
    pub fn stops(&mut self, reason: Reason) {
        self.reason.get_or_insert(reason);
        self.enter(Phase::Stopping);
    }

    /// Notes that the process does not keep to the protocol, which counts as if it had said that it ends.
    pub fn is_over(&mut self) {
        self.announced = true;
    }

    /// The moment at which the rest of the messages is read, if the process has sent more than it may at a time. Until
    /// then nothing is read.
    pub fn heard_at(&self) -> Option<Instant> {
        self.behind.then(|| Instant::now() + self.budget.wait(Rate::MESSAGES, self.started.elapsed()))
    }

    /// Whether the process has sent more than it may, for the first time.
    pub fn is_too_loud(&self) -> bool {
        self.behind && !self.budget.is_told()
    }

    /// Reads messages; [`news`](Self::news) returns them. `false`: the process has closed its end, and what has been
    /// read is all.
    pub fn listen(&mut self) -> bool {
        self.behind || self.channel.as_mut().is_none_or(Channel::receive)
    }

    /// Closes the connection: the process will send nothing more.
    pub fn hang_up(&mut self) {
        (self.channel, self.behind) = (None, false);
    }

    /// Sends what is left to send, as far as the process takes it.
    pub fn flush(&mut self) {
        if let Some(channel) = self.channel.as_mut().filter(|channel| channel.wants_to_send()) {
            channel.flush();
        }
    }

    /// Returns the next message, unless the process has sent too many already: then that has to wait. Messages are
    /// taken one after the other: what the first leads to decides what the second means.
    ///
    /// # Errors
    /// The process does not keep to the protocol.
    pub fn news(&mut self) -> Result<Option<News>, DecodeError> {
        let Some(channel) = &mut self.channel else { return Ok(None) };
        loop {
            self.behind = !self.budget.wait(Rate::MESSAGES, self.started.elapsed()).is_zero();
            let Some((kind, payload)) = (if self.behind { None } else { channel.next()? }) else { return Ok(None) };
            self.budget.charge(Rate::MESSAGES, 1, self.started.elapsed());
            let news = match (kind, self.phase) {
                (Kind::Ready, Phase::Starting { .. }) => News::Ready(Ready::from_bytes(&payload)?),
                (Kind::Loaded, _) => News::Loaded(Preload::from_bytes(&payload)?),
                (Kind::ScoreboardWanted, _) => News::ScoreboardWanted,
                (Kind::Retiring, Phase::Ready) => {
                    let Retiring { reason, holds } = Retiring::from_bytes(&payload)?;
                    let (first, now) = (self.wish.is_none(), Instant::now());
                    let since = self.wish.map(|wish| wish.since).filter(|since| now.duration_since(*since) < RESTLESS);
                    self.wish = Some(Wish { reason, since: since.unwrap_or(now), holds });
                    News::Retiring { reason, first, anew: since.is_none() }
                }
                (Kind::Draining, Phase::Starting { .. } | Phase::Ready) => {
                    let reason = Draining::from_bytes(&payload)?.reason;
                    self.reason = Some(reason);
                    (self.phase, self.since) = (Phase::Draining, Instant::now());
                    self.announced = true;
                    News::Draining(reason)
                }
                // Late news: its messages and our signals have crossed.
                (Kind::Ready | Kind::Retiring | Kind::Draining, _) => continue,
                (other, _) => return Err(DecodeError::Unknown(other as u64)),
            };
            return Ok(Some(news));
        }
    }

    /// Notes that the code of the process may be outdated: it is replaced as if it had asked for that.
    pub fn outdated(&mut self, reason: Reason) {
        if self.phase == Phase::Ready && self.wish.is_none() {
            self.wish = Some(Wish { reason, since: Instant::now(), holds: false });
        }
    }

    /// Whether the process wants a successor that is started later than this.
    pub fn wants_later(&self, started: Instant) -> bool {
        self.wish.is_some_and(|wish| wish.since > started)
    }

    /// Tells the process to serve on, if it has been waiting for a successor: none could take over.
    ///
    /// # Errors
    /// The process cannot be told.
    pub fn resume(&mut self) -> Result<(), DecodeError> {
        let Some(wish) = self.wish.as_mut().filter(|wish| wish.holds) else { return Ok(()) };
        wish.holds = false;
        self.channel.as_mut().map_or(Ok(()), |channel| channel.send(Kind::Resume, &[]))
    }

    /// Tells the process to finish what it has. It answers by ending.
    ///
    /// # Errors
    /// The process cannot be told.
    pub fn drain(&mut self) -> Result<(), DecodeError> {
        self.enter(Phase::Draining);
        let reason = self.wish.map_or(Reason::GracefulSignal, |wish| wish.reason);
        self.reason = Some(reason);
        // Nobody but Apache has asked for this, and Apache waits for its own requests, too.
        self.patient = self.wish.is_none();
        let message = Drain { reason, patient: self.patient };
        self.channel.as_mut().map_or(Ok(()), |channel| channel.send(Kind::Drain, &message.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use wsgi_wire::frame;
    use wsgi_wire::limits::DAEMON_BURST;

    use super::*;

    fn message(kind: Kind, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        frame::put(&mut out, kind, |out| out.extend_from_slice(payload)).unwrap();
        out
    }

    #[test]
    fn a_process_that_says_more_than_it_may_is_heard_later() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut dialogue = Dialogue::new(Channel::new(ours).unwrap(), Instant::now());
        let flood = message(Kind::ScoreboardWanted, b"").repeat(2 * DAEMON_BURST as usize);
        (&theirs).write_all(&flood).unwrap();
        assert!(dialogue.listen() && dialogue.heard_at().is_none());
        let mut heard = 0;
        while dialogue.news().unwrap().is_some() {
            heard += 1;
        }
        assert!((DAEMON_BURST..2 * DAEMON_BURST).contains(&heard), "{heard}");
        assert!(dialogue.heard_at().is_some() && dialogue.is_too_loud() && !dialogue.is_too_loud());
        drop(theirs);
        assert!(dialogue.listen(), "nothing more is read before the rest is heard");
        dialogue.hang_up();
        assert!(dialogue.heard_at().is_none());
    }

    #[test]
    fn who_asks_again_at_once_asks_for_nothing_new() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut dialogue = Dialogue::new(Channel::new(ours).unwrap(), Instant::now());
        dialogue.enter(Phase::Ready);
        let started = Instant::now();
        let wishes = [Reason::ScriptReload, Reason::RssLimit].map(|reason| Retiring { reason, holds: true }.to_bytes());
        (&theirs).write_all(&wishes.map(|wish| message(Kind::Retiring, &wish)).concat()).unwrap();
        dialogue.listen();
        let said = |news: Option<News>| match news {
            Some(News::Retiring { reason, first, anew }) => (reason, first, anew),
            other => panic!("{other:?}"),
        };
        assert_eq!(said(dialogue.news().unwrap()), (Reason::ScriptReload, true, true));
        let asked = Instant::now();
        assert_eq!(said(dialogue.news().unwrap()), (Reason::RssLimit, false, false));
        assert!(dialogue.wants_later(started) && !dialogue.wants_later(asked));
    }
}
