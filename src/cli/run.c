/** \file
 * `zoogram run` and `zoogram merge`: from a job file, or from what its shards have
 * left, to a results file, on all ranks together. */
#include "base/log.h"
#include "base/memory.h"
#include "base/watchdog.h"
#include "cli/cli.h"
#include "cli/environment.h"
#include "cli/output.h"
#include "cli/predict.h"
#include "cli/prepare.h"
#include "cli/version.h"
#include "engine/engine.h"
#include "engine/part.h"
#include "engine/state.h"
#include "linalg/core.h"
#include "results/owner.h"
#include "results/read.h"
#include "zoo/exchange.h"
#include "zoo/h5.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const double owner_patience = 60; /* seconds */
static const double watchdog_limit = 1800;

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

/* A run from its start to its end. */
typedef struct session {
  const zg_command *command;
  const zg_args *args;
  MPI_Comm comm;
  int rank, ranks;
  double start;
  zg_shard shard;
  zg_shard_part **parts; /* of a merge, on rank 0 */
  int64_t part_count;
  zg_job *job;
  char *output;     /* results or a part */
  zg_inputs inputs; /* on rank 0 */
  bool left_out;    /* some of the inputs */
  zg_resources resources;
  zg_zoo *zoo;
  zg_plan *plan;
  char digest[ZG_DIGEST_BYTES]; /* of job and inputs */
  zg_owner *owner;              /* of the output; all ranks */
  const char *found;            /* on rank 0: what is complete already */
  bool complete;                /* there is such a thing */
  bool resumes;                 /* on rank 0: part of them, too */
  zg_prediction prediction;     /* on rank 0 */
} session;

static const char *flag(const session *s, const char *name) {
  return zg_args_get(s->command, s->args, name);
}

static bool merges(const session *s) {
  return s->command == &zg_command_merge;
}

static bool restarts(const session *s) {
  return !merges(s) && flag(s, "--restart");
}

/* ---- the log's header and footer ---- */

static void log_header(const session *s) {
  char date[32], host[256] = "?", *libraries = zg_library_versions();
  zg_utc_time(date, sizeof date);
  gethostname(host, sizeof host - 1);
  int nodes = s->resources.nodes, threads = zg_environment_threads();
  zg_note("zoogram %s  %s  job %s", ZG_VERSION, date, s->job->path);
  zg_note("  on            %d rank%s x %d thread%s, %d node%s, first %s", s->ranks,
          s->ranks == 1 ? "" : "s", threads, threads == 1 ? "" : "s", nodes,
          nodes == 1 ? "" : "s", host);
  zg_note("  libraries     %s", libraries);
  zg_note("  BLAS core     %s%s", zg_blas_core(),
          zg_environment_corrected()
              ? ", corrected: the library had not recognised this CPU"
              : "");
  const char *better = zg_blas_better_core();
  if (better)
    zg_warn(
        "BLAS uses its kernel for %s; OPENBLAS_CORETYPE=%s would be faster on this CPU",
        zg_blas_core(), better);
  free(libraries);
}

static void log_plan(const session *s) {
  char *described = zg_describe_zoo(s->zoo), *text = zg_plan_text(s->plan);
  char *predicted = zg_prediction_text(&s->prediction, s->plan);
  zg_note("zoo\n  found         %s", described);
  if (s->zoo->models_found > s->zoo->model_count ||
      s->zoo->layers_found > s->zoo->layer_count)
    zg_note("  selected from %lld models", (long long)s->zoo->models_found);
  zg_note("plan\n%s", text);
  if (s->prediction.trouble[0])
    zg_warn("no prediction: %s", s->prediction.trouble);
  else
    zg_note("%s", predicted);
  if (s->shard.count)
    zg_note(
        "  shard         %lld of %lld; what the plan says is of all of them together",
        (long long)s->shard.number, (long long)s->shard.count);
  if (s->job->team_size > s->ranks)
    zg_warn("team_size %lld is more than the %d ranks: they are one team",
            (long long)s->job->team_size, s->ranks);
  if (s->plan->idle)
    zg_warn("%d of %d ranks stay idle: teams of %d do not divide them", s->plan->idle,
            s->plan->ranks, s->plan->team_size);
  free(described);
  free(text);
  free(predicted);
}

static void log_phases(const session *s, const zg_report *report) {
  zg_note("time            mean        max         rank");
  for (int p = 0; p < ZG_PHASES; p++) {
    zg_rank_stat stat = zg_rank_stat_of(s->comm, report->phases[p].total);
    char mean[ZG_UNIT_BYTES], most[ZG_UNIT_BYTES];
    if (stat.most > 0)
      zg_note("  %-12s  %-10s  %-10s  %d", zg_phase_name((zg_phase)p),
              zg_format_duration(mean, stat.mean), zg_format_duration(most, stat.most),
              stat.most_rank);
  }
}

/* Numbers read from files and sent by a rank: the mean, and the rank with most. */
static void log_words(const session *s, const zg_report *report) {
  zg_rank_stat read = zg_rank_stat_of(s->comm, (double)report->numbers_read);
  zg_rank_stat sent = zg_rank_stat_of(s->comm, (double)report->numbers_sent);
  char a[ZG_UNIT_BYTES], b[ZG_UNIT_BYTES], c[ZG_UNIT_BYTES], d[ZG_UNIT_BYTES];
  char model[ZG_UNIT_BYTES + 16] = "";
  if (s->plan->words > 0)
    snprintf(model, sizeof model, "; model %s", zg_format_si(a, s->plan->words, ""));
  zg_note("  words         %s read, %s sent per rank (at most %s, %s)%s",
          zg_format_si(a, read.mean, ""), zg_format_si(b, sent.mean, ""),
          zg_format_si(c, read.most, ""), zg_format_si(d, sent.most, ""), model);
}

static void log_rates(const session *s, const zg_report *report) {
  static const zg_phase computing[] = {ZG_PHASE_MEDIAN, ZG_PHASE_PREPARE, ZG_PHASE_FORM,
                                       ZG_PHASE_KERNEL, ZG_PHASE_REDUCE};
  double busy = 0;
  for (size_t k = 0; k < sizeof computing / sizeof *computing; k++)
    busy += report->phases[computing[k]].total;
  zg_rank_stat seconds = zg_rank_stat_of(s->comm, busy);
  zg_rank_stat flop = zg_rank_stat_of(s->comm, report->flop);
  zg_rank_stat bytes = zg_rank_stat_of(s->comm, (double)report->bytes_read);
  zg_rank_stat memory =
      zg_rank_stat_of(s->comm, (double)(zg_peak_memory() - report->shared));
  char a[ZG_UNIT_BYTES], b[ZG_UNIT_BYTES];
  zg_note("  work          %s, %s per busy rank", zg_format_si(a, flop.sum, "flop"),
          zg_format_si(b, seconds.sum > 0 ? flop.sum / seconds.sum : 0, "flop/s"));
  zg_note("  read          %s in all", zg_format_bytes(a, bytes.sum));
  log_words(s, report);
  zg_note("  peak memory   %s (rank %d), planned %s", zg_format_bytes(a, memory.most),
          memory.most_rank, zg_format_bytes(b, (double)s->plan->memory.total));
}

static void log_entries(const zg_report *report) {
  for (int code = 1; code < ZG_CODES; code++)
    if (report->entries[code])
      zg_warn("%lld entries have status %d (%s)", (long long)report->entries[code],
              code, zg_code_meaning((zg_code)code));
}

/* How good the prediction was, for a run that had all of the work before it. */
static void log_prediction(const session *s, double seconds) {
  char predicted[ZG_UNIT_BYTES];
  if (!s->prediction.known || s->resumes || s->shard.count || merges(s)) return;
  double total = s->prediction.cost.total;
  zg_note("  predicted     %s: measured/predicted %.2f",
          zg_format_duration(predicted, total), seconds / total);
}

static void log_footer(const session *s, const zg_report *report) {
  char total[ZG_UNIT_BYTES];
  double seconds = zg_clock() - s->start;
  log_phases(s, report);
  log_rates(s, report);
  log_prediction(s, seconds);
  log_entries(report);
  zg_note("done in %s: %s", zg_format_duration(total, seconds), s->output);
}

/* ---- preparation ---- */

static zg_status stopped(const session *s) {
  return zg_fail(ZG_STOPPED, "%s: stopped by %s; the same command goes on with it",
                 s->output, zg_stop_reason());
}

/* The job of a merge is in its parts. */
static zg_status read_parts(session *s, char **path, char **text) {
  if (!s->parts) s->parts = ZG_NEW0(zg_shard_part *, s->part_count);
  for (int64_t k = 0; k < s->part_count; k++)
    if (!s->parts[k]) ZG_TRY(zg_part_read(s->args->operands[k + 1], &s->parts[k]));
  ZG_TRY(zg_parts_check(s->parts, s->part_count));
  const zg_shard_part *first = s->parts[0];
  if (strcmp(first->version, ZG_VERSION))
    return zg_fail(ZG_ERR_DATA, "%s: was made by zoogram %s, this is zoogram %s",
                   first->path, first->version, ZG_VERSION);
  *path = zg_strdup(first->job_path);
  *text = zg_strdup(first->job_text);
  return ZG_OK;
}

static zg_status read_job(session *s, char **path, char **text) {
  if (merges(s)) return read_parts(s, path, text);
  *path = zg_strdup(s->args->operands[0]);
  return zg_job_read(*path, text);
}

/* Where this run puts what it makes. */
static void name_output(session *s) {
  if (merges(s)) {
    free(s->job->output);
    s->job->output = zg_strdup(s->args->operands[0]);
  }
  s->output = s->shard.count ? zg_part_path(s->job->output, &s->shard)
                             : zg_strdup(s->job->output);
}

static zg_status load_job(session *s) {
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

/* Try the files where this is the process that will be rank 0, and MPI has not started:
 * a child of a process of MPI is no sound thing. A job file that cannot be read is left
 * to load_job. */
static void try_inputs(session *s) {
  char *path = NULL, *text = NULL;
  zg_job *job = NULL;
  if (zg_is_first_process() && read_job(s, &path, &text) == ZG_OK &&
      zg_job_parse(path, text, &job) == ZG_OK)
    zg_prepare_inputs(job, ZG_DEPTH_DATA, zg_should_stop, &s->inputs);
  zg_job_destroy(&job);
  free(path);
  free(text);
}

static zg_status open_zoo(session *s) {
  if (!s->inputs.tried) /* a launcher that does not say in advance who is rank 0 */
    zg_prepare_inputs(s->job, ZG_DEPTH_DATA, zg_should_stop, &s->inputs);
  if (s->inputs.status == ZG_STOPPED) return stopped(s);
  return zg_prepare_zoo(s->job, &s->inputs, &s->zoo);
}

static zg_status load_zoo(session *s) {
  ZG_TRY(zg_agree(s->comm, s->rank == 0 ? open_zoo(s) : ZG_OK));
  s->left_out = zg_any(s->comm, s->inputs.probe.left_out.count > 0);
  zg_zoo_broadcast(s->comm, &s->zoo);
  return ZG_OK;
}

/* What the plan does not count, but BLAS needs. */
static zg_status check_room(const session *s) {
  if (zg_blas_has_room()) return zg_agree(s->comm, ZG_OK);
  return zg_agree(s->comm, zg_fail(ZG_ERR_SYSTEM,
                                   "rank %d has no address space for "
                                   "the buffer of BLAS (ulimit -v?)",
                                   s->rank));
}

static zg_status make_plan(session *s) {
  return zg_prepare_plan(s->job, s->zoo, &s->resources, &s->plan);
}

/* A prediction is for the reader of the log; that there is none is no error. */
static void predict(session *s) {
  if (s->rank == 0) zg_predict(NULL, s->plan, &s->prediction);
}

/* Job and inputs by which results are recognised as those of the same job. */
static zg_status make_digest(session *s) {
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
static zg_status check_inputs(const session *s) {
  bool same = s->rank != 0 || !merges(s) || !strcmp(s->parts[0]->digest, s->digest);
  return zg_agree(s->comm, same ? ZG_OK
                                : zg_fail(ZG_ERR_DATA,
                                          "%s: was made of other inputs: the zoo has "
                                          "changed since then",
                                          s->parts[0]->path));
}

/* What to do about a file that has the output's name. */
static zg_status look_at_existing(session *s) {
  struct stat existing;
  const char *output = s->job->output;
  if (stat(output, &existing) != 0) return ZG_OK;
  zg_results_info *info = NULL;
  zg_filetype type = ZG_FILE_OTHER;
  if (zg_filetype_of(output, &type) != ZG_OK || type != ZG_FILE_RESULTS ||
      zg_results_inspect(output, &info) != ZG_OK)
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
static zg_status look_at_part(session *s) {
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
static zg_status look_for_stop_file(const session *s) {
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
static zg_status own_output(session *s) {
  ZG_TRY(zg_owner_acquire(s->output, owner_patience, &s->owner));
  ZG_TRY(look_at_existing(s));
  if (s->shard.count && !s->found) ZG_TRY(look_at_part(s));
  s->resumes = !merges(s) && !restarts(s) && zg_state_exists(s->output);
  return look_for_stop_file(s);
}

static zg_status take_output(session *s) {
  ZG_TRY(zg_agree(s->comm, s->rank == 0 ? own_output(s) : ZG_OK));
  s->complete = zg_any(s->comm, s->found != NULL);
  if (s->complete) return ZG_OK;
  return zg_agree(s->comm, s->rank == 0 ? ZG_OK : zg_owner_join(s->output, &s->owner));
}

/* ---- the run itself ---- */

/* Why the run was stopped: a signal may have reached one rank alone. */
static zg_status tell_stop(const session *s) {
  zg_status status = ZG_OK;
  if (zg_should_stop()) status = stopped(s);
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
static zg_shard_part describe_part(const session *s, char *plan) {
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

static void describe_history(const session *s, zg_text *history) {
  char date[32];
  zg_utc_time(date, sizeof date);
  zg_text_add(history, "%s zoogram %s %s ", date, ZG_VERSION, s->command->name);
  if (merges(s)) zg_text_add(history, "of %lld shards of ", (long long)s->part_count);
  zg_text_add(history, "%s on %d ranks", s->job->path, s->ranks);
}

static zg_status compute(session *s, zg_report *report) {
  char *libraries = zg_library_versions();
  char *inputs = describe_inputs(s->zoo, &s->inputs.probe);
  char *plan = zg_plan_line(s->plan);
  zg_text history = {0};
  describe_history(s, &history);
  zg_shard_part part = describe_part(s, plan);
  const zg_attribute attributes[] = {
      {.name = "format", .text = "zoogram-results"},
      {.name = "version", .number = 1, .integer = true},
      {.name = "complete", .number = 0, .integer = true},
      {.name = "job", .text = s->job->text},
      {.name = "job_digest", .text = s->digest},
      {.name = "zoogram_version", .text = ZG_VERSION},
      {.name = "libraries", .text = libraries},
      {.name = "inputs", .text = inputs},
      {.name = "ranks", .number = s->ranks, .integer = true},
      {.name = "plan", .text = plan},
      {.name = "history", .text = history.data},
      {.name = NULL}};
  zg_run run = {.comm = s->comm,
                .zoo = s->zoo,
                .plan = s->plan,
                .calls = s->job->calls,
                .call_count = s->job->call_count,
                .output = s->output,
                .digest = s->digest,
                .checkpoint = s->job->checkpoint,
                .restart = restarts(s),
                .part = s->shard.count ? &part : NULL,
                .parts = s->parts,
                .part_count = s->part_count,
                .float32 = s->job->float32_storage,
                .attributes = attributes,
                .should_stop = zg_should_stop,
                .watch_task = zg_watch_task};
  zg_status status = zg_engine_run(&run, report);
  zg_text_clear(&history);
  free(part.job_path);
  free(plan);
  free(inputs);
  free(libraries);
  return status == ZG_STOPPED ? tell_stop(s) : status;
}

static zg_status run_job(session *s) {
  ZG_TRY(load_job(s));
  ZG_TRY(zg_agree(s->comm, zg_log_open(s->rank == 0, flag(s, "--quiet") != NULL,
                                       flag(s, "--log"))));
  s->resources = zg_prepare_resources(s->comm);
  log_header(s);
  ZG_TRY(load_zoo(s));
  ZG_TRY(make_plan(s));
  ZG_TRY(check_room(s));
  predict(s);
  log_plan(s);
  ZG_TRY(make_digest(s));
  ZG_TRY(check_inputs(s));
  ZG_TRY(take_output(s));
  if (s->complete) {
    if (s->rank == 0) {
      zg_state_discard(s->output);
      zg_note("%s is complete already; nothing to do", s->found);
    }
    return ZG_OK;
  }
  zg_report report = {0};
  zg_status status = compute(s, &report);
  if (status == ZG_OK || status == ZG_PARTIAL) log_footer(s, &report);
  return status == ZG_OK && s->left_out ? ZG_PARTIAL : status;
}

static void end_session(session *s) {
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
static zg_status duration(const session *s, const char *name, double *seconds) {
  const char *given = flag(s, name);
  if (!given || zg_parse_duration(given, seconds)) return ZG_OK;
  return zg_fail(ZG_ERR_USAGE, "%s %s: expected a duration such as 1:30:00", name,
                 given);
}

/* Known before MPI is; for the watchdog, which watches that, too. */
static int early_rank(void) {
  const char *rank = getenv("PMIX_RANK");
  return rank ? atoi(rank) : 0;
}

/* Signals, time limit, launcher and watchdog; the same status on all ranks. */
static zg_status watch(const session *s) {
  double max_time = 0, limit = watchdog_limit;
  zg_status status = duration(s, "--max-time", &max_time);
  if (status == ZG_OK) status = duration(s, "--watchdog", &limit);
  zg_watch(max_time);
  zg_watchdog_start(limit, early_rank());
  return status;
}

static zg_status choose_shard(session *s) {
  const char *text = flag(s, "--shard");
  if (!text || zg_shard_parse(text, &s->shard)) return ZG_OK;
  return zg_fail(ZG_ERR_USAGE,
                 "--shard %s: expected K/N, 1 <= K <= N <= %d, such as 2/8", text,
                 ZG_MOST_SHARDS);
}

static zg_status execute(const zg_command *command, const zg_args *args) {
  session s = {
      .command = command, .args = args, .comm = MPI_COMM_WORLD, .start = zg_clock()};
  zg_status status = watch(&s); /* before MPI starts, which takes a while */
  if (merges(&s)) s.part_count = args->operand_count - 1;
  if (!merges(&s) && status == ZG_OK) status = choose_shard(&s);
  if (status == ZG_OK) try_inputs(&s);
  zg_watch_start();
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
