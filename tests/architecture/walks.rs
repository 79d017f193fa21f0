//! The walks of a request in `docs/architecture.md`: each file is where they say, and has what they name.

use std::fs;

use harness::repository;

/// The walks by the words that their headings end with, and the directory that the paths are in.
const WALKS: [(&str, &str); 2] =
    [("A request's walk through the Apache half", "src"), ("A request's walk through the engine", "engine/src")];

/// The code in a text, with what is between one piece and the next.
fn code(text: &str) -> Vec<(&str, &str)> {
    let pieces: Vec<&str> = text.split('`').collect();
    pieces[1..].chunks(2).map(|pair| (pair[0], pair.get(1).copied().unwrap_or_default())).collect()
}

/// What a walk says that is not so.
fn wrong(walk: &str, directory: &str) -> Vec<String> {
    let code = code(walk);
    let mut wrong = Vec::new();
    for (at, (path, behind)) in code.iter().enumerate() {
        if !path.ends_with(".rs") && !path.ends_with(".py") {
            continue;
        }
        let places = [repository().join(directory).join(path), repository().join(path)];
        let Some(text) = places.iter().find_map(|place| fs::read_to_string(place).ok()) else {
            wrong.push(format!("{directory}: there is no {path}"));
            continue;
        };
        let Some((name, _)) = code.get(at + 1).filter(|_| *behind == " ") else { continue };
        let name = name.rsplit("::").next().unwrap_or_default();
        let has = ["fn", "struct", "enum", "trait"].iter().any(|kind| {
            text.split(&format!("{kind} {name}")).skip(1).any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
        });
        if !has {
            wrong.push(format!("{directory}/{path} has no {name}"));
        }
    }
    wrong
}

#[test]
fn the_walks_of_a_request_lead_through_files_that_are_there() {
    let page = fs::read_to_string(repository().join("docs/architecture.md")).expect("the page");
    for (heading, directory) in WALKS {
        let walk = page.split("\n## ").find(|part| part.starts_with(heading)).expect("the walk");
        assert!(code(walk).len() > 20, "{heading}");
        let wrong = wrong(walk, directory);
        assert!(wrong.is_empty(), "docs/architecture.md:\n{}", wrong.join("\n"));
    }
}

#[test]
fn a_walk_that_is_not_so_is_found() {
    let found =
        wrong("1. `lib.rs` and `none.rs`: `handler.rs` `go`, `module/mod.rs` `handler`, `module/mod.rs` `hand`", "src");
    assert_eq!(found, ["src: there is no none.rs", "src: there is no handler.rs", "src/module/mod.rs has no hand"]);
}
