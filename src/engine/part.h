/** \file
 * A part: what a shard of a job leaves, `<output>.shard-K-of-N`.
 *
 * One file: which job, shard and plan it is of, and for every pass the sums over the
 * shard's tasks, as a segment of engine/state.h. It is made anew under another name and
 * renamed when it is complete and on disk, so that a part is never unfinished. What is
 * said of the job makes the merge independent of the job file. Local to one process. */
#ifndef ZG_ENGINE_PART_H
#define ZG_ENGINE_PART_H

#include "base/hash.h"
#include "base/status.h"
#include "plan/shard.h"

/** The sums of a pass within a part. */
typedef struct zg_part_segment {
  int64_t pass;
  int64_t offset; /**< in the file */
} zg_part_segment;

typedef struct zg_shard_part {
  char *path; /**< owned, as all texts */
  zg_shard shard;
  char digest[ZG_DIGEST_BYTES]; /**< of job and inputs */
  char state[ZG_DIGEST_BYTES];  /**< of these and the tasks: sums that can be added */
  char *version;                /**< of the program */
  char *job_path, *job_text;    /**< absolute */
  char *plan;                   /**< for a person */
  zg_part_segment *segments;    /**< by pass, ascending; owned */
  int64_t segment_count;
} zg_shard_part;

/** Its name; the caller frees. */
char *zg_part_path(const char *output, const zg_shard *shard);
/** The name of another shard's part of the same output, which the caller frees; NULL
 * when this one has been given another name. */
char *zg_part_beside(const zg_shard_part *part, int64_t number);
/** Whether a file begins like a part, of any version. */
bool zg_part_is(const char *path);

/** Write a part.
 * \param [in] part   all but its segments' offsets; its texts must not be NULL.
 * \param [in] files  [segment_count] each with the segment of a pass.
 * \return ZG_ERR_CREATE or ZG_ERR_WRITE; then there is no such file. */
zg_status zg_part_write(const zg_shard_part *part, char *const *files);

/** Read all but the sums.
 * \return ZG_ERR_INPUT when there is none (the message tells an unfinished one),
 * ZG_ERR_DATA when it is something else, damaged or of another version.
 * \param [out] part  created; destroy with zg_part_destroy. */
zg_status zg_part_read(const char *path, zg_shard_part **part);
void zg_part_destroy(zg_shard_part **part);

/** Check that a part's sums can be added to others'.
 * \param [in] state  of the others, who are called `other` in the message.
 * \return ZG_ERR_DATA when they were made with another plan. */
zg_status zg_part_check_state(const zg_shard_part *part, const char *state,
                              const char *other);

/** Check that parts are those of all shards of one job, each once.
 * \param [in] version  of the program that all have to be made by.
 * \return ZG_ERR_DATA or ZG_ERR_INPUT, naming the first that is not right or what is
 * missing. */
zg_status zg_parts_check(zg_shard_part *const *parts, int64_t count,
                         const char *version);

#endif
