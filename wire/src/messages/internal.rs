//! Limits that are reached, and faults that should not be.

crate::message::messages! {
    1400 PANIC Crit: "{text}",
        "A fault of ours: it cost the request or the thread that it happened in, and nothing else.",
        "Report it, with the record.";
    1401 RECORD_NOT_UNDERSTOOD Error: "a log record of the engine is not understood",
        "Module and engine do not speak the same language.",
        "Stop and start the server; if it comes again, report it.";
    1402 BODY_PIECE_TOO_LONG Error: "a piece of the request body does not fit into a frame",
        "A fault of ours.",
        "Report it.";
    1403 REQUESTS_LOG_TOO_MUCH Warn: "the process group logs more than {burst} MiB at once and {rate} MiB a second for each of its processes in its requests; what exceeds that is left out",
        "The applications of the group log more than a group may.",
        "Log less.";
    1404 LOG_LEFT_OUT Warn: "{bytes} bytes of log were left out",
        "See [WSGI1403](#wsgi1403).",
        "Log less.";
    1405 BEHIND_THE_END Error: "a daemon process has sent something behind the end of its answer; their connection ends",
        "Something in the process writes to a connection that is the engine's.",
        "Find out what writes there.";
    1406 NO_RECORDS_THREAD Warn: "this child writes no records of daemon processes: there can be no thread for it ({error})",
        "The system lets this Apache child have no more threads.",
        "Raise the limit on processes and threads of Apache's user.";
    1407 RECORDS_NOT_AWAITED Error: "records of daemon processes cannot be waited for: {error}",
        "The system refuses an Apache child to wait.",
        "Look at the limits of Apache's user.";
    1408 SUPERVISOR_RECORD Error: "a record of the supervisor is malformed: {error}",
        "Module and supervisor are of different versions.",
        "Stop and start the server.";
    1409 NO_METRICS_THREAD Warn: "server_metrics() gets no answer from this child: there can be no thread for it ({error})",
        "The system lets this Apache child have no more threads.",
        "Raise the limit on processes and threads of Apache's user.";
    1410 ENGINE_FAILED Crit: "Python cannot be used in this Apache child: {error}",
        "The engine could not begin in an Apache child.",
        "The record says why.";
    1411 POLL_FAILED Crit: "Waiting for requests failed: {error}.",
        "The system refuses a daemon process to wait.",
        "Look at the system's log.";
    1412 STRANGER Warn: "Refused a connection of the user with uid {uid}: only Apache's children connect, as socket-user or Apache's User.",
        "Somebody else connects to the socket of a daemon process.",
        "Find out who, or set `socket-user`.";
    1413 NOT_ACCEPTED Error: "A connection could not be accepted: {error}.",
        "The system refuses a connection of Apache's.",
        "Look at the limits of the process.";
    1414 NO_MORE_ACCEPTED Crit: "No more connections can be accepted: {error}.",
        "The system refuses a daemon process to wait for connections.",
        "Look at the limits of the process.";
    1415 EXHAUSTED Error: "The process can accept no connection: {error}. It asks to be replaced. Either the application does not close its files and sockets, or Apache needs higher limits.",
        "Something is used up, most often the number of files that a process may have open.",
        "Close files and sockets (`with`), or raise the limit (`LimitNOFILE` of systemd).";
    1416 CONNECTION_BROKEN Error: "A connection is closed: {error}.",
        "What came over a connection was not what Apache sends.",
        "If it comes again, report it.";
    1417 NOT_WATCHED Error: "A connection cannot be waited for: {error}.",
        "The system refuses that.",
        "Look at the limits of the process.";
    1418 RESPONSE_TOO_LONG Error: "a response is cut off: {error}",
        "Headers or a record of several megabytes.",
        "Send less of them.";
    1419 NO_NAME Error: "The {interpreter} could not be given its name:{traceback}",
        "A fault of ours, or an application has replaced the module `mod_wsgi`.",
        "Leave that module alone.";
    1420 SEARCH_PATH Error: "The module search path of {interpreter} could not be set up:{traceback}",
        "`python-path`, `home` or a `.pth` file there has a fault.",
        "The traceback says which.";
    1421 NO_PACKAGE Error: "The package mod_wsgi cannot be imported; its submodules are missing:{traceback}",
        "The Python package beside the engine is damaged.",
        "Install mod_wsgi again.";
    1422 TOO_MANY_INTERPRETERS Error: "This process has {limit} interpreters and makes no more: requests to the application group '{group}', and to others that it does not have, are answered 503. If the name depends on the request ({examples}), name the application group with WSGIApplicationGroup.",
        "Requests choose the application group, and there are too many names.",
        "As the record says.";
    1423 NO_INTERPRETER Error: "The sub-interpreter '{group}' could not be created.",
        "CPython could not make one, for want of memory most often.",
        "Look at the memory of the process.";
    1424 NOT_SET_UP Error: "The sub-interpreter '{group}' could not be set up:{traceback}",
        "A module that every interpreter needs cannot be imported in it.",
        "The traceback says which.";
    1425 LOOP_REFUSES Error: "The event loop refuses a call:{traceback}",
        "A fault of ours, or of the event loop that `loop` names.",
        "Try `loop=asyncio`; report it.";
    1426 NOT_BEGUN Error: "A request cannot begin:{traceback}",
        "A fault of ours, or a lack of memory.",
        "Look at the memory of the process; report it otherwise.";
    1427 NO_PUMP Warn: "each WebSocket holds a thread of Apache, because there can be no thread for all: {error}",
        "The system lets this Apache child have no more threads or descriptors.",
        "Raise the limits of Apache's user.";
    1428 NO_EXECUTOR Warn: "requests of this child run on the threads of Apache alone, which is slower: there can be no thread for them ({error})",
        "The system lets this Apache child have no more threads.",
        "Raise the limit on processes and threads of Apache's user.";
}
