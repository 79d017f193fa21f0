//! What is wrong with the configuration, or without effect.

crate::message::messages! {
    79 UNKNOWN_LOCALE Warn: "{option}={name} of WSGIDaemonProcess {group} has no effect: this system has no such locale; `locale -a` lists those it has, C.UTF-8 among them",
        "The processes of the group run in the locale C.",
        "Name a locale that the system has, or install it.";
    198 NO_OWN_GIL Warn: "WSGIPerInterpreterGIL On has no effect with Python {version}: sub-interpreters share one lock before 3.12; name a later Python with python-home.",
        "The Python of the group is too old.",
        "Name a later one with `python-home`, or take the directive off.";
    199 SHARED_INTERVAL Warn: "WSGISwitchInterval has no effect on the {interpreter}, which shares its lock with the main interpreter; give it one of its own with WSGIPerInterpreterGIL On (Python 3.12 and later), or set the interval for the whole process group.",
        "An interval is asked for one interpreter that has no lock of its own.",
        "As the record says.";
    200 NO_FREE_THREADING Warn: "WSGIFreeThreading On has no effect: this Python {version} has a global interpreter lock; take the directive off.",
        "The engine runs in builds of Python with a global interpreter lock only.",
        "Take the directive off.";
    201 FREE_THREADING_OF_GROUP Warn: "WSGIFreeThreading in the section for application-group={group} is ignored: it is for whole processes; put it at the top level, or into a section without application-group",
        "Free threading is a matter of whole processes.",
        "As the record says.";
    1100 UNDEFINED_GROUP Warn: "{sentence}",
        "A process group is named that is not defined. Requests for it are answered 500.",
        "Define it with `WSGIDaemonProcess`, or correct the name.";
    1101 EVERY_PROXY_IS_TRUSTED Warn: "WSGITrustedProxyHeaders without WSGITrustedProxies believes these headers whoever sends them, so that any client chooses its own address: name the proxies",
        "Headers that say where a request comes from are believed from everybody.",
        "Name the addresses of the proxies with `WSGITrustedProxies`.";
    1102 CANNOT_START Alert: "{reason}",
        "Apache cannot start with this configuration: the supervisor of the daemon processes, or what they need, is not to be had.",
        "The record says what is missing.";
    1103 UNSAFE_SOCKET_DIRECTORY Warn: "the sockets of the daemon processes are not safe: {reason}",
        "Others may write to the directory of the sockets: they could remove them, and requests would not be served.",
        "Name another place with `WSGISocketPrefix`, or change the permissions.";
    1104 ENVIRONMENT_FILE Error: "WSGIDaemonProcess {group}: env-file `{file}`: {reason}",
        "A file with variables for the group's processes cannot be read, or a line of it is no variable.",
        "Mend the file, or its permissions. If it is the group's own user's, the server starts and that group does not.";
    1105 FOREIGN_APACHE Error: "This module needs Apache {oldest} or a later 2.4 (it was built with the headers of {built}), and this is Apache {running}: install such a version",
        "Apache is older than what the module needs. One of another ABI does not load the module, and says so itself.",
        "Take a later Apache.";
    1106 ASKED_IN_LOOP Error: "{sentence}",
        "`WSGIAccessScript`, `WSGIAuthUserScript`, `WSGIAuthGroupScript` or `WSGIDispatchScript` names a process group with `interface=asgi`. The server does not start.",
        "Name a group with `interface=wsgi`, or none.";
    1107 MANY_WEBSOCKETS Warn: "limit-websockets lets process groups have {wanted} WebSockets, and this Apache can hold {has}; raise AsyncRequestWorkerFactor of the MPM event, or MaxRequestWorkers",
        "Apache counts WebSockets among the connections of its children, which `AsyncRequestWorkerFactor` bounds; with another MPM each of them holds a worker.",
        "Set `AsyncRequestWorkerFactor` to twice the number of WebSockets divided by `MaxRequestWorkers`, or lower `limit-websockets`.";
    1108 UNUSED_SOCKETS Warn: "sockets passed by systemd that are for no Listen: {sockets}; correct Listen, or ListenStream= of the .socket unit",
        "systemd, or whoever else has started Apache, has passed it sockets (`LISTEN_FDS`) that are at no address and port of a `Listen`, or no stream sockets that listen. Nobody accepts connections there.",
        "Let `Listen` and `ListenStream=` say the same addresses and ports.";
}
