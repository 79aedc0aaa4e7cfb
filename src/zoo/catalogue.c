/** \file
 * The catalogue once it is read: what is where, and under which name. */
#include "base/memory.h"
#include "zoo/data.h"
#include "zoo/scan.h"
#include "zoo/zoo.h"

#include <stdlib.h>

zg_status zg_zoo_open(const zg_list *paths, const zg_select *select, zg_zoo **zoo) {
  return zg_zoo_scan(paths, select, NULL, NULL, zoo, NULL);
}

void zg_zoo_destroy(zg_zoo **zoo) {
  if (!*zoo) return;
  for (int64_t k = 0; k < (*zoo)->file_count; k++)
    free((*zoo)->files[k].path);
  for (int64_t k = 0; k < (*zoo)->model_count; k++)
    free((*zoo)->models[k].name);
  for (int64_t k = 0; k < (*zoo)->array_count; k++)
    free((*zoo)->arrays[k].name);
  free((*zoo)->files);
  free((*zoo)->models);
  free((*zoo)->arrays);
  free(*zoo);
  *zoo = NULL;
}

int64_t zg_zoo_rows(const zg_zoo *zoo, const zg_array *array) {
  bool limited = zg_data_form_of(array->data)->sampled;
  return limited && zoo->samples ? zg_min(zoo->samples, array->n) : array->n;
}

/* The first array of this data whose model is at least so far back. */
static int64_t lower_bound(const zg_zoo *zoo, zg_data data, int64_t model) {
  int64_t low = zoo->first[data], high = zoo->first[data + 1];
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (zoo->arrays[middle].model < model)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

int64_t zg_zoo_find(const zg_zoo *zoo, zg_data data, int64_t model, int64_t *count) {
  int64_t first = lower_bound(zoo, data, model);
  *count = lower_bound(zoo, data, model + 1) - first;
  return first;
}

int64_t zg_zoo_heads(const zg_zoo *zoo) {
  int64_t heads = 0;
  for (int64_t k = zoo->first[ZG_ATTENTION]; k < zoo->first[ZG_ATTENTION + 1]; k++)
    heads += zoo->arrays[k].dims[1];
  return heads;
}

char *zg_zoo_item_name(const zg_zoo *zoo, int64_t index) {
  const zg_array *array = &zoo->arrays[index];
  zg_text name = {0};
  zg_text_add(&name, "%s%s%s", zoo->models[array->model].name,
              array->name[0] ? "/" : "", array->name);
  return name.data;
}
