/** \file
 * The plain-loop twin of the engine: HSIC from its definitions, in long double, with
 * whole kernel matrices. */
#ifndef ZG_TESTS_ENGINE_TWIN_H
#define ZG_TESTS_ENGINE_TWIN_H

#include <stdint.h>

typedef enum zg_twin_estimator {
  ZG_TWIN_DEBIASED,
  ZG_TWIN_BIASED,
  ZG_TWIN_MINIBATCH
} zg_twin_estimator;

/** One item: features [n, d], row-major. */
typedef struct zg_twin_item {
  const double *features; /**< borrowed */
  int64_t n, d;
} zg_twin_item;

/** HSIC of all pairs of items. \param [in] bandwidth  t of exp(-d^2/(2 t^2 m)); 0: the
 * linear kernel. \param [in] batch  samples per batch of the mini-batch estimator.
 * \param [out] hsic  [count, count]. */
void zg_twin_hsic(const zg_twin_item *items, int64_t count, double bandwidth,
                  zg_twin_estimator estimator, int64_t batch, long double *hsic);

/** Median of all n^2 squared distances of the samples, diagonal included. */
long double zg_twin_median(const zg_twin_item *item);

#endif
