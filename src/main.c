#include "base/crash.h"
#include "cli/cli.h"
#include "cli/environment.h"

int main(int argc, char **argv) {
  zg_crash_watch();
  zg_environment_prepare(argv);
  return zg_crash_leave(zg_cli(argc, argv));
}
