/** \file
 * Models with tangent-kernel factors, and the plain-loop twin of their kernels: the
 * Jacobian multiplied out from the factors, and its products, in long double. */
#ifndef ZG_TESTS_ENGINE_FACTORED_H
#define ZG_TESTS_ENGINE_FACTORED_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum zg_test_factors {
  ZG_TEST_DENSE,   /**< input and signal; positions where S > 1 */
  ZG_TEST_INDEXED, /**< index and signal, S positions */
  ZG_TEST_DIRECT,  /**< explicit derivatives by `out` parameters */
  ZG_TEST_JACOBIAN /**< the same as a model's whole Jacobian */
} zg_test_factors;

/** A layer; its numbers follow from its seed. */
typedef struct zg_test_layer {
  zg_test_factors kind;
  const char *name;
  int64_t S;       /**< positions; 1 without such an axis, but for indices */
  int64_t in, out; /**< features; of indices `in` is the number of rows of the table */
  bool bias;
  unsigned long seed;
  double nudge; /**< how far its signals are from those of a layer with the same seed */
} zg_test_layer;

/** Write a layer of `m` samples and `classes` logits. */
void zg_test_layer_write(hid_t file, const char *model, const zg_test_layer *layer,
                         int64_t m, int64_t classes);

/** Parameters of a layer, its bias among them. */
int64_t zg_test_layer_parameters(const zg_test_layer *layer);

/** The derivatives of logit c of sample a: out[parameters]. */
void zg_test_layer_derivatives(const zg_test_layer *layer, int64_t classes, int64_t a,
                               int64_t c, long double *out);

/** Theta of samples [a, a + rows) and [b, b + columns) of a model of some layers,
 * row-major; all class pairs (rows (a, c)) or summed over equal classes.
 * \param [out] sizes  the same shape: sum of |J| |J'|, what roundings are relative to;
 * or NULL. */
void zg_test_theta(const zg_test_layer *layers, int64_t count, int64_t classes,
                   bool full, int64_t a, int64_t rows, int64_t b, int64_t columns,
                   long double *theta, long double *sizes);

#endif
