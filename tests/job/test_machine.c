/** \file
 * Machine files: what is written comes back, and what is wrong is named. */
#include "base/memory.h"
#include "job/machine.h"
#include "mpi_main.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static zg_status read_text(const char *text, zg_machine *machine) {
  snprintf(path, sizeof path, "/tmp/zoogram-test-machine-%d", (int)getpid());
  FILE *file = fopen(path, "w");
  CU_ASSERT_PTR_NOT_NULL_FATAL(file);
  fputs(text, file);
  fclose(file);
  zg_status status = zg_machine_read(path, machine);
  unlink(path);
  return status;
}

static void what_is_written_comes_back(void) {
  zg_machine written = {.ranks_per_node = 64, .calibrated = "2026-01-01T00:00:00Z"};
  strcpy(written.name, "a \"new\"\tone\\"); /* quotes and the like are left out */
  for (int r = 0; r < ZG_RATES; r++)
    written.rates[r] = (r + 1) * pow(10, r % 2 ? 8 : -8);
  char *text = zg_machine_text(&written);
  zg_machine machine;
  CU_ASSERT_EQUAL_FATAL(read_text(text, &machine), ZG_OK);
  for (int r = 0; r < ZG_RATES; r++)
    zg_test_close(machine.rates[r], written.rates[r], 5e-3 * written.rates[r],
                  zg_rate_infos[r].key);
  CU_ASSERT_STRING_EQUAL(machine.name, "a newone");
  CU_ASSERT_STRING_EQUAL(machine.calibrated, written.calibrated);
  CU_ASSERT_EQUAL(machine.ranks_per_node, 64);
  free(text);
}

static void three_rates_are_enough(void) {
  zg_machine machine;
  CU_ASSERT_EQUAL_FATAL(
      read_text("form_single: 1e11\nread_total: 4e9\nnetwork: 25e9\n", &machine),
      ZG_OK);
  CU_ASSERT_EQUAL(machine.rates[ZG_RATE_NETWORK], 25e9);
  CU_ASSERT_EQUAL(machine.rates[ZG_RATE_WRITE_TOTAL], 1e9);
  CU_ASSERT_STRING_EQUAL(machine.name, "");
  CU_ASSERT_EQUAL(machine.ranks_per_node, 0);
}

static void mistakes_are_named_with_their_line(void) {
#define GOOD "form_single: 1e11\nread_total: 4e9\nnetwork: 25e9\n"
  static const struct {
    const char *text, *line, *words;
  } cases[] = {
      {GOOD "netwrok: 1\n", ":4:", "did you mean 'network'?"},
      {GOOD "zoo: 1\n", ":4:", "unknown key 'zoo'"},
      {GOOD "network: 1\n", ":4:", "set twice"},
      {GOOD "latency: 0\n", ":4:", "'latency': expected a number > 0 of s, found '0'"},
      {GOOD "latency: -1e-6\n", ":4:", "> 0"},
      {GOOD "latency: fast\n", ":4:", "found 'fast'"},
      {GOOD "latency: \"1e-6\"\n", ":4:", "found the text"},
      {GOOD "latency: 1e999\n", ":4:", "> 0"},
      {GOOD "latency: [1]\n", ":4:", "a list"},
      {GOOD "name: [a]\n", ":4:", "expected a text"},
      {GOOD "name: "
            "0123456789012345678901234567890123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789012345678901234567890123456789\n",
       ":4:", "less than 128 bytes"},
      {GOOD "ranks_per_node: 0\n", ":4:", "ranks"},
      {"form_single: 1e11\nread_total: 4e9\n", ":1:", "'network' is missing"},
      {"- form_single\n", ":1:", "expected keys"},
      {"form_single: [\n", ":2:", "not YAML"},
      {"", ":1:", "empty"},
  };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    zg_machine machine;
    CU_ASSERT_EQUAL(read_text(cases[k].text, &machine), ZG_ERR_JOB);
    CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), path));
    bool named =
        strstr(zg_message(), cases[k].line) && strstr(zg_message(), cases[k].words);
    if (!named) printf("\n%s\n", zg_message());
    CU_ASSERT(named);
  }
}

static void a_file_that_is_not_there_is_an_input(void) {
  zg_machine machine;
  CU_ASSERT_EQUAL(zg_machine_read("/nowhere/machine.yaml", &machine), ZG_ERR_INPUT);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "/nowhere/machine.yaml"));
  CU_ASSERT_EQUAL(zg_machine_read("/", &machine), ZG_ERR_INPUT);
}

const zg_test zg_tests[] = {
    {"what_is_written_comes_back", what_is_written_comes_back},
    {"three_rates_are_enough", three_rates_are_enough},
    {"mistakes_are_named_with_their_line", mistakes_are_named_with_their_line},
    {"a_file_that_is_not_there_is_an_input", a_file_that_is_not_there_is_an_input},
    {NULL, NULL}};
