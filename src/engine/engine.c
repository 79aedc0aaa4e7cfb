#include "engine/engine.h"

#include "base/log.h"
#include "base/memory.h"
#include "engine/gram.h"
#include "engine/output.h"
#include "engine/state.h"

#include <stdlib.h>
#include <string.h>

const char *zg_phase_name(zg_phase phase) {
  static const char *const names[ZG_PHASES] = {
      [ZG_PHASE_READ] = "read",       [ZG_PHASE_MEDIAN] = "medians",
      [ZG_PHASE_FORM] = "Gram tiles", [ZG_PHASE_KERNEL] = "kernels",
      [ZG_PHASE_REDUCE] = "products", [ZG_PHASE_COMBINE] = "combine",
      [ZG_PHASE_WRITE] = "write"};
  return names[phase];
}

/* Entries (i, k), k up to the last owned item; beyond the diagonal only where both are
 * owned. */
static void finish_rows(const zg_call *call, const zg_gram *gram, zg_centring c,
                        double *values, int8_t *codes) {
  const zg_pairs *product = &gram->product[c];
  int64_t width = product->own + product->owned;
  for (int64_t r = 0; r < product->owned; r++) {
    int64_t i = product->own + r;
    for (int64_t k = 0; k < width; k++) {
      zg_gram_pair pair = {.cross = zg_pairs_at(product, i, k),
                           .self_a = gram->self[c][i],
                           .self_b = gram->self[c][k],
                           .floor_a = gram->floor[i],
                           .floor_b = gram->floor[k],
                           .scale_a = gram->scale[i],
                           .scale_b = gram->scale[k],
                           .weight = gram->weight[c],
                           .code_a = gram->code[i],
                           .code_b = gram->code[k],
                           .same = i == k};
      zg_code code;
      values[r * width + k] = call->measure->gram->finish(call, &pair, &code);
      codes[r * width + k] = (int8_t)code;
    }
  }
}

/* Every entry below the diagonal stands for two. */
static void count_codes(const zg_pairs *product, const int8_t *codes,
                        zg_report *report) {
  int64_t width = product->own + product->owned;
  for (int64_t r = 0; r < product->owned; r++)
    for (int64_t k = 0; k <= product->own + r; k++)
      report->entries[codes[r * width + k]] += k < product->own + r ? 2 : 1;
}

static zg_status write_call(zg_work *work, int64_t k, const zg_gram *gram,
                            zg_results *results) {
  const zg_call *call = &work->run->calls[k];
  zg_centring c = call->measure->gram->spec(call).centring;
  const zg_pairs *product = &gram->product[c];
  int64_t size = product->owned * (product->own + product->owned);
  double *values = ZG_NEW(double, size);
  int8_t *codes = ZG_NEW(int8_t, size);
  finish_rows(call, gram, c, values, codes);
  count_codes(product, codes, work->report);
  zg_status status = zg_results_write_symmetric(results, k, product->own,
                                                product->owned, values, codes);
  free(values);
  free(codes);
  if (status == ZG_OK && gram->median)
    status = zg_results_write_kept(results, k, gram->median);
  return status;
}

/* Name the items that are undefined under this pass and were not named before. */
static void report_items(zg_work *work, const zg_gram *gram) {
  static const char *const what[ZG_CODES] = {
      [ZG_CODE_NONFINITE] = "holds NaN or infinite numbers",
      [ZG_CODE_ZERO_VARIANCE] =
          "has zero variance (a constant, or a median distance of 0)"};
  const int64_t most = 20;
  const zg_zoo *zoo = work->run->zoo;
  int64_t found = 0;
  for (int64_t i = 0; i < work->run->plan->items; i++) {
    zg_item *item = &work->items.items[i];
    if (gram->code[i] == ZG_CODE_OK || item->reported == gram->code[i]) continue;
    item->reported = gram->code[i];
    if (found++ >= most) continue;
    const zg_model *model = &zoo->models[zoo->layers[i].model];
    zg_warn("%s: model '%s', layer '%s' %s: its entries have status %d",
            zoo->files[model->file].path, model->name, zoo->layers[i].name,
            what[gram->code[i]], gram->code[i]);
  }
  if (found > most) zg_warn("... and %lld more layers", (long long)(found - most));
}

static zg_status run_pass(zg_work *work, int64_t p, zg_results *results) {
  const zg_plan *plan = work->run->plan;
  zg_gram gram;
  zg_status status = zg_gram_compute(work, &plan->passes[p], &gram);
  if (status == ZG_OK) report_items(work, &gram);
  zg_phase_start(work, ZG_PHASE_WRITE);
  for (int64_t k = 0; status == ZG_OK && k < work->run->call_count; k++)
    if (plan->pass_of_call[k] == p) status = write_call(work, k, &gram, results);
  zg_phase_stop(work, ZG_PHASE_WRITE);
  zg_gram_clear(&gram);
  return status;
}

static zg_status run_passes(zg_work *work, zg_results *results) {
  ZG_TRY(zg_items_measure(work));
  for (int64_t p = 0; p < work->run->plan->pass_count; p++)
    ZG_TRY(run_pass(work, p, results));
  return ZG_OK;
}

static zg_status finish_results(zg_work *work, zg_results **results) {
  zg_phase_start(work, ZG_PHASE_WRITE);
  zg_status status = zg_results_finish(results);
  zg_phase_stop(work, ZG_PHASE_WRITE);
  return status;
}

static zg_status success(zg_work *work) {
  int64_t *entries = work->report->entries;
  zg_sum_counts(work->run->comm, entries, ZG_CODES);
  bool bad = entries[ZG_CODE_NONFINITE] || entries[ZG_CODE_ZERO_VARIANCE] ||
             entries[ZG_CODE_CONVERGENCE];
  return bad ? ZG_PARTIAL : ZG_OK;
}

/* Sums of tiles are of use only to a run with the same tiles. */
static zg_status open_state(zg_work *work) {
  const zg_run *run = work->run;
  char digest[ZG_DIGEST_BYTES];
  zg_hash *hash = zg_hash_create();
  zg_hash_add_text(hash, run->digest);
  zg_hash_add_int(hash, run->plan->panel_count);
  zg_hash_finish(&hash, digest);
  return zg_state_open(run->comm, run->output, digest, run->checkpoint, run->restart,
                       &work->state);
}

static zg_status compute(zg_work *work, zg_results *results) {
  ZG_TRY(open_state(work));
  return run_passes(work, results);
}

zg_status zg_engine_run(const zg_run *run, zg_report *report) {
  zg_work work = {.run = run, .report = report};
  zg_results *results = NULL;
  ZG_TRY(zg_output_create(run, &results));
  zg_team_create(run->comm, run->plan->team_size, &work.team);
  work.reader = zg_reader_create(run->zoo);
  zg_status status = compute(&work, results);
  report->bytes_read = zg_reader_bytes(work.reader);
  zg_reader_destroy(&work.reader);
  zg_team_destroy(&work.team);
  zg_items_clear(&work.items);
  if (status == ZG_OK) status = finish_results(&work, &results);
  zg_state_close(&work.state, status == ZG_OK);
  if (status == ZG_OK) return success(&work);
  zg_results_abandon(&results);
  return status;
}
