#include "cli/output.h"

#include "base/memory.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

/* Length in bytes and width in columns of the character at `text`. */
static int next_character(const char *text, int *width) {
  wchar_t character;
  mbstate_t state = {0};
  size_t length = mbrtowc(&character, text, strlen(text), &state);
  bool valid = length > 0 && length <= 4;
  *width = valid ? wcwidth(character) : 1;
  if (*width < 0) *width = 1;
  return valid ? (int)length : 1;
}

int zg_display_width(const char *text) {
  int total = 0;
  for (int width; *text; total += width)
    text += next_character(text, &width);
  return total;
}

static void print_character(const char *text, int length) {
  bool control = (unsigned char)*text < ' ' || *text == 0x7f;
  printf("%.*s", length, control ? "?" : text);
}

void zg_print_field(const char *text, int width) {
  bool cut = zg_display_width(text) > width;
  int room = cut ? width - 1 : width;
  for (int taken; *text; room -= taken) {
    int length = next_character(text, &taken);
    if (taken > room) break;
    print_character(text, length);
    text += length;
  }
  printf("%s%*s", cut ? "…" : "", room, "");
}

void zg_print_wrapped(const char *text, int indent) {
  int room = zg_terminal_columns() - indent, column = 0;
  while (*text) {
    int length = (int)strcspn(text, " \n");
    if (column && column + 1 + length > room) {
      printf("\n%*s", indent, "");
      column = 0;
    }
    printf("%s%.*s", column ? " " : "", length, text);
    column += length + (column > 0);
    text += length;
    text += strspn(text, " \n");
  }
  printf("\n");
}

void zg_table_add(zg_table *table, const char *format, ...) {
  char cell[ZG_MESSAGE_BYTES];
  va_list args;
  va_start(args, format);
  vsnprintf(cell, sizeof cell, format, args);
  va_end(args);
  zg_list_add(&table->cells, cell);
}

void zg_table_add_row(zg_table *table, const char *const *cells) {
  for (; *cells; cells++)
    zg_list_add(&table->cells, *cells);
}

static int column_width(const zg_table *table, int64_t column, int64_t columns) {
  int width = 0;
  for (int64_t k = column; k < table->cells.count; k += columns)
    width = (int)zg_max(width, zg_display_width(table->cells.items[k]));
  return width;
}

enum { GAP = 2 };

int zg_table_width(const zg_table *table) {
  int64_t columns = (int64_t)strlen(table->align);
  int width = (int)(columns - 1) * GAP;
  for (int64_t column = 0; column < columns; column++)
    width += column_width(table, column, columns);
  return width;
}

static void print_cell(const char *text, char align, int width, bool last) {
  int own = zg_display_width(text);
  if (align == 'r') printf("%*s", width - own, "");
  zg_print_field(text, align == 'r' || last ? own : width);
}

void zg_table_print(zg_table *table, int indent) {
  int64_t columns = (int64_t)strlen(table->align);
  int *widths = ZG_NEW(int, columns);
  for (int64_t column = 0; column < columns; column++)
    widths[column] = column_width(table, column, columns);
  for (int64_t k = 0; k < table->cells.count; k++) {
    int64_t column = k % columns;
    bool last = column == columns - 1;
    const char *cell = table->cells.items[k];
    if (!last || *cell) {
      printf("%*s", column ? GAP : indent, "");
      print_cell(cell, table->align[column], widths[column], last);
    }
    if (last) printf("\n");
  }
  free(widths);
  zg_list_clear(&table->cells);
}

int zg_terminal_columns(void) {
  const char *columns = getenv("COLUMNS");
  long width = columns ? strtol(columns, NULL, 10) : 0;
  struct winsize window;
  if (width <= 0 && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &window)) width = window.ws_col;
  enum { USUAL = 80, LEAST = 40, MOST = 1000 };
  return width <= 0 ? USUAL : (int)zg_min(zg_max(width, LEAST), MOST);
}

static bool is_set(const char *variable) {
  const char *value = getenv(variable);
  return value && *value;
}

static bool is_colourful(void) {
  const char *terminal = getenv("TERM");
  return isatty(STDOUT_FILENO) && !is_set("NO_COLOR") && terminal &&
         strcmp(terminal, "dumb");
}

zg_status zg_terminal_colours(const char *choice, zg_colours *colours) {
  const char *depth = getenv("COLORTERM");
  bool automatic = !choice || !strcmp(choice, "auto");
  bool always = choice && !strcmp(choice, "always");
  if (!automatic && !always && strcmp(choice, "never"))
    return zg_fail(ZG_ERR_USAGE, "--colour: expected always, never or auto, found '%s'",
                   choice);
  *colours = ZG_COLOURS_NONE;
  if (always || (automatic && is_colourful()))
    *colours = depth && (!strcmp(depth, "truecolor") || !strcmp(depth, "24bit"))
                   ? ZG_COLOURS_TRUE
                   : ZG_COLOURS_256;
  return ZG_OK;
}

json_t *zg_json_text(const char *text) {
  json_t *json = json_string(text);
  if (json) return json;
  char *copy = zg_strdup(text);
  for (char *c = copy; *c; c++)
    if ((unsigned char)*c >= 0x80) *c = '?';
  json = json_string(copy);
  free(copy);
  return json;
}

json_t *zg_json_number(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

json_t *zg_json_value(const char *text) {
  char *end;
  double number = strtod(text, &end);
  return *text && !*end ? zg_json_number(number) : zg_json_text(text);
}

json_t *zg_json_list(const zg_list *list) {
  json_t *json = json_array();
  for (int64_t k = 0; k < list->count; k++)
    json_array_append_new(json, zg_json_text(list->items[k]));
  return json;
}

void zg_json_print(json_t *root) {
  json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
  printf("\n");
  json_decref(root);
}
