/** \file
 * One owner at a time: who comes second waits, names the first, and takes over from one
 * that has died. The others are child processes, which end without MPI. */
#include "base/clock.h"
#include "files.h"
#include "mpi_main.h"
#include "results/owner.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A process that owns an output until it is told to let go or is killed. */
typedef struct other {
  pid_t process;
  int let_go; /* a byte written here makes it release and end */
} other;

static void own_until_told(const char *output, bool joins, int owned, int let_go) {
  zg_owner *owner;
  zg_status status =
      joins ? zg_owner_join(output, &owner) : zg_owner_acquire(output, 0, &owner);
  char byte = (char)(status == ZG_OK);
  if (write(owned, &byte, 1) != 1 || read(let_go, &byte, 1) != 1) _exit(1);
  zg_owner_release(&owner);
  _exit(0);
}

/* Returns once the other process has become the owner, or has joined it. */
static other start(const char *output, bool joins) {
  int owned[2], let_go[2];
  char byte = 0;
  CU_ASSERT_FATAL(pipe(owned) == 0 && pipe(let_go) == 0);
  pid_t process = fork();
  if (process == 0) own_until_told(output, joins, owned[1], let_go[0]);
  CU_ASSERT_EQUAL(read(owned[0], &byte, 1), 1);
  CU_ASSERT_EQUAL(byte, 1);
  close(owned[0]), close(owned[1]), close(let_go[0]);
  return (other){process, let_go[1]};
}

static other start_owner(const char *output) {
  return start(output, false);
}

static void end_owner(const other *o) {
  CU_ASSERT_EQUAL(write(o->let_go, "", 1), 1);
  waitpid(o->process, NULL, 0);
  close(o->let_go);
}

static void kill_owner(const other *o) {
  kill(o->process, SIGKILL);
  waitpid(o->process, NULL, 0);
  close(o->let_go);
}

static void lock_of(const char *output, char lock[ZG_TEST_PATH_BYTES]) {
  snprintf(lock, ZG_TEST_PATH_BYTES, "%.200s.lock", output);
}

static void an_owner_takes_and_leaves_no_trace(void) {
  char output[ZG_TEST_PATH_BYTES], lock[ZG_TEST_PATH_BYTES];
  lock_of(zg_test_path("free.h5", output), lock);
  for (int k = 0; k < 3; k++) {
    zg_owner *owner;
    CU_ASSERT_EQUAL_FATAL(zg_owner_acquire(output, 0, &owner), ZG_OK);
    CU_ASSERT_EQUAL(access(lock, F_OK), 0);
    zg_owner_release(&owner);
    CU_ASSERT_PTR_NULL(owner);
    CU_ASSERT_NOT_EQUAL(access(lock, F_OK), 0);
  }
  zg_owner *none = NULL;
  zg_owner_release(&none);
}

static void the_second_waits_and_names_the_first(void) {
  char output[ZG_TEST_PATH_BYTES], name[32];
  other first = start_owner(zg_test_path("taken.h5", output));
  zg_owner *owner;
  double start = zg_clock();
  CU_ASSERT_EQUAL(zg_owner_acquire(output, 0.5, &owner), ZG_ERR_CREATE);
  CU_ASSERT(zg_clock() - start >= 0.5);
  CU_ASSERT_PTR_NULL(owner);
  snprintf(name, sizeof name, "process %d", (int)first.process);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), name));
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "taken.h5"));
  end_owner(&first);
}

static void without_patience_the_second_leaves_at_once(void) {
  char output[ZG_TEST_PATH_BYTES];
  other first = start_owner(zg_test_path("impatient.h5", output));
  zg_owner *owner;
  double start = zg_clock();
  CU_ASSERT_EQUAL(zg_owner_acquire(output, 0, &owner), ZG_ERR_CREATE);
  CU_ASSERT(zg_clock() - start < 0.5);
  end_owner(&first);
}

static void the_second_gets_its_turn_when_the_first_is_done(void) {
  char output[ZG_TEST_PATH_BYTES];
  other first = start_owner(zg_test_path("turn.h5", output));
  pid_t helper = fork();
  if (helper == 0) { /* ends the first while the second waits */
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    _exit(write(first.let_go, "", 1) != 1);
  }
  zg_owner *owner;
  CU_ASSERT_EQUAL_FATAL(zg_owner_acquire(output, 60, &owner), ZG_OK);
  waitpid(helper, NULL, 0);
  waitpid(first.process, NULL, 0);
  close(first.let_go);
  zg_owner *third;
  CU_ASSERT_EQUAL(zg_owner_acquire(output, 0, &third), ZG_ERR_CREATE);
  zg_owner_release(&owner);
}

static void an_owner_that_died_does_not_block(void) {
  char output[ZG_TEST_PATH_BYTES], lock[ZG_TEST_PATH_BYTES];
  lock_of(zg_test_path("died.h5", output), lock);
  other first = start_owner(output);
  kill_owner(&first);
  CU_ASSERT_EQUAL(access(lock, F_OK), 0); /* what it left */
  zg_owner *owner;
  CU_ASSERT_EQUAL_FATAL(zg_owner_acquire(output, 0, &owner), ZG_OK);
  zg_owner_release(&owner);
  CU_ASSERT_NOT_EQUAL(access(lock, F_OK), 0);
}

/* Two ranks of a run the first of which was killed, and which do not know it yet. */
static void ranks_that_outlive_the_owner_block_until_they_are_gone(void) {
  char output[ZG_TEST_PATH_BYTES];
  other first = start_owner(zg_test_path("outlived.h5", output));
  other ranks[] = {start(output, true), start(output, true)};
  zg_owner *owner;
  kill_owner(&first);
  for (int k = 0; k < 2; k++) {
    CU_ASSERT_EQUAL(zg_owner_acquire(output, 0, &owner), ZG_ERR_CREATE);
    kill_owner(&ranks[k]);
  }
  CU_ASSERT_EQUAL(zg_owner_acquire(output, 0, &owner), ZG_OK);
  zg_owner_release(&owner);
}

/* Those of the next run do not join the one before. */
static void ranks_may_join_each_owner(void) {
  char output[ZG_TEST_PATH_BYTES], lock[ZG_TEST_PATH_BYTES];
  lock_of(zg_test_path("joined.h5", output), lock);
  for (int k = 0; k < 3; k++) {
    other first = start_owner(output), rank = start(output, true);
    end_owner(&rank);
    CU_ASSERT_EQUAL(access(lock, F_OK), 0); /* it is the owner's */
    end_owner(&first);
    CU_ASSERT_NOT_EQUAL(access(lock, F_OK), 0);
  }
}

static void outputs_beside_one_another_have_owners_of_their_own(void) {
  char output[ZG_TEST_PATH_BYTES], beside[ZG_TEST_PATH_BYTES];
  other first = start_owner(zg_test_path("one.h5", output));
  zg_owner *owner;
  CU_ASSERT_EQUAL(zg_owner_acquire(zg_test_path("two.h5", beside), 0, &owner), ZG_OK);
  zg_owner_release(&owner);
  end_owner(&first);
}

static void a_lock_that_cannot_be_made_is_an_error_at_once(void) {
  char output[ZG_TEST_PATH_BYTES];
  zg_owner *owner;
  double start = zg_clock();
  zg_test_path("no-such-directory/r.h5", output);
  CU_ASSERT_EQUAL(zg_owner_acquire(output, 60, &owner), ZG_ERR_CREATE);
  CU_ASSERT(zg_clock() - start < 10);
  CU_ASSERT_PTR_NULL(owner);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "no-such-directory/r.h5.lock"));
  CU_ASSERT_EQUAL(zg_owner_join(output, &owner), ZG_ERR_CREATE);
  CU_ASSERT_PTR_NULL(owner);
}

const zg_test zg_tests[] = {
    {"an_owner_takes_and_leaves_no_trace", an_owner_takes_and_leaves_no_trace},
    {"the_second_waits_and_names_the_first", the_second_waits_and_names_the_first},
    {"without_patience_the_second_leaves_at_once",
     without_patience_the_second_leaves_at_once},
    {"the_second_gets_its_turn_when_the_first_is_done",
     the_second_gets_its_turn_when_the_first_is_done},
    {"an_owner_that_died_does_not_block", an_owner_that_died_does_not_block},
    {"ranks_that_outlive_the_owner_block_until_they_are_gone",
     ranks_that_outlive_the_owner_block_until_they_are_gone},
    {"ranks_may_join_each_owner", ranks_may_join_each_owner},
    {"outputs_beside_one_another_have_owners_of_their_own",
     outputs_beside_one_another_have_owners_of_their_own},
    {"a_lock_that_cannot_be_made_is_an_error_at_once",
     a_lock_that_cannot_be_made_is_an_error_at_once},
    {NULL, NULL}};
