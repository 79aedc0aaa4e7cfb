#include "results/read.h"

#include "base/memory.h"
#include "zoo/h5.h"

#include <hdf5_hl.h>
#include <stdlib.h>
#include <string.h>

zg_status zg_filetype_of(const char *path, zg_filetype *type) {
  static const struct {
    const char *format;
    zg_filetype type;
  } known[] = {{"zoogram-zoo", ZG_FILE_ZOO}, {"zoogram-results", ZG_FILE_RESULTS}};
  ZG_H5 file = -1;
  ZG_TRY(zg_h5_open(path, &file));
  char *format = zg_h5_text_attribute(file, "format");
  *type = ZG_FILE_OTHER;
  for (size_t k = 0; k < sizeof known / sizeof *known; k++)
    if (format && !strcmp(format, known[k].format)) *type = known[k].type;
  free(format);
  return ZG_OK;
}

static zg_status open_results(const char *path, hid_t *file) {
  zg_filetype type;
  *file = -1;
  ZG_TRY(zg_filetype_of(path, &type));
  if (type != ZG_FILE_RESULTS)
    return zg_fail(ZG_ERR_DATA,
                   "%s: is no results file: the root attribute 'format' is not "
                   "'zoogram-results'",
                   path);
  return zg_h5_open(path, file);
}

static char *text_or_empty(hid_t object, const char *name) {
  char *text = zg_h5_text_attribute(object, name);
  return text ? text : zg_strdup("");
}

/* Attributes of the layout, and those that zg_tensor_info has fields for. */
static bool is_shown(const char *attribute) {
  static const char *const hidden[] = {
      "CLASS",          "NAME",    "DIMENSION_LIST", "DIMENSION_LABELS",
      "REFERENCE_LIST", "measure", "kind",           "symmetric"};
  if (*attribute == '_') return false; /* of netCDF */
  for (size_t k = 0; k < sizeof hidden / sizeof *hidden; k++)
    if (!strcmp(attribute, hidden[k])) return false;
  return true;
}

/* "name=0.05" or "name=0.05,0.1". */
static void add_numbers(hid_t object, const char *name, zg_list *attributes) {
  ZG_H5 attribute = H5Aopen(object, name, H5P_DEFAULT);
  ZG_H5 type = H5Aget_type(attribute);
  ZG_H5 space = H5Aget_space(attribute);
  H5T_class_t class = H5Tget_class(type);
  hssize_t count = H5Sget_simple_extent_npoints(space);
  if ((class != H5T_INTEGER && class != H5T_FLOAT) || count < 1 || count > 64) return;
  double *values = ZG_NEW(double, count);
  zg_text text = {0};
  zg_text_add(&text, "%s=", name);
  if (H5Aread(attribute, H5T_NATIVE_DOUBLE, values) >= 0) {
    for (hssize_t k = 0; k < count; k++)
      zg_text_add(&text, "%s%.15g", k ? "," : "", values[k]);
    zg_list_add(attributes, text.data);
  }
  zg_text_clear(&text);
  free(values);
}

static herr_t add_attribute(hid_t object, const char *name, const H5A_info_t *info,
                            void *attributes) {
  (void)info;
  if (!is_shown(name)) return 0;
  char *value = zg_h5_text_attribute(object, name);
  if (value) {
    zg_text text = {0};
    zg_text_add(&text, "%s=%s", name, value);
    zg_list_add(attributes, text.data);
    zg_text_clear(&text);
    free(value);
  } else {
    add_numbers(object, name, attributes);
  }
  return 0;
}

static herr_t keep_scale_name(hid_t dataset, unsigned dimension, hid_t scale,
                              void *name) {
  (void)dataset, (void)dimension;
  char path[ZG_MESSAGE_BYTES];
  if (H5Iget_name(scale, path, sizeof path) > 0) *(char **)name = zg_strdup(path);
  return 1; /* the first scale is enough */
}

/* Path of the names of a dimension, such as "/item_a"; NULL when it has none. */
static char *scale_of(hid_t dataset, unsigned dimension) {
  char *name = NULL;
  H5DSiterate_scales(dataset, dimension, NULL, keep_scale_name, &name);
  return name;
}

/* "item" of "/item_a". */
static char *axis_of(hid_t dataset) {
  char *scale = scale_of(dataset, 0);
  char *axis = zg_strdup(scale ? scale + strspn(scale, "/") : "");
  size_t length = strlen(axis);
  if (length > 2 && !strcmp(axis + length - 2, "_a")) axis[length - 2] = 0;
  free(scale);
  return axis;
}

static bool extent(hid_t dataset, int64_t *rows, int64_t *columns) {
  ZG_H5 space = H5Dget_space(dataset);
  hsize_t dims[2];
  *rows = *columns = 0;
  if (H5Sget_simple_extent_ndims(space) != 2) return false;
  H5Sget_simple_extent_dims(space, dims, NULL);
  *rows = (int64_t)dims[0], *columns = (int64_t)dims[1];
  return true;
}

/* Open a member of the root that is a tensor; -1 when it is something else. */
static hid_t open_tensor(hid_t file, const char *name) {
  int64_t rows, columns;
  if (strchr(name, '/') || H5Lexists(file, name, H5P_DEFAULT) <= 0) return -1;
  hid_t object = H5Oopen(file, name, H5P_DEFAULT);
  if (object >= 0 && H5Iget_type(object) == H5I_DATASET &&
      H5Aexists(object, "measure") > 0 && extent(object, &rows, &columns))
    return object;
  zg_h5_close(&object);
  return -1;
}

static void inspect_tensor(hid_t dataset, const char *name, zg_tensor_info *info) {
  *info = (zg_tensor_info){.name = zg_strdup(name),
                           .axis = axis_of(dataset),
                           .measure = text_or_empty(dataset, "measure"),
                           .kind = text_or_empty(dataset, "kind"),
                           .symmetric = zg_h5_int_attribute(dataset, "symmetric", 0)};
  extent(dataset, &info->rows, &info->columns);
  zg_h5_each_attribute(dataset, add_attribute, &info->attributes);
}

zg_status zg_results_inspect(const char *path, zg_results_info **info) {
  ZG_H5 file = -1;
  zg_list members = {0};
  *info = NULL;
  ZG_TRY(open_results(path, &file));
  if (zg_h5_members(file, &members) != ZG_OK) {
    zg_list_clear(&members);
    return zg_fail(ZG_ERR_DATA, "%s: its root cannot be listed: damaged", path);
  }
  zg_results_info *r = *info = ZG_NEW(zg_results_info, 1);
  *r = (zg_results_info){.complete = zg_h5_int_attribute(file, "complete", 0) == 1,
                         .version = text_or_empty(file, "zoogram_version"),
                         .job = text_or_empty(file, "job"),
                         .job_digest = text_or_empty(file, "job_digest"),
                         .history = text_or_empty(file, "history"),
                         .plan = text_or_empty(file, "plan"),
                         .tensors = ZG_NEW(zg_tensor_info, members.count)};
  for (int64_t k = 0; k < members.count; k++) {
    ZG_H5 dataset = open_tensor(file, members.items[k]);
    if (dataset >= 0)
      inspect_tensor(dataset, members.items[k], &r->tensors[r->tensor_count++]);
  }
  zg_list_clear(&members);
  return ZG_OK;
}

static void clear_tensor_info(zg_tensor_info *info) {
  free(info->name);
  free(info->axis);
  free(info->measure);
  free(info->kind);
  zg_list_clear(&info->attributes);
}

void zg_results_info_destroy(zg_results_info **info) {
  zg_results_info *r = *info;
  if (!r) return;
  for (int64_t k = 0; k < r->tensor_count; k++)
    clear_tensor_info(&r->tensors[k]);
  free(r->tensors);
  free(r->version);
  free(r->job);
  free(r->job_digest);
  free(r->history);
  free(r->plan);
  free(r);
  *info = NULL;
}

static zg_status no_such_tensor(const char *path, const char *name) {
  zg_results_info *info;
  zg_text there = {0};
  ZG_TRY(zg_results_inspect(path, &info));
  for (int64_t k = 0; k < info->tensor_count; k++)
    zg_text_add(&there, "%s%s", k ? ", " : ": expected one of ", info->tensors[k].name);
  zg_fail(ZG_ERR_DATA, "%s: has no tensor '%s'%s", path, name, zg_text_get(&there));
  zg_text_clear(&there);
  zg_results_info_destroy(&info);
  return ZG_ERR_DATA;
}

/* Open a tensor and its codes, which have to be of the same shape. */
static zg_status open_pair(const char *path, const char *name, hid_t *file,
                           hid_t *values, hid_t *codes) {
  int64_t rows, columns, code_rows, code_columns;
  zg_text status = {0};
  *values = *codes = -1;
  ZG_TRY(open_results(path, file));
  *values = open_tensor(*file, name);
  if (*values < 0) return no_such_tensor(path, name);
  zg_text_add(&status, "/status/%s", name);
  *codes = H5Dopen2(*file, status.data, H5P_DEFAULT);
  bool fits = *codes >= 0 && extent(*values, &rows, &columns) &&
              extent(*codes, &code_rows, &code_columns) && rows == code_rows &&
              columns == code_columns;
  zg_text_clear(&status);
  return fits ? ZG_OK
              : zg_fail(ZG_ERR_DATA, "%s: '/status/%s' is missing or of another shape",
                        path, name);
}

static zg_status read_names(hid_t file, hid_t dataset, unsigned dimension,
                            int64_t count, zg_list *names) {
  char *scale = scale_of(dataset, dimension);
  if (!scale) return ZG_ERR_DATA;
  ZG_H5 strings = H5Dopen2(file, scale, H5P_DEFAULT);
  free(scale);
  if (strings < 0) return ZG_ERR_DATA;
  ZG_TRY(zg_h5_texts(strings, 0, names));
  return names->count == count ? ZG_OK : ZG_ERR_DATA;
}

zg_status zg_tensor_read(const char *path, const char *name, zg_tensor **tensor) {
  ZG_H5 file = -1;
  ZG_H5 values = -1;
  ZG_H5 codes = -1;
  *tensor = NULL;
  ZG_TRY(open_pair(path, name, &file, &values, &codes));
  zg_tensor *t = *tensor = ZG_NEW0(zg_tensor, 1);
  extent(values, &t->rows, &t->columns);
  t->values = ZG_NEW(double, t->rows * t->columns);
  t->codes = ZG_NEW(int8_t, t->rows * t->columns);
  if (read_names(file, values, 0, t->rows, &t->row_names) == ZG_OK &&
      read_names(file, values, 1, t->columns, &t->column_names) == ZG_OK &&
      H5Dread(values, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, t->values) >=
          0 &&
      H5Dread(codes, H5T_NATIVE_INT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, t->codes) >= 0)
    return ZG_OK;
  zg_tensor_destroy(tensor);
  return zg_fail(ZG_ERR_DATA,
                 "%s: tensor '%s' cannot be read: damaged or without names", path,
                 name);
}

void zg_tensor_destroy(zg_tensor **tensor) {
  zg_tensor *t = *tensor;
  if (!t) return;
  zg_list_clear(&t->row_names);
  zg_list_clear(&t->column_names);
  free(t->values);
  free(t->codes);
  free(t);
  *tensor = NULL;
}

/* Read the rows [from, from + count) of the codes. */
static bool read_codes(hid_t codes, int64_t from, int64_t count, int64_t columns,
                       int8_t *buffer) {
  hsize_t start[2] = {(hsize_t)from, 0};
  hsize_t size[2] = {(hsize_t)count, (hsize_t)columns};
  ZG_H5 space = H5Dget_space(codes);
  ZG_H5 memory = H5Screate_simple(2, size, NULL);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, size, NULL);
  return H5Dread(codes, H5T_NATIVE_INT8, memory, space, H5P_DEFAULT, buffer) >= 0;
}

zg_status zg_tensor_count_codes(const char *path, const char *name,
                                int64_t counts[ZG_CODE_VALUES]) {
  enum { SLAB = 1 << 24 };
  ZG_H5 file = -1;
  ZG_H5 values = -1;
  ZG_H5 codes = -1;
  int64_t rows = 0, columns = 0;
  memset(counts, 0, ZG_CODE_VALUES * sizeof *counts);
  ZG_TRY(open_pair(path, name, &file, &values, &codes));
  extent(codes, &rows, &columns);
  int64_t step = zg_max(1, SLAB / zg_max(columns, 1));
  int8_t *slab = ZG_NEW(int8_t, step * columns);
  zg_status status = ZG_OK;
  for (int64_t row = 0; row < rows && status == ZG_OK; row += step) {
    int64_t count = zg_min(step, rows - row);
    if (!read_codes(codes, row, count, columns, slab))
      status = zg_fail(ZG_ERR_DATA, "%s: '/status/%s' is damaged", path, name);
    for (int64_t k = 0; k < count * columns && status == ZG_OK; k++)
      if (slab[k] >= 0) counts[slab[k]]++;
  }
  free(slab);
  return status;
}
