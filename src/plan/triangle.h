/** \file
 * The tiles of a triangle, pairs of T panels: their numbers, and which team does which,
 * in what order. */
#ifndef ZG_PLAN_TRIANGLE_H
#define ZG_PLAN_TRIANGLE_H

#include "plan/shard.h"

#include <stdint.h>

/** Row and column of tile k of a lower triangle, walked as a snake, so that neighbours
 * share a side: row by row, every other row from right to left. Not collective. */
void zg_tile_place(int64_t k, int64_t *row, int64_t *column);
/** The number of a tile; row and column in any order. Not collective. */
int64_t zg_tile_number(int64_t row, int64_t column);

/** The tiles of every team in the order in which they are done. */
typedef struct zg_triangle {
  int64_t panels, capacity;
  int teams;
  zg_shard shard;
  int64_t *first; /**< [teams + 1] of a team in `tiles`; owned */
  int64_t *tiles; /**< [first[teams]] their numbers: all, or the shard's; owned */
} zg_triangle;

/** Deal the tiles out: few panels per team (plan/partition.h), and in an order in which
 * these stay in memory for long: some panels with all others in turn.
 * \param [in] capacity  panels that a team keeps, those used last; at least 2.
 * The same on every machine. Not collective. Destroy with zg_triangle_destroy. */
void zg_triangle_create(int64_t panels, int teams, int64_t capacity,
                        zg_triangle *triangle);
/** The same for a shard, whose tiles are those of one of as many teams as there are
 * shards; each team has a run of them in the order that one team would have. */
void zg_triangle_create_shard(int64_t panels, const zg_shard *shard, int teams,
                              int64_t capacity, zg_triangle *triangle);
void zg_triangle_destroy(zg_triangle *triangle);

#endif
