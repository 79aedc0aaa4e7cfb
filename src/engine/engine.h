/** \file
 * Carrying out a plan: from rows in files to tensors in a file.
 *
 *     forms.h    one function per form: a pass computed and written
 *     sweep.h    the tasks of a pass, and which team does which
 *     state.h    checkpoints: what survives an interruption
 *     part.h     what a shard leaves, from which all shards are merged
 *     tensor.h   what is known of all pairs, finished and written
 *
 * The gram form:
 *     items.c    statistics of every item: means, scale, whether it is usable
 *     store.h    packed panels of all samples, shared by the ranks of a node
 *     panels.h   centred rows of all items, in panels that stay while memory lasts
 *     step.h     tiles and the panels they are made of
 *     median.h   medians of squared distances
 *     gram.h     tiles to kernels to sums of products
 *     features.h the same from products of features, for many samples
 *
 * Tangent kernels:
 *     factors.h  runs of samples of a model's layers, which stay while memory lasts
 *     theta.h    factors to tiles of kernels
 *     tangent.c  tiles to sums of products; kernels.h: kernels that are kept
 *
 * Vectors and profiles:
 *     slices.h   slices of long vectors; vectors.c: sums of their products
 *     quadratic.h  distances in the metric of other vectors
 *     divergence.h  sums of A log(A / B)
 *     profile.c  tasks to profiles
 *
 * Pairs of items that need work of their own:
 *     pair.c     rows to prepared items, blocks of pairs to terms */
#ifndef ZG_ENGINE_ENGINE_H
#define ZG_ENGINE_ENGINE_H

#include "base/clock.h"
#include "engine/part.h"
#include "plan/plan.h"
#include "results/results.h"

typedef enum zg_phase {
  ZG_PHASE_READ,    /**< files to centred rows */
  ZG_PHASE_MEDIAN,  /**< distances for the bandwidth */
  ZG_PHASE_PREPARE, /**< items of the pair form */
  ZG_PHASE_FORM,    /**< Gram tiles */
  ZG_PHASE_KERNEL,  /**< kernels on tiles */
  ZG_PHASE_REDUCE,  /**< products of tiles */
  ZG_PHASE_COMBINE, /**< sums over teams */
  ZG_PHASE_WRITE,   /**< results file */
  ZG_PHASES
} zg_phase;
/** "read", "Gram tiles", ... */
const char *zg_phase_name(zg_phase phase);

/** What this rank has done. */
typedef struct zg_report {
  zg_timer phases[ZG_PHASES];
  double flop; /**< useful: pairs counted once */
  int64_t bytes_read;
  int64_t numbers_read, numbers_sent; /**< in all (zg_numbers_sent) */
  int64_t numbers_measured;           /**< of those read: for statistics of items */
  int64_t tiles;
  int64_t resident; /**< largest resident size of this rank as long as there was memory
                       shared on the node, in bytes; 0: there was none */
  int64_t peak;     /**< the same, but of that memory only its own share */
  int64_t entries[ZG_CODES]; /**< entries of all tensors by code; summed over ranks */
} zg_report;

typedef struct zg_run {
  MPI_Comm comm;
  const zg_zoo *zoo; /**< all below is borrowed */
  const zg_plan *plan;
  const zg_call *calls;
  int64_t call_count;
  const char *output;          /**< path of the results file */
  const char *digest;          /**< of job and inputs: whose checkpoints may be used */
  double checkpoint;           /**< seconds between checkpoints at most */
  bool restart;                /**< discard the checkpoints of an interrupted run */
  const zg_shard_part *part;   /**< do the tasks of its shard, and leave it at `output`
                            instead of results; NULL: do all tasks */
  zg_shard_part *const *parts; /**< instead of doing any task take the sums of these,
                            which are the parts of all shards; only on rank 0 */
  int64_t part_count;          /**< on all ranks */
  bool float32;                /**< type of the tensors */
  bool keep_shares;            /**< no team takes over what was dealt to another */
  const zg_attribute *attributes; /**< of the file's root, `complete` = 0 among them */
  bool (*should_stop)(void);      /**< asked between tiles; true ends the run cleanly */
  void (*watch_task)(bool begins); /**< told when work begins during which it is not
                                      asked, and when that ends; NULL: nobody listens */
} zg_run;

/** Compute and write everything; in a shard, its part.
 * \param [in,out] report  start with zeros.
 * \return ZG_OK; ZG_PARTIAL when the file is complete but bad input has left entries
 * undefined; ZG_STOPPED, with a checkpoint from which the same run goes on; or an
 * error. Without success there is no file. Collective; the same status on all ranks. */
zg_status zg_engine_run(const zg_run *run, zg_report *report);

#endif
