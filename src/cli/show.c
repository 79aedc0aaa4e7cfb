#include "cli/show.h"

#include "base/memory.h"
#include "base/sandbox.h"
#include "cli/cli.h"
#include "engine/part.h"
#include "engine/state.h"
#include "results/read.h"
#include "zoo/zoo.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

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

static zg_status show_part(const char *path, const char *name, bool json) {
  if (!name) return zg_show_part(path, json);
  return zg_fail(ZG_ERR_DATA,
                 "%s: is the part of a shard, whose sums are no tensors yet: merge all "
                 "parts, and show '%s' of what comes of it",
                 path, name);
}

static zg_status show(const zg_args *args) {
  const zg_command *self = &zg_command_show;
  const char *path = args->operands[0], *name = args->operands[1];
  bool json = zg_args_get(self, args, "--json");
  zg_colours colours;
  zg_filetype type;
  ZG_TRY(zg_terminal_colours(zg_args_get(self, args, "--colour"), &colours));
  if (zg_args_get(self, args, "--check")) return check(path, json);
  if (zg_part_is(path)) return show_part(path, name, json);
  if (access(path, F_OK) != 0 && zg_state_exists(path))
    return zg_fail(ZG_ERR_INPUT,
                   "%s: is not finished: the command that makes it goes on with it",
                   path);
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

/* ---- all of it in a child process, as a damaged or hostile file can crash HDF5 ----
 */

static zg_limits limits_of(void *context, int64_t task) {
  const zg_args *args = context;
  const int64_t least = 5, longest = 600, mebibyte = 1 << 20;
  struct stat entry;
  (void)task;
  int64_t bytes = stat(args->operands[0], &entry) == 0 ? entry.st_size : 0;
  return (zg_limits){.memory = zg_memory_limit(1),
                     .seconds = zg_min(least + bytes / mebibyte, longest)};
}

static zg_status show_apart(void *context, int64_t task) {
  (void)task;
  zg_status status = show(context);
  if (status == ZG_OK) return zg_close_output();
  fflush(stdout);
  return status;
}

static zg_status execute(const zg_args *args) {
  zg_args copy = *args;
  zg_tasks tasks = {
      .count = 1, .execute = show_apart, .limits = limits_of, .context = &copy};
  zg_verdict verdict;
  ZG_TRY(zg_sandbox_run(&tasks, &verdict));
  if (verdict.signal == SIGPIPE) raise(SIGPIPE); /* nobody reads the rest */
  if (verdict.returned) return zg_fail(verdict.status, "%s", verdict.what);
  return zg_fail(ZG_ERR_DATA, "%s: reading it %s", args->operands[0], verdict.what);
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
    .summary = "show a zoo's models (NAME: a pattern, with their layers), a results "
               "file's tensors (NAME: one, drawn) or what the part of a shard is",
    .least_operands = 1,
    .most_operands = 2,
    .flags = flags,
    .execute = execute};
