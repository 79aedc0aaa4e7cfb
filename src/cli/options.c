#include "base/text.h"
#include "cli/cli.h"
#include "cli/environment.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const zg_command *const zg_commands[] = {
    &zg_command_run,  &zg_command_merge, &zg_command_plan, &zg_command_calibrate,
    &zg_command_show, &zg_command_list,  &zg_command_help, NULL};
enum { COMMANDS = sizeof zg_commands / sizeof *zg_commands - 1 };

const zg_command *zg_command_find(const char *name) {
  for (int k = 0; k < COMMANDS; k++)
    if (!strcmp(zg_commands[k]->name, name)) return zg_commands[k];
  return NULL;
}

zg_status zg_fail_unknown(const char *noun, const char *word, const char *const *known,
                          int64_t count) {
  const char *nearest = zg_nearest(word, known, count);
  if (nearest)
    return zg_fail(ZG_ERR_USAGE, "unknown %s '%s': did you mean '%s'?", noun, word,
                   nearest);
  zg_text text = {0};
  zg_text_add(&text, "unknown %s '%s': expected ", noun, word);
  for (int64_t k = 0; k < count; k++)
    zg_text_add(&text, "%s%s", k ? ", " : "", known[k]);
  zg_fail(ZG_ERR_USAGE, "%s", text.data);
  zg_text_clear(&text);
  return ZG_ERR_USAGE;
}

static int flag_count(const zg_command *command) {
  int count = 0;
  while (command->flags[count].name)
    count++;
  return count;
}

/* Position of the flag that `word` names, with or without "=value"; -1 when unknown. */
static int find_flag(const zg_command *command, const char *word) {
  size_t length = strcspn(word, "=");
  for (int k = 0; k < flag_count(command); k++)
    if (strlen(command->flags[k].name) == length &&
        !strncmp(command->flags[k].name, word, length))
      return k;
  return -1;
}

static zg_status unknown_flag(const zg_command *command, const char *word) {
  const char *names[ZG_MAX_FLAGS + 1] = {"--help"};
  int count = flag_count(command);
  for (int k = 0; k < count; k++)
    names[k + 1] = command->flags[k].name;
  return zg_fail_unknown("option", word, names, count + 1);
}

/* Read the flag at argv[*at], and step to its last word. */
static zg_status read_flag(const zg_command *command, int argc, char **argv, int *at,
                           zg_args *args) {
  const char *word = argv[*at];
  const char *equals = strchr(word, '=');
  int k = find_flag(command, word);
  if (k < 0) return unknown_flag(command, word);
  const zg_flag *flag = &command->flags[k];
  if (args->values[k])
    return zg_fail(ZG_ERR_USAGE, "option '%s' is given twice", flag->name);
  if (!flag->argument && equals)
    return zg_fail(ZG_ERR_USAGE, "option '%s' takes no value", flag->name);
  if (!flag->argument)
    args->values[k] = "";
  else if (equals)
    args->values[k] = equals + 1;
  else if (*at + 1 < argc)
    args->values[k] = argv[++*at];
  else
    return zg_fail(ZG_ERR_USAGE, "option '%s' needs a value: %s %s", flag->name,
                   flag->name, flag->argument);
  return ZG_OK;
}

zg_status zg_args_parse(const zg_command *command, int argc, char **argv,
                        zg_args *args) {
  bool only_operands = false;
  *args = (zg_args){.operands = argv};
  for (int at = 0; at < argc; at++) {
    bool is_flag = !only_operands && argv[at][0] == '-' && argv[at][1];
    if (is_flag && !strcmp(argv[at], "--")) {
      only_operands = true;
    } else if (is_flag) {
      ZG_TRY(read_flag(command, argc, argv, &at, args));
    } else {
      if (args->operand_count == command->most_operands)
        return zg_fail(ZG_ERR_USAGE, "zoogram %s: '%s' is too much: expected %s",
                       command->name, argv[at], command->operands);
      args->operands[args->operand_count++] = argv[at];
    }
  }
  args->operands[args->operand_count] = NULL;
  if (args->operand_count < command->least_operands)
    return zg_fail(ZG_ERR_USAGE, "zoogram %s: expected %s (see zoogram help %s)",
                   command->name, command->operands, command->name);
  return ZG_OK;
}

const char *zg_args_get(const zg_command *command, const zg_args *args,
                        const char *flag) {
  int k = find_flag(command, flag);
  ZG_REQUIRE(k >= 0);
  return args->values[k];
}

void zg_print_error(void) {
  fflush(stdout);
  fprintf(stderr, "zoogram: error: %s\n", zg_message());
}

static bool has_word(int argc, char **argv, const char *word) {
  for (int k = 0; k < argc && strcmp(argv[k], "--"); k++)
    if (!strcmp(argv[k], word)) return true;
  return false;
}

static zg_status find_command(const char *word, const zg_command **command) {
  const char *names[COMMANDS];
  for (int k = 0; k < COMMANDS; k++)
    names[k] = zg_commands[k]->name;
  *command = zg_command_find(word);
  return *command ? ZG_OK : zg_fail_unknown("command", word, names, COMMANDS);
}

/* Parse what stands behind the program's name. On success *command is what to execute,
 * or NULL when help or version was asked for and has been printed. */
static zg_status parse(int argc, char **argv, const zg_command **command,
                       zg_args *args) {
  if (!argc)
    return zg_fail(ZG_ERR_USAGE,
                   "expected a command: run, merge, plan, calibrate, show, list or "
                   "help (see zoogram help)");
  bool help = has_word(argc, argv, "--help") || has_word(argc, argv, "-h");
  if (has_word(argc, argv, "--version")) {
    zg_print_version();
  } else if (argv[0][0] == '-' && help) {
    zg_print_help();
  } else {
    ZG_TRY(find_command(argv[0], command));
    if (!help) return zg_args_parse(*command, argc - 1, argv + 1, args);
    zg_print_usage(*command);
    *command = NULL;
  }
  return ZG_OK;
}

zg_status zg_close_output(void) {
  if (!fflush(stdout) && !ferror(stdout)) return ZG_OK;
  return zg_fail(ZG_ERR_WRITE, "standard output: %s", strerror(errno));
}

zg_status zg_cli(int argc, char **argv) {
  setlocale(LC_CTYPE, "C.UTF-8"); /* names are UTF-8, whatever the terminal says */
  const zg_command *command = NULL;
  zg_args args;
  zg_status status = parse(argc - 1, argv + 1, &command, &args);
  if (status == ZG_OK && command) {
    status = command->execute(&args);
    if (command->parallel) return status;
  }
  if (status == ZG_OK) status = zg_close_output();
  if (status != ZG_OK && status != ZG_PARTIAL && zg_is_first_process())
    zg_print_error();
  return status;
}
