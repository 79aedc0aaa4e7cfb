/** \file
 * Scanning the headers of files: models and their arrays, as far as they are asked for.
 */
#include "zoo/scan.h"

#include "base/memory.h"
#include "base/watchdog.h"
#include "zoo/data.h"
#include "zoo/h5.h"

#include <stdlib.h>
#include <string.h>

/* A scan in progress: the catalogue as it grows. */
typedef struct scan {
  zg_zoo *zoo;
  const zg_select *select;
  int64_t model_capacity, array_capacity;
  bool *model_pattern_met,
      *layer_pattern_met; /* by position in the lists of patterns */
  zg_fault_fn *report;    /* told of what is left out instead of failing; NULL: fail */
  void *context;
  int64_t faults;
} scan;

static const char *path_of_file(const scan *s) {
  return s->zoo->files[s->zoo->file_count - 1].path;
}

static const char *name_of_model(const scan *s) {
  return s->zoo->models[s->zoo->model_count - 1].name;
}

static bool selected(const zg_list *patterns, bool *met, const char *name) {
  bool any = patterns->count == 0;
  for (int64_t k = 0; k < patterns->count; k++)
    if (zg_matches(patterns->items[k], name)) any = met[k] = true;
  return any;
}

/* Of the model that was met last. \return its position. */
static int64_t append_array(scan *s, zg_data data, const char *name, int64_t place) {
  zg_zoo *zoo = s->zoo;
  if (zoo->array_count == s->array_capacity) {
    s->array_capacity = 2 * s->array_capacity + 64;
    zoo->arrays = zg_realloc(zoo->arrays, s->array_capacity, sizeof *zoo->arrays);
  }
  zoo->arrays[zoo->array_count] = (zg_array){.name = zg_strdup(name),
                                             .model = zoo->model_count - 1,
                                             .data = data,
                                             .place = place};
  return zoo->array_count++;
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

/* What to do when a model or array cannot be used: leave it out and go on, or fail. */
static zg_status excuse(scan *s, zg_status status) {
  if (status == ZG_OK || !s->report) return status;
  s->faults++;
  const char *path = path_of_file(s), *what = zg_message();
  size_t length = strlen(path);
  if (!strncmp(what, path, length) && !strncmp(what + length, ": ", 2))
    what += length + 2;
  s->report(s->context, path, what);
  return ZG_OK;
}

static bool wanted(const scan *s, zg_data data) {
  return !s->select || !s->select->data || (s->select->data & ZG_DATA_BIT(data));
}

static bool exists(hid_t group, const char *name) {
  return H5Lexists(group, name, H5P_DEFAULT) > 0;
}

/* An array that was begun and is not usable is left out again. */
static zg_status add_array(scan *s, hid_t group, const char *link, zg_data data,
                           const char *name, int64_t place) {
  if (!zg_is_utf8(name))
    return excuse(s, zg_fail(ZG_ERR_DATA,
                             "%s: model '%s': the name '%s' in %s is not UTF-8",
                             path_of_file(s), name_of_model(s), name,
                             zg_data_form_of(data)->group));
  int64_t index = append_array(s, data, name, place);
  zg_status status = zg_read_header(s->zoo, index, group, link);
  if (status != ZG_OK) {
    s->zoo->array_count = index;
    free(s->zoo->arrays[index].name);
  }
  return excuse(s, status);
}

/* The members of a model's group; none when it is absent. */
static zg_status list_group(const scan *s, hid_t model, const char *name, hid_t *group,
                            zg_list *names, bool *ordered) {
  *group = -1;
  if (!exists(model, name)) return ZG_OK;
  *group = H5Gopen2(model, name, H5P_DEFAULT);
  if (*group >= 0 && zg_h5_ordered_members(*group, names, ordered) == ZG_OK)
    return ZG_OK;
  return zg_fail(ZG_ERR_DATA, "%s: model '%s': '%s' is not a group that can be listed",
                 path_of_file(s), name_of_model(s), name);
}

/* Layers are selected by name. */
static bool selected_array(scan *s, zg_data data, const char *name) {
  return !zg_data_form_of(data)->by_layer || !s->select ||
         selected(&s->select->layers, s->layer_pattern_met, name);
}

/* A group of arrays: activations, weights, gradients, ... */
static zg_status scan_group(scan *s, hid_t model, zg_data data) {
  zg_list names = {0};
  ZG_H5 group = -1;
  bool ordered = false;
  zg_status status =
      list_group(s, model, zg_data_form_of(data)->group, &group, &names, &ordered);
  if (data == ZG_ACTIVATIONS) s->zoo->layers_found += names.count;
  if (data == ZG_WEIGHTS)
    s->zoo->models[s->zoo->model_count - 1].weights_ordered = names.count && ordered;
  for (int64_t k = 0; status == ZG_OK && k < names.count; k++)
    if (selected_array(s, data, names.items[k]))
      status = add_array(s, group, names.items[k], data, names.items[k], k);
  zg_list_clear(&names);
  return excuse(s, status);
}

/* One array: sample_gradients, jacobian, logits, ... */
static zg_status scan_single(scan *s, hid_t model, zg_data data) {
  const char *link = zg_data_form_of(data)->group;
  return exists(model, link) ? add_array(s, model, link, data, "", 0) : ZG_OK;
}

/* Absent: the layer has a bias. h5py writes truth values as enumerations. */
static zg_status read_bias(const scan *s, hid_t group, const char *layer, bool *bias) {
  double *values;
  int64_t count;
  bool numbers = zg_h5_number_attribute(group, "bias", &values, &count);
  bool known = count == 0 || (count == 1 && (values[0] == 0 || values[0] == 1));
  *bias = count == 0 || values[0] != 0;
  free(values);
  if (numbers && known) return ZG_OK;
  return zg_fail(ZG_ERR_DATA,
                 "%s: model '%s', layer '%s', ntk: attribute 'bias' is neither 0 nor 1",
                 path_of_file(s), name_of_model(s), layer);
}

static zg_status scan_factors(scan *s, hid_t ntk, const char *layer, int64_t place) {
  ZG_H5 group = H5Gopen2(ntk, layer, H5P_DEFAULT);
  if (group < 0)
    return zg_fail(ZG_ERR_DATA,
                   "%s: model '%s', layer '%s', ntk: is not a group that can be opened",
                   path_of_file(s), name_of_model(s), layer);
  bool bias, empty = true;
  ZG_TRY(read_bias(s, group, layer, &bias));
  for (zg_data data = ZG_NTK_INPUT; data <= ZG_NTK_DIRECT; data++) {
    const char *member = zg_data_form_of(data)->member;
    if (!exists(group, member)) continue;
    empty = false;
    int64_t index = s->zoo->array_count;
    if (wanted(s, data)) ZG_TRY(add_array(s, group, member, data, layer, place));
    if (s->zoo->array_count > index) s->zoo->arrays[index].bias = bias;
  }
  if (!empty) return ZG_OK;
  return zg_fail(
      ZG_ERR_DATA,
      "%s: model '%s', layer '%s', ntk: has neither input, index, signal nor direct",
      path_of_file(s), name_of_model(s), layer);
}

static zg_status scan_tangent(scan *s, hid_t model) {
  zg_list layers = {0};
  ZG_H5 ntk = -1;
  bool ordered;
  zg_status status = list_group(s, model, "ntk", &ntk, &layers, &ordered);
  for (int64_t k = 0; status == ZG_OK && k < layers.count; k++)
    status = excuse(s, scan_factors(s, ntk, layers.items[k], k));
  zg_list_clear(&layers);
  return excuse(s, status);
}

/* What is said of a group whose members are arrays of a kind each. */
static zg_status check_graph(const scan *s, hid_t model) {
  if (!exists(model, "graph")) return ZG_OK;
  ZG_H5 group = H5Gopen2(model, "graph", H5P_DEFAULT);
  if (group >= 0 && exists(group, "op") && exists(group, "edge")) return ZG_OK;
  return zg_fail(ZG_ERR_DATA, "%s: model '%s': 'graph' %s", path_of_file(s),
                 name_of_model(s),
                 group < 0             ? "is not a group that can be opened"
                 : exists(group, "op") ? "has no edge beside its op"
                                       : "has no op");
}

static zg_status scan_data(scan *s, hid_t model) {
  if (wanted(s, ZG_GRAPH_OP)) ZG_TRY(excuse(s, check_graph(s, model)));
  bool tangent = false;
  for (zg_data data = 0; data < ZG_DATA; data++) {
    if (!wanted(s, data)) continue;
    const zg_data_form *form = zg_data_form_of(data);
    if (form->member) {
      if (!tangent) ZG_TRY(scan_tangent(s, model));
      tangent = true;
    } else if (form->word) {
      ZG_TRY(scan_group(s, model, data));
    } else {
      ZG_TRY(scan_single(s, model, data));
    }
  }
  return ZG_OK;
}

static zg_status check_unique(const scan *s, const char *name) {
  const zg_zoo *zoo = s->zoo;
  for (int64_t k = 0; k < zoo->model_count; k++)
    if (!strcmp(zoo->models[k].name, name))
      return zg_fail(ZG_ERR_DATA, "%s: model '%s' exists already in %s",
                     path_of_file(s), name, zoo->files[zoo->models[k].file].path);
  return ZG_OK;
}

static zg_status scan_model(scan *s, hid_t models, const char *name) {
  if (s->select && !selected(&s->select->models, s->model_pattern_met, name))
    return ZG_OK;
  if (!zg_is_utf8(name)) /* which the results file could not say */
    return zg_fail(ZG_ERR_DATA, "%s: model '%s': its name is not UTF-8",
                   path_of_file(s), name);
  ZG_TRY(check_unique(s, name));
  ZG_H5 group = H5Gopen2(models, name, H5P_DEFAULT);
  if (group < 0)
    return zg_fail(ZG_ERR_DATA, "%s: model '%s' is not a group that can be opened",
                   path_of_file(s), name);
  append_model(s, name);
  return scan_data(s, group);
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
    zg_fail(ZG_ERR_DATA, "%s: is not a zoo: root attribute 'format' is %s%.40s%s", path,
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
  ZG_PLACE("reading the catalogue of", path);
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

/* Whether patterns of layers have something to choose from. */
static bool wants_layers(const scan *s) {
  for (zg_data data = 0; data < ZG_DATA; data++)
    if (wanted(s, data) && zg_data_form_of(data)->by_layer) return true;
  return false;
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

/* From model by model to kind of data by kind. */
static void sort_arrays(zg_zoo *zoo) {
  int64_t next[ZG_DATA] = {0};
  for (int64_t k = 0; k < zoo->array_count; k++)
    zoo->first[zoo->arrays[k].data + 1]++;
  for (int data = 0; data < ZG_DATA; data++) {
    zoo->first[data + 1] += zoo->first[data];
    next[data] = zoo->first[data];
  }
  zg_array *sorted = ZG_NEW(zg_array, zoo->array_count);
  for (int64_t k = 0; k < zoo->array_count; k++)
    sorted[next[zoo->arrays[k].data]++] = zoo->arrays[k];
  free(zoo->arrays);
  zoo->arrays = sorted;
  zoo->layer_count = zoo->first[ZG_ACTIVATIONS + 1];
}

static scan begin_scan(const zg_select *select, zg_fault_fn *report, void *context) {
  scan s = {.zoo = ZG_NEW0(zg_zoo, 1),
            .select = select,
            .report = report,
            .context = context};
  if (select) {
    s.zoo->samples = select->samples;
    s.model_pattern_met = ZG_NEW0(bool, select->models.count);
    s.layer_pattern_met = ZG_NEW0(bool, select->layers.count);
  }
  return s;
}

/* Hand over what was found, or nothing after a failure. */
static zg_status end_scan(scan *s, zg_status status, zg_zoo **zoo) {
  free(s->model_pattern_met);
  free(s->layer_pattern_met);
  *zoo = s->zoo;
  if (status == ZG_OK)
    sort_arrays(s->zoo);
  else
    zg_zoo_destroy(zoo);
  return status;
}

zg_status zg_zoo_scan(const zg_list *paths, const zg_select *select,
                      zg_fault_fn *report, void *context, zg_zoo **zoo,
                      int64_t *faults) {
  scan s = begin_scan(select, report, context);
  zg_status status = ZG_OK;
  for (int64_t k = 0; status == ZG_OK && k < paths->count; k++)
    status = scan_file(&s, paths->items[k]);
  if (select && status == ZG_OK)
    status = check_patterns(&select->models, s.model_pattern_met, "models");
  if (select && status == ZG_OK && wants_layers(&s))
    status = check_patterns(&select->layers, s.layer_pattern_met, "layers");
  if (faults) *faults = s.faults;
  return end_scan(&s, status, zoo);
}

zg_status zg_zoo_scan_file(const char *path, const zg_select *select, zg_zoo **zoo) {
  scan s = begin_scan(select, NULL, NULL);
  return end_scan(&s, scan_file(&s, path), zoo);
}
