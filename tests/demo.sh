#!/bin/sh
# The main job, to look at: programs are frozen, killed, and go on where they were. `make demo` builds first.
set -eu

sources=$(cd "$(dirname "$0")" && pwd)
built=${CARGO_TARGET_DIR:-$sources/../target}/release
built=$(cd "$built" && pwd)
place=$(mktemp -d)
pid=

clean_up() {
    test -z "$pid" || kill -9 "$pid" 2>/dev/null || true
    rm -rf "$place"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

step() {
    printf '\n$ %s\n' "$*"
}

# freeze_and_resume NAME COMMAND...
freeze_and_resume() {
    name=$1
    shift
    rm -f myckpt
    step "LD_PRELOAD=$built/libckpt.so $name &"
    LD_PRELOAD=$built/libckpt.so "$@" &
    pid=$!
    sleep 2.2
    step "kill -12 $pid"
    kill -12 "$pid"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        test -e myckpt && break
        sleep 0.5
    done
    test -e myckpt
    sleep 1
    step "kill -9 $pid"
    kill -9 "$pid"
    wait "$pid" 2>/dev/null || true
    pid=
    step "ls -sh myckpt"
    ls -sh myckpt
    sleep 1
    step "$built/restorer myckpt"
    status=0
    "$built/restorer" myckpt || status=$?
    printf '(it has ended with status %d)\n' "$status"
    return "$status"
}

cd "$place"
${CC:-cc} -O1 -o counter "$sources/demo/counter.c"
freeze_and_resume ./counter ./counter

python=/usr/bin/python3
test -x "$python" || python=$(command -v python3)
freeze_and_resume "python3 primes.py" "$python" "$sources/demo/primes.py"
