/** \file
 * Sums for all pairs of items on teams of every size, against plain loops over what
 * every rank has added. */
#include "grid/pairs.h"
#include "mpi_main.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Numbers per item on one rank: ranks differ, the largest needs two runs. */
enum { LONGEST = ZG_RUN + 9, PADDING = 5, STRIDE = LONGEST + PADDING, VECTOR = 11 };

static int64_t length_of(int position) {
  return LONGEST - 3 * position;
}

/* Number k of item i in the part that rank `rank` adds. */
static double term(int rank, int64_t i, int64_t k) {
  unsigned long index = (unsigned long)(i * STRIDE + k);
  return (double)(float)zg_test_random(100 + (unsigned long)rank, index);
}

/* What a team adds beside products: the same on all of its ranks. */
static double vector_term(int team, int64_t i, int64_t k) {
  return zg_test_random(200 + (unsigned long)team, (unsigned long)(i * VECTOR + k));
}
static double scalar(int team, int64_t i) {
  return zg_test_random(300 + (unsigned long)team, (unsigned long)i);
}

static void *make_items(zg_precision precision, const zg_team *team, int64_t n) {
  int rank = zg_test_rank();
  void *V = calloc((size_t)(n * STRIDE), zg_real_size(precision));
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < length_of(team->position); k++)
      if (precision == ZG_SINGLE)
        ((float *)V)[i * STRIDE + k] = (float)term(rank, i, k);
      else
        ((double *)V)[i * STRIDE + k] = term(rank, i, k);
  return V;
}

static const double product_weight = 0.5, vector_weight = -0.5, scalar_weight = 0.25;

/* The expected sums, symmetric by construction. */
typedef struct expected {
  int64_t n;
  double *sums;
} expected;

static expected expect(const zg_team *team, int64_t n, bool rest) {
  expected e = {.n = n, .sums = calloc((size_t)(n * n), sizeof(double))};
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      long double sum = 0;
      for (int rank = 0; rank < team->teams * team->size; rank++)
        for (int64_t k = 0; k < length_of(rank % team->size); k++)
          sum += product_weight * (long double)term(rank, i, k) * term(rank, j, k);
      for (int t = 0; rest && t < team->teams; t++) {
        for (int64_t k = 0; k < VECTOR; k++)
          sum +=
              vector_weight * (long double)vector_term(t, i, k) * vector_term(t, j, k);
        sum += scalar_weight * (long double)scalar(t, i) * scalar(t, j);
      }
      e.sums[i * n + j] = e.sums[j * n + i] = (double)sum;
    }
  return e;
}

static void add_products(const zg_team *team, zg_precision precision, zg_pairs *pairs) {
  if (!zg_team_works(team)) return;
  void *V = make_items(precision, team, pairs->n);
  zg_pairs_add_product(team, precision, product_weight, V, length_of(team->position),
                       LONGEST, STRIDE, pairs);
  free(V);
}

static void add_rest(const zg_team *team, zg_pairs *pairs) {
  if (!zg_team_works(team)) return;
  enum { WIDE = VECTOR + 2 };
  int64_t n = pairs->n;
  double *w = calloc((size_t)(n * WIDE), sizeof *w);
  double *x = calloc((size_t)n, sizeof *x);
  for (int64_t i = 0; i < n; i++) {
    for (int64_t k = 0; k < VECTOR; k++)
      w[i * WIDE + k] = vector_term(team->team, i, k);
    x[i] = scalar(team->team, i);
  }
  zg_pairs_add_vectors(vector_weight, w, VECTOR, WIDE, pairs);
  zg_pairs_add_vectors(vector_weight, w, 0, WIDE, pairs);
  zg_pairs_add_scalars(scalar_weight, x, pairs);
  free(x);
  free(w);
}

/* A sum of m products of numbers in [-1, 1) is of size m/3 on the diagonal and
 * sqrt(m)/3 beside it; its m roundings add up like sqrt(m). */
static double tolerance(zg_precision precision, const zg_team *team, bool diagonal) {
  double m = (double)LONGEST * team->size * team->teams;
  double epsilon = precision == ZG_SINGLE ? FLT_EPSILON : DBL_EPSILON;
  return product_weight * epsilon * sqrt(m) * (diagonal ? m / 3 : sqrt(m));
}

static void check_owners(const zg_pairs *pairs) {
  int64_t *owners = calloc((size_t)pairs->n, sizeof *owners);
  for (int64_t i = pairs->own; i < pairs->own + pairs->owned; i++)
    owners[i]++;
  zg_sum_counts(MPI_COMM_WORLD, owners, pairs->n);
  for (int64_t i = 0; i < pairs->n; i++)
    CU_ASSERT_EQUAL(owners[i], 1);
  free(owners);
}

/* Combine, and compare what this rank owns. */
static void check_combined(const zg_team *team, zg_precision precision, zg_pairs *pairs,
                           const expected *e) {
  int64_t n = pairs->n;
  double *diagonal = calloc((size_t)n, sizeof *diagonal);
  zg_pairs_combine(team, pairs, diagonal);
  check_owners(pairs);
  for (int64_t i = pairs->own; i < pairs->own + pairs->owned; i++)
    for (int64_t k = 0; k < n; k++)
      zg_test_close(zg_pairs_at(pairs, i, k), e->sums[i * n + k],
                    tolerance(precision, team, i == k), "sum of a pair");
  for (int64_t i = 0; i < n; i++)
    zg_test_close(diagonal[i], e->sums[i * n + i], tolerance(precision, team, true),
                  "diagonal");
  free(diagonal);
}

static const int64_t items[] = {1, 2, 7, 12};

typedef void check_fn(const zg_team *team, zg_precision precision, int64_t n);

static void on_teams_of_every_size(check_fn *check) {
  for (int size = 1; size <= zg_test_ranks(); size++)
    for (size_t k = 0; k < sizeof items / sizeof *items; k++) {
      zg_team team;
      zg_team_create(MPI_COMM_WORLD, size, &team);
      for (zg_precision precision = ZG_SINGLE; precision <= ZG_DOUBLE; precision++)
        check(&team, precision, items[k]);
      zg_team_destroy(&team);
    }
}

static void check_products(const zg_team *team, zg_precision precision, int64_t n) {
  expected e = expect(team, n, false);
  zg_pairs pairs;
  zg_pairs_create(team, n, &pairs);
  add_products(team, precision, &pairs);
  check_combined(team, precision, &pairs, &e);
  zg_pairs_destroy(&pairs);
  free(e.sums);
}

static void products_are_summed_over_all_ranks(void) {
  on_teams_of_every_size(check_products);
}

static void check_everything(const zg_team *team, zg_precision precision, int64_t n) {
  expected e = expect(team, n, true);
  zg_pairs products, rest;
  zg_pairs_create(team, n, &products);
  zg_pairs_create(team, n, &rest);
  add_products(team, precision, &products);
  add_rest(team, &rest);
  if (zg_team_works(team)) zg_pairs_add(&products, &rest);
  check_combined(team, precision, &rest, &e);
  zg_pairs_destroy(&products);
  zg_pairs_destroy(&rest);
  free(e.sums);
}

static void vectors_and_scalars_are_added_to_products(void) {
  on_teams_of_every_size(check_everything);
}

/* What a team has before the end is a run of columns for each rank. */
static void check_columns(const zg_team *team, zg_precision precision, int64_t n) {
  (void)precision;
  zg_pairs pairs;
  zg_pairs_create(team, n, &pairs);
  int64_t *held = calloc((size_t)n, sizeof *held);
  for (int64_t j = 0; j < pairs.count; j++)
    held[pairs.first + j]++;
  zg_sum_counts(MPI_COMM_WORLD, held, n);
  for (int64_t j = 0; j < n; j++)
    CU_ASSERT_EQUAL(held[j], team->teams);
  CU_ASSERT(pairs.count <= zg_pairs_share(n, team->size));
  for (int64_t k = 0; k < n * pairs.count; k++)
    CU_ASSERT_EQUAL(pairs.coarse[k] + pairs.fine[k], 0);
  free(held);
  zg_pairs_destroy(&pairs);
  CU_ASSERT_PTR_NULL(pairs.coarse);
}

static void every_team_holds_every_column_once(void) {
  on_teams_of_every_size(check_columns);
}

/* The matrix in bands: of each item the sums with all up to it. */
static void check_band(const zg_team *team, zg_precision precision, int64_t begin,
                       int64_t end, const expected *e) {
  zg_pairs products, rest;
  double *diagonal = calloc((size_t)e->n, sizeof *diagonal);
  int64_t *owners = calloc((size_t)e->n, sizeof *owners);
  zg_pairs_create_band(team, e->n, begin, end, &products);
  zg_pairs_create_band(team, e->n, begin, end, &rest);
  add_products(team, precision, &products);
  add_rest(team, &rest);
  zg_pairs_add(&products, &rest);
  zg_pairs_combine(team, &rest, diagonal);
  for (int64_t i = rest.own; i < rest.own + rest.owned; i++, owners[i - 1]++)
    for (int64_t k = 0; k <= i; k++)
      zg_test_close(zg_pairs_at(&rest, i, k), e->sums[i * e->n + k],
                    tolerance(precision, team, i == k), "sum of a pair in a band");
  zg_sum_counts(MPI_COMM_WORLD, owners, e->n);
  for (int64_t i = 0; i < e->n; i++) {
    bool within = i >= begin && i < end;
    CU_ASSERT_EQUAL(owners[i], within);
    zg_test_close(diagonal[i], within ? e->sums[i * e->n + i] : 0,
                  tolerance(precision, team, true), "diagonal of a band");
  }
  free(owners);
  free(diagonal);
  zg_pairs_destroy(&products);
  zg_pairs_destroy(&rest);
}

static void bands_are_what_the_whole_is(void) {
  static const int64_t cuts[] = {0, 1, 2, 6, 7, 12};
  zg_team team;
  zg_team_create(MPI_COMM_WORLD, 1, &team);
  expected e = expect(&team, 12, true);
  for (zg_precision precision = ZG_SINGLE; precision <= ZG_DOUBLE; precision++)
    for (int k = 0; k < 5; k++)
      check_band(&team, precision, cuts[k], cuts[k + 1], &e);
  free(e.sums);
  zg_team_destroy(&team);
}

const zg_test zg_tests[] = {
    {"products_are_summed_over_all_ranks", products_are_summed_over_all_ranks},
    {"vectors_and_scalars_are_added_to_products",
     vectors_and_scalars_are_added_to_products},
    {"every_team_holds_every_column_once", every_team_holds_every_column_once},
    {"bands_are_what_the_whole_is", bands_are_what_the_whole_is},
    {NULL, NULL}};
