/** \file
 * Text: growing strings, lists of strings, patterns, units. Not collective. */
#ifndef ZG_BASE_TEXT_H
#define ZG_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A string that grows; start with zeros, end with zg_text_clear. */
typedef struct zg_text {
  char *data; /**< owned, zero-terminated; NULL while empty */
  size_t length, capacity;
} zg_text;

void zg_text_add(zg_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void zg_text_clear(zg_text *text);
/** The contents, never NULL; borrowed. */
const char *zg_text_get(const zg_text *text);

/** A list of strings; start with zeros, end with zg_list_clear. */
typedef struct zg_list {
  char **items; /**< owned, each of them too */
  int64_t count, capacity;
} zg_list;

void zg_list_add(zg_list *list, const char *item);
void zg_list_clear(zg_list *list);
/** Position of an item, or -1. */
int64_t zg_list_find(const zg_list *list, const char *item);

/** Natural order: runs of digits compare as numbers, so that "layer2" < "layer10".
 * Total: strings that differ never compare equal. */
int zg_natural_compare(const char *a, const char *b);

/** Whether `name` matches the shell pattern (fnmatch; `*` matches any character). */
bool zg_matches(const char *pattern, const char *name);

/** Whether a text is well-formed UTF-8. */
bool zg_is_utf8(const char *text);

/** "2GiB", "500 MB", "1e9": bytes. \return false when the text is no size. */
bool zg_parse_bytes(const char *text, int64_t *bytes);
/** "1:30:00", "90:00", "45": seconds. \return false when the text is no duration. */
bool zg_parse_duration(const char *text, double *seconds);

enum { ZG_UNIT_BYTES = 32 };
/** "1.5 GiB" into a caller's buffer of ZG_UNIT_BYTES; returns it. */
char *zg_format_bytes(char *buffer, double bytes);
/** "1:02:03", "45.1 s", "4.51 s", "451 ms", "3.2 ms". */
char *zg_format_duration(char *buffer, double seconds);
/** "3.4 Gflop": a number with an SI prefix and a unit. */
char *zg_format_si(char *buffer, double value, const char *unit);

/** The item of `known` nearest to `word` in edit distance, for "did you mean"; NULL
 * when none is near. */
const char *zg_nearest(const char *word, const char *const *known, int64_t count);

/** Directory part of a path ("." when there is none); the caller frees. */
char *zg_directory(const char *path);
/** `path` itself when absolute, else below `directory`; the caller frees. */
char *zg_path_join(const char *directory, const char *path);

#endif
