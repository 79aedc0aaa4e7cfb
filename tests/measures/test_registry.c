/** \file
 * What has to hold for every measure there is, whatever it computes. */
#include "base/text.h"
#include "measures/measure.h"
#include "measures/spec.h"
#include "mpi_main.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const word = "abcdefghijklmnopqrstuvwxyz0123456789_";
static const char *const name_characters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

static bool consists_of(const char *text, const char *characters) {
  return text && *text && text[strspn(text, characters)] == 0;
}

static void for_every_measure(void (*check)(const zg_measure *measure)) {
  int64_t count;
  const zg_measure *const *measures = zg_measures(&count);
  CU_ASSERT(count > 0);
  for (int64_t k = 0; k < count; k++)
    check(measures[k]);
}

static void for_every_option(void (*check)(zg_call *call, int64_t option)) {
  int64_t count;
  const zg_measure *const *measures = zg_measures(&count);
  for (int64_t k = 0; k < count; k++)
    for (int64_t option = 0; option < zg_option_count(measures[k]); option++) {
      zg_call call = {0};
      zg_call_defaults(&call, measures[k]);
      check(&call, option);
    }
}

/* ---- measures ---- */

static void names_are_words_and_unique(void) {
  int64_t count;
  const zg_measure *const *measures = zg_measures(&count);
  for (int64_t k = 0; k < count; k++) {
    CU_ASSERT(consists_of(measures[k]->name, word));
    CU_ASSERT_PTR_EQUAL(zg_measure_find(measures[k]->name), measures[k]);
    for (int64_t other = 0; other < k; other++)
      CU_ASSERT_STRING_NOT_EQUAL(measures[other]->name, measures[k]->name);
  }
  CU_ASSERT_PTR_NULL(zg_measure_find("no_such_measure"));
  CU_ASSERT_PTR_NULL(zg_measure_find(""));
}

static void check_description(const zg_measure *m) {
  static const char *const spaces[] = {"activation", "parameter", "gradient",
                                       "attention",  "embedding", "architecture"};
  bool known = false;
  for (int k = 0; k < 6; k++)
    known = known || !strcmp(m->space, spaces[k]);
  CU_ASSERT(known);
  CU_ASSERT(*m->title && *m->formula && *m->reference);
  CU_ASSERT_PTR_NULL(strchr(m->formula, '\n'));
  CU_ASSERT(m->kind == ZG_SIMILARITY || m->kind == ZG_DISTANCE);
  CU_ASSERT(consists_of(zg_axis_name(m->axis), word));
  CU_ASSERT(m->options && m->spec && m->finish && m->reads);
}

static void every_measure_says_what_it_is(void) {
  for_every_measure(check_description);
}

static void measures_of_a_space_stand_together(void) {
  int64_t count;
  const zg_measure *const *measures = zg_measures(&count);
  for (int64_t k = 1; k < count; k++)
    for (int64_t before = 0; before < k - 1; before++)
      if (!strcmp(measures[k]->space, measures[before]->space))
        CU_ASSERT_STRING_EQUAL(measures[k - 1]->space, measures[k]->space);
}

static void codes_have_meanings_of_one_word(void) {
  for (int k = 0; k < ZG_CODES; k++) {
    CU_ASSERT(consists_of(zg_code_meaning((zg_code)k), word));
    for (int other = 0; other < k; other++)
      CU_ASSERT_STRING_NOT_EQUAL(zg_code_meaning((zg_code)other),
                                 zg_code_meaning((zg_code)k));
  }
}

/* ---- options ---- */

static void check_table(const zg_measure *m) {
  CU_ASSERT(zg_option_count(m) <= ZG_MAX_OPTIONS);
  for (int64_t k = 0; k < zg_option_count(m); k++) {
    const zg_option *option = &m->options[k];
    CU_ASSERT(consists_of(option->name, word));
    CU_ASSERT(option->help && *option->help);
    CU_ASSERT_EQUAL(zg_option_find(m, option->name), k); /* unique, too */
  }
  CU_ASSERT_EQUAL(zg_option_find(m, "no_such_option"), -1);
}

static void tables_of_options_are_sound(void) {
  for_every_measure(check_table);
}

static bool has_choice(const zg_option *option, const char *choice) {
  for (int k = 0; k < ZG_MAX_CHOICES && option->choices[k]; k++)
    if (!strcmp(option->choices[k], choice)) return true;
  return false;
}

/* An option that is needed exists, is a choice, and has that choice; it has an effect
 * just when the choice is made. */
static void check_needs(zg_call *call, int64_t k) {
  const zg_option *option = &call->measure->options[k];
  if (!option->needs) {
    CU_ASSERT(zg_option_in_effect(call, k));
    return;
  }
  int64_t needed = zg_option_find(call->measure, option->needs);
  CU_ASSERT_FATAL(needed >= 0 && needed != k);
  const zg_option *other = &call->measure->options[needed];
  CU_ASSERT_EQUAL_FATAL(other->type, ZG_OPTION_CHOICE);
  CU_ASSERT(has_choice(other, option->needs_choice));
  for (int c = 0; other->choices[c]; c++) {
    CU_ASSERT_PTR_NULL(zg_option_parse(call, needed, other->choices[c]));
    CU_ASSERT_EQUAL(zg_option_in_effect(call, k),
                    !strcmp(other->choices[c], option->needs_choice));
  }
}

static void options_need_what_exists(void) {
  for_every_option(check_needs);
}

static bool within_bounds(const zg_option *option, double value) {
  return (option->open ? value > option->least : value >= option->least) &&
         value <= option->most &&
         (option->type != ZG_OPTION_COUNT || value == floor(value));
}

static void check_default(zg_call *call, int64_t k) {
  const zg_option *option = &call->measure->options[k];
  CU_ASSERT_EQUAL(zg_call_value(call, option->name), call->values[k]);
  if (option->type == ZG_OPTION_CHOICE) {
    CU_ASSERT_EQUAL(call->values[k], 0);
    CU_ASSERT(option->choices[0] && option->choices[1]);
    CU_ASSERT(zg_call_is(call, option->name, option->choices[0]));
    CU_ASSERT_FALSE(zg_call_is(call, option->name, option->choices[1]));
  } else {
    bool list = option->type == ZG_OPTION_LIST; /* of one number */
    CU_ASSERT_EQUAL(call->values[k], list ? 1 : option->initial);
    if (list) CU_ASSERT_EQUAL(call->list[0], option->initial);
    CU_ASSERT(within_bounds(option, option->initial) == !option->word);
  }
}

static void defaults_are_within_their_bounds(void) {
  for_every_option(check_default);
}

/* ---- text and back ---- */

/* Give an option this value alone. */
static const char *set(zg_call *call, int64_t k, const char *text) {
  if (call->measure->options[k].type == ZG_OPTION_LIST) zg_option_empty(call, k);
  return zg_option_parse(call, k, text);
}

/* Values worth trying, as text; those out of bounds have to be refused. */
static void for_every_value(zg_call *call, int64_t k,
                            void (*check)(zg_call *call, int64_t k, const char *text,
                                          bool allowed)) {
  const zg_option *option = &call->measure->options[k];
  if (option->type == ZG_OPTION_CHOICE) {
    for (int c = 0; option->choices[c]; c++)
      check(call, k, option->choices[c], true);
    return;
  }
  const double numbers[] = {option->initial,
                            option->least,
                            option->most,
                            -1,
                            option->least - 1,
                            option->most * 2,
                            7,
                            0.125,
                            1e-5};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    char text[ZG_VALUE_BYTES];
    snprintf(text, sizeof text, "%.12g", numbers[i]);
    check(call, k, text, isfinite(numbers[i]) && within_bounds(option, numbers[i]));
  }
}

static void check_round_trip(zg_call *call, int64_t k, const char *text, bool allowed) {
  bool list = call->measure->options[k].type == ZG_OPTION_LIST;
  double before = list ? 0 : call->values[k];
  const char *expected = set(call, k, text);
  CU_ASSERT_EQUAL(expected == NULL, allowed);
  if (!allowed) {
    CU_ASSERT(expected && *expected);
    CU_ASSERT_EQUAL(call->values[k], before); /* unchanged */
    return;
  }
  char printed[ZG_VALUE_BYTES];
  double value = call->values[k];
  CU_ASSERT_STRING_EQUAL(zg_option_print(call, k, printed), text);
  call->values[k] = -99;
  CU_ASSERT_PTR_NULL(set(call, k, printed));
  CU_ASSERT_EQUAL(call->values[k], value);
}

/* A word stands for the default, which no number does. */
static void check_word(zg_call *call, int64_t k) {
  const zg_option *option = &call->measure->options[k];
  char printed[ZG_VALUE_BYTES];
  if (!option->word) return;
  CU_ASSERT_EQUAL(option->type, ZG_OPTION_NUMBER);
  CU_ASSERT(consists_of(option->word, word));
  CU_ASSERT_STRING_EQUAL(zg_option_print(call, k, printed), option->word);
  call->values[k] = option->most;
  CU_ASSERT_PTR_NULL(zg_option_parse(call, k, option->word));
  CU_ASSERT_EQUAL(call->values[k], option->initial);
}

static void words_stand_for_defaults(void) {
  for_every_option(check_word);
}

static void check_values(zg_call *call, int64_t k) {
  for_every_value(call, k, check_round_trip);
}

static void values_survive_printing_and_parsing(void) {
  for_every_option(check_values);
}

static void check_refusals(zg_call *call, int64_t k) {
  static const char *const wrong[] = {
      "", "no such choice", "nan", "inf", "1 2", "3x", "--1", "1e999"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    check_round_trip(call, k, wrong[i], false);
  if (call->measure->options[k].type == ZG_OPTION_COUNT)
    check_round_trip(call, k, "10.5", false);
}

static void what_is_no_value_is_refused(void) {
  for_every_option(check_refusals);
}

/* ---- names of tensors ---- */

static void check_plain_name(const zg_measure *m) {
  zg_call call = {0};
  zg_call_defaults(&call, m);
  char *name = zg_call_default_name(&call);
  CU_ASSERT_STRING_EQUAL(name, m->name);
  free(name);
}

static void without_options_a_tensor_is_named_like_its_measure(void) {
  for_every_measure(check_plain_name);
}

static void check_name(zg_call *call, int64_t k, const char *text, bool allowed) {
  if (!allowed) return;
  zg_call changed = *call;
  CU_ASSERT_PTR_NULL(set(&changed, k, text));
  zg_text expected = {0};
  zg_text_add(&expected, "%s", call->measure->name);
  if (changed.values[k] != call->values[k] || changed.list[0] != call->list[0])
    zg_text_add(&expected, "_%s_%s", call->measure->options[k].name, text);
  char *name = zg_call_default_name(&changed);
  CU_ASSERT_STRING_EQUAL(name, expected.data);
  CU_ASSERT(consists_of(name, name_characters));
  free(name);
  zg_text_clear(&expected);
}

static void check_names(zg_call *call, int64_t k) {
  for_every_value(call, k, check_name);
}

static void what_differs_from_its_default_is_in_the_name(void) {
  for_every_option(check_names);
}

const zg_test zg_tests[] = {
    {"names_are_words_and_unique", names_are_words_and_unique},
    {"every_measure_says_what_it_is", every_measure_says_what_it_is},
    {"measures_of_a_space_stand_together", measures_of_a_space_stand_together},
    {"codes_have_meanings_of_one_word", codes_have_meanings_of_one_word},
    {"tables_of_options_are_sound", tables_of_options_are_sound},
    {"options_need_what_exists", options_need_what_exists},
    {"defaults_are_within_their_bounds", defaults_are_within_their_bounds},
    {"words_stand_for_defaults", words_stand_for_defaults},
    {"values_survive_printing_and_parsing", values_survive_printing_and_parsing},
    {"what_is_no_value_is_refused", what_is_no_value_is_refused},
    {"without_options_a_tensor_is_named_like_its_measure",
     without_options_a_tensor_is_named_like_its_measure},
    {"what_differs_from_its_default_is_in_the_name",
     what_differs_from_its_default_is_in_the_name},
    {NULL, NULL}};
