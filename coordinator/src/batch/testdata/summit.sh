#!/bin/bash
#BSUB -J crawl
#BSUB -W 2:00
#BSUB -q batch
#BSUB -wt 5
#BSUB -wa URG
#BSUB -nnodes 3
#BSUB -alloc_flags "smt1 NVME"
#BSUB -r
#BSUB -Q 99

# Runs the Thresher job `crawl` on 92 nodes of `summit`. Written by `thresher submit`.

state='/proj/it'\''s here/crawl.state'
script='/proj/it'\''s here/crawl.state/allocations/000001-script.sh'
job='/proj/it'\''s here/crawl.state/allocations/000001-job.toml'
thresher=/proj/bin/thresher
interface=ib0
port=0
local_dir="/mnt/bb/$USER"
worker_options=(--slots 42)
launch=(jsrun -n 92 -r 1 -a 1 -c 42 -b none)
launch_on=()
id=${LSB_JOBID:-}
log=$state/logs/allocation-$id.log
thresher_asks() { "$thresher" "$@"; }
requeue() { exit 99; }
modules=()
environment() {
    export http_proxy=http://proxy.ccs.ornl.gov:3128
    export https_proxy=http://proxy.ccs.ornl.gov:3128
    export no_proxy=localhost,127.0.0.1,.ccs.ornl.gov,.olcf.ornl.gov
    return 0
}

