#!/bin/bash
# flux: --job-name=crawl
# flux: --nodes=3
# flux: --exclusive
# flux: --time-limit=7200s
# flux: --queue=pbatch
# flux: --signal=SIGUSR1@300s

# Runs the Thresher job `crawl` on 92 nodes of `el-capitan`. Written by `thresher submit`.

state='/proj/it'\''s here/crawl.state'
script='/proj/it'\''s here/crawl.state/allocations/000001-script.sh'
job='/proj/it'\''s here/crawl.state/allocations/000001-job.toml'
thresher=/proj/bin/thresher
interface=hsn0
port=0
local_dir=""
worker_options=()
launch=(flux run --nodes=92 --ntasks=92 --cores-per-task=1 --setopt=exit-timeout=none --setopt=cpu-affinity=off --setopt=gpu-affinity=off --setopt=pmi=none)
launch_on=()
id=${FLUX_ENCLOSING_ID:-}
if [ "${1:-}" != worker ]; then
    id=$(flux getattr jobid)
    case $id in ƒ*) id=f${id#ƒ} ;; esac
    export FLUX_ENCLOSING_ID=$id
    around=$(flux getattr parent-uri)
fi
log=$state/logs/allocation-$id.log
thresher_asks() { FLUX_URI=$around "$thresher" "$@"; }
requeue() { FLUX_URI=$around flux batch "$script" >&2; }
modules=()
environment() {
    return 0
}

