/** \file
 * What the header of one dataset says of an array. */
#include "base/memory.h"
#include "zoo/data.h"
#include "zoo/h5.h"
#include "zoo/scan.h"
#include "zoo/type.h"

#include <stdlib.h>
#include <string.h>

static bool holds(zg_holds expected, H5T_class_t class, zg_dtype dtype) {
  switch (expected) {
  case ZG_HOLDS_STRINGS:
    return dtype == ZG_STRING;
  case ZG_HOLDS_INTEGERS:
    return class == H5T_INTEGER;
  default:
    return dtype != ZG_STRING;
  }
}

static zg_status read_type(zg_zoo *zoo, int64_t index, hid_t dataset) {
  static const char *const expected[] = {[ZG_HOLDS_NUMBERS] = "numbers",
                                         [ZG_HOLDS_INTEGERS] = "integers",
                                         [ZG_HOLDS_STRINGS] = "strings"};
  zg_array *array = &zoo->arrays[index];
  zg_holds form = zg_data_form_of(array->data)->holds;
  ZG_H5 type = H5Dget_type(dataset);
  H5T_class_t class = H5Tget_class(type);
  bool known = zg_dtype_of(type, &array->dtype);
  if (known && holds(form, class, array->dtype)) return ZG_OK;
  const char *found = "something else";
  if (class == H5T_STRING) found = "strings";
  if (known && form == ZG_HOLDS_STRINGS) found = "numbers";
  if (known && form == ZG_HOLDS_INTEGERS && class == H5T_FLOAT)
    found = "fractional numbers";
  return zg_array_fail(zoo, index, "holds %s where %s belong", found, expected[form]);
}

static zg_status read_shape(zg_zoo *zoo, int64_t index, hid_t dataset) {
  zg_array *array = &zoo->arrays[index];
  const zg_data_form *form = zg_data_form_of(array->data);
  ZG_H5 space = H5Dget_space(dataset);
  hsize_t dims[ZG_MAX_DIMS];
  array->rank = H5Sget_simple_extent_ndims(space);
  if (array->data == ZG_ACTIVATIONS && array->rank < 1)
    return zg_array_fail(zoo, index, "has no axis of samples");
  if (array->rank < form->least || array->rank > form->most)
    return zg_array_fail(zoo, index, "has %d axes where %s is expected", array->rank,
                         form->axes);
  H5Sget_simple_extent_dims(space, dims, NULL);
  int64_t last = array->rank ? (int64_t)dims[array->rank - 1] : 0;
  if (form->wide && (last < form->narrow || last > form->wide))
    return zg_array_fail(zoo, index, "has %lld columns where %s is expected",
                         (long long)last, form->axes);
  array->n =
      array->rank ? (int64_t)dims[0] : (int64_t)H5Sget_simple_extent_npoints(space);
  array->d = 1;
  for (int k = 0; k < array->rank; k++) {
    array->dims[k] = (int64_t)dims[k];
    if (dims[k] > INT64_MAX ||
        (k > 0 && __builtin_mul_overflow(array->d, array->dims[k], &array->d)))
      return zg_array_fail(zoo, index, "its shape is too large");
  }
  return ZG_OK;
}

static zg_status check_size(const zg_zoo *zoo, int64_t index) {
  const zg_array *array = &zoo->arrays[index];
  bool layer = array->data == ZG_ACTIVATIONS;
  int64_t numbers, bytes;
  if (__builtin_mul_overflow(array->n, array->d, &numbers) ||
      __builtin_mul_overflow(numbers, (int64_t)sizeof(double), &bytes) ||
      (layer && (array->n >= INT32_MAX || array->d >= INT32_MAX)))
    return zg_array_fail(zoo, index, "%lld %s of %lld %s are too many",
                         (long long)array->n, layer ? "samples" : "rows",
                         (long long)array->d, layer ? "features" : "numbers");
  if (layer && array->d < 1) return zg_array_fail(zoo, index, "has no features");
  if (!layer && numbers < 1 && !zg_data_form_of(array->data)->empty)
    return zg_array_fail(zoo, index, "is empty");
  return ZG_OK;
}

/* Numbers that the sources of a virtual dataset provide; INT64_MAX: without a limit. */
static int64_t mapped_numbers(hid_t creation) {
  size_t sources = 0;
  int64_t numbers = 0;
  H5Pget_virtual_count(creation, &sources);
  for (size_t k = 0; k < sources; k++) {
    ZG_H5 selection = H5Pget_virtual_vspace(creation, k);
    hssize_t selected = H5Sget_select_npoints(selection);
    if (selected < 0 || __builtin_add_overflow(numbers, selected, &numbers))
      return INT64_MAX;
  }
  return numbers;
}

/* Bytes that can hold the numbers of a dataset, at least one for each. */
static int64_t stored_bytes(hid_t dataset) {
  hsize_t file_bytes = 0;
  ZG_H5 creation = H5Dget_create_plist(dataset);
  ZG_H5 file = H5Iget_file_id(dataset);
  if (H5Pget_layout(creation) == H5D_VIRTUAL) return mapped_numbers(creation);
  if (H5Pget_external_count(creation) > 0 || H5Fget_filesize(file, &file_bytes) < 0)
    return INT64_MAX;
  hsize_t bytes = H5Dget_storage_size(dataset);
  return (int64_t)(bytes < file_bytes ? bytes : file_bytes);
}

/* A large array that was never written, or whose shape is a slip or an attack: reading
 * its zeros could take for ever. */
static zg_status check_storage(const zg_zoo *zoo, int64_t index, hid_t dataset) {
  const int64_t large = 1 << 20, densest = 2048; /* deflate packs 1032 bytes in one */
  const zg_array *array = &zoo->arrays[index];
  int64_t numbers = array->n * array->d;
  if (numbers <= large) return ZG_OK;
  int64_t bytes = stored_bytes(dataset);
  if (numbers / densest <= bytes) return ZG_OK;
  return zg_array_fail(zoo, index,
                       "has %lld x %lld numbers by its shape, but %lld bytes of them: "
                       "not written, or damaged",
                       (long long)array->n, (long long)array->d, (long long)bytes);
}

static zg_weight_kind default_kind(const zg_array *array) {
  switch (array->rank) {
  case 1:
    return ZG_WEIGHT_BIAS;
  case 2:
    return ZG_WEIGHT_LINEAR;
  case 4:
    return ZG_WEIGHT_CONV;
  default:
    return ZG_WEIGHT_OTHER;
  }
}

static zg_status read_kind(zg_zoo *zoo, int64_t index, hid_t dataset) {
  zg_array *array = &zoo->arrays[index];
  zg_list words = {0};
  bool text = zg_h5_list_attribute(dataset, "kind", &words);
  array->kind = default_kind(array);
  zg_status status = ZG_OK;
  if (!text || words.count > 1)
    status = zg_array_fail(zoo, index, "attribute 'kind' is not one word");
  else if (words.count && !zg_weight_kind_of(words.items[0], &array->kind))
    status = zg_array_fail(zoo, index,
                           "attribute 'kind' is '%s', not linear, conv, norm, "
                           "embedding, bias or other",
                           words.items[0]);
  zg_list_clear(&words);
  return status;
}

static void keep_geometry(zg_array *array, hid_t dataset) {
  zg_conv_attributes conv;
  if (array->kind != ZG_WEIGHT_CONV) return;
  zg_read_convolution(dataset, array, &conv);
  if (!conv.problem[0]) array->conv = conv.geometry;
}

/* HDF5 has chunks of less than 4 GiB; what a damaged file says is no more here. */
static void read_layout(zg_array *array, hid_t dataset) {
  hsize_t edges[ZG_MAX_DIMS];
  ZG_H5 creation = H5Dget_create_plist(dataset);
  ZG_H5 type = H5Dget_type(dataset);
  array->compressed = H5Pget_nfilters(creation) > 0;
  if (H5Pget_layout(creation) != H5D_CHUNKED ||
      H5Pget_chunk(creation, array->rank, edges) != array->rank)
    return;
  array->chunk = (int64_t)H5Tget_size(type);
  array->chunks = 1;
  for (int k = 0; k < array->rank; k++) {
    int64_t edge = zg_max(1, zg_min((int64_t)edges[k], UINT32_MAX));
    array->chunk = zg_min(array->chunk * edge, UINT32_MAX);
    array->chunks *= zg_ceil_div(array->dims[k], edge);
  }
}

zg_status zg_read_header(zg_zoo *zoo, int64_t index, hid_t group, const char *link) {
  ZG_H5 dataset = H5Oopen(group, link, H5P_DEFAULT);
  if (dataset < 0)
    return zg_array_fail(zoo, index, "cannot be opened (a link that leads nowhere?)");
  if (H5Iget_type(dataset) != H5I_DATASET)
    return zg_array_fail(zoo, index, "is not a dataset");
  ZG_TRY(read_type(zoo, index, dataset));
  ZG_TRY(read_shape(zoo, index, dataset));
  ZG_TRY(check_size(zoo, index));
  ZG_TRY(check_storage(zoo, index, dataset));
  read_layout(&zoo->arrays[index], dataset);
  if (zoo->arrays[index].data != ZG_WEIGHTS) return ZG_OK;
  ZG_TRY(read_kind(zoo, index, dataset));
  keep_geometry(&zoo->arrays[index], dataset);
  return ZG_OK;
}
