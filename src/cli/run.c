/** \file
 * `zoogram run` and `zoogram merge`: from a job file, or from what its shards have
 * left, to a results file, on all ranks together. */
#include "base/log.h"
#include "base/memory.h"
#include "base/watchdog.h"
#include "cli/cli.h"
#include "cli/environment.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/version.h"
#include "engine/part.h"
#include "engine/state.h"
#include "linalg/core.h"
#include "zoo/digest.h"
#include "zoo/h5.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const double watchdog_limit = 1800; /* seconds */

static const zg_flag flags[] = {
    {"--shard", "K/N",
     "do the K-th of N shares of the work and leave a part, OUTPUT.shard-K-of-N, for "
     "merge"},
    {"--restart", NULL, "discard what an interrupted run has left"},
    {"--max-time", "H:MM:SS", "stop cleanly (exit code 75) after this time"},
    {"--watchdog", "H:MM:SS",
     "end the run (exit code 71) when a rank has stood still for this time; 0: never "
     "(0:30:00)"},
    {"--quiet", NULL, "no log on standard output"},
    {"--log", "FILE", "append the log to a file as well"},
    {NULL, NULL, NULL}};
enum { RUN_ALONE = 2 }; /* so many of them, from the first, merge does not have */

static const char *flag(const zg_session *s, const char *name) {
  return zg_args_get(s->command, s->args, name);
}

bool zg_session_merges(const zg_session *s) {
  return s->command == &zg_command_merge;
}

bool zg_session_restarts(const zg_session *s) {
  return !zg_session_merges(s) && flag(s, "--restart");
}

zg_status zg_session_stopped(const zg_session *s) {
  return zg_fail(ZG_STOPPED, "%s: stopped by %s; the same command goes on with it",
                 s->output, zg_stop_reason());
}

/* ---- preparation ---- */

/* What the plan does not count, but BLAS needs. */
static zg_status check_room(const zg_session *s) {
  if (zg_blas_has_room()) return zg_agree(s->comm, ZG_OK);
  return zg_agree(s->comm, zg_fail(ZG_ERR_SYSTEM,
                                   "rank %d has no address space for "
                                   "the buffer of BLAS (ulimit -v?)",
                                   s->rank));
}

static zg_status make_plan(zg_session *s) {
  return zg_prepare_plan(s->job, s->zoo, &s->resources, &s->plan);
}

/* A prediction is for the reader of the log; that there is none is no error. */
static void predict(zg_session *s) {
  if (s->rank == 0) zg_predict(NULL, s->plan, &s->prediction);
}

/* Job and inputs by which results are recognised as those of the same job. */
static zg_status make_digest(zg_session *s) {
  ZG_TRY(zg_zoo_digest(s->comm, s->zoo, s->job->full_digest));
  char job[ZG_DIGEST_BYTES];
  zg_job_digest(s->job, job);
  zg_hash *hash = zg_hash_create();
  zg_hash_add_text(hash, job);
  for (int64_t k = 0; k < s->zoo->file_count; k++)
    zg_hash_add_text(hash, s->zoo->files[k].digest);
  zg_hash_finish(&hash, s->digest);
  return ZG_OK;
}

/* Whether a merge has before it what its shards had. */
static zg_status check_inputs(const zg_session *s) {
  bool same =
      s->rank != 0 || !zg_session_merges(s) || !strcmp(s->parts[0]->digest, s->digest);
  return zg_agree(s->comm, same ? ZG_OK
                                : zg_fail(ZG_ERR_DATA,
                                          "%s: was made of other inputs: the zoo has "
                                          "changed since then",
                                          s->parts[0]->path));
}

/* ---- the run itself ---- */

/* Why the run was stopped: a signal may have reached one rank alone. */
static zg_status tell_stop(const zg_session *s) {
  zg_status status = ZG_OK;
  if (zg_should_stop()) status = zg_session_stopped(s);
  return zg_agree(s->comm, status);
}

static char *describe_inputs(const zg_zoo *zoo, const zg_probe *probe) {
  json_t *files = json_array();
  for (int64_t k = 0; k < zoo->file_count; k++) {
    json_t *file = json_object();
    json_object_set_new(file, "path", zg_json_text(zoo->files[k].path));
    json_object_set_new(file, "digest", json_string(zoo->files[k].digest));
    json_array_append_new(files, file);
  }
  for (int64_t k = 0; k < probe->left_out.count; k++) {
    json_t *file = json_object();
    json_object_set_new(file, "path", zg_json_text(probe->left_out.items[k]));
    json_object_set_new(file, "left_out", zg_json_text(probe->reasons.items[k]));
    json_array_append_new(files, file);
  }
  char *text = json_dumps(files, JSON_COMPACT);
  json_decref(files);
  return text;
}

/* What is said of a shard's part; the caller frees the path. */
static zg_shard_part describe_part(const zg_session *s, char *plan) {
  zg_shard_part part = {.path = s->output,
                        .shard = s->shard,
                        .version = ZG_VERSION,
                        .job_path = realpath(s->job->path, NULL),
                        .job_text = s->job->text,
                        .plan = plan};
  if (!part.job_path) part.job_path = zg_strdup(s->job->path);
  memcpy(part.digest, s->digest, sizeof part.digest);
  return part;
}

static void describe_history(const zg_session *s, zg_text *history) {
  char date[32];
  zg_utc_time(date, sizeof date);
  zg_text_add(history, "%s zoogram %s %s ", date, ZG_VERSION, s->command->name);
  if (zg_session_merges(s))
    zg_text_add(history, "of %lld shards of ", (long long)s->part_count);
  zg_text_add(history, "%s on %d ranks", s->job->path, s->ranks);
}

/* What the results say of how they came about; texts are owned. */
enum { ATTRIBUTES = 12 };
typedef struct origin {
  char *libraries, *inputs, *plan;
  zg_text history;
  zg_attribute attributes[ATTRIBUTES];
} origin;

static void describe_origin(const zg_session *s, origin *o) {
  *o = (origin){.libraries = zg_library_versions(),
                .inputs = describe_inputs(s->zoo, &s->inputs.probe),
                .plan = zg_plan_line(s->plan)};
  describe_history(s, &o->history);
  const zg_attribute attributes[ATTRIBUTES] = {
      {.name = "format", .text = "zoogram-results"},
      {.name = "version", .number = 1, .integer = true},
      {.name = "complete", .number = 0, .integer = true},
      {.name = "job", .text = s->job->text},
      {.name = "job_digest", .text = s->digest},
      {.name = "zoogram_version", .text = ZG_VERSION},
      {.name = "libraries", .text = o->libraries},
      {.name = "inputs", .text = o->inputs},
      {.name = "ranks", .number = s->ranks, .integer = true},
      {.name = "plan", .text = o->plan},
      {.name = "history", .text = o->history.data},
      {.name = NULL}};
  memcpy(o->attributes, attributes, sizeof attributes);
}

static void clear_origin(origin *o) {
  zg_text_clear(&o->history);
  free(o->plan);
  free(o->inputs);
  free(o->libraries);
}

static zg_status compute(zg_session *s, zg_report *report) {
  origin o;
  describe_origin(s, &o);
  zg_shard_part part = describe_part(s, o.plan);
  zg_run run = {.comm = s->comm,
                .zoo = s->zoo,
                .plan = s->plan,
                .calls = s->job->calls,
                .call_count = s->job->call_count,
                .output = s->output,
                .digest = s->digest,
                .checkpoint = s->job->checkpoint,
                .restart = zg_session_restarts(s),
                .part = s->shard.count ? &part : NULL,
                .parts = s->parts,
                .part_count = s->part_count,
                .float32 = s->job->float32_storage,
                .attributes = o.attributes,
                .should_stop = zg_should_stop,
                .watch_task = zg_watch_task};
  zg_status status = zg_engine_run(&run, report);
  free(part.job_path);
  clear_origin(&o);
  return status == ZG_STOPPED ? tell_stop(s) : status;
}

/* All that comes before the computing. Nothing of it asks whether to stop, be it a slow
 * file system, digests of all data or another owner that it waits for; and nothing is
 * lost when it is left. */
static zg_status prepare(zg_session *s) {
  ZG_TRY(zg_session_load_zoo(s));
  ZG_TRY(make_plan(s));
  ZG_TRY(check_room(s));
  predict(s);
  zg_session_log_plan(s);
  ZG_TRY(make_digest(s));
  ZG_TRY(check_inputs(s));
  return zg_session_take_output(s);
}

static zg_status run_job(zg_session *s) {
  ZG_TRY(zg_session_load_job(s));
  ZG_TRY(zg_agree(s->comm, zg_log_open(s->rank == 0, flag(s, "--quiet") != NULL,
                                       flag(s, "--log"))));
  s->resources = zg_prepare_resources(s->comm);
  zg_session_log_header(s);
  zg_watch_task(true);
  zg_status status = prepare(s);
  zg_watch_task(false);
  if (status != ZG_OK) return status;
  if (s->complete) {
    if (s->rank == 0) {
      if (!zg_session_merges(s)) zg_state_discard(s->output);
      zg_note("%s is complete already; nothing to do", s->found);
    }
    return ZG_OK;
  }
  zg_report report = {0};
  status = compute(s, &report);
  if (status == ZG_OK || status == ZG_PARTIAL) zg_session_log_footer(s, &report);
  return status == ZG_OK && s->left_out ? ZG_PARTIAL : status;
}

static void end_session(zg_session *s) {
  zg_errand_abandon(&s->errand);
  zg_owner_release(&s->owner);
  for (int64_t k = 0; s->parts && k < s->part_count; k++)
    zg_part_destroy(&s->parts[k]);
  free(s->parts);
  free(s->output);
  zg_plan_destroy(&s->plan);
  zg_zoo_destroy(&s->zoo);
  zg_inputs_clear(&s->inputs);
  zg_job_destroy(&s->job);
  zg_log_close();
}

/* A duration among the flags. */
static zg_status duration(const zg_session *s, const char *name, double *seconds) {
  const char *given = flag(s, name);
  if (!given || zg_parse_duration(given, seconds)) return ZG_OK;
  return zg_fail(ZG_ERR_USAGE, "%s %s: expected a duration such as 1:30:00", name,
                 given);
}

/* Signals and time limit; the same status on all ranks. */
static zg_status watch(zg_session *s) {
  double max_time = 0, limit = watchdog_limit;
  zg_status status = duration(s, "--max-time", &max_time);
  if (status == ZG_OK) status = duration(s, "--watchdog", &limit);
  zg_watch(max_time);
  s->watchdog = limit;
  return status;
}

static zg_status choose_shard(zg_session *s) {
  const char *text = flag(s, "--shard");
  if (!text || zg_shard_parse(text, &s->shard)) return ZG_OK;
  return zg_fail(ZG_ERR_USAGE,
                 "--shard %s: expected K/N, 1 <= K <= N <= %d, such as 2/8", text,
                 ZG_MOST_SHARDS);
}

static zg_status execute(const zg_command *command, const zg_args *args) {
  zg_session s = {
      .command = command, .args = args, .comm = MPI_COMM_WORLD, .start = zg_clock()};
  zg_status status = watch(&s); /* before MPI starts, which takes a while */
  if (zg_session_merges(&s)) s.part_count = args->operand_count - 1;
  if (!zg_session_merges(&s) && status == ZG_OK) status = choose_shard(&s);
  if (status == ZG_OK) zg_session_try_inputs(&s);
  zg_watch_start(); /* threads, from which no child should come */
  zg_watchdog_start(s.watchdog, zg_early_rank()); /* it watches the start of MPI, too */
  zg_h5_start();
  zg_mpi_start();
  MPI_Comm_rank(s.comm, &s.rank);
  MPI_Comm_size(s.comm, &s.ranks);
  if (status == ZG_OK) status = run_job(&s);
  end_session(&s);
  if (s.rank == 0 && status != ZG_OK && status != ZG_PARTIAL) zg_print_error();
  zg_watchdog_stop();
  zg_mpi_end();
  return status;
}

static zg_status execute_run(const zg_args *args) {
  return execute(&zg_command_run, args);
}

static zg_status execute_merge(const zg_args *args) {
  return execute(&zg_command_merge, args);
}

const zg_command zg_command_run = {
    .name = "run",
    .operands = "JOB.yaml",
    .summary = "compute a job, under mpirun or srun, or alone as one rank",
    .least_operands = 1,
    .most_operands = 1,
    .flags = flags,
    .parallel = true,
    .execute = execute_run};

const zg_command zg_command_merge = {
    .name = "merge",
    .operands = "OUT PART...",
    .summary = "make the results of a job from the parts that run --shard K/N has left "
               "for every K from 1 to N; the zoo is read again and has to be there",
    .least_operands = 2,
    .most_operands = INT_MAX,
    .flags = flags + RUN_ALONE,
    .parallel = true,
    .execute = execute_merge};
