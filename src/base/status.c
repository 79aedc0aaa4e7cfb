#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static char message[ZG_MESSAGE_BYTES];
static void (*end_all_ranks)(int);

zg_status zg_fail(zg_status status, const char *format, ...) {
  /* Formatted apart, since the arguments may contain the previous message. */
  char text[ZG_MESSAGE_BYTES];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  snprintf(message, sizeof message, "%s", text);
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
  if (end_all_ranks) end_all_ranks(status);
  _Exit(status);
}
