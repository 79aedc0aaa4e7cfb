/** \file
 * The vector-product form: items are long vectors that are read from the zoo slice by
 * slice, all of them in step, each number once. */
#ifndef ZG_MEASURES_VECTOR_H
#define ZG_MEASURES_VECTOR_H

#include "measures/measure.h"

/** What vectors are made of, and what of two of them is wanted. */
typedef enum zg_vector_kind {
  /** All numbers of an array, or of all arrays of a model end to end. Of a zg_pair:
   * cross and self, and apart = |v - w|^2 or, with `unit`, |v/|v| - w/|w||^2, either of
   * them right also where it is close to 0. */
  ZG_VECTOR_FLAT,
  /** The same of a vector that `collapse` makes from the columns of an array [m, p]. */
  ZG_VECTOR_COLLAPSED,
  /** The same of the rows of an array [n, width] end to end, each after `map`, which
   * brings it to length 1. */
  ZG_VECTOR_MAPPED,
  /** cosine = mean of the cosines of the maps in arrays [n, maps, h, w], on a grid that
   * the pair has in common: after `resample`, which brings each to length 1. Which grid
   * it is depends on the pair: items that have it in common make a group, and an item
   * may be in several. */
  ZG_VECTOR_GRIDDED,
  /** apart = mean over distributions of sum a log(a/b), of arrays whose last axis holds
   * distributions, end to end. Like every vector product this is sum_k V_k V'_k, with V
   * = a and V' = log a; but V' is another vector than V, the product is not symmetric,
   * and where a > 0 = b it is infinite. */
  ZG_VECTOR_DIVERGENCE,
  /** apart = mean over rows of `row_term` of two rows of arrays [n, width], after
     `map`. */
  ZG_VECTOR_ROWS,
  /** apart = mean over both models' rows g of (g.(v - w))^2, each model weighing half:
   * v the model's arrays of the kind `data`, g those of its [m, p] arrays `rows`. */
  ZG_VECTOR_QUADRATIC
} zg_vector_kind;

typedef struct zg_vector_form {
  zg_vector_kind kind;
  zg_data data;  /**< what is read */
  zg_data rows;  /**< quadratic: of which the rows are projected on */
  bool by_model; /**< an item is a model; else one array of the kind */
  bool named;    /**< an item may have several arrays: their names have to agree as well
                    as their shapes */
  bool flat;     /**< arrays fit when they have equal numbers of rows and of numbers
                    per row, however these are shaped */
  bool by_head;  /**< divergence: an item is one position of the second axis */
  bool unit;     /**< distances are those of vectors scaled to length 1 */
  /** Numbers out[columns] from in[rows, columns], row-major. */
  void (*collapse)(int64_t rows, int64_t columns, const double *in, double *out);
  /** Change a row [width] in place. \return what is wrong with it: not finite, or
   * zero where that has no image. */
  zg_code (*map)(int64_t width, double *row);
  /** A row of an array, [maps, h, w], to out [maps, grid[0], grid[1]]. \return as
   * `map`. */
  zg_code (*resample)(const zg_array *array, const int64_t grid[2], const double *row,
                      double *out);
  double (*row_term)(int64_t width, const double *a, const double *b);
  /** A number for all items of a model together, kept beside the tensor: from their
   * norms [count], their cosines and their `apart`, [count, stride] each. */
  double (*total)(int64_t count, const double *norms, const double *cosine,
                  const double *apart, int64_t stride);
} zg_vector_form;

/** Whether vectors are cut into rows, so that a slice is some of these. */
static inline bool zg_vector_by_rows(const zg_vector_form *form) {
  return form->kind == ZG_VECTOR_ROWS || form->kind == ZG_VECTOR_MAPPED ||
         form->kind == ZG_VECTOR_GRIDDED;
}

#endif
