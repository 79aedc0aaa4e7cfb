/** \file
 * Options of measures: defaults, access by name, text to value and back. */
#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"
#include "measures/measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t zg_option_count(const zg_measure *measure) {
  int64_t count = 0;
  while (measure->options[count].name)
    count++;
  return count;
}

int64_t zg_option_find(const zg_measure *measure, const char *name) {
  for (int64_t k = 0; measure->options[k].name; k++)
    if (!strcmp(measure->options[k].name, name)) return k;
  return -1;
}

static zg_value initial(const zg_option *option) {
  switch (option->type) {
  case ZG_OPTION_CHOICE:
    return 0;
  case ZG_OPTION_LIST:
    return 1;
  default:
    return option->initial;
  }
}

void zg_call_defaults(zg_call *call, const zg_measure *measure) {
  call->measure = measure;
  for (int64_t k = 0; measure->options[k].name; k++) {
    call->values[k] = initial(&measure->options[k]);
    if (measure->options[k].type == ZG_OPTION_LIST)
      call->list[0] = measure->options[k].initial;
  }
}

/* Whether the value of an option is its word. */
static bool is_word(const zg_call *call, int64_t k) {
  const zg_option *option = &call->measure->options[k];
  return option->word && call->values[k] == option->initial;
}

static bool is_default(const zg_call *call, int64_t k) {
  const zg_option *option = &call->measure->options[k];
  return call->values[k] == initial(option) &&
         (option->type != ZG_OPTION_LIST || call->list[0] == option->initial);
}

zg_value zg_call_value(const zg_call *call, const char *option) {
  int64_t k = zg_option_find(call->measure, option);
  ZG_REQUIRE(k >= 0);
  return call->values[k];
}

static const char *chosen(const zg_call *call, int64_t k) {
  return call->measure->options[k].choices[(int)call->values[k]];
}

bool zg_call_is(const zg_call *call, const char *option, const char *choice) {
  int64_t k = zg_option_find(call->measure, option);
  ZG_REQUIRE(k >= 0);
  return !strcmp(chosen(call, k), choice);
}

zg_axis zg_call_axis(const zg_call *call) {
  const zg_measure *measure = call->measure;
  return measure->axis_of ? measure->axis_of(call) : measure->axis;
}

bool zg_call_pairs_rows(const zg_call *call) {
  const zg_measure *measure = call->measure;
  return measure->pairs_rows_of ? measure->pairs_rows_of(call) : measure->pairs_rows;
}

int64_t zg_call_kept(const zg_call *call, zg_kept kept[ZG_MAX_KEPT]) {
  return call->measure->kept ? call->measure->kept(call, kept) : 0;
}

bool zg_option_in_effect(const zg_call *call, int64_t k) {
  const zg_option *option = &call->measure->options[k];
  return !option->needs || zg_call_is(call, option->needs, option->needs_choice);
}

static void print_list(const zg_call *call, int64_t k, char *buffer) {
  size_t length = 0;
  buffer[0] = 0;
  for (int64_t j = 0; j < (int64_t)call->values[k] && length < ZG_VALUE_BYTES; j++)
    length += (size_t)snprintf(buffer + length, ZG_VALUE_BYTES - length, "%s%.12g",
                               j ? "_" : "", call->list[j]);
}

char *zg_option_print(const zg_call *call, int64_t k, char buffer[ZG_VALUE_BYTES]) {
  switch (call->measure->options[k].type) {
  case ZG_OPTION_CHOICE:
    snprintf(buffer, ZG_VALUE_BYTES, "%s", chosen(call, k));
    break;
  case ZG_OPTION_LIST:
    print_list(call, k, buffer);
    break;
  default:
    if (is_word(call, k))
      snprintf(buffer, ZG_VALUE_BYTES, "%s", call->measure->options[k].word);
    else
      snprintf(buffer, ZG_VALUE_BYTES, "%.12g", call->values[k]);
  }
  return buffer;
}

static const char *expected_choice(const zg_option *option) {
  static char text[256];
  size_t length = (size_t)snprintf(text, sizeof text, "one of");
  for (int k = 0; option->choices[k] && length < sizeof text; k++)
    length += (size_t)snprintf(text + length, sizeof text - length, "%s %s",
                               k ? "," : "", option->choices[k]);
  return text;
}

static const char *expected_number(const zg_option *option) {
  static char text[256];
  static const char *const kinds[] = {[ZG_OPTION_COUNT] = "a whole number",
                                      [ZG_OPTION_NUMBER] = "a number",
                                      [ZG_OPTION_LIST] =
                                          "a list of at most 32 ascending numbers"};
  const char *kind = option->any_order ? "a list of numbers" : kinds[option->type];
  const char *relation = option->open ? ">" : ">=";
  const char *word = option->word ? option->word : "";
  const char *between = option->word ? " or " : "";
  if (isinf(option->most))
    snprintf(text, sizeof text, "%s%s%s %s %g", word, between, kind, relation,
             option->least);
  else
    snprintf(text, sizeof text, "%s%s%s %s %g and <= %.10g", word, between, kind,
             relation, option->least, option->most);
  return text;
}

static const char *parse_choice(const zg_option *option, const char *text,
                                zg_value *value) {
  for (int k = 0; option->choices[k]; k++)
    if (!strcmp(option->choices[k], text)) {
      *value = k;
      return NULL;
    }
  return expected_choice(option);
}

static const char *parse_number(const zg_option *option, const char *text,
                                zg_value *value) {
  char *end;
  if (option->word && !strcmp(text, option->word)) {
    *value = option->initial;
    return NULL;
  }
  double number = strtod(text, &end);
  bool fits = end != text && !*end && isfinite(number) && number <= option->most &&
              (option->open ? number > option->least : number >= option->least) &&
              (option->type != ZG_OPTION_COUNT || number == floor(number));
  if (!fits) return expected_number(option);
  *value = number;
  return NULL;
}

void zg_option_empty(zg_call *call, int64_t k) {
  call->values[k] = 0;
}

static const char *parse_entry(const zg_option *option, const char *text, zg_call *call,
                               zg_value *count) {
  double number;
  if (parse_number(option, text, &number) || *count == ZG_MAX_LIST ||
      (*count > 0 && !option->any_order && number <= call->list[(int)*count - 1]))
    return expected_number(option);
  call->list[(int)*count] = number;
  *count += 1;
  return NULL;
}

const char *zg_option_parse(zg_call *call, int64_t k, const char *text) {
  const zg_option *option = &call->measure->options[k];
  switch (option->type) {
  case ZG_OPTION_CHOICE:
    return parse_choice(option, text, &call->values[k]);
  case ZG_OPTION_LIST:
    return parse_entry(option, text, call, &call->values[k]);
  default:
    return parse_number(option, text, &call->values[k]);
  }
}

char *zg_call_default_name(const zg_call *call) {
  zg_text name = {0};
  zg_text_add(&name, "%s", call->measure->name);
  for (int64_t k = 0; call->measure->options[k].name; k++) {
    char value[ZG_VALUE_BYTES];
    if (!is_default(call, k))
      zg_text_add(&name, "_%s_%s", call->measure->options[k].name,
                  zg_option_print(call, k, value));
  }
  return name.data;
}
