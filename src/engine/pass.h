/** \file
 * A pass of the gram-product form while it is being computed; private to this folder.
 *
 *     gram.c      its life: tiles to kernels to products, checkpoints
 *     rbf.c       bandwidths, shifts and scales of RBF kernels
 *     centring.c  what the products lack: terms of row sums and diagonals */
#ifndef ZG_ENGINE_PASS_H
#define ZG_ENGINE_PASS_H

#include "base/threads.h"
#include "engine/gram.h"
#include "engine/median.h"
#include "engine/step.h"

/** What a thread needs for one item of the current tile. */
typedef struct zg_desk {
  double *wide; /**< its part of the matrix, or a strip of that, where it is formed in
                     double instead */
  double *left_side, *right_side; /**< [tile] shifts, or row sums */
  double *distances;              /**< batches: squared distances */
} zg_desk;

/** A pass in progress: N items, n samples. Everything is owned. */
typedef struct zg_pass_state {
  zg_work *work;
  int64_t index; /* in the plan */
  const zg_pass *pass;
  zg_gram *gram;
  int64_t begin, end; /* the band: products of the items [begin, end) with [0, end) */

  /* The current tile. */
  void *V;            /**< [N, stride] this rank's part of the matrix of every item */
  zg_forming forming; /**< panels, and V as the search for medians sees it */
  zg_desk *desks;     /**< [threads] */
  int64_t wide;       /**< numbers of desk.wide, which is made when it is needed */
  int threads;        /**< that work on items; those of a team are BLAS's */
  double *alpha;      /**< [N, tile] linear: what is left of the diagonals */

  /* What tiles add up to. */
  zg_pairs triangle;           /**< sum of <V_i,V_j>, one triangle */
  zg_pairs rest[ZG_CENTRINGS]; /**< all other terms, both triangles; empty where none */
  double *row_sums;  /**< RBF: [N, kept_rows] r of a full pass, or of a batch */
  int64_t kept_rows; /**< n, or the largest batch */
  double *total;     /**< [N] linear: 1'alpha */
  double *alive;     /**< [N] batches: how many had a median above zero */
  double unit;       /**< all inner products are kept times this, so they are about 1 */
  zg_sums sums;      /**< all of these as a checkpoint sees them */

  /* What V is made with; the same when the pass is resumed. */
  zg_rbf *rbf;        /**< [N] into `parameters` */
  double *parameters; /**< kernels, then what gram.c keeps beside them */
} zg_pass_state;

/** The running thread's. */
static inline zg_desk *zg_desk_of(const zg_pass_state *s) {
  return &s->desks[zg_thread()];
}

static inline bool zg_is_rbf(const zg_pass_state *s) {
  return s->pass->spec.gram.kernel == ZG_KERNEL_RBF;
}

static inline zg_precision zg_pass_precision(const zg_pass_state *s) {
  return s->pass->precision;
}

/** Find the bandwidth of every item and choose its kernel. Collective over the run's
 * communicator; the same status on all ranks. */
zg_status zg_rbf_prepare(zg_pass_state *s);
/** The same for one item on one batch; its scale is that of all batches. Collective
 * over the team. \return false where the median is zero. */
bool zg_rbf_prepare_batch(zg_pass_state *s, const zg_panel *panel,
                          const zg_block *block, int64_t item);
/** What is left of the diagonal of a kernel matrix. Not collective. */
double zg_rbf_diagonal(const zg_rbf *rbf);

/** Add the terms of the row sums of a batch of RBF kernels, and clear them. Collective
 * over the team. */
void zg_centring_add_batch(zg_pass_state *s, int64_t rows);
/** Make the products of a pass whose tiles are done: centred, complete, summed over all
 * teams. Collective over the run's communicator. */
void zg_centring_finish(zg_pass_state *s);

#endif
