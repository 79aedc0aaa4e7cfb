/** \file
 * `zoogram plan`: what `run` would do, from headers alone. */
#include "base/log.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/predict.h"
#include "cli/prepare.h"
#include "linalg/micro.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const zg_flag flags[] = {
    {"--ranks", "P", "number of MPI ranks to plan for (required)"},
    {"--memory-per-rank", "SIZE",
     "memory of a rank, such as 4GiB, where the job does not say"},
    {"--machine", "FILE", "predict the time on this machine (see zoogram calibrate)"},
    {"--json", NULL, "for machines"},
    {NULL, NULL, NULL}};

static zg_status parse_ranks(const char *text, int *ranks) {
  char *end;
  if (!text) return zg_fail(ZG_ERR_USAGE, "zoogram plan: --ranks P is required");
  long value = strtol(text, &end, 10);
  if (*end || end == text || value < 1 || value > 10000000)
    return zg_fail(ZG_ERR_USAGE, "--ranks %s: expected a whole number >= 1", text);
  *ranks = (int)value;
  return ZG_OK;
}

/* As many ranks on a node as this one has cores. */
static int guess_local_ranks(int ranks) {
  int64_t cores = zg_max(1, sysconf(_SC_NPROCESSORS_ONLN));
  return (int)zg_min(ranks, cores);
}

/* What ranks would have on nodes like this one. */
static zg_status suppose_resources(const char *ranks, const char *memory,
                                   zg_resources *resources) {
  *resources = (zg_resources){.ranks = 1, .packed = zg_micro_is_fast()};
  ZG_TRY(parse_ranks(ranks, &resources->ranks));
  resources->local_ranks = guess_local_ranks(resources->ranks);
  resources->memory = zg_memory_limit(resources->local_ranks);
  if (memory && !zg_parse_bytes(memory, &resources->memory))
    return zg_fail(ZG_ERR_USAGE, "--memory-per-rank %s: expected a size such as 4GiB",
                   memory);
  return ZG_OK;
}

static void print_plan(const zg_zoo *zoo, const zg_plan *plan,
                       const zg_prediction *prediction) {
  char *described = zg_describe_zoo(zoo), *text = zg_plan_text(plan);
  char *predicted = zg_prediction_text(prediction, plan);
  printf("zoo   %s\nplan for %d rank%s\n%s\n%s\n", described, plan->ranks,
         plan->ranks == 1 ? "" : "s", text, predicted);
  int64_t megabytes = zg_ceil_div(plan->memory.total * 5 / 4, 1 << 20);
  printf("Slurm\n  #SBATCH --ntasks=%d --cpus-per-task=1 --mem-per-cpu=%lldM\n",
         plan->ranks, (long long)megabytes);
  free(described);
  free(text);
  free(predicted);
}

static void print_json(const zg_plan *plan, const zg_prediction *prediction) {
  json_t *root = zg_plan_json(plan);
  json_t *predicted = prediction->known
                          ? zg_cost_json(&prediction->cost, &prediction->machine)
                          : json_null();
  json_object_set_new(root, "predicted", predicted);
  zg_json_print(root);
}

static zg_status plan_job(const zg_job *job, const zg_resources *resources,
                          const char *machine, bool json) {
  zg_inputs inputs = {0};
  zg_zoo *zoo = NULL;
  zg_plan *plan = NULL;
  zg_prediction prediction;
  zg_prepare_inputs(job, ZG_DEPTH_HEADERS, NULL, &inputs);
  zg_status status = zg_prepare_zoo(&inputs, &zoo);
  if (status == ZG_OK) status = zg_prepare_plan(job, zoo, resources, &plan);
  if (status == ZG_OK) status = zg_predict(machine, plan, &prediction);
  if (status == ZG_OK && json) print_json(plan, &prediction);
  if (status == ZG_OK && !json) print_plan(zoo, plan, &prediction);
  if (status == ZG_OK && inputs.probe.left_out.count) status = ZG_PARTIAL;
  zg_inputs_clear(&inputs);
  zg_plan_destroy(&plan);
  zg_zoo_destroy(&zoo);
  return status;
}

static zg_status execute(const zg_args *args) {
  const char *memory_text = zg_args_get(&zg_command_plan, args, "--memory-per-rank");
  zg_resources resources;
  ZG_TRY(suppose_resources(zg_args_get(&zg_command_plan, args, "--ranks"), memory_text,
                           &resources));
  char *text = NULL;
  zg_job *job = NULL;
  ZG_TRY(zg_log_open(true, true, NULL)); /* for warnings */
  ZG_TRY(zg_job_read(args->operands[0], &text));
  zg_status status = zg_job_parse(args->operands[0], text, &job);
  free(text);
  if (status != ZG_OK) return status;
  if (memory_text) job->memory_per_rank = resources.memory;
  status = plan_job(job, &resources, zg_args_get(&zg_command_plan, args, "--machine"),
                    zg_args_get(&zg_command_plan, args, "--json") != NULL);
  zg_job_destroy(&job);
  zg_log_close();
  return status;
}

const zg_command zg_command_plan = {
    .name = "plan",
    .operands = "JOB.yaml",
    .summary = "show how a job would be run: teams, tiles, memory, time; reads headers "
               "only",
    .least_operands = 1,
    .most_operands = 1,
    .flags = flags,
    .execute = execute};
