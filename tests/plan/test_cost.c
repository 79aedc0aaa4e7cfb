/** \file
 * Predicted times: of plans made by hand, against numbers worked out by hand, and of
 * plans of many sizes, against what must hold for all. Calibration: rates come back
 * from the times that they give. */
#include "base/memory.h"
#include "mpi_main.h"
#include "plan/calibration.h"
#include "plan/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- plans ---- */

/* A plan of one pass over N = 4 items of D = 20 features in all and n = 10 samples, cut
 * into two panels of 5, as float32: 800 bytes; one tensor. */
typedef struct small {
  zg_plan plan;
  zg_pass pass;
  int64_t pass_of_call[1];
} small;

static void make_small(small *s, int teams, int team_size) {
  *s = (small){.plan = {.precision = ZG_SINGLE,
                        .ranks = teams * team_size,
                        .teams = teams,
                        .team_size = team_size,
                        .items = 4,
                        .band_numbers = 16,
                        .samples = 10,
                        .features = 20,
                        .widest = 5,
                        .tile = 5,
                        .panel_count = 2,
                        .panels_kept = 2,
                        .pass_count = 1,
                        .call_count = 1,
                        .arrays = 4},
               .pass = {.spec = {.form = ZG_FORM_GRAM},
                        .precision = ZG_SINGLE,
                        .items = 4,
                        .tasks = 3,
                        .bytes = 800}};
  s->plan.passes = &s->pass;
  s->plan.pass_of_call = s->pass_of_call;
}

static void check(const zg_amounts *a, zg_rate rate, double expected) {
  zg_test_close(a->of[rate], expected, 1e-12 * expected, zg_rate_infos[rate].key);
}

static void one_rank_does_everything(void) {
  small s;
  make_small(&s, 1, 1);
  zg_amounts a = zg_plan_amounts(&s.plan);
  check(&a, ZG_RATE_FORM_SINGLE, 2 * 20 * 45);
  check(&a, ZG_RATE_REDUCE_SINGLE, 4 * 4 * 45);
  check(&a, ZG_RATE_KERNEL_LINEAR, 4 * 45);
  check(&a, ZG_RATE_REDUCE_ENTRIES, 4 * 45);
  check(&a, ZG_RATE_READ_RANK, 800 + 800); /* statistics, then panels */
  check(&a, ZG_RATE_READ_TOTAL, 1600);
  check(&a, ZG_RATE_READ_PIECE, 4 * (1 + 2));
  check(&a, ZG_RATE_COMBINE, 16);
  check(&a, ZG_RATE_WRITE_TOTAL, 16 * 9);
  check(&a, ZG_RATE_START, 1);
  check(&a, ZG_RATE_HEADER, 4);
  check(&a, ZG_RATE_NETWORK, 0);
  check(&a, ZG_RATE_LATENCY, 0);
  check(&a, ZG_RATE_FORM_DOUBLE, 0);
  check(&a, ZG_RATE_MEDIAN_SAMPLE, 0);
  CU_ASSERT_FALSE(a.coarse);
}

/* Of the three tiles one rank has two; never less than a whole one of 25 pairs. */
static void the_busiest_rank_counts(void) {
  small s;
  make_small(&s, 2, 1);
  zg_amounts a = zg_plan_amounts(&s.plan);
  check(&a, ZG_RATE_FORM_SINGLE, 2 * 20 * 30);
  check(&a, ZG_RATE_REDUCE_SINGLE, 16 * 30);
  check(&a, ZG_RATE_READ_RANK, 400 + 800 / sqrt(2));
  check(&a, ZG_RATE_READ_TOTAL, 800 + 800 * sqrt(2));
  check(&a, ZG_RATE_COMBINE, 8);
  check(&a, ZG_RATE_NETWORK, 16 * 8 * 0.5); /* N^2/2 sums of two doubles */
  check(&a, ZG_RATE_LATENCY, 8);
  make_small(&s, 4, 1);
  a = zg_plan_amounts(&s.plan);
  check(&a, ZG_RATE_FORM_SINGLE, 2 * 20 * 25);
  check(&a, ZG_RATE_NETWORK, 16 * 8 * 0.75);
  check(&a, ZG_RATE_LATENCY, 16);
}

static void precision_and_teams_have_rates_of_their_own(void) {
  small s;
  make_small(&s, 1, 1);
  s.pass.precision = ZG_DOUBLE;
  zg_amounts a = zg_plan_amounts(&s.plan);
  check(&a, ZG_RATE_FORM_SINGLE, 0);
  check(&a, ZG_RATE_FORM_DOUBLE, 1800);
  check(&a, ZG_RATE_REDUCE_DOUBLE, 720);
  make_small(&s, 1, 4);
  a = zg_plan_amounts(&s.plan);
  check(&a, ZG_RATE_FORM_SINGLE, 0);
  check(&a, ZG_RATE_FORM_TEAM, 1800 / 4.0);
  check(&a, ZG_RATE_REDUCE_TEAM, 720 / 4.0);
  check(&a, ZG_RATE_READ_RANK, 200 + 200);
  /* three tiles, both panels of 5 x 20 floats along a side of the 2 x 2 grid, each; and
   * the sums */
  check(&a, ZG_RATE_NETWORK, 3 * 2 * (5 / 2.0) * 20 * 4 + 16 * 8 * 0.75);
}

static void medians_take_a_sample_and_another_formation(void) {
  small s;
  make_small(&s, 1, 1);
  s.pass.spec.gram.kernel = ZG_KERNEL_RBF;
  zg_amounts a = zg_plan_amounts(&s.plan);
  check(&a, ZG_RATE_KERNEL_RBF, 180);
  check(&a, ZG_RATE_KERNEL_LINEAR, 0);
  check(&a, ZG_RATE_MEDIAN_SAMPLE, 4 * 45); /* few samples: all of them */
  check(&a, ZG_RATE_MEDIAN_FORM, 0);
  s.plan.samples = 2000;
  s.plan.tile = 1000;
  s.pass.bytes = 160000;
  a = zg_plan_amounts(&s.plan);
  check(&a, ZG_RATE_MEDIAN_SAMPLE, 4.0 * 512 * 511 / 2);
  check(&a, ZG_RATE_MEDIAN_FORM, 2.0 * 20 * 1999000);
  check(&a, ZG_RATE_MEDIAN_ENTRIES, 4.0 * 1999000);
  check(&a, ZG_RATE_READ_RANK, 3 * 160000);
  s.plan.ranks = s.plan.team_size = 2;
  a = zg_plan_amounts(&s.plan);
  check(&a, ZG_RATE_MEDIAN_FORM, 0);
  check(&a, ZG_RATE_MEDIAN_TEAM, 2.0 * 20 * 1999000 / 2);
  check(&a, ZG_RATE_FORM_TEAM, 2.0 * 20 * 1999000 / 2);
  s.plan.tile = 2000; /* the team's only tile is formed once */
  s.plan.panel_count = s.pass.tasks = 1;
  a = zg_plan_amounts(&s.plan);
  check(&a, ZG_RATE_MEDIAN_TEAM, 2.0 * 20 * 1999000 / 2);
  check(&a, ZG_RATE_FORM_TEAM, 0);
  check(&a, ZG_RATE_READ_RANK, 2 * 160000 / 2.0);
}

static void batches_are_formed_in_double(void) {
  small s;
  make_small(&s, 1, 1);
  s.pass.spec.gram.batch = 5;
  s.pass.tasks = 2;
  zg_amounts a = zg_plan_amounts(&s.plan);
  check(&a, ZG_RATE_FORM_DOUBLE, 2 * 20 * 20); /* two batches of 10 pairs */
  check(&a, ZG_RATE_REDUCE_SINGLE, 16 * 20);
  check(&a, ZG_RATE_READ_RANK, 1600);
}

static void panels_that_do_not_stay_are_read_again(void) {
  small s;
  make_small(&s, 1, 1);
  s.plan.samples = 20;
  s.plan.panel_count = 4;
  s.pass.tasks = 10;
  s.pass.bytes = 1600;
  zg_amounts a = zg_plan_amounts(&s.plan);
  /* Two stay: rows 0 and 1 of the triangle load both, row 2 itself and one more, row 3
   * itself and two. */
  check(&a, ZG_RATE_READ_RANK, 1600 + 1600 / 4.0 * 7);
  s.plan.panels_kept = 4;
  a = zg_plan_amounts(&s.plan);
  check(&a, ZG_RATE_READ_RANK, 1600 + 1600);
}

static void features_are_multiplied_slice_by_slice(void) {
  small s;
  make_small(&s, 2, 1);
  s.pass.by_features = true;
  s.pass.tasks = 3;
  zg_amounts a = zg_plan_amounts(&s.plan);
  check(&a, ZG_RATE_FEATURES, 20.0 * 20 * 10 * 2 / 3);
  check(&a, ZG_RATE_FORM_SINGLE, 0);
  check(&a, ZG_RATE_READ_RANK, 400 + 800 * 2 / 3.0);
  check(&a, ZG_RATE_NETWORK, 16 * 8 * 0.5 + 2 * 8 * 400 * 0.5);
}

static void vectors_are_dealt_out_in_slices(void) {
  static const zg_vector_form form = {.kind = ZG_VECTOR_FLAT};
  zg_group group = {.count = 4, .length = 100, .width = 1, .tasks = 5};
  small s;
  make_small(&s, 2, 1);
  s.pass = (zg_pass){.spec = {.form = ZG_FORM_VECTOR, .vector = &form},
                     .precision = ZG_SINGLE,
                     .items = 4,
                     .groups = &group,
                     .group_count = 1,
                     .tasks = 5,
                     .flop = 1600,
                     .bytes = 800};
  zg_amounts a = zg_plan_amounts(&s.plan);
  check(&a, ZG_RATE_VECTORS, 1600 * 3 / 5.0);
  check(&a, ZG_RATE_VECTOR_NUMBERS, 400 * 3 / 5.0);
  check(&a, ZG_RATE_READ_VECTORS, 800 * 3 / 5.0);
  check(&a, ZG_RATE_READ_TOTAL, 800);
  CU_ASSERT_FALSE(a.coarse);
  s.pass.precision = ZG_DOUBLE;
  a = zg_plan_amounts(&s.plan);
  check(&a, ZG_RATE_VECTORS, 2 * 1600 * 3 / 5.0);
}

static void other_forms_are_coarse(void) {
  small s;
  make_small(&s, 4, 1);
  s.pass.spec.form = ZG_FORM_TANGENT;
  s.pass.flop = 900;
  zg_amounts a = zg_plan_amounts(&s.plan);
  CU_ASSERT(a.coarse);
  check(&a, ZG_RATE_TANGENT, 300);
  check(&a, ZG_RATE_READ_VECTORS, 400);
  s.pass.spec.form = ZG_FORM_PROFILE;
  a = zg_plan_amounts(&s.plan);
  CU_ASSERT(a.coarse);
  check(&a, ZG_RATE_PROFILE, 800 / 3.0);
}

/* ---- seconds ---- */

static zg_machine make_machine(void) {
  zg_machine m = {.rates = {[ZG_RATE_FORM_SINGLE] = 100,
                            [ZG_RATE_READ_TOTAL] = 1000,
                            [ZG_RATE_NETWORK] = 32}};
  CU_ASSERT_EQUAL(zg_machine_complete(&m), -1);
  return m;
}

static void parts_add_up(void) {
  small s;
  make_small(&s, 2, 1);
  zg_machine m = make_machine();
  m.rates[ZG_RATE_KERNEL_LINEAR] = 60;
  m.rates[ZG_RATE_REDUCE_SINGLE] = 50;
  m.rates[ZG_RATE_REDUCE_ENTRIES] = 120;
  m.rates[ZG_RATE_READ_RANK] = 1e6;
  m.rates[ZG_RATE_COMBINE] = 4;
  m.rates[ZG_RATE_LATENCY] = 0.5;
  m.rates[ZG_RATE_WRITE_TOTAL] = 72;
  m.rates[ZG_RATE_HEADER] = 0.25;
  m.rates[ZG_RATE_START] = 3;
  zg_amounts a = zg_plan_amounts(&s.plan);
  zg_cost cost = zg_cost_of(&a, &m);
  const double expected[ZG_COST_PARTS] = {
      [ZG_COST_START] = 3 + 4 * 0.25,
      [ZG_COST_READ] = (800 + 800 * sqrt(2)) / 1000, /* the file system holds it up */
      [ZG_COST_FORM] = 1200 / 100.0,
      [ZG_COST_KERNEL] = 120 / 60.0,
      [ZG_COST_REDUCE] = 480 / 50.0 + 120 / 120.0,
      [ZG_COST_COMBINE] = 8 / 4.0 + 64 / 32.0 + 8 * 0.5,
      [ZG_COST_WRITE] = 144 / 72.0};
  double total = 0;
  for (int p = 0; p < ZG_COST_PARTS; p++) {
    zg_test_close(cost.parts[p], expected[p], 1e-12 * expected[p],
                  zg_cost_part_key((zg_cost_part)p));
    total += expected[p];
  }
  zg_test_close(cost.total, total, 1e-12 * total, "total");
}

static void a_quick_file_system_leaves_the_rank_its_time(void) {
  small s;
  make_small(&s, 1, 1);
  zg_machine m = make_machine();
  m.rates[ZG_RATE_READ_TOTAL] = 1e9;
  m.rates[ZG_RATE_READ_RANK] = 160;
  m.rates[ZG_RATE_READ_PIECE] = 0.5;
  zg_amounts a = zg_plan_amounts(&s.plan);
  zg_test_close(zg_cost_of(&a, &m).parts[ZG_COST_READ], 1600 / 160.0 + 12 * 0.5, 1e-12,
                "read");
}

static void text_and_json_name_the_parts(void) {
  small s;
  make_small(&s, 2, 1);
  zg_machine m = make_machine();
  m.ranks_per_node = 1;
  strcpy(m.name, "here");
  zg_amounts a = zg_plan_amounts(&s.plan);
  zg_cost cost = zg_cost_of(&a, &m);
  char *text = zg_cost_text(&cost, &m, 2);
  CU_ASSERT_PTR_NOT_NULL(strstr(text, "on here, 2 nodes: "));
  CU_ASSERT_PTR_NOT_NULL(strstr(text, "Gram tiles 12.0 s"));
  CU_ASSERT_PTR_NULL(strstr(text, "medians"));
  free(text);
  json_t *json = zg_cost_json(&cost, &m);
  zg_test_close(json_real_value(json_object_get(json, "form")), 12, 1e-12, "form");
  zg_test_close(json_real_value(json_object_get(json, "total")), cost.total, 0,
                "total");
  json_decref(json);
}

/* ---- plans of all sizes ---- */

static zg_plan *make_plan(int64_t layers, int64_t n, int64_t d, const char *kernel,
                          int ranks, int64_t team) {
  zg_zoo zoo = {.arrays = ZG_NEW0(zg_array, layers),
                .layer_count = layers,
                .array_count = layers};
  for (int64_t k = 0; k < layers; k++)
    zoo.arrays[k] = (zg_array){.n = n, .d = d, .dtype = ZG_FLOAT32};
  zg_call call = {0};
  zg_call_defaults(&call, zg_measure_find("cka"));
  CU_ASSERT_PTR_NULL(
      zg_option_parse(&call, zg_option_find(call.measure, "kernel"), kernel));
  const zg_request request = {.zoo = &zoo,
                              .calls = &call,
                              .call_count = 1,
                              .precision = ZG_SINGLE,
                              .ranks = ranks,
                              .team_size = team,
                              .memory = (int64_t)4 << 30,
                              .packed = true};
  zg_plan *plan = NULL;
  CU_ASSERT_EQUAL_FATAL(zg_plan_create(&request, &plan), ZG_OK);
  free(zoo.arrays);
  return plan;
}

/* What a rank does, and what all do together. */
static bool is_shared(zg_rate r) {
  return r == ZG_RATE_READ_TOTAL || r == ZG_RATE_NETWORK || r == ZG_RATE_LATENCY;
}

static void check_more_ranks(int64_t layers, int64_t n, int64_t d, const char *kernel) {
  zg_amounts before = {0};
  for (int ranks = 1; ranks <= 4096; ranks = ranks < 20 ? ranks + 1 : ranks * 2) {
    zg_plan *plan = make_plan(layers, n, d, kernel, ranks, 1);
    zg_amounts now = zg_plan_amounts(plan);
    for (int r = 0; r < ZG_RATES; r++) {
      double a = before.of[r], b = now.of[r];
      CU_ASSERT(isfinite(b) && b >= 0);
      if (ranks > 1) CU_ASSERT(is_shared((zg_rate)r) ? b >= a : b <= a);
    }
    before = now;
    zg_plan_destroy(&plan);
  }
}

static void more_ranks_have_no_more_to_do(void) {
  check_more_ranks(20, 3000, 64, "rbf");
  check_more_ranks(300, 1000, 16, "linear");
  check_more_ranks(5, 500, 1000, "linear");
  check_more_ranks(4, 100000, 32, "linear"); /* by features */
}

/* The words of metrics: D n/sqrt(P) read, N^2/2 sent, on many ranks with memory. */
static void words_are_those_of_the_model(void) {
  const double D = 40 * 64, n = 20000, N = 40;
  for (int ranks = 1; ranks <= 256; ranks *= 4) {
    zg_plan *plan = make_plan(40, 20000, 64, "rbf", ranks, 1);
    zg_amounts a = zg_plan_amounts(plan);
    CU_ASSERT(plan->resident);
    zg_test_close(a.of[ZG_RATE_READ_RANK] / 4, D * n, 1e-6,
                  "words read: once per node");
    plan->resident = false;
    a = zg_plan_amounts(plan);
    double words = D * n / sqrt(ranks);
    zg_test_close(a.of[ZG_RATE_READ_RANK] / 4, 2 * words + D * n / ranks, 1e-6 * words,
                  "words read: medians, tiles, statistics");
    zg_test_close(a.of[ZG_RATE_NETWORK] / 16, N * N / 2 * (1 - 1.0 / ranks), 1e-6,
                  "words sent");
    zg_plan_destroy(&plan);
  }
}

static void the_time_falls_until_messages_rule(void) {
  zg_machine m = {.rates = {[ZG_RATE_FORM_SINGLE] = 2e11,
                            [ZG_RATE_READ_TOTAL] = 1e12,
                            [ZG_RATE_NETWORK] = 1e9}};
  double before = INFINITY;
  zg_machine_complete(&m);
  for (int ranks = 1; ranks <= 1024; ranks *= 2) {
    zg_plan *plan = make_plan(1000, 16384, 512, "linear", ranks, 1);
    zg_amounts a = zg_plan_amounts(plan);
    double total = zg_cost_of(&a, &m).total;
    CU_ASSERT(total < before);
    before = total;
    zg_plan_destroy(&plan);
  }
}

/* ---- machines and calibration ---- */

static void rates_that_are_not_stated_follow(void) {
  zg_machine m = {.rates = {[ZG_RATE_FORM_SINGLE] = 1e11, [ZG_RATE_READ_TOTAL] = 8e9}};
  CU_ASSERT_EQUAL(zg_machine_complete(&m), ZG_RATE_NETWORK);
  m.rates[ZG_RATE_NETWORK] = 1e9;
  m.rates[ZG_RATE_FORM_DOUBLE] = 7;
  CU_ASSERT_EQUAL(zg_machine_complete(&m), -1);
  CU_ASSERT_EQUAL(m.rates[ZG_RATE_FORM_DOUBLE], 7);
  zg_test_close(m.rates[ZG_RATE_FORM_TEAM], 6e10, 1, "form_team");
  zg_test_close(m.rates[ZG_RATE_WRITE_TOTAL], 2e9, 1, "write_total");
  zg_test_close(m.rates[ZG_RATE_START], 1, 0, "start");
  for (int r = 0; r < ZG_RATES; r++)
    CU_ASSERT(m.rates[r] > 0);
}

static void rates_come_back_from_their_times(void) {
  static const zg_rate rates[] = {ZG_RATE_REDUCE_SINGLE, ZG_RATE_REDUCE_ENTRIES};
  const double truth[] = {5e10, 2e9};
  zg_observation runs[3] = {0};
  for (int k = 0; k < 3; k++) {
    double flop = 1e9 * (k + 1), entries = 1e8 / (k + 1);
    runs[k].amounts.of[rates[0]] = flop;
    runs[k].amounts.of[rates[1]] = entries;
    runs[k].amounts.of[ZG_RATE_FEATURES] = 4e9; /* known: half a second */
    runs[k].seconds[ZG_COST_REDUCE] = flop / truth[0] + entries / truth[1] + 0.5;
    runs[k].seconds[ZG_COST_READ] = 99; /* of another part */
  }
  zg_machine m = {.rates = {[ZG_RATE_FEATURES] = 8e9}};
  zg_calibrate_rates(runs, 3, 1u << ZG_COST_REDUCE, rates, 2, &m);
  zg_test_close(m.rates[rates[0]], truth[0], 1e-6 * truth[0], "reduce_single");
  zg_test_close(m.rates[rates[1]], truth[1], 1e-6 * truth[1], "reduce_entries");
  CU_ASSERT_EQUAL(m.rates[ZG_RATE_FEATURES], 8e9);
}

static void durations_come_back_as_well(void) {
  static const zg_rate rates[] = {ZG_RATE_READ_RANK, ZG_RATE_READ_PIECE};
  zg_observation runs[2] = {0};
  for (int k = 0; k < 2; k++) {
    runs[k].amounts.of[rates[0]] = 1e8;
    runs[k].amounts.of[rates[1]] = 1000 * (k + 1);
    runs[k].amounts.of[ZG_RATE_READ_TOTAL] = 1e8; /* a bound, which explains nothing */
    runs[k].seconds[ZG_COST_READ] = 0.1 + 0.02 * (k + 1);
  }
  zg_machine m = {.rates = {[ZG_RATE_READ_TOTAL] = 1}};
  zg_calibrate_rates(runs, 2, 1u << ZG_COST_READ, rates, 2, &m);
  zg_test_close(m.rates[rates[0]], 1e9, 1e3, "read_rank");
  zg_test_close(m.rates[rates[1]], 2e-5, 1e-11, "read_piece");
}

/* Times that would ask for a cost below 0: it is free, and the other as near as can be.
 * Here 1/rate minimises (2 c - 1)^2 + (c - 1)^2, which is at c = 3/5. */
static void nothing_costs_less_than_nothing(void) {
  static const zg_rate rates[] = {ZG_RATE_FORM_SINGLE, ZG_RATE_KERNEL_LINEAR};
  zg_observation runs[2] = {0};
  runs[0].amounts.of[rates[0]] = 2;
  runs[0].amounts.of[rates[1]] = 1;
  runs[0].seconds[ZG_COST_FORM] = 1;
  runs[1].amounts.of[rates[0]] = 1;
  runs[1].seconds[ZG_COST_KERNEL] = 1;
  zg_machine m = {.rates = {[ZG_RATE_TANGENT] = 3}};
  unsigned parts = 1u << ZG_COST_FORM | 1u << ZG_COST_KERNEL;
  zg_calibrate_rates(runs, 2, parts, rates, 2, &m);
  zg_test_close(m.rates[rates[0]], 5.0 / 3, 1e-9, "form_single");
  CU_ASSERT(m.rates[rates[1]] >= 1e15);
  CU_ASSERT_EQUAL(m.rates[ZG_RATE_TANGENT], 3);
}

static void what_was_not_seen_stays(void) {
  static const zg_rate rates[] = {ZG_RATE_FORM_TEAM};
  zg_observation run = {.seconds = {[ZG_COST_FORM] = 1}};
  zg_machine m = {.rates = {[ZG_RATE_FORM_TEAM] = 42}};
  zg_calibrate_rates(&run, 1, 1u << ZG_COST_FORM, rates, 1, &m);
  CU_ASSERT_EQUAL(m.rates[ZG_RATE_FORM_TEAM], 42);
  run = (zg_observation){.amounts = {.of = {[ZG_RATE_FORM_TEAM] = 1}}}; /* in no time */
  zg_calibrate_rates(&run, 1, 1u << ZG_COST_FORM, rates, 1, &m);
  CU_ASSERT_EQUAL(m.rates[ZG_RATE_FORM_TEAM], 42);
}

const zg_test zg_tests[] = {
    {"one_rank_does_everything", one_rank_does_everything},
    {"the_busiest_rank_counts", the_busiest_rank_counts},
    {"precision_and_teams_have_rates_of_their_own",
     precision_and_teams_have_rates_of_their_own},
    {"medians_take_a_sample_and_another_formation",
     medians_take_a_sample_and_another_formation},
    {"batches_are_formed_in_double", batches_are_formed_in_double},
    {"panels_that_do_not_stay_are_read_again", panels_that_do_not_stay_are_read_again},
    {"features_are_multiplied_slice_by_slice", features_are_multiplied_slice_by_slice},
    {"vectors_are_dealt_out_in_slices", vectors_are_dealt_out_in_slices},
    {"other_forms_are_coarse", other_forms_are_coarse},
    {"parts_add_up", parts_add_up},
    {"a_quick_file_system_leaves_the_rank_its_time",
     a_quick_file_system_leaves_the_rank_its_time},
    {"text_and_json_name_the_parts", text_and_json_name_the_parts},
    {"more_ranks_have_no_more_to_do", more_ranks_have_no_more_to_do},
    {"words_are_those_of_the_model", words_are_those_of_the_model},
    {"the_time_falls_until_messages_rule", the_time_falls_until_messages_rule},
    {"rates_that_are_not_stated_follow", rates_that_are_not_stated_follow},
    {"rates_come_back_from_their_times", rates_come_back_from_their_times},
    {"durations_come_back_as_well", durations_come_back_as_well},
    {"nothing_costs_less_than_nothing", nothing_costs_less_than_nothing},
    {"what_was_not_seen_stays", what_was_not_seen_stays},
    {NULL, NULL}};
