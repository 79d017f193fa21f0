//! HTTPS of a generated server: what a client sees of certificates, both ways.

use harness::{Express, Foreground, PROBE, Scratch, cannot_run, free_port};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Authorities and certificates made for one test.
struct Authority {
    directory: Scratch,
}

impl Authority {
    /// A root, an intermediate authority below it, and the server's certificate below that; a client's of the root.
    /// `None` where there is no openssl or curl to make and use them.
    fn new() -> Option<Self> {
        let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
        if !has("openssl") || !has("curl") {
            return None;
        }
        let made = Self { directory: Scratch::new() };
        let directory = &made.directory;
        directory.write("app.wsgi", PROBE);
        directory.write("authority.cnf", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n");
        directory.write("server.cnf", "subjectAltName=DNS:shop.example,DNS:www.shop.example\n");
        made.openssl("req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.crt -days 2 -subj /CN=root");
        made.certificate("middle", "root", "authority.cnf");
        made.certificate("shop", "middle", "server.cnf");
        made.certificate("client", "root", "server.cnf");
        Some(made)
    }

    fn certificate(&self, name: &str, by: &str, extensions: &str) {
        self.openssl(&format!("req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {by}.crt -CAkey {by}.key -CAcreateserial -days 2 -extfile {extensions} -out {name}.crt"
        ));
    }

    fn openssl(&self, words: &str) {
        let done = Command::new("openssl").args(words.split(' ')).current_dir(self.directory.path()).output();
        let done = done.expect("openssl runs");
        assert!(done.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// A server with the certificate of `shop`, and its port.
    fn start(&self, words: &[&str]) -> (Foreground, u16) {
        let port = free_port();
        let number = port.to_string();
        let usual = ["start-server", "app.wsgi", "--https-port", &number, "--ssl-certificate", "shop"];
        let words: Vec<_> =
            usual.into_iter().chain(["--server-name", "shop.example"]).chain(words.iter().copied()).collect();
        (Express::new(&words).within(self.directory.path()).start(), port)
    }

    /// What curl, which believes the root, gets: status and body, or how TLS has failed.
    fn get(&self, port: u16, path: &str, words: &[&str]) -> Output {
        self.get_of("shop.example", port, path, words)
    }

    fn get_of(&self, name: &str, port: u16, path: &str, words: &[&str]) -> Output {
        let place = format!("{name}:{port}:127.0.0.1");
        let url = format!("https://{name}:{port}{path}");
        Command::new("curl")
            .args(["-sS", "-g", "-i", "-m", "20", "--noproxy", "*", "--cacert", "root.crt", "--resolve", &place, &url])
            .args(words)
            .current_dir::<&Path>(self.directory.path())
            .output()
            .expect("curl runs")
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_client_that_knows_the_root_alone_needs_the_certificates_between() {
    let Some(authority) = Authority::new() else {
        return cannot_run("a_client_that_knows_the_root_alone_needs_the_certificates_between", "no openssl or curl");
    };
    let (server, port) = authority.start(&[]);
    let refused = authority.get(port, "/?1", &[]);
    assert!(!refused.status.success() && text(&refused).contains("issuer certificate"), "{refused:?}");
    drop(server);
    let (_server, port) = authority.start(&["--ssl-certificate-chain-file", "middle.crt"]);
    let answer = authority.get(port, "/?environ['wsgi.url_scheme']", &[]);
    assert!(text(&answer).contains("200 OK") && text(&answer).ends_with("\"https\""), "{answer:?}");
}

#[test]
fn what_is_below_a_url_needs_a_certificate_of_the_client() {
    let Some(authority) = Authority::new() else {
        return cannot_run("what_is_below_a_url_needs_a_certificate_of_the_client", "no openssl or curl");
    };
    let words = ["--ssl-certificate-chain-file", "middle.crt", "--ssl-ca-certificate-file", "root.crt"];
    let words: Vec<_> = words.into_iter().chain(["--ssl-verify-client", "/private", "--ssl-environment"]).collect();
    let (_server, port) = authority.start(&words);
    let certificate = ["--cert", "client.crt", "--key", "client.key"];
    let status = |path: &str, words: &[&str]| text(&authority.get(port, path, words));
    assert!(status("/public?1", &[]).contains("200 OK"));
    assert!(status("/private?1", &[]).contains("403 Forbidden"));
    let told = status("/private?environ['SSL_CLIENT_S_DN_CN']", &certificate);
    assert!(told.contains("200 OK") && told.ends_with("\"client\""), "{told}");
}

#[test]
fn clients_of_http_are_sent_to_https_which_says_that_it_stays_so() {
    let Some(authority) = Authority::new() else {
        return cannot_run("clients_of_http_are_sent_to_https_which_says_that_it_stays_so", "no openssl or curl");
    };
    let words = ["--ssl-certificate-chain-file", "middle.crt", "--https-only", "--server-alias", "www.shop.example"];
    let words: Vec<_> = words.into_iter().chain(["--hsts-policy", "max-age=600; includeSubDomains"]).collect();
    let (server, port) = authority.start(&words);
    let plain =
        harness::Site::try_request(&server, "GET", "/page", &[("Host", "shop.example")], b"").expect("an answer");
    let to = plain.header("location").unwrap_or_default();
    assert!((300..400).contains(&plain.status) && to == format!("https://shop.example:{port}/page"), "{plain:?}");
    for name in ["shop.example", "www.shop.example"] {
        let answer = text(&authority.get_of(name, port, "/?1", &[]));
        assert!(answer.contains("200 OK"), "{name}: {answer}");
        assert!(answer.contains("Strict-Transport-Security: max-age=600; includeSubDomains"), "{name}: {answer}");
    }
}

#[test]
fn a_certificate_for_development_is_made_once_and_tells_its_fingerprint() {
    let Some(authority) = Authority::new() else {
        return cannot_run(
            "a_certificate_for_development_is_made_once_and_tells_its_fingerprint",
            "no openssl or curl",
        );
    };
    let directory = &authority.directory;
    let root = directory.path().join("dev").display().to_string();
    let start = || {
        let port = free_port();
        let (number, http) = (port.to_string(), free_port());
        let words = ["start-server", "app.wsgi", "--server-root", &root, "--https-port", &number, "--self-signed"];
        let words: Vec<_> = words.into_iter().chain(["--log-to-terminal"]).collect();
        (Express::new(&words).within(directory.path()).on_port(http).with_address().start_as_it_is(), port)
    };
    let told = |server: &Foreground| {
        let text = server.console.wait_for("Certificate        : SHA-256 ");
        text.lines()
            .find_map(|line| line.strip_prefix("Certificate        : ").map(str::to_owned))
            .expect("a fingerprint")
    };
    let (server, port) = start();
    let first = told(&server);
    std::fs::copy(directory.path().join("dev/self-signed.crt"), directory.path().join("root.crt"))
        .expect("its certificate");
    let answer = text(&authority.get_of("localhost", port, "/?environ['wsgi.url_scheme']", &[]));
    assert!(answer.contains("200 OK") && answer.ends_with("\"https\""), "{answer}");
    let key = std::fs::metadata(directory.path().join("dev/self-signed.key")).expect("its key");
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    drop(server);
    let (again, _) = start();
    assert_eq!(told(&again), first);
}
