//! A question's way to a daemon process.
#![forbid(unsafe_code)]

use std::time::Instant;

use wsgi_wire::question::Answer;
use wsgi_wire::request::Facts;

use super::{AnswerClient, AskError, PendingQuestion, conclude};
use crate::daemons::{Group, Runtime};
use crate::httpd::request::Request;
use crate::relay::delivery::Dialogue;
use crate::request::environ::{ContentLength, Environ};
use crate::request::refused::Refused;
use crate::request::scratch::with_scratch;
use crate::request::way::{Way, now_in_microseconds};

impl<'r> PendingQuestion<'_, 'r> {
    /// Has a process of a group answer.
    pub(super) fn ask_group(
        &self,
        r: &mut Request<'r>,
        runtime: &Runtime,
        group: &Group,
        environ: &Environ<'r>,
    ) -> Result<Answer, AskError> {
        let way = Way::new(runtime, group, &environ.destination().process_group);
        let admission = way.admission().map_err(|error| way.refused(&error, r))?;
        let facts = Facts { request_start: r.time(), queue_start: now_in_microseconds(), ..Facts::default() };
        let start = Instant::now();
        let (outcome, answer) = with_scratch(|scratch| {
            self.write_route(r, environ, &mut scratch.route);
            let mut asker = AnswerClient::new(r, self.question.topic, self.place(environ.destination()));
            let encode = |out: &mut Vec<u8>, facts: &Facts, _: &[u8], asker: &mut AnswerClient<'_, 'r>| {
                self.put(out, facts, |vars| environ.write_request(asker.r, ContentLength::AsSent, vars));
            };
            let outcome = way.deliver(scratch, &mut asker, facts, Dialogue::InTurns, encode);
            (outcome, asker.answer)
        });
        drop(admission);
        let outcome = outcome.map_err(|error| way.refused(&error, r));
        let answer = outcome.map_err(AskError::from).and_then(|outcome| conclude(outcome, answer, false));
        let status = match &answer {
            Ok(_) => 200,
            Err(AskError::Told(why)) => why.status(),
            Err(AskError::Refused(Refused { status, .. })) => *status,
        };
        way.answered(status, start.elapsed());
        answer
    }
}
