#include "engine/part.h"

#include "base/memory.h"
#include "base/sync.h"
#include "base/text.h"
#include "base/watchdog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A part begins with this; behind it the texts one after the other, each with its end,
 * the segments' passes and offsets, and a checksum of all that. */
typedef struct header {
  char magic[8];
  char digest[ZG_DIGEST_BYTES + 7], state[ZG_DIGEST_BYTES + 7];
  int64_t number, count; /* of the shard */
  int64_t text_bytes, segments;
  int64_t bytes; /* of the whole file */
} header;

static const char magic[8] = "zgpart1";

enum { TEXTS = 4, MOST_TEXT = 1 << 24, MOST_SEGMENTS = 1 << 20 };

char *zg_part_path(const char *output, const zg_shard *shard) {
  zg_text path = {0};
  zg_text_add(&path, "%s.shard-%lld-of-%lld", output, (long long)shard->number,
              (long long)shard->count);
  return path.data;
}

char *zg_part_beside(const zg_shard_part *part, int64_t number) {
  char *name = zg_part_path("", &part->shard), *path = NULL;
  char *output = zg_strdup(part->path);
  size_t length = strlen(output), end = strlen(name);
  if (length > end && !strcmp(output + length - end, name)) {
    output[length - end] = 0;
    path = zg_part_path(output, &(zg_shard){number, part->shard.count});
  }
  free(output);
  free(name);
  return path;
}

/* What is checked and stands in front of the segments. */
static int64_t head_bytes(const header *h) {
  return (int64_t)sizeof *h + h->text_bytes +
         h->segments * (int64_t)sizeof(zg_part_segment);
}

static int64_t checksum(const char *head, int64_t bytes) {
  zg_hash *hash = zg_hash_create();
  zg_hash_add(hash, head, (size_t)bytes);
  return zg_hash_finish_int(&hash);
}

/* ---- writing ---- */

static char *append(char *to, const void *data, size_t bytes) {
  memcpy(to, data, bytes);
  return to + bytes;
}

/* Everything in front of the segments, with the checksum; the caller frees. */
static char *make_head(const zg_shard_part *part, const int64_t *sizes,
                       int64_t *bytes) {
  const char *texts[TEXTS] = {part->version, part->job_path, part->job_text,
                              part->plan};
  header h = {.number = part->shard.number,
              .count = part->shard.count,
              .segments = part->segment_count};
  memcpy(h.magic, magic, sizeof magic);
  memcpy(h.digest, part->digest, sizeof part->digest);
  memcpy(h.state, part->state, sizeof part->state);
  for (int k = 0; k < TEXTS; k++)
    h.text_bytes += (int64_t)strlen(texts[k]) + 1;
  int64_t check, checked = head_bytes(&h);
  *bytes = h.bytes = checked + (int64_t)sizeof check;
  for (int64_t k = 0; k < h.segments; k++)
    h.bytes += sizes[k];
  char *head = ZG_NEW(char, *bytes), *to = append(head, &h, sizeof h);
  for (int k = 0; k < TEXTS; k++)
    to = append(to, texts[k], strlen(texts[k]) + 1);
  zg_part_segment segment = {.offset = *bytes};
  for (int64_t k = 0; k < h.segments; k++) {
    segment.pass = part->segments[k].pass;
    to = append(to, &segment, sizeof segment);
    segment.offset += sizes[k];
  }
  check = checksum(head, checked);
  append(to, &check, sizeof check);
  return head;
}

/* Append a file. \return whether all of it is there. */
static bool copy_file(const char *path, FILE *to) {
  enum { BUFFER = 1 << 20 };
  FILE *from = fopen(path, "rb");
  char *buffer = ZG_NEW(char, BUFFER);
  bool copied = from != NULL;
  for (size_t count = 1; copied && count > 0;) {
    count = fread(buffer, 1, BUFFER, from);
    copied = !ferror(from) && fwrite(buffer, 1, count, to) == count;
    zg_beat();
  }
  int error = errno;
  if (from) fclose(from);
  free(buffer);
  errno = error;
  return copied;
}

static bool write_all(const zg_shard_part *part, const int64_t *sizes,
                      char *const *files, FILE *file) {
  int64_t bytes;
  char *head = make_head(part, sizes, &bytes);
  bool written = fwrite(head, 1, (size_t)bytes, file) == (size_t)bytes;
  free(head);
  for (int64_t k = 0; written && k < part->segment_count; k++)
    written = copy_file(files[k], file);
  return written && fflush(file) == 0 && fsync(fileno(file)) == 0;
}

static zg_status write_as(const zg_shard_part *part, char *const *files,
                          const char *temporary) {
  ZG_PLACE("writing", temporary);
  int64_t *sizes = ZG_NEW0(int64_t, part->segment_count);
  for (int64_t k = 0; k < part->segment_count; k++) {
    struct stat found;
    if (stat(files[k], &found) == 0) sizes[k] = found.st_size;
  }
  FILE *file = fopen(temporary, "wb");
  bool written = file && write_all(part, sizes, files, file);
  int error = errno; /* of the first call that failed */
  if (file && fclose(file) != 0 && written) {
    error = errno;
    written = false;
  }
  free(sizes);
  if (!file)
    return zg_fail(ZG_ERR_CREATE, "%s: cannot be made: %s", temporary, strerror(error));
  if (!written)
    return zg_fail(ZG_ERR_WRITE, "%s: cannot be written: %s", temporary,
                   strerror(error));
  if (rename(temporary, part->path) != 0)
    return zg_fail(ZG_ERR_CREATE, "%s: cannot be named so: %s", part->path,
                   strerror(errno));
  zg_sync_directory(part->path); /* it is there, whatever the answer */
  return ZG_OK;
}

zg_status zg_part_write(const zg_shard_part *part, char *const *files) {
  zg_text temporary = {0};
  zg_text_add(&temporary, "%s.part", part->path);
  zg_status status = write_as(part, files, temporary.data);
  if (status != ZG_OK) unlink(temporary.data);
  zg_text_clear(&temporary);
  return status;
}

/* ---- reading ---- */

enum { MAGIC_NAME = 6 }; /* bytes of the magic in front of its version */

bool zg_part_is(const char *path) {
  struct stat entry;
  char begin[MAGIC_NAME];
  /* A pipe would wait for its other end. */
  if (stat(path, &entry) != 0 || !S_ISREG(entry.st_mode)) return false;
  FILE *file = fopen(path, "rb");
  bool is = file && fread(begin, sizeof begin, 1, file) == 1 &&
            !memcmp(begin, magic, sizeof begin);
  if (file) fclose(file);
  return is;
}

/* Why a file is no part, as far as its first bytes tell. */
static zg_status check_magic(const char *path, const header *h, bool read) {
  if (!read || memcmp(h->magic, magic, MAGIC_NAME))
    return zg_fail(ZG_ERR_DATA, "%s: is not a part that 'zoogram run --shard' has left",
                   path);
  if (memcmp(h->magic, magic, sizeof magic))
    return zg_fail(ZG_ERR_DATA, "%s: was left by another version of zoogram", path);
  return ZG_OK;
}

static bool is_sound(const header *h, int64_t bytes) {
  return h->bytes == bytes && h->number >= 1 && h->number <= h->count &&
         h->count <= ZG_MOST_SHARDS && h->text_bytes >= TEXTS &&
         h->text_bytes <= MOST_TEXT && h->segments >= 0 &&
         h->segments <= MOST_SEGMENTS &&
         head_bytes(h) + (int64_t)sizeof(int64_t) <= bytes;
}

/* Texts and segments behind the header. \return false when they are not what they have
 * to be. */
static bool take_apart(const header *h, const char *head, zg_shard_part *part) {
  char **texts[TEXTS] = {&part->version, &part->job_path, &part->job_text, &part->plan};
  const char *from = head + sizeof *h, *end = from + h->text_bytes;
  for (int k = 0; k < TEXTS; k++) {
    size_t length = strnlen(from, (size_t)(end - from));
    if (from + length == end) return false;
    *texts[k] = zg_strdup(from);
    from += length + 1;
  }
  part->shard = (zg_shard){h->number, h->count};
  memcpy(part->digest, h->digest, sizeof part->digest - 1);
  memcpy(part->state, h->state, sizeof part->state - 1);
  part->segment_count = h->segments;
  part->segments = ZG_NEW(zg_part_segment, h->segments);
  int64_t before = head_bytes(h);
  for (int64_t k = 0; k < h->segments; k++) {
    memcpy(&part->segments[k], end + k * (int64_t)sizeof *part->segments,
           sizeof *part->segments);
    if (part->segments[k].offset < before || part->segments[k].offset > h->bytes)
      return false;
    before = part->segments[k].offset;
  }
  return from == end;
}

static bool read_rest(FILE *file, const header *h, zg_shard_part *part) {
  int64_t bytes = head_bytes(h), check;
  char *head = ZG_NEW(char, bytes);
  size_t rest = (size_t)bytes - sizeof *h;
  memcpy(head, h, sizeof *h);
  bool read = fread(head + sizeof *h, 1, rest, file) == rest &&
              fread(&check, sizeof check, 1, file) == 1 &&
              check == checksum(head, bytes) && take_apart(h, head, part);
  free(head);
  return read;
}

static zg_status read_file(FILE *file, int64_t bytes, zg_shard_part *part) {
  header h = {.bytes = 0};
  bool read = fread(&h, sizeof h, 1, file) == 1;
  ZG_TRY(check_magic(part->path, &h, read));
  if (is_sound(&h, bytes) && read_rest(file, &h, part)) return ZG_OK;
  return zg_fail(ZG_ERR_DATA,
                 "%s: is damaged: remove it and run its shard again to have it anew",
                 part->path);
}

/* A shard that has begun has left a state, one that runs its lock as well. */
static zg_status fail_missing(const char *path) {
  int reason = errno;
  zg_text state = {0};
  zg_text_add(&state, "%s.state", path);
  bool begun = access(state.data, F_OK) == 0;
  zg_text_clear(&state);
  if (begun)
    return zg_fail(ZG_ERR_INPUT,
                   "%s: is not finished: its shard has to be run to the end first",
                   path);
  return zg_fail(ZG_ERR_INPUT, "%s: %s", path, strerror(reason));
}

zg_status zg_part_read(const char *path, zg_shard_part **part) {
  ZG_PLACE("reading", path);
  struct stat found = {.st_size = 0};
  *part = NULL;
  FILE *file = fopen(path, "rb");
  if (!file) return fail_missing(path);
  *part = ZG_NEW0(zg_shard_part, 1);
  (*part)->path = zg_strdup(path);
  zg_status status = fstat(fileno(file), &found) == 0 && S_ISREG(found.st_mode)
                         ? read_file(file, found.st_size, *part)
                         : zg_fail(ZG_ERR_DATA, "%s: is not a file", path);
  fclose(file);
  if (status != ZG_OK) zg_part_destroy(part);
  return status;
}

void zg_part_destroy(zg_shard_part **part) {
  zg_shard_part *p = *part;
  if (!p) return;
  char *owned[] = {p->path, p->version, p->job_path, p->job_text, p->plan};
  for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
    free(owned[k]);
  free(p->segments);
  free(p);
  *part = NULL;
}

/* ---- parts together ---- */

zg_status zg_part_check_state(const zg_shard_part *part, const char *state,
                              const char *other) {
  if (!strcmp(part->state, state)) return ZG_OK;
  return zg_fail(ZG_ERR_DATA,
                 "%s: was made with another plan (%s) than %s: a memory_per_rank and a "
                 "team_size in the job file make plans equal",
                 part->path, part->plan, other);
}

static zg_status check_alike(const zg_shard_part *first, const zg_shard_part *part) {
  const char *differs = NULL;
  if (strcmp(part->version, first->version))
    differs = "was made by another version of zoogram";
  else if (strcmp(part->digest, first->digest))
    differs = "is of another job or of other inputs";
  else if (part->shard.count != first->shard.count)
    differs = "is one of another number of shards";
  if (differs)
    return zg_fail(ZG_ERR_DATA, "%s: %s than %s", part->path, differs, first->path);
  return zg_part_check_state(part, first->state, first->path);
}

static zg_status fail_absent(zg_shard_part *const *parts,
                             const zg_shard_part *const *found) {
  int64_t all = parts[0]->shard.count, absent = 0, first = -1;
  for (int64_t k = all - 1; k >= 0; k--)
    if (!found[k]) {
      absent++;
      first = k;
    }
  if (!absent) return ZG_OK;
  zg_text others = {0};
  if (absent > 1) zg_text_add(&others, ", and %lld more", (long long)absent - 1);
  zg_status status = zg_fail(
      ZG_ERR_INPUT, "the part of shard %lld/%lld is missing%s: run %s with --shard",
      (long long)first + 1, (long long)all, zg_text_get(&others), parts[0]->job_path);
  zg_text_clear(&others);
  return status;
}

zg_status zg_parts_check(zg_shard_part *const *parts, int64_t count,
                         const char *version) {
  const zg_shard_part *first = parts[0];
  if (strcmp(first->version, version))
    return zg_fail(ZG_ERR_DATA, "%s: was made by zoogram %s, this is zoogram %s",
                   first->path, first->version, version);
  const zg_shard_part **found = ZG_NEW0(const zg_shard_part *, first->shard.count);
  zg_status status = ZG_OK;
  for (int64_t k = 0; status == ZG_OK && k < count; k++) {
    const zg_shard_part *part = parts[k];
    status = check_alike(first, part);
    if (status != ZG_OK) break;
    const zg_shard_part **place = &found[part->shard.number - 1];
    if (*place)
      status = zg_fail(ZG_ERR_DATA, "%s: is the part of shard %lld/%lld, as is %s",
                       part->path, (long long)part->shard.number,
                       (long long)part->shard.count, (*place)->path);
    *place = part;
  }
  if (status == ZG_OK) status = fail_absent(parts, found);
  free(found);
  return status;
}
