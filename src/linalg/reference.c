#include "linalg/reference.h"

#include "linalg/logs.h"
#include "linalg/vector.h"

#include <float.h>
#include <string.h>

typedef float real_single;
typedef double real_double;

#define DEFINE_ADD(from)                                                               \
  ZG_VECTOR static void add_##from(zg_reference *restrict r, int64_t count,            \
                                   const real_##from *restrict x) {                    \
    for (int64_t k = 0; k < count; k++) {                                              \
      r->a[k] += (double)x[k];                                                         \
      r->positive[k] += x[k] > 0 ? 1 : 0;                                              \
    }                                                                                  \
  }
DEFINE_ADD(single)
DEFINE_ADD(double)

void zg_reference_add(zg_reference *r, int64_t count, const void *x) {
  if (r->stored == ZG_SINGLE)
    add_single(r, count, x);
  else
    add_double(r, count, x);
}

bool zg_reference_finish(zg_reference *r, int64_t count, int64_t distributions) {
  double all = (double)distributions;
  bool mixed = false;
  for (int64_t k = 0; k < count; k++) {
    mixed = mixed || (r->positive[k] > 0 && r->positive[k] < all);
    r->a[k] = r->factor * (r->a[k] / all) + r->summand;
    r->inverse[k] = r->a[k] > DBL_MIN ? 1 / r->a[k] : 0;
  }
  zg_logs(count, r->a, r->log_a);
  return mixed && !(r->summand > 0);
}

/* Numbers [k, k + lanes) of a distribution: v := a - m, w, and their sums. */
ZG_LANES_INLINE void centre_lanes(const zg_reference *r, int64_t k,
                                  const zg_lanes_double *a,
                                  const zg_lanes_double *log_a, zg_lanes_double *v,
                                  zg_lanes_double *w, zg_lanes_double sums[3]) {
  zg_lanes_double m = *(const zg_lanes_double *)(r->a + k);
  zg_lanes_double c = *(const zg_lanes_double *)(r->log_a + k);
  *v = *a - m;
  *w = (zg_lanes_double)((zg_lanes_mask)(*log_a - c) & (*a > 0));
  zg_lanes_double mw = m * *w;
  sums[0] += mw;
  sums[1] += *v * *v * *(const zg_lanes_double *)(r->inverse + k);
  sums[2] += mw * *w;
}

/* A distribution's numbers, which are stored as `from`, in the precision `to`. */
#define DEFINE_CENTRE(from, to, log)                                                   \
  ZG_LANES_INLINE void centre_lanes_##from##_##to(                                     \
      const zg_reference *r, int64_t k, const zg_lanes_##from *x,                      \
      zg_lanes_##to *centred, zg_lanes_##to *logs, zg_lanes_double sums[3]) {          \
    zg_lanes_double v, w, log_a;                                                       \
    zg_lanes_double a =                                                                \
        r->factor * __builtin_convertvector(*x, zg_lanes_double) + r->summand;         \
    log(&a, &log_a);                                                                   \
    centre_lanes(r, k, &a, &log_a, &v, &w, sums);                                      \
    *centred = __builtin_convertvector(v, zg_lanes_##to);                              \
    *logs = __builtin_convertvector(w, zg_lanes_##to);                                 \
  }                                                                                    \
  ZG_VECTOR static void centre_##from##_##to(const zg_reference *r, int64_t count,     \
                                             const void *numbers, void *all_centred,   \
                                             void *all_logs, zg_centred_sums *sums) {  \
    const real_##from *x = numbers;                                                    \
    real_##to *centred = all_centred, *logs = all_logs;                                \
    int64_t whole = count - count % ZG_LANES;                                          \
    size_t rest = (size_t)(count - whole);                                             \
    zg_lanes_double s[3] = {*(zg_lanes_double *)sums->reference,                       \
                            *(zg_lanes_double *)sums->spread,                          \
                            *(zg_lanes_double *)sums->log_spread};                     \
    for (int64_t k = 0; k < whole; k += ZG_LANES)                                      \
      centre_lanes_##from##_##to(r, k, (const zg_lanes_##from *)(x + k),               \
                                 (zg_lanes_##to *)(centred + k),                       \
                                 (zg_lanes_##to *)(logs + k), s);                      \
    if (rest) {                                                                        \
      zg_lanes_##from last = {0};                                                      \
      zg_lanes_##to last_centred, last_logs;                                           \
      memcpy(&last, x + whole, rest * sizeof *x);                                      \
      centre_lanes_##from##_##to(r, whole, &last, &last_centred, &last_logs, s);       \
      memcpy(centred + whole, &last_centred, rest * sizeof *centred);                  \
      memcpy(logs + whole, &last_logs, rest * sizeof *logs);                           \
    }                                                                                  \
    *(zg_lanes_double *)sums->reference = s[0];                                        \
    *(zg_lanes_double *)sums->spread = s[1];                                           \
    *(zg_lanes_double *)sums->log_spread = s[2];                                       \
  }
/* No float is subnormal as a double. */
DEFINE_CENTRE(single, single, zg_lanes_log_normal)
DEFINE_CENTRE(single, double, zg_lanes_log_normal)
DEFINE_CENTRE(double, single, zg_lanes_log)
DEFINE_CENTRE(double, double, zg_lanes_log)

typedef void centre_fn(const zg_reference *r, int64_t count, const void *x,
                       void *centred, void *logs, zg_centred_sums *sums);

void zg_reference_centre(const zg_reference *r, zg_precision precision, int64_t count,
                         const void *x, void *centred, void *logs,
                         zg_centred_sums *sums) {
  static centre_fn *const centre[2][2] = {
      [ZG_SINGLE] =
          {[ZG_SINGLE] = centre_single_single, [ZG_DOUBLE] = centre_single_double},
      [ZG_DOUBLE] = {
          [ZG_SINGLE] = centre_double_single, [ZG_DOUBLE] = centre_double_double}};
  centre[r->stored][precision](r, count, x, centred, logs, sums);
}
