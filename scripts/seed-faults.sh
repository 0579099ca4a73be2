#!/usr/bin/env bash
# Does the checker of the machine find faults? Seeds one after the other into a copy of the source and
# expects the machine's tests to fail for each. Takes a few minutes; for a change to the machine or to
# its checker, not for every run of the tests.
set -euo pipefail
cd "$(dirname "$0")/.."

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/seed-faults
tar cf - --exclude=./target --exclude=./.git . | tar xf - -C "$copy"
cd "$copy"

missed=0
# A fault: what it is, the file, what stands there, what it becomes.
fault() {
    local what=$1 file=supervisor/src/machine/$2 from=$3 to=$4
    cp "$file" "$copy/before"
    FROM=$from TO=$to perl -0pi -e 's/\Q$ENV{FROM}\E/$ENV{TO}/' "$file"
    if cmp -s "$file" "$copy/before"; then
        echo "stale:  $what (its text is no longer in $2)"
        missed=1
    elif cargo test --quiet -p runmate --lib machine::tests >"$copy/log" 2>&1; then
        echo "MISSED: $what"
        missed=1
    elif grep -q '^error' "$copy/log" && ! grep -q '^test result' "$copy/log"; then
        echo "broken: $what (does not compile)"
        missed=1
    else
        echo "found:  $what: $(grep -m1 -A1 'panicked at' "$copy/log" | tail -1)"
    fi
    mv "$copy/before" "$file"
}

fault "restarts go on during a drain" drain.rs \
    'State::Waiting | State::Spawning | State::Backoff { .. } = track.state' \
    'State::Waiting | State::Spawning = track.state'
fault "a process stops before those that came after it" drain.rs \
    'drain.hurry
            ||' \
    'true
            ||'
fault "a process starts before what it waits for is ready" step.rs \
    'track.was_ready || track.is_over()' \
    'track.was_ready || track.is_over() || matches!(track.state, State::Starting { .. })'
fault "the grace does not end in SIGKILL" drain.rs \
    'if kill_all || time <= now => {' \
    'if kill_all && time < now => {'
fault "SIGKILL goes to the process, not to its group" stop.rs \
    'Target::Group(pid), Signal::KILL));
    }
}' \
    'Target::Process(pid), Signal::KILL));
    }
}'
fault "a leader that is gone is signalled" drain.rs \
    'body: Body::Group(pid),' \
    'body: Body::Leader(pid),'
fault "the exit does not wait for orphans" drain.rs \
    'out.push(Action::Sweep(Signal::TERM));' \
    'out.push(Action::Sweep(Signal::TERM)); self.exit(drain, out);'
fault "a grace longer than the budget is not cut" drain.rs \
    'map_or(most, |grace| grace.min(most))' \
    'map_or(most, |grace| grace)'
fault "an unwanted end is reported as success" drain.rs \
    'if code == 0 { 1 } else { code }' \
    'code'
fault "two spawns at a time" step.rs \
    'out.push(Action::Spawn(process));
                return;' \
    'out.push(Action::Spawn(process));'
fault "a drain delay that never ends" drain.rs \
    'if until <= now {' \
    'if until < Time::ZERO {'

fault "an unhealthy process that is told not to restart stays away" restart.rs \
    '_ if fault == Fault::Unhealthy => true,' \
    '_ if fault == Fault::Unhealthy && policy.restart != Restart::Never => true,'
fault "a process that is not ready is stopped for its health" stop.rs \
    'let State::Ready { since, .. } = self.track(process).state else {' \
    'let (State::Ready { since, .. } | State::Starting { late: Some(since), .. }) = self.track(process).state else {'
fault "a process is stopped for its health during a drain" stop.rs \
    'if self.is_running() && self.policy' \
    'if self.policy'
fault "an unhealthy process that may not be restarted is a success" drain.rs \
    'Cause::RestartsSpent(_, Fault::NotReady | Fault::Unhealthy) => 1,' \
    'Cause::RestartsSpent(_, Fault::NotReady) => 1, Cause::RestartsSpent(..) => 0,'

exit "$missed"
