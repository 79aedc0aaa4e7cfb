/** \file
 * What has to hold when a measure pairs rows: one number of samples, the same samples.
 */
#include "base/memory.h"
#include "zoo/data.h"
#include "zoo/h5.h"
#include "zoo/zoo.h"

#include <string.h>

enum { LEAST_SAMPLES = 4 };

zg_status zg_zoo_check_samples(const zg_zoo *zoo) {
  const zg_array *layer = zoo->arrays;
  for (int64_t k = 0; k < zoo->layer_count; k++)
    if (zg_zoo_rows(zoo, &layer[k]) >= LEAST_SAMPLES) return ZG_OK;
  if (!zoo->layer_count) return ZG_OK;
  return zg_fail(ZG_ERR_DATA, "%s: %lld samples are too few: at least %d are needed",
                 zoo->files[zoo->models[layer->model].file].path,
                 (long long)zg_zoo_rows(zoo, layer), LEAST_SAMPLES);
}

static zg_status check_counts(const zg_zoo *zoo) {
  const zg_array *first = &zoo->arrays[0];
  for (int64_t k = 1; k < zoo->layer_count; k++) {
    const zg_array *layer = &zoo->arrays[k];
    if (zg_zoo_rows(zoo, layer) == zg_zoo_rows(zoo, first)) continue;
    const zg_model *model = &zoo->models[layer->model];
    return zg_fail(ZG_ERR_DATA,
                   "%s: model '%s', layer '%s' has %lld samples, but model '%s', layer "
                   "'%s' has %lld, and the job has a measure that pairs them",
                   zoo->files[model->file].path, model->name, layer->name,
                   (long long)layer->n, zoo->models[first->model].name, first->name,
                   (long long)first->n);
  }
  return zg_zoo_check_samples(zoo);
}

static zg_status read_ids(const char *path, int64_t limit, zg_list *ids) {
  hid_t opened;
  ZG_TRY(zg_h5_open(path, &opened));
  ZG_H5 file = opened;
  ZG_H5 dataset = H5Dopen2(file, "samples/id", H5P_DEFAULT);
  if (dataset < 0 || zg_h5_texts(dataset, limit, ids) != ZG_OK)
    return zg_fail(ZG_ERR_DATA,
                   "%s: '/samples/id' is not a list of strings or integers", path);
  return ZG_OK;
}

static zg_status compare_ids(const char *path, const zg_list *ids,
                             const char *first_path, const zg_list *first) {
  for (int64_t k = 0; k < ids->count && k < first->count; k++)
    if (strcmp(ids->items[k], first->items[k]))
      return zg_fail(
          ZG_ERR_DATA,
          "%s: sample %lld is '%s' in '/samples/id', but '%s' in %s: the rows "
          "are not the same samples",
          path, (long long)k, ids->items[k], first->items[k], first_path);
  return ZG_OK;
}

/* Ids belong to the rows of these data when there are as many; then they must agree. */
static zg_status check_ids(const zg_zoo *zoo, zg_data data) {
  if (zoo->first[data] == zoo->first[data + 1]) return ZG_OK;
  const zg_array *array = &zoo->arrays[zoo->first[data]];
  int64_t rows = zg_zoo_rows(zoo, array);
  const char *first_path = NULL;
  zg_list first = {0};
  zg_status status = ZG_OK;
  for (int64_t k = 0; status == ZG_OK && k < zoo->file_count; k++) {
    if (zoo->files[k].ids != array->n) continue;
    zg_list ids = {0};
    status = read_ids(zoo->files[k].path, rows, first_path ? &ids : &first);
    if (status == ZG_OK && first_path)
      status = compare_ids(zoo->files[k].path, &ids, first_path, &first);
    if (!first_path) first_path = zoo->files[k].path;
    zg_list_clear(&ids);
  }
  zg_list_clear(&first);
  return status;
}

zg_status zg_zoo_check_paired(const zg_zoo *zoo) {
  if (zoo->layer_count) ZG_TRY(check_counts(zoo));
  if (zoo->file_count == 1) return ZG_OK;
  for (zg_data data = 0; data < ZG_DATA; data++)
    if (zg_data_form_of(data)->sampled) ZG_TRY(check_ids(zoo, data));
  return ZG_OK;
}
