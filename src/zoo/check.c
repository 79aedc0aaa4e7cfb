/** \file
 * Validation of a whole zoo file, data included, for `zoogram show --check`. */
#include "base/memory.h"
#include "linalg/features.h"
#include "zoo/convolution.h"
#include "zoo/data.h"
#include "zoo/reader.h"
#include "zoo/scan.h"
#include "zoo/tangent.h"
#include "zoo/zoo.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct check {
  const zg_zoo *zoo;
  zg_reader *reader;
  zg_fault_fn *report;
  void *context;
  int64_t faults;
} check;

__attribute__((format(printf, 3, 4))) static void fault(check *c, const char *where,
                                                        const char *format, ...) {
  char what[ZG_MESSAGE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  c->faults++;
  c->report(c->context, where, what);
}

/* A layer by its item's name, other arrays by their path below /models. The caller
 * frees.
 */
static char *place(const check *c, int64_t index) {
  if (index < c->zoo->layer_count) return zg_zoo_item_name(c->zoo, index);
  const size_t prefix = strlen("/models/");
  zg_text path = {0};
  zg_data_path(c->zoo, &c->zoo->arrays[index], &path);
  memmove(path.data, path.data + prefix, path.length + 1 - prefix);
  return path.data;
}

/* ---- activations ---- */

static void check_numbers(check *c, int64_t index, const char *where) {
  const zg_array *layer = &c->zoo->arrays[index];
  zg_moments moments = {.mean = ZG_NEW0(double, layer->d), .finite = true};
  double *scratch = ZG_NEW(double, 2 * layer->d);
  int64_t step = zg_reader_slab_rows(layer->d);
  zg_status status = ZG_OK;
  for (int64_t row = 0; status == ZG_OK && row < layer->n; row += step) {
    zg_slab slab;
    status = zg_reader_rows(c->reader, index, row, zg_min(step, layer->n - row), &slab);
    if (status == ZG_OK) zg_moments_add(&moments, &slab, scratch);
  }
  if (status != ZG_OK)
    fault(c, where, "its numbers cannot be read");
  else if (!moments.finite)
    fault(c, where, "contains NaN or infinite numbers");
  else if (zg_is_constant(moments.squares, layer->n, layer->d,
                          zg_dtype_epsilon(layer->dtype), moments.largest))
    fault(c, where, "is constant: all samples have the same features");
  free(scratch);
  free(moments.mean);
}

static void check_layer(check *c, int64_t index) {
  const zg_array *layer = &c->zoo->arrays[index], *first = &c->zoo->arrays[0];
  char *where = place(c, index);
  if (layer->n != first->n)
    fault(c, where, "has %lld samples; the first layer has %lld", (long long)layer->n,
          (long long)first->n);
  if (layer->n < 4) fault(c, where, "has fewer than 4 samples");
  check_numbers(c, index, where);
  free(where);
}

/* ---- other data ---- */

/* What is said of the numbers of an array. */
typedef struct findings {
  bool finite, zero, negative;
} findings;

static void look_at(const zg_slab *slab, findings *f) {
  for (int64_t k = 0; k < slab->rows * slab->d; k++) {
    double x = slab->precision == ZG_SINGLE ? (double)((const float *)slab->data)[k]
                                            : ((const double *)slab->data)[k];
    f->finite &= isfinite(x) != 0;
    f->zero &= x == 0;
    f->negative |= x < 0;
  }
}

static void check_values(check *c, int64_t index, const char *where) {
  const zg_array *array = &c->zoo->arrays[index];
  int64_t count = array->n * array->d, step = zg_reader_slab_rows(1);
  findings f = {.finite = true, .zero = true};
  zg_status status = ZG_OK;
  for (int64_t at = 0; status == ZG_OK && at < count; at += step) {
    zg_slab slab;
    status = zg_reader_flat(c->reader, index, at, zg_min(step, count - at), &slab);
    if (status == ZG_OK) look_at(&slab, &f);
  }
  bool gradient = array->data == ZG_GRADIENTS || array->data == ZG_SAMPLE_GRADIENTS;
  if (status != ZG_OK)
    fault(c, where, "its numbers cannot be read");
  else if (!f.finite)
    fault(c, where, "contains NaN or infinite numbers");
  else if (gradient && f.zero)
    fault(c, where, "is zero");
  else if (array->data == ZG_NTK_INDEX && f.negative)
    fault(c, where, "contains negative indices");
}

static void check_kind(check *c, int64_t index, const char *where) {
  const zg_array *array = &c->zoo->arrays[index];
  if (array->kind == ZG_WEIGHT_LINEAR && array->rank != 2)
    fault(c, where, "has %d axes; a linear weight has 2 axes", array->rank);
  if (array->kind != ZG_WEIGHT_CONV) return;
  zg_conv_attributes conv;
  if (zg_reader_convolution(c->reader, index, &conv) != ZG_OK)
    fault(c, where, "cannot be opened");
  else if (conv.problem[0])
    fault(c, where, "%s", conv.problem);
}

static void check_radius(check *c, int64_t index, const char *where) {
  const zg_array *array = &c->zoo->arrays[index];
  double *values;
  int64_t count;
  bool positive = true;
  zg_status status = zg_reader_numbers(c->reader, index, "radius", &values, &count);
  for (int64_t k = 0; k < count; k++)
    positive &= isfinite(values[k]) && values[k] > 0;
  if (status != ZG_OK)
    fault(c, where, "attribute 'radius' is no list of numbers");
  else if (count == 0)
    fault(c, where, "has no attribute 'radius'");
  else if (count != array->n)
    fault(c, where, "attribute 'radius' has %lld entries for %lld radii",
          (long long)count, (long long)array->n);
  else if (!positive)
    fault(c, where, "attribute 'radius' has entries that are no positive numbers");
  free(values);
}

/* Numbers of the weights that are named, or of all where `names` is empty; -1 after a
 * fault. */
static int64_t count_parameters(check *c, int64_t model, const zg_list *names,
                                const char *where) {
  int64_t weights, first = zg_zoo_find(c->zoo, ZG_WEIGHTS, model, &weights), sum = 0;
  zg_list known = {0};
  const char *stranger = NULL;
  for (int64_t k = first; k < first + weights; k++) {
    zg_list_add(&known, c->zoo->arrays[k].name);
    if (names->count == 0) sum += c->zoo->arrays[k].n * c->zoo->arrays[k].d;
  }
  for (int64_t k = 0; k < names->count && !stranger; k++) {
    int64_t found = zg_list_find(&known, names->items[k]);
    if (found < 0)
      stranger = names->items[k];
    else
      sum += c->zoo->arrays[first + found].n * c->zoo->arrays[first + found].d;
  }
  if (stranger)
    fault(c, where, "attribute 'parameters' has '%s', which is none of the weights",
          stranger);
  zg_list_clear(&known);
  return stranger ? -1 : sum;
}

/* Gradients of a model whose weights are there have the same parameters. */
static void check_parameters(check *c, int64_t index, const char *where) {
  const zg_array *array = &c->zoo->arrays[index];
  int64_t weights, length = array->dims[array->rank - 1];
  zg_list names = {0};
  zg_zoo_find(c->zoo, ZG_WEIGHTS, array->model, &weights);
  if (zg_reader_words(c->reader, index, "parameters", &names) != ZG_OK) {
    fault(c, where, "attribute 'parameters' is no list of names");
  } else if (weights) {
    int64_t sum = count_parameters(c, array->model, &names, where);
    if (sum >= 0 && sum != length)
      fault(c, where, "has %lld parameters, but %s have %lld numbers",
            (long long)length, names.count ? "those it names" : "the weights",
            (long long)sum);
  }
  zg_list_clear(&names);
}

static void check_array(check *c, int64_t index) {
  char *where = place(c, index);
  check_values(c, index, where);
  switch (c->zoo->arrays[index].data) {
  case ZG_WEIGHTS:
    check_kind(c, index, where);
    break;
  case ZG_GRADIENTS:
  case ZG_SAMPLE_GRADIENTS:
  case ZG_JACOBIAN:
    check_parameters(c, index, where);
    break;
  case ZG_SHARPNESS:
    check_radius(c, index, where);
    break;
  default:
    break;
  }
  free(where);
}

static void report_tangent(void *context, int64_t index, const char *what) {
  check *c = context;
  char *where = place(c, index);
  fault(c, where, "%s", what);
  free(where);
}

/* ---- the file ---- */

/* Samples that ids and labels may belong to; 0: none. */
static int64_t sample_count(const zg_zoo *zoo) {
  if (zoo->layer_count) return zoo->arrays[0].n;
  int64_t logits = zoo->first[ZG_LOGITS];
  return logits < zoo->first[ZG_LOGITS + 1] ? zoo->arrays[logits].n : 0;
}

static void check_samples(check *c) {
  const zg_file *file = &c->zoo->files[0];
  int64_t n = sample_count(c->zoo);
  const struct {
    const char *where;
    int64_t length;
  } lists[] = {{"/samples/id", file->ids}, {"/samples/label", file->labels}};
  for (int k = 0; k < 2; k++)
    if (lists[k].length && n && lists[k].length != n)
      fault(c, lists[k].where, "has %lld entries for %lld samples",
            (long long)lists[k].length, (long long)n);
}

zg_status zg_zoo_check(const char *path, zg_fault_fn *report, void *context,
                       int64_t *faults) {
  zg_list paths = {0};
  zg_list_add(&paths, path);
  zg_zoo *zoo = NULL;
  zg_status status = zg_zoo_scan(&paths, NULL, report, context, &zoo, faults);
  zg_list_clear(&paths);
  if (status != ZG_OK) return status;
  check c = {.zoo = zoo,
             .reader = zg_reader_create(zoo),
             .report = report,
             .context = context};
  check_samples(&c);
  for (int64_t k = 0; k < zoo->layer_count; k++)
    check_layer(&c, k);
  for (int64_t k = zoo->layer_count; k < zoo->array_count; k++)
    check_array(&c, k);
  zg_tangent_faults(zoo, report_tangent, &c);
  *faults += c.faults;
  zg_reader_destroy(&c.reader);
  zg_zoo_destroy(&zoo);
  return ZG_OK;
}
