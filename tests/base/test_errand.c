/** \file
 * Errands: what comes back of children that end, that are killed, that have no memory
 * and that are no longer waited for. */
#include "base/errand.h"

#include "base/clock.h"
#include "base/watchdog.h"
#include "mpi_main.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void count(void *context, zg_list *found) {
  char text[32];
  for (int k = 0; k < *(const int *)context; k++) {
    snprintf(text, sizeof text, "item %d", k);
    zg_list_add(found, text);
  }
}

static void starve(void *context, zg_list *found) {
  (void)context, (void)found;
  zg_abort(ZG_ERR_SYSTEM, "out of memory");
}

static void die(void *context, zg_list *found) {
  (void)context, (void)found;
  raise(SIGKILL);
}

static void crash(void *context, zg_list *found) {
  (void)context, (void)found;
  signal(SIGSEGV, SIG_DFL);
  raise(SIGSEGV);
}

static void wait_for_ever(void *context, zg_list *found) {
  (void)context, (void)found;
  for (;;)
    pause();
}

static zg_status run(void (*execute)(void *, zg_list *), void *context,
                     bool (*should_stop)(void), zg_list *found) {
  zg_errand *errand;
  CU_ASSERT_EQUAL_FATAL(zg_errand_begin(execute, context, &errand), ZG_OK);
  zg_status status = zg_errand_end(&errand, should_stop, found);
  CU_ASSERT_PTR_NULL(errand);
  return status;
}

/* More than a pipe holds, too. */
static void all_texts_come_back(void) {
  int counts[] = {0, 1, 100000};
  for (int k = 0; k < 3; k++) {
    zg_list found = {0};
    CU_ASSERT_EQUAL(run(count, &counts[k], NULL, &found), ZG_OK);
    CU_ASSERT_EQUAL(found.count, counts[k]);
    if (k == 2) CU_ASSERT_STRING_EQUAL(found.items[99999], "item 99999");
    zg_list_clear(&found);
  }
}

static void a_child_that_dies_is_told(void) {
  zg_list found = {0};
  CU_ASSERT_EQUAL(run(starve, NULL, NULL, &found), ZG_ERR_SYSTEM);
  CU_ASSERT_STRING_EQUAL(zg_message(), "out of memory (in a child process)");
  CU_ASSERT_EQUAL(run(die, NULL, NULL, &found), ZG_ERR_SYSTEM);
  CU_ASSERT_STRING_EQUAL(zg_message(),
                         "a child process was ended by signal 9 (Killed)");
  CU_ASSERT_EQUAL(run(crash, NULL, NULL, &found), ZG_ERR_DATA);
  CU_ASSERT_STRING_EQUAL(zg_message(),
                         "a child process was ended by signal 11 (Segmentation fault)");
  CU_ASSERT_EQUAL(found.count, 0);
}

static bool at_once(void) {
  return true;
}

static void a_stop_ends_the_child(void) {
  zg_list found = {0};
  double start = zg_clock();
  CU_ASSERT_EQUAL(run(wait_for_ever, NULL, at_once, &found), ZG_STOPPED);
  CU_ASSERT(zg_clock() - start < 5);
}

static void an_abandoned_child_is_gone(void) {
  zg_errand *errand;
  CU_ASSERT_EQUAL_FATAL(zg_errand_begin(wait_for_ever, NULL, &errand), ZG_OK);
  zg_errand_abandon(&errand);
  zg_errand_abandon(&errand);
  CU_ASSERT_PTR_NULL(errand);
}

static void no_room_for_a_child_is_told(void) {
  struct rlimit usual, none;
  zg_errand *errand;
  getrlimit(RLIMIT_NOFILE, &usual);
  none = usual;
  none.rlim_cur = 3;
  setrlimit(RLIMIT_NOFILE, &none);
  CU_ASSERT_EQUAL(zg_errand_begin(die, NULL, &errand), ZG_ERR_SYSTEM);
  setrlimit(RLIMIT_NOFILE, &usual);
  CU_ASSERT_PTR_NULL(errand);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "no child process can be made: Too"));
}

/* Where the child's child writes its process id. */
static void leave_orphans(void *place, zg_list *found) {
  (void)found;
  *(volatile pid_t *)place = getpid();
  wait_for_ever(NULL, NULL);
}

static volatile pid_t *place;

static void end_on_an_errand(void) {
  zg_errand *errand;
  if (zg_errand_begin(leave_orphans, (void *)(uintptr_t)place, &errand) != ZG_OK)
    _exit(1);
  while (!*place)
    usleep(1000);
}

static void a_child_ends_with_its_parent(void) {
  place = mmap(NULL, sizeof *place, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
               -1, 0);
  CU_ASSERT_FATAL((void *)(uintptr_t)place != MAP_FAILED);
  CU_ASSERT_EQUAL(zg_test_exit_code(end_on_an_errand), 0);
  CU_ASSERT(*place > 0);
  bool there = true;
  for (double end = zg_clock() + 5; there && zg_clock() < end; usleep(1000))
    there = kill(*place, 0) == 0;
  CU_ASSERT_FALSE(there);
}

static void beat_for_a_while(void *context, zg_list *found) {
  (void)context, (void)found;
  for (int k = 0; k < 100; k++, zg_beat())
    usleep(10000);
}

static void wait_for(void (*execute)(void *, zg_list *)) {
  zg_errand *errand;
  zg_list found = {0};
  if (zg_errand_begin(execute, NULL, &errand) != ZG_OK) _exit(1);
  zg_watchdog_start(0.3, 0);
  ZG_PLACE("waiting", "for a child");
  zg_errand_end(&errand, NULL, &found);
}

static void wait_for_a_child_that_comes_on(void) {
  wait_for(beat_for_a_while);
}

static void wait_for_a_child_that_stands_still(void) {
  wait_for(wait_for_ever);
}

static void the_watchdog_sees_what_the_child_does(void) {
  CU_ASSERT_EQUAL(zg_test_exit_code(wait_for_a_child_that_comes_on), 0);
  CU_ASSERT_EQUAL(zg_test_exit_code(wait_for_a_child_that_stands_still), ZG_ERR_SYSTEM);
}

const zg_test zg_tests[] = {
    {"all_texts_come_back", all_texts_come_back},
    {"a_child_that_dies_is_told", a_child_that_dies_is_told},
    {"a_stop_ends_the_child", a_stop_ends_the_child},
    {"an_abandoned_child_is_gone", an_abandoned_child_is_gone},
    {"no_room_for_a_child_is_told", no_room_for_a_child_is_told},
    {"a_child_ends_with_its_parent", a_child_ends_with_its_parent},
    {"the_watchdog_sees_what_the_child_does", the_watchdog_sees_what_the_child_does},
    {NULL, NULL}};
