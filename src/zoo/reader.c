#include "zoo/reader.h"

#include "base/memory.h"
#include "linalg/half.h"
#include "zoo/h5.h"
#include "zoo/type.h"

#include <stdlib.h>

struct zg_reader {
  const zg_zoo *zoo;
  hid_t *files; /* -1 until first used */
  hid_t dataset;
  int64_t layer; /* to which the dataset belongs; -1: none */
  void *raw, *converted;
  size_t raw_bytes, converted_bytes;
  int64_t bytes_read;
};

zg_reader *zg_reader_create(const zg_zoo *zoo) {
  zg_reader *reader = ZG_NEW0(zg_reader, 1);
  reader->zoo = zoo;
  reader->dataset = reader->layer = -1;
  reader->files = ZG_NEW(hid_t, zoo->file_count);
  for (int64_t k = 0; k < zoo->file_count; k++)
    reader->files[k] = -1;
  return reader;
}

void zg_reader_destroy(zg_reader **reader) {
  if (!*reader) return;
  zg_h5_close(&(*reader)->dataset);
  for (int64_t k = 0; k < (*reader)->zoo->file_count; k++)
    zg_h5_close(&(*reader)->files[k]);
  free((*reader)->files);
  free((*reader)->raw);
  free((*reader)->converted);
  free(*reader);
  *reader = NULL;
}

int64_t zg_reader_bytes(const zg_reader *reader) {
  return reader->bytes_read;
}

int64_t zg_reader_slab_rows(int64_t d) {
  const int64_t numbers = (int64_t)1 << 20;
  return zg_max(1, numbers / d);
}

static zg_status fail_layer(const zg_reader *reader, int64_t layer, const char *what) {
  const zg_zoo *zoo = reader->zoo;
  const zg_model *model = &zoo->models[zoo->layers[layer].model];
  return zg_fail(ZG_ERR_DATA, "%s: model '%s', layer '%s': %s",
                 zoo->files[model->file].path, model->name, zoo->layers[layer].name,
                 what);
}

static zg_status open_layer(zg_reader *reader, int64_t layer) {
  if (reader->layer == layer) return ZG_OK;
  const zg_zoo *zoo = reader->zoo;
  const zg_model *model = &zoo->models[zoo->layers[layer].model];
  zg_h5_close(&reader->dataset);
  reader->layer = -1;
  if (reader->files[model->file] < 0)
    ZG_TRY(zg_h5_open(zoo->files[model->file].path, &reader->files[model->file]));
  zg_text path = {0};
  zg_text_add(&path, "/models/%s/activations/%s", model->name, zoo->layers[layer].name);
  reader->dataset = H5Dopen2(reader->files[model->file], path.data, H5P_DEFAULT);
  zg_text_clear(&path);
  if (reader->dataset < 0) return fail_layer(reader, layer, "cannot be opened");
  reader->layer = layer;
  return ZG_OK;
}

static void *grow(void **buffer, size_t *have, int64_t count, size_t size) {
  size_t need = (size_t)count * size;
  if (need > *have) {
    free(*buffer);
    *buffer = zg_alloc(count, size);
    *have = need;
  }
  return *buffer;
}

static herr_t read_raw(zg_reader *reader, const zg_layer *layer, int64_t row,
                       int64_t rows, void *to) {
  hsize_t start[ZG_MAX_DIMS] = {0}, count[ZG_MAX_DIMS];
  for (int k = 0; k < layer->rank; k++)
    count[k] = (hsize_t)layer->dims[k];
  start[0] = (hsize_t)row;
  count[0] = (hsize_t)rows;
  ZG_H5 file_space = H5Dget_space(reader->dataset);
  ZG_H5 memory_space = H5Screate_simple(layer->rank, count, NULL);
  ZG_H5 memory_type = zg_dtype_memory(layer->dtype);
  if (H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, count, NULL) < 0)
    return -1;
  return H5Dread(reader->dataset, memory_type, memory_space, file_space, H5P_DEFAULT,
                 to);
}

zg_status zg_reader_rows(zg_reader *reader, int64_t index, int64_t row, int64_t rows,
                         zg_slab *slab) {
  const zg_layer *layer = &reader->zoo->layers[index];
  int64_t count = rows * layer->d;
  size_t size = (size_t)zg_dtype_bytes(layer->dtype);
  ZG_TRY(open_layer(reader, index));
  void *raw = grow(&reader->raw, &reader->raw_bytes, count, size);
  if (read_raw(reader, layer, row, rows, raw) < 0)
    return fail_layer(reader, index, "its numbers cannot be read: damaged file?");
  reader->bytes_read += count * (int64_t)size;
  *slab = (zg_slab){.precision = size == sizeof(double) ? ZG_DOUBLE : ZG_SINGLE,
                    .data = raw,
                    .rows = rows,
                    .d = layer->d};
  if (layer->dtype == ZG_FLOAT16) {
    float *converted =
        grow(&reader->converted, &reader->converted_bytes, count, sizeof(float));
    zg_half_to_float(count, raw, converted);
    slab->data = converted;
  }
  return ZG_OK;
}
