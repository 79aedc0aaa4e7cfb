/** \file
 * The log's progress: a line redrawn in place on a terminal, whole lines at most once a
 * minute elsewhere. The clock is the test's (it is linked in place of zg_clock), and
 * standard output and standard error are a pseudo-terminal or a file. */
#include "base/log.h"

#include "mpi_main.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static double now;
double __wrap_zg_clock(void);
double __wrap_zg_clock(void) {
  return now;
}

/* What a process writes that does this with a log of its own.
 * \param [in] terminal  whether to a terminal; else to a file. */
static const char *output_of(void (*act)(void), bool terminal) {
  static char text[8192], buffer[BUFSIZ];
  char path[] = "/tmp/zg_test_log_XXXXXX";
  int end = terminal ? posix_openpt(O_RDWR | O_NOCTTY) : mkstemp(path);
  if (terminal) CU_ASSERT_EQUAL(grantpt(end) + unlockpt(end), 0);
  int out = terminal ? open(ptsname(end), O_RDWR | O_NOCTTY) : dup(end);
  pid_t child = fork();
  if (child == 0) {
    unsetenv("OMPI_COMM_WORLD_SIZE"); /* nobody but a shell has started us */
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    /* CUnit has switched it off. */
    if (terminal) setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
    now = 1000;
    zg_log_open(true, false, NULL);
    act();
    zg_log_close();
    fflush(stdout);
    _exit(0);
  }
  CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
  if (!terminal) lseek(end, 0, SEEK_SET), unlink(path);
  ssize_t length = read(end, text, sizeof text - 1);
  text[length > 0 ? length : 0] = 0;
  close(out);
  close(end);
  return text;
}

static int count(const char *text, const char *word) {
  int found = 0;
  for (; (text = strstr(text, word)); text++)
    found++;
  return found;
}

/* Some time of one phase, eight times a second. */
static void work(const char *phase, double seconds, double most) {
  for (double done = 0; done < most * seconds; done += 0.125, now += 0.125)
    zg_progress(phase, done / seconds);
}

static void work_for_minutes(void) {
  work("Gram tiles", 300, 1);
  zg_progress("Gram tiles", 1);
  work("medians", 10, 1);
}

static void work_for_seconds(void) {
  work("Gram tiles", 5, 1);
}

static void warn_amid_work(void) {
  work("Gram tiles", 5, 0.5);
  zg_warn("something is odd");
  zg_note("and more");
}

static void in_a_file_there_is_a_line_a_minute(void) {
  const char *text = output_of(work_for_minutes, false);
  CU_ASSERT_EQUAL(count(text, "\n"), 4); /* of the fifth minute nothing is left */
  CU_ASSERT_EQUAL(count(text, "Gram tiles"), 4);
  CU_ASSERT_EQUAL(count(text, "medians"), 0);
  CU_ASSERT_EQUAL(count(text, "\r") + count(text, "\033"), 0);
  CU_ASSERT_PTR_NOT_NULL(strstr(text, "Gram tiles: 20.0 % done, about 0:04:00 left\n"));
  CU_ASSERT_PTR_NOT_NULL(strstr(text, "Gram tiles: 60.0 % done, about 0:02:00 left\n"));
}

static void on_a_terminal_one_line_is_redrawn(void) {
  const char *text = output_of(work_for_seconds, true);
  CU_ASSERT_EQUAL(count(text, "\n"), 0);
  CU_ASSERT_TRUE(count(text, "\r\033[K") > 15);
  CU_ASSERT_PTR_NOT_NULL(strstr(text, "\r\033[KGram tiles             ["));
}

static void a_warning_has_a_line_of_its_own(void) {
  const char *text = output_of(warn_amid_work, true);
  CU_ASSERT_PTR_NOT_NULL(
      strstr(text, "\r\033[Kzoogram: warning: something is odd\r\n"));
  CU_ASSERT_PTR_NOT_NULL(strstr(text, "odd\r\nand more\r\n"));
}

const zg_test zg_tests[] = {
    {"in_a_file_there_is_a_line_a_minute", in_a_file_there_is_a_line_a_minute},
    {"on_a_terminal_one_line_is_redrawn", on_a_terminal_one_line_is_redrawn},
    {"a_warning_has_a_line_of_its_own", a_warning_has_a_line_of_its_own},
    {NULL, NULL}};
