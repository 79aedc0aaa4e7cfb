#include "base/log.h"
#include "base/memory.h"
#include "cli/environment.h"
#include "cli/session.h"
#include "cli/version.h"
#include "linalg/core.h"

#include <stdlib.h>
#include <unistd.h>

void zg_session_log_header(const zg_session *s) {
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

void zg_session_log_plan(const zg_session *s) {
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

static void log_phases(const zg_session *s, const zg_report *report) {
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
static void log_words(const zg_session *s, const zg_report *report) {
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

/* What the ranks of a node share counts once. */
static int64_t peak_of(const zg_report *report) {
  int64_t resident = zg_peak_memory();
  return resident > report->resident ? resident : report->peak;
}

static void log_rates(const zg_session *s, const zg_report *report) {
  static const zg_phase computing[] = {ZG_PHASE_MEDIAN, ZG_PHASE_PREPARE, ZG_PHASE_FORM,
                                       ZG_PHASE_KERNEL, ZG_PHASE_REDUCE};
  double busy = 0;
  for (size_t k = 0; k < sizeof computing / sizeof *computing; k++)
    busy += report->phases[computing[k]].total;
  zg_rank_stat seconds = zg_rank_stat_of(s->comm, busy);
  zg_rank_stat flop = zg_rank_stat_of(s->comm, report->flop);
  zg_rank_stat bytes = zg_rank_stat_of(s->comm, (double)report->bytes_read);
  zg_rank_stat memory = zg_rank_stat_of(s->comm, (double)peak_of(report));
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
static void log_prediction(const zg_session *s, double seconds) {
  char predicted[ZG_UNIT_BYTES];
  if (!s->prediction.known || s->resumes || s->shard.count || zg_session_merges(s))
    return;
  double total = s->prediction.cost.total;
  zg_note("  predicted     %s: measured/predicted %.2f",
          zg_format_duration(predicted, total), seconds / total);
}

void zg_session_log_footer(const zg_session *s, const zg_report *report) {
  char total[ZG_UNIT_BYTES];
  double seconds = zg_clock() - s->start;
  log_phases(s, report);
  log_rates(s, report);
  log_prediction(s, seconds);
  log_entries(report);
  zg_note("done in %s: %s", zg_format_duration(total, seconds), s->output);
}
