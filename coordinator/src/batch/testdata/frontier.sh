#!/bin/bash
#SBATCH --job-name=crawl
#SBATCH --nodes=3
#SBATCH --time=02:00:00
#SBATCH --partition=batch
#SBATCH --constraint=nvme
#SBATCH --signal=B:USR1@300
#SBATCH --open-mode=append
#SBATCH --requeue

# Runs the Thresher job `crawl` on 92 nodes of `frontier`. Written by `thresher submit`.

state='/proj/it'\''s here/crawl.state'
script='/proj/it'\''s here/crawl.state/allocations/000001-script.sh'
job='/proj/it'\''s here/crawl.state/allocations/000001-job.toml'
thresher=/proj/bin/thresher
interface=hsn0
port=0
local_dir="/mnt/bb/$USER"
worker_options=(--slots 56)
launch=(srun --nodes=92 --ntasks=92 --cpus-per-task=56 --ntasks-per-node=1 --mpi=none --no-kill --kill-on-bad-exit=0 --wait=0 --cpu-bind=none --overlap)
launch_on=()
id=${SLURM_JOB_ID:-}
log=''
thresher_asks() { "$thresher" "$@"; }
requeue() { scontrol requeue "$SLURM_JOB_ID"; }
modules=()
environment() {
    export http_proxy=http://proxy.ccs.ornl.gov:3128
    export https_proxy=http://proxy.ccs.ornl.gov:3128
    export no_proxy=localhost,127.0.0.1,.ccs.ornl.gov,.olcf.ornl.gov
    return 0
}

