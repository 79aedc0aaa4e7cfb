#include "plan/shard.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

/* A whole number from 1 on, and what stands behind it. */
static bool read_number(const char *text, int64_t *number, char **end) {
  *number = isdigit((unsigned char)*text) ? strtoll(text, end, 10) : 0;
  return *number >= 1 && *number <= ZG_MOST_SHARDS;
}

bool zg_shard_parse(const char *text, zg_shard *shard) {
  char *end;
  if (!read_number(text, &shard->number, &end) || *end != '/') return false;
  if (!read_number(end + 1, &shard->count, &end) || *end) return false;
  return shard->number <= shard->count;
}

/* Where the middle of a task lies says whose it is. */
static void mark_run(const zg_shard *shard, int64_t tasks, const double *cost,
                     double total, bool *mine) {
  double before = 0;
  for (int64_t k = 0; k < tasks; k++) {
    double middle = (before + cost[k] / 2) / total * (double)shard->count;
    int64_t owner = (int64_t)fmin(floor(middle), (double)(shard->count - 1));
    mine[k] = owner == shard->number - 1;
    before += cost[k];
  }
}

void zg_shard_mark(const zg_shard *shard, int64_t tasks, const double *cost,
                   bool *mine) {
  double total = 0;
  for (int64_t k = 0; cost && k < tasks; k++)
    total += cost[k];
  if (shard->count && total > 0) {
    mark_run(shard, tasks, cost, total, mine);
    return;
  }
  for (int64_t k = 0; k < tasks; k++)
    mine[k] = !shard->count || k % shard->count == shard->number - 1;
}
