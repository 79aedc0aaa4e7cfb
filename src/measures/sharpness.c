/** \file
 * Sharpness profiles compared: s(rho) = max over |e| <= rho of L(theta + e) - L(theta)
 * (Foret et al. 2021, eq. 1).
 *
 *     recorded   s as the extractor found it, averaged over batches
 *     quadratic  L replaced by g.e + e'Fe/2, g the mean gradient and F the empirical
 *                Fisher: the exact maximum of a trust-region problem (More & Sorensen
 *                1983) */
#include "base/memory.h"
#include "linalg/blas.h"
#include "linalg/numbers.h"
#include "linalg/trust.h"
#include "measures/profile.h"
#include "measures/spec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const zg_option options[] = {
    {.name = "form",
     .type = ZG_OPTION_CHOICE,
     .choices = {"recorded", "quadratic"},
     .help = "recorded: what the zoo holds; quadratic: exact, in the quadratic model "
             "that per-sample gradients give"},
    {.name = "radius",
     .type = ZG_OPTION_LIST,
     .initial = 0.05,
     .least = 0,
     .open = true,
     .most = 1e6,
     .unit = "norm of the change of all parameters",
     .needs = "form",
     .needs_choice = "quadratic",
     .help = "radii rho of the profile"},
    {.name = NULL}};

static int64_t radii_of(const zg_call *call) {
  return (int64_t)zg_call_value(call, "radius");
}

/* ---- recorded: the number of radii, then values, then radii ---- */

static int64_t most_radii(const zg_zoo *zoo) {
  int64_t most = 0;
  for (int64_t k = zoo->first[ZG_SHARPNESS]; k < zoo->first[ZG_SHARPNESS + 1]; k++)
    most = zg_max(most, zoo->arrays[k].n);
  return most;
}

static int64_t recorded_width(const zg_call *call, const zg_zoo *zoo) {
  (void)call;
  return 1 + 2 * most_radii(zoo);
}

/* The attribute `radius`, one number for every row. */
static zg_status read_radii(zg_reader *reader, const zg_zoo *zoo, int64_t index,
                            double *radii, zg_finding *finding) {
  double *numbers;
  int64_t count, rows = zoo->arrays[index].n;
  ZG_TRY(zg_reader_numbers(reader, index, "radius", &numbers, &count));
  for (int64_t r = 0; r < rows && r < count; r++)
    radii[r] = numbers[r];
  free(numbers);
  if (count == rows) return ZG_OK;
  finding->code = count ? ZG_CODE_SHAPE : ZG_CODE_ABSENT;
  if (count)
    snprintf(finding->note, sizeof finding->note,
             "attribute 'radius' has %lld numbers for %lld rows", (long long)count,
             (long long)rows);
  else
    snprintf(finding->note, sizeof finding->note, "has no attribute 'radius'");
  return ZG_OK;
}

static zg_status measure_recorded(const zg_call *call, zg_reader *reader,
                                  const zg_zoo *zoo, int64_t index, int64_t count,
                                  zg_finding *finding) {
  (void)call, (void)count;
  const zg_array *array = &zoo->arrays[index];
  int64_t rows = array->n, batches = array->d;
  double *means = finding->values + 1, *row = ZG_NEW(double, batches);
  finding->values[0] = (double)rows;
  zg_status status = read_radii(reader, zoo, index, means + most_radii(zoo), finding);
  for (int64_t r = 0; status == ZG_OK && r < rows; r++) {
    status = zg_reader_doubles(reader, index, r, 1, row);
    if (status != ZG_OK) break;
    for (int64_t b = 0; b < batches; b++)
      means[r] += row[b] / (double)batches;
    if (!isfinite(means[r])) finding->code = ZG_CODE_NONFINITE;
  }
  free(row);
  return status;
}

/* ---- quadratic: one value per radius ---- */

static int64_t quadratic_width(const zg_call *call, const zg_zoo *zoo) {
  (void)zoo;
  return radii_of(call);
}

/* M := G G', the columns of G read slice by slice; both triangles. */
static zg_status gram_matrix(zg_reader *reader, const zg_array *array, int64_t index,
                             double *M) {
  int64_t m = array->n, p = array->d, step = zg_reader_slab_rows(m);
  double *slice = ZG_NEW(double, m *zg_min(step, p));
  zg_status status = ZG_OK;
  for (int64_t column = 0; status == ZG_OK && column < p; column += step) {
    int64_t columns = zg_min(step, p - column);
    zg_slab slab;
    status = zg_reader_part(reader, index, 0, m, column, columns, &slab);
    if (status != ZG_OK) break;
    zg_slab_doubles(&slab, slice);
    zg_self_product(ZG_DOUBLE, m, columns, 1, slice, columns, column > 0, M, m);
  }
  free(slice);
  for (int64_t a = 0; a < m; a++)
    for (int64_t b = a + 1; b < m; b++)
      M[b * m + a] = M[a * m + b];
  return status;
}

static void maximise(const zg_call *call, int64_t m, double *M, zg_finding *finding) {
  double *lambda = ZG_NEW(double, 2 * m), *gamma = lambda + m;
  if (zg_gradient_spectrum(m, M, lambda, gamma))
    for (int64_t r = 0; r < radii_of(call); r++)
      finding->values[r] = zg_trust_maximum(m, lambda, gamma, call->list[r]);
  else
    finding->code = ZG_CODE_CONVERGENCE;
  free(lambda);
}

static zg_status measure_quadratic(const zg_call *call, zg_reader *reader,
                                   const zg_zoo *zoo, int64_t index, int64_t count,
                                   zg_finding *finding) {
  (void)count;
  const zg_array *array = &zoo->arrays[index];
  int64_t m = array->n;
  double *M = ZG_NEW(double, m *m), trace = 0;
  zg_status status = gram_matrix(reader, array, index, M);
  for (int64_t a = 0; status == ZG_OK && a < m; a++)
    trace += M[a * m + a];
  if (status == ZG_OK && isfinite(trace))
    maximise(call, m, M, finding);
  else
    finding->code = ZG_CODE_NONFINITE;
  free(M);
  return status;
}

static double cost(const zg_array *array) {
  return (double)array->n * (double)array->n * (double)array->d;
}

static int64_t recorded_memory(const zg_array *array) {
  return 16 * array->d;
}

/* The Gram matrix, which becomes its eigenvectors, and what LAPACK works in; a slice
 * and its products. */
static int64_t quadratic_memory(const zg_array *array) {
  return 24 * array->n * array->n + (16 << 20);
}

static const zg_profile_form recorded = {.data = ZG_SHARPNESS,
                                         .width = recorded_width,
                                         .cost = cost,
                                         .memory = recorded_memory,
                                         .measure = measure_recorded};
static const zg_profile_form quadratic = {.data = ZG_SAMPLE_GRADIENTS,
                                          .width = quadratic_width,
                                          .cost = cost,
                                          .memory = quadratic_memory,
                                          .measure = measure_quadratic};

static bool is_quadratic(const zg_call *call) {
  return zg_call_is(call, "form", "quadratic");
}

static zg_spec spec(const zg_call *call) {
  return (zg_spec){.form = ZG_FORM_PROFILE,
                   .profile = is_quadratic(call) ? &quadratic : &recorded};
}

static uint32_t reads(const zg_call *call) {
  return 1u << (is_quadratic(call) ? ZG_SAMPLE_GRADIENTS : ZG_SHARPNESS);
}

/* Whether two recorded profiles have the same radii. */
static bool same_radii(const zg_pair *pair) {
  int64_t count = (int64_t)pair->profile_a[0], most = (pair->width - 1) / 2;
  if (pair->profile_b[0] != pair->profile_a[0]) return false;
  for (int64_t r = 0; r < count; r++) {
    double a = pair->profile_a[1 + most + r], b = pair->profile_b[1 + most + r];
    if (fabs(a - b) > 1e-6 * fmax(fabs(a), fabs(b)))
      return false; /* stored as floats */
  }
  return true;
}

static double finish(const zg_call *call, const zg_pair *pair, zg_code *code) {
  *code = zg_pair_code(pair);
  bool recorded_form = !is_quadratic(call);
  if (*code == ZG_CODE_OK && recorded_form && !same_radii(pair)) *code = ZG_CODE_SHAPE;
  if (*code != ZG_CODE_OK) return NAN;
  int64_t first = recorded_form ? 1 : 0;
  int64_t count = recorded_form ? (int64_t)pair->profile_a[0] : pair->width;
  return zg_distance(count, pair->profile_a + first, pair->profile_b + first);
}

const zg_measure zg_measure_sharpness = {
    .name = "sharpness",
    .title = "Distance of sharpness profiles",
    .space = "gradient",
    .formula = "|s_i - s_j|, s(rho) = max over |e| <= rho of L(theta + e) - L(theta)",
    .reference = "Foret et al. 2021, eq. 1; More & Sorensen 1983 (quadratic form)",
    .remark = "recorded values are lower bounds of the maxima, as they come from an "
              "ascent.",
    .axis = ZG_AXIS_MODEL,
    .kind = ZG_DISTANCE,
    .symmetric = true,
    .options = options,
    .spec = spec,
    .finish = finish,
    .reads = reads};
