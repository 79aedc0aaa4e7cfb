/** \file
 * The geometry of convolutions: defaults, every way of stating it, and what is said of
 * one that cannot be used. */
#include "files.h"
#include "mpi_main.h"
#include "zoo/convolution.h"

#include <hdf5_hl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char weight[] = "/models/m/weights/w";

/* One attribute: numbers, or a word. */
typedef struct attribute {
  const char *name;
  int count; /* 0: a word; -1: a scalar */
  double values[4];
  const char *word;
} attribute;
#define NUMBERS(name, count, ...)                                                      \
  { name, count, {__VA_ARGS__}, NULL }
#define WORD(name, word)                                                               \
  { name, 0, {0}, word }
#define END                                                                            \
  { NULL, 0, {0}, NULL }

static void set(hid_t file, const attribute *a) {
  if (a->count == 0) {
    H5LTset_attribute_string(file, weight, a->name, a->word);
  } else if (a->count > 0) {
    H5LTset_attribute_double(file, weight, a->name, a->values, (size_t)a->count);
  } else {
    long long value = (long long)a->values[0];
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t scalar = H5Acreate_by_name(file, weight, a->name, H5T_STD_I64LE, space,
                                     H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(scalar, H5T_NATIVE_LLONG, &value);
    H5Aclose(scalar), H5Sclose(space);
  }
}

/* The geometry of a weight [6, 2, 3, 5], or of fewer axes, with these attributes. */
static zg_conv_attributes read_back(int rank, const attribute *attributes) {
  static const hsize_t dims[4] = {6, 2, 3, 5};
  char path[ZG_TEST_PATH_BYTES];
  hid_t file = zg_test_zoo_create(zg_test_path("conv.h5", path));
  zg_test_zoo_dataset(file, weight, H5T_IEEE_F32LE, rank, dims, NULL);
  H5LTset_attribute_string(file, weight, "kind", "conv");
  for (; attributes->name; attributes++)
    set(file, attributes);
  zg_test_zoo_close(file);
  zg_zoo *zoo = zg_test_zoo_open(path);
  zg_reader *reader = zg_reader_create(zoo);
  zg_conv_attributes conv;
  CU_ASSERT_EQUAL(zg_reader_convolution(reader, 0, &conv), ZG_OK);
  /* The catalogue has the same, and nothing of one that cannot be used. */
  const zg_conv_geometry unknown = {.groups = 0};
  zg_conv_geometry known = conv.problem[0] ? unknown : conv.geometry;
  const zg_conv_geometry *listed = &zoo->arrays[0].conv;
  CU_ASSERT_EQUAL(memcmp(listed, &known, offsetof(zg_conv_geometry, circular)), 0);
  CU_ASSERT_EQUAL(listed->circular, known.circular);
  zg_reader_destroy(&reader);
  zg_zoo_destroy(&zoo);
  return conv;
}

static void check_pair(const int64_t pair[2], int64_t h, int64_t w) {
  CU_ASSERT(pair[0] == h && pair[1] == w);
}

static void check_padding(zg_conv_attributes c, int64_t top, int64_t bottom,
                          int64_t left, int64_t right) {
  CU_ASSERT_STRING_EQUAL(c.problem, "");
  CU_ASSERT(c.geometry.padding[0] == top && c.geometry.padding[1] == bottom &&
            c.geometry.padding[2] == left && c.geometry.padding[3] == right);
}

static void what_is_absent_has_its_default(void) {
  zg_conv_attributes c =
      read_back(4, (attribute[]){NUMBERS("input_size", 2, 8, 9), END});
  check_pair(c.geometry.input, 8, 9);
  check_pair(c.geometry.stride, 1, 1);
  check_pair(c.geometry.dilation, 1, 1);
  check_padding(c, 0, 0, 0, 0);
  CU_ASSERT(c.geometry.groups == 1 && !c.geometry.circular);
}

static void numbers_count_for_both_directions_or_for_each(void) {
  zg_conv_attributes c = read_back(
      4, (attribute[]){NUMBERS("input_size", 2, 8, 9), NUMBERS("stride", -1, 2),
                       NUMBERS("dilation", 2, 2, 1), NUMBERS("groups", -1, 3), END});
  CU_ASSERT_STRING_EQUAL(c.problem, "");
  check_pair(c.geometry.stride, 2, 2);
  check_pair(c.geometry.dilation, 2, 1);
  CU_ASSERT_EQUAL(c.geometry.groups, 3);
  c = read_back(
      4, (attribute[]){NUMBERS("input_size", -1, 7), NUMBERS("stride", 1, 4), END});
  CU_ASSERT_STRING_EQUAL(c.problem, "");
  check_pair(c.geometry.input, 7, 7);
  check_pair(c.geometry.stride, 4, 4);
}

static void padding_may_have_one_two_or_four_numbers(void) {
  const attribute size = NUMBERS("input_size", 2, 8, 9);
  check_padding(read_back(4, (attribute[]){size, NUMBERS("padding", -1, 2), END}), 2, 2,
                2, 2);
  check_padding(read_back(4, (attribute[]){size, NUMBERS("padding", 2, 1, 2), END}), 1,
                1, 2, 2);
  check_padding(
      read_back(4, (attribute[]){size, NUMBERS("padding", 4, 1, 0, 3, 2), END}), 1, 0,
      3, 2);
}

static void the_edge_is_zeros_or_circular(void) {
  const attribute size = NUMBERS("input_size", 2, 8, 9);
  zg_conv_attributes c =
      read_back(4, (attribute[]){size, WORD("padding_mode", "zeros"), END});
  CU_ASSERT(!c.problem[0] && !c.geometry.circular);
  c = read_back(4, (attribute[]){size, WORD("padding_mode", "circular"), END});
  CU_ASSERT(!c.problem[0] && c.geometry.circular);
}

static void what_cannot_be_used_is_said(void) {
  const attribute size = NUMBERS("input_size", 2, 8, 9);
  const struct {
    int rank;
    attribute attributes[3];
    const char *problem;
  } cases[] = {
      {4, {END}, "has no attribute 'input_size'"},
      {3, {size}, "has 3 axes; a conv weight has 4 axes"},
      {3, {END}, "has 3 axes"}, /* the first problem is told */
      {4, {WORD("input_size", "8x9")}, "attribute 'input_size' is not"},
      {4, {NUMBERS("input_size", 2, 8, 0)}, "attribute 'input_size' is not"},
      {4, {NUMBERS("input_size", 3, 8, 9, 1)}, "attribute 'input_size' is not"},
      {4, {size, WORD("padding_mode", "reflect")}, "padding_mode 'reflect' is not"},
      {4, {size, NUMBERS("padding_mode", -1, 1)}, "attribute 'padding_mode' is not"},
      {4, {size, WORD("padding", "same")}, "attribute 'padding' is not"},
      {4, {size, NUMBERS("padding", 3, 1, 1, 1)}, "attribute 'padding' is not"},
      {4, {size, NUMBERS("padding", 2, 1, -1)}, "attribute 'padding' is not"},
      {4, {size, NUMBERS("stride", 2, 1, 0)}, "attribute 'stride' is not"},
      {4, {size, NUMBERS("stride", 2, 1, 1.5)}, "attribute 'stride' is not"},
      {4, {size, NUMBERS("dilation", 4, 1, 1, 1, 1)}, "attribute 'dilation' is not"},
      {4, {size, NUMBERS("groups", 2, 1, 1)}, "attribute 'groups' is not"},
      {4, {size, NUMBERS("groups", -1, 4)}, "6 output channels are not divisible by 4"},
      {4, {size, NUMBERS("dilation", 2, 4, 1)}, "its kernel reaches over 9 positions"}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    zg_conv_attributes c = read_back(cases[k].rank, cases[k].attributes);
    bool said = !strncmp(c.problem, cases[k].problem, strlen(cases[k].problem));
    CU_ASSERT(said);
    if (!said) printf("\n'%s' is not '%s'\n", c.problem, cases[k].problem);
  }
}

const zg_test zg_tests[] = {
    {"what_is_absent_has_its_default", what_is_absent_has_its_default},
    {"numbers_count_for_both_directions_or_for_each",
     numbers_count_for_both_directions_or_for_each},
    {"padding_may_have_one_two_or_four_numbers",
     padding_may_have_one_two_or_four_numbers},
    {"the_edge_is_zeros_or_circular", the_edge_is_zeros_or_circular},
    {"what_cannot_be_used_is_said", what_cannot_be_used_is_said},
    {NULL, NULL}};
