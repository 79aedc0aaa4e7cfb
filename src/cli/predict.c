#include "cli/predict.h"

#include "base/memory.h"
#include "base/text.h"
#include "job/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char *zg_machine_default(void) {
  const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  zg_text path = {0};
  if (cache && cache[0] == '/') /* others are invalid, as its specification says */
    zg_text_add(&path, "%s/zoogram/machine.yaml", cache);
  else if (home && *home)
    zg_text_add(&path, "%s/.cache/zoogram/machine.yaml", home);
  return path.data;
}

zg_status zg_predict(const char *path, const zg_plan *plan, zg_prediction *prediction) {
  char *usual = path ? NULL : zg_machine_default();
  zg_status status = ZG_OK;
  *prediction = (zg_prediction){0};
  if (path || (usual && access(usual, F_OK) == 0)) {
    status = zg_machine_read(path ? path : usual, &prediction->machine);
    prediction->known = status == ZG_OK;
  }
  free(usual);
  if (prediction->known) {
    zg_amounts amounts = zg_plan_amounts(plan);
    prediction->cost = zg_cost_of(&amounts, &prediction->machine);
  }
  if (path || status == ZG_OK) return status;
  snprintf(prediction->trouble, sizeof prediction->trouble, "%s", zg_message());
  return ZG_OK;
}

char *zg_prediction_text(const zg_prediction *prediction, const zg_plan *plan) {
  if (prediction->known)
    return zg_cost_text(&prediction->cost, &prediction->machine, plan->ranks);
  if (prediction->trouble[0]) {
    zg_text text = {0};
    zg_text_add(&text, "  predicted     nothing: %s", prediction->trouble);
    return text.data;
  }
  return zg_strdup("  predicted     nothing: 'zoogram calibrate' would add the time");
}
