#include "base/text.h"

#include "base/memory.h"

#include <ctype.h>
#include <fnmatch.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void zg_text_add(zg_text *text, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  size_t need = text->length + (size_t)length + 1;
  if (need > text->capacity) {
    text->capacity = need + need / 2;
    text->data = zg_realloc(text->data, (int64_t)text->capacity, 1);
  }
  vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
  va_end(again);
  text->length += (size_t)length;
}

void zg_text_clear(zg_text *text) {
  free(text->data);
  *text = (zg_text){0};
}

const char *zg_text_get(const zg_text *text) {
  return text->data ? text->data : "";
}

void zg_list_add(zg_list *list, const char *item) {
  if (list->count == list->capacity) {
    list->capacity = 2 * list->capacity + 8;
    list->items = zg_realloc(list->items, list->capacity, sizeof *list->items);
  }
  list->items[list->count++] = zg_strdup(item);
}

void zg_list_clear(zg_list *list) {
  for (int64_t i = 0; i < list->count; i++)
    free(list->items[i]);
  free(list->items);
  *list = (zg_list){0};
}

int64_t zg_list_find(const zg_list *list, const char *item) {
  for (int64_t i = 0; i < list->count; i++)
    if (!strcmp(list->items[i], item)) return i;
  return -1;
}

/* Compare the runs of digits at *a and *b as numbers of any length, and step over them.
 */
static int compare_numbers(const char **a, const char **b) {
  while (**a == '0')
    ++*a;
  while (**b == '0')
    ++*b;
  const char *p = *a, *q = *b;
  while (isdigit((unsigned char)**a))
    ++*a;
  while (isdigit((unsigned char)**b))
    ++*b;
  ptrdiff_t m = *a - p, n = *b - q;
  if (m != n) return m < n ? -1 : 1;
  return strncmp(p, q, (size_t)m);
}

int zg_natural_compare(const char *a, const char *b) {
  const char *p = a, *q = b;
  while (*p && *q) {
    if (isdigit((unsigned char)*p) && isdigit((unsigned char)*q)) {
      int order = compare_numbers(&p, &q);
      if (order) return order;
    } else {
      if (*p != *q) return (unsigned char)*p < (unsigned char)*q ? -1 : 1;
      p++, q++;
    }
  }
  if (*p != *q) return *p ? 1 : -1;
  return strcmp(a, b); /* "01" and "1" */
}

/* Bytes of the character that begins here; 0 when none does. */
static int utf8_length(const unsigned char *c) {
  /* The first byte, its range, and the range of the second. */
  static const unsigned char forms[][5] = {
      {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
      {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
      {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
      {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
  if (*c < 0x80) return 1;
  for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
    const unsigned char *f = forms[k];
    if (c[0] < f[0] || c[0] > f[1] || c[1] < f[2] || c[1] > f[3]) continue;
    for (int rest = 2; rest < f[4]; rest++)
      if ((c[rest] & 0xc0) != 0x80) return 0;
    return f[4];
  }
  return 0;
}

bool zg_is_utf8(const char *text) {
  const unsigned char *c = (const unsigned char *)text;
  for (int length; *c; c += length) {
    length = utf8_length(c);
    if (length == 0) return false;
  }
  return true;
}

bool zg_matches(const char *pattern, const char *name) {
  return fnmatch(pattern, name, 0) == 0;
}

bool zg_parse_bytes(const char *text, int64_t *bytes) {
  static const struct {
    const char *unit;
    double bytes;
  } units[] = {{"", 1},         {"B", 1},        {"KB", 1e3},     {"MB", 1e6},
               {"GB", 1e9},     {"TB", 1e12},    {"KiB", 0x1p10}, {"MiB", 0x1p20},
               {"GiB", 0x1p30}, {"TiB", 0x1p40}, {"K", 0x1p10},   {"M", 0x1p20},
               {"G", 0x1p30},   {"T", 0x1p40}};
  char *end;
  double value = strtod(text, &end);
  if (end == text || !(value > 0)) return false;
  while (*end == ' ')
    end++;
  for (size_t k = 0; k < sizeof units / sizeof *units; k++)
    if (!strcmp(end, units[k].unit)) {
      value *= units[k].bytes;
      if (!(value >= 1 && value < 0x1p62)) return false;
      *bytes = (int64_t)value;
      return true;
    }
  return false;
}

bool zg_parse_duration(const char *text, double *seconds) {
  double total = 0;
  for (int fields = 0; fields < 3; fields++) {
    char *end;
    if (!isdigit((unsigned char)*text)) return false;
    double value = strtod(text, &end);
    total = 60 * total + value;
    if (!*end) {
      *seconds = total;
      return true;
    }
    if (*end != ':') return false;
    text = end + 1;
  }
  return false;
}

static char *with_prefix(char *buffer, double value, double step,
                         const char *const *prefixes, const char *unit) {
  int k = 0;
  while (fabs(value) >= 0.9995 * step && k < 5)
    value /= step, k++;
  const char *format = k == 0 || value >= 99.95 ? "%.0f %s%s" : "%.1f %s%s";
  snprintf(buffer, ZG_UNIT_BYTES, format, value, prefixes[k], unit);
  return buffer;
}

char *zg_format_bytes(char *buffer, double bytes) {
  static const char *const binary[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi"};
  return with_prefix(buffer, bytes, 1024, binary, "B");
}

char *zg_format_si(char *buffer, double value, const char *unit) {
  static const char *const decimal[] = {"", "k", "M", "G", "T", "P"};
  return with_prefix(buffer, value, 1000, decimal, unit);
}

char *zg_format_duration(char *buffer, double seconds) {
  if (seconds >= 60) {
    long long s = llround(fmin(seconds, 1e15));
    snprintf(buffer, ZG_UNIT_BYTES, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60,
             s % 60);
  } else if (seconds >= 1) {
    snprintf(buffer, ZG_UNIT_BYTES, seconds < 9.995 ? "%.2f s" : "%.1f s", seconds);
  } else {
    double ms = 1e3 * seconds;
    snprintf(buffer, ZG_UNIT_BYTES, ms < 99.95 ? "%.1f ms" : "%.0f ms", ms);
  }
  return buffer;
}

/* Levenshtein distance, for words of less than 64 characters. */
static int edit_distance(const char *a, const char *b) {
  int row[64];
  int n = (int)strlen(b);
  for (int j = 0; j <= n; j++)
    row[j] = j;
  for (int i = 1; a[i - 1]; i++) {
    int diagonal = row[0];
    row[0] = i;
    for (int j = 1; j <= n; j++) {
      int substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      int shorter = (row[j - 1] < row[j] ? row[j - 1] : row[j]) + 1;
      row[j] = substituted < shorter ? substituted : shorter;
    }
  }
  return row[n];
}

const char *zg_nearest(const char *word, const char *const *known, int64_t count) {
  const char *best = NULL;
  int least = strlen(word) < 5 ? 2 : 3; /* further than that is no misspelling */
  for (int64_t k = 0; k < count; k++) {
    if (strlen(word) >= 64 || strlen(known[k]) >= 64) continue;
    int distance = edit_distance(word, known[k]);
    if (distance < least) least = distance, best = known[k];
  }
  return best;
}

char *zg_directory(const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return zg_strdup(".");
  char *directory = zg_strdup(path);
  directory[slash == path ? 1 : slash - path] = 0;
  return directory;
}

char *zg_path_join(const char *directory, const char *path) {
  if (*path == '/' || !strcmp(directory, ".")) return zg_strdup(path);
  zg_text text = {0};
  zg_text_add(&text, "%s/%s", directory, path);
  return text.data;
}
