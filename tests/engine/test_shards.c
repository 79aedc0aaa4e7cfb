/** \file
 * Shards of passes: each does its share on ranks and teams of its own, may be stopped
 * and goes on, and what they leave adds up to the whole. */
#include "base/memory.h"
#include "engine/sweep.h"
#include "files.h"
#include "mpi_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { TASKS = 17, ITEMS = 5, PASSES = 2, MOST_SHARDS = 24 };

static int allowed; /* tasks of this rank before it is asked to stop */

static bool stop_after_some(void) {
  return allowed-- <= 0;
}

/* A pass that adds to everything that a checkpoint can hold. */
typedef struct counting {
  const zg_team *team;
  zg_pairs pairs;
  double same[TASKS], parts[TASKS], parameters[2];
  int64_t visited;
  zg_sums sums;
} counting;

static void begin_counting(const zg_team *team, double parameter, counting *c) {
  *c = (counting){.team = team, .parameters = {parameter, 7}};
  zg_pairs_create(team, ITEMS, &c->pairs);
  c->sums = (zg_sums){.pairs = {&c->pairs},
                      .vectors = {c->same, c->parts},
                      .lengths = {TASKS, TASKS},
                      .shared = {false, true},
                      .parameters = c->parameters,
                      .parameter_count = 2};
}

static zg_status visit(void *context, int64_t task) {
  counting *c = context;
  double number = 1 + (double)task;
  c->visited++;
  c->same[task] += number;
  if (task % c->team->size == c->team->position) c->parts[task] += 2 * number;
  for (int64_t i = 0; i < ITEMS; i++)
    for (int64_t j = 0; j < c->pairs.count; j++) {
      int64_t column = c->pairs.first + j, at = i * c->pairs.count + j;
      c->pairs.coarse[at] += number * (double)(10 * i + column);
      c->pairs.fine[at] += number * 0x1p-30;
    }
  return ZG_OK;
}

/* Everything that is counted, of all teams, is there once. */
static void check_whole(MPI_Comm comm, const counting *c) {
  double same[TASKS] = {0}, parts[TASKS] = {0}, matrix[ITEMS][ITEMS] = {{0}};
  double all = TASKS * (TASKS + 1) / 2;
  for (int64_t t = 0; t < TASKS; t++) {
    if (c->team->position == 0) same[t] = c->same[t];
    parts[t] = c->parts[t];
  }
  for (int64_t i = 0; i < ITEMS; i++)
    for (int64_t j = 0; j < c->pairs.count; j++)
      matrix[i][c->pairs.first + j] = c->pairs.coarse[i * c->pairs.count + j] +
                                      c->pairs.fine[i * c->pairs.count + j];
  zg_sum_doubles(comm, same, TASKS);
  zg_sum_doubles(comm, parts, TASKS);
  zg_sum_doubles(comm, &matrix[0][0], (int64_t)ITEMS * ITEMS);
  for (int64_t t = 0; t < TASKS; t++) {
    CU_ASSERT_EQUAL(same[t], 1 + (double)t);
    CU_ASSERT_EQUAL(parts[t], 2 + 2 * (double)t);
  }
  for (int64_t i = 0; i < ITEMS; i++)
    for (int64_t k = 0; k < ITEMS; k++)
      CU_ASSERT_EQUAL(matrix[i][k], all * ((double)(10 * i + k) + 0x1p-30));
}

/* ---- a run on some ranks ---- */

typedef struct scene {
  zg_run run;
  zg_report report;
  zg_work work;
  zg_team team;
} scene;

static void open_scene(scene *s, MPI_Comm comm, int team_size,
                       const zg_shard_part *part) {
  *s = (scene){.run = {.comm = comm, .should_stop = stop_after_some, .part = part}};
  s->work = (zg_work){.run = &s->run, .report = &s->report};
  zg_team_create(comm, team_size, &s->team);
}

/* The second pass deals its tasks out in an order. */
static zg_deal deal_of(const scene *s, int64_t pass, int64_t order[TASKS]) {
  for (int64_t k = 0; k < TASKS; k++)
    order[k] = k * 7 % TASKS;
  return (zg_deal){.team = &s->team, .tasks = TASKS, .order = pass ? order : NULL};
}

static zg_status do_pass(scene *s, int64_t pass, double parameter, counting *c) {
  bool resumed;
  int64_t order[TASKS];
  zg_deal deal = deal_of(s, pass, order);
  begin_counting(&s->team, parameter, c);
  zg_status status = zg_state_begin(s->work.state, pass, TASKS, &c->sums, &resumed);
  if (status == ZG_OK) status = zg_sweep(&s->work, &deal, "tasks", &c->sums, visit, c);
  if (status == ZG_OK) status = zg_state_finish(s->work.state, &s->team, &c->sums);
  return status;
}

static const char digest[ZG_DIGEST_BYTES] = "of a test";

/* What a shard is and leaves. */
typedef struct task {
  zg_shard does, says; /* the same, but for mistakes */
  double parameter;
} task;

/* The part's place may say another shard than it does. */
static zg_status run_shard(MPI_Comm comm, int team_size, const char *output,
                           const task *t) {
  static char text[] = "";
  char *path = zg_part_path(output, &t->does);
  zg_shard_part part = {.path = path,
                        .shard = t->does,
                        .version = text,
                        .job_path = text,
                        .job_text = text,
                        .plan = text};
  scene s;
  open_scene(&s, comm, team_size, &part);
  CU_ASSERT_EQUAL_FATAL(zg_state_open(comm, path, digest, 3600, false, &s.work.state),
                        ZG_OK);
  zg_state_share(s.work.state, &part);
  CU_ASSERT_EQUAL(zg_state_skip(s.work.state), ZG_SHARE_DONE);
  zg_status status = ZG_SHARE_DONE;
  for (int64_t pass = 0; status == ZG_SHARE_DONE && pass < PASSES; pass++) {
    counting c;
    status = do_pass(&s, pass, t->parameter, &c);
    zg_pairs_destroy(&c.pairs);
  }
  part.shard = t->says;
  if (status == ZG_SHARE_DONE) status = zg_state_leave(s.work.state);
  zg_state_close(&s.work.state, status == ZG_OK);
  if (zg_test_rank() == 0) CU_ASSERT_EQUAL(zg_state_exists(path), status != ZG_OK);
  zg_team_destroy(&s.team);
  free(path);
  return status;
}

/* Each shard on other ranks, stopped after some tasks of each rank, and again. */
static void run_shards(const char *output, int64_t shards, int64_t each) {
  for (int64_t k = 1; k <= shards; k++) {
    task t = {.does = {k, shards}, .says = {k, shards}, .parameter = 3};
    zg_status status = ZG_STOPPED;
    for (int64_t attempt = 0; status == ZG_STOPPED; attempt++) {
      int64_t ranks = 1 + (k + attempt) % zg_test_ranks();
      MPI_Comm comm = zg_test_some_ranks(ranks);
      allowed = (int)each;
      if (comm != MPI_COMM_NULL) {
        status = run_shard(comm, 1 + (int)(k % ranks), output, &t);
        MPI_Comm_free(&comm);
      }
      MPI_Bcast(&status, 1, MPI_INT, 0, MPI_COMM_WORLD);
      CU_ASSERT_FATAL(attempt < 100);
    }
    CU_ASSERT_EQUAL(status, ZG_OK);
  }
}

static zg_status merge_pass(scene *s, int64_t pass) {
  counting c;
  zg_status status = do_pass(s, pass, 0, &c);
  if (status == ZG_OK) {
    CU_ASSERT(c.visited == 0 && c.parameters[0] == 3 && c.parameters[1] == 7);
    CU_ASSERT_EQUAL(zg_state_count(s->work.state), TASKS);
    check_whole(s->run.comm, &c);
  }
  zg_pairs_destroy(&c.pairs);
  return status;
}

static zg_status merge(MPI_Comm comm, int team_size, const char *output,
                       int64_t shards) {
  zg_shard_part *parts[MOST_SHARDS] = {NULL};
  zg_status status = ZG_OK;
  scene s;
  for (int64_t k = 0; zg_test_rank() == 0 && k < shards; k++) {
    char *path = zg_part_path(output, &(zg_shard){k + 1, shards});
    CU_ASSERT_EQUAL_FATAL(zg_part_read(path, &parts[k]), ZG_OK);
    free(path);
  }
  open_scene(&s, comm, team_size, NULL);
  allowed = 1 << 20;
  CU_ASSERT_EQUAL_FATAL(
      zg_state_open_parts(comm, output, digest, parts, shards, &s.work.state), ZG_OK);
  for (int64_t pass = 0; status == ZG_OK && pass < PASSES; pass++)
    status = merge_pass(&s, pass);
  zg_state_close(&s.work.state, status == ZG_OK);
  zg_team_destroy(&s.team);
  for (int64_t k = 0; k < shards; k++)
    zg_part_destroy(&parts[k]);
  return status;
}

static void check_shards(int64_t shards, int64_t each) {
  char name[64], output[ZG_TEST_PATH_BYTES];
  snprintf(name, sizeof name, "shards-%d-%d", (int)shards, (int)each);
  zg_test_path(name, output);
  run_shards(output, shards, each);
  for (int ranks = 1; ranks <= zg_test_ranks(); ranks++) {
    MPI_Comm comm = zg_test_some_ranks(ranks);
    for (int size = 1; comm != MPI_COMM_NULL && size <= ranks; size++)
      CU_ASSERT_EQUAL(merge(comm, size, output, shards), ZG_OK);
    if (comm != MPI_COMM_NULL) MPI_Comm_free(&comm);
    MPI_Barrier(MPI_COMM_WORLD);
  }
}

static void shards_add_up_to_the_whole(void) {
  static const int64_t counts[] = {1, 2, 3, 5, MOST_SHARDS}; /* more than tasks */
  for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
    check_shards(counts[k], 1 << 20);
}

static void shards_that_were_stopped_go_on(void) {
  check_shards(2, 1);
  check_shards(3, 2);
}

/* ---- mistakes ---- */

/* Run a shard where it sees no other, and put its part where the others are. */
static void run_apart(const char *output, const task *t) {
  char apart[ZG_TEST_PATH_BYTES];
  zg_test_path("apart", apart);
  allowed = 1 << 20;
  CU_ASSERT_EQUAL(run_shard(MPI_COMM_WORLD, 1, apart, t), ZG_OK);
  char *from = zg_part_path(apart, &t->does), *to = zg_part_path(output, &t->says);
  if (zg_test_rank() == 0) CU_ASSERT_EQUAL(rename(from, to), 0);
  MPI_Barrier(MPI_COMM_WORLD);
  free(from);
  free(to);
}

/* Two shards, and a merge of them that has to fail. */
static void check_mistake(const char *name, const task *second, const char *words) {
  char output[ZG_TEST_PATH_BYTES];
  task first = {.does = {1, 2}, .says = {1, 2}, .parameter = 3};
  zg_test_path(name, output);
  run_apart(output, &first);
  run_apart(output, second);
  CU_ASSERT_EQUAL(merge(MPI_COMM_WORLD, 1, output, 2), ZG_ERR_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), words));
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "shard-2-of-2: "));
}

static void tasks_done_twice_are_refused(void) {
  task again = {.does = {1, 2}, .says = {2, 2}, .parameter = 3};
  check_mistake("twice", &again, "another part has tile 0");
}

static void other_parameters_are_refused(void) {
  task other = {.does = {2, 2}, .says = {2, 2}, .parameter = 3 + 0x1p-50};
  check_mistake("parameters", &other, "bandwidths differ");
}

static void tasks_done_by_nobody_are_refused(void) {
  char output[ZG_TEST_PATH_BYTES];
  task some = {.does = {2, 3}, .says = {1, 1}, .parameter = 3};
  zg_test_path("some", output);
  run_apart(output, &some);
  CU_ASSERT_EQUAL(merge(MPI_COMM_WORLD, 1, output, 1), ZG_ERR_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "the parts have 6 of its 17 tiles"));
}

/* What the first shard has found out, the second need not. */
static void parameters_are_taken_from_another_part(void) {
  char output[ZG_TEST_PATH_BYTES];
  task first = {.does = {1, 2}, .says = {1, 2}, .parameter = 3};
  task second = {.does = {2, 2}, .says = {2, 2}, .parameter = -1};
  zg_test_path("taken", output);
  allowed = 1 << 20;
  CU_ASSERT_EQUAL(run_shard(MPI_COMM_WORLD, 1, output, &first), ZG_OK);
  CU_ASSERT_EQUAL(run_shard(MPI_COMM_WORLD, 1, output, &second), ZG_OK);
  CU_ASSERT_EQUAL(merge(MPI_COMM_WORLD, 1, output, 2), ZG_OK);
}

/* Change the byte in front of a place in a file; 0: of its end. */
static void damage(const char *path, int64_t place) {
  FILE *file = fopen(path, "r+b");
  CU_ASSERT_PTR_NOT_NULL_FATAL(file);
  CU_ASSERT(!fseek(file, (long)place - 9, place ? SEEK_SET : SEEK_END));
  int byte = fgetc(file);
  CU_ASSERT(!fseek(file, -1, SEEK_CUR) && fputc(byte ^ 1, file) >= 0);
  CU_ASSERT(!fclose(file));
}

/* A byte of the sums of the first pass. */
static void damaged_sums_are_refused(void) {
  char output[ZG_TEST_PATH_BYTES];
  task whole = {.does = {1, 1}, .says = {1, 1}, .parameter = 3};
  zg_test_path("sums", output);
  allowed = 1 << 20;
  CU_ASSERT_EQUAL(run_shard(MPI_COMM_WORLD, 1, output, &whole), ZG_OK);
  if (zg_test_rank() == 0) {
    zg_shard_part *part;
    char *path = zg_part_path(output, &whole.says);
    CU_ASSERT_EQUAL_FATAL(zg_part_read(path, &part), ZG_OK);
    damage(path, part->segments[1].offset);
    zg_part_destroy(&part);
    free(path);
  }
  CU_ASSERT_EQUAL(merge(MPI_COMM_WORLD, 1, output, 1), ZG_ERR_DATA);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "shard-1-of-1: is damaged"));
}

/* The second shard was killed in its second pass, and has what the first has found out;
 * of its first pass there is nothing to go on with. */
static void a_damaged_sum_is_computed_again(void) {
  enum { CALLS = 8 + 1 }; /* of stop_after_some in a pass of the second shard */
  char output[ZG_TEST_PATH_BYTES], sum[2 * ZG_TEST_PATH_BYTES];
  task first = {.does = {1, 2}, .says = {1, 2}, .parameter = 3};
  task second = {.does = {2, 2}, .says = {2, 2}, .parameter = -1};
  zg_test_path("again", output);
  allowed = 1 << 20;
  CU_ASSERT_EQUAL(run_shard(MPI_COMM_WORLD, 1, output, &first), ZG_OK);
  MPI_Comm comm = zg_test_some_ranks(1);
  if (comm != MPI_COMM_NULL) {
    allowed = CALLS + 1;
    CU_ASSERT_EQUAL(run_shard(comm, 1, output, &second), ZG_STOPPED);
    snprintf(sum, sizeof sum, "%s.shard-2-of-2.state/sum0", output);
    damage(sum, 0);
    allowed = 1 << 20;
    CU_ASSERT_EQUAL(run_shard(comm, 1, output, &second), ZG_OK);
    CU_ASSERT_EQUAL(merge(comm, 1, output, 2), ZG_OK);
    MPI_Comm_free(&comm);
  }
  MPI_Barrier(MPI_COMM_WORLD);
}

/* Let a rank open no further file, or again. */
static void set_closed(bool closed) {
  static rlim_t open;
  struct rlimit limit;
  CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (closed) open = limit.rlim_cur;
  limit.rlim_cur = closed ? 0 : open;
  CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Go on with what an interrupted run has left, of which the last rank of the only team
 * can read nothing. */
static void a_rank_that_cannot_read_is_noticed(void) {
  char output[ZG_TEST_PATH_BYTES];
  zg_test_path("unread", output);
  for (int attempt = 0; attempt < 2; attempt++) {
    scene s;
    counting c;
    bool resumed, last = zg_test_rank() + 1 == zg_test_ranks();
    int64_t order[TASKS];
    open_scene(&s, MPI_COMM_WORLD, zg_test_ranks(), NULL);
    zg_deal deal = deal_of(&s, 0, order);
    begin_counting(&s.team, 3, &c);
    allowed = attempt ? 1 << 20 : 4;
    zg_state_open(MPI_COMM_WORLD, output, digest, 3600, false, &s.work.state);
    CU_ASSERT_EQUAL(zg_state_begin(s.work.state, 0, TASKS, &c.sums, &resumed), ZG_OK);
    CU_ASSERT_EQUAL(zg_state_count(s.work.state), attempt ? 4 : 0);
    CU_ASSERT_EQUAL(zg_sweep(&s.work, &deal, "tasks", &c.sums, visit, &c),
                    attempt ? ZG_OK : ZG_STOPPED);
    if (last) set_closed(true);
    if (attempt)
      CU_ASSERT_EQUAL(zg_state_finish(s.work.state, &s.team, &c.sums), ZG_ERR_WRITE);
    if (last) set_closed(false);
    zg_state_close(&s.work.state, false);
    zg_pairs_destroy(&c.pairs);
    zg_team_destroy(&s.team);
  }
}

const zg_test zg_tests[] = {
    {"shards_add_up_to_the_whole", shards_add_up_to_the_whole},
    {"shards_that_were_stopped_go_on", shards_that_were_stopped_go_on},
    {"parameters_are_taken_from_another_part", parameters_are_taken_from_another_part},
    {"tasks_done_twice_are_refused", tasks_done_twice_are_refused},
    {"other_parameters_are_refused", other_parameters_are_refused},
    {"tasks_done_by_nobody_are_refused", tasks_done_by_nobody_are_refused},
    {"damaged_sums_are_refused", damaged_sums_are_refused},
    {"a_damaged_sum_is_computed_again", a_damaged_sum_is_computed_again},
    {"a_rank_that_cannot_read_is_noticed", a_rank_that_cannot_read_is_noticed},
    {NULL, NULL}};
