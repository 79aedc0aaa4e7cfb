/** \file
 * What the catalogue says of data besides activations: order, shapes, kinds of weights,
 * what is left out when nobody reads it, and faults by name. */
#include "files.h"
#include "mpi_main.h"
#include "zoo/zoo.h"

#include <hdf5_hl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A dataset of float32 below /models. */
static void add(hid_t file, const char *place, int rank, const hsize_t *dims) {
  char path[ZG_TEST_PATH_BYTES];
  snprintf(path, sizeof path, "/models/%s", place);
  zg_test_zoo_dataset(file, path, H5T_IEEE_F32LE, rank, dims, NULL);
}

static void add_integers(hid_t file, const char *place, int rank, const hsize_t *dims) {
  char path[ZG_TEST_PATH_BYTES];
  snprintf(path, sizeof path, "/models/%s", place);
  zg_test_zoo_dataset(file, path, H5T_STD_I32LE, rank, dims, NULL);
}

#define DIMS(...) ((const hsize_t[]){__VA_ARGS__})

static zg_status try_open(const char *path, const zg_select *select, zg_zoo **zoo) {
  zg_list paths = {0};
  zg_list_add(&paths, path);
  zg_status status = zg_zoo_open(&paths, select, zoo);
  zg_list_clear(&paths);
  return status;
}

static zg_zoo *open_zoo(const char *path, uint32_t data) {
  zg_zoo *zoo = NULL;
  zg_select select = {.data = data};
  zg_status status = try_open(path, &select, &zoo);
  if (status != ZG_OK) printf("\n%s\n", zg_message());
  CU_ASSERT_EQUAL_FATAL(status, ZG_OK);
  return zoo;
}

/* "data:model/name ..." of all arrays. */
static void check_arrays(const char *path, uint32_t data, const char *expected) {
  zg_text found = {0};
  zg_zoo *zoo = open_zoo(path, data);
  for (int64_t k = 0; k < zoo->array_count; k++) {
    char *name = zg_zoo_item_name(zoo, k);
    zg_text_add(&found, "%s%s:%s", k ? " " : "", zg_data_name(zoo->arrays[k].data),
                name);
    free(name);
  }
  CU_ASSERT_STRING_EQUAL(zg_text_get(&found), expected);
  if (strcmp(zg_text_get(&found), expected)) printf("\nfound '%s'\n", found.data);
  zg_text_clear(&found);
  zg_zoo_destroy(&zoo);
}

/* Two models with something of everything. */
static void make_full(char *path) {
  hid_t file = zg_test_zoo_create(zg_test_path("full.h5", path));
  add(file, "b/sharpness", 2, DIMS(2, 3));
  add(file, "b/weights/w10", 2, DIMS(4, 5));
  add(file, "b/weights/w9", 1, DIMS(4));
  add(file, "b/logits", 2, DIMS(9, 4));
  add(file, "a/jacobian", 3, DIMS(2, 4, 7));
  add(file, "a/sample_gradients", 2, DIMS(3, 7));
  add(file, "a/gradients/task2", 1, DIMS(7));
  add(file, "a/gradients/task1", 1, DIMS(7));
  add(file, "a/activations/x", 2, DIMS(9, 2));
  add(file, "a/weights/w", 0, NULL);
  add(file, "b/activations/x", 2, DIMS(9, 2));
  add(file, "a/ntk/fc/input", 2, DIMS(2, 5));
  add(file, "a/ntk/fc/signal", 3, DIMS(2, 4, 6));
  add_integers(file, "a/ntk/emb/index", 2, DIMS(2, 3));
  add(file, "a/ntk/emb/signal", 4, DIMS(2, 4, 3, 8));
  add(file, "a/ntk/norm/direct", 3, DIMS(2, 4, 8));
  add(file, "a/unknown/thing", 1, DIMS(8));
  add(file, "b/margin_gradients", 2, DIMS(9, 4));
  add(file, "b/attention/l", 4, DIMS(5, 2, 3, 3));
  add(file, "b/attention/k", 4, DIMS(5, 4, 3, 6));
  add(file, "b/head_importance/l", 1, DIMS(2));
  add(file, "b/cross_attention/l", 4, DIMS(6, 2, 3, 3));
  add(file, "b/maps/x", 2, DIMS(9, 2));
  zg_test_zoo_texts(file, "/models/b/graph/op", 1, 2, (const char *const[]){"u", "v"});
  add_integers(file, "b/graph/edge", 2, DIMS(0, 2));
  zg_test_zoo_close(file);
}

static void arrays_come_by_data_then_model_then_order(void) {
  char path[ZG_TEST_PATH_BYTES];
  make_full(path);
  check_arrays(path, 0,
               "activations:a/x activations:b/x weights:a/w weights:b/w9 weights:b/w10 "
               "gradients:a/task1 gradients:a/task2 sample_gradients:a jacobian:a "
               "ntk/input:a/fc ntk/index:a/emb ntk/signal:a/emb ntk/signal:a/fc "
               "ntk/direct:a/norm logits:b sharpness:b margin_gradients:b "
               "attention:b/k attention:b/l head_importance:b/l cross_attention:b/l "
               "maps:b/x graph/op:b graph/edge:b");
}

static void only_the_data_that_are_asked_for_are_there(void) {
  char path[ZG_TEST_PATH_BYTES];
  make_full(path);
  check_arrays(path, ZG_DATA_BIT(ZG_LOGITS) | ZG_DATA_BIT(ZG_GRADIENTS),
               "gradients:a/task1 gradients:a/task2 logits:b");
  check_arrays(path, ZG_DATA_BIT(ZG_NTK_SIGNAL), "ntk/signal:a/emb ntk/signal:a/fc");
  check_arrays(path, ZG_DATA_BIT(ZG_GRAPH_OP) | ZG_DATA_BIT(ZG_GRAPH_EDGE),
               "graph/op:b graph/edge:b");
  zg_zoo *zoo = open_zoo(path, ZG_DATA_BIT(ZG_WEIGHTS));
  CU_ASSERT(zoo->layer_count == 0 && zoo->array_count == 3 && zoo->model_count == 2);
  zg_zoo_destroy(&zoo);
}

static void the_arrays_of_a_model_are_found(void) {
  char path[ZG_TEST_PATH_BYTES];
  make_full(path);
  zg_zoo *zoo = open_zoo(path, 0);
  int64_t seen = 0, count;
  CU_ASSERT_EQUAL(zoo->layer_count, 2);
  for (zg_data data = 0; data < ZG_DATA; data++)
    for (int64_t model = 0; model < zoo->model_count; model++) {
      int64_t first = zg_zoo_find(zoo, data, model, &count);
      CU_ASSERT(first >= zoo->first[data] && first + count <= zoo->first[data + 1]);
      for (int64_t k = first; k < first + count; k++)
        CU_ASSERT(zoo->arrays[k].data == data && zoo->arrays[k].model == model);
      seen += count;
    }
  CU_ASSERT_EQUAL(seen, zoo->array_count);
  CU_ASSERT(zg_zoo_find(zoo, ZG_WEIGHTS, 1, &count) == 3 && count == 2);
  zg_zoo_find(zoo, ZG_LOGITS, 0, &count);
  CU_ASSERT_EQUAL(count, 0);
  zg_zoo_destroy(&zoo);
}

static void heads_are_counted(void) {
  char path[ZG_TEST_PATH_BYTES];
  make_full(path);
  zg_zoo *zoo = open_zoo(path, 0);
  CU_ASSERT_EQUAL(zg_zoo_heads(zoo), 6);
  zg_zoo_destroy(&zoo);
  zoo = open_zoo(path, ZG_DATA_BIT(ZG_LOGITS));
  CU_ASSERT_EQUAL(zg_zoo_heads(zoo), 0);
  zg_zoo_destroy(&zoo);
}

static void arrays_are_named_with_file_model_and_data(void) {
  static const struct {
    zg_data data;
    const char *where;
  } cases[] = {{ZG_ACTIVATIONS, "model 'a', layer 'x'"},
               {ZG_WEIGHTS, "model 'a', parameter 'w'"},
               {ZG_GRADIENTS, "model 'a', gradient 'task1'"},
               {ZG_SAMPLE_GRADIENTS, "model 'a', sample_gradients"},
               {ZG_NTK_DIRECT, "model 'a', layer 'norm', ntk/direct"}};
  char path[ZG_TEST_PATH_BYTES];
  make_full(path);
  zg_zoo *zoo = open_zoo(path, 0);
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    zg_text expected = {0};
    zg_text_add(&expected, "%s: %s", path, cases[k].where);
    char *where = zg_zoo_where(zoo, zoo->first[cases[k].data]);
    CU_ASSERT_STRING_EQUAL(where, expected.data);
    free(where);
    zg_text_clear(&expected);
  }
  zg_zoo_destroy(&zoo);
}

/* ---- weights ---- */

static void weights_may_have_any_number_of_axes(void) {
  static const hsize_t dims[5] = {2, 3, 4, 5, 6};
  static const int64_t trailing[] = {1, 1, 3, 12, 60, 360};
  static const zg_weight_kind kinds[] = {ZG_WEIGHT_OTHER,  ZG_WEIGHT_BIAS,
                                         ZG_WEIGHT_LINEAR, ZG_WEIGHT_OTHER,
                                         ZG_WEIGHT_CONV,   ZG_WEIGHT_OTHER};
  char path[ZG_TEST_PATH_BYTES], name[64];
  hid_t file = zg_test_zoo_create(zg_test_path("ranks.h5", path));
  for (int rank = 0; rank <= 5; rank++) {
    snprintf(name, sizeof name, "m/weights/w%d", rank);
    add(file, name, rank, dims);
  }
  zg_test_zoo_close(file);
  zg_zoo *zoo = open_zoo(path, 0);
  CU_ASSERT_EQUAL_FATAL(zoo->array_count, 6);
  for (int rank = 0; rank <= 5; rank++) {
    const zg_array *weight = &zoo->arrays[rank];
    CU_ASSERT(weight->rank == rank && weight->n == (rank ? 2 : 1));
    CU_ASSERT(weight->d == trailing[rank] && weight->kind == kinds[rank]);
  }
  zg_zoo_destroy(&zoo);
}

static void the_attribute_kind_decides_before_the_axes(void) {
  static const char *const words[] = {"linear",    "conv", "norm",
                                      "embedding", "bias", "other"};
  char path[ZG_TEST_PATH_BYTES], name[64];
  hid_t file = zg_test_zoo_create(zg_test_path("kinds.h5", path));
  for (int k = 0; k < ZG_WEIGHT_KINDS; k++) {
    snprintf(name, sizeof name, "/models/m/weights/w%d", k);
    add(file, name + strlen("/models/"), 3, DIMS(2, 2, 2));
    H5LTset_attribute_string(file, name, "kind", words[k]);
  }
  zg_test_zoo_close(file);
  zg_zoo *zoo = open_zoo(path, 0);
  for (int k = 0; k < ZG_WEIGHT_KINDS; k++) {
    CU_ASSERT_EQUAL(zoo->arrays[k].kind, (zg_weight_kind)k);
    CU_ASSERT_STRING_EQUAL(zg_weight_kind_name((zg_weight_kind)k), words[k]);
  }
  zg_zoo_destroy(&zoo);
}

static void add_weights(hid_t file, const char *model, int tracked, int count) {
  char place[64];
  snprintf(place, sizeof place, "/models/%s/weights", model);
  zg_test_zoo_group(file, place, tracked);
  for (int k = 0; k < count; k++) {
    snprintf(place, sizeof place, "%s/weights/%c", model, 'a' + k);
    add(file, place, 1, DIMS(3));
  }
}

static void the_order_of_weights_is_known_or_not(void) {
  static const struct {
    const char *model;
    bool ordered;
  } cases[] = {{"all-numbered", true}, {"empty", false}, {"one", true},
               {"plain", false},       {"some", false},  {"tied", false},
               {"tracked", true}};
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = zg_test_zoo_create(zg_test_path("ordered.h5", path));
  add_weights(file, "all-numbered", 0, 2);
  zg_test_zoo_order(file, "/models/all-numbered/weights/a", 2);
  zg_test_zoo_order(file, "/models/all-numbered/weights/b", 1);
  add_weights(file, "empty", 1, 0);
  add_weights(file, "one", 0, 1);
  add_weights(file, "plain", 0, 2);
  add_weights(file, "some", 0, 2);
  zg_test_zoo_order(file, "/models/some/weights/b", 1);
  add_weights(file, "tied", 0, 2);
  zg_test_zoo_order(file, "/models/tied/weights/a", 1);
  zg_test_zoo_order(file, "/models/tied/weights/b", 1);
  add_weights(file, "tracked", 1, 3);
  zg_test_zoo_close(file);
  zg_zoo *zoo = open_zoo(path, 0);
  for (int64_t k = 0; k < zoo->model_count; k++) {
    CU_ASSERT_STRING_EQUAL(zoo->models[k].name, cases[k].model);
    CU_ASSERT_EQUAL(zoo->models[k].weights_ordered, cases[k].ordered);
  }
  CU_ASSERT_STRING_EQUAL(zoo->arrays[0].name, "b");
  zg_zoo_destroy(&zoo);
}

/* ---- tangent kernels, samples ---- */

/* An enumeration of 8 bits with FALSE and TRUE, as h5py writes truth values. */
static void set_truth(hid_t file, const char *path, const char *name,
                      signed char truth) {
  hid_t type = H5Tenum_create(H5T_STD_I8LE), space = H5Screate(H5S_SCALAR);
  H5Tenum_insert(type, "FALSE", &(signed char){0});
  H5Tenum_insert(type, "TRUE", &(signed char){1});
  hid_t attribute = H5Acreate_by_name(file, path, name, type, space, H5P_DEFAULT,
                                      H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite(attribute, type, &truth);
  H5Aclose(attribute), H5Sclose(space), H5Tclose(type);
}

static void layers_say_whether_they_have_a_bias(void) {
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = zg_test_zoo_create(zg_test_path("bias.h5", path));
  static const char *const layers[] = {"absent", "no", "no-truth", "one", "truth"};
  static const bool bias[] = {true, false, false, true, true};
  for (int k = 0; k < 5; k++) {
    char place[64];
    snprintf(place, sizeof place, "m/ntk/%s/direct", layers[k]);
    add(file, place, 3, DIMS(1, 2, 3));
  }
  H5LTset_attribute_int(file, "/models/m/ntk/no", "bias", &(int){0}, 1);
  H5LTset_attribute_int(file, "/models/m/ntk/one", "bias", &(int){1}, 1);
  set_truth(file, "/models/m/ntk/no-truth", "bias", 0);
  set_truth(file, "/models/m/ntk/truth", "bias", 1);
  zg_test_zoo_close(file);
  zg_zoo *zoo = open_zoo(path, 0);
  for (int k = 0; k < 5; k++) {
    CU_ASSERT_STRING_EQUAL(zoo->arrays[k].name, layers[k]);
    CU_ASSERT_EQUAL(zoo->arrays[k].bias, bias[k]);
  }
  zg_zoo_destroy(&zoo);
}

static void the_limit_counts_where_rows_are_samples(void) {
  const uint32_t sampled = ZG_DATA_BIT(ZG_ACTIVATIONS) | ZG_DATA_BIT(ZG_LOGITS) |
                           ZG_DATA_BIT(ZG_MAPS) | ZG_DATA_BIT(ZG_MARGIN_GRADIENTS) |
                           ZG_DATA_BIT(ZG_ATTENTION) | ZG_DATA_BIT(ZG_CROSS_ATTENTION);
  char path[ZG_TEST_PATH_BYTES];
  make_full(path);
  zg_zoo *zoo;
  zg_select select = {.samples = 2};
  CU_ASSERT_EQUAL_FATAL(try_open(path, &select, &zoo), ZG_OK);
  for (int64_t k = 0; k < zoo->array_count; k++) {
    const zg_array *array = &zoo->arrays[k];
    bool limited = sampled & ZG_DATA_BIT(array->data);
    CU_ASSERT_EQUAL(zg_zoo_rows(zoo, array), limited ? 2 : array->n);
  }
  zg_zoo_destroy(&zoo);
}

static void patterns_of_layers_choose_what_is_named_by_layers(void) {
  char path[ZG_TEST_PATH_BYTES];
  make_full(path);
  zg_zoo *zoo = NULL;
  zg_select select = {0};
  zg_list_add(&select.layers, "none");
  CU_ASSERT_EQUAL(try_open(path, &select, &zoo), ZG_ERR_DATA);
  select.data = ZG_DATA_BIT(ZG_WEIGHTS) | ZG_DATA_BIT(ZG_NTK_INPUT);
  CU_ASSERT_EQUAL(try_open(path, &select, &zoo), ZG_OK);
  CU_ASSERT_EQUAL(zoo->array_count, 4);
  zg_zoo_destroy(&zoo);
  zg_list_clear(&select.layers);
  zg_list_add(&select.layers, "l");
  select.data = ZG_DATA_BIT(ZG_ATTENTION) | ZG_DATA_BIT(ZG_HEAD_IMPORTANCE) |
                ZG_DATA_BIT(ZG_CROSS_ATTENTION) | ZG_DATA_BIT(ZG_MAPS);
  CU_ASSERT_EQUAL(try_open(path, &select, &zoo), ZG_OK);
  CU_ASSERT_EQUAL(zoo->array_count, 3); /* neither attention/k nor maps/x */
  zg_zoo_destroy(&zoo);
  zg_list_clear(&select.layers);
}

/* ---- faults ---- */

static void weight_of_strings(hid_t file) {
  zg_test_zoo_dataset(file, "/models/net/weights/odd", H5T_C_S1, 1, DIMS(2), NULL);
}
static void empty_weight(hid_t file) {
  add(file, "net/weights/odd", 2, DIMS(3, 0));
}
static void weight_that_is_a_group(hid_t file) {
  zg_test_zoo_group(file, "/models/net/weights/odd", 0);
}
static void weight_that_leads_nowhere(hid_t file) {
  zg_test_zoo_group(file, "/models/net/weights", 0);
  H5Lcreate_soft("/gone", file, "/models/net/weights/odd", H5P_DEFAULT, H5P_DEFAULT);
}
static void weight_of_unknown_kind(hid_t file) {
  add(file, "net/weights/odd", 1, DIMS(3));
  H5LTset_attribute_string(file, "/models/net/weights/odd", "kind", "dense");
}
static void weight_of_a_kind_that_is_no_word(hid_t file) {
  add(file, "net/weights/odd", 1, DIMS(3));
  H5LTset_attribute_int(file, "/models/net/weights/odd", "kind", &(int){1}, 1);
}
static void weights_that_are_no_group(hid_t file) {
  add(file, "net/weights", 1, DIMS(3));
}
static void gradient_with_axes(hid_t file) {
  add(file, "net/gradients/odd", 2, DIMS(3, 4));
}
static void empty_gradient(hid_t file) {
  add(file, "net/gradients/odd", 1, DIMS(0));
}
static void flat_sample_gradients(hid_t file) {
  add(file, "net/sample_gradients", 1, DIMS(3));
}
static void flat_jacobian(hid_t file) {
  add(file, "net/jacobian", 2, DIMS(3, 4));
}
static void deep_input(hid_t file) {
  add(file, "net/ntk/odd/input", 4, DIMS(1, 2, 3, 4));
}
static void index_of_fractions(hid_t file) {
  add(file, "net/ntk/odd/index", 2, DIMS(1, 2));
}
static void flat_index(hid_t file) {
  add_integers(file, "net/ntk/odd/index", 1, DIMS(2));
}
static void flat_signal(hid_t file) {
  add(file, "net/ntk/odd/signal", 2, DIMS(1, 2));
}
static void deep_direct(hid_t file) {
  add(file, "net/ntk/odd/direct", 4, DIMS(1, 2, 3, 4));
}
static void empty_factors(hid_t file) {
  zg_test_zoo_group(file, "/models/net/ntk/odd", 0);
}
static void factors_that_are_no_group(hid_t file) {
  add(file, "net/ntk/odd", 2, DIMS(1, 2));
}
static void bias_of_two(hid_t file) {
  add(file, "net/ntk/odd/direct", 3, DIMS(1, 2, 3));
  H5LTset_attribute_int(file, "/models/net/ntk/odd", "bias", &(int){2}, 1);
}
static void bias_in_words(hid_t file) {
  add(file, "net/ntk/odd/direct", 3, DIMS(1, 2, 3));
  H5LTset_attribute_string(file, "/models/net/ntk/odd", "bias", "yes");
}
static void flat_logits(hid_t file) {
  add(file, "net/logits", 1, DIMS(3));
}
static void deep_sharpness(hid_t file) {
  add(file, "net/sharpness", 3, DIMS(3, 1, 1));
}
static void flat_attention(hid_t file) {
  add(file, "net/attention/odd", 3, DIMS(3, 2, 2));
}
static void empty_attention(hid_t file) {
  add(file, "net/attention/odd", 4, DIMS(3, 2, 2, 0));
}
static void deep_importance(hid_t file) {
  add(file, "net/head_importance/odd", 2, DIMS(3, 2));
}
static void flat_cross_attention(hid_t file) {
  add(file, "net/cross_attention/odd", 3, DIMS(3, 2, 2));
}
static void wide_map(hid_t file) {
  add(file, "net/maps/odd", 2, DIMS(3, 4));
}
static void narrow_map(hid_t file) {
  add(file, "net/maps/odd", 2, DIMS(3, 1));
}
static void flat_margins(hid_t file) {
  add(file, "net/margin_gradients", 1, DIMS(3));
}
static void add_ops(hid_t file) {
  zg_test_zoo_texts(file, "/models/net/graph/op", 0, 1, (const char *const[]){"add"});
}
static void ops_of_numbers(hid_t file) {
  add_integers(file, "net/graph/op", 1, DIMS(3));
  add_integers(file, "net/graph/edge", 2, DIMS(3, 2));
}
static void edges_of_three(hid_t file) {
  add_ops(file);
  add_integers(file, "net/graph/edge", 2, DIMS(3, 3));
}
static void edges_of_fractions(hid_t file) {
  add_ops(file);
  add(file, "net/graph/edge", 2, DIMS(3, 2));
}
static void no_edges(hid_t file) {
  add_ops(file);
}
static void no_ops(hid_t file) {
  add_integers(file, "net/graph/edge", 2, DIMS(3, 2));
}
static void graph_that_is_no_group(hid_t file) {
  add(file, "net/graph", 1, DIMS(3));
}

static const struct {
  void (*make)(hid_t file);
  zg_data data;
  const char *words[3];
} faulty[] = {
    {weight_of_strings, ZG_WEIGHTS, {"parameter 'odd'", "strings"}},
    {empty_weight, ZG_WEIGHTS, {"parameter 'odd'", "empty"}},
    {weight_that_is_a_group, ZG_WEIGHTS, {"parameter 'odd'", "dataset"}},
    {weight_that_leads_nowhere, ZG_WEIGHTS, {"parameter 'odd'", "nowhere"}},
    {weight_of_unknown_kind, ZG_WEIGHTS, {"parameter 'odd'", "'dense'", "embedding"}},
    {weight_of_a_kind_that_is_no_word, ZG_WEIGHTS, {"parameter 'odd'", "'kind'"}},
    {weights_that_are_no_group, ZG_WEIGHTS, {"'weights'", "group"}},
    {gradient_with_axes, ZG_GRADIENTS, {"gradient 'odd'", "2 axes", "[p]"}},
    {empty_gradient, ZG_GRADIENTS, {"gradient 'odd'", "empty"}},
    {flat_sample_gradients, ZG_SAMPLE_GRADIENTS, {"sample_gradients", "[m, p]"}},
    {flat_jacobian, ZG_JACOBIAN, {"jacobian", "[m, C, p]"}},
    {deep_input, ZG_NTK_INPUT, {"layer 'odd'", "ntk/input", "[m, S, in]"}},
    {index_of_fractions, ZG_NTK_INDEX, {"layer 'odd'", "ntk/index", "integers"}},
    {flat_index, ZG_NTK_INDEX, {"layer 'odd'", "ntk/index", "[m, S]"}},
    {flat_signal, ZG_NTK_SIGNAL, {"layer 'odd'", "ntk/signal", "[m, C, S, out]"}},
    {deep_direct, ZG_NTK_DIRECT, {"layer 'odd'", "ntk/direct", "[m, C, q]"}},
    {empty_factors, ZG_NTK_INPUT, {"layer 'odd'", "neither"}},
    {factors_that_are_no_group, ZG_NTK_INPUT, {"layer 'odd'", "group"}},
    {bias_of_two, ZG_NTK_DIRECT, {"layer 'odd'", "'bias'"}},
    {bias_in_words, ZG_NTK_DIRECT, {"layer 'odd'", "'bias'"}},
    {flat_logits, ZG_LOGITS, {"logits", "[n, C]"}},
    {deep_sharpness, ZG_SHARPNESS, {"sharpness", "[radii, batches]"}},
    {flat_attention, ZG_ATTENTION, {"'odd'", "3 axes", "[n, heads, queries, keys]"}},
    {empty_attention, ZG_ATTENTION, {"attention 'odd'", "empty"}},
    {deep_importance, ZG_HEAD_IMPORTANCE, {"head_importance 'odd'", "[heads]"}},
    {flat_cross_attention, ZG_CROSS_ATTENTION, {"'odd'", "[n, tokens, h, w]"}},
    {wide_map, ZG_MAPS, {"map 'odd'", "4 columns", "[n, 2 or 3]"}},
    {narrow_map, ZG_MAPS, {"map 'odd'", "1 columns", "[n, 2 or 3]"}},
    {flat_margins, ZG_MARGIN_GRADIENTS, {"margin_gradients", "[n, C]"}},
    {ops_of_numbers, ZG_GRAPH_OP, {"graph/op", "numbers", "strings"}},
    {edges_of_three, ZG_GRAPH_EDGE, {"graph/edge", "3 columns", "[edges, 2]"}},
    {edges_of_fractions, ZG_GRAPH_EDGE, {"graph/edge", "fractional", "integers"}},
    {no_edges, ZG_GRAPH_OP, {"'graph'", "no edge"}},
    {no_ops, ZG_GRAPH_OP, {"'graph'", "no op"}},
    {graph_that_is_no_group, ZG_GRAPH_OP, {"'graph'", "group"}}};

static void make_faulty(size_t k, char *path) {
  hid_t file = zg_test_zoo_create(zg_test_path("faulty.h5", path));
  add(file, "net/activations/x", 2, DIMS(4, 2));
  faulty[k].make(file);
  zg_test_zoo_close(file);
}

static void faults_are_refused_by_name(void) {
  char path[ZG_TEST_PATH_BYTES];
  for (size_t k = 0; k < sizeof faulty / sizeof *faulty; k++) {
    zg_zoo *zoo = NULL;
    zg_select select = {.data = ZG_DATA_BIT(faulty[k].data)};
    make_faulty(k, path);
    CU_ASSERT_EQUAL(try_open(path, &select, &zoo), ZG_ERR_DATA);
    CU_ASSERT_PTR_NULL(zoo);
    CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "faulty.h5: model 'net'"));
    for (int w = 0; w < 3 && faulty[k].words[w]; w++) {
      CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), faulty[k].words[w]));
      if (!strstr(zg_message(), faulty[k].words[w]))
        printf("\n'%s' does not say '%s'\n", zg_message(), faulty[k].words[w]);
    }
  }
}

static void faults_in_what_nobody_reads_do_no_harm(void) {
  char path[ZG_TEST_PATH_BYTES];
  for (size_t k = 0; k < sizeof faulty / sizeof *faulty; k++) {
    make_faulty(k, path);
    zg_zoo *zoo = open_zoo(path, ZG_DATA_BIT(ZG_ACTIVATIONS));
    CU_ASSERT(zoo->layer_count == 1 && zoo->array_count == 1);
    zg_zoo_destroy(&zoo);
  }
}

const zg_test zg_tests[] = {
    {"arrays_come_by_data_then_model_then_order",
     arrays_come_by_data_then_model_then_order},
    {"only_the_data_that_are_asked_for_are_there",
     only_the_data_that_are_asked_for_are_there},
    {"the_arrays_of_a_model_are_found", the_arrays_of_a_model_are_found},
    {"heads_are_counted", heads_are_counted},
    {"arrays_are_named_with_file_model_and_data",
     arrays_are_named_with_file_model_and_data},
    {"weights_may_have_any_number_of_axes", weights_may_have_any_number_of_axes},
    {"the_attribute_kind_decides_before_the_axes",
     the_attribute_kind_decides_before_the_axes},
    {"the_order_of_weights_is_known_or_not", the_order_of_weights_is_known_or_not},
    {"layers_say_whether_they_have_a_bias", layers_say_whether_they_have_a_bias},
    {"the_limit_counts_where_rows_are_samples",
     the_limit_counts_where_rows_are_samples},
    {"patterns_of_layers_choose_what_is_named_by_layers",
     patterns_of_layers_choose_what_is_named_by_layers},
    {"faults_are_refused_by_name", faults_are_refused_by_name},
    {"faults_in_what_nobody_reads_do_no_harm", faults_in_what_nobody_reads_do_no_harm},
    {NULL, NULL}};
