#include "job/document.h"

#include "base/memory.h"
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

struct zg_document {
  char *path;
  yaml_document_t yaml;
};

static int line_of(yaml_mark_t mark) {
  return (int)mark.line + 1;
}

static int line_at(const char *text, size_t offset) {
  int line = 1;
  for (size_t k = 0; k < offset && text[k]; k++)
    line += text[k] == '\n';
  return line;
}

static zg_status not_yaml(const char *path, const char *text,
                          const yaml_parser_t *parser) {
  if (parser->error == YAML_MEMORY_ERROR || !parser->problem)
    zg_abort(ZG_ERR_SYSTEM, "%s: no memory to read it", path);
  /* The reader of characters stops before there are lines. */
  int line = parser->error == YAML_READER_ERROR ? line_at(text, parser->problem_offset)
                                                : line_of(parser->problem_mark);
  const char *context = parser->context ? parser->context : "";
  bool star = strstr(context, "alias") || strstr(parser->problem, "alias");
  return zg_fail(ZG_ERR_JOB, "%s:%d: not YAML: %s%s%s%s", path, line, context,
                 *context ? ", " : "", parser->problem,
                 star ? " (a pattern that starts with * needs quotes)" : "");
}

/* Load the next document of the parser; its root is NULL at the end of the text. */
static zg_status load_next(const char *path, const char *text, yaml_parser_t *parser,
                           yaml_document_t *yaml) {
  return yaml_parser_load(parser, yaml) ? ZG_OK : not_yaml(path, text, parser);
}

static zg_status check_single(const char *path, const char *text,
                              yaml_parser_t *parser) {
  yaml_document_t second;
  ZG_TRY(load_next(path, text, parser, &second));
  yaml_node_t *root = yaml_document_get_root_node(&second);
  int line = line_of(root ? root->start_mark : second.start_mark);
  yaml_document_delete(&second);
  if (!root) return ZG_OK;
  return zg_fail(ZG_ERR_JOB, "%s:%d: a second document starts here: expected only one",
                 path, line);
}

/* A scalar may contain "\0", which would end it unseen. */
static zg_status check_zeros(const char *path, const yaml_document_t *yaml) {
  for (const yaml_node_t *node = yaml->nodes.start; node < yaml->nodes.top; node++)
    if (node->type == YAML_SCALAR_NODE &&
        strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
      return zg_fail(ZG_ERR_JOB, "%s:%d: a zero byte: expected text", path,
                     line_of(node->start_mark));
  return ZG_OK;
}

static zg_status load_only(const char *path, const char *text, yaml_parser_t *parser,
                           yaml_document_t *yaml) {
  ZG_TRY(load_next(path, text, parser, yaml));
  zg_status status = ZG_OK;
  if (!yaml_document_get_root_node(yaml))
    status = zg_fail(ZG_ERR_JOB, "%s:1: the file is empty", path);
  else
    status = check_zeros(path, yaml);
  if (status == ZG_OK) status = check_single(path, text, parser);
  if (status != ZG_OK) yaml_document_delete(yaml);
  return status;
}

static void start_parser(const char *path, const char *text, yaml_parser_t *parser) {
  if (!yaml_parser_initialize(parser))
    zg_abort(ZG_ERR_SYSTEM, "%s: no memory to read it", path);
  yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(parser, (const unsigned char *)text, strlen(text));
}

/* libyaml spends time on every token in proportion to the depth at which it stands, so
 * that a mebibyte of brackets would take hours. What is no YAML is left to the loader.
 */
static zg_status check_depth(const char *path, const char *text) {
  enum { DEEPEST = 64 };
  yaml_parser_t parser;
  yaml_event_t event;
  zg_status status = ZG_OK;
  int depth = 0;
  start_parser(path, text, &parser);
  for (bool end = false; !end && yaml_parser_parse(&parser, &event);) {
    yaml_event_type_t type = event.type;
    depth += type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT;
    depth -= type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT;
    if (depth > DEEPEST)
      status = zg_fail(ZG_ERR_JOB, "%s:%d: lists and mappings are nested too deeply",
                       path, line_of(event.start_mark));
    end = type == YAML_STREAM_END_EVENT || status != ZG_OK;
    yaml_event_delete(&event);
  }
  yaml_parser_delete(&parser);
  return status;
}

zg_status zg_document_load(const char *path, const char *text, zg_document **document) {
  yaml_parser_t parser;
  yaml_document_t yaml;
  *document = NULL;
  ZG_TRY(check_depth(path, text));
  start_parser(path, text, &parser);
  zg_status status = load_only(path, text, &parser, &yaml);
  yaml_parser_delete(&parser);
  if (status != ZG_OK) return status;
  *document = ZG_NEW(zg_document, 1);
  **document = (zg_document){.path = zg_strdup(path), .yaml = yaml};
  return ZG_OK;
}

void zg_document_destroy(zg_document **document) {
  if (!*document) return;
  yaml_document_delete(&(*document)->yaml);
  free((*document)->path);
  free(*document);
  *document = NULL;
}

/* libyaml's accessors take no const pointers, although they change nothing. */
static yaml_document_t *yaml_of(const zg_document *document) {
  return (yaml_document_t *)&document->yaml;
}

const zg_node *zg_document_root(const zg_document *document) {
  return yaml_document_get_root_node(yaml_of(document));
}

zg_status zg_document_fail(const zg_document *document, const zg_node *node,
                           const char *format, ...) {
  char text[ZG_MESSAGE_BYTES];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return zg_fail(ZG_ERR_JOB, "%s:%d: %s", document->path, zg_node_line(node), text);
}

int zg_node_line(const zg_node *node) {
  return line_of(node->start_mark);
}

/* Whether a scalar is one of some words in any mixture of cases that YAML allows. */
static bool is_word(const char *text, const char *const *words) {
  for (; *words; words++)
    if (!strcasecmp(text, *words)) return true;
  return false;
}

static bool is_plain(const zg_node *node) {
  return node->type == YAML_SCALAR_NODE &&
         node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

zg_node_type zg_node_type_of(const zg_node *node) {
  static const char *const nothing[] = {"", "~", "null", NULL};
  if (node->type == YAML_SEQUENCE_NODE) return ZG_NODE_LIST;
  if (node->type == YAML_MAPPING_NODE) return ZG_NODE_MAPPING;
  bool empty = is_plain(node) && is_word(zg_node_scalar(node), nothing);
  return empty ? ZG_NODE_EMPTY : ZG_NODE_SCALAR;
}

int64_t zg_node_count(const zg_node *node) {
  if (node->type == YAML_SEQUENCE_NODE)
    return node->data.sequence.items.top - node->data.sequence.items.start;
  if (node->type == YAML_MAPPING_NODE)
    return node->data.mapping.pairs.top - node->data.mapping.pairs.start;
  return 0;
}

const zg_node *zg_node_item(const zg_document *document, const zg_node *node,
                            int64_t k) {
  int index = node->type == YAML_SEQUENCE_NODE
                  ? node->data.sequence.items.start[k]
                  : node->data.mapping.pairs.start[k].value;
  return yaml_document_get_node(yaml_of(document), index);
}

const zg_node *zg_node_key(const zg_document *document, const zg_node *node,
                           int64_t k) {
  return yaml_document_get_node(yaml_of(document),
                                node->data.mapping.pairs.start[k].key);
}

const char *zg_node_scalar(const zg_node *node) {
  return node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : "";
}

/* Decimal digits, sign, point and exponent only: no hexadecimal, "inf" or "nan". */
static bool parse_number(const char *text, double *value) {
  char *end;
  if (!*text || strspn(text, "+-.0123456789eE") != strlen(text)) return false;
  *value = strtod(text, &end);
  return !*end && isfinite(*value);
}

const char *zg_node_as_text(const zg_node *node) {
  static const char *const booleans[] = {"true", "false", NULL};
  const char *text = zg_node_scalar(node);
  double value;
  if (zg_node_type_of(node) != ZG_NODE_SCALAR || !*text) return NULL;
  if (is_plain(node) && (is_word(text, booleans) || parse_number(text, &value)))
    return NULL;
  return text;
}

bool zg_node_as_number(const zg_node *node, double *value) {
  return is_plain(node) && parse_number(zg_node_scalar(node), value);
}

char *zg_node_describe(const zg_node *node, char buffer[ZG_NODE_WORDS]) {
  static const char *const kinds[] = {
      [ZG_NODE_LIST] = "list", [ZG_NODE_MAPPING] = "mapping"};
  const char *text = zg_node_scalar(node);
  const char *more = strlen(text) > 40 ? "..." : "";
  zg_node_type type = zg_node_type_of(node);
  if (type == ZG_NODE_EMPTY)
    snprintf(buffer, ZG_NODE_WORDS, "nothing");
  else if (type != ZG_NODE_SCALAR)
    snprintf(buffer, ZG_NODE_WORDS, "%s %s", zg_node_count(node) ? "a" : "an empty",
             kinds[type]);
  else if (is_plain(node))
    snprintf(buffer, ZG_NODE_WORDS, "'%.40s%s'", text, more);
  else
    snprintf(buffer, ZG_NODE_WORDS, "the text \"%.40s%s\"", text, more);
  for (char *c = buffer; *c; c++)
    if ((unsigned char)*c < ' ') *c = ' '; /* a message is one line */
  return buffer;
}

/* ", " between the known words, for messages. */
static char *join(const char *const *words, int64_t count) {
  zg_text text = {0};
  for (int64_t k = 0; k < count; k++)
    zg_text_add(&text, "%s%s", k ? ", " : "", words[k]);
  return text.data;
}

zg_status zg_document_unknown(const zg_document *document, const zg_node *node,
                              const char *noun, const char *owner,
                              const char *const *known, int64_t count) {
  char found[ZG_NODE_WORDS];
  const char *nearest = zg_nearest(zg_node_scalar(node), known, count);
  zg_node_describe(node, found);
  if (nearest)
    return zg_document_fail(document, node, "unknown %s %s%s: did you mean '%s'?", noun,
                            found, owner, nearest);
  char *words = join(known, count);
  zg_document_fail(document, node, "unknown %s %s%s: expected one of %s", noun, found,
                   owner, words);
  free(words);
  return ZG_ERR_JOB;
}

zg_status zg_document_find_keys(const zg_document *document, const zg_node *map,
                                const char *noun, const char *owner,
                                const char *const *known, int64_t count,
                                int64_t *place) {
  for (int64_t k = 0; k < count; k++)
    place[k] = -1;
  for (int64_t entry = 0; entry < zg_node_count(map); entry++) {
    const zg_node *node = zg_node_key(document, map, entry);
    int64_t k = 0;
    while (k < count && strcmp(known[k], zg_node_scalar(node)))
      k++;
    if (k == count)
      return zg_document_unknown(document, node, noun, owner, known, count);
    if (place[k] >= 0)
      return zg_document_fail(document, node, "'%s' is set twice: first in line %d",
                              known[k],
                              zg_node_line(zg_node_key(document, map, place[k])));
    place[k] = entry;
  }
  return ZG_OK;
}
