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

/* That a shard has done its share is all that is wanted of it. */
static zg_status run_pass(zg_form_fn *form, zg_work *work, int64_t p,
                          zg_results *results) {
  zg_status status = form(work, p, results);
  return status == ZG_SHARE_DONE ? ZG_OK : status;
}

static zg_status run_passes(zg_work *work, zg_results *results) {
  static zg_form_fn *const forms[] = {[ZG_FORM_TANGENT] = zg_tangent_run,
                                      [ZG_FORM_VECTOR] = zg_vector_run,
                                      [ZG_FORM_PROFILE] = zg_profile_run,
                                      [ZG_FORM_PAIR] = zg_pair_run};
  const zg_plan *plan = work->run->plan;
  for (int64_t p = 0; p < plan->pass_count; p++)
    if (plan->passes[p].spec.form == ZG_FORM_GRAM)
      ZG_TRY(run_pass(zg_gram_run, work, p, results));
  zg_store_destroy(&work->store); /* room for the others */
  for (int64_t p = 0; p < plan->pass_count; p++)
    if (plan->passes[p].spec.form != ZG_FORM_GRAM)
      ZG_TRY(run_pass(forms[plan->passes[p].spec.form], work, p, results));
  return ZG_OK;
}

static zg_status finish_output(zg_work *work, zg_results **results) {
  zg_phase_start(work, ZG_PHASE_WRITE);
  zg_status status =
      work->run->part ? zg_state_leave(work->state) : zg_results_finish(results);
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

/* How a pass is cut into tasks. */
static void add_tasks(zg_hash *hash, const zg_pass *pass) {
  zg_hash_add_int(hash, pass->tasks);
  zg_hash_add_int(hash, pass->by_features);
  zg_hash_add_int(hash, pass->piece);
  for (int64_t g = 0; g < pass->group_count; g++)
    zg_hash_add_int(hash, pass->groups[g].piece);
}

/* Sums of tasks are of use only to a run with the same tasks. */
static zg_status open_state(zg_work *work) {
  const zg_run *run = work->run;
  const zg_plan *plan = run->plan;
  char digest[ZG_DIGEST_BYTES];
  zg_hash *hash = zg_hash_create();
  zg_hash_add_text(hash, run->digest);
  zg_hash_add_int(hash, plan->panel_count);
  zg_hash_add_int(hash, zg_plan_bands(plan));
  zg_hash_add_int(hash, plan->tile);
  zg_hash_add_int(hash, plan->packed); /* decides where panels begin */
  for (int64_t p = 0; p < plan->pass_count; p++)
    add_tasks(hash, &plan->passes[p]);
  zg_hash_finish(&hash, digest);
  if (run->part_count)
    return zg_state_open_parts(run->comm, run->output, digest, run->parts,
                               run->part_count, &work->state);
  ZG_TRY(zg_state_open(run->comm, run->output, digest, run->checkpoint, run->restart,
                       &work->state));
  if (run->part) zg_state_share(work->state, run->part);
  return ZG_OK;
}

static zg_status compute(zg_work *work, zg_results *results) {
  ZG_TRY(open_state(work));
  return run_passes(work, results);
}

zg_status zg_engine_run(const zg_run *run, zg_report *report) {
  zg_work work = {.run = run, .report = report};
  zg_results *results = NULL;
  int64_t sent = zg_numbers_sent();
  if (!run->part) ZG_TRY(zg_output_create(run, &results));
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
  if (status == ZG_OK) status = finish_output(&work, &results);
  zg_state_close(&work.state, status == ZG_OK);
  if (status == ZG_OK) return success(&work);
  zg_results_abandon(&results);
  return status;
}
