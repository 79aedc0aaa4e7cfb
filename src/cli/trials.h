/** \file
 * Small runs of the real engine on random data, from whose times the rates of this
 * machine follow. */
#ifndef ZG_CLI_TRIALS_H
#define ZG_CLI_TRIALS_H

#include "grid/comm.h"
#include "plan/machine.h"

/** Measure what a rank does by itself and with others of its node: everything but
 * start, network and latency, which have to be known.
 * \param [in] comm       ranks of one node.
 * \param [in] directory  for data, some 300 MB; what is written there is left.
 * \param [in,out] machine  rates that were not measured stay.
 * \return ZG_STOPPED when asked to stop. Collective; the same status on all ranks. */
zg_status zg_trials_run(MPI_Comm comm, const char *directory, zg_machine *machine);

#endif
