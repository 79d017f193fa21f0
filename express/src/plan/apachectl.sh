#!@shell@
# Controls the server in this directory. Made by mod_wsgi-express; the next setup-server or start-server writes it anew.
# The command and its options; their values are in httpd.conf: @command@

# No file that is made from here on is for everybody to write to.
umask o-w

root=@root@
httpd=@httpd@
pid_file=@pid_file@
sockets=@sockets@
working_directory=@working_directory@
envvars=@envvars@

@exports@

# systemd hears from the supervisor, which knows whether the application is loaded.
if [ -n "$NOTIFY_SOCKET" ]; then
    MOD_WSGI_NOTIFY_SOCKET=$NOTIFY_SOCKET
    export MOD_WSGI_NOTIFY_SOCKET
    unset NOTIFY_SOCKET
fi

if [ -r "$envvars" ]; then
    . "$envvars"
fi

server() {
    exec @title@"$httpd" -d "$root" -f "$root/httpd.conf" "$@"
}

prepare() {
    cd "$working_directory" || exit 1
    [ -d "$sockets" ] || mkdir -m 711 "$sockets" || exit 1
}

case "$1" in
start)
    prepare
    shift
    @remove_pid_file@
    exec @start@"$httpd" -d "$root" -f "$root/httpd.conf" -k start@one_process@@startup_log@ "$@"
    ;;
restart | graceful)
    prepare
    verb=$1
    shift
    server -k "$verb"@startup_log@ "$@"
    ;;
stop | graceful-stop)
    verb=$1
    shift
    server -k "$verb" "$@"
    ;;
configtest)
    shift
    server -t "$@"
    ;;
status)
    if read -r pid 2>/dev/null <"$pid_file" && kill -0 "$pid" 2>/dev/null; then
        echo "running (process $pid)"
    else
        echo "not running"
        exit 1
    fi
    ;;
"")
    echo "usage: $0 start | stop | restart | graceful | graceful-stop | configtest | status | an option of httpd" >&2
    exit 1
    ;;
*)
    server "$@"
    ;;
esac
