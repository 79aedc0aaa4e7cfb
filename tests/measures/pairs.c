#include "measures/pairs.h"

#include "base/status.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first value of a list replaces its default, the next ones are added. */
static void set(zg_call *call, const char *name, const char *value, bool *emptied) {
  int64_t k = zg_option_find(call->measure, name);
  ZG_REQUIRE(k >= 0);
  if (call->measure->options[k].type == ZG_OPTION_LIST && !*emptied) {
    zg_option_empty(call, k);
    *emptied = true;
  }
  CU_ASSERT_PTR_NULL(zg_option_parse(call, k, value));
}

zg_call zg_test_call_of(const char *measure, const char *options) {
  zg_call call = {0};
  char text[1024], *rest = text;
  bool emptied = false;
  ZG_REQUIRE(zg_measure_find(measure) && strlen(options) < sizeof text);
  zg_call_defaults(&call, zg_measure_find(measure));
  snprintf(text, sizeof text, "%s", options);
  for (char *word; (word = strtok_r(rest, " ", &rest));) {
    char *value = strchr(word, '=');
    ZG_REQUIRE(value);
    *value = 0;
    set(&call, word, value + 1, &emptied);
  }
  return call;
}

double zg_test_finish(const zg_call *call, zg_pair pair, zg_code *code) {
  *code = ZG_CODES;
  return call->measure->finish(call, &pair, code);
}

void zg_test_entry(const zg_call *call, zg_pair pair, double expected, zg_code code) {
  zg_code found;
  double value = zg_test_finish(call, pair, &found);
  zg_test_close(value, expected, 8 * DBL_EPSILON * fabs(expected), call->measure->name);
  CU_ASSERT_EQUAL(found, code);
}

void zg_test_undefined(const zg_call *call, zg_pair pair, zg_code code) {
  zg_code found;
  double value = zg_test_finish(call, pair, &found);
  CU_ASSERT(isnan(value));
  CU_ASSERT_EQUAL(found, code);
  if (!isnan(value) || found != code)
    printf("\n%s: %g with code %d instead of NaN with %d\n", call->measure->name, value,
           (int)found, (int)code);
}
