#include "job/calls.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Names that the results file gives to other things at its root. */
static bool is_reserved(const char *name) {
  static const char *const taken[] = {".", "..", "status", "items", "kept"};
  static const char *const axes[] = {"item",      "model", "gradient",       "weight",
                                     "attention", "head",  "cross_attention"};
  for (size_t k = 0; k < sizeof taken / sizeof *taken; k++)
    if (!strcmp(name, taken[k])) return true;
  for (size_t k = 0; k < sizeof axes / sizeof *axes; k++) {
    size_t length = strlen(axes[k]);
    bool starts = !strncmp(name, axes[k], length);
    if (starts && (!strcmp(name + length, "_a") || !strcmp(name + length, "_b")))
      return true;
  }
  return false;
}

static zg_status set_name(const zg_document *document, const zg_node *node,
                          zg_call *call) {
  char found[ZG_NODE_WORDS];
  const char *name = zg_node_as_text(node);
  size_t allowed =
      name ? strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                          "0123456789_.-")
           : 0;
  if (!name || name[allowed])
    return zg_document_fail(
        document, node, "'name': expected letters, digits, '_', '.' and '-', found %s",
        zg_node_describe(node, found));
  if (is_reserved(name))
    return zg_document_fail(document, node,
                            "'name': the results file uses '%s' itself: choose another",
                            name);
  call->name = zg_strdup(name);
  return ZG_OK;
}

/* One value of an option: its only one, or an entry of a list. */
static zg_status set_value(const zg_document *document, const zg_node *node,
                           zg_call *call, int64_t option) {
  const zg_option *o = &call->measure->options[option];
  double number;
  /* The empty text is no value of any option, and gets the words for what is. */
  bool words = o->type == ZG_OPTION_CHOICE ||
               (o->word && !strcmp(zg_node_scalar(node), o->word));
  bool fits = words || zg_node_as_number(node, &number);
  const char *expected =
      zg_option_parse(call, option, fits ? zg_node_scalar(node) : "");
  if (!expected) return ZG_OK;
  int64_t choices = 0;
  while (choices < ZG_MAX_CHOICES && o->choices[choices])
    choices++;
  const char *nearest = zg_nearest(zg_node_scalar(node), o->choices, choices);
  char found[ZG_NODE_WORDS];
  return zg_document_fail(
      document, node, "'%s' of measure %s: expected %s, found %s%s%s%s", o->name,
      call->measure->name, expected, zg_node_describe(node, found),
      nearest ? ": did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static zg_status set_option(const zg_document *document, const zg_node *node,
                            zg_call *call, int64_t option) {
  if (call->measure->options[option].type != ZG_OPTION_LIST)
    return set_value(document, node, call, option);
  zg_option_empty(call, option);
  bool list = zg_node_type_of(node) == ZG_NODE_LIST && zg_node_count(node);
  for (int64_t k = 0; list && k < zg_node_count(node); k++)
    ZG_TRY(set_value(document, zg_node_item(document, node, k), call, option));
  return list ? ZG_OK : set_value(document, node, call, option); /* a list of one */
}

static zg_status check_effect(const zg_document *document, const zg_node *key,
                              const zg_call *call, int64_t option) {
  const zg_option *o = &call->measure->options[option];
  if (zg_option_in_effect(call, option)) return ZG_OK;
  return zg_document_fail(
      document, key, "option '%s' of measure %s has no effect here: it needs %s: %s",
      o->name, call->measure->name, o->needs, o->needs_choice);
}

/* Read the options of a call, and its name when one is given. */
static zg_status read_options(const zg_document *document, const zg_node *map,
                              zg_call *call) {
  enum { MEASURE, NAME, OPTIONS };
  const char *names[OPTIONS + ZG_MAX_OPTIONS] = {"measure", "name"};
  int64_t place[OPTIONS + ZG_MAX_OPTIONS];
  int64_t count = zg_option_count(call->measure);
  for (int64_t k = 0; k < count; k++)
    names[OPTIONS + k] = call->measure->options[k].name;
  zg_text owner = {0};
  zg_text_add(&owner, " of measure %s", call->measure->name);
  zg_status status = zg_document_find_keys(document, map, "option", owner.data, names,
                                           OPTIONS + count, place);
  zg_text_clear(&owner);
  ZG_TRY(status);
  for (int64_t k = 0; k < count; k++)
    if (place[OPTIONS + k] >= 0)
      ZG_TRY(set_option(document, zg_node_item(document, map, place[OPTIONS + k]), call,
                        k));
  for (int64_t k = 0; k < count; k++)
    if (place[OPTIONS + k] >= 0)
      ZG_TRY(check_effect(document, zg_node_key(document, map, place[OPTIONS + k]),
                          call, k));
  const char *conflict = call->measure->conflict ? call->measure->conflict(call) : NULL;
  if (conflict)
    return zg_document_fail(document, map, "measure %s: %s", call->measure->name,
                            conflict);
  if (place[NAME] < 0) return ZG_OK;
  return set_name(document, zg_node_item(document, map, place[NAME]), call);
}

static zg_status unknown_measure(const zg_document *document, const zg_node *node) {
  int64_t count;
  const zg_measure *const *measures = zg_measures(&count);
  const char **names = ZG_NEW(const char *, count);
  for (int64_t k = 0; k < count; k++)
    names[k] = measures[k]->name;
  zg_document_unknown(document, node, "measure", "", names, count);
  free(names);
  return ZG_ERR_JOB;
}

/* The value of `measure:` in an entry of the list, or an entry that is a word itself.
 */
static const zg_node *measure_of(const zg_document *document, const zg_node *entry) {
  if (zg_node_type_of(entry) == ZG_NODE_SCALAR) return entry;
  if (zg_node_type_of(entry) == ZG_NODE_MAPPING)
    for (int64_t k = 0; k < zg_node_count(entry); k++)
      if (!strcmp(zg_node_scalar(zg_node_key(document, entry, k)), "measure"))
        return zg_node_item(document, entry, k);
  return NULL;
}

static zg_status read_call(const zg_document *document, const zg_node *entry,
                           zg_call *call) {
  const zg_node *name = measure_of(document, entry);
  char found[ZG_NODE_WORDS];
  if (!name)
    return zg_document_fail(
        document, entry, "'measures': expected 'measure: NAME' here, found %s",
        zg_node_type_of(entry) == ZG_NODE_MAPPING ? "only other keys"
                                                  : zg_node_describe(entry, found));
  const zg_measure *measure = zg_measure_find(zg_node_scalar(name));
  if (!measure) return unknown_measure(document, name);
  zg_call_defaults(call, measure);
  if (name != entry) ZG_TRY(read_options(document, entry, call));
  if (!call->name) call->name = zg_call_default_name(call);
  return ZG_OK;
}

/* Tensors lie side by side in the results. */
static zg_status check_names(const zg_document *document, const zg_node *list,
                             const zg_job *job) {
  const zg_call *newest = &job->calls[job->call_count - 1];
  for (const zg_call *call = job->calls; call < newest; call++)
    if (!strcmp(call->name, newest->name)) {
      const zg_node *a = zg_node_item(document, list, call - job->calls);
      const zg_node *b = zg_node_item(document, list, newest - job->calls);
      return zg_document_fail(
          document, b,
          "two measures have the name '%s', in lines %d and %d: give one "
          "of them another 'name'",
          call->name, zg_node_line(a), zg_node_line(b));
    }
  return ZG_OK;
}

zg_status zg_calls_read(const zg_document *document, const zg_node *list, zg_job *job) {
  job->calls = ZG_NEW0(zg_call, zg_node_count(list));
  for (int64_t k = 0; k < zg_node_count(list); k++) {
    job->call_count = k + 1;
    ZG_TRY(read_call(document, zg_node_item(document, list, k), &job->calls[k]));
    ZG_TRY(check_names(document, list, job));
  }
  return ZG_OK;
}
