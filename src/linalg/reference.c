#include "linalg/reference.h"

#include "linalg/vector.h"

#include <float.h>
#include <math.h>
#include <string.h>

ZG_VECTOR
void zg_reference_add(zg_reference *restrict r, int64_t count, const double *restrict a,
                      const double *restrict log_a) {
  for (int64_t k = 0; k < count; k++) {
    r->a[k] += a[k];
    r->log_a[k] += log_a[k];
    r->positive[k] += a[k] > 0 ? 1 : 0;
  }
}

bool zg_reference_finish(zg_reference *r, int64_t count, int64_t distributions) {
  double all = (double)distributions;
  bool mixed = false;
  for (int64_t k = 0; k < count; k++) {
    mixed = mixed || (r->positive[k] > 0 && r->positive[k] < all);
    r->a[k] /= all;
    r->log_a[k] /= fmax(1, r->positive[k]);
    r->inverse[k] = r->a[k] > DBL_MIN ? 1 / r->a[k] : 0;
  }
  return mixed;
}

/* As many numbers as a sum has lanes. */
#define LANES(real)                                                                    \
  vector_size(ZG_REFERENCE_LANES * sizeof(real)), aligned(sizeof(real)), may_alias
typedef double lanes_double __attribute__((LANES(double)));
typedef float lanes_single __attribute__((LANES(float)));
typedef int64_t lanes_mask __attribute__((LANES(int64_t)));

/* Numbers [k, k + lanes) of a distribution; a and log_a point at them. */
#define DEFINE_SUBTRACT(suffix, real)                                                  \
  static inline void subtract_lanes_##suffix(                                          \
      const zg_reference *r, int64_t k, const double *at, const double *log_at,        \
      real *centred, real *logs, lanes_double sums[3]) {                               \
    lanes_double m = *(const lanes_double *)(r->a + k);                                \
    lanes_double c = *(const lanes_double *)(r->log_a + k);                            \
    lanes_double a = *(const lanes_double *)at, log_a = *(const lanes_double *)log_at; \
    lanes_double v = a - m;                                                            \
    lanes_double w = (lanes_double)((lanes_mask)(log_a - c) & (a > 0)), mw = m * w;    \
    sums[0] += mw;                                                                     \
    sums[1] += v * v * *(const lanes_double *)(r->inverse + k);                        \
    sums[2] += mw * w;                                                                 \
    *(lanes_##suffix *)centred = __builtin_convertvector(v, lanes_##suffix);           \
    *(lanes_##suffix *)logs = __builtin_convertvector(w, lanes_##suffix);              \
  }                                                                                    \
  ZG_VECTOR static void subtract_##suffix(                                             \
      const zg_reference *r, int64_t count, const double *a, const double *log_a,      \
      real *centred, real *logs, zg_centred_sums *sums) {                              \
    enum { STEP = ZG_REFERENCE_LANES };                                                \
    double last_a[STEP] = {0}, last_log_a[STEP] = {0};                                 \
    real last_centred[STEP], last_logs[STEP];                                          \
    int64_t whole = count / STEP * STEP;                                               \
    size_t rest = (size_t)(count - whole);                                             \
    lanes_double s[3] = {*(lanes_double *)sums->reference,                             \
                         *(lanes_double *)sums->spread,                                \
                         *(lanes_double *)sums->log_spread};                           \
    for (int64_t k = 0; k < whole; k += STEP)                                          \
      subtract_lanes_##suffix(r, k, a + k, log_a + k, centred + k, logs + k, s);       \
    if (rest) {                                                                        \
      memcpy(last_a, a + whole, rest * sizeof *a);                                     \
      memcpy(last_log_a, log_a + whole, rest * sizeof *a);                             \
      subtract_lanes_##suffix(r, whole, last_a, last_log_a, last_centred, last_logs,   \
                              s);                                                      \
      memcpy(centred + whole, last_centred, rest * sizeof *centred);                   \
      memcpy(logs + whole, last_logs, rest * sizeof *logs);                            \
    }                                                                                  \
    *(lanes_double *)sums->reference = s[0];                                           \
    *(lanes_double *)sums->spread = s[1];                                              \
    *(lanes_double *)sums->log_spread = s[2];                                          \
  }
DEFINE_SUBTRACT(single, float)
DEFINE_SUBTRACT(double, double)

void zg_reference_subtract(const zg_reference *reference, zg_precision precision,
                           int64_t count, const double *a, const double *log_a,
                           void *centred, void *logs, zg_centred_sums *sums) {
  if (precision == ZG_SINGLE)
    subtract_single(reference, count, a, log_a, centred, logs, sums);
  else
    subtract_double(reference, count, a, log_a, centred, logs, sums);
}
