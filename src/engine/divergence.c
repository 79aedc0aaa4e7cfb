#include "engine/divergence.h"

#include "base/log.h"
#include "base/memory.h"
#include "engine/slices.h"
#include "engine/sweep.h"
#include "linalg/cross.h"
#include "linalg/fixed.h"
#include "linalg/logs.h"
#include "linalg/numbers.h"
#include "linalg/reference.h"
#include "linalg/vector.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A slice is worked on in parts of so many numbers of every member, which stay in the
 * cache. */
enum { PART = ZG_REFERENCE_NUMBERS };

/* Members whose numbers are on their way into the cache: slices are far from one
 * another, and a member's numbers are added up in less time than they take to arrive.
 */
enum { AHEAD = 16 };

/* Sums per item, in units in which none reaches 2^13: of m w_a, and the squares that
 * bound a product (size_of). */
enum { REFERENCE, SPREAD, LOG_SPREAD, ITEM_SUMS };
static const double log_unit = 0x1p-10; /* |log a - log m| < 2^11 */

/* The slices of a group's members that are in hand, or of some of them. */
typedef struct slice {
  const zg_group *group;
  int64_t count;        /* numbers of each */
  double distributions; /* of the whole vectors: sums are divided by that */
  double keys;          /* numbers of a distribution */
  void *V;              /* [members, count] as stored */
} slice;

/* A divergence pass in progress; everything is owned. */
typedef struct sums {
  zg_work *work;
  const zg_pass *pass;
  zg_vectors vectors;
  zg_pairs pairs;        /* <a - m, w_b>, mean over distributions */
  double *support;       /* [n, n] slices with a > 0 = b */
  double *coarse, *fine; /* [ITEM_SUMS, n] */
  double *bad;           /* [n] slices that are not finite */
  slice slice;
  zg_cross cross;                        /* products of the slice */
  double *product_coarse, *product_fine; /* [members, members] */
  zg_centred_sums *centred;              /* [members] of the slice */
  uint8_t *hit;                          /* [members, members] a > 0 = b in it */
  zg_sums checkpoint;
} sums;

static int64_t largest_slice(const zg_pass *pass) {
  int64_t most = 1;
  for (int64_t g = 0; g < pass->group_count; g++)
    most = zg_max(most, pass->groups[g].count * pass->groups[g].piece);
  return most;
}

static void create(zg_work *work, const zg_pass *pass, sums *s) {
  int64_t n = pass->items, members = zg_plan_most_members(pass);
  *s = (sums){.work = work,
              .pass = pass,
              .support = ZG_NEW0(double, n *n),
              .coarse = ZG_NEW0(double, ITEM_SUMS *n),
              .fine = ZG_NEW0(double, ITEM_SUMS *n),
              .bad = ZG_NEW0(double, n),
              .slice.V = zg_alloc_large(
                  largest_slice(pass),
                  zg_real_size(zg_plan_stored(work->run->zoo, pass->spec.vector))),
              .product_coarse = ZG_NEW(double, members *members),
              .product_fine = ZG_NEW(double, members *members),
              .centred = ZG_NEW(zg_centred_sums, members),
              .hit = ZG_NEW(uint8_t, members * members)};
  zg_cross_create(pass->precision, members, &s->cross);
  zg_pairs_create(&work->solo, n, &s->pairs);
  s->checkpoint = (zg_sums){.pairs = {&s->pairs},
                            .vectors = {s->support, s->coarse, s->fine, s->bad},
                            .lengths = {n * n, ITEM_SUMS * n, ITEM_SUMS * n, n}};
}

static void destroy(sums *s) {
  zg_pairs_destroy(&s->pairs);
  free(s->support);
  free(s->coarse);
  free(s->fine);
  free(s->bad);
  free(s->slice.V);
  free(s->product_coarse);
  free(s->product_fine);
  free(s->centred);
  free(s->hit);
  zg_cross_destroy(&s->cross);
  zg_vectors_close(&s->vectors);
}

/* Begin slices of so many numbers. */
static void begin_slice(sums *s, const zg_group *group, int64_t count) {
  int64_t first, arrays;
  const zg_zoo *zoo = s->work->run->zoo;
  zg_plan_arrays(zoo, s->pass->spec.vector, group->members[0], &first, &arrays);
  int64_t keys = zoo->arrays[first].dims[zoo->arrays[first].rank - 1];
  s->slice.group = group;
  s->slice.count = count;
  s->slice.keys = (double)keys;
  s->slice.distributions = (double)(group->length / keys);
}

/* The slice at a place of V, from number `start` on. */
static void *slice_at(const sums *s, int64_t place, int64_t start) {
  return zg_real_at(s->vectors.stored, s->slice.V, place * s->slice.count + start);
}

/* ---- one part ---- */

/* Numbers [start, start + count) of the slice at a place of V, with the floor. */
static void load_part(const sums *s, int64_t place, int64_t start, int64_t count,
                      double *a) {
  double floor = s->pass->spec.floor;
  zg_mix_numbers(s->vectors.stored, count, 1 - floor, slice_at(s, place, start),
                 floor / s->slice.keys, a);
}

/* Bring the same, as stored, into the cache. */
static void fetch_part(const sums *s, int64_t place, int64_t start, int64_t count) {
  const int64_t line = 64;
  int64_t bytes = count * (int64_t)zg_real_size(s->vectors.stored);
  for (int64_t at = 0; at < bytes; at += line)
    __builtin_prefetch((const char *)slice_at(s, place, start) + at);
}

/* What a part's numbers have in common. \return whether a number is positive in some
 * members only. */
static bool find_reference(sums *s, int64_t start, int64_t count, zg_reference *r) {
  int64_t N = s->slice.group->count;
  *r = (zg_reference){.stored = s->vectors.stored,
                      .factor = 1 - s->pass->spec.floor,
                      .summand = s->pass->spec.floor / s->slice.keys};
  for (int64_t k = 0; k < N; k++) {
    if (k + AHEAD < N) fetch_part(s, k + AHEAD, start, count);
    zg_reference_add(r, count, slice_at(s, k, start));
  }
  return zg_reference_finish(r, count, N);
}

/* hit_k |= whether some bit is set in `bits` and not in others_k. */
ZG_VECTOR
static void mark_hits(int64_t count, uint64_t bits, const uint64_t *restrict others,
                      uint8_t *restrict hit) {
  for (int64_t k = 0; k < count; k++)
    hit[k] |= (bits & ~others[k]) != 0;
}

/* Pairs with a > 0 = b among the numbers of a part. */
static void find_hits(sums *s, int64_t start, int64_t count) {
  enum { WORD = 64 };
  int64_t N = s->slice.group->count;
  double a[PART];
  uint64_t *positive = ZG_NEW0(uint64_t, N * PART / WORD); /* [PART / WORD, N] */
  for (int64_t i = 0; i < N; i++) {
    load_part(s, i, start, count, a);
    for (int64_t k = 0; k < count; k++)
      positive[k / WORD * N + i] |= (uint64_t)(a[k] > 0) << k % WORD;
  }
  for (int64_t i = 0; i < N; i++)
    for (int64_t at = 0; at < N * PART / WORD; at += N)
      mark_hits(N, positive[at + i], positive + at, s->hit + i * N);
  free(positive);
}

/* Hand over a part of all members, centred; `at` is its place in the run. */
static void put_part(sums *s, int64_t start, int64_t at, int64_t count,
                     const zg_reference *reference) {
  zg_precision precision = s->pass->precision;
  int64_t N = s->slice.group->count;
  double left[ZG_CROSS_ROWS * PART], right[ZG_CROSS_ROWS * PART];
  for (int64_t first = 0; first < N; first += ZG_CROSS_ROWS) {
    for (int64_t k = first; k < zg_min(N, first + ZG_CROSS_ROWS); k++) {
      int64_t row = (k - first) * count;
      zg_reference_centre(reference, precision, count, slice_at(s, k, start),
                          zg_real_at(precision, left, row),
                          zg_real_at(precision, right, row), &s->centred[k]);
    }
    zg_cross_put(&s->cross, first, at, count, left, right);
  }
}

/* Numbers [start, start + run) of the slices of all members. */
static void add_run(sums *s, int64_t start, int64_t run) {
  zg_cross_open(&s->cross, run);
  for (int64_t at = 0; at < run; at += PART) {
    int64_t count = zg_min(PART, run - at);
    zg_reference reference;
    if (find_reference(s, start + at, count, &reference))
      find_hits(s, start + at, count);
    put_part(s, start + at, at, count, &reference);
  }
  zg_cross_multiply(&s->cross);
}

/* ---- slices ---- */

static void add_lanes(sums *s, int which, int64_t item, double unit,
                      const double lanes[ZG_LANES]) {
  int64_t at = which * s->pass->items + item;
  double sum = 0;
  for (int j = 0; j < ZG_LANES; j++)
    sum += lanes[j];
  zg_fixed_add(&s->coarse[at], &s->fine[at], unit * sum);
}

/* Add what the slice has yielded to the sums of its items. */
static void add_items(sums *s) {
  const zg_group *group = s->slice.group;
  double weight = 1 / s->slice.distributions;
  for (int64_t k = 0; k < group->count; k++) {
    const zg_centred_sums *found = &s->centred[k];
    int64_t item = group->members[k];
    add_lanes(s, REFERENCE, item, weight, found->reference);
    add_lanes(s, SPREAD, item, weight / (double)group->count, found->spread);
    add_lanes(s, LOG_SPREAD, item, weight * log_unit * log_unit, found->log_spread);
  }
}

/* And to the matrices of all items. */
static void scatter(sums *s) {
  const zg_group *group = s->slice.group;
  for (int64_t a = 0; a < group->count; a++)
    for (int64_t b = 0; b < group->count; b++) {
      int64_t at = group->members[a] * s->pass->items + group->members[b];
      int64_t from = a * group->count + b;
      s->pairs.coarse[at] += s->product_coarse[from];
      s->pairs.fine[at] += s->product_fine[from];
      s->support[at] += s->hit[from];
    }
}

static void add_slice(sums *s) {
  size_t N = (size_t)s->slice.group->count;
  memset(s->product_coarse, 0, N * N * sizeof(double));
  memset(s->product_fine, 0, N * N * sizeof(double));
  memset(s->centred, 0, N * sizeof *s->centred);
  memset(s->hit, 0, N * N);
  zg_cross_begin(&s->cross, s->slice.group->count, 1 / s->slice.distributions,
                 s->product_coarse, s->product_fine);
  for (int64_t start = 0; start < s->slice.count; start += ZG_CROSS_RUN)
    add_run(s, start, zg_min(ZG_CROSS_RUN, s->slice.count - start));
  zg_cross_end(&s->cross);
  add_items(s);
  scatter(s);
}

/* Read the slice of one member; one that is not finite becomes zero. */
static zg_status load(sums *s, const zg_group *group, int64_t item, int64_t first,
                      int64_t count, void *to) {
  zg_code code;
  ZG_TRY(zg_vectors_read(&s->vectors, group, item, first, count, to, &code));
  s->bad[item] += code != ZG_CODE_OK;
  if (code != ZG_CODE_OK)
    memset(to, 0, (size_t)count * zg_real_size(s->vectors.stored));
  return ZG_OK;
}

static zg_status visit(void *context, int64_t task) {
  sums *s = context;
  const zg_group *group = zg_plan_group_of(s->pass, task);
  int64_t first, count;
  double N = (double)group->count;
  zg_vectors_place(s->pass, task, &first, &count);
  begin_slice(s, group, count);
  zg_phase_start(s->work, ZG_PHASE_READ);
  zg_status status = ZG_OK;
  for (int64_t k = 0; status == ZG_OK && k < group->count; k++)
    status = load(s, group, group->members[k], first, count, slice_at(s, k, 0));
  zg_phase_stop(s->work, ZG_PHASE_READ);
  if (status != ZG_OK) return status;
  zg_phase_start(s->work, ZG_PHASE_REDUCE);
  add_slice(s);
  zg_phase_stop(s->work, ZG_PHASE_REDUCE);
  s->work->report->flop += 2 * N * N * (double)count;
  return ZG_OK;
}

/* ---- close pairs ---- */

/* A pair of which at least one direction is computed from differences. */
typedef struct close_pair {
  int64_t i, k, group;
  double unit; /* sums are divided by this much, about what they come to */
} close_pair;

typedef struct refinement {
  sums *sums;
  close_pair *pairs;
  int64_t count;
  double *coarse, *fine; /* [count, 2] there and back */
  int64_t *place;        /* [items] among those that are held; -1: not */
  double *a, *log_a;     /* [members, PART] of those */
} refinement;

static double item_sum(const sums *s, int which, int64_t item) {
  int64_t at = which * s->pass->items + item;
  return s->coarse[at] + s->fine[at];
}

/* A bound of |<a - m, w_a - w_b>|, by Cauchy and Schwarz with weights 1/m and m: what
 * the rounding of products is proportional to. */
static double size_of(const sums *s, double members, int64_t i, int64_t k) {
  double spread = sqrt(item_sum(s, SPREAD, i) * members);
  double logs = sqrt(item_sum(s, LOG_SPREAD, i)) + sqrt(item_sum(s, LOG_SPREAD, k));
  return spread * logs / log_unit;
}

/* Whether a direction is lost in rounding: of products, which is in proportion to their
 * size, or of logarithms, which is not: where all items are close to one another, so is
 * their mean, and products are as small as the divergence. */
static bool is_close(const sums *s, const zg_products *p, int64_t i, int64_t k,
                     double *unit) {
  const double least = 1e-9;
  bool single = s->pass->precision == ZG_SINGLE;
  double members = (double)s->pass->groups[p->group[i]].count;
  double size = size_of(s, members, i, k), apart = fabs(p->apart[i * p->n + k]);
  double noise = fmax(size * (single ? FLT_EPSILON : DBL_EPSILON), DBL_EPSILON);
  *unit = fmax(*unit, fmax(apart, noise));
  if (p->unsupported[i * p->n + k]) return false;
  return apart < least || apart < size * (single ? 1e-3 : 1e-6);
}

static void find_close(sums *s, const zg_products *p, refinement *r) {
  int64_t members = zg_plan_most_members(s->pass);
  *r = (refinement){.sums = s,
                    .place = ZG_NEW(int64_t, p->n),
                    .a = ZG_NEW(double, members *PART),
                    .log_a = ZG_NEW(double, members *PART)};
  for (int64_t i = 0; i < p->n; i++)
    r->place[i] = -1;
  for (int64_t i = 0; i < p->n; i++)
    for (int64_t k = 0; k < i; k++) {
      double unit = 0;
      if (!zg_products_fit(p, i, k)) continue;
      bool there = is_close(s, p, i, k, &unit), back = is_close(s, p, k, i, &unit);
      if (!there && !back) continue;
      if ((r->count & (r->count - 1)) == 0)
        r->pairs = zg_realloc(r->pairs, zg_max(1, 2 * r->count), sizeof *r->pairs);
      r->pairs[r->count++] = (close_pair){
          .i = i, .k = k, .group = p->group[i], .unit = 2 * zg_power_below(unit)};
      r->place[i] = r->place[k] = 0;
    }
  r->coarse = ZG_NEW0(double, 2 * r->count);
  r->fine = ZG_NEW0(double, 2 * r->count);
  if (r->count)
    zg_note("  %lld close pairs are computed from differences", (long long)r->count);
}

/* The literal sum of a log(a/b): terms that are not negative, and the difference of the
 * two sums, which is 0 but for rounding where distributions sum to 1. */
static void add_close(refinement *r, int64_t count) {
  const slice *all = &r->sums->slice;
  for (int64_t c = 0; c < r->count; c++) {
    const close_pair *pair = &r->pairs[c];
    if (&r->sums->pass->groups[pair->group] != all->group) continue;
    int64_t i = r->place[pair->i] * PART, k = r->place[pair->k] * PART;
    zg_divergence d =
        zg_divergence_of(count, r->a + i, r->log_a + i, r->a + k, r->log_a + k);
    double scale = 1 / (all->distributions * pair->unit);
    zg_fixed_add(&r->coarse[2 * c], &r->fine[2 * c], scale * (d.forth + d.excess));
    zg_fixed_add(&r->coarse[2 * c + 1], &r->fine[2 * c + 1],
                 scale * (d.back - d.excess));
  }
}

/* The slices of all that have a close pair, side by side.
 * \param [out] held  how many. */
static zg_status load_close(refinement *r, const zg_group *group, int64_t first,
                            int64_t count, int64_t *held) {
  sums *s = r->sums;
  zg_status status = ZG_OK;
  *held = 0;
  zg_phase_start(s->work, ZG_PHASE_READ);
  for (int64_t k = 0; status == ZG_OK && k < group->count; k++) {
    int64_t item = group->members[k];
    zg_code code;
    if (r->place[item] < 0) continue;
    r->place[item] = (*held)++;
    status = zg_vectors_read(&s->vectors, group, item, first, count,
                             slice_at(s, r->place[item], 0), &code);
  }
  zg_phase_stop(s->work, ZG_PHASE_READ);
  return status;
}

static zg_status visit_close(void *context, int64_t task) {
  refinement *r = context;
  sums *s = r->sums;
  const zg_group *group = zg_plan_group_of(s->pass, task);
  int64_t first, count, held;
  zg_vectors_place(s->pass, task, &first, &count);
  begin_slice(s, group, count);
  ZG_TRY(load_close(r, group, first, count, &held));
  zg_phase_start(s->work, ZG_PHASE_REDUCE);
  for (int64_t start = 0; start < count; start += PART) {
    int64_t part = zg_min(PART, count - start);
    for (int64_t k = 0; k < held; k++) {
      load_part(s, k, start, part, r->a + k * PART);
      zg_logs(part, r->a + k * PART, r->log_a + k * PART);
    }
    add_close(r, part);
  }
  zg_phase_stop(s->work, ZG_PHASE_REDUCE);
  return ZG_OK;
}

/* Put a refined direction into its place. */
static void set_refined(const refinement *r, int64_t c, int64_t i, int64_t k, int back,
                        zg_products *p) {
  int64_t at = i * p->n + k;
  if (p->unsupported[at]) return;
  p->apart[at] = (r->coarse[2 * c + back] + r->fine[2 * c + back]) * r->pairs[c].unit;
  p->refined[at] = 1;
}

static zg_status refine(sums *s, zg_products *p) {
  MPI_Comm comm = s->work->run->comm;
  refinement r;
  find_close(s, p, &r);
  zg_deal deal = {.team = &s->work->solo, .tasks = s->pass->tasks};
  zg_status status = ZG_OK;
  if (r.count) status = zg_sweep(s->work, &deal, "close pairs", NULL, visit_close, &r);
  if (status == ZG_OK) {
    zg_sum_doubles(comm, r.coarse, 2 * r.count);
    zg_sum_doubles(comm, r.fine, 2 * r.count);
    for (int64_t c = 0; c < r.count; c++) {
      set_refined(&r, c, r.pairs[c].i, r.pairs[c].k, 0, p);
      set_refined(&r, c, r.pairs[c].k, r.pairs[c].i, 1, p);
    }
  }
  free(r.pairs);
  free(r.coarse);
  free(r.fine);
  free(r.place);
  free(r.a);
  free(r.log_a);
  return status;
}

/* ---- from sums to divergences ---- */

static void combine(sums *s) {
  MPI_Comm comm = s->work->run->comm;
  int64_t n = s->pass->items;
  zg_phase_start(s->work, ZG_PHASE_COMBINE);
  zg_sum_doubles(comm, s->pairs.coarse, n * n);
  zg_sum_doubles(comm, s->pairs.fine, n * n);
  zg_sum_doubles(comm, s->support, n * n);
  zg_sum_doubles(comm, s->coarse, ITEM_SUMS * n);
  zg_sum_doubles(comm, s->fine, ITEM_SUMS * n);
  zg_sum_doubles(comm, s->bad, n);
  zg_phase_stop(s->work, ZG_PHASE_COMBINE);
}

static double pair_sum(const sums *s, int64_t i, int64_t k) {
  int64_t at = i * s->pass->items + k;
  return s->pairs.coarse[at] + s->pairs.fine[at];
}

static void set_divergences(const sums *s, zg_products *p) {
  for (int64_t i = 0; i < p->n; i++)
    if (p->group[i] >= 0 && s->bad[i] > 0) p->code[i] = ZG_CODE_NONFINITE;
  for (int64_t i = 0; i < p->n; i++)
    for (int64_t k = 0; k < p->n; k++) {
      int64_t at = i * p->n + k;
      if (!zg_products_fit(p, i, k)) continue;
      double rest = item_sum(s, REFERENCE, i) - item_sum(s, REFERENCE, k);
      p->apart[at] = pair_sum(s, i, i) - pair_sum(s, i, k) + rest;
      p->unsupported[at] = s->support[at] > 0;
    }
}

static zg_status sweep(sums *s) {
  zg_work *work = s->work;
  bool resumed;
  ZG_TRY(zg_vectors_open(work, s->pass, &s->vectors));
  ZG_TRY(zg_state_begin(work->state, s->pass - work->run->plan->passes, s->pass->tasks,
                        &s->checkpoint, &resumed));
  zg_deal deal = {.team = &work->solo, .tasks = s->pass->tasks};
  ZG_TRY(zg_sweep(work, &deal, "slices", &s->checkpoint, visit, s));
  return zg_state_finish(work->state, &work->solo, &s->checkpoint);
}

zg_status zg_divergence_compute(zg_work *work, const zg_pass *pass, zg_products *p) {
  sums s;
  create(work, pass, &s);
  zg_status status = sweep(&s);
  if (status == ZG_OK) {
    combine(&s);
    set_divergences(&s, p);
    status = refine(&s, p);
  }
  destroy(&s);
  return status;
}
