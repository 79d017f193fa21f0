//! The installation under test.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// An installed `mod_wsgi-express` and the Python environment that it belongs to.
pub struct Product {
    express: PathBuf,
    module_config: String,
    is_ours: bool,
}

/// The installation that `MOD_WSGI_EXPRESS` names; without it, `.venv` in the root of the repository.
pub fn product() -> &'static Product {
    static PRODUCT: OnceLock<Product> = OnceLock::new();
    PRODUCT.get_or_init(|| {
        let express = env::var_os("MOD_WSGI_EXPRESS")
            .map_or_else(|| repository().join(".venv/bin/mod_wsgi-express"), PathBuf::from);
        assert!(
            express.is_file(),
            "{} is not there: run the tests with `make test`, which installs it.",
            express.display()
        );
        let module_config = output(Command::new(&express).arg("module-config"));
        let module = PathBuf::from(output(Command::new(&express).arg("module-location")).trim_end());
        let is_ours = module.with_file_name("mod_wsgi-supervisor").is_file();
        Product { express, module_config, is_ours }
    })
}

impl Product {
    /// The command `mod_wsgi-express`.
    #[must_use]
    pub fn express(&self) -> &Path {
        &self.express
    }

    /// A program of the same environment, such as `python` or `django-admin`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.express.with_file_name(name)
    }

    /// The lines that load the module into an Apache, as `module-config` prints them.
    #[must_use]
    pub fn module_config(&self) -> &str {
        &self.module_config
    }

    /// The file of the Apache module.
    #[must_use]
    pub fn module(&self) -> PathBuf {
        output(Command::new(&self.express).arg("module-location")).trim_end().into()
    }

    /// Whether it is what this repository makes, and not another implementation.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// What a Python expression gives in this environment's interpreter, as text.
    #[must_use]
    pub fn python(&self, expression: &str) -> String {
        let script = format!("import sys, sysconfig; print({expression})");
        output(Command::new(self.program("python")).args(["-c", &script])).trim_end().to_owned()
    }
}

/// The root directory of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the repository").to_path_buf()
}

/// Says past the output capture of the test runner that a case did not run here, and why.
pub fn cannot_run(case: &str, why: &str) {
    // A test that cannot be told about is still a passed test: a closed standard error is no failure.
    let _ = writeln!(std::io::stderr(), "NOT RUN {case}: {why}");
}

/// Whether there is a curl that says that it has this, such as `HTTP2`.
#[must_use]
pub fn curl_has(feature: &str) -> bool {
    let said = Command::new("curl").arg("--version").output();
    said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(feature))
}

fn output(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(done.status.success(), "{command:?}: {}\n{}", done.status, String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap_or_else(|e| panic!("{command:?}: {e}"))
}
