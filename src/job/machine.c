#include "job/machine.h"

#include "job/document.h"
#include "job/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keys of a file: the rates in their order, then these. */
enum { NAME = ZG_RATES, CALIBRATED, RANKS_PER_NODE, KEYS };

static zg_status read_number(const zg_document *document, const zg_node *node,
                             const char *key, const char *unit, double *value) {
  char found[ZG_NODE_WORDS];
  if (zg_node_as_number(node, value) && *value > 0) return ZG_OK;
  return zg_document_fail(document, node, "'%s': expected a number > 0%s%s, found %s",
                          key, *unit ? " of " : "", unit,
                          zg_node_describe(node, found));
}

static zg_status read_text(const zg_document *document, const zg_node *node,
                           const char *key, char text[ZG_MACHINE_TEXT]) {
  char found[ZG_NODE_WORDS];
  if (zg_node_type_of(node) != ZG_NODE_SCALAR ||
      strlen(zg_node_scalar(node)) >= ZG_MACHINE_TEXT)
    return zg_document_fail(document, node,
                            "'%s': expected a text of less than %d bytes, found %s",
                            key, ZG_MACHINE_TEXT, zg_node_describe(node, found));
  snprintf(text, ZG_MACHINE_TEXT, "%s", zg_node_scalar(node));
  return ZG_OK;
}

static zg_status read_value(const zg_document *document, int key, const char *name,
                            const zg_node *node, zg_machine *machine) {
  switch (key) {
  case NAME:
    return read_text(document, node, name, machine->name);
  case CALIBRATED:
    return read_text(document, node, name, machine->calibrated);
  case RANKS_PER_NODE:
    return read_number(document, node, name, "ranks", &machine->ranks_per_node);
  default:
    return read_number(document, node, name, zg_rate_infos[key].unit,
                       &machine->rates[key]);
  }
}

static zg_status read_root(const zg_document *document, zg_machine *machine) {
  const zg_node *root = zg_document_root(document);
  const char *names[KEYS] = {[NAME] = "name",
                             [CALIBRATED] = "calibrated",
                             [RANKS_PER_NODE] = "ranks_per_node"};
  int64_t place[KEYS];
  for (int r = 0; r < ZG_RATES; r++)
    names[r] = zg_rate_infos[r].key;
  if (zg_node_type_of(root) != ZG_NODE_MAPPING)
    return zg_document_fail(document, root,
                            "expected keys such as 'form_single: 2e11'");
  ZG_TRY(zg_document_find_keys(document, root, "key", "", names, KEYS, place));
  for (int k = 0; k < KEYS; k++)
    if (place[k] >= 0)
      ZG_TRY(read_value(document, k, names[k], zg_node_item(document, root, place[k]),
                        machine));
  int missing = zg_machine_complete(machine);
  if (missing < 0) return ZG_OK;
  return zg_document_fail(
      document, root, "'%s' is missing: expected a number of %s: %s", names[missing],
      zg_rate_infos[missing].unit, zg_rate_infos[missing].help);
}

zg_status zg_machine_read(const char *path, zg_machine *machine) {
  char *text = NULL;
  zg_document *document = NULL;
  *machine = (zg_machine){0};
  ZG_TRY(zg_job_read(path, &text));
  zg_status status = zg_document_load(path, text, &document);
  if (status == ZG_OK) status = read_root(document, machine);
  zg_document_destroy(&document);
  free(text);
  return status;
}
