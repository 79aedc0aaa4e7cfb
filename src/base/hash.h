/** \file
 * Digests by which inputs and jobs are recognised again (XXH3, 128 bits). They guard
 * against accidents, not against malice. Not collective. */
#ifndef ZG_BASE_HASH_H
#define ZG_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/** 64 bits from some bytes, at once: for hash tables. */
uint64_t zg_hash_of(const void *data, size_t bytes);

typedef struct zg_hash zg_hash;

enum { ZG_DIGEST_BYTES = 33 };

zg_hash *zg_hash_create(void);
void zg_hash_add(zg_hash *hash, const void *data, size_t bytes);
/** Adds the text with its end, so that ("ab","c") and ("a","bc") differ. */
void zg_hash_add_text(zg_hash *hash, const char *text);
void zg_hash_add_int(zg_hash *hash, int64_t value);
/** Write 32 hexadecimal digits into `digest`, destroy the hash and set it to NULL. */
void zg_hash_finish(zg_hash **hash, char digest[ZG_DIGEST_BYTES]);
/** The same as a number of 64 bits. */
int64_t zg_hash_finish_int(zg_hash **hash);

#endif
