#include "linalg/torus.h"

#include "base/memory.h"
#include "linalg/blas.h"
#include "linalg/vector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void zpotrf_(const char *, const int *, double *, const int *, int *);
void zhemv_(const char *, const int *, const double *, const double *, const int *,
            const double *, const int *, const double *, double *, const int *);
void zheevd_(const char *, const char *, const int *, double *, const int *, double *,
             double *, const int *, double *, const int *, int *, const int *, int *);
void zheevx_(const char *, const char *, const char *, const int *, double *,
             const int *, const double *, const double *, const int *, const int *,
             const double *, int *, double *, double *, const int *, double *,
             const int *, double *, int *, int *, int *);

/* Sides of Hermitian matrices that LAPACK diagonalises at once. */
enum { DIRECT = 96 };

/* A convolution A that commutes with shifts of its H x W outputs (H = input height /
 * stride): AA' couples outputs by their distance only,
 *   AA'[o, p; o', p'] = R_(p - p')[o, o'],
 *   R_lag[o, o'] = sum over i and taps a, a' with (a' - a) d = lag s (modulo the input)
 *                  of W[o, i, a] W[o', i, a'],
 * so that its eigenvalues are those of G(f) = sum over lags of R_lag exp(-2 pi i (f_h
 * lag_h / H + f_w lag_w / W)) for every frequency f. Where the stride is 1 the channels
 * may change places, as A'A is such a matrix too: the smaller side is taken.
 *
 * With S(lag_h, f_w) the sum over lag_w alone and S(-lag_h) = S(lag_h)^H,
 *   G(f) = S(0) + sum over lag_h > 0 of  c (S + S^H) + s (-i (S - S^H)),
 * c, s the cosine and sine of 2 pi f_h lag_h / H: a combination with real coefficients
 * of a few Hermitian matrices that serve all f_h. */
typedef struct spectrum {
  int m;            /* channels of the smaller side */
  int64_t grid[2];  /* H, W */
  int lags[2];      /* lag_h in [0, H/2] only, lag_w all */
  int64_t *lag[2];  /* their values */
  double *R;        /* [lags[0], lags[1], m, m], column-major each */
  double *S;        /* [m, m] complex */
  double *parts;    /* [2 lags[0], m, m] complex Hermitian */
  double *G, *test; /* [m, m] complex, lower triangles */
  double *turn[2];  /* [grid, 2]: cosine and sine of 2 pi k / grid */
  int64_t best[2];  /* frequency of the largest value so far */
} spectrum;

/* Lag of taps a and a' of an axis in units of the stride, in [0, grid); -1 when they
 * never meet. */
static int64_t lag_of(const zg_convolution *c, int axis, int64_t a, int64_t other) {
  int64_t size = c->input[axis];
  int64_t distance = ((other - a) * c->dilation[axis] % size + size) % size;
  return distance % c->stride[axis] ? -1 : distance / c->stride[axis];
}

static int find_lag(const spectrum *s, int axis, int64_t lag) {
  for (int k = 0; k < s->lags[axis]; k++)
    if (s->lag[axis][k] == lag) return k;
  return -1;
}

static void list_lags(const zg_convolution *c, spectrum *s, int axis) {
  int64_t taps = c->kernel[axis];
  s->lag[axis] = ZG_NEW(int64_t, 2 * taps);
  for (int64_t a = 0; a < taps; a++)
    for (int side = 0; side < 2; side++) {
      int64_t lag = side ? lag_of(c, axis, a, 0) : lag_of(c, axis, 0, a);
      bool wanted = lag >= 0 && (axis == 1 || 2 * lag <= s->grid[axis]);
      if (wanted && find_lag(s, axis, lag) < 0) s->lag[axis][s->lags[axis]++] = lag;
    }
}

/* The kernel as one matrix per tap, [k, m] column-major: m the side that is kept. */
static double *matrices_of_taps(const zg_convolution *c, bool keep_out) {
  int64_t taps = c->kernel[0] * c->kernel[1], each = c->out * c->in;
  double *of = ZG_NEW(double, taps *each);
  for (int64_t o = 0; o < c->out; o++)
    for (int64_t i = 0; i < c->in; i++)
      for (int64_t a = 0; a < taps; a++)
        of[a * each + (keep_out ? o * c->in + i : i * c->out + o)] =
            c->weights[(o * c->in + i) * taps + a];
  return of;
}

static void multiply_taps(const zg_convolution *c, bool keep_out, spectrum *s) {
  int64_t m = s->m, k = keep_out ? c->in : c->out, height = c->kernel[0];
  int64_t width = c->kernel[1];
  double *of = matrices_of_taps(c, keep_out);
  for (int64_t a = 0; a < height * width; a++)
    for (int64_t b = 0; b < height * width; b++) {
      int64_t lag_h = lag_of(c, 0, a / width, b / width);
      int64_t lag_w = lag_of(c, 1, a % width, b % width);
      int h = find_lag(s, 0, lag_h), w = find_lag(s, 1, lag_w);
      if (h < 0 || w < 0) continue;
      zg_product(ZG_DOUBLE, m, m, k, 1, of + a * m * k, k, of + b * m * k, k, 1,
                 s->R + (h * s->lags[1] + w) * m * m, m);
    }
  free(of);
}

static double *turns(int64_t grid) {
  double *turn = ZG_NEW(double, 2 * grid);
  for (int64_t k = 0; k < grid; k++) {
    double angle = 2 * acos(-1) * (double)k / (double)grid;
    turn[2 * k] = cos(angle);
    turn[2 * k + 1] = sin(angle);
  }
  return turn;
}

/* Which channels are kept. */
static bool keeps_out(const zg_convolution *c) {
  return c->out <= c->in || c->stride[0] > 1 || c->stride[1] > 1;
}

static void spectrum_create(const zg_convolution *c, spectrum *s) {
  bool keep_out = keeps_out(c);
  *s = (spectrum){.m = zg_int(keep_out ? c->out : c->in)};
  for (int axis = 0; axis < 2; axis++) {
    s->grid[axis] = c->input[axis] / c->stride[axis];
    list_lags(c, s, axis);
    s->turn[axis] = turns(s->grid[axis]);
  }
  int64_t each = (int64_t)s->m * s->m;
  s->R = ZG_NEW0(double, s->lags[0] * s->lags[1] * each);
  s->S = ZG_NEW(double, 2 * each);
  s->parts = ZG_NEW(double, 2 * s->lags[0] * 2 * each);
  s->G = ZG_NEW(double, 2 * each);
  s->test = ZG_NEW(double, 2 * each);
  multiply_taps(c, keep_out, s);
}

int64_t zg_torus_numbers(const zg_convolution *c) {
  bool keep_out = keeps_out(c);
  int64_t m = keep_out ? c->out : c->in, lags[2];
  for (int axis = 0; axis < 2; axis++)
    lags[axis] = zg_min(c->input[axis] / c->stride[axis], 2 * c->kernel[axis]);
  int64_t half = lags[0] / 2 + 1, taps = c->kernel[0] * c->kernel[1];
  /* R, the parts, S, G and its test; the taps while R is made */
  return half * lags[1] * m * m + 4 * half * m * m + 6 * m * m + taps * c->out * c->in;
}

static void spectrum_destroy(spectrum *s) {
  for (int axis = 0; axis < 2; axis++) {
    free(s->lag[axis]);
    free(s->turn[axis]);
  }
  free(s->R);
  free(s->S);
  free(s->parts);
  free(s->G);
  free(s->test);
}

static bool own_mirror(const spectrum *s, int h) {
  return 2 * s->lag[0][h] % s->grid[0] == 0;
}

ZG_VECTOR
static void add_turned(int64_t count, double cosine, double sine,
                       const double *restrict R, double *restrict S) {
  for (int64_t k = 0; k < count; k++) {
    S[2 * k] += cosine * R[k];
    S[2 * k + 1] -= sine * R[k];
  }
}

/* Lower triangles of S + S^H and -i (S - S^H). */
static void split(int m, const double *S, double *even, double *odd) {
  for (int64_t c = 0; c < m; c++)
    for (int64_t r = c; r < m; r++) {
      const double *x = S + 2 * (c * m + r), *mirror = S + 2 * (r * m + c);
      double *e = even + 2 * (c * m + r), *o = odd + 2 * (c * m + r);
      e[0] = x[0] + mirror[0];
      e[1] = x[1] - mirror[1];
      o[0] = x[1] + mirror[1];
      o[1] = mirror[0] - x[0];
    }
}

/* The Hermitian parts for all frequencies with this f_w. */
static void make_parts(spectrum *s, int64_t f) {
  int64_t each = (int64_t)s->m * s->m;
  for (int h = 0; h < s->lags[0]; h++) {
    double *even = s->parts + 2 * h * 2 * each;
    memset(s->S, 0, 2 * (size_t)each * sizeof *s->S);
    for (int w = 0; w < s->lags[1]; w++) {
      const double *turn = s->turn[1] + 2 * (f * s->lag[1][w] % s->grid[1]);
      add_turned(each, turn[0], turn[1], s->R + (h * s->lags[1] + w) * each, s->S);
    }
    if (own_mirror(s, h))
      memcpy(even, s->S, 2 * (size_t)each * sizeof *even);
    else
      split(s->m, s->S, even, even + 2 * each);
  }
}

ZG_VECTOR
static void add_multiple(int64_t count, double factor, const double *restrict x,
                         double *restrict y) {
  for (int64_t k = 0; k < count; k++)
    y[k] += factor * x[k];
}

/* Lower triangle of G(f), by columns, which stay in the first cache. */
static void combine(spectrum *s, int64_t f) {
  int64_t m = s->m, each = m * m;
  for (int64_t c = 0; c < m; c++) {
    int64_t at = 2 * (c * m + c), count = 2 * (m - c);
    memset(s->G + at, 0, (size_t)count * sizeof *s->G);
    for (int h = 0; h < s->lags[0]; h++) {
      const double *turn = s->turn[0] + 2 * (f * s->lag[0][h] % s->grid[0]);
      const double *even = s->parts + 2 * h * 2 * each + at;
      add_multiple(count, turn[0], even, s->G + at);
      if (!own_mirror(s, h)) add_multiple(count, turn[1], even + 2 * each, s->G + at);
    }
  }
}

/* Whether G < limit, proved by a Cholesky factorisation of limit - G; up to rounding of
 * m eps limit. */
static bool is_below(spectrum *s, double limit) {
  int64_t m = s->m;
  int info;
  for (int64_t c = 0; c < m; c++) {
    for (int64_t k = 2 * (c * m + c); k < 2 * (c + 1) * m; k++)
      s->test[k] = -s->G[k];
    s->test[2 * (c * m + c)] += limit;
  }
  zpotrf_("L", &s->m, s->test, &s->m, &info);
  return info == 0;
}

/* A Hermitian matrix of side m is a symmetric one of side 2 m, every eigenvalue twice.
 */
static void apply_hermitian(const void *context, int64_t count, const double *x,
                            double *y) {
  const spectrum *s = context;
  (void)count; /* is 1 */
  const double complex_one[2] = {1, 0}, complex_zero[2] = {0, 0};
  const int step = 1;
  zhemv_("L", &s->m, complex_one, s->G, &s->m, x, &step, complex_zero, y, &step);
}

/* Largest eigenvalue of G, which is overwritten. */
static zg_norm largest_by_lapack(spectrum *s) {
  int lwork = s->m * 33, lrwork = s->m, liwork = 1, iwork, info;
  double *work = ZG_NEW(double, 2 * (int64_t)lwork), *rwork = ZG_NEW(double, lrwork);
  double *values = ZG_NEW(double, s->m);
  zheevd_("N", "L", &s->m, s->G, &s->m, values, work, &lwork, rwork, &lrwork, &iwork,
          &liwork, &info);
  zg_norm norm = {.value = values[s->m - 1], .converged = info == 0};
  free(work);
  free(rwork);
  free(values);
  return norm;
}

static zg_norm largest_of(spectrum *s) {
  zg_norm norm = {.converged = false};
  if (s->m > DIRECT) norm = zg_largest_eigenvalue(2 * s->m, apply_hermitian, s);
  return norm.converged ? norm : largest_by_lapack(s);
}

static void visit_frequency(spectrum *s, int64_t h, int64_t w, zg_norm *largest) {
  combine(s, h);
  if (is_below(s, largest->value * (1 + 1e-12))) return;
  zg_norm norm = largest_of(s);
  bool failed = !norm.converged || !largest->converged;
  if (norm.value > largest->value || failed) {
    *largest = norm;
    s->best[0] = h;
    s->best[1] = w;
  }
  if (failed) largest->converged = false;
}

/* The kernel is real: frequencies f and -f have the same eigenvalues. They are visited
 * in strides, so that a large norm is met early and most need only the proof that they
 * are below it. */
static zg_norm visit_all(spectrum *s, double floor) {
  zg_norm largest = {.value = floor, .converged = true};
  int64_t half = s->grid[1] / 2 + 1;
  for (int64_t k = 0; k < half; k++) {
    int64_t w = k * zg_scattering_stride(half) % half;
    bool mirrored = 2 * w % s->grid[1] == 0;
    int64_t count = mirrored ? s->grid[0] / 2 + 1 : s->grid[0];
    make_parts(s, w);
    for (int64_t j = 0; j < count; j++)
      visit_frequency(s, j * zg_scattering_stride(count) % count, w, &largest);
  }
  return largest;
}

zg_norm zg_torus_norm(const zg_convolution *c, double floor) {
  spectrum s;
  spectrum_create(c, &s);
  zg_norm largest = visit_all(&s, floor * floor);
  spectrum_destroy(&s);
  largest.value = sqrt(largest.value);
  return largest;
}

/* The eigenvector of the largest eigenvalue of G, which is overwritten. */
static bool largest_vector(spectrum *s, double *vector) {
  const double none = 0;
  int m = s->m, lwork = 33 * m, found = 0, failed, info;
  double *work = ZG_NEW(double, 2 * (int64_t)lwork), *rwork = ZG_NEW(double, 7 * m);
  double *values = ZG_NEW(double, m);
  int *iwork = ZG_NEW(int, 5 * (int64_t)m);
  zheevx_("V", "I", "L", &m, s->G, &m, &none, &none, &m, &m, &none, &found, values,
          vector, &m, work, &lwork, rwork, iwork, &failed, &info);
  free(work);
  free(rwork);
  free(values);
  free(iwork);
  return info == 0 && found == 1;
}

bool zg_torus_peak(const zg_convolution *c, zg_peak *peak) {
  spectrum s;
  spectrum_create(c, &s);
  zg_norm largest = visit_all(&s, 0);
  peak->of_output = keeps_out(c);
  /* R is of lags a' - a: of outputs p - p', but of inputs x' - x */
  double sign = peak->of_output ? 1 : -1;
  for (int axis = 0; axis < 2; axis++)
    peak->turn[axis] =
        sign * 2 * acos(-1) * (double)s.best[axis] / (double)s.grid[axis];
  make_parts(&s, s.best[1]);
  combine(&s, s.best[0]);
  bool found = largest.value > 0 && largest_vector(&s, peak->vector);
  spectrum_destroy(&s);
  return found;
}
