# shellcheck shell=bash
# Sourced by the tests on batch systems: a job over the sample that is long enough to be disturbed,
# its bytes when nobody disturbs it, and waiting with a limit.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
programs=${THRESHER_PROGRAMS:-$repository/target/debug}
thresher=$programs/thresher
# What runs a command where people of the cluster would.
login=()

# How long each unit of `prepare` sleeps, so that a job lasts long enough to be disturbed, however
# fast the machine is. It changes no byte.
export THRESHER_TEST_PACE=0

# write_job FOLDER [COPIES]: job.toml, output and state below the folder.
write_job() {
    local folder=$1 copies=${2:-30} sample=$repository/deploy/sample
    mkdir -p "$folder"
    zcat "$sample/crawl-data/CC-MAIN-2024-10/wet.paths.gz" >"$folder/once"
    for _ in $(seq "$copies"); do cat "$folder/once"; done >"$folder/inputs.txt"
    cat >"$folder/job.toml" <<TOML
[job]
name = "cluster"
[[source]]
slice = "commoncrawl"
base = "${BASE:-$sample}"
listing = "${LISTING:-$folder/inputs.txt}"
commands = ["pace"]
[[command]]
name = "pace"
folder = "/"
run = ["sh", "-c", 'sleep "\$THRESHER_TEST_PACE"; exec sed -u "s/.*/{\"keep\": true}/"']
[language]
model = "$sample/models/lid.176.ftz"
[units]
target_bytes = "100kB"
lease = "${LEASE:-6s}"
heartbeat = "500ms"
crash_limit = 50
[output]
path = "corpus"
shard_bytes = "400kB"
[filters.gopher_quality]
min_stop_words = 0
[site]
interface = "${INTERFACE:-lo}"
cores_per_node = 1
TOML
}

# reference FOLDER: the bytes of the undisturbed local run.
reference() {
    write_job "$1"
    LISTING=$1/inputs.txt
    export LISTING
    "$thresher" run "$1/job.toml" >"$1/said" 2>&1 || { cat "$1/said"; return 1; }
    manifest=$1/corpus/manifest.json
}

# same_bytes FOLDER: as the reference, and sound.
same_bytes() {
    cmp "$manifest" "$1/corpus/manifest.json" &&
        "$thresher" verify "$1/corpus" >"$1/verified" 2>&1 || { cat "$1/verified"; return 1; }
}

# until_true SECONDS COMMAND…: waits; says what it waited for when it was in vain.
until_true() {
    local limit=$((SECONDS + $1))
    shift
    while ! "$@"; do
        if [ "$SECONDS" -ge "$limit" ]; then
            echo "waited in vain for: $*" >&2
            return 1
        fi
        sleep 0.3
    done
}

# Units done, as the job's own status says.
units_done() {
    "${login[@]}" "$thresher" status "$1/job.toml" --json 2>/dev/null |
        sed -n 's/^      "done": \([0-9]*\),$/\1/p' | awk '{ sum += $1 } END { print sum + 0 }'
}

mid_run() { [ "$(units_done "$1")" -ge 4 ] && [ ! -e "$1/corpus/manifest.json" ]; }
complete() { [ -e "$1/corpus/manifest.json" ]; }

# has_verb PROCESS VERB: whether a process of /proc is `thresher VERB`; its words are in $words.
# Many cases search the processes of all clusters at the same time, so this starts none.
has_verb() {
    { mapfile -d '' -t words <"$1/cmdline"; } 2>/dev/null &&
        [[ ${words[0]:-} == */thresher* ]] && [ "${words[1]:-}" = "$2" ]
}

# processes VERB FOLDER: ids of the job's processes of that verb.
processes() {
    local process words
    for process in /proc/[0-9]*; do
        has_verb "$process" "$1" && [[ " ${words[*]} " == *" $2/corpus.state "* ]] &&
            echo "${process#/proc/}"
    done
}

workers() { processes worker "$1"; }
has_worker() { [ -n "$(workers "$1")" ]; }

# Number of starts of a script, by the records.
begun() { grep -l '"what": "begun"' "$1"/corpus.state/allocations/*.json 2>/dev/null | wc -l; }
