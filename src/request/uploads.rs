//! What of a request's body is read before a process is bothered with the request: a client that is slow with it then
//! holds a worker of Apache, of which there are many, and no Python thread.
//!
//! A body of up to [`limits::INLINE_BODY`] is read as a whole, a longer one, or one of unknown length, up to
//! [`limits::SPOOL`], both for as long as the client keeps sending. What is not all there by then streams: the process
//! pulls the rest. Requests that do so never have all threads of a group, so that clients that stop in the midst of a
//! body keep nobody else out.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use wsgi_unix::stop;
use wsgi_wire::limits;

use super::ahead::{STEP, Travel, await_all, known, unread};
use super::client::HttpClient;
use super::spool::Spool;
use crate::daemons::Group;
use crate::httpd::body::Taken;
use crate::httpd::shared::SharedTable;
use crate::policy::acceptance::BodyLength;
use crate::relay::admission::Admission;
use crate::relay::choice;
use crate::relay::client::Peer;
use crate::relay::delivery::NotDelivered;
use crate::relay::queue::{self, QueueTicket};
use crate::relay::wait_limits::{Expired, Missing, Wait};

/// How long a client may pause before its request takes a thread although the body is not all there: it may wait for an
/// answer to what it has sent.
const PAUSE: Duration = Duration::from_millis(300);

/// The same pause where the group has but one thread, which a slow client would take from everybody.
const LONG_PAUSE: Duration = Duration::from_secs(1);

/// The body of a request for a process of a group, before the process has the request.
pub struct Upload<'g> {
    /// The group that executes the request.
    pub group: &'g Group,
    /// The process table, where there is one.
    pub table: Option<SharedTable>,
    /// The length that the client has announced.
    pub length: BodyLength,
}

impl Upload<'_> {
    /// Reads ahead for a process of a group, into `inline` what is short. A client that breaks off is the application's
    /// to know: it reads what there is, and then the error. Behind an input filter the client's pauses do not count:
    /// the length only shows when the filter has seen all.
    ///
    /// # Errors
    /// [`NotDelivered`]: no thread may be taken in time.
    pub fn read(&self, client: &mut HttpClient<'_, '_>, inline: &mut Vec<u8>) -> Result<Travel, NotDelivered> {
        let expects_continue = client.request().headers_in().get(c"Expect").is_some();
        match self.length {
            BodyLength::Known(0) => Ok(Travel::Empty),
            BodyLength::Known(_) if client.request().has_input_filter() => {
                await_all(client, self.length, inline).map_or_else(|| self.stream(client), Ok)
            }
            BodyLength::Known(short) if short <= limits::INLINE_BODY as u64 => {
                if expects_continue {
                    // The client is told to send when a thread could take the request, and sends to us.
                    await_thread(self.group, self.table)?;
                    // Reading nothing says so. A failure shows when the body is read.
                    client.read_ahead(0, inline, true);
                }
                self.await_short(client, inline)
            }
            // An answer may make the body superfluous: the application decides by reading.
            _ if expects_continue => self.stream(client),
            _ => self.read_steadily(client, inline),
        }
    }

    /// Reads ahead for a process with an event loop, where a request that waits for its client holds no thread: what is
    /// short, and what has to be all there for its length to be known. Anything else streams from the beginning.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_for_loop(&self, client: &mut HttpClient<'_, '_>, inline: &mut Vec<u8>) -> Result<Travel, NotDelivered> {
        let is_short = matches!(self.length, BodyLength::Known(length) if length <= limits::INLINE_BODY as u64);
        let expects_continue = client.request().headers_in().get(c"Expect").is_some();
        if is_short && !expects_continue || client.request().has_input_filter() {
            return self.read(client, inline);
        }
        Ok(unread(self.length))
    }

    /// Waits for the whole of a short body, unless its client pauses while its request may have a thread: the
    /// application may answer without the body (401, 404, 413), and such an answer does not wait for it (RFC 9112,
    /// 9.3).
    fn await_short(&self, client: &mut HttpClient<'_, '_>, inline: &mut Vec<u8>) -> Result<Travel, NotDelivered> {
        loop {
            match self.read_on(client, inline) {
                Some(Taken::End) if inline.len() <= limits::INLINE_BODY => return Ok(Travel::Inline),
                Some(Taken::Some) if inline.len() <= limits::INLINE_BODY => {}
                Some(Taken::Nothing) => {
                    client.put_back(std::mem::take(inline).into());
                    return self.stream(client);
                }
                // A failure; or it is longer than was announced, which is one, too.
                _ => {
                    client.put_back(std::mem::take(inline).into());
                    return Ok(Travel::Pulled(known(self.length)));
                }
            }
        }
    }

    /// Reads on, as soon as something comes. [`Taken::Nothing`]: nothing comes, and the request may have a thread
    /// instead.
    fn read_on(&self, client: &mut HttpClient<'_, '_>, out: &mut Vec<u8>) -> Option<Taken> {
        let mut silence = Duration::ZERO;
        let wait = client.send_timeout().unwrap_or(Duration::MAX);
        loop {
            // Where nothing is there, this still lets mod_reqtimeout look at its clock.
            let taken = client.read_ahead(STEP, out, false);
            if taken != Some(Taken::Nothing) {
                return taken;
            }
            if silence >= wait || !client.pauses(PAUSE) {
                return client.read_ahead(STEP, out, true);
            }
            silence += PAUSE;
            if self.may_have_thread(silence) {
                return Some(Taken::Nothing);
            }
        }
    }

    /// Whether the request of a client that has been silent for this long in its body may have a thread now.
    fn may_have_thread(&self, silence: Duration) -> bool {
        let Self { group, table, .. } = self;
        let is_idle = || !table.is_some_and(|table| choice::are_all_busy(table.slots(group.pages), group.relay.key));
        group.has_room_for_upload() && (!group.has_one_thread() || silence >= LONG_PAUSE && is_idle())
    }

    fn read_steadily(&self, client: &mut HttpClient<'_, '_>, inline: &mut Vec<u8>) -> Result<Travel, NotDelivered> {
        let (mut spool, mut taken) = (Spool::announced(known(self.length).unwrap_or(0)), Some(Taken::Some));
        while taken == Some(Taken::Some) && spool.count() {
            taken = self.read_on(client, &mut spool.bytes);
        }
        let read = spool.left();
        if taken == Some(Taken::End) && read <= limits::INLINE_BODY {
            inline.extend_from_slice(&spool.bytes);
            return Ok(Travel::Inline);
        }
        client.put_back(spool);
        match taken {
            Some(Taken::End) => Ok(Travel::Spooled(read as u64)),
            Some(_) => self.stream(client),
            // There is nothing more to wait for.
            None => Ok(Travel::Pulled(known(self.length))),
        }
    }

    /// Lets a process have the request before its body is there, when it may.
    fn stream(&self, client: &mut HttpClient<'_, '_>) -> Result<Travel, NotDelivered> {
        let mut wait = Wait::new(Instant::now(), self.group.relay.wait_limits);
        loop {
            if let Some(place) = Admission::new(self.group.uploads(), self.group.upload_limit()) {
                client.holds(place);
                return Ok(Travel::Pulled(known(self.length)));
            }
            std::thread::sleep(pause(&mut wait)?);
        }
    }
}

/// Waits until a process of the group has a thread that could take a request, or there is no process that could get
/// one.
fn await_thread(group: &Group, table: Option<SharedTable>) -> Result<(), NotDelivered> {
    let Some(table) = table else { return Ok(()) };
    let mut wait = Wait::new(Instant::now(), group.relay.wait_limits);
    let mut place: Option<QueueTicket<'_>> = None;
    while choice::are_all_busy(table.slots(group.pages), group.relay.key) {
        let queue = &group.relay.record.queue;
        let Some(place) = &mut place else {
            if queue::waiting(queue) >= group.relay.queue_size {
                return Err(NotDelivered::QueueFull);
            }
            // What got free before has called nobody: the next look finds it.
            place = Some(QueueTicket::take(queue));
            continue;
        };
        place.wait(pause(&mut wait)?);
    }
    if let Some(place) = place {
        place.pass_on();
    }
    Ok(())
}

fn pause(wait: &mut Wait) -> Result<Duration, NotDelivered> {
    if stop::has_begun() {
        return Err(NotDelivered::Stopping);
    }
    wait.pause(Instant::now(), Missing::Threads, true).map_err(|over| match over {
        Expired::Queue => NotDelivered::QueueTimeout,
        Expired::Silence | Expired::Connect => NotDelivered::Silence,
    })
}
