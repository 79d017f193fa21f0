//! A configuration as Apache has read it: what `httpd -t -D DUMP_CONFIG` prints, as a tree.

/// One directive or section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directive {
    /// The name of the directive; of a section without the angle bracket.
    pub name: String,
    /// The words behind the name.
    pub words: Vec<String>,
    /// The file that it stands in.
    pub file: String,
    /// The line in that file.
    pub line: u32,
    /// The directives in the section.
    pub inside: Vec<Directive>,
}

impl Directive {
    /// Whether the directive has this name; the case does not matter.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The word with this number, counted from 0.
    pub fn word(&self, number: usize) -> Option<&str> {
        self.words.get(number).map(String::as_str)
    }

    /// The value of an option `name=value` among its words.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.words.iter().find_map(|word| {
            word.split_once('=').filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        })
    }

    /// The place of the directive, for people.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

/// Reads the output of the dump. Lines of other kinds are left out.
pub fn read(text: &str) -> Vec<Directive> {
    let mut open: Vec<Directive> = vec![Directive::default()];
    let (mut file, mut line) = (String::new(), 0);
    for row in text.lines().map(str::trim) {
        if let Some(comment) = row.strip_prefix('#') {
            let comment = comment.trim();
            if let Some(path) = comment.strip_prefix("In file:") {
                path.trim().clone_into(&mut file);
            } else if let Some(number) = comment.strip_suffix(':').and_then(|number| number.parse().ok()) {
                line = number;
            }
        } else if row.starts_with("</") {
            if open.len() > 1 {
                close(&mut open);
            }
        } else if let Some(section) = row.strip_prefix('<') {
            open.push(directive(section.strip_suffix('>').unwrap_or(section), &file, line));
        } else if row.starts_with(|c: char| c.is_ascii_alphabetic()) && line > 0 {
            if let Some(section) = open.last_mut() {
                section.inside.push(directive(row, &file, line));
            }
        }
    }
    while open.len() > 1 {
        close(&mut open);
    }
    open.pop().map(|root| root.inside).unwrap_or_default()
}

fn close(open: &mut Vec<Directive>) {
    if let (Some(section), Some(around)) = (open.pop(), open.last_mut()) {
        around.inside.push(section);
    }
}

fn directive(text: &str, file: &str, line: u32) -> Directive {
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    Directive { name: name.to_owned(), words: words(rest), file: file.to_owned(), line, inside: Vec::new() }
}

/// Splits a line into words: quotes hold blanks together, also within a word, as in `home="/a b"`.
fn words(text: &str) -> Vec<String> {
    let (mut found, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', Some(end)) if letters.peek().is_some_and(|next| *next == end || *next == '\\') => {
                word.extend(letters.next());
            }
            (letter, Some(end)) if letter == end => quote = None,
            ('"' | '\'', None) => (quote, begun) = (Some(letter), true),
            (letter, None) if letter.is_whitespace() => {
                if begun {
                    found.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (letter, _) => {
                word.push(letter);
                begun = true;
            }
        }
    }
    found.extend(begun.then_some(word));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_a_tree() {
        let tree = read(
            "# In file: /a.conf\n#   7:\nWSGIDaemonProcess a home=\"/x y\"\n#  10:\n<VirtualHost *:80>\n  #  13:\n  <Directory \"/tmp/x\">\n    #  14:\n    WSGIProcessGroup a\n  </Directory>\n</VirtualHost>\nLoaded Modules:\n",
        );
        assert_eq!(tree[0].words, ["a", "home=/x y"]);
        assert_eq!((tree[0].option("HOME"), tree[0].place().as_str()), (Some("/x y"), "/a.conf:7"));
        let directory = &tree[1].inside[0];
        assert!(tree[1].is("virtualhost") && directory.words == ["/tmp/x"]);
        assert_eq!((directory.inside[0].line, directory.inside[0].word(0)), (14, Some("a")));
    }

    #[test]
    fn words_are_those_of_apache() {
        assert_eq!(words(r#"a "b c" 'd "e' "f\"g" "" h"#), ["a", "b c", "d \"e", "f\"g", "", "h"]);
    }
}
