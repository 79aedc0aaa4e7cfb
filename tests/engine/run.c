#include "engine/run.h"

#include "base/memory.h"
#include "linalg/micro.h"
#include "mpi_main.h"

#include <stdio.h>
#include <stdlib.h>

static void set(zg_call *call, const char *option, const char *value) {
  int64_t k = zg_option_find(call->measure, option);
  ZG_REQUIRE(k >= 0 && !zg_option_parse(call, k, value));
}

zg_call zg_test_call(const char *measure, const char *kernel, const char *estimator,
                     int batch) {
  zg_call call = {0};
  char text[32], name[128];
  zg_call_defaults(&call, zg_measure_find(measure));
  set(&call, "kernel", kernel);
  set(&call, "estimator", estimator);
  snprintf(text, sizeof text, "%d", batch);
  set(&call, "batch", text);
  snprintf(name, sizeof name, "%s-%s-%s", measure, kernel, estimator);
  call.name = zg_strdup(name);
  return call;
}

void zg_test_call_clear(zg_call *call) {
  free(call->name);
  *call = (zg_call){0};
}

static bool never(void) {
  return false;
}

static void force_tiles(const zg_test_job *job, zg_plan *plan) {
  plan->tile = job->tile;
  plan->panel_count = zg_ceil_div(plan->samples, job->tile);
  plan->panels_kept = job->panels;
  plan->panel_room = (int64_t)1 << 40; /* for as many as are wanted */
  plan->resident = false;
  for (int64_t p = 0; p < plan->pass_count; p++)
    plan->passes[p].tasks = zg_plan_tiles(plan, &plan->passes[p]);
}

/* With all the memory there is, or just enough for several tiles. */
static zg_status make_plan(const zg_test_job *job, zg_request *request,
                           zg_plan **plan) {
  request->memory = job->memory ? job->memory : (int64_t)16 << 30;
  ZG_TRY(zg_plan_create(request, plan));
  while (job->small_tiles && (*plan)->panel_count < 3) {
    request->memory = zg_min(request->memory - 1, (*plan)->memory.total - 1);
    zg_plan_destroy(plan);
    ZG_TRY(zg_plan_create(request, plan));
  }
  if (job->tile) force_tiles(job, *plan);
  if (job->bands) (*plan)->band_numbers = (*plan)->items * (*plan)->items / job->bands;
  for (int64_t p = 0; p < (*plan)->pass_count; p++)
    (*plan)->passes[p].once =
        job->once && (*plan)->passes[p].by_features && request->packed;
  return ZG_OK;
}

static zg_status carry_out(const zg_test_job *job, const zg_zoo *zoo,
                           const zg_plan *plan, MPI_Comm comm) {
  static const zg_attribute attributes[] = {
      {.name = "format", .text = "zoogram-results"},
      {.name = "complete", .number = 0, .integer = true},
      {.name = NULL}};
  zg_run run = {.comm = comm,
                .zoo = zoo,
                .plan = plan,
                .calls = job->calls,
                .call_count = job->call_count,
                .output = job->output,
                .digest = "the job of a test",
                .checkpoint = job->checkpoint > 0 ? job->checkpoint : 3600,
                .attributes = attributes,
                .should_stop = job->should_stop ? job->should_stop : never,
                .part = job->part,
                .parts = job->parts,
                .part_count = job->part_count,
                .keep_shares = job->keep_shares};
  zg_report report = {0};
  zg_status status = zg_engine_run(&run, &report);
  if (job->report) *job->report = report;
  return status;
}

static zg_status run_on(const zg_test_job *job, MPI_Comm comm) {
  zg_list paths = {0};
  zg_zoo *zoo = NULL;
  int ranks;
  MPI_Comm_size(comm, &ranks);
  zg_list_add(&paths, job->zoo);
  zg_status status = zg_zoo_open(&paths, NULL, &zoo);
  zg_list_clear(&paths);
  if (status != ZG_OK) return status;
  zg_request request = {.zoo = zoo,
                        .calls = job->calls,
                        .call_count = job->call_count,
                        .precision = job->precision,
                        .ranks = ranks,
                        .team_size = job->team_size,
                        .packed = zg_micro_is_fast()};
  zg_plan *plan = NULL;
  status = make_plan(job, &request, &plan);
  if (status == ZG_OK) status = carry_out(job, zoo, plan, comm);
  zg_plan_destroy(&plan);
  zg_zoo_destroy(&zoo);
  return status;
}

zg_status zg_test_engine_run(const zg_test_job *job) {
  MPI_Comm comm = zg_test_some_ranks(job->ranks ? job->ranks : zg_test_ranks());
  bool part = comm != MPI_COMM_NULL;
  int status = (int)(part ? run_on(job, comm) : ZG_OK);
  if (part) MPI_Comm_free(&comm);
  MPI_Bcast(&status, 1, MPI_INT, 0, MPI_COMM_WORLD);
  return (zg_status)status;
}
