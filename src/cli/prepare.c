#include "cli/prepare.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/watchdog.h"
#include "linalg/micro.h"

#include <math.h>

static bool pairs_rows(const zg_job *job) {
  for (int64_t k = 0; k < job->call_count; k++)
    if (zg_call_pairs_rows(&job->calls[k])) return true;
  return false;
}

/* The data that the job's measures read, as a bit mask. */
static uint32_t data_read(const zg_job *job) {
  uint32_t mask = 0;
  for (int64_t k = 0; k < job->call_count; k++)
    mask |= job->calls[k].measure->reads(&job->calls[k]);
  return mask;
}

/* What the job takes from its zoo; borrows the job's lists. */
static zg_select selection_of(const zg_job *job) {
  zg_select select = job->select;
  select.data = data_read(job);
  return select;
}

/* What the measures of the job need of the zoo. */
static zg_status check_zoo(const zg_job *job, const zg_select *select,
                           const zg_zoo *zoo) {
  const uint32_t tangent = ZG_DATA_BIT(ZG_NTK_SIGNAL);
  ZG_TRY(pairs_rows(job) ? zg_zoo_check_paired(zoo) : zg_zoo_check_samples(zoo));
  return select->data & tangent ? zg_zoo_check_tangent(zoo) : ZG_OK;
}

void zg_prepare_inputs(const zg_job *job, zg_depth depth, bool (*should_stop)(void),
                       zg_inputs *inputs) {
  zg_list paths = {0};
  zg_select select = selection_of(job);
  zg_status status = zg_zoo_expand(&job->zoo, job->directory, &paths);
  if (status == ZG_OK)
    status = zg_zoo_probe(&paths, &select, depth, should_stop, &inputs->probe);
  if (status == ZG_OK)
    status = zg_zoo_open(&inputs->probe.sound, &select, &inputs->zoo);
  if (status == ZG_OK) status = check_zoo(job, &select, inputs->zoo);
  zg_list_clear(&paths);
  inputs->tried = true;
  inputs->status = status;
  snprintf(inputs->message, sizeof inputs->message, "%s", zg_message());
}

void zg_inputs_clear(zg_inputs *inputs) {
  zg_probe_clear(&inputs->probe);
  zg_zoo_destroy(&inputs->zoo);
  *inputs = (zg_inputs){0};
}

zg_status zg_prepare_zoo(zg_inputs *inputs, zg_zoo **zoo) {
  const zg_probe *probe = &inputs->probe;
  for (int64_t k = 0; probe->sound.count && k < probe->left_out.count; k++)
    zg_warn("%s: left out with its models: reading it %s", probe->left_out.items[k],
            probe->reasons.items[k]);
  if (inputs->status != ZG_OK) return zg_fail(inputs->status, "%s", inputs->message);
  *zoo = inputs->zoo;
  inputs->zoo = NULL;
  return ZG_OK;
}

zg_status zg_prepare_plan(const zg_job *job, const zg_zoo *zoo,
                          const zg_resources *resources, zg_plan **plan) {
  zg_request request = {.zoo = zoo,
                        .calls = job->calls,
                        .call_count = job->call_count,
                        .precision = job->double_precision ? ZG_DOUBLE : ZG_SINGLE,
                        .ranks = resources->ranks,
                        .team_size = job->team_size,
                        .memory = job->memory_per_rank ? job->memory_per_rank
                                                       : resources->memory,
                        .packed = resources->packed,
                        .local_ranks = resources->local_ranks};
  return zg_plan_create(&request, plan);
}

zg_resources zg_prepare_resources(MPI_Comm comm) {
  ZG_WAIT;
  zg_resources r = {.local_ranks = zg_local_ranks(comm),
                    .packed = !zg_any(comm, !zg_micro_is_fast())};
  r.nodes = (int)lround(zg_rank_stat_of(comm, 1.0 / r.local_ranks).sum);
  MPI_Comm_size(comm, &r.ranks);
  r.memory = zg_memory_limit(r.local_ranks) / 10 * 9;
  MPI_Allreduce(MPI_IN_PLACE, &r.memory, 1, MPI_INT64_T, MPI_MIN, comm);
  MPI_Allreduce(MPI_IN_PLACE, &r.local_ranks, 1, MPI_INT, MPI_MIN, comm);
  if (!r.packed) zg_micro_use(ZG_ISA_C);
  return r;
}

static void add_count(zg_text *text, const char *before, int64_t count,
                      const char *noun) {
  zg_text_add(text, "%s%lld %s%s", before, (long long)count, noun,
              count == 1 ? "" : "s");
}

/* Samples, widths and types of the layers. */
static void describe_layers(zg_text *text, const zg_zoo *zoo) {
  int64_t least = INT64_MAX, most = 0, fewest = INT64_MAX, rows = 0;
  bool used[ZG_OTHER_NUMBER + 1] = {false};
  for (int64_t k = 0; k < zoo->layer_count; k++) {
    least = zg_min(least, zoo->arrays[k].d);
    most = zg_max(most, zoo->arrays[k].d);
    fewest = zg_min(fewest, zg_zoo_rows(zoo, &zoo->arrays[k]));
    rows = zg_max(rows, zg_zoo_rows(zoo, &zoo->arrays[k]));
    used[zoo->arrays[k].dtype] = true;
  }
  zg_text_add(text, ", n = %lld", (long long)fewest);
  if (fewest < rows) zg_text_add(text, " to %lld", (long long)rows);
  if (least == most)
    zg_text_add(text, ", width %lld", (long long)most);
  else
    zg_text_add(text, ", widths %lld to %lld", (long long)least, (long long)most);
  const char *separator = ", ";
  for (int t = 0; t <= ZG_OTHER_NUMBER; t++)
    if (used[t]) {
      zg_text_add(text, "%s%s", separator, zg_dtype_name((zg_dtype)t));
      separator = " and ";
    }
}

char *zg_describe_zoo(const zg_zoo *zoo) {
  zg_text text = {0};
  if (zoo->layer_count) add_count(&text, "", zoo->layer_count, "layer");
  add_count(&text, zoo->layer_count ? " of " : "", zoo->model_count, "model");
  add_count(&text, " in ", zoo->file_count, "file");
  if (zoo->layer_count) describe_layers(&text, zoo);
  for (int data = ZG_ACTIVATIONS + 1; data < ZG_DATA; data++) {
    int64_t count = zoo->first[data + 1] - zoo->first[data];
    if (count)
      zg_text_add(&text, "; %s %lld", zg_data_name((zg_data)data), (long long)count);
  }
  return text.data;
}
