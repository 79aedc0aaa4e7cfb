/** \file
 * With G_i the per-sample gradients of model i, [m_i, p], and theta_j the parameters of
 * model j, the projections P_i = G_i (theta_j - reference)' for all j are summed slice
 * by slice; then
 *
 *     d(i,j)^2 = (mean_a (P_i[a,i] - P_i[a,j])^2 + mean_b (P_j[b,j] - P_j[b,i])^2) / 2.
 *
 * Everything is in double, so that parameters that agree to six digits still have a
 * distance of nine. */
#include "engine/quadratic.h"

#include "base/memory.h"
#include "engine/slices.h"
#include "engine/sweep.h"
#include "linalg/fixed.h"
#include "linalg/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A model with parameters. */
typedef struct model {
  int64_t rows;   /* array of its gradients; -1: none that fit */
  int64_t m;      /* rows of these */
  int64_t *order; /* [count] place in the group's sorted arrays of each parameter,
                     in the order in which the gradients are flattened; owned */
  int64_t count;
  double scale;          /* of its gradients */
  double unit;           /* of all parameters of the group: its first typical scale */
  double *coarse, *fine; /* [m, group's count] projections, into quadratic's */
  int64_t leader;        /* first member of the group with the same order */
} model;

typedef struct quadratic {
  zg_work *work;
  const zg_pass *pass;
  zg_products *products;
  zg_vectors vectors;
  model *models;         /* [n] */
  double *coarse, *fine; /* all projections */
  int64_t numbers;
  double *bad, *bad_rows;  /* [n] slices of parameters and of gradients, not finite */
  double *V, *G, *product; /* parameters, gradients and projections of a slice */
  int64_t *arrays;         /* a model's arrays in another model's order */
} quadratic;

/* ---- which number of a gradient belongs to which parameter ---- */

static int64_t place_of(const zg_zoo *zoo, const int64_t *sorted, int64_t count,
                        const char *name) {
  for (int64_t k = 0; k < count; k++)
    if (!strcmp(zoo->arrays[sorted[k]].name, name)) return k;
  return -1;
}

/* \return false when the names are not those of the parameters, each of them once. */
static bool order_by_names(const quadratic *q, int64_t i, const zg_list *names) {
  const zg_zoo *zoo = q->work->run->zoo;
  model *m = &q->models[i];
  if (names->count != m->count) return false;
  for (int64_t k = 0; k < m->count; k++) {
    m->order[k] = place_of(zoo, q->vectors.arrays[i], m->count, names->items[k]);
    if (m->order[k] < 0 || zg_list_find(names, names->items[k]) < k) return false;
  }
  return true;
}

static void order_by_file(const quadratic *q, int64_t i) {
  const zg_zoo *zoo = q->work->run->zoo;
  int64_t count, first = zg_zoo_find(zoo, ZG_WEIGHTS, i, &count);
  for (int64_t k = 0; k < count; k++)
    q->models[i].order[k] =
        place_of(zoo, q->vectors.arrays[i], count, zoo->arrays[first + k].name);
}

static zg_status find_order(quadratic *q, int64_t i, int64_t array) {
  const zg_zoo *zoo = q->work->run->zoo;
  zg_list names = {0};
  zg_status status = zg_reader_words(q->work->reader, array, "parameters", &names);
  if (status == ZG_OK && names.count) {
    if (!order_by_names(q, i, &names)) q->models[i].rows = -1;
  } else if (status == ZG_OK && zoo->models[i].weights_ordered) {
    order_by_file(q, i);
  } else if (status == ZG_OK) {
    char *where = zg_zoo_where(zoo, array);
    status =
        zg_fail(ZG_ERR_DATA,
                "%s: has no attribute 'parameters', and the model's weights have no "
                "known order: which number belongs to which parameter?",
                where);
    free(where);
  }
  zg_list_clear(&names);
  return status;
}

static zg_status find_rows(quadratic *q, const zg_group *group, int64_t i) {
  const zg_zoo *zoo = q->work->run->zoo;
  model *m = &q->models[i];
  int64_t count, array = zg_zoo_find(zoo, q->pass->spec.vector->rows, i, &count);
  m->count = q->vectors.counts[i];
  m->order = ZG_NEW0(int64_t, m->count);
  m->rows = -1;
  if (!count) {
    q->products->code[i] = ZG_CODE_ABSENT;
    return ZG_OK;
  }
  m->rows = array;
  m->m = zoo->arrays[array].n;
  if (zoo->arrays[array].d == group->length)
    ZG_TRY(find_order(q, i, array));
  else
    m->rows = -1;
  if (m->rows >= 0) return ZG_OK;
  q->products->code[i] = ZG_CODE_SHAPE;
  zg_tensor_complain(q->work, array, 1, ZG_CODE_SHAPE,
                     "its columns are not those of the model's weights");
  return ZG_OK;
}

static bool same_order(const model *a, const model *b) {
  return a->count == b->count &&
         !memcmp(a->order, b->order, (size_t)a->count * sizeof *a->order);
}

static zg_status sample_gradients(quadratic *q, const zg_group *group, int64_t i) {
  const int64_t most = 4096;
  model *m = &q->models[i];
  zg_slab slab;
  int64_t columns = zg_min(group->length, zg_max(1, most / m->m));
  ZG_TRY(zg_reader_part(q->work->reader, m->rows, 0, zg_min(m->m, most), 0, columns,
                        &slab));
  double *sample = ZG_NEW(double, slab.rows *slab.d);
  zg_slab_doubles(&slab, sample);
  m->scale = zg_scale_of_sample(sample, slab.rows * slab.d,
                                (double)group->length * (double)slab.rows);
  if (m->scale == 0) m->scale = 1;
  free(sample);
  return ZG_OK;
}

/* The scale of the first typical member. */
static double unit_of(const quadratic *q, const zg_group *group) {
  for (int64_t k = 0; k < group->count; k++)
    if (q->vectors.share[group->members[k]] > 0)
      return q->vectors.scale[group->members[k]];
  return 1;
}

static zg_status prepare_group(quadratic *q, const zg_group *group) {
  for (int64_t k = 0; k < group->count; k++) {
    int64_t i = group->members[k];
    model *m = &q->models[i];
    ZG_TRY(find_rows(q, group, i));
    if (m->rows < 0) continue;
    ZG_TRY(sample_gradients(q, group, i));
    m->unit = unit_of(q, group);
    m->leader = i;
    for (int64_t j = 0; j < k && m->leader == i; j++) {
      const model *other = &q->models[group->members[j]];
      if (other->rows >= 0 && same_order(m, other)) m->leader = other->leader;
    }
    q->numbers += m->m * group->count;
  }
  return ZG_OK;
}

static void give_room(quadratic *q) {
  const zg_pass *pass = q->pass;
  int64_t at = 0, V = 1, G = 1, product = 1, arrays = 1;
  q->coarse = ZG_NEW0(double, q->numbers);
  q->fine = ZG_NEW0(double, q->numbers);
  for (int64_t g = 0; g < pass->group_count; g++) {
    const zg_group *group = &pass->groups[g];
    V = zg_max(V, group->count * group->piece);
    for (int64_t k = 0; k < group->count; k++) {
      model *m = &q->models[group->members[k]];
      arrays = zg_max(arrays, m->count);
      if (m->rows < 0) continue;
      m->coarse = q->coarse + at;
      m->fine = q->fine + at;
      at += m->m * group->count;
      G = zg_max(G, m->m * group->piece);
      product = zg_max(product, m->m * group->count);
    }
  }
  q->V = ZG_NEW(double, V);
  q->G = ZG_NEW(double, G);
  q->product = ZG_NEW(double, product);
  q->arrays = ZG_NEW(int64_t, arrays);
}

static zg_status open_quadratic(quadratic *q) {
  ZG_TRY(zg_vectors_open(q->work, q->pass, &q->vectors));
  zg_status status = ZG_OK;
  for (int64_t g = 0; status == ZG_OK && g < q->pass->group_count; g++)
    status = prepare_group(q, &q->pass->groups[g]);
  ZG_TRY(zg_agree(q->work->run->comm, status));
  give_room(q);
  return ZG_OK;
}

static void close_quadratic(quadratic *q) {
  for (int64_t i = 0; i < q->pass->items; i++)
    free(q->models[i].order);
  free(q->models);
  free(q->coarse);
  free(q->fine);
  free(q->bad);
  free(q->bad_rows);
  free(q->V);
  free(q->G);
  free(q->product);
  free(q->arrays);
  zg_vectors_close(&q->vectors);
}

/* ---- one slice ---- */

/* Parameters [first, first + count) of all members in the order of one of them, about
 * their mean. */
static zg_status load_parameters(quadratic *q, const zg_group *group,
                                 const model *leader, int64_t first, int64_t count) {
  for (int64_t k = 0; k < group->count; k++) {
    int64_t i = group->members[k];
    double *row = q->V + k * count;
    for (int64_t a = 0; a < leader->count; a++)
      q->arrays[a] = q->vectors.arrays[i][leader->order[a]];
    ZG_TRY(
        zg_read_flat(q->work, q->arrays, leader->count, first, count, ZG_DOUBLE, row));
    if (!zg_all_finite(ZG_DOUBLE, row, count)) {
      q->bad[i]++;
      memset(row, 0, (size_t)count * sizeof *row);
    }
    for (int64_t c = 0; c < count; c++)
      row[c] *= leader->unit;
  }
  for (int64_t c = 0; c < count; c++) {
    double mean = 0;
    for (int64_t k = 0; k < group->count; k++)
      mean += q->V[k * count + c] * q->vectors.share[group->members[k]];
    for (int64_t k = 0; k < group->count; k++)
      q->V[k * count + c] -= mean;
  }
  return ZG_OK;
}

static zg_status project(quadratic *q, const zg_group *group, int64_t i, int64_t first,
                         int64_t count) {
  model *m = &q->models[i];
  zg_slab slab;
  ZG_TRY(zg_reader_part(q->work->reader, m->rows, 0, m->m, first, count, &slab));
  zg_slab_doubles(&slab, q->G);
  if (!zg_all_finite(ZG_DOUBLE, q->G, m->m * count)) {
    q->bad_rows[i]++;
    return ZG_OK;
  }
  /* Column-major [m, members]: one column of projections per member. */
  zg_product(ZG_DOUBLE, m->m, group->count, count, m->scale, q->G, count, q->V, count,
             0, q->product, m->m);
  zg_fixed_add_all(ZG_DOUBLE, q->product, m->m * group->count, m->coarse, m->fine);
  q->work->report->flop += 2 * (double)(m->m * group->count) * (double)count;
  return ZG_OK;
}

static zg_status visit(void *context, int64_t task) {
  quadratic *q = context;
  const zg_group *group = zg_plan_group_of(q->pass, task);
  int64_t first, count;
  zg_vectors_place(q->pass, task, &first, &count);
  zg_phase_start(q->work, ZG_PHASE_REDUCE);
  zg_status status = ZG_OK;
  for (int64_t l = 0; status == ZG_OK && l < group->count; l++) {
    const model *leader = &q->models[group->members[l]];
    if (leader->rows < 0 || leader->leader != group->members[l]) continue;
    status = load_parameters(q, group, leader, first, count);
    for (int64_t k = l; status == ZG_OK && k < group->count; k++) {
      int64_t i = group->members[k];
      if (q->models[i].rows >= 0 && q->models[i].leader == group->members[l])
        status = project(q, group, i, first, count);
    }
  }
  zg_phase_stop(q->work, ZG_PHASE_REDUCE);
  return status;
}

/* ---- distances ---- */

/* The root of half the mean square of (g.(theta_i - theta_k)) over the rows of model i,
 * which are members a and b of the group. */
static double root_of_half(const quadratic *q, int64_t i, int64_t a, int64_t b) {
  const model *m = &q->models[i];
  double sum = 0;
  for (int64_t r = 0; r < m->m; r++) {
    int64_t x = a * m->m + r, y = b * m->m + r;
    double difference = (m->coarse[x] - m->coarse[y]) + (m->fine[x] - m->fine[y]);
    sum += difference * difference;
  }
  return sqrt(sum / (double)m->m / 2) / m->scale / m->unit;
}

static void set_distances(quadratic *q) {
  zg_products *p = q->products;
  for (int64_t g = 0; g < q->pass->group_count; g++) {
    const zg_group *group = &q->pass->groups[g];
    for (int64_t a = 0; a < group->count; a++)
      for (int64_t b = 0; b < a; b++) {
        int64_t i = group->members[a], k = group->members[b];
        if (q->models[i].rows < 0 || q->models[k].rows < 0) continue;
        double apart = hypot(root_of_half(q, i, a, b), root_of_half(q, k, b, a));
        p->apart[i * p->n + k] = p->apart[k * p->n + i] = apart;
      }
  }
  for (int64_t i = 0; i < p->n; i++)
    if (q->bad[i] + q->bad_rows[i] > 0) p->code[i] = ZG_CODE_NONFINITE;
}

static zg_status sweep(quadratic *q) {
  zg_work *work = q->work;
  bool resumed;
  int64_t n = q->pass->items;
  zg_sums sums = {.vectors = {q->coarse, q->fine, q->bad, q->bad_rows},
                  .lengths = {q->numbers, q->numbers, n, n}};
  if (!q->numbers) return zg_state_skip(work->state);
  ZG_TRY(zg_state_begin(work->state, q->pass - work->run->plan->passes, q->pass->tasks,
                        &sums, &resumed));
  zg_deal deal = {.team = &work->solo, .tasks = q->pass->tasks};
  ZG_TRY(zg_sweep(work, &deal, "slices", &sums, visit, q));
  return zg_state_finish(work->state, &work->solo, &sums);
}

static void complain(const quadratic *q) {
  const char *const what = "NaN or infinite numbers";
  for (int64_t i = 0; i < q->pass->items; i++) {
    int64_t count,
        first = zg_zoo_find(q->work->run->zoo, q->pass->spec.vector->data, i, &count);
    if (q->bad[i] > 0)
      zg_tensor_complain(q->work, first, count, ZG_CODE_NONFINITE, what);
    if (q->bad_rows[i] > 0)
      zg_tensor_complain(q->work, q->models[i].rows, 1, ZG_CODE_NONFINITE, what);
  }
}

zg_status zg_quadratic_compute(zg_work *work, const zg_pass *pass,
                               zg_products *products) {
  quadratic q = {.work = work,
                 .pass = pass,
                 .products = products,
                 .models = ZG_NEW0(model, pass->items),
                 .bad = ZG_NEW0(double, pass->items),
                 .bad_rows = ZG_NEW0(double, pass->items)};
  zg_status status = open_quadratic(&q);
  if (status == ZG_OK) status = sweep(&q);
  if (status == ZG_OK) {
    zg_sum_doubles(work->run->comm, q.coarse, q.numbers);
    zg_sum_doubles(work->run->comm, q.fine, q.numbers);
    zg_sum_doubles(work->run->comm, q.bad, pass->items);
    zg_sum_doubles(work->run->comm, q.bad_rows, pass->items);
    set_distances(&q);
    complain(&q);
  }
  close_quadratic(&q);
  return status;
}
