/** \file
 * Parts: what is written is read, and nothing else; which parts go together. */
#include "engine/part.h"

#include "base/memory.h"
#include "files.h"
#include "mpi_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEGMENTS = 3 };

static char *write_file(const char *name, const char *text, size_t bytes) {
  char path[ZG_TEST_PATH_BYTES];
  zg_test_path(name, path);
  FILE *file = fopen(path, "wb");
  CU_ASSERT_FATAL(file && fwrite(text, 1, bytes, file) == bytes && !fclose(file));
  return zg_strdup(path);
}

static zg_shard_part describe(char *path, int64_t number, int64_t count) {
  static zg_part_segment segments[SEGMENTS] = {{.pass = 0}, {.pass = 2}, {.pass = 5}};
  return (zg_shard_part){.path = path,
                         .shard = {number, count},
                         .digest = "of the job",
                         .state = "of the tasks",
                         .version = "1.2.3",
                         .job_path = "/home/me/job \xc3\xa9.yaml",
                         .job_text = "zoo: [a.h5]\n",
                         .plan = "",
                         .segments = segments,
                         .segment_count = SEGMENTS};
}

/* A part of three segments of some bytes. The caller frees the path. */
static char *make_part(const char *name, int64_t number, int64_t count) {
  char *files[SEGMENTS] = {write_file("segment-0", "abc", 3),
                           write_file("segment-1", "", 0),
                           write_file("segment-2", "defgh", 5)};
  char path[ZG_TEST_PATH_BYTES];
  zg_test_path(name, path);
  zg_shard_part part = describe(path, number, count);
  CU_ASSERT_EQUAL_FATAL(zg_part_write(&part, files), ZG_OK);
  for (int k = 0; k < SEGMENTS; k++)
    free(files[k]);
  return zg_strdup(path);
}

static char *read_file(const char *path, int64_t *bytes) {
  struct stat found;
  CU_ASSERT_FATAL(stat(path, &found) == 0);
  FILE *file = fopen(path, "rb");
  char *data = ZG_NEW(char, found.st_size);
  *bytes = found.st_size;
  CU_ASSERT_FATAL(file && fread(data, 1, (size_t)*bytes, file) == (size_t)*bytes);
  fclose(file);
  return data;
}

static void a_part_is_read_as_it_was_written(void) {
  char *path = make_part("part", 2, 7);
  zg_shard_part *part, expected = describe(path, 2, 7);
  int64_t bytes;
  char *data = read_file(path, &bytes);
  CU_ASSERT_EQUAL_FATAL(zg_part_read(path, &part), ZG_OK);
  CU_ASSERT_STRING_EQUAL(part->path, path);
  CU_ASSERT(part->shard.number == 2 && part->shard.count == 7);
  CU_ASSERT_STRING_EQUAL(part->digest, expected.digest);
  CU_ASSERT_STRING_EQUAL(part->state, expected.state);
  CU_ASSERT_STRING_EQUAL(part->version, expected.version);
  CU_ASSERT_STRING_EQUAL(part->job_path, expected.job_path);
  CU_ASSERT_STRING_EQUAL(part->job_text, expected.job_text);
  CU_ASSERT_STRING_EQUAL(part->plan, expected.plan);
  CU_ASSERT_EQUAL_FATAL(part->segment_count, SEGMENTS);
  for (int k = 0; k < SEGMENTS; k++)
    CU_ASSERT_EQUAL(part->segments[k].pass, expected.segments[k].pass);
  CU_ASSERT(!memcmp(data + part->segments[0].offset, "abc", 3));
  CU_ASSERT_EQUAL(part->segments[1].offset, part->segments[2].offset);
  CU_ASSERT(!memcmp(data + part->segments[2].offset, "defgh", 5));
  CU_ASSERT_EQUAL(part->segments[2].offset + 5, bytes);
  zg_part_destroy(&part);
  free(data);
  free(path);
}

static void check_refused(const char *path, zg_status status, const char *words) {
  zg_shard_part *part;
  CU_ASSERT_EQUAL(zg_part_read(path, &part), status);
  CU_ASSERT_PTR_NULL(part);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), path));
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), words));
}

/* Cut short anywhere, or with any byte in front of the sums changed. */
static void damage_is_noticed(void) {
  char *path = make_part("damaged", 2, 7);
  zg_shard_part *part;
  int64_t bytes;
  char *data = read_file(path, &bytes);
  for (int64_t length = 0; length < bytes; length++) {
    free(write_file("cut", data, (size_t)length));
    char cut[ZG_TEST_PATH_BYTES];
    zg_test_path("cut", cut);
    check_refused(cut, ZG_ERR_DATA, length < 200 ? "" : "damaged");
  }
  for (int64_t at = 0; at < bytes - 8; at++) {
    data[at] ^= 0x40;
    char *changed = write_file("changed", data, (size_t)bytes);
    CU_ASSERT_EQUAL(zg_part_read(changed, &part), ZG_ERR_DATA);
    CU_ASSERT_PTR_NULL(part);
    data[at] ^= 0x40;
    free(changed);
  }
  free(data);
  free(path);
}

static void other_files_are_told_apart(void) {
  char *text = write_file("text", "a text", 6), *path = make_part("another", 1, 1);
  int64_t bytes;
  char *data = read_file(path, &bytes);
  check_refused(text, ZG_ERR_DATA, "is not a part");
  data[6] = '2'; /* "zgpart2" */
  char *newer = write_file("newer", data, (size_t)bytes);
  check_refused(newer, ZG_ERR_DATA, "another version");
  char absent[ZG_TEST_PATH_BYTES], state[ZG_TEST_PATH_BYTES];
  zg_test_path("absent", absent);
  check_refused(absent, ZG_ERR_INPUT, "No such file");
  zg_test_path("absent.state", state);
  CU_ASSERT_FATAL(mkdir(state, 0777) == 0);
  check_refused(absent, ZG_ERR_INPUT, "not finished");
  check_refused(state, ZG_ERR_DATA, "is not a file");
  rmdir(state);
  free(newer);
  free(data);
  free(path);
  free(text);
}

static void what_cannot_be_written_leaves_nothing(void) {
  char missing[] = "/nonexistent/part", path[ZG_TEST_PATH_BYTES];
  char *files[SEGMENTS] = {"/nonexistent/0", "/nonexistent/1", "/nonexistent/2"};
  zg_shard_part part = describe(missing, 1, 1);
  CU_ASSERT_EQUAL(zg_part_write(&part, files), ZG_ERR_CREATE);
  zg_test_path("unwritten", path);
  part.path = path;
  CU_ASSERT_EQUAL(zg_part_write(&part, files), ZG_ERR_WRITE);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "cannot be written: No such file"));
  CU_ASSERT(access(path, F_OK) != 0);
  strcat(path, ".part");
  CU_ASSERT(access(path, F_OK) != 0);
}

static void a_name_that_a_directory_has_is_refused(void) {
  char path[ZG_TEST_PATH_BYTES];
  char *files[SEGMENTS] = {write_file("some-0", "abc", 3), write_file("some-1", "d", 1),
                           write_file("some-2", "e", 1)};
  zg_test_path("directory", path);
  zg_shard_part part = describe(path, 1, 1);
  CU_ASSERT_EQUAL_FATAL(mkdir(path, 0755), 0);
  CU_ASSERT_EQUAL(zg_part_write(&part, files), ZG_ERR_CREATE);
  CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), "directory: cannot be named so: Is a"));
  CU_ASSERT_EQUAL(rmdir(path), 0); /* and nothing is in it */
  for (int k = 0; k < SEGMENTS; k++)
    free(files[k]);
}

/* ---- parts together ---- */

static void check_together(zg_shard_part *parts, const int *chosen, int64_t count,
                           zg_status status, const char *words) {
  zg_shard_part *list[8];
  for (int64_t k = 0; k < count; k++)
    list[k] = &parts[chosen[k]];
  CU_ASSERT_EQUAL(zg_parts_check(list, count, "1.2.3"), status);
  if (status != ZG_OK) CU_ASSERT_PTR_NOT_NULL(strstr(zg_message(), words));
}

static void parts_go_together_or_are_named(void) {
  char a[] = "a", b[] = "b", c[] = "c", odd[] = "odd";
  char other[] = "9.9";
  zg_shard_part parts[8] = {describe(a, 1, 3), describe(b, 2, 3), describe(c, 3, 3)};
  for (int k = 3; k < 8; k++)
    parts[k] = describe(odd, 2, 3);
  parts[4].shard = (zg_shard){2, 4};
  strcpy(parts[5].digest, "of another");
  strcpy(parts[6].state, "of others");
  parts[7].version = other;
  check_together(parts, (int[]){0, 1, 2}, 3, ZG_OK, "");
  check_together(parts, (int[]){2, 0, 1}, 3, ZG_OK, "");
  check_together(parts, (int[]){0, 2}, 2, ZG_ERR_INPUT, "shard 2/3 is missing:");
  check_together(parts, (int[]){2}, 1, ZG_ERR_INPUT, "1/3 is missing, and 1 more");
  check_together(parts, (int[]){0, 1, 2, 3}, 4, ZG_ERR_DATA,
                 "odd: is the part of shard 2/3, as is b");
  check_together(parts, (int[]){0, 4, 2}, 3, ZG_ERR_DATA,
                 "odd: is one of another number of shards");
  check_together(parts, (int[]){0, 5, 2}, 3, ZG_ERR_DATA, "odd: is of another job");
  check_together(parts, (int[]){0, 6, 2}, 3, ZG_ERR_DATA, "odd: was made with another");
  check_together(parts, (int[]){0, 7, 2}, 3, ZG_ERR_DATA, "odd: was made by another");
  check_together(parts, (int[]){7, 0, 2}, 3, ZG_ERR_DATA,
                 "odd: was made by zoogram 9.9, this is zoogram 1.2.3");
}

const zg_test zg_tests[] = {
    {"a_part_is_read_as_it_was_written", a_part_is_read_as_it_was_written},
    {"damage_is_noticed", damage_is_noticed},
    {"other_files_are_told_apart", other_files_are_told_apart},
    {"what_cannot_be_written_leaves_nothing", what_cannot_be_written_leaves_nothing},
    {"a_name_that_a_directory_has_is_refused", a_name_that_a_directory_has_is_refused},
    {"parts_go_together_or_are_named", parts_go_together_or_are_named},
    {NULL, NULL}};
