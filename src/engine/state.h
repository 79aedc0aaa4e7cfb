/** \file
 * What survives an interruption: sums of finished tiles.
 *
 * Sums over tiles are additive, so a checkpoint is a set of *segments*: files that each
 * hold a list of tiles and the sums over just these. The first rank of every team
 * writes one segment per pass, in a directory <output>.state, and replaces it as a
 * whole from time to time; no segment depends on another, so nothing has to be agreed
 * on when one is written, and a run on any number of ranks or teams can go on from
 * them. It sweeps the tiles that are in no segment and adds the segments in at the end
 * of the pass. */
#ifndef ZG_ENGINE_STATE_H
#define ZG_ENGINE_STATE_H

#include "engine/work.h"
#include "grid/pairs.h"

enum { ZG_STATE_PAIRS = 4, ZG_STATE_VECTORS = 4 };

/** The sums of a pass on this rank. Those of a team's ranks belong together. */
typedef struct zg_sums {
  zg_pairs *
      pairs[ZG_STATE_PAIRS]; /**< NULL-terminated list of matrices, cut over the team */
  double *vectors[ZG_STATE_VECTORS]; /**< sums over tiles ... */
  int64_t lengths[ZG_STATE_VECTORS]; /**< ... and how many numbers; 0 ends the list */
  bool shared[ZG_STATE_VECTORS]; /**< the ranks of a team hold parts that add up; else
                                    they all hold the same */
  double *parameters; /**< numbers that the sums depend on, the same on all ranks */
  int64_t parameter_count;
} zg_sums;

typedef struct zg_state zg_state;

/** Look for what an interrupted run of the same job has left beside the output.
 * \param [in] digest   of job, inputs and plan; segments with another one are refused.
 * \param [in] discard  remove whatever is there instead.
 * \return ZG_ERR_CREATE when there is a state of another job, or it cannot be read; the
 * same on all ranks. Collective. Destroy with zg_state_close. */
zg_status zg_state_open(MPI_Comm comm, const char *output, const char *digest,
                        double interval, bool discard, zg_state **state);
/** \param [in] finished  the output is complete: remove the state. Collective. */
void zg_state_close(zg_state **state, bool finished);

/** Whether a run has left something beside the output. Not collective. */
bool zg_state_exists(const char *output);
/** Remove what a run has left beside an output that is complete: it was killed between
 * finishing the file and clearing up. Not collective; for one rank. */
void zg_state_discard(const char *output);

/** Begin a pass of so many tiles.
 * \return ZG_OK. When segments exist, the parameters are set to theirs and *resumed is
 * true. Collective; the same status on all ranks. */
zg_status zg_state_begin(zg_state *state, int64_t pass, int64_t tiles, zg_sums *sums,
                         bool *resumed);
/** Whether a tile is in a segment. Not collective. */
bool zg_state_has(const zg_state *state, int64_t tile);
/** Tiles in segments. */
int64_t zg_state_count(const zg_state *state);

/** Say that a tile has been added to the sums. Not collective. */
void zg_state_add_tile(zg_state *state, int64_t tile);
/** Whether it is time for a checkpoint: there is something to save, the interval has
 * passed, and writing the last one took less than a fiftieth of it. Not collective. */
bool zg_state_is_due(const zg_state *state);
/** Whether a tenth of the interval has passed: then a finished pass is worth keeping.
 * Not collective. */
bool zg_state_is_worth(const zg_state *state);
/** Write this team's segment. Collective over the team; the same status on its ranks.
 */
zg_status zg_state_save(zg_state *state, const zg_team *team, const zg_sums *sums);

/** End a pass: add all segments of earlier runs to the sums, each on one team.
 * Collective over the run's communicator; the same status on all ranks. */
zg_status zg_state_finish(zg_state *state, const zg_team *team, zg_sums *sums);

#endif
