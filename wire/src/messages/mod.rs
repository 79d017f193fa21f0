//! The messages that our programs log at `notice` and above: one table, in which each message has a number that stays
//! its own for ever. A record begins with it (`WSGI1000: …`), `docs/messages.md` is made of the table, and a reader of
//! a log can look the number up.
//!
//! A message that mod_wsgi has, too, has its number, below 1000; ours begin at 1000. What an application logs has none.
//!
//! Knows the texts. Must not know when a message is written, nor where to.

pub mod applications;
pub mod configuration;
pub mod internal;
pub mod processes;
pub mod requests;

pub use crate::message::{Message, Topic};

/// The parts of the table, each with its title.
pub const PARTS: [(&str, &[&Message]); 5] = [
    ("Requests that are refused", requests::ALL),
    ("The configuration", configuration::ALL),
    ("Applications and their scripts", applications::ALL),
    ("Daemon processes and their supervisor", processes::ALL),
    ("Limits and faults", internal::ALL),
];

/// The message of a number.
#[must_use]
pub fn numbered(number: u16) -> Option<&'static Message> {
    PARTS.iter().flat_map(|(_, part)| part.iter()).find(|message| message.number == number).copied()
}

/// Makes the page of the documentation about all messages.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Messages\n\nEach record of ours in the error log that is a notice, a warning or worse begins with a number, which stays the same in all versions: \
         look it up here. `{…}` stands for what is different each time. Records without a number are of level info or debug, or an application has \
         written them. Numbers below 1000 are those that mod_wsgi has for the same.\n\nThis page is made of the table in `wire/src/messages`: \
         `UPDATE_MESSAGES=1 cargo test -p wsgi-wire --test messages` writes it anew.\n",
    );
    for (title, part) in PARTS {
        page += &format!("\n## {title}\n");
        for message in part {
            let Message { level, text, cause, cure, .. } = message;
            page += &format!("\n### {message}\n\n`{}`: {text}\n\n*Cause:* {cause}\n\n*Cure:* {cure}\n", level.name());
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Level;

    fn all() -> impl Iterator<Item = &'static Message> {
        PARTS.into_iter().flat_map(|(_, part)| part.iter().copied())
    }

    #[test]
    fn a_number_is_one_messages_and_the_parts_are_in_order() {
        for (title, part) in PARTS {
            assert!(part.windows(2).all(|pair| pair[0].number < pair[1].number), "{title}");
        }
        for message in all() {
            assert_eq!(numbered(message.number), Some(message), "{message} stands twice");
            assert!(message.level <= Level::Notice, "{message} needs no number");
        }
    }

    #[test]
    fn each_message_says_how_it_comes_about_and_what_helps_in_sentences() {
        for message in all() {
            assert!(message.cause.ends_with('.') && message.cure.ends_with('.'), "{message}");
            assert_eq!(message.text.matches('{').count(), message.text.matches('}').count(), "{message}");
            assert!(message.fits(&message.text.replace(['{', '}'], "")), "{message}");
        }
    }

    #[test]
    fn a_record_fits_the_message_that_it_is_and_no_other() {
        let message = &processes::SUPERVISOR_ENDED;
        let said = "the supervisor of the daemon processes (pid 7) was ended by signal: 9 (SIGKILL); starting another";
        assert!(message.fits(said));
        assert!(!message.fits("the supervisor (pid 7) was ended") && !message.fits(""));
        let record = Topic::from(message).titled(said);
        assert!(record.starts_with("WSGI") && record.ends_with("starting another"), "{record}");
        assert_eq!(Topic::INFO.titled("text"), "text");
    }
}
