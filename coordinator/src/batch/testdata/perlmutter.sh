#!/bin/bash
#SBATCH --job-name=crawl
#SBATCH --nodes=3
#SBATCH --time=02:00:00
#SBATCH --constraint=cpu
#SBATCH --signal=B:USR1@300
#SBATCH --open-mode=append
#SBATCH --requeue

# Runs the Thresher job `crawl` on 92 nodes of `perlmutter`. Written by `thresher submit`.

state='/proj/it'\''s here/crawl.state'
script='/proj/it'\''s here/crawl.state/allocations/000001-script.sh'
job='/proj/it'\''s here/crawl.state/allocations/000001-job.toml'
thresher=/proj/bin/thresher
interface=hsn0
port=0
local_dir=""
worker_options=(--slots 128)
launch=(srun --nodes=92 --ntasks=92 --cpus-per-task=256 --ntasks-per-node=1 --mpi=none --no-kill --kill-on-bad-exit=0 --wait=0 --cpu-bind=none --overlap)
launch_on=()
id=${SLURM_JOB_ID:-}
log=''
thresher_asks() { "$thresher" "$@"; }
requeue() { scontrol requeue "$SLURM_JOB_ID"; }
modules=()
environment() {
    return 0
}

