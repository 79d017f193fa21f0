//! What scripts hear of the encryption of a client's connection.

use harness::{Builder, Httpd, MODES, Scratch, cannot_run, free_port, module};
use std::process::Command;

/// A server with a certificate of its own.
struct Secure {
    port: u16,
    folder: Scratch,
    module: std::path::PathBuf,
}

impl Secure {
    /// `None`, and a word about it, where the machine lacks something.
    fn new(test: &str) -> Option<Self> {
        let Some(module) = module("ssl") else {
            cannot_run(test, "needs mod_ssl");
            return None;
        };
        let folder = Scratch::new();
        let [key, certificate] = ["key.pem", "certificate.pem"].map(|name| folder.path().join(name));
        let words =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
        let mut make = Command::new("openssl");
        make.args(words).args(["-subj", "/CN=secure.example"]).arg("-keyout").arg(key).arg("-out").arg(certificate);
        let made = make.output();
        if !made.is_ok_and(|made| made.status.success()) || Command::new("curl").arg("--version").output().is_err() {
            cannot_run(test, "needs openssl and curl");
            return None;
        }
        Some(Self { port: free_port(), folder, module })
    }

    /// A virtual host that speaks TLS, with these directives in it.
    fn host(&self, builder: Builder, inside: &str) -> Builder {
        let (port, folder) = (self.port, self.folder.path().display());
        builder.conf(&format!(
            "LoadModule ssl_module {}\nListen 127.0.0.1:{port}\nSSLRandomSeed startup builtin\n\
             <VirtualHost *:{port}>\nServerName secure.example\nSSLEngine on\nSSLCertificateFile {folder}/certificate.pem\n\
             SSLCertificateKeyFile {folder}/key.pem\n{inside}\n</VirtualHost>",
            self.module.display(),
        ))
    }

    fn get(&self, path: &str) -> String {
        let asked = Command::new("curl").args(["-sk", &format!("https://127.0.0.1:{}{path}", self.port)]).output();
        String::from_utf8_lossy(&asked.expect("curl runs").stdout).into_owned()
    }
}

#[test]
fn a_script_hears_of_the_tls_connection_wherever_it_runs() {
    const SCRIPT: &str = r#"
def allow_access(environ, host):
    ask = environ["mod_ssl.var_lookup"]
    told = [ask(name) for name in ("SSL_PROTOCOL", "SSL_SERVER_S_DN_CN", "SSL_NOTHING", "HTTPS")]
    if environ["mod_wsgi.process_group"]:
        told += [ask("ENV:PATH"), ask("S" * 1000)]
    print("told", environ["mod_ssl.is_https"](), told, file=environ["wsgi.errors"])
    return told[0].startswith("TLSv1.")
"#;
    for (place, group) in [("", ""), (" process-group=gate", "gate")] {
        let Some(secure) = Secure::new("a_script_hears_of_the_tls_connection_wherever_it_runs") else { return };
        let inside = format!("<Location /page.txt>\nWSGIAccessScript {{apps}}/access.py{place}\n</Location>");
        let builder = Httpd::builder()
            .app("access.py", SCRIPT)
            .file("htdocs/page.txt", "a page")
            .conf("WSGIDaemonProcess gate threads=3");
        let site = secure.host(builder, &inside).expect_log(&["told 1"]).start();
        for _ in 0..3 {
            assert_eq!(secure.get("/page.txt"), "a page", "{place}");
        }
        let log = site.log.wait_for("told 1");
        let more = if group.is_empty() { "" } else { ", None, None" };
        assert!(log.contains(&format!("'secure.example', '', 'on'{more}]")), "{place}: {log}");
        site.finish();
    }
}

#[test]
fn an_application_hears_of_the_tls_connection_at_any_time_of_its_request_in_both_modes() {
    const APP: &str = r#"
def application(environ, start_response):
    adapter = start_response.__self__
    ask = lambda: "%s %s %s;" % (adapter.ssl_is_https(), adapter.ssl_var_lookup("HTTPS"),
                                 adapter.ssl_var_lookup(b"SSL_SERVER_S_DN_CN"))
    before = ask()
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield (before + ask()).encode()
    yield ask().encode()
    yield (ask() + repr(body)).encode()
"#;
    let test = "an_application_hears_of_the_tls_connection_at_any_time_of_its_request_in_both_modes";
    let Some(secure) = Secure::new(test) else { return };
    let builder = Httpd::both_modes("threads=2", APP);
    let site = secure.host(builder, "").start();
    for mode in MODES {
        assert_eq!(secure.get(mode), format!("{}b''", "1 on secure.example;".repeat(4)), "{mode}");
    }
    site.finish();
}
