/** \file
 * A catalogue as bytes, as text, and handed from rank to rank. */
#include "zoo/exchange.h"

#include "base/memory.h"

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
    zoo->arrays = ZG_NEW0(zg_array, zoo->array_count);
  }
  exchange_bytes(r, zoo->files, zoo->file_count * (int64_t)sizeof *zoo->files);
  exchange_bytes(r, zoo->models, zoo->model_count * (int64_t)sizeof *zoo->models);
  exchange_bytes(r, zoo->arrays, zoo->array_count * (int64_t)sizeof *zoo->arrays);
  for (int64_t k = 0; k < zoo->file_count; k++)
    exchange_text(r, &zoo->files[k].path);
  for (int64_t k = 0; k < zoo->model_count; k++)
    exchange_text(r, &zoo->models[k].name);
  for (int64_t k = 0; k < zoo->array_count; k++)
    exchange_text(r, &zoo->arrays[k].name);
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

/* Of four bits each, so that there is no zero among them. */
char *zg_zoo_to_text(const zg_zoo *zoo) {
  record r = {.writing = true};
  exchange_zoo(&r, (zg_zoo *)zoo); /* which is only read */
  char *text = ZG_NEW(char, 2 * r.length + 1);
  for (int64_t k = 0; k < r.length; k++) {
    unsigned byte = (unsigned char)r.bytes[k];
    text[2 * k] = (char)('a' + (byte >> 4));
    text[2 * k + 1] = (char)('a' + (byte & 15));
  }
  text[2 * r.length] = 0;
  free(r.bytes);
  return text;
}

zg_zoo *zg_zoo_from_text(const char *text) {
  int64_t bytes = (int64_t)strlen(text) / 2;
  record r = {.bytes = ZG_NEW(char, bytes), .capacity = bytes};
  for (int64_t k = 0; k < bytes; k++)
    r.bytes[k] = (char)(((text[2 * k] - 'a') << 4) | (text[2 * k + 1] - 'a'));
  zg_zoo *zoo = ZG_NEW0(zg_zoo, 1);
  exchange_zoo(&r, zoo);
  free(r.bytes);
  return zoo;
}
