//! Every directive shown to httpd: in the right and the wrong places, with what it takes and what it refuses.
//! `tests/directives.txt` has the lines; the unit tests of `src/directives` read it, too.

use harness::{Builder, Httpd, Site};

/// Where a directive can be written, with what is around it there.
const SECTIONS: [(&str, &str); 4] = [
    ("the main server", "{line}"),
    ("a virtual host", "<VirtualHost *:{port}>\n{line}\n</VirtualHost>"),
    ("a directory", "<Directory /srv>\n{line}\n</Directory>"),
    ("a location of a virtual host", "<VirtualHost *:{port}>\n<Location /x>\n{line}\n</Location>\n</VirtualHost>"),
];

/// The classes of `AllowOverride` that concern us, and one that does not.
const CLASSES: [&str; 3] = ["FileInfo", "AuthConfig", "Options"];

struct Row {
    name: &'static str,
    place: &'static str,
    taken: Vec<String>,
    refused: Vec<(String, &'static str)>,
}

impl Row {
    /// Whether the directive may stand in each of [`SECTIONS`].
    fn allowed(&self) -> [bool; 4] {
        match self.place {
            "global" => [true, false, false, false],
            "server" => [true, true, false, false],
            "AuthConfig" => [false, false, true, true],
            _ => [true; 4],
        }
    }

    /// The name as it stands in a directory's name.
    fn plain_name(&self) -> &'static str {
        self.name.trim_start_matches('<')
    }
}

fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut lines = include_str!("../directives.txt").lines();
    while let Some(line) = lines.next() {
        if let Some((name, place)) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')?.split_once(' ')) {
            rows.push(Row { name, place, taken: Vec::new(), refused: Vec::new() });
            continue;
        }
        let Some(row) = rows.last_mut() else { continue };
        let written = as_httpd_reads_it(row.name, line.get(2..).unwrap_or_default());
        match line.get(..1) {
            Some("+") => row.taken.push(written),
            Some("-") => row.refused.push((written, lines.next().unwrap_or_default().trim())),
            _ => {}
        }
    }
    rows
}

/// A line, or a section with what stands inside.
fn as_httpd_reads_it(name: &str, arguments: &str) -> String {
    match name.strip_prefix('<') {
        None => format!("{name} {arguments}"),
        Some(section) => format!("{name} {}\n</{section}>", arguments.replace('|', "\n")),
    }
}

/// What `httpd -t` says of a line in one of [`SECTIONS`].
fn check(section: &str, line: &str) -> (bool, String) {
    Httpd::builder().conf(&section.replace("{line}", line)).check()
}

#[test]
fn each_directive_is_refused_in_a_wrong_place_and_with_a_wrong_line() {
    let mut complaints = Vec::new();
    let mut refused = |section: (&str, &str), line: &str, sentences: &[&str]| {
        let (accepted, text) = check(section.1, line);
        if accepted || !sentences.iter().all(|sentence| text.contains(sentence)) {
            complaints.push(format!("{line} in {}, {sentences:?}: {text}", section.0));
        }
    };
    for row in rows() {
        let allowed = row.allowed();
        for (line, sentence) in &row.refused {
            let first = allowed.iter().position(|allowed| *allowed).unwrap_or_default();
            refused(SECTIONS[first], line, &[&format!("{}: ", row.name), sentence, "on line"]);
        }
        for (section, _) in SECTIONS.into_iter().zip(allowed).filter(|(_, allowed)| !allowed) {
            refused(
                section,
                &row.taken[0],
                &[row.name, if section.0 == SECTIONS[0].0 { "not allowed here" } else { "not" }],
            );
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn each_directive_is_taken_where_it_may_stand() {
    for (at, (place, section)) in SECTIONS.into_iter().enumerate() {
        let rows = rows();
        let lines = rows.iter().filter(|row| row.allowed()[at]).flat_map(|row| &row.taken);
        let lines: Vec<&str> = lines.map(String::as_str).collect();
        let (accepted, text) = check(section, &lines.join("\n"));
        assert!(accepted, "{place}: {text}");
    }
}

#[test]
fn an_htaccess_file_has_what_its_class_allows_and_is_told_what_is_wrong() {
    let rows = rows();
    let mut builder = Httpd::builder();
    let with = |builder: Builder, directory: &str, line: &str| {
        let file = format!("htdocs/{directory}/.htaccess");
        builder.file(&file, &format!("{line}\n")).file(&format!("htdocs/{directory}/x.css"), "")
    };
    for class in CLASSES {
        builder = builder.conf(&format!("<Directory {{root}}/htdocs/{class}>\nAllowOverride {class}\n</Directory>"));
        for row in &rows {
            let name = row.plain_name();
            builder = with(builder, &format!("{class}/{name}"), &row.taken[0]);
            if let Some((line, _)) = row.refused.first().filter(|_| row.place == class) {
                builder = with(builder, &format!("{class}/{name}.wrong"), line);
            }
        }
    }
    // The access script of these lines is not there, and lets nobody in.
    let site = builder.expect_log(&["/s.py"]).start();
    let mut complaints = Vec::new();
    for (class, row) in CLASSES.into_iter().flat_map(|class| rows.iter().map(move |row| (class, row))) {
        let directory = format!("{class}/{}", row.plain_name());
        let answer = site.get(&format!("/{directory}/x.css"));
        let not_allowed = format!("{directory}/.htaccess: {} not allowed here", row.name.trim_end_matches('>'));
        let expected = match (row.place == class, row.name) {
            (true, "WSGIAccessScript") => 403,
            (true, _) => 200,
            (false, _) => 500,
        };
        if answer.status != expected || site.log.text().contains(&not_allowed) != (row.place != class) {
            complaints.push(format!("{directory}: {answer:?}"));
        }
        if let Some((line, sentence)) = row.refused.first().filter(|_| row.place == class) {
            let answer = site.get(&format!("/{directory}.wrong/x.css"));
            let said = format!("{directory}.wrong/.htaccess: {}: {sentence}", row.name);
            if answer.status != 500 || !site.log.text().contains(&said) {
                complaints.push(format!("{line}: {answer:?}"));
            }
        }
    }
    assert!(complaints.is_empty(), "{}\n{}", complaints.join("\n"), site.log.text());
    site.finish();
}
