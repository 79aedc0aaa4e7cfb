/** \file
 * What the products of a pass lack: terms of row sums and diagonals, weights and
 * scales. */
#include "engine/pass.h"

#include "base/memory.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void sum_rows(const double *vectors, int64_t N, int64_t length, double *sums) {
  for (int64_t i = 0; i < N; i++)
    for (int64_t a = 0; a < length; a++)
      sums[i] += vectors[i * length + a];
}

/* With r = row_sums and n samples, U-centring adds -2/(n-2) r_i.r_j and the product of
 * the totals over (n-1)(n-2). */
static void add_total_products(const zg_pass_state *s, int64_t n, const double *totals,
                               zg_pairs *rest) {
  double m = (double)n;
  zg_pairs_add_scalars(s->unit / ((m - 1) * (m - 2)), totals, rest);
}

void zg_centring_add_batch(zg_pass_state *s, int64_t rows) {
  const zg_team *team = &s->work->team;
  int64_t N = s->work->run->plan->items;
  if (team->size > 1) zg_sum_doubles(team->comm, s->row_sums, N * rows);
  double *totals = ZG_NEW0(double, N);
  sum_rows(s->row_sums, N, rows, totals);
  zg_pairs_add_vectors(-2 / (double)(rows - 2) * s->unit, s->row_sums, rows, rows,
                       &s->rest[ZG_UCENTRED]);
  add_total_products(s, rows, totals, &s->rest[ZG_UCENTRED]);
  memset(s->row_sums, 0, (size_t)(N * rows) * sizeof *s->row_sums);
  free(totals);
}

/* Add alpha row_sums_i.row_sums_j of a full pass, this team's part of it: the samples
 * are cut into slices, however many teams there are. */
static void add_row_products(const zg_pass_state *s, double alpha, zg_pairs *rest) {
  enum { SLICES = 64 };
  const zg_team *team = &s->work->team;
  int64_t n = s->work->run->plan->samples;
  for (int k = team->team; k < SLICES; k += team->teams) {
    int64_t first = zg_part(n, SLICES, k), count = zg_part(n, SLICES, k + 1) - first;
    zg_pairs_add_vectors(alpha * s->unit, s->row_sums + first, count, n, rest);
  }
}

/* The U-centring of a full RBF pass, from complete row sums. The first team adds what
 * is there once. */
static void ucentre(zg_pass_state *s, const double *totals) {
  int64_t n = s->work->run->plan->samples;
  zg_pairs *rest = &s->rest[ZG_UCENTRED];
  add_row_products(s, -2 / (double)(n - 2), rest);
  if (s->work->team.team == 0) add_total_products(s, n, totals, rest);
}

/* The same for centring. What is left of the diagonal joins the row sums, which are
 * changed. */
static void centre(zg_pass_state *s, double *totals) {
  int64_t N = s->work->run->plan->items, n = s->work->run->plan->samples;
  zg_pairs *rest = &s->rest[ZG_CENTRED];
  double m = (double)n;
  double *diagonal = ZG_NEW0(double, N);
  for (int64_t i = 0; i < N; i++) {
    if (s->gram->code[i] != ZG_CODE_OK) continue;
    diagonal[i] = zg_rbf_diagonal(&s->rbf[i]);
    for (int64_t a = 0; a < n; a++)
      s->row_sums[i * n + a] += diagonal[i];
    totals[i] += m * diagonal[i];
  }
  add_row_products(s, -2 / m, rest);
  if (s->work->team.team == 0) {
    zg_pairs_add_scalars(s->unit / (m * m), totals, rest);
    zg_pairs_add_scalars(s->unit * m, diagonal, rest);
  }
  free(diagonal);
}

static void add_row_sums(zg_pass_state *s) {
  int64_t N = s->work->run->plan->items, n = s->work->run->plan->samples;
  zg_sum_doubles(s->work->run->comm, s->row_sums, N * n);
  if (!zg_team_works(&s->work->team)) return;
  double *totals = ZG_NEW0(double, N);
  sum_rows(s->row_sums, N, n, totals);
  if (s->pass->needs[ZG_UCENTRED]) ucentre(s, totals);
  if (s->pass->needs[ZG_CENTRED]) centre(s, totals);
  free(totals);
}

static void add_linear_totals(zg_pass_state *s) {
  const zg_team *team = &s->work->team;
  double m = (double)s->work->run->plan->samples;
  MPI_Comm comm = zg_team_works(team) ? team->peers : MPI_COMM_NULL;
  if (comm == MPI_COMM_NULL) return;
  zg_sum_doubles(comm, s->total, s->work->run->plan->items);
  if (team->team == 0)
    zg_pairs_add_scalars(s->unit / (m * m), s->total, &s->rest[ZG_CENTRED]);
}

/* An item without a bandwidth in any batch has no kernel. */
static void mark_dead(zg_pass_state *s) {
  zg_sum_doubles(s->work->run->comm, s->alive, s->end);
  for (int64_t i = 0; i < s->end; i++)
    if (s->gram->code[i] == ZG_CODE_OK && s->alive[i] == 0)
      s->gram->code[i] = ZG_CODE_ZERO_VARIANCE;
}

static void combine(zg_pass_state *s) {
  zg_work *work = s->work;
  bool works = zg_team_works(&work->team);
  if (zg_is_rbf(s) && !s->pass->spec.gram.batch) add_row_sums(s);
  if (zg_is_rbf(s) && s->pass->spec.gram.batch) mark_dead(s);
  if (!zg_is_rbf(s) && s->pass->needs[ZG_CENTRED]) add_linear_totals(s);
  for (int c = 0; c < ZG_CENTRINGS; c++) {
    if (!s->pass->needs[c]) continue;
    zg_pairs *product = &s->gram->product[c];
    if (s->rest[c].n) {
      if (works) zg_pairs_add(&s->triangle, &s->rest[c]);
      *product = s->rest[c];
      s->rest[c] = (zg_pairs){0};
    } else {
      *product = s->triangle;
      s->triangle = (zg_pairs){0};
    }
    zg_pairs_combine(&work->team, product, s->gram->self[c]);
  }
}

/* n(n-3) summed over the batches, or of the one whole. */
static void set_weights(zg_pass_state *s) {
  const zg_plan *plan = s->work->run->plan;
  int64_t n = plan->samples,
          batch = s->pass->spec.gram.batch ? s->pass->spec.gram.batch : n;
  double weight = 0;
  for (int64_t first = 0; first + 4 <= n; first += batch) {
    double m = (double)zg_min(batch, n - first);
    weight += m * (m - 3);
  }
  s->gram->weight[ZG_UCENTRED] = s->unit * weight;
  s->gram->weight[ZG_CENTRED] = s->unit * (double)(n - 1) * (double)(n - 1);
}

/* Entries of kernels are rounded relative to what was subtracted from them. */
static void set_scales(zg_pass_state *s) {
  double noise = 8 * (zg_pass_precision(s) == ZG_SINGLE ? FLT_EPSILON : DBL_EPSILON);
  for (int64_t i = 0; i < s->work->run->plan->items; i++) {
    double size = 1; /* of linear kernels the trace */
    if (zg_is_rbf(s)) {
      s->gram->scale[i] = s->rbf[i].scale;
      size = fabs(s->rbf[i].shift) / s->rbf[i].scale;
    }
    s->gram->floor[i] = pow(noise * size, 2);
  }
}

void zg_centring_finish(zg_pass_state *s) {
  combine(s);
  set_weights(s);
  set_scales(s);
}
