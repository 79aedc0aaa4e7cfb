/** \file
 * Tensors of the gram form. */
#include "base/log.h"
#include "engine/features.h"
#include "engine/forms.h"
#include "engine/gram.h"

/* What a pair of one call is made of. */
typedef struct source {
  const zg_gram *gram;
  zg_centring centring;
} source;

static void pair_of(const void *context, int64_t i, int64_t k, zg_pair *pair) {
  const source *s = context;
  const zg_gram *gram = s->gram;
  pair->cross = zg_pairs_at(&gram->product[s->centring], i, k);
  pair->self_a = gram->self[s->centring][i];
  pair->self_b = gram->self[s->centring][k];
  pair->floor_a = gram->floor[i];
  pair->floor_b = gram->floor[k];
  pair->scale_a = gram->scale[i];
  pair->scale_b = gram->scale[k];
  pair->weight = gram->weight[s->centring];
  pair->code_a = gram->code[i];
  pair->code_b = gram->code[k];
}

/* A pass whose tensors are being written. */
typedef struct writer {
  zg_work *work;
  int64_t pass;
  zg_results *results;
} writer;

/* A band of the tensors of all calls that a pass serves. */
static zg_status write_band(void *context, const zg_gram *gram) {
  const writer *w = context;
  for (int64_t k = 0; k < w->work->run->call_count; k++) {
    const zg_call *call = &w->work->run->calls[k];
    if (!zg_serves(w->work, w->pass, k)) continue;
    source s = {.gram = gram, .centring = call->measure->spec(call).gram.centring};
    const zg_pairs *product = &gram->product[s.centring];
    ZG_TRY(zg_tensor_write(w->work, w->results, k, product->own, product->owned,
                           pair_of, &s));
  }
  return ZG_OK;
}

static zg_status write_medians(const writer *w, const zg_gram *gram) {
  zg_kept kept[ZG_MAX_KEPT];
  for (int64_t k = 0; k < w->work->run->call_count; k++)
    if (zg_serves(w->work, w->pass, k) && zg_call_kept(&w->work->run->calls[k], kept))
      ZG_TRY(zg_tensor_keep(w->work, w->results, k, 0, w->work->run->plan->items,
                            gram->median));
  return ZG_OK;
}

/* Name the items that are undefined under this pass. */
static void complain(zg_work *work, const zg_gram *gram) {
  static const char *const what[ZG_CODES] = {
      [ZG_CODE_NONFINITE] = "NaN or infinite numbers",
      [ZG_CODE_ZERO_VARIANCE] =
          "zero variance (a constant, or a median distance of 0)"};
  for (int64_t i = 0; i < work->run->plan->items; i++)
    if (gram->code[i] != ZG_CODE_OK)
      zg_tensor_complain(work, i, 1, gram->code[i], what[gram->code[i]]);
}

static zg_status compute(writer *w, zg_gram *gram) {
  zg_work *work = w->work;
  int64_t p = w->pass;
  zg_pass pass = work->run->plan->passes[p];
  bool done;
  ZG_TRY(zg_features_once(work, p, &pass, gram, write_band, w, &done));
  if (done) return ZG_OK;
  if (!work->items.items) ZG_TRY(zg_items_measure(work));
  if (pass.by_features && !zg_features_suit(work, &pass)) {
    zg_note("pass %lld: one sample outweighs the others: tiles instead of features",
            (long long)p + 1);
    pass.by_features = false;
  }
  return (pass.by_features ? zg_features_compute
                           : zg_gram_compute)(work, p, &pass, gram, write_band, w);
}

zg_status zg_gram_run(zg_work *work, int64_t p, zg_results *results) {
  zg_gram gram = {0};
  writer w = {work, p, results};
  zg_status status = compute(&w, &gram);
  if (status == ZG_OK) complain(work, &gram);
  if (status == ZG_OK) status = write_medians(&w, &gram);
  zg_gram_clear(&gram);
  return status;
}
