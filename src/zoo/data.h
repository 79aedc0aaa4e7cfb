/** \file
 * Where each kind of data lies in a file and what its arrays look like; private to this
 * folder. Not collective. */
#ifndef ZG_ZOO_DATA_H
#define ZG_ZOO_DATA_H

#include "zoo/zoo.h"

/** What the entries of an array have to be. */
typedef enum zg_holds {
  ZG_HOLDS_NUMBERS,
  ZG_HOLDS_INTEGERS,
  ZG_HOLDS_STRINGS
} zg_holds;

typedef struct zg_data_form {
  const char *name;     /**< for messages and tables */
  const char *group;    /**< below the model: a group of arrays, or the array itself */
  const char *member;   /**< of one group per layer; NULL: the array is the layer */
  const char *word;     /**< what a name is called; NULL: arrays have no names */
  const char *axes;     /**< as the format page states them */
  int least, most;      /**< axes */
  int64_t narrow, wide; /**< bounds of the last axis; 0: none */
  zg_holds holds;
  bool by_layer; /**< the selection's layers choose among the arrays */
  bool sampled;  /**< a row is a sample: the selection's limit counts */
  bool empty;    /**< there may be no rows */
  bool gaps;     /**< NaN is a number that was not recorded */
  bool positive; /**< no number is below 0 */
  int shares;    /**< over so many last axes the numbers sum to 1; 0: they need not */
} zg_data_form;

const zg_data_form *zg_data_form_of(zg_data data);

/** Append "/models/<model>/<group>/..." of an array. */
void zg_data_path(const zg_zoo *zoo, const zg_array *array, zg_text *path);

/** ZG_ERR_DATA with "<zg_zoo_where>: <what is wrong>". */
zg_status zg_array_fail(const zg_zoo *zoo, int64_t array, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** \return false when the word is none of a kind. */
bool zg_weight_kind_of(const char *word, zg_weight_kind *kind);

#endif
