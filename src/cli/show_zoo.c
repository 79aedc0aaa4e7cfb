#include "base/memory.h"
#include "cli/show.h"
#include "zoo/zoo.h"

#include <stdio.h>
#include <stdlib.h>

/* Without a pattern the layers are listed when they are at most so many. */
enum { FEW_LAYERS = 40 };

static double layer_bytes(const zg_layer *layer) {
  return (double)layer->n * (double)layer->d * (double)zg_dtype_bytes(layer->dtype);
}

/* What the layers of one model, or of all, have in common. */
typedef struct summary {
  int64_t layers, least_n, most_n, least_d, most_d;
  zg_dtype dtype;
  bool mixed; /* of several types */
  double bytes;
} summary;

/* Summarise the layers from `first` on that belong to its model. */
static summary summarise(const zg_zoo *zoo, int64_t first) {
  const zg_layer *layer = &zoo->layers[first], *end = zoo->layers + zoo->layer_count;
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
    s.bytes += layer_bytes(layer);
  }
  return s;
}

static void add_range(zg_table *table, int64_t least, int64_t most) {
  if (least == most)
    zg_table_add(table, "%lld", (long long)least);
  else
    zg_table_add(table, "%lld-%lld", (long long)least, (long long)most);
}

static void print_models(const zg_zoo *zoo) {
  static const char *const head[] = {"model", "layers", "n", "width",
                                     "type",  "size",   NULL};
  zg_table table = {.align = "lrrrlr"};
  char size[ZG_UNIT_BYTES];
  zg_table_add_row(&table, head);
  for (int64_t first = 0; first < zoo->layer_count;) {
    summary s = summarise(zoo, first);
    zg_table_add(&table, "%s", zoo->models[zoo->layers[first].model].name);
    zg_table_add(&table, "%lld", (long long)s.layers);
    add_range(&table, s.least_n, s.most_n);
    add_range(&table, s.least_d, s.most_d);
    zg_table_add(&table, "%s", s.mixed ? "mixed" : zg_dtype_name(s.dtype));
    zg_table_add(&table, "%s", zg_format_bytes(size, s.bytes));
    first += s.layers;
  }
  zg_table_print(&table, 0);
}

static void add_shape(zg_table *table, const zg_layer *layer) {
  zg_text shape = {0};
  for (int k = 0; k < layer->rank; k++)
    zg_text_add(&shape, "%s%lld", k ? " x " : "", (long long)layer->dims[k]);
  zg_table_add(table, "%s", zg_text_get(&shape));
  zg_text_clear(&shape);
}

static void print_layers(const zg_zoo *zoo) {
  static const char *const head[] = {"layer", "shape", "width", "type",
                                     "size",  "",      NULL};
  zg_table table = {.align = "llrlrl"};
  char size[ZG_UNIT_BYTES];
  zg_table_add_row(&table, head);
  for (int64_t k = 0; k < zoo->layer_count; k++) {
    const zg_layer *layer = &zoo->layers[k];
    char *name = zg_zoo_item_name(zoo, k);
    zg_table_add(&table, "%s", name);
    free(name);
    add_shape(&table, layer);
    zg_table_add(&table, "%lld", (long long)layer->d);
    zg_table_add(&table, "%s", zg_dtype_name(layer->dtype));
    zg_table_add(&table, "%s", zg_format_bytes(size, layer_bytes(layer)));
    zg_table_add(&table, "%s", layer->compressed ? "compressed" : "");
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
  for (int64_t k = 0; k < zoo->layer_count; k++)
    bytes += layer_bytes(&zoo->layers[k]);
  printf("%lld model%s, %lld layer%s, %s", (long long)zoo->model_count,
         zoo->model_count == 1 ? "" : "s", (long long)zoo->layer_count,
         zoo->layer_count == 1 ? "" : "s", zg_format_bytes(size, bytes));
  print_count("sample ids", zoo->files[0].ids);
  print_count("sample labels", zoo->files[0].labels);
  printf("\n");
}

static json_t *layer_json(const zg_layer *layer) {
  json_t *shape = json_array();
  for (int k = 0; k < layer->rank; k++)
    json_array_append_new(shape, json_integer(layer->dims[k]));
  return json_pack("{s:o, s:I, s:I, s:o, s:s, s:b}", "name", zg_json_text(layer->name),
                   "n", (json_int_t)layer->n, "d", (json_int_t)layer->d, "shape", shape,
                   "dtype", zg_dtype_name(layer->dtype), "compressed",
                   layer->compressed);
}

static json_t *zoo_json(const zg_zoo *zoo, const char *path) {
  json_t *models = json_array();
  for (int64_t k = 0; k < zoo->layer_count; k++) {
    int64_t model = zoo->layers[k].model;
    if (!k || model != zoo->layers[k - 1].model)
      json_array_append_new(models,
                            json_pack("{s:o, s:[]}", "name",
                                      zg_json_text(zoo->models[model].name), "layers"));
    json_t *newest = json_array_get(models, json_array_size(models) - 1);
    json_array_append_new(json_object_get(newest, "layers"),
                          layer_json(&zoo->layers[k]));
  }
  return json_pack("{s:o, s:s, s:I, s:I, s:o}", "file", zg_json_text(path), "format",
                   "zoogram-zoo", "sample_ids", (json_int_t)zoo->files[0].ids,
                   "sample_labels", (json_int_t)zoo->files[0].labels, "models", models);
}

static void print_zoo(const zg_zoo *zoo, bool layers) {
  print_models(zoo);
  printf("\n");
  if (layers) {
    print_layers(zoo);
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
    print_zoo(zoo, pattern || zoo->layer_count <= FEW_LAYERS);
  zg_zoo_destroy(&zoo);
  return ZG_OK;
}
