/** \file
 * Ends that libraries bring about, each in a child process, whose end is looked at and
 * whose standard error is read. */
#include "base/crash.h"

#include "base/memory.h"
#include "base/status.h"
#include "mpi_main.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A request that no system can meet; the compiler must not see that. */
static volatile size_t too_much = SIZE_MAX / 4;
static volatile int *volatile nowhere;

static void follow_null_without_memory(void) {
  nowhere = malloc(too_much);
  nowhere[98] = 1;
}

static void follow_null(void) {
  errno = 0;
  *nowhere = 1;
}

static void go_astray(void) {
  errno = ENOMEM;
  *(volatile int *)((uintptr_t)1 << 45) = 1;
}

static void give_up_without_memory(void) {
  nowhere = malloc(too_much);
  abort();
}

static void give_up(void) {
  errno = 0;
  abort();
}

static void be_killed(void) {
  errno = ENOMEM;
  raise(SIGSEGV);
}

static void leave_as_libraries_do(void) {
  errno = 0;
  exit(255);
}

static void leave_without_memory(void) {
  nowhere = malloc(too_much);
  exit(255);
}

static void leave(void) {
  exit(zg_crash_leave(3));
}

static void abort_run(void) {
  zg_abort(ZG_ERR_INTERNAL, "a mistake");
}

static void exit_with(int code) {
  exit(code);
}

/* MPI_Abort comes to exit(). */
static void abort_run_by_exit(void) {
  zg_on_abort(exit_with);
  zg_abort(ZG_ERR_INTERNAL, "a mistake");
}

/* Instead of what MPI would do at the end of a process that it does not know. */
static void quit(int code, void *unused) {
  (void)unused;
  _exit(code);
}

/* \param [out] said  [size] on standard error. \return how it ended. */
static int end_of(void (*act)(void), char *said, size_t size) {
  int ends[2], end = 0;
  CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    signal(SIGSEGV, SIG_DFL); /* as they are before MPI starts */
    signal(SIGABRT, SIG_DFL);
    zg_on_abort(NULL);
    on_exit(quit, NULL);
    zg_crash_watch();
    act();
    _exit(0);
  }
  close(ends[1]);
  size_t length = 0;
  for (ssize_t got; (got = read(ends[0], said + length, size - 1 - length)) > 0;)
    length += (size_t)got;
  said[length] = 0;
  close(ends[0]);
  waitpid(child, &end, 0);
  return end;
}

static void check_code(void (*act)(void), int code, const char *message) {
  char said[4096];
  int end = end_of(act, said, sizeof said);
  CU_ASSERT(WIFEXITED(end));
  CU_ASSERT_EQUAL(WEXITSTATUS(end), code);
  CU_ASSERT_STRING_EQUAL(said, message);
}

static void leave_with_4(int number) {
  (void)number;
  _exit(4);
}

/* As a library does that MPI has loaded. */
static void take_signal(void) {
  signal(SIGSEGV, leave_with_4);
  zg_crash_keep_watching();
}

static void follow_null_without_memory_later(void) {
  take_signal();
  follow_null_without_memory();
}

static void follow_null_later(void) {
  take_signal();
  follow_null();
}

static void be_killed_later(void) {
  take_signal();
  be_killed();
}

static void check_fault(void (*act)(void), int number) {
  char said[4096];
  int end = end_of(act, said, sizeof said);
  CU_ASSERT(WIFSIGNALED(end));
  CU_ASSERT_EQUAL(WTERMSIG(end), number);
  CU_ASSERT_PTR_NULL(strstr(said, "out of memory"));
  CU_ASSERT_PTR_NOT_NULL(strstr(said, "test_crash")); /* in the trace */
}

static void null_that_stands_for_memory_is_told_from_other_faults(void) {
  if (ZG_SANITIZED) return; /* it tells of faults itself */
  check_code(follow_null_without_memory, ZG_ERR_SYSTEM,
             "zoogram: error: out of memory (in a library)\n");
  check_fault(follow_null, SIGSEGV);
  check_fault(go_astray, SIGSEGV);
  check_fault(be_killed, SIGSEGV);
}

static void giving_up_without_memory_is_told_from_other_aborts(void) {
  if (ZG_SANITIZED) return; /* it tells of faults itself */
  check_code(give_up_without_memory, ZG_ERR_SYSTEM,
             "zoogram: error: out of memory (in a library)\n");
  check_fault(give_up, SIGABRT);
}

static void other_faults_go_to_who_has_taken_the_signal(void) {
  if (ZG_SANITIZED) return; /* it tells of faults itself */
  check_code(follow_null_without_memory_later, ZG_ERR_SYSTEM,
             "zoogram: error: out of memory (in a library)\n");
  check_code(follow_null_later, 4, "");
  check_code(be_killed_later, 4, "");
}

static void libraries_that_leave_are_told(void) {
  check_code(leave_as_libraries_do, ZG_ERR_SYSTEM,
             "zoogram: error: a library has ended the program\n");
  if (!ZG_SANITIZED) /* which ends the program where there is no memory */
    check_code(leave_without_memory, ZG_ERR_SYSTEM,
               "zoogram: error: out of memory (in a library)\n");
}

static void what_the_program_wants_stays(void) {
  check_code(leave, 3, "");
  check_code(abort_run, ZG_ERR_INTERNAL, "zoogram: error: a mistake\n");
  check_code(abort_run_by_exit, ZG_ERR_INTERNAL, "zoogram: error: a mistake\n");
}

const zg_test zg_tests[] = {
    {"null_that_stands_for_memory_is_told_from_other_faults",
     null_that_stands_for_memory_is_told_from_other_faults},
    {"giving_up_without_memory_is_told_from_other_aborts",
     giving_up_without_memory_is_told_from_other_aborts},
    {"other_faults_go_to_who_has_taken_the_signal",
     other_faults_go_to_who_has_taken_the_signal},
    {"libraries_that_leave_are_told", libraries_that_leave_are_told},
    {"what_the_program_wants_stays", what_the_program_wants_stays},
    {NULL, NULL}};
