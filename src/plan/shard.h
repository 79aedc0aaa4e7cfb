/** \file
 * Shards: a job that is computed by several runs, each of which does its share of the
 * tasks of every pass. Who does what follows from the tasks and the number of shards
 * alone, never from ranks or memory. Not collective. */
#ifndef ZG_PLAN_SHARD_H
#define ZG_PLAN_SHARD_H

#include <stdbool.h>
#include <stdint.h>

/** Shard `number` of `count`, counted from 1; count 0: everything. */
typedef struct zg_shard {
  int64_t number, count;
} zg_shard;

enum { ZG_MOST_SHARDS = 4096 };

/** "2/8". \return false when the text is no shard. */
bool zg_shard_parse(const char *text, zg_shard *shard);

/** Mark the tasks of a shard, which are given in the order in which they are dealt out.
 * \param [in] cost  [tasks] of each. With it shards are runs of neighbours of about
 * equal cost, as neighbours need the same data; NULL: one after the other, round and
 * round.
 * \param [out] mine  [tasks]. */
void zg_shard_mark(const zg_shard *shard, int64_t tasks, const double *cost,
                   bool *mine);

#endif
