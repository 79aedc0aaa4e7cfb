"""What a run opens of MPI, BLACS and HDF5 it also closes, however it ends."""

import os
import re
import sys
import unittest
from pathlib import Path

import yaml

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests/system"))
from zoogram import SystemTestCase, zoogram

SAMPLES = 64


class Handles(SystemTestCase):
    """$ZOOGRAM_HANDLES_LIBRARY (handles.c) counts on the way."""

    def catalogue(self, **keys):
        """Every measure there is, on a part of the bundled zoo."""
        job = yaml.safe_load((SOURCE / "jobs/catalogue.yaml").read_text())
        zoo = [str(SOURCE / "jobs" / name) for name in job["zoo"]]
        select = {"samples": SAMPLES, "models": ["*seed[01]"]}
        return {**job, "zoo": zoo, "output": "results.h5", "select": select, **keys}

    def assert_closes_all(self, job, ranks, codes, *arguments):
        """Run the job; every rank has opened something, and nothing is left."""
        path = self.path / "job.yaml"
        path.write_text(yaml.safe_dump(job, sort_keys=False))
        os.environ.update(LD_PRELOAD=os.environ["ZOOGRAM_HANDLES_LIBRARY"], ZOOGRAM_HANDLES=str(self.path / "open"))
        try:
            finished = zoogram("run", path, *arguments, ranks=ranks)
        finally:
            del os.environ["LD_PRELOAD"]
        self.assertIn(finished.code, codes, finished.report)
        reports = sorted(self.path.glob("open.*"))
        self.assertEqual(len(reports), ranks)
        for report in reports:
            text = report.read_text()
            report.unlink()
            self.assertRegex(text, re.compile(r"^counted [1-9]\d*$"), "still open: name and number")
        return finished

    def test_all_measures(self):
        for ranks, size in ((1, "auto"), (3, "auto"), (2, "all")):
            with self.subTest(ranks=ranks, team_size=size):
                self.assert_closes_all(self.catalogue(team_size=size), ranks, (0, 3))
                (self.path / "results.h5").unlink()

    def test_a_run_that_is_stopped_and_one_that_goes_on(self):
        job = self.catalogue(select={}, measures=[{"measure": "wasserstein", "form": "exact"}], checkpoint=0.01)
        self.assert_closes_all(job, 2, (75,), "--max-time", "0.7")
        self.assert_closes_all(job, 2, (75,), "--max-time", "0.9")

    def test_runs_that_fail(self):
        self.assert_closes_all(self.catalogue(memory_per_rank="1MiB"), 2, (71,))
        job = self.catalogue()
        job["output"] = "no-such-directory/results.h5"
        self.assert_closes_all(job, 2, (73,))
        job["zoo"] = ["job.yaml"]
        self.assert_closes_all(job, 2, (65,))


if __name__ == "__main__":
    unittest.main()
