/** \file
 * Validation of a whole zoo file, data included, for `zoogram show --check`. */
#include "base/memory.h"
#include "base/sandbox.h"
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
  bool missing, infinite, zero, negative; /* missing: NaN */
  double worst; /* of the sums that have to be 1, how far off */
} findings;

static void look_at(const zg_slab *slab, findings *f) {
  for (int64_t k = 0; k < slab->rows * slab->d; k++) {
    double x = zg_real_value(slab->precision, slab->data, k);
    f->missing |= isnan(x) != 0;
    f->infinite |= isinf(x) != 0;
    f->zero &= x == 0;
    f->negative |= x < 0;
  }
}

/* Sums over runs of `length` numbers, which the slab does not cut. */
static void look_at_shares(const zg_slab *slab, int64_t length, findings *f) {
  for (int64_t start = 0; start < slab->rows * slab->d; start += length) {
    double sum = 0;
    for (int64_t k = start; k < start + length; k++)
      sum += zg_real_value(slab->precision, slab->data, k);
    f->worst = fmax(f->worst, fabs(sum - 1));
  }
}

/* Numbers of the last axes over which the sum is 1; else 1. */
static int64_t share_length(const zg_array *array) {
  int64_t length = 1;
  for (int k = 0; k < zg_data_form_of(array->data)->shares; k++)
    length *= array->dims[array->rank - 1 - k];
  return length;
}

static zg_status look_through(const check *c, int64_t index, findings *f) {
  const zg_array *array = &c->zoo->arrays[index];
  int64_t length = share_length(array), count = array->n * array->d;
  int64_t step = zg_reader_slab_rows(length) * length;
  *f = (findings){.zero = true};
  for (int64_t at = 0; at < count; at += step) {
    zg_slab slab;
    ZG_TRY(zg_reader_flat(c->reader, index, at, zg_min(step, count - at), &slab));
    look_at(&slab, f);
    if (zg_data_form_of(array->data)->shares) look_at_shares(&slab, length, f);
  }
  return ZG_OK;
}

static void check_values(check *c, int64_t index, const char *where) {
  const zg_array *array = &c->zoo->arrays[index];
  const zg_data_form *form = zg_data_form_of(array->data);
  /* Softmax in bfloat16 or half is off by so much; more is no softmax. */
  const double tolerance = 2e-3 + 4 * zg_dtype_epsilon(array->dtype);
  bool gradient = array->data == ZG_GRADIENTS || array->data == ZG_SAMPLE_GRADIENTS;
  findings f;
  if (look_through(c, index, &f) != ZG_OK)
    fault(c, where, "its numbers cannot be read");
  else if (f.infinite || (f.missing && !form->gaps))
    fault(c, where, "contains NaN or infinite numbers");
  else if (gradient && f.zero)
    fault(c, where, "is zero");
  else if (form->positive && f.negative)
    fault(c, where, "contains negative %s",
          form->holds == ZG_HOLDS_INTEGERS ? "indices" : "numbers");
  else if (form->shares && !(f.worst <= tolerance))
    fault(c, where, "its %s do not sum to 1: one is off by %.3g",
          form->shares == 1 ? "rows" : "maps", f.worst);
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
  const char *stranger = NULL, *twice = NULL;
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
  for (int64_t k = 0; k < names->count && !twice; k++)
    if (zg_list_find(names, names->items[k]) < k) twice = names->items[k];
  if (twice) fault(c, where, "attribute 'parameters' has '%s' twice", twice);
  if (stranger)
    fault(c, where, "attribute 'parameters' has '%s', which is none of the weights",
          stranger);
  zg_list_clear(&known);
  return stranger || twice ? -1 : sum;
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

/* The array of a kind that has the same model and name; NULL: none. */
static const zg_array *counterpart(const check *c, const zg_array *array,
                                   zg_data data) {
  int64_t count, first = zg_zoo_find(c->zoo, data, array->model, &count);
  for (int64_t k = first; k < first + count; k++)
    if (!strcmp(c->zoo->arrays[k].name, array->name)) return &c->zoo->arrays[k];
  return NULL;
}

static void check_map(check *c, const zg_array *map, const char *where) {
  const zg_array *layer = counterpart(c, map, ZG_ACTIVATIONS);
  if (!layer)
    fault(c, where, "is the map of a layer that has no activations");
  else if (layer->n != map->n)
    fault(c, where, "has %lld samples; the activations of this layer have %lld",
          (long long)map->n, (long long)layer->n);
}

static void check_heads(check *c, const zg_array *importance, const char *where) {
  const zg_array *attention = counterpart(c, importance, ZG_ATTENTION);
  if (attention && attention->dims[1] != importance->n)
    fault(c, where, "has %lld heads; the attention of this layer has %lld",
          (long long)importance->n, (long long)attention->dims[1]);
}

static void check_margins(check *c, const zg_array *margins, const char *where) {
  const zg_array *logits = counterpart(c, margins, ZG_LOGITS);
  if (!logits)
    fault(c, where, "stands without logits");
  else if (logits->n != margins->n || logits->d != margins->d)
    fault(c, where, "is %lld x %lld; the logits are %lld x %lld", (long long)margins->n,
          (long long)margins->d, (long long)logits->n, (long long)logits->d);
}

static void check_edges(check *c, int64_t index, const char *where) {
  const zg_array *edges = &c->zoo->arrays[index];
  const zg_array *nodes = counterpart(c, edges, ZG_GRAPH_OP);
  if (!nodes || edges->n == 0) return;
  int64_t *ends = ZG_NEW(int64_t, 2 * edges->n), last = -1;
  if (zg_reader_integers(c->reader, index, 0, edges->n, ends) == ZG_OK)
    for (int64_t k = 0; k < 2 * edges->n; k++)
      last = zg_max(last, ends[k]);
  if (last >= nodes->n)
    fault(c, where, "leads to node %lld of %lld (they count from 0)", (long long)last,
          (long long)nodes->n);
  free(ends);
}

static void check_words(check *c, int64_t index, const char *where) {
  zg_list words = {0};
  if (zg_reader_texts(c->reader, index, &words) != ZG_OK)
    fault(c, where, "its strings cannot be read");
  zg_list_clear(&words);
}

static void check_array(check *c, int64_t index) {
  const zg_array *array = &c->zoo->arrays[index];
  char *where = place(c, index);
  if (array->dtype == ZG_STRING)
    check_words(c, index, where);
  else
    check_values(c, index, where);
  switch (array->data) {
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
  case ZG_MARGIN_GRADIENTS:
    check_margins(c, array, where);
    break;
  case ZG_HEAD_IMPORTANCE:
    check_heads(c, array, where);
    break;
  case ZG_MAPS:
    check_map(c, array, where);
    break;
  case ZG_GRAPH_EDGE:
    check_edges(c, index, where);
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

/* All numbers are going to be read, which takes longer than the catalogue has. */
static void allow_time(const zg_zoo *zoo) {
  const double base = 5, numbers_per_second = 1e6;
  double numbers = 0;
  for (int64_t k = 0; k < zoo->array_count; k++)
    numbers += (double)zoo->arrays[k].n * (double)zoo->arrays[k].d;
  zg_sandbox_allow(base + numbers / numbers_per_second);
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
  allow_time(zoo);
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
