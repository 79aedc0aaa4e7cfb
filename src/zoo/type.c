#include "zoo/type.h"

#include <math.h>

static const struct {
  const char *name;
  int mantissa; /* bits behind the point */
  int64_t bytes;
} types[] = {[ZG_FLOAT16] = {"float16", 10, 2},
             [ZG_FLOAT32] = {"float32", 23, 4},
             [ZG_FLOAT64] = {"float64", 52, 8},
             [ZG_OTHER_NUMBER] = {"number", 52, 8},
             [ZG_STRING] = {"string", 52, 16}};

const char *zg_dtype_name(zg_dtype dtype) {
  return types[dtype].name;
}

double zg_dtype_epsilon(zg_dtype dtype) {
  return ldexp(1, -types[dtype].mantissa);
}

int64_t zg_dtype_bytes(zg_dtype dtype) {
  return types[dtype].bytes;
}

static bool is_half(hid_t type) {
  size_t sign, exponent, exponent_size, mantissa, mantissa_size;
  return H5Tget_size(type) == 2 &&
         H5Tget_fields(type, &sign, &exponent, &exponent_size, &mantissa,
                       &mantissa_size) >= 0 &&
         exponent_size == 5 && mantissa_size == 10 && H5Tget_ebias(type) == 15;
}

bool zg_dtype_of(hid_t type, zg_dtype *dtype) {
  H5T_class_t class = H5Tget_class(type);
  if (class != H5T_FLOAT && class != H5T_INTEGER && class != H5T_STRING) return false;
  *dtype = class == H5T_STRING ? ZG_STRING : ZG_OTHER_NUMBER;
  if (class == H5T_FLOAT) {
    if (is_half(type)) *dtype = ZG_FLOAT16;
    if (H5Tget_size(type) == 4) *dtype = ZG_FLOAT32;
    if (H5Tget_size(type) == 8) *dtype = ZG_FLOAT64;
  }
  return true;
}

static hid_t native_half(void) {
  hid_t type = H5Tcopy(H5T_NATIVE_FLOAT);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}

hid_t zg_dtype_memory(zg_dtype dtype) {
  switch (dtype) {
  case ZG_FLOAT16:
    return native_half();
  case ZG_FLOAT32:
    return H5Tcopy(H5T_NATIVE_FLOAT);
  default:
    return H5Tcopy(H5T_NATIVE_DOUBLE);
  }
}
