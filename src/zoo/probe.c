#include "zoo/probe.h"

#include "base/memory.h"
#include "base/sandbox.h"
#include "zoo/digest.h"
#include "zoo/h5.h"
#include "zoo/open.h"
#include "zoo/scan.h"

#include <stdlib.h>
#include <sys/stat.h>

/* Files that are tried, each alone. */
typedef struct trial {
  const zg_list *paths;
  const zg_select *select;
  zg_depth depth;
} trial;

/* ---- in the child ---- */

/* Whether its chunks pass a filter that does not bear any bytes. */
static bool has_delicate_filter(hid_t dataset) {
  ZG_H5 creation = H5Dget_create_plist(dataset);
  bool delicate = false;
  for (int k = 0; k < H5Pget_nfilters(creation); k++) {
    unsigned flags, configuration;
    size_t values = 0;
    H5Z_filter_t filter = H5Pget_filter2(creation, (unsigned)k, &flags, &values, NULL,
                                         0, NULL, &configuration);
    delicate |= filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE &&
                filter != H5Z_FILTER_FLETCHER32;
  }
  return delicate;
}

/* Read one number through a virtual dataset, the first of a selection. */
static void read_first(hid_t dataset, hid_t selection) {
  hsize_t first[ZG_MAX_DIMS], last[ZG_MAX_DIMS], one[ZG_MAX_DIMS];
  double number;
  int rank = H5Sget_simple_extent_ndims(selection);
  ZG_H5 space = H5Dget_space(dataset);
  ZG_H5 memory = H5Screate_simple(0, NULL, NULL);
  if (rank < 1 || rank != H5Sget_simple_extent_ndims(space) ||
      H5Sget_select_bounds(selection, first, last) < 0)
    return;
  for (int k = 0; k < rank; k++)
    one[k] = 1;
  if (H5Sselect_hyperslab(space, H5S_SELECT_SET, first, NULL, one, NULL) >= 0)
    H5Dread(dataset, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, &number);
}

/* Meet all sources of a virtual dataset, of which rows here and there need only some.
 */
static void try_sources(hid_t dataset) {
  const double seconds = 5, seconds_of_source = 0.1;
  size_t sources = 0;
  ZG_H5 creation = H5Dget_create_plist(dataset);
  if (H5Pget_layout(creation) != H5D_VIRTUAL) return;
  H5Pget_virtual_count(creation, &sources);
  zg_sandbox_allow(seconds + seconds_of_source * (double)sources);
  for (size_t k = 0; k < sources; k++) {
    ZG_H5 selection = H5Pget_virtual_vspace(creation, k);
    read_first(dataset, selection);
  }
}

static zg_status try_array(zg_reader *reader, int64_t index) {
  const int64_t few = 1 << 24;
  const zg_array *array = zg_reader_array(reader, index);
  hid_t dataset;
  int64_t digest;
  ZG_TRY(zg_reader_open(reader, index, &dataset));
  H5Dget_storage_size(dataset); /* walks the whole index of its chunks */
  try_sources(dataset);
  bool all = array->n * array->d <= few && has_delicate_filter(dataset);
  return zg_zoo_digest_array(reader, index, all, &digest);
}

/* Whether ids are fit for use is for others to say, and only where they are used. */
static void try_ids(const zg_file *file) {
  hid_t opened;
  if (!file->ids || zg_h5_open(file->path, &opened) != ZG_OK) return;
  ZG_H5 h5 = opened;
  ZG_H5 dataset = H5Dopen2(h5, "samples/id", H5P_DEFAULT);
  zg_list ids = {0};
  if (dataset >= 0) (void)zg_h5_texts(dataset, 0, &ids);
  zg_list_clear(&ids);
}

static zg_status try_file(void *context, int64_t k) {
  const trial *t = context;
  zg_zoo *zoo;
  ZG_TRY(zg_zoo_scan_file(t->paths->items[k], t->select, &zoo));
  try_ids(&zoo->files[0]);
  zg_reader *reader = zg_reader_create(zoo);
  zg_status status = ZG_OK;
  for (int64_t i = 0; t->depth == ZG_DEPTH_DATA && i < zoo->array_count; i++)
    if (status == ZG_OK) status = try_array(reader, i);
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
  return status;
}

/* ---- in the parent ---- */

/* What an honest file needs is in proportion to its size; what it links to is not
 * counted, but the links are. Chunks of more than a gibibyte hardly exist. */
static zg_limits limits_of(void *context, int64_t k) {
  const trial *t = context;
  const int64_t mebibyte = 1 << 20, gibibyte = 1 << 30, longest = 600;
  struct stat entry;
  bool known = stat(t->paths->items[k], &entry) == 0 && S_ISREG(entry.st_mode);
  int64_t bytes = known ? zg_min(entry.st_size, INT64_MAX / 4) : 0;
  return (zg_limits){.seconds = zg_min(5 + bytes / mebibyte, longest),
                     .memory =
                         zg_min(4 * gibibyte + 2 * bytes, zg_memory_limit(1) / 2)};
}

static zg_status judge(const zg_list *paths, const zg_verdict *verdicts,
                       zg_probe *probe) {
  for (int64_t k = 0; k < paths->count; k++) {
    const zg_verdict *v = &verdicts[k];
    if (v->returned && v->status != ZG_OK) return zg_fail(v->status, "%s", v->what);
    zg_list_add(v->returned ? &probe->sound : &probe->left_out, paths->items[k]);
    if (!v->returned) zg_list_add(&probe->reasons, v->what);
  }
  if (probe->sound.count || !paths->count) return ZG_OK;
  const char *others = paths->count > 1 ? ", and no other file is left" : "";
  return zg_fail(ZG_ERR_DATA, "%s: reading it %s%s", paths->items[0],
                 probe->reasons.items[0], others);
}

zg_status zg_zoo_probe(const zg_list *paths, const zg_select *select, zg_depth depth,
                       bool (*should_stop)(void), zg_probe *probe) {
  trial t = {.paths = paths, .select = select, .depth = depth};
  zg_tasks tasks = {.count = paths->count,
                    .execute = try_file,
                    .limits = limits_of,
                    .context = &t,
                    .should_stop = should_stop,
                    .repeats = true};
  zg_verdict *verdicts = ZG_NEW(zg_verdict, paths->count);
  zg_status status = zg_sandbox_run(&tasks, verdicts);
  if (status == ZG_OK) status = judge(paths, verdicts, probe);
  free(verdicts);
  return status;
}

void zg_probe_clear(zg_probe *probe) {
  zg_list_clear(&probe->sound);
  zg_list_clear(&probe->left_out);
  zg_list_clear(&probe->reasons);
}
