#!/bin/bash
#BSUB -J crawl
#BSUB -W 2:00
#BSUB -wt 5
#BSUB -wa URG
#BSUB -n 48
#BSUB -R "span[ptile=16]"
#BSUB -r
#BSUB -Q 99
#BSUB -x

# Runs the Thresher job `crawl` on 92 nodes of `generic-lsf`. Written by `thresher submit`.

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
id=${LSB_JOBID:-}
log=$state/logs/allocation-$id.log
thresher_asks() { "$thresher" "$@"; }
requeue() { exit 99; }
modules=()
environment() {
    return 0
}

