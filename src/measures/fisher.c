/** \file
 * Fisher information distances.
 *
 *     output     sqrt(mean over samples of r^2), r = 2 arccos sum_c sqrt(p_c q_c) the
 *                Fisher-Rao distance of the two predictions
 *     quadratic  sqrt(mean over both models' samples of (g.(theta_i - theta_j))^2)
 *     task       2^-1/2 F(f_i^1/2 - f_j^1/2), f the diagonal Fisher scaled to sum 1
 *                (Le et al. 2021) */
#include "measures/measure.h"
#include "measures/spec.h"

#include <float.h>
#include <math.h>

static const zg_option options[] = {
    {.name = "form",
     .type = ZG_OPTION_CHOICE,
     .choices = {"output", "quadratic", "task"},
     .help = "output: Fisher-Rao distance of the predictions; quadratic: in the "
             "empirical Fisher metric of the parameters; task: Hellinger distance of "
             "the diagonals"},
    {.name = NULL}};

/* Logits to square roots of probabilities. */
static zg_code to_root_probabilities(int64_t classes, double *row) {
  double largest = -INFINITY, sum = 0;
  for (int64_t c = 0; c < classes; c++) {
    if (!isfinite(row[c])) return ZG_CODE_NONFINITE;
    largest = fmax(largest, row[c]);
  }
  for (int64_t c = 0; c < classes; c++)
    sum += row[c] = exp(row[c] - largest);
  for (int64_t c = 0; c < classes; c++)
    row[c] = sqrt(row[c] / sum);
  return ZG_CODE_OK;
}

/* On the sphere of square roots the chord s has the angle 2 asin(s/2), and r is twice
 * that: right to the last digit also where the two nearly agree. */
static double squared_fisher_rao(int64_t classes, const double *a, const double *b) {
  double chord = 0;
  for (int64_t c = 0; c < classes; c++)
    chord += (a[c] - b[c]) * (a[c] - b[c]);
  double r = 4 * asin(fmin(1, sqrt(chord) / 2));
  return r * r;
}

/* |x| of a column whose squares overflow or are next to nothing. */
static double extreme_length(int64_t rows, int64_t columns, const double *x) {
  double largest = 0, squares = 0;
  for (int64_t a = 0; a < rows; a++)
    largest = fmax(largest, fabs(x[a * columns]));
  for (int64_t a = 0; largest > 0 && a < rows; a++)
    squares += pow(x[a * columns] / largest, 2);
  return largest * sqrt(squares);
}

/* Roots of the mean squares; the mean's divisor cancels in the scaling to sum 1. */
static void to_root_squares(int64_t rows, int64_t columns, const double *in,
                            double *out) {
  for (int64_t k = 0; k < columns; k++)
    out[k] = 0;
  for (int64_t a = 0; a < rows; a++)
    for (int64_t k = 0; k < columns; k++)
      out[k] += in[a * columns + k] * in[a * columns + k];
  for (int64_t k = 0; k < columns; k++) {
    bool plain = out[k] > DBL_MIN / DBL_EPSILON && isfinite(out[k]);
    double length = plain ? sqrt(out[k]) : extreme_length(rows, columns, in + k);
    out[k] = length / sqrt((double)rows);
  }
}

static const zg_vector_form output = {.kind = ZG_VECTOR_ROWS,
                                      .data = ZG_LOGITS,
                                      .by_model = true,
                                      .map = to_root_probabilities,
                                      .row_term = squared_fisher_rao};
static const zg_vector_form quadratic = {.kind = ZG_VECTOR_QUADRATIC,
                                         .data = ZG_WEIGHTS,
                                         .rows = ZG_SAMPLE_GRADIENTS,
                                         .by_model = true,
                                         .named = true};
static const zg_vector_form task = {.kind = ZG_VECTOR_COLLAPSED,
                                    .data = ZG_SAMPLE_GRADIENTS,
                                    .by_model = true,
                                    .unit = true,
                                    .collapse = to_root_squares};

static const zg_vector_form *form_of(const zg_call *call) {
  static const zg_vector_form *const forms[] = {&output, &quadratic, &task};
  return forms[(int)zg_call_value(call, "form")];
}

static zg_spec spec(const zg_call *call) {
  return (zg_spec){.form = ZG_FORM_VECTOR, .vector = form_of(call)};
}

static uint32_t reads(const zg_call *call) {
  const zg_vector_form *form = form_of(call);
  uint32_t mask = 1u << form->data;
  return form->kind == ZG_VECTOR_QUADRATIC ? mask | 1u << form->rows : mask;
}

static double finish(const zg_call *call, const zg_pair *pair, zg_code *code) {
  const zg_vector_form *form = form_of(call);
  *code = zg_pair_code(pair);
  if (*code == ZG_CODE_OK && form->unit && !(pair->norm_a > 0 && pair->norm_b > 0))
    *code = ZG_CODE_ZERO_VARIANCE;
  if (*code != ZG_CODE_OK) return NAN;
  if (pair->same) return 0;
  if (pair->refined) *code = ZG_CODE_REFINED;
  return form->unit ? pair->apart * sqrt(0.5) : pair->apart;
}

const zg_measure zg_measure_fisher = {
    .name = "fisher",
    .title = "Fisher information distance",
    .space = "parameter",
    .formula =
        "output: sqrt(mean_a r_a^2), r = 2 arccos sum_c sqrt(p_c q_c); quadratic: "
        "sqrt(mean (g.(theta_i - theta_j))^2); task: 2^-1/2 F(f_i^1/2 - f_j^1/2)",
    .reference = "Rao 1945; Amari 1998; Le et al. 2021, eq. 5",
    .axis = ZG_AXIS_MODEL,
    .kind = ZG_DISTANCE,
    .symmetric = true,
    .options = options,
    .spec = spec,
    .finish = finish,
    .reads = reads};
