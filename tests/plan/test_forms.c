/** \file
 * Plans of passes over vectors, tangent kernels and profiles, for zoos that exist only
 * as catalogues: who is compared with whom, how the data are cut, and in what memory.
 */
#include "base/memory.h"
#include "measures/pairs.h"
#include "mpi_main.h"
#include "plan/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t MiB = (int64_t)1 << 20, GiB = (int64_t)1 << 30;

/* ---- virtual zoos ---- */

#define DIMS(...)                                                                      \
  (sizeof((int64_t[]){__VA_ARGS__}) / 8), (const int64_t[]) {                          \
    __VA_ARGS__                                                                        \
  }

/* As in a file, where the arrays of a layer are in one group. */
static int64_t place_of(const zg_zoo *zoo, int64_t model, const char *name) {
  for (int64_t k = 0; k < zoo->array_count; k++)
    if (zoo->arrays[k].model == model && !strcmp(zoo->arrays[k].name, name))
      return zoo->arrays[k].place;
  return zoo->array_count;
}

static void add(zg_zoo *zoo, zg_data data, int64_t model, const char *name, size_t rank,
                const int64_t *dims) {
  zg_array array = {.model = model,
                    .place = place_of(zoo, model, name),
                    .data = data,
                    .name = zg_strdup(name),
                    .n = rank ? dims[0] : 1,
                    .d = 1,
                    .rank = (int)rank,
                    .dtype = ZG_FLOAT32,
                    .bias = true};
  for (size_t k = 0; k < rank; k++)
    array.dims[k] = dims[k];
  for (size_t k = 1; k < rank; k++)
    array.d *= dims[k];
  zoo->arrays = zg_realloc(zoo->arrays, zoo->array_count + 1, sizeof array);
  int64_t at = zoo->array_count++; /* behind those of the same data and model */
  while (at > 0 &&
         (zoo->arrays[at - 1].data > data ||
          (zoo->arrays[at - 1].data == data && zoo->arrays[at - 1].model > model))) {
    zoo->arrays[at] = zoo->arrays[at - 1];
    at--;
  }
  zoo->arrays[at] = array;
  for (int k = (int)data + 1; k <= ZG_DATA; k++)
    zoo->first[k]++;
  zoo->layer_count = zoo->first[ZG_ACTIVATIONS + 1];
  if (model >= zoo->model_count) zoo->model_count = model + 1;
}

static void clear(zg_zoo *zoo) {
  for (int64_t k = 0; k < zoo->array_count; k++)
    free(zoo->arrays[k].name);
  free(zoo->arrays);
  *zoo = (zg_zoo){0};
}

/* ---- plans ---- */

static zg_request request_of(const zg_zoo *zoo, const zg_call *calls, int64_t count) {
  return (zg_request){.zoo = zoo,
                      .calls = calls,
                      .call_count = count,
                      .precision = ZG_SINGLE,
                      .ranks = 1,
                      .team_size = 1,
                      .memory = 16 * GiB};
}

static zg_plan *plan_of(const zg_request *request) {
  zg_plan *plan = NULL;
  zg_status status = zg_plan_create(request, &plan);
  if (status != ZG_OK) printf("\n%s\n", zg_message());
  CU_ASSERT_EQUAL_FATAL(status, ZG_OK);
  return plan;
}

/* Groups as "0 1 3 | 2". */
static void check_groups(const zg_zoo *zoo, const char *measure, const char *options,
                         int64_t items, const char *expected) {
  char found[256] = "";
  zg_call call = zg_test_call_of(measure, options);
  zg_request request = request_of(zoo, &call, 1);
  zg_plan *plan = plan_of(&request);
  const zg_pass *pass = &plan->passes[0];
  for (int64_t g = 0; g < pass->group_count; g++)
    for (int64_t k = 0; k < pass->groups[g].count; k++) {
      size_t length = strlen(found);
      snprintf(found + length, sizeof found - length, "%s%s%lld", !length ? "" : " ",
               g && !k ? "| " : "", (long long)pass->groups[g].members[k]);
    }
  CU_ASSERT_STRING_EQUAL(found, expected);
  CU_ASSERT_EQUAL(pass->items, items);
  zg_plan_destroy(&plan);
}

/* ---- who is compared with whom ---- */

static void models_of_equal_parameters_go_together(void) {
  zg_zoo zoo = {0};
  for (int64_t m = 0; m < 6; m++) {
    if (m == 3) continue; /* has none */
    add(&zoo, ZG_WEIGHTS, m, m == 4 ? "w.other" : "w", DIMS(4, 3));
    if (m == 2)
      add(&zoo, ZG_WEIGHTS, m, "b", DIMS(5)); /* of another shape */
    else
      add(&zoo, ZG_WEIGHTS, m, "b", DIMS(4));
    add(&zoo, ZG_WEIGHTS, m, "scale", 0, NULL);
  }
  check_groups(&zoo, "weight_frobenius", "", 6, "0 1 5 | 2 | 4");
  clear(&zoo);
}

static void the_order_of_parameters_does_not_matter(void) {
  zg_zoo zoo = {0};
  add(&zoo, ZG_WEIGHTS, 0, "w", DIMS(4, 3));
  add(&zoo, ZG_WEIGHTS, 0, "b", DIMS(4));
  add(&zoo, ZG_WEIGHTS, 1, "b", DIMS(4));
  add(&zoo, ZG_WEIGHTS, 1, "w", DIMS(4, 3));
  add(&zoo, ZG_WEIGHTS, 2, "b", DIMS(4, 3)); /* shapes exchanged */
  add(&zoo, ZG_WEIGHTS, 2, "w", DIMS(4));
  check_groups(&zoo, "weight_frobenius", "", 3, "0 1 | 2");
  clear(&zoo);
}

static void matrices_of_equal_shape_go_together(void) {
  zg_zoo zoo = {0};
  add(&zoo, ZG_WEIGHTS, 0, "a", DIMS(4, 3));    /* 0 */
  add(&zoo, ZG_WEIGHTS, 0, "b", DIMS(12));      /* 1 */
  add(&zoo, ZG_WEIGHTS, 1, "c", DIMS(3, 4));    /* 2 */
  add(&zoo, ZG_WEIGHTS, 1, "d", DIMS(4, 3));    /* 3 */
  add(&zoo, ZG_WEIGHTS, 1, "e", DIMS(4, 3, 1)); /* 4 */
  add(&zoo, ZG_WEIGHTS, 1, "f", DIMS(12));      /* 5 */
  check_groups(&zoo, "weight_frobenius", "per=matrix", 6, "0 3 | 1 5 | 2 | 4");
  clear(&zoo);
}

static void gradients_of_equal_length_go_together(void) {
  zg_zoo zoo = {0};
  add(&zoo, ZG_GRADIENTS, 0, "t1", DIMS(7));
  add(&zoo, ZG_GRADIENTS, 0, "t2", DIMS(8));
  add(&zoo, ZG_GRADIENTS, 2, "u", DIMS(7)); /* model 1 has none */
  check_groups(&zoo, "gradient_cosine", "", 3, "0 2 | 1");
  check_groups(&zoo, "gradient_conflict", "", 3, "0 2 | 1");
  clear(&zoo);
}

static void fisher_pairs_what_its_form_needs(void) {
  zg_zoo zoo = {0};
  add(&zoo, ZG_LOGITS, 0, "", DIMS(50, 3));
  add(&zoo, ZG_LOGITS, 1, "", DIMS(50, 4)); /* other classes */
  add(&zoo, ZG_LOGITS, 2, "", DIMS(40, 3)); /* other samples */
  add(&zoo, ZG_LOGITS, 3, "", DIMS(50, 3));
  add(&zoo, ZG_SAMPLE_GRADIENTS, 0, "", DIMS(5, 30));
  add(&zoo, ZG_SAMPLE_GRADIENTS, 1, "", DIMS(9, 30)); /* m may differ, p not */
  add(&zoo, ZG_SAMPLE_GRADIENTS, 3, "", DIMS(5, 31));
  check_groups(&zoo, "fisher", "", 4, "0 3 | 1 | 2");
  check_groups(&zoo, "fisher", "form=task", 4, "0 1 | 3");
  clear(&zoo);
}

static void heads_and_layers_of_equal_rows_go_together(void) {
  zg_zoo zoo = {0};
  add(&zoo, ZG_ATTENTION, 0, "a", DIMS(9, 2, 5, 7)); /* layer 0, heads 0 and 1 */
  add(&zoo, ZG_ATTENTION, 1, "b", DIMS(9, 3, 5, 7)); /* other heads: 2 to 4 */
  add(&zoo, ZG_ATTENTION, 1, "c", DIMS(9, 1, 7, 5)); /* other queries and keys: 5 */
  add(&zoo, ZG_ATTENTION, 2, "d", DIMS(8, 2, 5, 7)); /* other samples: 6 and 7 */
  add(&zoo, ZG_ATTENTION, 3, "e", DIMS(9, 2, 5, 7)); /* 8 and 9 */
  check_groups(&zoo, "attention_kl", "", 5, "0 4 | 1 | 2 | 3");
  check_groups(&zoo, "attention_kl", "per=head", 10, "0 1 2 3 4 8 9 | 5 | 6 7");
  zoo.samples = 8; /* the first so many */
  check_groups(&zoo, "attention_kl", "", 5, "0 3 4 | 1 | 2");
  clear(&zoo);
}

/* One group for each grid that some pair has in common, none for other reasons; an item
 * is in several. */
static void maps_meet_on_the_smaller_grid(void) {
  zg_zoo zoo = {0};
  add(&zoo, ZG_CROSS_ATTENTION, 0, "a", DIMS(9, 4, 8, 8));
  add(&zoo, ZG_CROSS_ATTENTION, 0, "b", DIMS(9, 4, 16, 16));
  add(&zoo, ZG_CROSS_ATTENTION, 0, "c", DIMS(9, 4, 8, 8));
  check_groups(&zoo, "cross_attention", "", 3, "0 1 2");
  add(&zoo, ZG_CROSS_ATTENTION, 1, "d", DIMS(9, 4, 16, 16)); /* 1 and 3 meet on 16 */
  add(&zoo, ZG_CROSS_ATTENTION, 1, "e", DIMS(9, 3, 8, 8));   /* other tokens */
  add(&zoo, ZG_CROSS_ATTENTION, 2, "f", DIMS(9, 4, 4, 12));  /* on 4 x 8, 4 x 12 */
  check_groups(&zoo, "cross_attention", "", 6, "0 1 2 3 | 0 2 5 | 1 3 | 1 3 5 | 4");
  check_groups(&zoo, "cross_attention", "grid=3 grid=2", 6, "0 1 2 3 5 | 4");
  clear(&zoo);
}

static void add_dense_model(zg_zoo *zoo, int64_t model, int64_t m, int64_t classes) {
  add(zoo, ZG_NTK_INPUT, model, "fc", DIMS(m, 5));
  add(zoo, ZG_NTK_SIGNAL, model, "fc", DIMS(m, classes, 6));
}

static void kernels_need_equal_samples_and_whole_ones_equal_classes(void) {
  zg_zoo zoo = {0};
  add_dense_model(&zoo, 0, 40, 3);
  add_dense_model(&zoo, 1, 40, 2);
  add_dense_model(&zoo, 2, 30, 3);
  add(&zoo, ZG_JACOBIAN, 3, "", DIMS(40, 3, 77));
  add(&zoo, ZG_WEIGHTS, 4, "w", DIMS(3)); /* no kernel */
  add(&zoo, ZG_JACOBIAN, 2, "", DIMS(40, 3, 77));
  check_groups(&zoo, "ntk_distance", "", 5, "0 1 3 | 2");
  check_groups(&zoo, "ntk_distance", "reduction=full", 5, "0 3 | 1 | 2");
  check_groups(&zoo, "ntk_distance", "source=factors", 5, "0 1 | 2");
  check_groups(&zoo, "ntk_distance", "source=jacobian", 5, "2 3");
  check_groups(&zoo, "ntk_alignment", "sketch=64", 5, "0 1 | 2");
  clear(&zoo);
}

/* ---- the layers of a kernel ---- */

static void check_layer(const zg_tangent_layer *found, zg_tangent_layer expected) {
  CU_ASSERT_EQUAL(found->input, expected.input);
  CU_ASSERT_EQUAL(found->index, expected.index);
  CU_ASSERT_EQUAL(found->signal, expected.signal);
  CU_ASSERT_EQUAL(found->direct, expected.direct);
  CU_ASSERT_EQUAL(found->positions, expected.positions);
  CU_ASSERT_EQUAL(found->in, expected.in);
  CU_ASSERT_EQUAL(found->out, expected.out);
  CU_ASSERT_EQUAL(found->classes, expected.classes);
  CU_ASSERT_EQUAL(found->bias, expected.bias);
}

/* Arrays stand by kind: inputs, indices, signals, direct derivatives. */
static void layers_are_put_together_by_place(void) {
  zg_zoo zoo = {0};
  add(&zoo, ZG_NTK_INPUT, 0, "fc", DIMS(8, 4)); /* another model's */
  add(&zoo, ZG_NTK_SIGNAL, 0, "fc", DIMS(8, 2, 3));
  add(&zoo, ZG_NTK_INPUT, 1, "conv", DIMS(8, 9, 12));
  add(&zoo, ZG_NTK_SIGNAL, 1, "conv", DIMS(8, 2, 9, 5));
  add(&zoo, ZG_NTK_INDEX, 1, "emb", DIMS(8, 7));
  add(&zoo, ZG_NTK_SIGNAL, 1, "emb", DIMS(8, 2, 7, 6));
  add(&zoo, ZG_NTK_INPUT, 1, "fc", DIMS(8, 4));
  add(&zoo, ZG_NTK_SIGNAL, 1, "fc", DIMS(8, 2, 3));
  add(&zoo, ZG_NTK_DIRECT, 1, "norm", DIMS(8, 2, 10));
  add(&zoo, ZG_JACOBIAN, 1, "", DIMS(8, 2, 100));
  zoo.arrays[zoo.first[ZG_NTK_SIGNAL] + 3].bias = false; /* 1/fc */
  zg_tangent_layer *layers;
  zg_tangent_spec spec = {.source = ZG_TANGENT_AUTO};
  CU_ASSERT_EQUAL_FATAL(zg_plan_tangent_layers(&zoo, &spec, 1, &layers), 4);
  int64_t input = zoo.first[ZG_NTK_INPUT], signal = zoo.first[ZG_NTK_SIGNAL];
  int64_t index = zoo.first[ZG_NTK_INDEX], direct = zoo.first[ZG_NTK_DIRECT];
  check_layer(&layers[0],
              (zg_tangent_layer){input + 1, -1, signal + 1, -1, 9, 12, 5, 2, true});
  check_layer(&layers[1],
              (zg_tangent_layer){-1, index, signal + 2, -1, 7, 0, 6, 2, true});
  check_layer(&layers[2],
              (zg_tangent_layer){input + 2, -1, signal + 3, -1, 1, 4, 3, 2, false});
  check_layer(&layers[3], (zg_tangent_layer){-1, -1, -1, direct, 1, 0, 10, 2, false});
  free(layers);
  spec.source = ZG_TANGENT_JACOBIAN;
  CU_ASSERT_EQUAL_FATAL(zg_plan_tangent_layers(&zoo, &spec, 1, &layers), 1);
  check_layer(&layers[0], (zg_tangent_layer){-1, -1, -1, zoo.first[ZG_JACOBIAN], 1, 0,
                                             100, 2, false});
  free(layers);
  CU_ASSERT_EQUAL(zg_plan_tangent_layers(&zoo, &spec, 0, &layers), 0);
  free(layers);
  clear(&zoo);
}

static void check_source(const zg_zoo *zoo, int64_t model, zg_tangent_spec spec,
                         bool factors, bool exists) {
  bool found;
  CU_ASSERT_EQUAL(zg_plan_has_factors(zoo, &spec, model, &found), factors);
  CU_ASSERT_EQUAL(found, exists);
}

/* Model 0 has both, model 1 factors, model 2 its Jacobian, model 3 nothing. */
static void factors_come_before_jacobians(void) {
  static const bool factors[3][4] = {{true, true}, {true, true}, {false}};
  static const bool exists[3][4] = {
      {true, true, true}, {true, true}, {true, false, true}};
  zg_zoo zoo = {0};
  add_dense_model(&zoo, 0, 8, 2);
  add(&zoo, ZG_JACOBIAN, 0, "", DIMS(8, 2, 9));
  add(&zoo, ZG_NTK_DIRECT, 1, "all", DIMS(8, 2, 9));
  add(&zoo, ZG_JACOBIAN, 2, "", DIMS(8, 2, 9));
  add(&zoo, ZG_WEIGHTS, 3, "w", DIMS(2));
  for (int source = 0; source < 3; source++)
    for (int64_t model = 0; model < 4; model++)
      check_source(&zoo, model, (zg_tangent_spec){.source = (zg_tangent_source)source},
                   factors[source][model], exists[source][model]);
  zg_tangent_spec sketched = {.source = ZG_TANGENT_AUTO, .sketch = 64};
  check_source(&zoo, 0, sketched, true, true);
  check_source(&zoo, 2, sketched, false, false);
  clear(&zoo);
}

/* Multiplications for a tile of m x m samples, counted as loops would do them. */
static double by_positions(int64_t m, int64_t S, int64_t in, int64_t E, int64_t W) {
  double pairs = (double)(m * m), positions = (double)(S * S);
  double inner = pairs * positions * (double)in;
  double outer = pairs * positions * (double)(E * E) * (double)W;
  return inner + outer;
}
static double by_samples(int64_t m, int64_t S, int64_t in, int64_t E, int64_t W) {
  double made = 2 * (double)(m * E) * (double)(S * in * W); /* both sides */
  return made + (double)(m * E) * (double)(m * E) * (double)(in * W);
}

static void the_cheaper_order_is_chosen(void) {
  int chosen[2] = {0};
  for (int full = 0; full < 2; full++)
    for (int64_t m = 1; m <= 64; m *= 4)
      for (int64_t S = 2; S <= 1024; S *= 2)
        for (int64_t in = 1; in <= 1024; in *= 4)
          for (int64_t out = 1; out <= 512; out *= 8)
            for (int64_t C = 1; C <= 10; C += 3) {
              zg_tangent_layer layer = {.signal = 1,
                                        .index = -1,
                                        .direct = -1,
                                        .positions = S,
                                        .in = in,
                                        .out = out,
                                        .classes = C,
                                        .bias = true};
              int64_t E = full ? C : 1, W = full ? out : C * out;
              bool expected =
                  by_samples(m, S, in + 1, E, W) < by_positions(m, S, in + 1, E, W);
              CU_ASSERT_EQUAL(zg_plan_expands(&layer, full, m), expected);
              chosen[expected]++;
            }
  CU_ASSERT(chosen[0] > 1000 && chosen[1] > 1000);
}

static void only_inputs_with_positions_are_multiplied_out(void) {
  zg_tangent_layer dense = {
      .index = -1, .direct = -1, .positions = 1, .in = 2, .out = 2};
  zg_tangent_layer index = {
      .input = -1, .direct = -1, .positions = 1024, .out = 1, .classes = 1};
  zg_tangent_layer direct = {
      .input = -1, .index = -1, .positions = 1, .out = 9, .classes = 1};
  CU_ASSERT_FALSE(zg_plan_expands(&dense, false, 32));
  CU_ASSERT_FALSE(zg_plan_expands(&index, false, 32));
  CU_ASSERT_FALSE(zg_plan_expands(&direct, true, 32));
}

static void wide_derivatives_are_streamed(void) {
  zg_tangent_layer direct = {
      .input = -1, .index = -1, .positions = 1, .out = ZG_EXPANDED / 8, .classes = 2};
  CU_ASSERT_EQUAL(zg_plan_layer_numbers(&direct, 4), 2 * direct.out);
  CU_ASSERT_EQUAL(zg_plan_layer_numbers(&direct, 5), 0);
}

/* ---- how data are cut ---- */

static void check_cut(const zg_pass *pass, bool tiles) {
  int64_t first = 0;
  for (int64_t g = 0; g < pass->group_count; g++) {
    const zg_group *group = &pass->groups[g];
    int64_t end = 0;
    for (int64_t k = 0; k < group->pieces; k++) { /* nearly equal runs, in order */
      int64_t start = zg_part(group->length, group->pieces, k);
      CU_ASSERT_EQUAL(start, end);
      end = zg_part(group->length, group->pieces, k + 1);
      CU_ASSERT(end - start >= 1 && end - start <= group->piece);
    }
    CU_ASSERT_EQUAL(end, group->length);
    CU_ASSERT_EQUAL(group->tasks,
                    tiles ? group->pieces * (group->pieces + 1) / 2 : group->pieces);
    CU_ASSERT_EQUAL(group->first_task, first);
    CU_ASSERT_PTR_EQUAL(zg_plan_group_of(pass, first), group);
    first += group->tasks;
    CU_ASSERT_PTR_EQUAL(zg_plan_group_of(pass, first - 1), group);
  }
  CU_ASSERT_EQUAL(pass->tasks, first);
}

/* Two groups of everything, of `size` numbers or samples. */
static void make_all(zg_zoo *zoo, int64_t size) {
  for (int64_t model = 0; model < 5; model++) {
    int64_t length = model % 2 ? size : size + 3, m = zg_min(size, 300) + model % 2;
    add(zoo, ZG_WEIGHTS, model, "w", DIMS(length, 2));
    add(zoo, ZG_GRADIENTS, model, "task", DIMS(2 * length));
    add(zoo, ZG_SAMPLE_GRADIENTS, model, "", DIMS(5, 2 * length));
    add(zoo, ZG_LOGITS, model, "", DIMS(length, 4));
    add(zoo, ZG_NTK_INPUT, model, "conv", DIMS(m, 9, 12));
    add(zoo, ZG_NTK_SIGNAL, model, "conv", DIMS(m, 3, 9, 5));
    add(zoo, ZG_NTK_DIRECT, model, "norm", DIMS(m, 3, 10));
  }
}

enum { CALLS = 9 };

static void make_calls(zg_call calls[CALLS]) {
  calls[0] = zg_test_call_of("weight_frobenius", "");
  calls[1] = zg_test_call_of("weight_frobenius", "per=matrix");
  calls[2] = zg_test_call_of("gradient_cosine", "");
  calls[3] = zg_test_call_of("fisher", "");
  calls[4] = zg_test_call_of("fisher", "form=quadratic");
  calls[5] = zg_test_call_of("fisher", "form=task");
  calls[6] = zg_test_call_of("ntk_distance", "");
  calls[7] = zg_test_call_of("ntk_alignment", "reduction=full keep_kernel=1");
  calls[8] = zg_test_call_of("ntk_distance", "sketch=640");
}

static void pieces_cover_everything_once(void) {
  static const int64_t lengths[] = {1, 2, 5, 17, 200, 1000, 30000, 9000000};
  zg_call calls[CALLS];
  make_calls(calls);
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
    zg_zoo zoo = {0};
    make_all(&zoo, lengths[k]);
    zg_request request = request_of(&zoo, calls, CALLS);
    zg_plan *plan = plan_of(&request);
    CU_ASSERT_EQUAL(plan->pass_count, CALLS);
    for (int64_t p = 0; p < plan->pass_count; p++) {
      CU_ASSERT_EQUAL(plan->passes[p].group_count, 2);
      check_cut(&plan->passes[p], plan->passes[p].spec.form == ZG_FORM_TANGENT);
    }
    zg_plan_destroy(&plan);
    clear(&zoo);
  }
}

static void long_vectors_are_cut_for_several_ranks(void) {
  zg_zoo zoo = {0};
  add(&zoo, ZG_GRADIENTS, 0, "t", DIMS(100000));
  add(&zoo, ZG_GRADIENTS, 1, "t", DIMS(100000));
  zg_call call = zg_test_call_of("gradient_cosine", "");
  zg_request request = request_of(&zoo, &call, 1);
  zg_plan *plan = plan_of(&request);
  CU_ASSERT(plan->passes[0].tasks >= 8);
  zg_plan_destroy(&plan);
  clear(&zoo);
}

static void check_same_cut(const zg_plan *a, const zg_plan *b) {
  for (int64_t p = 0; p < a->pass_count; p++)
    for (int64_t g = 0; g < a->passes[p].group_count; g++) {
      CU_ASSERT_EQUAL(a->passes[p].groups[g].pieces, b->passes[p].groups[g].pieces);
      CU_ASSERT_EQUAL(a->passes[p].groups[g].piece, b->passes[p].groups[g].piece);
      CU_ASSERT_EQUAL(a->passes[p].precision, b->passes[p].precision);
    }
}

/* Also where memory is so tight that pieces become smaller for it. */
static void pieces_do_not_depend_on_the_ranks(void) {
  static const int64_t memories[] = {16384, 700, 500, 400, 300, 260, 230, 210};
  zg_call calls[CALLS];
  zg_zoo zoo = {0};
  make_calls(calls);
  make_all(&zoo, 5000);
  zg_request request = request_of(&zoo, calls, CALLS);
  for (size_t k = 0; k < sizeof memories / sizeof *memories; k++) {
    zg_plan *first, *plan;
    request.memory = memories[k] * MiB;
    request.ranks = 1;
    if (zg_plan_create(&request, &first) != ZG_OK) continue;
    for (request.ranks = 2; request.ranks <= 64; request.ranks += 5) {
      CU_ASSERT_EQUAL_FATAL(zg_plan_create(&request, &plan), ZG_OK);
      check_same_cut(first, plan);
      zg_plan_destroy(&plan);
    }
    zg_plan_destroy(&first);
  }
  clear(&zoo);
}

/* ---- memory ---- */

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
}

/* The pieces that stay, whosever they are, fit into what the plan gives them: it says
 * so of the group that takes most, into whose memory one more may have fitted. */
static void check_kept(const zg_zoo *zoo, const zg_plan *plan, const zg_pass *pass) {
  for (int64_t g = 0; g < pass->group_count; g++) {
    const zg_group *group = &pass->groups[g];
    zg_tangent_layer *layers;
    int64_t numbers = 0, count = zg_plan_tangent_layers(zoo, &pass->spec.tangent,
                                                        group->members[0], &layers);
    for (int64_t l = 0; l < count; l++)
      numbers += zg_plan_layer_numbers(&layers[l], group->piece);
    int64_t bytes = numbers * group->piece * (int64_t)zg_real_size(pass->precision);
    int64_t kept = zg_min(pass->pieces_kept, group->count * group->pieces);
    CU_ASSERT(pass->pieces_kept >= 2);
    CU_ASSERT(kept * bytes <= plan->memory.panels + bytes);
    free(layers);
  }
}

static void check_shrinking(const zg_zoo *zoo, const zg_call *call) {
  zg_request request = request_of(zoo, call, 1);
  zg_plan *plan;
  int64_t planned = 0;
  for (request.memory = 8 * GiB;; request.memory = request.memory / 20 * 19) {
    zg_status status = zg_plan_create(&request, &plan);
    if (status != ZG_OK) {
      CU_ASSERT_EQUAL(status, ZG_ERR_SYSTEM);
      CU_ASSERT_PTR_NULL(plan);
      CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "memory_per_rank"));
      CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), call->measure->name));
      break;
    }
    check_memory(plan, request.memory);
    if (plan->passes[0].spec.form == ZG_FORM_TANGENT)
      check_kept(zoo, plan, &plan->passes[0]);
    planned++;
    zg_plan_destroy(&plan);
  }
  CU_ASSERT(planned > 10);
}

static void plans_fit_their_memory_or_are_refused(void) {
  zg_call calls[CALLS];
  zg_zoo zoo = {0};
  make_calls(calls);
  make_all(&zoo, 300000);
  for (int k = 0; k < CALLS - 1; k++) /* the last one's pieces are sketches */
    check_shrinking(&zoo, &calls[k]);
  clear(&zoo);
}

/* A group of many small pieces beside one of few large ones. */
static void groups_of_unequal_pieces_share_the_memory(void) {
  zg_zoo zoo = {0};
  for (int64_t model = 0; model < 8; model++) {
    bool large = model >= 4;
    add(&zoo, ZG_NTK_INPUT, model, "conv",
        DIMS(large ? 400 : 5000, large ? 1024 : 1, large ? 500 : 2));
    if (large)
      add(&zoo, ZG_NTK_SIGNAL, model, "conv", DIMS(400, 2, 1024, 32));
    else
      add(&zoo, ZG_NTK_SIGNAL, model, "conv", DIMS(5000, 2, 2));
  }
  zg_call call = zg_test_call_of("ntk_distance", "");
  check_shrinking(&zoo, &call);
  clear(&zoo);
}

/* The least memory with a plan, to a MiB. */
static int64_t least_memory(const zg_zoo *zoo, const zg_call *call) {
  zg_request request = request_of(zoo, call, 1);
  int64_t none = 0, some = 16 * GiB;
  while (some - none > MiB) {
    zg_plan *plan;
    request.memory = none + (some - none) / 2;
    if (zg_plan_create(&request, &plan) == ZG_OK)
      some = request.memory;
    else
      none = request.memory;
    zg_plan_destroy(&plan);
  }
  return some;
}

/* Pieces make room for kernels that are kept: these cost what they need and no more,
 * and more memory is never worse. */
static void keeping_kernels_costs_no_more_than_they_need(void) {
  const int64_t n = 600, kernels = 8 * 6 * n * n; /* three matrices, and tiles */
  zg_zoo zoo = {0};
  for (int64_t model = 0; model < 6; model++) {
    add(&zoo, ZG_NTK_INPUT, model, "conv", DIMS(n, 64, 300));
    add(&zoo, ZG_NTK_SIGNAL, model, "conv", DIMS(n, 2, 64, 32));
  }
  zg_call plain = zg_test_call_of("ntk_distance", ""), keeping;
  keeping = zg_test_call_of("ntk_distance", "keep_kernel=1");
  const int64_t wider = 3 * 4 * ZG_EXPANDED; /* what is multiplied out is in double */
  int64_t least = least_memory(&zoo, &plain) + kernels + wider + 2 * MiB;
  zg_request request = request_of(&zoo, &keeping, 1);
  for (request.memory = least; request.memory < 2 * GiB; request.memory += 2 * MiB) {
    zg_plan *plan;
    CU_ASSERT_EQUAL(zg_plan_create(&request, &plan), ZG_OK);
    if (plan) check_memory(plan, request.memory);
    zg_plan_destroy(&plan);
  }
  clear(&zoo);
}

/* A convolution's norm is found with several vectors as long as its image; one whose
 * image is not known takes nothing, as it is left out, and one that nobody could hold
 * has no plan. */
static void images_of_convolutions_are_counted(void) {
  const int64_t side = 1024, image = 8 * side * side;
  zg_zoo zoo = {0};
  add(&zoo, ZG_WEIGHTS, 0, "conv", DIMS(1, 1, 3, 3));
  zoo.arrays[0].kind = ZG_WEIGHT_CONV;
  zg_call call = zg_test_call_of("path_norm", "");
  zg_request request = request_of(&zoo, &call, 1);
  zg_plan *plan = plan_of(&request);
  CU_ASSERT_EQUAL(plan->memory.tiles, 0);
  zg_plan_destroy(&plan);
  zg_conv_geometry *conv = &zoo.arrays[0].conv;
  *conv = (zg_conv_geometry){.input = {side, side},
                             .stride = {1, 1},
                             .dilation = {1, 1},
                             .padding = {1, 1, 1, 1},
                             .groups = 1};
  plan = plan_of(&request);
  CU_ASSERT(plan->memory.tiles > 2 * image && plan->memory.tiles < 100 * image);
  zg_plan_destroy(&plan);
  conv->input[0] = conv->input[1] = (int64_t)1 << 30;
  CU_ASSERT_EQUAL(zg_plan_create(&request, &plan), ZG_ERR_SYSTEM);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "path_norm"));
  clear(&zoo);
}

/* Distances, what they are added up in over slices and over all, doubles in two parts:
 * 8 + 16 + 16 bytes for every pair, and two marks; cosines need 8 more. */
static void matrices_of_pairs_are_counted(void) {
  const int64_t N = 3000, pairs = N * N;
  zg_zoo zoo = {0};
  for (int64_t k = 0; k < N; k++) {
    char name[24];
    snprintf(name, sizeof name, "w%lld", (long long)k);
    add(&zoo, ZG_WEIGHTS, 0, name, DIMS(2, 2));
    add(&zoo, ZG_GRADIENTS, 0, name, DIMS(4));
  }
  zg_call calls[2] = {zg_test_call_of("weight_frobenius", "per=matrix"),
                      zg_test_call_of("gradient_cosine", "")};
  const int64_t expected[2] = {42 * pairs, 50 * pairs};
  for (int k = 0; k < 2; k++) {
    zg_request request = request_of(&zoo, &calls[k], 1);
    zg_plan *plan = plan_of(&request);
    CU_ASSERT_EQUAL(plan->memory.sums, expected[k]);
    zg_plan_destroy(&plan);
  }
  clear(&zoo);
}

/* ---- work ---- */

static void work_follows_from_the_catalogue(void) {
  zg_zoo zoo = {0};
  add(&zoo, ZG_GRADIENTS, 0, "a", DIMS(1000));
  add(&zoo, ZG_GRADIENTS, 0, "b", DIMS(1000));
  add(&zoo, ZG_GRADIENTS, 1, "a", DIMS(1000));
  add(&zoo, ZG_GRADIENTS, 1, "other", DIMS(500));
  zg_call call = zg_test_call_of("gradient_cosine", "");
  zg_request request = request_of(&zoo, &call, 1);
  zg_plan *plan = plan_of(&request);
  CU_ASSERT_EQUAL(plan->flop, 9 * 1000 + 500); /* N^2 p */
  CU_ASSERT_EQUAL(plan->bytes, 3500 * 4);
  CU_ASSERT(plan->items == 0 && plan->tile == 0); /* no Gram matrices */
  zg_plan_destroy(&plan);
  clear(&zoo);
}

/* An array without positions: m^2 (in + 1 + C out) for the kernel of one model, and
 * half the square of the number of models for the products. */
static void work_of_kernels_follows_from_their_layers(void) {
  zg_zoo zoo = {0};
  add_dense_model(&zoo, 0, 100, 3);
  add_dense_model(&zoo, 1, 100, 3);
  zg_call call = zg_test_call_of("ntk_distance", "");
  zg_request request = request_of(&zoo, &call, 1);
  zg_plan *plan = plan_of(&request);
  CU_ASSERT_EQUAL(plan->flop, 2 * 1e4 * (6 + 3 * 6) + 1e4 * 4 / 2);
  zg_plan_destroy(&plan);
  clear(&zoo);
}

static void short_sums_are_in_double(void) {
  zg_zoo zoo = {0};
  add(&zoo, ZG_GRADIENTS, 0, "short", DIMS(1000));
  add(&zoo, ZG_LOGITS, 0, "", DIMS(1000000, 10));
  zg_call calls[2] = {zg_test_call_of("gradient_cosine", ""),
                      zg_test_call_of("fisher", "")};
  zg_request request = request_of(&zoo, calls, 2);
  zg_plan *plan = plan_of(&request);
  CU_ASSERT_EQUAL(plan->passes[0].precision, ZG_DOUBLE);
  CU_ASSERT_EQUAL(plan->passes[1].precision, ZG_DOUBLE); /* rows always are */
  zg_plan_destroy(&plan);
  add(&zoo, ZG_GRADIENTS, 1, "long", DIMS(1000000));
  plan = plan_of(&request);
  CU_ASSERT_EQUAL(plan->passes[0].precision, ZG_DOUBLE); /* the shortest decides */
  zg_plan_destroy(&plan);
  clear(&zoo);
  add(&zoo, ZG_GRADIENTS, 0, "long", DIMS(1000000));
  request = request_of(&zoo, calls, 1);
  plan = plan_of(&request);
  CU_ASSERT_EQUAL(plan->passes[0].precision, ZG_SINGLE);
  zg_plan_destroy(&plan);
  clear(&zoo);
}

/* ---- what a zoo may lack ---- */

/* Models without data keep their place on the axis; an axis of nothing is an error. */
static void measures_without_data_have_empty_plans(void) {
  zg_zoo zoo = {0};
  zg_call calls[CALLS];
  make_calls(calls);
  add(&zoo, ZG_SHARPNESS, 0, "", DIMS(2, 3));
  add(&zoo, ZG_SHARPNESS, 1, "", DIMS(2, 3));
  for (int k = 0; k < CALLS; k++) {
    zg_request request = request_of(&zoo, &calls[k], 1);
    zg_plan *plan;
    zg_status status = zg_plan_create(&request, &plan);
    if (zg_call_axis(&calls[k]) == ZG_AXIS_MODEL) {
      CU_ASSERT_EQUAL_FATAL(status, ZG_OK);
      CU_ASSERT(plan->passes[0].group_count == 0 && plan->passes[0].tasks == 0);
      CU_ASSERT_EQUAL(plan->passes[0].items, 2);
    } else {
      CU_ASSERT_EQUAL(status, ZG_ERR_DATA);
      CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), calls[k].measure->name));
    }
    zg_plan_destroy(&plan);
  }
  clear(&zoo);
}

static void profiles_have_a_task_per_array_or_model(void) {
  zg_zoo zoo = {0};
  for (int64_t model = 0; model < 3; model++) {
    add(&zoo, ZG_WEIGHTS, model, "a", DIMS(40, 30));
    add(&zoo, ZG_WEIGHTS, model, "b", DIMS(40));
  }
  zg_call calls[2] = {zg_test_call_of("path_norm", ""),
                      zg_test_call_of("path_norm", "norm=path1")};
  zg_request request = request_of(&zoo, calls, 2);
  zg_plan *plan = plan_of(&request);
  CU_ASSERT_EQUAL(plan->passes[0].tasks, 6);
  CU_ASSERT_EQUAL(plan->passes[1].tasks, 3);
  CU_ASSERT(plan->passes[0].items == 3 && plan->passes[1].items == 3);
  zg_plan_destroy(&plan);
  clear(&zoo);
}

/* ---- what a plan says of itself ---- */

static void every_form_is_printed(void) {
  zg_call calls[CALLS];
  zg_zoo zoo = {0};
  make_calls(calls);
  make_all(&zoo, 400);
  zg_request request = request_of(&zoo, calls, CALLS);
  zg_plan *plan = plan_of(&request);
  char *text = zg_plan_text(plan), *line = zg_plan_line(plan);
  for (int k = 0; k < CALLS; k++)
    CU_ASSERT_PTR_NOT_NULL(strstr(text, calls[k].measure->name));
  CU_ASSERT_PTR_NOT_NULL(strstr(text, "vectors of 5 models"));
  CU_ASSERT_PTR_NOT_NULL(strstr(text, "vectors of 5 weights"));
  CU_ASSERT_PTR_NOT_NULL(strstr(text, "all class pairs"));
  CU_ASSERT_PTR_NOT_NULL(strstr(text, "sketches of 640"));
  CU_ASSERT_PTR_NULL(strstr(text, ":,"));
  CU_ASSERT_PTR_NULL(strchr(line, '\n'));
  free(text);
  free(line);
  json_t *json = zg_plan_json(plan), *passes = json_object_get(json, "passes");
  CU_ASSERT_EQUAL(json_array_size(passes), CALLS);
  for (size_t k = 0; k < CALLS; k++) {
    const json_t *pass = json_array_get(passes, k);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(pass, "measure")),
                           calls[k].measure->name);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(pass, "form")),
                           k < 6 ? "vector" : "tangent");
  }
  json_decref(json);
  zg_plan_destroy(&plan);
  clear(&zoo);
}

/* ---- pairs ---- */

static zg_zoo layers_of(int64_t count, int64_t n, int64_t d) {
  zg_zoo zoo = {0};
  for (int64_t k = 0; k < count; k++)
    add(&zoo, ZG_ACTIVATIONS, k, "layer", DIMS(n, d));
  return zoo;
}

/* Runs of items that blocks [first, first + count) need. */
static int64_t runs_needed(const zg_pair_block *blocks, int64_t first, int64_t count) {
  bool needed[64] = {false};
  int64_t runs = 0;
  for (int64_t k = first; k < first + count; k++)
    needed[blocks[k].row] = needed[blocks[k].column] = true;
  for (int r = 0; r < 64; r++)
    runs += needed[r];
  return runs;
}

/* Every block once, and a rank's share of them compact: twice what a square needs. */
static void check_blocks(const zg_pass *pass) {
  int64_t runs = zg_ceil_div(pass->items, pass->piece);
  zg_pair_block *blocks = zg_plan_pair_blocks(pass);
  bool seen[64][64] = {{false}};
  CU_ASSERT_EQUAL(pass->tasks, runs * (runs + 1) / 2);
  for (int64_t k = 0; k < pass->tasks; k++) {
    CU_ASSERT(0 <= blocks[k].column && blocks[k].column <= blocks[k].row);
    CU_ASSERT_FATAL(blocks[k].row < runs);
    CU_ASSERT_FALSE(seen[blocks[k].row][blocks[k].column]);
    seen[blocks[k].row][blocks[k].column] = true;
  }
  for (int64_t ranks = 1; ranks <= pass->tasks; ranks++)
    for (int64_t r = 0; r < ranks; r++) {
      int64_t first = zg_part(pass->tasks, ranks, r);
      int64_t count = zg_part(pass->tasks, ranks, r + 1) - first;
      double square = 2 * sqrt((double)count);
      CU_ASSERT((double)runs_needed(blocks, first, count) <= 2 * square);
    }
  free(blocks);
}

static void pairs_are_cut_into_compact_blocks(void) {
  for (int64_t items = 1; items < 60; items += 7) {
    zg_zoo zoo = layers_of(items, 50, 10);
    zg_call call = zg_test_call_of("wasserstein", "projections=8");
    zg_request request = request_of(&zoo, &call, 1);
    zg_plan *plan = plan_of(&request);
    check_blocks(&plan->passes[0]);
    zg_plan_destroy(&plan);
    clear(&zoo);
  }
}

static void pairs_of_nothing_or_too_little_are_refused(void) {
  static const struct {
    int64_t items, n;
    const char *words;
  } cases[] = {{0, 10, "wasserstein: the selected models have no activations"},
               {2, 3, "wasserstein: 3 samples are too few: at least 4 are needed"}};
  for (int k = 0; k < 2; k++) {
    zg_zoo zoo = layers_of(cases[k].items, cases[k].n, 5);
    zg_call call = zg_test_call_of("wasserstein", "");
    zg_request request = request_of(&zoo, &call, 1);
    zg_plan *plan = NULL;
    CU_ASSERT_EQUAL(zg_plan_create(&request, &plan), ZG_ERR_DATA);
    CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), cases[k].words));
    clear(&zoo);
  }
}

/* As many items stay as fit, two runs at least; runs get shorter where these do not. */
static void blocks_of_pairs_shrink_to_the_memory(void) {
  zg_zoo zoo = layers_of(200, 1000, 10);
  zg_call call = zg_test_call_of("wasserstein", ""); /* 2 MB an item */
  zg_request request = request_of(&zoo, &call, 1);
  int64_t previous = INT64_MAX;
  for (request.memory = GiB; request.memory > 60 << 20; request.memory -= 16 << 20) {
    zg_plan *plan = plan_of(&request);
    const zg_pass *pass = &plan->passes[0];
    CU_ASSERT(plan->memory.total <= request.memory);
    CU_ASSERT(pass->piece <= previous && pass->piece >= 1);
    CU_ASSERT(pass->bytes_kept >= 2 * pass->piece * 8 * 256 * 1000);
    previous = pass->piece;
    zg_plan_destroy(&plan);
  }
  CU_ASSERT(previous < 4);
  zg_plan *plan = NULL;
  request.memory = 52 << 20;
  CU_ASSERT_EQUAL(zg_plan_create(&request, &plan), ZG_ERR_SYSTEM);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "measure wasserstein needs"));
  clear(&zoo);
}

/* Blocks do not depend on the number of ranks, or a run could not go on with others. */
static void blocks_of_pairs_do_not_depend_on_the_ranks(void) {
  zg_zoo zoo = layers_of(40, 300, 10);
  zg_call call = zg_test_call_of("mmd", "");
  zg_request request = request_of(&zoo, &call, 1);
  for (request.ranks = 1; request.ranks <= 1000; request.ranks *= 10) {
    zg_plan *plan = plan_of(&request);
    CU_ASSERT_EQUAL(plan->passes[0].piece, 5);
    CU_ASSERT_EQUAL(plan->passes[0].tasks, 36);
    zg_plan_destroy(&plan);
  }
  clear(&zoo);
}

/* Singular vectors of a matrix of side r take LAPACK 4 r^2 numbers, counted in 32 bits:
 * 23,153 is the last side whose workspace (with its blocks) has less than 2^31. */
static void covariances_beyond_lapack_are_refused(void) {
  static const struct {
    int64_t a, b; /* samples and features of either layer */
    zg_status status;
  } cases[] = {{23153, 23153, ZG_OK},
               {23154, 23154, ZG_ERR_DATA},
               {60000, 70000, ZG_ERR_DATA},
               {60000, 20000, ZG_OK}}; /* the smaller side counts */
  zg_call call = zg_test_call_of("wasserstein", "form=gaussian");
  zg_model model = {.name = "net"};
  zg_file file = {.path = "zoo.h5"};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    zg_zoo zoo = {.files = &file, .models = &model};
    zg_plan *plan = NULL;
    add(&zoo, ZG_ACTIVATIONS, 0, "first", DIMS(cases[k].a, 70000));
    add(&zoo, ZG_ACTIVATIONS, 0, "second", DIMS(cases[k].b, 70000));
    zg_request request = request_of(&zoo, &call, 1);
    request.memory = 4096 * GiB;
    CU_ASSERT_EQUAL(zg_plan_create(&request, &plan), cases[k].status);
    if (cases[k].status != ZG_OK)
      CU_ASSERT_STRING_EQUAL(
          zg_message(), "zoo.h5: model 'net', layer 'second': measure wasserstein of "
                        "it and zoo.h5: model 'net', layer 'first': both have a "
                        "covariance of rank 23,000 or more, whose products are "
                        "beyond LAPACK");
    zg_plan_destroy(&plan);
    clear(&zoo);
  }
}

const zg_test zg_tests[] = {
    {"models_of_equal_parameters_go_together", models_of_equal_parameters_go_together},
    {"the_order_of_parameters_does_not_matter",
     the_order_of_parameters_does_not_matter},
    {"matrices_of_equal_shape_go_together", matrices_of_equal_shape_go_together},
    {"gradients_of_equal_length_go_together", gradients_of_equal_length_go_together},
    {"heads_and_layers_of_equal_rows_go_together",
     heads_and_layers_of_equal_rows_go_together},
    {"maps_meet_on_the_smaller_grid", maps_meet_on_the_smaller_grid},
    {"fisher_pairs_what_its_form_needs", fisher_pairs_what_its_form_needs},
    {"kernels_need_equal_samples_and_whole_ones_equal_classes",
     kernels_need_equal_samples_and_whole_ones_equal_classes},
    {"layers_are_put_together_by_place", layers_are_put_together_by_place},
    {"factors_come_before_jacobians", factors_come_before_jacobians},
    {"the_cheaper_order_is_chosen", the_cheaper_order_is_chosen},
    {"only_inputs_with_positions_are_multiplied_out",
     only_inputs_with_positions_are_multiplied_out},
    {"wide_derivatives_are_streamed", wide_derivatives_are_streamed},
    {"pieces_cover_everything_once", pieces_cover_everything_once},
    {"long_vectors_are_cut_for_several_ranks", long_vectors_are_cut_for_several_ranks},
    {"pieces_do_not_depend_on_the_ranks", pieces_do_not_depend_on_the_ranks},
    {"plans_fit_their_memory_or_are_refused", plans_fit_their_memory_or_are_refused},
    {"groups_of_unequal_pieces_share_the_memory",
     groups_of_unequal_pieces_share_the_memory},
    {"images_of_convolutions_are_counted", images_of_convolutions_are_counted},
    {"matrices_of_pairs_are_counted", matrices_of_pairs_are_counted},
    {"keeping_kernels_costs_no_more_than_they_need",
     keeping_kernels_costs_no_more_than_they_need},
    {"work_follows_from_the_catalogue", work_follows_from_the_catalogue},
    {"work_of_kernels_follows_from_their_layers",
     work_of_kernels_follows_from_their_layers},
    {"short_sums_are_in_double", short_sums_are_in_double},
    {"measures_without_data_have_empty_plans", measures_without_data_have_empty_plans},
    {"profiles_have_a_task_per_array_or_model",
     profiles_have_a_task_per_array_or_model},
    {"every_form_is_printed", every_form_is_printed},
    {"pairs_are_cut_into_compact_blocks", pairs_are_cut_into_compact_blocks},
    {"pairs_of_nothing_or_too_little_are_refused",
     pairs_of_nothing_or_too_little_are_refused},
    {"blocks_of_pairs_shrink_to_the_memory", blocks_of_pairs_shrink_to_the_memory},
    {"blocks_of_pairs_do_not_depend_on_the_ranks",
     blocks_of_pairs_do_not_depend_on_the_ranks},
    {"covariances_beyond_lapack_are_refused", covariances_beyond_lapack_are_refused},
    {NULL, NULL}};
