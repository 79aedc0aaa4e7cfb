#include "zoo/reader.h"

#include "base/memory.h"
#include "base/watchdog.h"
#include "linalg/half.h"
#include "zoo/data.h"
#include "zoo/h5.h"
#include "zoo/open.h"
#include "zoo/type.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Measures read slices of many arrays in turn, so that some datasets stay open. Of each
 * HDF5 keeps the chunks read last, in a cache that larger chunks do not enter. */
enum { OPEN_DATASETS = 64, CHUNK_CACHE = 1 << 20 };

typedef struct open_dataset {
  int64_t array; /* -1: none */
  int64_t used;  /* when, on the reader's clock */
  hid_t dataset;
} open_dataset;

struct zg_reader {
  const zg_zoo *zoo;
  hid_t *files; /* -1 until first used */
  open_dataset open[OPEN_DATASETS];
  int64_t clock;
  void *raw, *converted;
  size_t raw_bytes, converted_bytes;
  int64_t bytes_read, numbers_read;
};

zg_reader *zg_reader_create(const zg_zoo *zoo) {
  zg_reader *reader = ZG_NEW0(zg_reader, 1);
  reader->zoo = zoo;
  for (int k = 0; k < OPEN_DATASETS; k++)
    reader->open[k] = (open_dataset){.array = -1, .dataset = -1};
  reader->files = ZG_NEW(hid_t, zoo->file_count);
  for (int64_t k = 0; k < zoo->file_count; k++)
    reader->files[k] = -1;
  return reader;
}

void zg_reader_destroy(zg_reader **reader) {
  if (!*reader) return;
  for (int k = 0; k < OPEN_DATASETS; k++)
    zg_h5_close(&(*reader)->open[k].dataset);
  for (int64_t k = 0; k < (*reader)->zoo->file_count; k++)
    zg_h5_close(&(*reader)->files[k]);
  free((*reader)->files);
  free((*reader)->raw);
  free((*reader)->converted);
  free(*reader);
  *reader = NULL;
}

static int64_t cached_bytes(const zg_array *array) {
  if (array->chunk == 0 || array->chunk > CHUNK_CACHE) return 0;
  return zg_min(array->chunks, CHUNK_CACHE / array->chunk) * array->chunk;
}

static int by_falling_bytes(const void *a, const void *b) {
  const int64_t *x = a, *y = b;
  return (*x < *y) - (*x > *y);
}

int64_t zg_reader_chunk_bytes(const zg_zoo *zoo) {
  int64_t *cached = ZG_NEW(int64_t, zoo->array_count), bytes = 0, unpacked = 0;
  for (int64_t k = 0; k < zoo->array_count; k++) {
    const zg_array *array = &zoo->arrays[k];
    cached[k] = cached_bytes(array);
    if (array->compressed) unpacked = zg_max(unpacked, array->chunk);
  }
  if (zoo->array_count)
    qsort(cached, (size_t)zoo->array_count, sizeof *cached, by_falling_bytes);
  for (int64_t k = 0; k < zg_min(OPEN_DATASETS, zoo->array_count); k++)
    bytes += cached[k];
  free(cached);
  return bytes + 2 * unpacked; /* one in front of a filter and one behind it */
}

void zg_reader_absorb(zg_reader *reader, zg_reader **other) {
  reader->bytes_read += (*other)->bytes_read;
  reader->numbers_read += (*other)->numbers_read;
  zg_reader_destroy(other);
}

int64_t zg_reader_bytes(const zg_reader *reader) {
  return reader->bytes_read;
}

int64_t zg_reader_read(const zg_reader *reader) {
  return reader->numbers_read;
}

static void count_read(zg_reader *reader, const zg_array *array, int64_t numbers) {
  reader->numbers_read += numbers;
  reader->bytes_read += numbers * zg_dtype_bytes(array->dtype);
}

int64_t zg_reader_slab_rows(int64_t d) {
  const int64_t numbers = (int64_t)1 << 20;
  return zg_max(1, numbers / d);
}

/* ---- open datasets ---- */

/* The array's place in the table, or the one that was not used for longest. */
static open_dataset *find_place(zg_reader *reader, int64_t array) {
  open_dataset *oldest = reader->open;
  for (int k = 0; k < OPEN_DATASETS; k++) {
    open_dataset *o = &reader->open[k];
    if (o->array == array) return o;
    if (o->used < oldest->used) oldest = o;
  }
  return oldest;
}

zg_status zg_reader_open(zg_reader *reader, int64_t index, hid_t *dataset) {
  open_dataset *place = find_place(reader, index);
  if (place->array != index) {
    const zg_zoo *zoo = reader->zoo;
    int64_t f = zoo->models[zoo->arrays[index].model].file;
    if (reader->files[f] < 0) ZG_TRY(zg_h5_open(zoo->files[f].path, &reader->files[f]));
    zg_text path = {0};
    zg_data_path(zoo, &zoo->arrays[index], &path);
    zg_h5_close(&place->dataset);
    place->dataset = H5Dopen2(reader->files[f], path.data, H5P_DEFAULT);
    place->array = place->dataset < 0 ? -1 : index;
    zg_text_clear(&path);
    if (place->array < 0) return zg_array_fail(zoo, index, "cannot be opened");
  }
  place->used = ++reader->clock;
  *dataset = place->dataset;
  return ZG_OK;
}

const zg_array *zg_reader_array(const zg_reader *reader, int64_t array) {
  return &reader->zoo->arrays[array];
}

/* ---- numbers ---- */

/* A part of an array: along each axis a start and a count. */
typedef struct box {
  hsize_t start[ZG_MAX_DIMS], count[ZG_MAX_DIMS];
} box;

static box rows_of(const zg_array *array, int64_t row, int64_t rows) {
  box b = {.count = {0}};
  for (int k = 0; k < array->rank; k++)
    b.count[k] = (hsize_t)array->dims[k];
  b.start[0] = (hsize_t)row;
  b.count[0] = (hsize_t)rows;
  return b;
}

static herr_t read_box(hid_t dataset, const zg_array *array, const box *part,
                       hid_t memory_type, void *to) {
  if (array->rank == 0)
    return H5Dread(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, to);
  ZG_H5 file_space = H5Dget_space(dataset);
  if (H5Sget_simple_extent_ndims(file_space) != array->rank) return -1;
  ZG_H5 memory_space = H5Screate_simple(array->rank, part->count, NULL);
  if (H5Sselect_hyperslab(file_space, H5S_SELECT_SET, part->start, NULL, part->count,
                          NULL) < 0)
    return -1;
  return H5Dread(dataset, memory_type, memory_space, file_space, H5P_DEFAULT, to);
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

/* To the end of this block `array` of a zoo is being read. */
#define READING(zoo, array)                                                            \
  ZG_PLACE("reading", (zoo)->files[(zoo)->models[(array)->model].file].path,           \
           (zoo)->models[(array)->model].name, (array)->name)

static zg_status fail_to_read(const zg_reader *reader, int64_t index) {
  return zg_array_fail(reader->zoo, index,
                       zg_reason()[0] ? "its numbers cannot be read"
                                      : "its numbers cannot be read: damaged file?");
}

/* Read boxes that follow one another in C order, `count` numbers together, as a slab.
 */
static zg_status read_slab(zg_reader *reader, int64_t index, const box *parts,
                           int part_count, int64_t rows, int64_t d, zg_slab *slab) {
  const zg_array *array = &reader->zoo->arrays[index];
  READING(reader->zoo, array);
  int64_t count = rows * d;
  size_t size = (size_t)zg_dtype_bytes(array->dtype);
  hid_t dataset;
  ZG_TRY(zg_reader_open(reader, index, &dataset));
  char *raw = grow(&reader->raw, &reader->raw_bytes, count, size), *next = raw;
  ZG_H5 type = zg_dtype_memory(array->dtype);
  for (int k = 0; k < part_count; k++) {
    if (read_box(dataset, array, &parts[k], type, next) < 0)
      return fail_to_read(reader, index);
    size_t numbers = 1;
    for (int axis = 0; axis < array->rank; axis++)
      numbers *= parts[k].count[axis];
    next += numbers * size;
  }
  count_read(reader, array, count);
  *slab = (zg_slab){.precision = size == sizeof(double) ? ZG_DOUBLE : ZG_SINGLE,
                    .data = raw,
                    .rows = rows,
                    .d = d};
  if (array->dtype == ZG_FLOAT16) {
    float *converted =
        grow(&reader->converted, &reader->converted_bytes, count, sizeof(float));
    zg_half_to_float(count, (const uint16_t *)(const void *)raw, converted);
    slab->data = converted;
  }
  return ZG_OK;
}

zg_status zg_reader_rows(zg_reader *reader, int64_t index, int64_t row, int64_t rows,
                         zg_slab *slab) {
  const zg_array *array = &reader->zoo->arrays[index];
  box part = rows_of(array, row, rows);
  return read_slab(reader, index, &part, 1, rows, array->d, slab);
}

void zg_reader_expect(zg_reader *reader, int64_t index, int64_t row, int64_t rows) {
  const zg_array *array = &reader->zoo->arrays[index];
  const open_dataset *place = find_place(reader, index);
  off_t bytes = array->d * zg_dtype_bytes(array->dtype);
  void *descriptor = NULL;
  if (place->array != index) return; /* not open */
  ZG_H5 creation = H5Dget_create_plist(place->dataset);
  if (H5Pget_layout(creation) != H5D_CONTIGUOUS) return;
  ZG_H5 file = H5Iget_file_id(place->dataset);
  haddr_t start = H5Dget_offset(place->dataset);
  if (start == HADDR_UNDEF || H5Fget_vfd_handle(file, H5P_DEFAULT, &descriptor) < 0)
    return;
  posix_fadvise(*(const int *)descriptor, (off_t)start + row * bytes, rows * bytes,
                POSIX_FADV_WILLNEED);
}

zg_status zg_reader_doubles(zg_reader *reader, int64_t index, int64_t row, int64_t rows,
                            double *values) {
  int64_t d = reader->zoo->arrays[index].d, step = zg_reader_slab_rows(d);
  for (int64_t done = 0; done < rows; done += step) {
    zg_slab slab;
    ZG_TRY(zg_reader_rows(reader, index, row + done, zg_min(step, rows - done), &slab));
    zg_slab_doubles(&slab, values + done * d);
  }
  return ZG_OK;
}

zg_status zg_reader_part(zg_reader *reader, int64_t index, int64_t row, int64_t rows,
                         int64_t column, int64_t columns, zg_slab *slab) {
  const zg_array *array = &reader->zoo->arrays[index];
  box part = rows_of(array, row, rows);
  int last = array->rank - 1;
  int64_t d = array->d;
  if (last > 0) {
    part.start[last] = (hsize_t)column;
    part.count[last] = (hsize_t)columns;
    d = d / array->dims[last] * columns;
  }
  return read_slab(reader, index, &part, 1, rows, d, slab);
}

/* Cut [first, end) at the bounds of rows, of rows of rows, ...: the largest box that
 * begins at `first`. \return how many numbers it has. */
static int64_t next_box(const zg_array *array, int64_t first, int64_t end, box *part) {
  int64_t stride = array->d; /* numbers between neighbours along the axis */
  int axis = 0;
  *part = (box){.start = {0}};
  for (int64_t rest = first;; axis++, stride /= array->dims[axis]) {
    part->start[axis] = (hsize_t)(rest / stride);
    part->count[axis] = 1;
    rest %= stride;
    if (rest == 0 && end - first >= stride) break;
  }
  int64_t left = array->dims[axis] - (int64_t)part->start[axis];
  int64_t steps = zg_min((end - first) / stride, left);
  part->count[axis] = (hsize_t)steps;
  for (int k = axis + 1; k < array->rank; k++)
    part->count[k] = (hsize_t)array->dims[k];
  return steps * stride;
}

zg_status zg_reader_columns(zg_reader *reader, int64_t index, int64_t row, int64_t rows,
                            int64_t column, int64_t most, zg_slab *slab) {
  const zg_array *array = &reader->zoo->arrays[index];
  box part = rows_of(array, row, rows), inner;
  int64_t columns = 1;
  if (array->rank > 1) { /* a row is an array of its own */
    zg_array one = {.rank = array->rank - 1};
    memcpy(one.dims, array->dims + 1, (size_t)one.rank * sizeof *one.dims);
    one.d = array->d / one.dims[0];
    columns = next_box(&one, column, zg_min(column + most, array->d), &inner);
    for (int k = 1; k < array->rank; k++) {
      part.start[k] = inner.start[k - 1];
      part.count[k] = inner.count[k - 1];
    }
  }
  return read_slab(reader, index, &part, 1, rows, columns, slab);
}

zg_status zg_reader_flat(zg_reader *reader, int64_t index, int64_t first, int64_t count,
                         zg_slab *slab) {
  const zg_array *array = &reader->zoo->arrays[index];
  box parts[2 * ZG_MAX_DIMS];
  int part_count = 0;
  if (array->rank == 0) parts[part_count++] = (box){.start = {0}};
  for (int64_t at = first; array->rank && at < first + count;)
    at += next_box(array, at, first + count, &parts[part_count++]);
  return read_slab(reader, index, parts, part_count, 1, count, slab);
}

/* The same box with an axis more, at one position of the second. */
static box with_position(const box *part, int rank, int64_t position) {
  box b = *part;
  for (int k = rank - 1; k > 1; k--) {
    b.start[k] = part->start[k - 1];
    b.count[k] = part->count[k - 1];
  }
  b.start[1] = (hsize_t)position;
  b.count[1] = 1;
  return b;
}

zg_status zg_reader_layer(zg_reader *reader, int64_t index, int64_t position,
                          int64_t first, int64_t count, zg_slab *slab) {
  const zg_array *array = &reader->zoo->arrays[index];
  zg_array without = *array; /* the second axis */
  box parts[2 * ZG_MAX_DIMS];
  int part_count = 0;
  without.rank--;
  without.d /= array->dims[1];
  for (int k = 1; k < without.rank; k++)
    without.dims[k] = array->dims[k + 1];
  for (int64_t at = first; at < first + count; part_count++) {
    at += next_box(&without, at, first + count, &parts[part_count]);
    parts[part_count] = with_position(&parts[part_count], array->rank, position);
  }
  return read_slab(reader, index, parts, part_count, 1, count, slab);
}

zg_status zg_reader_integers(zg_reader *reader, int64_t index, int64_t row,
                             int64_t rows, int64_t *values) {
  const zg_array *array = &reader->zoo->arrays[index];
  READING(reader->zoo, array);
  box part = rows_of(array, row, rows);
  hid_t dataset;
  ZG_TRY(zg_reader_open(reader, index, &dataset));
  if (read_box(dataset, array, &part, H5T_NATIVE_INT64, values) < 0)
    return fail_to_read(reader, index);
  count_read(reader, array, rows * array->d);
  return ZG_OK;
}

zg_status zg_reader_texts(zg_reader *reader, int64_t index, zg_list *texts) {
  const zg_array *array = &reader->zoo->arrays[index];
  READING(reader->zoo, array);
  hid_t dataset;
  ZG_TRY(zg_reader_open(reader, index, &dataset));
  if (zg_h5_texts(dataset, 0, texts) != ZG_OK)
    return zg_array_fail(reader->zoo, index,
                         "its strings cannot be read: damaged file?");
  reader->bytes_read += array->n * zg_dtype_bytes(array->dtype);
  return ZG_OK;
}

/* ---- attributes ---- */

zg_status zg_reader_numbers(zg_reader *reader, int64_t array, const char *attribute,
                            double **values, int64_t *count) {
  hid_t dataset;
  *values = NULL;
  *count = 0;
  ZG_TRY(zg_reader_open(reader, array, &dataset));
  if (zg_h5_number_attribute(dataset, attribute, values, count)) return ZG_OK;
  return zg_array_fail(reader->zoo, array,
                       "attribute '%s' is neither a number nor a list of numbers",
                       attribute);
}

zg_status zg_reader_words(zg_reader *reader, int64_t array, const char *attribute,
                          zg_list *words) {
  hid_t dataset;
  ZG_TRY(zg_reader_open(reader, array, &dataset));
  if (zg_h5_list_attribute(dataset, attribute, words)) return ZG_OK;
  return zg_array_fail(reader->zoo, array,
                       "attribute '%s' is neither a string nor a list of strings",
                       attribute);
}
