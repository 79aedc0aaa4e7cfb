#include "zoo/h5.h"

#include "base/memory.h"
#include "base/watchdog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void zg_h5_close(hid_t *id) {
  if (*id < 0) return;
  switch (H5Iget_type(*id)) {
  case H5I_FILE:
    H5Fclose(*id);
    break;
  case H5I_GROUP:
  case H5I_DATASET:
  case H5I_DATATYPE:
    H5Oclose(*id);
    break;
  case H5I_DATASPACE:
    H5Sclose(*id);
    break;
  case H5I_ATTR:
    H5Aclose(*id);
    break;
  case H5I_GENPROP_LST:
    H5Pclose(*id);
    break;
  default:
    break;
  }
  *id = -1;
}

/* "... errno = 28, error message = 'No space left on device', ..." */
static herr_t find_reason(unsigned level, const H5E_error2_t *error, void *unused) {
  (void)level, (void)unused;
  static const char before[] = "error message = '";
  const char *at = error->desc ? strstr(error->desc, before) : NULL;
  if (!at) return 0;
  char text[128];
  at += sizeof before - 1;
  snprintf(text, sizeof text, "%.*s", (int)strcspn(at, "'"), at);
  zg_set_reason(text);
  return 0;
}

static int64_t failures;

int64_t zg_h5_failures(void) {
  return failures;
}

/* HDF5 does not say of most of its errors that an allocation has failed before; errno
 * does, as no other call has failed since. */
static herr_t keep_reason(hid_t stack, void *unused) {
  (void)unused;
  int error = errno;
  failures++;
  zg_set_reason(NULL);
  herr_t result = H5Ewalk2(stack, H5E_WALK_UPWARD, find_reason, NULL);
  if (error == ENOMEM && !zg_reason()[0])
    zg_abort(ZG_ERR_SYSTEM, "out of memory (in HDF5)");
  return result;
}

void zg_h5_start(void) {
  setenv("HDF5_USE_FILE_LOCKING", "FALSE", 0);
  H5dont_atexit();
  if (H5open() < 0) zg_abort(ZG_ERR_SYSTEM, "HDF5 cannot be started");
  H5Eset_auto2(H5E_DEFAULT, keep_reason, NULL);
  errno = 0; /* from now on it is about HDF5 */
}

zg_status zg_h5_open(const char *path, hid_t *file) {
  ZG_PLACE("opening", path);
  zg_h5_start();
  *file = -1;
  if (access(path, R_OK) != 0)
    return zg_fail(ZG_ERR_INPUT, "%s: cannot be read: %s", path, strerror(errno));
  struct stat entry; /* HDF5 would wait for a pipe to be written */
  if (stat(path, &entry) == 0 && !S_ISREG(entry.st_mode))
    return zg_fail(ZG_ERR_DATA, "%s: is not an HDF5 file: no regular file", path);
  if (H5Fis_hdf5(path) <= 0)
    return zg_fail(ZG_ERR_DATA,
                   zg_reason()[0] ? "%s: cannot be read" : "%s: is not an HDF5 file",
                   path);
  *file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (*file < 0)
    return zg_fail(ZG_ERR_DATA,
                   zg_reason()[0] ? "%s: HDF5 cannot open it"
                                  : "%s: HDF5 cannot open it: truncated or damaged",
                   path);
  return ZG_OK;
}

static char *variable_text(hid_t attribute, hid_t type) {
  char *text = NULL, *copy = NULL;
  ZG_H5 memory = H5Tcopy(H5T_C_S1);
  H5Tset_size(memory, H5T_VARIABLE);
  H5Tset_cset(memory, H5Tget_cset(type));
  if (H5Aread(attribute, memory, &text) >= 0 && text) copy = zg_strdup(text);
  H5free_memory(text);
  return copy;
}

static char *fixed_text(hid_t attribute, hid_t type) {
  size_t size = H5Tget_size(type);
  char *text = ZG_NEW0(char, (int64_t)size + 1);
  if (H5Aread(attribute, type, text) < 0) text[0] = 0;
  return text;
}

char *zg_h5_text_attribute(hid_t object, const char *name) {
  if (H5Aexists(object, name) <= 0) return NULL;
  ZG_H5 attribute = H5Aopen(object, name, H5P_DEFAULT);
  ZG_H5 type = H5Aget_type(attribute);
  ZG_H5 space = H5Aget_space(attribute);
  if (H5Tget_class(type) != H5T_STRING || H5Sget_simple_extent_npoints(space) != 1)
    return NULL;
  return H5Tis_variable_str(type) > 0 ? variable_text(attribute, type)
                                      : fixed_text(attribute, type);
}

int64_t zg_h5_int_attribute(hid_t object, const char *name, int64_t fallback) {
  if (H5Aexists(object, name) <= 0) return fallback;
  ZG_H5 attribute = H5Aopen(object, name, H5P_DEFAULT);
  ZG_H5 type = H5Aget_type(attribute);
  ZG_H5 space = H5Aget_space(attribute);
  int64_t value = fallback;
  if (H5Tget_class(type) == H5T_INTEGER && H5Sget_simple_extent_npoints(space) == 1)
    H5Aread(attribute, H5T_NATIVE_INT64, &value);
  return value;
}

/* Entries of an attribute that is a scalar or a list; 0 when it is empty, -1 when it is
 * neither or of a length that no attribute has. */
static int64_t attribute_length(hid_t space) {
  const int64_t most = 1 << 24;
  if (H5Sget_simple_extent_ndims(space) > 1) return -1;
  int64_t length = (int64_t)H5Sget_simple_extent_npoints(space);
  return length <= most ? length : -1;
}

bool zg_h5_number_attribute(hid_t object, const char *name, double **values,
                            int64_t *count) {
  *values = NULL;
  *count = 0;
  if (H5Aexists(object, name) <= 0) return true;
  ZG_H5 attribute = H5Aopen(object, name, H5P_DEFAULT);
  ZG_H5 type = H5Aget_type(attribute);
  ZG_H5 space = H5Aget_space(attribute);
  int64_t length = attribute_length(space);
  H5T_class_t class = H5Tget_class(type);
  if (length < 0 || (class != H5T_INTEGER && class != H5T_FLOAT && class != H5T_ENUM))
    return false;
  if (length == 0) return true;
  *values = ZG_NEW(double, length);
  if (H5Aread(attribute, H5T_NATIVE_DOUBLE, *values) < 0) {
    free(*values);
    *values = NULL;
    return false;
  }
  *count = length;
  return true;
}

typedef struct member {
  char *name;
  int64_t order;   /* INT64_MAX without the attribute */
  int64_t created; /* -1 when the group does not track it */
} member;

typedef struct members {
  member *items;
  int64_t count, capacity;
} members;

static herr_t collect(hid_t group, const char *name, const H5L_info_t *info,
                      void *context) {
  members *found = context;
  if (found->count == found->capacity) {
    found->capacity = 2 * found->capacity + 64;
    found->items = zg_realloc(found->items, found->capacity, sizeof *found->items);
  }
  member *next = &found->items[found->count++];
  *next = (member){.name = zg_strdup(name),
                   .order = INT64_MAX,
                   .created = info->corder_valid ? info->corder : -1};
  if (H5Aexists_by_name(group, name, "order", H5P_DEFAULT) > 0) {
    ZG_H5 object = H5Oopen(group, name, H5P_DEFAULT);
    next->order = zg_h5_int_attribute(object, "order", INT64_MAX);
  }
  return 0;
}

static int compare_members(const void *a, const void *b) {
  const member *x = a, *y = b;
  if (x->order != y->order) return x->order < y->order ? -1 : 1;
  if (x->created != y->created) return x->created < y->created ? -1 : 1;
  return zg_natural_compare(x->name, y->name);
}

static bool is_ordered(const members *found) {
  for (int64_t k = 1; k < found->count; k++) {
    const member *a = &found->items[k - 1], *b = &found->items[k];
    bool tracked = b->created >= 0;
    bool numbered = b->order != INT64_MAX && a->order != b->order;
    if (!tracked && !numbered) return false;
  }
  return true;
}

zg_status zg_h5_ordered_members(hid_t group, zg_list *names, bool *ordered) {
  members found = {0};
  hsize_t start = 0;
  herr_t result =
      H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, &start, collect, &found);
  if (found.count)
    qsort(found.items, (size_t)found.count, sizeof *found.items, compare_members);
  *ordered = is_ordered(&found);
  for (int64_t k = 0; k < found.count; k++) {
    zg_list_add(names, found.items[k].name);
    free(found.items[k].name);
  }
  free(found.items);
  return result < 0 ? zg_fail(ZG_ERR_DATA, "a group cannot be listed") : ZG_OK;
}

herr_t zg_h5_each_attribute(hid_t object, H5A_operator2_t visit, void *context) {
  hsize_t at = 0;
  /* A search in vain decodes all of them, without a table. */
  if (H5Aexists(object, "none has this name") < 0) return -1;
  return H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &at, visit, context);
}

zg_status zg_h5_members(hid_t group, zg_list *names) {
  bool ordered;
  return zg_h5_ordered_members(group, names, &ordered);
}

/* Strings of a dataset or an attribute in one buffer or as pointers. */
typedef struct source {
  hid_t dataset, memory_space, file_space; /* of a dataset */
  hid_t attribute;                         /* -1: a dataset */
} source;

static herr_t read_source(const source *from, hid_t memory_type, void *to) {
  if (from->attribute >= 0) return H5Aread(from->attribute, memory_type, to);
  return H5Dread(from->dataset, memory_type, from->memory_space, from->file_space,
                 H5P_DEFAULT, to);
}

static zg_status read_variable(const source *from, hid_t type, int64_t count,
                               zg_list *texts) {
  char **strings = ZG_NEW0(char *, count);
  ZG_H5 memory = H5Tcopy(H5T_C_S1);
  H5Tset_size(memory, H5T_VARIABLE);
  H5Tset_cset(memory, H5Tget_cset(type));
  herr_t result = read_source(from, memory, strings);
  for (int64_t k = 0; result >= 0 && k < count; k++)
    zg_list_add(texts, strings[k] ? strings[k] : "");
  for (int64_t k = 0; k < count; k++)
    H5free_memory(strings[k]);
  free(strings);
  return result < 0 ? ZG_ERR_DATA : ZG_OK;
}

static zg_status read_fixed(const source *from, hid_t type, int64_t count,
                            zg_list *texts) {
  const int64_t most = INT64_C(1) << 32; /* bytes */
  int64_t size = (int64_t)H5Tget_size(type);
  if (size < 1 || count > most / size) return ZG_ERR_DATA;
  char *strings = ZG_NEW0(char, count *size), *one = ZG_NEW0(char, size + 1);
  herr_t result = read_source(from, type, strings);
  for (int64_t k = 0; result >= 0 && k < count; k++) {
    memcpy(one, strings + k * size, (size_t)size);
    zg_list_add(texts, one);
  }
  free(one);
  free(strings);
  return result < 0 ? ZG_ERR_DATA : ZG_OK;
}

static zg_status read_strings(const source *from, hid_t type, int64_t count,
                              zg_list *texts) {
  return H5Tis_variable_str(type) > 0 ? read_variable(from, type, count, texts)
                                      : read_fixed(from, type, count, texts);
}

bool zg_h5_list_attribute(hid_t object, const char *name, zg_list *texts) {
  if (H5Aexists(object, name) <= 0) return true;
  ZG_H5 attribute = H5Aopen(object, name, H5P_DEFAULT);
  ZG_H5 type = H5Aget_type(attribute);
  ZG_H5 space = H5Aget_space(attribute);
  int64_t length = attribute_length(space);
  if (length == 0) return true;
  if (length < 0 || H5Tget_class(type) != H5T_STRING) return false;
  source from = {.attribute = attribute};
  return read_strings(&from, type, length, texts) == ZG_OK;
}

static zg_status read_integers(hid_t dataset, hid_t memory_space, hid_t file_space,
                               int64_t count, zg_list *texts) {
  int64_t *numbers = ZG_NEW(int64_t, count);
  herr_t result = H5Dread(dataset, H5T_NATIVE_INT64, memory_space, file_space,
                          H5P_DEFAULT, numbers);
  for (int64_t k = 0; result >= 0 && k < count; k++) {
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)numbers[k]);
    zg_list_add(texts, text);
  }
  free(numbers);
  return result < 0 ? ZG_ERR_DATA : ZG_OK;
}

zg_status zg_h5_texts(hid_t dataset, int64_t limit, zg_list *texts) {
  ZG_H5 type = H5Dget_type(dataset);
  ZG_H5 space = H5Dget_space(dataset);
  hsize_t length, start = 0;
  if (H5Sget_simple_extent_ndims(space) != 1) return ZG_ERR_DATA;
  H5Sget_simple_extent_dims(space, &length, NULL);
  if (length >= INT32_MAX) return ZG_ERR_DATA;
  int64_t count = limit ? zg_min(limit, (int64_t)length) : (int64_t)length;
  if (count == 0) return ZG_OK;
  hsize_t wanted = (hsize_t)count;
  H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &wanted, NULL);
  ZG_H5 memory = H5Screate_simple(1, &wanted, NULL);
  switch (H5Tget_class(type)) {
  case H5T_STRING:
    return read_strings(&(source){dataset, memory, space, -1}, type, count, texts);
  case H5T_INTEGER:
    return read_integers(dataset, memory, space, count, texts);
  default:
    return ZG_ERR_DATA;
  }
}
