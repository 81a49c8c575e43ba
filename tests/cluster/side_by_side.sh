# shellcheck shell=bash
# Sourced by the tests with the stand-ins for PBS and Flux, after job.sh: what their cases share,
# and running them side by side, each with a batch system of its own. They mostly wait.
#
# The sourcing script sets $system, $site, $root (the variable with the stand-in's folder), $over
# (the state of a job that ended), and the function `number_of ID`: the name of a job's folder.

place=$(mktemp -d "/tmp/thresher-$system.XXXXXX")

end() {
    local folder job
    for folder in "$place/$system".*; do
        for job in "$folder"/*/; do
            printf '"cancel"' >"$job/request" 2>/dev/null
        done
        export "$root=$folder"
        until_true 20 all_ended
    done
    [ -n "${KEEP:-}" ] && echo "kept: $place" || rm -rf "$place"
}
trap end EXIT

field() { sed -n "s/.*\"$2\": \"\{0,1\}\([^,\"}]*\).*/\1/p" "${!root}/$(number_of "$1")/state"; }
state_is() { [ "$(field "$1" state)" = "$2" ]; }
ended() { state_is "$1" "$over"; }
all_ended() {
    local state
    for state in "${!root}"/*/state; do
        [ ! -e "$state" ] || grep -q "\"state\": \"$over\"" "$state" || return 1
    done
}
begun_times() { [ "$(begun "$1")" -ge "$2" ]; }
no_worker() { [ -z "$(workers "$1")" ]; }
shown() {
    "$thresher" status "$1/job.toml" >"$1/status" 2>&1
    grep -q "$2" "$1/status"
}
# No unit failed, and no attempt was lost.
nothing_failed() {
    "$thresher" status "$1/job.toml" --json >"$1/json" 2>/dev/null
    ! grep -E '"(failures|crashes|lost|failed|missing)": [1-9]' "$1/json"
}

# The profile of the site, but for what this machine has not.
submit() {
    local folder=$1
    shift
    write_job "$folder"
    printf 'local_dir = ""\nproxy = ""\n%s\n' "${SITE:-}" >>"$folder/job.toml"
    "$thresher" submit "$folder/job.toml" --site "$site" -A ABC123 "$@" >"$folder/ids" \
        2>"$folder/said" || { cat "$folder/said"; return 1; }
    id=$(head -n 1 "$folder/ids")
}

ends_well() {
    until_true 150 complete "$1" && until_true 30 ended "$id" && same_bytes "$1"
}

run() {
    local log=$place/$1.log
    export "$root=$place/$system.$1"
    mkdir "${!root}"
    if "case_$1" >"$log" 2>&1; then
        echo "$system: $1 ok ($SECONDS s)"
        return
    fi
    echo "$system: $1 FAILED ($SECONDS s)"
    tail -n 20 "$log" "$place/$1"/corpus.state/logs/* 2>/dev/null
    return 1
}

# run_all EVERY [CASE…]: at most eight at a time, because each asks for the status of its job often.
run_all() {
    local every=$1 name failed=''
    local -A running
    shift
    reference "$place/reference" || exit 1
    THRESHER_TEST_PACE=0.4
    for name in ${*:-$every}; do
        while [ "$(jobs -pr | wc -l)" -ge 8 ]; do sleep 0.3; done
        run "$name" >"$place/$name.out" &
        running[$name]=$!
    done
    for name in ${*:-$every}; do
        wait "${running[$name]}" || failed="$failed $name"
        cat "$place/$name.out"
    done
    [ -z "$failed" ] || { echo "$system: failed:$failed"; exit 1; }
}
