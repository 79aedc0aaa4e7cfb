/** \file
 * The vector form: slices of all vectors to sums of their products.
 *
 * For distances a reference, the mean of the group's vectors, is subtracted from every
 * slice first: near-equal vectors then have small products, and their differences keep
 * their digits. What is still close once the sums are known is computed again from
 * differences (refine). */
#include "base/memory.h"
#include "engine/divergence.h"
#include "engine/forms.h"
#include "engine/products.h"
#include "engine/quadratic.h"
#include "engine/slices.h"
#include "engine/sweep.h"
#include "linalg/fixed.h"
#include "linalg/numbers.h"
#include "linalg/vector.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RUN = ZG_PLAN_RUN };

/* A vector pass in progress; everything is owned. */
typedef struct sums {
  zg_work *work;
  const zg_pass *pass;
  zg_vectors vectors;
  zg_pairs pairs;                      /* products, or terms of rows; scaled */
  double *square_coarse, *square_fine; /* [n] squared norms, scaled */
  double *bad;                         /* [n] slices that are not finite */
  double *zero;                        /* [n] slices with a row that cannot be mapped */
  void *V;                             /* a slice of every member, as stored */
  double *run;                         /* a run of every member */
  float *narrowed;                     /* a run of every member */
  double *product_coarse, *product_fine; /* [count, count] of one slice of a group */
  zg_sums checkpoint;
} sums;

static int64_t largest_slice(const zg_pass *pass) {
  int64_t most = 1;
  for (int64_t g = 0; g < pass->group_count; g++)
    most = zg_max(most, pass->groups[g].count * pass->groups[g].piece *
                            pass->groups[g].width);
  return most;
}

static void create(zg_work *work, const zg_pass *pass, sums *s) {
  int64_t n = pass->items, largest = zg_plan_most_members(pass),
          entries = largest * largest;
  int64_t slice = largest_slice(pass);
  *s = (sums){.work = work,
              .pass = pass,
              .square_coarse = ZG_NEW0(double, n),
              .square_fine = ZG_NEW0(double, n),
              .bad = ZG_NEW0(double, n),
              .zero = ZG_NEW0(double, n),
              .V = zg_alloc_large(slice, zg_real_size(zg_plan_stored(
                                             work->run->zoo, pass->spec.vector))),
              .run = ZG_NEW(double, largest *RUN),
              .narrowed = ZG_NEW(float, largest *RUN),
              .product_coarse = ZG_NEW(double, entries),
              .product_fine = ZG_NEW(double, entries)};
  zg_pairs_create(&work->solo, n, &s->pairs);
  s->checkpoint =
      (zg_sums){.pairs = {&s->pairs},
                .vectors = {s->square_coarse, s->square_fine, s->bad, s->zero},
                .lengths = {n, n, n, n}};
}

static void destroy(sums *s) {
  zg_pairs_destroy(&s->pairs);
  free(s->square_coarse);
  free(s->square_fine);
  free(s->bad);
  free(s->zero);
  free(s->V);
  free(s->run);
  free(s->narrowed);
  free(s->product_coarse);
  free(s->product_fine);
  zg_vectors_close(&s->vectors);
}

/* ---- one slice ---- */

/* What is to be known of a run of one vector. */
typedef struct extent {
  double squares, largest;
} extent;

ZG_VECTOR
static void add_multiple(int64_t count, double factor, const double *x, double *sum) {
  for (int64_t k = 0; k < count; k++)
    sum[k] += factor * x[k];
}

/* Subtract the reference, the mean of the typical members, from every run. It is in
 * units of the first of these, as runs are scaled one by one. */
static void subtract_reference(const sums *s, const zg_group *group, int64_t count) {
  double reference[RUN] = {0}, unit = 0;
  for (int64_t k = 0; k < group->count; k++) {
    int64_t item = group->members[k];
    double share = s->vectors.share[item];
    if (share > 0 && unit == 0) unit = s->vectors.scale[item];
    if (share > 0)
      add_multiple(count, share * (unit / s->vectors.scale[item]), s->run + k * count,
                   reference);
  }
  for (int64_t k = 0; k < group->count; k++)
    add_multiple(count, -s->vectors.scale[group->members[k]] / unit, reference,
                 s->run + k * count);
}

/* Round a run to single precision. */
ZG_VECTOR
static extent narrow_run(int64_t count, const double *x, float *narrowed) {
  enum { LANES = 16 };
  double squares[LANES] = {0}, largest[LANES] = {0};
  extent e = {0};
  for (int64_t start = 0; start < count; start += LANES)
    for (int64_t k = start; k < zg_min(count, start + LANES); k++) {
      double square = x[k] * x[k];
      narrowed[k] = (float)x[k];
      squares[k - start] += square;
      largest[k - start] = square > largest[k - start] ? square : largest[k - start];
    }
  for (int j = 0; j < LANES; j++) {
    e.squares += squares[j];
    e.largest = fmax(e.largest, largest[j]);
  }
  return e;
}

/* Round the runs of all members. \return false where one number outweighs the others of
 * its run, so that rounding errors would not average out. */
static bool narrow(int64_t members, int64_t count, const double *V, float *narrowed) {
  const double share = 1.0 / 32;
  for (int64_t r = 0; r < members; r++) {
    extent e = narrow_run(count, V + r * count, narrowed + r * count);
    if (e.largest > share * e.squares) return false;
  }
  return true;
}

/* Read the slice of one member; one that something is wrong with becomes zero. */
static zg_status load(sums *s, const zg_group *group, int64_t item, int64_t first,
                      int64_t count, void *row) {
  zg_code code;
  ZG_TRY(zg_vectors_read(&s->vectors, group, item, first, count, row, &code));
  s->bad[item] += code == ZG_CODE_NONFINITE;
  s->zero[item] += code == ZG_CODE_ZERO_VARIANCE;
  if (code != ZG_CODE_OK)
    memset(row, 0, (size_t)(count * group->width) * zg_real_size(s->vectors.stored));
  return ZG_OK;
}

/* Whether a pair meets on the group's grid, where there are grids. */
static bool meets(const sums *s, const zg_group *group, int64_t i, int64_t k) {
  int64_t grid[2];
  if (s->pass->spec.vector->kind != ZG_VECTOR_GRIDDED) return true;
  zg_plan_common_grid(s->work->run->zoo, &s->pass->spec, i, k, grid);
  return grid[0] == group->grid[0] && grid[1] == group->grid[1];
}

/* Add a triangle of products of a group to the matrix of all items. */
static void scatter(sums *s, const zg_group *group) {
  for (int64_t a = 0; a < group->count; a++)
    for (int64_t b = a; b < group->count; b++) {
      if (!meets(s, group, group->members[a], group->members[b])) continue;
      int64_t at = group->members[a] * s->pairs.count + group->members[b];
      s->pairs.coarse[at] += s->product_coarse[a * group->count + b];
      s->pairs.fine[at] += s->product_fine[a * group->count + b];
    }
}

/* The products of numbers [start, start + count) of the slices of all members. */
static void add_run(sums *s, const zg_group *group, int64_t stride, int64_t start,
                    int64_t count) {
  int64_t N = group->count;
  for (int64_t k = 0; k < N; k++) {
    int64_t item = group->members[k];
    const void *x = zg_real_at(s->vectors.stored, s->V, k * stride + start);
    double scale = s->vectors.scale[item], *scaled = s->run + k * count;
    double squares = zg_scale_numbers(s->vectors.stored, count, scale, x, scaled);
    zg_fixed_add(&s->square_coarse[item], &s->square_fine[item], squares);
  }
  if (!s->pass->spec.vector->unit) subtract_reference(s, group, count);
  bool single =
      s->pass->precision == ZG_SINGLE && narrow(N, count, s->run, s->narrowed);
  zg_accumulate_product(single ? ZG_SINGLE : ZG_DOUBLE, N, count, 1,
                        single ? (void *)s->narrowed : s->run, count, s->product_coarse,
                        s->product_fine);
}

static void add_products(sums *s, const zg_group *group, int64_t count) {
  int64_t entries = group->count * group->count;
  memset(s->product_coarse, 0, (size_t)entries * sizeof(double));
  memset(s->product_fine, 0, (size_t)entries * sizeof(double));
  for (int64_t start = 0; start < count; start += RUN)
    add_run(s, group, count, start, zg_min(RUN, count - start));
  scatter(s, group);
}

/* Terms of rows: the mean over all rows, so that sums stay small. */
static void add_row_terms(sums *s, const zg_group *group, int64_t count) {
  const zg_vector_form *form = s->pass->spec.vector;
  int64_t width = group->width, n = s->pairs.count;
  for (int64_t a = 0; a < group->count; a++)
    for (int64_t b = a + 1; b < group->count; b++) {
      const double *V = s->V, *x = V + a * count * width, *y = V + b * count * width;
      double sum = 0;
      for (int64_t r = 0; r < count; r++)
        sum += form->row_term(width, x + r * width, y + r * width);
      int64_t at = group->members[a] * n + group->members[b];
      zg_fixed_add(&s->pairs.coarse[at], &s->pairs.fine[at],
                   sum / (double)group->length);
    }
}

static zg_status visit(void *context, int64_t task) {
  sums *s = context;
  zg_work *work = s->work;
  const zg_group *group = zg_plan_group_of(s->pass, task);
  int64_t first, count;
  zg_vectors_place(s->pass, task, &first, &count);
  zg_phase_start(work, ZG_PHASE_READ);
  zg_status status = ZG_OK;
  for (int64_t k = 0; status == ZG_OK && k < group->count; k++)
    status = load(s, group, group->members[k], first, count,
                  zg_real_at(s->vectors.stored, s->V, k * count * group->width));
  zg_phase_stop(work, ZG_PHASE_READ);
  if (status != ZG_OK) return status;
  zg_phase_start(work, ZG_PHASE_REDUCE);
  if (s->pass->spec.vector->kind == ZG_VECTOR_ROWS)
    add_row_terms(s, group, count);
  else
    add_products(s, group, count * group->width);
  zg_phase_stop(work, ZG_PHASE_REDUCE);
  double N = (double)group->count;
  work->report->flop += N * N * (double)(count * group->width);
  return ZG_OK;
}

/* ---- close pairs ---- */

typedef struct refinement {
  sums *sums;
  zg_close_pairs *close;
} refinement;

static zg_status visit_close(void *context, int64_t task) {
  refinement *r = context;
  sums *s = r->sums;
  zg_precision stored = s->vectors.stored;
  const zg_group *group = zg_plan_group_of(s->pass, task);
  int64_t first, count, place = 0;
  zg_vectors_place(s->pass, task, &first, &count);
  int64_t numbers = count * group->width;
  zg_phase_start(s->work, ZG_PHASE_READ);
  zg_status status = ZG_OK;
  for (int64_t k = 0; status == ZG_OK && k < group->count; k++) {
    zg_code code;
    int64_t item = group->members[k];
    if (r->close->place[item] < 0) continue;
    r->close->place[item] = place++;
    void *to = zg_real_at(stored, s->V, r->close->place[item] * numbers);
    status = zg_vectors_read(&s->vectors, group, item, first, count, to, &code);
  }
  zg_phase_stop(s->work, ZG_PHASE_READ);
  if (status != ZG_OK) return status;
  zg_phase_start(s->work, ZG_PHASE_REDUCE);
  zg_close_add(r->close, group - s->pass->groups, 1, stored, numbers, s->V);
  zg_phase_stop(s->work, ZG_PHASE_REDUCE);
  return ZG_OK;
}

/* Compute close pairs again from differences. */
static zg_status refine(sums *s, zg_products *p, const double *from) {
  bool single = s->pass->precision == ZG_SINGLE;
  zg_close_pairs close;
  zg_close_find(p, from, single ? 1e-2 : 1e-5, single ? FLT_EPSILON : DBL_EPSILON,
                &close);
  refinement r = {.sums = s, .close = &close};
  zg_deal deal = {.team = &s->work->solo, .tasks = s->pass->tasks};
  zg_status status = ZG_OK;
  if (close.count)
    status = zg_sweep(s->work, &deal, "close pairs", NULL, visit_close, &r);
  if (status == ZG_OK) zg_close_finish(s->work->run->comm, &close, p);
  zg_close_clear(&close);
  return status;
}

/* ---- from sums to products ---- */

static void combine(sums *s) {
  MPI_Comm comm = s->work->run->comm;
  int64_t n = s->pass->items;
  zg_phase_start(s->work, ZG_PHASE_COMBINE);
  zg_pairs_sum(&s->work->solo, &s->pairs);
  zg_sum_doubles(comm, s->square_coarse, n);
  zg_sum_doubles(comm, s->square_fine, n);
  zg_sum_doubles(comm, s->bad, n);
  zg_sum_doubles(comm, s->zero, n);
  zg_phase_stop(s->work, ZG_PHASE_COMBINE);
}

static double pair_sum(const sums *s, int64_t i, int64_t k) {
  int64_t at = i * s->pass->items + k;
  return s->pairs.coarse[at] + s->pairs.fine[at];
}

static void set_codes(const sums *s, zg_products *p) {
  for (int64_t i = 0; i < p->n; i++) {
    if (p->group[i] < 0) continue;
    if (s->zero[i] > 0) p->code[i] = ZG_CODE_ZERO_VARIANCE;
    if (s->bad[i] > 0) p->code[i] = ZG_CODE_NONFINITE;
  }
}

static void set_items(const sums *s, zg_products *p) {
  bool unit = s->pass->spec.vector->unit;
  p->keep_size = !unit;
  for (int64_t i = 0; i < p->n; i++) {
    double scale = s->vectors.scale[i];
    if (p->group[i] < 0) continue;
    double norm = sqrt(s->square_coarse[i] + s->square_fine[i]);
    p->norm[i] = norm / scale;
    p->multiplier[i] = unit ? (norm > 0 ? scale / norm : 0) : scale;
  }
}

/* Cosines and distances of unit vectors; or distances from products without the
 * reference.
 * \param [out] from  what apart was subtracted from. */
static void set_pairs(const sums *s, zg_products *p, double *from) {
  bool unit = s->pass->spec.vector->unit;
  for (int64_t i = 0; i < p->n; i++)
    from[i] = unit ? p->multiplier[i] > 0 : pair_sum(s, i, i);
  for (int64_t i = 0; i < p->n; i++)
    for (int64_t k = 0; k < p->n; k++) {
      int64_t at = i * p->n + k;
      if (!zg_products_fit(p, i, k)) continue;
      double product = pair_sum(s, i, k);
      if (unit) {
        double a = p->multiplier[i] / s->vectors.scale[i];
        double b = p->multiplier[k] / s->vectors.scale[k];
        p->cosine[at] = fmax(-1, fmin(1, product * a * b));
        p->apart[at] = a > 0 && b > 0 ? 2 - 2 * p->cosine[at] : 0;
      } else {
        double a, b;
        zg_products_multipliers(p, i, k, &a, &b);
        a /= p->multiplier[i];
        b /= p->multiplier[k];
        p->apart[at] = from[i] * a * a + from[k] * b * b - 2 * a * b * product;
      }
    }
}

/* The cosine of a close pair is best known from its distance. */
static void correct_cosines(zg_products *p) {
  for (int64_t k = 0; k < p->n * p->n; k++)
    if (p->refined[k]) p->cosine[k] = 1 - p->apart[k] / 2;
}

/* Maps have length 1 whatever the grid, and a sum of their products is one of cosines.
 */
static void set_cosines(const sums *s, zg_products *p) {
  for (int64_t g = 0; g < s->pass->group_count; g++) {
    const zg_group *group = &s->pass->groups[g];
    for (int64_t a = 0; a < group->count; a++)
      for (int64_t b = 0; b < group->count; b++) {
        int64_t i = group->members[a], k = group->members[b];
        double unit = s->vectors.scale[i] * s->vectors.scale[k] *
                      zg_vectors_unit(&s->vectors, group);
        p->cosine[i * p->n + k] = fmax(-1, fmin(1, pair_sum(s, i, k) / unit));
      }
  }
}

/* Means of terms of rows are what is wanted already. */
static void set_row_terms(const sums *s, zg_products *p) {
  for (int64_t k = 0; k < p->n * p->n; k++)
    p->apart[k] = s->pairs.coarse[k] + s->pairs.fine[k];
}

static zg_status set_products(sums *s, zg_products *p) {
  const zg_vector_form *form = s->pass->spec.vector;
  zg_status status = ZG_OK;
  set_codes(s, p);
  if (form->kind == ZG_VECTOR_ROWS) {
    set_row_terms(s, p);
  } else if (form->kind == ZG_VECTOR_GRIDDED) {
    set_cosines(s, p);
  } else {
    double *from = ZG_NEW(double, p->n);
    set_items(s, p);
    set_pairs(s, p, from);
    status = refine(s, p, from);
    if (form->unit) correct_cosines(p);
    free(from);
  }
  zg_products_take_roots(p);
  return status;
}

static zg_status compute(zg_work *work, const zg_pass *pass, zg_products *p) {
  sums s;
  bool resumed;
  create(work, pass, &s);
  zg_status status = zg_vectors_open(work, pass, &s.vectors);
  if (status == ZG_OK)
    status = zg_state_begin(work->state, pass - work->run->plan->passes, pass->tasks,
                            &s.checkpoint, &resumed);
  zg_deal deal = {.team = &work->solo, .tasks = pass->tasks};
  if (status == ZG_OK)
    status = zg_sweep(work, &deal, "slices", &s.checkpoint, visit, &s);
  if (status == ZG_OK)
    status = zg_state_finish(work->state, &work->solo, &s.checkpoint);
  if (status == ZG_OK) {
    combine(&s);
    status = set_products(&s, p);
  }
  destroy(&s);
  return status;
}

/* ---- tensors ---- */

static void complain(zg_work *work, const zg_pass *pass, const zg_products *p) {
  static const char *const faults[ZG_CODES] = {
      [ZG_CODE_NONFINITE] = "NaN or infinite numbers",
      [ZG_CODE_ZERO_VARIANCE] = "a row or map of zeros"};
  if (pass->spec.vector->kind == ZG_VECTOR_QUADRATIC) return; /* has said it itself */
  for (int64_t i = 0; i < p->n; i++) {
    int64_t first, count;
    if (!faults[p->code[i]]) continue;
    zg_plan_arrays(work->run->zoo, pass->spec.vector, i, &first, &count);
    bool shares = pass->spec.vector->kind == ZG_VECTOR_DIVERGENCE;
    zg_tensor_complain(work, first, count, p->code[i],
                       shares ? "NaN, infinite or negative numbers"
                              : faults[p->code[i]]);
  }
}

/* A number for all items of a model together. */
static double total_of(const zg_vector_form *form, const zg_products *p, int64_t first,
                       int64_t count) {
  double *norms = ZG_NEW(double, count);
  bool fit = count > 0;
  for (int64_t k = 0; k < count; k++) {
    fit = fit && p->code[first + k] == ZG_CODE_OK &&
          p->group[first + k] == p->group[first];
    norms[k] = p->norm[first + k];
  }
  int64_t corner = first * p->n + first;
  double total =
      fit ? form->total(count, norms, p->cosine + corner, p->apart + corner, p->n)
          : NAN;
  free(norms);
  return total;
}

static zg_status keep(zg_work *work, const zg_pass *pass, int64_t call,
                      const zg_products *p, zg_results *results) {
  const zg_zoo *zoo = work->run->zoo;
  zg_kept kept[ZG_MAX_KEPT];
  int64_t models = zoo->model_count;
  if (!zg_call_kept(&work->run->calls[call], kept)) return ZG_OK;
  double *values = ZG_NEW(double, models);
  for (int64_t m = 0; m < models; m++) {
    int64_t count, first = zg_zoo_find(zoo, pass->spec.vector->data, m, &count);
    values[m] = total_of(pass->spec.vector, p,
                         first - zoo->first[pass->spec.vector->data], count);
  }
  zg_status status = zg_tensor_keep(work, results, call, 0, models, values);
  free(values);
  return status;
}

zg_status zg_vector_run(zg_work *work, int64_t p, zg_results *results) {
  const zg_pass *pass = &work->run->plan->passes[p];
  zg_products products;
  zg_products_create(pass, &products);
  zg_status status;
  switch (pass->spec.vector->kind) {
  case ZG_VECTOR_QUADRATIC:
    status = zg_quadratic_compute(work, pass, &products);
    break;
  case ZG_VECTOR_DIVERGENCE:
    status = zg_divergence_compute(work, pass, &products);
    break;
  default:
    status = compute(work, pass, &products);
  }
  if (status == ZG_OK) complain(work, pass, &products);
  for (int64_t k = 0; status == ZG_OK && k < work->run->call_count; k++) {
    if (!zg_serves(work, p, k)) continue;
    status = zg_tensor_write_shared(work, results, k, pass->items, zg_products_pair,
                                    &products);
    if (status == ZG_OK) status = keep(work, pass, k, &products, results);
  }
  zg_products_clear(&products);
  return status;
}
