#include "linalg/random.h"

#include <math.h>

uint64_t zg_random_mix(uint64_t z) {
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

uint64_t zg_random_bits(uint64_t seed, uint64_t k) {
  return zg_random_mix(zg_random_mix(seed) + (k + 1) * ZG_RANDOM_STEP);
}

double zg_random_uniform(uint64_t seed, uint64_t k) {
  return ((double)(zg_random_bits(seed, k) >> 12) + 0.5) * 0x1p-52;
}

void zg_random_normals(uint64_t seed, uint64_t first, int64_t count, double *normals) {
  const double turn = 6.283185307179586;
  for (int64_t j = 0; j < count; j++) {
    uint64_t k = first + (uint64_t)j, even = k / 2 * 2;
    double length = sqrt(-2 * log(zg_random_uniform(seed, even)));
    double angle = turn * zg_random_uniform(seed, even + 1);
    normals[j] = length * (k % 2 ? sin(angle) : cos(angle));
  }
}
