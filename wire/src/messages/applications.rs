//! What goes wrong in applications, and what is said about it besides their own words.

crate::message::messages! {
    43 NO_CHECK_PASSWORD Error: "The script '{script}' does not contain the function '{function}'.",
        "The script of `WSGIAuthUserScript` has been loaded, and has no such function at its top level.",
        "Define it; docs/configuration.md says what it gets and returns.";
    46 NO_REALM_HASH Error: "The script '{script}' does not contain the function '{function}'.",
        "The script of `WSGIAuthUserScript` has been loaded, and has no such function at its top level.",
        "Define it; docs/configuration.md says what it gets and returns.";
    52 NO_GROUPS_FOR_USER Error: "The script '{script}' does not contain the function '{function}'.",
        "The script of `WSGIAuthGroupScript` has been loaded, and has no such function at its top level.",
        "Define it; docs/configuration.md says what it gets and returns.";
    56 NO_ALLOW_ACCESS Error: "The script '{script}' does not contain the function '{function}'.",
        "The script of `WSGIAccessScript` has been loaded, and has no such function at its top level.",
        "Define it; docs/configuration.md says what it gets and returns.";
    89 NO_APPLICATION Error: "The WSGI script '{script}' does not contain the application '{name}'.",
        "The script has been loaded, and has no object of that name at its top level.",
        "Name the application as `WSGICallableObject` (default `application`) says, or set that.";
    105 UNREADABLE_SCRIPT Error: "The WSGI script '{script}' cannot be read: {error}.",
        "The user of the process may not read the file, or it is gone.",
        "Correct the path or the permissions; the user is that of `WSGIDaemonProcess`, or Apache's.";
    109 SCRIPT_FAILED Error: "The WSGI script '{script}' cannot be loaded into {interpreter}:{traceback}",
        "The script, or a module that it imports, has an error: the traceback says where.",
        "Mend it. For a module that is not found see `python-home` and `python-path`.";
    112 CALLBACK_FAILED Error: "Exception in a callback for the event '{event}':{traceback}",
        "A function that an application has subscribed to an event raised.",
        "Mend the function: the traceback says where.";
    174 REQUEST_FAILED Error: "Exception processing '{path}' in WSGI script '{script}' for {interpreter}:{traceback}",
        "The application raised an exception that it did not handle. The client got an error page, or a response that breaks off.",
        "Mend the application: the traceback says where.";
    175 REQUEST_EXITED Error: "Exception processing '{path}' in WSGI script '{script}' for {interpreter}:{traceback}",
        "The application called `sys.exit()` in a request. The process goes on.",
        "Return a response instead.";
    1200 CLOSE_FAILED Error: "Exception in close() of the response to '{path}' in WSGI script '{script}' for {interpreter}:{traceback}",
        "The method `close()` of what the application returned raised. The client has its response.",
        "Mend the application: the traceback says where.";
    1201 SCRIPT_REFUSED Error: "The script '{script}' is refused: the configuration leads no request of process group '{group}' to it (WSGIScriptAlias, WSGIHandlerScript, WSGIImportScript, or any file with SetHandler wsgi-script).",
        "Somebody other than Apache has asked a daemon process for a script.",
        "Find out who has got at the sockets of the daemon processes.";
    1202 RELOAD_FUNCTION_FAILED Error: "Exception in reload_required():{traceback}",
        "The script's function `reload_required()` raised; the script is not loaded anew.",
        "Mend the function: the traceback says where.";
    1203 NOT_FOR_SUB_INTERPRETERS Error: "An extension module that '{script}' uses does not work in {interpreter}: run '{script}' in the main interpreter, with application-group=%{GLOBAL}.",
        "The failure in the record before is one of modules that work in one interpreter of a process only.",
        "Give the application a process group of its own, and `application-group=%{GLOBAL}`.";
    1204 NOT_FOR_OWN_GIL Error: "Something that '{script}' uses does not work in {interpreter}, which has a lock of its own: take WSGIPerInterpreterGIL off for application-group={group}, or run '{script}' in the main interpreter, with application-group=%{GLOBAL}.",
        "The failure in the record before comes of an interpreter with a lock of its own.",
        "As the record says.";
    1205 MAY_WAIT_FOR_ITSELF Error: "'{script}' was running in {interpreter}, where extension modules that use the simplified interface to the GIL (PyGILState) may wait for themselves for ever: if it uses one, run it in the main interpreter, with application-group=%{GLOBAL}.",
        "A process was stuck, and one of its requests ran in a sub-interpreter.",
        "As the record says.";
    1206 FORK_IN_VAIN Warn: "An application forks in {interpreter} of a process that has several. CPython ends the child there, or lets it wait for ever. Give the application a process group of its own with application-group=%{GLOBAL}, or let it start processes with subprocess or multiprocessing.get_context(\"spawn\").",
        "CPython cannot fork where there are several interpreters.",
        "Give the application a process group of its own with `application-group=%{GLOBAL}`, or let it start processes with `subprocess`.";
    1207 FORK_CAME_BACK Error: "A process that an application {place} has forked {what}",
        "The application forked, and the new process did not end by itself.",
        "End it by `os._exit()`, or use `subprocess` or `multiprocessing`.";
    1208 EARLY_HINTS_LEFT_OUT Warn: "early hints are left out: a request may give {number} of them and {bytes} bytes in all",
        "The application calls `wsgi.early_hints` too often.",
        "Give fewer.";
    1209 INTERPRETER_END_FAILED Error: "Exception while the {interpreter} ends:{traceback}",
        "An exit function, or a thread that is waited for, raised.",
        "Mend it: the traceback says where.";
    1210 NOT_ALONE Error: "An extension module that '{script}' uses works in one interpreter of a process only, and a sub-interpreter of this process has it: give '{script}' a process group of its own, or run the other applications with application-group=%{GLOBAL}, too.",
        "The failure in the record before is one of modules that work in one interpreter of a process only.",
        "Give each application a process group of its own, and `application-group=%{GLOBAL}`.";
    1211 QUESTION_FAILED Error: "Exception in {function}() for '{path}' in script '{script}' for {interpreter}:{traceback}",
        "A function of a script that decides about requests raised, or has returned what it may not. The request is refused.",
        "Mend the function: the traceback says where.";
    1212 SLOW_REQUEST Warn: "A slow request (WSGISlowRequests {seconds}): {method} {path} in the {interpreter} {what}",
        "A request has taken longer than `WSGISlowRequests` says; the stack shows where it is.",
        "Find out what it waits for, or raise the number.";
    1213 WSGI_IN_ASGI Error: "The application in '{script}' is one of WSGI, and process group '{group}' speaks ASGI: give it a process group with interface=wsgi, or wrap it (a2wsgi.WSGIMiddleware).",
        "The script's application takes environ and start_response, and its process group has `interface=asgi`.",
        "As the record says.";
    1214 OLD_ASGI Error: "The application in '{script}' is one of ASGI 2, which takes a scope alone: wrap it with asgiref.compatibility.guarantee_single_callable().",
        "The script's application is of the time before ASGI 3.",
        "As the record says.";
    1215 ASGI_IN_WSGI Error: "The application in '{script}' is one of ASGI, and {place} speaks WSGI: give it a process group with interface=asgi.",
        "The script's application is asynchronous. It is run in embedded mode, or in a process group without `interface=asgi`.",
        "As the record says; docs/asgi.md has an example.";
    1216 CANNOT_START Error: "The application '{name}' in '{script}' cannot start (lifespan):{failure}",
        "The application has answered `lifespan.startup` with `lifespan.startup.failed`, or has raised with `lifespan=on`.",
        "Mend the application. A process that serves goes on meanwhile.";
    1217 NO_WHOLE_RESPONSE Error: "The application in '{script}' has returned without a whole response to '{path}'.",
        "An ASGI application returned without `http.response.start`, or without a last `http.response.body`.",
        "Mend the application.";
    1218 QUESTION_IN_ASGI Error: "A script that decides about requests has been asked for in a process that speaks ASGI; give it a process group with interface=wsgi.",
        "`WSGIAccessScript`, `WSGIAuthUserScript`, `WSGIAuthGroupScript` or `WSGIDispatchScript` names a process group with `interface=auto` whose application is one of ASGI.",
        "As the record says.";
}
