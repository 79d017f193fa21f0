//! `--acme-domain`: certificates of an authority that speaks ACME.

use crate::authority::{Authority, text};
use harness::{Express, cannot_run, eventually, free_port};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(180);

/// A program that ends with this.
struct Running(Child);

impl Running {
    fn start(directory: &Path, words: &[&str]) -> Option<Self> {
        let log = std::fs::File::create(directory.join(format!("{}.log", words[0]))).expect("a log");
        Command::new(words[0])
            .args(&words[1..])
            .current_dir(directory)
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .ok()
            .map(Self)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_authority_certifies_the_site_which_then_uses_the_certificate() {
    let case = "an_authority_certifies_the_site_which_then_uses_the_certificate";
    let Some(authority) = Authority::new() else { return cannot_run(case, "no openssl or curl") };
    let directory = authority.directory.path().to_owned();
    let [http, https, acme, management, names] = [(); 5].map(|()| free_port());
    authority.openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout acme.key -out acme.crt -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost",
    );
    let settings = serde_json::json!({"pebble": {
        "listenAddress": format!("127.0.0.1:{acme}"), "managementListenAddress": format!("127.0.0.1:{management}"),
        "certificate": "acme.crt", "privateKey": "acme.key", "httpPort": http, "tlsPort": https,
    }});
    authority.directory.write("pebble.json", settings.to_string());
    let (names, empty) = (format!("127.0.0.1:{names}"), "");
    let resolver = ["pebble-challtestsrv", "-defaultIPv6", empty, "-dns01", &names, "-http01", empty];
    let resolver = [&resolver[..], &["-https01", empty, "-tlsalpn01", empty, "-management", empty]].concat();
    let programs = (
        Running::start(&directory, &resolver),
        Running::start(&directory, &["pebble", "-config", "pebble.json", "-dnsserver", &names]),
    );
    let (Some(_resolver), Some(_pebble)) = programs else {
        return cannot_run(case, "there is no pebble, the ACME server for tests");
    };

    let (https_port, url) = (https.to_string(), format!("https://localhost:{acme}/dir"));
    let words = ["start-server", "app.wsgi", "--https-port", &https_port, "--acme-domain", "shop.example"];
    let words = [&words[..], &["--acme-domain", "www.shop.example", "--acme-email", "admin@shop.example"]].concat();
    let words = [&words[..], &["--acme-directory", &url, "--acme-ca-file", "acme.crt"]].concat();
    let server = Express::new(&words).within(&directory).as_ordinary_user().on_port(http).start();

    let issuer = |name: &str| text(&authority.get_of(name, https, "/?1", &["-k", "-v"]));
    let certified = || issuer("shop.example").contains("CN=Pebble Intermediate CA").then_some(());
    assert!(eventually(DEADLINE, certified).is_some(), "{}\n{}", issuer("shop.example"), server.console.text());
    let www = issuer("www.shop.example");
    assert!(www.contains("CN=Pebble Intermediate CA") && www.contains("200 OK"), "{www}");
    // Names that are not the site's get a certificate of nobody, and no answer of the application.
    let other = issuer("other.example");
    assert!(!other.contains("Pebble") && other.contains("403 Forbidden"), "{other}");
}
