//! What scripts and applications hear of the encryption of a client's connection.

use harness::{Httpd, Scratch, cannot_run, free_port, module};
use std::path::PathBuf;
use std::process::Command;

/// A certificate, and what Apache needs to use it.
pub struct Tls {
    _directory: Scratch,
    module: PathBuf,
    key: PathBuf,
    certificate: PathBuf,
}

impl Tls {
    /// Makes a certificate for `secure.example`; `None` if the test cannot run here.
    pub fn make(test: &str) -> Option<Self> {
        let Some(module) = module("ssl") else {
            cannot_run(test, "needs mod_ssl");
            return None;
        };
        let directory = Scratch::new();
        let [key, certificate] = ["key.pem", "certificate.pem"].map(|name| directory.path().join(name));
        let words =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
        let mut make = Command::new("openssl");
        make.args(words).args(["-subj", "/CN=secure.example"]).arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        let made = make.output();
        if !made.is_ok_and(|made| made.status.success()) || Command::new("curl").arg("--version").output().is_err() {
            cannot_run(test, "needs openssl and curl");
            return None;
        }
        Some(Self { _directory: directory, module, key, certificate })
    }

    /// A virtual host at this port, with these lines.
    pub fn host(&self, port: u16, lines: &str) -> String {
        format!(
            "LoadModule ssl_module {}\nListen 127.0.0.1:{port}\nSSLRandomSeed startup builtin\n\
             <VirtualHost *:{port}>\nServerName secure.example\nSSLEngine on\nSSLCertificateFile {}\n\
             SSLCertificateKeyFile {}\n{lines}\n</VirtualHost>",
            self.module.display(),
            self.certificate.display(),
            self.key.display()
        )
    }
}

fn get(port: u16, path: &str) -> String {
    let asked = Command::new("curl").args(["-sk", &format!("https://127.0.0.1:{port}{path}")]).output();
    String::from_utf8_lossy(&asked.expect("curl runs").stdout).into_owned()
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
    let Some(tls) = Tls::make("a_script_hears_of_the_tls_connection_wherever_it_runs") else { return };
    for (place, group) in [("", ""), (" process-group=gate", "gate")] {
        let port = free_port();
        let gate = format!("<Location /page.txt>\nWSGIAccessScript {{apps}}/access.py{place}\n</Location>");
        let site = Httpd::builder()
            .app("access.py", SCRIPT)
            .file("htdocs/page.txt", "a page")
            .conf("WSGIDaemonProcess gate threads=3")
            .conf(&tls.host(port, &gate))
            .expect_log(&["told 1"])
            .start();
        for _ in 0..3 {
            assert_eq!(get(port, "/page.txt"), "a page", "{place}");
        }
        let log = site.log.wait_for("told 1");
        let more = if group.is_empty() { "" } else { ", None, None" };
        assert!(log.contains(&format!("'secure.example', '', 'on'{more}]")), "{place}: {log}");
        site.finish();
    }
}

#[test]
fn an_asgi_application_has_the_tls_connection_in_its_scope() {
    const APP: &str = r#"
import json
async def application(scope, receive, send):
    assert scope["type"] == "http"
    tls = scope["extensions"].get("tls")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps([scope["scheme"], tls]).encode()})
"#;
    let Some(tls) = Tls::make("an_asgi_application_has_the_tls_connection_in_its_scope") else { return };
    let port = free_port();
    let site = Httpd::builder()
        .app("site.py", APP)
        .conf("WSGIDaemonProcess site interface=asgi")
        .conf("WSGIScriptAlias /app {apps}/site.py process-group=site")
        .conf(&tls.host(port, "SSLOptions +StdEnvVars +ExportCertData"))
        .start();
    let told: serde_json::Value = serde_json::from_str(&get(port, "/app")).expect("JSON");
    assert_eq!(told[0], "https");
    let told = &told[1];
    assert!([0x303, 0x304].contains(&told["tls_version"].as_u64().unwrap_or(0)), "{told}");
    assert!(told["cipher_suite"].as_u64().is_some_and(|number| number > 0), "{told}");
    assert!(told["server_cert"].as_str().is_some_and(|text| text.contains("BEGIN CERTIFICATE")), "{told}");
    assert_eq!(
        (&told["client_cert_chain"], &told["client_cert_name"]),
        (&serde_json::json!([]), &serde_json::Value::Null)
    );
    site.finish();
}
