/** \file
 * A zoo of random numbers to measure the program's speed with. Not collective. */
#ifndef ZG_CLI_SYNTHETIC_H
#define ZG_CLI_SYNTHETIC_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/** Arrays of one shape: `count` layers of activations [n, d] of the model "m", named
 * NAME000, NAME001, ...; or, with `models`, one weight [n, d] of each of as many models
 * NAME000, ... */
typedef struct zg_synthetic {
  const char *name;
  int64_t count, n, d;
  bool models;
} zg_synthetic;

/** Write a zoo of single precision.
 * \param [in] arrays   ends with an entry whose name is NULL.
 * \param [in] samples  of the tangent-kernel factors that the first two models have
 * (one linear layer, 10 classes). \return ZG_ERR_CREATE or ZG_ERR_WRITE, naming the
 * file. */
zg_status zg_synthetic_write(const char *path, const zg_synthetic *arrays,
                             int64_t samples);

#endif
