/** \file
 * Plans for zoos that exist only as catalogues, small ones and the largest. */
#include "base/memory.h"
#include "mpi_main.h"
#include "plan/cost.h"
#include "plan/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t GiB = (int64_t)1 << 30;

/* ---- virtual zoos and calls ---- */

static zg_zoo make_zoo(int64_t layers, int64_t n, int64_t d) {
  zg_zoo zoo = {.arrays = ZG_NEW0(zg_array, layers), .layer_count = layers};
  for (int64_t k = 0; k < layers; k++)
    zoo.arrays[k] = (zg_array){.n = n, .d = d, .dtype = ZG_FLOAT32};
  return zoo;
}

static zg_call make_call(const char *measure, const char *kernel, const char *estimator,
                         const char *batch) {
  const struct {
    const char *option, *value;
  } values[] = {{"kernel", kernel}, {"estimator", estimator}, {"batch", batch}};
  zg_call call = {0};
  zg_call_defaults(&call, zg_measure_find(measure));
  for (int k = 0; k < 3; k++)
    CU_ASSERT_PTR_NULL(zg_option_parse(
        &call, zg_option_find(call.measure, values[k].option), values[k].value));
  return call;
}

enum { CALLS = 3 };

/* Calls of every kind: a linear pass, an RBF one, batches. */
static void make_calls(zg_call calls[CALLS]) {
  calls[0] = make_call("cka", "linear", "debiased", "256");
  calls[1] = make_call("cka", "rbf", "biased", "256");
  calls[2] = make_call("hsic", "rbf", "minibatch", "100");
}

static zg_request request_of(const zg_zoo *zoo, const zg_call *calls, int64_t count) {
  return (zg_request){.zoo = zoo,
                      .calls = calls,
                      .call_count = count,
                      .precision = ZG_SINGLE,
                      .ranks = 1,
                      .team_size = 1,
                      .memory = 4 * GiB};
}

static zg_plan *plan_of(const zg_request *request) {
  zg_plan *plan = NULL;
  zg_status status = zg_plan_create(request, &plan);
  if (status != ZG_OK) printf("\n%s\n", zg_message());
  CU_ASSERT_EQUAL_FATAL(status, ZG_OK);
  return plan;
}

/* ---- what holds for every plan ---- */

static void check_memory(const zg_plan *plan, int64_t limit) {
  const zg_memory *m = &plan->memory;
  const int64_t parts[] = {m->program, m->reading, m->panels,
                           m->tiles,   m->sums,    m->sides};
  int64_t total = 0;
  for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
    CU_ASSERT(parts[k] >= 0);
    total += parts[k];
  }
  CU_ASSERT_EQUAL(m->total, total);
  CU_ASSERT(m->total <= limit);
  CU_ASSERT_EQUAL(plan->memory_limit, limit);
}

static void check_tiles(const zg_plan *plan) {
  CU_ASSERT(plan->tile >= 1 && plan->tile <= plan->samples);
  CU_ASSERT(plan->panel_count * plan->tile >= plan->samples);
  CU_ASSERT((plan->panel_count - 1) * plan->tile < plan->samples);
  /* the panels are nearly equal runs: none of them larger than a tile */
  CU_ASSERT(zg_part(plan->samples, plan->panel_count, 1) <= plan->tile);
  CU_ASSERT(plan->panels_kept >= 2 || plan->panels_kept == plan->panel_count);
  CU_ASSERT(plan->largest_tile >= plan->tile);
}

static void check_teams(const zg_plan *plan, int ranks) {
  CU_ASSERT_EQUAL(plan->ranks, ranks);
  CU_ASSERT(plan->teams >= 1 && plan->team_size >= 1);
  CU_ASSERT_EQUAL(plan->teams * plan->team_size + plan->idle, ranks);
  CU_ASSERT(plan->idle >= 0 && plan->idle < plan->team_size);
}

/* Panels that a node keeps need their norms besides, the last as many as the others: a
 * rank with less room would not have all of them at hand. */
static void check_panels(const zg_plan *plan) {
  int64_t rows = plan->panel_count * plan->tile;
  if (plan->resident)
    CU_ASSERT(plan->panel_room >= plan->items * rows * (int64_t)sizeof(double));
}

static void check_plan(const zg_plan *plan, const zg_request *request) {
  check_memory(plan, request->memory);
  check_tiles(plan);
  check_teams(plan, request->ranks);
  check_panels(plan);
  CU_ASSERT(isfinite(plan->flop) && plan->flop > 0);
  CU_ASSERT(isfinite(plan->bytes) && plan->bytes > 0);
}

static void plans_fit_their_memory(void) {
  static const int64_t samples[] = {4, 5, 50, 600, 10000, 100000};
  static const int64_t layers[] = {1, 7, 500};
  zg_call calls[CALLS];
  make_calls(calls);
  for (int s = 0; s < 6; s++)
    for (int l = 0; l < 3; l++)
      for (int64_t team = -1; team <= 3; team++) {
        zg_zoo zoo = make_zoo(layers[l], samples[s], 33);
        zg_request request = request_of(&zoo, calls, CALLS);
        request.ranks = 7;
        request.team_size = team;
        zg_plan *plan = plan_of(&request);
        check_plan(plan, &request);
        zg_plan_destroy(&plan);
        CU_ASSERT_PTR_NULL(plan);
        free(zoo.arrays);
      }
}

/* ---- tiles ---- */

static void tiles_of_one_rank_teams_do_not_depend_on_the_ranks(void) {
  static const int64_t samples[] = {4, 50, 97, 600, 5000};
  zg_call calls[CALLS];
  make_calls(calls);
  for (int s = 0; s < 5; s++) {
    zg_zoo zoo = make_zoo(20, samples[s], 64);
    zg_request request = request_of(&zoo, calls, CALLS);
    zg_plan *first = plan_of(&request);
    for (request.ranks = 2; request.ranks <= 64; request.ranks++) {
      zg_plan *plan = plan_of(&request);
      CU_ASSERT(plan->tile == first->tile && plan->panel_count == first->panel_count);
      CU_ASSERT(plan->teams == request.ranks && plan->idle == 0);
      zg_plan_destroy(&plan);
    }
    zg_plan_destroy(&first);
    free(zoo.arrays);
  }
}

/* Take memory away until there is no plan any more. */
static void check_shrinking(int64_t team, int ranks) {
  zg_call calls[CALLS];
  make_calls(calls);
  zg_zoo zoo = make_zoo(100, 20000, 512);
  zg_request request = request_of(&zoo, calls, CALLS);
  request.ranks = ranks;
  request.team_size = team;
  zg_plan *plan;
  int64_t last = INT64_MAX, sizes = 0;
  for (request.memory = 64 * GiB;; request.memory = request.memory / 50 * 49) {
    zg_status status = zg_plan_create(&request, &plan);
    if (status != ZG_OK) {
      CU_ASSERT_EQUAL(status, ZG_ERR_SYSTEM);
      break;
    }
    check_plan(plan, &request);
    CU_ASSERT(plan->tile <= last);
    sizes += plan->tile < last;
    last = plan->tile;
    zg_plan_destroy(&plan);
  }
  CU_ASSERT_PTR_NULL(plan);
  CU_ASSERT(sizes >= 3);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "memory"));
  free(zoo.arrays);
}

static void less_memory_gives_smaller_tiles_until_none_fits(void) {
  check_shrinking(1, 1);
  check_shrinking(1, 4);
  check_shrinking(-1, 4);
}

static void tiles_of_a_pass_are_counted(void) {
  static const struct {
    int64_t samples, panels, batch, tiles;
  } cases[] = {{100, 1, 0, 1},   {100, 4, 0, 10},  {1000, 3, 256, 4},
               {770, 3, 256, 3}, {772, 3, 256, 4}, {1024, 3, 256, 4},
               {100, 3, 256, 1}, {4, 1, 4, 1},     {1000000, 4000, 0, 8002000}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    zg_plan plan = {.samples = cases[k].samples, .panel_count = cases[k].panels};
    zg_pass pass = {.spec.gram.batch = cases[k].batch};
    CU_ASSERT_EQUAL(zg_plan_tiles(&plan, &pass), cases[k].tiles);
  }
}

/* ---- teams ---- */

static void teams_are_as_many_as_fit_and_the_rest_idles(void) {
  static const struct {
    int ranks;
    int64_t asked;
    int teams, size, idle;
  } cases[] = {{7, 1, 7, 1, 0},  {7, 3, 2, 3, 1}, {7, 4, 1, 4, 3},
               {7, -1, 1, 7, 0}, {6, 2, 3, 2, 0}, {1, -1, 1, 1, 0}};
  zg_zoo zoo = make_zoo(5, 300, 8);
  zg_call call = make_call("cka", "linear", "debiased", "256");
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    zg_request request = request_of(&zoo, &call, 1);
    request.ranks = cases[k].ranks;
    request.team_size = cases[k].asked;
    zg_plan *plan = plan_of(&request);
    CU_ASSERT_EQUAL(plan->teams, cases[k].teams);
    CU_ASSERT_EQUAL(plan->team_size, cases[k].size);
    CU_ASSERT_EQUAL(plan->idle, cases[k].idle);
    zg_plan_destroy(&plan);
  }
  free(zoo.arrays);
}

/* Two layers, whose kernels are 1 GiB on either rank. */
static void the_only_tile_of_a_team_is_kept(void) {
  double n = 16384, D = 2048, pairs = n * n, reduction = 2 * pairs;
  zg_call call = make_call("cka", "rbf", "debiased", "256");
  zg_zoo zoo = make_zoo(2, (int64_t)n, (int64_t)D / 2);
  zg_request request = request_of(&zoo, &call, 1);
  request.ranks = 2;
  request.team_size = -1;
  request.memory = 16 * GiB;
  zg_plan *plan = plan_of(&request);
  CU_ASSERT(zg_plan_keeps_tile(plan, &plan->passes[0]));
  CU_ASSERT_EQUAL(plan->flop, pairs * D + reduction);
  CU_ASSERT(plan->memory.total > GiB && plan->memory.total < 3 * GiB / 2);
  zg_plan_destroy(&plan);
  request.memory = GiB; /* several tiles: formed for the medians, and again */
  plan = plan_of(&request);
  CU_ASSERT_FALSE(zg_plan_keeps_tile(plan, &plan->passes[0]));
  CU_ASSERT_EQUAL(plan->flop, 2 * pairs * D + reduction);
  zg_plan_destroy(&plan);
  free(zoo.arrays);
}

static void ranks_join_when_a_tile_is_too_large_for_one(void) {
  zg_call call = make_call("cka", "linear", "minibatch", "4000");
  zg_zoo zoo = make_zoo(50, 100000, 64);
  zg_request request = request_of(&zoo, &call, 1);
  request.ranks = 16;
  request.team_size = 0;
  request.memory = 16 * GiB;
  zg_plan *plan = plan_of(&request);
  CU_ASSERT_EQUAL(plan->team_size, 1);
  zg_plan_destroy(&plan);
  request.memory = 2 * GiB; /* the tiles of a batch alone are 3.2 GB on one rank */
  plan = plan_of(&request);
  CU_ASSERT_EQUAL(plan->team_size, 16);
  check_plan(plan, &request);
  zg_plan_destroy(&plan);
  free(zoo.arrays);
}

/* However much memory there is, ScaLAPACK counts what a rank of a team holds in int. */
static void ranks_of_a_team_hold_less_than_2_to_31_numbers(void) {
  zg_call call = make_call("cka", "rbf", "debiased", "256");
  zg_zoo items = make_zoo(70000, 512, 16), samples = make_zoo(2, 100000, 16),
         features = make_zoo(2, 60000, 200000);
  zg_request request = request_of(&items, &call, 1);
  zg_plan *plan;
  request.memory = 4096 * GiB;
  request.team_size = -1;
  request.ranks = 2;
  CU_ASSERT_EQUAL(zg_plan_create(&request, &plan), ZG_ERR_SYSTEM);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "2^31"));
  request.ranks = 3; /* 70,000 times 23,334 */
  plan = plan_of(&request);
  zg_plan_destroy(&plan);
  request.ranks = 4;
  request.zoo = &samples;
  plan = plan_of(&request);
  CU_ASSERT(plan->tile < 65536 && plan->tile >= 49152); /* the next smaller one */
  zg_plan_destroy(&plan);
  request.zoo = &features;
  plan = plan_of(&request); /* its panels have 200,000 columns */
  CU_ASSERT(plan->tile < 21475 && plan->tile >= 16384);
  zg_plan_destroy(&plan);
  features.arrays[1].d = 10000000; /* many of few samples are no more than that */
  features.arrays[0].n = features.arrays[1].n = 64;
  plan = plan_of(&request);
  CU_ASSERT_EQUAL(plan->tile, 64);
  zg_plan_destroy(&plan);
  free(items.arrays);
  free(samples.arrays);
  free(features.arrays);
}

/* ---- bands ---- */

/* All items, one band after the other, none with more numbers than there may be. */
static void check_bands(int64_t items, int64_t numbers) {
  zg_plan plan = {.items = items, .band_numbers = numbers};
  int64_t begin = -1, end = 0, count = zg_plan_bands(&plan);
  CU_ASSERT(count >= 1);
  for (int64_t k = 0; k < count; k++) {
    int64_t last = end;
    zg_plan_band(&plan, k, &begin, &end);
    CU_ASSERT(begin == last && end > begin && end <= items);
    CU_ASSERT((end - begin) * end <= zg_max(numbers, end));
  }
  CU_ASSERT_EQUAL(end, items);
}

static void bands_are_all_of_the_items(void) {
  static const int64_t items[] = {1, 2, 3, 48, 1000, 20000};
  for (int k = 0; k < 6; k++) {
    int64_t N = items[k], whole = N * N, begin, end;
    for (int64_t parts = 1; parts <= 70; parts++)
      check_bands(N, zg_max(1, whole / parts));
    zg_plan plan = {.items = N, .band_numbers = whole};
    CU_ASSERT_EQUAL(zg_plan_bands(&plan), 1);
    zg_plan_band(&plan, 0, &begin, &end);
    CU_ASSERT(begin == 0 && end == N);
  }
}

static void many_items_are_compared_in_bands(void) {
  zg_call call = make_call("cka", "linear", "debiased", "256");
  zg_zoo zoo = make_zoo(20000, 512, 16);
  zg_request request = request_of(&zoo, &call, 1);
  request.ranks = 2;
  request.team_size = 0;
  int64_t last = 0;
  for (request.memory = 8 * GiB; request.memory >= GiB; request.memory /= 2) {
    zg_plan *plan = plan_of(&request);
    int64_t bands = zg_plan_bands(plan);
    check_plan(plan, &request);
    CU_ASSERT_EQUAL(plan->team_size, 1);
    CU_ASSERT(bands > last); /* the whole of it takes 6.4 GB */
    CU_ASSERT((request.memory == 8 * GiB) == (bands == 1));
    last = bands;
    zg_plan_destroy(&plan);
  }
  free(zoo.arrays);
}

/* Rows of panels that are loaded and items' rows that are formed, in units of one sweep
 * over all items: what bands cost. */
static void cost_of_bands(const zg_plan *plan, double *loads, double *formations) {
  zg_amounts a = zg_plan_amounts(plan);
  double statistics = (double)plan->items / plan->ranks; /* are read before */
  double panels = (double)(plan->items * plan->panel_count);
  *loads = (a.of[ZG_RATE_READ_PIECE] - statistics) / panels;
  *formations = zg_plan_formations(plan);
}

/* 5000 items take 400 MB as a whole, and their panels 150 MB that two ranks share: with
 * less memory for both there are more bands, but numbers are read once as long as
 * panels and a band together fit at all. */
static void bands_leave_room_for_panels(void) {
  static const struct {
    int64_t memory; /* MiB */
    bool resident;
    double loads, formations; /* at most */
  } cases[] = {{700, true, 0, 1},    {550, true, 0, 2},    {450, true, 0, 3},
               {350, true, 0, 5},    {300, true, 0, 8},    {250, false, 12, 5},
               {200, false, 30, 12}, {150, false, 100, 12}};
  zg_call call = make_call("cka", "linear", "debiased", "256");
  zg_zoo zoo = make_zoo(5000, 512, 16);
  zg_request request = request_of(&zoo, &call, 1);
  request.ranks = request.local_ranks = 2;
  request.team_size = 0;
  request.packed = true;
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    double loads, formations;
    request.memory = cases[k].memory << 20;
    zg_plan *plan = plan_of(&request);
    check_plan(plan, &request);
    cost_of_bands(plan, &loads, &formations);
    CU_ASSERT_EQUAL(plan->team_size, 1);
    CU_ASSERT_EQUAL(plan->resident, cases[k].resident);
    CU_ASSERT(loads <= cases[k].loads);
    CU_ASSERT(formations <= cases[k].formations);
    zg_plan_destroy(&plan);
  }
  free(zoo.arrays);
}

/* The bands are those of one node, however many nodes there are: a run may be resumed
 * on more of them. */
static void bands_do_not_depend_on_the_number_of_nodes(void) {
  zg_call call = make_call("cka", "linear", "debiased", "256");
  zg_zoo zoo = make_zoo(5000, 512, 16);
  zg_request request = request_of(&zoo, &call, 1);
  request.packed = true;
  request.local_ranks = 2;
  for (request.memory = GiB / 2; request.memory >= GiB / 4; request.memory /= 2) {
    int64_t numbers = 0;
    for (request.ranks = 2; request.ranks <= 128; request.ranks *= 4) {
      zg_plan *plan = plan_of(&request);
      if (numbers) CU_ASSERT_EQUAL(plan->band_numbers, numbers);
      numbers = plan->band_numbers;
      zg_plan_destroy(&plan);
    }
  }
  free(zoo.arrays);
}

/* What a plan that failed says is enough is enough. */
static void the_least_memory_is_enough(void) {
  zg_call call = make_call("cka", "linear", "debiased", "256");
  zg_zoo zoo = make_zoo(5000, 512, 16);
  zg_request request = request_of(&zoo, &call, 1);
  zg_plan *plan = NULL;
  double need = 0;
  request.ranks = request.local_ranks = 2;
  request.team_size = 0;
  request.memory = 64 << 20;
  CU_ASSERT_EQUAL(zg_plan_create(&request, &plan), ZG_ERR_SYSTEM);
  CU_ASSERT(sscanf(zg_message(), "the smallest plan needs %lf MiB", &need) == 1);
  request.memory = (int64_t)(need + 1) << 20; /* as it is rounded */
  plan = plan_of(&request);
  check_plan(plan, &request);
  zg_plan_destroy(&plan);
  free(zoo.arrays);
}

/* ---- passes ---- */

static void calls_with_equal_kernels_share_a_pass(void) {
  enum { COUNT = 8 };
  zg_call calls[COUNT];
  calls[0] = make_call("cka", "linear", "debiased", "256");
  calls[1] = make_call("cka", "rbf", "debiased", "256");
  calls[2] = make_call("hsic", "linear", "biased", "256");
  calls[3] = make_call("hsic", "rbf", "debiased", "256");
  calls[4] = make_call("cka", "rbf", "debiased", "256");
  CU_ASSERT_PTR_NULL(
      zg_option_parse(&calls[4], zg_option_find(calls[4].measure, "bandwidth"), "0.8"));
  calls[5] = make_call("cka", "linear", "minibatch", "100");
  calls[6] = make_call("cka", "linear", "minibatch", "200");
  calls[7] = make_call("hsic", "linear", "minibatch", "100");
  static const int64_t expected[COUNT] = {0, 1, 0, 1, 2, 3, 4, 3};
  zg_zoo zoo = make_zoo(3, 1000, 5);
  zg_request request = request_of(&zoo, calls, COUNT);
  zg_plan *plan = plan_of(&request);
  CU_ASSERT_EQUAL_FATAL(plan->pass_count, 5);
  for (int k = 0; k < COUNT; k++)
    CU_ASSERT_EQUAL(plan->pass_of_call[k], expected[k]);
  CU_ASSERT(plan->passes[0].needs[ZG_UCENTRED] && plan->passes[0].needs[ZG_CENTRED]);
  CU_ASSERT(plan->passes[1].needs[ZG_UCENTRED] && !plan->passes[1].needs[ZG_CENTRED]);
  CU_ASSERT_EQUAL(plan->passes[1].spec.gram.kernel, ZG_KERNEL_RBF);
  CU_ASSERT(plan->passes[1].spec.gram.bandwidth == 0.4 &&
            plan->passes[2].spec.gram.bandwidth == 0.8);
  CU_ASSERT(plan->passes[3].spec.gram.batch == 100 &&
            plan->passes[4].spec.gram.batch == 200);
  zg_plan_destroy(&plan);
  free(zoo.arrays);
}

/* ---- sizes and work ---- */

static void sizes_and_work_follow_from_the_catalogue(void) {
  zg_zoo zoo = make_zoo(3, 1000, 5);
  zoo.arrays[1].d = 70;
  zoo.arrays[2].dtype = ZG_FLOAT64;
  zg_call call = make_call("cka", "linear", "debiased", "256");
  zg_request request = request_of(&zoo, &call, 1);
  zg_plan *plan = plan_of(&request);
  CU_ASSERT(plan->items == 3 && plan->samples == 1000);
  CU_ASSERT(plan->features == 80 && plan->widest == 70);
  CU_ASSERT_EQUAL(plan->bytes, 1000.0 * (5 * 4 + 70 * 4 + 5 * 8));
  CU_ASSERT_EQUAL(plan->flop, 1e6 * (80 + 4.5));   /* n^2 (D + N^2/2) */
  CU_ASSERT_EQUAL(plan->words, 80e3 + 80e3 + 4.5); /* statistics, tiles, sums */
  zg_plan_destroy(&plan);
  request.ranks = 16;
  plan = plan_of(&request);
  CU_ASSERT_EQUAL(plan->words, 80e3 / 16 + 80e3 / 4 + 4.5);
  request.ranks = 1;
  zg_plan_destroy(&plan);
  zoo.samples = 400; /* the selection's limit */
  plan = plan_of(&request);
  CU_ASSERT_EQUAL(plan->samples, 400);
  zg_plan_destroy(&plan);
  free(zoo.arrays);
}

static void a_zoo_without_layers_has_no_plan(void) {
  zg_zoo zoo = make_zoo(0, 0, 0);
  zg_call call = make_call("cka", "linear", "debiased", "256");
  zg_request request = request_of(&zoo, &call, 1);
  zg_plan *plan;
  CU_ASSERT_EQUAL(zg_plan_create(&request, &plan), ZG_ERR_DATA);
  CU_ASSERT_PTR_NULL(plan);
  free(zoo.arrays);
}

/* 10^5 layers of 10^6 samples. \return whether there is a plan. */
static bool check_huge(int64_t width, const zg_call *calls, int64_t count, int ranks,
                       int64_t memory) {
  zg_zoo zoo = make_zoo(100000, 1000000, width);
  zg_request request = request_of(&zoo, calls, count);
  request.ranks = ranks;
  request.team_size = 0;
  request.memory = memory;
  zg_plan *plan;
  zg_status status = zg_plan_create(&request, &plan);
  CU_ASSERT(status == ZG_OK || status == ZG_ERR_SYSTEM);
  if (status == ZG_OK) check_plan(plan, &request);
  zg_plan_destroy(&plan);
  free(zoo.arrays);
  return status == ZG_OK;
}

static void huge_zoos_are_planned_without_overflow(void) {
  static const int ranks[] = {1, 61, 4096};
  static const int64_t widths[] = {1, 4096, 1000000};
  zg_call calls[CALLS]; /* the first alone needs no medians, which take most room */
  make_calls(calls);
  int tried = 0, planned = 0;
  for (int64_t count = 1; count <= CALLS; count += CALLS - 1)
    for (int r = 0; r < 3; r++)
      for (int w = 0; w < 3; w++)
        for (int64_t memory = GiB / 2; memory <= 4096 * GiB; memory *= 8, tried++)
          planned += check_huge(widths[w], calls, count, ranks[r], memory);
  CU_ASSERT(planned > 0 && planned < tried);
}

static void medians_get_room_for_some_slices(void) {
  CU_ASSERT_EQUAL(zg_plan_median_values(1, 4), ZG_MEDIAN_SLICES);
  int64_t n = 1000000, values = zg_plan_median_values(1, n);
  CU_ASSERT(values > 1000 * ZG_MEDIAN_SLICES);
  CU_ASSERT(values < n * (n - 1) / 2 / ZG_MEDIAN_SLICES); /* a part of one slice */
  CU_ASSERT(10 * zg_plan_median_values(10, n) <= values); /* of all items together */
}

/* ---- what a plan says of itself ---- */

/* For all kinds of passes on 7 ranks in teams of 3. The plan borrows the calls. */
static zg_plan *plan_of_teams(const zg_zoo *zoo, zg_call calls[CALLS]) {
  make_calls(calls);
  zg_request request = request_of(zoo, calls, CALLS);
  request.ranks = 7;
  request.team_size = 3;
  return plan_of(&request);
}

/* 512 rows of the widest layer in double, before there are panels unless these are
 * there all the time. */
static void the_samples_that_medians_begin_with_are_counted(void) {
  const int64_t sample = (int64_t)8 * 512 * (1 << 17);
  zg_zoo zoo = make_zoo(2, 512, 1 << 17);
  zg_call call = make_call("cka", "rbf", "biased", "256");
  zg_request request = request_of(&zoo, &call, 1);
  zg_plan *plan = plan_of(&request);
  CU_ASSERT(plan->memory.tiles + plan->memory.panels >= sample);
  zg_plan_destroy(&plan);
  request.packed = true;
  plan = plan_of(&request);
  CU_ASSERT(plan->resident);
  CU_ASSERT(plan->memory.tiles + plan->memory.panels >= sample + sample);
  zg_plan_destroy(&plan);
  free(zoo.arrays);
}

/* Each is looked at once: one panel, of doubles, and none that stay. */
static void batches_need_one_panel(void) {
  zg_zoo zoo = make_zoo(3, 1000, 500);
  zg_call call = make_call("cka", "linear", "minibatch", "100");
  zg_request request = request_of(&zoo, &call, 1);
  request.packed = true;
  zg_plan *plan = plan_of(&request);
  CU_ASSERT_EQUAL(plan->memory.panels, 8 * (100 * 3 * 500 + 3 * 100));
  CU_ASSERT(!plan->packed && !plan->resident);
  zg_plan_destroy(&plan);
  free(zoo.arrays);
}

/* So few that tiles are made in double: all their panels stay, read once, and none of
 * single precision is packed that nobody needs. */
static void few_samples_are_not_packed(void) {
  const int64_t samples[] = {256, 400};
  zg_call call = make_call("cka", "linear", "debiased", "256");
  for (int k = 0; k < 2; k++) {
    zg_zoo zoo = make_zoo(90, samples[k], 46);
    zg_request request = request_of(&zoo, &call, 1);
    request.packed = true;
    zg_plan *plan = plan_of(&request);
    CU_ASSERT_EQUAL(plan->passes[0].precision, k ? ZG_SINGLE : ZG_DOUBLE);
    CU_ASSERT_EQUAL(plan->packed, k);
    CU_ASSERT_EQUAL(plan->resident, k);
    CU_ASSERT_EQUAL(plan->panels_kept, plan->panel_count);
    zg_plan_destroy(&plan);
    free(zoo.arrays);
  }
}

/* Panels of all samples in single precision, of which each rank of a node has its
 * share, and norms in double; two panels of 192 samples in double of what is double in
 * the file. */
static void panels_that_stay_are_counted(void) {
  const int64_t N = 40, n = 4800, d = 100, wide = 3;
  zg_zoo zoo = make_zoo(N, n, d);
  zg_call call = make_call("cka", "rbf", "debiased", "256");
  zg_request request = request_of(&zoo, &call, 1);
  request.packed = true;
  for (int ranks = 1; ranks <= 4; ranks *= 2) {
    request.ranks = request.local_ranks = ranks;
    zg_plan *plan = plan_of(&request);
    CU_ASSERT(plan->resident && plan->tile == 192);
    int64_t shared = 4 * N * n * d + 8 * N * n;
    CU_ASSERT_EQUAL(plan->memory.panels, zg_ceil_div(shared, ranks) + 8 * N * n);
    zg_plan_destroy(&plan);
  }
  for (int64_t k = 0; k < wide; k++)
    zoo.arrays[k].dtype = ZG_FLOAT64;
  zg_plan *plan = plan_of(&request);
  CU_ASSERT_EQUAL(plan->memory.panels,
                  N * n * d + 2 * N * n + 8 * N * n + 2 * 192 * 8 * wide * d);
  zg_plan_destroy(&plan);
  free(zoo.arrays);
}

static void headers_of_many_arrays_are_counted(void) {
  const int64_t counts[] = {1, 1001, 1 << 20};
  int64_t bytes[3];
  zg_zoo zoo = make_zoo(counts[2], 100, 4); /* what is no layer may be anything */
  zg_call call = make_call("cka", "linear", "biased", "256");
  zoo.layer_count = 1;
  for (int k = 0; k < 3; k++) {
    zoo.array_count = counts[k];
    zg_request request = request_of(&zoo, &call, 1);
    zg_plan *plan = plan_of(&request);
    bytes[k] = plan->memory.program;
    zg_plan_destroy(&plan);
  }
  CU_ASSERT_EQUAL(bytes[1] - bytes[0], 1000 * 8192);
  CU_ASSERT_EQUAL(bytes[2] - bytes[0], (32 << 20) - 8192); /* as much as HDF5 keeps */
  free(zoo.arrays);
}

static void a_plan_prints_itself(void) {
  zg_zoo zoo = make_zoo(20, 3000, 64);
  zg_call calls[CALLS];
  zg_plan *plan = plan_of_teams(&zoo, calls);
  char expected[64], *text = zg_plan_text(plan), *line = zg_plan_line(plan);
  CU_ASSERT_PTR_NOT_NULL(strstr(text, "1 idle"));
  CU_ASSERT_PTR_NOT_NULL(strstr(text, "bandwidth 0.4"));
  CU_ASSERT_PTR_NOT_NULL(strstr(text, "batches of 100"));
  snprintf(expected, sizeof expected, "teams=2 team_size=3 tile=%lld",
           (long long)plan->tile);
  CU_ASSERT_PTR_NOT_NULL(strstr(line, expected));
  CU_ASSERT_PTR_NULL(strchr(line, '\n'));
  free(line);
  free(text);
  zg_plan_destroy(&plan);
  free(zoo.arrays);
}

static void check_number(const json_t *object, const char *key, int64_t expected) {
  const json_t *number = json_object_get(object, key);
  CU_ASSERT(json_is_integer(number) && json_integer_value(number) == expected);
}

static void a_plan_is_told_to_machines(void) {
  zg_zoo zoo = make_zoo(20, 3000, 64);
  zg_call calls[CALLS];
  zg_plan *plan = plan_of_teams(&zoo, calls);
  json_t *json = zg_plan_json(plan);
  CU_ASSERT_PTR_NOT_NULL_FATAL(json);
  check_number(json, "ranks", 7);
  check_number(json, "teams", 2);
  check_number(json, "team_size", 3);
  check_number(json, "idle", 1);
  check_number(json, "items", 20);
  check_number(json, "samples", 3000);
  check_number(json, "tile", plan->tile);
  check_number(json_object_get(json, "memory_per_rank"), "total", plan->memory.total);
  CU_ASSERT_EQUAL(json_array_size(json_object_get(json, "passes")), 3);
  CU_ASSERT_EQUAL(json_real_value(json_object_get(json, "flop")), plan->flop);
  CU_ASSERT_EQUAL(json_real_value(json_object_get(json, "words_per_rank")),
                  plan->words);
  json_decref(json);
  zg_plan_destroy(&plan);
  free(zoo.arrays);
}

const zg_test zg_tests[] = {
    {"plans_fit_their_memory", plans_fit_their_memory},
    {"tiles_of_one_rank_teams_do_not_depend_on_the_ranks",
     tiles_of_one_rank_teams_do_not_depend_on_the_ranks},
    {"less_memory_gives_smaller_tiles_until_none_fits",
     less_memory_gives_smaller_tiles_until_none_fits},
    {"tiles_of_a_pass_are_counted", tiles_of_a_pass_are_counted},
    {"the_only_tile_of_a_team_is_kept", the_only_tile_of_a_team_is_kept},
    {"teams_are_as_many_as_fit_and_the_rest_idles",
     teams_are_as_many_as_fit_and_the_rest_idles},
    {"ranks_join_when_a_tile_is_too_large_for_one",
     ranks_join_when_a_tile_is_too_large_for_one},
    {"ranks_of_a_team_hold_less_than_2_to_31_numbers",
     ranks_of_a_team_hold_less_than_2_to_31_numbers},
    {"bands_are_all_of_the_items", bands_are_all_of_the_items},
    {"many_items_are_compared_in_bands", many_items_are_compared_in_bands},
    {"bands_leave_room_for_panels", bands_leave_room_for_panels},
    {"bands_do_not_depend_on_the_number_of_nodes",
     bands_do_not_depend_on_the_number_of_nodes},
    {"the_least_memory_is_enough", the_least_memory_is_enough},
    {"calls_with_equal_kernels_share_a_pass", calls_with_equal_kernels_share_a_pass},
    {"sizes_and_work_follow_from_the_catalogue",
     sizes_and_work_follow_from_the_catalogue},
    {"a_zoo_without_layers_has_no_plan", a_zoo_without_layers_has_no_plan},
    {"huge_zoos_are_planned_without_overflow", huge_zoos_are_planned_without_overflow},
    {"medians_get_room_for_some_slices", medians_get_room_for_some_slices},
    {"the_samples_that_medians_begin_with_are_counted",
     the_samples_that_medians_begin_with_are_counted},
    {"batches_need_one_panel", batches_need_one_panel},
    {"few_samples_are_not_packed", few_samples_are_not_packed},
    {"panels_that_stay_are_counted", panels_that_stay_are_counted},
    {"headers_of_many_arrays_are_counted", headers_of_many_arrays_are_counted},
    {"a_plan_prints_itself", a_plan_prints_itself},
    {"a_plan_is_told_to_machines", a_plan_is_told_to_machines},
    {NULL, NULL}};
