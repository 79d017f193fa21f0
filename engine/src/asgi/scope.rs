//! The scope of a request: a copy of the part that does not vary, and the part that does.

use pyo3::types::{PyAnyMethods, PyBytes, PyDict, PyDictMethods, PyList, PyListMethods, PyString, PyTuple};
use pyo3::{Bound, IntoPyObject, PyAny, PyResult, Python};
use wsgi_wire::names::Name;
use wsgi_wire::request::Vars;
use wsgi_wire::scope as names;

use crate::asgi::python::Objects;
use crate::asgi::tls;
use crate::ffi::object;
use crate::ffi::owned::Owned;
use crate::request::route::Route;

/// The kind of what a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The client asks for a response.
    Http,
    /// The client asks for a WebSocket.
    WebSocket,
}

/// The scope of a request, with the facts that the engine itself needs.
pub(super) struct Scope<'py> {
    /// The dict for the application.
    pub(super) dict: Bound<'py, PyDict>,
    /// The path, for messages.
    pub(super) path: Vec<u8>,
    /// Apache's log id, empty if there is none.
    pub(super) id: Vec<u8>,
    /// Whether the client wants the head only.
    pub(super) is_head: bool,
    /// The sub-protocols that a client offers who asks for a WebSocket.
    pub(super) subprotocols: Vec<String>,
}

/// The parts that vary, as they are found among the variables.
struct Found<'v, 'py> {
    headers: Bound<'py, PyList>,
    environ: Bound<'py, PyDict>,
    client: Option<&'v [u8]>,
    client_port: Option<&'v [u8]>,
    server: Option<&'v [u8]>,
    server_port: Option<&'v [u8]>,
    id: &'v [u8],
    path: &'v [u8],
    method: &'v [u8],
    subprotocols: Vec<String>,
    tls: tls::Connection<'v>,
    /// Whether header lines may follow the content of a response: over HTTP/2.
    trails: bool,
}

/// Makes a text of bytes that should be UTF-8.
fn text<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    PyString::new(py, &String::from_utf8_lossy(bytes))
}

/// Makes the pair of host and port; `None` where there is no host.
fn address<'py>(py: Python<'py>, host: Option<&[u8]>, port: Option<&[u8]>) -> PyResult<Bound<'py, PyAny>> {
    let Some(host) = host.filter(|host| !host.is_empty()) else { return Ok(py.None().into_bound(py)) };
    let port: u16 = port.and_then(|port| std::str::from_utf8(port).ok()?.parse().ok()).unwrap_or(0);
    Ok((text(py, host), port).into_pyobject(py)?.into_any())
}

/// Returns the text of a word of HTTP; the usual ones are there already.
fn word<'py>(py: Python<'py>, objects: &Objects, value: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let keys = &objects.names;
    let usual = match value {
        b"GET" => &keys.get,
        b"POST" => &keys.post,
        b"HEAD" => &keys.head,
        b"PUT" => &keys.put,
        b"DELETE" => &keys.delete,
        b"http" => &keys.http,
        b"https" => &keys.https,
        b"1.1" => &keys.http_1_1,
        b"2" => &keys.http_2,
        _ => return object::latin1(py, value).map(Bound::into_any),
    };
    Ok(usual.get(py).into_any())
}

/// The value of a variable of a route.
fn of_route(route: &Route, wanted: u8) -> Option<&[u8]> {
    let mut vars = route.vars().ok()?.flatten();
    vars.find_map(|(name, value)| (name == Name::Known(wanted)).then_some(value))
}

/// Makes the dict that the scopes of all requests of a route are copied from.
fn template<'py>(py: Python<'py>, objects: &Objects, route: &Route) -> PyResult<Bound<'py, PyDict>> {
    let (scope, versions, extensions) = (PyDict::new(py), PyDict::new(py), PyDict::new(py));
    versions.set_item("version", "3.0")?;
    versions.set_item("spec_version", "2.5")?;
    for name in ["http.response.pathsend", "http.response.zerocopysend", "http.response.early_hint"] {
        extensions.set_item(name, PyDict::new(py))?;
    }
    let keys = &objects.names;
    scope.set_item(keys.kind.bind(py), "http")?;
    scope.set_item("asgi", versions)?;
    scope.set_item(keys.http_version.bind(py), keys.http_1_1.bind(py))?;
    scope.set_item(keys.method.bind(py), keys.get.bind(py))?;
    scope.set_item(keys.scheme.bind(py), keys.http.bind(py))?;
    scope.set_item(keys.path.bind(py), "")?;
    scope.set_item(keys.raw_path.bind(py), PyBytes::new(py, b""))?;
    scope.set_item(keys.query_string.bind(py), PyBytes::new(py, b""))?;
    scope.set_item(keys.root_path.bind(py), text(py, of_route(route, names::ROOT).unwrap_or_default()))?;
    scope.set_item(keys.headers.bind(py), py.None())?;
    scope.set_item(keys.client.bind(py), py.None())?;
    let server = address(py, of_route(route, names::SERVER), of_route(route, names::SERVER_PORT))?;
    scope.set_item(keys.server.bind(py), server)?;
    scope.set_item(keys.state.bind(py), py.None())?;
    scope.set_item(keys.extensions.bind(py), extensions)?;
    Ok(scope)
}

/// Makes the scope of a request. `state`: the state that the application has filled at its start.
///
/// # Errors
/// What CPython raises.
pub(super) fn build<'py>(
    py: Python<'py>,
    objects: &Objects,
    route: &Route,
    kind: Kind,
    vars: Vars<'_>,
    state: &Bound<'py, PyDict>,
) -> PyResult<Scope<'py>> {
    let keys = &objects.names;
    let begins = match route.scope.get() {
        Some(template) => template.get(py),
        None => {
            let made = template(py, objects, route)?;
            route.scope.get_or_init(|| Owned::new(made)).get(py)
        }
    };
    let dict = begins.copy()?;
    let mut found = Found {
        headers: PyList::empty(py),
        environ: PyDict::new(py),
        client: None,
        client_port: None,
        server: None,
        server_port: None,
        id: b"",
        path: b"",
        method: b"",
        subprotocols: Vec::new(),
        tls: tls::Connection::default(),
        trails: false,
    };
    // The decoder has checked all of them before.
    for (name, value) in vars.flatten() {
        add(py, objects, &dict, &mut found, name, value)?;
    }
    dict.set_item(keys.client.bind(py), address(py, found.client, found.client_port)?)?;
    if found.server.is_some() || found.server_port.is_some() {
        let host = found.server.or_else(|| of_route(route, names::SERVER));
        let port = found.server_port.or_else(|| of_route(route, names::SERVER_PORT));
        dict.set_item(keys.server.bind(py), address(py, host, port)?)?;
    }
    dict.set_item(keys.headers.bind(py), &found.headers)?;
    dict.set_item(keys.state.bind(py), state.copy()?)?;
    let extensions = match kind {
        Kind::Http => begins.get_item(keys.extensions.bind(py))?,
        Kind::WebSocket => Some(make_websocket(py, objects, &dict, &found.subprotocols)?.into_any()),
    };
    if let Some(Ok(extensions)) = extensions.as_ref().map(|it| it.cast::<PyDict>()) {
        dict.set_item(keys.extensions.bind(py), extend(py, objects, kind, extensions, &found)?)?;
    }
    Ok(Scope {
        dict,
        path: found.path.to_vec(),
        id: found.id.to_vec(),
        is_head: found.method == b"HEAD",
        subprotocols: found.subprotocols,
    })
}

/// Makes the scope of a request that of a WebSocket. Returns the extensions that all of these have.
fn make_websocket<'py>(
    py: Python<'py>,
    objects: &Objects,
    scope: &Bound<'py, PyDict>,
    subprotocols: &[String],
) -> PyResult<Bound<'py, PyDict>> {
    let keys = &objects.names;
    scope.set_item(keys.kind.bind(py), keys.websocket.bind(py))?;
    scope.del_item(keys.method.bind(py))?;
    scope.set_item(keys.subprotocols.bind(py), subprotocols)?;
    let is_encrypted = scope.get_item(keys.scheme.bind(py))?.is_some_and(|scheme| scheme.eq("https").unwrap_or(false));
    scope.set_item(keys.scheme.bind(py), if is_encrypted { "wss" } else { "ws" })?;
    let extensions = PyDict::new(py);
    extensions.set_item(keys.denial.bind(py), PyDict::new(py))?;
    Ok(extensions)
}

fn add<'v, 'py>(
    py: Python<'py>,
    objects: &Objects,
    scope: &Bound<'py, PyDict>,
    found: &mut Found<'v, 'py>,
    name: Name<'v>,
    value: &'v [u8],
) -> PyResult<()> {
    let keys = &objects.names;
    match name {
        Name::Known(names::METHOD) => {
            found.method = value;
            scope.set_item(keys.method.bind(py), word(py, objects, value)?)?;
        }
        Name::Known(names::PATH) => {
            found.path = value;
            scope.set_item(keys.path.bind(py), text(py, value))?;
        }
        Name::Known(names::RAW_PATH) => scope.set_item(keys.raw_path.bind(py), PyBytes::new(py, value))?,
        Name::Known(names::QUERY) => scope.set_item(keys.query_string.bind(py), PyBytes::new(py, value))?,
        Name::Known(names::ROOT) => scope.set_item(keys.root_path.bind(py), text(py, value))?,
        Name::Known(names::HTTP) => {
            found.trails = value == b"2";
            scope.set_item(keys.http_version.bind(py), word(py, objects, value)?)?;
        }
        Name::Known(names::SCHEME) => scope.set_item(keys.scheme.bind(py), word(py, objects, value)?)?,
        Name::Known(names::CLIENT) => found.client = Some(value),
        Name::Known(names::CLIENT_PORT) => found.client_port = Some(value),
        Name::Known(names::SERVER) => found.server = Some(value),
        Name::Known(names::SERVER_PORT) => found.server_port = Some(value),
        Name::Known(names::REQUEST_ID) => found.id = value,
        Name::Known(names::TLS_VERSION) => found.tls.version = Some(value),
        Name::Known(names::TLS_CIPHER) => found.tls.cipher = Some(value),
        Name::Known(id) => {
            if let Some(name) = objects.header(py, id) {
                found.headers.append(PyTuple::new(py, [name, &PyBytes::new(py, value)])?)?;
            }
        }
        Name::Text(name) => match name.strip_prefix(names::ENVIRONMENT) {
            Some(name) => {
                found.tls.hears(name, value);
                found.environ.set_item(object::latin1(py, name)?, object::latin1(py, value)?)?;
            }
            None => {
                if name == b"sec-websocket-protocol" {
                    let items = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|it| !it.is_empty());
                    found.subprotocols.extend(items.map(|item| String::from_utf8_lossy(item).into_owned()));
                }
                found.headers.append(PyTuple::new(py, [PyBytes::new(py, name), PyBytes::new(py, value)])?)?;
            }
        },
    }
    Ok(())
}

/// Adds the extensions of one request.
fn extend<'py>(
    py: Python<'py>,
    objects: &Objects,
    kind: Kind,
    extensions: &Bound<'py, PyDict>,
    found: &Found<'_, 'py>,
) -> PyResult<Bound<'py, PyDict>> {
    let (own, all, keys) = (PyDict::new(py), extensions.copy()?, &objects.names);
    own.set_item(keys.request_id.bind(py), object::latin1(py, found.id)?)?;
    own.set_item(keys.environ.bind(py), &found.environ)?;
    all.set_item(keys.mod_wsgi.bind(py), own)?;
    if found.trails && kind == Kind::Http {
        all.set_item(keys.trailing.bind(py), PyDict::new(py))?;
    }
    if found.tls.is_there() {
        all.set_item(keys.tls.bind(py), found.tls.dict(py)?)?;
    }
    Ok(all)
}
