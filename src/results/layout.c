#include "results/layout.h"

#include "base/memory.h"
#include "base/sync.h"
#include "base/text.h"
#include "base/watchdog.h"
#include "results/structure.h"
#include "zoo/h5.h"

#include <hdf5_hl.h>
#include <stdlib.h>
#include <string.h>

/* Every step adds to `ok`; one message is enough for a disk that is full: the first. */
typedef struct maker {
  hid_t file;
  const zg_results_layout *layout;
  hid_t *scales; /* [axes][2]: <axis>_a, <axis>_b */
  bool ok;
  char reason[128];
} maker;

static hid_t text_type(void) {
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

static void expect(maker *m, bool success) {
  if (m->ok && !success) snprintf(m->reason, sizeof m->reason, "%s", zg_reason());
  m->ok = m->ok && success;
}

static void add_list(maker *m, hid_t object, const zg_attribute *a) {
  hsize_t count = (hsize_t)a->count;
  ZG_H5 space = H5Screate_simple(1, &count, NULL);
  ZG_H5 attribute =
      H5Acreate2(object, a->name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT);
  expect(m, H5Awrite(attribute, H5T_NATIVE_DOUBLE, a->list) >= 0);
}

static void add_attribute(maker *m, hid_t object, const zg_attribute *a) {
  if (a->list) {
    add_list(m, object, a);
    return;
  }
  ZG_H5 space = H5Screate(H5S_SCALAR);
  ZG_H5 type = a->text      ? text_type()
               : a->integer ? H5Tcopy(H5T_STD_I64LE)
                            : H5Tcopy(H5T_IEEE_F64LE);
  ZG_H5 attribute = H5Acreate2(object, a->name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  int64_t integer = (int64_t)a->number;
  herr_t result = a->text      ? H5Awrite(attribute, type, &a->text)
                  : a->integer ? H5Awrite(attribute, H5T_NATIVE_INT64, &integer)
                               : H5Awrite(attribute, H5T_NATIVE_DOUBLE, &a->number);
  expect(m, result >= 0);
}

static void add_attributes(maker *m, hid_t object, const zg_attribute *attributes) {
  for (; attributes->name; attributes++)
    add_attribute(m, object, attributes);
}

static void add_text(maker *m, hid_t object, const char *name, const char *text) {
  zg_attribute attribute = {.name = name, .text = text};
  add_attribute(m, object, &attribute);
}

static hid_t make_group(maker *m, hid_t parent, const char *name) {
  ZG_H5 creation = H5Pcreate(H5P_GROUP_CREATE);
  H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
  hid_t group = H5Gcreate2(parent, name, H5P_DEFAULT, creation, H5P_DEFAULT);
  expect(m, group >= 0);
  return group;
}

/* Space is allocated at once and never filled: no byte of structure changes while
 * values are written. */
static hid_t make_dataset(maker *m, hid_t parent, const char *name, hid_t type,
                          int rank, const hsize_t *dims) {
  ZG_H5 creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
  if (H5Tget_class(type) != H5T_STRING) /* pointers have to start as something */
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
  ZG_H5 space = H5Screate_simple(rank, dims, NULL);
  hid_t dataset =
      H5Dcreate2(parent, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  expect(m, dataset >= 0);
  return dataset;
}

static void write_texts(maker *m, hid_t dataset, char *const *texts) {
  ZG_H5 type = text_type();
  expect(m, H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts) >= 0);
}

static hid_t make_texts(maker *m, hid_t parent, const char *name, int64_t count,
                        char *const *texts) {
  ZG_H5 type = text_type();
  hsize_t dims = (hsize_t)count;
  hid_t dataset = make_dataset(m, parent, name, type, 1, &dims);
  if (dataset >= 0) write_texts(m, dataset, texts);
  return dataset;
}

static void make_scales(maker *m) {
  for (int64_t k = 0; k < m->layout->axis_count; k++)
    for (int side = 0; side < 2; side++) {
      const zg_axis_labels *axis = &m->layout->axes[k];
      zg_text name = {0};
      zg_text_add(&name, "%s_%c", axis->name, "ab"[side]);
      hid_t scale = make_texts(m, m->file, name.data, axis->count, axis->labels);
      expect(m, H5DSset_scale(scale, name.data) >= 0);
      m->scales[2 * k + side] = scale;
      zg_text_clear(&name);
    }
}

static void attach_axis(maker *m, hid_t dataset, int64_t axis, int rank) {
  for (int side = 0; side < rank; side++)
    expect(m,
           H5DSattach_scale(dataset, m->scales[2 * axis + side], (unsigned)side) >= 0);
}

static void add_code_attributes(maker *m, hid_t dataset) {
  hsize_t count = (hsize_t)m->layout->code_count;
  int8_t *values = ZG_NEW(int8_t, m->layout->code_count);
  zg_text meanings = {0};
  for (int64_t k = 0; k < m->layout->code_count; k++) {
    values[k] = (int8_t)k;
    zg_text_add(&meanings, "%s%s", k ? " " : "", m->layout->code_meanings[k]);
  }
  ZG_H5 space = H5Screate_simple(1, &count, NULL);
  ZG_H5 attribute =
      H5Acreate2(dataset, "flag_values", H5T_STD_I8LE, space, H5P_DEFAULT, H5P_DEFAULT);
  expect(m, H5Awrite(attribute, H5T_NATIVE_INT8, values) >= 0);
  add_text(m, dataset, "flag_meanings", meanings.data);
  zg_text_clear(&meanings);
  free(values);
}

/* Numbers 0, 1, ... as the scale of an axis that has no names. */
static void attach_counter(maker *m, hid_t group, hid_t dataset,
                           const zg_kept_layout *kept, int axis) {
  static const char *const names[] = {"", "a", "b"};
  zg_text name = {0};
  zg_text_add(&name, "%s_%s", kept->name, names[axis]);
  hsize_t length = (hsize_t)kept->length;
  ZG_H5 scale = make_dataset(m, group, name.data, H5T_STD_I64LE, 1, &length);
  int64_t *numbers = ZG_NEW(int64_t, kept->length);
  for (int64_t k = 0; k < kept->length; k++)
    numbers[k] = k;
  expect(m, H5Dwrite(scale, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) >=
                0);
  expect(m, H5DSset_scale(scale, name.data) >= 0);
  expect(m, H5DSattach_scale(dataset, scale, (unsigned)axis) >= 0);
  free(numbers);
  zg_text_clear(&name);
}

static void make_kept(maker *m, hid_t group, const zg_kept_layout *kept) {
  int64_t count = m->layout->axes[kept->axis].count;
  int named = kept->pairs ? 2 : 1; /* axes that have names */
  hsize_t dims[ZG_KEPT_RANK] = {(hsize_t)count, (hsize_t)kept->length,
                                (hsize_t)kept->length};
  if (kept->pairs) dims[1] = dims[0];
  ZG_H5 dataset =
      make_dataset(m, group, kept->name, H5T_IEEE_F64LE, named + kept->extra, dims);
  attach_axis(m, dataset, kept->axis, named);
  for (int axis = 1; axis <= kept->extra; axis++)
    attach_counter(m, group, dataset, kept, axis);
  add_text(m, dataset, "long_name", kept->meaning);
}

static void make_all_kept(maker *m, hid_t parent, const zg_tensor_layout *tensor) {
  ZG_H5 group = make_group(m, parent, tensor->name);
  for (int64_t k = 0; k < tensor->kept_count; k++)
    make_kept(m, group, &tensor->kept[k]);
}

static void make_tensor(maker *m, hid_t status, hid_t kept,
                        const zg_tensor_layout *tensor) {
  hsize_t count = (hsize_t)m->layout->axes[tensor->axis].count;
  hsize_t dims[2] = {count, count};
  hid_t type = m->layout->float32 ? H5T_IEEE_F32LE : H5T_IEEE_F64LE;
  ZG_H5 values = make_dataset(m, m->file, tensor->name, type, 2, dims);
  attach_axis(m, values, tensor->axis, 2);
  add_attributes(m, values, tensor->attributes);
  ZG_H5 codes = make_dataset(m, status, tensor->name, H5T_STD_I8LE, 2, dims);
  attach_axis(m, codes, tensor->axis, 2);
  add_code_attributes(m, codes);
  if (tensor->kept_count) make_all_kept(m, kept, tensor);
}

static void make_tensors(maker *m) {
  bool any_kept = false;
  for (int64_t k = 0; k < m->layout->tensor_count; k++)
    any_kept = any_kept || m->layout->tensors[k].kept_count;
  ZG_H5 status = make_group(m, m->file, "status");
  ZG_H5 kept = any_kept ? make_group(m, m->file, "kept") : -1;
  for (int64_t k = 0; k < m->layout->tensor_count; k++)
    make_tensor(m, status, kept, &m->layout->tensors[k]);
}

static void make_items(maker *m) {
  if (!m->layout->columns) return;
  ZG_H5 items = make_group(m, m->file, "items");
  int64_t count = m->layout->axes[m->layout->column_axis].count;
  hsize_t dims = (hsize_t)count;
  for (const zg_item_column *c = m->layout->columns; c->name; c++) {
    ZG_H5 dataset = c->texts ? make_texts(m, items, c->name, count, c->texts)
                             : make_dataset(m, items, c->name, H5T_STD_I64LE, 1, &dims);
    if (c->numbers)
      expect(m, H5Dwrite(dataset, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                         c->numbers) >= 0);
    attach_axis(m, dataset, m->layout->column_axis, 1);
  }
}

static hid_t create_file(const char *part) {
  ZG_H5 creation = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
  return H5Fcreate(part, H5F_ACC_TRUNC, creation, H5P_DEFAULT);
}

zg_status zg_layout_create(const char *part, const zg_results_layout *layout,
                           uint64_t *digest) {
  ZG_PLACE("creating", part);
  zg_h5_start();
  int64_t failures = zg_h5_failures();
  maker m = {.file = create_file(part), .layout = layout, .ok = true};
  if (m.file < 0) return zg_fail(ZG_ERR_CREATE, "%s: cannot be created", part);
  m.scales = ZG_NEW(hid_t, 2 * layout->axis_count);
  add_attributes(&m, m.file, layout->attributes);
  make_scales(&m);
  make_tensors(&m);
  make_items(&m);
  for (int64_t k = 0; k < 2 * layout->axis_count; k++)
    zg_h5_close(&m.scales[k]);
  free(m.scales);
  expect(&m, H5Fflush(m.file, H5F_SCOPE_GLOBAL) >= 0);
  expect(&m, (*digest = zg_structure_digest(m.file)) != 0);
  expect(&m, H5Fclose(m.file) >= 0);
  expect(&m, zg_h5_failures() == failures);
  expect(&m, !m.ok || (zg_sync_path(part) && zg_sync_directory(part)));
  if (m.ok) return ZG_OK;
  zg_set_reason(m.reason);
  return zg_fail(ZG_ERR_WRITE, "%s: cannot be written", part);
}
