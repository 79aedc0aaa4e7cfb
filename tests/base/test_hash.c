/** \file
 * Digests: published values of XXH3, and what must and must not change them. */
#include "base/hash.h"
#include "mpi_main.h"

#include <ctype.h>
#include <string.h>

/* Digest of some bytes, added in pieces of `step`. */
static void digest_of(const void *data, size_t bytes, size_t step, char *digest) {
  zg_hash *hash = zg_hash_create();
  for (size_t at = 0; at < bytes; at += step)
    zg_hash_add(hash, (const char *)data + at, bytes - at < step ? bytes - at : step);
  zg_hash_finish(&hash, digest);
  CU_ASSERT_PTR_NULL(hash);
}

static void the_digest_of_nothing_is_the_published_one(void) {
  /* XXH3_128bits of the empty input with seed 0: xxHash's own sanity tests. */
  char digest[ZG_DIGEST_BYTES];
  digest_of("", 0, 1, digest);
  CU_ASSERT_STRING_EQUAL(digest, "99aa06d3014798d86001c324468d497f");
}

static void a_digest_is_32_hexadecimal_digits(void) {
  char digest[ZG_DIGEST_BYTES];
  digest_of("zoogram", 7, 7, digest);
  CU_ASSERT_EQUAL(strlen(digest), 32);
  for (int k = 0; k < 32; k++)
    CU_ASSERT(isxdigit((unsigned char)digest[k]) && !isupper((unsigned char)digest[k]));
}

static void pieces_do_not_matter(void) {
  static char data[100000];
  for (size_t k = 0; k < sizeof data; k++)
    data[k] = (char)(100 * zg_test_random(1, k));
  char whole[ZG_DIGEST_BYTES], pieces[ZG_DIGEST_BYTES];
  digest_of(data, sizeof data, sizeof data, whole);
  static const size_t steps[] = {1, 7, 64, 255, 256, 1024, 99999};
  for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
    digest_of(data, sizeof data, steps[k], pieces);
    CU_ASSERT_STRING_EQUAL(pieces, whole);
  }
}

static void every_bit_matters(void) {
  char data[300] = {0}, first[ZG_DIGEST_BYTES], changed[ZG_DIGEST_BYTES];
  digest_of(data, sizeof data, sizeof data, first);
  for (size_t k = 0; k < sizeof data; k++) {
    data[k] ^= 1;
    digest_of(data, sizeof data, sizeof data, changed);
    data[k] ^= 1;
    CU_ASSERT_STRING_NOT_EQUAL(changed, first);
  }
}

static void where_a_text_ends_matters(void) {
  static const char *const splits[][2] = {{"ab", "c"}, {"a", "bc"}, {"abc", ""}};
  char digests[3][ZG_DIGEST_BYTES];
  for (int k = 0; k < 3; k++) {
    zg_hash *hash = zg_hash_create();
    zg_hash_add_text(hash, splits[k][0]);
    zg_hash_add_text(hash, splits[k][1]);
    zg_hash_finish(&hash, digests[k]);
  }
  CU_ASSERT_STRING_NOT_EQUAL(digests[0], digests[1]);
  CU_ASSERT_STRING_NOT_EQUAL(digests[0], digests[2]);
  CU_ASSERT_STRING_NOT_EQUAL(digests[1], digests[2]);
}

static void the_number_differs_where_the_data_do(void) {
  int64_t numbers[2];
  for (int k = 0; k < 2; k++) {
    zg_hash *hash = zg_hash_create();
    zg_hash_add_int(hash, k);
    numbers[k] = zg_hash_finish_int(&hash);
    CU_ASSERT_PTR_NULL(hash);
  }
  CU_ASSERT_NOT_EQUAL(numbers[0], numbers[1]);
}

const zg_test zg_tests[] = {
    {"the_digest_of_nothing_is_the_published_one",
     the_digest_of_nothing_is_the_published_one},
    {"a_digest_is_32_hexadecimal_digits", a_digest_is_32_hexadecimal_digits},
    {"pieces_do_not_matter", pieces_do_not_matter},
    {"every_bit_matters", every_bit_matters},
    {"where_a_text_ends_matters", where_a_text_ends_matters},
    {"the_number_differs_where_the_data_do", the_number_differs_where_the_data_do},
    {NULL, NULL}};
