"""scripts/bench: what it reads, works out and writes; the alternatives against definitions; a run of a small case."""

import json
import math
import os
import unittest

import h5py
import numpy as np
from matplotlib.image import imread

from support import FolderCase
import bench_alternatives  # on the path since support
import bench_measure
import bench_plots
import bench_report
import bench_runs
import bench_series
from bench_cases import TABLE, Case
from bench_zoos import layers

LOG = """plan
  route         gram+features, single precision
  predicted     roughly 12.3 s on here: read 0.5 s
  work          99 Tflop, 1.0 MiB to read
time            mean        max         rank
  read          1.0 ms      1.2 ms      1
  Gram tiles    1.5 s       2.5 s       0
  products      0:01:00     0:01:05     1
  work          142 Gflop, 71 Gflop/s per busy rank
  read          2.8 GiB in all
  words         1.23 M read, 450 k sent a rank (model 1.5 M)
  peak memory   28.5 MiB (rank 0), planned 61.2 MiB
done in 0:02:03: /somewhere/results.h5
"""


class Reading(unittest.TestCase):
    def test_everything_in_a_log(self):
        found = bench_runs.read_log(LOG)
        self.assertEqual(found.pop("phases"), {"read": 1.2e-3, "Gram tiles": 2.5, "products": 65})
        expected = {
            "flop": 142e9, "rate": 71e9, "bytes_read": 2.8 * 2**30, "words_read": 1.23e6, "words_sent": 450e3,
            "words_model": 1.5e6, "memory": 28.5 * 2**20, "memory_planned": 61.2 * 2**20, "own_seconds": 123,
        }
        self.assertEqual(found.pop("route"), "gram+features")
        self.assertEqual(set(found), set(expected))
        for name, value in expected.items():
            self.assertTrue(math.isclose(found[name], value), name)

    def test_what_a_log_does_not_say_is_none(self):
        found = bench_runs.read_log("done in 1.5 s: x")
        self.assertEqual(found.pop("phases"), {})
        self.assertEqual(found.pop("own_seconds"), 1.5)
        self.assertEqual(set(found.values()), {None})


class WorkingOut(unittest.TestCase):
    def test_rates_are_those_of_the_fastest_run(self):
        fast = {**bench_runs.read_log(LOG), "route": "gram", "seconds": 100.0, "sgemm": 2e9}
        slow = {**fast, "seconds": 300.0, "sgemm": 1e9}
        found = bench_runs.figures([slow, fast], cores=2, ranks=2, useful_flop=200e9)
        self.assertEqual((found["seconds"], found["median"]), (100, 200))
        self.assertAlmostEqual(found["whole"], 200e9 / 100 / (2 * 2e9))
        self.assertAlmostEqual(found["inside"], 200e9 / (2.5 + 65 + 1.2e-3) / (2 * 2e9))
        self.assertAlmostEqual(found["computing"], 200e9 / (142e9 / 71e9 / 2) / (2 * 2e9))
        self.assertAlmostEqual(found["memory of plan"], 28.5 / 61.2)

    def test_operations_of_gram_matrices_are_not_those_of_another_route(self):
        for route, flop in (("gram", 200e9), ("features", 142e9), ("gram+features", 142e9)):
            run = {**bench_runs.read_log(LOG), "route": route, "seconds": 100.0, "sgemm": 2e9}
            self.assertEqual(bench_runs.figures([run], cores=2, ranks=2, useful_flop=200e9)["flop"], flop, route)

    def test_useful_operations(self):
        zoo = layers(48, 4096, 512)
        case = Case("x", "", zoo, zoo, formations=2)
        self.assertEqual(case.useful_flop(zoo), 4096**2 * (2 * 48 * 512 + 48 * 48 / 2))
        self.assertIsNone(Case("x", "", zoo, zoo).useful_flop(zoo))

    def test_goals_are_reached_missed_or_not_known(self):
        case = Case("x", "", None, None, goals={"whole": (">=", 0.5), "relative": ("<=", 1.1), "inside": (">=", 1)})
        reached = [row["reached"] for row in bench_measure.goals(case, {"whole": 0.5, "relative": 1.2})]
        self.assertEqual(reached, [True, False, None])

    def test_exponent_and_bound(self):
        self.assertAlmostEqual(bench_series.exponent([1, 2, 4], [3, 12, 48]), 2)
        self.assertAlmostEqual(bench_series.words_bound(10, 100, 50, 4), 1.3 * 100 * 50 / 2 + 50)

    def test_a_number_that_is_none_is_the_largest_deviation(self):
        rows = [{}, {"alternatives": [{"skipped": "x"}, {"deviation": {"a": 1e-7, "b": 1e-6}}]}]
        self.assertEqual(bench_measure.largest_deviation(rows), 1e-6)
        rows[1]["alternatives"][1]["deviation"]["a"] = float("nan")
        self.assertEqual(bench_measure.largest_deviation(rows), float("inf"))
        self.assertIsNone(bench_measure.largest_deviation(rows[:1]))


def u_centred(kernel):
    """Székely and Rizzo's U-centred matrix, by its definition."""
    n = len(kernel)
    kernel = kernel - np.diag(np.diag(kernel))
    rows = kernel.sum(1)
    centred = kernel - rows[:, None] / (n - 2) - rows / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    return centred - np.diag(np.diag(centred))


def centred(kernel):
    h = np.eye(len(kernel)) - 1 / len(kernel)
    return h @ kernel @ h


class Alternatives(FolderCase):
    def test_similarities_are_those_of_the_definitions(self):
        zoo = layers(8, 40, 6)
        zoo.write(self.folder / "zoo.h5")
        found, *_ = bench_alternatives.METHODS["pairs"](self.folder / "zoo.h5", None)
        with h5py.File(self.folder / "zoo.h5") as file:
            paths = ["models/{}/activations/{}".format(*name.split("/")) for name in found["names"]]
            data = [file[path][:].astype(float) for path in paths]
        self.assertEqual(len(data), 8)
        for name, centring in (("biased", centred), ("debiased", u_centred)):
            kernels = [centring(x @ x.T) for x in data]
            inner = np.array([[np.sum(k * l) for l in kernels] for k in kernels])
            expected = inner / np.sqrt(np.outer(np.diag(inner), np.diag(inner)))
            np.testing.assert_allclose(found[name], expected, atol=1e-5)


def invented_results():
    """Results of everything, as no machine has them."""
    figures = {"seconds": 2.0, "median": 2.1, "inside_seconds": 1.5, "own_seconds": 1.9, "sgemm": 2e11,
               "computing": 0.9, "inside": 0.8, "whole": 0.7, "memory": 100e6, "memory_planned": 120e6,
               "memory of plan": 0.83, "predicted": 1.7, "measured of predicted": 1.1, "alternatives": []}
    goal = {"figure": "whole", "sense": ">=", "goal": 0.85, "value": 0.7, "reached": False}
    rows = [{"name": case.name, "what": case.what, **figures, "goals": [goal]} for case in TABLE]
    rows[3]["memory of plan"] = 1.2
    rows[1] = {"name": "failed", "what": "", "error": "no such thing"}
    words = [{"ranks": p, "read": 2e6 / p, "sent": 1e5, "model": 2.1e6 / p, "words": 2e6 / p + 1e5,
              "bound": 3e6 / p**0.5, "of bound": 0.7} for p in (1, 4, 16)]
    return {"machine": {"date": "today", "cpu": "x", "cores": 2, "cores_used": 2, "memory_bytes": 2**34},
            "quick": False, "cases": rows, "words": words}


class PageCase(FolderCase):
    def assert_table(self, text):
        """Every line of a table has as many cells as the one above it."""
        lines = text.splitlines()
        tables = [(a, b) for a, b in zip(lines, lines[1:]) if a.startswith("|") and b.startswith("|")]
        self.assertTrue(tables)
        for above, below in tables:
            self.assertEqual(above.count("|"), below.count("|"), below)


class Writing(PageCase):
    def test_page_and_pictures_of_everything(self):
        results = invented_results()
        pictures = bench_plots.write_all(results, self.folder)
        self.assertEqual(pictures, ["speed", "plan", "words"])
        text = bench_report.markdown(results, pictures)
        self.assert_table(text)
        for words in ("failed did not run: no such thing", "(words.png)", "| linear | whole | >= 0.85 | 0.7 | no |",
                      "memory of plan: from 0.77 to 1.00 in 20 of 21 cases; not in rbf (1.20)"):
            self.assertIn(words, text)

    def test_numbers_that_json_lacks_are_null(self):
        path = self.folder / "x.json"
        bench_report.write_json({"a": [float("nan"), 1.5]}, path)
        self.assertEqual(json.loads(path.read_text()), {"a": [None, 1.5]})


class WholeRun(PageCase):
    def setUp(self):
        super().setUp()
        if not os.environ.get("ZOOGRAM"):
            self.skipTest("ZOOGRAM does not name the program")

    def test_small_case_and_series(self):
        run = self.run_script("bench", "--quick", "--program", os.environ["ZOOGRAM"],
                              "--mpirun", os.environ.get("ZOOGRAM_MPIRUN") or "mpirun", "linear", "scaling", "words")
        self.assertEqual(run.returncode, 0, run.stderr)
        out = self.folder / "benchmark"
        results = json.loads((out / "benchmark.json").read_text())
        (row,) = results["cases"]
        for figure in ("seconds", "sgemm", "whole", "inside", "computing", "memory", "reading"):
            self.assertGreater(row[figure], 0, figure)
        self.assertEqual(row["flop"], 512**2 * (8 * 64 + 8 * 8 / 2))
        skipped = {other["method"] for other in row["alternatives"] if "skipped" in other}
        self.assertEqual(skipped, {"streamed", "stacked"})
        self.assertLess(results["largest_deviation"], 1e-5)
        self.assertEqual([series["size"] for series in results["scaling"]], ["N", "n"])
        self.assert_table((out / "benchmark.md").read_text())
        for name in ("speed", "plan", "alternatives", "scaling"):
            self.assertGreater(imread(out / f"{name}.png").std(), 0, name)
        self.assertIn("done in", (out / "logs" / "linear.log").read_text())

    def test_unknown_case_and_missing_program(self):
        for arguments, words in ((("nothing",), "unknown case nothing"),
                                 (("--program", "none"), "--program none: no program there")):
            run = self.run_script("bench", *arguments)
            self.assertEqual(run.returncode, 2, run.stderr)
            self.assertIn(words, run.stderr)


if __name__ == "__main__":
    unittest.main()
