#include "cli/show.h"

#include "cli/cli.h"
#include "results/read.h"
#include "zoo/zoo.h"

#include <stdio.h>

static void print_fault(void *context, const char *where, const char *what) {
  (void)context;
  printf("%s: %s\n", where, what);
}

static void keep_fault(void *context, const char *where, const char *what) {
  json_array_append_new(context, json_pack("{s:o, s:o}", "where", zg_json_text(where),
                                           "what", zg_json_text(what)));
}

static zg_status check(const char *path, bool json) {
  int64_t faults = 0;
  json_t *list = json_array();
  zg_status status = zg_zoo_check(path, json ? keep_fault : print_fault, list, &faults);
  if (status == ZG_OK && json)
    zg_json_print(json_pack("{s:o, s:O}", "file", zg_json_text(path), "faults", list));
  else if (status == ZG_OK && !faults)
    printf("%s: no faults\n", path);
  json_decref(list);
  if (status != ZG_OK || !faults) return status;
  return zg_fail(ZG_ERR_DATA, "%s: %lld fault%s", path, (long long)faults,
                 faults == 1 ? "" : "s");
}

static zg_status execute(const zg_args *args) {
  const zg_command *self = &zg_command_show;
  const char *path = args->operands[0], *name = args->operands[1];
  bool json = zg_args_get(self, args, "--json");
  zg_colours colours;
  zg_filetype type;
  ZG_TRY(zg_terminal_colours(zg_args_get(self, args, "--colour"), &colours));
  if (zg_args_get(self, args, "--check")) return check(path, json);
  ZG_TRY(zg_filetype_of(path, &type));
  switch (type) {
  case ZG_FILE_ZOO:
    return zg_show_zoo(path, name, json);
  case ZG_FILE_RESULTS:
    return zg_show_results(path, name, json, colours);
  default:
    return zg_fail(ZG_ERR_DATA,
                   "%s: neither a zoo nor a results file: the root attribute 'format' "
                   "is not 'zoogram-zoo' or 'zoogram-results'",
                   path);
  }
}

static const zg_flag flags[] = {
    {"--check", NULL, "validate a zoo, data included, and list every fault"},
    {"--colour", "WHEN",
     "always, never or auto (on a terminal, unless NO_COLOR is set)"},
    {"--json", NULL, "print JSON"},
    {NULL, NULL, NULL}};

const zg_command zg_command_show = {
    .name = "show",
    .operands = "FILE [NAME]",
    .summary = "show a zoo's models (NAME: a pattern, with their layers) or a results "
               "file's tensors (NAME: one, drawn)",
    .least_operands = 1,
    .most_operands = 2,
    .flags = flags,
    .execute = execute};
