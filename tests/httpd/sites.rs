//! Virtual hosts as people have them; `tests/sites/README.md` says what their files are.

use harness::{Answer, Builder, Client, Httpd, ORDINARY_USER, Site, free_port, module, product, repository};
use serde_json::Value;
use std::fs;

/// So many sites share a server.
const TOGETHER: usize = 14;

/// Apache's modules that sites need beside those of all tests.
const MODULES: [&str; 13] = [
    "access_compat",
    "actions",
    "auth_basic",
    "authn_file",
    "authz_groupfile",
    "expires",
    "macro",
    "negotiation",
    "proxy",
    "proxy_http",
    "userdir",
    "version",
    "vhost_alias",
];

struct Example {
    name: String,
    conf: String,
    /// Names below the site's directory, and what is in them.
    files: Vec<(String, String)>,
    asks: Vec<Ask>,
    alone: bool,
}

/// One request, and the lines about its answer.
struct Ask {
    method: String,
    host: String,
    path: String,
    headers: Vec<String>,
    body: String,
    expected: Vec<String>,
}

/// What the words in braces stand for.
struct Names {
    root: String,
    port: String,
    other: u16,
    venv: String,
}

impl Names {
    fn put_in(&self, text: &str, site: &str) -> String {
        text.replace("{site}", &format!("{}/sites/{site}", self.root))
            .replace("{port}", &self.port)
            .replace("{other}", &self.other.to_string())
            .replace("{user}", ORDINARY_USER)
            .replace("{venv}", &self.venv)
    }
}

impl Example {
    fn read(name: &str, text: &str, application: &str) -> Self {
        let (conf, rest) = text.split_once("--- files\n").unwrap_or_else(|| panic!("{name}: files"));
        let (files, requests) = rest.split_once("--- requests\n").unwrap_or_else(|| panic!("{name}: requests"));
        let mut read: Vec<(String, String)> = Vec::new();
        for line in files.lines() {
            match (line.split_once(' '), read.last_mut()) {
                (Some(("app", path)), _) => read.push((path.to_owned(), application.to_owned())),
                (Some(("text", path)), _) => read.push((path.to_owned(), String::new())),
                (_, Some((_, text))) => *text += &format!("{}\n", line.strip_prefix("    ").unwrap_or(line)),
                _ => panic!("{name}: {line}"),
            }
        }
        let mut asks: Vec<Ask> = Vec::new();
        for line in requests.lines().filter(|line| !line.is_empty()) {
            let last = asks.last_mut();
            match (line.split_once(' '), last) {
                (Some((">", header)), Some(ask)) => ask.headers.push(header.to_owned()),
                (Some((">>", body)), Some(ask)) => body.clone_into(&mut ask.body),
                (Some(("<" | "<!" | "=" | "=!" | "*" | "~", _)), Some(ask)) => ask.expected.push(line.to_owned()),
                (Some((method, target)), _) => {
                    let (host, path) = target.split_once(' ').unwrap_or_else(|| panic!("{name}: {line}"));
                    let (method, host, path) = (method.to_owned(), host.to_owned(), path.to_owned());
                    asks.push(Ask {
                        method,
                        host,
                        path,
                        headers: Vec::new(),
                        body: String::new(),
                        expected: Vec::new(),
                    });
                }
                _ => panic!("{name}: {line}"),
            }
        }
        let alone = conf.starts_with("# alone");
        Self { name: name.to_owned(), conf: conf.to_owned(), files: read, asks, alone }
    }

    /// Asks all requests; what is not as expected.
    fn complaints(&self, server: &Httpd, names: &Names) -> Vec<String> {
        let put = |text: &str| names.put_in(text, &self.name);
        let mut complaints = Vec::new();
        for ask in &self.asks {
            let port = if ask.host.ends_with(":{other}") { names.other } else { server.port() };
            let mut client = Client::connect(port);
            let (method, path, host) = (&ask.method, put(&ask.path), put(&ask.host));
            let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
            head.extend(ask.headers.iter().map(|header| format!("{}\r\n", put(header))));
            if !ask.body.is_empty() {
                head += &format!("Content-Length: {}\r\n", ask.body.len());
            }
            let answer = client.send(format!("{head}\r\n{}", ask.body).as_bytes()).and_then(|()| client.answer(method));
            let answer = answer.unwrap_or_else(|error| panic!("{}: {method} {host} {path}: {error}", self.name));
            let wrong = ask.expected.iter().map(|line| put(line)).filter(|line| !holds(line, &answer));
            let wrong: Vec<String> = wrong.map(|line| format!("{line} (is {:?})", told(&line, &answer))).collect();
            if !wrong.is_empty() || ask.expected.is_empty() {
                complaints.push(format!("{}: {method} {host} {path}: {} {wrong:?}", self.name, answer.status));
            }
        }
        complaints
    }
}

/// What the application was told of what a line is about.
fn told(line: &str, answer: &Answer) -> Option<String> {
    let facts: Value = serde_json::from_slice(&answer.body).ok()?;
    Some(facts.get(line.split(' ').nth(1)?)?.as_str()?.to_owned())
}

/// Whether a line about an answer is true.
fn holds(line: &str, answer: &Answer) -> bool {
    let (sign, rest) = line.split_once(' ').unwrap_or_default();
    let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
    let told = told(line, answer);
    match sign {
        "<" => match key.strip_suffix(':') {
            Some(name) => answer.all(name).iter().any(|said| said.contains(value)),
            None => answer.status.to_string() == key,
        },
        "<!" => answer.all(key).is_empty(),
        "=" => told.as_deref() == Some(value),
        "=!" => told.is_none() && answer.body.starts_with(b"{"),
        "*" => told.is_some_and(|told| told.contains(value)),
        _ => answer.text().contains(rest),
    }
}

fn examples() -> Vec<Example> {
    let directory = repository().join("tests/sites");
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let application = read("application.py");
    let entries = fs::read_dir(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".site")?.to_owned())).collect();
    names.sort_unstable();
    names.iter().map(|name| Example::read(name, &read(&format!("{name}.site")), &application)).collect()
}

/// One server with these sites: their complaints.
fn served(sites: &[&Example]) -> Vec<String> {
    let (other, venv) = (free_port(), product().python("sys.prefix"));
    let mut builder: Builder = Httpd::builder();
    for name in MODULES {
        // One that is compiled in has no file.
        if let Some(file) = module(name) {
            builder = builder.conf(&format!("LoadModule {name}_module {}", file.display()));
        }
    }
    // The first host of each port is the one of names that nobody has.
    builder = builder.conf(&format!("Listen 127.0.0.1:{other}"));
    if !sites.iter().any(|site| site.alone) {
        builder = builder.conf("<VirtualHost *:{port}>\nServerName nobody.example\n</VirtualHost>");
    }
    for site in sites {
        let announced = site.conf.lines().filter_map(|line| line.trim().strip_prefix("# log: "));
        builder = builder.expect_log(&announced.collect::<Vec<&str>>());
        // The harness knows these two.
        let (root, port) = ("{root}".to_owned(), "{port}".to_owned());
        let names = Names { root, port, other, venv: venv.clone() };
        let put = |text: &str| names.put_in(text, &site.name);
        builder = builder.conf(&put(&site.conf));
        for (file, text) in &site.files {
            builder = builder.file(&format!("sites/{}/{file}", site.name), &put(text));
        }
    }
    let server = builder.start();
    let names = Names { root: server.root().display().to_string(), port: server.port().to_string(), other, venv };
    let complaints: Vec<String> = sites.iter().flat_map(|site| site.complaints(&server, &names)).collect();
    // Also where what the server leaves behind fails the test.
    complaints.iter().for_each(|complaint| eprintln!("{complaint}\n"));
    server.finish();
    complaints
}

#[test]
fn virtual_hosts_as_people_have_them_answer_as_they_always_have() {
    let examples = examples();
    assert!(examples.len() >= 40, "{}", examples.len());
    let (alone, together): (Vec<&Example>, Vec<&Example>) = examples.iter().partition(|site| site.alone);
    let mut complaints: Vec<String> = together.chunks(TOGETHER).flat_map(served).collect();
    complaints.extend(alone.iter().flat_map(|site| served(&[site])));
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}
