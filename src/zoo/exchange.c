/** \file
 * What ranks do together with a zoo: sharing the catalogue and its digests. */
#include "zoo/exchange.h"

#include "base/memory.h"
#include "zoo/reader.h"

#include <stdlib.h>
#include <string.h>

/* A record of bytes that is either being written or read, so that one function
 * describes a structure for both ways. */
typedef struct record {
  bool writing;
  char *bytes;
  int64_t length, capacity;
} record;

static void exchange_bytes(record *r, void *data, int64_t bytes) {
  if (bytes == 0) return;
  if (r->writing) {
    if (r->length + bytes > r->capacity) {
      r->capacity = 2 * (r->length + bytes);
      r->bytes = zg_realloc(r->bytes, r->capacity, 1);
    }
    memcpy(r->bytes + r->length, data, (size_t)bytes);
  } else {
    ZG_REQUIRE(r->length + bytes <= r->capacity);
    memcpy(data, r->bytes + r->length, (size_t)bytes);
  }
  r->length += bytes;
}

static void exchange_text(record *r, char **text) {
  int64_t bytes = r->writing ? (int64_t)strlen(*text) + 1 : 0;
  exchange_bytes(r, &bytes, sizeof bytes);
  if (!r->writing) *text = ZG_NEW(char, bytes);
  exchange_bytes(r, *text, bytes);
}

/* Plain members travel as they are; every owned text follows its structure. */
static void exchange_zoo(record *r, zg_zoo *zoo) {
  exchange_bytes(r, zoo, sizeof *zoo);
  if (!r->writing) {
    zoo->files = ZG_NEW0(zg_file, zoo->file_count);
    zoo->models = ZG_NEW0(zg_model, zoo->model_count);
    zoo->layers = ZG_NEW0(zg_layer, zoo->layer_count);
  }
  exchange_bytes(r, zoo->files, zoo->file_count * (int64_t)sizeof *zoo->files);
  exchange_bytes(r, zoo->models, zoo->model_count * (int64_t)sizeof *zoo->models);
  exchange_bytes(r, zoo->layers, zoo->layer_count * (int64_t)sizeof *zoo->layers);
  for (int64_t k = 0; k < zoo->file_count; k++)
    exchange_text(r, &zoo->files[k].path);
  for (int64_t k = 0; k < zoo->model_count; k++)
    exchange_text(r, &zoo->models[k].name);
  for (int64_t k = 0; k < zoo->layer_count; k++)
    exchange_text(r, &zoo->layers[k].name);
}

void zg_zoo_broadcast(MPI_Comm comm, zg_zoo **zoo) {
  int rank;
  MPI_Comm_rank(comm, &rank);
  record r = {.writing = rank == 0};
  if (rank == 0) exchange_zoo(&r, *zoo);
  zg_broadcast(comm, &r.length, sizeof r.length);
  if (rank != 0) r = (record){.bytes = ZG_NEW(char, r.length), .capacity = r.length};
  int64_t bytes = rank == 0 ? r.length : r.capacity;
  zg_broadcast(comm, r.bytes, bytes);
  if (rank != 0) {
    *zoo = ZG_NEW0(zg_zoo, 1);
    exchange_zoo(&r, *zoo);
  }
  free(r.bytes);
}

/* Rows whose data enter a sampled digest: first, middle, last. */
static zg_status hash_rows(zg_reader *reader, int64_t layer, int64_t row, int64_t rows,
                           zg_hash *hash) {
  zg_slab slab;
  ZG_TRY(zg_reader_rows(reader, layer, row, rows, &slab));
  zg_hash_add(hash, slab.data, (size_t)(rows * slab.d) * zg_real_size(slab.precision));
  return ZG_OK;
}

static zg_status hash_layer(zg_reader *reader, const zg_zoo *zoo, int64_t index,
                            bool all, zg_hash *hash) {
  const zg_layer *layer = &zoo->layers[index];
  int64_t n = layer->n;
  if (!all) {
    int64_t sample[] = {0, n / 2, n - 1};
    for (int k = 0; k < 3 && n > 0; k++)
      ZG_TRY(hash_rows(reader, index, sample[k], 1, hash));
    return ZG_OK;
  }
  int64_t step = zg_reader_slab_rows(layer->d);
  for (int64_t row = 0; row < n; row += step)
    ZG_TRY(hash_rows(reader, index, row, zg_min(step, n - row), hash));
  return ZG_OK;
}

static void combine_digests(zg_zoo *zoo, const int64_t *layer_digests) {
  int64_t layer = 0, model = 0;
  for (int64_t f = 0; f < zoo->file_count; f++) {
    zg_hash *hash = zg_hash_create();
    for (; model < zoo->model_count && zoo->models[model].file == f; model++) {
      zg_hash_add_text(hash, zoo->models[model].name);
      for (; layer < zoo->layer_count && zoo->layers[layer].model == model; layer++) {
        const zg_layer *l = &zoo->layers[layer];
        zg_hash_add_text(hash, l->name);
        zg_hash_add_int(hash, l->dtype);
        zg_hash_add(hash, l->dims, (size_t)l->rank * sizeof *l->dims);
        zg_hash_add_int(hash, layer_digests[layer]);
      }
    }
    zg_hash_finish(&hash, zoo->files[f].digest);
  }
}

zg_status zg_zoo_digest(MPI_Comm comm, zg_zoo *zoo, bool all_data) {
  int rank, ranks;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  int64_t *digests = ZG_NEW0(int64_t, zoo->layer_count);
  zg_reader *reader = zg_reader_create(zoo);
  zg_status status = ZG_OK;
  for (int64_t k = zg_part(zoo->layer_count, ranks, rank);
       status == ZG_OK && k < zg_part(zoo->layer_count, ranks, rank + 1); k++) {
    zg_hash *hash = zg_hash_create();
    status = hash_layer(reader, zoo, k, all_data, hash);
    digests[k] = zg_hash_finish_int(&hash);
  }
  zg_reader_destroy(&reader);
  status = zg_agree(comm, status);
  if (status == ZG_OK) {
    zg_sum_counts(comm, digests, zoo->layer_count);
    combine_digests(zoo, digests);
  }
  free(digests);
  return status;
}
