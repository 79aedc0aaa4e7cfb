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

static zg_status write_call(zg_work *work, int64_t k, const zg_gram *gram,
                            zg_results *results) {
  const zg_call *call = &work->run->calls[k];
  source s = {.gram = gram, .centring = call->measure->spec(call).gram.centring};
  const zg_pairs *product = &gram->product[s.centring];
  zg_kept kept[ZG_MAX_KEPT];
  ZG_TRY(zg_tensor_write(work, results, k, product->own, product->owned, pair_of, &s));
  if (!zg_call_kept(call, kept)) return ZG_OK;
  return zg_tensor_keep(work, results, k, 0, work->run->plan->items, gram->median);
}

/* Name the items that are undefined under this pass and were not named before. */
static void complain(zg_work *work, const zg_gram *gram) {
  static const char *const what[ZG_CODES] = {
      [ZG_CODE_NONFINITE] = "NaN or infinite numbers",
      [ZG_CODE_ZERO_VARIANCE] =
          "zero variance (a constant, or a median distance of 0)"};
  for (int64_t i = 0; i < work->run->plan->items; i++) {
    zg_item *item = &work->items.items[i];
    if (gram->code[i] == ZG_CODE_OK || item->reported == gram->code[i]) continue;
    item->reported = gram->code[i];
    zg_tensor_complain(work, i, 1, gram->code[i], what[gram->code[i]]);
  }
}

zg_status zg_gram_run(zg_work *work, int64_t p, zg_results *results) {
  zg_gram gram;
  zg_status status = ZG_OK;
  if (!work->items.items) status = zg_items_measure(work);
  if (status != ZG_OK) return status;
  zg_pass pass = work->run->plan->passes[p];
  if (pass.by_features && !zg_features_suit(work, &pass)) {
    zg_note("pass %lld: one sample outweighs the others: tiles instead of features",
            (long long)p + 1);
    pass.by_features = false;
  }
  status = pass.by_features ? zg_features_compute(work, p, &pass, &gram)
                            : zg_gram_compute(work, p, &pass, &gram);
  if (status == ZG_OK) complain(work, &gram);
  for (int64_t k = 0; status == ZG_OK && k < work->run->call_count; k++)
    if (zg_serves(work, p, k)) status = write_call(work, k, &gram, results);
  zg_gram_clear(&gram);
  return status;
}
