//! The life of daemon processes and of what watches them.

crate::message::messages! {
    1300 SUPERVISOR_ENDED Crit: "the supervisor of the daemon processes (pid {pid}) was ended by {status}; starting another",
        "Somebody, or the system for want of memory, has killed it. Another one is started; the daemon processes serve on meanwhile.",
        "Find out who: the system's log tells of a lack of memory.";
    1301 NO_SUPERVISOR Crit: "cannot start the supervisor: {error}; requests to process groups will fail",
        "The program `mod_wsgi-supervisor` cannot be started again.",
        "Look for it beside the module; restart the server.";
    1302 APACHE_CHILD_DIED Notice: "an Apache child has died; the requests of daemon processes are counted anew",
        "A child of Apache has ended otherwise than in order.",
        "Apache's own record before tells how; a fault of mod_wsgi is worth a report.";
    1303 PRELOAD_IN_CHILD Error: "scripts cannot be loaded into this Apache child: {reason}",
        "`WSGIImportScript` names scripts for embedded mode, and Python cannot begin.",
        "As for [WSGI1023](#wsgi1023).";
    1304 NO_PROCESS_STARTED Error: "process group '{group}' gets no process: {error}",
        "The system starts no process for the group: the Python is missing, or a limit is reached.",
        "The record says what failed.";
    1305 PROCESS_CANNOT_START Crit: "A daemon process could not start: {error}",
        "The engine could not begin in a process that was started.",
        "The record says why.";
    1306 PROCESS_REFUSES Error: "{process} {ending}",
        "A process has ended before it could serve. Its own words stand before.",
        "Look at the records before.";
    1307 PROCESS_INCIDENT Error: "{process} {what}, {age} s after its start in configuration {number}.{stacks}",
        "A daemon process has died, or has exceeded a limit: the record says which, what it was doing, and where its threads were.",
        "The stacks show where; docs/troubleshooting.md says how to read them.";
    1308 SCRIPTS_FAIL Error: "{process} cannot load its scripts (see above) and is given up; {other} goes on with the code that it has, until a script changes or another try succeeds",
        "A new version of a script has an error; the old code serves on.",
        "Mend the script: it is tried again when it changes.";
    1309 SLOW_START Warn: "{process} is still loading its scripts after {seconds} seconds; requests that only it can serve wait",
        "The scripts take long to load.",
        "Load less at start, or let it; `startup-timeout` ends such a process.";
    1310 MALFORMED_PROCESS Error: "{process} has sent something malformed ({error}) and is stopped",
        "A daemon process says what it may not. Its application may write to descriptors that are not its own.",
        "Find out what writes there.";
    1311 LOUD_PROCESS Warn: "{process} sends more than {burst} messages at once and {rate} a second; what exceeds that has to wait",
        "A daemon process keeps the supervisor busy.",
        "Find out what in the application sends them: the engine does not.";
    1312 PRIORITY_REFUSED Warn: "{process} has priority {priority}: cpu-priority={wanted} is not permitted",
        "Only root may raise a priority.",
        "Start Apache as root, or take the option off.";
    1313 LOUD_LOG Warn: "daemon process {pid} of group '{group}' says more than {burst} MiB at once and {rate} MiB a second for each process; the group has to wait until that is written",
        "The application logs more than a process may.",
        "Log less.";
    1314 MALFORMED_RECORD Error: "daemon process {pid} of group '{group}' has sent a record that is malformed ({error}); no more are taken from it",
        "Something in the process writes to the descriptor for records, which is the engine's.",
        "Find out what writes there.";
    1315 OTHER_INSTALLATION Error: "the Apache module is not of the same installation as this supervisor ({error}); all daemon processes stop",
        "Module and supervisor are of different versions: one was replaced while the server ran.",
        "Stop and start the server.";
    1316 LOG_NOT_USED Error: "the new error log cannot be used: {error}",
        "The supervisor cannot take over the error log after a restart.",
        "Restart the server; look at its limits.";
    1317 NO_ADMINISTRATION Warn: "the administrator's socket '{path}' cannot be made: {error}",
        "`mod_wsgi-express restart-group` and its like will not work.",
        "Name another place with `WSGISocketPrefix`, or mend its directory.";
    1318 SUPERVISOR_FAILED Error: "the supervisor of the daemon processes cannot go on: {error}; it is started by the Apache module only",
        "The supervisor was started by hand, or the system refuses it something.",
        "The record says what.";
    1319 PRIVILEGES_KEPT Warn: "the supervisor cannot give up privileges that it does not need: {error}",
        "The system refuses that.",
        "Look at what restricts it (containers, security modules).";
    1320 NO_ADOPTION Warn: "processes that applications fork may outlive the server: {error}",
        "The system does not let the supervisor become the parent of such processes.",
        "Look at what restricts it (containers, security modules).";
    1321 SERVES_ALONE Warn: "The process serves on until there is another one: {error}.",
        "The supervisor has gone.",
        "See the records about it.";
    1322 NO_REAPER Error: "There is no thread that could end the process by force; it may take its time.",
        "The process has as many threads as it may.",
        "Raise the limit, or start fewer threads.";
    1323 NO_STACKS Warn: "If this process ends otherwise than it should, its stacks cannot be had: {traceback}",
        "The flight recorder could not be set up.",
        "The record says why.";
    1324 NO_REPORTER Error: "WSGITelemetryService and WSGISlowRequests have no effect in this process: {traceback}",
        "The thread that reports could not begin.",
        "The traceback says why.";
    1325 CONFIGURED_BY_CHILD Crit: "what serves requests in the only process of Apache has sent a configuration, which is not taken; all daemon processes stop",
        "With `httpd -X` or `--debug-mode` an application in Apache's own process has spoken to the supervisor in the place of Apache: an attack.",
        "Find out what the application is; do not run it with `-X`, nor embedded.";
    1326 NO_EXPORTER Error: "the exporter of WSGIOpenTelemetry cannot be started: {error}; another try follows",
        "The supervisor cannot start the process that speaks with the collector.",
        "The record says why.";
    1327 EXPORTER_ENDED Warn: "the exporter of WSGIOpenTelemetry has ended; another one is started",
        "Somebody has killed the process that speaks with the collector.",
        "If it happens again, look for who does so.";
    1328 NO_COLLECTOR Warn: "the collector of WSGIOpenTelemetry, {collector}, takes nothing: {error}; what is told is lost until it does",
        "The collector does not run, does not answer in time, or refuses what it gets.",
        "Look at the collector, and at the address in `WSGIOpenTelemetry`: it must take OTLP over HTTP, as JSON.";
    1329 LIFESPAN_END Error: "An application does not stop in order (lifespan):{failure}",
        "The application has answered `lifespan.shutdown` with `lifespan.shutdown.failed`, or has raised.",
        "Mend the application.";
    1330 LOOP_FAILED Error: "The event loop has ended: {traceback}",
        "Something that the application has given the event loop raised what nothing catches.",
        "Mend it: the traceback says where.";
    1331 CHILD_DIED_WITH_WEBSOCKETS Warn: "Apache child {pid} has died with {count} WebSockets, whose clients see that their connections are lost",
        "A child of Apache was killed, or has crashed.",
        "Apache's own record before tells how; a fault of mod_wsgi is worth a report.";
}
