#include "zoo/convolution.h"

#include "zoo/h5.h"
#include "zoo/open.h"
#include "zoo/scan.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first problem is the one that is told. */
__attribute__((format(printf, 2, 3))) static void object(zg_conv_attributes *conv,
                                                         const char *format, ...) {
  va_list arguments;
  if (conv->problem[0]) return;
  va_start(arguments, format);
  vsnprintf(conv->problem, sizeof conv->problem, format, arguments);
  va_end(arguments);
}

/* One attribute of whole numbers of at least `least`: a scalar for all `count` places,
 * a list of as many, or for padding also [h, w]. Without it the places keep their
 * default. \return whether it is there. */
static bool read_numbers(hid_t dataset, const char *name, int64_t least, int count,
                         int64_t *places, zg_conv_attributes *conv) {
  double *values;
  int64_t found;
  bool fits = zg_h5_number_attribute(dataset, name, &values, &found);
  bool present = found > 0 || !fits;
  fits &= found <= 2 || found == count;
  fits &= found <= count;
  for (int64_t k = 0; fits && k < found; k++)
    fits = values[k] >= (double)least && values[k] < 0x1p31 &&
           values[k] == floor(values[k]);
  for (int64_t k = 0; fits && found && k < count; k++)
    places[k] = (int64_t)values[k * found / count];
  free(values);
  static const char *const lengths[] = {[1] = "one whole number",
                                        [2] = "one or two whole numbers",
                                        [4] = "one, two or four whole numbers"};
  if (!fits)
    object(conv, "attribute '%s' is not %s of at least %lld", name, lengths[count],
           (long long)least);
  return present;
}

static void read_mode(hid_t dataset, zg_conv_attributes *conv) {
  zg_list words = {0};
  if (!zg_h5_list_attribute(dataset, "padding_mode", &words) || words.count > 1)
    object(conv, "attribute 'padding_mode' is not one word");
  else if (words.count && !strcmp(words.items[0], "circular"))
    conv->geometry.circular = true;
  else if (words.count && strcmp(words.items[0], "zeros"))
    object(conv, "padding_mode '%.60s' is not supported", words.items[0]);
  zg_list_clear(&words);
}

/* What has to hold between the numbers and the kernel's shape. */
static void check_geometry(const int64_t *dims, zg_conv_attributes *conv) {
  const zg_conv_geometry *g = &conv->geometry;
  if (dims[0] % g->groups)
    object(conv, "%lld output channels are not divisible by %lld groups",
           (long long)dims[0], (long long)g->groups);
  for (int k = 0; k < 2; k++) {
    int64_t reach = g->dilation[k] * (dims[2 + k] - 1) + 1;
    int64_t room = g->input[k] + g->padding[2 * k] + g->padding[2 * k + 1];
    if (reach > room)
      object(conv, "its kernel reaches over %lld positions, the padded input has %lld",
             (long long)reach, (long long)room);
  }
}

void zg_read_convolution(hid_t dataset, const zg_array *array,
                         zg_conv_attributes *conv) {
  *conv = (zg_conv_attributes){
      .geometry = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1}};
  zg_conv_geometry *g = &conv->geometry;
  if (array->rank != 4)
    object(conv, "has %d axes; a conv weight has 4 axes", array->rank);
  if (!read_numbers(dataset, "input_size", 1, 2, g->input, conv))
    object(conv, "has no attribute 'input_size'");
  read_numbers(dataset, "stride", 1, 2, g->stride, conv);
  read_numbers(dataset, "dilation", 1, 2, g->dilation, conv);
  read_numbers(dataset, "padding", 0, 4, g->padding, conv);
  read_numbers(dataset, "groups", 1, 1, &g->groups, conv);
  read_mode(dataset, conv);
  if (!conv->problem[0]) check_geometry(array->dims, conv);
}

zg_status zg_reader_convolution(zg_reader *reader, int64_t index,
                                zg_conv_attributes *conv) {
  hid_t dataset;
  *conv = (zg_conv_attributes){.problem = ""};
  ZG_TRY(zg_reader_open(reader, index, &dataset));
  zg_read_convolution(dataset, zg_reader_array(reader, index), conv);
  return ZG_OK;
}
