/** \file
 * Shards: every task is in one of them, and they have equal work. */
#include "plan/shard.h"

#include "base/memory.h"
#include "mpi_main.h"

#include <math.h>
#include <stdlib.h>

enum { MOST = 60 };

static void shards_are_understood(void) {
  static const char *const wrong[] = {"",
                                      "2",
                                      "/",
                                      "2/",
                                      "/8",
                                      "0/8",
                                      "9/8",
                                      "2/8 ",
                                      " 2/8",
                                      "+2/8",
                                      "2/x",
                                      "2.0/8",
                                      "2/8/1",
                                      "-1/8",
                                      "0x1/8",
                                      "1/0",
                                      "1/1e99",
                                      "1/4097",
                                      "1/99999999999999999999"};
  zg_shard shard;
  CU_ASSERT_TRUE_FATAL(zg_shard_parse("2/8", &shard));
  CU_ASSERT(shard.number == 2 && shard.count == 8);
  CU_ASSERT(zg_shard_parse("1/1", &shard) && zg_shard_parse("08/08", &shard));
  for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
    CU_ASSERT_FALSE(zg_shard_parse(wrong[k], &shard));
}

/* Who has each task, by asking all shards. */
static void find_owners(int64_t shards, int64_t tasks, const double *cost,
                        int64_t owner[MOST]) {
  for (int64_t t = 0; t < tasks; t++)
    owner[t] = 0;
  for (int64_t k = 1; k <= shards; k++) {
    bool mine[MOST];
    zg_shard_mark(&(zg_shard){k, shards}, tasks, cost, mine);
    for (int64_t t = 0; t < tasks; t++) {
      CU_ASSERT(!mine[t] || !owner[t]);
      if (mine[t]) owner[t] = k;
    }
  }
  for (int64_t t = 0; t < tasks; t++)
    CU_ASSERT(owner[t] > 0);
}

static void tasks_go_round(void) {
  for (int64_t shards = 1; shards <= 9; shards++)
    for (int64_t tasks = 0; tasks <= 30; tasks++) {
      int64_t owner[MOST];
      find_owners(shards, tasks, NULL, owner);
      for (int64_t t = 0; t < tasks; t++)
        CU_ASSERT_EQUAL(owner[t], 1 + t % shards);
    }
}

/* No shard is further from the mean than its dearest task. */
static void check_costs(int64_t shards, int64_t tasks, const double *cost) {
  int64_t owner[MOST];
  double total = 0, dearest = 0, has[MOST + 1] = {0};
  find_owners(shards, tasks, cost, owner);
  for (int64_t t = 0; t < tasks; t++) {
    total += cost[t];
    dearest = fmax(dearest, cost[t]);
    has[owner[t]] += cost[t];
    CU_ASSERT(!t || owner[t] >= owner[t - 1]); /* runs of neighbours */
  }
  for (int64_t k = 1; k <= shards; k++)
    CU_ASSERT(fabs(has[k] - total / (double)shards) <= dearest * (1 + 1e-12));
}

static void tasks_with_a_cost_go_in_runs_of_equal_cost(void) {
  for (int64_t shards = 1; shards <= 12; shards++)
    for (int64_t tasks = 1; tasks <= MOST; tasks += 1 + tasks / 3) {
      double cost[MOST];
      for (int64_t t = 0; t < tasks; t++)
        cost[t] = pow(1 + zg_test_random(7, (unsigned long)t), 3);
      check_costs(shards, tasks, cost);
      for (int64_t t = 0; t < tasks; t++)
        cost[t] = t ? 0 : 1;
      check_costs(shards, tasks, cost);
    }
}

static void without_any_cost_tasks_go_round(void) {
  static const double nothing[5] = {0};
  int64_t owner[MOST];
  find_owners(3, 5, nothing, owner);
  for (int64_t t = 0; t < 5; t++)
    CU_ASSERT_EQUAL(owner[t], 1 + t % 3);
}

static void no_shard_has_everything(void) {
  bool mine[4] = {false};
  zg_shard_mark(&(zg_shard){0, 0}, 4, NULL, mine);
  CU_ASSERT(mine[0] && mine[1] && mine[2] && mine[3]);
}

const zg_test zg_tests[] = {
    {"shards_are_understood", shards_are_understood},
    {"tasks_go_round", tasks_go_round},
    {"tasks_with_a_cost_go_in_runs_of_equal_cost",
     tasks_with_a_cost_go_in_runs_of_equal_cost},
    {"without_any_cost_tasks_go_round", without_any_cost_tasks_go_round},
    {"no_shard_has_everything", no_shard_has_everything},
    {NULL, NULL}};
