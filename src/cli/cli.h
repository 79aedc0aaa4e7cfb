/** \file
 * The command line: one function per subcommand, tables of options, the texts of help.
 */
#ifndef ZG_CLI_CLI_H
#define ZG_CLI_CLI_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/** An option of a subcommand. */
typedef struct zg_flag {
  const char *name;     /**< "--ranks" */
  const char *argument; /**< "P" in the help, NULL for a switch */
  const char *help;
} zg_flag;

enum { ZG_MAX_FLAGS = 8 };

/** A parsed command line. */
typedef struct zg_args {
  /** Argument of each flag, "" for a switch that is set, NULL when absent; in the order
   * of the command's flags. */
  const char *values[ZG_MAX_FLAGS];
  char **operands; /**< [operand_count], and NULL behind them; borrowed */
  int operand_count;
} zg_args;

typedef struct zg_command {
  const char *name;
  const char *operands; /**< "JOB.yaml" in the help */
  const char *summary;
  int least_operands, most_operands; /**< INT_MAX: any number */
  const zg_flag *flags;              /**< ends with an entry whose name is NULL */
  /** Executed by many ranks: it prints its error itself, once, by zg_print_error. */
  bool parallel;
  zg_status (*execute)(const zg_args *args);
} zg_command;

/** Value of a flag of this name, NULL when absent. */
const char *zg_args_get(const zg_command *command, const zg_args *args,
                        const char *flag);
/** Parse what stands behind the command's name.
 * \param [in,out] argv  with NULL at its end; operands move to its beginning.
 * \return ZG_ERR_USAGE, naming what is wrong; "did you mean" included. */
zg_status zg_args_parse(const zg_command *command, int argc, char **argv,
                        zg_args *args);

/** Execute `zoogram argv[1] ...`. \return the status to leave with; its message is
 * printed already. */
zg_status zg_cli(int argc, char **argv);

/** Print `zoogram: error: ` and zg_message() on standard error. */
void zg_print_error(void);

/** Write what standard output still holds. What a full disk or a closed pipe has
 * swallowed is an error, too: \return ZG_ERR_WRITE. */
zg_status zg_close_output(void);

/** All commands, in the order of the help; ends with NULL. */
extern const zg_command *const zg_commands[];
/** By name. \return NULL when there is none. */
const zg_command *zg_command_find(const char *name);
/** Record "unknown NOUN 'WORD'", with the nearest known word or all of them.
 * \return ZG_ERR_USAGE. */
zg_status zg_fail_unknown(const char *noun, const char *word, const char *const *known,
                          int64_t count);

/** `zoogram --help`: what the program is for and how to call it. */
void zg_print_help(void);
/** `zoogram COMMAND --help`. */
void zg_print_usage(const zg_command *command);

extern const zg_command zg_command_run, zg_command_merge, zg_command_plan,
    zg_command_calibrate, zg_command_show, zg_command_list, zg_command_help;

/** `zoogram --version`: version, build configuration, libraries, BLAS core. */
void zg_print_version(void);

/** "Open MPI 4.1.4, HDF5 1.10.8, ...": as in the log and in the results. The caller
 * frees. */
char *zg_library_versions(void);

#endif
