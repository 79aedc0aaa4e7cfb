#include "base/log.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double batch_interval = 60.0, terminal_interval = 0.2;

static struct {
  bool speaks, quiet, terminal, line_open;
  FILE *file;
  zg_list warnings;
  char phase[64];
  double phase_start, last_shown;
} the_log;

/* Open MPI gives its ranks a pseudo-terminal even when mpirun itself writes into a
 * file, so under a launcher it is the launcher's standard output that counts. */
static bool writes_to_terminal(void) {
  if (!isatty(STDOUT_FILENO)) return false;
  if (!getenv("OMPI_COMM_WORLD_SIZE")) return true;
  char link[64], target[256];
  snprintf(link, sizeof link, "/proc/%d/fd/1", (int)getppid());
  ssize_t length = readlink(link, target, sizeof target - 1);
  if (length <= 0) return false;
  target[length] = 0;
  return !strncmp(target, "/dev/pts/", 9) || !strncmp(target, "/dev/tty", 8);
}

zg_status zg_log_open(bool speaks, bool quiet, const char *path) {
  the_log.speaks = speaks;
  the_log.quiet = quiet;
  the_log.terminal = speaks && !quiet && writes_to_terminal();
  if (!speaks || !path) return ZG_OK;
  the_log.file = fopen(path, "a");
  if (the_log.file) return ZG_OK;
  return zg_fail(ZG_ERR_CREATE, "%s: the log file cannot be opened: %s", path,
                 strerror(errno));
}

/* At once, since what comes next may go to standard error. */
static void end_progress_line(void) {
  if (!the_log.line_open) return;
  fputs("\r\033[K", stdout);
  fflush(stdout);
  the_log.line_open = false;
}

static void put(FILE *also, const char *prefix, const char *format, va_list args) {
  zg_text line = {0};
  char *body = NULL;
  if (vasprintf(&body, format, args) < 0) return;
  zg_text_add(&line, "%s%s\n", prefix, body);
  free(body);
  end_progress_line();
  if (also) fputs(line.data, also), fflush(also);
  if (the_log.file) fputs(line.data, the_log.file), fflush(the_log.file);
  zg_text_clear(&line);
}

void zg_note(const char *format, ...) {
  if (!the_log.speaks) return;
  va_list args;
  va_start(args, format);
  put(the_log.quiet ? NULL : stdout, "", format, args);
  va_end(args);
}

void zg_warn(const char *format, ...) {
  if (!the_log.speaks) return;
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  put(stderr, "zoogram: warning: ", format, args);
  va_end(args);
  char *text = NULL;
  if (vasprintf(&text, format, again) >= 0) zg_list_add(&the_log.warnings, text);
  free(text);
  va_end(again);
}

void zg_log_close(void) {
  if (!the_log.speaks) return;
  end_progress_line();
  if (the_log.file && the_log.warnings.count) {
    fprintf(the_log.file, "%lld warning(s) in this run:\n",
            (long long)the_log.warnings.count);
    for (int64_t k = 0; k < the_log.warnings.count; k++)
      fprintf(the_log.file, "  %s\n", the_log.warnings.items[k]);
  }
  zg_list_clear(&the_log.warnings);
  if (the_log.file) fclose(the_log.file);
  the_log.file = NULL;
  the_log.speaks = false;
}

static void draw_bar(const char *phase, double fraction, const char *left) {
  enum { WIDTH = 30 };
  char bar[WIDTH + 1];
  int filled = (int)(fraction * WIDTH + 0.5);
  for (int k = 0; k < WIDTH; k++)
    bar[k] = k < filled ? '#' : '.';
  bar[WIDTH] = 0;
  printf("\r\033[K%-22s [%s] %3.0f %%  %s left", phase, bar, 100 * fraction, left);
  fflush(stdout);
  the_log.line_open = true;
}

void zg_progress(const char *phase, double fraction) {
  if (!the_log.speaks || (the_log.quiet && !the_log.file)) return;
  double now = zg_clock();
  if (strncmp(the_log.phase, phase, sizeof the_log.phase - 1)) {
    snprintf(the_log.phase, sizeof the_log.phase, "%s", phase);
    the_log.phase_start = the_log.last_shown = now;
  }
  double elapsed = now - the_log.phase_start;
  char left[ZG_UNIT_BYTES];
  if (fraction >= 1) {
    end_progress_line();
    the_log.phase[0] = 0;
    return;
  }
  double interval = the_log.terminal ? terminal_interval : batch_interval;
  if (fraction <= 0 || now - the_log.last_shown < interval) return;
  the_log.last_shown = now;
  zg_format_duration(left, elapsed * (1 - fraction) / fraction);
  if (the_log.terminal) {
    draw_bar(phase, fraction, left);
    return;
  }
  char date[32];
  zg_utc_time(date, sizeof date);
  zg_note("%s  %s: %.1f %% done, about %s left", date, phase, 100 * fraction, left);
}
