#include "linalg/column.h"

#include "linalg/micro.h"

#include <float.h>
#include <stdbool.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* The larger of two numbers <= 0, by their bits: compilers turn a comparison of the
 * numbers themselves into a branch here, and the loop is no longer vector code. */
INLINE float at_least(float x, float least) {
  uint32_t a, b;
  memcpy(&a, &x, sizeof a);
  memcpy(&b, &least, sizeof b);
  a = a < b ? a : b;
  memcpy(&x, &a, sizeof x);
  return x;
}

/* exp(x) - base - shift = 2^k (exp(r) - 1) + (2^k - base) - shift with x = k ln 2 + r,
 * |r| <= ln(2)/2, and Taylor's series for exp(r) - 1, which at this length is as good
 * as a minimax polynomial. The last bits of 1/ln 2 do not matter for k; ln 2 itself is
 * used in two parts. */
INLINE float exponential(float x, float base, float shift) {
  x = at_least(x, -87.0f);
  /* truncates to nearest for x <= 0 */
  float k = (float)(int32_t)__builtin_fmaf(x, 1.44269504f, -0.5f);
  float r = __builtin_fmaf(k, -1.42860677e-6f, __builtin_fmaf(k, -0.693145752f, x));
  float p = 1.0f / 40320;
  p = __builtin_fmaf(p, r, 1.0f / 5040);
  p = __builtin_fmaf(p, r, 1.0f / 720);
  p = __builtin_fmaf(p, r, 1.0f / 120);
  p = __builtin_fmaf(p, r, 1.0f / 24);
  p = __builtin_fmaf(p, r, 1.0f / 6);
  p = __builtin_fmaf(p, r, 1.0f / 2);
  p = __builtin_fmaf(p * r, r, r);
  int32_t bits = ((int32_t)k + 127) * (1 << 23);
  float power;
  memcpy(&power, &bits, sizeof power);
  return __builtin_fmaf(power, p, (power - base) - shift);
}

/* Distances below this multiple of a + b are rounding: the products of a pair of equal
 * rows and the norms of those rows do not agree to the last bit. */
INLINE float distance(float a, float b, float product) {
  float both = a + b, squared = __builtin_fmaf(-2, product, both);
  return squared > 8 * FLT_EPSILON * both ? squared : 0;
}

enum { LANES = 16 };

/* One source for all instruction sets; each loop of LANES steps becomes a few
 * instructions. */
#define DEFINE_COLUMNS(suffix, attributes)                                             \
  attributes static double kernel_##suffix(                                            \
      int64_t rows, float *restrict v, const float *restrict norms, float norm,        \
      const zg_column_rbf *rbf, float *restrict sums) {                                \
    const float gamma = -rbf->gamma, base = rbf->base, shift = rbf->shift,             \
                factor = rbf->factor;                                                  \
    float lanes[LANES] = {0};                                                          \
    int64_t r = 0;                                                                     \
    for (; r + LANES <= rows; r += LANES)                                              \
      for (int l = 0; l < LANES; l++) {                                                \
        float x = gamma * distance(norms[r + l], norm, v[r + l]);                      \
        float y = exponential(x, base, shift) * factor;                                \
        v[r + l] = y;                                                                  \
        sums[r + l] += y;                                                              \
        lanes[l] += y;                                                                 \
      }                                                                                \
    for (int l = 0; r < rows; r++, l++) {                                              \
      float x = gamma * distance(norms[r], norm, v[r]);                                \
      float y = exponential(x, base, shift) * factor;                                  \
      v[r] = y;                                                                        \
      sums[r] += y;                                                                    \
      lanes[l] += y;                                                                   \
    }                                                                                  \
    for (int half = LANES / 2; half > 0; half /= 2)                                    \
      for (int l = 0; l < half; l++)                                                   \
        lanes[l] += lanes[l + half];                                                   \
    return (double)lanes[0];                                                           \
  }                                                                                    \
  attributes static void distances_##suffix(int64_t rows, const float *restrict v,     \
                                            const float *restrict norms, float norm,   \
                                            float *restrict out) {                     \
    for (int64_t r = 0; r < rows; r++)                                                 \
      out[r] = distance(norms[r], norm, v[r]);                                         \
  }

#if defined(__x86_64__) && defined(__GNUC__)
DEFINE_COLUMNS(avx512, __attribute__((target("avx512f,prefer-vector-width=512"))))
DEFINE_COLUMNS(avx2, __attribute__((target("avx2,fma"))))
#endif
DEFINE_COLUMNS(c, )

typedef struct columns {
  double (*kernel)(int64_t, float *restrict, const float *restrict, float,
                   const zg_column_rbf *, float *restrict);
  void (*distances)(int64_t, const float *restrict, const float *restrict, float,
                    float *restrict);
} columns;

static const columns sets[] = {[ZG_ISA_C] = {kernel_c, distances_c},
#if defined(__x86_64__) && defined(__GNUC__)
                               [ZG_ISA_AVX2] = {kernel_avx2, distances_avx2},
                               [ZG_ISA_AVX512] = {kernel_avx512, distances_avx512}
#endif
};

double zg_column_kernel(int64_t rows, float *v, const float *norms, float norm,
                        const zg_column_rbf *rbf, float *sums) {
  return sets[zg_micro_isa()].kernel(rows, v, norms, norm, rbf, sums);
}

void zg_column_distances(int64_t rows, const float *v, const float *norms, float norm,
                         float *out) {
  sets[zg_micro_isa()].distances(rows, v, norms, norm, out);
}

float zg_column_expm1(float x) {
  return exponential(x, 1, 0);
}
