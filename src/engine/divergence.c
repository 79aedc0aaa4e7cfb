#include "engine/divergence.h"

#include "base/log.h"
#include "base/memory.h"
#include "engine/slices.h"
#include "engine/sweep.h"
#include "linalg/fixed.h"
#include "linalg/logs.h"
#include "linalg/vector.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A slice is worked on in runs of so many numbers of every member, which stay in the
 * cache; their signs are so many words. */
enum { RUN = 512, WORDS = RUN / 64 };

/* Sums per item, in units in which none reaches 2^13: of m w_a, and the squares that
 * bound a product (size_of). */
enum { REFERENCE, SPREAD, LOG_SPREAD, ITEM_SUMS };
static const double log_unit = 0x1p-10; /* |log a - c| < 2^11 */

/* A divergence pass in progress; everything is owned. */
typedef struct sums {
  zg_work *work;
  const zg_pass *pass;
  zg_vectors vectors;
  zg_pairs pairs;        /* <a - m, w_b>, mean over distributions */
  double *support;       /* [n, n] slices with a > 0 = b */
  double *coarse, *fine; /* [ITEM_SUMS, n] */
  double *bad;           /* [n] slices that are not finite */
  void *V;               /* a slice of every member, as stored */
  double *a, *log_a;     /* a run of every member */
  void *left, *right;    /* the same centred, in the precision of products */
  uint64_t *positive;    /* [members, WORDS] */
  uint8_t *hit;          /* [count, count] a > 0 = b in this slice */
  double *product_coarse, *product_fine; /* [count, count] of one slice */
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
              .V = ZG_NEW(double, largest_slice(pass)),
              .a = ZG_NEW(double, members *RUN),
              .log_a = ZG_NEW(double, members *RUN),
              .left = zg_alloc(members * RUN, zg_real_size(pass->precision)),
              .right = zg_alloc(members * RUN, zg_real_size(pass->precision)),
              .positive = ZG_NEW(uint64_t, members * WORDS),
              .hit = ZG_NEW(uint8_t, members * members),
              .product_coarse = ZG_NEW(double, members *members),
              .product_fine = ZG_NEW(double, members *members)};
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
  free(s->V);
  free(s->a);
  free(s->log_a);
  free(s->left);
  free(s->right);
  free(s->positive);
  free(s->hit);
  free(s->product_coarse);
  free(s->product_fine);
  zg_vectors_close(&s->vectors);
}

/* Numbers of one distribution. */
static int64_t keys_of(const sums *s, const zg_group *group) {
  int64_t first, count;
  const zg_zoo *zoo = s->work->run->zoo;
  zg_plan_arrays(zoo, s->pass->spec.vector, group->members[0], &first, &count);
  return zoo->arrays[first].dims[zoo->arrays[first].rank - 1];
}

/* What a sum over the numbers of one item is divided by: its distributions. */
static double distributions(const sums *s, const zg_group *group) {
  return (double)(group->length / keys_of(s, group));
}

/* ---- one run ---- */

ZG_VECTOR
static void widen(int64_t count, double factor, double summand, const float *x,
                  double *out) {
  for (int64_t k = 0; k < count; k++)
    out[k] = factor * (double)x[k] + summand;
}

ZG_VECTOR
static void mix(int64_t count, double factor, double summand, const double *x,
                double *out) {
  for (int64_t k = 0; k < count; k++)
    out[k] = factor * x[k] + summand;
}

/* Numbers as stored to a and log a, with the floor. */
static void prepare(const sums *s, const zg_group *group, int64_t count, const void *x,
                    double *a, double *log_a) {
  double floor = s->pass->spec.floor, summand = floor / (double)keys_of(s, group);
  if (s->vectors.stored == ZG_SINGLE)
    widen(count, 1 - floor, summand, x, a);
  else
    mix(count, 1 - floor, summand, x, a);
  zg_logs(count, a, log_a);
}

ZG_VECTOR
static bool all_positive(int64_t count, const double *a) {
  int64_t zeros = 0;
  for (int64_t k = 0; k < count; k++)
    zeros += a[k] > 0 ? 0 : 1;
  return zeros == 0;
}

static void set_positive(int64_t count, const double *a, uint64_t *positive) {
  bool all = all_positive(count, a);
  memset(positive, all ? 0xff : 0, WORDS * sizeof *positive);
  for (int64_t k = 0; !all && k < count; k++)
    positive[k / 64] |= (uint64_t)(a[k] > 0) << k % 64;
  for (int64_t k = count; !all && k < RUN; k++) /* beyond the end all are alike */
    positive[k / 64] |= (uint64_t)1 << k % 64;
}

/* Numbers of the references: of a, of log a where a > 0, how often that is; and 1/a. */
typedef struct references {
  double a[RUN], log_a[RUN], positive[RUN], inverse[RUN];
} references;

ZG_VECTOR
static void add_references(int64_t count, const double *a, const double *log_a,
                           references *r) {
  for (int64_t k = 0; k < count; k++) {
    r->a[k] += a[k];
    r->log_a[k] += log_a[k];
    r->positive[k] += a[k] > 0 ? 1 : 0;
  }
}

static void finish_references(int64_t members, int64_t count, references *r) {
  for (int64_t k = 0; k < count; k++) {
    r->a[k] /= (double)members;
    r->log_a[k] /= fmax(1, r->positive[k]);
    r->inverse[k] = r->a[k] > DBL_MIN ? 1 / r->a[k] : 0;
  }
}

/* a - m and w in place of a and log a, and what they add to the sums of their item. */
ZG_VECTOR
static void centre(int64_t count, const references *r, double *a, double *log_a,
                   double found[ITEM_SUMS]) {
  enum { LANES = 8 };
  double reference[LANES] = {0}, spread[LANES] = {0}, log_spread[LANES] = {0};
  for (int64_t start = 0; start < count; start += LANES)
    for (int64_t k = start; k < zg_min(count, start + LANES); k++) {
      double m = r->a[k], w = a[k] > 0 ? log_a[k] - r->log_a[k] : 0, v = a[k] - m;
      reference[k - start] += m * w;
      spread[k - start] += v * v * r->inverse[k];
      log_spread[k - start] += m * w * w;
      a[k] = v;
      log_a[k] = w;
    }
  memset(found, 0, ITEM_SUMS * sizeof *found);
  for (int j = 0; j < LANES; j++) {
    found[REFERENCE] += reference[j];
    found[SPREAD] += spread[j];
    found[LOG_SPREAD] += log_spread[j];
  }
}

ZG_VECTOR
static void narrow(int64_t count, const double *x, float *out) {
  for (int64_t k = 0; k < count; k++)
    out[k] = (float)x[k];
}

static void round_to(zg_precision precision, int64_t count, const double *x, void *out,
                     int64_t at) {
  if (precision == ZG_SINGLE)
    narrow(count, x, (float *)out + at);
  else
    memcpy((double *)out + at, x, (size_t)count * sizeof *x);
}

/* Pairs with a > 0 = b among the numbers of this run. */
static void find_hits(sums *s, int64_t members) {
  const uint64_t *P = s->positive;
  bool alike = true;
  for (int64_t k = 1; alike && k < members; k++)
    alike = !memcmp(P, P + k * WORDS, WORDS * sizeof *P);
  for (int64_t i = 0; !alike && i < members; i++)
    for (int64_t k = 0; k < members; k++) {
      uint64_t found = 0;
      if (s->hit[i * members + k]) continue;
      for (int word = 0; word < WORDS; word++)
        found |= P[i * WORDS + word] & ~P[k * WORDS + word];
      s->hit[i * members + k] = found != 0;
    }
}

static void add_item(sums *s, const zg_group *group, int64_t item,
                     const double found[ITEM_SUMS]) {
  int64_t n = s->pass->items;
  double weight = 1 / distributions(s, group);
  const double units[ITEM_SUMS] = {weight, weight / (double)group->count,
                                   weight * log_unit * log_unit};
  for (int q = 0; q < ITEM_SUMS; q++)
    zg_fixed_add(&s->coarse[q * n + item], &s->fine[q * n + item], units[q] * found[q]);
}

/* Numbers [start, start + count) of the slices of all members. */
static void add_run(sums *s, const zg_group *group, int64_t stride, int64_t start,
                    int64_t count) {
  zg_precision precision = s->pass->precision;
  references r = {.a = {0}};
  for (int64_t k = 0; k < group->count; k++) {
    double *a = s->a + k * count, *log_a = s->log_a + k * count;
    prepare(s, group, count, zg_real_at(s->vectors.stored, s->V, k * stride + start), a,
            log_a);
    set_positive(count, a, s->positive + k * WORDS);
    add_references(count, a, log_a, &r);
  }
  finish_references(group->count, count, &r);
  find_hits(s, group->count);
  for (int64_t k = 0; k < group->count; k++) {
    double found[ITEM_SUMS], *a = s->a + k * count, *log_a = s->log_a + k * count;
    centre(count, &r, a, log_a, found);
    add_item(s, group, group->members[k], found);
    round_to(precision, count, a, s->left, k * count);
    round_to(precision, count, log_a, s->right, k * count);
  }
  zg_accumulate_cross(precision, group->count, group->count, count,
                      1 / distributions(s, group), s->right, count, s->left, count,
                      s->product_coarse, s->product_fine);
}

/* ---- slices ---- */

/* Add what a slice has yielded to the matrices of all items. */
static void scatter(sums *s, const zg_group *group) {
  for (int64_t a = 0; a < group->count; a++)
    for (int64_t b = 0; b < group->count; b++) {
      int64_t at = group->members[a] * s->pass->items + group->members[b];
      int64_t from = a * group->count + b;
      s->pairs.coarse[at] += s->product_coarse[from];
      s->pairs.fine[at] += s->product_fine[from];
      s->support[at] += s->hit[from];
    }
}

/* One that is not finite becomes zero. */
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
  int64_t first, count, N = group->count;
  zg_vectors_place(s->pass, task, &first, &count);
  zg_phase_start(s->work, ZG_PHASE_READ);
  zg_status status = ZG_OK;
  for (int64_t k = 0; status == ZG_OK && k < N; k++)
    status = load(s, group, group->members[k], first, count,
                  zg_real_at(s->vectors.stored, s->V, k * count));
  zg_phase_stop(s->work, ZG_PHASE_READ);
  if (status != ZG_OK) return status;
  zg_phase_start(s->work, ZG_PHASE_REDUCE);
  memset(s->product_coarse, 0, (size_t)(N * N) * sizeof(double));
  memset(s->product_fine, 0, (size_t)(N * N) * sizeof(double));
  memset(s->hit, 0, (size_t)(N * N));
  for (int64_t start = 0; start < count; start += RUN)
    add_run(s, group, count, start, zg_min(RUN, count - start));
  scatter(s, group);
  zg_phase_stop(s->work, ZG_PHASE_REDUCE);
  s->work->report->flop += 2 * (double)N * (double)N * (double)count;
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
  *r = (refinement){.sums = s, .place = ZG_NEW(int64_t, p->n)};
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
static void add_close(refinement *r, const zg_group *group, int64_t count) {
  double weight = 1 / distributions(r->sums, group);
  for (int64_t c = 0; c < r->count; c++) {
    const close_pair *pair = &r->pairs[c];
    if (&r->sums->pass->groups[pair->group] != group) continue;
    int64_t i = r->place[pair->i] * count, k = r->place[pair->k] * count;
    zg_divergence d = zg_divergence_of(count, r->sums->a + i, r->sums->log_a + i,
                                       r->sums->a + k, r->sums->log_a + k);
    double scale = weight / pair->unit;
    zg_fixed_add(&r->coarse[2 * c], &r->fine[2 * c], scale * (d.forth + d.excess));
    zg_fixed_add(&r->coarse[2 * c + 1], &r->fine[2 * c + 1],
                 scale * (d.back - d.excess));
  }
}

/* The slices of all that have a close pair, side by side. */
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
    status = zg_vectors_read(
        &s->vectors, group, item, first, count,
        zg_real_at(s->vectors.stored, s->V, r->place[item] * count), &code);
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
  ZG_TRY(load_close(r, group, first, count, &held));
  zg_phase_start(s->work, ZG_PHASE_REDUCE);
  for (int64_t start = 0; start < count; start += RUN) {
    int64_t run = zg_min(RUN, count - start);
    for (int64_t k = 0; k < held; k++)
      prepare(s, group, run, zg_real_at(s->vectors.stored, s->V, k * count + start),
              s->a + k * run, s->log_a + k * run);
    add_close(r, group, run);
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
