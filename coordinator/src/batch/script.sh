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

# Prints the processes of this job that another call of the launcher left on this host, and their
# workers: a launcher that is killed may leave its ranks behind. $launch_id names this call.
left_behind() {
    local process word words here
    here=$(readlink /proc/self/ns/uts)
    for process in /proc/[0-9]*; do
        words=()
        {
            while [ ${#words[@]} -lt 4 ] && IFS= read -r -d '' word; do
                words+=("$word")
            done <"$process/cmdline"
        } 2>/dev/null
        [ "${words[2]:-}" = worker ] && [ "${words[3]:-}" != "$launch_id" ] || continue
        case ${words[1]} in "$state"/allocations/*) ;; *) continue ;; esac
        [ "$(readlink "$process/ns/uts")" = "$here" ] || continue
        process=${process#/proc/}
        printf '%s ' "$process" $(cat "/proc/$process/task/$process/children" 2>/dev/null)
    done
}

# Ends them, as two workers would share the cores of one host. A worker that is asked to exit
# returns its units within half of the margin.
end_left_behind() {
    local pid tries=0 still
    still=$(left_behind)
    [ -n "$still" ] || return 0
    say "another launch left processes on $(uname -n), ending them: $still"
    # shellcheck disable=SC2086
    kill -TERM $still 2>/dev/null
    while [ "$tries" -lt 800 ] && [ -z "$stopped" ]; do
        for pid in $still; do
            kill -0 "$pid" 2>/dev/null || still=${still/"$pid "/}
        done
        [ -n "$still" ] || return 0
        tries=$((tries + 1))
        sleep 0.2
    done
    # shellcheck disable=SC2086
    kill -KILL $still 2>/dev/null
}

# Restarts a worker that is killed, so that its node does not stay idle. One that exits by itself
# has lost its coordinator, or is not wanted: it may try again, but not for ever, because some
# launchers leave their processes behind.
work() {
    local program=$thresher early=0 ended=0 began copy scratch=()
    if [ -n "$local_dir" ] && mkdir -p "$local_dir" 2>/dev/null; then
        scratch=(--scratch "$local_dir")
        copy=$local_dir/thresher.$$
        if cp "$thresher" "$copy" 2>/dev/null; then
            # shellcheck disable=SC2064
            trap "rm -f '$copy'" EXIT
            # The folder may be mounted noexec.
            if "$copy" --version >/dev/null 2>&1; then
                program=$copy
            else
                say "no program runs in $local_dir on $(uname -n), so the shared one is used"
                rm -f "$copy"
            fi
        fi
    fi
    trap 'stopped=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' \
        TERM INT HUP USR1 USR2 URG
    end_left_behind
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

answers() { timeout -k 5 20 "${launch_on[@]}" -n 1 --host "$1" true >/dev/null 2>&1; }

# Asks each host after the launcher failed, and chooses those that answer for the next call, which a
# lost host would end too. Fails if that changes nothing.
choose_hosts() {
    local host folder probes=() answering=()
    [ ${#launch_on[@]} -gt 0 ] && [ ${#hosts[@]} -gt 1 ] && folder=$(mktemp -d) || return 1
    for host in "${hosts[@]}"; do
        { ! answers "$host" || : >"$folder/$host"; } &
        probes+=("$!")
        [ $((${#probes[@]} % 16)) != 0 ] || settle "$!"
    done
    for host in "${probes[@]}"; do settle "$host"; done
    for host in "${hosts[@]}"; do
        [ ! -e "$folder/$host" ] || answering+=("$host")
    done
    rm -rf "$folder"
    [ ${#answering[@]} -gt 0 ] && [ ${#answering[@]} -lt ${#hosts[@]} ] || return 1
    say "${#answering[@]} of ${#hosts[@]} hosts answer, which are used from now on: ${answering[*]}"
    hosts=("${answering[@]}")
    host=${hosts[*]}
    launch=("${launch_on[@]}" -n "${#hosts[@]}" --host "${host// /,}")
}

# Calls the launcher for all workers, and again when all of them are lost.
launch_all() {
    local early=0 calls=0 worked='' began
    trap 'stopped=yes; kill -TERM "$child" 2>/dev/null' TERM
    trap 'stopped=yes' INT HUP USR1 USR2 URG
    while [ -z "$stopped" ]; do
        began=$SECONDS
        calls=$((calls + 1))
        "${launch[@]}" "$BASH" "$script" worker "$id.$(date +%s).$calls" &
        child=$!
        settle "$child"
        [ "$code" != 0 ] && [ -z "$stopped" ] || return 0
        if [ $((SECONDS - began)) -lt 20 ]; then early=$((early + 1)); else early=0 worked=yes; fi
        say "${launch[0]} ended with status $code"
        if choose_hosts; then early=0; fi
        if [ "$early" -ge 4 ]; then
            # If it worked before, the hosts have changed, and others may do.
            kill -"${worked:+VT}ALRM" $$
            return 1
        fi
        sleep 1
    done
}

coordinate() {
    "$thresher" serve "$job" --state "$state" --interface "$interface" --port "$port" \
        --ends-at "$ends" &
    coordinator=$!
    watch "$latest"
}

# Kills the coordinator if it still runs at a time in Unix seconds: it hangs, and the batch system
# would end everything later, with nothing recorded.
watch() {
    unwatch
    set -m
    wait_and_kill "$1" &
    watcher=$!
    set +m
}

# The batch system may signal every process of the job.
wait_and_kill() {
    local left
    trap '' TERM INT HUP USR1 USR2 URG
    while left=$(($1 - $(date +%s))) && [ "$left" -gt 0 ]; do
        sleep "$((left < 60 ? left : 60))"
    done
    say 'the coordinator failed to stop by its deadline: killing it'
    kill -KILL "$coordinator"
}

unwatch() {
    [ -n "$watcher" ] || return 0
    { kill -KILL -- "-$watcher" && wait "$watcher"; } 2>/dev/null
    watcher=''
}

drain() {
    local by
    [ -z "$asked" ] || return 0
    asked=$1
    say "got $1: draining"
    kill -TERM "$coordinator" 2>/dev/null
    by=$(($(date +%s) + drain_seconds))
    watch "$((by < latest ? by : latest))"
}

# Stops the launcher, with its process group. By now the workers know that the job ends, or never
# will.
stop_launcher() {
    local tries=0 left
    while kill -0 -- "-$launcher" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" != 25 ] || kill -TERM -- "-$launcher" 2>/dev/null
        if [ "$tries" -ge 75 ]; then
            left=$(left_behind)
            # shellcheck disable=SC2086
            kill -KILL -- "-$launcher" $left 2>/dev/null
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
        thresher_asks allocation begin --state "$state" --trouble "$trouble" >&2
        exit 1
    fi
    answer=$(thresher_asks allocation begin --state "$state") || exit
    case $answer in
        'run '[0-9]*)
            # shellcheck disable=SC2206
            hosts=(${answer#run })
            ends=${hosts[0]} latest=${hosts[1]} drain_seconds=${hosts[2]}
            hosts=("${hosts[@]:3}")
            ;;
        *)
            say "nothing to do: $answer"
            exit 0
            ;;
    esac
    for signal in TERM INT HUP USR1 USR2 URG; do
        # shellcheck disable=SC2064
        trap "drain $signal" "$signal"
    done
    trap 'drain launcher' ALRM
    trap 'drain lost-host' VTALRM
    coordinate
    # In a process group of its own, which ends as a whole.
    set -m
    launch_all &
    launcher=$!
    set +m
    while :; do
        settle "$coordinator"
        status=$code
        [ -n "$asked" ] || [ "$(date +%s)" -lt "$latest" ] || asked=deadline
        # It was killed without a request to stop: the workers wait for the next coordinator.
        [ "$status" -gt 128 ] && [ -z "$asked" ] && [ "$crashes" -lt 5 ] || break
        crashes=$((crashes + 1))
        say "the coordinator was killed (status $status): starting another"
        coordinate
    done
    unwatch
    stop_launcher
    answer=$(thresher_asks allocation end --state "$state" --status "$status" --asked "$asked")
    case $answer in
        done) exit 0 ;;
        requeue) requeue ;;
        *) exit "$status" ;;
    esac
}

asked='' stopped='' ends='' child='' coordinator='' launcher='' watcher='' trouble='' code=0
launch_id=${2:-}
if [ "${1:-}" != worker ] && [ -n "$log" ] && { : >>"$log"; } 2>/dev/null; then
    exec >>"$log" 2>&1
fi
load_modules
environment
case ${1:-} in
    worker)
        [ -z "$trouble" ] || { say "$trouble"; exit 1; }
        work
        ;;
    *) allocation ;;
esac
