#include "base/memory.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "measures/measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INDENT = 18 }; /* of what stands beside a word */

static void add_choices(zg_text *text, const zg_option *option) {
  for (int k = 0; k < ZG_MAX_CHOICES && option->choices[k]; k++)
    zg_text_add(text, "%s%s", k ? ", " : "", option->choices[k]);
}

static void add_bounds(zg_text *text, const zg_option *option) {
  static const char *const nouns[] = {[ZG_OPTION_COUNT] = "whole number",
                                      [ZG_OPTION_NUMBER] = "number",
                                      [ZG_OPTION_LIST] = "list of ascending numbers"};
  if (option->word) zg_text_add(text, "%s or ", option->word);
  zg_text_add(text, "%s %s %g", nouns[option->type],
              option->open ? ">" : ">=", option->least);
  if (isfinite(option->most)) zg_text_add(text, ", <= %.10g", option->most);
  if (option->unit && *option->unit) zg_text_add(text, " %s", option->unit);
}

/* "bandwidth  number > 0; default 0.4; only with kernel: rbf", and below what it means.
 */
static void print_option(const zg_call *defaults, int64_t k) {
  const zg_option *option = &defaults->measure->options[k];
  char value[ZG_VALUE_BYTES];
  zg_text text = {0};
  if (option->type == ZG_OPTION_CHOICE)
    add_choices(&text, option);
  else
    add_bounds(&text, option);
  zg_text_add(&text, "; default %s", zg_option_print(defaults, k, value));
  if (option->needs)
    zg_text_add(&text, "; only with %s: %s", option->needs, option->needs_choice);
  printf("    %-*s ", INDENT - 5, option->name);
  zg_print_wrapped(zg_text_get(&text), INDENT);
  printf("%*s", INDENT, "");
  zg_print_wrapped(option->help, INDENT);
  zg_text_clear(&text);
}

static void print_options(const zg_measure *measure) {
  zg_call defaults;
  zg_call_defaults(&defaults, measure);
  printf("  options\n");
  for (int64_t k = 0; k < zg_option_count(measure); k++)
    print_option(&defaults, k);
}

static void print_measure(const zg_measure *measure) {
  const struct {
    const char *label, *text;
  } lines[] = {{"formula", measure->formula},
               {"reference", measure->reference},
               {"remark", measure->remark},
               {"compares", zg_axis_name(measure->axis)}};
  printf("%s: %s\n", measure->name, measure->title);
  for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
    if (!lines[k].text) continue;
    printf("  %-*s ", INDENT - 3, lines[k].label);
    zg_print_wrapped(lines[k].text, INDENT);
  }
  printf("  %-*s %s, %s\n", INDENT - 3, "kind", zg_kind_name(measure->kind),
         measure->symmetric ? "symmetric" : "not symmetric");
  print_options(measure);
}

/* The measures of one space; they stand together in the catalogue. */
static void print_space(const zg_measure *const *measures, int64_t count) {
  zg_table table = {.align = "llll"};
  printf("%s\n", measures[0]->space);
  for (int64_t k = 0; k < count; k++) {
    zg_table_add(&table, "%s", measures[k]->name);
    zg_table_add(&table, "%s", zg_axis_name(measures[k]->axis));
    zg_table_add(&table, "%s", zg_kind_name(measures[k]->kind));
    zg_table_add(&table, "%s", measures[k]->title);
  }
  zg_table_print(&table, 2);
}

static void print_all(const zg_measure *const *measures, int64_t count) {
  for (int64_t first = 0, last; first < count; first = last) {
    last = first + 1;
    while (last < count && !strcmp(measures[last]->space, measures[first]->space))
      last++;
    print_space(measures + first, last - first);
  }
  printf("\nzoogram list measures NAME shows formula, reference and options.\n");
}

static json_t *choices_json(const zg_option *option) {
  json_t *choices = json_array();
  for (int k = 0; k < ZG_MAX_CHOICES && option->choices[k]; k++)
    json_array_append_new(choices, json_string(option->choices[k]));
  return choices;
}

static json_t *option_json(const zg_call *defaults, int64_t k) {
  static const char *const types[] = {[ZG_OPTION_CHOICE] = "choice",
                                      [ZG_OPTION_NUMBER] = "number",
                                      [ZG_OPTION_COUNT] = "count",
                                      [ZG_OPTION_LIST] = "list"};
  const zg_option *option = &defaults->measure->options[k];
  char value[ZG_VALUE_BYTES];
  json_t *json =
      json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s?}", "name", option->name, "type",
                types[option->type], "help", option->help, "unit", option->unit,
                "needs", option->needs, "needs_choice", option->needs_choice);
  if (option->type == ZG_OPTION_CHOICE) {
    json_object_set_new(json, "default",
                        json_string(zg_option_print(defaults, k, value)));
    json_object_set_new(json, "choices", choices_json(option));
  } else {
    json_object_set_new(json, "default",
                        option->word ? json_string(option->word)
                                     : zg_json_number(option->initial));
    json_object_set_new(json, "least", zg_json_number(option->least));
    json_object_set_new(json, "least_excluded", json_boolean(option->open));
    json_object_set_new(json, "most", zg_json_number(option->most));
  }
  return json;
}

static json_t *measure_json(const zg_measure *measure) {
  json_t *options = json_array();
  zg_call defaults;
  zg_call_defaults(&defaults, measure);
  for (int64_t k = 0; k < zg_option_count(measure); k++)
    json_array_append_new(options, option_json(&defaults, k));
  return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:s, s:s, s:b, s:o}", "name",
                   measure->name, "title", measure->title, "space", measure->space,
                   "formula", measure->formula, "reference", measure->reference,
                   "remark", measure->remark, "axis", zg_axis_name(measure->axis),
                   "kind", zg_kind_name(measure->kind), "symmetric", measure->symmetric,
                   "options", options);
}

static void print_json(const zg_measure *const *measures, int64_t count) {
  json_t *list = json_array();
  for (int64_t k = 0; k < count; k++)
    json_array_append_new(list, measure_json(measures[k]));
  zg_json_print(json_pack("{s:o}", "measures", list));
}

static zg_status unknown_measure(const char *name) {
  int64_t count;
  const zg_measure *const *measures = zg_measures(&count);
  const char **names = ZG_NEW(const char *, count);
  for (int64_t k = 0; k < count; k++)
    names[k] = measures[k]->name;
  zg_status status = zg_fail_unknown("measure", name, names, count);
  free(names);
  return status;
}

static zg_status execute(const zg_args *args) {
  static const char *const catalogues[] = {"measures"};
  int64_t count;
  const zg_measure *const *measures = zg_measures(&count);
  bool json = zg_args_get(&zg_command_list, args, "--json");
  if (strcmp(args->operands[0], catalogues[0]))
    return zg_fail_unknown("catalogue", args->operands[0], catalogues, 1);
  const char *name = args->operands[1];
  const zg_measure *one = name ? zg_measure_find(name) : NULL;
  if (name && !one) return unknown_measure(name);
  if (json)
    print_json(one ? &one : measures, one ? 1 : count);
  else if (one)
    print_measure(one);
  else
    print_all(measures, count);
  return ZG_OK;
}

static const zg_flag flags[] = {{"--json", NULL, "print JSON"}, {NULL, NULL, NULL}};

const zg_command zg_command_list = {
    .name = "list",
    .operands = "measures [NAME]",
    .summary = "list the measures, or one with its formula, reference and options",
    .least_operands = 1,
    .most_operands = 2,
    .flags = flags,
    .execute = execute};
