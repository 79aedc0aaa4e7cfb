#include "grid/singular.h"

#include "base/watchdog.h"
#include "grid/cyclic.h"
#include "grid/team.h"
#include "linalg/numbers.h"
#include "linalg/singular.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void pdgeqrf_(const int *, const int *, double *, const int *, const int *, const int *,
              double *, double *, const int *, int *);
void pdgebrd_(const int *, const int *, double *, const int *, const int *, const int *,
              double *, double *, double *, double *, double *, const int *, int *);
void dbdsqr_(const char *, const int *, const int *, const int *, const int *, double *,
             double *, double *, const int *, double *, const int *, double *,
             const int *, double *, int *);

static const int one = 1;

enum { BLOCK = ZG_CYCLIC_BLOCK };

/* A triangle [n, n] above a run of rows [run, n], block-cyclic. */
typedef struct stack {
  MPI_Comm comm; /* borrowed */
  zg_team team;
  bool holds; /* this rank has a part */
  int64_t n, run;
  int rows, columns; /* of this rank's part; 0 where it has none */
  int descriptor[9];
  double *A;   /* [columns, rows]: column-major */
  double *tau; /* what the factorisations keep and overwrite */
  double *work;
  int lwork;
  double *buffer; /* [BLOCK, n]: rows as they are filled in */
  double squares; /* of all numbers that this rank has filled in */
} stack;

/* No more ranks than blocks on an edge; one for what is small. */
static int team_size(int64_t n, int ranks) {
  return (int)zg_max(1, zg_min(ranks, n / BLOCK));
}

/* Not collective. */
static zg_status allocate(stack *s) {
  const zg_grid *grid = &s->team.square;
  int block = BLOCK, zero = 0, side = zg_int(s->n + s->run), width = zg_int(s->n), info;
  s->rows = zg_cyclic_first(side, grid->my_row, grid->rows);
  s->columns = zg_cyclic_first(width, grid->my_column, grid->columns);
  if ((int64_t)s->rows * s->columns >= INT32_MAX)
    return zg_fail(ZG_ERR_USAGE,
                   "a matrix of %d columns is too large for %d ranks: one would hold "
                   "2^31 numbers",
                   width, s->team.size);
  int ld = (int)zg_max(1, s->rows);
  descinit_(s->descriptor, &side, &width, &block, &block, &zero, &zero, &grid->context,
            &ld, &info);
  ZG_REQUIRE(info == 0);
  /* The workspaces documented for p?geqrf and p?gebrd. */
  s->lwork = zg_int((int64_t)BLOCK * (s->rows + s->columns + BLOCK) + s->columns);
  s->A = ZG_NEW0(double, (int64_t)s->rows * s->columns);
  s->tau = ZG_NEW(double, 2 * ((int64_t)s->rows + s->columns + BLOCK));
  s->work = ZG_NEW(double, s->lwork);
  s->buffer = ZG_NEW(double, BLOCK * s->n);
  return ZG_OK;
}

static zg_status create(MPI_Comm comm, int64_t n, stack *s) {
  ZG_WAIT;
  int ranks;
  MPI_Comm_size(comm, &ranks);
  *s = (stack){.comm = comm, .n = n, .run = n};
  zg_team_create(comm, team_size(n, ranks), &s->team);
  s->holds = s->team.team == 0;
  return zg_agree(comm, s->holds ? allocate(s) : ZG_OK);
}

static void destroy(stack *s) {
  ZG_WAIT;
  zg_team_destroy(&s->team);
  free(s->A);
  free(s->tau);
  free(s->work);
  free(s->buffer);
}

static int64_t row_of(const stack *s, int64_t local) {
  return zg_cyclic_global(local, s->team.square.my_row, s->team.square.rows);
}

static int64_t column_of(const stack *s, int64_t local) {
  return zg_cyclic_global(local, s->team.square.my_column, s->team.square.columns);
}

/* Copy `count` rows of the buffer to local rows from `local` on. */
static void scatter(stack *s, int64_t local, int64_t count) {
  for (int64_t c = 0; c < s->columns; c++) {
    int64_t column = column_of(s, c);
    for (int64_t r = 0; r < count; r++) {
      double x = s->buffer[r * s->n + column];
      s->A[c * s->rows + local + r] = x;
      s->squares += x * x;
    }
  }
}

/* Put rows [first, first + run) of the matrix below the triangle, zeros behind its end.
 * Not collective. */
static zg_status load(stack *s, int64_t rows, int64_t first, zg_fill_fn *fill,
                      void *context) {
  const zg_grid *grid = &s->team.square;
  int64_t local = zg_cyclic_first(s->n, grid->my_row, grid->rows), count;
  for (; local < s->rows; local += count) {
    int64_t place = row_of(s, local), row = first + place - s->n;
    count = zg_min(BLOCK - place % BLOCK, s->rows - local);
    int64_t there = zg_max(0, zg_min(count, rows - row));
    memset(s->buffer, 0, (size_t)(count * s->n) * sizeof *s->buffer);
    if (there) ZG_TRY(fill(context, row, there, s->buffer));
    if (!zg_all_finite(ZG_DOUBLE, s->buffer, there * s->n))
      return zg_fail(ZG_ERR_DATA,
                     "a matrix whose singular values are asked for is not finite");
    scatter(s, local, count);
  }
  return ZG_OK;
}

/* What is left below the diagonal of the triangle are reflections. */
static void clear_reflections(stack *s) {
  for (int64_t c = 0; c < s->columns; c++)
    for (int64_t r = 0; r < s->rows; r++)
      if (row_of(s, r) > column_of(s, c)) s->A[c * s->rows + r] = 0;
}

static zg_status fold(stack *s, int64_t rows, zg_fill_fn *fill, void *context) {
  int side = zg_int(s->n + s->run), width = zg_int(s->n), info = 0;
  for (int64_t first = 0; first < rows; first += s->run) {
    zg_status status = s->holds ? load(s, rows, first, fill, context) : ZG_OK;
    ZG_TRY(zg_agree(s->comm, status));
    if (!s->holds) continue;
    ZG_WAIT;
    pdgeqrf_(&side, &width, s->A, &one, &one, s->descriptor, s->tau, s->work, &s->lwork,
             &info);
    ZG_REQUIRE(info == 0);
    clear_reflections(s);
  }
  return ZG_OK;
}

/* \param [out] d, e  [n], of zeros: this rank's part of the two diagonals. */
static void bidiagonalise(stack *s, double *d, double *e) {
  ZG_WAIT;
  int n = zg_int(s->n), info;
  int64_t longest = (int64_t)s->rows + s->columns + BLOCK;
  double *diagonals = ZG_NEW(double, 2 * longest);
  pdgebrd_(&n, &n, s->A, &one, &one, s->descriptor, diagonals, diagonals + longest,
           s->tau, s->tau + longest, s->work, &s->lwork, &info);
  ZG_REQUIRE(info == 0);
  free(diagonals);
  for (int64_t c = 0; c < s->columns; c++)
    for (int64_t r = 0; r < s->rows; r++) {
      int64_t row = row_of(s, r), column = column_of(s, c);
      if (row == column) d[row] = s->A[c * s->rows + r];
      if (row + 1 == column) e[row] = s->A[c * s->rows + r];
    }
}

/* Singular values of a bidiagonal matrix on one rank. */
static zg_status finish(int64_t n, double *d, double *e, double squares) {
  int side = zg_int(n), none = 0, info;
  double *work = ZG_NEW(double, 4 * n), sum = 0;
  dbdsqr_("U", &side, &none, &none, &none, d, e, NULL, &one, NULL, &one, NULL, &one,
          work, &info);
  free(work);
  for (int64_t k = 0; k < n; k++)
    sum += d[k] * d[k];
  if (info == 0 && fabs(sum - squares) <= 64 * (double)n * DBL_EPSILON * squares)
    return ZG_OK;
  return zg_fail(
      ZG_ERR_INTERNAL,
      "singular values of %lld columns: dbdsqr gave %d, their squares add up "
      "to %g instead of %g",
      (long long)n, info, sum, squares);
}

static zg_status spread(stack *s, int64_t rows, zg_fill_fn *fill, void *context,
                        double *values) {
  double n = (double)s->n;
  ZG_LONG("computing singular values", 8 * n * n * n / s->team.size); /* at a time */
  int rank;
  MPI_Comm_rank(s->comm, &rank);
  ZG_TRY(fold(s, rows, fill, context));
  zg_sum_doubles(s->comm, &s->squares, 1);
  double *d = ZG_NEW0(double, 2 * s->n), *e = d + s->n;
  if (s->holds) bidiagonalise(s, d, e);
  zg_sum_doubles(s->comm, d, 2 * s->n);
  zg_status status = rank == 0 ? finish(s->n, d, e, s->squares) : ZG_OK;
  status = zg_agree(s->comm, status);
  memcpy(values, d, (size_t)s->n * sizeof *values);
  free(d);
  if (status != ZG_OK) return status;
  zg_broadcast(s->comm, values, s->n * (int64_t)sizeof *values);
  return ZG_OK;
}

/* Small ones, on rank 0. Not collective. */
static zg_status alone(int64_t rows, int64_t columns, zg_fill_fn *fill, void *context,
                       double *values) {
  double *buffer = ZG_NEW(double, BLOCK *columns);
  zg_tsqr *triangle = zg_tsqr_create(columns);
  zg_status status = ZG_OK;
  for (int64_t row = 0; status == ZG_OK && row < rows; row += BLOCK) {
    int64_t count = zg_min(BLOCK, rows - row);
    status = fill(context, row, count, buffer);
    if (status == ZG_OK) zg_tsqr_add(triangle, count, buffer);
  }
  if (status == ZG_OK && !zg_tsqr_values(triangle, values))
    status = zg_fail(ZG_ERR_DATA,
                     "a matrix whose singular values are asked for is not finite");
  zg_tsqr_destroy(&triangle);
  free(buffer);
  return status;
}

zg_status zg_distributed_singular_values(MPI_Comm comm, int64_t rows, int64_t columns,
                                         zg_fill_fn *fill, void *context,
                                         double *values) {
  int rank, ranks;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  if (columns > ZG_TSQR_MOST && ranks == 1)
    return zg_fail(ZG_ERR_USAGE, "a matrix of %lld columns is too large for one rank",
                   (long long)columns);
  if (team_size(columns, ranks) == 1) {
    zg_status status = rank == 0 ? alone(rows, columns, fill, context, values) : ZG_OK;
    ZG_TRY(zg_agree(comm, status));
    zg_broadcast(comm, values, columns * (int64_t)sizeof *values);
    return ZG_OK;
  }
  stack s;
  zg_status status = create(comm, columns, &s);
  if (status == ZG_OK) status = spread(&s, rows, fill, context, values);
  destroy(&s);
  return status;
}

int64_t zg_distributed_singular_memory(int64_t columns, int ranks) {
  int64_t size = team_size(columns, ranks);
  if (size == 1) return zg_tsqr_memory(columns) + 8 * BLOCK * columns;
  return 8 * (2 * columns * columns / size + 6 * BLOCK * columns);
}
