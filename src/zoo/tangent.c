/** \file
 * Whether the factors of tangent kernels fit together. */
#include "zoo/tangent.h"

#include "base/memory.h"
#include "zoo/data.h"

#include <stdarg.h>
#include <stdio.h>

typedef struct check {
  const zg_zoo *zoo;
  zg_tangent_fault_fn *report;
  void *context;
  int64_t samples, logits; /* m and C of the model's first layer; 0 until then */
} check;

/* The arrays of one layer by data; NULL where there is none. */
typedef const zg_array *factors[ZG_DATA];

__attribute__((format(printf, 3, 4))) static void
fault(const check *c, const zg_array *array, const char *format, ...) {
  char what[ZG_MESSAGE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  c->report(c->context, array - c->zoo->arrays, what);
}

static void check_presence(const check *c, const factors f) {
  const zg_array *input = f[ZG_NTK_INPUT], *index = f[ZG_NTK_INDEX],
                 *signal = f[ZG_NTK_SIGNAL], *direct = f[ZG_NTK_DIRECT];
  const zg_array *left = input ? input : index;
  if (direct && (left || signal))
    fault(c, direct, "stands beside %s: a layer has either the one or the other",
          zg_data_name(left ? left->data : ZG_NTK_SIGNAL));
  if (input && index)
    fault(c, index, "stands beside ntk/input: a layer has either the one or the other");
  if (left && !signal) fault(c, left, "has no ntk/signal beside it");
  if (signal && !left)
    fault(c, signal, "has neither ntk/input nor ntk/index beside it");
}

/* The lengths that all layers of a model have in common. */
static void check_common(check *c, const zg_array *array) {
  int64_t logits =
      array->data == ZG_NTK_SIGNAL || array->data == ZG_NTK_DIRECT ? array->dims[1] : 0;
  if (!c->samples) c->samples = array->n;
  if (!c->logits) c->logits = logits;
  if (array->n != c->samples)
    fault(c, array, "has %lld samples; others of this model have %lld",
          (long long)array->n, (long long)c->samples);
  if (logits && logits != c->logits)
    fault(c, array, "has %lld logits; others of this model have %lld",
          (long long)logits, (long long)c->logits);
}

/* Positions of an input or index and of its signal. */
static void check_positions(const check *c, const factors f) {
  const zg_array *left = f[ZG_NTK_INPUT] ? f[ZG_NTK_INPUT] : f[ZG_NTK_INDEX],
                 *signal = f[ZG_NTK_SIGNAL];
  if (!left || !signal) return;
  bool spread = left->data == ZG_NTK_INDEX || left->rank == 3;
  if (spread != (signal->rank == 4))
    fault(c, signal, "has %d axes; with this %s it needs %d", signal->rank,
          zg_data_name(left->data), spread ? 4 : 3);
  else if (spread && left->dims[1] != signal->dims[2])
    fault(c, signal, "has %lld positions; its %s has %lld", (long long)signal->dims[2],
          zg_data_name(left->data), (long long)left->dims[1]);
}

static void check_layer(check *c, const factors f) {
  check_presence(c, f);
  for (int data = ZG_NTK_INPUT; data <= ZG_NTK_DIRECT; data++)
    if (f[data]) check_common(c, f[data]);
  check_positions(c, f);
}

/* The arrays of each kind come by place, so that layer by layer is one pass. */
static void check_model(check *c, int64_t model) {
  int64_t next[ZG_DATA], end[ZG_DATA];
  c->samples = c->logits = 0;
  for (zg_data data = ZG_NTK_INPUT; data <= ZG_NTK_DIRECT; data++) {
    next[data] = zg_zoo_find(c->zoo, data, model, &end[data]);
    end[data] += next[data];
  }
  for (;;) {
    int64_t place = INT64_MAX;
    for (int data = ZG_NTK_INPUT; data <= ZG_NTK_DIRECT; data++)
      if (next[data] < end[data])
        place = zg_min(place, c->zoo->arrays[next[data]].place);
    if (place == INT64_MAX) return;
    factors f = {NULL};
    for (int data = ZG_NTK_INPUT; data <= ZG_NTK_DIRECT; data++)
      if (next[data] < end[data] && c->zoo->arrays[next[data]].place == place)
        f[data] = &c->zoo->arrays[next[data]++];
    check_layer(c, f);
  }
}

void zg_tangent_faults(const zg_zoo *zoo, zg_tangent_fault_fn *report, void *context) {
  check c = {.zoo = zoo, .report = report, .context = context};
  for (int64_t model = 0; model < zoo->model_count; model++)
    check_model(&c, model);
}

/* The first fault becomes the message. */
typedef struct verdict {
  const zg_zoo *zoo;
  zg_status status;
} verdict;

static void fail_once(void *context, int64_t array, const char *what) {
  verdict *v = context;
  if (v->status == ZG_OK) v->status = zg_array_fail(v->zoo, array, "%s", what);
}

zg_status zg_zoo_check_tangent(const zg_zoo *zoo) {
  verdict v = {.zoo = zoo};
  zg_tangent_faults(zoo, fail_once, &v);
  return v.status;
}
