/** \file
 * Sketches of vectors and of sums of Kronecker products that keep inner products:
 * CountSketch (Charikar, Chen & Farach-Colton 2002) and TensorSketch (Pham & Pagh
 * 2013). With buckets h and signs s, CountSketch adds s(j) b_j to z[h(j)]; the sketch
 * of a (x) b uses h(i) + h'(j) modulo the length and s(i) s'(j), so that it is the
 * circular convolution of two CountSketches. Unbiased: E <z, z'> = <a, a'> <b, b'>,
 * with a standard deviation of order length^-1/2 relative to |a| |a'| |b| |b'|. Not
 * collective, not thread-safe. */
#ifndef ZG_LINALG_SKETCH_H
#define ZG_LINALG_SKETCH_H

#include <stdint.h>

typedef struct zg_sketch zg_sketch;

/** The sketch of products of vectors of `first` and `second` numbers. Its hashes are
 * functions of `seed`, the position and which of the two vectors it is: the same on
 * every machine, and for a shorter vector a prefix of those for a longer one.
 * \param [in] length  1 <= length < 2^31. The caller destroys the sketch. */
zg_sketch *zg_sketch_create(int64_t length, int64_t first, int64_t second,
                            uint64_t seed);
void zg_sketch_destroy(zg_sketch **sketch);

/** z += the sketch of sum_s a_s (x) b_s. By transforms, whose products are added up
 * before one transform back, or from the sum of the products itself where the vectors
 * are so short that this takes less time: the sketch is the same but for rounding.
 * \param [in]     a  [terms, first].
 * \param [in]     b  [terms, second].
 * \param [in,out] z  [length]. */
void zg_sketch_add(zg_sketch *sketch, int64_t terms, const double *a, const double *b,
                   double *z);

/** The same for unit vectors a_s = e_index[s], 0 <= index[s] < first. */
void zg_sketch_add_index(zg_sketch *sketch, int64_t terms, const int64_t *index,
                         const double *b, double *z);

/** z += the CountSketch of b, [second]. */
void zg_count_sketch_add(zg_sketch *sketch, const double *b, double *z);

#endif
