/** \file
 * The watchdog: who stands still is ended, and who calculates for long is not. */
#include "base/watchdog.h"

#include "base/status.h"
#include "mpi_main.h"

#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void rest(double seconds) {
  time_t whole = (time_t)seconds;
  nanosleep(&(struct timespec){.tv_sec = whole,
                               .tv_nsec = (long)(1e9 * (seconds - (double)whole))},
            NULL);
}

/* \return how a process ends that does this under a watchdog of a fifth of a second. */
static int end_of(void (*act)(void)) {
  int state = 0;
  pid_t child = fork();
  if (child == 0) {
    zg_on_abort(NULL); /* MPI is the parent's */
    if (!freopen("/dev/null", "w", stderr)) _exit(1);
    zg_watchdog_start(0.2, 0);
    act();
    _exit(0);
  }
  CU_ASSERT_EQUAL(waitpid(child, &state, 0), child);
  return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

static void stand_still(void) {
  ZG_PLACE("standing", "still");
  rest(5);
}

static void come_on(void) {
  ZG_PLACE("coming", "on");
  for (int k = 0; k < 50; k++, zg_beat())
    rest(0.01);
}

static void calculate_for_long(void) {
  ZG_LONG("calculating", 30e9);
  rest(0.2);
  ZG_WAIT;
  rest(1);
}

static void calculate_for_too_long(void) {
  ZG_LONG("calculating", 0.1e9);
  rest(5);
}

static void wait_for_tasks(void) {
  ZG_WAIT_FOR_TASKS;
  ZG_WAIT; /* as the call does that waits */
  rest(1);
}

static void wait_for_long(void) {
  ZG_WAIT;
  rest(5);
}

static void who_stands_still_is_ended(void) {
  CU_ASSERT_EQUAL(end_of(stand_still), ZG_ERR_SYSTEM);
}

static void who_comes_on_is_not(void) {
  CU_ASSERT_EQUAL(end_of(come_on), 0);
}

static void a_long_calculation_has_its_time(void) {
  CU_ASSERT_EQUAL(end_of(calculate_for_long), 0);
  CU_ASSERT_EQUAL(end_of(calculate_for_too_long), ZG_ERR_SYSTEM);
}

static void who_waits_is_patient_while_others_work(void) {
  CU_ASSERT_EQUAL(end_of(wait_for_tasks), 0);
  CU_ASSERT_EQUAL(end_of(wait_for_long), ZG_ERR_SYSTEM);
}

const zg_test zg_tests[] = {
    {"who_stands_still_is_ended", who_stands_still_is_ended},
    {"who_comes_on_is_not", who_comes_on_is_not},
    {"a_long_calculation_has_its_time", a_long_calculation_has_its_time},
    {"who_waits_is_patient_while_others_work", who_waits_is_patient_while_others_work},
    {NULL, NULL}};
