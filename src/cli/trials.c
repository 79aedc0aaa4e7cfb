#include "cli/trials.h"

#include "base/clock.h"
#include "base/memory.h"
#include "cli/environment.h"
#include "cli/prepare.h"
#include "cli/synthetic.h"
#include "engine/engine.h"
#include "plan/calibration.h"
#include "zoo/digest.h"
#include "zoo/exchange.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A run on part of the data. */
typedef struct trial {
  const char *layers, *models; /* patterns; of layers or of models */
  int64_t samples;             /* the first so many; 0: all */
  const char *measure, *kernel;
  zg_precision precision;
  bool team; /* all ranks as one */
} trial;

typedef enum trial_name {
  IDLE,
  WIDE,
  SLIM,
  MANY,
  WIDE_RBF,
  SLIM_RBF,
  TWICE,
  TEAM_WIDE,
  TEAM_SLIM,
  TEAM_RBF,
  FEATURES,
  FEW_VECTORS,
  MANY_VECTORS,
  TANGENT,
  TRIALS
} trial_name;

/* What a rate is found from differs as much as that takes: wide layers for their flop,
 * many for their products, slim ones for what entries cost beside. */
static const trial trials[TRIALS] = {
    [IDLE] = {.layers = "many00[0-3]", .samples = 64, .measure = "cka"},
    [WIDE] = {.layers = "wide00?", .measure = "cka"},
    [SLIM] = {.layers = "slim*", .measure = "cka"},
    [MANY] = {.layers = "many*", .measure = "cka"},
    [WIDE_RBF] = {.layers = "wide*", .measure = "cka", .kernel = "rbf"},
    [SLIM_RBF] = {.layers = "slim*", .measure = "cka", .kernel = "rbf"},
    [TWICE] = {.layers = "slim*", .measure = "cka", .precision = ZG_DOUBLE},
    [TEAM_WIDE] = {.layers = "wide00?", .measure = "cka", .team = true},
    [TEAM_SLIM] = {.layers = "slim*", .measure = "cka", .team = true},
    [TEAM_RBF] = {.layers = "wide00?", .measure = "cka", .kernel = "rbf", .team = true},
    [FEATURES] = {.layers = "long*", .measure = "cka"},
    [FEW_VECTORS] = {.models = "w00[0-3]", .measure = "weight_frobenius"},
    [MANY_VECTORS] = {.models = "w*", .measure = "weight_frobenius"},
    [TANGENT] = {.models = "w00[01]", .measure = "ntk_distance"},
};

/* Rates that are found together from some trials. */
typedef struct fit {
  unsigned trials, parts; /* bits */
  zg_rate rates[2];
  int64_t count;
} fit;

#define BIT(k) (1u << (k))
#define FORMING (BIT(ZG_COST_FORM) | BIT(ZG_COST_KERNEL))
#define LINEAR (BIT(WIDE) | BIT(SLIM) | BIT(MANY))
#define TEAMS (BIT(TEAM_WIDE) | BIT(TEAM_SLIM))

/* In this order: later ones build on earlier ones. */
static const fit fits[] = {
    {LINEAR, FORMING, {ZG_RATE_FORM_SINGLE, ZG_RATE_KERNEL_LINEAR}, 2},
    {BIT(WIDE_RBF) | BIT(SLIM_RBF), FORMING, {ZG_RATE_KERNEL_RBF}, 1},
    {BIT(TWICE), FORMING, {ZG_RATE_FORM_DOUBLE}, 1},
    {TEAMS, FORMING, {ZG_RATE_FORM_TEAM}, 1},
    {LINEAR, BIT(ZG_COST_REDUCE), {ZG_RATE_REDUCE_SINGLE, ZG_RATE_REDUCE_ENTRIES}, 2},
    {BIT(TWICE), BIT(ZG_COST_REDUCE), {ZG_RATE_REDUCE_DOUBLE}, 1},
    {TEAMS, BIT(ZG_COST_REDUCE), {ZG_RATE_REDUCE_TEAM}, 1},
    {BIT(FEATURES), BIT(ZG_COST_REDUCE), {ZG_RATE_FEATURES}, 1},
    {BIT(FEW_VECTORS) | BIT(MANY_VECTORS),
     BIT(ZG_COST_REDUCE),
     {ZG_RATE_VECTORS, ZG_RATE_VECTOR_NUMBERS},
     2},
    {BIT(TANGENT), FORMING | BIT(ZG_COST_REDUCE), {ZG_RATE_TANGENT}, 1},
    {LINEAR | BIT(WIDE_RBF) | BIT(SLIM_RBF) | BIT(FEATURES),
     BIT(ZG_COST_READ),
     {ZG_RATE_READ_RANK, ZG_RATE_READ_PIECE},
     2},
    {BIT(FEW_VECTORS) | BIT(MANY_VECTORS),
     BIT(ZG_COST_READ),
     {ZG_RATE_READ_VECTORS},
     1},
    {BIT(MANY), BIT(ZG_COST_COMBINE), {ZG_RATE_COMBINE}, 1},
    {BIT(MANY), BIT(ZG_COST_WRITE), {ZG_RATE_WRITE_TOTAL}, 1},
};

/* What a trial has shown; a search for medians forms tiles, which is part of its own
 * time. */
typedef struct outcome {
  zg_observation run;
  double wall, sample, search;
} outcome;

typedef struct laboratory {
  MPI_Comm comm;
  int rank, ranks;
  zg_resources resources;
  char *zoo, *output;
  outcome outcomes[TRIALS];
  double header; /* seconds per array */
} laboratory;

/* ---- one run ---- */

/* The engine asks between tiles whether to stop, which shows what had been done before
 * the first product: the search for medians. */
static const zg_report *watched;
static double before_products;

static bool watch(void) {
  const zg_timer *phases = watched->phases;
  if (!(phases[ZG_PHASE_REDUCE].total > 0))
    before_products = phases[ZG_PHASE_FORM].total + phases[ZG_PHASE_KERNEL].total;
  return zg_should_stop();
}

static void observe(const zg_report *report, bool medians, double wall, outcome *o) {
  static const zg_cost_part part_of[ZG_PHASES] = {
      [ZG_PHASE_READ] = ZG_COST_READ,     [ZG_PHASE_MEDIAN] = ZG_COST_MEDIAN,
      [ZG_PHASE_FORM] = ZG_COST_FORM,     [ZG_PHASE_KERNEL] = ZG_COST_KERNEL,
      [ZG_PHASE_REDUCE] = ZG_COST_REDUCE, [ZG_PHASE_COMBINE] = ZG_COST_COMBINE,
      [ZG_PHASE_WRITE] = ZG_COST_WRITE};
  double *seconds = o->run.seconds, rest = wall;
  for (int p = 0; p < ZG_PHASES; p++) {
    seconds[part_of[p]] += report->phases[p].total;
    rest -= report->phases[p].total;
  }
  /* What no phase claims lies between them. */
  seconds[ZG_COST_COMBINE] += fmax(0, rest);
  o->wall = wall;
  o->sample = seconds[ZG_COST_MEDIAN];
  o->search = medians ? before_products : 0;
  /* Forming and kernels are looked at together. */
  seconds[ZG_COST_FORM] -= o->search;
}

/* The outcome of the rank that was busiest, on all ranks. */
static void share_busiest(const laboratory *l, outcome *o) {
  struct {
    double seconds;
    int rank;
  } mine = {.rank = l->rank}, most;
  for (int p = ZG_COST_MEDIAN; p <= ZG_COST_REDUCE; p++)
    mine.seconds += o->run.seconds[p];
  MPI_Allreduce(&mine, &most, 1, MPI_DOUBLE_INT, MPI_MAXLOC, l->comm);
  MPI_Bcast(o, (int)sizeof *o, MPI_BYTE, most.rank, l->comm);
}

static zg_status compute(const laboratory *l, const zg_zoo *zoo, const zg_plan *plan,
                         const zg_call *call, outcome *o) {
  static const zg_attribute attributes[] = {
      {.name = "format", .text = "zoogram-results"},
      {.name = "complete", .number = 0, .integer = true},
      {.name = NULL}};
  const zg_run run = {.comm = l->comm,
                      .zoo = zoo,
                      .plan = plan,
                      .calls = call,
                      .call_count = 1,
                      .output = l->output,
                      .digest = "calibration",
                      .checkpoint = 3600,
                      .restart = true,
                      .attributes = attributes,
                      .should_stop = watch};
  zg_report report = {0};
  watched = &report;
  before_products = 0;
  MPI_Barrier(l->comm);
  double start = zg_clock();
  ZG_TRY(zg_engine_run(&run, &report));
  const zg_pass *pass = &plan->passes[0];
  bool medians = pass->spec.form == ZG_FORM_GRAM && zg_plan_searches(pass);
  *o = (outcome){.run.amounts = zg_plan_amounts(plan)};
  observe(&report, medians, zg_clock() - start, o);
  share_busiest(l, o);
  if (l->rank == 0) unlink(l->output);
  return ZG_OK;
}

/* ---- preparing one ---- */

static zg_status open_zoo(const laboratory *l, const trial *t, zg_call *call,
                          zg_zoo **zoo) {
  zg_list paths = {0};
  zg_select select = {.samples = t->samples};
  zg_list_add(&paths, l->zoo);
  if (t->layers) zg_list_add(&select.layers, t->layers);
  if (t->models) zg_list_add(&select.models, t->models);
  select.data = call->measure->reads(call);
  zg_status status = l->rank == 0 ? zg_zoo_open(&paths, &select, zoo) : ZG_OK;
  zg_list_clear(&paths);
  zg_list_clear(&select.layers);
  zg_list_clear(&select.models);
  ZG_TRY(zg_agree(l->comm, status));
  zg_zoo_broadcast(l->comm, zoo);
  return ZG_OK;
}

static void make_call(const trial *t, zg_call *call) {
  zg_call_defaults(call, zg_measure_find(t->measure));
  call->name = zg_strdup("trial");
  if (t->kernel)
    ZG_REQUIRE(
        !zg_option_parse(call, zg_option_find(call->measure, "kernel"), t->kernel));
}

static zg_status run_opened(const laboratory *l, const trial *t, const zg_zoo *zoo,
                            const zg_call *call, outcome *o) {
  const zg_request request = {.zoo = zoo,
                              .calls = call,
                              .call_count = 1,
                              .precision = t->precision,
                              .ranks = l->ranks,
                              .team_size = t->team ? -1 : 1,
                              .memory = l->resources.memory,
                              .packed = l->resources.packed,
                              .local_ranks = l->resources.local_ranks};
  zg_plan *plan = NULL;
  zg_status status = zg_plan_create(&request, &plan);
  if (status == ZG_OK) status = compute(l, zoo, plan, call, o);
  zg_plan_destroy(&plan);
  return status;
}

/* The quicker of two runs: the first also warms up. */
static zg_status run_trial(const laboratory *l, const trial *t, outcome *o) {
  enum { REPEATS = 2 };
  zg_call call = {0};
  zg_zoo *zoo = NULL;
  make_call(t, &call);
  zg_status status = open_zoo(l, t, &call, &zoo);
  for (int k = 0; status == ZG_OK && k < REPEATS; k++) {
    outcome again;
    status = run_opened(l, t, zoo, &call, &again);
    if (status == ZG_OK && (k == 0 || again.wall < o->wall)) *o = again;
  }
  zg_zoo_destroy(&zoo);
  free(call.name);
  return status;
}

/* ---- all of them ---- */

/* The tiles of every rank should be several, so that one more or less counts little. */
static zg_status write_data(const laboratory *l) {
  int64_t panels = zg_max(12, (int64_t)(4 * sqrt(l->ranks))), n = 192 * panels;
  const zg_synthetic arrays[] = {
      {.name = "wide", .count = 16, .n = n, .d = 512},
      {.name = "slim", .count = 64, .n = n, .d = 32},
      {.name = "many", .count = 512, .n = n / 3, .d = 8},
      {.name = "long", .count = 12, .n = 16 * n, .d = 32},
      {.name = "w", .count = 32, .n = 1000, .d = 500, .models = true},
      {.name = NULL}};
  return l->rank == 0 ? zg_synthetic_write(l->zoo, arrays, 1024) : ZG_OK;
}

/* What a catalogue takes. */
static zg_status time_headers(laboratory *l) {
  zg_call call = {0};
  zg_zoo *zoo = NULL;
  make_call(&trials[MANY], &call);
  double start = zg_clock();
  zg_status status = open_zoo(l, &trials[MANY], &call, &zoo);
  if (status == ZG_OK) status = zg_zoo_digest(l->comm, zoo, false);
  double seconds = zg_clock() - start;
  zg_broadcast(l->comm, &seconds, sizeof seconds);
  if (status == ZG_OK) l->header = seconds / (double)zoo->array_count;
  zg_zoo_destroy(&zoo);
  free(call.name);
  return status;
}

static zg_status run_all(laboratory *l) {
  ZG_TRY(zg_agree(l->comm, write_data(l)));
  ZG_TRY(time_headers(l));
  for (int t = 0; t < TRIALS; t++)
    if (l->ranks > 1 || !trials[t].team)
      ZG_TRY(run_trial(l, &trials[t], &l->outcomes[t]));
  return ZG_OK;
}

/* What any run takes is in `start` already. */
static void subtract_idle(laboratory *l) {
  static const zg_cost_part parts[] = {ZG_COST_COMBINE, ZG_COST_WRITE};
  const double *idle = l->outcomes[IDLE].run.seconds;
  for (int t = IDLE + 1; t < TRIALS; t++)
    for (int k = 0; k < 2; k++) {
      double *seconds = &l->outcomes[t].run.seconds[parts[k]];
      *seconds = fmax(0, *seconds - idle[parts[k]]);
    }
}

/* Trials with medians, of which only some rates are looked at. */
static void fit_search(const laboratory *l, const trial_name *names, int64_t name_count,
                       bool sample, const zg_rate *rates, int64_t count,
                       zg_machine *machine) {
  zg_observation runs[TRIALS] = {0};
  for (int64_t k = 0; k < name_count; k++) {
    const outcome *o = &l->outcomes[names[k]];
    runs[k].amounts = o->run.amounts;
    if (!sample) runs[k].amounts.of[ZG_RATE_MEDIAN_SAMPLE] = 0;
    runs[k].seconds[ZG_COST_MEDIAN] = sample ? o->sample : o->search;
  }
  zg_calibrate_rates(runs, name_count, BIT(ZG_COST_MEDIAN), rates, count, machine);
}

/* The sample comes first, while the rates of the search are not known. */
static void fit_medians(const laboratory *l, zg_machine *machine) {
  static const trial_name alone[] = {WIDE_RBF, SLIM_RBF}, team[] = {TEAM_RBF};
  static const zg_rate sample[] = {ZG_RATE_MEDIAN_SAMPLE};
  static const zg_rate search[] = {ZG_RATE_MEDIAN_FORM, ZG_RATE_MEDIAN_ENTRIES};
  static const zg_rate together[] = {ZG_RATE_MEDIAN_TEAM};
  fit_search(l, alone, 2, true, sample, 1, machine);
  fit_search(l, alone, 2, false, search, 2, machine);
  fit_search(l, team, 1, false, together, 1, machine);
}

static void fit_all(laboratory *l, zg_machine *machine) {
  subtract_idle(l);
  for (size_t f = 0; f < sizeof fits / sizeof *fits; f++) {
    zg_observation runs[TRIALS];
    int64_t count = 0;
    for (int t = 0; t < TRIALS; t++)
      if (fits[f].trials >> t & 1) runs[count++] = l->outcomes[t].run;
    zg_calibrate_rates(runs, count, fits[f].parts, fits[f].rates, fits[f].count,
                       machine);
  }
  fit_medians(l, machine);
  machine->rates[ZG_RATE_HEADER] = l->header;
  machine->rates[ZG_RATE_START] += l->outcomes[IDLE].wall;
  /* From memory the ranks do not hinder one another much. */
  double fastest =
      fmax(machine->rates[ZG_RATE_READ_RANK], machine->rates[ZG_RATE_READ_VECTORS]);
  machine->rates[ZG_RATE_READ_TOTAL] = l->ranks * fastest;
}

zg_status zg_trials_run(MPI_Comm comm, const char *directory, zg_machine *machine) {
  laboratory *l = ZG_NEW0(laboratory, 1);
  l->comm = comm;
  MPI_Comm_rank(comm, &l->rank);
  MPI_Comm_size(comm, &l->ranks);
  l->resources = zg_prepare_resources(comm);
  l->zoo = zg_path_join(directory, "zoo.h5");
  l->output = zg_path_join(directory, "results.h5");
  zg_status status = run_all(l);
  if (status == ZG_OK) fit_all(l, machine);
  free(l->zoo);
  free(l->output);
  free(l);
  return status;
}
