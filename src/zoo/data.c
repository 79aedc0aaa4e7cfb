#include "zoo/data.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const zg_data_form forms[] = {
    [ZG_ACTIVATIONS] = {"activations", "activations", NULL, "layer", "[n, ...]", 1,
                        ZG_MAX_DIMS, false},
    [ZG_WEIGHTS] = {"weights", "weights", NULL, "parameter", "[...]", 0, ZG_MAX_DIMS,
                    false},
    [ZG_GRADIENTS] = {"gradients", "gradients", NULL, "gradient", "[p]", 1, 1, false},
    [ZG_SAMPLE_GRADIENTS] = {"sample_gradients", "sample_gradients", NULL, NULL,
                             "[m, p]", 2, 2, false},
    [ZG_JACOBIAN] = {"jacobian", "jacobian", NULL, NULL, "[m, C, p]", 3, 3, false},
    [ZG_NTK_INPUT] = {"ntk/input", "ntk", "input", "layer", "[m, in] or [m, S, in]", 2,
                      3, false},
    [ZG_NTK_INDEX] = {"ntk/index", "ntk", "index", "layer", "[m, S]", 2, 2, true},
    [ZG_NTK_SIGNAL] = {"ntk/signal", "ntk", "signal", "layer",
                       "[m, C, out] or [m, C, S, out]", 3, 4, false},
    [ZG_NTK_DIRECT] = {"ntk/direct", "ntk", "direct", "layer", "[m, C, q]", 3, 3,
                       false},
    [ZG_LOGITS] = {"logits", "logits", NULL, NULL, "[n, C]", 2, 2, false},
    [ZG_SHARPNESS] = {"sharpness", "sharpness", NULL, NULL, "[radii, batches]", 2, 2,
                      false}};

static const char *const kinds[] = {
    [ZG_WEIGHT_LINEAR] = "linear", [ZG_WEIGHT_CONV] = "conv",
    [ZG_WEIGHT_NORM] = "norm",     [ZG_WEIGHT_EMBEDDING] = "embedding",
    [ZG_WEIGHT_BIAS] = "bias",     [ZG_WEIGHT_OTHER] = "other"};

const zg_data_form *zg_data_form_of(zg_data data) {
  return &forms[data];
}

const char *zg_data_name(zg_data data) {
  return forms[data].name;
}

const char *zg_weight_kind_name(zg_weight_kind kind) {
  return kinds[kind];
}

bool zg_weight_kind_of(const char *word, zg_weight_kind *kind) {
  for (int k = 0; k < ZG_WEIGHT_KINDS; k++)
    if (!strcmp(word, kinds[k])) {
      *kind = (zg_weight_kind)k;
      return true;
    }
  return false;
}

void zg_data_path(const zg_zoo *zoo, const zg_array *array, zg_text *path) {
  const zg_data_form *form = &forms[array->data];
  zg_text_add(path, "/models/%s/%s", zoo->models[array->model].name, form->group);
  if (form->word) zg_text_add(path, "/%s", array->name);
  if (form->member) zg_text_add(path, "/%s", form->member);
}

char *zg_zoo_where(const zg_zoo *zoo, int64_t index) {
  const zg_array *array = &zoo->arrays[index];
  const zg_data_form *form = &forms[array->data];
  const zg_model *model = &zoo->models[array->model];
  zg_text where = {0};
  zg_text_add(&where, "%s: model '%s', ", zoo->files[model->file].path, model->name);
  if (form->word)
    zg_text_add(&where, "%s '%s'", form->word, array->name);
  else
    zg_text_add(&where, "%s", form->name);
  if (form->member) zg_text_add(&where, ", %s", form->name);
  return where.data;
}

zg_status zg_array_fail(const zg_zoo *zoo, int64_t array, const char *format, ...) {
  char *where = zg_zoo_where(zoo, array), what[ZG_MESSAGE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  zg_fail(ZG_ERR_DATA, "%s: %s", where, what);
  free(where);
  return ZG_ERR_DATA;
}
