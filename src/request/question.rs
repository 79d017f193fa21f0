//! A question to a script about a request: which script is asked, where it runs, and what follows if there is no
//! answer. It travels as requests do; what comes back is one short message.
#![forbid(unsafe_code)]

#[cfg_attr(windows, path = "windows/question.rs")]
mod in_group;

use std::borrow::Cow;
use std::ptr;

use wsgi_unix::descriptor::OwnedFd;
use wsgi_wire::codec::Wire;
use wsgi_wire::frame::Kind;
use wsgi_wire::interface::Interface;
use wsgi_wire::messages::requests;
use wsgi_wire::question::{Answer, Choice, Question, Topic};
use wsgi_wire::request::{BodyError, Facts, Purpose, Rules, VarsWriter, put_request, put_route};
use wsgi_wire::response::{File, Head, Headers};

use super::context::OfApache;
use super::destination::Destination;
use super::environ::{self, ContentLength, Environ};
use super::exchange::failure;
use super::executor::{self, Executor, RequestNames};
use super::refused::Refused;
use super::scratch::{Scratch, with_scratch};
use crate::daemons::{self, Runtime};
use crate::directives::settings::{AskedScript, RequestSettings};
use crate::embedded::{self, Plan, call};
use crate::httpd::log;
use crate::httpd::request::Request;
use crate::policy::expansion::{self, Kind as GroupKind};
use crate::policy::script_directives::ACCESS_GROUP;
use crate::relay::client::{Client, Peer, RequestContext, SendError, Then};
use crate::relay::outcome::Outcome;
use crate::relay::violation::Violation;

/// Why nobody has decided about a request; the log has the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionError {
    /// The script has failed.
    Script,
    /// The script has not been asked, or its answer has not come. The client gets this status.
    Unheard(u16),
}

impl QuestionError {
    /// The status that the client gets where the script's own failure is one of the server.
    pub fn status(self) -> u16 {
        match self {
            Self::Script => 500,
            Self::Unheard(status) => status,
        }
    }
}

/// Asks a script that decides whether the request may go on.
///
/// # Errors
/// [`QuestionError`]
pub fn ask<'r>(
    r: &mut Request<'r>,
    settings: &'r RequestSettings,
    asked: &'r AskedScript,
    question: Question<'_>,
) -> Result<Answer, QuestionError> {
    PendingQuestion { settings, asked, question }.ask(r, None)
}

/// Asks a script where the application of a request runs. `usual`: where it runs otherwise.
///
/// # Errors
/// [`QuestionError`]
pub fn dispatch<'r>(
    r: &mut Request<'r>,
    settings: &'r RequestSettings,
    asked: &'r AskedScript,
    usual: &Destination<'r>,
) -> Result<Choice, QuestionError> {
    match (PendingQuestion { settings, asked, question: Question::dispatch() }).ask(r, Some(usual))? {
        Answer::Choice(choice) => Ok(choice),
        // No other is taken.
        _ => Err(QuestionError::Unheard(500)),
    }
}

/// Why there is no answer.
enum AskError {
    /// The script's side has logged the reason.
    Told(QuestionError),
    /// The script has not been asked, or its answer has not come.
    Refused(Refused),
}

impl From<Refused> for AskError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// A question that is to be asked.
struct PendingQuestion<'a, 'r> {
    settings: &'r RequestSettings,
    asked: &'r AskedScript,
    question: Question<'a>,
}

impl<'r> PendingQuestion<'_, 'r> {
    fn ask(&self, r: &mut Request<'r>, application: Option<&Destination<'r>>) -> Result<Answer, QuestionError> {
        let Some(runtime) = daemons::of_child() else {
            log::request(r, &requests::NO_CONFIGURATION, format_args!("no configuration is in force"));
            return Err(QuestionError::Unheard(500));
        };
        let script_name = environ::script_name(r);
        let mut destination = self.destination(r, runtime, &script_name, application);
        let outcome = match executor::find(r, runtime, &mut destination, &self.asked.script) {
            Ok(executor) => {
                let environ = match application {
                    Some(_) => Environ::new(r, destination, script_name),
                    None => Environ::of_gatekeeper(r, destination, script_name),
                };
                let outcome = match executor {
                    Executor::Embedded(plan) => self.ask_here(r, plan, &environ),
                    Executor::Group(group) => self.ask_group(r, runtime, group, &environ),
                };
                outcome.map_err(|unanswered| (unanswered, environ.into_destination()))
            }
            Err(refused) => Err((refused.into(), destination)),
        };
        outcome.map_err(|(unanswered, destination)| match unanswered {
            AskError::Told(why) => why,
            AskError::Refused(Refused { status, reason, .. }) => {
                let text = format!("{} cannot be asked: {reason}", self.asked.directive(self.question.topic));
                log::record(r, &log::ours(&requests::NOT_ASKED, &text), Some(self.place(&destination)));
                // A gateway's status would say something about the application, which has not been reached.
                QuestionError::Unheard(if status == 504 { 503 } else { status })
            }
        })
    }

    /// Where the script runs: in this child if Python may be here, else in the group that is named, or the one that is
    /// made for such scripts.
    fn destination(
        &self,
        r: &Request<'r>,
        runtime: &Runtime,
        script_name: &[u8],
        application: Option<&Destination<'r>>,
    ) -> Destination<'r> {
        let names = RequestNames { r, script_name, case_sensitive: runtime.case_sensitive, environ: None };
        let process_group = match self.asked.process_group.as_deref() {
            Some(name) => expansion::group(GroupKind::Process, name, &names),
            None if runtime.embedded.is_some() => Cow::Borrowed(&b""[..]),
            None => Cow::Borrowed(ACCESS_GROUP),
        };
        let application_group = self.asked.application_group.as_deref().unwrap_or_default();
        Destination {
            process_group,
            application_group: expansion::group(GroupKind::Asked, application_group, &names),
            callable: Cow::Borrowed(b""),
            handler_script: application.and_then(|application| application.handler_script),
            pass_authorization: Some(application.is_some_and(Destination::passes_authorization)),
            interface: Interface::Wsgi,
            names_application_group: false,
            chroot: None,
            fixed_mount: application.is_some_and(|application| application.fixed_mount),
        }
    }

    /// The place of execution for log records.
    fn place<'p>(&'p self, destination: &'p Destination<'_>) -> log::Execution<'p> {
        let Destination { process_group, application_group, .. } = destination;
        log::Execution { script: &self.asked.script, process_group, application_group }
    }

    fn write_route(&self, r: &Request<'r>, environ: &Environ<'r>, out: &mut Vec<u8>) {
        let destination = environ.destination();
        let rules = Rules {
            reloading: self.settings.script_reloading.unwrap_or(true),
            ignore_activity: self.settings.ignore_activity.unwrap_or(false),
            log_level: r.log_level(),
            interface: Interface::Wsgi,
        };
        let script = destination.inside(&self.asked.script);
        put_route(out, script, &destination.application_group, b"", rules, |vars| environ.write_route(r, vars));
    }

    fn put(&self, out: &mut Vec<u8>, facts: &Facts, write: impl FnOnce(&mut VarsWriter<'_>)) {
        put_request(out, facts, Purpose::Question(self.question), write);
    }

    /// Has the engine in this child answer.
    fn ask_here(&self, r: &mut Request<'r>, plan: &Plan, environ: &Environ<'r>) -> Result<Answer, AskError> {
        let engine = embedded::engine(plan).map_err(|error| Refused::new(&requests::NO_PYTHON, 500, error))?;
        let facts = Facts { request_start: r.time(), ..Facts::default() };
        let is_passed = self.settings.pass_apache_request.unwrap_or(false);
        let request_rec = if is_passed { r.address() } else { ptr::null_mut() };
        let (outcome, answer) = with_scratch(|Scratch { route, message, .. }| {
            // There is no connection on which routes could have numbers.
            0u16.put(route);
            self.write_route(r, environ, route);
            self.put(message, &facts, |vars| environ.write_request(r, ContentLength::AsSent, vars));
            let mut asker = AnswerClient::new(r, self.question.topic, self.place(environ.destination()));
            let outcome = call::serve(engine, &mut asker, request_rec, route, message);
            (outcome, asker.answer)
        });
        conclude(outcome, answer, true)
    }
}

impl AskedScript {
    /// The directive that has named the script, for the log.
    fn directive(&self, topic: Topic) -> String {
        let name = match topic {
            Topic::Access => "WSGIAccessScript",
            Topic::Password | Topic::RealmHash => "WSGIAuthUserScript",
            Topic::Groups => "WSGIAuthGroupScript",
            Topic::Dispatch => "WSGIDispatchScript",
        };
        format!("{name} {}", String::from_utf8_lossy(&self.script))
    }
}

/// Turns the end of a question into its answer, or the reason why there is none. Nobody is let in for want of an
/// answer.
fn conclude(outcome: Outcome, answer: Option<Answer>, embedded: bool) -> Result<Answer, AskError> {
    match (outcome, answer) {
        (Outcome::Complete, Some(answer)) => Ok(answer),
        // It has run out of time, or its process is stuck.
        (Outcome::Failed(502..=504), _) => Err(AskError::Told(QuestionError::Unheard(503))),
        (Outcome::Failed(_), _) => Err(AskError::Told(QuestionError::Script)),
        _ => {
            let no_answer = || Refused::new(&requests::ANSWER_REFUSED, 500, Violation::OutOfPlace(Kind::End));
            let mut refused = failure(outcome, embedded).unwrap_or_else(no_answer);
            refused.status = match outcome {
                Outcome::Lost(_) | Outcome::TimedOut(_) if refused.status != 500 => 503,
                _ => 500,
            };
            Err(refused.into())
        }
    }
}

/// A client, as the relay and the engine see it, that takes an answer and no response.
struct AnswerClient<'c, 'r> {
    r: &'c mut Request<'r>,
    topic: Topic,
    place: log::Execution<'c>,
    answer: Option<Answer>,
}

impl<'c, 'r> AnswerClient<'c, 'r> {
    fn new(r: &'c mut Request<'r>, topic: Topic, place: log::Execution<'c>) -> Self {
        Self { r, topic, place, answer: None }
    }
}

impl OfApache for AnswerClient<'_, '_> {
    fn context(&self) -> (&Request<'_>, log::Execution<'_>) {
        (self.r, self.place)
    }
}

impl Peer for AnswerClient<'_, '_> {}

impl Client for AnswerClient<'_, '_> {
    fn read_body(&mut self, _max: usize, _out: &mut Vec<u8>) -> Result<bool, BodyError> {
        // The body is for the application.
        Ok(false)
    }

    fn early_hints(&mut self, _headers: Headers<'_>) {}

    fn head(&mut self, _head: &Head<'_>) -> Result<(), u16> {
        self.tell(&requests::RESPONSE_TO_QUESTION, "a response comes in place of the answer to a question");
        Err(500)
    }

    fn answer(&mut self, answer: Answer) -> Result<(), Violation> {
        if !answer.is_about(self.topic) {
            return Err(Violation::OtherQuestion);
        }
        self.answer = Some(answer);
        Ok(())
    }

    fn data(&mut self, _pieces: &[&[u8]], _then: Then) -> Result<(), SendError> {
        Err(Violation::OutOfPlace(Kind::Data).into())
    }

    fn file(&mut self, _file: OwnedFd, _piece: &File) -> Result<(), SendError> {
        Err(Violation::OutOfPlace(Kind::File).into())
    }
}
