#include "engine/models.h"

#include "base/memory.h"
#include "engine/factored.h"
#include "files.h"
#include "mpi_main.h"

#include <hdf5_hl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

enum { OUT = 60, IN = 50, SAMPLES = 7, LOGITS = 500, CLASSES = 10 };
enum { PARAMETERS = OUT * IN + OUT + 30 * OUT };
static const double millionth = 1e-6;

/* Number k of an array. Models 2 and 1, and 4 and 0, have the same seeds. */
static double number(int64_t model, unsigned long array, int64_t k) {
  static const unsigned long seeds[ZG_TEST_MODELS] = {0, 1, 1, 3, 0, 5};
  unsigned long seed = 10000 + 100 * seeds[model] + array;
  double x = zg_test_random(seed, (unsigned long)k);
  if (model == 2) x += millionth * zg_test_random(seed + 50, (unsigned long)k);
  return x;
}

enum { WEIGHTS = 1, GRADIENTS = 2, SAMPLE_GRADIENTS = 10, LOGIT, SHARPNESS };

static double weight(int64_t model, int64_t k) {
  return number(model, WEIGHTS, k);
}
static double gradient(int64_t model, int64_t task, int64_t k) {
  return number(model, GRADIENTS + (unsigned long)task, k) + 0.1;
}
static double sample_gradient(int64_t model, int64_t a, int64_t k) {
  return number(model, SAMPLE_GRADIENTS, a * PARAMETERS + k);
}
static double logit(int64_t model, int64_t a, int64_t c) {
  return 3 * number(model, LOGIT, a * CLASSES + c);
}

/* ---- the zoo ---- */

static void write_numbers(hid_t file, int64_t model, const char *name,
                          unsigned long array, int64_t first, double factor,
                          double offset, int rank, const int64_t *shape) {
  char path[ZG_TEST_PATH_BYTES];
  hsize_t dims[4];
  int64_t count = 1;
  for (int k = 0; k < rank; k++) {
    dims[k] = (hsize_t)shape[k];
    count *= shape[k];
  }
  double *values = ZG_NEW(double, count);
  for (int64_t k = 0; k < count; k++)
    values[k] = factor * number(model, array, first + k) + offset;
  if (model == 4) values[count / 2] = NAN;
  snprintf(path, sizeof path, "/models/m%d/%s", (int)model, name);
  zg_test_zoo_dataset(file, path, H5T_IEEE_F64LE, rank, dims, values);
  free(values);
}

#define SHAPE(...)                                                                     \
  (sizeof((int64_t[]){__VA_ARGS__}) / 8), (const int64_t[]) {                          \
    __VA_ARGS__                                                                        \
  }

static void write_weights(hid_t file, int64_t model) {
  char path[ZG_TEST_PATH_BYTES];
  int64_t in = model == 3 ? IN + 1 : IN; /* the chain of matrices still fits */
  snprintf(path, sizeof path, "/models/m%d/weights", (int)model);
  zg_test_zoo_group(file, path, 1);
  write_numbers(file, model, "weights/w1", WEIGHTS, 0, 1, 0, SHAPE(OUT, in));
  write_numbers(file, model, "weights/b1", WEIGHTS, OUT * in, 1, 0, SHAPE(OUT));
  write_numbers(file, model, "weights/w2", WEIGHTS, OUT * in + OUT, 1, 0,
                SHAPE(30, OUT));
}

static void write_gradients(hid_t file, int64_t model, const zg_test_sizes *sizes) {
  for (int task = 0; task < ZG_TEST_TASKS; task++) {
    char name[32];
    snprintf(name, sizeof name, "gradients/t%d", task);
    write_numbers(file, model, name, GRADIENTS + (unsigned long)task, 0, 1, 0.1,
                  SHAPE(sizes->gradient + (model == 3)));
  }
  int64_t parameters = model == 3 ? PARAMETERS + OUT : PARAMETERS;
  write_numbers(file, model, "sample_gradients", SAMPLE_GRADIENTS, 0, 1, 0,
                SHAPE(SAMPLES, parameters));
}

static void write_outputs(hid_t file, int64_t model) {
  const double radii[3] = {0.05, 0.1, model == 3 ? 0.3 : 0.2};
  char path[ZG_TEST_PATH_BYTES];
  int64_t classes = model == 3 ? CLASSES + 1 : CLASSES;
  write_numbers(file, model, "logits", LOGIT, 0, 3, 0, SHAPE(LOGITS, classes));
  write_numbers(file, model, "sharpness", SHARPNESS, 0, 1, 1, SHAPE(3, 4));
  snprintf(path, sizeof path, "/models/m%d/sharpness", (int)model);
  H5LTset_attribute_double(file, path, "radius", radii, 3);
}

/* The layers of a model's kernel. \return how many. */
static int64_t layers_of(int64_t model, zg_test_layer layers[4]) {
  static const unsigned long seeds[ZG_TEST_MODELS] = {100, 200, 200, 300, 100, 500};
  unsigned long seed = seeds[model];
  double nudge = model == 2 ? millionth : 0;
  if (model == 5) {
    layers[0] = (zg_test_layer){ZG_TEST_JACOBIAN, "", 1, 0, 77, false, seed, 0};
    return 1;
  }
  layers[0] = (zg_test_layer){ZG_TEST_DENSE, "a.conv", 3, 5, 4, true, seed, nudge};
  layers[1] = (zg_test_layer){ZG_TEST_INDEXED, "b.emb", 6, 9, 4, true, seed + 1, nudge};
  layers[2] = (zg_test_layer){ZG_TEST_DENSE, "c.fc", 1, 8, 6, true, seed + 2, nudge};
  layers[3] =
      (zg_test_layer){ZG_TEST_DIRECT, "d.norm", 1, 0, 9, false, seed + 3, nudge};
  return 4;
}

static int64_t samples_of(const zg_test_sizes *sizes, int64_t model) {
  return model == 3 ? sizes->samples - 1 : sizes->samples;
}

static void write_kernel(hid_t file, int64_t model, const zg_test_sizes *sizes) {
  char name[32];
  zg_test_layer layers[4];
  int64_t count = layers_of(model, layers);
  snprintf(name, sizeof name, "m%d", (int)model);
  if (model == 4) layers[2].nudge = NAN;
  for (int64_t l = 0; l < count; l++)
    zg_test_layer_write(file, name, &layers[l], samples_of(sizes, model),
                        sizes->classes);
}

void zg_test_models_write(const char *path, const zg_test_sizes *sizes) {
  hid_t file = zg_test_zoo_create(path);
  for (int64_t model = 0; model < ZG_TEST_MODELS; model++) {
    write_weights(file, model);
    write_kernel(file, model, sizes);
    if (model == 5) continue;
    write_gradients(file, model, sizes);
    write_outputs(file, model);
  }
  zg_test_zoo_close(file);
}

/* ---- the twin ---- */

long double zg_test_weight_distance(int64_t i, int64_t k) {
  long double sum = 0;
  for (int64_t w = 0; w < PARAMETERS; w++)
    sum += powl((long double)weight(i, w) - weight(k, w), 2);
  return sqrtl(sum);
}

static void probabilities(int64_t model, int64_t a, long double p[CLASSES]) {
  long double sum = 0;
  for (int64_t c = 0; c < CLASSES; c++)
    sum += p[c] = expl(logit(model, a, c));
  for (int64_t c = 0; c < CLASSES; c++)
    p[c] /= sum;
}

/* 2 arccos of the inner product, by its sine where that is small. */
static long double fisher_rao(int64_t i, int64_t k, int64_t a) {
  long double p[CLASSES], q[CLASSES], chord = 0;
  probabilities(i, a, p);
  probabilities(k, a, q);
  for (int64_t c = 0; c < CLASSES; c++)
    chord += powl(sqrtl(p[c]) - sqrtl(q[c]), 2);
  return 4 * asinl(sqrtl(chord) / 2);
}

long double zg_test_output_distance(int64_t i, int64_t k) {
  long double sum = 0;
  for (int64_t a = 0; a < LOGITS; a++)
    sum += powl(fisher_rao(i, k, a), 2);
  return sqrtl(sum / LOGITS);
}

/* Mean of (g.(theta_i - theta_k))^2 over the samples of one model. */
static long double mean_projection(int64_t of, int64_t i, int64_t k) {
  long double mean = 0;
  for (int64_t a = 0; a < SAMPLES; a++) {
    long double projection = 0;
    for (int64_t w = 0; w < PARAMETERS; w++)
      projection +=
          sample_gradient(of, a, w) * ((long double)weight(i, w) - weight(k, w));
    mean += projection * projection / SAMPLES;
  }
  return mean;
}

long double zg_test_quadratic_distance(int64_t i, int64_t k) {
  return sqrtl((mean_projection(i, i, k) + mean_projection(k, i, k)) / 2);
}

/* Root of the diagonal Fisher of one parameter, before scaling. */
static long double root_fisher(int64_t model, int64_t w) {
  long double sum = 0;
  for (int64_t a = 0; a < SAMPLES; a++)
    sum += powl(sample_gradient(model, a, w), 2);
  return sqrtl(sum / SAMPLES);
}

long double zg_test_task_distance(int64_t i, int64_t k) {
  long double f = 0, h = 0, sum = 0;
  for (int64_t w = 0; w < PARAMETERS; w++) {
    f += powl(root_fisher(i, w), 2);
    h += powl(root_fisher(k, w), 2);
  }
  for (int64_t w = 0; w < PARAMETERS; w++)
    sum += powl(root_fisher(i, w) / sqrtl(f) - root_fisher(k, w) / sqrtl(h), 2);
  return sqrtl(sum / 2);
}

long double zg_test_sharpness_distance(int64_t i, int64_t k) {
  long double sum = 0;
  for (int64_t radius = 0; radius < 3; radius++) {
    long double difference = 0;
    for (int64_t batch = 0; batch < 4; batch++)
      difference += (long double)number(i, SHARPNESS, radius * 4 + batch) -
                    number(k, SHARPNESS, radius * 4 + batch);
    sum += difference * difference / 16;
  }
  return sqrtl(sum);
}

/* Log of the root of the sum over paths of squared products: w1, a bias, w2. */
static long double log_path_norm(int64_t model) {
  int64_t in = model == 3 ? IN + 1 : IN, second = OUT * in + OUT;
  long double sum = 0;
  for (int64_t hidden = 0; hidden < OUT; hidden++) {
    long double from = 0, on = 0;
    for (int64_t i = 0; i < in; i++)
      from += powl(weight(model, hidden * in + i), 2);
    for (int64_t o = 0; o < 30; o++)
      on += powl(weight(model, second + o * OUT + hidden), 2);
    sum += from * on;
  }
  return logl(sum) / 2;
}

long double zg_test_path_distance(int64_t i, int64_t k) {
  return fabsl(log_path_norm(i) - log_path_norm(k));
}

typedef struct products {
  long double gg, hh, gh, apart; /* apart: |g/|g| - h/|h||^2 */
} products;

static products products_of(const zg_test_sizes *sizes, int64_t i, int64_t s, int64_t k,
                            int64_t t) {
  products p = {0, 0, 0, 0};
  for (int64_t w = 0; w < sizes->gradient; w++) {
    long double g = gradient(i, s, w), h = gradient(k, t, w);
    p.gg += g * g;
    p.hh += h * h;
    p.gh += g * h;
  }
  for (int64_t w = 0; w < sizes->gradient; w++)
    p.apart +=
        powl(gradient(i, s, w) / sqrtl(p.gg) - gradient(k, t, w) / sqrtl(p.hh), 2);
  return p;
}

long double zg_test_gradient_cosine(const zg_test_sizes *sizes, int64_t i, int64_t s,
                                    int64_t k, int64_t t) {
  products p = products_of(sizes, i, s, k, t);
  return 1 - p.apart / 2;
}

long double zg_test_gradient_conflict(const zg_test_sizes *sizes, int64_t i, int64_t s,
                                      int64_t k, int64_t t) {
  products p = products_of(sizes, i, s, k, t);
  long double sum = sqrtl(p.gg + p.hh + 2 * p.gh), g = sqrtl(p.gg), h = sqrtl(p.hh);
  return -g * h * p.apart / (sum + g + h);
}

long double zg_test_total_conflict(const zg_test_sizes *sizes, int64_t i) {
  long double whole = 0, norms = 0;
  for (int64_t w = 0; w < sizes->gradient; w++) {
    long double sum = 0;
    for (int64_t t = 0; t < ZG_TEST_TASKS; t++)
      sum += gradient(i, t, w);
    whole += sum * sum;
  }
  for (int64_t t = 0; t < ZG_TEST_TASKS; t++)
    norms += sqrtl(products_of(sizes, i, t, i, t).gg);
  return sqrtl(whole) - norms;
}

long double *zg_test_kernel(const zg_test_sizes *sizes, int64_t model, bool full) {
  zg_test_layer layers[4];
  int64_t count = layers_of(model, layers), m = samples_of(sizes, model);
  int64_t rows = m * (full ? sizes->classes : 1);
  long double *kernel = ZG_NEW(long double, rows *rows);
  zg_test_theta(layers, count, sizes->classes, full, 0, m, 0, m, kernel, NULL);
  return kernel;
}
