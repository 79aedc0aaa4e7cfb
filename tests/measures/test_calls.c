/** \file
 * What calls of measures on models ask for: forms, data, axes, what they keep; options
 * that are lists, and options that contradict each other. */
#include "measures/pairs.h"
#include "mpi_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what a call needs and makes ---- */

enum {
  WEIGHTS = 1 << ZG_WEIGHTS,
  GRADIENTS = 1 << ZG_GRADIENTS,
  SAMPLES = 1 << ZG_SAMPLE_GRADIENTS,
  JACOBIAN = 1 << ZG_JACOBIAN,
  FACTORS =
      1 << ZG_NTK_INPUT | 1 << ZG_NTK_INDEX | 1 << ZG_NTK_SIGNAL | 1 << ZG_NTK_DIRECT,
  LOGITS = 1 << ZG_LOGITS,
  SHARPNESS = 1 << ZG_SHARPNESS
};

typedef struct expectation {
  const char *measure, *options;
  zg_form form;
  uint32_t reads;
  zg_axis axis;
  const char *kept; /* names and shapes: 0 one number, 1 per sample, 2 per pair */
} expectation;

static const expectation expectations[] = {
    {"weight_frobenius", "", ZG_FORM_VECTOR, WEIGHTS, ZG_AXIS_MODEL, ""},
    {"weight_frobenius", "per=matrix", ZG_FORM_VECTOR, WEIGHTS, ZG_AXIS_WEIGHT, ""},
    {"weight_frobenius", "per=matrix relative=1", ZG_FORM_VECTOR, WEIGHTS,
     ZG_AXIS_WEIGHT, ""},
    {"fisher", "", ZG_FORM_VECTOR, LOGITS, ZG_AXIS_MODEL, ""},
    {"fisher", "form=quadratic", ZG_FORM_VECTOR, WEIGHTS | SAMPLES, ZG_AXIS_MODEL, ""},
    {"fisher", "form=task", ZG_FORM_VECTOR, SAMPLES, ZG_AXIS_MODEL, ""},
    {"path_norm", "", ZG_FORM_PROFILE, WEIGHTS, ZG_AXIS_MODEL, "log_value:0 value:0 "},
    {"path_norm", "norm=path1", ZG_FORM_PROFILE, WEIGHTS, ZG_AXIS_MODEL,
     "log_value:0 value:0 "},
    {"gradient_cosine", "", ZG_FORM_VECTOR, GRADIENTS, ZG_AXIS_GRADIENT, ""},
    {"gradient_conflict", "", ZG_FORM_VECTOR, GRADIENTS, ZG_AXIS_GRADIENT, "total:0 "},
    {"sharpness", "", ZG_FORM_PROFILE, SHARPNESS, ZG_AXIS_MODEL, ""},
    {"sharpness", "form=quadratic", ZG_FORM_PROFILE, SAMPLES, ZG_AXIS_MODEL, ""},
    {"ntk_distance", "", ZG_FORM_TANGENT, FACTORS | JACOBIAN, ZG_AXIS_MODEL, ""},
    {"ntk_distance", "source=factors", ZG_FORM_TANGENT, FACTORS, ZG_AXIS_MODEL, ""},
    {"ntk_distance", "source=jacobian", ZG_FORM_TANGENT, JACOBIAN, ZG_AXIS_MODEL, ""},
    {"ntk_alignment", "keep_kernel=1", ZG_FORM_TANGENT, FACTORS | JACOBIAN,
     ZG_AXIS_MODEL, "kernel:2 eigenvalues:1 "},
    {"ntk_alignment", "sketch=4096", ZG_FORM_TANGENT, FACTORS | JACOBIAN, ZG_AXIS_MODEL,
     "standard_error:0 "},
    {"ntk_distance", "sketch=64 keep_kernel=1 source=factors", ZG_FORM_TANGENT, FACTORS,
     ZG_AXIS_MODEL, "kernel:2 eigenvalues:1 standard_error:0 "},
    {"attention_kl", "", ZG_FORM_VECTOR, 1 << ZG_ATTENTION, ZG_AXIS_ATTENTION, ""},
    {"attention_kl", "per=head floor=0.1", ZG_FORM_VECTOR, 1 << ZG_ATTENTION,
     ZG_AXIS_HEAD, ""},
    {"head_importance", "form=quantile", ZG_FORM_PROFILE, 1 << ZG_HEAD_IMPORTANCE,
     ZG_AXIS_MODEL, ""},
    {"cross_attention", "", ZG_FORM_VECTOR, 1 << ZG_CROSS_ATTENTION,
     ZG_AXIS_CROSS_ATTENTION, ""},
    {"boundary", "", ZG_FORM_PROFILE, LOGITS | 1 << ZG_MARGIN_GRADIENTS, ZG_AXIS_MODEL,
     ""},
    {"cka", "", ZG_FORM_GRAM, 1 << ZG_ACTIVATIONS, ZG_AXIS_ITEM, ""},
    {"cka", "kernel=rbf", ZG_FORM_GRAM, 1 << ZG_ACTIVATIONS, ZG_AXIS_ITEM, "median:0 "},
    {"hsic", "kernel=rbf estimator=minibatch", ZG_FORM_GRAM, 1 << ZG_ACTIVATIONS,
     ZG_AXIS_ITEM, ""},
    {"mmd", "", ZG_FORM_PAIR, 1 << ZG_ACTIVATIONS, ZG_AXIS_ITEM, "sigma:0 "},
    {"mmd", "features=9", ZG_FORM_PAIR, 1 << ZG_ACTIVATIONS, ZG_AXIS_ITEM, "sigma:0 "},
    {"mmd", "kernel=linear", ZG_FORM_PAIR, 1 << ZG_ACTIVATIONS, ZG_AXIS_ITEM, ""},
    {"wasserstein", "form=exact", ZG_FORM_PAIR, 1 << ZG_ACTIVATIONS, ZG_AXIS_ITEM, ""}};

static void check_kept(const zg_call *call, const char *expected) {
  char found[256] = "";
  zg_kept kept[ZG_MAX_KEPT] = {{0}};
  int64_t count = zg_call_kept(call, kept);
  CU_ASSERT_FATAL(count >= 0 && count <= ZG_MAX_KEPT);
  for (int64_t k = 0; k < count; k++) {
    size_t length = strlen(found);
    snprintf(found + length, sizeof found - length, "%s:%d ", kept[k].name,
             (int)kept[k].shape);
    CU_ASSERT(kept[k].meaning && *kept[k].meaning);
    bool items = call->measure->axis == ZG_AXIS_ITEM;
    CU_ASSERT_EQUAL(kept[k].axis, items ? ZG_AXIS_ITEM : ZG_AXIS_MODEL);
  }
  CU_ASSERT_STRING_EQUAL(found, expected);
}

static void calls_say_what_they_read_and_make(void) {
  for (size_t k = 0; k < sizeof expectations / sizeof *expectations; k++) {
    const expectation *e = &expectations[k];
    zg_call call = zg_test_call_of(e->measure, e->options);
    CU_ASSERT_EQUAL(call.measure->spec(&call).form, e->form);
    CU_ASSERT_EQUAL(call.measure->reads(&call), e->reads);
    CU_ASSERT_EQUAL(zg_call_axis(&call), e->axis);
    check_kept(&call, e->kept);
  }
}

static void names_of_axes_and_forms_are_words(void) {
  CU_ASSERT_STRING_EQUAL(zg_axis_name(ZG_AXIS_ITEM), "item");
  CU_ASSERT_STRING_EQUAL(zg_axis_name(ZG_AXIS_MODEL), "model");
  CU_ASSERT_STRING_EQUAL(zg_axis_name(ZG_AXIS_GRADIENT), "gradient");
  CU_ASSERT_STRING_EQUAL(zg_axis_name(ZG_AXIS_WEIGHT), "weight");
  CU_ASSERT_STRING_EQUAL(zg_axis_name(ZG_AXIS_ATTENTION), "attention");
  CU_ASSERT_STRING_EQUAL(zg_axis_name(ZG_AXIS_HEAD), "head");
  CU_ASSERT_STRING_EQUAL(zg_axis_name(ZG_AXIS_CROSS_ATTENTION), "cross_attention");
  CU_ASSERT_STRING_EQUAL(zg_form_name(ZG_FORM_GRAM), "gram");
  CU_ASSERT_STRING_EQUAL(zg_form_name(ZG_FORM_TANGENT), "tangent");
  CU_ASSERT_STRING_EQUAL(zg_form_name(ZG_FORM_VECTOR), "vector");
  CU_ASSERT_STRING_EQUAL(zg_form_name(ZG_FORM_PROFILE), "profile");
  CU_ASSERT_STRING_EQUAL(zg_form_name(ZG_FORM_PAIR), "pair");
}

static void only_some_calls_pair_rows(void) {
  static const struct {
    const char *measure, *options;
    bool pairs;
  } cases[] = {{"cka", "", true},
               {"mmd", "", false},
               {"wasserstein", "", false},
               {"wasserstein", "form=sinkhorn", false},
               {"wasserstein", "form=exact", true}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    zg_call call = zg_test_call_of(cases[k].measure, cases[k].options);
    CU_ASSERT_EQUAL(zg_call_pairs_rows(&call), cases[k].pairs);
  }
}

/* Whether the same terms of pairs serve both. */
static bool share(const char *measure, const char *one, const char *other) {
  zg_call a = zg_test_call_of(measure, one), b = zg_test_call_of(measure, other);
  zg_spec x = a.measure->spec(&a), y = b.measure->spec(&b);
  return zg_spec_shares_pass(&x, &y);
}

static void calls_of_equal_terms_share_a_pass(void) {
  CU_ASSERT(share("mmd", "", "estimator=biased"));
  CU_ASSERT(share("mmd", "kernel=linear", "kernel=linear estimator=biased"));
  CU_ASSERT_FALSE(share("mmd", "", "sigma=2"));
  CU_ASSERT_FALSE(share("mmd", "", "features=2"));
  CU_ASSERT_FALSE(share("mmd", "features=2", "features=3"));
  CU_ASSERT_FALSE(share("mmd", "", "kernel=linear"));
  CU_ASSERT_FALSE(share("wasserstein", "", "seed=1"));
  CU_ASSERT_FALSE(share("wasserstein", "", "projections=1"));
  CU_ASSERT_FALSE(share("wasserstein", "", "form=gaussian"));
  CU_ASSERT_FALSE(share("wasserstein", "form=sinkhorn", "form=sinkhorn epsilon=1"));
}

/* ---- what a tangent call asks of the engine ---- */

static zg_tangent_spec tangent_of(const char *measure, const char *options) {
  zg_call call = zg_test_call_of(measure, options);
  return call.measure->spec(&call).tangent;
}

static void options_become_kernels(void) {
  zg_tangent_spec s = tangent_of("ntk_distance", "");
  CU_ASSERT(!s.full && s.source == ZG_TANGENT_AUTO && s.sketch == 0 && s.apart);
  CU_ASSERT(!s.centred && !s.keep && s.scale == ZG_TANGENT_UNSCALED);
  s = tangent_of("ntk_distance",
                 "reduction=full scale=trace source=factors sketch=128");
  CU_ASSERT(s.full && s.source == ZG_TANGENT_FACTORS && s.sketch == 128);
  CU_ASSERT_EQUAL(s.scale, ZG_TANGENT_BY_TRACE);
  CU_ASSERT_EQUAL(tangent_of("ntk_distance", "scale=frobenius").scale,
                  ZG_TANGENT_BY_NORM);
  s = tangent_of("ntk_alignment", "source=jacobian keep_kernel=1");
  CU_ASSERT(s.centred && s.keep && !s.apart && s.source == ZG_TANGENT_JACOBIAN);
  CU_ASSERT_FALSE(tangent_of("ntk_alignment", "centred=0").centred);
}

/* ---- passes ---- */

static void check_sharing(const char *a, const char *with, const char *b,
                          const char *and, bool expected) {
  zg_call x = zg_test_call_of(a, with), y = zg_test_call_of(b, and);
  zg_spec p = x.measure->spec(&x), q = y.measure->spec(&y);
  CU_ASSERT_EQUAL(zg_spec_shares_pass(&p, &q), expected);
  CU_ASSERT_EQUAL(zg_spec_shares_pass(&q, &p), expected);
}

static void calls_share_what_they_have_in_common(void) {
  check_sharing("weight_frobenius", "", "weight_frobenius", "relative=1", true);
  check_sharing("weight_frobenius", "", "weight_frobenius", "per=matrix", false);
  check_sharing("gradient_cosine", "", "gradient_conflict", "", true);
  check_sharing("gradient_cosine", "", "weight_frobenius", "per=matrix", false);
  check_sharing("attention_kl", "", "attention_kl", "", true);
  check_sharing("attention_kl", "", "attention_kl", "floor=0.1", false);
  check_sharing("attention_kl", "", "attention_kl", "per=head", false);
  check_sharing("cross_attention", "", "cross_attention", "grid=4 grid=3", false);
  check_sharing("fisher", "", "fisher", "form=task", false);
  check_sharing("fisher", "form=task", "fisher", "form=task", true);
  check_sharing("ntk_distance", "", "ntk_alignment", "", true);
  check_sharing("ntk_distance", "scale=trace", "ntk_alignment", "centred=0", true);
  check_sharing("ntk_distance", "", "ntk_alignment", "reduction=full", false);
  check_sharing("ntk_distance", "", "ntk_alignment", "source=jacobian", false);
  check_sharing("ntk_distance", "", "ntk_alignment", "sketch=64", false);
  check_sharing("path_norm", "", "path_norm", "norm=path1", false);
  check_sharing("sharpness", "", "cka", "", false);
}

/* ---- contradictions ---- */

static const char *conflict_of(const char *measure, const char *options) {
  zg_call call = zg_test_call_of(measure, options);
  return call.measure->conflict ? call.measure->conflict(&call) : NULL;
}

static void contradicting_options_are_named(void) {
  static const char *const kernels[] = {"ntk_distance", "ntk_alignment"};
  for (int k = 0; k < 2; k++) {
    const char *few = conflict_of(kernels[k], "sketch=5");
    CU_ASSERT(few && strstr(few, "'sketch'") && strstr(few, "64"));
    CU_ASSERT_PTR_NOT_NULL(conflict_of(kernels[k], "sketch=63"));
    const char *source = conflict_of(kernels[k], "sketch=64 source=jacobian");
    CU_ASSERT(source && strstr(source, "'sketch'") && strstr(source, "jacobian"));
    CU_ASSERT_PTR_NULL(conflict_of(kernels[k], "sketch=64"));
    CU_ASSERT_PTR_NULL(conflict_of(kernels[k], "sketch=64 source=factors"));
    CU_ASSERT_PTR_NULL(conflict_of(kernels[k], "source=jacobian"));
  }
}

static void defaults_do_not_contradict_each_other(void) {
  int64_t count;
  const zg_measure *const *measures = zg_measures(&count);
  for (int64_t k = 0; k < count; k++)
    CU_ASSERT_PTR_NULL(conflict_of(measures[k]->name, ""));
}

/* ---- lists ---- */

static void check_list(const zg_call *call, int64_t option, const char *expected) {
  char found[ZG_VALUE_BYTES];
  CU_ASSERT_STRING_EQUAL(zg_option_print(call, option, found), expected);
}

static void lists_are_taken_number_by_number(void) {
  zg_call call = zg_test_call_of("sharpness", "form=quadratic");
  int64_t k = zg_option_find(call.measure, "radius");
  check_list(&call, k, "0.05");
  zg_option_empty(&call, k);
  check_list(&call, k, "");
  CU_ASSERT_PTR_NULL(zg_option_parse(&call, k, "0.05"));
  CU_ASSERT_PTR_NULL(zg_option_parse(&call, k, "0.1"));
  CU_ASSERT_PTR_NULL(zg_option_parse(&call, k, "25"));
  CU_ASSERT_EQUAL(zg_call_value(&call, "radius"), 3);
  CU_ASSERT(call.list[0] == 0.05 && call.list[1] == 0.1 && call.list[2] == 25);
  check_list(&call, k, "0.05_0.1_25");
}

static void lists_ascend_within_their_bounds(void) {
  static const char *const wrong[] = {"0.1",  "0.09", "0", "-1",
                                      "1e13", "nan",  "",  "0.2x"};
  zg_call call = zg_test_call_of("sharpness", "form=quadratic radius=0.1");
  int64_t k = zg_option_find(call.measure, "radius");
  for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
    const char *expected = zg_option_parse(&call, k, wrong[w]);
    CU_ASSERT(expected && strstr(expected, "ascending") && strstr(expected, "> 0"));
    CU_ASSERT_EQUAL(zg_call_value(&call, "radius"), 1);
  }
  CU_ASSERT_PTR_NULL(zg_option_parse(&call, k, "0.11"));
}

static void lists_have_an_end(void) {
  zg_call call = zg_test_call_of("sharpness", "form=quadratic");
  int64_t k = zg_option_find(call.measure, "radius");
  zg_option_empty(&call, k);
  for (int j = 1; j <= ZG_MAX_LIST + 1; j++) {
    char text[16];
    snprintf(text, sizeof text, "%d", j);
    CU_ASSERT_EQUAL(zg_option_parse(&call, k, text) == NULL, j <= ZG_MAX_LIST);
  }
  CU_ASSERT_EQUAL(zg_call_value(&call, "radius"), ZG_MAX_LIST);
}

static void check_name(const char *options, const char *expected) {
  zg_call call = zg_test_call_of("sharpness", options);
  char *name = zg_call_default_name(&call);
  CU_ASSERT_STRING_EQUAL(name, expected);
  free(name);
}

static void lists_are_part_of_the_name(void) {
  check_name("", "sharpness");
  check_name("form=quadratic", "sharpness_form_quadratic");
  check_name("form=quadratic radius=0.05", "sharpness_form_quadratic");
  check_name("form=quadratic radius=0.1", "sharpness_form_quadratic_radius_0.1");
  check_name("form=quadratic radius=0.05 radius=0.1",
             "sharpness_form_quadratic_radius_0.05_0.1");
}

const zg_test zg_tests[] = {
    {"calls_say_what_they_read_and_make", calls_say_what_they_read_and_make},
    {"names_of_axes_and_forms_are_words", names_of_axes_and_forms_are_words},
    {"only_some_calls_pair_rows", only_some_calls_pair_rows},
    {"calls_of_equal_terms_share_a_pass", calls_of_equal_terms_share_a_pass},
    {"options_become_kernels", options_become_kernels},
    {"calls_share_what_they_have_in_common", calls_share_what_they_have_in_common},
    {"contradicting_options_are_named", contradicting_options_are_named},
    {"defaults_do_not_contradict_each_other", defaults_do_not_contradict_each_other},
    {"lists_are_taken_number_by_number", lists_are_taken_number_by_number},
    {"lists_ascend_within_their_bounds", lists_ascend_within_their_bounds},
    {"lists_have_an_end", lists_have_an_end},
    {"lists_are_part_of_the_name", lists_are_part_of_the_name},
    {NULL, NULL}};
