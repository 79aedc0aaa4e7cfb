/** \file
 * Largest singular values against LAPACK's singular value decomposition (which ours
 * does not use), closed forms and prescribed spectra. */
#include "linalg/spectral.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

void dgesdd_(const char *, const int *, const int *, double *, const int *, double *,
             double *, const int *, double *, const int *, double *, const int *, int *,
             int *);

/* What the header promises; direct methods and iterations alike are far better. */
static const double promised = 1e-10, usual = 1e-12;
/* What it promises of operators. */
static const double promised_operator = 1.5e-9;

static double number(unsigned long seed, int64_t k) {
  return zg_test_random(seed, (unsigned long)k);
}

static void check(zg_norm norm, double expected, double tolerance, const char *what) {
  CU_ASSERT(norm.converged);
  CU_ASSERT(norm.residual <= 2 * fmax(tolerance, promised));
  zg_test_close(norm.value, expected, tolerance * expected, what);
}

static double by_svd(int rows, int columns, const double *A) {
  int least = rows < columns ? rows : columns, info, lwork = 200 * (rows + columns);
  double *copy = malloc(sizeof *copy * (size_t)(rows * columns)), unused = 0;
  double *values = malloc(sizeof *values * (size_t)least);
  double *work = malloc(sizeof *work * (size_t)lwork);
  int *iwork = malloc(sizeof *iwork * 8 * (size_t)least), one = 1;
  for (int k = 0; k < rows * columns; k++)
    copy[k] = A[k];
  dgesdd_("N", &columns, &rows, copy, &columns, values, &unused, &one, &unused, &one,
          work, &lwork, iwork, &info);
  CU_ASSERT_EQUAL(info, 0);
  double largest = values[0];
  free(copy);
  free(values);
  free(work);
  free(iwork);
  return largest;
}

static double *random_matrix(int64_t rows, int64_t columns) {
  double *A = malloc(sizeof *A * (size_t)(rows * columns));
  for (int64_t k = 0; k < rows * columns; k++)
    A[k] = number(1, k);
  return A;
}

static void random_matrices_agree_with_lapack(void) {
  const int sizes[][2] = {{1, 1},   {1, 9},    {9, 1},     {5, 5},     {30, 70},
                          {70, 30}, {256, 40}, {300, 280}, {280, 700}, {700, 300}};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
    int rows = sizes[k][0], columns = sizes[k][1];
    double *A = random_matrix(rows, columns);
    check(zg_dense_norm(rows, columns, A), by_svd(rows, columns, A), usual, "norm");
    free(A);
  }
}

/* H diag(s) R with reflections H and R on the two sides has the singular values s. */
static double *prescribed(int64_t rows, int64_t columns, const double *s) {
  double *A = calloc((size_t)(rows * columns), sizeof *A), left = 0, right = 0;
  for (int64_t r = 0; r < rows; r++)
    left += number(2, r) * number(2, r);
  for (int64_t c = 0; c < columns; c++)
    right += number(3, c) * number(3, c);
  double middle = 0;
  for (int64_t k = 0; k < rows && k < columns; k++)
    middle += number(2, k) * s[k] * number(3, k);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < columns; c++) {
      double u = number(2, r), v = number(3, c);
      double su = c < rows ? s[c] * number(2, c) : 0;
      double sv = r < columns ? s[r] * number(3, r) : 0;
      A[r * columns + c] = (r == c ? s[r] : 0) - 2 * u * su / left -
                           2 * sv * v / right + 4 * u * v * middle / (left * right);
    }
  return A;
}

typedef double spectrum_fn(int64_t k);
static double all_equal(int64_t k) {
  return k >= 0 ? 3 : 0;
}
static double clustered(int64_t k) {
  return 2 - 1e-9 * (double)k;
}
static double tightly_clustered(int64_t k) {
  return 2 - 1e-13 * (double)k;
}
static double two_close(int64_t k) {
  return k < 2 ? 1 + 1e-8 * (double)(k == 1) : 0.5 / (double)k;
}
static double graded(int64_t k) {
  return pow(10, -(double)k);
}
static double rank_one(int64_t k) {
  return k == 0 ? 4 : 0;
}
static double linear(int64_t k) {
  return 1 / (1 + 0.01 * (double)k);
}
static spectrum_fn *const spectra[] = {
    all_equal, clustered, tightly_clustered, two_close, graded, rank_one, linear};

static void prescribed_spectra_have_their_norm(void) {
  const int64_t sizes[][2] = {{40, 40}, {200, 300}, {300, 300}, {520, 400}, {300, 900}};
  for (size_t f = 0; f < sizeof spectra / sizeof *spectra; f++)
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
      double s[600], largest = 0;
      for (int64_t i = 0; i < 600; i++)
        s[i] = spectra[f](i);
      for (int64_t i = 0; i < sizes[k][0] && i < sizes[k][1]; i++)
        largest = fmax(largest, s[i]);
      double *A = prescribed(sizes[k][0], sizes[k][1], s);
      check(zg_dense_norm(sizes[k][0], sizes[k][1], A), largest, promised, "norm");
      free(A);
    }
}

static void large_matrices_are_iterated_on(void) {
  const int64_t rows = 4100, columns = 4200;
  double *s = malloc(sizeof *s * (size_t)rows);
  for (int64_t k = 0; k < rows; k++)
    s[k] = k == 77 ? 5 : linear(k);
  double *A = prescribed(rows, columns, s);
  zg_norm norm = zg_dense_norm(rows, columns, A);
  check(norm, 5, usual, "norm of a large matrix");
  CU_ASSERT(norm.residual > 0);
  free(A);
  free(s);
}

static void no_scale_overflows_or_vanishes(void) {
  const int sizes[] = {20, 300};
  const double units[] = {1e-310, 1e-300, 1e-160, 1e-20, 1e20, 1e160, 1e300};
  for (int z = 0; z < 2; z++) {
    int n = sizes[z];
    double *A = random_matrix(n, n), *B = malloc(sizeof *B * (size_t)(n * n));
    double expected = by_svd(n, n, A);
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
      for (int k = 0; k < n * n; k++)
        B[k] = A[k] * units[u];
      /* numbers of 1e-310 have 43 bits */
      check(zg_dense_norm(n, n, B), expected * units[u], u ? usual : 1e-11, "norm");
    }
    free(A);
    free(B);
  }
}

static void matrices_of_nothing_have_norm_zero(void) {
  double *zeros = calloc(400 * 300, sizeof *zeros);
  const int64_t sizes[][2] = {{0, 5}, {5, 0}, {1, 1}, {3, 7}, {400, 300}};
  for (int k = 0; k < 5; k++) {
    zg_norm norm = zg_dense_norm(sizes[k][0], sizes[k][1], zeros);
    CU_ASSERT(norm.converged && norm.value == 0 && norm.residual == 0);
  }
  zeros[17] = NAN;
  zg_norm norm = zg_dense_norm(400, 300, zeros);
  CU_ASSERT(!norm.converged && isnan(norm.value));
  free(zeros);
}

/* Operators that are no matrices: a scaled permutation and second differences. */
typedef struct diagonal {
  int64_t rows, columns;
  double unit;
  spectrum_fn *of;
  int vectors;
  int64_t *products; /* counted here unless NULL */
  void (*guess)(const void *context, double *x);
} diagonal;

static void apply_diagonal(const void *context, int64_t count, const double *x,
                           double *y) {
  const diagonal *d = context;
  if (d->products) *d->products += count;
  for (int64_t v = 0; v < count; v++, x += d->columns, y += d->rows)
    for (int64_t r = 0; r < d->rows; r++)
      y[r] = r < d->columns ? d->unit * d->of(r) * x[r] : 0;
}

static void apply_diagonal_transposed(const void *context, int64_t count,
                                      const double *y, double *x) {
  const diagonal *d = context;
  for (int64_t v = 0; v < count; v++, x += d->columns, y += d->rows)
    for (int64_t c = 0; c < d->columns; c++)
      x[c] = c < d->rows ? d->unit * d->of(c) * y[c] : 0;
}

static zg_norm norm_of_diagonal(const diagonal *d) {
  zg_operator op = {.rows = d->rows,
                    .columns = d->columns,
                    .vectors = d->vectors,
                    .apply = apply_diagonal,
                    .apply_transposed = apply_diagonal_transposed,
                    .guess = d->guess,
                    .context = d};
  return zg_operator_norm(&op);
}

static double zero(int64_t k) {
  return k >= 0 ? 0 : 1;
}
static double only_the_last(int64_t k) {
  return k == 2999 ? 1 : 1e-3;
}
static double arch(int64_t k) {
  return 2 + sin(0.1 * (double)k) * pow(0.99, (double)k);
}

static void operators_have_the_norm_of_their_matrix(void) {
  const int64_t sizes[][2] = {{1, 1}, {1, 50}, {50, 1}, {3000, 3000}, {3000, 5000}};
  const double units[] = {1e-200, 1, 1e200};
  spectrum_fn *const of[] = {all_equal, graded, rank_one, two_close, arch};
  for (size_t f = 0; f < sizeof of / sizeof *of; f++)
    for (int k = 0; k < 5; k++)
      for (int u = 0; u < 3; u++) {
        diagonal d = {sizes[k][0], sizes[k][1], units[u], of[f], 1, NULL, NULL};
        double largest = 0;
        for (int64_t i = 0; i < d.rows && i < d.columns; i++)
          largest = fmax(largest, of[f](i));
        for (d.vectors = 1; d.vectors <= 2; d.vectors++)
          check(norm_of_diagonal(&d), largest * units[u], promised_operator,
                "norm of an operator");
      }
  diagonal last = {3000, 4000, 1, only_the_last, 2, NULL, NULL},
           none = {40, 30, 1, zero, 2, NULL, NULL};
  check(norm_of_diagonal(&last), 1, promised_operator, "one large value");
  CU_ASSERT_EQUAL(norm_of_diagonal(&none).value, 0);
  CU_ASSERT(norm_of_diagonal(&none).converged);
}

/* Guesses that lack the largest vector, that are it, that are the same vector twice,
 * and that are no numbers at all. */
static void guess_others(const void *context, double *x) {
  const diagonal *d = context;
  for (int64_t k = 0; k < 2 * d->columns; k++)
    x[k] = k % d->columns >= 5 && k % d->columns < 20 ? 1 + (double)(k % 7) : 0;
}
static void guess_it(const void *context, double *x) {
  const diagonal *d = context;
  for (int64_t k = 0; k < 2 * d->columns; k++)
    x[k] = k == 0 || k == d->columns + 1;
}
static void guess_twice(const void *context, double *x) {
  const diagonal *d = context;
  for (int64_t k = 0; k < 2 * d->columns; k++)
    x[k] = k % d->columns == 3;
}
static void guess_nothing(const void *context, double *x) {
  const diagonal *d = context;
  for (int64_t k = 0; k < 2 * d->columns; k++)
    x[k] = k < d->columns ? INFINITY : 0;
}

static void guesses_do_not_change_the_norm(void) {
  void (*const guesses[])(const void *, double *) = {guess_others, guess_it,
                                                     guess_twice, guess_nothing};
  const int64_t sizes[][2] = {{2000, 2000}, {3000, 500}, {500, 3000}};
  for (int g = 0; g < 4; g++)
    for (int k = 0; k < 3; k++) {
      diagonal d = {sizes[k][0], sizes[k][1], 1, linear, 2, NULL, guesses[g]};
      check(norm_of_diagonal(&d), 1, promised_operator, "norm from a guess");
    }
}

/* The vectors of the two largest values leave less to do, on either side: 50 products
 * instead of 66. */
static void good_guesses_save_products(void) {
  const int64_t sizes[][2] = {{3000, 500}, {500, 3000}};
  for (int k = 0; k < 2; k++) {
    int64_t with = 0, without = 0;
    diagonal d = {sizes[k][0], sizes[k][1], 1, linear, 2, &without, NULL};
    norm_of_diagonal(&d);
    d.products = &with;
    d.guess = guess_it;
    norm_of_diagonal(&d);
    CU_ASSERT(with + 10 < without);
  }
}

static void differences(const void *context, int64_t count, const double *x,
                        double *y) {
  CU_ASSERT_EQUAL(count, 1);
  int64_t n = *(const int64_t *)context;
  for (int64_t k = 0; k < n; k++)
    y[k] = 2 * x[k] - (k ? x[k - 1] : 0) - (k + 1 < n ? x[k + 1] : 0);
}

static void differences_of_operator(const void *context, int64_t count, const double *x,
                                    double *y) {
  const int64_t *n = context;
  for (int64_t v = 0; v < count; v++)
    differences(n, 1, x + v * *n, y + v * *n);
}

/* The same in blocks of two, as an operator that is its own transpose: what the loss of
 * orthogonality over a thousand products does is not to make a norm too large. */
static void long_block_iterations_stay_below_the_norm(void) {
  for (int64_t n = 20; n < 50000; n *= 10) {
    zg_operator op = {.rows = n,
                      .columns = n,
                      .vectors = 2,
                      .apply = differences_of_operator,
                      .apply_transposed = differences_of_operator,
                      .context = &n};
    zg_norm norm = zg_operator_norm(&op);
    double expected = 2 - 2 * cos(acos(-1) * (double)n / (double)(n + 1));
    CU_ASSERT_EQUAL(norm.converged, n < 2000);
    CU_ASSERT(norm.value <= expected * (1 + usual));
    CU_ASSERT(norm.value >= expected * (norm.converged ? 1 - usual : 0.9999));
  }
}

/* Second differences of n points: 2 - 2 cos(pi n / (n + 1)). The larger n, the closer
 * the largest values are; iterations that give up say so, and are below. */
static void iterations_that_give_up_say_so(void) {
  const double pi = acos(-1);
  int failed = 0;
  for (int64_t n = 2; n < 50000; n *= 3) {
    zg_norm norm = zg_largest_eigenvalue(n, differences, &n);
    double expected = 2 - 2 * cos(pi * (double)n / (double)(n + 1));
    failed += !norm.converged;
    CU_ASSERT(norm.converged || n > 400);
    if (norm.converged)
      zg_test_close(norm.value, expected, promised * expected, "second differences");
    CU_ASSERT(norm.value <= expected * (1 + usual));
    CU_ASSERT(norm.value >= expected * 0.999);
  }
  CU_ASSERT(failed > 0);
}

/* Keeps the vector that the iterations start from, v, and then is I + 3 w w' with w
 * orthogonal to it: everything that can be reached from v has eigenvalue 1. */
enum { SIDE = 50 };
typedef struct blind_spot {
  double w[SIDE];
  bool made;
} blind_spot;

static void apply_blind_spot(const void *context, int64_t count, const double *x,
                             double *y) {
  CU_ASSERT_EQUAL(count, 1);
  blind_spot *b = *(blind_spot *const *)context;
  double along = 0;
  if (!b->made) {
    double length = sqrt(x[0] * x[0] + x[1] * x[1]);
    b->w[0] = x[1] / length;
    b->w[1] = -x[0] / length;
    b->made = true;
  }
  for (int k = 0; k < SIDE; k++)
    along += b->w[k] * x[k];
  for (int k = 0; k < SIDE; k++)
    y[k] = x[k] + 3 * along * b->w[k];
}

static void a_start_without_the_largest_vector_is_not_the_last(void) {
  blind_spot b = {.made = false}, *context = &b;
  check(zg_largest_eigenvalue(SIDE, apply_blind_spot, &context), 4, usual,
        "value that the first start cannot see");
}

static void the_same_input_gives_the_same_bits(void) {
  double *A = random_matrix(300, 400);
  CU_ASSERT_EQUAL(zg_dense_norm(300, 400, A).value, zg_dense_norm(300, 400, A).value);
  free(A);
}

static void unit_scales_bring_numbers_to_one(void) {
  double x[3] = {0, -3e-5, 1e-7}, zeros[2] = {0}, bad[2] = {1, -INFINITY};
  double unit = zg_unit_scale(3, x);
  CU_ASSERT(3e-5 * unit >= 0.5 && 3e-5 * unit < 1);
  CU_ASSERT_EQUAL(zg_unit_scale(2, zeros), 1);
  CU_ASSERT(isnan(zg_unit_scale(2, bad)));
}

const zg_test zg_tests[] = {
    {"random_matrices_agree_with_lapack", random_matrices_agree_with_lapack},
    {"prescribed_spectra_have_their_norm", prescribed_spectra_have_their_norm},
    {"large_matrices_are_iterated_on", large_matrices_are_iterated_on},
    {"no_scale_overflows_or_vanishes", no_scale_overflows_or_vanishes},
    {"matrices_of_nothing_have_norm_zero", matrices_of_nothing_have_norm_zero},
    {"operators_have_the_norm_of_their_matrix",
     operators_have_the_norm_of_their_matrix},
    {"guesses_do_not_change_the_norm", guesses_do_not_change_the_norm},
    {"good_guesses_save_products", good_guesses_save_products},
    {"long_block_iterations_stay_below_the_norm",
     long_block_iterations_stay_below_the_norm},
    {"iterations_that_give_up_say_so", iterations_that_give_up_say_so},
    {"a_start_without_the_largest_vector_is_not_the_last",
     a_start_without_the_largest_vector_is_not_the_last},
    {"the_same_input_gives_the_same_bits", the_same_input_gives_the_same_bits},
    {"unit_scales_bring_numbers_to_one", unit_scales_bring_numbers_to_one},
    {NULL, NULL}};
