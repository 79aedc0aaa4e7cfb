#include "base/hash.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* the state as a complete type */
#include <xxhash.h>

struct zg_hash {
  XXH3_state_t state;
};

uint64_t zg_hash_of(const void *data, size_t bytes) {
  return XXH3_64bits(data, bytes);
}

zg_hash *zg_hash_create(void) {
  XXH3_state_t *state = XXH3_createState(); /* keeps its 64-byte alignment */
  if (!state) zg_abort(ZG_ERR_SYSTEM, "out of memory");
  XXH3_128bits_reset(state);
  return (zg_hash *)state;
}

void zg_hash_add(zg_hash *hash, const void *data, size_t bytes) {
  XXH3_128bits_update(&hash->state, data, bytes);
}

void zg_hash_add_text(zg_hash *hash, const char *text) {
  zg_hash_add(hash, text, strlen(text) + 1);
}

void zg_hash_add_int(zg_hash *hash, int64_t value) {
  zg_hash_add(hash, &value, sizeof value);
}

void zg_hash_finish(zg_hash **hash, char digest[ZG_DIGEST_BYTES]) {
  XXH128_hash_t value = XXH3_128bits_digest(&(*hash)->state);
  snprintf(digest, ZG_DIGEST_BYTES, "%016llx%016llx", (unsigned long long)value.high64,
           (unsigned long long)value.low64);
  XXH3_freeState(&(*hash)->state);
  *hash = NULL;
}

int64_t zg_hash_finish_int(zg_hash **hash) {
  XXH128_hash_t value = XXH3_128bits_digest(&(*hash)->state);
  XXH3_freeState(&(*hash)->state);
  *hash = NULL;
  return (int64_t)value.low64;
}
