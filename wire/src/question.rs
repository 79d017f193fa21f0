//! Questions that Apache asks a script about a request before anything answers it: may it go on, who is that, where
//! does it run. A question travels as the purpose of a `Request` frame, its answer as one `Answer` frame in place of a
//! response.

use crate::codec::{Bytes, DecodeError, Reader, Wire, byte_enum, message, put_bytes};
use crate::limits;

byte_enum! {
    /// The questions that scripts are asked.
    pub enum Topic {
        /// `allow_access`: whether the request may go on.
        Access = 0,
        /// `check_password`: whether this is the user's password.
        Password = 1,
        /// `get_realm_hash`: what the user's password is hashed to in a realm.
        RealmHash = 2,
        /// `groups_for_user`: which groups the user is in.
        Groups = 3,
        /// `process_group`, `application_group` and `callable_object`: where the application of the request runs.
        Dispatch = 4,
    }
}

impl Topic {
    /// The functions of the script that answer, in the order in which they are called.
    pub fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Access => &["allow_access"],
            Self::Password => &["check_password"],
            Self::RealmHash => &["get_realm_hash"],
            Self::Groups => &["groups_for_user"],
            Self::Dispatch => &["process_group", "application_group", "callable_object"],
        }
    }

    /// How many texts the functions get beside the environ.
    fn texts(self) -> usize {
        match self {
            Self::Access | Self::Groups => 1,
            Self::Password | Self::RealmHash => 2,
            Self::Dispatch => 0,
        }
    }
}

/// A question to a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// The question that is asked.
    pub topic: Topic,
    /// The texts that the function gets beside the environ: the client's host or the user, then the password or the
    /// realm. Empty where it gets fewer.
    texts: [&'a [u8]; 2],
}

impl<'a> Question<'a> {
    /// Asks whether a client on this host, a name or an address, may go on.
    pub fn access(host: &'a [u8]) -> Self {
        Self { topic: Topic::Access, texts: [host, b""] }
    }

    /// Asks whether this is the user's password.
    pub fn password(user: &'a [u8], password: &'a [u8]) -> Self {
        Self { topic: Topic::Password, texts: [user, password] }
    }

    /// Asks for the hash of the user's password in a realm.
    pub fn realm_hash(user: &'a [u8], realm: &'a [u8]) -> Self {
        Self { topic: Topic::RealmHash, texts: [user, realm] }
    }

    /// Asks which groups the user is in.
    pub fn groups(user: &'a [u8]) -> Self {
        Self { topic: Topic::Groups, texts: [user, b""] }
    }

    /// Asks where the application of the request runs.
    pub fn dispatch() -> Self {
        Self { topic: Topic::Dispatch, texts: [b"", b""] }
    }

    /// The texts that the functions get beside the environ.
    pub fn texts(&self) -> &[&'a [u8]] {
        &self.texts[..self.topic.texts()]
    }

    /// Appends the question to a message.
    pub fn put(&self, out: &mut Vec<u8>) {
        self.topic.put(out);
        self.texts().iter().for_each(|text| put_bytes(out, text));
    }

    /// Takes a question off the front.
    ///
    /// # Errors
    /// If there is no such topic, or a text is missing.
    pub fn get(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (topic, mut texts) = (Topic::get(from)?, [&b""[..]; 2]);
        for text in &mut texts[..topic.texts()] {
            *text = from.bytes()?;
        }
        Ok(Self { topic, texts })
    }
}

message! {
    /// The choice of a dispatch script, where the application runs; `None` leaves what the configuration says.
    #[derive(Eq)]
    pub struct Choice {
        /// The process group, not expanded.
        pub process_group: Option<Bytes>,
        /// The application group, not expanded.
        pub application_group: Option<Bytes>,
        /// The name of the application in its script, not expanded.
        pub callable: Option<Bytes>,
    }
}

/// The answer of a script. What [`Answer::from_bytes`] returns keeps to [`limits`], and no text in it ends early or
/// spills over where C reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The script has no opinion (`None`), or does not know the user.
    Unknown,
    /// The script has answered `False`.
    No,
    /// The script has answered `True`.
    Yes,
    /// A text: the name that the user has from here on, whose password this is, or the hash of a password.
    Text(Bytes),
    /// The groups of a user.
    Groups(Vec<Bytes>),
    /// The place where the application runs.
    Choice(Choice),
}

/// Why a script's answer cannot be sent or taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// A text is empty.
    #[error("a text is empty")]
    Empty,
    /// A text is too long.
    #[error("a text is longer than {0} bytes")]
    Long(usize),
    /// There is a control character in a text.
    #[error("a text has a control character")]
    Control,
    /// There are too many groups, or their names are too long together.
    #[error("there are more than {} groups, or their names are longer than {} KiB together", limits::USER_GROUPS, limits::ANSWER >> 10)]
    Many,
}

const UNKNOWN: u8 = 0;
const NO: u8 = 1;
const YES: u8 = 2;
const TEXT: u8 = 3;
const GROUPS: u8 = 4;
const CHOICE: u8 = 5;

impl Answer {
    /// Whether this can be the answer to a question on this topic.
    pub fn is_about(&self, topic: Topic) -> bool {
        match self {
            Self::Unknown => matches!(topic, Topic::Access | Topic::Password | Topic::RealmHash),
            Self::No | Self::Yes => matches!(topic, Topic::Access | Topic::Password),
            Self::Text(_) => matches!(topic, Topic::Password | Topic::RealmHash),
            Self::Groups(_) => topic == Topic::Groups,
            Self::Choice(_) => topic == Topic::Dispatch,
        }
    }

    /// Checks whether the answer may be sent, and believed: both ends do this.
    ///
    /// # Errors
    /// [`AnswerError`]
    pub fn check(&self) -> Result<(), AnswerError> {
        match self {
            Self::Unknown | Self::No | Self::Yes => Ok(()),
            Self::Text(text) => {
                if text.is_empty() {
                    return Err(AnswerError::Empty);
                }
                check_text(text)
            }
            Self::Groups(groups) => {
                // What stands in front of a name on the wire included.
                let length = groups.iter().fold(8, |sum, group| sum + 4 + group.len());
                if groups.len() > limits::USER_GROUPS || length > limits::ANSWER {
                    return Err(AnswerError::Many);
                }
                groups.iter().try_for_each(|group| check_text(group))
            }
            Self::Choice(Choice { process_group, application_group, callable }) => {
                [process_group, application_group, callable].into_iter().flatten().try_for_each(|name| check_text(name))
            }
        }
    }
}

fn check_text(text: &[u8]) -> Result<(), AnswerError> {
    if text.len() > limits::ANSWERED_TEXT {
        return Err(AnswerError::Long(limits::ANSWERED_TEXT));
    }
    if text.iter().any(u8::is_ascii_control) { Err(AnswerError::Control) } else { Ok(()) }
}

impl Wire for Answer {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unknown => out.push(UNKNOWN),
            Self::No => out.push(NO),
            Self::Yes => out.push(YES),
            Self::Text(text) => {
                out.push(TEXT);
                text.put(out);
            }
            Self::Groups(groups) => {
                out.push(GROUPS);
                groups.put(out);
            }
            Self::Choice(choice) => {
                out.push(CHOICE);
                choice.put(out);
            }
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let answer = match u8::get(from)? {
            UNKNOWN => Self::Unknown,
            NO => Self::No,
            YES => Self::Yes,
            TEXT => Self::Text(Bytes::get(from)?),
            GROUPS => Self::Groups(Vec::get(from)?),
            CHOICE => Self::Choice(Choice::get(from)?),
            n => return Err(DecodeError::Unknown(n.into())),
        };
        answer.check().map_err(|_| DecodeError::Answer)?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTIONS: fn() -> [Question<'static>; 5] = || {
        [
            Question::access(b"::1"),
            Question::password(b"spy", b"\xff\0"),
            Question::realm_hash(b"spy", b""),
            Question::groups(b"spy"),
            Question::dispatch(),
        ]
    };

    #[test]
    fn questions_come_back_as_they_were_and_nothing_less_is_one() {
        for question in QUESTIONS() {
            let mut data = Vec::new();
            question.put(&mut data);
            let mut from = Reader::new(&data);
            assert_eq!((Question::get(&mut from), from.end()), (Ok(question), Ok(())));
            for n in 0..data.len() {
                assert!(Question::get(&mut Reader::new(&data[..n])).is_err(), "{question:?} {n}");
            }
        }
        assert!(Question::get(&mut Reader::new(&[9])).is_err());
    }

    fn text(text: &str) -> Bytes {
        Bytes::from(text)
    }

    #[test]
    fn answers_come_back_as_they_were() {
        let choice = Choice { process_group: Some(text("")), application_group: None, callable: Some(text("other")) };
        for answer in [
            Answer::Unknown,
            Answer::No,
            Answer::Yes,
            Answer::Text(text("naïve")),
            Answer::Groups(vec![]),
            Answer::Groups(vec![text("a"), text("")]),
            Answer::Choice(choice),
        ] {
            let data = answer.to_bytes();
            assert_eq!(Answer::from_bytes(&data), Ok(answer));
            for n in 0..data.len() {
                assert!(Answer::from_bytes(&data[..n]).is_err());
            }
        }
    }

    #[test]
    fn what_no_script_may_answer_is_refused() {
        let long = Bytes(vec![b'x'; limits::ANSWERED_TEXT + 1]);
        let choice = Choice { process_group: None, application_group: None, callable: Some(long.clone()) };
        for (answer, why) in [
            (Answer::Text(text("")), AnswerError::Empty),
            (Answer::Text(long.clone()), AnswerError::Long(limits::ANSWERED_TEXT)),
            (Answer::Text(text("root\0")), AnswerError::Control),
            (Answer::Text(text("a\r\nX: y")), AnswerError::Control),
            (Answer::Groups(vec![text("a\0b")]), AnswerError::Control),
            (Answer::Groups(vec![Bytes::default(); limits::USER_GROUPS + 1]), AnswerError::Many),
            (Answer::Groups(vec![Bytes(vec![b'x'; limits::ANSWERED_TEXT]); limits::USER_GROUPS]), AnswerError::Many),
            (Answer::Choice(choice), AnswerError::Long(limits::ANSWERED_TEXT)),
        ] {
            assert_eq!(answer.check(), Err(why));
            assert_eq!(Answer::from_bytes(&answer.to_bytes()), Err(DecodeError::Answer));
        }
        assert!(Answer::from_bytes(&[6]).is_err());
    }

    #[test]
    fn each_question_has_its_answers() {
        let about = |answer: Answer| {
            let topics = [Topic::Access, Topic::Password, Topic::RealmHash, Topic::Groups, Topic::Dispatch];
            topics.map(|topic| answer.is_about(topic))
        };
        let choice = Choice { process_group: None, application_group: None, callable: None };
        assert_eq!(about(Answer::Yes), [true, true, false, false, false]);
        assert_eq!(about(Answer::No), [true, true, false, false, false]);
        assert_eq!(about(Answer::Unknown), [true, true, true, false, false]);
        assert_eq!(about(Answer::Text(text("x"))), [false, true, true, false, false]);
        assert_eq!(about(Answer::Groups(vec![])), [false, false, false, true, false]);
        assert_eq!(about(Answer::Choice(choice)), [false, false, false, false, true]);
    }
}
