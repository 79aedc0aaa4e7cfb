/** \file
 * Hand-made calls and pairs for tests of measures. */
#ifndef ZG_TESTS_MEASURES_PAIRS_H
#define ZG_TESTS_MEASURES_PAIRS_H

#include "measures/measure.h"
#include "measures/spec.h"

/** A call with these options, "form=task per=matrix", the rest by default; a list is
 * given as "radius=0.1 radius=0.2". */
zg_call zg_test_call_of(const char *measure, const char *options);

/** What a measure makes of a pair. */
double zg_test_finish(const zg_call *call, zg_pair pair, zg_code *code);

/** Check value, within a few roundings, and code. */
void zg_test_entry(const zg_call *call, zg_pair pair, double expected, zg_code code);
/** Check that the entry is NaN with this code. */
void zg_test_undefined(const zg_call *call, zg_pair pair, zg_code code);

#endif
