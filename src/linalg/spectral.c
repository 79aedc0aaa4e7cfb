#include "linalg/spectral.h"

#include "base/memory.h"
#include "linalg/blas.h"
#include "linalg/random.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void dgemv_(const char *, const int *, const int *, const double *, const double *,
            const int *, const double *, const int *, const double *, double *,
            const int *);
void dsymv_(const char *, const int *, const double *, const double *, const int *,
            const double *, const int *, const double *, double *, const int *);
void dsyrk_(const char *, const char *, const int *, const int *, const double *,
            const double *, const int *, const double *, double *, const int *);
void dsbevx_(const char *, const char *, const char *, const int *, const int *,
             double *, const int *, double *, const int *, const double *,
             const double *, const int *, const int *, const double *, int *, double *,
             double *, const int *, double *, int *, int *, int *);
void dgbsv_(const int *, const int *, const int *, const int *, double *, const int *,
            int *, double *, const int *, int *);
double ddot_(const int *, const double *, const int *, const double *, const int *);
void daxpy_(const int *, const double *, const double *, const int *, double *,
            const int *);
double dnrm2_(const int *, const double *, const int *);
void dsyevd_(const char *, const char *, const int *, double *, const int *, double *,
             double *, const int *, int *, const int *, int *);

static const double zero = 0, one = 1;
static double unused;
static const int step = 1;

enum {
  DIRECT = 256,         /* sides of Gram matrices that LAPACK diagonalises at once, */
  MOST_GRAM = 4096,     /* and that are formed at all */
  MOST_PRODUCTS = 1000, /* of A and A' each, before giving up */
  CHECK_EVERY = 6,      /* products between two looks at the tridiagonal matrix */
};
/* Residuals of the eigenvalue that end the iterations: with operators, whose steps are
 * dear, and with matrices. */
static const double settled_operator = 3e-9, settled_matrix = 1e-10;
/* Part of a guess that is random, so that no vector is missing from it. */
static const double random_part = 0.01;
/* What is left of a product, relative to the largest, when it is rounding. */
static const double exhausted = 1e-14;

double zg_unit_scale(int64_t count, const double *values) {
  double largest = 0;
  for (int64_t k = 0; k < count; k++) {
    if (!isfinite(values[k])) return NAN;
    largest = fmax(largest, fabs(values[k]));
  }
  if (!(largest > 0)) return 1;
  int exponent;
  frexp(largest, &exponent);
  return ldexp(1, (int)zg_max(-1022, zg_min(1022, -exponent)));
}

/* Number k of a fixed sequence that looks random, in [-1, 1). */
static double start_number(uint64_t k) {
  return (double)(int64_t)zg_random_bits(0, k) * 0x1p-63;
}

/* The state of the iterations, with blocks V of one or two vectors (Golub & Underwood
 * 1977): G [V_0 ... V_k] = [V_0 ... V_k] T + V_(k+1) border_k e_k', T block tridiagonal
 * with borders that are upper triangular, hence of bandwidth `width`. Nothing but the
 * last two blocks is kept: rounding makes the vectors lose their orthogonality, which
 * gives T copies of eigenvalues that have settled already but moves none of its own
 * (Paige 1980), and only the largest is wanted. */
typedef struct lanczos {
  int n, width, steps;
  double *before, *v, *next; /* [width, n] each */
  double *T;                 /* [MOST_PRODUCTS, width + 1]: diagonal and below */
  double *band;              /* copies of T and a vector: scratch_numbers() */
  double unit;               /* G is multiplied by it */
  double settled;            /* the residual at which they end */
} lanczos;

/* Rows that a factorisation of T takes. */
static int factor_rows(int width) {
  return 3 * width + 1;
}

static int64_t scratch_numbers(int width) {
  return MOST_PRODUCTS * (int64_t)(factor_rows(width) + 9);
}

static int order(const lanczos *l) {
  return l->steps * l->width;
}

/* T[row + below, row], below >= 0. */
static double *entry(const lanczos *l, int row, int below) {
  return l->T + row * (l->width + 1) + below;
}

static void scale(int n, double factor, double *x) {
  for (int k = 0; k < n; k++)
    x[k] *= factor;
}

/* Takes the part along v out of w: its factor. */
static double remove_part(int n, const double *v, double *w) {
  double along = ddot_(&n, v, &step, w, &step), minus = -along;
  daxpy_(&n, &minus, v, &step, w, &step);
  return along;
}

/* Makes w orthonormal, w := Q with w = Q R, R upper triangular [width, width]. A vector
 * of at most `least` that is left over becomes zero, and so do T's entries for it: an
 * eigenvalue that is never the largest. The second pass is for one that was nearly
 * along the first. */
static void orthonormalise(const lanczos *l, double least, double *w, double *R) {
  memset(R, 0, (size_t)(l->width * l->width) * sizeof *R);
  for (int c = 0; c < l->width; c++) {
    double *x = w + (int64_t)c * l->n;
    for (int pass = 0; pass < 2; pass++)
      for (int r = 0; r < c; r++)
        R[r * l->width + c] += remove_part(l->n, w + (int64_t)r * l->n, x);
    double length = dnrm2_(&l->n, x, &step);
    if (length <= least) {
      memset(x, 0, (size_t)l->n * sizeof *x);
    } else {
      R[c * l->width + c] = length;
      scale(l->n, 1 / length, x);
    }
  }
}

/* \param [in] guess  [width, n] or NULL; a little of everything is added to it, as it
 * might lack the largest vector. */
static void start(lanczos *l, int attempt, const double *guess) {
  int64_t count = (int64_t)l->width * l->n, from = attempt * count;
  double R[4];
  for (int64_t k = 0; k < count; k++) {
    l->before[k] = 0;
    l->v[k] = start_number((uint64_t)(from + k));
  }
  for (int c = 0; guess && c < l->width; c++) {
    double *x = l->v + (int64_t)c * l->n;
    const double *y = guess + (int64_t)c * l->n;
    double length = dnrm2_(&l->n, y, &step);
    /* 0 where the guess is not finite */
    double part = dnrm2_(&l->n, x, &step) / (random_part * length);
    if (part > 0 && isfinite(part)) daxpy_(&l->n, &part, y, &step, x, &step);
  }
  orthonormalise(l, 0, l->v, R);
  l->steps = 0;
}

/* w -= V_(k-1) border_(k-1)'. */
static void remove_before(const lanczos *l, double *w) {
  int above = order(l) - l->width;
  for (int c = 0; above >= 0 && c < l->width; c++)
    for (int r = 0; r <= c; r++) {
      /* border[r, c] joins row r of this block and column c of the last one */
      double minus = -*entry(l, above + c, l->width + r - c);
      daxpy_(&l->n, &minus, l->before + (int64_t)c * l->n, &step, w + (int64_t)r * l->n,
             &step);
    }
}

static double largest_diagonal(const lanczos *l, int rows) {
  double largest = 0;
  for (int k = 0; k < rows; k++)
    largest = fmax(largest, *entry(l, k, 0));
  return largest;
}

/* One product. The order of the subtractions is the stable one (Paige 1972). */
static void extend(lanczos *l, zg_symmetric_apply *apply, const void *context) {
  int width = l->width, row = order(l);
  double *w = l->next, R[4];
  apply(context, width, l->v, w);
  if (row == 0) {
    double length = dnrm2_(&l->n, w, &step);
    l->unit = zg_unit_scale(1, &length);
  }
  scale(width * l->n, l->unit, w);
  remove_before(l, w);
  for (int c = 0; c < width; c++)
    for (int r = c; r < width; r++)
      *entry(l, row + c, r - c) =
          ddot_(&l->n, l->v + (int64_t)r * l->n, &step, w + (int64_t)c * l->n, &step);
  for (int c = 0; c < width; c++)
    for (int r = 0; r < width; r++) {
      double minus = -*entry(l, row + (r < c ? r : c), abs(r - c));
      daxpy_(&l->n, &minus, l->v + (int64_t)r * l->n, &step, w + (int64_t)c * l->n,
             &step);
    }
  orthonormalise(l, exhausted * largest_diagonal(l, row + width), w, R);
  for (int c = 0; c < width; c++)
    for (int r = 0; r <= c; r++)
      *entry(l, row + c, width + r - c) = R[r * width + c];
  l->steps++;
  l->next = l->before;
  l->before = l->v;
  l->v = w;
}
/* x := (T - shift)^-1 x, of length 1. */
static bool inverse_iteration(const lanczos *l, double shift, double *x) {
  int n = order(l), width = l->width, rows = factor_rows(width), info;
  int *pivots = ZG_NEW(int, n);
  double *a = l->band;
  memset(a, 0, (size_t)(n * rows) * sizeof *a);
  for (int c = 0; c < n; c++)
    for (int below = 0; below <= width && c + below < n; below++) {
      double value = *entry(l, c, below) - (below ? 0 : shift);
      a[c * rows + 2 * width + below] = value;
      a[(c + below) * rows + 2 * width - below] = value;
    }
  dgbsv_(&n, &width, &width, &step, a, &rows, pivots, x, &n, &info);
  free(pivots);
  double length = dnrm2_(&n, x, &step);
  if (info == 0) scale(n, 1 / length, x);
  return info == 0 && isfinite(length);
}

static bool largest_value(const lanczos *l, double *value) {
  int n = order(l), rows = l->width + 1, found, none, info, *places;
  double *band = l->band, *values = band + n * rows, *work = values + n, tolerance;
  places = ZG_NEW(int, 5 * (int64_t)n);
  tolerance = 2 * DBL_MIN;
  memcpy(band, l->T, (size_t)(n * rows) * sizeof *band);
  dsbevx_("N", "I", "L", &n, &l->width, band, &rows, &unused, &step, &zero, &zero, &n,
          &n, &tolerance, &found, values, &unused, &step, work, places, &none, &info);
  free(places);
  *value = values[0];
  return info == 0;
}

/* The largest eigenvalue of T; its residual is the last border times the last block of
 * its eigenvector, which is found by inverse iteration from just above. */
static zg_norm largest_ritz(const lanczos *l) {
  int n = order(l), width = l->width;
  zg_norm norm = {.value = 0};
  bool done = largest_value(l, &norm.value);
  norm.value = fmax(0, norm.value);
  if (!(norm.value > 0)) return (zg_norm){.converged = done};
  double *y = l->band + n * factor_rows(width), left = 0;
  for (int k = 0; k < n; k++)
    y[k] = start_number((uint64_t)k);
  for (int pass = 0; pass < 2 && done; pass++)
    done = inverse_iteration(l, norm.value * (1 + 8 * DBL_EPSILON), y);
  for (int r = 0; r < width; r++) {
    double sum = 0;
    for (int c = r; c < width; c++)
      sum += *entry(l, n - width + c, width + r - c) * y[n - width + c];
    left = hypot(left, sum);
  }
  norm.residual = done ? left / norm.value : INFINITY;
  norm.converged = norm.residual <= l->settled;
  return norm;
}

/* \param [out] invariant  the start's space is exhausted: what is left over is rounding
 * of the size of eps G. */
static zg_norm iterate(lanczos *l, zg_symmetric_apply *apply, const void *context,
                       bool *invariant) {
  for (;;) {
    extend(l, apply, context);
    double border = 0;
    for (int c = 0; c < l->width; c++)
      border += *entry(l, order(l) - l->width + c, l->width);
    if (!isfinite(border)) return (zg_norm){.value = NAN, .residual = INFINITY};
    *invariant = border <= 0;
    bool last = *invariant || order(l) + l->width > MOST_PRODUCTS;
    if (!last && order(l) % CHECK_EVERY != 0) continue;
    zg_norm norm = largest_ritz(l);
    if (norm.converged || last) return norm;
  }
}

/* \param [in] guess  [width, n] or NULL */
static zg_norm iterated(int64_t n, int width, double settled, const double *guess,
                        zg_symmetric_apply *apply, const void *context) {
  double *vectors = ZG_NEW(double, 3 * width * n);
  lanczos l = {.n = zg_int(n),
               .width = width,
               .settled = settled,
               .before = vectors,
               .v = vectors + width * n,
               .next = vectors + 2 * width * n,
               .T = ZG_NEW(double, MOST_PRODUCTS *(width + 1)),
               .band = ZG_NEW(double, scratch_numbers(width))};
  zg_norm best = {.value = -1};
  bool invariant = true;
  /* A space that is exhausted holds the largest eigenvalue unless the start happened to
   * lack its vector; a second start makes sure. */
  for (int attempt = 0; attempt < 2 && invariant; attempt++) {
    start(&l, attempt, guess);
    zg_norm norm = iterate(&l, apply, context, &invariant);
    norm.value /= l.unit;
    if (!(norm.value <= best.value)) best = norm;
  }
  free(vectors);
  free(l.T);
  free(l.band);
  return best;
}

zg_norm zg_largest_eigenvalue(int64_t n, zg_symmetric_apply *apply,
                              const void *context) {
  if (n == 0) return (zg_norm){.converged = true};
  return iterated(n, 1, settled_matrix, NULL, apply, context);
}

/* G = A'A or AA', with the vector between the two products; that is brought to a length
 * near 1, as the entries of G might overflow when those of A do not. */
typedef struct gram {
  const zg_operator *op;
  bool wide; /* AA' */
  double *between;
  double unit; /* a power of two near 1 / |A x| for a vector of length about 1 */
} gram;

static void first_product(const gram *g, int64_t count, const double *x) {
  const zg_operator *op = g->op;
  (g->wide ? op->apply_transposed : op->apply)(op->context, count, x, g->between);
}

static void apply_gram(const void *context, int64_t count, const double *x, double *y) {
  const gram *g = context;
  int64_t length = count * zg_max(g->op->rows, g->op->columns);
  first_product(g, count, x);
  for (int64_t k = 0; k < length; k++)
    g->between[k] *= g->unit;
  (g->wide ? g->op->apply : g->op->apply_transposed)(g->op->context, count, g->between,
                                                     y);
}

/* Vectors of a block: no more than the space has. */
static int block_width(const zg_operator *op) {
  return zg_min(op->rows, op->columns) < op->vectors ? 1 : op->vectors;
}

static int64_t norm_numbers(int64_t rows, int64_t columns, int width) {
  int64_t small = zg_min(rows, columns), large = zg_max(rows, columns);
  return width * (4 * small + 2 * large) + MOST_PRODUCTS * (width + 1) +
         scratch_numbers(width) + 3 * MOST_PRODUCTS;
}

int64_t zg_operator_norm_memory(int64_t rows, int64_t columns, int vectors) {
  return norm_numbers(rows, columns, vectors) * (int64_t)sizeof(double);
}

/* The power of two that first products are multiplied by. */
static double operator_unit(gram *g, int64_t n) {
  double *x = ZG_NEW(double, n);
  for (int64_t k = 0; k < n; k++)
    x[k] = start_number((uint64_t)k);
  first_product(g, 1, x);
  free(x);
  return zg_unit_scale(zg_max(g->op->rows, g->op->columns), g->between);
}

/* The operator's guess on the side that the iterations have; NULL without one. */
static double *guess_of(gram *g, int width) {
  const zg_operator *op = g->op;
  if (!op->guess || width < op->vectors) return NULL;
  double *x = ZG_NEW(double, width * op->columns);
  op->guess(op->context, x);
  if (!g->wide) return x;
  double *y = ZG_NEW(double, width * op->rows);
  op->apply(op->context, width, x, y);
  free(x);
  return y;
}

zg_norm zg_operator_norm(const zg_operator *op) {
  int64_t n = zg_min(op->rows, op->columns);
  if (n == 0) return (zg_norm){.converged = true};
  int width = block_width(op);
  gram g = {.op = op,
            .between = ZG_NEW(double, width *zg_max(op->rows, op->columns)),
            .wide = op->rows < op->columns};
  g.unit = operator_unit(&g, n);
  zg_norm norm = {.value = NAN, .residual = INFINITY};
  if (isfinite(g.unit)) {
    double *guess = guess_of(&g, width);
    norm = iterated(n, width, settled_operator, guess, apply_gram, &g);
    free(guess);
  }
  free(g.between);
  norm.value = sqrt(norm.value) / sqrt(g.unit);
  return norm;
}

/* A matrix as BLAS has it: column-major, of `m` x `n`. */
typedef struct matrix {
  int m, n;
  const double *A;
} matrix;

static void apply_matrix(const void *context, int64_t count, const double *x,
                         double *y) {
  const matrix *a = context;
  (void)count; /* is 1 */
  dgemv_("N", &a->m, &a->n, &one, a->A, &a->m, x, &step, &zero, y, &step);
}

static void apply_transposed_matrix(const void *context, int64_t count, const double *y,
                                    double *x) {
  const matrix *a = context;
  (void)count; /* is 1 */
  dgemv_("T", &a->m, &a->n, &one, a->A, &a->m, y, &step, &zero, x, &step);
}

static void apply_symmetric(const void *context, int64_t count, const double *x,
                            double *y) {
  const matrix *a = context;
  (void)count; /* is 1 */
  dsymv_("L", &a->n, &one, a->A, &a->n, x, &step, &zero, y, &step);
}

/* Largest eigenvalue of the lower triangle of G, which is overwritten. */
static zg_norm direct(int n, double *G) {
  int ask = -1, liwork = 1, none, info;
  double *values = ZG_NEW(double, n), need;
  dsyevd_("N", "L", &n, G, &n, values, &need, &ask, &none, &liwork, &info);
  int lwork = zg_int(zg_max(2 * (int64_t)n + 1, (int64_t)need));
  double *work = ZG_NEW(double, lwork);
  dsyevd_("N", "L", &n, G, &n, values, work, &lwork, &none, &liwork, &info);
  zg_norm norm = {.value = fmax(0, values[n - 1]), .converged = info == 0};
  free(work);
  free(values);
  return norm;
}

/* Through the n x n Gram matrix of a column-major A: A'A for `tall` k x n, AA' for n x
 * k.
 */
static zg_norm through_gram(int n, int k, bool tall, const double *A) {
  double *G = ZG_NEW(double, (int64_t)n *n);
  int ld = tall ? k : n;
  dsyrk_("L", tall ? "T" : "N", &n, &k, &one, A, &ld, &zero, G, &n);
  zg_norm norm = {.converged = false};
  const matrix g = {n, n, G};
  if (n > DIRECT) norm = zg_largest_eigenvalue(n, apply_symmetric, &g);
  if (!norm.converged) norm = direct(n, G);
  free(G);
  norm.value = sqrt(norm.value);
  return norm;
}

static zg_norm unscaled_norm(int64_t rows, int64_t columns, const double *A) {
  /* Row-major [rows, columns] is a columns x rows matrix for BLAS. */
  int m = zg_int(columns), n = zg_int(rows);
  if (zg_min(m, n) <= MOST_GRAM)
    return m >= n ? through_gram(n, m, true, A) : through_gram(m, n, false, A);
  const matrix a = {m, n, A};
  const zg_operator op = {.rows = m,
                          .columns = n,
                          .vectors = 1,
                          .apply = apply_matrix,
                          .apply_transposed = apply_transposed_matrix,
                          .context = &a};
  return zg_operator_norm(&op);
}

int64_t zg_dense_norm_memory(int64_t rows, int64_t columns) {
  int64_t n = zg_min(rows, columns), size = (int64_t)sizeof(double);
  if (n > MOST_GRAM) return zg_operator_norm_memory(rows, columns, 1);
  return n * n * size + zg_operator_norm_memory(n, n, 1) + 64 * n * size;
}

zg_norm zg_dense_norm(int64_t rows, int64_t columns, const double *A) {
  int64_t count = rows * columns;
  if (count == 0) return (zg_norm){.converged = true};
  double unit = zg_unit_scale(count, A);
  if (isnan(unit)) return (zg_norm){.value = NAN, .residual = INFINITY};
  if (!zg_is_extreme(unit)) return unscaled_norm(rows, columns, A);
  double *scaled = ZG_NEW(double, count);
  for (int64_t k = 0; k < count; k++)
    scaled[k] = A[k] * unit;
  zg_norm norm = unscaled_norm(rows, columns, scaled);
  free(scaled);
  norm.value /= unit;
  return norm;
}
