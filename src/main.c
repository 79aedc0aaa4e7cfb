#include "cli/cli.h"
#include "cli/environment.h"

int main(int argc, char **argv) {
  zg_environment_prepare(argv);
  return zg_cli(argc, argv);
}
