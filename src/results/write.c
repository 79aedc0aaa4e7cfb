#include "base/memory.h"
#include "base/sync.h"
#include "base/text.h"
#include "base/watchdog.h"
#include "results/layout.h"
#include "results/structure.h"
#include "zoo/h5.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct opened_tensor {
  hid_t values, codes;
  hid_t *kept;
  int64_t kept_count;
} opened_tensor;

struct zg_results {
  MPI_Comm comm; /* borrowed */
  int rank;
  char *path, *part;
  uint64_t structure; /* on rank 0: of the file as it was made */
  bool float32;
  hid_t file, transfer;
  opened_tensor *tensors;
  int64_t tensor_count;
};

static zg_status fail_write(const zg_results *results) {
  return zg_fail(ZG_ERR_WRITE, "%s: cannot be written", results->part);
}

/* MPI-IO keeps for itself why a call has failed, but for errno. */
static herr_t with_reason(herr_t result) {
  if (result < 0 && errno && !zg_reason()[0]) zg_set_reason(strerror(errno));
  return result;
}

static hid_t open_below(hid_t file, const char *group, const char *name) {
  zg_text path = {0};
  zg_text_add(&path, "%s/%s", group, name);
  hid_t dataset = H5Dopen2(file, path.data, H5P_DEFAULT);
  zg_text_clear(&path);
  return dataset;
}

static void open_kept(const zg_results *results, const zg_tensor_layout *layout,
                      opened_tensor *tensor) {
  zg_text group = {0};
  zg_text_add(&group, "kept/%s", layout->name);
  tensor->kept_count = layout->kept_count;
  tensor->kept = ZG_NEW(hid_t, layout->kept_count);
  for (int64_t k = 0; k < layout->kept_count; k++)
    tensor->kept[k] = open_below(results->file, group.data, layout->kept[k].name);
  zg_text_clear(&group);
}

static void open_tensors(zg_results *results, const zg_results_layout *layout) {
  results->tensors = ZG_NEW(opened_tensor, layout->tensor_count);
  results->tensor_count = layout->tensor_count;
  for (int64_t k = 0; k < layout->tensor_count; k++) {
    const zg_tensor_layout *tensor = &layout->tensors[k];
    opened_tensor *t = &results->tensors[k];
    *t = (opened_tensor){.values = open_below(results->file, "", tensor->name),
                         .codes = open_below(results->file, "status", tensor->name)};
    open_kept(results, tensor, t);
  }
}

/* Open MPI guards a position in the file, which nobody here uses, by a semaphore that
 * is named like the file, wherever that lies. What a killed run has left of it may
 * never let another one pass, and cannot be opened by other users; so it goes, or,
 * where it is another user's, another means is taken. Nothing is lost when a rank
 * beside this one still has it: each rank opens the file alone. */
static void remove_semaphore(const char *part) {
  const char *slash = strrchr(part, '/');
  zg_text path = {0};
  zg_text_add(&path, "/dev/shm/sem.OMPIO_%s", slash ? slash + 1 : part);
  if (unlink(path.data) != 0 && errno != ENOENT)
    setenv("OMPI_MCA_sharedfp", "^sm", 0); /* unless the user has chosen */
  zg_text_clear(&path);
}

/* Why the system does not open a file for writing; NULL where it does. */
static const char *why_closed(const char *path) {
  int descriptor = open(path, O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return strerror(errno);
  close(descriptor);
  return NULL;
}

/* A plain open comes first, and again where the file may have gone meanwhile, as MPI-IO
 * would not say why it fails. */
static zg_status open_part(zg_results *results, const zg_results_layout *layout) {
  ZG_PLACE("opening", results->part);
  remove_semaphore(results->part);
  int64_t failures = zg_h5_failures();
  const char *why = why_closed(results->part);
  if (!why) {
    ZG_H5 access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_mpio(access, MPI_COMM_SELF, MPI_INFO_NULL);
    results->file = H5Fopen(results->part, H5F_ACC_RDWR, access);
    if (results->file < 0) why = why_closed(results->part);
  }
  if (why) zg_set_reason(why);
  if (results->file >= 0) open_tensors(results, layout);
  if (results->file >= 0 && zg_h5_failures() == failures) return ZG_OK;
  return zg_fail(ZG_ERR_CREATE, "%s: cannot be opened by rank %d", results->part,
                 results->rank);
}

/* Whether a name ends as Open MPI ends those of its locks: FILE.locktest.RANK, or
 * FILE-JOB-PROCESS.lock. */
static bool is_lock_of_mpi(const char *end) {
  static const char test[] = ".locktest.", digits[] = "0123456789";
  if (!strncmp(end, test, sizeof test - 1)) {
    end += sizeof test - 1;
    return *end && !end[strspn(end, digits)];
  }
  for (int number = 0; number < 2; number++) {
    size_t length = *end == '-' ? strspn(end + 1, digits) : 0;
    if (!length) return false;
    end += 1 + length;
  }
  return !strcmp(end, ".lock");
}

/* Remove the locks that MPI-IO keeps beside a file, where a rank died that had it open:
 * nobody else writes this one. Other files may have names that begin like its. */
static void remove_leftovers(const char *part) {
  const char *slash = strrchr(part, '/'), *name = slash ? slash + 1 : part;
  char *folder = zg_directory(part);
  DIR *directory = opendir(folder);
  for (struct dirent *entry; directory && (entry = readdir(directory));) {
    zg_text path = {0};
    zg_text_add(&path, "%s/%s", folder, entry->d_name);
    bool begins = !strncmp(entry->d_name, name, strlen(name));
    if (begins && is_lock_of_mpi(entry->d_name + strlen(name))) unlink(path.data);
    zg_text_clear(&path);
  }
  if (directory) closedir(directory);
  free(folder);
}

zg_status zg_results_create(MPI_Comm comm, const char *path,
                            const zg_results_layout *layout, zg_results **created) {
  zg_results *results = ZG_NEW0(zg_results, 1);
  zg_text part = {0};
  zg_text_add(&part, "%s.part", path);
  results->part = part.data;
  results->path = zg_strdup(path);
  results->float32 = layout->float32;
  results->file = results->transfer = -1;
  results->comm = comm;
  MPI_Comm_rank(comm, &results->rank);
  *created = results;
  zg_h5_start();
  zg_status status = ZG_OK;
  if (results->rank == 0) {
    remove_leftovers(results->part);
    status = zg_layout_create(results->part, layout, &results->structure);
  }
  status = zg_agree(comm, status);
  if (status == ZG_OK) status = zg_agree(comm, open_part(results, layout));
  if (status != ZG_OK) {
    zg_results_abandon(created);
    return status;
  }
  results->transfer = H5Pcreate(H5P_DATASET_XFER);
  H5Pset_dxpl_mpio(results->transfer, H5FD_MPIO_COLLECTIVE);
  return ZG_OK;
}

static herr_t write_selected(const zg_results *results, hid_t dataset, hid_t type,
                             hid_t memory, hid_t space, const void *data) {
  ZG_PLACE("writing", results->part);
  errno = 0;
  return with_reason(H5Dwrite(dataset, type, memory, space, results->transfer, data));
}

/* Write a rectangle of a square dataset; a rank with nothing to write takes part too.
 */
static herr_t write_rectangle(const zg_results *results, hid_t dataset, hid_t type,
                              int64_t row, int64_t rows, int64_t column,
                              int64_t columns, const void *data) {
  hsize_t start[2] = {(hsize_t)row, (hsize_t)column};
  hsize_t count[2] = {(hsize_t)rows, (hsize_t)columns};
  bool empty = rows == 0 || columns == 0;
  hsize_t shape[2] = {empty ? 1 : count[0], empty ? 1 : count[1]};
  ZG_H5 space = H5Dget_space(dataset);
  ZG_H5 memory = H5Screate_simple(2, shape, NULL);
  if (empty) {
    H5Sselect_none(space);
    H5Sselect_none(memory);
  } else {
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
  }
  return write_selected(results, dataset, type, memory, space, data);
}

/* The two rectangles of a symmetric part: below, with the diagonal block made
 * symmetric, and the mirror image of what lies left of that block. */
#define DEFINE_MIRRORING(suffix, in, out)                                              \
  static void mirror_##suffix(const in *from, int64_t first, int64_t count, out *rows, \
                              out *columns) {                                          \
    int64_t width = first + count;                                                     \
    for (int64_t r = 0; r < count; r++)                                                \
      for (int64_t k = 0; k < width; k++) {                                            \
        bool beyond = k > first + r;                                                   \
        rows[r * width + k] = (out)(beyond ? from[(k - first) * width + first + r]     \
                                           : from[r * width + k]);                     \
        if (k < first) columns[k * count + r] = (out)from[r * width + k];              \
      }                                                                                \
  }
DEFINE_MIRRORING(double, double, double)
DEFINE_MIRRORING(float, double, float)
DEFINE_MIRRORING(codes, int8_t, int8_t)

static herr_t write_mirrored(const zg_results *results, hid_t dataset, hid_t type,
                             int64_t first, int64_t count, const void *rows,
                             const void *columns) {
  herr_t below = write_rectangle(results, dataset, type, first, count, 0,
                                 count ? first + count : 0, rows);
  herr_t above = write_rectangle(results, dataset, type, 0, count ? first : 0, first,
                                 count, columns);
  return below < 0 || above < 0 ? -1 : 0;
}

zg_status zg_results_write_symmetric(zg_results *results, int64_t tensor, int64_t first,
                                     int64_t count, const double *values,
                                     const int8_t *codes) {
  const opened_tensor *t = &results->tensors[tensor];
  int64_t below = count * (first + count), left = count * first;
  double *buffer = ZG_NEW(double, below + left);
  void *columns =
      results->float32 ? (void *)((float *)buffer + below) : (void *)(buffer + below);
  if (results->float32)
    mirror_float(values, first, count, (float *)buffer, columns);
  else
    mirror_double(values, first, count, buffer, columns);
  herr_t result = write_mirrored(
      results, t->values, results->float32 ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE,
      first, count, buffer, columns);
  int8_t *code_buffer = (int8_t *)buffer;
  mirror_codes(codes, first, count, code_buffer, code_buffer + below);
  herr_t code_result = write_mirrored(results, t->codes, H5T_NATIVE_INT8, first, count,
                                      code_buffer, code_buffer + below);
  free(buffer);
  return zg_agree(results->comm,
                  result < 0 || code_result < 0 ? fail_write(results) : ZG_OK);
}

zg_status zg_results_write_rows(zg_results *results, int64_t tensor, int64_t first,
                                int64_t count, int64_t n, const double *values,
                                const int8_t *codes) {
  const opened_tensor *t = &results->tensors[tensor];
  /* HDF5 narrows to the type of the file. */
  herr_t result = write_rectangle(results, t->values, H5T_NATIVE_DOUBLE, first, count,
                                  0, n, values);
  herr_t code_result =
      write_rectangle(results, t->codes, H5T_NATIVE_INT8, first, count, 0, n, codes);
  return zg_agree(results->comm,
                  result < 0 || code_result < 0 ? fail_write(results) : ZG_OK);
}

zg_status zg_results_write_kept(zg_results *results, int64_t tensor, int64_t kept,
                                const int64_t start[ZG_KEPT_RANK],
                                const int64_t count[ZG_KEPT_RANK],
                                const double *values) {
  hid_t dataset = results->tensors[tensor].kept[kept];
  ZG_H5 space = H5Dget_space(dataset);
  int rank = H5Sget_simple_extent_ndims(space);
  hsize_t from[ZG_KEPT_RANK], shape[ZG_KEPT_RANK];
  bool empty = false;
  for (int k = 0; k < rank; k++) {
    from[k] = (hsize_t)start[k];
    shape[k] = (hsize_t)zg_max(1, count[k]);
    empty = empty || count[k] == 0;
  }
  ZG_H5 memory = H5Screate_simple(rank, shape, NULL);
  if (empty) {
    H5Sselect_none(space);
    H5Sselect_none(memory);
  } else {
    H5Sselect_hyperslab(space, H5S_SELECT_SET, from, NULL, shape, NULL);
  }
  herr_t result =
      write_selected(results, dataset, H5T_NATIVE_DOUBLE, memory, space, values);
  return zg_agree(results->comm, result < 0 ? fail_write(results) : ZG_OK);
}

/* \return false when something could not be written. */
static bool close_file(zg_results *results) {
  ZG_PLACE("closing", results->part);
  int64_t failures = zg_h5_failures();
  errno = 0;
  for (int64_t k = 0; k < results->tensor_count; k++) {
    zg_h5_close(&results->tensors[k].values);
    zg_h5_close(&results->tensors[k].codes);
    for (int64_t j = 0; j < results->tensors[k].kept_count; j++)
      zg_h5_close(&results->tensors[k].kept[j]);
    free(results->tensors[k].kept);
  }
  results->tensor_count = 0;
  zg_h5_close(&results->transfer);
  zg_h5_close(&results->file);
  return with_reason(zg_h5_failures() == failures ? 0 : -1) >= 0;
}

static void destroy(zg_results **results) {
  free((*results)->tensors);
  free((*results)->path);
  free((*results)->part);
  free(*results);
  *results = NULL;
}

/* The attribute exists already, with the value 0. */
static bool mark_complete(const zg_results *results) {
  const int64_t complete = 1;
  int64_t failures = zg_h5_failures();
  zg_set_reason(NULL);
  hid_t file = H5Fopen(results->part, H5F_ACC_RDWR, H5P_DEFAULT);
  bool sound = file >= 0 && zg_structure_digest(file) == results->structure;
  hid_t attribute = sound ? H5Aopen(file, "complete", H5P_DEFAULT) : -1;
  if (attribute >= 0) H5Awrite(attribute, H5T_NATIVE_INT64, &complete);
  zg_h5_close(&attribute);
  zg_h5_close(&file);
  if (!sound && !zg_reason()[0])
    zg_set_reason("it was damaged while values were written");
  return sound && zg_h5_failures() == failures;
}

/* Only a file that is complete, and on the disk, gets the name. */
static zg_status mark_and_rename(const zg_results *results) {
  ZG_PLACE("finishing", results->part);
  if (!mark_complete(results) || !zg_sync_path(results->part))
    return fail_write(results);
  if (rename(results->part, results->path) != 0)
    return zg_fail(ZG_ERR_CREATE, "%s: cannot be named so: %s", results->path,
                   strerror(errno));
  zg_sync_directory(results->path); /* it is there, whatever the answer */
  return ZG_OK;
}

/* What a rank has written may be in the memory of its own node. */
static bool make_durable(const zg_results *results) {
  ZG_PLACE("syncing", results->part);
  return zg_sync_path(results->part);
}

zg_status zg_results_finish(zg_results **results) {
  bool durable = close_file(*results) && make_durable(*results);
  zg_status status = durable ? ZG_OK : fail_write(*results);
  status = zg_agree((*results)->comm, status);
  if (status == ZG_OK && (*results)->rank == 0) status = mark_and_rename(*results);
  status = zg_agree((*results)->comm, status);
  destroy(results);
  return status;
}

void zg_results_abandon(zg_results **results) {
  ZG_WAIT;
  if (!*results) return;
  close_file(*results);
  MPI_Barrier((*results)->comm);
  if ((*results)->rank == 0) unlink((*results)->part);
  destroy(results);
}
