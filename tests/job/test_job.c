/** \file
 * The job file: defaults, values, and for every mistake a message with its line. */
#include "base/memory.h"
#include "job/job.h"
#include "mpi_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD "zoo: [a.h5]\noutput: r.h5\n"       /* lines 1 and 2 */
#define JOB HEAD "measures:\n  - measure: cka\n" /* and 3 and 4 */

/* A text, and the line and a part of the message that it has to give. */
typedef struct mistake {
  const char *text;
  int line;
  const char *words;
} mistake;

static void check_mistakes(const mistake *mistakes) {
  for (const mistake *m = mistakes; m->text; m++) {
    zg_job *job;
    char place[32];
    snprintf(place, sizeof place, "dir/job.yaml:%d: ", m->line);
    zg_status status = zg_job_parse("dir/job.yaml", m->text, &job);
    bool right = status == ZG_ERR_JOB && !job &&
                 !strncmp(zg_message(), place, strlen(place)) &&
                 strstr(zg_message(), m->words) && !strchr(zg_message(), '\n');
    CU_ASSERT(right);
    if (!right)
      printf("\n--- of\n%s--- expected line %d with '%s', got %d '%s'\n", m->text,
             m->line, m->words, (int)status, status == ZG_OK ? "" : zg_message());
    zg_job_destroy(&job);
  }
}

/* Parse a job that is right. */
static zg_job *parse(const char *text) {
  zg_job *job;
  zg_status status = zg_job_parse("dir/job.yaml", text, &job);
  CU_ASSERT_EQUAL_FATAL(status, ZG_OK);
  return job;
}

static void what_is_absent_has_its_default(void) {
  zg_job *job = parse(JOB);
  CU_ASSERT_STRING_EQUAL(job->path, "dir/job.yaml");
  CU_ASSERT_STRING_EQUAL(job->directory, "dir");
  CU_ASSERT_STRING_EQUAL(job->text, JOB);
  CU_ASSERT_EQUAL(job->zoo.count, 1);
  CU_ASSERT_STRING_EQUAL(job->zoo.items[0], "a.h5");
  CU_ASSERT_STRING_EQUAL(job->output, "dir/r.h5");
  CU_ASSERT_EQUAL(job->select.models.count, 0);
  CU_ASSERT_EQUAL(job->select.layers.count, 0);
  CU_ASSERT_EQUAL(job->select.samples, 0);
  CU_ASSERT_FALSE(job->double_precision);
  CU_ASSERT_FALSE(job->float32_storage);
  CU_ASSERT_EQUAL(job->team_size, ZG_TEAM_AUTO);
  CU_ASSERT_EQUAL(job->memory_per_rank, 0);
  CU_ASSERT_EQUAL(job->checkpoint, 60);
  CU_ASSERT_FALSE(job->full_digest);
  CU_ASSERT_EQUAL(job->call_count, 1);
  CU_ASSERT_STRING_EQUAL(job->calls[0].name, "cka");
  CU_ASSERT_TRUE(zg_call_is(&job->calls[0], "kernel", "linear"));
  CU_ASSERT_TRUE(zg_call_is(&job->calls[0], "estimator", "debiased"));
  zg_job_destroy(&job);
  CU_ASSERT_PTR_NULL(job);
}

static void what_is_written_is_read(void) {
  zg_job *job =
      parse("zoo: [a.h5, 'b*.h5']\n"
            "output: /tmp/r.h5\n"
            "select: {models: ['*net'], layers: [\"fc?\", \"7\"], samples: 100}\n"
            "precision: double\n"
            "storage: float32\n"
            "team_size: 4\n"
            "memory_per_rank: \"2GiB\"\n"
            "checkpoint: 0.5\n"
            "digest: full\n"
            "measures:\n"
            "  - {measure: hsic, kernel: rbf, bandwidth: 0.7, name: h.1-x_Y}\n"
            "  - measure: cka\n"
            "    estimator: minibatch\n"
            "    batch: 64\n"
            "  - cka\n");
  CU_ASSERT_EQUAL(job->zoo.count, 2);
  CU_ASSERT_STRING_EQUAL(job->zoo.items[1], "b*.h5");
  CU_ASSERT_STRING_EQUAL(job->output, "/tmp/r.h5");
  CU_ASSERT_STRING_EQUAL(job->select.models.items[0], "*net");
  CU_ASSERT_STRING_EQUAL(job->select.layers.items[1], "7");
  CU_ASSERT_EQUAL(job->select.samples, 100);
  CU_ASSERT_TRUE(job->double_precision);
  CU_ASSERT_TRUE(job->float32_storage);
  CU_ASSERT_EQUAL(job->team_size, 4);
  CU_ASSERT_EQUAL(job->memory_per_rank, (int64_t)2 << 30);
  CU_ASSERT_EQUAL(job->checkpoint, 0.5);
  CU_ASSERT_TRUE(job->full_digest);
  CU_ASSERT_EQUAL(job->call_count, 3);
  CU_ASSERT_STRING_EQUAL(job->calls[0].name, "h.1-x_Y");
  CU_ASSERT_STRING_EQUAL(job->calls[0].measure->name, "hsic");
  CU_ASSERT_EQUAL(zg_call_value(&job->calls[0], "bandwidth"), 0.7);
  CU_ASSERT_STRING_EQUAL(job->calls[1].name, "cka_estimator_minibatch_batch_64");
  CU_ASSERT_EQUAL(zg_call_value(&job->calls[1], "batch"), 64);
  CU_ASSERT_STRING_EQUAL(job->calls[2].name, "cka");
  zg_job_destroy(&job);
}

static void words_and_empty_sections_are_read(void) {
  static const struct {
    const char *text;
    int64_t team;
  } jobs[] = {{JOB "team_size: auto\nmemory_per_rank: auto\nselect:\n", ZG_TEAM_AUTO},
              {JOB "team_size: all\n", ZG_TEAM_ALL},
              {"# a remark\n---\n" JOB "team_size: 1\n...\n", 1}};
  for (size_t k = 0; k < sizeof jobs / sizeof *jobs; k++) {
    zg_job *job = parse(jobs[k].text);
    CU_ASSERT_EQUAL(job->team_size, jobs[k].team);
    CU_ASSERT_EQUAL(job->memory_per_rank, 0);
    zg_job_destroy(&job);
  }
}

#define DEEP(text) text text text text text text text text text text

static void what_is_no_yaml_is_refused(void) {
  static const mistake mistakes[] = {
      {"", 1, "empty"},
      {"# only a remark\n", 1, "empty"},
      {"---\n", 2, "empty"},
      {"hello\n", 1, "expected keys"},
      {"- a\n- b\n", 1, "expected keys"},
      {"zoo: [a.h5\noutput: r.h5\n", 2, "not YAML"},
      {"zoo: [a.h5]\n\toutput: r.h5\n", 2, "not YAML"},
      {"zoo: [a.h5]\noutput: 'r.h5\n", 3, "not YAML"},
      {HEAD "select:\n  models: [*]\n", 4, "needs quotes"},
      {HEAD "select:\n  models: [*net]\n", 4, "needs quotes"},
      {"zoo: [a.h5]\noutput: \xff\xfe.h5\n", 2, "not YAML"},
      {"zoo: [a.h5]\noutput: \x01\n", 2, "not YAML"},
      {"zoo: [a.h5]\noutput: \"a\\0b\"\n", 2, "zero byte"},
      {JOB "---\nzoo: [b.h5]\n", 6, "second document"},
      {"zoo:\n  - " DEEP(DEEP("[")) "\n", 2, "nested too deeply"},
      {NULL, 0, NULL}};
  check_mistakes(mistakes);
}

static void unknown_and_repeated_keys_are_refused(void) {
  static const mistake mistakes[] = {
      {JOB "precison: double\n", 5,
       "unknown key 'precison': did you mean 'precision'?"},
      {JOB "colour: red\n", 5,
       "unknown key 'colour': expected one of zoo, output, select"},
      {JOB "select:\n  modles: ['*']\n", 6,
       "unknown key 'modles' of select: did you mean 'models'?"},
      {JOB "[a, b]: 1\n", 5, "unknown key a list"},
      {JOB "<<: {precision: double}\n", 5, "unknown key '<<'"},
      {JOB "zoo: [b.h5]\n", 5, "'zoo' is set twice: first in line 1"},
      {JOB "select:\n  samples: 5\n  samples: 6\n", 7,
       "'samples' is set twice: first in line 6"},
      {JOB "    kernel: rbf\n    kernel: rbf\n", 6,
       "'kernel' is set twice: first in line 5"},
      {NULL, 0, NULL}};
  check_mistakes(mistakes);
}

static void what_is_required_has_to_be_there(void) {
  static const mistake mistakes[] = {
      {"output: r.h5\nmeasures: [cka]\n", 1, "'zoo' is missing"},
      {"# x\nzoo: [a.h5]\nmeasures: [cka]\n", 2, "'output' is missing"},
      {HEAD, 1, "'measures' is missing"},
      {"zoo: []\noutput: r.h5\nmeasures: [cka]\n", 1,
       "'zoo': expected a list of paths"},
      {"zoo:\noutput: r.h5\nmeasures: [cka]\n", 1, "found nothing"},
      {"zoo: ['']\noutput: r.h5\nmeasures: [cka]\n", 1, "'zoo': expected"},
      {"zoo: [a.h5]\noutput:\nmeasures: [cka]\n", 2, "'output': expected the path"},
      {"zoo: [a.h5]\noutput: ''\nmeasures: [cka]\n", 2, "'output': expected the path"},
      {"zoo: [a.h5]\noutput: dir/\nmeasures: [cka]\n", 2,
       "'output': expected the path"},
      {HEAD "measures: []\n", 3, "'measures': expected a list"},
      {HEAD "measures:\n", 3, "'measures': expected a list"},
      {HEAD "measures:\n  -\n", 4, "found nothing"},
      {HEAD "measures:\n  - kernel: rbf\n", 4, "expected 'measure: NAME'"},
      {NULL, 0, NULL}};
  check_mistakes(mistakes);
}

static void values_of_another_type_are_refused(void) {
  static const mistake mistakes[] = {
      {"zoo: a.h5\noutput: r.h5\nmeasures: [cka]\n", 1, "found 'a.h5'"},
      {"zoo:\n  - a.h5\n  - [b.h5]\noutput: r.h5\nmeasures: [cka]\n", 3,
       "found a list"},
      {"zoo: [3]\noutput: r.h5\nmeasures: [cka]\n", 1, "found '3'"},
      {"zoo: [a.h5]\noutput: [r.h5]\nmeasures: [cka]\n", 2, "found a list"},
      {"zoo: [a.h5]\noutput: true\nmeasures: [cka]\n", 2, "found 'true'"},
      {HEAD "measures: cka\n", 3, "'measures': expected a list"},
      {HEAD "measures: {measure: cka}\n", 3, "found a mapping"},
      {JOB "select: [a]\n", 5, "'select': expected"},
      {JOB "select:\n  samples: \"100\"\n", 6, "found the text \"100\""},
      {JOB "select:\n  samples: many\n", 6, "found 'many'"},
      {JOB "select:\n  models: resnet\n", 6, "'models': expected a list"},
      {JOB "select:\n  layers: []\n", 6, "found an empty list"},
      {JOB "precision: [double]\n", 5, "'precision': expected single or double"},
      {JOB "team_size: \"4\"\n", 5, "'team_size': expected auto, all or a number"},
      {JOB "checkpoint: {a: 1}\n", 5, "found a mapping"},
      {JOB "memory_per_rank: [1]\n", 5, "'memory_per_rank': expected"},
      {JOB "    bandwidth: [0.4]\n    kernel: rbf\n", 5, "expected a number > 0"},
      {JOB "    bandwidth: \"0.4\"\n    kernel: rbf\n", 5, "found the text \"0.4\""},
      {JOB "    kernel: [rbf]\n", 5, "expected one of linear, rbf"},
      {JOB "    name: [a]\n", 5, "'name': expected letters"},
      {HEAD "measures:\n  - [cka]\n", 4, "found a list"},
      {HEAD "measures:\n  - measure: [cka]\n", 4, "unknown measure a list"},
      {"a: &a [*a]\nzoo: *a\n", 1, "unknown key 'a'"},
      {"zoo: &a [*a]\noutput: r.h5\n", 1, "found a list"},
      {NULL, 0, NULL}};
  check_mistakes(mistakes);
}

static void values_out_of_range_are_refused(void) {
  static const mistake mistakes[] = {
      {JOB "select: {samples: -1}\n", 5, "expected a whole number >= 0"},
      {JOB "select: {samples: 2.5}\n", 5, "expected a whole number >= 0"},
      {JOB "select: {samples: 1e99}\n", 5, "expected a whole number >= 0"},
      {JOB "select: {samples: 0x10}\n", 5, "expected a whole number >= 0"},
      {JOB "select: {samples: .nan}\n", 5, "expected a whole number >= 0"},
      {JOB "precision: half\n", 5, "expected single or double, found 'half'"},
      {JOB "storage: float16\n", 5, "expected float64 or float32"},
      {JOB "digest: none\n", 5, "expected sample or full"},
      {JOB "team_size: 0\n", 5, "'team_size'"},
      {JOB "team_size: -2\n", 5, "'team_size'"},
      {JOB "team_size: 1.5\n", 5, "'team_size'"},
      {JOB "team_size: some\n", 5, "'team_size'"},
      {JOB "memory_per_rank: -1GiB\n", 5, "'memory_per_rank'"},
      {JOB "memory_per_rank: 2 gallons\n", 5, "'memory_per_rank'"},
      {JOB "memory_per_rank: 0.5\n", 5, "'memory_per_rank'"},
      {JOB "checkpoint: 0\n", 5, "'checkpoint': expected a number of seconds > 0"},
      {JOB "checkpoint: .inf\n", 5, "'checkpoint'"},
      {NULL, 0, NULL}};
  check_mistakes(mistakes);
}

static void measures_and_options_are_checked(void) {
  static const mistake mistakes[] = {
      {HEAD "measures:\n  - measure: ckaa\n", 4,
       "unknown measure 'ckaa': did you mean 'cka'?"},
      {HEAD "measures: [cka, 5]\n", 3,
       "unknown measure '5': expected one of cka, hsic"},
      {JOB "    bandwith: 0.4\n", 5,
       "unknown option 'bandwith' of measure cka: did you mean 'bandwidth'?"},
      {JOB "    kernel: rbff\n", 5,
       "expected one of linear, rbf, found 'rbff': did you mean 'rbf'?"},
      {JOB "    estimator: jackknife\n", 5,
       "expected one of debiased, biased, minibatch"},
      {JOB "    kernel: rbf\n    bandwidth: 0\n", 6, "expected a number > 0"},
      {JOB "    kernel: rbf\n    bandwidth: nan\n", 6, "expected a number > 0"},
      {JOB "    estimator: minibatch\n    batch: 3\n", 6,
       "expected a whole number >= 4"},
      {JOB "    estimator: minibatch\n    batch: 8.5\n", 6,
       "expected a whole number >= 4"},
      {JOB "    batch: 64\n", 5,
       "option 'batch' of measure cka has no effect here: it needs estimator: "
       "minibatch"},
      {JOB "    bandwidth: 0.4\n    kernel: linear\n", 5, "it needs kernel: rbf"},
      {NULL, 0, NULL}};
  check_mistakes(mistakes);
}

#define SHARP                                                                          \
  HEAD "measures:\n  - measure: sharpness\n    form: quadratic\n" /* 3 to 5 */

static void check_list(const char *text, int64_t count, const double *expected,
                       const char *name) {
  zg_job *job = parse(text);
  const zg_call *call = &job->calls[0];
  CU_ASSERT_EQUAL_FATAL(zg_call_value(call, "radius"), count);
  for (int64_t k = 0; k < count; k++)
    CU_ASSERT_EQUAL(call->list[k], expected[k]);
  CU_ASSERT_STRING_EQUAL(call->name, name);
  zg_job_destroy(&job);
}

static void lists_of_numbers_are_read(void) {
  static const double initial[] = {0.05}, one[] = {0.2}, three[] = {0.05, 0.1, 2};
  check_list(SHARP, 1, initial, "sharpness_form_quadratic");
  check_list(SHARP "    radius: 0.2\n", 1, one, "sharpness_form_quadratic_radius_0.2");
  check_list(SHARP "    radius: [0.2]\n", 1, one,
             "sharpness_form_quadratic_radius_0.2");
  check_list(SHARP "    radius: [0.05, 0.1, 2]\n", 3, three,
             "sharpness_form_quadratic_radius_0.05_0.1_2");
  check_list(SHARP "    radius:\n      - 5e-2\n      - 0.1\n      - 2.0\n    name: s\n",
             3, three, "s");
}

static void lists_of_numbers_are_checked(void) {
  static const mistake mistakes[] = {
      {SHARP "    radius: [0.1, 0.05]\n", 6, "ascending"},
      {SHARP "    radius: [0.1, 0.1]\n", 6, "ascending"},
      {SHARP "    radius:\n      - 0.1\n      - 0.01\n", 8, "found '0.01'"},
      {SHARP "    radius: [0, 1]\n", 6, "> 0"},
      {SHARP "    radius: -1\n", 6, "> 0"},
      {SHARP "    radius: []\n", 6, "found an empty list"},
      {SHARP "    radius:\n", 6, "found nothing"},
      {SHARP "    radius: many\n", 6, "found 'many'"},
      {SHARP "    radius: [0.1, many]\n", 6, "found 'many'"},
      {SHARP "    radius: [\"0.1\"]\n", 6, "found the text \"0.1\""},
      {SHARP "    radius: [0.1, [0.2]]\n", 6, "found a list"},
      {SHARP "    radius: {a: 1}\n", 6, "found a mapping"},
      {SHARP "    radius: [.nan]\n", 6, "'radius' of measure sharpness"},
      {SHARP "    radius: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, "
             "18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33]\n",
       6, "at most 32"},
      {HEAD "measures:\n  - measure: sharpness\n    radius: [0.1]\n", 5,
       "option 'radius' of measure sharpness has no effect here: it needs form: "
       "quadratic"},
      {JOB "    kernel: rbf\n    bandwidth: [0.4, 0.5]\n", 6, "expected a number > 0"},
      {NULL, 0, NULL}};
  check_mistakes(mistakes);
}

static void options_that_contradict_each_other_are_refused(void) {
  static const mistake mistakes[] = {
      {HEAD "measures:\n  - measure: ntk_distance\n    sketch: 5\n", 4,
       "measure ntk_distance: 'sketch' needs at least 64"},
      {HEAD "measures:\n  - measure: ntk_alignment\n    sketch: 64\n    source: "
            "jacobian\n",
       4, "no effect with source: jacobian"},
      {HEAD "measures:\n  - measure: ntk_alignment\n    scale: trace\n", 5,
       "unknown option 'scale' of measure ntk_alignment"},
      {HEAD "measures:\n  - measure: ntk_distance\n    keep_kernel: 2\n", 5,
       "expected a whole number >= 0 and <= 1"},
      {HEAD "measures:\n  - measure: weight_frobenius\n    relative: 0.5\n", 5,
       "expected a whole number >= 0 and <= 1"},
      {HEAD "measures:\n  - measure: path_norm\n    norm: path3\n", 5,
       "expected one of spectral, path1, path2"},
      {HEAD "measures:\n  - measure: gradient_cosine\n    per: task\n", 5,
       "unknown option 'per' of measure gradient_cosine"},
      {NULL, 0, NULL}};
  check_mistakes(mistakes);
}

static void names_of_tensors_are_checked(void) {
  static const mistake mistakes[] = {
      {JOB "    name: a b\n", 5, "'name': expected letters, digits"},
      {JOB "    name: a/b\n", 5, "'name': expected letters, digits"},
      {JOB "    name: \"\\xE9\"\n", 5, "'name': expected letters, digits"},
      {JOB "    name: ''\n", 5, "'name': expected letters, digits"},
      {JOB "    name: .\n", 5, "the results file uses '.' itself"},
      {JOB "    name: ..\n", 5, "the results file uses '..' itself"},
      {JOB "    name: status\n", 5, "uses 'status' itself"},
      {JOB "    name: items\n", 5, "uses 'items' itself"},
      {JOB "    name: kept\n", 5, "uses 'kept' itself"},
      {JOB "    name: item_a\n", 5, "uses 'item_a' itself"},
      {JOB "    name: model_b\n", 5, "uses 'model_b' itself"},
      {JOB "    name: gradient_a\n", 5, "uses 'gradient_a' itself"},
      {JOB "    name: weight_a\n", 5, "uses 'weight_a' itself"},
      {JOB "    name: cross_attention_b\n", 5, "uses 'cross_attention_b' itself"},
      {JOB "  - measure: cka\n", 5, "the name 'cka', in lines 4 and 5"},
      {JOB "  - measure: hsic\n  - measure: hsic\n    kernel: rbf\n    name: cka\n", 6,
       "the name 'cka', in lines 4 and 6"},
      {NULL, 0, NULL}};
  check_mistakes(mistakes);
  zg_job *job = parse(JOB "    name: item_c\n  - {measure: cka, name: my_item_a}\n");
  CU_ASSERT_STRING_EQUAL(job->calls[1].name, "my_item_a");
  zg_job_destroy(&job);
}

static void digest_of(const char *text, char digest[ZG_DIGEST_BYTES]) {
  zg_job *job = parse(text);
  zg_job_digest(job, digest);
  zg_job_destroy(&job);
}

static void equal_jobs_have_equal_digests(void) {
  static const char *const same[] = {
      "# a remark\nmeasures:\n- cka\nzoo: [x.h5]\noutput: y.h5\n",
      JOB "    kernel: linear\n    name: cka\n",
      JOB "team_size: 2\nmemory_per_rank: 1GiB\ncheckpoint: 5\ndigest: full\n",
      JOB "select: {models: ['*'], samples: 0}\nprecision: single\nstorage: float64\n"};
  char expected[ZG_DIGEST_BYTES], digest[ZG_DIGEST_BYTES];
  digest_of(JOB, expected);
  CU_ASSERT_EQUAL(strlen(expected), ZG_DIGEST_BYTES - 1);
  for (size_t k = 0; k < sizeof same / sizeof *same; k++) {
    digest_of(same[k], digest);
    CU_ASSERT_STRING_EQUAL(digest, expected);
  }
}

static void unequal_jobs_have_unequal_digests(void) {
  static const char *const jobs[] = {
      JOB,
      JOB "    name: other\n",
      JOB "    kernel: rbf\n    name: cka\n",
      JOB "    kernel: rbf\n    bandwidth: 0.41\n    name: cka\n",
      JOB "  - measure: hsic\n",
      HEAD "measures: [hsic, cka]\n",
      JOB "precision: double\n",
      JOB "storage: float32\n",
      JOB "select: {samples: 10}\n",
      JOB "select: {models: [a]}\n",
      JOB "select: {layers: [a]}\n",
      JOB "select: {models: [a, b]}\n",
      JOB "select: {models: [ab]}\n",
      SHARP "    name: cka\n",
      SHARP "    radius: 0.1\n    name: cka\n",
      SHARP "    radius: [0.05, 0.1]\n    name: cka\n",
      SHARP "    radius: [0.05, 0.2]\n    name: cka\n",
      SHARP "    radius: [0.05, 0.1, 0.2]\n    name: cka\n"};
  enum { JOBS = sizeof jobs / sizeof *jobs };
  char digests[JOBS][ZG_DIGEST_BYTES];
  for (int k = 0; k < JOBS; k++) {
    digest_of(jobs[k], digests[k]);
    for (int j = 0; j < k; j++)
      CU_ASSERT_STRING_NOT_EQUAL(digests[j], digests[k]);
  }
}

/* Read a file of these bytes. */
static zg_status read_bytes(const char *bytes, size_t count, char **text) {
  char path[] = "/tmp/zoogram_job_XXXXXX";
  int file = mkstemp(path);
  CU_ASSERT_FATAL(file >= 0);
  CU_ASSERT_EQUAL(write(file, bytes, count), (ssize_t)count);
  close(file);
  zg_status status = zg_job_read(path, text);
  unlink(path);
  return status;
}

static void files_are_read_or_refused(void) {
  enum { TOO_LARGE = (1 << 20) + 1 };
  char *text, *large = ZG_NEW(char, TOO_LARGE);
  memset(large, '#', TOO_LARGE);
  CU_ASSERT_EQUAL(read_bytes(JOB, strlen(JOB), &text), ZG_OK);
  CU_ASSERT_STRING_EQUAL(text, JOB);
  free(text);
  CU_ASSERT_EQUAL(read_bytes(large, TOO_LARGE - 1, &text), ZG_OK);
  free(text);
  CU_ASSERT_EQUAL(read_bytes(large, TOO_LARGE, &text), ZG_ERR_JOB);
  CU_ASSERT_PTR_NULL(text);
  free(large);
  CU_ASSERT_EQUAL(read_bytes("zoo:\n a\0b\n", 10, &text), ZG_ERR_JOB);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), ":2: a zero byte"));
  CU_ASSERT_EQUAL(zg_job_read("/nowhere/job.yaml", &text), ZG_ERR_INPUT);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "/nowhere/job.yaml"));
  CU_ASSERT_EQUAL(zg_job_read("/tmp", &text), ZG_ERR_INPUT);
}

const zg_test zg_tests[] = {
    {"what_is_absent_has_its_default", what_is_absent_has_its_default},
    {"what_is_written_is_read", what_is_written_is_read},
    {"words_and_empty_sections_are_read", words_and_empty_sections_are_read},
    {"what_is_no_yaml_is_refused", what_is_no_yaml_is_refused},
    {"unknown_and_repeated_keys_are_refused", unknown_and_repeated_keys_are_refused},
    {"what_is_required_has_to_be_there", what_is_required_has_to_be_there},
    {"values_of_another_type_are_refused", values_of_another_type_are_refused},
    {"values_out_of_range_are_refused", values_out_of_range_are_refused},
    {"measures_and_options_are_checked", measures_and_options_are_checked},
    {"lists_of_numbers_are_read", lists_of_numbers_are_read},
    {"lists_of_numbers_are_checked", lists_of_numbers_are_checked},
    {"options_that_contradict_each_other_are_refused",
     options_that_contradict_each_other_are_refused},
    {"names_of_tensors_are_checked", names_of_tensors_are_checked},
    {"equal_jobs_have_equal_digests", equal_jobs_have_equal_digests},
    {"unequal_jobs_have_unequal_digests", unequal_jobs_have_unequal_digests},
    {"files_are_read_or_refused", files_are_read_or_refused},
    {0}};
