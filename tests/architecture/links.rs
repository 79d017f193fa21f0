//! Links between the pages of the documentation.

use std::fs;
use std::path::{Path, PathBuf};

use harness::repository;

/// The pages: those of the top level, and what is below `docs`.
fn pages() -> Vec<PathBuf> {
    let mut directories = vec![repository().join("docs")];
    let in_directory = |directory: &Path| {
        fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let mut found: Vec<_> = in_directory(&repository()).into_iter().filter(is_page).collect();
    while let Some(directory) = directories.pop() {
        let (more, files): (Vec<_>, Vec<_>) = in_directory(&directory).into_iter().partition(|path| path.is_dir());
        directories.extend(more);
        found.extend(files.into_iter().filter(is_page));
    }
    found
}

/// Lines outside blocks of code, without what is code in them.
fn text(page: &str) -> impl Iterator<Item = String> {
    let mut is_code = false;
    let lines = page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.map(|line| line.split('`').step_by(2).collect())
}

/// The targets of the links in a line.
fn targets(line: &str) -> Vec<String> {
    line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// The names by which a page's headings are found, as they are made of the words where Markdown is shown.
fn anchors(page: &str) -> Vec<String> {
    let heading = |line: &str| line.starts_with('#').then(|| line.trim_start_matches('#').trim().to_lowercase());
    let headings = page.lines().filter_map(heading);
    let name = |words: String| {
        let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(name).collect()
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let mut dead = Vec::new();
    for path in pages() {
        let page = fs::read_to_string(&path).expect("a page");
        for target in text(&page).flat_map(|line| targets(&line)).filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            let leads = match fs::read_to_string(&file) {
                Ok(page) => anchor.is_empty() || anchors(&page).iter().any(|name| name == anchor),
                Err(_) => anchor.is_empty() && file.exists(),
            };
            if !leads {
                dead.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "links that lead nowhere:\n{}", dead.join("\n"));
}

#[test]
fn every_picture_that_is_drawn_of_text_is_of_that_text() {
    let directory = repository().join("docs/images");
    let texts = fs::read_dir(&directory).expect("pictures").flatten().map(|entry| entry.path());
    let mut drawn = 0;
    for path in texts.filter(|path| path.extension().is_some_and(|extension| extension == "dot")) {
        let text = fs::read_to_string(&path).expect("a text");
        let picture =
            fs::read_to_string(path.with_extension("svg")).expect("its picture: make diagrams").replace("&#45;", "-");
        for label in text.split("label=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            for line in label.split("\\n") {
                assert!(
                    picture.contains(&format!(">{line}<")),
                    "{}: {line:?} is missing: make diagrams",
                    path.display()
                );
            }
        }
        drawn += 1;
    }
    assert!(drawn > 0, "{}", directory.display());
}
