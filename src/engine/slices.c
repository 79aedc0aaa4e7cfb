#include "engine/slices.h"

#include "base/memory.h"
#include "engine/products.h"
#include "linalg/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of a vector that its size is guessed from, and at how many places. */
enum { SAMPLE = 8192, PLACES = 64 };

static void find_arrays(zg_vectors *v, int64_t item) {
  const zg_zoo *zoo = v->work->run->zoo;
  const zg_vector_form *form = v->pass->spec.vector;
  int64_t first;
  if (form->by_head) {
    v->head[item] = zg_plan_head(zoo, form, item, &first);
    v->counts[item] = 1;
  } else {
    zg_plan_arrays(zoo, form, item, &first, &v->counts[item]);
  }
  v->arrays[item] = zg_plan_sorted_arrays(zoo, first, v->counts[item]);
}

/* A slab in another or the same precision. */
static void convert(const zg_slab *slab, zg_precision precision, void *to) {
  int64_t count = slab->rows * slab->d;
  if (precision == ZG_DOUBLE) {
    zg_slab_doubles(slab, to);
  } else {
    ZG_REQUIRE(slab->precision == ZG_SINGLE);
    memcpy(to, slab->data, (size_t)count * sizeof(float));
  }
}

zg_status zg_read_flat(zg_work *work, const int64_t *arrays, int64_t array_count,
                       int64_t first, int64_t count, zg_precision precision, void *to) {
  const int64_t most = (int64_t)1 << 20;
  int64_t done = 0;
  for (int64_t k = 0; k < array_count && done < count; k++) {
    const zg_array *array = &work->run->zoo->arrays[arrays[k]];
    int64_t size = array->n * array->d;
    while (first < size && done < count) {
      zg_slab slab;
      int64_t length = zg_min(most, zg_min(count - done, size - first));
      ZG_TRY(zg_reader_flat(work->reader, arrays[k], first, length, &slab));
      convert(&slab, precision, zg_real_at(precision, to, done));
      first += length;
      done += length;
    }
    first -= size;
  }
  return ZG_OK;
}

static zg_code code_of(zg_precision precision, const void *numbers, int64_t count) {
  return zg_all_finite(precision, numbers, count) ? ZG_CODE_OK : ZG_CODE_NONFINITE;
}

static zg_status read_columns(zg_vectors *v, int64_t array, int64_t first,
                              int64_t count, double *to, zg_code *code) {
  int64_t rows = v->work->run->zoo->arrays[array].n;
  zg_slab slab;
  ZG_TRY(zg_reader_part(v->work->reader, array, 0, rows, first, count, &slab));
  zg_slab_doubles(&slab, v->rows);
  *code = code_of(ZG_DOUBLE, v->rows, rows * count);
  v->pass->spec.vector->collapse(rows, count, v->rows, to);
  return ZG_OK;
}

static zg_status read_rows(zg_vectors *v, int64_t array, int64_t first, int64_t count,
                           double *to, zg_code *code) {
  int64_t width = v->work->run->zoo->arrays[array].d;
  ZG_TRY(zg_reader_doubles(v->work->reader, array, first, count, to));
  *code = ZG_CODE_OK;
  for (int64_t r = 0; r < count; r++)
    *code = zg_code_worse(*code, v->pass->spec.vector->map(width, to + r * width));
  return ZG_OK;
}

/* Numbers of one head. */
static zg_status read_head(zg_vectors *v, int64_t array, int64_t head, int64_t first,
                           int64_t count, void *to) {
  int64_t most = zg_reader_slab_rows(1);
  for (int64_t done = 0; done < count; done += most) {
    zg_slab slab;
    ZG_TRY(zg_reader_layer(v->work->reader, array, head, first + done,
                           zg_min(most, count - done), &slab));
    convert(&slab, v->stored, zg_real_at(v->stored, to, done));
  }
  return ZG_OK;
}

static zg_status read_distributions(zg_vectors *v, int64_t item, int64_t first,
                                    int64_t count, void *to, zg_code *code) {
  if (v->pass->spec.vector->by_head)
    ZG_TRY(read_head(v, v->arrays[item][0], v->head[item], first, count, to));
  else
    ZG_TRY(zg_read_flat(v->work, v->arrays[item], 1, first, count, v->stored, to));
  *code = code_of(v->stored, to, count);
  if (zg_any_negative(v->stored, to, count)) *code = ZG_CODE_NONFINITE;
  return ZG_OK;
}

/* Samples of maps on the group's grid. */
static zg_status read_maps(zg_vectors *v, const zg_group *group, int64_t index,
                           int64_t first, int64_t count, double *to, zg_code *code) {
  const zg_array *array = &v->work->run->zoo->arrays[index];
  int64_t step = zg_reader_slab_rows(array->d);
  *code = ZG_CODE_OK;
  for (int64_t row = 0; row < count; row += step) {
    int64_t rows = zg_min(step, count - row);
    ZG_TRY(zg_reader_doubles(v->work->reader, index, first + row, rows, v->rows));
    for (int64_t r = 0; r < rows; r++) {
      zg_code found = v->pass->spec.vector->resample(
          array, group->grid, v->rows + r * array->d, to + (row + r) * group->width);
      *code = zg_code_worse(*code, found);
    }
  }
  return ZG_OK;
}

zg_status zg_vectors_read(zg_vectors *v, const zg_group *group, int64_t item,
                          int64_t first, int64_t count, void *to, zg_code *code) {
  const int64_t *arrays = v->arrays[item];
  switch (v->pass->spec.vector->kind) {
  case ZG_VECTOR_GRIDDED:
    return read_maps(v, group, arrays[0], first, count, to, code);
  case ZG_VECTOR_DIVERGENCE:
    return read_distributions(v, item, first, count, to, code);
  case ZG_VECTOR_COLLAPSED:
    return read_columns(v, arrays[0], first, count, to, code);
  case ZG_VECTOR_ROWS:
  case ZG_VECTOR_MAPPED:
    return read_rows(v, arrays[0], first, count, to, code);
  default:
    ZG_TRY(zg_read_flat(v->work, arrays, v->counts[item], first, count, v->stored, to));
    *code = code_of(v->stored, to, count);
    return ZG_OK;
  }
}

void zg_vectors_place(const zg_pass *pass, int64_t task, int64_t *first,
                      int64_t *count) {
  const zg_group *group = zg_plan_group_of(pass, task);
  int64_t slice = task - group->first_task;
  *first = zg_part(group->length, group->pieces, slice);
  *count = zg_part(group->length, group->pieces, slice + 1) - *first;
}

double zg_scale_of_sample(const double *sample, int64_t count, double length) {
  double largest = 0, squares = 0;
  for (int64_t k = 0; k < count; k++)
    if (isfinite(sample[k])) largest = fmax(largest, fabs(sample[k]));
  if (!(largest > 0)) return 0;
  for (int64_t k = 0; k < count; k++)
    if (isfinite(sample[k])) squares += pow(sample[k] / largest, 2);
  double norm = largest * sqrt(squares * fmax(1, length / (double)count));
  return zg_scale_for(norm);
}

/* Some numbers of a vector from many places. */
static zg_status sample_places(zg_vectors *v, const zg_group *group, int64_t item,
                               double *sample) {
  int64_t places = zg_min(PLACES, group->length), each = SAMPLE / PLACES, taken = 0;
  each = zg_max(1, zg_min(each, zg_min(group->length / places, group->piece)));
  for (int64_t k = 0; k < places; k++) {
    zg_code code;
    void *to = zg_real_at(v->stored, sample, taken);
    int64_t first = zg_part(group->length, places, k);
    ZG_TRY(zg_vectors_read(v, group, item, first, each, to, &code));
    taken += each;
  }
  if (v->stored == ZG_SINGLE) zg_widen(sample, taken);
  v->scale[item] = zg_scale_of_sample(sample, taken, (double)group->length);
  return ZG_OK;
}

/* A vector that is zero in all these places is searched for the first that is not. */
static zg_status search(zg_vectors *v, const zg_group *group, int64_t item,
                        double *sample) {
  int64_t each = zg_min(SAMPLE, group->piece);
  for (int64_t first = 0; v->scale[item] == 0 && first < group->length; first += each) {
    zg_code code;
    int64_t count = zg_min(each, group->length - first);
    ZG_TRY(zg_vectors_read(v, group, item, first, count, sample, &code));
    if (v->stored == ZG_SINGLE) zg_widen(sample, count);
    v->scale[item] = zg_scale_of_sample(sample, count, (double)count);
  }
  return ZG_OK;
}

static zg_status sample_item(zg_vectors *v, const zg_group *group, int64_t item,
                             double *sample) {
  ZG_TRY(sample_places(v, group, item, sample));
  ZG_TRY(search(v, group, item, sample));
  if (v->scale[item] == 0) v->scale[item] = 1; /* all zeros */
  return ZG_OK;
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* A model that has diverged must not hide what the others differ in. */
static void set_shares(zg_vectors *v, const zg_group *group) {
  const double alike = 0x1p10;
  double *scales = ZG_NEW(double, group->count), *share = v->share, typical = 0;
  for (int64_t k = 0; k < group->count; k++)
    scales[k] = v->scale[group->members[k]];
  qsort(scales, (size_t)group->count, sizeof *scales, compare_doubles);
  double median = scales[group->count / 2];
  for (int64_t k = 0; k < group->count; k++) {
    double ratio = v->scale[group->members[k]] / median;
    share[group->members[k]] = ratio < alike && ratio > 1 / alike;
    typical += share[group->members[k]];
  }
  for (int64_t k = 0; k < group->count; k++)
    share[group->members[k]] /= typical;
  free(scales);
}

double zg_vectors_unit(const zg_vectors *v, const zg_group *group) {
  bool gridded = v->pass->spec.vector->kind == ZG_VECTOR_GRIDDED;
  int64_t maps = gridded ? group->width / (group->grid[0] * group->grid[1]) : 1;
  return (double)(group->length * maps);
}

/* Rows of length 1 need no sample. */
static void scale_mapped(zg_vectors *v) {
  for (int64_t g = 0; g < v->pass->group_count; g++) {
    const zg_group *group = &v->pass->groups[g];
    for (int64_t k = 0; k < group->count; k++)
      v->scale[group->members[k]] = zg_scale_for(sqrt(zg_vectors_unit(v, group)));
    set_shares(v, group);
  }
}

/* The scales of all items; each is sampled by one rank. */
static zg_status sample_all(zg_vectors *v) {
  const zg_pass *pass = v->pass;
  const zg_team *team = &v->work->solo;
  double *sample = ZG_NEW(double, SAMPLE);
  zg_status status = ZG_OK;
  for (int64_t g = 0; g < pass->group_count; g++)
    for (int64_t k = 0; status == ZG_OK && k < pass->groups[g].count; k++)
      if (k % team->teams == team->team)
        status = sample_item(v, &pass->groups[g], pass->groups[g].members[k], sample);
  free(sample);
  ZG_TRY(zg_agree(v->work->run->comm, status));
  zg_sum_doubles(v->work->run->comm, v->scale, pass->items);
  for (int64_t g = 0; g < pass->group_count; g++)
    set_shares(v, &pass->groups[g]);
  return ZG_OK;
}

/* Numbers of an array that are held before they are collapsed or resampled. */
static int64_t held(const zg_pass *pass, const zg_group *group, const zg_array *array) {
  switch (pass->spec.vector->kind) {
  case ZG_VECTOR_COLLAPSED:
    return array->n * group->piece;
  case ZG_VECTOR_GRIDDED:
    return zg_min(group->piece, zg_reader_slab_rows(array->d)) * array->d;
  default:
    return 1;
  }
}

static int64_t buffer_size(const zg_work *work, const zg_pass *pass) {
  const zg_zoo *zoo = work->run->zoo;
  int64_t most = 1;
  for (int64_t g = 0; g < pass->group_count; g++)
    for (int64_t k = 0; k < pass->groups[g].count; k++) {
      int64_t first, count;
      zg_plan_arrays(zoo, pass->spec.vector, pass->groups[g].members[k], &first,
                     &count);
      most = zg_max(most, held(pass, &pass->groups[g], &zoo->arrays[first]));
    }
  return most;
}

zg_status zg_vectors_open(zg_work *work, const zg_pass *pass, zg_vectors *v) {
  *v = (zg_vectors){.work = work,
                    .pass = pass,
                    .arrays = ZG_NEW0(int64_t *, pass->items),
                    .counts = ZG_NEW0(int64_t, pass->items),
                    .head = ZG_NEW0(int64_t, pass->items),
                    .scale = ZG_NEW0(double, pass->items),
                    .share = ZG_NEW0(double, pass->items),
                    .stored = zg_plan_stored(work->run->zoo, pass->spec.vector),
                    .rows = ZG_NEW(double, buffer_size(work, pass))};
  for (int64_t i = 0; i < pass->items; i++)
    find_arrays(v, i);
  if (pass->spec.vector->kind == ZG_VECTOR_DIVERGENCE) return ZG_OK;
  if (!zg_vector_by_rows(pass->spec.vector)) return sample_all(v);
  if (pass->spec.vector->kind != ZG_VECTOR_ROWS) scale_mapped(v);
  return ZG_OK;
}

void zg_vectors_close(zg_vectors *v) {
  for (int64_t i = 0; i < v->pass->items; i++)
    free(v->arrays[i]);
  free(v->arrays);
  free(v->counts);
  free(v->head);
  free(v->scale);
  free(v->share);
  free(v->rows);
}
