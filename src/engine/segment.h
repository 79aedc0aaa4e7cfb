/** \file
 * A segment: the sums over some tasks of a pass, and which tasks these are. A file of
 * its own in a state (engine/state.h), or a piece of a part (engine/part.h).
 *
 * It gets its name when it is whole and durable, and ends with a checksum, so that one
 * that is damaged all the same is told from a sound one. */
#ifndef ZG_ENGINE_SEGMENT_H
#define ZG_ENGINE_SEGMENT_H

#include "base/hash.h"
#include "grid/pairs.h"

enum { ZG_STATE_PAIRS = 4, ZG_STATE_VECTORS = 4 };

/** The sums of a pass on this rank. Those of a team's ranks belong together. */
typedef struct zg_sums {
  zg_pairs *pairs[ZG_STATE_PAIRS];   /**< matrices, cut over the team; NULL ends the
                                        list if it is not full */
  double *vectors[ZG_STATE_VECTORS]; /**< sums over tiles ... */
  int64_t lengths[ZG_STATE_VECTORS]; /**< ... and how many numbers; 0 ends the list,
                                        if it is not full */
  bool shared[ZG_STATE_VECTORS]; /**< the ranks of a team hold parts that add up; else
                                    they all hold the same */
  double *parameters; /**< numbers that the sums depend on, the same on all ranks */
  int64_t parameter_count;
} zg_sums;

/** The sums of every team become those of all teams. Collective over the ranks that
 * work in a team. */
void zg_sums_share(const zg_team *team, zg_sums *sums);

/** What a segment holds beside its sums. */
typedef struct zg_content {
  int64_t pass, task_count;
  uint8_t *tasks;     /**< [task_count] which of the pass's tasks; owned */
  double *parameters; /**< those of the sums; owned */
} zg_content;

/** With nothing in it; clear with zg_content_clear. */
zg_content zg_content_create(int64_t pass, int64_t task_count, const zg_sums *sums);
void zg_content_clear(zg_content *content);

/** Where a segment lies. */
typedef struct zg_segment {
  char *path; /**< owned by whoever has the list */
  int64_t pass;
  int64_t offset; /**< in the file: 0 for one of its own */
  int64_t used;   /**< the pass goes on with it */
} zg_segment;

typedef enum zg_segment_kind {
  ZG_SEGMENT_SOUND, /**< as far as its header tells */
  ZG_SEGMENT_DAMAGED,
  ZG_SEGMENT_OTHER_JOB,    /**< or other inputs, or another plan */
  ZG_SEGMENT_OTHER_VERSION /**< of the program */
} zg_segment_kind;

/** Look at the header of a file.
 * \param [in] digest  of job, inputs and plan.
 * \return ZG_ERR_CREATE when it cannot be opened. Not collective. */
zg_status zg_segment_inspect(const char *path, const char *digest,
                             zg_segment_kind *kind);

/** Write a team's tasks and sums, replacing what the path names; its directory is made
 * where there is none.
 * \param [in] tasks  [content.task_count] those of the team.
 * \return ZG_ERR_WRITE. Collective over the team; of its ranks only the first knows
 * whether it went well. */
zg_status zg_segment_write(const char *path, const char *digest, const zg_team *team,
                           int64_t pass, int64_t task_count, const uint8_t *tasks,
                           const zg_sums *sums);

/** Read a segment. Sums are added before it is known whether they are right: read
 * without a team first, which adds nothing.
 * \param [in]     team     whose ranks hold the sums; NULL: leave them alone.
 * \param [in,out] content  of the pass and tasks that are expected.
 * \return whether it is whole, of that pass, and has sums of these shapes. Not
 * collective. */
bool zg_segment_read(const zg_segment *from, const zg_team *team, zg_sums *sums,
                     zg_content *content);

#endif
