#include "linalg/convolution.h"

#include "base/memory.h"
#include "linalg/map.h"
#include "linalg/torus.h"

#include <math.h>
#include <stdlib.h>

/* Products of a kernel with itself that a torus keeps at most, 2 GiB. */
static const int64_t most_torus_numbers = (int64_t)1 << 28;

static int64_t extent(const zg_convolution *c, int axis) {
  return c->dilation[axis] * (c->kernel[axis] - 1) + 1;
}

void zg_convolution_output(const zg_convolution *c, int64_t output[2]) {
  for (int axis = 0; axis < 2; axis++) {
    int64_t padded = c->input[axis] + c->padding[2 * axis] + c->padding[2 * axis + 1];
    int64_t room = padded - extent(c, axis);
    output[axis] = room < 0 ? 0 : room / c->stride[axis] + 1;
  }
}

static zg_convolution group_of(const zg_convolution *c, int64_t group) {
  zg_convolution one = *c;
  one.out = c->out / c->groups;
  one.groups = 1;
  one.weights += group * one.out * c->in * c->kernel[0] * c->kernel[1];
  return one;
}

static zg_norm iterated_norm(const zg_convolution *c) {
  zg_map *map = zg_map_create(c);
  zg_operator op = zg_map_operator(map);
  zg_norm norm = zg_operator_norm(&op);
  zg_map_destroy(&map);
  return norm;
}

/* Whether patches do not overlap and one of them lies wholly inside of the image: then
 * AA' is the kernel's Gram matrix for every such patch and less for others. */
static bool is_matrix(const zg_convolution *c) {
  for (int axis = 0; axis < 2; axis++) {
    int64_t before = c->padding[2 * axis], step = c->stride[axis];
    bool wraps = c->circular && (before > 0 || c->padding[2 * axis + 1] > 0);
    int64_t first = zg_ceil_div(before, step) * step - before, output[2];
    zg_convolution_output(c, output);
    if (wraps || extent(c, axis) > step) return false;
    if (first + extent(c, axis) > c->input[axis]) return false;
    if (zg_ceil_div(before, step) >= output[axis]) return false;
  }
  return true;
}

/* Whether a shift of the outputs by one is one of the image by the stride. */
static bool is_periodic(const zg_convolution *c) {
  int64_t output[2];
  zg_convolution_output(c, output);
  for (int axis = 0; axis < 2; axis++)
    if (output[axis] * c->stride[axis] != c->input[axis]) return false;
  return c->circular && zg_torus_numbers(c) <= most_torus_numbers;
}

/* A circular convolution of which this one is a part: on a torus so large that no two
 * patches that touch the image are shifted onto each other. */
static zg_convolution surrounding(const zg_convolution *c) {
  zg_convolution torus = *c;
  torus.circular = true;
  for (int axis = 0; axis < 2; axis++) {
    int64_t size = c->input[axis] + extent(c, axis) - 1, step = c->stride[axis];
    torus.input[axis] = zg_ceil_div(size, step) * step;
  }
  return torus;
}

/* NaN wins, then the larger value; converged only when both are. */
static zg_norm larger(zg_norm a, zg_norm b) {
  zg_norm norm = a.value >= b.value || isnan(a.value) ? a : b;
  norm.converged = a.converged && b.converged;
  return norm;
}

typedef struct bound {
  int64_t group;
  double value;
} bound;

static int by_falling_value(const void *a, const void *b) {
  const bound *x = a, *y = b;
  return (x->value < y->value) - (x->value > y->value);
}

/* The largest of all groups' norms; only a group whose bound is above the largest so
 * far is iterated on. */
static zg_norm iterated_groups(const zg_convolution *c) {
  bound *bounds = ZG_NEW(bound, c->groups);
  for (int64_t g = 0; g < c->groups; g++) {
    zg_convolution torus = group_of(c, g);
    torus = surrounding(&torus);
    bool cheap =
        c->groups > 1 && !c->circular && zg_torus_numbers(&torus) <= most_torus_numbers;
    bounds[g] = (bound){g, INFINITY};
    if (!cheap) continue;
    zg_norm norm = zg_torus_norm(&torus, 0);
    if (norm.converged) bounds[g].value = norm.value;
  }
  qsort(bounds, (size_t)c->groups, sizeof *bounds, by_falling_value);
  zg_norm largest = {.converged = true};
  for (int64_t g = 0; g < c->groups && bounds[g].value > largest.value; g++) {
    zg_convolution group = group_of(c, bounds[g].group);
    largest = larger(largest, iterated_norm(&group));
  }
  free(bounds);
  return largest;
}

/* Numbers that a group's norm needs, the weights not counted. */
static int64_t numbers_of_group(const zg_convolution *c, bool bounded) {
  int64_t output[2], taps = c->in * c->kernel[0] * c->kernel[1];
  zg_convolution_output(c, output);
  if (is_matrix(c)) return zg_dense_norm_memory(c->out, taps) / (int64_t)sizeof(double);
  if (is_periodic(c)) return zg_torus_numbers(c);
  int64_t outputs = c->out * output[0] * output[1];
  int64_t vectors = zg_operator_norm_memory(outputs, c->in * c->input[0] * c->input[1],
                                            ZG_MAP_VECTORS);
  int64_t numbers = zg_map_numbers(c) + vectors / (int64_t)sizeof(double);
  zg_convolution torus = surrounding(c);
  int64_t of_bound = zg_min(zg_torus_numbers(&torus), most_torus_numbers);
  return bounded ? zg_max(numbers, of_bound) : numbers;
}

/* Whether an image of either side has so many numbers, 8 TiB, that it could not be
 * held, nor what is made of it be counted. */
static bool is_hopeless(const zg_convolution *c) {
  const double most = 0x1p40;
  int64_t output[2];
  zg_convolution_output(c, output);
  double inputs = (double)c->in * (double)c->input[0] * (double)c->input[1];
  double outputs = (double)c->out * (double)output[0] * (double)output[1];
  return inputs * (double)c->groups > most || outputs > most;
}

int64_t zg_convolution_norm_memory(const zg_convolution *c) {
  if (is_hopeless(c)) return ZG_CONVOLUTION_HOPELESS;
  zg_convolution one = group_of(c, 0);
  int64_t numbers = numbers_of_group(&one, c->groups > 1);
  return (numbers + 2 * c->groups) * (int64_t)sizeof(double);
}

static zg_norm unscaled_norm(const zg_convolution *c) {
  zg_norm largest = {.converged = true};
  zg_convolution one = group_of(c, 0);
  bool matrix = is_matrix(c), periodic = is_periodic(&one);
  if (!matrix && !periodic) return iterated_groups(c);
  for (int64_t g = 0; g < c->groups; g++) {
    zg_convolution group = group_of(c, g);
    int64_t taps = c->in * c->kernel[0] * c->kernel[1];
    zg_norm norm = matrix ? zg_dense_norm(group.out, taps, group.weights)
                          : zg_torus_norm(&group, largest.value);
    largest = larger(largest, norm);
  }
  return largest;
}

zg_norm zg_convolution_norm(const zg_convolution *c) {
  int64_t count = c->out * c->in * c->kernel[0] * c->kernel[1];
  double unit = zg_unit_scale(count, c->weights);
  if (isnan(unit)) return (zg_norm){.value = NAN, .residual = INFINITY};
  if (!zg_is_extreme(unit)) return unscaled_norm(c);
  double *scaled = ZG_NEW(double, count);
  for (int64_t k = 0; k < count; k++)
    scaled[k] = c->weights[k] * unit;
  zg_convolution copy = *c;
  copy.weights = scaled;
  zg_norm norm = unscaled_norm(&copy);
  free(scaled);
  norm.value /= unit;
  return norm;
}
