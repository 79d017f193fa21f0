//! The type stubs of the module `mod_wsgi` say what there is in a server, and nothing else.

use harness::{Httpd, MODES, Site};
use serde_json::Value;

/// Reads the stub beside the package, and compares names and types with those of the module.
const COMPARE: &str = r#"
import ast, json, mod_wsgi, os, types

tree = ast.parse(open(os.path.join(mod_wsgi.__path__[0], "__init__.pyi")).read())
classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
drafts = {name for name, node in classes.items() if any(getattr(d, "id", "") == "type_check_only" for d in node.decorator_list)}

def kind(node):
    return {ast.ClassDef: "class", ast.FunctionDef: "function"}.get(type(node), ast.unparse(getattr(node, "annotation", node)).split("[")[0])

def stubbed():
    for node in tree.body:
        name = node.target.id if isinstance(node, ast.AnnAssign) else getattr(node, "name", "_")
        if not name.startswith("_") and name not in drafts:
            yield name, kind(node)

def present():
    for name in dir(mod_wsgi):
        value = getattr(mod_wsgi, name)
        # Packages of our own that the application has imported.
        if not name.startswith("_") and not isinstance(value, types.ModuleType):
            yield name, "class" if isinstance(value, type) else "function" if callable(value) else type(value).__name__

def shape(name):
    return {node.target.id: ast.unparse(node.annotation) for node in classes[name].body if isinstance(node, ast.AnnAssign)}

def is_of(value, text):
    if "|" in text:
        return any(is_of(value, part.strip()) for part in text.split("|"))
    if text.startswith("list["):
        return isinstance(value, list) and all(is_of(item, text[5:-1]) for item in value)
    if text in drafts:
        return set(value) == set(shape(text)) and all(is_of(value[key], of) for key, of in shape(text).items())
    return value is None if text == "None" else type(value).__name__ == text

def application(environ, start_response):
    mod_wsgi.start_recording_metrics()
    found = {"stub": sorted(stubbed()), "module": sorted(present())}
    for function in ("request_metrics", "process_metrics", "server_metrics"):
        node, = (node for node in tree.body if getattr(node, "name", "") == function)
        value = getattr(mod_wsgi, function)()
        found[function] = [value is not None, is_of(value, ast.unparse(node.returns)), value]
    body = json.dumps(found).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"#;

#[test]
fn stubs_and_module_agree_in_both_modes() {
    let site =
        Httpd::both_modes("processes=1 threads=2 server-metrics=On", COMPARE).conf("WSGIServerMetrics On").start();
    for mode in MODES {
        let found = site.get(mode).json();
        assert_eq!(found["stub"], found["module"], "{mode}");
        for function in ["request_metrics", "process_metrics", "server_metrics"] {
            let value = &found[function];
            assert_eq!((&value[0], &value[1]), (&Value::Bool(true), &Value::Bool(true)), "{mode} {function}: {value}");
        }
    }
    site.finish();
}
