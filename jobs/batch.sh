# What every batch script of this directory does after its #SBATCH lines: source it, then call run_job or run_zoogram.
# sbatch runs a copy of the script from a spool directory, so that every path starts at SLURM_SUBMIT_DIR,
# the directory in which sbatch was called: this one, or a copy of it.
# shellcheck shell=bash

set -euo pipefail
cd "$SLURM_SUBMIT_DIR"
source ./site.sh

# One BLAS thread a rank, and a rank a core: the ranks already use every core, and the threads of a BLAS
# built with pthreads would multiply with them.
set_threads() {
  export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1} # srun does not inherit --cpus-per-task since Slurm 22.05
  export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
}

# srun hands these limits on to the ranks.
set_limits() {
  ulimit -c 0                    # a crash would write a core file a rank, each as large as its memory
  ulimit -S -n "$(ulimit -H -n)" # a zoo may be thousands of files
}

# A directory on Lustre stripes new files over one server by default, which all ranks would then share.
stripe_results() {
  mkdir -p results
  if [ "$(stat --file-system --format %T results)" = lustre ]; then
    lfs setstripe -c 8 -S 4M results || echo "batch: results is not striped; writing may be slow" >&2
  fi
}

# Exit code 75 says: stopped cleanly on a signal, run me again. The same command then resumes.
# Clusters with RequeueExit=75 do this by themselves; asking for it twice does no harm.
requeue() {
  local restarts=${SLURM_RESTART_COUNT:-0}
  if [ "$restarts" -ge "$MAX_RESTARTS" ]; then
    echo "batch: stopped after $restarts restarts (MAX_RESTARTS in site.sh); sbatch again to resume" >&2
    return
  fi
  echo "batch: unfinished; back into the queue (restart $((restarts + 1)) of at most $MAX_RESTARTS)"
  sleep 5 # else Slurm kills the step's own daemons in their cleanup, and the next run finds their socket in use
  scontrol requeue "$SLURM_JOB_ID"
}

# run_zoogram COMMAND...: run it on all ranks and leave with zoogram's exit code.
# --mpi=pmix: the one interface between Slurm and Open MPI; mpirun is not needed, and the signals of Slurm
# reach every rank.  --kill-on-bad-exit: a dead rank ends the step instead of leaving the others to wait.
run_zoogram() {
  local code=0
  set_threads
  set_limits
  stripe_results
  echo "batch: job $SLURM_JOB_ID, $SLURM_NTASKS ranks on $SLURM_JOB_NODELIST, $ZOOGRAM $*"
  srun --mpi=pmix --kill-on-bad-exit=1 "$ZOOGRAM" "$@" || code=$?
  echo "batch: zoogram left with exit code $code"
  if [ "$code" = 75 ]; then requeue; fi
  exit "$code"
}

# run_job JOB.yaml [OPTION...]: run a job file.
run_job() {
  run_zoogram run "$@"
}
