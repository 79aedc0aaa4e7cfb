/** \file
 * Tasks in child processes: what comes back of those that return, and what is said of
 * those that crash, do not end, want too much memory or wait for ever. */
#include "base/sandbox.h"

#include "base/clock.h"
#include "base/memory.h"
#include "mpi_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a child has computed so far, in seconds. */
static double computed(void) {
  return (double)clock() / CLOCKS_PER_SEC;
}

static zg_status succeed(void) {
  return ZG_OK;
}

static zg_status fail(void) {
  return zg_fail(ZG_ERR_INPUT, "zoo.h5: is missing");
}

static zg_status crash(void) {
  abort();
}

static zg_status loop(void) {
  volatile bool for_ever = true;
  while (for_ever) {
  }
  return ZG_OK;
}

#ifndef __SANITIZE_ADDRESS__ /* which has all addresses to itself */
static zg_status eat(void) {
  for (int k = 0; k < 100; k++)
    memset(zg_alloc((int64_t)1 << 26, 1), k, (size_t)1 << 26);
  return ZG_OK;
}
#endif

static zg_status leave(void) {
  _exit(0);
}

static zg_status ask_for_time(void) {
  zg_sandbox_allow(20);
  while (computed() < 1.5) {
  }
  return ZG_OK;
}

static zg_status wait_for_ever(void) {
  volatile bool for_ever = true;
  while (for_ever)
    pause();
  return ZG_OK;
}

typedef struct trial {
  zg_status (*execute)(void);
  bool returned;
  zg_status status;
  const char *what; /* a part of it */
} trial;

static zg_status execute(void *context, int64_t k) {
  const trial *trials = context;
  return trials[k].execute();
}

static zg_limits little(void *context, int64_t k) {
  (void)context, (void)k;
  return (zg_limits){.memory = 1 << 28, .seconds = 1};
}

static void check(const trial *trials, int64_t count) {
  zg_verdict verdicts[16];
  zg_tasks tasks = {.count = count,
                    .execute = execute,
                    .limits = little,
                    .context = (void *)(uintptr_t)trials};
  CU_ASSERT_EQUAL_FATAL(zg_sandbox_run(&tasks, verdicts), ZG_OK);
  for (int64_t k = 0; k < count; k++) {
    CU_ASSERT_EQUAL(verdicts[k].returned, trials[k].returned);
    CU_ASSERT_EQUAL(verdicts[k].status, trials[k].status);
    bool told = strstr(verdicts[k].what, trials[k].what) != NULL;
    CU_ASSERT(told);
    if (!told) printf("\n'%s' is not in '%s'\n", trials[k].what, verdicts[k].what);
  }
}

static void each_end_is_told(void) {
  const trial trials[] = {
      {crash, false, ZG_ERR_DATA, "crashed (signal 6"},
      {succeed, true, ZG_OK, ""},
      {loop, false, ZG_ERR_DATA, "no end within 1 s"},
      {leave, false, ZG_ERR_DATA, "ended with code 0"},
      {ask_for_time, true, ZG_OK, ""},
      {wait_for_ever, false, ZG_ERR_DATA, "was stuck for 8 s"},
      {succeed, true, ZG_OK, ""},
      {fail, true, ZG_ERR_INPUT, "zoo.h5: is missing"},
  };
  double start = zg_clock();
  check(trials, sizeof trials / sizeof *trials);
  CU_ASSERT(zg_clock() - start < 30);
}

#ifndef __SANITIZE_ADDRESS__ /* whose own memory leaves no room for limits */
static void too_much_memory_is_told(void) {
  check(&(trial){eat, false, ZG_ERR_DATA, "needed more than 256 MiB of memory"}, 1);
}
#endif

static zg_status starve(void *context, int64_t k) {
  (void)context, (void)k;
  zg_abort(ZG_ERR_SYSTEM, "out of memory");
}

/* `context` is shared with the children, and says how often it has failed. */
static zg_status starve_once(void *context, int64_t k) {
  int *failures = context;
  return failures[k]++ ? ZG_OK : starve(context, k);
}

static void what_had_no_memory_once_is_repeated(void) {
  int *failures = mmap(NULL, 3 * sizeof *failures, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  zg_verdict verdicts[3];
  zg_tasks tasks = {.count = 3, .limits = little, .context = failures, .repeats = true};
  tasks.execute = starve_once;
  CU_ASSERT_EQUAL(zg_sandbox_run(&tasks, verdicts), ZG_OK);
  for (int k = 0; k < 3; k++)
    CU_ASSERT(verdicts[k].returned && verdicts[k].status == ZG_OK && failures[k] == 2);
  tasks.execute = starve;
  CU_ASSERT_EQUAL(zg_sandbox_run(&tasks, verdicts), ZG_OK);
  CU_ASSERT_FALSE(verdicts[0].returned);
  CU_ASSERT_PTR_NOT_NULL(strstr(verdicts[0].what, "needed more than 256 MiB"));
  munmap(failures, 3 * sizeof *failures);
}

static zg_limits more_than_there_is(void *context, int64_t k) {
  (void)context, (void)k;
  return (zg_limits){.memory = INT64_MAX / 2, .seconds = 1};
}

static void want_of_memory_is_not_the_fault_of_a_task(void) {
  zg_verdict verdict;
  zg_tasks tasks = {.count = 1, .execute = starve, .limits = more_than_there_is};
  CU_ASSERT_EQUAL(zg_sandbox_run(&tasks, &verdict), ZG_OK);
  CU_ASSERT(verdict.returned);
  CU_ASSERT_EQUAL(verdict.status, ZG_ERR_SYSTEM);
  CU_ASSERT_PTR_NOT_NULL(strstr(verdict.what, "out of memory"));
}

static void nothing_is_begun_after_a_failure(void) {
  trial trials[12];
  zg_verdict verdicts[12];
  for (int k = 0; k < 12; k++)
    trials[k] = (trial){.execute = k == 0 ? fail : k == 11 ? loop : succeed};
  memset(verdicts, 0, sizeof verdicts);
  zg_tasks tasks = {
      .count = 12, .execute = execute, .limits = little, .context = trials};
  CU_ASSERT_EQUAL(zg_sandbox_run(&tasks, verdicts), ZG_OK);
  CU_ASSERT_EQUAL(verdicts[0].status, ZG_ERR_INPUT);
  CU_ASSERT_EQUAL(verdicts[11].status, ZG_OK); /* untouched */
}

static bool at_once(void) {
  return true;
}

static void a_stop_ends_the_children(void) {
  trial trials[] = {{.execute = wait_for_ever}, {.execute = loop}};
  zg_verdict verdicts[2];
  zg_tasks tasks = {.count = 2,
                    .execute = execute,
                    .limits = little,
                    .context = trials,
                    .should_stop = at_once};
  double start = zg_clock();
  CU_ASSERT_EQUAL(zg_sandbox_run(&tasks, verdicts), ZG_STOPPED);
  CU_ASSERT(zg_clock() - start < 6); /* not the 8 s after which it counts as stuck */
}

/* More than a pipe holds. */
static zg_status print(void) {
  char text[1 << 10];
  memset(text, 'x', sizeof text);
  for (int k = 0; k < 256; k++)
    if (write(STDOUT_FILENO, text, sizeof text) != (ssize_t)sizeof text)
      return zg_fail(ZG_ERR_WRITE, "not all is written");
  return ZG_OK;
}

/* A process that begins to read only when it is nearly too late, as a pager may. */
static pid_t start_slow_reader(int from, int not_to) {
  pid_t reader = fork();
  char text[1 << 10];
  if (reader != 0) return reader;
  close(not_to);
  sleep(ZG_STUCK_SECONDS + 3);
  while (read(from, text, sizeof text) > 0) {
  }
  _exit(0);
}

static void who_prints_may_wait_for_a_reader(void) {
  int ends[2], kept = dup(STDOUT_FILENO);
  CU_ASSERT_FATAL(kept >= 0 && pipe(ends) == 0);
  fflush(stdout);
  pid_t reader = start_slow_reader(ends[0], ends[1]);
  dup2(ends[1], STDOUT_FILENO);
  close(ends[0]), close(ends[1]);
  check(&(trial){print, true, ZG_OK, ""}, 1);
  dup2(kept, STDOUT_FILENO);
  close(kept);
  waitpid(reader, NULL, 0);
}

/* A pipe needs descriptors. */
static void no_room_for_children_is_told(void) {
  struct rlimit usual, none;
  trial trials[] = {{.execute = succeed}};
  zg_verdict verdicts[1];
  zg_tasks tasks = {
      .count = 1, .execute = execute, .limits = little, .context = trials};
  getrlimit(RLIMIT_NOFILE, &usual);
  none = usual;
  none.rlim_cur = 3;
  setrlimit(RLIMIT_NOFILE, &none);
  CU_ASSERT_EQUAL(zg_sandbox_run(&tasks, verdicts), ZG_ERR_SYSTEM);
  setrlimit(RLIMIT_NOFILE, &usual);
  CU_ASSERT_PTR_NOT_NULL(
      strstr(zg_message(), "no child process can be made: Too many"));
}

static void no_tasks_are_done_at_once(void) {
  CU_ASSERT_EQUAL(zg_sandbox_run(&(zg_tasks){.count = 0}, NULL), ZG_OK);
}

static void outside_a_sandbox_time_is_not_limited(void) {
  zg_sandbox_allow(0);
  double start = computed();
  while (computed() < start + 1.2) {
  }
  CU_ASSERT(true); /* still here */
}

const zg_test zg_tests[] = {
    {"each_end_is_told", each_end_is_told},
#ifndef __SANITIZE_ADDRESS__
    {"too_much_memory_is_told", too_much_memory_is_told},
#endif
    {"what_had_no_memory_once_is_repeated", what_had_no_memory_once_is_repeated},
    {"want_of_memory_is_not_the_fault_of_a_task",
     want_of_memory_is_not_the_fault_of_a_task},
    {"nothing_is_begun_after_a_failure", nothing_is_begun_after_a_failure},
    {"a_stop_ends_the_children", a_stop_ends_the_children},
    {"who_prints_may_wait_for_a_reader", who_prints_may_wait_for_a_reader},
    {"no_room_for_children_is_told", no_room_for_children_is_told},
    {"no_tasks_are_done_at_once", no_tasks_are_done_at_once},
    {"outside_a_sandbox_time_is_not_limited", outside_a_sandbox_time_is_not_limited},
    {NULL, NULL}};
