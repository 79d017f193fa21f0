//! The rooms of each crate, from top to bottom: a room is a module of the crate's root and all that is in it, and uses
//! only rooms below it. Inside a crate no modules import each other in a circle. `docs/architecture.md` says what each
//! room is for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use harness::repository;

use crate::rust;

/// The order of a crate's rooms.
struct House {
    /// The directory of its sources.
    directory: &'static str,
    /// Its rooms from top to bottom.
    rooms: &'static [&'static str],
}

const HOUSES: &[House] = &[
    House {
        directory: "src",
        rooms: &[
            "fuzz",
            "module",
            "lifecycle",
            "request",
            "pump",
            "status",
            "daemons",
            "embedded",
            "directives",
            "httpd",
            "relay",
            "policy",
        ],
    },
    House {
        directory: "wire/src",
        rooms: &[
            "fuzz",
            "instructions",
            "embedded",
            "scoreboard",
            "export",
            "status",
            "table",
            "recorder",
            "report",
            "text",
            "json",
            "lines",
            "request",
            "question",
            "websocket",
            "response",
            "control",
            "settings",
            "messages",
            "message",
            "record",
            "header",
            "environment",
            "scope",
            "names",
            "interface",
            "python",
            "frame",
            "codec",
            "pieces",
            "ring",
            "budget",
            "descriptors",
            "limits",
            "atomic",
        ],
    },
    House {
        directory: "unix/src",
        rooms: &[
            "files",
            "user_space",
            "user",
            "kept_memory",
            "memory_file",
            "shared_memory",
            "process",
            "fork",
            "stack",
            "sys",
        ],
    },
    House {
        directory: "websocket/src",
        rooms: &["fuzz", "session", "reader", "handshake", "extension", "deflate", "frame", "close", "text"],
    },
    House {
        directory: "engine/src",
        rooms: &[
            "fuzz",
            "entry",
            "embedded",
            "daemon",
            "asgi",
            "workers",
            "life",
            "interpreters",
            "gateway",
            "api",
            "request",
            "telemetry",
            "interpreter",
            "process",
            "log",
            "metrics",
            "ffi",
            "moments",
        ],
    },
    House {
        directory: "supervisor/src",
        rooms: &[
            "fuzz",
            "supervisor",
            "telemetry",
            "exporter",
            "administration",
            "apache",
            "fleet",
            "notify",
            "orphans",
            "process",
            "output",
            "group_history",
            "backoff",
            "configuration",
            "lifecycle",
            "listener",
            "privileges",
            "leftovers",
            "memory",
            "log",
            "outbox",
            "channel",
            "signals",
            "sys",
        ],
    },
    House { directory: "apxs/src", rooms: &["server", "headers", "query", "program", "version", "error"] },
    House {
        directory: "httpd-conf/src",
        rooms: &[
            "fuzz",
            "server",
            "sites",
            "proxy",
            "tls",
            "wsgi",
            "content",
            "access",
            "connection",
            "logs",
            "workers",
            "block",
            "arg",
        ],
    },
    House {
        directory: "express/src",
        rooms: &[
            "server",
            "not_unix",
            "error",
            "banner",
            "systemd",
            "check",
            "preflight",
            "files",
            "self_signed",
            "run",
            "trial",
            "advice",
            "probe",
            "documents",
            "reference",
            "cli",
            "help",
            "layers",
            "restart",
            "status",
            "administration",
            "finding",
            "saying",
            "sockets",
            "plan",
            "module",
            "options",
            "facts",
            "expand",
        ],
    },
];

/// The path of a module from the root of its crate: `["request", "body"]`.
type Module = Vec<String>;

/// Which module uses which others.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

/// The module that a file is.
fn module_of(file: &Path) -> Module {
    let mut path: Module = file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| matches!(&**last, "mod" | "lib" | "main")) {
        path.pop();
    }
    path
}

/// The code of a file as one line for each token, without comments and without the tests, which stand at its end.
fn tokens(text: &str) -> Vec<String> {
    let tests = ["#[cfg(test)]\nmod tests {", "#[cfg(all(loom, test))]\nmod loom_tests {"];
    let end = tests.iter().filter_map(|start| text.find(start)).min().unwrap_or(text.len());
    let code = &text[..end];
    let (mut found, mut word) = (Vec::new(), String::new());
    for line in code.lines().map(|line| line.split("//").next().unwrap_or_default()) {
        for character in line.chars().chain(['\n']) {
            if character.is_alphanumeric() || character == '_' {
                word.push(character);
                continue;
            }
            if !word.is_empty() {
                found.push(std::mem::take(&mut word));
            }
            match (character, found.last_mut()) {
                (':', Some(last)) if last == ":" => last.push(':'),
                (character, _) if !character.is_whitespace() => found.push(character.to_string()),
                _ => {}
            }
        }
    }
    found
}

/// All paths that begin here, braces taken apart, and how many tokens they take; each with the name that it gives to
/// what it leads to.
fn paths(tokens: &[String], before: &[String]) -> (Vec<(Module, String)>, usize) {
    let (mut path, mut at) = (before.to_vec(), 0);
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                let mut all = Vec::new();
                at += 1;
                while let Some(token) = tokens.get(at).filter(|token| *token != "}") {
                    if token == "," {
                        at += 1;
                        continue;
                    }
                    let (some, taken) = paths(&tokens[at..], &path);
                    all.extend(some);
                    at += taken.max(1);
                }
                return (all, at + 1);
            }
            Some("self") if !path.is_empty() => at += 1,
            Some(word) if word.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                path.push(word.to_owned());
                at += 1;
            }
            _ => {}
        }
        match tokens.get(at).map(String::as_str) {
            Some("::") => at += 1,
            Some("as") => {
                let name = tokens.get(at + 1).cloned().unwrap_or_default();
                return (vec![(path, name)], at + 2);
            }
            _ => {
                let name = path.last().cloned().unwrap_or_default();
                return (vec![(path, name)], at);
            }
        }
    }
}

/// The module that a path leads into: its longest beginning that is one. `None`: it leads out of the crate.
fn target(path: &[String], here: &Module, names: &BTreeMap<String, Module>, all: &BTreeSet<Module>) -> Option<Module> {
    let (mut from, mut rest) = match path.first().map(String::as_str)? {
        "crate" => (Module::new(), &path[1..]),
        "self" => (here.clone(), &path[1..]),
        "super" => (here[..here.len().saturating_sub(1)].to_vec(), &path[1..]),
        first => match names.get(first) {
            Some(module) => (module.clone(), &path[1..]),
            None => (all.get(&[&here[..], &path[..1]].concat())?.clone(), &path[1..]),
        },
    };
    while rest.first().is_some_and(|word| word == "super") {
        from.pop();
        rest = &rest[1..];
    }
    for word in rest {
        let deeper = [&from[..], std::slice::from_ref(word)].concat();
        if !all.contains(&deeper) {
            break;
        }
        from = deeper;
    }
    Some(from)
}

/// What one module imports, or names by a path.
fn imports_of(here: &Module, text: &str, all: &BTreeSet<Module>) -> BTreeSet<Module> {
    let (tokens, mut names, mut found) = (tokens(text), BTreeMap::new(), BTreeSet::new());
    let mut at = 0;
    while at < tokens.len() {
        let is_use = tokens[at] == "use";
        let begins =
            is_use || tokens.get(at + 1).is_some_and(|next| next == "::") && (at == 0 || tokens[at - 1] != "::");
        if !begins {
            at += 1;
            continue;
        }
        at += usize::from(is_use);
        let (some, taken) = paths(&tokens[at..], &[]);
        for (path, name) in some {
            let Some(module) = target(&path, here, &names, all) else { continue };
            let is_module = is_use && module.last() == path.last().filter(|last| *last != "crate");
            if is_module {
                names.insert(name, module.clone());
            }
            if module != *here {
                found.insert(module);
            }
        }
        // What is in brackets after a path has paths of its own.
        at += if is_use { taken } else { taken.max(1) };
    }
    found
}

/// The imports of a crate.
fn imports(directory: &str) -> Imports {
    let files: Vec<(Module, String)> = rust(&[directory])
        .into_iter()
        .map(|(path, text)| (module_of(path.strip_prefix(directory).unwrap_or(&path)), text))
        .collect();
    let all: BTreeSet<Module> = files.iter().map(|(module, _)| module.clone()).collect();
    let mut imports = Imports::new();
    for (module, text) in files {
        let found = imports_of(&module, &text, &all);
        imports.entry(module).or_default().extend(found);
    }
    imports
}

/// What can be reached from a module by its imports.
fn reach(imports: &Imports, from: &Module) -> BTreeSet<Module> {
    let (mut reached, mut waiting) = (BTreeSet::new(), vec![from]);
    while let Some(module) = waiting.pop() {
        for next in imports.get(module).into_iter().flatten() {
            if reached.insert(next.clone()) {
                waiting.push(next);
            }
        }
    }
    reached
}

/// The circles of modules that import each other.
fn circles(imports: &Imports) -> BTreeSet<BTreeSet<Module>> {
    let reached: BTreeMap<&Module, BTreeSet<Module>> =
        imports.keys().map(|module| (module, reach(imports, module))).collect();
    let circle = |module: &Module| {
        let back = |other: &&Module| reached.get(*other).is_some_and(|reached| reached.contains(module));
        reached[module].iter().filter(back).cloned().collect::<BTreeSet<_>>()
    };
    imports.keys().filter(|module| reached[module].contains(*module)).map(circle).collect()
}

fn show(module: &Module) -> String {
    if module.is_empty() { "the root".to_owned() } else { module.join("::") }
}

#[test]
fn a_room_uses_only_rooms_below_it() {
    for house in HOUSES {
        let place = |module: &Module| {
            let room = module.first()?;
            let place = house.rooms.iter().position(|known| known == room);
            Some(place.unwrap_or_else(|| panic!("the room '{room}' of {} has no place in the order", house.directory)))
        };
        let imports = imports(house.directory);
        let mut upward = Vec::new();
        for (module, used) in &imports {
            let up = used.iter().filter(|used| place(module).zip(place(used)).is_some_and(|(from, to)| to < from));
            upward.extend(up.map(|used| format!("{} uses {}", show(module), show(used))));
        }
        assert!(upward.is_empty(), "{}, upward:\n{}", house.directory, upward.join("\n"));
    }
}

/// A room is a directory; that of a crate is its root.
#[test]
fn each_room_says_what_it_knows_and_what_it_must_not_know() {
    let wrong = HOUSES.iter().flat_map(|house| rust(&[house.directory])).filter(|(path, text)| {
        let name = path.file_name().unwrap_or_default();
        // The program of a library is one call of it.
        let is_root =
            name == "lib.rs" || name == "main.rs" && !repository().join(path).with_file_name("lib.rs").exists();
        let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let says = |words: [&str; 2]| words.iter().any(|word| head.contains(word));
        (is_root || name == "mod.rs") && !(says(["Knows", "knows"]) && says(["Must not", "must not"]))
    });
    let wrong: Vec<_> = wrong.map(|(path, _)| path).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_page_about_the_architecture_names_every_room() {
    // Rooms that stand beside the order, in every crate.
    const BESIDE: [&str; 3] = ["fuzz", "instructions", "reference"];
    let page = std::fs::read_to_string(repository().join("docs/architecture.md")).expect("the page");
    for house in HOUSES {
        // A crate has a row, or a table of its own whose head names it.
        let begin = page.find(&format!("`{}` |", house.directory)).unwrap_or_else(|| panic!("{}", house.directory));
        let row = page[begin..].lines().next().unwrap_or_default();
        let rows = page[begin..].split("\n\n").next().unwrap_or_default();
        let text = if row.contains('·') { row } else { rows };
        let is_named =
            |room: &&&str| [format!("`{room}/`"), format!("`{room}.rs`")].iter().any(|name| text.contains(name));
        let unnamed: Vec<_> = house.rooms.iter().filter(|room| !BESIDE.contains(room) && !is_named(room)).collect();
        assert!(unnamed.is_empty(), "{}: {unnamed:?}", house.directory);
    }
}

/// What has no rooms, but no circles either.
const TESTS: [&str; 8] = [
    "tests/harness",
    "tests/architecture",
    "tests/httpd",
    "tests/express",
    "tests/django",
    "tests/security",
    "tests/panics",
    "engine/tests/daemon",
];

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let (mut count, mut wrong) = (0, Vec::new());
    for directory in HOUSES.iter().map(|house| house.directory).chain(TESTS) {
        let circles = circles(&imports(directory));
        count += circles.len();
        let names = |circle: &BTreeSet<Module>| circle.iter().map(show).collect::<Vec<_>>().join(", ");
        wrong.extend(circles.iter().map(|circle| format!("{directory}: {}", names(circle))));
    }
    assert_eq!(count, 0, "circles of modules:\n{}", wrong.join("\n"));
    println!("circles of modules: {count}");
}

#[test]
fn imports_are_found_however_they_are_written() {
    let all: BTreeSet<Module> =
        ["a", "a b", "a b c", "d", "e"].iter().map(|path| path.split(' ').map(str::to_owned).collect()).collect();
    let found = |here: &str, text: &str| {
        let here: Module = here.split(' ').map(str::to_owned).collect();
        imports_of(&here, text, &all).iter().map(show).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found("e", "use crate::a::b::{self, c::Thing};\nuse std::fmt;"), "a::b a::b::c");
    assert_eq!(found("e", "use crate::{a::Thing, d as other};\nfn f() { other::g() }"), "a d");
    assert_eq!(found("e", "use crate::a;\nfn f() { a::b::c::g(crate::d::H) }"), "a a::b::c d");
    assert_eq!(found("a b", "use super::Thing;\nfn f(x: c::X) {}"), "a a::b::c");
    assert_eq!(found("a b c", "use super::super::Thing; // crate::d"), "a");
    assert_eq!(found("a", "use self::b::X;\n#[cfg(test)]\nmod tests {\n    use crate::d::X;\n}"), "a::b");
}
