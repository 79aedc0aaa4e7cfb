/** \file
 * Singular values over all ranks, against prescribed spectra; sizes that one rank does
 * alone and such that are spread, with runs that end within blocks. */
#include "base/memory.h"
#include "grid/singular.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* A = (I - 2 uu'/u'u) [diag(s); 0] (I - 2 vv'/v'v), entry by entry. */
typedef struct reflected {
  int64_t rows, columns;
  double *u, *v, *s, along_u, along_v, middle; /* middle = sum u_k s_k v_k */
  int64_t spoilt;                              /* row with a NaN, or -1 */
  int64_t unreadable;                          /* row that fails, or -1 */
} reflected;

static reflected create(int64_t rows, int64_t columns, double decades) {
  reflected m = {rows,
                 columns,
                 ZG_NEW(double, rows),
                 ZG_NEW(double, columns),
                 ZG_NEW(double, columns),
                 .spoilt = -1,
                 .unreadable = -1};
  for (int64_t k = 0; k < rows; k++) {
    m.u[k] = zg_test_random(1, (unsigned long)k);
    m.along_u += m.u[k] * m.u[k];
  }
  for (int64_t k = 0; k < columns; k++) {
    m.v[k] = zg_test_random(2, (unsigned long)k);
    m.s[k] = pow(10, -decades * (double)k / (double)columns);
    m.along_v += m.v[k] * m.v[k];
    m.middle += m.u[k] * m.s[k] * m.v[k];
  }
  return m;
}

static void destroy(reflected *m) {
  free(m->u);
  free(m->v);
  free(m->s);
}

static double entry(const reflected *m, int64_t r, int64_t c) {
  double u = 2 * m->u[r] / m->along_u, v = 2 * m->v[c] / m->along_v;
  double diagonal = r == c ? m->s[r] : 0;
  double left = u * m->u[c] * m->s[c];
  double right = r < m->columns ? m->s[r] * m->v[r] * v : 0;
  return diagonal - left - right + u * m->middle * v;
}

static zg_status fill(void *context, int64_t row, int64_t rows, double *values) {
  const reflected *m = context;
  CU_ASSERT(row >= 0 && rows > 0 && row + rows <= m->rows);
  for (int64_t r = row; r < row + rows; r++) {
    if (r == m->unreadable) return zg_fail(ZG_ERR_INPUT, "row %lld", (long long)r);
    for (int64_t c = 0; c < m->columns; c++)
      values[(r - row) * m->columns + c] = r == m->spoilt ? NAN : entry(m, r, c);
  }
  return ZG_OK;
}

static void check(int64_t rows, int64_t columns, double decades) {
  reflected m = create(rows, columns, decades);
  double *values = ZG_NEW(double, columns);
  zg_status status =
      zg_distributed_singular_values(MPI_COMM_WORLD, rows, columns, fill, &m, values);
  CU_ASSERT_EQUAL_FATAL(status, ZG_OK);
  for (int64_t k = 0; k < columns; k++)
    zg_test_close(values[k], m.s[k], 64 * DBL_EPSILON, "singular value");
  free(values);
  destroy(&m);
}

static void spectra_are_kept(void) {
  static const int64_t shapes[][2] = {{1, 1},     {9, 4},     {100, 100}, {500, 64},
                                      {300, 128}, {260, 256}, {701, 200}, {1000, 330}};
  for (int k = 0; k < 8; k++) {
    check(shapes[k][0], shapes[k][1], 0);
    check(shapes[k][0], shapes[k][1], 11);
  }
}

static void all_ranks_learn_what_went_wrong(void) {
  static const int64_t columns[] = {20, 256};
  for (int k = 0; k < 2; k++) {
    double *values = ZG_NEW(double, columns[k]);
    reflected m = create(300, columns[k], 1);
    m.spoilt = 299;
    CU_ASSERT_EQUAL(zg_distributed_singular_values(MPI_COMM_WORLD, m.rows, m.columns,
                                                   fill, &m, values),
                    ZG_ERR_DATA);
    m.unreadable = 170;
    m.spoilt = -1;
    CU_ASSERT_EQUAL(zg_distributed_singular_values(MPI_COMM_WORLD, m.rows, m.columns,
                                                   fill, &m, values),
                    ZG_ERR_INPUT);
    destroy(&m);
    free(values);
  }
}

const zg_test zg_tests[] = {
    {"spectra_are_kept", spectra_are_kept},
    {"all_ranks_learn_what_went_wrong", all_ranks_learn_what_went_wrong},
    {NULL, NULL}};
