#include "grid/spectrum.h"

#include "base/memory.h"
#include "base/watchdog.h"
#include "grid/cyclic.h"
#include "grid/team.h"
#include "linalg/blas.h"
#include "linalg/spectral.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void pdsytrd_(const char *, const int *, double *, const int *, const int *,
              const int *, double *, double *, double *, double *, const int *, int *);
void dsyevd_(const char *, const char *, const int *, double *, const int *, double *,
             double *, const int *, int *, const int *, int *);
void dsterf_(const int *, double *, double *, int *);

static const int zero = 0, one = 1;

enum {
  ONE_RANK = 1024, /* up to this size ScaLAPACK is slower than one rank, and for sizes
                      near its block's not to be trusted */
  BLOCK = ZG_CYCLIC_BLOCK
};

struct zg_symmetric {
  MPI_Comm comm; /* borrowed */
  int rank;
  int64_t n;
  bool spread;       /* over the first of `team`'s teams; else on rank 0 */
  bool holds;        /* this rank has a part */
  zg_team team;      /* when spread */
  int rows, columns; /* of this rank's part; 0 where it has none */
  double *A;         /* [columns, rows]: column-major */
};

static const zg_grid alone = {.context = -1, .rows = 1, .columns = 1};

static const zg_grid *grid_of(const zg_symmetric *matrix) {
  return matrix->spread ? &matrix->team.square : &alone;
}

static bool is_spread(int64_t n, int ranks) {
  return n > ONE_RANK && ranks > 1;
}

/* No more ranks than blocks on an edge: each has one, even of a prime number. */
static int holders(int64_t n, int ranks) {
  return is_spread(n, ranks) ? (int)zg_min(ranks, n / BLOCK) : 1;
}

int64_t zg_symmetric_bytes(int64_t n, int ranks) {
  int count = holders(n, ranks), height = zg_team_rows(count);
  int64_t rows = zg_cyclic_first(n, 0, height);
  int64_t columns = zg_cyclic_first(n, 0, count / height);
  /* and the diagonals, and what LAPACK and ScaLAPACK work in */
  return 8 * (rows * columns + BLOCK * (rows + 1) + 3 * (columns + BLOCK) + 3 * n);
}

zg_status zg_symmetric_create(MPI_Comm comm, int64_t n, zg_symmetric **matrix) {
  ZG_WAIT;
  zg_symmetric *m = ZG_NEW0(zg_symmetric, 1);
  int ranks;
  MPI_Comm_size(comm, &ranks);
  MPI_Comm_rank(comm, &m->rank);
  m->comm = comm;
  m->n = n;
  m->spread = is_spread(n, ranks);
  *matrix = m;
  if (m->spread) zg_team_create(comm, holders(n, ranks), &m->team);
  m->holds = m->spread ? m->team.team == 0 : m->rank == 0;
  const zg_grid *grid = grid_of(m);
  int64_t most =
      (zg_ceil_div(n, grid->rows) + BLOCK) * (zg_ceil_div(n, grid->columns) + BLOCK);
  if (most >= INT32_MAX) {
    zg_symmetric_destroy(matrix);
    return zg_fail(ZG_ERR_USAGE,
                   "a symmetric matrix of side %lld is too large for %d ranks: one "
                   "would hold 2^31 numbers",
                   (long long)n, ranks);
  }
  m->rows = m->holds ? zg_cyclic_first(n, grid->my_row, grid->rows) : 0;
  m->columns = m->holds ? zg_cyclic_first(n, grid->my_column, grid->columns) : 0;
  m->A = ZG_NEW0(double, (int64_t)m->rows * m->columns);
  return ZG_OK;
}

void zg_symmetric_destroy(zg_symmetric **matrix) {
  ZG_WAIT;
  zg_symmetric *m = *matrix;
  if (!m) return;
  if (m->spread) zg_team_destroy(&m->team);
  free(m->A);
  free(m);
  *matrix = NULL;
}

/* This rank's entries among [row, row + rows) x [column, column + columns), from a
 * block whose entry (r, c) is at values[r * by_row + c * by_column]. */
static void set_part(zg_symmetric *m, int64_t row, int64_t rows, int64_t column,
                     int64_t columns, const double *values, int64_t by_row,
                     int64_t by_column) {
  const zg_grid *grid = grid_of(m);
  int first_row = zg_cyclic_first(row, grid->my_row, grid->rows);
  int first_column = zg_cyclic_first(column, grid->my_column, grid->columns);
  for (int64_t c = first_column; c < m->columns; c++) {
    int64_t C = zg_cyclic_global(c, grid->my_column, grid->columns) - column;
    if (C >= columns) break;
    for (int64_t r = first_row; r < m->rows; r++) {
      int64_t R = zg_cyclic_global(r, grid->my_row, grid->rows) - row;
      if (R >= rows) break;
      m->A[c * m->rows + r] = values[R * by_row + C * by_column];
    }
  }
}

void zg_symmetric_set(zg_symmetric *matrix, int64_t row, int64_t rows, int64_t column,
                      int64_t columns, const double *values, int64_t ld) {
  set_part(matrix, row, rows, column, columns, values, ld, 1);
  set_part(matrix, column, columns, row, rows, values, 1, ld);
}

/* What the eigenvalues have to add up to: trace and squared Frobenius norm; and the
 * largest entry, NaN when one is not finite. Collective. */
typedef struct totals {
  double trace, squares, largest;
} totals;

static totals totals_of(const zg_symmetric *m) {
  const zg_grid *grid = grid_of(m);
  double sums[2] = {0}, largest = 0;
  bool finite = true;
  for (int64_t c = 0; c < m->columns; c++)
    for (int64_t r = 0; r < m->rows; r++) {
      double x = m->A[c * m->rows + r];
      bool diagonal = zg_cyclic_global(c, grid->my_column, grid->columns) ==
                      zg_cyclic_global(r, grid->my_row, grid->rows);
      finite = finite && isfinite(x);
      largest = fmax(largest, fabs(x));
      sums[0] += diagonal ? x : 0;
      sums[1] += x * x;
    }
  zg_sum_doubles(m->comm, sums, 2);
  zg_max_doubles(m->comm, &largest, 1);
  if (zg_any(m->comm, !finite)) largest = NAN;
  return (totals){sums[0], sums[1], largest};
}

/* All eigenvalues by LAPACK on rank 0. */
static zg_status eigenvalues_alone(zg_symmetric *m, double *values) {
  int n = zg_int(m->n), ask = -1, liwork = 1, iwork, info;
  double need;
  dsyevd_("N", "L", &n, m->A, &n, values, &need, &ask, &iwork, &liwork, &info);
  int lwork = (int)zg_max(2 * m->n + 1, (int64_t)need);
  double *work = ZG_NEW(double, lwork);
  dsyevd_("N", "L", &n, m->A, &n, values, work, &lwork, &iwork, &liwork, &info);
  free(work);
  if (info == 0) return ZG_OK;
  return zg_fail(ZG_ERR_INTERNAL, "dsyevd failed with %d on a matrix of side %d", info,
                 n);
}

/* Householder tridiagonalisation by the ranks that hold a part. p?syevd is not used: it
 * cannot leave the eigenvectors out, and its workspace query is too small. The
 * workspace here is the one documented for p?sytrd.
 * \param [out] d, e  [n] each, of zeros: this rank's part of the two diagonals. */
static zg_status tridiagonalise(zg_symmetric *m, double *d, double *e) {
  ZG_WAIT;
  const zg_grid *grid = grid_of(m);
  int n = zg_int(m->n), block = BLOCK, ld = zg_int(zg_max(1, m->rows)), info;
  int descriptor[9], lwork = zg_int(BLOCK * zg_max(m->rows + 1, 3));
  descinit_(descriptor, &n, &n, &block, &block, &zero, &zero, &grid->context, &ld,
            &info);
  ZG_REQUIRE(info == 0);
  int64_t longest = m->columns + BLOCK;
  double *local_d = ZG_NEW0(double, 3 * longest), *local_e = local_d + longest;
  double *tau = local_e + longest, *work = ZG_NEW(double, lwork);
  pdsytrd_("L", &n, m->A, &one, &one, descriptor, local_d, local_e, tau, work, &lwork,
           &info);
  /* They lie along the columns, a copy on every process row: the first one's is used.
   */
  for (int64_t c = 0; c < m->columns && grid->my_row == 0; c++) {
    int64_t at = zg_cyclic_global(c, grid->my_column, grid->columns);
    d[at] = local_d[c];
    e[at] = at + 1 < m->n ? local_e[c] : 0;
  }
  free(local_d);
  free(work);
  if (info == 0) return ZG_OK;
  return zg_fail(ZG_ERR_INTERNAL, "pdsytrd failed with %d on a matrix of side %d", info,
                 n);
}

/* \param [out] values  [n], on rank 0. */
static zg_status eigenvalues_spread(zg_symmetric *m, double *values) {
  int n = zg_int(m->n), info = 0;
  double *d = ZG_NEW0(double, 2 * m->n), *e = d + n;
  zg_status status = m->holds ? tridiagonalise(m, d, e) : ZG_OK;
  zg_sum_doubles(m->comm, d, 2 * m->n);
  if (m->rank == 0) dsterf_(&n, d, e, &info);
  if (info)
    status = zg_fail(ZG_ERR_INTERNAL, "dsterf failed with %d on a matrix of side %d",
                     info, n);
  memcpy(values, d, (size_t)n * sizeof *values);
  free(d);
  return status;
}

/* Sum and sum of squares of the eigenvalues are trace and squared norm, up to rounding
 * of n eps. */
static zg_status check(const zg_symmetric *m, const double *values, totals expected) {
  double sum = 0, squares = 0, norm = sqrt(expected.squares);
  for (int64_t k = 0; k < m->n; k++) {
    sum += values[k];
    squares += values[k] * values[k];
  }
  double tolerance = 16 * (double)m->n * DBL_EPSILON;
  if (fabs(sum - expected.trace) <= tolerance * norm &&
      fabs(squares - expected.squares) <= tolerance * expected.squares)
    return ZG_OK;
  return zg_fail(ZG_ERR_INTERNAL,
                 "eigenvalues of a matrix of side %lld add up to %g instead of %g, "
                 "their squares to %g instead of %g",
                 (long long)m->n, sum, expected.trace, squares, expected.squares);
}

zg_status zg_symmetric_eigenvalues(zg_symmetric *matrix, double *values) {
  zg_symmetric *m = matrix;
  double n = (double)m->n;
  if (m->n == 0) return ZG_OK;
  ZG_LONG("computing eigenvalues", 4 * n * n * n / 3 / (m->spread ? m->team.size : 1));
  /* p?sytrd would wait for ever on a NaN. */
  double largest = totals_of(m).largest;
  if (isnan(largest))
    return zg_fail(ZG_ERR_DATA, "a symmetric matrix of side %lld is not finite",
                   (long long)m->n);
  double unit = zg_unit_scale(1, &largest);
  for (int64_t k = 0; k < (int64_t)m->rows * m->columns; k++)
    m->A[k] *= unit;
  totals expected = totals_of(m);
  zg_status status = ZG_OK;
  if (m->spread)
    status = eigenvalues_spread(m, values);
  else if (m->rank == 0)
    status = eigenvalues_alone(m, values);
  if (status == ZG_OK && m->rank == 0) status = check(m, values, expected);
  ZG_TRY(zg_agree(m->comm, status));
  zg_broadcast(m->comm, values, m->n * (int64_t)sizeof *values);
  for (int64_t k = 0; k < m->n; k++)
    values[k] /= unit;
  return ZG_OK;
}

/* A matrix by its rows, of which this rank adds up the products of a share: of its rows
 * when `tall`, of its columns otherwise. */
typedef struct share {
  bool tall;
  int64_t n;     /* the smaller side */
  int64_t terms; /* this rank's of the larger side */
  double *V;     /* [n, terms] or [terms, n]: column-major terms x n for BLAS */
} share;

/* BLAS's product wants the terms of a column of V together. */
static void transpose_into(share *s, int64_t first, int64_t rows, const double *block) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < s->n; c++)
      s->V[c * s->terms + first + r] = block[r * s->n + c];
}

/* Read what this rank needs, some rows at a time. */
static zg_status read_share(share *s, int64_t rows, int64_t columns, int64_t from,
                            zg_fill_fn *fill, void *context) {
  enum { NUMBERS = 1 << 22 };
  int64_t first = s->tall ? from : 0, end = s->tall ? from + s->terms : rows;
  int64_t each = zg_max(1, zg_min(NUMBERS / zg_max(1, columns), end - first));
  double *block = ZG_NEW(double, each *columns);
  zg_status status = ZG_OK;
  for (int64_t r = first; r < end && status == ZG_OK; r += each) {
    int64_t count = zg_min(each, end - r);
    status = fill(context, r, count, block);
    if (status != ZG_OK) break;
    if (s->tall) transpose_into(s, r - first, count, block);
    for (int64_t k = 0; k < count && !s->tall; k++)
      memcpy(s->V + (r + k) * s->terms, block + k * columns + from,
             (size_t)s->terms * sizeof *block);
  }
  free(block);
  return status;
}

/* G := sum over the ranks of V'V, some columns at a time: entries on and below the
 * diagonal, the others are mirror images. Collective. */
static void add_products(MPI_Comm comm, const share *s, zg_symmetric *G) {
  ZG_WAIT;
  enum { COLUMNS = 128 };
  double *block = ZG_NEW(double, s->n *COLUMNS);
  int64_t ld = zg_max(1, s->terms);
  for (int64_t c = 0; c < s->n; c += COLUMNS) {
    int64_t count = zg_min(COLUMNS, s->n - c), rows = s->n - c;
    const double *V = s->V + c * s->terms;
    zg_product(ZG_DOUBLE, rows, count, s->terms, 1, V, ld, V, ld, 0, block, rows);
    zg_sum_doubles(comm, block, rows * count);
    /* Column-major [rows, count] is the row-major transpose. */
    zg_symmetric_set(G, c, count, c, rows, block, rows);
  }
  free(block);
}

/* Bring the largest entry of all ranks near 1, so that no square overflows. \return the
 * power of two, NaN when an entry is not finite. Collective. */
static double scale_share(MPI_Comm comm, share *s) {
  double largest = 0, unit = 1;
  int64_t count = s->n * s->terms;
  bool finite = true;
  for (int64_t k = 0; k < count; k++) {
    finite = finite && isfinite(s->V[k]);
    largest = fmax(largest, fabs(s->V[k]));
  }
  zg_max_doubles(comm, &largest, 1);
  if (zg_any(comm, !finite)) return NAN;
  unit = zg_unit_scale(1, &largest);
  for (int64_t k = 0; k < count; k++)
    s->V[k] *= unit;
  return unit;
}

static zg_status norm_of_share(MPI_Comm comm, share *s, double *norm) {
  zg_symmetric *G;
  double unit = scale_share(comm, s);
  if (isnan(unit))
    return zg_fail(ZG_ERR_DATA, "a matrix whose norm is asked for is not finite");
  ZG_TRY(zg_symmetric_create(comm, s->n, &G));
  add_products(comm, s, G);
  double *values = ZG_NEW(double, s->n);
  zg_status status = zg_symmetric_eigenvalues(G, values);
  if (status == ZG_OK) *norm = sqrt(fmax(0, values[s->n - 1])) / unit;
  free(values);
  zg_symmetric_destroy(&G);
  return status;
}

zg_status zg_distributed_norm(MPI_Comm comm, int64_t rows, int64_t columns,
                              zg_fill_fn *fill, void *context, double *norm) {
  int rank, ranks;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  *norm = 0;
  if (rows == 0 || columns == 0) return ZG_OK;
  int64_t longer = zg_max(rows, columns), from = zg_part(longer, ranks, rank);
  share s = {.tall = rows >= columns,
             .n = zg_min(rows, columns),
             .terms = zg_part(longer, ranks, rank + 1) - from};
  s.V = ZG_NEW(double, s.n *s.terms);
  zg_status status = read_share(&s, rows, columns, from, fill, context);
  status = zg_agree(comm, status);
  if (status == ZG_OK) status = norm_of_share(comm, &s, norm);
  free(s.V);
  return status;
}
