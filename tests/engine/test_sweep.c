/** \file
 * Sweeps: every task is done once, by whichever team, also when a run is stopped and
 * goes on with other ranks; and what is known of pairs of items. */
#include "base/clock.h"
#include "base/memory.h"
#include "engine/products.h"
#include "engine/sweep.h"
#include "files.h"
#include "mpi_main.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a pass that counts ---- */

enum { MOST = 40 };

typedef struct counting {
  int64_t done[MOST]; /* how often this rank has done each task */
  int64_t order[MOST], count;
  double sums[MOST]; /* what tasks add to, as a checkpoint sees it */
} counting;

static int allowed; /* tasks of this rank before it is asked to stop */

static bool stop_after_some(void) {
  return allowed-- <= 0;
}

static zg_status visit(void *context, int64_t task) {
  counting *c = context;
  CU_ASSERT_FATAL(c->count < MOST && task >= 0 && task < MOST);
  c->order[c->count++] = task;
  c->done[task]++;
  c->sums[task] += 1 + (double)task;
  return ZG_OK;
}

/* Everything a sweep needs, on some ranks and in teams of one size. */
typedef struct scene {
  zg_run run;
  zg_report report;
  zg_work work;
  zg_team team;
} scene;

static void open_scene(scene *s, MPI_Comm comm, int team_size) {
  *s = (scene){.run = {.comm = comm, .should_stop = stop_after_some}};
  s->work = (zg_work){.run = &s->run, .report = &s->report};
  zg_team_create(comm, team_size, &s->team);
}

static void close_scene(scene *s) {
  zg_team_destroy(&s->team);
}

/* ---- dealing ---- */

static int64_t own_count(const scene *s, const counting *c) {
  return zg_team_works(&s->team) && s->team.position == 0 ? c->count : 0;
}

/* With `keep`, teams do what was dealt to them alone. */
static void check_dealing(MPI_Comm comm, int team_size, int64_t tasks,
                          const int64_t *order, bool keep) {
  scene s;
  counting c = {.count = 0};
  open_scene(&s, comm, team_size);
  s.run.keep_shares = keep;
  zg_deal deal = {.team = &s.team, .tasks = tasks, .order = order};
  CU_ASSERT_EQUAL(zg_sweep(&s.work, &deal, "tasks", NULL, visit, &c), ZG_OK);
  CU_ASSERT_EQUAL(s.report.tiles, c.count);
  int64_t done[MOST], counts[2] = {own_count(&s, &c), 0};
  for (int64_t k = 0; k < MOST; k++)
    done[k] = s.team.position == 0 ? c.done[k] : 0;
  zg_sum_counts(comm, done, MOST);
  for (int64_t k = 0; k < MOST; k++)
    CU_ASSERT_EQUAL(done[k], k < tasks);
  zg_sum_counts(comm, counts, 1);
  CU_ASSERT_EQUAL(counts[0], tasks);
  /* no team has two more than another */
  CU_ASSERT(!keep || c.count <= zg_ceil_div(tasks, s.team.teams));
  for (int64_t k = 1; keep && !order && k < c.count; k++) /* neighbours together */
    CU_ASSERT_EQUAL(c.order[k], c.order[k - 1] + 1);
  close_scene(&s);
}

static void every_task_is_done_once(void) {
  allowed = 1 << 20;
  for (int ranks = 1; ranks <= zg_test_ranks(); ranks++) {
    MPI_Comm comm = zg_test_some_ranks(ranks);
    if (comm == MPI_COMM_NULL) continue;
    for (int size = 1; size <= ranks; size++)
      for (int64_t tasks = 0; tasks <= 23; tasks++)
        for (int keep = 0; keep < 2; keep++)
          check_dealing(comm, size, tasks, NULL, keep);
    MPI_Comm_free(&comm);
  }
}

/* Dealt out one by one in an order that is not that of their numbers. */
static void every_task_is_done_once_in_any_order(void) {
  allowed = 1 << 20;
  for (int ranks = 1; ranks <= zg_test_ranks(); ranks++) {
    MPI_Comm comm = zg_test_some_ranks(ranks);
    if (comm == MPI_COMM_NULL) continue;
    for (int64_t tasks = 0; tasks <= 23; tasks++) {
      int64_t order[MOST];
      for (int64_t k = 0; k < tasks; k++)
        order[k] = tasks == 7 || tasks % 7 ? k * 7 % tasks : tasks - 1 - k;
      for (int64_t k = 0; tasks == 7 && k < tasks; k++)
        order[k] = tasks - 1 - k;
      for (int keep = 0; keep < 2; keep++)
        check_dealing(comm, 1, tasks, order, keep);
    }
    MPI_Comm_free(&comm);
  }
}

/* The costliest tasks, first in the order, go to different ranks, also when their
 * numbers would all belong to one. */
static void the_first_of_the_order_go_to_different_ranks(void) {
  enum { EACH = 6 };
  allowed = 1 << 20;
  int64_t order[MOST], ranks = zg_test_ranks(), tasks = ranks * EACH;
  scene s;
  counting c = {.count = 0};
  CU_ASSERT_FATAL(tasks <= MOST && ranks <= EACH);
  for (int64_t k = 0; k < tasks; k++)
    order[k] = k % ranks * EACH + k / ranks;
  open_scene(&s, MPI_COMM_WORLD, 1);
  s.run.keep_shares = true;
  zg_deal deal = {.team = &s.team, .tasks = tasks, .order = order};
  CU_ASSERT_EQUAL(zg_sweep(&s.work, &deal, "tasks", NULL, visit, &c), ZG_OK);
  int64_t among_first = 0;
  for (int64_t k = 0; k < c.count; k++)
    among_first += order[c.order[k]] < ranks;
  CU_ASSERT_EQUAL(among_first, 1);
  for (int64_t k = 1; k < c.count; k++) /* the costliest first */
    CU_ASSERT(order[c.order[k - 1]] < order[c.order[k]]);
  close_scene(&s);
}

/* Tasks done by others, as told to rank 0, until all are or some seconds are over. */
static int64_t hear_of_others(int64_t tasks) {
  int64_t heard = 0;
  for (double start = zg_clock(); heard < tasks && zg_clock() - start < 20;) {
    int there;
    MPI_Iprobe(MPI_ANY_SOURCE, 1, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE);
    if (!there) continue;
    MPI_Recv(NULL, 0, MPI_INT, MPI_ANY_SOURCE, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    heard++;
  }
  return heard;
}

enum { HELPED = 30 };

static void wait_for_rank_0(bool *waited) {
  if (!*waited) MPI_Recv(NULL, 0, MPI_INT, 0, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  *waited = true;
}

static bool waited;

/* Rank 0, which all others wait for, stays with its first task until all others are
 * done. */
static zg_status visit_slowly(void *context, int64_t task) {
  counting *c = context;
  ZG_TRY(visit(context, task));
  if (zg_test_rank() > 0) {
    wait_for_rank_0(&waited);
    MPI_Send(NULL, 0, MPI_INT, 0, 1, MPI_COMM_WORLD);
  } else if (c->count == 1) {
    for (int rank = 1; rank < zg_test_ranks(); rank++)
      MPI_Send(NULL, 0, MPI_INT, rank, 2, MPI_COMM_WORLD);
    if (zg_test_ranks() > 1) CU_ASSERT_EQUAL(hear_of_others(HELPED - 1), HELPED - 1);
  }
  return ZG_OK;
}

static void who_is_done_helps(void) {
  allowed = 1 << 20;
  waited = zg_test_rank() == 0;
  scene s;
  counting c = {.count = 0};
  open_scene(&s, MPI_COMM_WORLD, 1);
  zg_deal deal = {.team = &s.team, .tasks = HELPED};
  CU_ASSERT_EQUAL(zg_sweep(&s.work, &deal, "tasks", NULL, visit_slowly, &c), ZG_OK);
  if (zg_test_rank() == 0) CU_ASSERT_EQUAL(c.count, zg_test_ranks() > 1 ? 1 : HELPED);
  wait_for_rank_0(&waited); /* also who came too late for any task */
  close_scene(&s);
}

/* Teams get the tiles of a triangle that are theirs, in its order. */
static void tiles_go_to_the_teams_of_a_triangle(void) {
  enum { PANELS = 8, TILES = PANELS * (PANELS + 1) / 2 };
  allowed = 1 << 20;
  for (int size = 1; size <= zg_test_ranks(); size++) {
    scene s;
    counting c = {.count = 0};
    zg_triangle t;
    open_scene(&s, MPI_COMM_WORLD, size);
    s.run.keep_shares = true;
    zg_triangle_create(PANELS, s.team.teams, 3, &t);
    zg_deal deal = {.team = &s.team, .tasks = TILES, .triangle = &t};
    CU_ASSERT_EQUAL(zg_sweep(&s.work, &deal, "tiles", NULL, visit, &c), ZG_OK);
    if (zg_team_works(&s.team)) {
      const int64_t *first = t.first + s.team.team;
      CU_ASSERT_EQUAL_FATAL(c.count, first[1] - first[0]);
      for (int64_t k = 0; k < c.count; k++)
        CU_ASSERT_EQUAL(c.order[k], t.tiles[first[0] + k]);
    }
    zg_triangle_destroy(&t);
    close_scene(&s);
  }
}

static zg_status fail_at_seven(void *context, int64_t task) {
  ZG_TRY(visit(context, task));
  return task == 7 ? zg_fail(ZG_ERR_DATA, "task seven") : ZG_OK;
}

static void a_task_that_fails_ends_the_sweep_everywhere(void) {
  allowed = 1 << 20;
  scene s;
  counting c = {.count = 0};
  open_scene(&s, MPI_COMM_WORLD, 1);
  zg_deal deal = {.team = &s.team, .tasks = 20};
  CU_ASSERT_EQUAL(zg_sweep(&s.work, &deal, "tasks", NULL, fail_at_seven, &c),
                  ZG_ERR_DATA);
  CU_ASSERT_STRING_EQUAL(zg_message(), "task seven");
  close_scene(&s);
}

/* ---- stopping and going on ---- */

/* One run on some ranks, which may be stopped. \return its status; the sums of all
 * ranks and earlier runs in `c`. */
static zg_status run_once(MPI_Comm comm, const char *output, int64_t tasks,
                          int64_t before, counting *c) {
  const char digest[ZG_DIGEST_BYTES] = "of a test";
  scene s;
  bool resumed;
  *c = (counting){.count = 0};
  open_scene(&s, comm, 1);
  zg_sums sums = {.vectors = {c->sums}, .lengths = {MOST}};
  CU_ASSERT_EQUAL_FATAL(zg_state_open(comm, output, digest, 3600, false, &s.work.state),
                        ZG_OK);
  CU_ASSERT_EQUAL_FATAL(zg_state_begin(s.work.state, 0, tasks, &sums, &resumed), ZG_OK);
  CU_ASSERT_EQUAL(zg_state_count(s.work.state), before);
  zg_deal deal = {.team = &s.team, .tasks = tasks};
  zg_status status = zg_sweep(&s.work, &deal, "tasks", &sums, visit, c);
  if (status == ZG_OK)
    CU_ASSERT_EQUAL(zg_state_finish(s.work.state, &s.team, &sums), ZG_OK);
  zg_state_close(&s.work.state, status == ZG_OK);
  zg_sum_doubles(comm, c->sums, MOST);
  zg_sum_counts(comm, c->done, MOST);
  close_scene(&s);
  return status;
}

/* Stop after some tasks on each of `first` ranks, and go on with `second` ranks. */
static void check_resumption(int first, int second, int64_t each, const char *name) {
  enum { TASKS = 17 };
  char output[ZG_TEST_PATH_BYTES];
  counting c;
  int64_t before = 0;
  zg_test_path(name, output);
  MPI_Comm comm = zg_test_some_ranks(first);
  allowed = (int)each;
  if (comm != MPI_COMM_NULL) {
    CU_ASSERT_EQUAL(run_once(comm, output, TASKS, 0, &c), ZG_STOPPED);
    for (int64_t k = 0; k < TASKS; k++)
      before += c.done[k];
    /* the first rank that is told to stop ends the sweep for all */
    CU_ASSERT(before >= each && before <= each * first);
    MPI_Comm_free(&comm);
  }
  MPI_Bcast(&before, 1, MPI_INT64_T, 0, MPI_COMM_WORLD);
  comm = zg_test_some_ranks(second);
  allowed = 1 << 20;
  if (comm != MPI_COMM_NULL) {
    CU_ASSERT_EQUAL(run_once(comm, output, TASKS, before, &c), ZG_OK);
    int64_t done = 0;
    for (int64_t k = 0; k < MOST; k++) {
      CU_ASSERT_EQUAL(c.sums[k], k < TASKS ? 1 + (double)k : 0);
      done += c.done[k];
    }
    CU_ASSERT_EQUAL(done, TASKS - before); /* none of them twice */
    MPI_Comm_free(&comm);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

static void what_is_done_is_not_done_again(void) {
  char name[32];
  for (int first = 1; first <= zg_test_ranks(); first++)
    for (int second = 1; second <= zg_test_ranks(); second++)
      for (int64_t each = 0; each <= 2; each++) {
        snprintf(name, sizeof name, "sweep-%d-%d-%d", first, second, (int)each);
        check_resumption(first, second, each, name);
      }
}

/* Whether a pass that has just begun asks for a checkpoint at once, and that it does
 * with a tile done and does not after it. */
static bool begins_with_a_checkpoint(const char *output, double *parameter) {
  const char digest[ZG_DIGEST_BYTES] = "of a test";
  counting c = {.count = 0};
  scene s;
  bool resumed;
  open_scene(&s, MPI_COMM_SELF, 1);
  zg_sums sums = {.vectors = {c.sums},
                  .lengths = {MOST},
                  .parameters = parameter,
                  .parameter_count = parameter != NULL};
  zg_state_open(MPI_COMM_SELF, output, digest, 0, false, &s.work.state);
  CU_ASSERT_EQUAL(zg_state_begin(s.work.state, 0, MOST, &sums, &resumed), ZG_OK);
  bool at_once = zg_state_is_due(s.work.state);
  zg_state_add_tile(s.work.state, 3);
  CU_ASSERT(zg_state_is_due(s.work.state));
  CU_ASSERT_EQUAL(zg_state_save(s.work.state, &s.team, &sums), ZG_OK);
  CU_ASSERT_FALSE(zg_state_is_due(s.work.state));
  zg_state_close(&s.work.state, false);
  close_scene(&s);
  return at_once;
}

/* Parameters of the whole pass are news until a run has saved them. */
static void a_checkpoint_has_something_new(void) {
  char name[32], output[ZG_TEST_PATH_BYTES];
  double parameter = 5;
  for (int with = 0; with < 2; with++) {
    snprintf(name, sizeof name, "news-%d-%d", with, zg_test_rank());
    zg_test_path(name, output);
    CU_ASSERT_EQUAL(begins_with_a_checkpoint(output, with ? &parameter : NULL), with);
    CU_ASSERT_FALSE(begins_with_a_checkpoint(output, with ? &parameter : NULL));
    zg_state_discard(output);
  }
}

/* ---- pairs of items ---- */

/* Items 0, 1, 3 and 2, 4 go together; item 5 has no data. */
static void create_products(zg_products *p) {
  static int64_t first[] = {0, 1, 3}, second[] = {2, 4};
  zg_group groups[] = {{.members = first, .count = 3},
                       {.members = second, .count = 2, .family = 1}};
  zg_pass pass = {.items = 6, .groups = groups, .group_count = 2};
  zg_products_create(&pass, p);
}

static void items_of_different_groups_do_not_fit(void) {
  zg_products p;
  create_products(&p);
  for (int64_t i = 0; i < 6; i++)
    for (int64_t k = 0; k < 6; k++) {
      zg_pair pair = {.same = i == k};
      zg_products_pair(&p, i, k, &pair);
      bool data = i != 5 && k != 5, together = p.group[i] == p.group[k];
      CU_ASSERT_EQUAL(pair.code, data && !together ? ZG_CODE_SHAPE : ZG_CODE_OK);
      CU_ASSERT_EQUAL(pair.code_a, i == 5 ? ZG_CODE_ABSENT : ZG_CODE_OK);
      CU_ASSERT_EQUAL(zg_pair_code(&pair), !data      ? ZG_CODE_ABSENT
                                           : together ? ZG_CODE_OK
                                                      : ZG_CODE_SHAPE);
      CU_ASSERT_EQUAL(zg_products_fit(&p, i, k), data && together);
    }
  CU_ASSERT(p.group[0] == p.group[3] && p.group[2] == p.group[4]);
  CU_ASSERT(p.group[0] != p.group[2] && p.group[5] == -1);
  p.code[3] = ZG_CODE_NONFINITE;
  CU_ASSERT(!zg_products_fit(&p, 0, 3) && !zg_products_fit(&p, 3, 3));
  zg_products_clear(&p);
}

/* Distances of items scaled to some size stay in these units; those of items that keep
 * theirs are divided by the smaller multiplier, with which both were multiplied. */
static void pairs_are_told_as_they_are(void) {
  for (int keep = 0; keep < 2; keep++) {
    zg_products p;
    zg_pair pair = {0};
    create_products(&p);
    p.keep_size = keep;
    for (int k = 0; k < 6; k++) {
      p.norm[k] = 10 + k;
      p.multiplier[k] = k == 3 ? 0 : 2;
    }
    for (int k = 0; k < 36; k++) {
      p.cosine[k] = 0.01 * k;
      p.apart[k] = k * k;
    }
    p.multiplier[4] = 8;
    p.refined[2 * 6 + 4] = 1;
    p.apart[1 * 6 + 0] = -1e-30; /* a rounding */
    zg_products_take_roots(&p);
    zg_products_pair(&p, 2, 4, &pair);
    CU_ASSERT(pair.norm_a == 12 && pair.norm_b == 14 && pair.cosine == 0.16);
    CU_ASSERT_EQUAL(pair.apart, keep ? 8 : 16);
    CU_ASSERT(pair.refined && pair.scaled);
    zg_products_pair(&p, 4, 2, &pair);
    CU_ASSERT_EQUAL(pair.apart, keep ? 13 : 26);
    CU_ASSERT_FALSE(pair.refined);
    zg_products_pair(&p, 0, 3, &pair);
    CU_ASSERT_FALSE(pair.scaled);
    CU_ASSERT_EQUAL(p.apart[1 * 6 + 0], 0);
    zg_products_clear(&p);
  }
}

/* Squared distances of 1 for all, a millionth for (1, 0), zero for (4, 2); items of
 * different groups, spoilt ones and those that cannot be scaled are never close. */
static void make_close(zg_products *p) {
  create_products(p);
  for (int64_t k = 0; k < 6; k++)
    p->multiplier[k] = k == 4 ? 0.125 : 1;
  for (int64_t k = 0; k < 36; k++)
    p->apart[k] = 1;
  p->apart[1 * 6 + 0] = p->apart[0 * 6 + 1] = 1e-6;
  p->apart[4 * 6 + 2] = p->apart[2 * 6 + 4] = 0;
  p->apart[2 * 6 + 0] = p->apart[5 * 6 + 0] = 0;
}

static int64_t count_close(const zg_products *p, const double *from, double threshold) {
  zg_close_pairs close;
  zg_close_find(p, from, threshold, 0x1p-52, &close);
  int64_t count = close.count;
  zg_close_clear(&close);
  return count;
}

static void close_pairs_are_found(void) {
  static const double from[6] = {1, 1, 2, 1, 2, 1};
  static const bool involved[6] = {true, true, true, false, true, false};
  zg_products p;
  zg_close_pairs close;
  make_close(&p);
  zg_close_find(&p, from, 1e-5, 0x1p-52, &close);
  CU_ASSERT_EQUAL_FATAL(close.count, 2);
  CU_ASSERT(close.pairs[0].i == 1 && close.pairs[0].k == 0);
  CU_ASSERT(close.pairs[1].i == 4 && close.pairs[1].k == 2);
  for (int c = 0; c < 2; c++) { /* powers of two above what is expected */
    const zg_close *pair = &close.pairs[c];
    double expected = c ? 4 * 0x1p-52 : 1e-6, root = sqrt(pair->bound);
    CU_ASSERT(pair->bound > expected && pair->bound <= 2 * expected);
    CU_ASSERT_EQUAL(pair->bound, zg_power_below(pair->bound));
    CU_ASSERT_EQUAL(pair->group, p.group[pair->i]);
    zg_test_close(pair->alpha * root, c ? 0.125 : 1, 1e-15, "multiplier");
    zg_test_close(pair->beta * root, 1, 1e-15, "multiplier");
  }
  for (int k = 0; k < 6; k++)
    CU_ASSERT_EQUAL(close.place[k] >= 0, involved[k]);
  zg_close_clear(&close);
  CU_ASSERT_EQUAL(count_close(&p, from, 0), 0);
  p.multiplier[2] = 0;
  CU_ASSERT_EQUAL(count_close(&p, from, 1e-5), 1);
  p.code[1] = ZG_CODE_NONFINITE;
  CU_ASSERT_EQUAL(count_close(&p, from, 1e-5), 0);
  zg_products_clear(&p);
}

/* Every rank adds other numbers of the vectors: (1,0) differ by 3e-4 in each of
 * 2 * ranks numbers, (4,2) by nothing. */
static void close_pairs_are_summed_over_ranks(void) {
  static const double from[6] = {1, 1, 2, 1, 2, 1};
  for (int single = 0; single < 2; single++) {
    zg_products p;
    zg_close_pairs close;
    const double wide[8] = {0.5, 0.25, 0.5 + 3e-4, 0.25 - 3e-4, 1, 1, 8, 8};
    float narrow[8];
    for (int k = 0; k < 8; k++)
      narrow[k] = (float)wide[k];
    make_close(&p);
    zg_close_find(&p, from, 1e-5, 0x1p-52, &close);
    static const int64_t places[6] = {0, 1, 2, -1, 3, -1};
    for (int k = 0; k < 6; k++)
      close.place[k] = places[k];
    zg_precision precision = single ? ZG_SINGLE : ZG_DOUBLE;
    const void *V = single ? (const void *)narrow : wide;
    zg_close_add(&close, p.group[0], 2, precision, 2, V);
    zg_close_add(&close, p.group[2], 1, precision, 2, V);
    zg_close_finish(MPI_COMM_WORLD, &close, &p);
    double expected = 0; /* weight 2 */
    for (int k = 0; k < 2; k++) {
      double difference =
          single ? (double)narrow[2 + k] - (double)narrow[k] : wide[2 + k] - wide[k];
      expected += 2 * difference * difference * zg_test_ranks();
    }
    zg_test_close(p.apart[6], expected, 1e-13 * expected, "close pair");
    CU_ASSERT_EQUAL(p.apart[1], p.apart[6]);
    CU_ASSERT(p.apart[4 * 6 + 2] == 0 && p.apart[2 * 6 + 4] == 0);
    CU_ASSERT(p.refined[6] && p.refined[1] && p.refined[2 * 6 + 4] && !p.refined[3]);
    zg_close_clear(&close);
    zg_products_clear(&p);
  }
}

static void powers_of_two_lie_below(void) {
  static const double cases[][2] = {{1, 1},           {1.5, 1},
                                    {2, 2},           {0.3, 0.25},
                                    {1e300, 0x1p996}, {0x1p-1074, 0x1p-1074},
                                    {0, 1},           {-3, 1},
                                    {INFINITY, 1},    {NAN, 1}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
    CU_ASSERT_EQUAL(zg_power_below(cases[k][0]), cases[k][1]);
}

const zg_test zg_tests[] = {
    {"every_task_is_done_once", every_task_is_done_once},
    {"every_task_is_done_once_in_any_order", every_task_is_done_once_in_any_order},
    {"the_first_of_the_order_go_to_different_ranks",
     the_first_of_the_order_go_to_different_ranks},
    {"who_is_done_helps", who_is_done_helps},
    {"tiles_go_to_the_teams_of_a_triangle", tiles_go_to_the_teams_of_a_triangle},
    {"a_task_that_fails_ends_the_sweep_everywhere",
     a_task_that_fails_ends_the_sweep_everywhere},
    {"what_is_done_is_not_done_again", what_is_done_is_not_done_again},
    {"a_checkpoint_has_something_new", a_checkpoint_has_something_new},
    {"items_of_different_groups_do_not_fit", items_of_different_groups_do_not_fit},
    {"pairs_are_told_as_they_are", pairs_are_told_as_they_are},
    {"close_pairs_are_found", close_pairs_are_found},
    {"close_pairs_are_summed_over_ranks", close_pairs_are_summed_over_ranks},
    {"powers_of_two_lie_below", powers_of_two_lie_below},
    {NULL, NULL}};
