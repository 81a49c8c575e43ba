#!/bin/bash
#PBS -N crawl
#PBS -q capacity
#PBS -l select=3:system=aurora
#PBS -l place=scatter
#PBS -l walltime=02:00:00
#PBS -j oe
#PBS -r y
#PBS -k doe -l filesystems=home:flare

# Runs the Thresher job `crawl` on 92 nodes of `aurora`. Written by `thresher submit`.

state='/proj/it'\''s here/crawl.state'
script='/proj/it'\''s here/crawl.state/allocations/000001-script.sh'
job='/proj/it'\''s here/crawl.state/allocations/000001-job.toml'
thresher=/proj/bin/thresher
interface=hsn0
port=0
local_dir=""
worker_options=(--slots 102)
launch=(mpiexec -n 92 --ppn 1 --cpu-bind none --no-abort-on-failure --no-transfer)
launch_on=(mpiexec --ppn 1 --cpu-bind none --no-abort-on-failure --no-transfer)
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
    export http_proxy=http://proxy.alcf.anl.gov:3128
    export https_proxy=http://proxy.alcf.anl.gov:3128
    export no_proxy=localhost,127.0.0.1,.alcf.anl.gov
    return 0
}

