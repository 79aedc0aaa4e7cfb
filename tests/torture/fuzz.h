/** \file
 * What a fuzz target is: a function that takes any bytes and must neither crash nor
 * hang. scripts/torture/fuzz links each with libFuzzer; the tests give it the kept
 * inputs of corpus/ (replay.c). */
#ifndef ZG_TESTS_FUZZ_H
#define ZG_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/** Prepare; called once. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ZG_FUZZ_PATH_BYTES = 128 };
/** Path of a file in memory that belongs to this process; its directory is there.
 * \return the buffer. */
char *zg_fuzz_path(const char *name, char path[ZG_FUZZ_PATH_BYTES]);
/** Give a file this contents. */
void zg_fuzz_write(const char *path, const uint8_t *data, size_t size);

#endif
