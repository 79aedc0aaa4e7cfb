/** \file
 * The catalogue: finding files, scanning their headers, selecting models and layers. */
#include "base/memory.h"
#include "zoo/h5.h"
#include "zoo/scan.h"
#include "zoo/type.h"
#include "zoo/zoo.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int compare_paths(const void *a, const void *b) {
  return zg_natural_compare(*(char *const *)a, *(char *const *)b);
}

/* A name that exists is that file, whatever characters it has. */
static bool is_pattern(const char *path) {
  return strpbrk(path, "*?[") != NULL && access(path, F_OK) != 0;
}

/* A job's directory is no part of the pattern. */
static char *literal_directory(const char *directory) {
  zg_text text = {0};
  for (; *directory; directory++)
    zg_text_add(&text, strchr("*?[\\", *directory) ? "\\%c" : "%c", *directory);
  return text.data;
}

static zg_status expand_pattern(const char *entry, const char *directory,
                                zg_list *paths) {
  char *literal = literal_directory(directory), *pattern = zg_path_join(literal, entry);
  glob_t found = {0};
  zg_status status = ZG_OK;
  if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
    qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, compare_paths);
    for (size_t f = 0; f < found.gl_pathc; f++)
      zg_list_add(paths, found.gl_pathv[f]);
  } else {
    status =
        zg_fail(ZG_ERR_INPUT, "%s/%s: no file matches this pattern", directory, entry);
  }
  globfree(&found);
  free(pattern);
  free(literal);
  return status;
}

zg_status zg_zoo_expand(const zg_list *entries, const char *directory, zg_list *paths) {
  zg_status status = ZG_OK;
  for (int64_t k = 0; status == ZG_OK && k < entries->count; k++) {
    char *path = zg_path_join(directory, entries->items[k]);
    if (is_pattern(path))
      status = expand_pattern(entries->items[k], directory, paths);
    else
      zg_list_add(paths, path);
    free(path);
  }
  return status;
}

/* A scan in progress: the catalogue as it grows. */
typedef struct scan {
  zg_zoo *zoo;
  const zg_select *select;
  int64_t model_capacity, layer_capacity;
  bool *model_pattern_met,
      *layer_pattern_met; /* by position in the lists of patterns */
  zg_fault_fn *report;    /* told of what is left out instead of failing; NULL: fail */
  void *context;
  int64_t faults;
} scan;

static bool selected(const zg_list *patterns, bool *met, const char *name) {
  bool any = patterns->count == 0;
  for (int64_t k = 0; k < patterns->count; k++)
    if (zg_matches(patterns->items[k], name)) any = met[k] = true;
  return any;
}

static zg_layer *append_layer(scan *s, const char *name) {
  zg_zoo *zoo = s->zoo;
  if (zoo->layer_count == s->layer_capacity) {
    s->layer_capacity = 2 * s->layer_capacity + 64;
    zoo->layers = zg_realloc(zoo->layers, s->layer_capacity, sizeof *zoo->layers);
  }
  zg_layer *layer = &zoo->layers[zoo->layer_count++];
  *layer = (zg_layer){.name = zg_strdup(name), .model = zoo->model_count - 1};
  return layer;
}

static zg_model *append_model(scan *s, const char *name) {
  zg_zoo *zoo = s->zoo;
  if (zoo->model_count == s->model_capacity) {
    s->model_capacity = 2 * s->model_capacity + 64;
    zoo->models = zg_realloc(zoo->models, s->model_capacity, sizeof *zoo->models);
  }
  zg_model *model = &zoo->models[zoo->model_count++];
  *model = (zg_model){.name = zg_strdup(name), .file = zoo->file_count - 1};
  return model;
}

static zg_status read_shape(hid_t dataset, const char *where, zg_layer *layer) {
  ZG_H5 space = H5Dget_space(dataset);
  hsize_t dims[ZG_MAX_DIMS];
  layer->rank = H5Sget_simple_extent_ndims(space);
  if (layer->rank < 1 || layer->rank > ZG_MAX_DIMS)
    return zg_fail(ZG_ERR_DATA, "%s: has no axis of samples", where);
  H5Sget_simple_extent_dims(space, dims, NULL);
  layer->n = (int64_t)dims[0];
  layer->d = 1;
  for (int k = 0; k < layer->rank; k++) {
    layer->dims[k] = (int64_t)dims[k];
    if (k > 0 && __builtin_mul_overflow(layer->d, (int64_t)dims[k], &layer->d))
      return zg_fail(ZG_ERR_DATA, "%s: its shape is too large", where);
  }
  int64_t bytes;
  if (layer->n >= INT32_MAX || layer->d >= INT32_MAX ||
      __builtin_mul_overflow(layer->n * 8, layer->d, &bytes))
    return zg_fail(ZG_ERR_DATA, "%s: %lld samples of %lld features are too many", where,
                   (long long)layer->n, (long long)layer->d);
  if (layer->d < 1) return zg_fail(ZG_ERR_DATA, "%s: has no features", where);
  return ZG_OK;
}

static bool has_filter(hid_t dataset) {
  ZG_H5 creation = H5Dget_create_plist(dataset);
  return H5Pget_nfilters(creation) > 0;
}

static zg_status scan_layer(scan *s, hid_t group, const char *model, const char *name) {
  const char *path = s->zoo->files[s->zoo->file_count - 1].path;
  char where[ZG_MESSAGE_BYTES];
  snprintf(where, sizeof where, "%s: model '%s', layer '%s'", path, model, name);
  ZG_H5 dataset = H5Oopen(group, name, H5P_DEFAULT);
  if (dataset < 0)
    return zg_fail(ZG_ERR_DATA, "%s: cannot be opened (a link that leads nowhere?)",
                   where);
  if (H5Iget_type(dataset) != H5I_DATASET)
    return zg_fail(ZG_ERR_DATA, "%s: is not a dataset", where);
  ZG_H5 type = H5Dget_type(dataset);
  zg_layer *layer = append_layer(s, name);
  if (!zg_dtype_of(type, &layer->dtype))
    return zg_fail(ZG_ERR_DATA, "%s: holds %s where numbers belong", where,
                   H5Tget_class(type) == H5T_STRING ? "strings" : "something else");
  layer->compressed = has_filter(dataset);
  return read_shape(dataset, where, layer);
}

/* What to do when a model or layer cannot be used: leave it out and go on, or fail. */
static zg_status excuse(scan *s, zg_status status) {
  if (status == ZG_OK || !s->report) return status;
  s->faults++;
  const char *path = s->zoo->files[s->zoo->file_count - 1].path, *what = zg_message();
  size_t length = strlen(path);
  if (!strncmp(what, path, length) && !strncmp(what + length, ": ", 2))
    what += length + 2;
  s->report(s->context, path, what);
  return ZG_OK;
}

/* A layer that was begun and is not usable. */
static void drop_layer(scan *s, int64_t count) {
  while (s->zoo->layer_count > count)
    free(s->zoo->layers[--s->zoo->layer_count].name);
}

static zg_status add_layer(scan *s, hid_t group, const char *model, const char *name) {
  int64_t count = s->zoo->layer_count;
  zg_status status = scan_layer(s, group, model, name);
  if (status != ZG_OK) drop_layer(s, count);
  return excuse(s, status);
}

static zg_status scan_layers(scan *s, hid_t model_group, const char *model) {
  if (H5Lexists(model_group, "activations", H5P_DEFAULT) <= 0) return ZG_OK;
  ZG_H5 group = H5Gopen2(model_group, "activations", H5P_DEFAULT);
  zg_list names = {0};
  zg_status status = group < 0 ? ZG_ERR_DATA : zg_h5_members(group, &names);
  if (status != ZG_OK)
    zg_fail(status, "%s: model '%s': 'activations' is not a group that can be listed",
            s->zoo->files[s->zoo->file_count - 1].path, model);
  s->zoo->layers_found += names.count;
  for (int64_t k = 0; status == ZG_OK && k < names.count; k++)
    if (!s->select ||
        selected(&s->select->layers, s->layer_pattern_met, names.items[k]))
      status = add_layer(s, group, model, names.items[k]);
  zg_list_clear(&names);
  return status;
}

static zg_status check_unique(const scan *s, const char *name) {
  const zg_zoo *zoo = s->zoo;
  for (int64_t k = 0; k < zoo->model_count; k++)
    if (!strcmp(zoo->models[k].name, name))
      return zg_fail(ZG_ERR_DATA, "%s: model '%s' exists already in %s",
                     zoo->files[zoo->file_count - 1].path, name,
                     zoo->files[zoo->models[k].file].path);
  return ZG_OK;
}

static zg_status scan_model(scan *s, hid_t models, const char *name) {
  if (s->select && !selected(&s->select->models, s->model_pattern_met, name))
    return ZG_OK;
  ZG_TRY(check_unique(s, name));
  ZG_H5 group = H5Gopen2(models, name, H5P_DEFAULT);
  if (group < 0)
    return zg_fail(ZG_ERR_DATA, "%s: model '%s' is not a group that can be opened",
                   s->zoo->files[s->zoo->file_count - 1].path, name);
  append_model(s, name);
  return scan_layers(s, group, name);
}

static int64_t dataset_length(hid_t file, const char *path) {
  if (H5Lexists(file, "samples", H5P_DEFAULT) <= 0 ||
      H5Lexists(file, path, H5P_DEFAULT) <= 0)
    return 0;
  ZG_H5 dataset = H5Dopen2(file, path, H5P_DEFAULT);
  if (dataset < 0) return 0;
  ZG_H5 space = H5Dget_space(dataset);
  hssize_t points = H5Sget_simple_extent_npoints(space);
  return H5Sget_simple_extent_ndims(space) == 1 && points > 0 ? (int64_t)points : 0;
}

static zg_status check_format(hid_t file, const char *path) {
  char *format = zg_h5_text_attribute(file, "format");
  bool fits = format && !strcmp(format, "zoogram-zoo");
  if (!fits)
    zg_fail(ZG_ERR_DATA, "%s: is not a zoo: root attribute 'format' is %s%s%s", path,
            format ? "'" : "missing", format ? format : "",
            format ? "' instead of 'zoogram-zoo'" : " (expected 'zoogram-zoo')");
  free(format);
  if (!fits) return ZG_ERR_DATA;
  int64_t version = zg_h5_int_attribute(file, "version", 0);
  if (version != 1)
    return zg_fail(ZG_ERR_DATA,
                   "%s: is a zoo of version %lld; this program reads version 1", path,
                   (long long)version);
  return ZG_OK;
}

static zg_status scan_file(scan *s, const char *path) {
  hid_t opened;
  ZG_TRY(zg_h5_open(path, &opened));
  ZG_H5 file = opened;
  ZG_TRY(check_format(file, path));
  zg_zoo *zoo = s->zoo;
  zoo->files = zg_realloc(zoo->files, zoo->file_count + 1, sizeof *zoo->files);
  zoo->files[zoo->file_count++] =
      (zg_file){.path = zg_strdup(path),
                .ids = dataset_length(file, "samples/id"),
                .labels = dataset_length(file, "samples/label")};
  if (H5Lexists(file, "models", H5P_DEFAULT) <= 0)
    return zg_fail(ZG_ERR_DATA, "%s: has no group '/models'", path);
  ZG_H5 models = H5Gopen2(file, "models", H5P_DEFAULT);
  zg_list names = {0};
  zg_status status = models < 0 ? ZG_ERR_DATA : zg_h5_members(models, &names);
  if (status != ZG_OK) zg_fail(status, "%s: '/models' cannot be listed", path);
  if (status == ZG_OK && names.count == 0)
    status = zg_fail(ZG_ERR_DATA, "%s: has no models", path);
  zoo->models_found += names.count;
  for (int64_t k = 0; status == ZG_OK && k < names.count; k++)
    status = excuse(s, scan_model(s, models, names.items[k]));
  zg_list_clear(&names);
  return status;
}

static zg_status check_patterns(const zg_list *patterns, const bool *met,
                                const char *what) {
  for (int64_t k = 0; k < patterns->count; k++)
    if (!met[k])
      return zg_fail(ZG_ERR_DATA,
                     "pattern '%s' of select.%s matches no %.*s of the zoo",
                     patterns->items[k], what, (int)strlen(what) - 1, what);
  return ZG_OK;
}

zg_status zg_zoo_open(const zg_list *paths, const zg_select *select, zg_zoo **zoo) {
  return zg_zoo_scan(paths, select, NULL, NULL, zoo, NULL);
}

zg_status zg_zoo_scan(const zg_list *paths, const zg_select *select,
                      zg_fault_fn *report, void *context, zg_zoo **zoo,
                      int64_t *faults) {
  scan s = {.zoo = ZG_NEW0(zg_zoo, 1),
            .select = select,
            .report = report,
            .context = context};
  *zoo = s.zoo;
  if (select) {
    s.zoo->samples = select->samples;
    s.model_pattern_met = ZG_NEW0(bool, select->models.count);
    s.layer_pattern_met = ZG_NEW0(bool, select->layers.count);
  }
  zg_status status = ZG_OK;
  for (int64_t k = 0; status == ZG_OK && k < paths->count; k++)
    status = scan_file(&s, paths->items[k]);
  if (select && status == ZG_OK)
    status = check_patterns(&select->models, s.model_pattern_met, "models");
  if (select && status == ZG_OK)
    status = check_patterns(&select->layers, s.layer_pattern_met, "layers");
  free(s.model_pattern_met);
  free(s.layer_pattern_met);
  if (faults) *faults = s.faults;
  if (status != ZG_OK) zg_zoo_destroy(zoo);
  return status;
}

void zg_zoo_destroy(zg_zoo **zoo) {
  if (!*zoo) return;
  for (int64_t k = 0; k < (*zoo)->file_count; k++)
    free((*zoo)->files[k].path);
  for (int64_t k = 0; k < (*zoo)->model_count; k++)
    free((*zoo)->models[k].name);
  for (int64_t k = 0; k < (*zoo)->layer_count; k++)
    free((*zoo)->layers[k].name);
  free((*zoo)->files);
  free((*zoo)->models);
  free((*zoo)->layers);
  free(*zoo);
  *zoo = NULL;
}

int64_t zg_zoo_rows(const zg_zoo *zoo, const zg_layer *layer) {
  return zoo->samples ? zg_min(zoo->samples, layer->n) : layer->n;
}

char *zg_zoo_item_name(const zg_zoo *zoo, int64_t layer) {
  zg_text name = {0};
  zg_text_add(&name, "%s/%s", zoo->models[zoo->layers[layer].model].name,
              zoo->layers[layer].name);
  return name.data;
}
