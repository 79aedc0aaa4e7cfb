/** \file
 * A run of `zoogram run` or `zoogram merge` while it lasts; private to this folder.
 *
 *     run.c          the two commands, step by step
 *     run_inputs.c   job and zoo, which is read while MPI starts
 *     run_output.c   what is there under the output's name, and who owns it
 *     run_log.c      header, plan and footer of the log */
#ifndef ZG_CLI_SESSION_H
#define ZG_CLI_SESSION_H

#include "base/errand.h"
#include "cli/cli.h"
#include "cli/predict.h"
#include "cli/prepare.h"
#include "engine/engine.h"
#include "results/owner.h"

/** A run from its start to its end, on one rank. */
typedef struct zg_session {
  const zg_command *command;
  const zg_args *args;
  MPI_Comm comm;
  int rank, ranks;
  double start;    /**< zg_clock */
  double watchdog; /**< seconds */
  zg_shard shard;
  zg_shard_part **parts; /**< of a merge, on rank 0 */
  int64_t part_count;
  zg_job *job;
  char *output;      /**< results or a part */
  zg_errand *errand; /**< of reading the zoo, until it is needed */
  zg_inputs inputs;  /**< on rank 0 */
  bool left_out;     /**< some of the inputs */
  zg_resources resources;
  zg_zoo *zoo;
  zg_plan *plan;
  char digest[ZG_DIGEST_BYTES];   /**< of job and inputs */
  char trouble[ZG_MESSAGE_BYTES]; /**< on rank 0: why what has the output's name cannot
                                     be read; "" when it can, or is not there */
  zg_owner *owner;                /**< of the output; all ranks */
  const char *found;              /**< on rank 0: what is complete already */
  bool complete;                  /**< there is such a thing */
  bool resumes;                   /**< on rank 0: there is something to go on with */
  zg_prediction prediction;       /**< on rank 0 */
} zg_session;

/** Whether it is `zoogram merge`. */
bool zg_session_merges(const zg_session *session);
/** Whether what an interrupted run has left is to be discarded. */
bool zg_session_restarts(const zg_session *session);

/** Record that the run was asked to stop, and by what. \return ZG_STOPPED. */
zg_status zg_session_stopped(const zg_session *session);

/** Where this process is going to be rank 0: read the job and begin to read the zoo,
 * and what has the output's name, in a child process. Not collective, and before MPI
 * and threads are started. */
void zg_session_try_inputs(zg_session *session);
/** Read the job on rank 0, for all; of a merge it is in the parts. Collective; the same
 * status on all ranks. */
zg_status zg_session_load_job(zg_session *session);
/** Wait for the catalogue, which is without the files that are to be left out.
 * Collective; the same status on all ranks. */
zg_status zg_session_load_zoo(zg_session *session);

/** Try in a child process whether HDF5 survives what has the output's name already, and
 * set trouble. Not collective, and before MPI and threads are started. */
void zg_session_try_output(zg_session *session, const char *output);

/** Become the owner of the output, and see what is there already: found, complete and
 * resumes are set. From then on <output>.stop asks to stop.
 * \return ZG_ERR_CREATE when something else has that name, another run is at it, or the
 * stop file is there. Collective; the same status on all ranks. */
zg_status zg_session_take_output(zg_session *session);

/** Who computes what, with what. Not collective; rank 0's is what is seen. */
void zg_session_log_header(const zg_session *session);
/** What was found and is going to be done. Not collective. */
void zg_session_log_plan(const zg_session *session);
/** Time, rates, memory and what is undefined. Collective. */
void zg_session_log_footer(const zg_session *session, const zg_report *report);

#endif
