# Needs bash 4.2 and coreutils. When any signal asks the script to stop, it lets the coordinator
# drain, and reports to the batch system at the end: done, run me again, or failed. Only the state
# directory decides whether a job starts or resumes.

set -u
umask 077

say() { printf '%s thresher: %s\n' "$(date -u +%FT%TZ)" "$*" >&2; }

# Loads the modules of the site; $trouble says what failed. Old versions of `module` (before Modules
# 4; they set neither variable) exit with 0 in every case, and print ERROR.
load_modules() {
    local module said file status
    set +u
    for module in ${modules[@]+"${modules[@]}"}; do
        command -v module >/dev/null || . /etc/profile
        file=$(mktemp) || file=/dev/null
        module load "$module" 2>"$file"
        status=$?
        said=$(head -c 4000 "$file")
        [ "$file" = /dev/null ] || rm -f "$file"
        [ -z "$said" ] || printf '%s\n' "$said" >&2
        case ${LMOD_CMD:-}${MODULES_CMD:-}:$status:$said in
            :0:*ERROR:*) ;;
            *:0:*) continue ;;
        esac
        said=${said//$'\n'/ }
        trouble="\`module load $module\` failed on $(uname -n): ${said:0:300} (status $status)"
        break
    done
    set -u
}

# Waits until a process ends, even if traps interrupt the wait; sets $code to its status.
settle() {
    local again
    while :; do
        wait "$1"
        code=$?
        kill -0 "$1" 2>/dev/null || break
    done
    if [ "$code" -gt 128 ]; then
        wait "$1" 2>/dev/null
        again=$?
        [ "$again" = 127 ] || code=$again
    fi
}

# --- on every node, started by the launcher ---

# Restarts a worker that is killed, so that its node does not stay idle. One that exits by itself
# has lost its coordinator, or is not wanted: it may try again, but not for ever, because some
# launchers leave their processes behind.
work() {
    local program=$thresher early=0 ended=0 began copy scratch=()
    if [ -n "$local_dir" ] && mkdir -p "$local_dir" 2>/dev/null; then
        scratch=(--scratch "$local_dir")
        copy=$local_dir/thresher.$$
        if cp "$thresher" "$copy" 2>/dev/null; then
            program=$copy
            # shellcheck disable=SC2064
            trap "rm -f '$copy'" EXIT
        fi
    fi
    trap 'stopped=yes; kill -TERM "$child" 2>/dev/null' TERM INT USR1 USR2 URG
    while [ -z "$stopped" ]; do
        began=$SECONDS
        "$program" worker connect --state "$state" ${scratch[@]+"${scratch[@]}"} \
            ${worker_options[@]+"${worker_options[@]}"} &
        child=$!
        settle "$child"
        [ "$code" != 0 ] || return 0
        [ "$code" -gt 128 ] || ended=$((ended + 1))
        if [ $((SECONDS - began)) -lt 20 ]; then early=$((early + 1)); else early=0; fi
        if [ "$ended" -ge 3 ] || [ "$early" -ge 10 ]; then
            say "the worker on $(uname -n) keeps exiting, last with status $code"
            return "$code"
        fi
        [ -n "$stopped" ] || sleep 1
    done
    return 0
}

# --- once in an allocation ---

# Calls the launcher for all workers, and again when all of them are lost.
launch_all() {
    local early=0 began
    trap 'stopped=yes; kill -TERM "$child" 2>/dev/null' TERM
    trap 'stopped=yes' INT USR1 USR2 URG
    while [ -z "$stopped" ]; do
        began=$SECONDS
        "${launch[@]}" "$BASH" "$script" worker &
        child=$!
        settle "$child"
        [ "$code" != 0 ] && [ -z "$stopped" ] || return 0
        if [ $((SECONDS - began)) -lt 20 ]; then early=$((early + 1)); else early=0; fi
        say "${launch[0]} ended with status $code"
        if [ "$early" -ge 4 ]; then
            kill -ALRM $$
            return 1
        fi
        sleep 1
    done
}

coordinate() {
    "$thresher" serve "$job" --state "$state" --interface "$interface" --port "$port" \
        --ends-at "$ends" &
    coordinator=$!
}

drain() {
    [ -z "$asked" ] || return 0
    asked=$1
    say "got $1: draining"
    kill -TERM "$coordinator" 2>/dev/null
}

# Stops the launcher. By now the workers know that the job ends, or never will.
stop_launcher() {
    local tries=0
    while kill -0 "$launcher" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" != 25 ] || kill -TERM "$launcher" 2>/dev/null
        if [ "$tries" -ge 75 ]; then
            kill -KILL "$launcher" 2>/dev/null
            break
        fi
        sleep 0.2
    done
}

allocation() {
    local crashes=0 status answer
    # An allocation after this one would fail in the same way.
    if [ -n "$trouble" ]; then
        say "$trouble"
        "$thresher" allocation begin --state "$state" --trouble "$trouble" >&2
        exit 1
    fi
    answer=$("$thresher" allocation begin --state "$state") || exit
    case $answer in
        'run '[0-9]*) ends=${answer#run } ;;
        *)
            say "nothing to do: $answer"
            exit 0
            ;;
    esac
    for signal in TERM INT USR1 USR2 URG; do
        # shellcheck disable=SC2064
        trap "drain $signal" "$signal"
    done
    trap 'drain launcher' ALRM
    coordinate
    launch_all &
    launcher=$!
    while :; do
        settle "$coordinator"
        status=$code
        # It was killed without a request to stop: the workers wait for the next coordinator.
        [ "$status" -gt 128 ] && [ -z "$asked" ] && [ "$crashes" -lt 5 ] || break
        crashes=$((crashes + 1))
        say "the coordinator was killed (status $status): starting another"
        coordinate
    done
    stop_launcher
    answer=$("$thresher" allocation end --state "$state" --status "$status" --asked "$asked")
    case $answer in
        done) exit 0 ;;
        requeue) requeue ;;
        *) exit "$status" ;;
    esac
}

asked='' stopped='' ends='' child='' coordinator='' launcher='' trouble='' code=0
load_modules
environment
case ${1:-} in
    worker)
        [ -z "$trouble" ] || { say "$trouble"; exit 1; }
        work
        ;;
    *) allocation ;;
esac
