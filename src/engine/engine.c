#include "engine/engine.h"

#include "engine/forms.h"
#include "engine/output.h"
#include "engine/state.h"
#include "engine/store.h"

const char *zg_phase_name(zg_phase phase) {
  static const char *const names[ZG_PHASES] = {
      [ZG_PHASE_READ] = "read",       [ZG_PHASE_MEDIAN] = "medians",
      [ZG_PHASE_PREPARE] = "prepare", [ZG_PHASE_FORM] = "Gram tiles",
      [ZG_PHASE_KERNEL] = "kernels",  [ZG_PHASE_REDUCE] = "products",
      [ZG_PHASE_COMBINE] = "combine", [ZG_PHASE_WRITE] = "write"};
  return names[phase];
}

static zg_status run_passes(zg_work *work, zg_results *results) {
  static zg_form_fn *const forms[] = {[ZG_FORM_TANGENT] = zg_tangent_run,
                                      [ZG_FORM_VECTOR] = zg_vector_run,
                                      [ZG_FORM_PROFILE] = zg_profile_run,
                                      [ZG_FORM_PAIR] = zg_pair_run};
  const zg_plan *plan = work->run->plan;
  for (int64_t p = 0; p < plan->pass_count; p++)
    if (plan->passes[p].spec.form == ZG_FORM_GRAM)
      ZG_TRY(zg_gram_run(work, p, results));
  zg_store_destroy(&work->store); /* room for the others */
  for (int64_t p = 0; p < plan->pass_count; p++)
    if (plan->passes[p].spec.form != ZG_FORM_GRAM)
      ZG_TRY(forms[plan->passes[p].spec.form](work, p, results));
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

/* Sums of tasks are of use only to a run with the same tasks. */
static zg_status open_state(zg_work *work) {
  const zg_run *run = work->run;
  char digest[ZG_DIGEST_BYTES];
  zg_hash *hash = zg_hash_create();
  zg_hash_add_text(hash, run->digest);
  zg_hash_add_int(hash, run->plan->panel_count);
  zg_hash_add_int(hash, zg_plan_bands(run->plan));
  for (int64_t p = 0; p < run->plan->pass_count; p++)
    zg_hash_add_int(hash, run->plan->passes[p].tasks);
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
  int64_t sent = zg_numbers_sent();
  ZG_TRY(zg_output_create(run, &results));
  zg_team_create(run->comm, run->plan->team_size, &work.team);
  zg_team_create(run->comm, 1, &work.solo);
  work.reader = zg_reader_create(run->zoo);
  zg_status status = compute(&work, results);
  report->bytes_read = zg_reader_bytes(work.reader);
  report->numbers_read = zg_reader_read(work.reader);
  report->numbers_sent = zg_numbers_sent() - sent;
  zg_reader_destroy(&work.reader);
  zg_team_destroy(&work.team);
  zg_team_destroy(&work.solo);
  zg_items_clear(&work.items);
  zg_store_destroy(&work.store);
  zg_triangle_destroy(&work.triangle);
  zg_list_clear(&work.complaints);
  if (status == ZG_OK) status = finish_results(&work, &results);
  zg_state_close(&work.state, status == ZG_OK);
  if (status == ZG_OK) return success(&work);
  zg_results_abandon(&results);
  return status;
}
