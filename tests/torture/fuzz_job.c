/** \file
 * Any text as a job file: parsed, and described by a digest where it is one. */
#include "base/memory.h"
#include "fuzz.h"
#include "job/job.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = ZG_NEW(char, (int64_t)size + 1), digest[ZG_DIGEST_BYTES];
  zg_job *job;
  memcpy(text, data, size);
  text[size] = 0;
  if (zg_job_parse("jobs/fuzz.yaml", text, &job) == ZG_OK) zg_job_digest(job, digest);
  zg_job_destroy(&job);
  free(text);
  return 0;
}
