#!/bin/bash
#PBS -N crawl
#PBS -l select=3:ncpus=16
#PBS -l walltime=02:00:00
#PBS -j oe
#PBS -r y
#PBS -l place=scatter:excl

# Runs the Thresher job `crawl` on 92 nodes of `generic-pbs`. Written by `thresher submit`.

state='/proj/it'\''s here/crawl.state'
script='/proj/it'\''s here/crawl.state/allocations/000001-script.sh'
job='/proj/it'\''s here/crawl.state/allocations/000001-job.toml'
thresher=/proj/bin/thresher
interface=auto
port=0
local_dir=""
worker_options=(--slots 16)
launch=(mpirun -n 92 --map-by ppr:1:node --bind-to none --enable-recovery)
launch_on=(mpirun --map-by ppr:1:node --bind-to none --enable-recovery)
id=${PBS_JOBID:-}
if [ -r "${PBS_NODEFILE:-}" ]; then
    THRESHER_HOSTS=$(awk '!seen[$0]++' "$PBS_NODEFILE" | tr '\n' ' ')
    export THRESHER_HOSTS
fi
log=$state/logs/allocation-$id.log
thresher_asks() { "$thresher" "$@"; }
requeue() { qsub "$script" >&2; }
modules=()
environment() {
    return 0
}

