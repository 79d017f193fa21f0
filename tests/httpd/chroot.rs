//! A group that lives in a file system of its own.

use harness::{Httpd, PROBE, Scratch, Site, cannot_run, is_root, product, run};
use serde_json::json;
use std::process::Command;

/// Copies what an interpreter needs into a directory: the program, its library, the shared objects of both, and our
/// package.
const FURNISH: &str = r#"
set -eu
jail=$1 python=$2 library=$3 package=$4
mkdir -p "$jail/app" "$jail$library" "$jail$(dirname "$python")"
cp -L "$python" "$jail$(dirname "$python")/"
ln -sf "$(basename "$python")" "$jail$(dirname "$python")/python3"
(cd "$library" && tar cf - --exclude=test --exclude=tests --exclude=__pycache__ --exclude=site-packages --exclude=config-* .) | tar xf - -C "$jail$library"
mkdir -p "$jail$library/mod_wsgi"
cp "$package"/*.py "$package"/_engine*.so "$jail$library/mod_wsgi/"
for object in $(ldd "$python" "$package"/_engine*.so "$library"/lib-dynload/*.so 2>/dev/null | grep -o '/[^ :]*' | sort -u); do
    case $object in *lib-dynload*|*_engine*|"$python":) continue;; esac
    [ -e "$jail$object" ] || { mkdir -p "$jail$(dirname "$object")"; cp -L "$object" "$jail$object"; }
done
chmod -R a+rX "$jail"
"#;

#[test]
fn a_group_with_chroot_sees_paths_from_its_own_root() {
    if !is_root() {
        return cannot_run("a_group_with_chroot_sees_paths_from_its_own_root", "only root can change the root");
    }
    let scratch = Scratch::new();
    let jail = scratch.path().join("jail");
    let (python, library) = (
        product().python("__import__('os').path.realpath(sys.executable)"),
        product().python("sysconfig.get_path('stdlib')"),
    );
    let package = product().python("__import__('mod_wsgi').__path__[0]");
    let furnish = run(
        Command::new("sh").args(["-c", FURNISH, "furnish"]).arg(&jail).args([&python, &library, &package]),
        scratch.path(),
    );
    assert_eq!(furnish.code, Some(0), "{}", furnish.text);
    let jail = jail.display();
    std::fs::write(format!("{jail}/app/site.wsgi"), PROBE).expect("written");
    let site = Httpd::builder()
        .app("outside.wsgi", PROBE)
        .conf(&format!(
            "WSGIDaemonProcess jailed chroot={jail}/ home=/app python-home={}\n\
             WSGIScriptAlias /loaded {jail}/app/site.wsgi process-group=jailed application-group=%{{GLOBAL}}\n\
             WSGIScriptAlias /outside {{apps}}/outside.wsgi process-group=jailed\n\
             <Directory {jail}>\nRequire all granted\n</Directory>",
            product().python("sys.base_prefix")
        ))
        .start();
    assert_eq!(site.ask_at("/loaded", "environ['SCRIPT_FILENAME']"), "/app/site.wsgi");
    assert_eq!(site.ask_at("/loaded", "environ['DOCUMENT_ROOT']"), "", "it is outside");
    assert_eq!(
        site.ask_at("/loaded", "[__file__, os.getcwd(), sorted(os.listdir('/app'))]"),
        json!(["/app/site.wsgi", "/app", ["site.wsgi"]])
    );
    assert_eq!(site.ask_at("/loaded", "[os.getuid() == 0, os.path.exists('/etc/passwd')]"), json!([false, false]));
    assert_eq!(site.get("/outside").status, 500);
    site.log.wait_for("WSGI1008: ");
    site.finish();
}
