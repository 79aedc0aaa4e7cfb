/** \file
 * Path norms: products of operator norms, and sums over paths.
 *
 *     spectral   v = product over linear and conv weights of the operator norm
 *                (Bartlett, Foster & Telgarsky 2017; convolutions after Sedghi, Gupta &
 *                Long 2019)
 *     path1/2    v = (sum over input-output paths of prod |w|^p)^(1/p), p = 1, 2
 *                (Neyshabur, Tomioka & Srebro 2015, eq. 5)
 *
 * v of a deep network may leave the range of doubles, log v does not. */
#include "base/memory.h"
#include "base/text.h"
#include "grid/spectrum.h"
#include "linalg/convolution.h"
#include "linalg/numbers.h"
#include "linalg/spectral.h"
#include "measures/profile.h"
#include "measures/spec.h"
#include "zoo/convolution.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const zg_option options[] = {
    {.name = "norm",
     .type = ZG_OPTION_CHOICE,
     .choices = {"spectral", "path1", "path2"},
     .help =
         "spectral: product of operator norms; path1, path2: over all paths through "
         "a chain of linear weights"},
    {.name = NULL}};

/* What a task of either form yields: a logarithm, and whether the weight counts. */
enum { LOG, COUNTS, FOUND };
/* A profile. */
enum { LOG_VALUE, VALUE, NUMBERS };

static int64_t found_width(const zg_call *call, const zg_zoo *zoo) {
  (void)call, (void)zoo;
  return FOUND;
}

static int64_t profile_width(const zg_call *call, const zg_zoo *zoo) {
  (void)call, (void)zoo;
  return NUMBERS;
}

static void keep_norm(double norm, zg_finding *finding) {
  finding->values[LOG] = log(norm);
  finding->values[COUNTS] = 1;
  if (!isfinite(norm)) finding->code = ZG_CODE_NONFINITE;
  if (norm == 0) {
    finding->code = ZG_CODE_ZERO_VARIANCE;
    snprintf(finding->note, sizeof finding->note, "zero");
  }
}

/* ---- spectral ---- */

static void keep_certified(zg_norm norm, zg_finding *finding) {
  keep_norm(norm.value, finding);
  if (norm.converged) return;
  finding->code = ZG_CODE_CONVERGENCE;
  snprintf(finding->note, sizeof finding->note,
           "the operator norm has not converged (residual %.1e)", norm.residual);
}

/* The operator of a convolution that can be used; its weights are not set. */
static zg_convolution operator_of(const zg_array *array) {
  const zg_conv_geometry *g = &array->conv;
  zg_convolution c = {.out = array->n,
                      .in = array->dims[1],
                      .groups = g->groups,
                      .circular = g->circular};
  for (int k = 0; k < 2; k++) {
    c.input[k] = g->input[k];
    c.stride[k] = g->stride[k];
    c.dilation[k] = g->dilation[k];
    c.kernel[k] = array->dims[2 + k];
  }
  memcpy(c.padding, g->padding, sizeof c.padding);
  return c;
}

static bool is_usable(const zg_array *array) {
  return array->kind != ZG_WEIGHT_CONV || array->conv.input[0];
}

/* What the attributes of a convolution lack. */
static zg_status complain(zg_reader *reader, int64_t index, zg_finding *finding) {
  zg_conv_attributes attributes;
  ZG_TRY(zg_reader_convolution(reader, index, &attributes));
  snprintf(finding->note, sizeof finding->note, "%s", attributes.problem);
  finding->code = ZG_CODE_ABSENT;
  return ZG_OK;
}

/* Extreme weights are scaled in place, so that nobody makes a copy. */
static zg_norm norm_of_weight(const zg_array *array, double *weights) {
  int64_t size = array->n * array->d;
  double unit = zg_unit_scale(size, weights);
  zg_norm norm;
  for (int64_t k = 0; zg_is_extreme(unit) && k < size; k++)
    weights[k] *= unit;
  if (array->kind == ZG_WEIGHT_CONV) {
    zg_convolution convolution = operator_of(array);
    convolution.weights = weights;
    norm = zg_convolution_norm(&convolution);
  } else {
    norm = zg_dense_norm(array->n, array->d, weights);
  }
  if (zg_is_extreme(unit)) norm.value /= unit;
  return norm;
}

static zg_status measure_weight(const zg_call *call, zg_reader *reader,
                                const zg_zoo *zoo, int64_t index, int64_t count,
                                zg_finding *finding) {
  (void)call, (void)count;
  const zg_array *array = &zoo->arrays[index];
  if (array->kind != ZG_WEIGHT_LINEAR && array->kind != ZG_WEIGHT_CONV) return ZG_OK;
  if (!is_usable(array)) return complain(reader, index, finding);
  int64_t size = array->n * array->d;
  double *weights = ZG_NEW(double, size);
  zg_status status = zg_reader_doubles(reader, index, 0, array->n, weights);
  if (status == ZG_OK && !zg_all_finite(ZG_DOUBLE, weights, size))
    finding->code = ZG_CODE_NONFINITE;
  else if (status == ZG_OK)
    keep_certified(norm_of_weight(array, weights), finding);
  free(weights);
  return status;
}

typedef struct fill_context {
  zg_reader *reader;
  int64_t index;
} fill_context;

static zg_status fill(void *context, int64_t row, int64_t rows, double *values) {
  const fill_context *c = context;
  return zg_reader_doubles(c->reader, c->index, row, rows, values);
}

static zg_status measure_together(MPI_Comm comm, zg_reader *reader, const zg_zoo *zoo,
                                  int64_t index, zg_finding *finding) {
  const zg_array *array = &zoo->arrays[index];
  double norm;
  if (array->kind != ZG_WEIGHT_LINEAR) return ZG_OK;
  fill_context context = {.reader = reader, .index = index};
  ZG_TRY(zg_distributed_norm(comm, array->n, array->d, fill, &context, &norm));
  finding->code = ZG_CODE_OK;
  finding->note[0] = 0;
  keep_norm(norm, finding);
  return ZG_OK;
}

static double weight_cost(const zg_array *array) {
  switch (array->kind) {
  case ZG_WEIGHT_LINEAR:
    return (double)array->n * (double)array->d;
  case ZG_WEIGHT_CONV: /* once per output position, of which there are some hundred */
    return 256 * (double)array->n * (double)array->d;
  default:
    return 0;
  }
}

static void multiply(const zg_call *call, int64_t tasks, int64_t width,
                     const double *values, double *profile, zg_code *code) {
  double sum = 0, weights = 0;
  (void)call;
  for (int64_t k = 0; k < tasks; k++) {
    sum += values[k * width + LOG];
    weights += values[k * width + COUNTS];
  }
  profile[LOG_VALUE] = sum;
  profile[VALUE] = exp(sum);
  if (*code == ZG_CODE_OK && weights == 0) *code = ZG_CODE_ABSENT;
}

/* ---- paths ---- */

/* The norms of the paths that end in each unit, as far as the chain has come; their
 * common factor exp(log) is apart. */
typedef struct chain {
  double *norms;
  int64_t width; /* 0 before the first weight */
  double log;
} chain;

static void rescale(chain *c) {
  double largest = 0;
  for (int64_t k = 0; k < c->width; k++)
    largest = fmax(largest, c->norms[k]);
  if (!(largest > 0) || !isfinite(largest)) return;
  for (int64_t k = 0; k < c->width; k++)
    c->norms[k] /= largest;
  c->log += log(largest);
}

/* The 1- or 2-norm. */
static double norm_of(int64_t count, const double *x, bool euclidean) {
  double sum = 0;
  if (euclidean) return zg_length(count, x);
  for (int64_t k = 0; k < count; k++)
    sum += fabs(x[k]);
  return sum;
}

/* Lead all paths through one more weight [out, in]. */
static zg_status extend(chain *c, zg_reader *reader, const zg_zoo *zoo, int64_t index,
                        bool euclidean) {
  const zg_array *array = &zoo->arrays[index];
  double *row = ZG_NEW(double, array->d), *norms = ZG_NEW(double, array->n);
  zg_status status = ZG_OK;
  for (int64_t r = 0; status == ZG_OK && r < array->n; r++) {
    status = zg_reader_doubles(reader, index, r, 1, row);
    for (int64_t k = 0; status == ZG_OK && k < array->d; k++)
      row[k] *= c->norms[k];
    if (status == ZG_OK) norms[r] = norm_of(array->d, row, euclidean);
  }
  free(row);
  free(c->norms);
  c->norms = norms;
  c->width = array->n;
  rescale(c);
  return status;
}

/* Why a weight is no next link of the chain; NULL when it is one. */
static const char *misfit(const chain *c, const zg_array *array) {
  if (array->kind == ZG_WEIGHT_CONV)
    return "is a convolution: path1 and path2 are for chains of linear weights";
  if (array->rank != 2) return "is no matrix";
  if (c->width && c->width != array->d)
    return "does not have as many columns as the weight before it has rows";
  return NULL;
}

static zg_status measure_chain(const zg_call *call, zg_reader *reader,
                               const zg_zoo *zoo, int64_t first, int64_t count,
                               zg_finding *finding) {
  bool euclidean = zg_call_is(call, "norm", "path2");
  chain c = {0};
  zg_status status = ZG_OK;
  for (int64_t k = first; status == ZG_OK && k < first + count; k++) {
    const zg_array *array = &zoo->arrays[k];
    if (array->kind != ZG_WEIGHT_LINEAR && array->kind != ZG_WEIGHT_CONV) continue;
    const char *problem = misfit(&c, array);
    if (problem) {
      finding->code = ZG_CODE_SHAPE;
      snprintf(finding->note, sizeof finding->note, "parameter '%s' %s", array->name,
               problem);
      break;
    }
    if (!c.norms) {
      c.norms = ZG_NEW(double, array->d);
      for (int64_t j = 0; j < array->d; j++)
        c.norms[j] = 1;
    }
    status = extend(&c, reader, zoo, k, euclidean);
  }
  if (c.width && finding->code == ZG_CODE_OK)
    keep_norm(norm_of(c.width, c.norms, euclidean), finding);
  finding->values[LOG] += c.log;
  free(c.norms);
  return status;
}

static double chain_cost(const zg_array *array) {
  return (double)array->n * (double)array->d;
}

/* The weights, and what their norm needs beside them. */
static int64_t weight_memory(const zg_array *array) {
  int64_t weights = 8 * array->n * array->d;
  if (array->kind == ZG_WEIGHT_LINEAR)
    return weights + zg_dense_norm_memory(array->n, array->d);
  if (array->kind != ZG_WEIGHT_CONV || !is_usable(array)) return 0;
  zg_convolution convolution = operator_of(array);
  return weights + zg_convolution_norm_memory(&convolution);
}

static int64_t chain_memory(const zg_array *array) {
  return 8 * (array->n + 2 * array->d);
}

static const zg_profile_form spectral = {.data = ZG_WEIGHTS,
                                         .per_array = true,
                                         .width = found_width,
                                         .cost = weight_cost,
                                         .memory = weight_memory,
                                         .measure = measure_weight,
                                         .measure_together = measure_together,
                                         .profile_width = profile_width,
                                         .summarise = multiply};
static const zg_profile_form paths = {.data = ZG_WEIGHTS,
                                      .width = found_width,
                                      .cost = chain_cost,
                                      .memory = chain_memory,
                                      .measure = measure_chain,
                                      .profile_width = profile_width,
                                      .summarise = multiply};

static zg_spec spec(const zg_call *call) {
  bool products = zg_call_is(call, "norm", "spectral");
  return (zg_spec){.form = ZG_FORM_PROFILE, .profile = products ? &spectral : &paths};
}

static uint32_t reads(const zg_call *call) {
  (void)call;
  return 1u << ZG_WEIGHTS;
}

static int64_t kept(const zg_call *call, zg_kept kept[ZG_MAX_KEPT]) {
  (void)call;
  kept[LOG_VALUE] =
      (zg_kept){.name = "log_value", .meaning = "log v", .axis = ZG_AXIS_MODEL};
  kept[VALUE] = (zg_kept){
      .name = "value", .meaning = "v, infinite beyond 1.8e308", .axis = ZG_AXIS_MODEL};
  return NUMBERS;
}

static double finish(const zg_call *call, const zg_pair *pair, zg_code *code) {
  (void)call;
  *code = zg_pair_code(pair);
  if (*code != ZG_CODE_OK) return NAN;
  return fabs(pair->profile_a[LOG_VALUE] - pair->profile_b[LOG_VALUE]);
}

const zg_measure zg_measure_path_norm = {
    .name = "path_norm",
    .title = "Difference of path norms",
    .space = "parameter",
    .formula = "|log v_i - log v_j|, v = product of operator norms (spectral) or "
               "(sum over paths of prod |w|^p)^(1/p)",
    .reference =
        "Bartlett et al. 2017; Sedghi et al. 2019; Neyshabur et al. 2015, eq. 5",
    .remark = "Convolutions enter as operators on their input_size with stride and "
              "padding, never as the reshaped kernel; biases and other kinds do not "
              "enter.",
    .axis = ZG_AXIS_MODEL,
    .kind = ZG_DISTANCE,
    .symmetric = true,
    .options = options,
    .spec = spec,
    .finish = finish,
    .reads = reads,
    .kept = kept};
