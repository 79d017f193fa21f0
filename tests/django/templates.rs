//! The page of templates for other frameworks: each section is typed as it stands, with the real package.

use std::process::Command;

use crate::pages::{Block, add, blocks_of, typed};
use harness::{ORDINARY_USER, Scratch, Site, is_root, product, repository};

const PAGE: &str = "docs/frameworks.md";

/// Odoo is in no package index. This has the parts of it that the page names, and is as Odoo made of Werkzeug.
const ODOO: [(&str, &str); 4] = [
    ("odoo/__init__.py", "from . import http, service, tools\n"),
    ("odoo/tools/__init__.py", "class config:\n    parse_config = staticmethod(lambda words: None)\n"),
    (
        "odoo/service/__init__.py",
        "import types\nserver = types.SimpleNamespace(load_server_wide_modules=lambda: None)\n",
    ),
    (
        "odoo/http.py",
        "from werkzeug.wrappers import Request, Response\n@Request.application\ndef root(request):\n    return Response('Hello from Odoo')\n",
    ),
];

/// Types what prepares a site, to its end.
fn prepared(text: &str, directory: &Scratch) {
    let programs = product().program("python").parent().expect("a directory").display().to_string();
    let path = format!("{programs}:{}", std::env::var("PATH").expect("a path"));
    let done =
        Command::new("sh").args(["-ec", text]).current_dir(directory.path()).env("PATH", path).output().expect("sh");
    assert!(done.status.success(), "{text}: {}", String::from_utf8_lossy(&[done.stdout, done.stderr].concat()));
}

/// Follows a section of the page; the page at `/` has `expected`.
fn follow(section: &str, expected: &str) {
    let page = std::fs::read_to_string(repository().join(PAGE)).expect("a page");
    let all = page.split("\n## ").skip(1);
    let text = all.filter(|text| text.starts_with(section)).collect::<String>();
    let directory = Scratch::new();
    if section == "Odoo" {
        ODOO.iter().for_each(|(name, text)| drop(directory.write(name, text)));
    }
    let mut servers = 0;
    for block in blocks_of(PAGE, &text) {
        match block {
            Block::File { name, text } => add(&directory, &name, &text),
            Block::Shell(text) if text.contains("start-server") || text.contains("runmodwsgi") => {
                if is_root() {
                    directory.give_to(ORDINARY_USER);
                }
                let server = typed(&text, directory.path()).start_as_it_is();
                let answer = server.get("/");
                assert!(answer.status == 200 && answer.text().contains(expected), "{section}: {answer:?}");
                servers += 1;
            }
            Block::Shell(text) => prepared(&text, &directory),
            Block::Apache(text) => panic!("{section}: {text}"),
        }
    }
    assert_eq!(servers, 1, "{section}: some blocks were not found");
}

#[test]
fn each_section_is_followed() {
    let page = std::fs::read_to_string(repository().join(PAGE)).expect("a page");
    let sections: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")?.split(' ').next()).collect();
    assert_eq!(sections, ["FastAPI", "Starlette", "Pyramid", "Bottle", "Wagtail", "Odoo", "Trac"]);
}

#[test]
fn fastapi() {
    follow("FastAPI", r#"{"hello":"FastAPI"}"#);
}

#[test]
fn starlette() {
    follow("Starlette", "Hello from Starlette");
}

#[test]
fn pyramid() {
    follow("Pyramid", "Hello from Pyramid");
}

#[test]
fn bottle() {
    follow("Bottle", "Hello from Bottle");
}

#[test]
fn wagtail() {
    follow("Wagtail", "Welcome to your new Wagtail site");
}

#[test]
fn what_has_a_server_of_its_own() {
    follow("Odoo", "Hello from Odoo");
}

#[test]
fn trac() {
    follow("Trac", "Trac");
}
