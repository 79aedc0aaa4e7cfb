#include "base/memory.h"
#include "base/sandbox.h"
#include "cli/environment.h"
#include "cli/session.h"
#include "cli/version.h"
#include "engine/part.h"
#include "engine/state.h"
#include "results/read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double owner_patience = 60; /* seconds */

/* In a child: what look_at_existing does with it. */
static zg_status try_inspecting(void *output, int64_t task) {
  zg_results_info *info = NULL;
  (void)task;
  (void)zg_results_inspect(output, &info); /* whether it is one is for others to say */
  zg_results_info_destroy(&info);
  return ZG_OK;
}

static zg_limits limits_of_inspecting(void *output, int64_t task) {
  (void)output, (void)task;
  return (zg_limits){.memory = zg_memory_limit(1) / 2, .seconds = 10};
}

void zg_session_try_output(zg_session *s, const char *output) {
  char *copy = zg_strdup(output);
  zg_tasks tasks = {.count = 1,
                    .execute = try_inspecting,
                    .limits = limits_of_inspecting,
                    .context = copy,
                    .should_stop = zg_should_stop,
                    .repeats = true};
  zg_verdict verdict;
  if (access(output, F_OK) == 0 && zg_sandbox_run(&tasks, &verdict) == ZG_OK &&
      !verdict.returned)
    snprintf(s->trouble, sizeof s->trouble, "%s", verdict.what);
  free(copy);
}

/* What to do about a file that has the output's name. */
static zg_status look_at_existing(zg_session *s) {
  const char *output = s->job->output;
  if (access(output, F_OK) != 0) return ZG_OK;
  if (s->trouble[0])
    return zg_fail(ZG_ERR_CREATE, "%s: exists, and reading it %s; it is left alone",
                   output, s->trouble);
  zg_results_info *info = NULL;
  if (zg_results_inspect(output, &info) != ZG_OK)
    return zg_fail(ZG_ERR_CREATE,
                   "%s: exists and is not a results file; it is left alone", output);
  if (info->complete && !strcmp(info->job_digest, s->digest)) s->found = output;
  zg_results_info_destroy(&info);
  if (s->found) return ZG_OK;
  return zg_fail(ZG_ERR_CREATE,
                 "%s: holds the results of another job or of other inputs; it is left "
                 "alone: remove it or choose another output",
                 output);
}

/* What to do about a file that has the part's name. */
static zg_status look_at_part(zg_session *s) {
  zg_shard_part *part = NULL;
  if (access(s->output, F_OK) != 0) return ZG_OK;
  if (zg_part_read(s->output, &part) != ZG_OK)
    return zg_fail(ZG_ERR_CREATE,
                   "%s: exists and is no part, or damaged; it is left "
                   "alone: remove it to have it made",
                   s->output);
  bool same = !strcmp(part->digest, s->digest) &&
              part->shard.number == s->shard.number &&
              part->shard.count == s->shard.count && !strcmp(part->version, ZG_VERSION);
  zg_part_destroy(&part);
  if (same) s->found = s->output;
  if (same) return ZG_OK;
  return zg_fail(ZG_ERR_CREATE,
                 "%s: is a part of another job, of other inputs or of another version; "
                 "it is left alone: remove it or choose another output",
                 s->output);
}

/* From now on <output>.stop ends the run. One that is there already has ended an
 * earlier one, which must not come back by itself (requeued, say). */
static zg_status look_for_stop_file(const zg_session *s) {
  zg_text path = {0};
  zg_text_add(&path, "%s.stop", s->output);
  zg_watch_file(path.data);
  zg_status status = ZG_OK;
  if (!s->found && access(path.data, F_OK) == 0)
    status = zg_fail(ZG_ERR_CREATE, "%s: asks runs to stop; remove it to begin one",
                     path.data);
  zg_text_clear(&path);
  return status;
}

/* On rank 0: become the owner, and see whether an earlier run has left anything. */
static zg_status own_output(zg_session *s) {
  ZG_TRY(zg_owner_acquire(s->output, owner_patience, &s->owner));
  ZG_TRY(look_at_existing(s));
  if (s->shard.count && !s->found) ZG_TRY(look_at_part(s));
  s->resumes =
      !zg_session_merges(s) && !zg_session_restarts(s) && zg_state_exists(s->output);
  return look_for_stop_file(s);
}

zg_status zg_session_take_output(zg_session *s) {
  ZG_TRY(zg_agree(s->comm, s->rank == 0 ? own_output(s) : ZG_OK));
  s->complete = zg_any(s->comm, s->found != NULL);
  if (s->complete) return ZG_OK;
  return zg_agree(s->comm, s->rank == 0 ? ZG_OK : zg_owner_join(s->output, &s->owner));
}
