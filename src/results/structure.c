#include "results/structure.h"

#include "base/hash.h"
#include "zoo/h5.h"

#include <stdbool.h>

/* A walk through a file. */
typedef struct walk {
  zg_hash *hash;
  bool ok;
} walk;

/* Numbers are hashed as they are stored; of texts, which lie elsewhere in the file, how
 * much is said of them. */
static herr_t add_attribute(hid_t object, const char *name, const H5A_info_t *info,
                            void *context) {
  walk *w = context;
  char value[256];
  ZG_H5 attribute = H5Aopen(object, name, H5P_DEFAULT);
  ZG_H5 type = H5Aget_type(attribute);
  H5T_class_t class = H5Tget_class(type);
  zg_hash_add_text(w->hash, name);
  zg_hash_add_int(w->hash, (int64_t)info->data_size);
  zg_hash_add_int(w->hash, class);
  bool small = info->data_size <= sizeof value;
  if (small && (class == H5T_INTEGER || class == H5T_FLOAT)) {
    w->ok = w->ok && H5Aread(attribute, type, value) >= 0;
    zg_hash_add(w->hash, value, (size_t)info->data_size);
  }
  return attribute >= 0 && w->ok ? 0 : -1;
}

static void add_dataset(walk *w, hid_t dataset) {
  hsize_t dims[H5S_MAX_RANK];
  ZG_H5 space = H5Dget_space(dataset);
  ZG_H5 type = H5Dget_type(dataset);
  int rank = H5Sget_simple_extent_dims(space, dims, NULL);
  for (int k = 0; k < rank; k++)
    zg_hash_add_int(w->hash, (int64_t)dims[k]);
  zg_hash_add_int(w->hash, (int64_t)H5Tget_size(type));
  zg_hash_add_int(w->hash, (int64_t)H5Dget_offset(dataset));
  w->ok = w->ok && rank >= 0;
}

static herr_t add_object(hid_t file, const char *name, const H5O_info_t *info,
                         void *context) {
  walk *w = context;
  ZG_H5 object = H5Oopen(file, name, H5P_DEFAULT);
  zg_hash_add_text(w->hash, name);
  zg_hash_add_int(w->hash, info->type);
  zg_hash_add_int(w->hash, (int64_t)info->num_attrs);
  if (object < 0) return -1;
  if (info->type == H5O_TYPE_DATASET) add_dataset(w, object);
  return zg_h5_each_attribute(object, add_attribute, w);
}

uint64_t zg_structure_digest(hid_t file) {
  walk w = {.hash = zg_hash_create(), .ok = true};
  herr_t result = H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, add_object, &w);
  uint64_t digest = (uint64_t)zg_hash_finish_int(&w.hash);
  return result >= 0 && w.ok ? digest | 1 : 0;
}
