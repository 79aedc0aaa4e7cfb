/** \file
 * The geometry of a convolution as a zoo states it beside the weight. Not collective.
 */
#ifndef ZG_ZOO_CONVOLUTION_H
#define ZG_ZOO_CONVOLUTION_H

#include "zoo/reader.h"

typedef struct zg_conv_attributes {
  zg_conv_geometry geometry;
  char problem[160]; /**< why it cannot be used, "" when it can: "has no attribute
                        'input_size'" */
} zg_conv_attributes;

/** \param [in] array  a weight of kind conv, [out, in / groups, kh, kw].
 * \return an error only when the file cannot be read; what is missing or not supported
 * is said in `problem`. */
zg_status zg_reader_convolution(zg_reader *reader, int64_t array,
                                zg_conv_attributes *conv);

#endif
