/** \file
 * Rows centred about means that were estimated from a sample, so that every number is
 * read once: what makes their products those of rows centred about the means. With
 * y a row of an item as it was centred and scaled, a = y.y, n rows, b the sum of all y
 * and m = b/n what the estimate was off:
 *
 *     sum (y - m)(z - m')' = Z'Z - b b'/n
 *     (y - m).(y - m)      = a - 2 y.m + m.m
 *
 * so that beside Z'Z the sums of y and of a_i y_k are needed. All corrections are
 * small, by the number of rows in the sample; where they are not, or where a few rows
 * outweigh the others, the sample did not stand for all rows, and they have to be read
 * again. */
#ifndef ZG_ENGINE_RECENTRING_H
#define ZG_ENGINE_RECENTRING_H

#include "engine/work.h"
#include "linalg/scatter.h"

/** N items of D features in all. */
typedef struct zg_recentring {
  const zg_work *work; /**< borrowed */
  int64_t N, D, count;
  int64_t *column;    /**< [N] where each item's features begin; owned */
  double *numbers;    /**< [count] sums over rows, of which the following are parts: for
                         checkpoints; owned */
  double *weighted;   /**< [N, D] of a_i y_k for all features k */
  double *sums;       /**< [D] of y / sqrt(n); later m */
  double *traces;     /**< [N] of a */
  double *heavy;      /**< [N] rows that are too heavy, or not finite */
  double *squares;    /**< [N] later: m.m; owned */
  zg_scatter weights; /**< a_i, and 1/sqrt(n), of some rows */
  float *rows;        /**< some of them before they are laid out; owned */
} zg_recentring;

/** \param [in] capacity  rows that are added at a time at most. Clear with
 * zg_recentring_clear. */
void zg_recentring_create(const zg_work *work, int64_t capacity, zg_recentring *r);
void zg_recentring_clear(zg_recentring *r);

/** Whether estimated items are worth a try. Not collective, the same on all ranks. */
bool zg_recentring_suits(const zg_work *work);

/** Add rows that are in a packed scatter.
 * \param [in] norms  [N, rows] with `stride` numbers from item to item: a. */
void zg_recentring_add(zg_recentring *r, zg_scatter *rows_of, const double *norms,
                       int64_t rows, int64_t stride);

/** Sum over all ranks, judge, and correct what has been summed over all ranks: the
 * scatter; and the items of the run, which become as if they had been measured, except
 * that their means stay estimates.
 * \param [out] traces  [N] of the corrected kernels, 1 where an item cannot be used.
 * \return whether the sample stood for all rows; else nothing has been changed.
 * Collective over the run's communicator; the same on all ranks. */
bool zg_recentring_finish(zg_recentring *r, zg_items *items, zg_scatter *scatter,
                          double *traces);
/** What the sum over rows of a_i a_k lacks. Not collective. */
double zg_recentring_of_norms(const zg_recentring *r, const zg_scatter *scatter,
                              int64_t i, int64_t k);

#endif
