/** \file
 * From a job to its zoo and its plan, on one process; shared by `run` and `plan`. */
#ifndef ZG_CLI_PREPARE_H
#define ZG_CLI_PREPARE_H

#include "job/job.h"
#include "plan/plan.h"

/** Read the catalogue of a job's zoo and check what its measures need. Not collective.
 * \param [out] zoo  created; destroy with zg_zoo_destroy. */
zg_status zg_prepare_zoo(const zg_job *job, zg_zoo **zoo);

/** \param [in] local_ranks  on a node, at least.
 * \param [in] memory  bytes one rank may use where the job does not say. Not
 * collective. */
zg_status zg_prepare_plan(const zg_job *job, const zg_zoo *zoo, int ranks,
                          int local_ranks, int64_t memory, bool packed, zg_plan **plan);

/** "30 layers of 5 models in 1 file, n = 300, widths 10 to 512, float16": for the log.
 * The caller frees. */
char *zg_describe_zoo(const zg_zoo *zoo);

#endif
