#!/usr/bin/env bash
# Builds runmate and the quickstart, and runs them in the foreground from a directory that is removed
# afterwards. Needs Rust and a C compiler; PORT, HEALTH_PORT and LOG_FORMAT may be set.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
export PORT="${PORT:-8080}" HEALTH_PORT="${HEALTH_PORT:-9180}" LOG_FORMAT="${LOG_FORMAT:-json}"

fail() {
    echo "demo: $*" >&2
    exit 1
}

# Before the build: nobody wants to wait for it to learn that a port is taken. A connection that is
# accepted is the one test which needs no tool.
free_port() { # VARIABLE
    local name=$1 port=${!1}
    [[ $port =~ ^[0-9]{1,5}$ ]] && ((10#$port >= 1 && 10#$port <= 65535)) ||
        fail "$name=$port is not a port; use 1 to 65535"
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        fail "port $port is taken: something listens on 127.0.0.1:$port already. Choose another: $name=$((port < 65535 ? port + 1 : 8080)) make demo"
    fi
}
[[ $PORT != "$HEALTH_PORT" ]] || fail "PORT and HEALTH_PORT are both $PORT; choose two different ones"
free_port PORT
free_port HEALTH_PORT

# The target is named, so that the place of the binaries does not depend on the user's own settings.
host=$(rustc -vV | sed -n 's/^host: //p')
target_dir=${CARGO_TARGET_DIR:-$root/target}
echo "demo: building (a few minutes the first time)" >&2
cargo build --locked --target "$host" --target-dir "$target_dir" -p runmate -p quickstart --bins
bin=$(cd "$target_dir/$host/debug" && pwd)

dir=$(mktemp -d "${TMPDIR:-/tmp}/runmate-demo.XXXXXX")
trap 'rm -rf "$dir"' EXIT

cat >&2 <<END

  In another terminal:

    curl http://127.0.0.1:$PORT/                  count a visit
    curl http://127.0.0.1:$HEALTH_PORT/health          how everything is (| jq makes it pretty)
    curl -i http://127.0.0.1:$HEALTH_PORT/readyz       what a load balancer asks; also /healthz, /livez
    curl http://127.0.0.1:$PORT/crash-sidecar     the ticker crashes within 3 s and is restarted:
                                               look at /health meanwhile
    curl http://127.0.0.1:$PORT/slow              takes 2 s: press Ctrl-C here meanwhile,
                                               and it is answered before the app stops

  Here: Ctrl-C drains and ends it. Lines too long? LOG_FORMAT=text make demo

END

# Ctrl-C reaches runmate by itself, since it is in the foreground too; a SIGTERM to this script has to be
# passed on. Either way the script waits for the end of the drain: a signal only interrupts `wait`.
cd "$dir"
PATH="$bin:$PATH" runmate run -c "$root/examples/quickstart/runmate.toml" &
child=$!
trap : INT
trap 'kill -TERM "$child"' TERM
code=0
wait "$child" || code=$?
while kill -0 "$child" 2>/dev/null; do
    code=0
    wait "$child" || code=$?
done
echo "demo: runmate ended with exit code $code" >&2
exit "$code"
