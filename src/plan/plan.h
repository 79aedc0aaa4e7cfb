/** \file
 * The plan: how a job is carried out, decided before anything is read but headers.
 *
 * A plan is data. It follows from job, headers, number of ranks and memory, never from
 * a timing, and for one-rank teams the tile does not depend on the number of ranks:
 * otherwise the last bits would change from run to run. Not collective. */
#ifndef ZG_PLAN_PLAN_H
#define ZG_PLAN_PLAN_H

#include "linalg/blas.h"
#include "measures/gram.h"
#include "zoo/zoo.h"

#include <jansson.h>

/** One sweep over the Gram tiles; serves every call with this kernel and batch. */
typedef struct zg_pass {
  zg_kernel_kind kernel;
  double bandwidth;
  int64_t batch; /**< 0: all samples as one */
  zg_precision
      precision; /**< of tiles and their products: the plan's, or double where so few
                    pairs of samples enter that rounding would not average out */
  bool needs[ZG_CENTRINGS];
} zg_pass;

/** Memory of one rank by what it is for, in bytes. */
typedef struct zg_memory {
  int64_t program; /**< libraries, MPI, HDF5 */
  int64_t reading; /**< buffers for reading, column means */
  int64_t panels;  /**< centred features that are kept */
  int64_t tiles;   /**< the tile of every item's kernel matrix */
  int64_t sums;    /**< item by item sums, values on their way to the file */
  int64_t sides;   /**< row sums, histograms for medians */
  int64_t total;
} zg_memory;

/** What a plan is made for. */
typedef struct zg_request {
  const zg_zoo *zoo;    /**< borrowed */
  const zg_call *calls; /**< borrowed */
  int64_t call_count;
  zg_precision precision;
  int ranks;
  int64_t team_size; /**< ranks; 0 auto, -1 all */
  int64_t memory;    /**< bytes that one rank may use */
} zg_request;

typedef struct zg_plan {
  zg_precision precision;
  int ranks, teams, team_size, idle;
  int64_t items, samples;   /**< N, n */
  int64_t features, widest; /**< D = sum of all widths, and the largest width */
  int64_t panel_count;      /**< runs of samples; a tile is a pair of them */
  int64_t tile;             /**< samples of the largest panel: the tile's edge */
  int64_t largest_tile;     /**< with the batches of mini-batch passes */
  int64_t panels_kept;      /**< panels that stay in memory */
  zg_pass *passes;          /**< owned */
  int64_t pass_count;
  int64_t *pass_of_call; /**< [calls], owned */
  zg_memory memory;
  int64_t memory_limit;
  double flop;  /**< useful: n^2 (D + N^2/2) per pass, medians as one more formation */
  double bytes; /**< read at least: every number once, as stored */
} zg_plan;

/** Make a plan; destroy with zg_plan_destroy.
 * \return ZG_ERR_SYSTEM when no plan fits into the memory; the message says what would
 * help. ZG_ERR_DATA when the zoo has no layers. */
zg_status zg_plan_create(const zg_request *request, zg_plan **plan);
void zg_plan_destroy(zg_plan **plan);

/** Tiles of a pass. */
int64_t zg_plan_tiles(const zg_plan *plan, const zg_pass *pass);

/** Slices that one sweep for medians tells apart. */
enum { ZG_MEDIAN_SLICES = 4096 };
/** Distances per item that are collected to select a median of n samples from: a few
 * slices' worth. */
int64_t zg_plan_median_values(int64_t samples);

/** Several lines for a person. The caller frees. */
char *zg_plan_text(const zg_plan *plan);
/** One line, "route=gram teams=2x1 ...": for the results file. The caller frees. */
char *zg_plan_line(const zg_plan *plan);
/** For machines; the caller releases. */
json_t *zg_plan_json(const zg_plan *plan);

#endif
