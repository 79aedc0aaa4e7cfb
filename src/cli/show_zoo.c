#include "base/memory.h"
#include "cli/show.h"
#include "zoo/zoo.h"

#include <stdio.h>
#include <stdlib.h>

/* Without a pattern the layers are listed when they are at most so many. */
enum { FEW_LAYERS = 40 };

static double array_bytes(const zg_array *array) {
  return (double)array->n * (double)array->d * (double)zg_dtype_bytes(array->dtype);
}

/* What the layers of one model have in common. */
typedef struct summary {
  int64_t layers, least_n, most_n, least_d, most_d;
  zg_dtype dtype;
  bool mixed; /* of several types */
  double bytes;
} summary;

/* Summarise the layers from `first` on that belong to its model. */
static summary summarise(const zg_zoo *zoo, int64_t first) {
  const zg_array *layer = &zoo->arrays[first], *end = zoo->arrays + zoo->layer_count;
  summary s = {.least_n = layer->n,
               .most_n = layer->n,
               .least_d = layer->d,
               .most_d = layer->d,
               .dtype = layer->dtype};
  for (int64_t model = layer->model; layer < end && layer->model == model; layer++) {
    s.layers++;
    s.least_n = zg_min(s.least_n, layer->n), s.most_n = zg_max(s.most_n, layer->n);
    s.least_d = zg_min(s.least_d, layer->d), s.most_d = zg_max(s.most_d, layer->d);
    s.mixed |= layer->dtype != s.dtype;
    s.bytes += array_bytes(layer);
  }
  return s;
}

static void add_range(zg_table *table, int64_t least, int64_t most) {
  if (least == most)
    zg_table_add(table, "%lld", (long long)least);
  else
    zg_table_add(table, "%lld-%lld", (long long)least, (long long)most);
}

static void print_activations(const zg_zoo *zoo) {
  static const char *const head[] = {"model", "layers", "n", "width",
                                     "type",  "size",   NULL};
  zg_table table = {.align = "lrrrlr"};
  char size[ZG_UNIT_BYTES];
  zg_table_add_row(&table, head);
  for (int64_t first = 0; first < zoo->layer_count;) {
    summary s = summarise(zoo, first);
    zg_table_add(&table, "%s", zoo->models[zoo->arrays[first].model].name);
    zg_table_add(&table, "%lld", (long long)s.layers);
    add_range(&table, s.least_n, s.most_n);
    add_range(&table, s.least_d, s.most_d);
    zg_table_add(&table, "%s", s.mixed ? "mixed" : zg_dtype_name(s.dtype));
    zg_table_add(&table, "%s", zg_format_bytes(size, s.bytes));
    first += s.layers;
  }
  zg_table_print(&table, 0);
}

/* What all arrays of one kind of data have in common. */
typedef struct census {
  int64_t models, arrays, weights[ZG_WEIGHT_KINDS];
  int least_rank, most_rank;
  int64_t least[ZG_MAX_DIMS], most[ZG_MAX_DIMS]; /* of each axis */
  zg_dtype dtype;
  bool mixed; /* of several types */
  double numbers, bytes;
} census;

static census take_census(const zg_zoo *zoo, zg_data data) {
  const zg_array *first = &zoo->arrays[zoo->first[data]],
                 *end = &zoo->arrays[zoo->first[data + 1]];
  census c = {.least_rank = ZG_MAX_DIMS, .dtype = first->dtype};
  for (const zg_array *a = first; a < end; a++) {
    c.arrays++;
    c.models += a == first || a->model != a[-1].model;
    c.weights[a->kind]++;
    c.least_rank = a->rank < c.least_rank ? a->rank : c.least_rank;
    c.most_rank = a->rank > c.most_rank ? a->rank : c.most_rank;
    for (int k = 0; k < a->rank; k++) {
      c.least[k] = a == first ? a->dims[k] : zg_min(c.least[k], a->dims[k]);
      c.most[k] = zg_max(c.most[k], a->dims[k]);
    }
    c.mixed |= a->dtype != c.dtype;
    c.numbers += (double)a->n * (double)a->d;
    c.bytes += array_bytes(a);
  }
  return c;
}

/* "32 x 10 x 16-64", or "1-4 axes". */
static void add_axes(zg_table *table, const census *c) {
  zg_text text = {0};
  for (int k = 0; c->least_rank == c->most_rank && k < c->most_rank; k++) {
    zg_text_add(&text, "%s%lld", k ? " x " : "", (long long)c->least[k]);
    if (c->most[k] > c->least[k]) zg_text_add(&text, "-%lld", (long long)c->most[k]);
  }
  if (c->least_rank != c->most_rank)
    zg_text_add(&text, "%d-%d axes", c->least_rank, c->most_rank);
  zg_table_add(table, "%s", zg_text_get(&text));
  zg_text_clear(&text);
}

/* "4 linear, 4 bias" */
static void add_kinds(zg_table *table, const census *c) {
  zg_text text = {0};
  for (int k = 0; k < ZG_WEIGHT_KINDS; k++)
    if (c->weights[k])
      zg_text_add(&text, "%s%lld %s", text.length ? ", " : "", (long long)c->weights[k],
                  zg_weight_kind_name((zg_weight_kind)k));
  zg_table_add(table, "%s", zg_text_get(&text));
  zg_text_clear(&text);
}

/* One line for each kind of data besides activations. */
static void print_data(const zg_zoo *zoo) {
  static const char *const head[] = {"data", "models", "arrays", "shape", "numbers",
                                     "type", "size",   "",       NULL};
  zg_table table = {.align = "lrrlrlrl"};
  char size[ZG_UNIT_BYTES];
  zg_table_add_row(&table, head);
  for (zg_data data = ZG_ACTIVATIONS + 1; data < ZG_DATA; data++) {
    if (zoo->first[data] == zoo->first[data + 1]) continue;
    census c = take_census(zoo, data);
    zg_table_add(&table, "%s", zg_data_name(data));
    zg_table_add(&table, "%lld", (long long)c.models);
    zg_table_add(&table, "%lld", (long long)c.arrays);
    add_axes(&table, &c);
    zg_table_add(&table, "%.0f", c.numbers);
    zg_table_add(&table, "%s", c.mixed ? "mixed" : zg_dtype_name(c.dtype));
    zg_table_add(&table, "%s", zg_format_bytes(size, c.bytes));
    if (data == ZG_WEIGHTS)
      add_kinds(&table, &c);
    else
      zg_table_add(&table, "%s", "");
  }
  zg_table_print(&table, 0);
}

static void add_shape(zg_table *table, const zg_array *array) {
  zg_text shape = {0};
  for (int k = 0; k < array->rank; k++)
    zg_text_add(&shape, "%s%lld", k ? " x " : "", (long long)array->dims[k]);
  zg_table_add(table, "%s", array->rank ? zg_text_get(&shape) : "scalar");
  zg_text_clear(&shape);
}

static void print_layers(const zg_zoo *zoo) {
  static const char *const head[] = {"layer", "shape", "width", "type",
                                     "size",  "",      NULL};
  zg_table table = {.align = "llrlrl"};
  char size[ZG_UNIT_BYTES];
  zg_table_add_row(&table, head);
  for (int64_t k = 0; k < zoo->layer_count; k++) {
    const zg_array *layer = &zoo->arrays[k];
    char *name = zg_zoo_item_name(zoo, k);
    zg_table_add(&table, "%s", name);
    free(name);
    add_shape(&table, layer);
    zg_table_add(&table, "%lld", (long long)layer->d);
    zg_table_add(&table, "%s", zg_dtype_name(layer->dtype));
    zg_table_add(&table, "%s", zg_format_bytes(size, array_bytes(layer)));
    zg_table_add(&table, "%s", layer->compressed ? "compressed" : "");
  }
  zg_table_print(&table, 0);
}

static bool is_factor(const zg_array *array) {
  return array->data >= ZG_NTK_INPUT && array->data <= ZG_NTK_DIRECT;
}

static void add_remarks(zg_table *table, const zg_array *array) {
  zg_text text = {0};
  if (array->data == ZG_WEIGHTS)
    zg_text_add(&text, "%s", zg_weight_kind_name(array->kind));
  if (array->data == ZG_NTK_SIGNAL && !array->bias) zg_text_add(&text, "no bias");
  if (array->compressed) zg_text_add(&text, "%scompressed", text.length ? ", " : "");
  zg_table_add(table, "%s", zg_text_get(&text));
  zg_text_clear(&text);
}

/* Every array besides the activations. */
static void print_arrays(const zg_zoo *zoo) {
  static const char *const head[] = {"array", "data", "shape", "type",
                                     "size",  "",     NULL};
  zg_table table = {.align = "llllrl"};
  char size[ZG_UNIT_BYTES];
  zg_table_add_row(&table, head);
  for (int64_t k = zoo->layer_count; k < zoo->array_count; k++) {
    const zg_array *array = &zoo->arrays[k];
    char *name = zg_zoo_item_name(zoo, k);
    zg_table_add(&table, "%s", name);
    free(name);
    zg_table_add(&table, "%s", zg_data_name(array->data));
    add_shape(&table, array);
    zg_table_add(&table, "%s", zg_dtype_name(array->dtype));
    zg_table_add(&table, "%s", zg_format_bytes(size, array_bytes(array)));
    add_remarks(&table, array);
  }
  zg_table_print(&table, 0);
}

static void print_count(const char *what, int64_t count) {
  if (count)
    printf(", %lld %s", (long long)count, what);
  else
    printf(", no %s", what);
}

static void print_total(const zg_zoo *zoo) {
  char size[ZG_UNIT_BYTES];
  double bytes = 0;
  int64_t others = zoo->array_count - zoo->layer_count;
  for (int64_t k = 0; k < zoo->array_count; k++)
    bytes += array_bytes(&zoo->arrays[k]);
  printf("%lld model%s, %lld layer%s", (long long)zoo->model_count,
         zoo->model_count == 1 ? "" : "s", (long long)zoo->layer_count,
         zoo->layer_count == 1 ? "" : "s");
  if (others) printf(", %lld other array%s", (long long)others, others == 1 ? "" : "s");
  printf(", %s", zg_format_bytes(size, bytes));
  print_count("sample ids", zoo->files[0].ids);
  print_count("sample labels", zoo->files[0].labels);
  printf("\n");
}

static json_t *array_json(const zg_array *array) {
  json_t *shape = json_array();
  for (int k = 0; k < array->rank; k++)
    json_array_append_new(shape, json_integer(array->dims[k]));
  json_t *json =
      json_pack("{s:o, s:I, s:I, s:o, s:s, s:b}", "name", zg_json_text(array->name),
                "n", (json_int_t)array->n, "d", (json_int_t)array->d, "shape", shape,
                "dtype", zg_dtype_name(array->dtype), "compressed", array->compressed);
  if (array->data == ZG_WEIGHTS)
    json_object_set_new(json, "kind", json_string(zg_weight_kind_name(array->kind)));
  if (is_factor(array)) json_object_set_new(json, "bias", json_boolean(array->bias));
  return json;
}

static json_t *arrays_json(const zg_zoo *zoo, zg_data data, int64_t model) {
  int64_t count, first = zg_zoo_find(zoo, data, model, &count);
  json_t *list = json_array();
  for (int64_t k = first; k < first + count; k++)
    json_array_append_new(list, array_json(&zoo->arrays[k]));
  return list;
}

/* A model: its layers, and beside them under "data" what else it has. */
static json_t *model_json(const zg_zoo *zoo, int64_t model) {
  json_t *others = json_object();
  for (zg_data data = ZG_ACTIVATIONS + 1; data < ZG_DATA; data++) {
    json_t *list = arrays_json(zoo, data, model);
    if (json_array_size(list)) json_object_set(others, zg_data_name(data), list);
    json_decref(list);
  }
  return json_pack("{s:o, s:o, s:o}", "name", zg_json_text(zoo->models[model].name),
                   "layers", arrays_json(zoo, ZG_ACTIVATIONS, model), "data", others);
}

static json_t *zoo_json(const zg_zoo *zoo, const char *path) {
  json_t *models = json_array();
  for (int64_t k = 0; k < zoo->model_count; k++)
    json_array_append_new(models, model_json(zoo, k));
  return json_pack("{s:o, s:s, s:I, s:I, s:o}", "file", zg_json_text(path), "format",
                   "zoogram-zoo", "sample_ids", (json_int_t)zoo->files[0].ids,
                   "sample_labels", (json_int_t)zoo->files[0].labels, "models", models);
}

/* Tables with a blank line behind each. */
static void print_zoo(const zg_zoo *zoo, bool all) {
  const struct {
    bool wanted;
    void (*print)(const zg_zoo *zoo);
  } tables[] = {
      {zoo->layer_count > 0, print_activations},
      {zoo->array_count > zoo->layer_count, print_data},
      {zoo->layer_count > 0 && (all || zoo->layer_count <= FEW_LAYERS), print_layers},
      {zoo->array_count > zoo->layer_count && all, print_arrays}};
  for (size_t k = 0; k < sizeof tables / sizeof *tables; k++)
    if (tables[k].wanted) {
      tables[k].print(zoo);
      printf("\n");
    }
  print_total(zoo);
}

zg_status zg_show_zoo(const char *path, const char *pattern, bool json) {
  zg_list paths = {0};
  zg_select select = {0};
  zg_zoo *zoo;
  zg_list_add(&paths, path);
  if (pattern) zg_list_add(&select.models, pattern);
  zg_status status = zg_zoo_open(&paths, &select, &zoo);
  zg_list_clear(&paths);
  zg_list_clear(&select.models);
  ZG_TRY(status);
  if (json)
    zg_json_print(zoo_json(zoo, path));
  else
    print_zoo(zoo, pattern != NULL);
  zg_zoo_destroy(&zoo);
  return ZG_OK;
}
