/** \file
 * Tiles of tangent kernels of every kind of layer, against the Jacobian multiplied out
 * in plain loops. */
#include "base/memory.h"
#include "engine/factored.h"
#include "engine/theta.h"
#include "files.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- what tiles are made of ---- */

typedef struct stage {
  zg_zoo *zoo;
  zg_run run;
  zg_report report;
  zg_work work;
} stage;

/* One model of these layers. A rank of its own: nothing here is collective. */
static void set_stage(stage *s, const char *name, const zg_test_layer *layers,
                      int64_t count, int64_t m, int64_t classes) {
  char path[ZG_TEST_PATH_BYTES];
  zg_list paths = {0};
  hid_t file = zg_test_zoo_create(zg_test_path(name, path));
  for (int64_t l = 0; l < count; l++)
    zg_test_layer_write(file, "net", &layers[l], m, classes);
  zg_test_zoo_close(file);
  zg_list_add(&paths, path);
  *s = (stage){0};
  CU_ASSERT_EQUAL_FATAL(zg_zoo_open(&paths, NULL, &s->zoo), ZG_OK);
  CU_ASSERT_EQUAL_FATAL(zg_zoo_check_tangent(s->zoo), ZG_OK);
  zg_list_clear(&paths);
  s->run = (zg_run){.zoo = s->zoo};
  s->work = (zg_work){
      .run = &s->run, .report = &s->report, .reader = zg_reader_create(s->zoo)};
}

static void clear_stage(stage *s) {
  zg_reader_destroy(&s->work.reader);
  zg_zoo_destroy(&s->zoo);
}

/* ---- comparing ---- */

typedef struct trial {
  const zg_test_layer *layers;
  int64_t count, m, classes;
  int64_t samples; /* of a run */
} trial;

static double number(zg_precision precision, const void *values, int64_t k) {
  return precision == ZG_DOUBLE ? ((const double *)values)[k]
                                : ((const float *)values)[k];
}

/* Roundings are relative to |J_a| |J_b|. Factors are rounded to the precision, which
 * gives 2 eps, and sums of n terms to sqrt(n) eps, of which 16 are never reached here;
 * blocked sums of BLAS are better than that. */
static double tolerance(zg_precision precision) {
  return 32 * (precision == ZG_DOUBLE ? DBL_EPSILON : FLT_EPSILON);
}

static void check_tile(const trial *t, bool full, zg_precision precision, int64_t a,
                       int64_t rows, int64_t b, int64_t columns, const void *tile) {
  int64_t E = full ? t->classes : 1, height = rows * E, width = columns * E;
  long double *theta = ZG_NEW(long double, 2 * height * width);
  long double *sizes = theta + height * width;
  double worst = 0;
  zg_test_theta(t->layers, t->count, t->classes, full, a, rows, b, columns, theta,
                sizes);
  for (int64_t r = 0; r < height; r++)
    for (int64_t c = 0; c < width; c++) {
      long double off = number(precision, tile, c * height + r) - theta[r * width + c];
      worst = fmax(worst, (double)fabsl(off / sizes[r * width + c]));
    }
  zg_test_close(worst, 0, tolerance(precision), t->layers[0].name);
  free(theta);
}

/* A tile off the diagonal, one on it, and a narrow one at the end. */
static void check_tiles(stage *s, const trial *t, bool full, zg_precision precision) {
  zg_tangent_spec spec = {.full = full, .source = ZG_TANGENT_AUTO};
  int64_t n = t->samples, E = full ? t->classes : 1;
  const int64_t runs[3][4] = {{0, n, n, n}, {n, n, n, n}, {t->m - 1, 1, 0, n}};
  zg_factor_store *store = zg_factors_open(&s->work, &spec, precision, 2, n);
  zg_theta theta;
  void *tile = zg_alloc(n * E * n * E, zg_real_size(precision));
  zg_theta_create(&s->work, precision, &theta);
  for (int k = 0; k < 3; k++) {
    const zg_factors *left, *right;
    const int64_t *r = runs[k];
    CU_ASSERT_EQUAL_FATAL(zg_factors_get(store, 0, r[0], r[1], &left), ZG_OK);
    CU_ASSERT_EQUAL_FATAL(zg_factors_get(store, 0, r[2], r[3], &right), ZG_OK);
    CU_ASSERT_EQUAL(left == right, r[0] == r[2]);
    CU_ASSERT_EQUAL_FATAL(zg_theta_tile(&theta, left, right, 0, tile), ZG_OK);
    CU_ASSERT(theta.finite && theta.flop > 0);
    check_tile(t, full, precision, r[0], r[1], r[2], r[3], tile);
  }
  zg_theta_destroy(&theta);
  zg_factors_close(&store);
  free(tile);
}

static void check_trial(const trial *t) {
  stage s;
  set_stage(&s, "theta.h5", t->layers, t->count, t->m, t->classes);
  for (int full = 0; full < 2; full++) {
    check_tiles(&s, t, full, ZG_DOUBLE);
    check_tiles(&s, t, full, ZG_SINGLE);
  }
  clear_stage(&s);
}

/* Each layer with and without its bias. */
static void check_layer(zg_test_layer layer, int64_t m, int64_t classes,
                        int64_t samples) {
  for (int bias = 0; bias < 2; bias++) {
    layer.bias = bias;
    check_trial(&(trial){&layer, 1, m, classes, samples});
  }
}

/* ---- every kind ---- */

static void layers_without_positions(void) {
  check_layer((zg_test_layer){ZG_TEST_DENSE, "fc", 1, 7, 5, true, 1, 0}, 10, 3, 4);
  check_layer((zg_test_layer){ZG_TEST_DENSE, "one", 1, 1, 1, true, 2, 0}, 5, 1, 2);
  check_layer((zg_test_layer){ZG_TEST_DENSE, "wide", 1, 300, 2, true, 3, 0}, 20, 2, 9);
}

/* Which of the two orders a layer is multiplied in. */
static bool expands(const zg_test_layer *layer, int64_t m, int64_t classes, bool full,
                    int64_t samples) {
  stage s;
  zg_tangent_spec spec = {.full = full};
  const zg_factors *factors;
  set_stage(&s, "order.h5", layer, 1, m, classes);
  zg_factor_store *store = zg_factors_open(&s.work, &spec, ZG_DOUBLE, 2, samples);
  CU_ASSERT_EQUAL_FATAL(zg_factors_get(store, 0, 0, 1, &factors), ZG_OK);
  bool found = factors->layers[0].expands;
  zg_factors_close(&store);
  clear_stage(&s);
  return found;
}

/* Few positions of wide layers: products of positions. */
static void few_positions(void) {
  zg_test_layer layer = {ZG_TEST_DENSE, "conv", 3, 20, 15, true, 4, 0};
  CU_ASSERT_FALSE(expands(&layer, 8, 3, false, 3));
  CU_ASSERT_FALSE(expands(&layer, 8, 3, true, 3));
  check_layer(layer, 8, 3, 3);
}

/* Many positions of narrow layers: derivatives multiplied out. */
static void many_positions(void) {
  zg_test_layer layer = {ZG_TEST_DENSE, "conv", 40, 4, 3, true, 5, 0};
  CU_ASSERT(expands(&layer, 8, 3, false, 4));
  CU_ASSERT(expands(&layer, 8, 3, true, 4));
  check_layer(layer, 8, 3, 4);
}

/* So many class pairs that only five samples at a time are multiplied. */
static void products_of_positions_in_steps(void) {
  zg_test_layer layer = {ZG_TEST_DENSE, "attention", 32, 3000, 4, false, 6, 0};
  trial t = {&layer, 1, 14, 20, 7};
  stage s;
  CU_ASSERT_FALSE(expands(&layer, 14, 20, true, 7));
  CU_ASSERT(ZG_EXPANDED / (32 * 20 * 32 * 20) < 7);
  set_stage(&s, "steps.h5", &layer, 1, t.m, t.classes);
  check_tiles(&s, &t, true, ZG_DOUBLE);
  clear_stage(&s);
}

/* So many outputs that they are multiplied out in several slabs. */
static void derivatives_in_slabs(void) {
  zg_test_layer layer = {ZG_TEST_DENSE, "wide", 64, 200, 300, true, 7, 0};
  trial t = {&layer, 1, 80, 1, 40};
  stage s;
  CU_ASSERT(expands(&layer, 80, 1, false, 40));
  CU_ASSERT(ZG_EXPANDED < 40 * 201 * 300);
  set_stage(&s, "slabs.h5", &layer, 1, t.m, t.classes);
  check_tiles(&s, &t, false, ZG_DOUBLE);
  check_tiles(&s, &t, false, ZG_SINGLE);
  clear_stage(&s);
}

static void rows_of_a_table(void) {
  /* more positions than rows, so that some share one; fewer, so that some share none */
  check_layer((zg_test_layer){ZG_TEST_INDEXED, "emb", 9, 4, 3, true, 8, 0}, 8, 3, 3);
  check_layer((zg_test_layer){ZG_TEST_INDEXED, "emb", 5, 50, 4, true, 9, 0}, 8, 2, 4);
  check_layer((zg_test_layer){ZG_TEST_INDEXED, "emb", 1, 3, 2, true, 10, 0}, 8, 2, 4);
}

static void explicit_derivatives(void) {
  check_layer((zg_test_layer){ZG_TEST_DIRECT, "norm", 1, 0, 11, false, 11, 0}, 9, 3, 4);
  zg_test_layer jacobian = {ZG_TEST_JACOBIAN, "jacobian", 1, 0, 130, false, 12, 0};
  check_trial(&(trial){&jacobian, 1, 9, 3, 4});
}

/* Derivatives too wide to be held are read slab by slab, more than one. */
static void streamed_derivatives(void) {
  zg_test_layer layer = {ZG_TEST_DIRECT, "huge", 1, 0, 300000, false, 13, 0};
  trial t = {&layer, 1, 8, 2, 4};
  stage s;
  zg_tangent_spec spec = {0};
  const zg_factors *factors;
  set_stage(&s, "streamed.h5", &layer, 1, t.m, t.classes);
  zg_factor_store *store = zg_factors_open(&s.work, &spec, ZG_DOUBLE, 2, t.samples);
  CU_ASSERT_EQUAL_FATAL(zg_factors_get(store, 0, 0, t.samples, &factors), ZG_OK);
  CU_ASSERT(factors->layers[0].streamed && !factors->layers[0].signal);
  CU_ASSERT(ZG_EXPANDED / (t.samples * t.classes) < layer.out);
  zg_factors_close(&store);
  check_tiles(&s, &t, false, ZG_DOUBLE);
  check_tiles(&s, &t, true, ZG_DOUBLE);
  check_tiles(&s, &t, true, ZG_SINGLE);
  clear_stage(&s);
}

static void layers_of_all_kinds_add_up(void) {
  const zg_test_layer layers[] = {
      {ZG_TEST_DENSE, "a.conv", 3, 20, 15, true, 14, 0},
      {ZG_TEST_DENSE, "b.conv", 40, 4, 3, false, 15, 0},
      {ZG_TEST_INDEXED, "c.emb", 9, 4, 3, true, 16, 0},
      {ZG_TEST_DENSE, "d.fc", 1, 7, 5, true, 17, 0},
      {ZG_TEST_DIRECT, "e.norm", 1, 0, 11, false, 18, 0},
  };
  check_trial(&(trial){layers, 5, 8, 3, 3});
}

/* ---- numbers that are none ---- */

/* Put one number into a dataset of the model. */
static void spoil(const char *path, const char *dataset, hsize_t at) {
  const double bad = NAN;
  const hsize_t one = 1;
  hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
  hid_t array = H5Dopen2(file, dataset, H5P_DEFAULT), space = H5Dget_space(array);
  hsize_t dims[4], place[4];
  int rank = H5Sget_simple_extent_dims(space, dims, NULL);
  for (int k = rank - 1; k >= 0; k--) {
    place[k] = at % dims[k];
    at /= dims[k];
  }
  hid_t memory = H5Screate_simple(1, &one, NULL);
  H5Sselect_elements(space, H5S_SELECT_SET, 1, place);
  CU_ASSERT(H5Dwrite(array, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, &bad) >= 0);
  H5Sclose(memory);
  H5Sclose(space);
  H5Dclose(array);
  H5Fclose(file);
}

/* A tile is finite unless its own samples hold what is not. */
static void check_spoilt(const zg_test_layer *layer, const char *dataset, hsize_t at,
                         int64_t sample) {
  char path[ZG_TEST_PATH_BYTES];
  stage s;
  zg_tangent_spec spec = {0};
  zg_theta theta;
  double tile[16];
  set_stage(&s, "spoilt.h5", layer, 1, 8, 2);
  clear_stage(&s);
  spoil(zg_test_path("spoilt.h5", path), dataset, at);
  zg_list paths = {0};
  zg_list_add(&paths, path);
  CU_ASSERT_EQUAL_FATAL(zg_zoo_open(&paths, NULL, &s.zoo), ZG_OK);
  zg_list_clear(&paths);
  s.run.zoo = s.zoo;
  s.work.reader = zg_reader_create(s.zoo);
  zg_factor_store *store = zg_factors_open(&s.work, &spec, ZG_DOUBLE, 2, 4);
  zg_theta_create(&s.work, ZG_DOUBLE, &theta);
  for (int64_t a = 0; a < 8; a += 4)
    for (int64_t b = 0; b < 8; b += 4) {
      const zg_factors *left, *right;
      CU_ASSERT_EQUAL(zg_factors_get(store, 0, a, 4, &left), ZG_OK);
      CU_ASSERT_EQUAL(zg_factors_get(store, 0, b, 4, &right), ZG_OK);
      CU_ASSERT_EQUAL(zg_theta_tile(&theta, left, right, 0, tile), ZG_OK);
      bool touched = sample / 4 == a / 4 || sample / 4 == b / 4;
      CU_ASSERT_EQUAL(theta.finite, !touched);
    }
  zg_theta_destroy(&theta);
  zg_factors_close(&store);
  clear_stage(&s);
}

static void what_is_not_finite_is_noticed(void) {
  const zg_test_layer fc = {ZG_TEST_DENSE, "fc", 1, 3, 5, true, 19, 0};
  const zg_test_layer emb = {ZG_TEST_INDEXED, "emb", 4, 3, 2, true, 20, 0};
  const zg_test_layer norm = {ZG_TEST_DIRECT, "norm", 1, 0, 6, false, 21, 0};
  const zg_test_layer huge = {ZG_TEST_DIRECT, "huge", 1, 0, 300000, false, 22, 0};
  check_spoilt(&fc, "/models/net/ntk/fc/input", 5 * 3 + 1, 5);
  check_spoilt(&fc, "/models/net/ntk/fc/signal", 2 * 10 + 9, 2);
  check_spoilt(&emb, "/models/net/ntk/emb/signal", 7 * 16 + 15, 7);
  check_spoilt(&norm, "/models/net/ntk/norm/direct", 0, 0);
  check_spoilt(&huge, "/models/net/ntk/huge/direct", 4 * 600000 + 299999, 4);
}

/* ---- the store ---- */

static void runs_stay_while_there_is_room(void) {
  const zg_test_layer fc = {ZG_TEST_DENSE, "fc", 1, 3, 5, true, 23, 0};
  stage s;
  zg_tangent_spec spec = {0};
  const zg_factors *first, *second, *again;
  set_stage(&s, "store.h5", &fc, 1, 8, 2);
  zg_factor_store *store = zg_factors_open(&s.work, &spec, ZG_DOUBLE, 2, 4);
  CU_ASSERT_EQUAL(zg_factors_get(store, 0, 0, 4, &first), ZG_OK);
  CU_ASSERT_EQUAL(zg_factors_get(store, 0, 4, 4, &second), ZG_OK);
  CU_ASSERT_PTR_NOT_EQUAL(first, second);
  int64_t bytes = zg_reader_bytes(s.work.reader);
  CU_ASSERT_EQUAL(zg_factors_get(store, 0, 0, 4, &again), ZG_OK);
  CU_ASSERT_PTR_EQUAL(again, first);
  CU_ASSERT_EQUAL(zg_reader_bytes(s.work.reader), bytes); /* nothing was read */
  CU_ASSERT_EQUAL(zg_factors_get(store, 0, 2, 4, &again), ZG_OK);
  CU_ASSERT_PTR_EQUAL(again, second); /* the one not used for longest made room */
  CU_ASSERT_EQUAL(first->first, 0);   /* and the other is still valid */
  CU_ASSERT(zg_reader_bytes(s.work.reader) > bytes);
  zg_factors_close(&store);
  CU_ASSERT_PTR_NULL(store);
  zg_factors_close(&store);
  clear_stage(&s);
}

const zg_test zg_tests[] = {
    {"layers_without_positions", layers_without_positions},
    {"few_positions", few_positions},
    {"many_positions", many_positions},
    {"products_of_positions_in_steps", products_of_positions_in_steps},
    {"derivatives_in_slabs", derivatives_in_slabs},
    {"rows_of_a_table", rows_of_a_table},
    {"explicit_derivatives", explicit_derivatives},
    {"streamed_derivatives", streamed_derivatives},
    {"layers_of_all_kinds_add_up", layers_of_all_kinds_add_up},
    {"what_is_not_finite_is_noticed", what_is_not_finite_is_noticed},
    {"runs_stay_while_there_is_room", runs_stay_while_there_is_room},
    {NULL, NULL}};
