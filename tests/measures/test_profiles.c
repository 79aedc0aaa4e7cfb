/** \file
 * Profiles of models from small files: path norms by enumeration of all paths, products
 * of operator norms and sharpness in closed form. */
#include "base/memory.h"
#include "files.h"
#include "measures/pairs.h"
#include "measures/profile.h"
#include "mpi_main.h"

#include <float.h>
#include <hdf5_hl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a model in a file ---- */

typedef struct model_file {
  char path[ZG_TEST_PATH_BYTES];
  hid_t file;
  zg_zoo *zoo;
  zg_reader *reader;
  int order;
} model_file;

static void begin(model_file *f, const char *name) {
  *f = (model_file){0};
  f->file = zg_test_zoo_create(zg_test_path(name, f->path));
  zg_test_zoo_group(f->file, "/models/m/weights", 1);
}

/* A weight of the model, in the order of calls. */
static void add_weight(model_file *f, const char *kind, int rank, const hsize_t *dims,
                       const double *values) {
  char path[64];
  snprintf(path, sizeof path, "/models/m/weights/w%d", f->order++);
  zg_test_zoo_dataset(f->file, path, H5T_IEEE_F64LE, rank, dims, values);
  if (kind) H5LTset_attribute_string(f->file, path, "kind", kind);
}

static void add_matrix(model_file *f, int64_t out, int64_t in, const double *values) {
  const hsize_t dims[2] = {(hsize_t)out, (hsize_t)in};
  add_weight(f, NULL, 2, dims, values);
}

static void end_writing(model_file *f) {
  zg_list paths = {0};
  zg_test_zoo_close(f->file);
  zg_list_add(&paths, f->path);
  zg_status status = zg_zoo_open(&paths, NULL, &f->zoo);
  if (status != ZG_OK) printf("\n%s\n", zg_message());
  CU_ASSERT_EQUAL_FATAL(status, ZG_OK);
  zg_list_clear(&paths);
  f->reader = zg_reader_create(f->zoo);
}

static void end(model_file *f) {
  zg_reader_destroy(&f->reader);
  zg_zoo_destroy(&f->zoo);
}

/* All tasks of the only model and its profile, as the engine makes them. */
static zg_code profile_of(model_file *f, const zg_call *call, double *profile,
                          char note[ZG_NOTE_BYTES]) {
  const zg_profile_form *form = call->measure->spec(call).profile;
  int64_t count, first = zg_zoo_find(f->zoo, form->data, 0, &count);
  int64_t tasks = form->per_array ? count : 1, width = form->width(call, f->zoo);
  double *values = ZG_NEW0(double, tasks *width);
  zg_code code = ZG_CODE_OK;
  note[0] = 0;
  for (int64_t t = 0; t < tasks; t++) {
    zg_finding finding = {.values = values + t * width};
    int64_t at = form->per_array ? first + t : first;
    CU_ASSERT_EQUAL(form->measure(call, f->reader, f->zoo, at,
                                  form->per_array ? 1 : count, &finding),
                    ZG_OK);
    if (finding.code) {
      code = finding.code;
      memcpy(note, finding.note, ZG_NOTE_BYTES);
    }
  }
  if (form->summarise)
    form->summarise(call, tasks, width, values, profile, &code);
  else
    memcpy(profile, values, (size_t)width * sizeof *profile);
  free(values);
  return code;
}

/* ---- paths ---- */

enum { DEPTH = 4 };
static const int64_t sizes[DEPTH + 1] = {3, 5, 2, 4, 3};

static double weight(int layer, int64_t out, int64_t in) {
  return 2 * zg_test_random(70 + (unsigned long)layer, (unsigned long)(out * 8 + in));
}

/* Sum over all paths from a unit on to the outputs, of the product of |w|^p. */
static long double paths_from(int layer, int64_t unit, int p) {
  if (layer == DEPTH) return 1;
  long double sum = 0;
  for (int64_t next = 0; next < sizes[layer + 1]; next++)
    sum += powl(fabsl((long double)weight(layer, next, unit)), p) *
           paths_from(layer + 1, next, p);
  return sum;
}

/* The chain with biases and norms in between, which do not enter, and every weight
 * times `factor`. */
static void make_chain(model_file *f, const char *name, double factor) {
  begin(f, name);
  for (int layer = 0; layer < DEPTH; layer++) {
    double values[8 * 8];
    int64_t out = sizes[layer + 1], in = sizes[layer];
    for (int64_t k = 0; k < out * in; k++)
      values[k] = factor * weight(layer, k / in, k % in);
    add_matrix(f, out, in, values);
    const hsize_t width = (hsize_t)out;
    add_weight(f, NULL, 1, &width, values); /* a bias */
    if (layer == 1) {
      const hsize_t square[2] = {7, 2}; /* would not fit the chain */
      add_weight(f, "embedding", 2, square, values);
    }
  }
  end_writing(f);
}

static void check_paths(const char *norm, int p, double factor) {
  model_file f;
  char options[32], note[ZG_NOTE_BYTES];
  double profile[2];
  long double sum = 0;
  for (int64_t unit = 0; unit < sizes[0]; unit++)
    sum += paths_from(0, unit, p);
  double expected = (double)(logl(sum) / p + DEPTH * logl((long double)factor));
  snprintf(options, sizeof options, "norm=%s", norm);
  zg_call call = zg_test_call_of("path_norm", options);
  make_chain(&f, "chain.h5", factor);
  CU_ASSERT_EQUAL(profile_of(&f, &call, profile, note), ZG_CODE_OK);
  /* a few hundred positive terms, so the relative error of the sum is some eps; the
   * logarithm is rounded to eps of itself */
  double allowed = DBL_EPSILON * (64 + 4 * fabs(expected));
  zg_test_close(profile[0], expected, allowed, norm);
  if (fabs(expected) < 700)
    zg_test_close(profile[1], exp(expected), exp(expected) * 2 * allowed, norm);
  end(&f);
}

static void path_norms_are_sums_over_all_paths(void) {
  check_paths("path1", 1, 1);
  check_paths("path2", 2, 1);
}

/* v is 1e480 or 1e-480: no double, but log v is. */
static void logarithms_outlive_their_values(void) {
  check_paths("path1", 1, 1e120);
  check_paths("path2", 2, 1e120);
  check_paths("path1", 1, 1e-120);
  check_paths("path2", 2, 1e-120);
}

static void check_path_code(model_file *f, zg_code expected, const char *words) {
  static const char *const norms[] = {"norm=path1", "norm=path2"};
  char note[ZG_NOTE_BYTES];
  double profile[2];
  for (int k = 0; k < 2; k++) {
    zg_call call = zg_test_call_of("path_norm", norms[k]);
    CU_ASSERT_EQUAL(profile_of(f, &call, profile, note), expected);
    CU_ASSERT_PTR_NOT_NULL(strstr(note, words));
  }
  end(f);
}

static void chains_that_do_not_fit_say_where(void) {
  const double w[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  const hsize_t kernel[4] = {2, 2, 2, 2}, cube[3] = {2, 2, 2};
  model_file f;
  begin(&f, "mismatch.h5");
  add_matrix(&f, 3, 2, w);
  add_matrix(&f, 2, 2, w);
  end_writing(&f);
  check_path_code(&f, ZG_CODE_SHAPE, "'w1' does not have as many columns");
  begin(&f, "conv.h5");
  add_matrix(&f, 2, 2, w);
  add_weight(&f, NULL, 4, kernel, w);
  end_writing(&f);
  check_path_code(&f, ZG_CODE_SHAPE, "'w1' is a convolution");
  begin(&f, "cube.h5");
  add_weight(&f, "linear", 3, cube, w);
  end_writing(&f);
  check_path_code(&f, ZG_CODE_SHAPE, "'w0' is no matrix");
}

static void spoilt_weights_have_no_norm(void) {
  static const struct {
    double value;
    zg_code code;
  } cases[] = {{NAN, ZG_CODE_NONFINITE},
               {INFINITY, ZG_CODE_NONFINITE},
               {0, ZG_CODE_ZERO_VARIANCE}};
  for (int c = 0; c < 3; c++)
    for (int place = 0; place < 2; place++) {
      model_file f;
      double sound[4] = {1, 2, 3, 4}, spoilt[4] = {0};
      spoilt[1] = cases[c].value;
      begin(&f, "spoilt.h5");
      add_matrix(&f, 2, 2, place ? sound : spoilt);
      add_matrix(&f, 2, 2, place ? spoilt : sound);
      end_writing(&f);
      char note[ZG_NOTE_BYTES];
      double profile[2];
      zg_call call = zg_test_call_of("path_norm", "");
      CU_ASSERT_EQUAL(profile_of(&f, &call, profile, note), cases[c].code);
      check_path_code(&f, cases[c].code, "");
    }
}

static void without_weights_that_count_there_is_no_norm(void) {
  const double b[2] = {1, 2};
  const hsize_t two = 2;
  model_file f;
  double profile[2];
  char note[ZG_NOTE_BYTES];
  begin(&f, "biases.h5");
  add_weight(&f, NULL, 1, &two, b);
  end_writing(&f);
  zg_call call = zg_test_call_of("path_norm", "");
  CU_ASSERT_EQUAL(profile_of(&f, &call, profile, note), ZG_CODE_ABSENT);
  check_path_code(&f, ZG_CODE_ABSENT, "");
}

/* ---- operator norms ---- */

/* diag(3, -5) padded, u v' with |u| = 2 and |v| = 3, and a 1 x 1 convolution, which on
 * any input is its matrix: 5 * 6 * 7. */
static void spectral_norms_multiply(void) {
  const double diagonal[6] = {3, 0, 0, -5, 0, 0};
  const double outer[4] = {6, 0, 0, 0};
  const double kernel[4] = {0, 7, -2, 0};
  const hsize_t dims[4] = {2, 2, 1, 1};
  const int size[2] = {4, 3};
  model_file f;
  char note[ZG_NOTE_BYTES];
  double profile[2];
  begin(&f, "spectral.h5");
  add_matrix(&f, 3, 2, diagonal);
  add_matrix(&f, 2, 2, outer);
  add_weight(&f, NULL, 4, dims, kernel);
  H5LTset_attribute_int(f.file, "/models/m/weights/w2", "input_size", size, 2);
  end_writing(&f);
  zg_call call = zg_test_call_of("path_norm", "");
  CU_ASSERT_EQUAL(profile_of(&f, &call, profile, note), ZG_CODE_OK);
  zg_test_close(profile[0], log(210), 1e-10, "log v"); /* 8 digits are promised */
  zg_test_close(profile[1], 210, 1e-8, "v");
  end(&f);
}

static void a_convolution_without_its_input_has_no_norm(void) {
  const double kernel[9] = {1};
  const hsize_t dims[4] = {1, 1, 3, 3};
  model_file f;
  char note[ZG_NOTE_BYTES];
  double profile[2];
  begin(&f, "nosize.h5");
  add_weight(&f, NULL, 4, dims, kernel);
  end_writing(&f);
  zg_call call = zg_test_call_of("path_norm", "");
  CU_ASSERT_EQUAL(profile_of(&f, &call, profile, note), ZG_CODE_ABSENT);
  CU_ASSERT_PTR_NOT_NULL(strstr(note, "input_size"));
  end(&f);
}

/* ---- sharpness ---- */

static void make_recorded(model_file *f, const double *values, const double *radii,
                          size_t radius_count) {
  const hsize_t dims[2] = {2, 3};
  begin(f, "recorded.h5");
  zg_test_zoo_dataset(f->file, "/models/m/sharpness", H5T_IEEE_F64LE, 2, dims, values);
  if (radius_count)
    H5LTset_attribute_double(f->file, "/models/m/sharpness", "radius", radii,
                             radius_count);
  end_writing(f);
}

static void recorded_sharpness_is_averaged_over_batches(void) {
  const double values[6] = {1, 2, 6, 10, 20, 60}, radii[2] = {0.1, 0.2};
  model_file f;
  char note[ZG_NOTE_BYTES];
  double profile[5];
  zg_call call = zg_test_call_of("sharpness", "");
  make_recorded(&f, values, radii, 2);
  CU_ASSERT_EQUAL(profile_of(&f, &call, profile, note), ZG_CODE_OK);
  const double expected[5] = {2, 3, 30, 0.1, 0.2};
  for (int k = 0; k < 5; k++)
    zg_test_close(profile[k], expected[k], 4 * DBL_EPSILON * expected[k], "profile");
  end(&f);
}

static void recorded_sharpness_needs_its_radii(void) {
  const double sound[6] = {1, 2, 6, 10, 20, 60}, spoilt[6] = {1, 2, 6, NAN, 20, 60};
  const double radii[3] = {0.1, 0.2, 0.3};
  static const struct {
    bool finite;
    size_t radii;
    zg_code code;
    const char *words;
  } cases[] = {{true, 0, ZG_CODE_ABSENT, "no attribute 'radius'"},
               {true, 3, ZG_CODE_SHAPE, "3 numbers for 2 rows"},
               {true, 1, ZG_CODE_SHAPE, "1 numbers for 2 rows"},
               {false, 2, ZG_CODE_NONFINITE, ""}};
  for (int c = 0; c < 4; c++) {
    model_file f;
    char note[ZG_NOTE_BYTES];
    double profile[5];
    zg_call call = zg_test_call_of("sharpness", "");
    make_recorded(&f, cases[c].finite ? sound : spoilt, radii, cases[c].radii);
    CU_ASSERT_EQUAL(profile_of(&f, &call, profile, note), cases[c].code);
    CU_ASSERT_PTR_NOT_NULL(strstr(note, cases[c].words));
    end(&f);
  }
}

static void make_gradients(model_file *f, int64_t m, int64_t p, const double *values) {
  const hsize_t dims[2] = {(hsize_t)m, (hsize_t)p};
  begin(f, "gradients.h5");
  zg_test_zoo_dataset(f->file, "/models/m/sample_gradients", H5T_IEEE_F64LE, 2, dims,
                      values);
  end_writing(f);
}

/* Of one sample g: F = g g', so the best e is g rho / |g|, and s = rho |g| + rho^2
 * |g|^2 / 2. Equal samples are like one. */
static void sharpness_of_one_sample_is_along_its_gradient(void) {
  const double g[6] = {2, -1, 2, 2, -1, 2}; /* twice, of norm 3 */
  const double radii[3] = {0.05, 1, 20};
  for (int64_t m = 1; m <= 2; m++) {
    model_file f;
    char note[ZG_NOTE_BYTES];
    double profile[3];
    zg_call call =
        zg_test_call_of("sharpness", "form=quadratic radius=0.05 radius=1 radius=20");
    make_gradients(&f, m, 3, g);
    CU_ASSERT_EQUAL(profile_of(&f, &call, profile, note), ZG_CODE_OK);
    for (int r = 0; r < 3; r++) {
      double expected = 3 * radii[r] + 4.5 * radii[r] * radii[r];
      zg_test_close(profile[r], expected, 1e-13 * expected, "sharpness");
    }
    end(&f);
  }
}

/* Samples g and -g: the mean is zero (the hard case), F = g g', s = rho^2 |g|^2 / 2. */
static void opposed_samples_leave_the_curvature(void) {
  const double g[6] = {2, -1, 2, -2, 1, -2};
  model_file f;
  char note[ZG_NOTE_BYTES];
  double profile[2];
  zg_call call = zg_test_call_of("sharpness", "form=quadratic radius=0.5 radius=2");
  make_gradients(&f, 2, 3, g);
  CU_ASSERT_EQUAL(profile_of(&f, &call, profile, note), ZG_CODE_OK);
  zg_test_close(profile[0], 4.5 / 4, 1e-12, "sharpness");
  zg_test_close(profile[1], 18, 1e-11, "sharpness");
  end(&f);
}

static void spoilt_gradients_have_no_sharpness(void) {
  const double g[6] = {2, -1, 2, -2, INFINITY, -2};
  model_file f;
  char note[ZG_NOTE_BYTES];
  double profile[1];
  zg_call call = zg_test_call_of("sharpness", "form=quadratic");
  make_gradients(&f, 2, 3, g);
  CU_ASSERT_EQUAL(profile_of(&f, &call, profile, note), ZG_CODE_NONFINITE);
  end(&f);
}

const zg_test zg_tests[] = {
    {"path_norms_are_sums_over_all_paths", path_norms_are_sums_over_all_paths},
    {"logarithms_outlive_their_values", logarithms_outlive_their_values},
    {"chains_that_do_not_fit_say_where", chains_that_do_not_fit_say_where},
    {"spoilt_weights_have_no_norm", spoilt_weights_have_no_norm},
    {"without_weights_that_count_there_is_no_norm",
     without_weights_that_count_there_is_no_norm},
    {"spectral_norms_multiply", spectral_norms_multiply},
    {"a_convolution_without_its_input_has_no_norm",
     a_convolution_without_its_input_has_no_norm},
    {"recorded_sharpness_is_averaged_over_batches",
     recorded_sharpness_is_averaged_over_batches},
    {"recorded_sharpness_needs_its_radii", recorded_sharpness_needs_its_radii},
    {"sharpness_of_one_sample_is_along_its_gradient",
     sharpness_of_one_sample_is_along_its_gradient},
    {"opposed_samples_leave_the_curvature", opposed_samples_leave_the_curvature},
    {"spoilt_gradients_have_no_sharpness", spoilt_gradients_have_no_sharpness},
    {NULL, NULL}};
