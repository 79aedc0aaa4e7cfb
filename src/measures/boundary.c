/** \file
 * Distances of samples to decision boundaries compared. For a sample of top class c the
 * margin is, to first order (exactly for linear classifiers),
 *
 *     min over k != c of (f_c - f_k) / |grad (f_c - f_k)|,
 *
 * f the logits and the gradients those by the input (Moosavi-Dezfooli et al. 2016).
 * Two models are as far apart as the root mean square of the differences of their
 * margins over the samples.
 *
 * A profile: the number of samples, and the margin of each. */
#include "base/memory.h"
#include "linalg/numbers.h"
#include "measures/profile.h"
#include "measures/spec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const zg_option options[] = {{.name = NULL}};

static int64_t width(const zg_call *call, const zg_zoo *zoo) {
  int64_t most = 0;
  (void)call;
  for (int64_t k = zoo->first[ZG_MARGIN_GRADIENTS];
       k < zoo->first[ZG_MARGIN_GRADIENTS + 1]; k++)
    most = zg_max(most, zg_zoo_rows(zoo, &zoo->arrays[k]));
  return 1 + most;
}

static double cost(const zg_array *array) {
  return (double)array->n * (double)array->d;
}

/* Slabs of both arrays as doubles. */
static int64_t memory(const zg_array *array) {
  return 16 * zg_min(array->n, zg_reader_slab_rows(array->d)) * array->d;
}

/* The first of the largest. */
static int64_t top_class(int64_t classes, const double *logits) {
  int64_t top = 0;
  for (int64_t k = 1; k < classes; k++)
    if (logits[k] > logits[top]) top = k;
  return top;
}

/* \return what is wrong with the sample: not finite, or a margin that is beyond all
 * numbers; no class recorded beside the top one; or no boundary in sight, as all
 * gradients are zero. */
static zg_code margin_of(int64_t classes, const double *logits, const double *gradients,
                         double *margin) {
  int64_t top = top_class(classes, logits), recorded = 0, rising = 0;
  *margin = INFINITY;
  for (int64_t k = 0; k < classes; k++) {
    if (!isfinite(logits[k]) || (k != top && isinf(gradients[k])))
      return ZG_CODE_NONFINITE;
    if (k == top || isnan(gradients[k])) continue;
    recorded++;
    if (!(gradients[k] > 0)) continue;
    rising++;
    *margin = fmin(*margin, (logits[top] - logits[k]) / gradients[k]);
  }
  if (!recorded) return ZG_CODE_ABSENT;
  if (!rising) return ZG_CODE_ZERO_VARIANCE;
  return isfinite(*margin) ? ZG_CODE_OK : ZG_CODE_NONFINITE;
}

static zg_status read_margins(zg_reader *reader, const zg_zoo *zoo, int64_t logits,
                              int64_t gradients, zg_finding *finding) {
  int64_t n = zg_zoo_rows(zoo, &zoo->arrays[logits]), C = zoo->arrays[logits].d;
  int64_t step = zg_min(n, zg_reader_slab_rows(C));
  double *f = ZG_NEW(double, 2 * step * C), *g = f + step * C;
  double *margins = finding->values + 1;
  zg_status status = ZG_OK;
  for (int64_t row = 0; status == ZG_OK && row < n; row += step) {
    int64_t rows = zg_min(step, n - row);
    status = zg_reader_doubles(reader, logits, row, rows, f);
    if (status == ZG_OK) status = zg_reader_doubles(reader, gradients, row, rows, g);
    for (int64_t r = 0; status == ZG_OK && r < rows; r++) {
      zg_code code = margin_of(C, f + r * C, g + r * C, &margins[row + r]);
      finding->code = zg_code_worse(finding->code, code);
    }
  }
  free(f);
  return status;
}

static void explain(zg_finding *finding) {
  static const char *const notes[ZG_CODES] = {
      [ZG_CODE_NONFINITE] =
          "NaN or infinite numbers, here or in the logits, or margins too "
          "large",
      [ZG_CODE_ZERO_VARIANCE] = "a sample has no margin: all its gradients are zero",
      [ZG_CODE_ABSENT] = "a sample has no class recorded beside its top class"};
  const char *note = notes[finding->code];
  if (note) snprintf(finding->note, sizeof finding->note, "%s", note);
}

static zg_status measure(const zg_call *call, zg_reader *reader, const zg_zoo *zoo,
                         int64_t index, int64_t count, zg_finding *finding) {
  const zg_array *gradients = &zoo->arrays[index];
  int64_t found, place = zg_zoo_find(zoo, ZG_LOGITS, gradients->model, &found);
  const zg_array *logits = &zoo->arrays[place];
  (void)call, (void)count;
  if (!found) {
    finding->code = ZG_CODE_ABSENT;
    snprintf(finding->note, sizeof finding->note, "stands without logits");
    return ZG_OK;
  }
  int64_t n = zg_zoo_rows(zoo, gradients);
  finding->values[0] = (double)n;
  if (zg_zoo_rows(zoo, logits) != n || logits->d != gradients->d) {
    finding->code = ZG_CODE_SHAPE;
    snprintf(finding->note, sizeof finding->note,
             "is %lld x %lld where the logits are %lld x %lld", (long long)n,
             (long long)gradients->d, (long long)zg_zoo_rows(zoo, logits),
             (long long)logits->d);
    return ZG_OK;
  }
  ZG_TRY(read_margins(reader, zoo, place, index, finding));
  explain(finding);
  return ZG_OK;
}

static const zg_profile_form profile = {.data = ZG_MARGIN_GRADIENTS,
                                        .width = width,
                                        .cost = cost,
                                        .memory = memory,
                                        .measure = measure};

static zg_spec spec(const zg_call *call) {
  (void)call;
  return (zg_spec){.form = ZG_FORM_PROFILE, .profile = &profile};
}

static uint32_t reads(const zg_call *call) {
  (void)call;
  return 1u << ZG_LOGITS | 1u << ZG_MARGIN_GRADIENTS;
}

static double finish(const zg_call *call, const zg_pair *pair, zg_code *code) {
  const double *a = pair->profile_a, *b = pair->profile_b;
  (void)call;
  *code = zg_pair_code(pair);
  if (*code == ZG_CODE_OK && a[0] != b[0]) *code = ZG_CODE_SHAPE;
  if (*code != ZG_CODE_OK) return NAN;
  return zg_distance((int64_t)a[0], a + 1, b + 1) / sqrt(a[0]);
}

const zg_measure zg_measure_boundary = {
    .name = "boundary",
    .title = "Distance of decision margins",
    .space = "architecture",
    .formula = "|r_i - r_j| / sqrt(n), r(x) = min over k != c of (f_c - f_k) / |grad "
               "(f_c - f_k)|, c the top class",
    .reference = "Moosavi-Dezfooli et al. 2016, eq. 7-8",
    .remark = "margins are exact for linear classifiers, else to first order; never "
              "signed by correctness.",
    .axis = ZG_AXIS_MODEL,
    .kind = ZG_DISTANCE,
    .symmetric = true,
    .options = options,
    .spec = spec,
    .finish = finish,
    .reads = reads};
