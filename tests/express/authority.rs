//! Authorities, certificates, and a client that believes in them.

use harness::{Express, Foreground, PROBE, Scratch, free_port};
use std::path::Path;
use std::process::{Command, Output};

/// Authorities and certificates made for one test.
pub struct Authority {
    pub directory: Scratch,
}

impl Authority {
    /// A root, an intermediate authority below it, and the server's certificate below that; a client's of the root.
    /// `None` where there is no openssl or curl to make and use them.
    pub fn new() -> Option<Self> {
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

    pub fn certificate(&self, name: &str, by: &str, extensions: &str) {
        self.openssl(&format!("req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {by}.crt -CAkey {by}.key -CAcreateserial -days 2 -extfile {extensions} -out {name}.crt"
        ));
    }

    pub fn openssl(&self, words: &str) {
        let done = Command::new("openssl").args(words.split(' ')).current_dir(self.directory.path()).output();
        let done = done.expect("openssl runs");
        assert!(done.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// A server with the certificate of `shop`, and its port.
    pub fn start(&self, words: &[&str]) -> (Foreground, u16) {
        let port = free_port();
        let number = port.to_string();
        let usual = ["start-server", "app.wsgi", "--https-port", &number, "--ssl-certificate", "shop"];
        let words: Vec<_> =
            usual.into_iter().chain(["--server-name", "shop.example"]).chain(words.iter().copied()).collect();
        (Express::new(&words).within(self.directory.path()).start(), port)
    }

    /// What curl, which believes the root, gets: status and body, or how TLS has failed.
    pub fn get(&self, port: u16, path: &str, words: &[&str]) -> Output {
        self.get_of("shop.example", port, path, words)
    }

    pub fn get_of(&self, name: &str, port: u16, path: &str, words: &[&str]) -> Output {
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

/// Returns all that a program says.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
