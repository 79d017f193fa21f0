//! Advice for an application that cannot be loaded.

use camino::{Utf8Path, Utf8PathBuf};

use crate::probe::Failure;

/// Modules that come in a package of another name.
const PACKAGES: [(&str, &str); 24] = [
    ("MySQLdb", "mysqlclient"),
    ("OpenSSL", "pyOpenSSL"),
    ("PIL", "Pillow"),
    ("allauth", "django-allauth"),
    ("attr", "attrs"),
    ("bs4", "beautifulsoup4"),
    ("corsheaders", "django-cors-headers"),
    ("crispy_forms", "django-crispy-forms"),
    ("cv2", "opencv-python-headless"),
    ("dateutil", "python-dateutil"),
    ("debug_toolbar", "django-debug-toolbar"),
    ("decouple", "python-decouple"),
    ("dj_database_url", "dj-database-url"),
    ("django_filters", "django-filter"),
    ("dotenv", "python-dotenv"),
    ("environ", "django-environ"),
    ("google.protobuf", "protobuf"),
    ("jwt", "PyJWT"),
    ("markdown", "Markdown"),
    ("paste", "PasteDeploy"),
    ("psycopg2", "psycopg2-binary"),
    ("rest_framework", "djangorestframework"),
    ("sklearn", "scikit-learn"),
    ("yaml", "PyYAML"),
];

/// The surroundings in which an application was looked for.
pub struct Surroundings<'a> {
    /// The path of the interpreter.
    pub python: &'a Utf8Path,
    /// The directory that it runs in.
    pub working_directory: &'a Utf8Path,
    /// The script or the module.
    pub entry_point: &'a str,
}

/// Returns the advice for this failure.
pub fn advice(failure: &Failure, around: &Surroundings) -> String {
    let Some(missing) = &failure.missing else {
        let text = &failure.text;
        return if text.contains("ALLOWED_HOSTS") {
            "name the site's host names in ALLOWED_HOSTS of the settings".to_owned()
        } else if text.contains("SECRET_KEY") || text.contains("KeyError") {
            "give it what it wants from its environment, with --env-file FILE".to_owned()
        } else {
            "mend that in the application".to_owned()
        };
    };
    let top = missing.split('.').next().unwrap_or_default();
    if let Some(directory) = directory_of(top, around) {
        return format!("it is in {directory}: add --python-path {directory}, or give that as --working-directory");
    }
    // A part of a package that is there, or of the application itself, is in no other package.
    if missing.contains('.') && package(missing).is_none() || around.entry_point.split('.').next() == Some(top) {
        return "check its name, --working-directory and --python-path".to_owned();
    }
    let package = package(missing).or_else(|| package(top)).unwrap_or(top);
    format!("{} -m pip install {package}", around.python)
}

fn package(module: &str) -> Option<&'static str> {
    PACKAGES.iter().find(|(name, _)| *name == module).map(|(_, package)| *package)
}

/// Finds the directory near the application that has the module: its own, and those above and below the working
/// directory.
fn directory_of(module: &str, around: &Surroundings) -> Option<Utf8PathBuf> {
    let here = around.working_directory;
    let own = Utf8Path::new(around.entry_point).parent().filter(|directory| directory.is_absolute());
    let below =
        here.read_dir_utf8().into_iter().flatten().flatten().map(|entry| entry.into_path()).filter(|p| p.is_dir());
    let near = own.into_iter().chain(here.parent()).map(Utf8Path::to_owned).chain(below);
    let has = |directory: &Utf8PathBuf| {
        directory.join(format!("{module}.py")).is_file() || directory.join(module).join("__init__.py").is_file()
    };
    // What has the module is no use where it is looked into already.
    near.into_iter().filter(|directory| directory != here && directory.file_name() != Some("site-packages")).find(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn helps(text: &str, missing: Option<&str>) -> String {
        let failure = Failure { text: text.to_owned(), missing: missing.map(str::to_owned), at: Vec::new() };
        let around = Surroundings {
            python: "/v/python".into(),
            working_directory: "/nonexistent".into(),
            entry_point: "shop.wsgi",
        };
        advice(&failure, &around)
    }

    #[test]
    fn a_missing_package_is_installed_by_its_own_name() {
        assert_eq!(helps("", Some("flask")), "/v/python -m pip install flask");
        assert_eq!(helps("", Some("yaml.representer")), "check its name, --working-directory and --python-path");
        assert_eq!(helps("", Some("yaml")), "/v/python -m pip install PyYAML");
        assert_eq!(helps("", Some("shop")), "check its name, --working-directory and --python-path");
        assert!(helps("KeyError: 'SECRET_KEY'", None).contains("--env-file"));
    }
}
