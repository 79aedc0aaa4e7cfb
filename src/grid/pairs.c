#include "grid/pairs.h"

#include "base/memory.h"
#include "grid/scalapack.h"
#include "linalg/fixed.h"

#include <stdlib.h>
#include <string.h>

static const int zero = 0, one = 1;

void zg_pairs_create(const zg_team *team, int64_t n, zg_pairs *pairs) {
  *pairs = (zg_pairs){.n = n};
  if (!zg_team_works(team)) return;
  int64_t share = zg_pairs_share(n, team->size);
  pairs->first = zg_min(n, share * team->position);
  pairs->count = zg_min(n, pairs->first + share) - pairs->first;
  pairs->coarse = ZG_NEW0(double, n * pairs->count);
  pairs->fine = ZG_NEW0(double, n * pairs->count);
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
  int n = zg_int(pairs->n), k = zg_int(terms * team->size), block = zg_int(terms);
  int leading = zg_int(stride), from[9], to[9], info;
  descinit_(from, &k, &n, &block, &n, &zero, &zero, &team->column.context, &leading,
            &info);
  ZG_REQUIRE(info == 0);
  describe_sums(team, pairs, to);
  int64_t count = pairs->n * pairs->count;
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

void zg_pairs_add_product(const zg_team *team, zg_precision precision, double alpha,
                          const void *V, int64_t length, int64_t longest,
                          int64_t stride, zg_pairs *pairs) {
  if (team->size == 1) {
    zg_accumulate_product(precision, pairs->n, length, alpha, V, stride, pairs->coarse,
                          pairs->fine);
    return;
  }
  void *scratch = zg_alloc(pairs->n * pairs->count, zg_real_size(precision));
  for (int64_t k = 0; k < longest; k += ZG_RUN)
    add_run(team, precision, alpha, zg_real_at(precision, V, k),
            zg_min(ZG_RUN, longest - k), stride, scratch, pairs);
  free(scratch);
}

void zg_pairs_add_vectors(double alpha, const double *w, int64_t length, int64_t stride,
                          zg_pairs *pairs) {
  int64_t size = pairs->n * pairs->count;
  if (!size || !length) return;
  double *product = ZG_NEW(double, size);
  zg_product(ZG_DOUBLE, pairs->count, pairs->n, length, alpha,
             w + pairs->first * stride, stride, w, stride, 0, product, pairs->count);
  zg_fixed_add_all(ZG_DOUBLE, product, size, pairs->coarse, pairs->fine);
  free(product);
}

void zg_pairs_add_scalars(double alpha, const double *x, zg_pairs *pairs) {
  for (int64_t i = 0; i < pairs->n; i++)
    for (int64_t j = 0; j < pairs->count; j++)
      zg_fixed_add(pairs->coarse + i * pairs->count + j,
                   pairs->fine + i * pairs->count + j,
                   alpha * x[i] * x[pairs->first + j]);
}

void zg_pairs_add(const zg_pairs *other, zg_pairs *pairs) {
  for (int64_t k = 0; k < pairs->n * pairs->count; k++) {
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

/* Sum rows [row, end) over the peers, onto one of them. */
static void reduce_rows(const zg_team *team, int owner, int64_t row, int64_t end,
                        zg_pairs *pairs) {
  const int64_t piece = (int64_t)1 << 26;
  int64_t start = row * pairs->count, count = (end - row) * pairs->count;
  double *parts[] = {pairs->coarse + start, pairs->fine + start};
  for (int k = 0; k < 2; k++)
    for (int64_t at = 0; at < count; at += piece) {
      int length = (int)zg_min(piece, count - at);
      bool mine = team->team == owner;
      MPI_Reduce(mine ? MPI_IN_PLACE : parts[k] + at, mine ? parts[k] + at : NULL,
                 length, MPI_DOUBLE, MPI_SUM, owner, team->peers);
    }
}

static void spread_rows(const zg_team *team, zg_pairs *pairs) {
  for (int owner = 0; owner < team->teams; owner++)
    reduce_rows(team, owner, zg_part(pairs->n, team->teams, owner),
                zg_part(pairs->n, team->teams, owner + 1), pairs);
  pairs->by_rows = true;
  pairs->own = zg_part(pairs->n, team->teams, team->team);
  pairs->owned = zg_part(pairs->n, team->teams, team->team + 1) - pairs->own;
}

void zg_pairs_combine(const zg_team *team, zg_pairs *pairs, double *diagonal) {
  memset(diagonal, 0, (size_t)pairs->n * sizeof *diagonal);
  if (zg_team_works(team)) {
    if (team->size == 1) {
      spread_rows(team, pairs);
    } else {
      reduce_rows(team, 0, 0, pairs->n, pairs);
      pairs->own = pairs->first;
      pairs->owned = team->team == 0 ? pairs->count : 0;
    }
    for (int64_t i = pairs->own; i < pairs->own + pairs->owned; i++)
      diagonal[i] = zg_pairs_at(pairs, i, i);
  }
  zg_sum_doubles(team->world, diagonal, pairs->n);
}
