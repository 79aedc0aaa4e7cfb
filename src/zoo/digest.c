#include "zoo/digest.h"

#include "base/memory.h"
#include "zoo/open.h"

#include <stdlib.h>
#include <string.h>

/* Of a long row so many numbers enter a sample. */
enum { HASH_SAMPLE = 1 << 16 };

static zg_status hash_numbers(zg_reader *reader, int64_t array, int64_t first,
                              int64_t count, zg_hash *hash) {
  zg_slab slab;
  ZG_TRY(zg_reader_flat(reader, array, first, count, &slab));
  zg_hash_add(hash, slab.data, (size_t)count * zg_real_size(slab.precision));
  return ZG_OK;
}

static zg_status hash_all(zg_reader *reader, int64_t index, const zg_array *array,
                          zg_hash *hash) {
  int64_t count = array->n * array->d, row = zg_reader_slab_rows(1);
  int64_t step = array->d < row ? zg_reader_slab_rows(array->d) * array->d : row;
  for (int64_t first = 0; first < count; first += step)
    ZG_TRY(hash_numbers(reader, index, first, zg_min(step, count - first), hash));
  return ZG_OK;
}

/* The beginnings of the first, the middle and the last row, or of what begins there. */
static zg_status hash_sample(zg_reader *reader, int64_t index, const zg_array *array,
                             zg_hash *hash) {
  int64_t count = array->n * array->d, rows[] = {0, array->n / 2, array->n - 1};
  int64_t length = array->d == 1 ? 1024 : zg_min(array->d, HASH_SAMPLE);
  for (int k = 0; k < 3 && count > 0; k++) {
    int64_t first = zg_max(0, zg_min(rows[k] * array->d, count - length));
    ZG_TRY(hash_numbers(reader, index, first, zg_min(length, count), hash));
  }
  return ZG_OK;
}

static zg_status hash_words(zg_reader *reader, int64_t array, const char *attribute,
                            zg_hash *hash) {
  zg_list words = {0};
  zg_status status = zg_reader_words(reader, array, attribute, &words);
  for (int64_t k = 0; k < words.count; k++)
    zg_hash_add_text(hash, words.items[k]);
  zg_list_clear(&words);
  return status;
}

static zg_status hash_radius(zg_reader *reader, int64_t array, zg_hash *hash) {
  double *values;
  int64_t count;
  ZG_TRY(zg_reader_numbers(reader, array, "radius", &values, &count));
  zg_hash_add(hash, values, (size_t)count * sizeof *values);
  free(values);
  return ZG_OK;
}

static void hash_convolution(const zg_conv_geometry *conv, zg_hash *hash) {
  zg_hash_add(hash, conv->input, sizeof conv->input);
  zg_hash_add(hash, conv->stride, sizeof conv->stride);
  zg_hash_add(hash, conv->dilation, sizeof conv->dilation);
  zg_hash_add(hash, conv->padding, sizeof conv->padding);
  zg_hash_add_int(hash, conv->groups);
  zg_hash_add_int(hash, conv->circular);
}

/* What an array says besides its numbers. */
static zg_status hash_attributes(zg_reader *reader, int64_t index,
                                 const zg_array *array, zg_hash *hash) {
  switch (array->data) {
  case ZG_WEIGHTS:
    zg_hash_add_int(hash, array->kind);
    if (array->kind == ZG_WEIGHT_CONV) hash_convolution(&array->conv, hash);
    return ZG_OK;
  case ZG_GRADIENTS:
  case ZG_SAMPLE_GRADIENTS:
  case ZG_JACOBIAN:
    return hash_words(reader, index, "parameters", hash);
  case ZG_SHARPNESS:
    return hash_radius(reader, index, hash);
  default:
    zg_hash_add_int(hash, array->bias);
    return ZG_OK;
  }
}

static zg_status hash_texts(zg_reader *reader, int64_t array, zg_hash *hash) {
  zg_list texts = {0};
  zg_status status = zg_reader_texts(reader, array, &texts);
  for (int64_t k = 0; k < texts.count; k++)
    zg_hash_add_text(hash, texts.items[k]);
  zg_list_clear(&texts);
  return status;
}

static zg_status hash_array(zg_reader *reader, int64_t index, bool all, zg_hash *hash) {
  const zg_array *array = zg_reader_array(reader, index);
  ZG_TRY(hash_attributes(reader, index, array, hash));
  if (array->dtype == ZG_STRING) return hash_texts(reader, index, hash);
  return all ? hash_all(reader, index, array, hash)
             : hash_sample(reader, index, array, hash);
}

static void combine_model(const zg_zoo *zoo, int64_t model, const int64_t *digests,
                          zg_hash *hash) {
  zg_hash_add_text(hash, zoo->models[model].name);
  zg_hash_add_int(hash, zoo->models[model].weights_ordered);
  for (zg_data data = 0; data < ZG_DATA; data++) {
    int64_t count, first = zg_zoo_find(zoo, data, model, &count);
    for (int64_t k = first; k < first + count; k++) {
      const zg_array *array = &zoo->arrays[k];
      zg_hash_add_int(hash, array->data);
      zg_hash_add_text(hash, array->name);
      zg_hash_add_int(hash, array->dtype);
      zg_hash_add(hash, array->dims, (size_t)array->rank * sizeof *array->dims);
      zg_hash_add_int(hash, digests[k]);
    }
  }
}

static void combine_digests(zg_zoo *zoo, const int64_t *digests) {
  int64_t model = 0;
  for (int64_t f = 0; f < zoo->file_count; f++) {
    zg_hash *hash = zg_hash_create();
    for (; model < zoo->model_count && zoo->models[model].file == f; model++)
      combine_model(zoo, model, digests, hash);
    zg_hash_finish(&hash, zoo->files[f].digest);
  }
}

zg_status zg_zoo_digest_array(zg_reader *reader, int64_t array, bool all_data,
                              int64_t *digest) {
  zg_hash *hash = zg_hash_create();
  zg_status status = hash_array(reader, array, all_data, hash);
  *digest = zg_hash_finish_int(&hash);
  return status;
}

zg_status zg_zoo_digest(MPI_Comm comm, zg_zoo *zoo, bool all_data) {
  int rank, ranks;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  int64_t *digests = ZG_NEW0(int64_t, zoo->array_count);
  zg_reader *reader = zg_reader_create(zoo);
  zg_status status = ZG_OK;
  for (int64_t k = zg_part(zoo->array_count, ranks, rank);
       status == ZG_OK && k < zg_part(zoo->array_count, ranks, rank + 1); k++)
    status = zg_zoo_digest_array(reader, k, all_data, &digests[k]);
  zg_reader_destroy(&reader);
  status = zg_agree(comm, status);
  if (status == ZG_OK) {
    zg_sum_counts(comm, digests, zoo->array_count);
    combine_digests(zoo, digests);
  }
  free(digests);
  return status;
}
