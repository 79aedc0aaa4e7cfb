#include "linalg/singular.h"

#include "base/memory.h"
#include "base/status.h"
#include "linalg/numbers.h"

#include <stdlib.h>
#include <string.h>

void dtplqt_(const int *, const int *, const int *, const int *, double *, const int *,
             double *, const int *, double *, const int *, double *, int *);
void dgesvd_(const char *, const char *, const int *, const int *, double *,
             const int *, double *, double *, const int *, double *, const int *,
             double *, const int *, int *);

/* Reflections that are applied together. */
enum { TOGETHER = 32 };

struct zg_tsqr {
  int64_t d;
  double *L; /* [d, d], lower by columns: row-major rows are columns here, so that the
                triangle is that of an LQ factorisation of the transpose */
  double *T, *work; /* [d, TOGETHER] */
};

zg_tsqr *zg_tsqr_create(int64_t d) {
  ZG_REQUIRE(d > 0 && d <= ZG_TSQR_MOST);
  zg_tsqr *t = ZG_NEW0(zg_tsqr, 1);
  t->d = d;
  t->L = ZG_NEW0(double, d *d);
  t->T = ZG_NEW(double, d *TOGETHER);
  t->work = ZG_NEW(double, d *TOGETHER);
  return t;
}

void zg_tsqr_destroy(zg_tsqr **triangle) {
  if (!*triangle) return;
  free((*triangle)->L);
  free((*triangle)->T);
  free((*triangle)->work);
  free(*triangle);
  *triangle = NULL;
}

void zg_tsqr_add(zg_tsqr *t, int64_t rows, double *block) {
  int d = (int)t->d, n = zg_int(rows), rectangular = 0, info;
  int together = d < TOGETHER ? d : TOGETHER;
  if (rows == 0) return;
  dtplqt_(&d, &n, &rectangular, &together, t->L, &d, block, &d, t->T, &together,
          t->work, &info);
  ZG_REQUIRE(info == 0);
}

/* Workspace that dgesvd asks for. */
static int workspace(int d) {
  double need;
  int ask = -1, one = 1, info;
  dgesvd_("N", "N", &d, &d, NULL, &d, NULL, NULL, &one, NULL, &one, &need, &ask, &info);
  return (int)zg_max(5 * (int64_t)d, (int64_t)need);
}

bool zg_tsqr_values(zg_tsqr *t, double *values) {
  int d = (int)t->d, one = 1, lwork = workspace(d), info = -1;
  double *work = ZG_NEW(double, lwork);
  if (zg_all_finite(ZG_DOUBLE, t->L, t->d * t->d))
    dgesvd_("N", "N", &d, &d, t->L, &d, values, NULL, &one, NULL, &one, work, &lwork,
            &info);
  free(work);
  memset(t->L, 0, (size_t)(t->d * t->d) * sizeof *t->L);
  return info == 0;
}

int64_t zg_tsqr_memory(int64_t d) {
  return 8 * (d * d + d * (2 * TOGETHER + 1) + 128 * d);
}
