/** \file
 * The plan: how a job is carried out, decided before anything is read but headers.
 *
 * A plan is data. It follows from job, headers, number of ranks and memory, never from
 * a timing, and for one-rank teams the tile does not depend on the number of ranks:
 * otherwise the last bits would change from run to run. Not collective. */
#ifndef ZG_PLAN_PLAN_H
#define ZG_PLAN_PLAN_H

#include "linalg/blas.h"
#include "measures/measure.h"
#include "measures/pair.h"
#include "measures/spec.h"
#include "zoo/zoo.h"

#include <jansson.h>

/** Items of a pass that can be compared with one another, and how their data are cut
 * into pieces: slices of vectors, or runs of samples whose pairs are the tiles. */
typedef struct zg_group {
  int64_t *members; /**< [count] positions on the pass's axis, ascending; owned */
  int64_t count;
  int64_t family;     /**< items of groups of one family fit together; the number of a
                         group of it, mostly the only one */
  int64_t grid[2];    /**< gridded: the cells that pairs have in common */
  int64_t first_item; /**< gridded: one that has them */
  int64_t length;     /**< numbers of a vector; samples */
  int64_t width; /**< vector, by rows: numbers of a row; tangent: rows per sample */
  int64_t piece; /**< numbers or samples of the largest piece */
  int64_t pieces;
  int64_t first_task, tasks; /**< of the pass: slices, or tiles */
} zg_group;

/** One sweep of the engine; serves every call whose specification shares it. */
typedef struct zg_pass {
  zg_spec spec;
  const zg_call *call;      /**< the first that it serves; borrowed */
  zg_precision precision;   /**< of tiles or slices and their products: the plan's, or
                               double where so few terms enter that rounding would not
                               average out */
  bool needs[ZG_CENTRINGS]; /**< gram */
  bool by_features;         /**< gram: from products of features instead of samples */
  bool once;                /**< by features: centres come from a sample of the rows, so
                               that nothing has to be read twice */
  int64_t piece;            /**< gram, by features: samples of the largest task; pair:
                               items of a run, two of which make a block */
  int64_t items;            /**< length of the axis */
  zg_group *groups;         /**< tangent, vector: owned */
  int64_t group_count;
  int64_t tasks;       /**< tiles, slices, arrays, models or blocks of pairs */
  int64_t pieces_kept; /**< tangent: pieces of one model that stay in memory */
  int64_t bytes_kept;  /**< pair: of prepared items that stay in memory */
  double flop;         /**< useful, of the plan's; 0 for gram, where passes differ */
  double bytes;        /**< of what it reads, every number once, as stored */
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
  bool packed;       /**< packed panels are fast on all ranks' CPUs */
  int local_ranks;   /**< ranks on a node, which share what they can; 0: one */
} zg_request;

typedef struct zg_plan {
  zg_precision precision;
  int ranks, teams, team_size, idle;
  /* The gram form; all zero when no measure has it. */
  int64_t items, samples;   /**< N, n */
  int64_t features, widest; /**< D = sum of all widths, and the largest width */
  int64_t wide_features;    /**< of layers whose numbers are double in the file */
  int64_t number_bytes;     /**< that reading takes for a number of the layers */
  bool packed;              /**< tiles of single precision are made of packed panels
                                 (linalg/micro.h) */
  int64_t panel_count;      /**< runs of samples; a tile is a pair of them */
  int64_t tile;             /**< samples of the largest panel: the tile's edge */
  int64_t largest_tile;     /**< with the batches of mini-batch passes */
  int64_t panels_kept;      /**< panels that stay in memory */
  int64_t panel_room;       /**< bytes for them */
  int64_t band_numbers;     /**< of the item by item matrix that are made at a time */
  bool resident;            /**< all of them, one copy per node (engine/store.h) */
  int local_ranks;          /**< that share it */
  /* All forms. */
  zg_pass *passes; /**< owned */
  int64_t pass_count;
  int64_t *pass_of_call; /**< [calls], owned */
  int64_t call_count;
  int64_t arrays, files; /**< of the zoo's catalogue */
  int64_t chunk_bytes;   /**< that HDF5 keeps of arrays stored in chunks */
  zg_memory memory;
  int64_t memory_limit;
  double flop;  /**< useful: per gram pass n^2 (D + N^2/2), medians as one more
                   formation unless that is kept, or n D^2 by features; per vector pass
                   N^2 p, of divergences  twice that; per tangent pass its products */
  double words; /**< numbers that a rank reads and sends: for statistics n D / P; per
                   gram pass n D / sqrt(teams), once more for medians, shared in a team
                   (by features or in batches n D / P), and N^2/2 of sums; 0 where there
                   are other forms as well */
  double bytes; /**< read at least: every number once, as stored */
} zg_plan;

/** Make a plan; destroy with zg_plan_destroy.
 * \return ZG_ERR_SYSTEM when no plan fits into the memory; the message says what would
 * help. ZG_ERR_DATA when the zoo has no layers. */
zg_status zg_plan_create(const zg_request *request, zg_plan **plan);
void zg_plan_destroy(zg_plan **plan);

/** Panel k: samples [*first, *first + *rows). */
void zg_plan_panel(const zg_plan *plan, int64_t k, int64_t *first, int64_t *rows);
/** Whether a gram pass works on packed panels, for items of single precision. */
static inline bool zg_plan_packs(const zg_plan *plan, const zg_pass *pass) {
  return plan->packed && pass->precision == ZG_SINGLE && !pass->spec.gram.batch;
}
/** Where the item by item matrix is too large for a rank, gram passes are made band by
 * band: band k holds the items [*begin, *end) with all items up to them. Every band
 * forms tiles anew, and reads panels anew where they do not stay: how many bands there
 * are, and so how much memory is left for panels, is what costs least together. */
void zg_plan_band(const zg_plan *plan, int64_t k, int64_t *begin, int64_t *end);
/** How many bands there are; at least 1. */
int64_t zg_plan_bands(const zg_plan *plan);
/** How often tiles are formed, and panels loaded, of all items taken together: bands
 * have less than all of them. */
double zg_plan_formations(const zg_plan *plan);
/** Tiles of a gram pass; as many for every band. */
int64_t zg_plan_tiles(const zg_plan *plan, const zg_pass *pass);

/** The arrays [*first, *first + *count) of the zoo that an item of a vector pass is
 * made of, in the zoo's order. Not collective. */
void zg_plan_arrays(const zg_zoo *zoo, const zg_vector_form *form, int64_t item,
                    int64_t *first, int64_t *count);
/** The array that an item is made of where items are heads. \return its head. */
int64_t zg_plan_head(const zg_zoo *zoo, const zg_vector_form *form, int64_t item,
                     int64_t *array);
/** The same arrays sorted by name, so that models agree on an order; the caller frees.
 */
int64_t *zg_plan_sorted_arrays(const zg_zoo *zoo, int64_t first, int64_t count);
/** The precision in which slices are held before they are scaled: single where that
 * loses nothing. */
zg_precision zg_plan_stored(const zg_zoo *zoo, const zg_vector_form *form);
/** The grid on which two items of a gridded pass meet. */
void zg_plan_common_grid(const zg_zoo *zoo, const zg_spec *spec, int64_t i, int64_t k,
                         int64_t grid[2]);
/** Tasks of a profile pass that are pairs of items: the last so many. */
int64_t zg_plan_profile_pairs(const zg_pass *pass);
/** Members of the largest group of a pass. */
int64_t zg_plan_most_members(const zg_pass *pass);
/** The group that a task belongs to. */
const zg_group *zg_plan_group_of(const zg_pass *pass, int64_t task);
/** Whether a model's tangent kernel comes from factors: true, false (its Jacobian), and
 * in *exists whether it has what the specification asks for. */
bool zg_plan_has_factors(const zg_zoo *zoo, const zg_tangent_spec *spec, int64_t model,
                         bool *exists);
/** Independent estimates that a sketched kernel is made of. */
enum { ZG_SKETCHES = 8 };
/** The layers of a model's tangent kernel. */
typedef struct zg_tangent_layer {
  int64_t input, index, signal, direct; /**< arrays of the zoo, -1 where absent; direct
                                           may be a whole Jacobian */
  int64_t positions;                    /**< S, 1 where there is no such axis */
  int64_t in, out, classes; /**< direct: in = 0, out = number of parameters */
  bool bias;
} zg_tangent_layer;
/** \return how many; the caller frees *layers. */
int64_t zg_plan_tangent_layers(const zg_zoo *zoo, const zg_tangent_spec *spec,
                               int64_t model, zg_tangent_layer **layers);
/** Whether the derivatives of a layer are multiplied out sample by sample instead of
 * position by position (metrics: the cheaper order), for pieces of so many samples. */
bool zg_plan_expands(const zg_tangent_layer *layer, bool full, int64_t samples);
/** Numbers per sample that a piece holds of a layer; 0 when it is streamed instead. */
int64_t zg_plan_layer_numbers(const zg_tangent_layer *layer, int64_t samples);
/** Numbers that the derivatives of one slab of a layer may take while they are
 * multiplied out or streamed. */
enum { ZG_EXPANDED = 1 << 21 };

/** Whether numbers of layers are read once, but for a sample. */
bool zg_plan_reads_once(const zg_plan *plan);
/** Samples that an item's centre is estimated from where everything is read once; there
 * are many more. */
enum { ZG_PLAN_SAMPLED = 2048 };
/** Samples [*first, *first + *rows) of task k of a pass by features. */
void zg_plan_rows(const zg_plan *plan, const zg_pass *pass, int64_t k, int64_t *first,
                  int64_t *rows);

/** A block of pairs: all of one run of items with another, or of a run with itself. */
typedef struct zg_pair_block {
  int64_t row, column; /**< runs, column <= row */
} zg_pair_block;
/** The blocks of a pair pass, [tasks], in an order in which neighbours share items: any
 * run of T of them needs about as few items as a square of T blocks. The caller frees.
 */
zg_pair_block *zg_plan_pair_blocks(const zg_pass *pass);
/** Samples that an item of a pair pass has to have, or status 4. */
enum { ZG_PAIR_SAMPLES = 4 };
/** The arrays of the zoo that an item of a pair pass is made of, and their shapes.
 * \return false when one is missing: -1. */
bool zg_plan_pair_item(const zg_zoo *zoo, const zg_pair_form *form, int64_t item,
                       int64_t arrays[ZG_PAIR_ARRAYS], zg_shape shapes[ZG_PAIR_ARRAYS]);
/** Whether items of these shapes can be compared. */
bool zg_plan_pair_fits(const zg_pair_form *form, const zg_shape *a, const zg_shape *b);

/** Slices that one sweep for medians tells apart. */
enum { ZG_MEDIAN_SLICES = 4096 };
/** Of the distances in the sample that every search for a median begins with. */
enum { ZG_PLAN_QUANTILES = 256 };
/** Whether a gram pass sweeps over the tiles for medians first. */
static inline bool zg_plan_searches(const zg_pass *pass) {
  const zg_gram_spec *gram = &pass->spec.gram;
  return gram->kernel == ZG_KERNEL_RBF && !gram->batch && !gram->sampled;
}
/** Up to so many samples medians need no search: the sample it starts from is all. */
enum { ZG_PLAN_MEDIAN_ALL = 1024 };
/** Whether a gram pass uses what its search for medians has formed: a team's only tile.
 */
static inline bool zg_plan_keeps_tile(const zg_plan *plan, const zg_pass *pass) {
  return zg_plan_searches(pass) && plan->samples > ZG_PLAN_MEDIAN_ALL &&
         plan->team_size > 1 && plan->panel_count == 1;
}
/** Numbers of every vector of a slice that are worked on at a time, in the cache. */
enum { ZG_PLAN_RUN = 1024 };
/** Features of an item that are made double at a time, where they are kept as they are
 * in the file. */
enum { ZG_PLAN_WIDENED = 512 };
/** Numbers of a tensor that a rank finishes and writes at a time. */
enum { ZG_PLAN_WRITTEN = 1 << 21 };
/** Samples that a sampled median is made of at most. */
enum { ZG_PLAN_MEDIAN_ROWS = 2048 };
/** And of the distances from so many of them to the others at a time. */
enum { ZG_PLAN_MEDIAN_COLUMNS = 64 };
/** Distances of a tile with such edges that are looked at together: so many that it
 * does not matter what is done once for each run, and else so few that they stay in the
 * cache. */
int64_t zg_plan_median_run(int64_t edge);
/** Distances that are kept of every item to select a median of n samples from. */
int64_t zg_plan_median_values(int64_t items, int64_t samples);

/** Several lines for a person. The caller frees. */
char *zg_plan_text(const zg_plan *plan);
/** One line, "route=gram teams=2x1 ...": for the results file. The caller frees. */
char *zg_plan_line(const zg_plan *plan);
/** For machines; the caller releases. */
json_t *zg_plan_json(const zg_plan *plan);

#endif
