//! Requests that are refused before, or instead of, an answer of the application.

crate::message::messages! {
    57 ACCESS_DENIED Error: "client denied by WSGIAccessScript {script}: {url}",
        "`allow_access()` of the script says no.",
        "None, if that was meant.";
    134 NO_EXEC_CGI Error: "Options ExecCGI is off for this script, and no WSGIScriptAlias names it",
        "A URL leads to a file with the handler `wsgi-script` in a directory where scripts may not be executed.",
        "Map the URL with `WSGIScriptAlias`, or set `Options +ExecCGI` for the directory.";
    135 SCRIPT_MISSING Error: "the script does not exist or cannot be read",
        "The file that a URL is mapped to is not there, or Apache's user may not look at it.",
        "Correct the path in `WSGIScriptAlias`, or the permissions of the file and the directories above it.";
    136 SCRIPT_IS_DIRECTORY Error: "a directory is no script",
        "A URL with the handler `wsgi-script` is mapped to a directory.",
        "Name the script itself in `WSGIScriptAlias`, or a `DirectoryIndex`.";
    143 EMBEDDED_FORBIDDEN Error: "WSGIRestrictEmbedded forbids embedded mode; name a process group (WSGIDaemonProcess, process-group=) for this script",
        "Nothing chooses a process group for the request, and embedded mode is off.",
        "Choose one: `WSGIProcessGroup`, or `process-group=` of `WSGIScriptAlias`.";
    149 GROUP_FORBIDDEN Error: "WSGIRestrictProcess does not allow process group `{group}` here",
        "`WSGIRestrictProcess` holds here, and the group is not in its list.",
        "Name another group, or add this one to the list; `%{GLOBAL}` stands for embedded mode.";
    1000 PATH_INFO_REJECTED Error: "AcceptPathInfo Off rejects what follows the script in the URL",
        "The URL goes on behind the script, and `AcceptPathInfo Off` holds.",
        "Set `AcceptPathInfo On`, unless such URLs are not meant to be there.";
    1001 TRANSFER_ENCODING Error: "the request's Transfer-Encoding is not supported",
        "The client sends a body in an encoding other than `chunked`.",
        "None here: the client has to send it otherwise.";
    1002 CHUNKED_REQUEST Error: "a chunked request body needs WSGIChunkedRequest On",
        "The client sends a body without saying how long it is.",
        "Set `WSGIChunkedRequest On` if the application reads its input to the end instead of as much as `CONTENT_LENGTH` says.";
    1003 CONTENT_LENGTH Error: "the request's Content-Length is not a number",
        "The client, or a proxy before this server, sends a `Content-Length` that is no number.",
        "None here: whoever sends it has to be mended.";
    1004 BODY_TOO_LARGE Error: "the request's Content-Length exceeds LimitRequestBody",
        "The body is longer than this place takes.",
        "Raise `LimitRequestBody` if it should take more.";
    1005 NOT_ASKED Error: "{script} cannot be asked: {reason}",
        "A script of `WSGIAccessScript`, `WSGIAuthUserScript`, `WSGIAuthGroupScript` or `WSGIDispatchScript` has not been asked, or not been heard. The request is refused.",
        "The record says why: process group, script or Python are not to be had.";
    1006 RESPONSE_TO_QUESTION Error: "a response comes in place of the answer to a question",
        "A daemon process sends what nobody has asked for. Its application may write to connections that are the engine's.",
        "Find out what writes there.";
    1007 NO_CONFIGURATION Error: "no configuration is in force",
        "The start of this server has failed half-way.",
        "Look at earlier records in the error log.";
    1008 OUTSIDE_CHROOT Error: "script `{script}` is not below the group's chroot `{root}`",
        "The processes of the group cannot see the script.",
        "Move it below the directory that `chroot=` of `WSGIDaemonProcess` names, or choose another group.";
    1009 UNKNOWN_GROUP Error: "process group `{group}` is not defined; define it with WSGIDaemonProcess",
        "A directive or an expression names a process group that there is none of.",
        "Define it, or correct the name.";
    1010 GROUP_OF_OTHER_HOST Error: "process group `{group}` belongs to another virtual host",
        "The group is defined in a `<VirtualHost>` of another name.",
        "Define it outside of virtual hosts, or in this one.";
    1011 SCRIPT_OWNER Error: "{rule}",
        "`script-user` or `script-group` of the process group says whose its scripts may be, and this one's owner or permissions, or those of its directory, are others.",
        "Change them as the record says, or the option.";
    1012 NO_PROCESS Error: "no process of the group is running; the error log tells why they do not start{group}",
        "No process of the group takes requests: none could be started, or all have ended and none has taken their place yet.",
        "Look at earlier records about the group.";
    1013 PROCESSES_FAIL Error: "the processes of the group fail when they start; earlier records in the error logs tell why{group}",
        "Each process that is started for the group ends before it is ready.",
        "Look at the records before: a script or a setting of the group has a fault.";
    1014 NOT_READY Error: "no process of the group has become ready within socket-timeout{group}",
        "The processes of the group take longer to load their scripts than a request waits.",
        "Have the scripts loaded before requests come (`WSGIImportScript`, `process-group=` with `application-group=`), load less, or raise `socket-timeout`.";
    1015 UNREACHABLE Error: "cannot connect to the processes of the group: {error}",
        "The socket of a daemon process is not to be had: its file has been removed, or something refuses the connection.",
        "See what removes files from the directory of `WSGISocketPrefix`; restart the server.";
    1016 QUEUE_TIMEOUT Error: "the request has waited for a thread longer than queue-timeout allows{group}",
        "All threads of the group were busy for that long.",
        "Give the group more threads or processes, find out what keeps them busy (`request-timeout`), or raise `queue-timeout`.";
    1017 QUEUE_SILENCE Error: "the request has waited for a thread longer than socket-timeout allows{group}",
        "All threads of the group were busy for that long.",
        "Give the group more threads or processes, find out what keeps them busy (`request-timeout`), or raise `socket-timeout`.";
    1018 QUEUE_FULL Error: "as many requests wait for a thread as queue-size allows{group}",
        "More requests come than the group answers.",
        "Give the group more threads or processes, or raise `queue-size`.";
    1019 WORKERS_TAKEN Error: "requests of the group keep as many of Apache's workers as worker-limit allows{group}",
        "Requests of the group would take up Apache's own threads, which others need too.",
        "Give the group more threads or processes, or raise `worker-limit` or `MaxRequestWorkers`.";
    1020 ALL_WORKERS_TAKEN Error: "requests of all process groups keep as many of Apache's workers as they may together without a worker-limit{group}",
        "Requests of process groups would take up all of Apache's threads, so that nothing else would be served.",
        "Raise `MaxRequestWorkers`, or give the groups more threads or processes.";
    1021 STOPPING Error: "Apache stops{group}",
        "The server is told to stop, not gracefully, while the request waits.",
        "None: that is what was asked for.";
    1022 HEADERS_TOO_LONG Error: "the request's headers do not fit into a frame{group}",
        "Headers, URL and variables of the request are together larger than the protocol takes.",
        "Lower `LimitRequestFieldSize` or `LimitRequestFields`, which refuse such a request earlier, or set fewer variables.";
    1023 NO_PYTHON Error: "{reason}",
        "Python cannot begin in this Apache child, which embedded mode needs.",
        "The record says what is missing; `WSGIPythonHome` names the Python, which needs a shared library. Daemon mode needs none.";
    1024 NO_WHOLE_RESPONSE Error: "the engine in this Apache child has not made a whole response; the record of its failure is in the error log{rest}",
        "The engine failed in the midst of a request in embedded mode.",
        "Look at the record before, and report it.";
    1025 STOPPED_MEANWHILE Error: "Apache stops, and waits for no daemon process any more{rest}",
        "The server is told to stop, not gracefully, while the request is executed.",
        "None: that is what was asked for.";
    1026 CONNECTION_CLOSED Error: "the daemon process closed the connection without a whole response{rest}",
        "The process that executes the request has ended.",
        "Look at the record about its end, which has the same number of the process.";
    1027 SILENT_PROCESS Error: "the daemon process has not sent anything for as long as socket-timeout allows{rest}",
        "The application takes longer for the request, or for a piece of its response, than it may.",
        "Find out what it waits for (`request-timeout` puts its stack into the log), or raise `socket-timeout`.";
    1028 NOT_KEPT Error: "what was kept of the response for a slow client cannot be read ({error}){rest}",
        "The file on disk that keeps a large response for a slow client is gone, or the disk has a fault.",
        "Look at the disk of the directory for temporary files.";
    1029 ANSWER_REFUSED Error: "the answer is refused: {violation}",
        "The daemon process sends what it may not, such as more content than its `Content-Length` announces.",
        "Mend the application, which says one thing and does another; if it writes to descriptors that are not its own, that has to end.";
    1030 HEADER_TOO_LONG Error: "the response header {name} is longer than header-buffer-size={size} allows; raise this option of WSGIDaemonProcess",
        "The application sends a header that is longer than the option says.",
        "Raise `header-buffer-size`, or make the header shorter.";
    1031 FILE_CUT_OFF Error: "the response to {url} cannot be sent to its end: {error}",
        "A file that the application has given to `wsgi.file_wrapper` cannot be read to the end: it has become shorter, or the disk has a fault.",
        "Do not shorten or overwrite files that are being sent: write a new file and rename it.";
    1032 NO_RANDOM_NUMBERS Error: "the system has no random numbers for the status page",
        "The system gives no random bytes.",
        "Look at the system: `getrandom` must work.";
    1033 OWNER_UNKNOWN Error: "{error}",
        "The owner of the script cannot be found out.",
        "The record says why; the script, or a directory above it, may be gone or closed to Apache's user.";
    1034 GUARDED_FILE_NOT_FOUND Error: "The application has {file} sent, which {reason}.",
        "The file that `X-Sendfile` or `X-Accel-Redirect` names is not there, not to be read by Apache's user, or below no directory of `WSGISendfileRoot`.",
        "Correct the path, the permissions or `WSGISendfileRoot`.";
    1035 GUARDED_FILE_NOT_SENT Error: "The file that the application has Apache send is not sent: {error}.",
        "A file of `X-Sendfile` or `X-Accel-Redirect` cannot be read.",
        "Look at the disk, or at who changes the file while it is sent.";
    1036 NO_USER_SCRIPT Error: "the provider wsgi has no WSGIAuthUserScript to ask about users",
        "`AuthBasicProvider wsgi` or `AuthDigestProvider wsgi` holds, and no script.",
        "Set `WSGIAuthUserScript`, or take `wsgi` off the providers.";
    1037 NO_GROUP_SCRIPT Error: "Require wsgi-group has no WSGIAuthGroupScript to ask about groups",
        "`Require wsgi-group` holds, and no script.",
        "Set `WSGIAuthGroupScript`, or use another `Require`.";
    1038 NO_APPLICATION_GROUP Error: "process group `{group}` has an event loop, and so one interpreter: application group `{name}` cannot be had there; leave it out, or name %{GLOBAL}",
        "An application group is named for a script whose process group has `interface=asgi` or `interface=auto`.",
        "As the record says.";
    1039 SERVICE_GROUP Error: "process group `{group}` has threads=0, so its processes run their scripts and serve no requests; name another group",
        "A script that answers requests, or is asked about them, is in a process group for services.",
        "Name another group, or give this one threads.";
    1040 WEBSOCKET_LOST Warn: "the daemon process has ended without closing the WebSocket, whose client sees that its connection is lost",
        "The process that has the WebSocket was killed, or has crashed.",
        "Look at the record about its end, which has the same number of the process.";
    1041 WEBSOCKET_REFUSED Error: "the WebSocket ends, because what the daemon process sends is refused: {violation}",
        "The daemon process sends what it may not.",
        "If the application writes to descriptors that are not its own, that has to end; else report it.";
    1042 WEBSOCKETS_LOST Warn: "daemon process {pid} has ended without closing {count} WebSockets, whose clients see that their connections are lost",
        "The process that has the WebSockets was killed, or has crashed.",
        "Look at the record about its end, which has the same number of the process.";
    1043 WEBSOCKETS_FULL Error: "the processes of the group have as many WebSockets as limit-websockets allows{group}",
        "More clients want a WebSocket than `limit-websockets` times `processes`; they get 503 with `Retry-After`.",
        "Raise `limit-websockets` or `processes`, if the processes have memory and time for more.";
    1044 APACHE_FULL Error: "Apache has as many WebSockets as its threads and AsyncRequestWorkerFactor allow without keeping others out{group}",
        "Apache counts WebSockets among the connections of its children; with more of them none of these might accept anybody.",
        "Raise `AsyncRequestWorkerFactor` to twice the number of WebSockets divided by `MaxRequestWorkers`.";
}
