/** \file
 * Sums over sample pairs for every pair of items: symmetric N x N matrices that grow
 * tile by tile on every team and are added up over the teams at the end. They are kept
 * as in linalg/fixed.h, so for one-rank teams their bits do not depend on who added
 * what when; terms must be scaled so that sums stay far below 2^13.
 *
 * A team of Q ranks holds one such matrix cut into Q runs of columns:
 *
 *              first   first + count
 *        .-------+---------+------.
 *        |       | entry   |      |   entry (i, first + j) is at [i * count + j]
 *      N |       | (i, .)  |      |
 *        '-------+---------+------'
 *
 * Where the whole matrix is too large for a rank, a team of one rank makes one band of
 * it after the other: the columns [begin, end), of which the rows [0, end) are all that
 * is needed, as those beyond are in the bands that follow.
 *
 * In the end each rank owns a run of the items of a matrix or band and, for each of
 * these, the sums with all items (of a band: with those up to it). */
#ifndef ZG_GRID_PAIRS_H
#define ZG_GRID_PAIRS_H

#include "grid/team.h"
#include "linalg/blas.h"

#include <stdbool.h>

typedef struct zg_pairs {
  int64_t n;            /**< items */
  int64_t begin, end;   /**< columns of all ranks of the team; rows: [0, end) */
  int64_t first, count; /**< this rank's columns */
  bool by_rows;         /**< combined, and this rank owns rows instead of columns */
  int64_t own, owned;   /**< once combined: the items [own, own + owned) of this rank */
  double *coarse, *fine; /**< [end, count] each, owned; their sum is the matrix */
} zg_pairs;

/** A matrix of zeros; empty on an idle rank. Not collective. */
void zg_pairs_create(const zg_team *team, int64_t n, zg_pairs *pairs);
/** The same of a band; only the whole of a matrix can be shared by a larger team. */
void zg_pairs_create_band(const zg_team *team, int64_t n, int64_t begin, int64_t end,
                          zg_pairs *pairs);
void zg_pairs_destroy(zg_pairs *pairs);
/** Numbers that this rank holds of it, coarse or fine. */
static inline int64_t zg_pairs_numbers(const zg_pairs *pairs) {
  return pairs->end * pairs->count;
}
/** Columns that one rank of a team of `size` holds at most. */
static inline int64_t zg_pairs_share(int64_t n, int64_t size) {
  return (n + size - 1) / size;
}

/** One triangle of S += alpha sum_k V_i[k] V_j[k], the HSIC reduction: p?syrk over the
 * stacked items (a local product on a team of one rank). Runs of ZG_RUN terms per rank
 * are summed in V's precision, the runs in double.
 *
 * \param [in] V       [end, length], this rank's part of every item's matrix: row-major
 * with `stride` numbers from item to item.
 *
 * \param [in] length  numbers of an item on this rank; ranks may differ.
 *
 * \param [in] longest  the largest length in the team; numbers from length to longest
 * must be there and be zero.
 *
 * Collective over the team. */
void zg_pairs_add_product(const zg_team *team, zg_precision precision, double alpha,
                          const void *V, int64_t length, int64_t longest,
                          int64_t stride, zg_pairs *pairs);

/** S += alpha sum_k w_i[k] w_j[k] in double, both triangles.
 * \param [in] w  [end, length] row-major with `stride`, the same on all ranks of the
 * team. Not collective. */
void zg_pairs_add_vectors(double alpha, const double *w, int64_t length, int64_t stride,
                          zg_pairs *pairs);
/** S_ij += alpha x_i x_j. Not collective. */
void zg_pairs_add_scalars(double alpha, const double *x, zg_pairs *pairs);
/** S += T. Not collective. */
void zg_pairs_add(const zg_pairs *other, zg_pairs *pairs);

/** Fill the other triangle of a whole matrix. Collective over the team. */
void zg_pairs_symmetrise(const zg_team *team, zg_pairs *pairs);

/** Add up over all teams, from one triangle of each: N^2/2 numbers, coarse and fine.
 * One-rank teams then own equal runs of the items; of larger teams the ranks of the
 * first own what they hold, the others nothing.
 * \param [out] diagonal  [n], of which [begin, end) is set, on every rank of world.
 * Collective over world. */
void zg_pairs_combine(const zg_team *team, zg_pairs *pairs, double *diagonal);
/** The same of a whole matrix with everything on every rank, coarse and fine; teams of
 * one rank. Collective over world. */
void zg_pairs_sum(const zg_team *solo, zg_pairs *pairs);

/** The combined sum of an owned item i with any item k. Not collective. */
static inline double zg_pairs_at(const zg_pairs *pairs, int64_t i, int64_t k) {
  int64_t at =
      pairs->by_rows ? i * pairs->count + k : k * pairs->count + i - pairs->first;
  return pairs->coarse[at] + pairs->fine[at];
}

#endif
