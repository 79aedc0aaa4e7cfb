/** \file
 * Random numbers by counter: number k of a seed is a function of both alone, so every
 * rank draws the same ones and any part of a sequence can be drawn by itself.
 *
 * The bits are those of SplitMix64 (Steele, Lea & Flood 2014): its finaliser applied to
 * s + (k + 1) ZG_RANDOM_STEP, where s is that finaliser applied to the seed. Not
 * collective. */
#ifndef ZG_LINALG_RANDOM_H
#define ZG_LINALG_RANDOM_H

#include <stdint.h>

/** How far the state of SplitMix64 moves on with every number. */
#define ZG_RANDOM_STEP UINT64_C(0x9e3779b97f4a7c15)

/** The finaliser of SplitMix64: bits that look random, others for every z. */
uint64_t zg_random_mix(uint64_t z);
/** 64 random bits. */
uint64_t zg_random_bits(uint64_t seed, uint64_t k);
/** A number in (0, 1): (the upper 52 bits + 1/2) / 2^52. */
double zg_random_uniform(uint64_t seed, uint64_t k);
/** Normal numbers first .. first + count - 1 of a seed: number k is
 * sqrt(-2 log u) cos(2 pi v) for even k, the same with sin for odd k, of the uniform
 * numbers u = 2 (k / 2) and v = 2 (k / 2) + 1 (Box & Muller 1958). */
void zg_random_normals(uint64_t seed, uint64_t first, int64_t count, double *normals);

#endif
