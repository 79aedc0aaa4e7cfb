/** \file
 * A zoo file through the engine, as a job would do it, and back into memory. */
#ifndef ZG_TESTS_ENGINE_RUN_H
#define ZG_TESTS_ENGINE_RUN_H

#include "engine/engine.h"
#include "results/read.h"

#include <stdbool.h>

typedef struct zg_test_job {
  const char *zoo, *output; /**< paths */
  const zg_call *calls;     /**< named; borrowed */
  int64_t call_count;
  zg_precision precision;
  int64_t team_size;    /**< as in a request: -1 all */
  int ranks;            /**< only the first so many take part; 0: all */
  int64_t memory;       /**< bytes per rank; 0: as much as is wanted */
  bool small_tiles;     /**< give so little memory that there are several tiles */
  int64_t tile, panels; /**< samples of a tile and panels that stay; 0: as planned */
  int64_t bands;        /**< about so many; 0: as planned */
  bool once;            /**< passes by features read everything once, with fast kernels,
                             instead of twice */
  bool keep_shares;     /**< as in a run */
  zg_report *report;    /**< NULL: not wanted */
  double checkpoint;    /**< seconds; 0: an hour */
  bool (*should_stop)(void); /**< NULL: never */
  const zg_shard_part *part; /**< as in a run, as are these */
  zg_shard_part *const *parts;
  int64_t part_count;
} zg_test_job;

/** Defaults of a measure with this kernel and estimator, and batches of `batch`; its
 * name says so. Free the name with zg_test_call_clear. */
zg_call zg_test_call(const char *measure, const char *kernel, const char *estimator,
                     int batch);
void zg_test_call_clear(zg_call *call);

/** Collective over all processes; the same status on all ranks, also on those that take
 * no part. */
zg_status zg_test_engine_run(const zg_test_job *job);

#endif
