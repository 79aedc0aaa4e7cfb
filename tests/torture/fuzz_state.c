/** \file
 * Any file as a segment of a checkpoint. An even first byte is followed by the file as
 * it is; after an odd one its checksums are made right first, so that what they guard
 * is reached as well. */
#include "base/hash.h"
#include "base/memory.h"
#include "engine/state.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TILES = 5, ITEMS = 3, LENGTH = 2 };
/* Where a segment has the checksum of its header; that of all is at its end. */
enum { CHECK = 96, CHECK_BYTES = 8 };

static const char digest[ZG_DIGEST_BYTES] = "of this job";
static char output[ZG_FUZZ_PATH_BYTES], directory[ZG_FUZZ_PATH_BYTES];
static char segment[ZG_FUZZ_PATH_BYTES];

static void clear(void) {
  unlink(segment);
  rmdir(directory);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  zg_mpi_start();
  zg_fuzz_path("r", output);
  zg_fuzz_path("r.state", directory);
  zg_fuzz_path("r.state/pass0", segment);
  atexit(clear);
  return 0;
}

static void make_right(uint8_t *bytes, size_t size) {
  if (size < CHECK + 2 * CHECK_BYTES) return;
  uint64_t header = zg_hash_of(bytes, CHECK);
  memcpy(bytes + CHECK, &header, sizeof header);
  zg_hash *hash = zg_hash_create();
  zg_hash_add(hash, bytes, size - CHECK_BYTES);
  int64_t all = zg_hash_finish_int(&hash);
  memcpy(bytes + size - CHECK_BYTES, &all, sizeof all);
}

/* A run that finds the segment, and goes on with it where it may. */
static void run(void) {
  zg_team team;
  zg_pairs pairs;
  zg_state *state;
  bool resumed;
  double vector[LENGTH] = {0}, parameter = 0;
  zg_team_create(MPI_COMM_SELF, 1, &team);
  zg_pairs_create(&team, ITEMS, &pairs);
  zg_sums sums = {.pairs = {&pairs},
                  .vectors = {vector},
                  .lengths = {LENGTH},
                  .parameters = &parameter,
                  .parameter_count = 1};
  if (zg_state_open(MPI_COMM_SELF, output, digest, 60, false, &state) == ZG_OK &&
      zg_state_begin(state, 0, TILES, &sums, &resumed) == ZG_OK)
    zg_state_finish(state, &team, &sums);
  zg_state_close(&state, false);
  zg_pairs_destroy(&pairs);
  zg_team_destroy(&team);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  uint8_t *bytes = ZG_NEW(uint8_t, (int64_t)size);
  memcpy(bytes, data + 1, size - 1);
  if (data[0] % 2) make_right(bytes, size - 1);
  mkdir(directory, 0700);
  zg_fuzz_write(segment, bytes, size - 1);
  free(bytes);
  run();
  return 0;
}
