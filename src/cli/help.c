#include "cli/cli.h"
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

/* The text of cli/formats.txt, made into bytes by CMake. */
static const unsigned char formats_page[] = {
#include "formats.inc"
};

static void print_synopsis(const zg_command *command) {
  printf("  zoogram %s %s", command->name, command->operands);
  for (const zg_flag *flag = command->flags; flag->name; flag++)
    printf(" [%s%s%s]", flag->name, flag->argument ? " " : "",
           flag->argument ? flag->argument : "");
  printf("\n");
}

void zg_print_usage(const zg_command *command) {
  zg_table table = {.align = "ll"};
  print_synopsis(command);
  printf("      ");
  zg_print_wrapped(command->summary, 6);
  for (const zg_flag *flag = command->flags; flag->name; flag++) {
    zg_table_add(&table, "%s %s", flag->name, flag->argument ? flag->argument : "");
    zg_table_add(&table, "%s", flag->help);
  }
  zg_table_print(&table, 8);
}

void zg_print_help(void) {
  printf(
      "zoogram compares the layers of neural networks with one another, all pairs at "
      "once.\n\n");
  for (const zg_command *const *command = zg_commands; *command; command++) {
    zg_print_usage(*command);
    printf("\n");
  }
  printf("  zoogram --version\n"
         "      version, build configuration, libraries, BLAS core\n\n"
         "zoogram help formats describes the zoo, the job file, the machine file, the "
         "results and the exit codes.\n"
         "A first run: mpirun -n 2 zoogram run jobs/digits.yaml\n");
}

static void print_formats(void) {
  fwrite(formats_page, 1, sizeof formats_page, stdout);
}

static zg_status execute(const zg_args *args) {
  const char *topic = args->operands[0];
  if (!topic) {
    zg_print_help();
  } else if (!strcmp(topic, "formats")) {
    print_formats();
  } else if (zg_command_find(topic)) {
    zg_print_usage(zg_command_find(topic));
  } else {
    static const char *const topics[] = {"formats",   "run",  "merge", "plan",
                                         "calibrate", "show", "list"};
    return zg_fail_unknown("topic", topic, topics, sizeof topics / sizeof *topics);
  }
  return ZG_OK;
}

static const zg_flag flags[] = {{NULL, NULL, NULL}};

const zg_command zg_command_help = {
    .name = "help",
    .operands = "[formats | COMMAND]",
    .summary = "print this, a command's options, or what zoo, job file and results are",
    .least_operands = 0,
    .most_operands = 1,
    .flags = flags,
    .execute = execute};
