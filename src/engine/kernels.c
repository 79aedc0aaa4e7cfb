#include "engine/kernels.h"

#include "base/memory.h"
#include "base/watchdog.h"
#include "engine/sweep.h"
#include "engine/theta.h"
#include "grid/spectrum.h"

#include <math.h>
#include <stdlib.h>

/* A model's kernel on its way to the file: in every round each rank forms one tile,
 * writes it, and gives it to all others, which take from it what they hold of the
 * matrix. */
typedef struct keeper {
  zg_work *work;
  zg_results *results;
  int64_t call, model, samples, pieces, longest;
  zg_factor_store *store;
  zg_theta theta;
  zg_symmetric *matrix;
  double *tile;       /* this rank's, column-major as it was formed */
  double *transposed; /* row-major */
  double *received;
} keeper;

/* Tile k of the lower triangle: where it lies in the matrix. */
typedef struct place {
  int64_t row, rows, column, columns;
} place;

static place place_of(const keeper *s, int64_t k) {
  int64_t i, j;
  zg_tile_place(k, &i, &j);
  place p = {.row = zg_part(s->samples, s->pieces, i),
             .column = zg_part(s->samples, s->pieces, j)};
  p.rows = zg_part(s->samples, s->pieces, i + 1) - p.row;
  p.columns = zg_part(s->samples, s->pieces, j + 1) - p.column;
  return p;
}

/* BLAS may round the two triangles of a tile on the diagonal differently. */
static void symmetrise(int64_t n, double *tile) {
  for (int64_t a = 0; a < n; a++)
    for (int64_t b = a + 1; b < n; b++)
      tile[b * n + a] = tile[a * n + b];
}

static zg_status form(keeper *s, const place *p) {
  const zg_factors *left, *right;
  ZG_TRY(zg_factors_get(s->store, s->model, p->row, p->rows, &left));
  ZG_TRY(zg_factors_get(s->store, s->model, p->column, p->columns, &right));
  ZG_TRY(zg_theta_tile(&s->theta, left, right, 0, s->tile));
  if (p->row == p->column) symmetrise(p->rows, s->tile);
  for (int64_t r = 0; r < p->rows; r++)
    for (int64_t c = 0; c < p->columns; c++)
      s->transposed[r * p->columns + c] = s->tile[c * p->rows + r];
  return ZG_OK;
}

/* The tile and, off the diagonal, its mirror image. */
static zg_status write_tile(keeper *s, const place *p, bool mine) {
  bool mirrored = mine && p->row != p->column;
  int64_t start[ZG_KEPT_RANK] = {s->model, p->row, p->column};
  int64_t count[ZG_KEPT_RANK] = {mine, p->rows, p->columns};
  ZG_TRY(zg_results_write_kept(s->results, s->call, 0, start, count, s->transposed));
  int64_t back_start[ZG_KEPT_RANK] = {s->model, p->column, p->row};
  int64_t back_count[ZG_KEPT_RANK] = {mirrored, p->columns, p->rows};
  return zg_results_write_kept(s->results, s->call, 0, back_start, back_count, s->tile);
}

static void share_tiles(keeper *s, int64_t first, int64_t tiles) {
  ZG_WAIT;
  const zg_team *team = &s->work->solo;
  for (int64_t k = first; k < zg_min(tiles, first + team->teams); k++) {
    int owner = (int)(k - first);
    place p = place_of(s, k);
    double *values = owner == team->team ? s->transposed : s->received;
    MPI_Bcast(values, zg_int(p.rows * p.columns), MPI_DOUBLE, owner,
              s->work->run->comm);
    zg_symmetric_set(s->matrix, p.row, p.rows, p.column, p.columns, values, p.columns);
  }
}

static zg_status do_rounds(keeper *s) {
  const zg_team *team = &s->work->solo;
  int64_t tiles = s->pieces * (s->pieces + 1) / 2;
  for (int64_t first = 0; first < tiles; first += team->teams) {
    bool mine = first + team->team < tiles;
    place p = mine ? place_of(s, first + team->team) : (place){0};
    zg_status status = zg_work_go_on(s->work);
    if (mine && status == ZG_OK) status = form(s, &p);
    ZG_TRY(zg_agree(s->work->run->comm, status));
    ZG_TRY(write_tile(s, &p, mine));
    share_tiles(s, first, tiles);
  }
  return ZG_OK;
}

static zg_status write_row(const keeper *s, int64_t quantity, int64_t first,
                           int64_t length, const double *values) {
  int64_t start[ZG_KEPT_RANK] = {s->model, first};
  int64_t count[ZG_KEPT_RANK] = {s->work->solo.team == 0, length};
  return zg_results_write_kept(s->results, s->call, quantity, start, count, values);
}

static zg_status keep_eigenvalues(keeper *s) {
  double *values = ZG_NEW(double, s->longest);
  for (int64_t k = 0; k < s->longest; k++)
    values[k] = NAN;
  zg_work_task(s->work, true);
  zg_status status = zg_symmetric_eigenvalues(s->matrix, values);
  zg_work_task(s->work, false);
  if (status == ZG_OK) status = write_row(s, 1, 0, s->longest, values);
  free(values);
  return status;
}

static zg_status keep_model(keeper *s) {
  ZG_TRY(zg_symmetric_create(s->work->run->comm, s->samples, &s->matrix));
  zg_status status = do_rounds(s);
  if (status == ZG_OK) status = keep_eigenvalues(s);
  zg_symmetric_destroy(&s->matrix);
  return status;
}

/* Rows that are filled at a time. */
enum { BAND = 64 };

/* NaN in rows [row, end) and columns [column, longest) of a model's kernel, a band of
 * rows at a time. */
static zg_status fill_corner(keeper *s, int64_t row, int64_t end, int64_t column,
                             const double *nothing) {
  zg_status status = ZG_OK;
  for (; status == ZG_OK && row < end && column < s->longest; row += BAND) {
    int64_t start[ZG_KEPT_RANK] = {s->model, row, column};
    int64_t count[ZG_KEPT_RANK] = {s->work->solo.team == 0, zg_min(BAND, end - row),
                                   s->longest - column};
    status = zg_results_write_kept(s->results, s->call, 0, start, count, nothing);
  }
  return status;
}

/* NaN where a model has no kernel, or fewer samples than others. */
static zg_status fill_rest(keeper *s, int64_t samples) {
  int64_t numbers = BAND * s->longest;
  double *nothing = ZG_NEW(double, numbers);
  for (int64_t k = 0; k < numbers; k++)
    nothing[k] = NAN;
  zg_status status = fill_corner(s, 0, samples, samples, nothing);
  if (status == ZG_OK) status = fill_corner(s, samples, s->longest, 0, nothing);
  if (status == ZG_OK && !samples) status = write_row(s, 1, 0, s->longest, nothing);
  free(nothing);
  return status;
}

static zg_status keep_group(keeper *s, const zg_pass *pass, const zg_group *group,
                            const zg_products *products) {
  zg_tangent_spec spec = {.source = pass->spec.tangent.source};
  int64_t piece = group->piece, size = piece * piece;
  s->samples = group->length;
  s->pieces = group->pieces;
  s->tile = ZG_NEW(double, size);
  s->transposed = ZG_NEW(double, size);
  s->received = ZG_NEW(double, size);
  s->store = zg_factors_open(s->work, &spec, ZG_DOUBLE, 2, piece);
  zg_theta_create(s->work, ZG_DOUBLE, &s->theta);
  zg_status status = ZG_OK;
  for (int64_t k = 0; status == ZG_OK && k < group->count; k++) {
    s->model = group->members[k];
    if (products->code[s->model] == ZG_CODE_OK) status = keep_model(s);
  }
  zg_theta_destroy(&s->theta);
  zg_factors_close(&s->store);
  free(s->tile);
  free(s->transposed);
  free(s->received);
  return status;
}

zg_status zg_kernels_keep(zg_work *work, const zg_pass *pass, int64_t call,
                          const zg_products *products, zg_results *results) {
  keeper s = {.work = work, .results = results, .call = call};
  for (int64_t g = 0; g < pass->group_count; g++)
    s.longest = zg_max(s.longest, pass->groups[g].length);
  zg_status status = ZG_OK;
  for (int64_t g = 0; status == ZG_OK && g < pass->group_count; g++)
    status = keep_group(&s, pass, &pass->groups[g], products);
  for (int64_t i = 0; status == ZG_OK && i < products->n; i++) {
    bool has = products->code[i] == ZG_CODE_OK;
    s.model = i;
    status = fill_rest(&s, has ? pass->groups[products->group[i]].length : 0);
  }
  return status;
}
