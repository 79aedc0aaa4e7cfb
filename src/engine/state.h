/** \file
 * What survives an interruption: sums of finished tiles.
 *
 * Sums over tiles are additive, so a checkpoint is a set of *segments*: files that each
 * hold a list of tiles and the sums over just these. The first rank of every team
 * writes one segment per pass, in a directory <output>.state, and replaces it as a
 * whole from time to time; no segment depends on another, so nothing has to be agreed
 * on when one is written, and a run on any number of ranks or teams can go on from
 * them. It sweeps the tiles that are in no segment and adds the segments in at the end
 * of the pass. A segment that is damaged, or has a tile that another one has, is left
 * out with a warning; one of another job or version is refused, with the way out.
 *
 * A shard (plan/shard.h) goes the same way up to there. Then the sums of all teams
 * become one segment, which stands for the pass from then on, and the segments of all
 * passes its part (engine/part.h). A merge begins with the segments of all parts and
 * finds every tile done. */
#ifndef ZG_ENGINE_STATE_H
#define ZG_ENGINE_STATE_H

#include "engine/part.h"
#include "engine/segment.h"
#include "engine/work.h"

typedef struct zg_state zg_state;

/** Look for what an interrupted run of the same job has left beside the output.
 * \param [in] digest   of job, inputs and plan; segments with another one are refused.
 * \param [in] restart  remove whatever is there instead.
 * \return ZG_ERR_CREATE when there is a state of another job or version, or it cannot
 * be read; the same on all ranks. Collective. Destroy with zg_state_close. */
zg_status zg_state_open(MPI_Comm comm, const char *output, const char *digest,
                        double interval, bool restart, zg_state **state);
/** The sums of the parts of all shards, given on rank 0, instead of a state that runs
 * have left; there is nothing to save in it.
 * \return ZG_ERR_DATA when they were made with another plan. Collective; the same
 * status on all ranks. */
zg_status zg_state_open_parts(MPI_Comm comm, const char *output, const char *digest,
                              zg_shard_part *const *parts, int64_t count,
                              zg_state **state);
/** Let this be the state of a shard, which leaves this part: passes end with
 * ZG_SHARE_DONE, and parameters are taken from a part that another shard has left
 * beside it, where there is one. Not collective.
 * \param [in] part  borrowed. */
void zg_state_share(zg_state *state, const zg_shard_part *part);
/** Leave the part of a shard whose passes are all done, with this state's sums.
 * Collective; the same status on all ranks. */
zg_status zg_state_leave(const zg_state *state);
/** \param [in] finished  the output is complete: remove the state; of a merge, what
 * there is of the same sums. Collective. */
void zg_state_close(zg_state **state, bool finished);

/** Whether a run has left something beside the output. Not collective. */
bool zg_state_exists(const char *output);
/** Remove what a run has left beside an output that is complete: it was killed between
 * finishing the file and clearing up. Not collective; for one rank. */
void zg_state_discard(const char *output);

/** Begin a pass of so many tiles.
 * \return ZG_OK. When segments exist, or another shard's part does, the parameters are
 * set to theirs and *resumed is true. ZG_SHARE_DONE in a shard that has done the pass
 * before; ZG_ERR_DATA when parts are damaged or do not complete one another.
 * Collective; the same status on all ranks.
 */
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
 * \return ZG_OK; ZG_SHARE_DONE in a shard: the sums are kept, and what is made of them
 * is not for this run. Collective over the run's communicator; the same status on all
 * ranks. */
zg_status zg_state_finish(zg_state *state, const zg_team *team, zg_sums *sums);
/** The same for a pass that turns out to have no tasks, and was not begun. */
zg_status zg_state_skip(const zg_state *state);

#endif
