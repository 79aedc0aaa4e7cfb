"""The installed program, and the choice of the BLAS library's kernel before anything else."""

import os
import subprocess
import unittest
from pathlib import Path

from zoogram import SystemTestCase, environment, execute, read_results

OLD_BLAS = os.environ.get("ZOOGRAM_OLD_BLAS", "")  # old_blas.c; not with sanitizers


def flags():
    """What this machine's CPU can do."""
    line = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    return set(line.split())


def best_core():
    """The kernel of OpenBLAS 0.3 that the CPU should have, or one that is as good; empty: any will do."""
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags():
        return "SkylakeX|Cooperlake|SapphireRapids"
    return "Haswell|Zen|Excavator" if {"avx2", "fma"} <= flags() else "Sandybridge" if "avx" in flags() else ""


class Install(SystemTestCase):
    def test_program_jobs_and_scripts(self):
        """What cmake --install has put somewhere runs there, on the zoo that came with it."""
        build = Path(os.environ["ZOOGRAM"]).parent
        prefix = self.path / "prefix"
        subprocess.run(["cmake", "--install", build, "--prefix", prefix], check=True, capture_output=True)
        share = prefix / "share/zoogram"
        for name in ("jobs/smoke.sbatch", "jobs/digits.h5", "scripts/zoogram_extract.py", "scripts/plot_results.py"):
            self.assertTrue((share / name).is_file(), name)
        (share / "jobs/results").mkdir()
        finished = execute([prefix / "bin/zoogram", "run", share / "jobs/digits.yaml"])
        self.assertEqual(finished.code, 0, finished.report)
        self.assertEqual(read_results(share / "jobs/results/digits.h5")["cka"].values.shape, (90, 90))


@unittest.skipUnless(OLD_BLAS and best_core(), "needs tests/system/old_blas.c, which sanitizers rule out, and a CPU with AVX")
class Core(SystemTestCase):
    """An OpenBLAS that takes the CPU for an old one is told better before MPI starts; what the user has set stays."""

    def run_job(self, **variables):
        self.zoo({"m": {"a": [[float(i * j % 7) for j in range(3)] for i in range(9)]}})
        settings = {key: value for key, value in environment().items() if key != "OPENBLAS_CORETYPE"}
        words = [f"{key}={value}" for key, value in {**settings, "LD_PRELOAD": OLD_BLAS, **variables}.items()]
        (self.path / "results.h5").unlink(missing_ok=True)
        finished = execute(["env", "-i", *words, os.environ["ZOOGRAM"], "run", self.job()])
        self.assertEqual(finished.code, 0, finished.report)
        return finished

    def test_an_unknown_cpu_is_corrected(self):
        finished = self.run_job()
        self.assertRegex(finished.out, rf"BLAS core +({best_core()}), corrected: the library had not recognised this CPU")
        self.assertEqual(finished.err, "")

    def test_what_the_user_has_set_stays_with_a_warning(self):
        finished = self.run_job(OPENBLAS_CORETYPE="Prescott")
        self.assertRegex(finished.out, r"BLAS core +Prescott\n")
        self.assertRegex(finished.err, r"^zoogram: warning: BLAS uses its kernel for Prescott; OPENBLAS_CORETYPE=\w+ would be faster")

    def test_what_the_user_has_set_well_stays_without_one(self):
        core = best_core().split("|")[0]
        finished = self.run_job(OPENBLAS_CORETYPE=core)
        self.assertRegex(finished.out, rf"BLAS core +{core}\n")
        self.assertEqual(finished.err, "")


if __name__ == "__main__":
    unittest.main()
