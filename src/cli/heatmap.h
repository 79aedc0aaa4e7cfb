/** \file
 * A tensor drawn in the terminal. */
#ifndef ZG_CLI_HEATMAP_H
#define ZG_CLI_HEATMAP_H

#include "cli/output.h"
#include "results/read.h"

/** Draw a tensor with one label per model at its side, and a legend below.
 *
 * In colour two entries share a character as half blocks; without colour an entry is
 * two characters of " ░▒▓█". Models are set apart by a gap where there is room. A
 * tensor larger than the terminal is averaged over blocks, which do not cross models
 * while each model gets a block; entries that are not finite count for nothing there,
 * and a block of such entries alone is marked as undefined.
 * \param [in] columns  width of the terminal. */
void zg_heatmap_print(const zg_tensor *tensor, zg_colours colours, int columns);

#endif
