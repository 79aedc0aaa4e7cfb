/** \file
 * Checkpoints that were damaged, cut short or left by something else: whatever a
 * segment holds, a run never takes a wrong number from it. */
#include "base/memory.h"
#include "engine/state.h"
#include "files.h"
#include "mpi_main.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TILES = 5, ITEMS = 3, LENGTH = 2 };

static const char digest[ZG_DIGEST_BYTES] = "of this job";
static const char another_digest[ZG_DIGEST_BYTES] = "of another job";

/* ---- a pass ---- */

/* The sums of a pass, in which tile t adds its weight to everything. */
typedef struct pass {
  zg_team team;
  zg_pairs pairs;
  double vector[LENGTH], parameter;
  zg_sums sums;
} pass;

static void create(pass *p) {
  *p = (pass){.parameter = 0};
  zg_team_create(MPI_COMM_WORLD, 1, &p->team);
  zg_pairs_create(&p->team, ITEMS, &p->pairs);
  p->sums = (zg_sums){.pairs = {&p->pairs},
                      .vectors = {p->vector},
                      .lengths = {LENGTH},
                      .parameters = &p->parameter,
                      .parameter_count = 1};
}

static void destroy(pass *p) {
  zg_pairs_destroy(&p->pairs);
  zg_team_destroy(&p->team);
}

static double weight(int64_t tile) {
  return ldexp(1, (int)tile);
}

static void add(pass *p, int64_t tile) {
  for (int k = 0; k < ITEMS * ITEMS; k++)
    p->pairs.coarse[k] += weight(tile), p->pairs.fine[k] -= weight(tile);
  for (int k = 0; k < LENGTH; k++)
    p->vector[k] += weight(tile);
}

/* Whether the sums are those of all tiles, each of them once. */
static bool is_right(const pass *p) {
  double all = weight(TILES) - 1;
  for (int k = 0; k < ITEMS * ITEMS; k++)
    if (p->pairs.coarse[k] != all || p->pairs.fine[k] != -all) return false;
  for (int k = 0; k < LENGTH; k++)
    if (p->vector[k] != all) return false;
  return true;
}

/* A run that does the tiles before `stop` that nobody has done, writes them, and is
 * then killed; or one that goes on to the end, TILES. \return how opening went.
 * *before: tiles that earlier runs had done. */
static zg_status run(const char *output, int64_t stop, int64_t *before, bool *right) {
  pass p;
  zg_state *state;
  bool resumed;
  create(&p);
  zg_status status = zg_state_open(MPI_COMM_SELF, output, digest, 60, false, &state);
  if (status == ZG_OK) {
    CU_ASSERT_EQUAL(zg_state_begin(state, 0, TILES, &p.sums, &resumed), ZG_OK);
    *before = zg_state_count(state);
    CU_ASSERT_EQUAL(resumed, *before > 0);
    if (resumed) CU_ASSERT_EQUAL(p.parameter, 0.5);
    p.parameter = 0.5;
    for (int64_t t = 0; t < stop; t++)
      if (!zg_state_has(state, t)) add(&p, t), zg_state_add_tile(state, t);
    if (stop < TILES) {
      CU_ASSERT_EQUAL(zg_state_save(state, &p.team, &p.sums), ZG_OK);
    } else {
      CU_ASSERT_EQUAL(zg_state_finish(state, &p.team, &p.sums), ZG_OK);
      *right = is_right(&p);
    }
  }
  zg_state_close(&state, false);
  destroy(&p);
  return status;
}

/* ---- its segment, as bytes ---- */

typedef struct segment {
  char output[ZG_TEST_PATH_BYTES], path[2 * ZG_TEST_PATH_BYTES];
  unsigned char *bytes;
  size_t count;
} segment;

static void find_segment(segment *s) {
  char directory[ZG_TEST_PATH_BYTES + 8];
  snprintf(directory, sizeof directory, "%s.state", s->output);
  DIR *opened = opendir(directory);
  CU_ASSERT_PTR_NOT_NULL_FATAL(opened);
  for (struct dirent *entry; (entry = readdir(opened));)
    if (entry->d_name[0] != '.')
      snprintf(s->path, sizeof s->path, "%.*s/%.200s", (int)sizeof directory, directory,
               entry->d_name);
  closedir(opened);
}

static void put_bytes(const char *path, const void *bytes, size_t count) {
  FILE *file = fopen(path, "wb");
  CU_ASSERT_PTR_NOT_NULL_FATAL(file);
  CU_ASSERT_EQUAL(fwrite(bytes, 1, count, file), count);
  fclose(file);
}

/* A run that was killed after so many of its five tiles. */
static void leave_tiles(const char *name, int64_t tiles, segment *s) {
  int64_t before;
  bool right;
  struct stat file;
  zg_test_path(name, s->output);
  CU_ASSERT_EQUAL_FATAL(run(s->output, tiles, &before, &right), ZG_OK);
  find_segment(s);
  CU_ASSERT_EQUAL_FATAL(stat(s->path, &file), 0);
  s->count = (size_t)file.st_size;
  s->bytes = ZG_NEW(unsigned char, file.st_size + 1);
  FILE *opened = fopen(s->path, "rb");
  CU_ASSERT_EQUAL(fread(s->bytes, 1, s->count, opened), s->count);
  fclose(opened);
}

static void leave_a_segment(const char *name, segment *s) {
  leave_tiles(name, 3, s);
}

/* The next run refuses what is there, saying how to go on, or leaves it out and does
 * all tiles itself. */
static void check_unused(const segment *s, size_t at) {
  int64_t before = 0;
  bool right = true;
  zg_status status = run(s->output, TILES, &before, &right);
  bool refused = status == ZG_ERR_CREATE && strstr(zg_message(), "--restart");
  bool left_out = status == ZG_OK && before == 0 && right;
  CU_ASSERT(refused || left_out);
  if (!refused && !left_out)
    printf("\n--- byte %zu of %zu: status %d, %lld tiles, %s: %s\n", at, s->count,
           (int)status, (long long)before, right ? "right" : "WRONG",
           status == ZG_OK ? "" : zg_message());
}

/* ---- tests ---- */

static void a_whole_segment_is_used(void) {
  segment s;
  int64_t before = 0;
  bool right = false;
  leave_a_segment("whole", &s);
  CU_ASSERT_EQUAL(run(s.output, TILES, &before, &right), ZG_OK);
  CU_ASSERT_EQUAL(before, 3);
  CU_ASSERT(right);
  free(s.bytes);
}

static void a_changed_byte_is_noticed_wherever_it_is(void) {
  segment s;
  leave_a_segment("flipped", &s);
  for (size_t at = 0; at < s.count; at++)
    for (int bit = 0; bit < 8; bit += 7) {
      s.bytes[at] ^= (unsigned char)(1 << bit);
      put_bytes(s.path, s.bytes, s.count);
      check_unused(&s, at);
      s.bytes[at] ^= (unsigned char)(1 << bit);
    }
  free(s.bytes);
}

static void a_segment_of_any_other_length_is_noticed(void) {
  segment s;
  leave_a_segment("cut", &s);
  for (size_t count = 0; count < s.count; count++) {
    put_bytes(s.path, s.bytes, count);
    check_unused(&s, count);
  }
  s.bytes[s.count] = 0; /* has room for one more */
  put_bytes(s.path, s.bytes, s.count + 1);
  check_unused(&s, s.count);
  free(s.bytes);
}

static void something_else_is_refused_or_left_out(void) {
  static const char *const contents[] = {"zgstate1", "\211HDF\r\n\032\n", "hello",
                                         "zgstate9 and so on"};
  segment s;
  leave_a_segment("foreign", &s);
  for (size_t k = 0; k < sizeof contents / sizeof *contents; k++) {
    unsigned char *bytes = ZG_NEW0(unsigned char, 4096);
    memcpy(bytes, contents[k], strlen(contents[k]));
    put_bytes(s.path, bytes, 4096);
    check_unused(&s, k);
    free(bytes);
  }
  free(s.bytes);
}

static void one_of_another_version_is_refused(void) {
  segment s;
  int64_t before = 0;
  bool right;
  leave_a_segment("version", &s);
  s.bytes[7]--;
  put_bytes(s.path, s.bytes, s.count);
  CU_ASSERT_EQUAL(run(s.output, TILES, &before, &right), ZG_ERR_CREATE);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "another version"));
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "--restart"));
  free(s.bytes);
}

/* As a rank that outlived its run could leave it. */
static void a_tile_counts_once_though_two_segments_have_it(void) {
  segment s;
  int64_t before = 0;
  bool right = false;
  char copy[3 * ZG_TEST_PATH_BYTES];
  leave_a_segment("twice", &s);
  snprintf(copy, sizeof copy, "%s-copy", s.path);
  put_bytes(copy, s.bytes, s.count);
  CU_ASSERT_EQUAL(run(s.output, TILES, &before, &right), ZG_OK);
  CU_ASSERT_EQUAL(before, 3);
  CU_ASSERT(right);
  free(s.bytes);
}

static void the_whole_ones_beside_a_damaged_one_are_used(void) {
  segment s;
  int64_t before = 0;
  bool right = false;
  leave_a_segment("beside", &s);
  CU_ASSERT_EQUAL(run(s.output, 4, &before, &right), ZG_OK); /* tile 3 in its own */
  s.bytes[s.count / 2] ^= 1;
  put_bytes(s.path, s.bytes, s.count);
  CU_ASSERT_EQUAL(run(s.output, TILES, &before, &right), ZG_OK);
  CU_ASSERT_EQUAL(before, 1);
  CU_ASSERT(right);
  free(s.bytes);
}

static void one_that_cannot_be_opened_is_refused(void) {
  segment s;
  int64_t before;
  bool right;
  leave_a_segment("nowhere", &s);
  CU_ASSERT_FATAL(unlink(s.path) == 0 && symlink("nowhere", s.path) == 0);
  CU_ASSERT_EQUAL(run(s.output, TILES, &before, &right), ZG_ERR_CREATE);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "cannot be read: No such file"));
  free(s.bytes);
}

/* What a pass ends with when this becomes of the three tiles that it has begun with;
 * NULL: they are gone. */
static void check_lost(const segment *s, const segment *instead) {
  pass p;
  zg_state *state;
  bool resumed;
  create(&p);
  CU_ASSERT_EQUAL_FATAL(
      zg_state_open(MPI_COMM_SELF, s->output, digest, 60, false, &state), ZG_OK);
  CU_ASSERT_EQUAL(zg_state_begin(state, 0, TILES, &p.sums, &resumed), ZG_OK);
  CU_ASSERT_EQUAL(zg_state_count(state), 3);
  unlink(s->path);
  if (instead) put_bytes(s->path, instead->bytes, instead->count);
  CU_ASSERT_EQUAL(zg_state_finish(state, &p.team, &p.sums), ZG_ERR_WRITE);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "was there and now cannot be read"));
  zg_state_close(&state, false);
  destroy(&p);
}

static void what_is_lost_while_the_pass_goes_on_is_told(void) {
  segment s, fewer;
  leave_a_segment("lost", &s);
  check_lost(&s, NULL);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "No such file"));
  put_bytes(s.path, s.bytes, s.count);
  leave_tiles("fewer", 2, &fewer);
  check_lost(&s, &fewer);
  free(s.bytes);
  free(fewer.bytes);
}

/* At the end of a merge, which finds this state under the name of its output. */
static void merge(const char *output, const char *of) {
  zg_state *state;
  CU_ASSERT_EQUAL_FATAL(zg_state_open_parts(MPI_COMM_SELF, output, of, NULL, 0, &state),
                        ZG_OK);
  zg_state_close(&state, true);
}

static void a_merge_removes_only_what_is_of_its_results(void) {
  segment s;
  leave_a_segment("merged", &s);
  merge(s.output, another_digest);
  CU_ASSERT(access(s.path, F_OK) == 0);
  char other[2 * ZG_TEST_PATH_BYTES];
  snprintf(other, sizeof other, "%s.state/notes", s.output);
  put_bytes(other, "mine", 4);
  merge(s.output, digest);
  CU_ASSERT(access(s.path, F_OK) != 0 && access(other, F_OK) == 0);
  unlink(other);
  merge(s.output, digest);
  CU_ASSERT_FALSE(zg_state_exists(s.output));
  merge(s.output, digest);
  free(s.bytes);
}

static zg_sums broken; /* a list with a gap */

static void list_the_broken(void) {
  zg_team team;
  zg_team_create(MPI_COMM_SELF, 1, &team);
  char path[ZG_TEST_PATH_BYTES];
  zg_test_path("gap", path);
  zg_segment_write(path, digest, &team, 0, 0, NULL, &broken);
}

static void sums_that_would_be_lost_are_a_mistake(void) {
  double number[1] = {0};
  broken = (zg_sums){.vectors = {number, number}, .lengths = {0, 1}};
  CU_ASSERT_EQUAL(zg_test_exit_code(list_the_broken), ZG_ERR_INTERNAL);
}

const zg_test zg_tests[] = {
    {"a_whole_segment_is_used", a_whole_segment_is_used},
    {"a_changed_byte_is_noticed_wherever_it_is",
     a_changed_byte_is_noticed_wherever_it_is},
    {"a_segment_of_any_other_length_is_noticed",
     a_segment_of_any_other_length_is_noticed},
    {"something_else_is_refused_or_left_out", something_else_is_refused_or_left_out},
    {"one_of_another_version_is_refused", one_of_another_version_is_refused},
    {"one_that_cannot_be_opened_is_refused", one_that_cannot_be_opened_is_refused},
    {"what_is_lost_while_the_pass_goes_on_is_told",
     what_is_lost_while_the_pass_goes_on_is_told},
    {"a_merge_removes_only_what_is_of_its_results",
     a_merge_removes_only_what_is_of_its_results},
    {"sums_that_would_be_lost_are_a_mistake", sums_that_would_be_lost_are_a_mistake},
    {"a_tile_counts_once_though_two_segments_have_it",
     a_tile_counts_once_though_two_segments_have_it},
    {"the_whole_ones_beside_a_damaged_one_are_used",
     the_whole_ones_beside_a_damaged_one_are_used},
    {NULL, NULL}};
