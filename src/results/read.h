/** \file
 * Reading a results file, on one process. Not collective. */
#ifndef ZG_RESULTS_READ_H
#define ZG_RESULTS_READ_H

#include "base/status.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum zg_filetype { ZG_FILE_ZOO, ZG_FILE_RESULTS, ZG_FILE_OTHER } zg_filetype;

/** Tell by the root attribute `format` what an HDF5 file is.
 * \return ZG_ERR_INPUT when it is missing, ZG_ERR_DATA when it is no HDF5 file. */
zg_status zg_filetype_of(const char *path, zg_filetype *type);

/** A tensor of a results file, without its values. */
typedef struct zg_tensor_info {
  char *name, *axis, *measure, *kind; /**< owned */
  bool symmetric;
  zg_list
      attributes; /**< "key=value" lines of all attributes that a person reads; owned */
  int64_t rows, columns;
} zg_tensor_info;

typedef struct zg_results_info {
  bool complete;
  char *version, *job, *job_digest, *history, *plan; /**< owned; "" when absent */
  zg_tensor_info *tensors;                           /**< in the order of the file */
  int64_t tensor_count;
} zg_results_info;

zg_status zg_results_inspect(const char *path, zg_results_info **info);
void zg_results_info_destroy(zg_results_info **info);

typedef struct zg_tensor {
  zg_list row_names, column_names;
  double *values; /**< [rows, columns], row-major, owned */
  int8_t *codes;  /**< the same shape, owned */
  int64_t rows, columns;
} zg_tensor;

/** Read a tensor with its names and codes. \return ZG_ERR_DATA when there is none of
 * that name (the message lists those that are there). */
zg_status zg_tensor_read(const char *path, const char *name, zg_tensor **tensor);
void zg_tensor_destroy(zg_tensor **tensor);

enum { ZG_CODE_VALUES = 128 };
/** Count the entries of a tensor by status code, without holding the tensor.
 * \param [out] counts  [ZG_CODE_VALUES]; negative codes, which no tensor has, are
 * ignored. */
zg_status zg_tensor_count_codes(const char *path, const char *name,
                                int64_t counts[ZG_CODE_VALUES]);

#endif
