//! The frames that an Apache child sends for requests: its greeting, the part that does not vary between requests, and
//! the request itself.

use crate::codec::{DecodeError, Reader, Wire, byte_enum, message, put_bytes};
use crate::interface::Interface;
use crate::limits;
use crate::names::{Name, SPELLED};
use crate::question::Question;
use crate::record::Level;

message! {
    /// The first frame on a connection, which proves that the child may connect.
    pub struct Hello {
        /// The [`crate::VERSION`] of the child.
        pub version: u32,
        /// The secret from the entry of the process that the child means to talk to ([`crate::table::Entry::secret`]):
        /// proof that it is an Apache child of this server and that the slot has not changed hands in between.
        pub secret: u64,
    }
}

/// The variables of an environ, in order: an iterator over a checked byte slice.
#[derive(Debug, Clone)]
pub struct Vars<'a> {
    left: u16,
    from: Reader<'a>,
}

impl<'a> Iterator for Vars<'a> {
    type Item = Result<(Name<'a>, &'a [u8]), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(get_var(&mut self.from))
    }
}

fn get_var<'a>(from: &mut Reader<'a>) -> Result<(Name<'a>, &'a [u8]), DecodeError> {
    let name = match u8::get(from)? {
        SPELLED => Name::Text(from.bytes()?),
        id if (id as usize) < crate::names::KNOWN.len() => Name::Known(id),
        id => return Err(DecodeError::Unknown(id.into())),
    };
    Ok((name, from.bytes()?))
}

/// Builds a list of variables at the end of a buffer: its count is filled in when it is finished.
#[derive(Debug)]
pub struct VarsWriter<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    count: u16,
}

impl<'o> VarsWriter<'o> {
    /// Begins a list.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0, 0]);
        Self { out, start, count: 0 }
    }

    /// Adds one variable. At most 65535 are kept; Apache's own limits are far below that.
    pub fn push(&mut self, name: Name<'_>, value: &[u8]) {
        let Some(count) = self.count.checked_add(1) else { return };
        self.count = count;
        match name {
            Name::Known(id) => self.out.push(id),
            Name::Text(text) => {
                self.out.push(SPELLED);
                put_bytes(self.out, text);
            }
        }
        put_bytes(self.out, value);
    }

    /// Ends the list.
    pub fn finish(self) {
        self.out[self.start..self.start + 2].copy_from_slice(&self.count.to_ne_bytes());
    }
}

message! {
    /// The rules that the configuration has for the requests of a route.
    #[derive(Copy)]
    pub struct Rules {
        /// Whether a changed script is loaded anew (`WSGIScriptReloading`).
        pub reloading: bool,
        /// Whether these requests leave the inactivity timer alone (`WSGIIgnoreActivity`).
        pub ignore_activity: bool,
        /// The level up to which records are written (`LogLevel`).
        pub log_level: Level,
        /// What the application speaks: for [`Interface::Asgi`] the variables of route and request have the names of
        /// [`crate::scope`].
        pub interface: Interface,
    }
}

/// The part that is the same for all requests to one application through one virtual host: announced once on each
/// connection and then named by number. The child compares whole encoded routes, so any difference makes another route.
#[derive(Debug, Clone)]
pub struct Route<'a> {
    /// The number of the route on this connection, counted up from 0, below [`limits::ROUTES`].
    pub id: u16,
    /// The script file to load.
    pub script: &'a [u8],
    /// The application group; empty is the main interpreter.
    pub application_group: &'a [u8],
    /// The name of the application in the script (`WSGICallableObject`; `handle_request` for handler scripts).
    pub callable: &'a [u8],
    /// The rules for its requests.
    pub rules: Rules,
    /// The constant part of the environ.
    pub vars: Vars<'a>,
}

/// Appends the content of a route without its number, so that two of them can be compared as bytes.
pub fn put_route(
    out: &mut Vec<u8>,
    script: &[u8],
    application_group: &[u8],
    callable: &[u8],
    rules: Rules,
    vars: impl FnOnce(&mut VarsWriter<'_>),
) {
    put_bytes(out, script);
    put_bytes(out, application_group);
    put_bytes(out, callable);
    rules.put(out);
    let mut writer = VarsWriter::new(out);
    vars(&mut writer);
    writer.finish();
}

impl<'a> Route<'a> {
    /// Reads the payload of a `Route` frame: the number, then what [`put_route`] wrote. All variables are checked.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(payload);
        let id = u16::get(&mut from)?;
        if id >= limits::ROUTES {
            return Err(DecodeError::Unknown(id.into()));
        }
        let script = from.bytes()?;
        let application_group = from.bytes()?;
        let callable = from.bytes()?;
        let rules = Rules::get(&mut from)?;
        let (vars, from) = get_vars(from)?;
        from.end()?;
        Ok(Self { id, script, application_group, callable, rules, vars })
    }
}

fn get_vars(mut from: Reader<'_>) -> Result<(Vars<'_>, Reader<'_>), DecodeError> {
    let left = u16::get(&mut from)?;
    let vars = Vars { left, from: from.clone() };
    for _ in 0..left {
        get_var(&mut from)?;
    }
    Ok((vars, from))
}

/// The way in which the body of a request reaches the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// There is no body, or it is empty.
    None,
    /// All of the body is here.
    Inline(&'a [u8]),
    /// The body is to be pulled; its length is known if the client has announced it.
    Pull(Option<u64>),
}

/// The numbers of a request that are not part of the environ as text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// The route's number.
    pub route: u16,
    /// When Apache began to read the request, microseconds since the epoch (`r->request_time`).
    pub request_start: u64,
    /// When the child began to look for a process, same unit.
    pub queue_start: u64,
    /// Modification time of the script in microseconds where Apache has looked it up already, else 0: then the engine
    /// asks itself.
    pub script_mtime: i64,
    /// Processes tried for this request so far, this one included.
    pub connects: u16,
    /// How many of them answered `Reject`.
    pub rejects: u16,
}

/// The purpose for which a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// The application is to answer it; here is its body, or how to get it.
    Response(Body<'a>),
    /// The script is asked a question about it.
    Question(Question<'a>),
    /// The application is to say whether it accepts the WebSocket that the client asks for.
    WebSocket,
}

/// One request of a client.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The numbers of the request: times, lengths and counts.
    pub facts: Facts,
    /// The part of the environ that varies; a name that the route has too replaces the route's value.
    pub vars: Vars<'a>,
    /// The purpose of the request.
    pub purpose: Purpose<'a>,
}

const BODY_NONE: u8 = 0;
const BODY_INLINE: u8 = 1;
const BODY_PULL: u8 = 2;
const BODY_PULL_LENGTH: u8 = 3;
const QUESTION: u8 = 4;
const WEBSOCKET: u8 = 5;

/// Appends the payload of a `Request` frame.
pub fn put_request(out: &mut Vec<u8>, facts: &Facts, purpose: Purpose<'_>, vars: impl FnOnce(&mut VarsWriter<'_>)) {
    facts.route.put(out);
    facts.request_start.put(out);
    facts.queue_start.put(out);
    facts.script_mtime.put(out);
    facts.connects.put(out);
    facts.rejects.put(out);
    let mut writer = VarsWriter::new(out);
    vars(&mut writer);
    writer.finish();
    match purpose {
        Purpose::Response(Body::None) => out.push(BODY_NONE),
        Purpose::Response(Body::Inline(data)) => {
            out.push(BODY_INLINE);
            out.extend_from_slice(data);
        }
        Purpose::Response(Body::Pull(None)) => out.push(BODY_PULL),
        Purpose::Response(Body::Pull(Some(length))) => {
            out.push(BODY_PULL_LENGTH);
            length.put(out);
        }
        Purpose::Question(question) => {
            out.push(QUESTION);
            question.put(out);
        }
        Purpose::WebSocket => out.push(WEBSOCKET),
    }
}

impl<'a> Request<'a> {
    /// Reads the payload of a `Request` frame. All variables are checked.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(payload);
        let facts = Facts {
            route: u16::get(&mut from)?,
            request_start: u64::get(&mut from)?,
            queue_start: u64::get(&mut from)?,
            script_mtime: i64::get(&mut from)?,
            connects: u16::get(&mut from)?,
            rejects: u16::get(&mut from)?,
        };
        let (vars, mut from) = get_vars(from)?;
        let purpose = match u8::get(&mut from)? {
            BODY_INLINE => Purpose::Response(Body::Inline(from.rest())),
            kind => {
                let purpose = match kind {
                    BODY_NONE => Purpose::Response(Body::None),
                    BODY_PULL => Purpose::Response(Body::Pull(None)),
                    BODY_PULL_LENGTH => Purpose::Response(Body::Pull(Some(u64::get(&mut from)?))),
                    QUESTION => Purpose::Question(Question::get(&mut from)?),
                    WEBSOCKET => Purpose::WebSocket,
                    n => return Err(DecodeError::Unknown(n.into())),
                };
                from.end()?;
                purpose
            }
        };
        Ok(Self { facts, vars, purpose })
    }
}

byte_enum! {
    /// Why the request body cannot be read to its end; the payload of a `BodyError` frame.
    pub enum BodyError {
        /// The client went away.
        Aborted = 0,
        /// The client was too slow (`Timeout`, `RequestReadTimeout`).
        TimedOut = 1,
        /// What the client sent is not a valid body (chunk framing).
        Malformed = 2,
        /// The body is longer than `LimitRequestBody` allows.
        TooLarge = 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    fn sample(purpose: Purpose<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let facts = Facts { route: 3, request_start: 1, queue_start: 2, script_mtime: -5, connects: 1, rejects: 0 };
        put_request(&mut out, &facts, purpose, |vars| {
            vars.push(Name::Known(names::PATH_INFO), b"/x");
            vars.push(Name::of(b"HTTP_X_ODD"), b"\xff");
        });
        out
    }

    #[test]
    fn a_request_comes_back_as_it_was() {
        let bodies =
            [Body::None, Body::Inline(b"data"), Body::Inline(b""), Body::Pull(None), Body::Pull(Some(1 << 40))];
        let questions = [Question::password(b"spy", b"secret"), Question::dispatch()];
        let others = questions.map(Purpose::Question).into_iter().chain([Purpose::WebSocket]);
        for purpose in bodies.map(Purpose::Response).into_iter().chain(others) {
            let data = sample(purpose);
            let r = Request::decode(&data).unwrap();
            assert_eq!((r.facts.route, r.facts.script_mtime, r.purpose), (3, -5, purpose));
            let vars: Vec<_> = r.vars.map(|v| v.map(|(n, v)| (n.text().to_vec(), v.to_vec())).unwrap()).collect();
            assert_eq!(vars, [(b"PATH_INFO".to_vec(), b"/x".to_vec()), (b"HTTP_X_ODD".to_vec(), b"\xff".to_vec())]);
        }
    }

    const RULES: Rules =
        Rules { reloading: true, ignore_activity: false, log_level: Level::Info, interface: Interface::Asgi };

    #[test]
    fn a_route_comes_back_as_it_was() {
        let mut data = 7u16.to_ne_bytes().to_vec();
        put_route(&mut data, b"/srv/a.wsgi", b"", b"application", RULES, |v| v.push(Name::of(b"SERVER_NAME"), b"x"));
        let r = Route::decode(&data).unwrap();
        assert_eq!((r.id, r.script, r.callable, r.rules), (7, &b"/srv/a.wsgi"[..], &b"application"[..], RULES));
        assert_eq!(r.vars.count(), 1);
    }

    #[test]
    fn every_prefix_is_refused() {
        let data = sample(Purpose::Response(Body::Pull(Some(9))));
        for n in 0..data.len() {
            assert!(Request::decode(&data[..n]).is_err(), "{n}");
        }
    }

    #[test]
    fn a_count_of_variables_that_are_not_there_is_refused() {
        let mut data = sample(Purpose::Response(Body::None));
        let at = 2 + 8 + 8 + 8 + 2 + 2;
        data[at..at + 2].copy_from_slice(&u16::MAX.to_ne_bytes());
        assert!(Request::decode(&data).is_err());
    }
}
