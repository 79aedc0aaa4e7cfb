#include "linalg/sketch.h"

#include "base/memory.h"
#include "base/status.h"
#include "linalg/random.h"

#include <fftw3.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void dgemm_(const char *, const char *, const int *, const int *, const int *,
            const double *, const double *, const int *, const double *, const int *,
            const double *, double *, const int *);

/* Of a block of explicit products, 512 KiB: in the cache on their way to the buckets.
 */
enum { PRODUCT_NUMBERS = 1 << 16 };

/* The buckets and signs of one of the two vectors. */
typedef struct hash {
  int64_t count;
  int32_t *bucket; /* [count], in [0, length) */
  double *sign;    /* [count], 1 or -1 */
} hash;

struct zg_sketch {
  int64_t length, modes; /* modes: length / 2 + 1 frequencies */
  hash of[2];
  double *x, *y;               /* [length]: two CountSketches */
  fftw_complex *X, *Y;         /* [modes]: their transforms */
  fftw_complex *sum;           /* [modes]: sum of the products over the terms */
  fftw_plan forward, backward; /* x to X and sum to x; used for y and Y too */
};

/* A function of all three numbers that looks like chance: far more than the 4-wise
 * independence that the variance bound asks for. Mixed twice, as neighbouring positions
 * of one seed must not be those of the next seed. */
static uint64_t random_bits(uint64_t seed, uint64_t side, uint64_t position) {
  uint64_t key = zg_random_mix(zg_random_mix(seed + ZG_RANDOM_STEP) + 2 * side + 1);
  return zg_random_mix(zg_random_mix(key + position * ZG_RANDOM_STEP) ^ key);
}

static void hash_create(hash *h, int64_t count, int64_t length, uint64_t seed,
                        uint64_t side) {
  *h = (hash){
      .count = count, .bucket = ZG_NEW(int32_t, count), .sign = ZG_NEW(double, count)};
  for (int64_t k = 0; k < count; k++) {
    uint64_t bits = random_bits(seed, side, (uint64_t)k);
    /* The upper 32 bits choose the bucket, the last one the sign. */
    h->bucket[k] = (int32_t)((bits >> 32) * (uint64_t)length >> 32);
    h->sign[k] = bits & 1 ? 1 : -1;
  }
}

static void hash_destroy(hash *h) {
  free(h->bucket);
  free(h->sign);
}

zg_sketch *zg_sketch_create(int64_t length, int64_t first, int64_t second,
                            uint64_t seed) {
  zg_sketch *s = ZG_NEW0(zg_sketch, 1);
  s->length = length;
  s->modes = length / 2 + 1;
  hash_create(&s->of[0], first, length, seed, 0);
  hash_create(&s->of[1], second, length, seed, 1);
  s->x = fftw_alloc_real((size_t)length);
  s->y = fftw_alloc_real((size_t)length);
  s->X = fftw_alloc_complex((size_t)s->modes);
  s->Y = fftw_alloc_complex((size_t)s->modes);
  s->sum = fftw_alloc_complex((size_t)s->modes);
  if (!s->x || !s->y || !s->X || !s->Y || !s->sum)
    zg_abort(ZG_ERR_SYSTEM, "no memory for a sketch of %lld numbers",
             (long long)length);
  /* Estimated, not measured: the same plan, hence the same bits, on every run. */
  s->forward = fftw_plan_dft_r2c_1d(zg_int(length), s->x, s->X, FFTW_ESTIMATE);
  s->backward = fftw_plan_dft_c2r_1d(zg_int(length), s->sum, s->x, FFTW_ESTIMATE);
  ZG_REQUIRE(s->forward && s->backward);
  return s;
}

void zg_sketch_destroy(zg_sketch **sketch) {
  zg_sketch *s = *sketch;
  if (!s) return;
  fftw_destroy_plan(s->forward);
  fftw_destroy_plan(s->backward);
  fftw_free(s->x);
  fftw_free(s->y);
  fftw_free(s->X);
  fftw_free(s->Y);
  fftw_free(s->sum);
  hash_destroy(&s->of[0]);
  hash_destroy(&s->of[1]);
  free(s);
  *sketch = NULL;
}

static void count_sketch(const hash *h, const double *v, double *z) {
  for (int64_t k = 0; k < h->count; k++)
    z[h->bucket[k]] += h->sign[k] * v[k];
}

static void transform(const zg_sketch *s, const hash *h, const double *v, double *x,
                      fftw_complex *X) {
  memset(x, 0, (size_t)s->length * sizeof *x);
  count_sketch(h, v, x);
  fftw_execute_dft_r2c(s->forward, x, X);
}

/* A convolution per term, added up as products of transforms. */
static void add_by_transforms(zg_sketch *s, int64_t terms, const double *a,
                              const double *b, double *z) {
  memset(s->sum, 0, (size_t)s->modes * sizeof *s->sum);
  for (int64_t t = 0; t < terms; t++) {
    transform(s, &s->of[0], a + t * s->of[0].count, s->x, s->X);
    transform(s, &s->of[1], b + t * s->of[1].count, s->y, s->Y);
    for (int64_t k = 0; k < s->modes; k++) {
      const double *x = s->X[k], *y = s->Y[k];
      s->sum[k][0] += x[0] * y[0] - x[1] * y[1];
      s->sum[k][1] += x[0] * y[1] + x[1] * y[0];
    }
  }
  fftw_execute(s->backward);
  for (int64_t k = 0; k < s->length; k++)
    z[k] += s->x[k] / (double)s->length;
}

/* The CountSketch of a unit vector is one signed number, and convolving with it shifts:
 * the numbers of row i of sum_s a_s (x) b_s go to the buckets of b, shifted. */
static void add_row(const zg_sketch *s, int64_t i, const double *row, double *z) {
  const hash *h = &s->of[1];
  int64_t shift = s->of[0].bucket[i];
  double sign = s->of[0].sign[i];
  for (int64_t k = 0; k < h->count; k++) {
    int64_t at = h->bucket[k] + shift;
    z[at < s->length ? at : at - s->length] += sign * h->sign[k] * row[k];
  }
}

/* The sum of the products themselves, some rows at a time. */
static void add_by_product(const zg_sketch *s, int64_t terms, const double *a,
                           const double *b, double *z) {
  int64_t first = s->of[0].count, second = s->of[1].count;
  int64_t rows = zg_max(1, zg_min(first, PRODUCT_NUMBERS / zg_max(1, second)));
  int n = zg_int(second), k = zg_int(terms), lda = zg_int(first);
  const double one = 1, zero = 0;
  double *product = ZG_NEW(double, rows *second);
  for (int64_t i = 0; i < first; i += rows) {
    int m = (int)zg_min(rows, first - i);
    dgemm_("N", "T", &n, &m, &k, &one, b, &n, a + i, &lda, &zero, product, &n);
    for (int64_t r = 0; r < m; r++)
      add_row(s, i + r, product + r * second, z);
  }
  free(product);
}

/* Whether the products themselves take less time than transforms: about 0.03 ns a
 * multiplication and 2 ns for a number's way to its bucket, against 0.25 ns for each of
 * the L (2 + log2 L) steps of a term's two transforms. */
static bool product_is_faster(const zg_sketch *s, int64_t terms) {
  double numbers = (double)s->of[0].count * (double)s->of[1].count;
  double length = (double)s->length, of_terms = (double)terms;
  double product = numbers * (2 + 0.03 * of_terms);
  return product < 0.25 * of_terms * length * (2 + log2(length));
}

void zg_sketch_add(zg_sketch *s, int64_t terms, const double *a, const double *b,
                   double *z) {
  if (terms == 0 || s->of[0].count == 0 || s->of[1].count == 0) return;
  if (product_is_faster(s, terms))
    add_by_product(s, terms, a, b, z);
  else
    add_by_transforms(s, terms, a, b, z);
}

void zg_sketch_add_index(zg_sketch *s, int64_t terms, const int64_t *index,
                         const double *b, double *z) {
  for (int64_t t = 0; t < terms; t++)
    add_row(s, index[t], b + t * s->of[1].count, z);
}

void zg_count_sketch_add(zg_sketch *s, const double *b, double *z) {
  count_sketch(&s->of[1], b, z);
}
