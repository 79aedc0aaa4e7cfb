/** \file
 * Writing a results file.
 *
 * Rank 0 makes the whole file first: groups, scales, names, attributes, every dataset
 * with its space allocated, and sees it on the disk; nothing about its structure
 * changes afterwards. Then all ranks write values, and rank 0 marks it complete and
 * gives it its name. Until then it is called <output>.part. Nothing here knows of
 * measures or plans.
 *
 * Every rank opens the file for itself (MPI-IO on MPI_COMM_SELF): inside a file that is
 * opened together, HDF5 and MPI-IO wait for all ranks when they open, flush and close,
 * also for one that has failed there and never comes. Here a failure concerns one rank,
 * and the agreement is ours. */
#ifndef ZG_RESULTS_RESULTS_H
#define ZG_RESULTS_RESULTS_H

#include "grid/comm.h"

#include <stdint.h>

/** A named attribute: a text, a list of numbers, or a number where both are NULL. */
typedef struct zg_attribute {
  const char *name;
  const char *text;
  double number;
  bool integer;       /**< store the number as int64 instead of float64 */
  const double *list; /**< borrowed */
  int64_t count;      /**< of the list */
} zg_attribute;

/** An axis: its two scales are <name>_a and <name>_b. */
typedef struct zg_axis_labels {
  const char *name;
  char *const *labels; /**< borrowed */
  int64_t count;
} zg_axis_labels;

/** A quantity beside a tensor, /kept/<tensor>/<name>: one number per label of an axis,
 * or an array of numbers. */
typedef struct zg_kept_layout {
  const char *name;
  const char *meaning; /**< its attribute long_name */
  int64_t axis;        /**< position in zg_results_layout.axes */
  int extra;           /**< further axes, 0 to 2, each of `length`; 0 for pairs */
  int64_t length;
  bool pairs; /**< its second axis is its first one again */
} zg_kept_layout;

enum { ZG_KEPT_RANK = 3 };

/** A tensor on one axis, with its status tensor and what is kept beside it. */
typedef struct zg_tensor_layout {
  const char *name;
  int64_t axis;                   /**< position in zg_results_layout.axes */
  const zg_attribute *attributes; /**< ends with an entry whose name is NULL */
  const zg_kept_layout *kept;     /**< borrowed */
  int64_t kept_count;
} zg_tensor_layout;

/** A column of /items, on the first scale of its axis: texts, or numbers. */
typedef struct zg_item_column {
  const char *name;
  char *const *texts; /**< NULL for numbers */
  const int64_t *numbers;
} zg_item_column;

typedef struct zg_results_layout {
  const zg_attribute *attributes; /**< of the root, ends with a NULL name */
  const zg_axis_labels *axes;
  int64_t axis_count;
  const zg_tensor_layout *tensors;
  int64_t tensor_count;
  const zg_item_column *columns;    /**< ends with a NULL name; NULL: no /items */
  int64_t column_axis;              /**< of the columns */
  bool float32;                     /**< type of the tensors */
  const char *const *code_meanings; /**< of status 0, 1, ... */
  int64_t code_count;
} zg_results_layout;

typedef struct zg_results zg_results;

/** Make `<path>.part` and open it on all ranks.
 * \param [in] layout  the same on all ranks; read on rank 0 only.
 * \return ZG_ERR_CREATE or ZG_ERR_WRITE, the same on all ranks. Collective. */
zg_status zg_results_create(MPI_Comm comm, const char *path,
                            const zg_results_layout *layout, zg_results **results);

/** Write this rank's part of a symmetric tensor: of the items [first, first + count)
 * the entries with all items up to the last of them. The mirror image is written too.
 * \param [in] values  [count, first + count], row-major; of entries beyond the diagonal
 * the mirrored one is used.
 * \param [in] codes  the same shape. Collective; the same status on all ranks. */
zg_status zg_results_write_symmetric(zg_results *results, int64_t tensor, int64_t first,
                                     int64_t count, const double *values,
                                     const int8_t *codes);

/** Write this rank's rows of a tensor that is not symmetric.
 * \param [in] values  [count, n], row-major, n the length of the axis.
 * \param [in] codes   the same shape.
 * Collective; the same status on all ranks. */
zg_status zg_results_write_rows(zg_results *results, int64_t tensor, int64_t first,
                                int64_t count, int64_t n, const double *values,
                                const int8_t *codes);

/** Write this rank's part of a kept quantity: [start, start + count) on each axis.
 * \param [in] count  with 0 in it, the rank has nothing to write.
 * Collective; the same status on all ranks. */
zg_status zg_results_write_kept(zg_results *results, int64_t tensor, int64_t kept,
                                const int64_t start[ZG_KEPT_RANK],
                                const int64_t count[ZG_KEPT_RANK],
                                const double *values);

/** Close, mark complete, and rename to the final name, all of it durable on disk.
 * Destroys the handle. Collective; the same status on all ranks. */
zg_status zg_results_finish(zg_results **results);
/** Close and remove the unfinished file. Accepts NULL. Collective. */
void zg_results_abandon(zg_results **results);

#endif
