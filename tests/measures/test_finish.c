/** \file
 * Entries of hand-made pairs: values and codes of every measure on parameters,
 * gradients and tangent kernels. */
#include "measures/pairs.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>

/* Two vectors of norms 3 and 4 at a right angle, and what forms say of them. */
static const zg_pair orthogonal = {
    .norm_a = 3, .norm_b = 4, .cosine = 0, .apart = 5, .scaled = true};
/* The same scaled to length 1: the root of 2 apart. */
static const zg_pair right_angle = {.norm_a = 3,
                                    .norm_b = 4,
                                    .cosine = 0,
                                    .apart = 1.4142135623730950488,
                                    .scaled = true};

static zg_pair with(zg_pair pair, bool same, bool refined) {
  pair.same = same;
  pair.refined = refined;
  return pair;
}

/* ---- codes ---- */

static const char *const pairwise[] = {
    "weight_frobenius", "fisher",          "path_norm",         "ntk_distance",
    "ntk_alignment",    "gradient_cosine", "gradient_conflict", "sharpness",
    "cosine",           "isotropy",        "attention_kl",      "head_importance",
    "cross_attention",  "boundary"};
enum { PAIRWISE = sizeof pairwise / sizeof *pairwise };

/* Non-finite numbers outrank all, and no measure makes a number of what is spoilt. */
static void what_is_spoilt_is_undefined_whoever_it_is(void) {
  static const zg_code codes[] = {ZG_CODE_NONFINITE, ZG_CODE_ZERO_VARIANCE,
                                  ZG_CODE_SHAPE, ZG_CODE_CONVERGENCE, ZG_CODE_ABSENT};
  static const double profile[3] = {1, 2, 3};
  for (int m = 0; m < PAIRWISE; m++) {
    zg_call call = zg_test_call_of(pairwise[m], "");
    for (int k = 0; k < 5; k++)
      for (int place = 0; place < 3; place++)
        for (int same = 0; same < 2; same++) {
          zg_pair pair = with(orthogonal, same, true);
          pair.profile_a = pair.profile_b = profile;
          pair.width = 3;
          zg_code *slots[] = {&pair.code_a, &pair.code_b, &pair.code};
          *slots[place] = codes[k];
          zg_test_undefined(&call, pair, codes[k]);
          *slots[(place + 1) % 3] = ZG_CODE_NONFINITE;
          zg_test_undefined(&call, pair, ZG_CODE_NONFINITE);
        }
  }
}

/* ---- weights ---- */

static void weights_are_apart_by_their_distance(void) {
  zg_call call = zg_test_call_of("weight_frobenius", "");
  zg_test_entry(&call, orthogonal, 5, ZG_CODE_OK);
  zg_test_entry(&call, with(orthogonal, false, true), 5, ZG_CODE_REFINED);
  zg_test_entry(&call, with(orthogonal, true, false), 0, ZG_CODE_OK);
  zg_test_entry(&call, with(orthogonal, true, true), 0, ZG_CODE_OK);
  zg_pair zeros = {.scaled = true};
  zg_test_entry(&call, zeros, 0, ZG_CODE_OK);
}

static void relative_distances_are_divided_by_the_mean_norm(void) {
  zg_call call = zg_test_call_of("weight_frobenius", "relative=1 per=matrix");
  zg_test_entry(&call, orthogonal, 5 / 3.5, ZG_CODE_OK);
  zg_test_entry(&call, with(orthogonal, true, false), 0, ZG_CODE_OK);
  zg_pair from_zero = {.norm_b = 4, .apart = 4, .scaled = true};
  zg_test_entry(&call, from_zero, 2, ZG_CODE_OK); /* 4 / ((0 + 4) / 2) */
  zg_pair huge = {.norm_a = 1.5e308, .norm_b = 1.5e308, .apart = 1.5e308};
  zg_test_entry(&call, huge, 1, ZG_CODE_OK); /* whose sum overflows */
  zg_pair zeros = {.scaled = true};
  zg_test_undefined(&call, zeros, ZG_CODE_ZERO_VARIANCE);
  zg_test_undefined(&call, with(zeros, true, false), ZG_CODE_ZERO_VARIANCE);
}

/* ---- cosine ---- */

static void cosine_distances_of_close_pairs_are_made_of_differences(void) {
  static const char *const pairings[] = {"pairing=flattened", "pairing=samples"};
  for (int k = 0; k < 2; k++) {
    zg_call call = zg_test_call_of("cosine", pairings[k]);
    zg_test_entry(&call, right_angle, 1, ZG_CODE_OK);
    zg_pair opposite = {.norm_a = 3, .norm_b = 4, .cosine = -1, .apart = 2};
    zg_test_entry(&call, opposite, 2, ZG_CODE_OK);
    zg_pair close = {.norm_a = 3, .norm_b = 4, .cosine = 1, .apart = 1e-9};
    zg_test_entry(&call, with(close, false, true), 5e-19, ZG_CODE_REFINED);
    zg_test_entry(&call, with(close, true, false), 0, ZG_CODE_OK);
    zg_pair zero = {.norm_a = 3, .norm_b = 0};
    zg_test_undefined(&call, zero, ZG_CODE_ZERO_VARIANCE);
  }
}

/* ---- isotropy ---- */

/* Over the rank there is a value; whoever has none outranks that. */
static void isotropy_has_a_value_over_the_rank(void) {
  static const double narrow[3] = {8, 3, 2}, wide[3] = {2, 5, 4};
  zg_call call = zg_test_call_of("isotropy", "");
  zg_pair pair = {.profile_a = narrow, .profile_b = wide, .width = 3};
  zg_test_entry(&call, pair, 2 * log(2), ZG_CODE_OK);
  pair.code_b = ZG_CODE_RANK;
  zg_test_entry(&call, pair, 2 * log(2), ZG_CODE_RANK);
  pair.code_a = ZG_CODE_CONVERGENCE;
  zg_test_undefined(&call, pair, ZG_CODE_CONVERGENCE);
}

/* ---- fisher ---- */

static void fisher_distances_are_what_their_forms_give(void) {
  zg_call output = zg_test_call_of("fisher", ""), task, quadratic;
  quadratic = zg_test_call_of("fisher", "form=quadratic");
  task = zg_test_call_of("fisher", "form=task");
  zg_pair bare = {.apart = 1.5, .scaled = true}; /* no norms: these forms have none */
  zg_test_entry(&output, bare, 1.5, ZG_CODE_OK);
  zg_test_entry(&quadratic, bare, 1.5, ZG_CODE_OK);
  zg_test_entry(&output, with(bare, true, false), 0, ZG_CODE_OK);
  zg_test_entry(&task, right_angle, 1, ZG_CODE_OK); /* of disjoint supports */
  zg_test_entry(&task, with(right_angle, false, true), 1, ZG_CODE_REFINED);
  zg_test_entry(&task, with(right_angle, true, false), 0, ZG_CODE_OK);
  zg_test_undefined(&task, bare, ZG_CODE_ZERO_VARIANCE);
  zg_pair half = right_angle;
  half.norm_b = 0;
  zg_test_undefined(&task, half, ZG_CODE_ZERO_VARIANCE);
}

/* Logits of probabilities cos^2 t and sin^2 t. */
static void logits_of(double t, double shift, double row[2]) {
  row[0] = 2 * log(cos(t)) + shift;
  row[1] = 2 * log(sin(t)) + shift;
}

static void logits_become_points_of_the_sphere(void) {
  zg_call call = zg_test_call_of("fisher", "");
  const zg_vector_form *form = call.measure->spec(&call).vector;
  CU_ASSERT_EQUAL(form->kind, ZG_VECTOR_ROWS);
  for (int k = 1; k < 10; k++)
    for (double shift = -2e3; shift <= 2e3; shift += 1e3) {
      double t = 0.15 * k, row[2]; /* 0.15 to 1.35, inside (0, pi/2) */
      logits_of(t, shift, row);
      CU_ASSERT_EQUAL(form->map(2, row), ZG_CODE_OK);
      /* the shift costs the logits eps |shift| */
      double allowed = DBL_EPSILON * (16 + 2 * fabs(shift));
      zg_test_close(row[0], cos(t), allowed, "root of p");
      zg_test_close(row[1], sin(t), allowed, "root of q");
    }
  double certain[3] = {800, 0, -1e308};
  CU_ASSERT_EQUAL(form->map(3, certain), ZG_CODE_OK);
  CU_ASSERT(certain[0] == 1 && certain[1] < 1e-150 && certain[2] == 0);
}

static void rows_that_are_not_finite_are_refused(void) {
  zg_call call = zg_test_call_of("fisher", "");
  const zg_vector_form *form = call.measure->spec(&call).vector;
  const double bad[] = {NAN, INFINITY, -INFINITY};
  for (int b = 0; b < 3; b++)
    for (int place = 0; place < 3; place++) {
      double row[3] = {1, 2, 3};
      row[place] = bad[b];
      CU_ASSERT_EQUAL(form->map(3, row), ZG_CODE_NONFINITE);
    }
}

/* On the quarter circle the Fisher-Rao distance is twice the angle between. */
static void the_row_term_is_the_squared_angle(void) {
  zg_call call = zg_test_call_of("fisher", "");
  const zg_vector_form *form = call.measure->spec(&call).vector;
  const double pi = 3.14159265358979323846;
  const double zero[2] = {1, 0}, one[2] = {0, 1};
  zg_test_close(form->row_term(2, zero, one), pi * pi, 1e-14, "disjoint");
  CU_ASSERT_EQUAL(form->row_term(2, zero, zero), 0);
  for (double angle = 1; angle > 1e-12; angle /= 7) {
    double a[2] = {cos(0.5), sin(0.5)}, b[2] = {cos(0.5 - angle), sin(0.5 - angle)};
    double r = sqrt(form->row_term(2, a, b));
    /* four coordinates of eps/2 each, doubled by the distance */
    zg_test_close(r, 2 * angle, 4 * DBL_EPSILON * (1 + 2 * angle), "angle");
  }
}

static void gradients_collapse_to_root_mean_squares(void) {
  zg_call call = zg_test_call_of("fisher", "form=task");
  const zg_vector_form *form = call.measure->spec(&call).vector;
  const double rows[2][3] = {{3, 0, -1}, {-4, 0, 1}};
  double out[3] = {9, 9, 9};
  CU_ASSERT(form->unit && form->kind == ZG_VECTOR_COLLAPSED);
  form->collapse(2, 3, rows[0], out);
  zg_test_close(out[0], sqrt(12.5), 4 * DBL_EPSILON * 4, "first");
  CU_ASSERT_EQUAL(out[1], 0);
  zg_test_close(out[2], 1, 4 * DBL_EPSILON, "last");
  form->collapse(1, 3, rows[0], out);
  CU_ASSERT(out[0] == 3 && out[1] == 0 && out[2] == 1);
}

/* ---- gradients ---- */

static void cosines_are_taken_as_they_are(void) {
  zg_call call = zg_test_call_of("gradient_cosine", "");
  zg_pair pair = right_angle;
  zg_test_entry(&call, pair, 0, ZG_CODE_OK);
  pair.cosine = -0.5;
  zg_test_entry(&call, pair, -0.5, ZG_CODE_OK);
  zg_test_entry(&call, with(pair, false, true), -0.5, ZG_CODE_OK); /* never refined */
  zg_test_entry(&call, with(pair, true, false), 1, ZG_CODE_OK);
  pair.norm_a = 0;
  zg_test_undefined(&call, pair, ZG_CODE_ZERO_VARIANCE);
  zg_test_undefined(&call, with(pair, true, false), ZG_CODE_ZERO_VARIANCE);
}

static void conflicts_are_what_the_triangle_lacks(void) {
  zg_call call = zg_test_call_of("gradient_conflict", "");
  zg_test_entry(&call, right_angle, -2, ZG_CODE_OK); /* 5 - 3 - 4 */
  zg_pair opposed = {.norm_a = 3, .norm_b = 3, .cosine = -1, .apart = 2};
  zg_test_entry(&call, opposed, -6, ZG_CODE_OK);
  zg_pair parallel = {.norm_a = 3, .norm_b = 4, .cosine = 1, .apart = 0};
  zg_test_entry(&call, parallel, 0, ZG_CODE_OK);
  zg_pair zero = {.norm_a = 0, .norm_b = 4, .apart = NAN};
  zg_test_entry(&call, zero, 0, ZG_CODE_OK);
  zg_test_entry(&call, with(opposed, true, false), 0, ZG_CODE_OK);
  zg_pair huge = {.norm_a = 3e300, .norm_b = 4e300, .apart = right_angle.apart};
  zg_test_entry(&call, huge, -2e300, ZG_CODE_OK); /* whose squares overflow */
}

/* Norms 3 and 4 and a small angle t: in long double from |g + h|^2 = (|g| + |h|)^2
 * - 2 |g| |h| (1 - cos t). */
static void small_conflicts_keep_their_digits(void) {
  zg_call call = zg_test_call_of("gradient_conflict", "");
  for (double t = 1e-2; t > 1e-9; t /= 10) {
    long double half = sinl((long double)t / 2), lacking = 48 * half * half;
    double expected = (double)(-lacking / (sqrtl(49 - lacking) + 7));
    zg_pair pair = {.norm_a = 3,
                    .norm_b = 4,
                    .cosine = (double)(1 - 2 * half * half),
                    .apart = (double)(2 * half)};
    zg_test_entry(&call, with(pair, false, true), expected, ZG_CODE_REFINED);
  }
}

static double total(int64_t count, const double *norms, const double *cosine,
                    const double *apart, int64_t stride) {
  zg_call call = zg_test_call_of("gradient_conflict", "");
  return call.measure->spec(&call).vector->total(count, norms, cosine, apart, stride);
}

/* (3,0), (0,4) and (0,-4): |(3,0)| - 11. The fourth row and column are another model's.
 */
static void the_total_is_that_of_the_sum(void) {
  const double r = right_angle.apart;
  const double norms[4] = {3, 4, 4, 99}, large[3] = {3e200, 4e200, 4e200};
  const double cosine[16] = {1, 0, 0, 7, 0, 1, -1, 7, 0, -1, 1, 7, 7, 7, 7, 7};
  const double apart[16] = {0, r, r, 7, r, 0, 2, 7, r, 2, 0, 7, 7, 7, 7, 7};
  zg_test_close(total(3, norms, cosine, apart, 4), -8, 16 * DBL_EPSILON, "total");
  zg_test_close(total(2, norms, cosine, apart, 4), -2, 16 * DBL_EPSILON, "of two");
  zg_test_close(total(3, large, cosine, apart, 4), -8e200, 1e185, "of large ones");
  CU_ASSERT_EQUAL(total(1, norms, cosine, apart, 4), 0);
}

static void the_total_of_nothing_is_nothing(void) {
  const double zeros[4] = {0};
  CU_ASSERT_EQUAL(total(2, zeros, zeros, zeros, 2), 0);
}

/* ---- tangent kernels ---- */

static void kernels_are_apart_by_their_distance(void) {
  static const char *const scales[] = {"scale=none", "scale=trace", "scale=frobenius"};
  for (int k = 0; k < 3; k++) {
    zg_call call = zg_test_call_of("ntk_distance", scales[k]);
    zg_test_entry(&call, orthogonal, 5, ZG_CODE_OK);
    zg_test_entry(&call, with(orthogonal, false, true), 5, ZG_CODE_REFINED);
    zg_test_entry(&call, with(orthogonal, true, false), 0, ZG_CODE_OK);
  }
  zg_pair empty = orthogonal; /* a kernel without a trace cannot be divided by it */
  empty.scaled = false;
  zg_call call = zg_test_call_of("ntk_distance", "scale=trace");
  zg_test_undefined(&call, empty, ZG_CODE_ZERO_VARIANCE);
  zg_test_undefined(&call, with(empty, true, false), ZG_CODE_ZERO_VARIANCE);
}

static void alignments_are_cosines(void) {
  zg_call call = zg_test_call_of("ntk_alignment", "");
  zg_pair pair = orthogonal;
  pair.cosine = 0.5;
  zg_test_entry(&call, pair, 0.5, ZG_CODE_OK);
  zg_test_entry(&call, with(pair, true, false), 1, ZG_CODE_OK);
  for (int side = 0; side < 2; side++) {
    zg_pair flat = pair; /* what centring has left is rounding */
    *(side ? &flat.norm_b : &flat.norm_a) = 0;
    zg_test_undefined(&call, flat, ZG_CODE_ZERO_VARIANCE);
    zg_test_undefined(&call, with(flat, true, false), ZG_CODE_ZERO_VARIANCE);
  }
}

/* ---- attention ---- */

static void divergences_without_support_are_infinite(void) {
  zg_call call = zg_test_call_of("attention_kl", "");
  zg_pair pair = {.apart = 0.25};
  zg_code code;
  zg_test_entry(&call, pair, 0.25, ZG_CODE_OK);
  zg_test_entry(&call, with(pair, false, true), 0.25, ZG_CODE_REFINED);
  zg_test_entry(&call, with(pair, true, false), 0, ZG_CODE_OK);
  pair.unsupported = true;
  CU_ASSERT(zg_test_finish(&call, pair, &code) == INFINITY && code == ZG_CODE_SUPPORT);
  pair.code_a = ZG_CODE_NONFINITE;
  zg_test_undefined(&call, pair, ZG_CODE_NONFINITE);
}

static void what_rounding_leaves_below_zero_is_zero(void) {
  zg_call call = zg_test_call_of("attention_kl", "");
  zg_pair pair = {.apart = -1e-16};
  zg_test_entry(&call, pair, 0, ZG_CODE_OK);
  pair.apart = -1e-3; /* rows that do not sum to 1 */
  zg_test_entry(&call, pair, -1e-3, ZG_CODE_OK);
}

static void maps_are_compared_by_their_cosine(void) {
  zg_call call = zg_test_call_of("cross_attention", "grid=3 grid=7");
  zg_spec spec = call.measure->spec(&call);
  CU_ASSERT(spec.grid[0] == 3 && spec.grid[1] == 7);
  zg_pair pair = {.cosine = 0.75};
  zg_test_entry(&call, pair, 0.75, ZG_CODE_OK);
  zg_test_entry(&call, with(pair, true, false), 1, ZG_CODE_OK);
}

/* ---- profiles ---- */

static void path_norms_are_compared_by_their_logarithms(void) {
  zg_call call = zg_test_call_of("path_norm", "norm=path2");
  const double a[2] = {1.25, INFINITY}, b[2] = {1001, 0};
  zg_pair pair = {.profile_a = a, .profile_b = b, .width = 2};
  zg_test_entry(&call, pair, 999.75, ZG_CODE_OK);
  pair.profile_b = a;
  zg_test_entry(&call, with(pair, true, false), 0, ZG_CODE_OK);
}

/* Recorded profiles: their number of radii, values, radii. */
static void recorded_profiles_need_equal_radii(void) {
  zg_call call = zg_test_call_of("sharpness", "");
  const double a[] = {2, 1, 5, 99, 0.1, 0.2, 0}, b[] = {2, 4, 1, -99, 0.1, 0.2, 7};
  const double stored_as_float[] = {2, 4, 1, 0, (double)0.1F, (double)0.2F, 0};
  const double other[] = {2, 4, 1, 0, 0.1, 0.3, 0}, fewer[] = {1, 4, 0, 0, 0.1, 0, 0};
  zg_pair pair = {.profile_a = a, .profile_b = b, .width = 7};
  zg_test_entry(&call, pair, 5, ZG_CODE_OK); /* (3, 4); the third is not there */
  pair.profile_b = stored_as_float;
  zg_test_entry(&call, pair, 5, ZG_CODE_OK);
  pair.profile_b = other;
  zg_test_undefined(&call, pair, ZG_CODE_SHAPE);
  pair.profile_b = fewer;
  zg_test_undefined(&call, pair, ZG_CODE_SHAPE);
  pair.profile_a = fewer, pair.profile_b = a;
  zg_test_undefined(&call, pair, ZG_CODE_SHAPE);
  pair.profile_a = a;
  pair.profile_b = a;
  zg_test_entry(&call, with(pair, true, false), 0, ZG_CODE_OK);
}

static void quadratic_profiles_are_compared_whole(void) {
  zg_call call = zg_test_call_of("sharpness", "form=quadratic radius=1 radius=2");
  const double a[] = {1, 5}, b[] = {4, 1};
  zg_pair pair = {.profile_a = a, .profile_b = b, .width = 2};
  zg_test_entry(&call, pair, 5, ZG_CODE_OK);
}

const zg_test zg_tests[] = {
    {"what_is_spoilt_is_undefined_whoever_it_is",
     what_is_spoilt_is_undefined_whoever_it_is},
    {"weights_are_apart_by_their_distance", weights_are_apart_by_their_distance},
    {"cosine_distances_of_close_pairs_are_made_of_differences",
     cosine_distances_of_close_pairs_are_made_of_differences},
    {"isotropy_has_a_value_over_the_rank", isotropy_has_a_value_over_the_rank},
    {"relative_distances_are_divided_by_the_mean_norm",
     relative_distances_are_divided_by_the_mean_norm},
    {"fisher_distances_are_what_their_forms_give",
     fisher_distances_are_what_their_forms_give},
    {"logits_become_points_of_the_sphere", logits_become_points_of_the_sphere},
    {"rows_that_are_not_finite_are_refused", rows_that_are_not_finite_are_refused},
    {"the_row_term_is_the_squared_angle", the_row_term_is_the_squared_angle},
    {"gradients_collapse_to_root_mean_squares",
     gradients_collapse_to_root_mean_squares},
    {"cosines_are_taken_as_they_are", cosines_are_taken_as_they_are},
    {"conflicts_are_what_the_triangle_lacks", conflicts_are_what_the_triangle_lacks},
    {"small_conflicts_keep_their_digits", small_conflicts_keep_their_digits},
    {"the_total_is_that_of_the_sum", the_total_is_that_of_the_sum},
    {"the_total_of_nothing_is_nothing", the_total_of_nothing_is_nothing},
    {"kernels_are_apart_by_their_distance", kernels_are_apart_by_their_distance},
    {"alignments_are_cosines", alignments_are_cosines},
    {"divergences_without_support_are_infinite",
     divergences_without_support_are_infinite},
    {"what_rounding_leaves_below_zero_is_zero",
     what_rounding_leaves_below_zero_is_zero},
    {"maps_are_compared_by_their_cosine", maps_are_compared_by_their_cosine},
    {"path_norms_are_compared_by_their_logarithms",
     path_norms_are_compared_by_their_logarithms},
    {"recorded_profiles_need_equal_radii", recorded_profiles_need_equal_radii},
    {"quadratic_profiles_are_compared_whole", quadratic_profiles_are_compared_whole},
    {NULL, NULL}};
