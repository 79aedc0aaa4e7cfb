/** \file
 * What is known of all pairs of items of a vector or tangent pass, on every rank. */
#ifndef ZG_ENGINE_PRODUCTS_H
#define ZG_ENGINE_PRODUCTS_H

#include "engine/tensor.h"

/** Distances are first kept squared and in units in which nothing over- or underflows:
 * apart = |a v_i - b v_k|^2, where a and b are the multipliers of i and k or, for items
 * that keep their size, both the smaller of the two. */
typedef struct zg_products {
  int64_t n;
  int64_t *group; /**< [n] items of different groups do not fit; -1: no data; owned */
  zg_code *code;  /**< [n] of each item; owned */
  double *norm;   /**< [n] 0 where it is rounding; owned */
  double *multiplier;   /**< [n] 0 where an item cannot be scaled as asked; owned */
  bool keep_size;       /**< distances are of the items as they are */
  double *cosine;       /**< [n, n] owned */
  double *apart;        /**< [n, n] owned */
  uint8_t *refined;     /**< [n, n] whether apart is a sum of differences; owned */
  uint8_t *unsupported; /**< [n, n] whether apart is infinite; owned */
} zg_products;

/** Everything zero, nobody in a group, all data absent. Not collective. */
void zg_products_create(const zg_pass *pass, zg_products *products);
void zg_products_clear(zg_products *products);
/** Whether two items are of one group and nothing is wrong with either. */
bool zg_products_fit(const zg_products *products, int64_t i, int64_t k);
/** What two items are multiplied with in `apart`. */
void zg_products_multipliers(const zg_products *products, int64_t i, int64_t k,
                             double *a, double *b);
/** Turn the squares in `apart` into distances, in the items' own units where they keep
 * their size. */
void zg_products_take_roots(zg_products *products);
/** A zg_pair_fn whose context is a zg_products with distances. */
void zg_products_pair(const void *products, int64_t i, int64_t k, zg_pair *pair);

/** A pair whose distance is to be computed from differences. */
typedef struct zg_close {
  int64_t i, k;       /**< items, i > k */
  int64_t group;      /**< that of both */
  double alpha, beta; /**< sum (alpha v_i - beta v_k)^2 is at most about 1 ... */
  double bound;       /**< ... and this times as much is `apart` */
} zg_close;

/** The pairs whose distances cancellation has spoilt, and their sums so far. */
typedef struct zg_close_pairs {
  zg_close *pairs; /**< owned */
  int64_t count;
  double *coarse, *fine; /**< [count] owned */
  int64_t *place; /**< [items] where an item of a close pair stands among those that
                     are held (set by whoever holds them), -1 for all others; owned */
} zg_close_pairs;

/** Find them: apart < `threshold` times what it was subtracted from. Says in the log
 * how many.
 * \param [in] from  [n] the squares that apart was made of, each in units of its item's
 * multiplier.
 * \param [in] noise  relative rounding of the products. Not collective, the same on all
 * ranks. Clear in any case. */
void zg_close_find(const zg_products *products, const double *from, double threshold,
                   double noise, zg_close_pairs *close);
/** Add what some numbers of all items of a group contribute, `weight` times.
 * \param [in] V  [places, count]. Not collective. */
void zg_close_add(zg_close_pairs *close, int64_t group, double weight,
                  zg_precision precision, int64_t count, const void *V);
/** Add up over all ranks and put the sums into `apart`. Collective. */
void zg_close_finish(MPI_Comm comm, zg_close_pairs *close, zg_products *products);
void zg_close_clear(zg_close_pairs *close);

/** The power of two next to x > 0 from below; 1 for anything else. */
double zg_power_below(double x);
/** The power of two that brings a size > 0 near 1, 1 for size 0. */
double zg_scale_for(double size);

#endif
