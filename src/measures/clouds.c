#include "measures/clouds.h"

int64_t zg_cloud_bytes(const zg_call *call, const zg_shape *shape) {
  (void)call;
  return 8 * zg_cloud_numbers(shape->n, shape->d);
}

void zg_cloud_prepare(const zg_pair_context *context, const zg_rows *rows, void *data,
                      zg_code *code) {
  (void)context, (void)code;
  zg_cloud_make(data, rows->n, rows->d, rows->values);
}

zg_cloud zg_prepared_cloud(const zg_prepared *item) {
  return zg_cloud_at((double *)item->data, item->shapes->n, item->shapes->d);
}
