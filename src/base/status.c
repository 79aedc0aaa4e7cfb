#include "base/status.h"

#include "base/crash.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char message[ZG_MESSAGE_BYTES], reason[128];
static void (*end_all_ranks)(int);

void zg_set_reason(const char *text) {
  snprintf(reason, sizeof reason, "%s", text ? text : "");
}

const char *zg_reason(void) {
  return reason;
}

static bool is_about_files(zg_status status) {
  return status == ZG_ERR_DATA || status == ZG_ERR_INPUT || status == ZG_ERR_CREATE ||
         status == ZG_ERR_WRITE;
}

zg_status zg_fail(zg_status status, const char *format, ...) {
  /* Formatted apart, since the arguments may contain the previous message. */
  char text[ZG_MESSAGE_BYTES];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  bool add = reason[0] && is_about_files(status) && !strstr(text, reason);
  int length = snprintf(message, sizeof message, "%s", text);
  if (add && length < (int)sizeof message)
    snprintf(message + length, sizeof message - (size_t)length, ": %s", reason);
  reason[0] = 0;
  return status;
}

const char *zg_message(void) {
  return message;
}

void zg_on_abort(void (*end)(int)) {
  end_all_ranks = end;
}

void zg_abort(zg_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "zoogram: error: ");
  vfprintf(stderr, format, args);
  fprintf(stderr, "\n");
  va_end(args);
  fflush(NULL);
  zg_crash_leave(status); /* MPI ends with exit() */
  if (end_all_ranks) end_all_ranks(status);
  _Exit(status);
}
