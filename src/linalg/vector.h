/** \file
 * How plain loops get the widest vector instructions of the machine they run on, from
 * one source and one binary. */
#ifndef ZG_LINALG_VECTOR_H
#define ZG_LINALG_VECTOR_H

/** Before a function: compile it for several instruction sets and choose at load time.
 * Not under a sanitizer, whose run-time is not up when that choice is made. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                 \
    !defined(__SANITIZE_ADDRESS__)
#define ZG_VECTOR                                                                      \
  __attribute__((target_clones("avx512f", "avx2", "default")))                         \
  __attribute__((optimize("O3")))
#else
#define ZG_VECTOR
#endif

#endif
