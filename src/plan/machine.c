#include "plan/machine.h"

#include "base/text.h"

#include <string.h>

const char *zg_cost_part_key(zg_cost_part part) {
  static const char *const keys[ZG_COST_PARTS] = {
      "start", "read", "median", "form", "kernel", "reduce", "combine", "write"};
  return keys[part];
}

const char *zg_cost_part_name(zg_cost_part part) {
  static const char *const names[ZG_COST_PARTS] = {"start",      "read",    "medians",
                                                   "Gram tiles", "kernels", "products",
                                                   "combine",    "write"};
  return names[part];
}

/* What is absent follows the speed of Gram tiles; the shares are those of a Zen 5 and
 * of a Xeon with AVX-512, rounded. */
#define OF_FORM .of = ZG_RATE_FORM_SINGLE
#define CONSTANT .of = -1

const zg_rate_info zg_rate_infos[ZG_RATES] = {
    [ZG_RATE_FORM_SINGLE] = {.key = "form_single",
                             .unit = "flop/s",
                             .help = "one rank, Gram tiles in single precision",
                             .part = ZG_COST_FORM,
                             .required = true,
                             CONSTANT},
    [ZG_RATE_FORM_DOUBLE] = {.key = "form_double",
                             .unit = "flop/s",
                             .help = "the same in double precision",
                             .part = ZG_COST_FORM,
                             OF_FORM,
                             .share = 0.4},
    [ZG_RATE_FORM_TEAM] = {.key = "form_team",
                           .unit = "flop/s",
                           .help = "one rank of a team of several, single precision",
                           .part = ZG_COST_FORM,
                           OF_FORM,
                           .share = 0.6},
    [ZG_RATE_KERNEL_LINEAR] = {.key = "kernel_linear",
                               .unit = "entries/s",
                               .help = "one rank, entries of linear kernels beside "
                                       "their flop",
                               .part = ZG_COST_KERNEL,
                               OF_FORM,
                               .share = 0.01},
    [ZG_RATE_KERNEL_RBF] = {.key = "kernel_rbf",
                            .unit = "entries/s",
                            .help = "the same of RBF kernels",
                            .part = ZG_COST_KERNEL,
                            OF_FORM,
                            .share = 0.004},
    [ZG_RATE_MEDIAN_SAMPLE] = {.key = "median_sample",
                               .unit = "entries/s",
                               .help = "one rank, distances of the sample that the "
                                       "search for a median starts from",
                               .part = ZG_COST_MEDIAN,
                               OF_FORM,
                               .share = 5e-5},
    [ZG_RATE_MEDIAN_FORM] = {.key = "median_form",
                             .unit = "flop/s",
                             .help = "one rank, Gram tiles of the search, counted once",
                             .part = ZG_COST_MEDIAN,
                             OF_FORM,
                             .share = 0.5},
    [ZG_RATE_MEDIAN_TEAM] = {.key = "median_team",
                             .unit = "flop/s",
                             .help = "the same, one rank of a team of several",
                             .part = ZG_COST_MEDIAN,
                             .of = ZG_RATE_FORM_TEAM,
                             .share = 0.5},
    [ZG_RATE_MEDIAN_ENTRIES] = {.key = "median_entries",
                                .unit = "entries/s",
                                .help =
                                    "one rank, distances of the search beside their "
                                    "flop",
                                .part = ZG_COST_MEDIAN,
                                OF_FORM,
                                .share = 0.004},
    [ZG_RATE_REDUCE_SINGLE] = {.key = "reduce_single",
                               .unit = "flop/s",
                               .help = "one rank, products of tiles, single precision",
                               .part = ZG_COST_REDUCE,
                               OF_FORM,
                               .share = 0.9},
    [ZG_RATE_REDUCE_DOUBLE] = {.key = "reduce_double",
                               .unit = "flop/s",
                               .help = "the same in double precision",
                               .part = ZG_COST_REDUCE,
                               OF_FORM,
                               .share = 0.4},
    [ZG_RATE_REDUCE_TEAM] = {.key = "reduce_team",
                             .unit = "flop/s",
                             .help = "one rank of a team of several, single precision",
                             .part = ZG_COST_REDUCE,
                             OF_FORM,
                             .share = 0.3},
    [ZG_RATE_REDUCE_ENTRIES] = {.key = "reduce_entries",
                                .unit = "entries/s",
                                .help = "one rank, entries that products take in, "
                                        "beside their flop",
                                .part = ZG_COST_REDUCE,
                                OF_FORM,
                                .share = 0.02},
    [ZG_RATE_FEATURES] = {.key = "features",
                          .unit = "flop/s",
                          .help = "one rank, products of features (many samples)",
                          .part = ZG_COST_REDUCE,
                          OF_FORM,
                          .share = 0.9},
    [ZG_RATE_VECTORS] = {.key = "vectors",
                         .unit = "flop/s",
                         .help = "one rank, products of long vectors",
                         .part = ZG_COST_REDUCE,
                         OF_FORM,
                         .share = 0.5},
    [ZG_RATE_VECTOR_NUMBERS] = {.key = "vector_numbers",
                                .unit = "numbers/s",
                                .help =
                                    "one rank, numbers of vectors beside their flop",
                                .part = ZG_COST_REDUCE,
                                OF_FORM,
                                .share = 0.002},
    [ZG_RATE_TANGENT] = {.key = "tangent",
                         .unit = "flop/s",
                         .help = "one rank, tangent kernels and their products",
                         .part = ZG_COST_FORM,
                         OF_FORM,
                         .share = 0.5},
    [ZG_RATE_PROFILE] = {.key = "profile",
                         .unit = "bytes/s",
                         .help = "one rank, data of models that are summarised by a "
                                 "few numbers; a rough guess",
                         .part = ZG_COST_REDUCE,
                         OF_FORM,
                         .share = 1e-4},
    [ZG_RATE_READ_RANK] = {.key = "read_rank",
                           .unit = "bytes/s",
                           .help = "one rank reads, converts and centres, from data in "
                                   "memory",
                           .part = ZG_COST_READ,
                           OF_FORM,
                           .share = 5e-3},
    [ZG_RATE_READ_PIECE] = {.key = "read_piece",
                            .unit = "s",
                            .help = "for every run of rows of a layer that is read",
                            .part = ZG_COST_READ,
                            CONSTANT,
                            .share = 2e-5},
    [ZG_RATE_READ_VECTORS] = {.key = "read_vectors",
                              .unit = "bytes/s",
                              .help = "one rank reads and converts what is no layer of "
                                      "activations, from data in memory",
                              .part = ZG_COST_READ,
                              OF_FORM,
                              .share = 1e-2},
    [ZG_RATE_READ_TOTAL] = {.key = "read_total",
                            .unit = "bytes/s",
                            .help = "all ranks together, from the file system",
                            .part = ZG_COST_READ,
                            .required = true,
                            CONSTANT},
    [ZG_RATE_COMBINE] = {.key = "combine",
                         .unit = "pairs/s",
                         .help = "one rank, pairs of items from sums to values",
                         .part = ZG_COST_COMBINE,
                         CONSTANT,
                         .share = 1e7},
    [ZG_RATE_NETWORK] = {.key = "network",
                         .unit = "bytes/s",
                         .help = "one rank sends, while all do",
                         .part = ZG_COST_COMBINE,
                         .required = true,
                         CONSTANT},
    [ZG_RATE_LATENCY] = {.key = "latency",
                         .unit = "s",
                         .help = "of one message",
                         .part = ZG_COST_COMBINE,
                         CONSTANT,
                         .share = 5e-6},
    [ZG_RATE_WRITE_TOTAL] = {.key = "write_total",
                             .unit = "bytes/s",
                             .help = "all ranks together, to the file system",
                             .part = ZG_COST_WRITE,
                             .of = ZG_RATE_READ_TOTAL,
                             .share = 0.25},
    [ZG_RATE_HEADER] = {.key = "header",
                        .unit = "s",
                        .help = "for every array of the zoo: its header and digest",
                        .part = ZG_COST_START,
                        CONSTANT,
                        .share = 3e-4},
    [ZG_RATE_START] = {.key = "start",
                       .unit = "s",
                       .help = "of a run that has next to nothing to do",
                       .part = ZG_COST_START,
                       CONSTANT,
                       .share = 1},
};

bool zg_rate_is_duration(zg_rate rate) {
  return !strcmp(zg_rate_infos[rate].unit, "s");
}

int zg_machine_complete(zg_machine *machine) {
  for (int r = 0; r < ZG_RATES; r++)
    if (zg_rate_infos[r].required && !(machine->rates[r] > 0)) return r;
  for (int r = 0; r < ZG_RATES; r++) {
    const zg_rate_info *info = &zg_rate_infos[r];
    double unit = info->of < 0 ? 1 : machine->rates[info->of];
    if (!(machine->rates[r] > 0)) machine->rates[r] = info->share * unit;
  }
  return -1;
}

/* A text between double quotes; what YAML would take for something else is left out. */
static void add_quoted(zg_text *text, const char *key, const char *value) {
  zg_text_add(text, "%s: \"", key);
  for (; *value; value++)
    if ((unsigned char)*value >= ' ' && *value != '"' && *value != '\\')
      zg_text_add(text, "%c", *value);
  zg_text_add(text, "\"\n");
}

char *zg_machine_text(const zg_machine *machine) {
  zg_text text = {0};
  zg_text_add(&text,
              "# How fast a machine is, for the times that zoogram predicts; see "
              "zoogram help formats.\n");
  add_quoted(&text, "name", machine->name);
  if (machine->calibrated[0]) add_quoted(&text, "calibrated", machine->calibrated);
  if (machine->ranks_per_node > 0)
    zg_text_add(&text, "ranks_per_node: %.0f\n", machine->ranks_per_node);
  for (int r = 0; r < ZG_RATES; r++)
    zg_text_add(&text, "%s: %-*.3g # %s: %s\n", zg_rate_infos[r].key,
                (int)(24 - strlen(zg_rate_infos[r].key)), machine->rates[r],
                zg_rate_infos[r].unit, zg_rate_infos[r].help);
  return text.data;
}
