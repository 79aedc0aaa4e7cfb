/** \file
 * A small zoo of models with everything that measures on parameters, gradients and
 * tangent kernels read, and the plain-loop twin of their distances in long double.
 *
 *     model 0, 1   of one shape
 *     model 2      like model 1, but for a millionth
 *     model 3      of other shapes
 *     model 4      like model 0, but each of its arrays holds a NaN
 *     model 5      weights, and a Jacobian instead of factors; nothing else */
#ifndef ZG_TESTS_ENGINE_MODELS_H
#define ZG_TESTS_ENGINE_MODELS_H

#include "zoo/zoo.h"

enum { ZG_TEST_MODELS = 6, ZG_TEST_TASKS = 3 };

/** How large they are: gradients, samples of kernels, classes. */
typedef struct zg_test_sizes {
  int64_t gradient, samples, classes;
} zg_test_sizes;

/** Write the zoo. Not collective. */
void zg_test_models_write(const char *path, const zg_test_sizes *sizes);

/** Distances and similarities of two of the models 0 to 2. */
long double zg_test_weight_distance(int64_t i, int64_t k);
long double zg_test_output_distance(int64_t i, int64_t k);
long double zg_test_quadratic_distance(int64_t i, int64_t k);
long double zg_test_task_distance(int64_t i, int64_t k);
/** Of the recorded profiles. */
long double zg_test_sharpness_distance(int64_t i, int64_t k);
/** Of path2; also of models 3 and 5. */
long double zg_test_path_distance(int64_t i, int64_t k);
/** Of task s of model i and task t of model k. */
long double zg_test_gradient_cosine(const zg_test_sizes *sizes, int64_t i, int64_t s,
                                    int64_t k, int64_t t);
long double zg_test_gradient_conflict(const zg_test_sizes *sizes, int64_t i, int64_t s,
                                      int64_t k, int64_t t);
/** |sum of a model's gradients| - sum of their norms. */
long double zg_test_total_conflict(const zg_test_sizes *sizes, int64_t i);
/** Kernels of all models whose kernels are sound: [samples E, samples E], E = classes
 * or 1. The caller frees. */
long double *zg_test_kernel(const zg_test_sizes *sizes, int64_t model, bool full);

#endif
