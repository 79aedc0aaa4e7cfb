#include "grid/pairs.h"

#include "base/memory.h"
#include "base/watchdog.h"
#include "grid/scalapack.h"
#include "linalg/fixed.h"

#include <stdlib.h>
#include <string.h>

static const int zero = 0, one = 1;

void zg_pairs_create(const zg_team *team, int64_t n, zg_pairs *pairs) {
  zg_pairs_create_band(team, n, 0, n, pairs);
}

void zg_pairs_create_band(const zg_team *team, int64_t n, int64_t begin, int64_t end,
                          zg_pairs *pairs) {
  *pairs = (zg_pairs){.n = n, .begin = begin, .end = end};
  ZG_REQUIRE(team->size == 1 || end - begin == n);
  if (!zg_team_works(team)) return;
  int64_t share = zg_pairs_share(end - begin, team->size);
  pairs->first = zg_min(end, begin + share * team->position);
  pairs->count = zg_min(end, pairs->first + share) - pairs->first;
  pairs->coarse = ZG_NEW0(double, zg_pairs_numbers(pairs));
  pairs->fine = ZG_NEW0(double, zg_pairs_numbers(pairs));
}

void zg_pairs_destroy(zg_pairs *pairs) {
  free(pairs->coarse);
  free(pairs->fine);
  *pairs = (zg_pairs){0};
}

/* The matrix of sums on the Q x 1 grid. As ScaLAPACK sees it, this rank holds the rows
 * [first, first + count): by symmetry the same as the columns. */
static void describe_sums(const zg_team *team, const zg_pairs *pairs,
                          int descriptor[9]) {
  int n = zg_int(pairs->n), share = zg_int(zg_pairs_share(pairs->n, team->size));
  int leading = zg_int(zg_max(1, pairs->count)), info;
  descinit_(descriptor, &n, &n, &share, &n, &zero, &zero, &team->column.context,
            &leading, &info);
  ZG_REQUIRE(info == 0);
}

/* S += alpha V V' for one run of terms of every rank. V' is a (Q terms) x N matrix on
 * the Q x 1 grid: the contraction runs over the ranks. */
static void add_run(const zg_team *team, zg_precision precision, double alpha,
                    const void *V, int64_t terms, int64_t stride, void *scratch,
                    zg_pairs *pairs) {
  ZG_WAIT;
  int n = zg_int(pairs->n), k = zg_int(terms * team->size), block = zg_int(terms);
  int leading = zg_int(stride), from[9], to[9], info;
  descinit_(from, &k, &n, &block, &n, &zero, &zero, &team->column.context, &leading,
            &info);
  ZG_REQUIRE(info == 0);
  describe_sums(team, pairs, to);
  int64_t count = zg_pairs_numbers(pairs);
  memset(scratch, 0, (size_t)count * zg_real_size(precision));
  if (precision == ZG_SINGLE) {
    const float a = (float)alpha, b = 0;
    pssyrk_("L", "T", &n, &k, &a, V, &one, &one, from, &b, scratch, &one, &one, to);
  } else {
    const double b = 0;
    pdsyrk_("L", "T", &n, &k, &alpha, V, &one, &one, from, &b, scratch, &one, &one, to);
  }
  zg_fixed_add_all(precision, scratch, count, pairs->coarse, pairs->fine);
}

/* On one rank: the band with all before it, and its own triangle. */
static void add_band(zg_precision precision, double alpha, const void *V,
                     int64_t length, int64_t stride, zg_pairs *pairs) {
  int64_t first = pairs->first, count = pairs->count, corner = first * count;
  const void *own = zg_real_at(precision, V, first * stride);
  if (first > 0)
    zg_accumulate_cross(precision, count, first, length, alpha, own, stride, V, stride,
                        pairs->coarse, pairs->fine);
  zg_accumulate_product(precision, count, length, alpha, own, stride,
                        pairs->coarse + corner, pairs->fine + corner);
}

void zg_pairs_add_product(const zg_team *team, zg_precision precision, double alpha,
                          const void *V, int64_t length, int64_t longest,
                          int64_t stride, zg_pairs *pairs) {
  if (team->size == 1) {
    add_band(precision, alpha, V, length, stride, pairs);
    return;
  }
  void *scratch = zg_alloc(zg_pairs_numbers(pairs), zg_real_size(precision));
  for (int64_t k = 0; k < longest; k += ZG_RUN)
    add_run(team, precision, alpha, zg_real_at(precision, V, k),
            zg_min(ZG_RUN, longest - k), stride, scratch, pairs);
  free(scratch);
}

void zg_pairs_add_vectors(double alpha, const double *w, int64_t length, int64_t stride,
                          zg_pairs *pairs) {
  int64_t size = zg_pairs_numbers(pairs);
  if (!size || !length) return;
  double *product = ZG_NEW(double, size);
  zg_product(ZG_DOUBLE, pairs->count, pairs->end, length, alpha,
             w + pairs->first * stride, stride, w, stride, 0, product, pairs->count);
  zg_fixed_add_all(ZG_DOUBLE, product, size, pairs->coarse, pairs->fine);
  free(product);
}

void zg_pairs_add_scalars(double alpha, const double *x, zg_pairs *pairs) {
  for (int64_t i = 0; i < pairs->end; i++)
    for (int64_t j = 0; j < pairs->count; j++)
      zg_fixed_add(pairs->coarse + i * pairs->count + j,
                   pairs->fine + i * pairs->count + j,
                   alpha * x[i] * x[pairs->first + j]);
}

void zg_pairs_add(const zg_pairs *other, zg_pairs *pairs) {
  for (int64_t k = 0; k < zg_pairs_numbers(pairs); k++) {
    pairs->coarse[k] += other->coarse[k];
    pairs->fine[k] += other->fine[k];
  }
}

/* Mirror the lower triangle by columns, entry (j, i) with j > i, in blocks that fit the
 * cache. */
static void symmetrise_locally(int64_t n, double *sums) {
  enum { BLOCK = 32 };
  for (int64_t i0 = 0; i0 < n; i0 += BLOCK)
    for (int64_t j0 = i0; j0 < n; j0 += BLOCK)
      for (int64_t i = i0; i < zg_min(n, i0 + BLOCK); i++)
        for (int64_t j = zg_max(j0, i + 1); j < zg_min(n, j0 + BLOCK); j++)
          sums[j * n + i] = sums[i * n + j];
}

static void symmetrise_distributed(const zg_team *team, const zg_pairs *pairs,
                                   double *sums) {
  int n = zg_int(pairs->n), descriptor[9];
  int64_t count = pairs->n * pairs->count;
  double *copy = ZG_NEW(double, count);
  memcpy(copy, sums, (size_t)count * sizeof *copy);
  describe_sums(team, pairs, descriptor);
  const double unit = 1;
  pdgeadd_("T", &n, &n, &unit, copy, &one, &one, descriptor, &unit, sums, &one, &one,
           descriptor);
  for (int64_t j = 0; j < pairs->count; j++) /* counted in both triangles */
    sums[(pairs->first + j) * pairs->count + j] *= 0.5;
  free(copy);
}

void zg_pairs_symmetrise(const zg_team *team, zg_pairs *pairs) {
  double *parts[] = {pairs->coarse, pairs->fine};
  for (int k = 0; k < 2; k++)
    if (team->size == 1)
      symmetrise_locally(pairs->n, parts[k]);
    else
      symmetrise_distributed(team, pairs, parts[k]);
}

/* ---- sums over teams ---- */

/* Numbers that are packed and sent at once. */
enum { PIECE = 1 << 17 };

static int64_t rows_at_once(int64_t width) {
  return zg_max(1, PIECE / zg_max(1, width));
}

/* Copy the half of rows [row, end) on and above the diagonal to `packed` or back.
 * \return how many numbers. */
static int64_t copy_half(const zg_pairs *pairs, double *part, int64_t row, int64_t end,
                         bool back, double *packed) {
  int64_t total = 0;
  for (int64_t i = row; i < end; i++) {
    int64_t skip = zg_min(pairs->count, zg_max(0, i - pairs->first));
    int64_t count = pairs->count - skip;
    double *here = part + i * pairs->count + skip, *there = packed + total;
    memcpy(back ? here : there, back ? there : here, (size_t)count * sizeof *packed);
    total += count;
  }
  return total;
}

/* Sum the upper half of rows [row, end) over the ranks of `comm`, onto `owner` or, if
 * that is -1, onto all of them: what teams have added lies in that half. Sums are
 * exact, so it does not matter in which order. */
static void sum_half(MPI_Comm comm, int owner, int64_t row, int64_t end,
                     zg_pairs *pairs) {
  int rank, ranks;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  if (ranks == 1) return;
  ZG_WAIT;
  bool mine = rank == owner;
  int64_t step = rows_at_once(pairs->count);
  double *parts[] = {pairs->coarse, pairs->fine};
  double *packed = ZG_NEW(double, zg_min(step, end - row) * pairs->count);
  for (int64_t i = row; i < end; i += step)
    for (int k = 0; k < 2; k++) {
      int64_t to = zg_min(end, i + step);
      int64_t count = copy_half(pairs, parts[k], i, to, false, packed);
      if (owner < 0)
        zg_sum_doubles(comm, packed, count);
      else
        MPI_Reduce(mine ? MPI_IN_PLACE : packed, mine ? packed : NULL, zg_int(count),
                   MPI_DOUBLE, MPI_SUM, owner, comm);
      if (owner >= 0 && !mine) zg_count_sent(count);
      if (owner < 0 || mine) copy_half(pairs, parts[k], i, to, true, packed);
    }
  free(packed);
}

void zg_pairs_sum(const zg_team *solo, zg_pairs *pairs) {
  sum_half(solo->world, -1, 0, pairs->n, pairs);
  zg_pairs_symmetrise(solo, pairs);
}

/* From here on the sums alone are in `coarse`. */
static void join_parts(zg_pairs *pairs, int64_t row, int64_t end) {
  for (int64_t k = row * pairs->count; k < end * pairs->count; k++) {
    pairs->coarse[k] += pairs->fine[k];
    pairs->fine[k] = 0;
  }
}

/* Send rows of the block [own rows, columns of `to`] to that rank, and put those of the
 * block from `from` where they lie in the mirror. Either may be MPI_PROC_NULL. */
static void exchange_block(const zg_team *team, int to, int from, zg_pairs *pairs) {
  ZG_WAIT;
  int64_t n = pairs->n, largest = zg_ceil_div(n, team->teams);
  int64_t step = rows_at_once(largest), columns = 0, rows = 0, column = 0, row = 0;
  if (to >= 0) column = zg_part(n, team->teams, to);
  if (to >= 0) columns = zg_part(n, team->teams, to + 1) - column;
  if (from >= 0) row = zg_part(n, team->teams, from);
  if (from >= 0) rows = zg_part(n, team->teams, from + 1) - row;
  double *out = ZG_NEW(double, step *largest), *in = ZG_NEW(double, step *largest);
  for (int64_t k = 0; k < largest; k += step) {
    int64_t sent = zg_max(0, zg_min(step, pairs->owned - k)) * columns;
    int64_t received = zg_max(0, zg_min(step, rows - k)) * pairs->owned;
    for (int64_t j = 0; j < sent; j++)
      out[j] = pairs->coarse[(pairs->own + k + j / columns) * n + column + j % columns];
    MPI_Sendrecv(out, zg_int(sent), MPI_DOUBLE, to, 0, in, zg_int(received), MPI_DOUBLE,
                 from, 0, team->peers, MPI_STATUS_IGNORE);
    zg_count_sent(sent);
    for (int64_t j = 0; j < received; j++)
      pairs->coarse[(pairs->own + j % pairs->owned) * n + row + k + j / pairs->owned] =
          in[j];
  }
  free(out);
  free(in);
}

/* Every rank has the upper half of its rows; what is left of the diagonal is the mirror
 * of what others have. */
static void mirror_rows(const zg_team *team, zg_pairs *pairs) {
  int64_t n = pairs->n, end = pairs->own + pairs->owned;
  for (int64_t i = pairs->own; i < end; i++)
    for (int64_t k = i + 1; k < end; k++)
      pairs->coarse[k * n + i] = pairs->coarse[i * n + k];
  for (int s = 1; s < team->teams; s++)
    exchange_block(team, team->team + s < team->teams ? team->team + s : MPI_PROC_NULL,
                   team->team - s >= 0 ? team->team - s : MPI_PROC_NULL, pairs);
}

/* One-rank teams: a reduce-scatter, one owner after the other, so that little has to be
 * packed at once. */
static void spread_rows(const zg_team *team, zg_pairs *pairs) {
  for (int owner = 0; owner < team->teams; owner++)
    sum_half(team->peers, owner, zg_part(pairs->n, team->teams, owner),
             zg_part(pairs->n, team->teams, owner + 1), pairs);
  pairs->by_rows = true;
  pairs->own = zg_part(pairs->n, team->teams, team->team);
  pairs->owned = zg_part(pairs->n, team->teams, team->team + 1) - pairs->own;
  join_parts(pairs, pairs->own, pairs->own + pairs->owned);
  mirror_rows(team, pairs);
}

/* A band, by one-rank teams: everybody has all of it, and owns some of its items. */
static void share_band(const zg_team *team, zg_pairs *pairs) {
  int64_t items = pairs->end - pairs->begin;
  sum_half(team->peers, -1, 0, pairs->end, pairs);
  pairs->own = pairs->begin + zg_part(items, team->teams, team->team);
  pairs->owned =
      pairs->begin + zg_part(items, team->teams, team->team + 1) - pairs->own;
}

/* Larger teams: the first one has everything, as it is cut. */
static void gather_columns(const zg_team *team, zg_pairs *pairs) {
  sum_half(team->peers, 0, 0, pairs->n, pairs);
  pairs->own = pairs->first;
  pairs->owned = team->team == 0 ? pairs->count : 0;
  if (team->team > 0) return;
  for (int64_t i = 0; i < pairs->n; i++) { /* this team's own part of the other half */
    int64_t below = zg_min(pairs->count, zg_max(0, i - pairs->first));
    memset(pairs->coarse + i * pairs->count, 0, (size_t)below * sizeof(double));
    memset(pairs->fine + i * pairs->count, 0, (size_t)below * sizeof(double));
  }
  zg_pairs_symmetrise(team, pairs);
}

void zg_pairs_combine(const zg_team *team, zg_pairs *pairs, double *diagonal) {
  int64_t items = pairs->end - pairs->begin;
  memset(diagonal + pairs->begin, 0, (size_t)items * sizeof *diagonal);
  if (zg_team_works(team)) {
    if (team->size > 1)
      gather_columns(team, pairs);
    else if (items == pairs->n)
      spread_rows(team, pairs);
    else
      share_band(team, pairs);
    for (int64_t i = pairs->own; i < pairs->own + pairs->owned; i++)
      diagonal[i] = zg_pairs_at(pairs, i, i);
  }
  zg_sum_doubles(team->world, diagonal + pairs->begin, items);
}
