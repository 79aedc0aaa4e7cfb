/** \file
 * The pair form with a measure made for the purpose: not symmetric, of two arrays, with
 * numbers of the whole tensor, counting what it is asked for. */
#include "base/memory.h"
#include "engine/run.h"
#include "files.h"
#include "measures/pair.h"
#include "mpi_main.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the measure: (sum of a's activations + offset) / (sum of b's weights) ---- */

enum { ITEMS = 23, WIDTH = 3, FAULTS = 5, SOUND = ITEMS - FAULTS };
enum { NAN_ITEM = 3, ALONE = 8, SHORT = 11, LARGE = 14, OTHER_N = 17 };

static const double offset = 0.25;
static int64_t prepared, compared, shared_calls;

static zg_status share(const zg_sharing *sharing, double *shared) {
  shared_calls++;
  shared[0] = sharing->call ? offset : NAN;
  return ZG_OK;
}

static int64_t bytes(const zg_call *call, const zg_shape *shapes) {
  (void)call, (void)shapes;
  return 1 << 20; /* as if it were large */
}

static int64_t room(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)call, (void)a, (void)b;
  return sizeof(double);
}

static double cost(const zg_call *call, const zg_shape *a, const zg_shape *b) {
  (void)call, (void)b;
  return (double)a->n;
}

static void prepare(const zg_pair_context *context, const zg_rows *rows, void *data,
                    zg_code *code) {
  (void)context, (void)code;
  double *sums = data;
  prepared++;
  for (int k = 0; k < 2; k++) {
    sums[k] = 0;
    for (int64_t j = 0; j < rows[k].n * rows[k].d; j++)
      sums[k] += rows[k].values[j];
  }
}

static void compare(const zg_pair_context *context, zg_comparison *pair,
                    void *scratch) {
  const double *x = pair->a.data, *y = pair->b.data;
  *(double *)scratch = x[0] + context->shared[0];
  compared++;
  CU_ASSERT(pair->code == ZG_CODE_OK && pair->terms[0] == 0 && pair->terms[1] == 0);
  pair->terms[0] = *(double *)scratch;
  pair->terms[1] = y[1];
  if (pair->a.data == pair->b.data) pair->code = ZG_CODE_BOUND;
}

static void compare_all(const zg_pair_context *context, int64_t count,
                        zg_comparison *pairs, void *scratch) {
  CU_ASSERT(count <= 2 * ITEMS * ITEMS);
  for (int64_t k = 0; k < count; k++)
    compare(context, &pairs[k], scratch);
}

static double keep(const zg_pair_context *context, int64_t q, const double *terms) {
  return context->shared[0] + terms[q];
}

static zg_pair_form form = {.arrays = 2,
                            .data = {ZG_ACTIVATIONS, ZG_WEIGHTS},
                            .equal_n = true,
                            .self = true,
                            .terms = 2,
                            .shared = 1,
                            .share = share,
                            .bytes = bytes,
                            .room = room,
                            .cost = cost,
                            .prepare = prepare,
                            .compare = compare,
                            .keep = keep};

static zg_spec spec(const zg_call *call) {
  (void)call;
  return (zg_spec){.form = ZG_FORM_PAIR, .pair = &form};
}

static uint32_t reads(const zg_call *call) {
  (void)call;
  return ZG_DATA_BIT(ZG_ACTIVATIONS) | ZG_DATA_BIT(ZG_WEIGHTS);
}

static double finish(const zg_call *call, const zg_pair *pair, zg_code *code) {
  (void)call;
  *code = zg_pair_code(pair);
  if (*code != ZG_CODE_OK) return NAN;
  *code = pair->found;
  CU_ASSERT_EQUAL(pair->shared[0], offset);
  CU_ASSERT_EQUAL(pair->same, pair->terms == pair->terms_a);
  return pair->terms[0] / pair->terms[1];
}

static int64_t kept(const zg_call *call, zg_kept kept[ZG_MAX_KEPT]) {
  (void)call;
  kept[0] = (zg_kept){.name = "own", .meaning = "first term", .axis = ZG_AXIS_ITEM};
  return 1;
}

static const zg_option options[] = {{.name = NULL}};
static const zg_measure measure = {.name = "made_up",
                                   .title = "Made up",
                                   .space = "activation",
                                   .formula = "a / b",
                                   .reference = "none",
                                   .axis = ZG_AXIS_ITEM,
                                   .kind = ZG_DISTANCE,
                                   .options = options,
                                   .spec = spec,
                                   .finish = finish,
                                   .reads = reads,
                                   .kept = kept};

/* ---- the zoo ---- */

static int64_t samples_of(int item) {
  return item == SHORT ? 3 : item == OTHER_N ? 9 : 6;
}

static double number(int item, bool weights, int64_t k) {
  if (item == NAN_ITEM && weights && k == 4) return NAN;
  if (item == LARGE && !weights && k == 5) return 1e152; /* sums of squares overflow */
  return 1 + item +
         0.5 * zg_test_random(weights ? 70 : 60, (unsigned long)(item * 100 + k));
}

static void write_array(hid_t file, int item, bool weights) {
  double values[64];
  char path[64];
  hsize_t dims[2] = {(hsize_t)samples_of(item), weights ? 2 : WIDTH};
  for (int64_t k = 0; k < (int64_t)(dims[0] * dims[1]); k++)
    values[k] = number(item, weights, k);
  snprintf(path, sizeof path, "/models/m/%s/l%02d", weights ? "weights" : "activations",
           item);
  zg_test_zoo_dataset(file, path, H5T_IEEE_F64LE, 2, dims, values);
}

static void write_zoo(const char *path) {
  hid_t file = zg_test_zoo_create(path);
  for (int i = 0; i < ITEMS; i++) {
    write_array(file, i, false);
    if (i != ALONE) write_array(file, i, true);
  }
  zg_test_zoo_close(file);
}

/* ---- what has to come out ---- */

static double sum_of(int item, bool weights) {
  double sum = 0;
  for (int64_t k = 0; k < samples_of(item) * (weights ? 2 : WIDTH); k++)
    sum += number(item, weights, k);
  return sum;
}

static zg_code code_of(int item) {
  return item == NAN_ITEM || item == LARGE ? ZG_CODE_NONFINITE
         : item == ALONE                   ? ZG_CODE_ABSENT
         : item == SHORT                   ? ZG_CODE_FEW_SAMPLES
                                           : ZG_CODE_OK;
}

static zg_code pair_code(int a, int b) {
  bool shapes_known = a != ALONE && b != ALONE;
  bool fits = !shapes_known || samples_of(a) == samples_of(b);
  zg_code own = zg_code_worse(code_of(a), code_of(b));
  return zg_code_worse(own, fits ? ZG_CODE_OK : ZG_CODE_SHAPE);
}

static void check_tensor(const char *path) {
  zg_tensor *t;
  CU_ASSERT_EQUAL_FATAL(zg_tensor_read(path, "made_up", &t), ZG_OK);
  for (int a = 0; a < ITEMS; a++)
    for (int b = 0; b < ITEMS; b++) {
      zg_code code = pair_code(a, b);
      double value = t->values[a * ITEMS + b];
      bool bound = code == ZG_CODE_OK && a == b;
      CU_ASSERT_EQUAL(t->codes[a * ITEMS + b], bound ? ZG_CODE_BOUND : code);
      CU_ASSERT_EQUAL(isnan(value), code != ZG_CODE_OK);
      if (code == ZG_CODE_OK)
        CU_ASSERT_EQUAL(value, (sum_of(a, false) + offset) / sum_of(b, true));
    }
  zg_tensor_destroy(&t);
}

/* ---- runs ---- */

typedef struct test_run {
  char zoo[ZG_TEST_PATH_BYTES], output[ZG_TEST_PATH_BYTES];
  zg_call call;
  zg_test_job job;
} test_run;

static void begin(test_run *t) {
  *t = (test_run){.call = {.measure = &measure, .name = "made_up"}};
  t->job = (zg_test_job){.zoo = zg_test_path("pairs.h5", t->zoo),
                         .output = zg_test_path("pairs-results.h5", t->output),
                         .calls = &t->call,
                         .call_count = 1,
                         .team_size = 1};
  if (zg_test_rank() == 0) write_zoo(t->zoo);
  prepared = compared = shared_calls = 0;
  MPI_Barrier(MPI_COMM_WORLD);
}

static void run(test_run *t, zg_status expected) {
  CU_ASSERT_EQUAL(zg_test_engine_run(&t->job), expected);
  if (zg_test_rank() == 0 && expected == ZG_PARTIAL) check_tensor(t->output);
  MPI_Barrier(MPI_COMM_WORLD);
}

static int64_t all_ranks(int64_t count) {
  MPI_Allreduce(MPI_IN_PLACE, &count, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
  return count;
}

/* Of the sound items one has another n and is compared with itself alone. */
enum { COMPARISONS = (SOUND) * (SOUND) + 1 };

static void every_pair_is_compared_once(void) {
  test_run t;
  begin(&t);
  run(&t, ZG_PARTIAL);
  CU_ASSERT_EQUAL(all_ranks(compared), COMPARISONS);
  CU_ASSERT_EQUAL(shared_calls, 1);
}

/* With plenty of memory a rank prepares an item once; items that are not finite are
 * read but not prepared. */
static void items_stay_while_memory_lasts(void) {
  test_run t;
  begin(&t);
  run(&t, ZG_PARTIAL);
  CU_ASSERT(prepared <= SOUND + 1);
  if (zg_test_ranks() == 1) CU_ASSERT_EQUAL(prepared, SOUND + 1);
  int64_t plenty = all_ranks(prepared);
  begin(&t);
  t.job.memory = (int64_t)69 << 20; /* a few items */
  run(&t, ZG_PARTIAL);
  CU_ASSERT(all_ranks(prepared) > plenty);
  CU_ASSERT_EQUAL(all_ranks(compared), COMPARISONS);
}

/* Sound items of a run of `length`. */
static int64_t sound_in(int64_t run, int64_t length) {
  int64_t count = 0;
  for (int64_t i = run * length; i < zg_min(ITEMS, (run + 1) * length); i++)
    count += code_of((int)i) == ZG_CODE_OK;
  return count;
}

/* Items of the runs that a block has and the block before it has not. */
static int64_t arrivals(const zg_pass *pass) {
  zg_pair_block *blocks = zg_plan_pair_blocks(pass), last = {-1, -1};
  int64_t count = 0;
  for (int64_t t = 0; t < pass->tasks; last = blocks[t++]) {
    int64_t row = blocks[t].row, column = blocks[t].column;
    if (row != last.row && row != last.column) count += sound_in(row, pass->piece);
    if (column != row && column != last.row && column != last.column)
      count += sound_in(column, pass->piece);
  }
  free(blocks);
  return count;
}

/* With room for two runs of two items, a run that serves two blocks in succession is
 * prepared once for both. */
static void a_block_keeps_what_the_next_one_shares(void) {
  enum { LENGTH = 2, RUNS = (ITEMS + LENGTH - 1) / LENGTH };
  const zg_pass pass = {
      .items = ITEMS, .piece = LENGTH, .tasks = RUNS * (RUNS + 1) / 2};
  test_run t;
  begin(&t);
  t.job.ranks = 1;
  t.job.memory = (int64_t)69 << 20;
  run(&t, ZG_PARTIAL);
  if (zg_test_rank() > 0) return;
  CU_ASSERT_EQUAL(compared, COMPARISONS);
  CU_ASSERT(prepared > SOUND + 1 && prepared <= arrivals(&pass));
}

static void blocks_can_be_compared_as_one(void) {
  test_run t;
  form.compare_all = compare_all;
  begin(&t);
  run(&t, ZG_PARTIAL);
  CU_ASSERT_EQUAL(all_ranks(compared), COMPARISONS);
  form.compare_all = NULL;
}

static void too_little_memory_is_an_error(void) {
  test_run t;
  begin(&t);
  t.job.memory = (int64_t)57 << 20;
  run(&t, ZG_ERR_SYSTEM);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "measure made_up needs"));
}

/* ---- stopping ---- */

static int64_t patience;

static bool stop_after_some(void) {
  return patience-- <= 0;
}

/* Runs on changing numbers of ranks; nothing is done twice. */
static void a_stopped_run_goes_on(void) {
  test_run t;
  begin(&t);
  t.job.checkpoint = 1e-9;
  t.job.should_stop = stop_after_some;
  int ranks = zg_test_ranks();
  for (int attempt = 0; attempt < 3; attempt++) {
    t.job.ranks = 1 + (ranks + attempt) % ranks;
    patience = 1 + attempt % 2;
    run(&t, ZG_STOPPED);
  }
  t.job.should_stop = NULL;
  t.job.ranks = 0;
  run(&t, ZG_PARTIAL);
  CU_ASSERT_EQUAL(all_ranks(compared), COMPARISONS);
}

const zg_test zg_tests[] = {
    {"every_pair_is_compared_once", every_pair_is_compared_once},
    {"items_stay_while_memory_lasts", items_stay_while_memory_lasts},
    {"a_block_keeps_what_the_next_one_shares", a_block_keeps_what_the_next_one_shares},
    {"blocks_can_be_compared_as_one", blocks_can_be_compared_as_one},
    {"too_little_memory_is_an_error", too_little_memory_is_an_error},
    {"a_stopped_run_goes_on", a_stopped_run_goes_on},
    {NULL, NULL}};
