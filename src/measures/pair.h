/** \file
 * The pair form: every pair of items is work of its own. What can be done once per item
 * is: an item is loaded, prepared (sorted projections, factors, norms), and then
 * compared with many others while it stays in memory.
 *
 * An item is one array, or two that belong together (activations and a map of them).
 * Of a zg_pair the form sets terms, terms_a, terms_b, shared and found. */
#ifndef ZG_MEASURES_PAIR_H
#define ZG_MEASURES_PAIR_H

#include "measures/measure.h"
#include "zoo/reader.h"

#include <mpi.h>

enum { ZG_PAIR_ARRAYS = 2 };

/** Samples and features of an array, as far as they count (zg_zoo_rows). */
typedef struct zg_shape {
  int64_t n, d;
} zg_shape;

/** An array in memory: [n, d], row-major. */
typedef struct zg_rows {
  int64_t n, d;
  const double *values;
} zg_rows;

/** An item that was prepared. */
typedef struct zg_prepared {
  const zg_shape *shapes; /**< [arrays] */
  const void *data;       /**< zg_pair_form.bytes of it */
} zg_prepared;

/** Two items to be compared. */
typedef struct zg_comparison {
  zg_prepared a, b;
  double *terms; /**< [zg_pair_form.terms] of the result, zeros to begin with */
  zg_code code;  /**< ok to begin with; what there is to say beside the value */
} zg_comparison;

/** What is known to all callbacks. */
typedef struct zg_pair_context {
  const zg_call *call;
  const double *shared; /**< [zg_pair_form.shared] of the whole tensor */
} zg_pair_context;

/** What the ranks have to find the numbers of a whole tensor with. */
typedef struct zg_sharing {
  MPI_Comm comm;
  zg_reader *reader;
  const zg_zoo *zoo;
  const zg_call *call;
  bool (*should_stop)(void);
} zg_sharing;

typedef struct zg_pair_form {
  int arrays;                   /**< of an item: 1 or 2 */
  zg_data data[ZG_PAIR_ARRAYS]; /**< the first gives the axis; the second array has the
                                   same model and name */
  bool equal_n, equal_d;        /**< of the first arrays, or status 3 */
  bool self;                    /**< an item is compared with itself as well */
  int64_t terms;                /**< numbers that a comparison yields, at least 1 */
  int64_t shared;               /**< numbers that hold for the whole tensor */

  /** Find these. NULL: there are none. Collective over the communicator; the same
   * status, and on ZG_OK the same numbers, on all ranks. */
  zg_status (*share)(const zg_sharing *sharing, double *shared);
  /** Bytes that this takes on a rank, before any item is prepared. NULL: few. */
  int64_t (*sharing)(const zg_zoo *zoo, const zg_call *call);
  /** Bytes of a prepared item. */
  int64_t (*bytes)(const zg_call *call, const zg_shape *shapes);
  /** Bytes that preparing an item takes besides it and its rows. NULL: few. */
  int64_t (*preparing)(const zg_call *call, const zg_shape *shapes);
  /** Why items of these shapes cannot be compared, in words for an error; NULL when
   * they can. NULL: all can. */
  const char *(*refusal)(const zg_call *call, const zg_shape *a, const zg_shape *b);
  /** Bytes of room that a comparison needs. */
  int64_t (*room)(const zg_call *call, const zg_shape *a, const zg_shape *b);
  /** Operations of a comparison. */
  double (*cost)(const zg_call *call, const zg_shape *a, const zg_shape *b);
  /** Prepare an item from its rows, whose numbers are finite and can be squared
   * (linalg/numbers.h). May set the code.
   * \param [out] data  `bytes` of it, aligned like a double. */
  void (*prepare)(const zg_pair_context *context, const zg_rows *rows, void *data,
                  zg_code *code);
  /** Compare two items that are sound and fit. The result must not depend on anything
   * else. For measures that are symmetric, b never comes after a on the axis. */
  void (*compare)(const zg_pair_context *context, zg_comparison *pair, void *room);
  /** The same for all pairs of a block, where that is faster. NULL: one by one. */
  void (*compare_all)(const zg_pair_context *context, int64_t count,
                      zg_comparison *pairs, void *room);
  /** What the call keeps of an item: quantity q from the terms of the item with itself
   * (NULL without `self`). NULL: nothing is kept. */
  double (*keep)(const zg_pair_context *context, int64_t q, const double *terms);
} zg_pair_form;

#endif
