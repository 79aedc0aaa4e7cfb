/** \file
 * The job file: what a user asks for. Parsing is local and gives the same answer for
 * the same text, so every rank parses the text that rank 0 has read. Not collective. */
#ifndef ZG_JOB_JOB_H
#define ZG_JOB_JOB_H

#include "base/hash.h"
#include "measures/measure.h"
#include "zoo/zoo.h"

enum { ZG_TEAM_AUTO = 0, ZG_TEAM_ALL = -1 };

typedef struct zg_job {
  char *path;      /**< as given on the command line; owned */
  char *directory; /**< where relative paths start; owned */
  char *text;      /**< the file's text; owned */
  zg_list zoo;     /**< paths or globs as written */
  char *output;    /**< path of the results file, joined to the directory; owned */
  zg_select select;
  bool double_precision;
  bool float32_storage;
  int64_t team_size;       /**< ranks, ZG_TEAM_AUTO or ZG_TEAM_ALL */
  int64_t memory_per_rank; /**< bytes; 0: auto */
  double checkpoint;       /**< seconds */
  bool full_digest;
  zg_call *calls;
  int64_t call_count;
} zg_job;

/** Read the text of a job file (at most 1 MiB). The caller frees.
 * \return ZG_ERR_INPUT when it cannot be read, ZG_ERR_JOB when it is too large. */
zg_status zg_job_read(const char *path, char **text);

/** Parse and check a job. Every error is ZG_ERR_JOB and names file, line and what was
 * expected: "jobs/a.yaml:7: unknown option 'bandwith' of measure cka: did you mean
 * 'bandwidth'?".
 * \param [out] job  created; destroy with zg_job_destroy. */
zg_status zg_job_parse(const char *path, const char *text, zg_job **job);
void zg_job_destroy(zg_job **job);

/** Digest of everything that decides the numbers and the form of the results:
 * selection, precision, storage, measures with options and names; not the paths,
 * resources or comments. Two jobs of equal digest and equal inputs are the same job. */
void zg_job_digest(const zg_job *job, char digest[ZG_DIGEST_BYTES]);

#endif
