#!/usr/bin/env bash
# Puts in place what `make test` and `make bench` need beyond cargo: a few Debian packages, a Docker
# daemon that answers, a Debian base image that no registry has to deliver, an emulator of AWS (moto,
# from PyPI, in a directory of its own), two readers of metrics (promtool and prometheus-client),
# frameworks that migrate databases (Debian and PyPI), OpenTelemetry for Python, and sqlx-cli.
# Changes nothing when all of it is there (about a fifth of a second).
#
#   scripts/setup-tests.sh         for the tests
#   scripts/setup-tests.sh bench   the supervisors that the benchmarks compare with, too
#   scripts/setup-tests.sh stop    end the Docker daemon that this script started, and only that one
set -euo pipefail

CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/runmate-tests"
DATA_ROOT="$CACHE/docker"
PID_FILE="$CACHE/dockerd.pid"
LOG="$CACHE/dockerd.log"
SUITE=bookworm
IMAGE=runmate-test/debian:12
TARBALL="$CACHE/debian-12.tar"
# The tests look into the cache's moto (secrets/tests/support/moto.rs), prometheus-client
# (health/tests/metrics.rs), frameworks, otel (supervisor/tests/support/otlp.rs) and sqlx-cli, too.
MOTO_VERSION=5.2.5
PROMETHEUS_CLIENT_VERSION=0.26.0
SQLX_CLI="$CACHE/sqlx-cli"
SQLX_CLI_VERSION=0.9.0
HERE=$(cd "$(dirname "$0")" && pwd)

say() { printf 'setup-tests: %s\n' "$*" >&2; }

# fail WHAT REMEDY
fail() {
  printf 'setup-tests: %s\n  to mend it: %s\n' "$1" "$2" >&2
  exit 1
}

# Root is asked for only when something has to change, so an ordinary user with access to Docker
# never needs it.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "this needs root: $*" "run scripts/setup-tests.sh as root once, or install sudo"
  fi
}

# has COMMAND   here, or in one of the directories that are not in everyone's PATH: sbin, and where Debian
# keeps the PostgreSQL servers.
has() {
  local dir
  command -v "$1" >/dev/null && return
  for dir in /usr/sbin /sbin /usr/lib/postgresql/*/bin; do
    [ ! -x "$dir/$1" ] || return 0
  done
  return 1
}

# need COMMAND:PACKAGE...   by command, not by package: docker-ce and a hand-built tini will do.
need() {
  local pair missing=()
  for pair in "$@"; do
    has "${pair%%:*}" || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  apt_install "${missing[@]}"
}

# apt_install PACKAGE...
apt_install() {
  command -v apt-get >/dev/null ||
    fail "missing: $*, and there is no apt-get" "install them with this system's own package manager"
  say "installing $*"
  as_root apt-get update -q >&2 ||
    fail "apt-get update failed" "see apt's message above; check /etc/apt/sources.list*"
  # RUNLEVEL: init scripts are not to start what was just installed (supervisor and nginx have one).
  without_main_cluster \
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qy --no-install-recommends "$@" >&2 ||
    fail "apt-get could not install $*" "see apt's message above"
}

# without_main_cluster COMMAND [ARG]...   runs it; a PostgreSQL that it installs makes and starts no
# cluster (the tests have their own). Only for that time: who installs another version later gets theirs.
without_main_cluster() (
  dir=/etc/postgresql-common/createcluster.d
  trap 'as_root rm -f "$dir/runmate-tests.conf"; as_root rmdir -p --ignore-fail-on-non-empty "$dir"' EXIT
  as_root mkdir -p "$dir"
  echo 'create_main_cluster = false' | as_root tee "$dir/runmate-tests.conf" >/dev/null
  "$@"
)

# make_venv NAME VERSION PIP_ARG...   a Python environment of its own in the cache, unless it is there in
# that version.
make_venv() {
  local name="$1" version="$2" venv="$CACHE/$1" log="$CACHE/$1.log"
  shift 2
  if [ "$(cat "$venv/version" 2>/dev/null)" = "$version" ] && [ -x "$venv/bin/python" ]; then return; fi
  # By module, not by package: Debian's python3 comes without, others with it.
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then apt_install python3-venv; fi
  say "installing $name: $*, once (about a minute)"
  rm -rf "$venv"
  # pip asks the index that this machine's pip is configured for.
  {
    python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"
  } >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    fail "pip could not install $*" \
      "read the last lines of $log above; does pip reach its index (pip config list)?"
  }
  # Written last: an interrupted run leaves no half installation that looks whole.
  echo "$version" >"$venv/version"
}

# ActiveRecord and its drivers, by gem, not by package: those of another Ruby will do.
make_rails() {
  if ruby -e '%w[activerecord pg mysql2].each { |name| Gem::Specification.find_by_name(name) }' 2>/dev/null; then
    return
  fi
  apt_install ruby ruby-activerecord ruby-pg ruby-mysql2
  ruby -e 'require "active_record"; require "pg"; require "mysql2"' ||
    fail "$(command -v ruby) does not find ActiveRecord, pg and mysql2" \
      "is another ruby before Debian's in PATH? then: gem install activerecord pg mysql2"
}

make_sqlx_cli() {
  if [ "$("$SQLX_CLI/bin/sqlx" --version 2>/dev/null)" = "sqlx-cli $SQLX_CLI_VERSION" ]; then return; fi
  command -v cargo >/dev/null || fail "no cargo in PATH" "install Rust: https://rustup.rs"
  say "building sqlx-cli $SQLX_CLI_VERSION, once (one to three minutes)"
  local log="$CACHE/sqlx-cli.log"
  # Without optimisation: it is run a few times and built once.
  env CARGO_PROFILE_DEV_DEBUG=0 cargo install --debug --locked --root "$SQLX_CLI" \
    --target-dir "$SQLX_CLI.target" --no-default-features --features postgres,mysql,sqlite,rustls \
    "sqlx-cli@$SQLX_CLI_VERSION" >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    fail "cargo could not install sqlx-cli $SQLX_CLI_VERSION" \
      "read the last lines of $log above; does cargo reach its registry? is the disk full?"
  }
  rm -rf "$SQLX_CLI.target"
}

docker_answers() { timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# wait_for_docker SECONDS
wait_for_docker() {
  local deadline=$((SECONDS + $1))
  until docker_answers; do
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.2
  done
}

start_docker() {
  if docker_answers; then return; fi
  if timeout 10 docker version 2>&1 | grep -qi 'permission denied'; then
    fail "a Docker daemon runs, but user $(id -un) may not talk to it" \
      "run make test as root, or: sudo usermod -aG docker $(id -un), then log in again"
  fi
  if [ -n "${DOCKER_HOST:-}" ]; then
    fail "no Docker daemon answers at DOCKER_HOST=$DOCKER_HOST" "start it, or unset DOCKER_HOST"
  fi
  if [ -d /run/systemd/system ]; then
    say "starting docker.service"
    as_root systemctl start docker || true
    wait_for_docker 20 && return
  fi
  say "starting dockerd (log: $LOG)"
  # setsid: it outlives this script and its terminal. timeout: nobody forgets it for longer than half
  # a day. The storage driver is dockerd's own choice (overlay2 where it works, vfs where it does not).
  # 9>&-: it must not keep this script's lock.
  as_root setsid --fork timeout --kill-after=30s 12h \
    dockerd --data-root "$DATA_ROOT" --exec-root "$CACHE/docker-run" --pidfile "$PID_FILE" \
    --log-level warn --log-opt max-size=50m --log-opt max-file=2 \
    >"$LOG" 2>&1 </dev/null 9>&-
  wait_for_docker 60 || {
    tail -n 20 "$LOG" >&2
    fail "dockerd did not answer within 60 s" \
      "read the last lines of $LOG above; in a container it needs --privileged and its own cgroup"
  }
}

stop_docker() {
  local pid
  pid=$(cat "$PID_FILE" 2>/dev/null || true)
  # The pid may be another process's by now: only a dockerd with our pid file is ours.
  if [ -z "$pid" ] || ! tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "--pidfile $PID_FILE"; then
    say "no dockerd of ours runs"
    return
  fi
  say "stopping dockerd ($pid)"
  as_root kill "$pid"
  local deadline=$((SECONDS + 60))
  while [ -e "/proc/$pid" ]; do
    [ $SECONDS -lt $deadline ] || fail "dockerd ($pid) still runs after 60 s" "see $LOG; then kill -9 $pid"
    sleep 0.1
  done
}

# The Debian mirror that this machine's apt uses already: it is the one known to be reachable. Nothing
# printed means debootstrap's own default.
mirror() {
  apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    sed -n 's/^Debian //p' | head -n 1
}

make_base_image() {
  if docker image inspect "$IMAGE" >/dev/null 2>&1; then return; fi
  if [ ! -s "$TARBALL" ]; then
    say "making $IMAGE by debootstrap, once (about a minute)"
    local root log
    # Not under /tmp, which may be mounted nodev: debootstrap makes device nodes.
    root=$(as_root mktemp -d "$CACHE/debootstrap.XXXXXX")
    log="$CACHE/debootstrap.log"
    # shellcheck disable=SC2064  # expanded now on purpose: the variable is gone when the trap runs
    trap "as_root rm -rf '$root'" EXIT
    # shellcheck disable=SC2046  # no mirror, no argument
    as_root env PATH="$PATH:/usr/sbin:/sbin" debootstrap --variant=minbase \
      "$SUITE" "$root" $(mirror) >"$log" 2>&1 || {
      tail -n 20 "$log" >&2
      fail "debootstrap failed" "read the last lines of $log above; is a Debian mirror reachable?"
    }
    # Builds in this image reach the mirror as this machine does.
    apt-config dump | grep -iE '^Acquire::https?::Proxy' |
      as_root tee "$root/etc/apt/apt.conf.d/90host" >/dev/null || true
    if grep -q 'https:' "$root/etc/apt/sources.list" && [ -s /etc/ssl/certs/ca-certificates.crt ]; then
      as_root install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    fi
    # Renamed when whole: an interrupted run leaves no half image behind.
    as_root tar -C "$root" --exclude='./dev/*' --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' \
      -cf "$TARBALL.new" .
    as_root mv "$TARBALL.new" "$TARBALL"
    as_root rm -rf "$root"
    trap - EXIT
  fi
  say "importing $IMAGE"
  docker import "$TARBALL" "$IMAGE" >/dev/null ||
    fail "docker could not import $TARBALL" "rm '$TARBALL' and try again; is the disk full?"
}

mkdir -p "$CACHE" || fail "cannot write to $CACHE" "set XDG_CACHE_HOME to a directory you can write to"
# One at a time: two starts at once would fight over one daemon and one tarball.
exec 9>"$CACHE/lock"
flock -w 300 9 || fail "another setup-tests.sh has been running for 5 minutes" "see: fuser -v $CACHE/lock"

case "${1:-tests}" in
tests | bench)
  need dockerd:docker.io docker:docker.io iptables:iptables debootstrap:debootstrap jq:jq \
    python3:python3 nginx:nginx rsyslogd:rsyslog postgres:postgresql psql:postgresql-client pgbouncer:pgbouncer \
    mariadbd:mariadb-server redis-server:redis-server ip:iproute2 openssl:openssl strace:strace \
    promtool:prometheus javac:default-jdk-headless node:nodejs
  if [ "${1:-tests}" = bench ]; then
    need tini:tini dumb-init:dumb-init s6-svscan:s6 supervisord:supervisor wrk:wrk
  fi
  make_venv moto "$MOTO_VERSION" "moto[server]==$MOTO_VERSION"
  make_venv prometheus-client "$PROMETHEUS_CLIENT_VERSION" "prometheus-client==$PROMETHEUS_CLIENT_VERSION"
  make_venv frameworks "$(cat "$HERE/frameworks.txt")" --requirement "$HERE/frameworks.txt"
  make_venv otel "$(cat "$HERE/otel.txt")" --requirement "$HERE/otel.txt"
  make_rails
  make_sqlx_cli
  start_docker
  make_base_image
  ;;
stop) stop_docker ;;
*) fail "unknown word: $1" "scripts/setup-tests.sh [bench|stop]" ;;
esac
