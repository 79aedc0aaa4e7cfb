/** \file
 * The neighbourhood of an order statistic in a stream of numbers that are too many to
 * keep.
 *
 * A bracket [low, high) that should hold the wanted value comes first. What lies below
 * it is counted, what lies in it is kept; when there is no more room the bracket is
 * narrowed about the value that has the wanted rank among the numbers so far (Munro &
 * Paterson 1980). Where that value strays more than the bracket allows, the wanted one
 * is lost, which the exact counts show: nothing is ever wrong, only in vain. Not
 * collective. */
#ifndef ZG_LINALG_BRACKET_H
#define ZG_LINALG_BRACKET_H

#include "linalg/blas.h"

#include <stdbool.h>

/** Numbers that zg_bracket_add takes at a time; a bracket has at least twice that room.
 */
enum { ZG_BRACKET_RUN = 1024 };

typedef struct zg_bracket {
  double low, high;     /**< numbers >= 0 in [low, high) are inside */
  int64_t seen;         /**< numbers so far */
  int64_t below;        /**< of them smaller than low */
  double largest_below; /**< the largest of these; 0 without any */
  int64_t inside;       /**< of them in [low, high) */
  bool tied;            /**< only one value fits inside; it is not kept */
  double *values;       /**< [inside] unless tied; borrowed */
  int64_t room;         /**< of values */
} zg_bracket;

/** \param [in] values  [room], room >= 2 ZG_BRACKET_RUN; must stay until the end. */
void zg_bracket_start(zg_bracket *bracket, double low, double high, double *values,
                      int64_t room);

/** Take `count` numbers >= 0 of either precision into account.
 * \param [in] share  part of all numbers that is smaller than the wanted one, 0 to 1.
 */
void zg_bracket_add(zg_bracket *bracket, double share, zg_precision precision,
                    int64_t count, const void *numbers);

/** Restrict to [low, high), which must not be wider than it is. */
void zg_bracket_restrict(zg_bracket *bracket, double low, double high);

/** Split numbers >= 0 of either precision by a bracket.
 * \param [in,out] below    how many are smaller than low is added.
 * \param [in,out] largest  the largest of these, if larger.
 * \param [out]    inside   [count] those in [low, high), in order and in double.
 * \return how many are inside. */
int64_t zg_bracket_split(zg_precision precision, int64_t count, const void *numbers,
                         double low, double high, int64_t *below, double *largest,
                         double *inside);

#endif
