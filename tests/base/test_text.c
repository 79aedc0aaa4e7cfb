/** \file
 * Strings, lists, order of names, units, near misses, paths: tables of what goes in and
 * what has to come out. */
#include "base/text.h"
#include "mpi_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static void check_text(const char *found, const char *expected) {
  bool equal = found && !strcmp(found, expected);
  CU_ASSERT(equal);
  if (!equal) printf("\nfound '%s', expected '%s'\n", found ? found : "NULL", expected);
}

static void a_text_grows_as_it_is_added_to(void) {
  zg_text text = {0};
  check_text(zg_text_get(&text), "");
  for (int k = 0; k < 1000; k++)
    zg_text_add(&text, "%d,", k % 10);
  CU_ASSERT_EQUAL(text.length, 2000);
  CU_ASSERT_EQUAL(strlen(text.data), 2000);
  CU_ASSERT_NSTRING_EQUAL(text.data + 1980, "0,1,2,3,4,5,6,7,8,9,", 20);
  zg_text_clear(&text);
  check_text(zg_text_get(&text), "");
}

static void a_list_keeps_copies_in_order(void) {
  zg_list list = {0};
  char name[32];
  for (int k = 0; k < 100; k++) {
    snprintf(name, sizeof name, "item %d", k);
    zg_list_add(&list, name);
  }
  CU_ASSERT_EQUAL(list.count, 100);
  check_text(list.items[0], "item 0");
  CU_ASSERT_EQUAL(zg_list_find(&list, "item 57"), 57);
  CU_ASSERT_EQUAL(zg_list_find(&list, "item"), -1);
  zg_list_clear(&list);
  CU_ASSERT_EQUAL(list.count, 0);
  CU_ASSERT_EQUAL(zg_list_find(&list, "item 0"), -1);
}

/* Ascending in natural order. */
static const char *const ordered[] = {"",
                                      "0",
                                      "00",
                                      "01",
                                      "1",
                                      "1a",
                                      "2",
                                      "10",
                                      "99999999999999999999998",
                                      "99999999999999999999999",
                                      "100000000000000000000000",
                                      "Layer2",
                                      "layer",
                                      "layer.2.conv1",
                                      "layer.10.conv1",
                                      "layer02",
                                      "layer2",
                                      "layer2b",
                                      "layer10",
                                      "\xc3\xa9t\xc3\xa9"};

static int sign(int value) {
  return (value > 0) - (value < 0);
}

static void natural_order_is_total_and_numbers_count_as_numbers(void) {
  for (size_t i = 0; i < COUNT(ordered); i++)
    for (size_t k = 0; k < COUNT(ordered); k++) {
      int expected = (i > k) - (i < k);
      int found = sign(zg_natural_compare(ordered[i], ordered[k]));
      CU_ASSERT_EQUAL(found, expected);
      if (found != expected) printf("\n'%s' against '%s'\n", ordered[i], ordered[k]);
    }
}

static void shell_patterns_match_as_in_a_shell(void) {
  static const struct {
    const char *pattern, *name;
    bool matches;
  } cases[] = {{"*", "", true},          {"*", "a.b/c", true},
               {"conv?", "conv1", true}, {"conv?", "conv", false},
               {"*fc", "x.fc", true},    {"fc", "x.fc", false},
               {"[ab]1", "b1", true},    {"[ab]1", "c1", false}};
  for (size_t k = 0; k < COUNT(cases); k++)
    CU_ASSERT_EQUAL(zg_matches(cases[k].pattern, cases[k].name), cases[k].matches);
}

static void sizes_are_read_in_both_kinds_of_units(void) {
  static const struct {
    const char *text;
    int64_t bytes;
  } cases[] = {{"1", 1},
               {"1e9", 1000000000},
               {"512B", 512},
               {"2GiB", (int64_t)2 << 30},
               {"2G", (int64_t)2 << 30},
               {"2GB", 2000000000},
               {"500 MB", 500000000},
               {"1.5KiB", 1536},
               {"3TiB", (int64_t)3 << 40},
               {"4 M", (int64_t)4 << 20},
               {"7kB", 0},
               {"", 0},
               {"GiB", 0},
               {"0", 0},
               {"0.4", 0}, /* 0 would mean something else */
               {"-1", 0},
               {"-2GiB", 0},
               {"2 GiB each", 0},
               {"two", 0},
               {"nan", 0},
               {"inf", 0},
               {"1e300", 0},
               {"5000000TiB", 0}};
  for (size_t k = 0; k < COUNT(cases); k++) {
    int64_t bytes = 0;
    bool valid = zg_parse_bytes(cases[k].text, &bytes);
    bool right = valid == (cases[k].bytes > 0) && bytes == cases[k].bytes;
    CU_ASSERT(right);
    if (!right)
      printf("\n'%s' gives %d and %lld\n", cases[k].text, valid, (long long)bytes);
  }
}

static void durations_are_read_with_up_to_three_fields(void) {
  static const struct {
    const char *text;
    double seconds; /* -1: no duration */
  } cases[] = {{"45", 45},    {"0", 0},          {"0.5", 0.5}, {"90:00", 5400},
               {"1:02", 62},  {"1:30:00", 5400}, {"0:0:1", 1}, {"100:00:00", 360000},
               {"", -1},      {"-1", -1},        {"1:", -1},   {":30", -1},
               {"1:-30", -1}, {"1:2:3:4", -1},   {"1h", -1},   {" 5", -1},
               {"1: 30", -1}, {"nan", -1}};
  for (size_t k = 0; k < COUNT(cases); k++) {
    double seconds = -1;
    bool valid = zg_parse_duration(cases[k].text, &seconds);
    bool right = valid == (cases[k].seconds >= 0) && seconds == cases[k].seconds;
    CU_ASSERT(right);
    if (!right) printf("\n'%s' gives %d and %g\n", cases[k].text, valid, seconds);
  }
}

static void bytes_are_printed_with_binary_prefixes(void) {
  static const struct {
    double bytes;
    const char *text;
  } cases[] = {{0, "0 B"},
               {1, "1 B"},
               {1000, "1000 B"},
               {1023.9, "1.0 KiB"}, /* never "1024 B" */
               {1024, "1.0 KiB"},
               {1536, "1.5 KiB"},
               {102400, "100 KiB"},
               {0x1p20, "1.0 MiB"},
               {0x1.8p30, "1.5 GiB"},
               {0x1p40, "1.0 TiB"},
               {0x1p50, "1.0 PiB"},
               {0x1p60, "1024 PiB"}};
  char buffer[ZG_UNIT_BYTES];
  for (size_t k = 0; k < COUNT(cases); k++)
    check_text(zg_format_bytes(buffer, cases[k].bytes), cases[k].text);
}

static void numbers_are_printed_with_si_prefixes(void) {
  static const struct {
    double value;
    const char *text;
  } cases[] = {{0, "0 flop"},        {999, "999 flop"},       {999.9, "1.0 kflop"},
               {3.4e9, "3.4 Gflop"}, {99.94e6, "99.9 Mflop"}, {99.96e6, "100 Mflop"},
               {2e15, "2.0 Pflop"}};
  char buffer[ZG_UNIT_BYTES];
  for (size_t k = 0; k < COUNT(cases); k++)
    check_text(zg_format_si(buffer, cases[k].value, "flop"), cases[k].text);
}

static void durations_are_printed_in_the_unit_that_suits_them(void) {
  static const struct {
    double seconds;
    const char *text;
  } cases[] = {{0, "0.0 ms"},        {0.0032, "3.2 ms"}, {0.0999, "99.9 ms"},
               {0.09999, "100 ms"},  {0.51, "510 ms"},   {1, "1.00 s"},
               {9.99, "9.99 s"},     {9.999, "10.0 s"},  {45.1, "45.1 s"},
               {60, "0:01:00"},      {3723, "1:02:03"},  {3599.6, "1:00:00"},
               {360000, "100:00:00"}};
  char buffer[ZG_UNIT_BYTES];
  for (size_t k = 0; k < COUNT(cases); k++)
    check_text(zg_format_duration(buffer, cases[k].seconds), cases[k].text);
}

static void the_nearest_word_is_found_only_when_it_is_near(void) {
  static const char *const known[] = {"bandwidth", "batch", "kernel", "name"};
  static const struct {
    const char *word, *nearest;
  } cases[] = {{"bandwith", "bandwidth"},
               {"bandwidht", "bandwidth"},
               {"kernle", "kernel"},
               {"nam", "name"},
               {"batc", "batch"},
               {"estimator", NULL},
               {"x", NULL},
               {"", NULL}};
  for (size_t k = 0; k < COUNT(cases); k++) {
    const char *found = zg_nearest(cases[k].word, known, COUNT(known));
    if (cases[k].nearest)
      check_text(found, cases[k].nearest);
    else
      CU_ASSERT_PTR_NULL(found);
  }
  char longest[200];
  memset(longest, 'k', sizeof longest - 1);
  longest[sizeof longest - 1] = 0;
  CU_ASSERT_PTR_NULL(zg_nearest(longest, known, COUNT(known)));
}

static void check_owned(char *found, const char *expected) {
  check_text(found, expected);
  free(found);
}

static void paths_are_taken_apart_and_joined(void) {
  check_owned(zg_directory("jobs/a.yaml"), "jobs");
  check_owned(zg_directory("/a.yaml"), "/");
  check_owned(zg_directory("/x/y/a.yaml"), "/x/y");
  check_owned(zg_directory("a.yaml"), ".");
  check_owned(zg_path_join("jobs", "zoo.h5"), "jobs/zoo.h5");
  check_owned(zg_path_join("jobs", "/data/zoo.h5"), "/data/zoo.h5");
  check_owned(zg_path_join(".", "zoo.h5"), "zoo.h5");
}

static void utf8_is_told_from_other_bytes(void) {
  static const char *const good[] = {"",
                                     "conv1",
                                     "\xc3\xa4",
                                     "\xe2\x82\xac",
                                     "\xed\x9f\xbf",
                                     "\xf0\x9f\x98\x80 x",
                                     "\xf4\x8f\xbf\xbf"};
  static const char *const bad[] = {"\x80",
                                    "a\xff",
                                    "\xc3",
                                    "\xc0\xaf",
                                    "\xe0\x80\xaf",
                                    "\xed\xa0\x80",
                                    "\xe2\x82",
                                    "\xf5\x80\x80\x80",
                                    "\xf4\x90\x80\x80"};
  for (size_t k = 0; k < COUNT(good); k++)
    CU_ASSERT(zg_is_utf8(good[k]));
  for (size_t k = 0; k < COUNT(bad); k++)
    CU_ASSERT(!zg_is_utf8(bad[k]));
}

const zg_test zg_tests[] = {
    {"utf8_is_told_from_other_bytes", utf8_is_told_from_other_bytes},
    {"a_text_grows_as_it_is_added_to", a_text_grows_as_it_is_added_to},
    {"a_list_keeps_copies_in_order", a_list_keeps_copies_in_order},
    {"natural_order_is_total_and_numbers_count_as_numbers",
     natural_order_is_total_and_numbers_count_as_numbers},
    {"shell_patterns_match_as_in_a_shell", shell_patterns_match_as_in_a_shell},
    {"sizes_are_read_in_both_kinds_of_units", sizes_are_read_in_both_kinds_of_units},
    {"durations_are_read_with_up_to_three_fields",
     durations_are_read_with_up_to_three_fields},
    {"bytes_are_printed_with_binary_prefixes", bytes_are_printed_with_binary_prefixes},
    {"numbers_are_printed_with_si_prefixes", numbers_are_printed_with_si_prefixes},
    {"durations_are_printed_in_the_unit_that_suits_them",
     durations_are_printed_in_the_unit_that_suits_them},
    {"the_nearest_word_is_found_only_when_it_is_near",
     the_nearest_word_is_found_only_when_it_is_near},
    {"paths_are_taken_apart_and_joined", paths_are_taken_apart_and_joined},
    {NULL, NULL}};
