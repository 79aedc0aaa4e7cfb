/** \file
 * The three kinds of files that `zoogram show` shows. Not collective. */
#ifndef ZG_CLI_SHOW_H
#define ZG_CLI_SHOW_H

#include "cli/output.h"

/** Show the catalogue of a zoo.
 * \param [in] pattern  models to show with their layers, or NULL for all models. */
zg_status zg_show_zoo(const char *path, const char *pattern, bool json);

/** Show a results file.
 * \param [in] name  a tensor to show as a table and a heat map, or NULL for a list of
 * all. */
zg_status zg_show_results(const char *path, const char *name, bool json,
                          zg_colours colours);

/** Show what the part of a shard is: of which job, shard and plan, for which tensors,
 * and whether the other parts lie beside it.
 * \return ZG_ERR_DATA when it is damaged or of another version. */
zg_status zg_show_part(const char *path, bool json);

#endif
