/** \file
 * The search for an order statistic among numbers >= 0 that are too many to keep, in
 * sweeps over them: count how many lie in each slice of a bracket that holds the value,
 * go on with the slice that has its rank, and collect what is inside once that is
 * little. Slices are made of the bits of the numbers, whose order is that of such
 * numbers, so that ties and gaps end the search as well. Not collective: where ranks
 * have a part of the numbers each, counts and what was collected are brought together
 * between the sweeps. */
#ifndef ZG_LINALG_SEARCH_H
#define ZG_LINALG_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

/** The bits of a number >= 0, and the number that has these. */
uint64_t zg_key_of(double value);
double zg_value_of(uint64_t key);

/** Where the wanted value is looked for. */
typedef struct zg_search {
  uint64_t low, high; /**< in [low, high), as keys */
  int64_t below;      /**< numbers that are smaller than low */
  int64_t inside;     /**< numbers in the bracket; -1: not counted yet */
} zg_search;

/** Whether at most `few` numbers are inside, or one value only. */
bool zg_search_is_narrow(const zg_search *search, int64_t few);
/** Count numbers by slice.
 * \param [in]     numbers  [count], all of them inside.
 * \param [in,out] counts   [slices]. */
void zg_search_count(const zg_search *search, int64_t count, const double *numbers,
                     int64_t slices, int64_t *counts);
/** Restrict the bracket to the slice that holds the value of rank `wanted` (0-based)
 * among all numbers; when it is outside, move it to what lies on that side.
 * \param [in] below   numbers that are smaller than low.
 * \param [in] counts  [slices] of all numbers inside. */
void zg_search_narrow(zg_search *search, int64_t wanted, int64_t below, int64_t slices,
                      const int64_t *counts);
/** Narrow the bracket to neighbouring slices about a place, as many as hold no more
 * than a share of the numbers inside, at least one; `below` and `inside` stay.
 * \param [in] wanted  the place: this many of the numbers inside come before it.
 * \param [in] share   of the numbers inside, below 1.
 * \param [in] counts  [slices] of all numbers inside.
 * \return false where the place is outside; then nothing changes. */
bool zg_search_focus(zg_search *search, double wanted, double share, int64_t slices,
                     const int64_t *counts);
/** The mean of the values of ranks rank[0] and rank[1], which are neighbours or equal;
 * -1 is the rank of a zero beside the numbers. rank[1] lies in the narrow bracket.
 * \param [in,out] values  [inside] the numbers inside, in any order; not looked at when
 * these are more than `few`, which are all equal; partially sorted.
 * \param [in] largest_below  the largest number below the bracket, where rank[0] is
 * there. */
double zg_search_middle(const zg_search *search, const int64_t rank[2], int64_t few,
                        double *values, double largest_below);

#endif
