/** \file
 * The job of a run and its zoo: the files are tried (zoo/probe.h) and their catalogue
 * is read in a child process while MPI starts: a large zoo may take longer than
 * launchers let a rank start, a child of a process of MPI is no sound thing, and what
 * HDF5 does with damaged headers is better done where it harms nobody. */
#include "base/memory.h"
#include "base/watchdog.h"
#include "cli/environment.h"
#include "cli/session.h"
#include "cli/version.h"
#include "engine/part.h"
#include "zoo/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the job ---- */

/* The job of a merge is in its parts. */
static zg_status read_parts(zg_session *s, char **path, char **text) {
  if (!s->parts) s->parts = ZG_NEW0(zg_shard_part *, s->part_count);
  for (int64_t k = 0; k < s->part_count; k++)
    if (!s->parts[k]) ZG_TRY(zg_part_read(s->args->operands[k + 1], &s->parts[k]));
  ZG_TRY(zg_parts_check(s->parts, s->part_count, ZG_VERSION));
  *path = zg_strdup(s->parts[0]->job_path);
  *text = zg_strdup(s->parts[0]->job_text);
  return ZG_OK;
}

static zg_status read_job(zg_session *s, char **path, char **text) {
  if (zg_session_merges(s)) return read_parts(s, path, text);
  *path = zg_strdup(s->args->operands[0]);
  return zg_job_read(*path, text);
}

/* Where this run puts what it makes. */
static void name_output(zg_session *s) {
  if (zg_session_merges(s)) {
    free(s->job->output);
    s->job->output = zg_strdup(s->args->operands[0]);
  }
  s->output = s->shard.count ? zg_part_path(s->job->output, &s->shard)
                             : zg_strdup(s->job->output);
}

zg_status zg_session_load_job(zg_session *s) {
  char *path = NULL, *text = NULL;
  zg_status status = s->rank == 0 ? read_job(s, &path, &text) : ZG_OK;
  status = zg_agree(s->comm, status);
  if (status == ZG_OK) {
    zg_broadcast_text(s->comm, &path);
    zg_broadcast_text(s->comm, &text);
    status = zg_job_parse(path, text, &s->job); /* the same on all ranks */
  }
  if (status == ZG_OK) name_output(s);
  free(path);
  free(text);
  return status;
}

/* ---- reading the zoo ---- */

/* What the child has found are texts, each after one of these. */
enum {
  STATUS = 'v',
  OUTPUT = 'o',
  SOUND = 's',
  LEFT_OUT = 'l',
  REASON = 'r',
  CATALOGUE = 'c'
};

static void add_text(zg_list *found, char what, const char *text) {
  zg_text line = {0};
  zg_text_add(&line, "%c%s", what, text);
  zg_list_add(found, line.data);
  zg_text_clear(&line);
}

static void add_list(zg_list *found, char what, const zg_list *list) {
  for (int64_t k = 0; k < list->count; k++)
    add_text(found, what, list->items[k]);
}

static void add_catalogue(zg_list *found, const zg_zoo *zoo) {
  if (!zoo) return;
  char *text = zg_zoo_to_text(zoo);
  add_text(found, CATALOGUE, text);
  free(text);
}

/* In the child, whose session is a copy. */
static void read_zoo(void *session, zg_list *found) {
  zg_session *s = session;
  zg_text status = {0};
  const char *output = zg_session_merges(s) ? s->args->operands[0] : s->job->output;
  zg_session_try_output(s, output);
  zg_prepare_inputs(s->job, ZG_DEPTH_DATA, zg_should_stop, &s->inputs);
  zg_text_add(&status, "%d %s", (int)s->inputs.status, s->inputs.message);
  add_text(found, STATUS, status.data);
  zg_text_clear(&status);
  add_text(found, OUTPUT, s->trouble);
  add_list(found, SOUND, &s->inputs.probe.sound);
  add_list(found, LEFT_OUT, &s->inputs.probe.left_out);
  add_list(found, REASON, &s->inputs.probe.reasons);
  add_catalogue(found, s->inputs.zoo);
}

static void take_text(zg_session *s, const char *line) {
  zg_probe *probe = &s->inputs.probe;
  const char *text = line + 1;
  if (*line == SOUND) zg_list_add(&probe->sound, text);
  if (*line == LEFT_OUT) zg_list_add(&probe->left_out, text);
  if (*line == REASON) zg_list_add(&probe->reasons, text);
  if (*line == CATALOGUE) s->inputs.zoo = zg_zoo_from_text(text);
  if (*line == OUTPUT) snprintf(s->trouble, sizeof s->trouble, "%s", text);
  if (*line != STATUS) return;
  char *message;
  s->inputs.status = (zg_status)strtol(text, &message, 10);
  snprintf(s->inputs.message, sizeof s->inputs.message, "%s", message + 1);
}

/* A job file that cannot be read is left to zg_session_load_job. */
void zg_session_try_inputs(zg_session *s) {
  char *path = NULL, *text = NULL;
  if (zg_is_first_process() && read_job(s, &path, &text) == ZG_OK &&
      zg_job_parse(path, text, &s->job) == ZG_OK) {
    s->inputs.tried = true;
    s->inputs.status = zg_errand_begin(read_zoo, s, &s->errand);
    snprintf(s->inputs.message, sizeof s->inputs.message, "%s", zg_message());
  }
  zg_job_destroy(&s->job);
  free(path);
  free(text);
}

/* Wait for the child. */
static void collect(zg_session *s) {
  ZG_PLACE("reading the zoo of", s->job->path);
  zg_list found = {0};
  s->inputs.status = zg_errand_end(&s->errand, zg_should_stop, &found);
  snprintf(s->inputs.message, sizeof s->inputs.message, "%s: reading its zoo: %s",
           s->job->path, zg_message());
  for (int64_t k = 0; k < found.count; k++)
    take_text(s, found.items[k]);
  zg_list_clear(&found);
}

/* ---- the zoo ---- */

static zg_status open_zoo(zg_session *s) {
  if (s->errand) collect(s);
  if (!s->inputs.tried) /* a launcher that does not say in advance who is rank 0 */
    zg_prepare_inputs(s->job, ZG_DEPTH_DATA, zg_should_stop, &s->inputs);
  if (s->inputs.status == ZG_STOPPED) return zg_session_stopped(s);
  return zg_prepare_zoo(&s->inputs, &s->zoo);
}

zg_status zg_session_load_zoo(zg_session *s) {
  zg_status status = s->rank == 0 ? open_zoo(s) : ZG_OK;
  ZG_WAIT_FOR_TASKS; /* a cold zoo of many files takes long */
  ZG_TRY(zg_agree(s->comm, status));
  s->left_out = zg_any(s->comm, s->inputs.probe.left_out.count > 0);
  zg_zoo_broadcast(s->comm, &s->zoo);
  return ZG_OK;
}
