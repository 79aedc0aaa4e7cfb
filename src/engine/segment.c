#include "engine/segment.h"

#include "base/memory.h"
#include "base/sync.h"
#include "base/text.h"
#include "base/watchdog.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A segment begins with this; what follows is in the order of zg_segment_write, and its
 * last number is a checksum of all before it. */
typedef struct header {
  char magic[8];
  char digest[ZG_DIGEST_BYTES + 7];
  int64_t pass, tasks, items, pairs, vectors, parameters;
  uint64_t check; /* of the header up to here */
} header;

/* Its last character is the version. */
static const char magic[8] = "zgstate2";
enum { NAME_BYTES = sizeof magic - 1 };

static uint64_t check_of(const header *h) {
  return zg_hash_of(h, offsetof(header, check));
}

/* Items of the matrices, which all have the same. */
static int64_t item_count(const zg_sums *sums) {
  return sums->pairs[0] ? sums->pairs[0]->n : 0;
}

/* What comes after the end of a list would be lost. */
static int64_t list_length(const zg_sums *sums, bool of_pairs) {
  int64_t most = of_pairs ? ZG_STATE_PAIRS : ZG_STATE_VECTORS, count = 0;
  for (int64_t k = 0; k < most; k++) {
    bool listed = of_pairs ? sums->pairs[k] != NULL : sums->lengths[k] != 0;
    ZG_REQUIRE(!listed || count == k);
    count += listed;
  }
  return count;
}

void zg_sums_share(const zg_team *team, zg_sums *sums) {
  for (int64_t k = 0; k < list_length(sums, true); k++) {
    zg_pairs *pairs = sums->pairs[k];
    zg_sum_doubles(team->peers, pairs->coarse, zg_pairs_numbers(pairs));
    zg_sum_doubles(team->peers, pairs->fine, zg_pairs_numbers(pairs));
  }
  for (int64_t k = 0; k < list_length(sums, false); k++)
    zg_sum_doubles(team->peers, sums->vectors[k], sums->lengths[k]);
}

zg_content zg_content_create(int64_t pass, int64_t task_count, const zg_sums *sums) {
  return (zg_content){.pass = pass,
                      .task_count = task_count,
                      .tasks = ZG_NEW0(uint8_t, task_count),
                      .parameters = ZG_NEW0(double, sums->parameter_count)};
}

void zg_content_clear(zg_content *content) {
  free(content->tasks);
  free(content->parameters);
  *content = (zg_content){0};
}

/* ---- writing ---- */

/* A file with a running checksum; after an error nothing more happens. */
typedef struct stream {
  FILE *file; /* may be NULL after an error */
  zg_hash *hash;
  bool ok;
  int error; /* errno of what went wrong */
} stream;

static void expect(stream *s, bool success) {
  if (s->ok && !success) s->error = errno;
  s->ok = s->ok && success;
}

static void put(stream *s, const void *data, int64_t bytes) {
  if (bytes == 0) return;
  zg_hash_add(s->hash, data, (size_t)bytes);
  if (s->ok) expect(s, fwrite(data, 1, (size_t)bytes, s->file) == (size_t)bytes);
}

/* A matrix, one run of columns after the other: first, count, sums. The other ranks of
 * the team send theirs. */
static void put_matrix(stream *s, const zg_team *team, const zg_pairs *pairs,
                       const double *part) {
  int64_t share = zg_pairs_share(pairs->end - pairs->begin, team->size);
  double *buffer = team->size > 1 ? ZG_NEW(double, pairs->end *share) : NULL;
  for (int q = 0; q < team->size; q++) {
    int64_t range[2] = {zg_min(pairs->end, pairs->begin + share * q), 0};
    range[1] = zg_min(pairs->end, range[0] + share) - range[0];
    int64_t count = pairs->end * range[1];
    if (q > 0) {
      ZG_WAIT;
      MPI_Recv(buffer, zg_int(count), MPI_DOUBLE, q, 0, team->comm, MPI_STATUS_IGNORE);
    }
    if (!count) continue; /* more ranks than columns */
    put(s, range, sizeof range);
    put(s, q ? buffer : part, count * (int64_t)sizeof(double));
  }
  free(buffer);
}

static void put_pairs(stream *s, const zg_team *team, const zg_pairs *pairs) {
  put_matrix(s, team, pairs, pairs->coarse);
  put_matrix(s, team, pairs, pairs->fine);
}

static void send_pairs(const zg_team *team, const zg_pairs *pairs) {
  ZG_WAIT;
  int count = zg_int(zg_pairs_numbers(pairs));
  MPI_Send(pairs->coarse, count, MPI_DOUBLE, 0, 0, team->comm);
  MPI_Send(pairs->fine, count, MPI_DOUBLE, 0, 0, team->comm);
}

/* Numbers of a vector that are written or read at a time. */
enum { PART = 1 << 20 };

/* The team's vector, one part after the other. */
static void put_vector(stream *s, const zg_team *team, const zg_sums *sums, int64_t k) {
  int64_t length = sums->lengths[k];
  bool together = sums->shared[k] && team->size > 1;
  double *part = together ? ZG_NEW(double, zg_min(length, PART)) : NULL;
  for (int64_t at = 0; at < length; at += PART) {
    int64_t count = zg_min(PART, length - at);
    const double *own = sums->vectors[k] + at;
    if (together) {
      memcpy(part, own, (size_t)count * sizeof *part);
      zg_sum_doubles(team->comm, part, count);
    }
    if (s) put(s, together ? part : own, count * (int64_t)sizeof(double));
  }
  free(part);
}

/* Everything behind the header, taken together from the ranks of the team. `s` is NULL
 * on all but the first. */
static void put_sums(stream *s, const zg_team *team, const zg_sums *sums) {
  for (int64_t k = 0; k < list_length(sums, true); k++)
    if (s)
      put_pairs(s, team, sums->pairs[k]);
    else
      send_pairs(team, sums->pairs[k]);
  for (int64_t k = 0; k < list_length(sums, false); k++)
    put_vector(s, team, sums, k);
}

static void finish_file(stream *s) {
  int64_t check = zg_hash_finish_int(&s->hash);
  if (s->ok) expect(s, fwrite(&check, sizeof check, 1, s->file) == 1);
  if (s->ok) expect(s, fflush(s->file) == 0 && fsync(fileno(s->file)) == 0);
  if (s->file) expect(s, fclose(s->file) == 0);
}

static void put_header(stream *s, const char *digest, int64_t pass, int64_t tasks,
                       const zg_sums *sums) {
  header h = {.pass = pass,
              .tasks = tasks,
              .items = item_count(sums),
              .pairs = list_length(sums, true),
              .vectors = list_length(sums, false),
              .parameters = sums->parameter_count};
  memcpy(h.magic, magic, sizeof magic);
  snprintf(h.digest, sizeof h.digest, "%s", digest);
  h.check = check_of(&h);
  put(s, &h, sizeof h);
}

static void make_directory(stream *s, const char *path) {
  char *directory = zg_directory(path);
  expect(s, mkdir(directory, 0777) == 0 || errno == EEXIST);
  free(directory);
}

zg_status zg_segment_write(const char *path, const char *digest, const zg_team *team,
                           int64_t pass, int64_t task_count, const uint8_t *tasks,
                           const zg_sums *sums) {
  if (team->position != 0) {
    put_sums(NULL, team, sums);
    return ZG_OK;
  }
  zg_text temporary = {0};
  zg_text_add(&temporary, "%s.tmp", path);
  ZG_PLACE("writing", path);
  stream s = {.hash = zg_hash_create(), .ok = true};
  make_directory(&s, path);
  if (s.ok) expect(&s, (s.file = fopen(temporary.data, "wb")) != NULL);
  put_header(&s, digest, pass, task_count, sums);
  put(&s, tasks, task_count);
  put(&s, sums->parameters, sums->parameter_count * (int64_t)sizeof(double));
  put_sums(&s, team, sums); /* also without a file: the team's ranks send theirs */
  finish_file(&s);
  if (s.ok) expect(&s, rename(temporary.data, path) == 0);
  if (s.ok) expect(&s, zg_sync_directory(path));
  if (!s.ok) unlink(temporary.data); /* it may be what fills the disk */
  zg_text_clear(&temporary);
  if (s.ok) return ZG_OK;
  return zg_fail(ZG_ERR_WRITE, "%s: the checkpoint cannot be written: %s", path,
                 strerror(s.error));
}

/* ---- reading ---- */

zg_status zg_segment_inspect(const char *path, const char *digest,
                             zg_segment_kind *kind) {
  header h = {.pass = 0};
  FILE *file = fopen(path, "rb");
  if (!file)
    return zg_fail(ZG_ERR_CREATE, "%s: cannot be read: %s", path, strerror(errno));
  bool whole = fread(&h, sizeof h, 1, file) == 1 && h.check == check_of(&h);
  fclose(file);
  if (!memcmp(h.magic, magic, NAME_BYTES) && h.magic[NAME_BYTES] != magic[NAME_BYTES])
    *kind = ZG_SEGMENT_OTHER_VERSION;
  else if (!whole || memcmp(h.magic, magic, sizeof magic) != 0)
    *kind = ZG_SEGMENT_DAMAGED;
  else
    *kind = strcmp(h.digest, digest) ? ZG_SEGMENT_OTHER_JOB : ZG_SEGMENT_SOUND;
  return ZG_OK;
}

static bool get(stream *s, void *data, int64_t bytes) {
  if (bytes == 0) return s->ok;
  s->ok = s->ok && fread(data, 1, (size_t)bytes, s->file) == (size_t)bytes;
  if (s->ok) zg_hash_add(s->hash, data, (size_t)bytes);
  zg_beat();
  return s->ok;
}

static bool fits(const header *h, const zg_content *content, const zg_sums *sums) {
  return !memcmp(h->magic, magic, sizeof magic) && h->check == check_of(h) &&
         h->pass == content->pass && h->tasks == content->task_count &&
         h->items == item_count(sums) && h->pairs == list_length(sums, true) &&
         h->vectors == list_length(sums, false) &&
         h->parameters == sums->parameter_count;
}

/* Add the columns of a matrix in a segment to those that this rank holds of it in
 * `part`, unless that is NULL. */
static void get_matrix(stream *s, const zg_pairs *pairs, double *part) {
  int64_t end = pairs->end;
  double *row = ZG_NEW(double, end);
  for (int64_t covered = pairs->begin; s->ok && covered < end;) {
    int64_t range[2];
    if (!get(s, range, sizeof range)) break;
    s->ok = range[0] == covered && range[1] > 0 && range[1] <= end - covered;
    for (int64_t i = 0; s->ok && i < end; i++) {
      get(s, row, range[1] * (int64_t)sizeof *row);
      for (int64_t j = 0; s->ok && part && j < range[1]; j++) {
        int64_t column = range[0] + j - pairs->first;
        if (column >= 0 && column < pairs->count)
          part[i * pairs->count + column] += row[j];
      }
    }
    covered += range[1];
  }
  free(row);
}

static void get_pairs(stream *s, const zg_pairs *pairs, bool add) {
  get_matrix(s, pairs, add ? pairs->coarse : NULL);
  get_matrix(s, pairs, add ? pairs->fine : NULL);
}

static void get_vector(stream *s, int64_t length, double *sums) {
  double *part = ZG_NEW(double, zg_min(length, PART));
  for (int64_t at = 0; at < length; at += PART) {
    int64_t count = zg_min(PART, length - at);
    if (!get(s, part, count * (int64_t)sizeof *part)) break;
    for (int64_t k = 0; sums && k < count; k++)
      sums[at + k] += part[k];
  }
  free(part);
}

/* Read what follows a header; unless `team` is NULL, add the sums to this rank's. */
static void get_content(stream *s, const zg_team *team, zg_sums *sums,
                        zg_content *content) {
  get(s, content->tasks, content->task_count);
  get(s, content->parameters, sums->parameter_count * (int64_t)sizeof(double));
  for (int64_t k = 0; s->ok && k < list_length(sums, true); k++)
    get_pairs(s, sums->pairs[k], team != NULL);
  for (int64_t k = 0; s->ok && k < list_length(sums, false); k++) {
    bool mine = team && (!sums->shared[k] || team->position == 0);
    get_vector(s, sums->lengths[k], mine ? sums->vectors[k] : NULL);
  }
}

bool zg_segment_read(const zg_segment *from, const zg_team *team, zg_sums *sums,
                     zg_content *content) {
  ZG_PLACE("reading", from->path);
  stream s = {.file = fopen(from->path, "rb"), .hash = zg_hash_create(), .ok = true};
  header h;
  int64_t check = 0;
  s.ok = s.file && fseeko(s.file, from->offset, SEEK_SET) == 0;
  s.ok = s.ok && get(&s, &h, sizeof h) && fits(&h, content, sums);
  if (s.ok) get_content(&s, team, sums, content);
  int64_t expected = zg_hash_finish_int(&s.hash);
  bool whole = s.ok && fread(&check, sizeof check, 1, s.file) == 1 && check == expected;
  whole = whole && (from->offset || fgetc(s.file) == EOF); /* nothing behind it */
  if (s.file) fclose(s.file);
  return whole;
}
