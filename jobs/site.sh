# Settings of the cluster: the one file to edit before the first job. It is read twice: by every batch script
# when the job starts, and in the login shell, where it tells sbatch the account and the partition:
#
#     cd jobs; source site.sh; sbatch smoke.sbatch
#
# shellcheck shell=bash

# The program: from this checkout, else from PATH. An absolute path is right when jobs/ is copied elsewhere.
: "${ZOOGRAM:=$(realpath ../build/zoogram 2>/dev/null || echo zoogram)}"

# The modules that zoogram was built with; a job does not inherit them on every cluster.
# module purge
# module load gcc openmpi scalapack hdf5/parallel openblas

# sbatch cannot read these from #SBATCH lines that are shared by all sites.
# export SBATCH_ACCOUNT=project123
# export SBATCH_PARTITION=compute

# The network, where Open MPI does not find the best one by itself.
# export OMPI_MCA_pml=ucx
# Where ranks crash within MPI_Init now and then: Slurm 22.05's default fence may let some of them pass too early.
# export SLURM_PMIX_FENCE=ring

# File systems that have no locks (some Lustre, DVS and NFS mounts) let HDF5 fail with errno 37 or 524.
# export HDF5_USE_FILE_LOCKING=FALSE

# How often a job may requeue itself before a person should look at it.
: "${MAX_RESTARTS:=50}"

export ZOOGRAM MAX_RESTARTS
