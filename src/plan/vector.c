/** \file
 * The plan of vector passes: which items have vectors of the same kind, and how these
 * are cut into slices. */
#include "base/memory.h"
#include "linalg/cross.h"
#include "linalg/reference.h"
#include "plan/parts.h"
#include "zoo/reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int64_t zg_plan_head(const zg_zoo *zoo, const zg_vector_form *form, int64_t item,
                     int64_t *array) {
  *array = zoo->first[form->data];
  while (item >= zoo->arrays[*array].dims[1])
    item -= zoo->arrays[(*array)++].dims[1];
  return item;
}

void zg_plan_arrays(const zg_zoo *zoo, const zg_vector_form *form, int64_t item,
                    int64_t *first, int64_t *count) {
  if (form->by_model) {
    *first = zg_zoo_find(zoo, form->data, item, count);
  } else if (form->by_head) {
    zg_plan_head(zoo, form, item, first);
    *count = 1;
  } else {
    *first = zoo->first[form->data] + item;
    *count = 1;
  }
}

/* qsort has no context: an entry carries its name. */
typedef struct named {
  const char *name;
  int64_t array;
} named;

static int compare_names(const void *a, const void *b) {
  return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

int64_t *zg_plan_sorted_arrays(const zg_zoo *zoo, int64_t first, int64_t count) {
  named *entries = ZG_NEW(named, count);
  int64_t *sorted = ZG_NEW(int64_t, count);
  for (int64_t k = 0; k < count; k++)
    entries[k] = (named){.name = zoo->arrays[first + k].name, .array = first + k};
  if (count) qsort(entries, (size_t)count, sizeof *entries, compare_names);
  for (int64_t k = 0; k < count; k++)
    sorted[k] = entries[k].array;
  free(entries);
  return sorted;
}

/* Whether the distributions of two arrays or heads can be compared one by one. */
static bool same_distributions(const zg_array *a, const zg_array *b, bool heads) {
  int from = heads ? 1 : 2; /* the axes behind samples, or behind heads */
  return a->rank == b->rank && !memcmp(a->dims + from, b->dims + from,
                                       (size_t)(a->rank - from) * sizeof *a->dims);
}

static bool same_shape(const zg_array *a, const zg_array *b) {
  return a->rank == b->rank &&
         !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
}

/* Whether two arrays give vectors of as many numbers, in the same places. */
static bool same_extent(const zg_zoo *zoo, const zg_vector_form *form,
                        const zg_array *a, const zg_array *b) {
  switch (form->kind) {
  case ZG_VECTOR_COLLAPSED:
    return a->d == b->d;
  case ZG_VECTOR_FLAT:
  case ZG_VECTOR_QUADRATIC:
    if (!form->flat) return same_shape(a, b);
    break;
  case ZG_VECTOR_DIVERGENCE:
    if (!same_distributions(a, b, !form->by_head)) return false;
    return zg_zoo_rows(zoo, a) == zg_zoo_rows(zoo, b);
  case ZG_VECTOR_ROWS:
  case ZG_VECTOR_MAPPED:
  case ZG_VECTOR_GRIDDED:
    break;
  }
  return a->d == b->d && zg_zoo_rows(zoo, a) == zg_zoo_rows(zoo, b);
}

static bool same_arrays(const zg_zoo *zoo, const zg_vector_form *form, int64_t count,
                        const int64_t *a, const int64_t *b) {
  for (int64_t k = 0; k < count; k++) {
    const zg_array *x = &zoo->arrays[a[k]], *y = &zoo->arrays[b[k]];
    if (!same_extent(zoo, form, x, y)) return false;
    if (form->named && strcmp(x->name, y->name)) return false;
  }
  return true;
}

/* Whether the vectors of two items can be subtracted from one another. */
static bool comparable(const zg_zoo *zoo, const zg_vector_form *form, int64_t i,
                       int64_t j) {
  int64_t first_i, first_j, count_i, count_j;
  zg_plan_arrays(zoo, form, i, &first_i, &count_i);
  zg_plan_arrays(zoo, form, j, &first_j, &count_j);
  if (count_i != count_j) return false;
  if (!form->named) return same_arrays(zoo, form, count_i, &first_i, &first_j);
  int64_t *a = zg_plan_sorted_arrays(zoo, first_i, count_i);
  int64_t *b = zg_plan_sorted_arrays(zoo, first_j, count_j);
  bool same = same_arrays(zoo, form, count_i, a, b);
  free(a);
  free(b);
  return same;
}

/* Numbers of an item's vector; of its rows where rows are compared. */
static int64_t length_of(const zg_zoo *zoo, const zg_vector_form *form, int64_t item) {
  int64_t first, count, length = 0;
  zg_plan_arrays(zoo, form, item, &first, &count);
  for (int64_t k = first; k < first + count; k++) {
    const zg_array *array = &zoo->arrays[k];
    int64_t rows = zg_zoo_rows(zoo, array);
    if (zg_vector_by_rows(form))
      length += rows;
    else if (form->by_head)
      length += rows * (array->d / array->dims[1]);
    else
      length += form->kind == ZG_VECTOR_COLLAPSED ? array->d : rows * array->d;
  }
  return length;
}

static zg_group *group_for(const zg_zoo *zoo, zg_pass *pass, int64_t item) {
  const zg_vector_form *form = pass->spec.vector;
  for (int64_t g = 0; g < pass->group_count; g++)
    if (comparable(zoo, form, pass->groups[g].members[0], item))
      return &pass->groups[g];
  zg_group *group = zg_pass_add_group(pass);
  int64_t first, count;
  zg_plan_arrays(zoo, form, item, &first, &count);
  group->length = length_of(zoo, form, item);
  group->width = zg_vector_by_rows(form) ? zoo->arrays[first].d : 1;
  return group;
}

/* Numbers of other arrays that are read along with a number of the vectors. */
static int64_t rows_beside(const zg_zoo *zoo, const zg_vector_form *form) {
  zg_data data = form->kind == ZG_VECTOR_QUADRATIC ? form->rows : form->data;
  int64_t most = 0;
  if (form->kind != ZG_VECTOR_QUADRATIC && form->kind != ZG_VECTOR_COLLAPSED) return 0;
  for (int64_t k = zoo->first[data]; k < zoo->first[data + 1]; k++)
    most = zg_max(most, zoo->arrays[k].n);
  return most;
}

/* A slice of all vectors is about 64 MiB of doubles; shorter vectors are cut so that
 * several ranks have something to do. */
static void cut(const zg_zoo *zoo, const zg_vector_form *form, zg_group *group) {
  const int64_t numbers = (int64_t)1 << 23, least = 1024, parts = 16;
  int64_t beside = rows_beside(zoo, form);
  int64_t most = numbers / ((group->count + beside) * group->width);
  int64_t piece = zg_max(least / group->width, zg_ceil_div(group->length, parts));
  piece = zg_max(1, zg_min(most, piece));
  group->pieces = zg_max(1, zg_ceil_div(group->length, piece));
  group->piece = zg_ceil_div(group->length, group->pieces);
  group->tasks = group->pieces;
}

static int64_t axis_length(const zg_zoo *zoo, const zg_vector_form *form) {
  if (form->by_head) return zg_zoo_heads(zoo);
  return form->by_model ? zoo->model_count
                        : zoo->first[form->data + 1] - zoo->first[form->data];
}

/* Slabs of maps before they are resampled. */
static int64_t maps_held(const zg_zoo *zoo, const zg_pass *pass) {
  const zg_vector_form *form = pass->spec.vector;
  int64_t most = 0;
  if (form->kind != ZG_VECTOR_GRIDDED) return 0;
  for (int64_t k = zoo->first[form->data]; k < zoo->first[form->data + 1]; k++)
    most = zg_max(most, zg_reader_slab_rows(zoo->arrays[k].d) * zoo->arrays[k].d);
  return 20 * most;
}

/* Of divergences: support, a run of all members for products, and a part of their
 * numbers and logarithms with what is added up of it. */
static int64_t beside_divergences(const zg_pass *pass, int64_t members) {
  const int64_t real = sizeof(double);
  return pass->items * pass->items * real + members * members +
         zg_cross_bytes(pass->precision, members) +
         members * (2 * ZG_REFERENCE_NUMBERS * real + (int64_t)sizeof(zg_centred_sums));
}

zg_precision zg_plan_stored(const zg_zoo *zoo, const zg_vector_form *form) {
  if (form->kind != ZG_VECTOR_FLAT && form->kind != ZG_VECTOR_DIVERGENCE)
    return ZG_DOUBLE;
  for (int64_t k = zoo->first[form->data]; k < zoo->first[form->data + 1]; k++)
    if (zg_dtype_bytes(zoo->arrays[k].dtype) > (int64_t)sizeof(float)) return ZG_DOUBLE;
  return ZG_SINGLE;
}

/* Buffers for so many numbers of an item: as they lie in the file, in another type, and
 * what they are collapsed from. Long ones are read in slabs. */
static int64_t reading_bytes(const zg_zoo *zoo, const zg_pass *pass, int64_t numbers) {
  const zg_vector_form *form = pass->spec.vector;
  const int64_t slab = (int64_t)1 << 20;
  int64_t beside = rows_beside(zoo, form);
  int64_t read = beside ? numbers * beside : zg_min(numbers, slab);
  int64_t kept = beside ? 8 * (numbers + read) : 0;
  return maps_held(zoo, pass) + kept + (1 << 20) +
         read * zg_max(zg_plan_number_bytes(zoo, form->data),
                       beside ? zg_plan_number_bytes(zoo, form->rows) : 0);
}

/* Projections of all gradients, coarse and fine, and those of a model's on a slice. */
static int64_t projection_bytes(const zg_zoo *zoo, const zg_pass *pass) {
  zg_data rows = pass->spec.vector->rows;
  int64_t all = 0, most = 0;
  for (int64_t k = zoo->first[rows]; k < zoo->first[rows + 1]; k++) {
    all += zoo->arrays[k].n;
    most = zg_max(most, zoo->arrays[k].n);
  }
  return 8 * (2 * all + most) * zg_plan_most_members(pass);
}

/* Bytes per pair of items of what is kept until the tensor is written: distances,
 * cosines, and marks of what is known of them (engine/products.h). */
static int64_t kept_bytes(const zg_vector_form *form) {
  bool cosines = form->unit || form->kind == ZG_VECTOR_GRIDDED;
  return 8 + 8 * cosines + 2;
}

/* Matrices of all pairs of items: sums, distances, products. */
static zg_memory memory_for(const zg_zoo *zoo, const zg_pass *pass, int ranks) {
  int64_t members = zg_plan_most_members(pass);
  int64_t real = (int64_t)zg_real_size(zg_plan_stored(zoo, pass->spec.vector));
  bool quadratic = pass->spec.vector->kind == ZG_VECTOR_QUADRATIC;
  /* What products are added up in, of one slice and of all: gone when the tensor is
   * written. */
  int64_t pairs = pass->items * pass->items;
  int64_t sums = quadratic ? 0 : 16 * pairs + 16 * members * members;
  int64_t written = zg_plan_written_bytes(pass->items, ranks);
  zg_memory memory = {.sums =
                          kept_bytes(pass->spec.vector) * pairs + zg_max(sums, written),
                      .sides = ZG_PLAN_RUN * members * 12}; /* doubles and singles */
  if (pass->spec.vector->kind == ZG_VECTOR_DIVERGENCE)
    memory.sides += beside_divergences(pass, members);
  for (int64_t g = 0; g < pass->group_count; g++) {
    const zg_group *group = &pass->groups[g];
    int64_t numbers = group->piece * group->width;
    memory.tiles = zg_max(memory.tiles, real * numbers * group->count);
    memory.reading = zg_max(memory.reading, reading_bytes(zoo, pass, numbers));
  }
  if (quadratic) memory.sides = projection_bytes(zoo, pass);
  return memory;
}

static void group_items(const zg_zoo *zoo, zg_pass *pass) {
  for (int64_t i = 0; i < pass->items; i++) {
    int64_t first, count;
    zg_plan_arrays(zoo, pass->spec.vector, i, &first, &count);
    if (count) zg_group_add(group_for(zoo, pass, i), i);
  }
}

zg_status zg_plan_vector(const zg_request *request, zg_plan *plan, zg_pass *pass) {
  const zg_zoo *zoo = request->zoo;
  const zg_vector_form *form = pass->spec.vector;
  pass->items = axis_length(zoo, form);
  if (!pass->items)
    return zg_fail(ZG_ERR_DATA, "measure %s: the selected models have no %s",
                   pass->call->measure->name, zg_data_name(form->data));
  if (form->kind == ZG_VECTOR_GRIDDED)
    zg_plan_grids(zoo, pass);
  else
    group_items(zoo, pass);
  double terms = INFINITY;
  for (int64_t g = 0; g < pass->group_count; g++) {
    zg_group *group = &pass->groups[g];
    cut(zoo, form, group);
    double N = (double)group->count, p = (double)(group->length * group->width);
    plan->flop += (form->kind == ZG_VECTOR_DIVERGENCE ? 2 : 1) * N * N * p;
    terms = fmin(terms, p);
  }
  zg_pass_number_tasks(pass);
  bool products = form->kind != ZG_VECTOR_ROWS && form->kind != ZG_VECTOR_QUADRATIC;
  pass->precision = products ? zg_plan_precision(plan, terms) : ZG_DOUBLE;
  for (int64_t k = zoo->first[form->data]; k < zoo->first[form->data + 1]; k++)
    plan->bytes += (double)zg_zoo_rows(zoo, &zoo->arrays[k]) *
                   (double)zoo->arrays[k].d *
                   (double)zg_dtype_bytes(zoo->arrays[k].dtype);
  return zg_plan_add_memory(plan, pass, memory_for(zoo, pass, plan->ranks));
}
