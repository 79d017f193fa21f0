//! What the pages for beginners have people write and type works, block by block: none is left out.

use std::fs;
use std::path::Path;
use std::time::Duration;

use harness::{
    Express, Foreground, Httpd, ORDINARY_USER, Project, Scratch, Site, eventually, free_port, is_root, product,
    repository,
};

/// The sections whose blocks install the product, which `scripts/bare-system` does on systems that have nothing.
const INSTALLATION: [&str; 2] = ["### From a wheel", "### From a checkout"];

/// A block of a page.
pub enum Block {
    /// A file, or lines to be added to one.
    File { name: String, text: String },
    /// What is typed.
    Shell(String),
    /// Apache's configuration.
    Apache(String),
}

/// The blocks of a page in their order, without those that install the product.
pub fn blocks(page: &str) -> Vec<Block> {
    blocks_of(page, &fs::read_to_string(repository().join(page)).expect("a page"))
}

/// The blocks of a part of a page.
pub fn blocks_of(page: &str, text: &str) -> Vec<Block> {
    let (mut found, mut heading, mut named) = (Vec::new(), "", String::new());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with('#') {
            heading = line;
        } else if let Some(language) = line.strip_prefix("```") {
            let text: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            let text = text.join("\n") + "\n";
            found.push(match language {
                "python" | "ini" => Block::File { name: std::mem::take(&mut named), text },
                "apache" => Block::Apache(text),
                other => panic!("{page}: nobody knows what to do with a block of {other:?}"),
            });
        } else if line.starts_with("    ") {
            let mut text = vec![line];
            while let Some(next) = lines.next_if(|line| line.starts_with("    ")) {
                text.push(next);
            }
            let typed: String = text.iter().map(|line| format!("{}\n", line.trim_start())).collect();
            if !INSTALLATION.contains(&heading) {
                found.push(Block::Shell(typed));
            }
        } else if let Some(before) = line.strip_suffix("`:") {
            named = before.rsplit('`').next().unwrap_or_default().to_owned();
        }
    }
    found
}

/// What is typed, by a shell in a directory, by somebody who has activated the virtual environment.
pub fn typed(text: &str, directory: &Path) -> Express {
    let (port, programs) = (free_port(), product().program("python"));
    let path =
        format!("{}:{}", programs.parent().expect("a directory").display(), std::env::var("PATH").expect("a path"));
    // What serves takes the place of the shell, as on a terminal it is what Ctrl-C reaches.
    let serves =
        |line: &str| line.contains("start-server") || line.contains("runmodwsgi") && !line.contains("--setup-only");
    let script: String =
        text.lines().map(|line| format!("{}{line}\n", if serves(line) { "exec " } else { "" })).collect();
    Express::program("sh", &["-ec", &script])
        .within(directory)
        .on_port(port)
        .env("PATH", &path)
        .env("MOD_WSGI_EXPRESS_PORT", &port.to_string())
        .env("MOD_WSGI_EXPRESS_HOST", "127.0.0.1")
        .as_ordinary_user()
}

/// The server that somebody starts by typing this in a directory of theirs.
fn started(text: &str, directory: &Scratch) -> Foreground {
    if is_root() {
        directory.give_to(ORDINARY_USER);
    }
    typed(text, directory.path()).start_as_it_is()
}

#[test]
fn the_quick_start_is_true() {
    let directory = Scratch::new();
    let mut answers = ["Hello from Apache\n", "Hello from Flask\n"].into_iter();
    for block in blocks("docs/quick-start.md") {
        match block {
            Block::File { name, text } => add(&directory, &name, &text),
            Block::Shell(text) => {
                let server = started(&text, &directory);
                assert_eq!(server.get("/").text(), answers.next().expect("as many servers as answers"));
                if text.contains("--url-alias") {
                    assert!(server.get("/static/shop.css").text().contains("teal"));
                }
            }
            Block::Apache(text) => panic!("{text}"),
        }
    }
    assert_eq!(answers.next(), None, "a server that the page does not start any more");
    for section in INSTALLATION {
        let (page, script) = (repository().join("docs/quick-start.md"), repository().join("scripts/bare-system"));
        for file in [page, script] {
            assert!(fs::read_to_string(&file).expect("a file").contains(section), "{}: {section}", file.display());
        }
    }
}

fn serves_the_site(site: &impl Site) {
    assert_eq!(site.get("/admin/login/").status, 200);
    let css = site.get("/static/admin/css/base.css");
    assert!(css.header("server").is_some_and(|server| server.starts_with("Apache")), "{css:?}");
    assert_eq!(css.status, 200);
}

/// Adds a block to its file.
pub fn add(directory: &Scratch, name: &str, text: &str) {
    assert!(name.contains('.'), "{name:?} is no name of a file, for this:\n{text}");
    let former = fs::read_to_string(directory.path().join(name)).unwrap_or_default();
    directory.write(name, former + text);
}

#[test]
fn the_page_about_flask_is_true() {
    let directory = Scratch::new();
    let serves = |site: &dyn Site| {
        assert_eq!(site.get("/").text(), "Hello from Flask\n");
        let css = site.get("/static/shop.css");
        assert!(css.text().contains("teal"), "{css:?}");
    };
    let mut servers = 0;
    for block in blocks("docs/flask.md") {
        match block {
            Block::File { name, text } => add(&directory, &name, &text),
            Block::Shell(text) => {
                let server = started(&text, &directory);
                if text.contains("--reload-on-changes") {
                    server.console.expect(&["Starting change monitor"]);
                }
                serves(&server);
                servers += 1;
            }
            Block::Apache(text) => {
                let text = text.replace("/srv/shop/venv", &product().python("sys.prefix"));
                let site =
                    Httpd::builder().conf(&text.replace("/srv/shop", &directory.path().display().to_string())).start();
                serves(&site);
                site.finish();
                servers += 1;
            }
        }
    }
    assert_eq!(servers, 3, "some blocks were not found");
}

#[test]
fn the_page_about_django_is_true() {
    let project = Project::new();
    let base = project.base();
    let mut servers = 0;
    for block in blocks("docs/django.md") {
        if let Block::Shell(_) = block {
            project.give_away();
        }
        match block {
            Block::File { name, text } => {
                assert_eq!(name, "settings.py");
                project.add_settings(&text);
            }
            // A server root that stays, with its control script.
            Block::Shell(text) if text.contains("apachectl") => {
                let control = typed(&text.replace("/srv/mysite/server", "\"$HOME\"/root"), &base).set_up();
                let listens = || control.listens().then_some(());
                assert!(eventually(Duration::from_secs(20), listens).is_some(), "{}", control.log.text());
                serves_the_site(&control);
                servers += 1;
            }
            Block::Shell(text) => {
                serves_the_site(&typed(&text, &base).start_as_it_is());
                servers += 1;
            }
            Block::Apache(text) => {
                let environment = product().python("sys.prefix");
                let text = text.replace("/srv/mysite/venv", &environment);
                let site = Httpd::builder().conf(&text.replace("/srv/mysite", &base.display().to_string())).start();
                serves_the_site(&site);
                site.finish();
                servers += 1;
            }
        }
    }
    assert!(servers >= 5, "{servers} servers: some blocks were not found");
}
