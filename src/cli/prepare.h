/** \file
 * From a job to its zoo and its plan, on one process; shared by `run` and `plan`. And
 * what ranks agree on before they make a plan. */
#ifndef ZG_CLI_PREPARE_H
#define ZG_CLI_PREPARE_H

#include "grid/comm.h"
#include "job/job.h"
#include "plan/plan.h"
#include "zoo/probe.h"

/** The files of a job's zoo, what trying them has shown (zoo/probe.h) and the catalogue
 * of those that can be used; start with zeros, end with zg_inputs_clear. */
typedef struct zg_inputs {
  bool tried;
  zg_status status; /**< of trying them, reading the catalogue and checking that the
                       measures of the job have what they need */
  char message[ZG_MESSAGE_BYTES];
  zg_probe probe;
  zg_zoo *zoo; /**< owned; may be NULL where the status is another than ZG_OK */
} zg_inputs;

/** Find the files of a job, try them and read their catalogue. Not collective, and
 * before MPI and threads are started. */
void zg_prepare_inputs(const zg_job *job, zg_depth depth, bool (*should_stop)(void),
                       zg_inputs *inputs);
void zg_inputs_clear(zg_inputs *inputs);

/** Warn of the files that are left out, and hand over the catalogue of the others. Not
 * collective.
 * \param [out] zoo  destroy with zg_zoo_destroy.
 * \return the status of the inputs. */
zg_status zg_prepare_zoo(zg_inputs *inputs, zg_zoo **zoo);

/** What a run has to do with. */
typedef struct zg_resources {
  int ranks, nodes;
  int local_ranks; /**< on a node, at least */
  int64_t memory;  /**< bytes that a rank may use where the job does not say */
  bool packed;     /**< packed panels are fast on all ranks' CPUs */
} zg_resources;

/** Those of the ranks of `comm`, the same on all of them. Where one has no fast packed
 * panels, all use the same slow ones from here on. Collective. */
zg_resources zg_prepare_resources(MPI_Comm comm);

/** Not collective. */
zg_status zg_prepare_plan(const zg_job *job, const zg_zoo *zoo,
                          const zg_resources *resources, zg_plan **plan);

/** "30 layers of 5 models in 1 file, n = 300, widths 10 to 512, float16": for the log.
 * The caller frees. */
char *zg_describe_zoo(const zg_zoo *zoo);

#endif
