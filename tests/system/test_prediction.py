"""Predicted times: stated rates, calibration, and that neither changes a plan or a result. No time is asserted."""

import json
import os
import re
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import yaml

from arrays import related
from oracle import Measure
from zoogram import SystemTestCase, environment, zoogram

USAGE, MISSING, CANNOT_CREATE, CANNOT_WRITE, STOPPED, BAD_FILE = 64, 66, 73, 74, 75, 78
FAULTS = os.environ.get("ZOOGRAM_FAULTS", "")  # tests/torture/faults.c; not with sanitizers
PARTS = ("start", "read", "median", "form", "kernel", "reduce", "combine", "write")
STATED = {"form_single": 1e9, "read_total": 1e6, "network": 1e6}


class PredictionTestCase(SystemTestCase):
    """A job, and a cache directory of its own without a machine file."""

    def setUp(self):
        super().setUp()
        self.cache = self.path / "cache"
        patch = mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(self.cache)})
        patch.start()
        self.addCleanup(patch.stop)
        self.layers = related(120, [3, 8, 5])
        self.zoo({"m": self.layers})
        self.job([Measure(), Measure("hsic", "rbf")])

    @property
    def usual(self):
        return self.cache / "zoogram" / "machine.yaml"

    def machine(self, path=None, **rates):
        path = path or self.path / "machine.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(rates), encoding="utf-8")
        return path

    def call(self, *arguments, code=0, ranks=None):
        finished = zoogram(*arguments, ranks=ranks, directory=self.path)
        self.assertEqual(finished.code, code, finished.report)
        self.assertEqual(len(finished.errors), 0 if code == 0 else 1, finished.report)
        return finished

    def plan(self, *arguments, ranks=1):
        return json.loads(self.call("plan", "job.yaml", "--ranks", ranks, "--json", *arguments).out)

    def results(self):
        """Everything of the results file that a prediction must not change."""
        with h5py.File(self.path / "results.h5") as file:
            return str(file.attrs["plan"]), file["cka"][()].tobytes(), file["hsic_kernel_rbf"][()].tobytes()


class Stated(PredictionTestCase):
    def test_without_a_machine_there_is_a_hint(self):
        out = self.call("plan", "job.yaml", "--ranks", 2).out
        self.assertRegex(out, "(?m)^  predicted .*zoogram calibrate")
        self.assertIsNone(self.plan()["predicted"])
        self.assertIn("zoogram calibrate", self.call("run", "job.yaml", ranks=2).out)
        self.assertFalse(self.cache.exists())

    def test_parts_follow_from_the_rates(self):
        """A linear pass on one rank: n (n - 1) / 2 pairs of samples."""
        self.job([Measure()])
        machine = self.machine(**STATED, kernel_linear=1e5, reduce_single=1e6, reduce_double=1e6, form_double=1e9,
                               reduce_entries=1e5, combine=10, write_total=100, header=0.5, start=7)
        predicted = self.plan("--machine", machine)["predicted"]
        layers, width, pairs = 3, 3 + 8 + 5, 120 * 119 / 2
        expected = {"start": 7 + layers * 0.5, "median": 0, "form": 2 * width * pairs / 1e9, "kernel": layers * pairs / 1e5,
                    "reduce": layers ** 2 * pairs / 1e6 + layers * pairs / 1e5, "combine": layers ** 2 / 10,
                    "write": layers ** 2 * 9 / 100}
        for part, seconds in expected.items():
            self.assertAlmostEqual(predicted[part], seconds, delta=1e-9 * max(seconds, 1), msg=part)
        self.assertGreaterEqual(predicted["read"], 120 * width * 8 / 1e6)  # at least once, from the file system
        self.assertAlmostEqual(predicted["total"], sum(predicted[part] for part in PARTS))
        self.assertFalse(predicted["coarse"])

    def test_a_machine_one_does_not_have(self):
        rng = np.random.default_rng(0)
        self.zoo({f"m{k}": {"layer": rng.standard_normal((3000, 64)).astype(np.float32)} for k in range(30)})
        machine = self.machine(form_single=2e11, network=4e8, read_total=5e10, name="large", ranks_per_node=64)
        few, many = (self.plan("--machine", machine, ranks=ranks)["predicted"] for ranks in (1, 1024))
        self.assertGreater(few["form"] / many["form"], 30)
        self.assertLessEqual(many["kernel"], few["kernel"])
        self.assertGreater(many["combine"], 0)
        self.assertEqual(many["machine"], "large")
        out = self.call("plan", "job.yaml", "--ranks", 1024, "--machine", machine).out
        self.assertRegex(out, r"(?m)^  predicted     \S+ m?s on large, 16 nodes: start ")

    def test_other_forms_are_predicted_roughly(self):
        rng = np.random.default_rng(0)
        with h5py.File(self.path / "zoo.h5", "a") as file:
            for model in ("m", "other"):
                file[f"models/{model}/weights/fc"] = rng.standard_normal((20, 30))
        self.job([{"measure": "weight_frobenius"}])
        self.assertFalse(self.plan("--machine", self.machine(**STATED))["predicted"]["coarse"])
        self.job([{"measure": "path_norm"}])
        self.assertTrue(self.plan("--machine", self.machine(**STATED))["predicted"]["coarse"])
        self.assertIn("roughly", self.call("plan", "job.yaml", "--ranks", 1, "--machine", self.machine(**STATED)).out)

    def test_mistakes(self):
        for text, code, words in (
            ("form_singel: 1e9\n", BAD_FILE, ("machine.yaml:1", "form_singel", "form_single")),
            ("form_single: 1e9\nnetwork: 1\nread_total: 0\n", BAD_FILE, ("machine.yaml:3", "read_total", "> 0")),
            ("form_single: 1e9\nnetwork: 1\n", BAD_FILE, ("machine.yaml:1", "read_total", "missing")),
            ("form_single: fast\n", BAD_FILE, ("machine.yaml:1", "flop/s", "fast")),
            ("form_single: [\n", BAD_FILE, ("machine.yaml:2", "not YAML")),
            (None, MISSING, ("machine.yaml", "No such file")),
        ):
            with self.subTest(text=text):
                path = self.path / "machine.yaml"
                path.unlink(missing_ok=True)
                if text is not None:
                    path.write_text(text, encoding="utf-8")
                finished = self.call("plan", "job.yaml", "--ranks", 2, "--machine", "machine.yaml", code=code)
                for word in words:
                    self.assertIn(word, finished.errors[0])
        self.call("plan", "job.yaml", "--ranks", 2, "--machine", ".", code=MISSING)
        self.call("plan", "job.yaml", "--ranks", 2, "--machine", code=USAGE)

    def test_a_usual_file_that_is_broken_stops_nothing(self):
        self.usual.parent.mkdir(parents=True)
        self.usual.write_text("form_singel: 1\n", encoding="utf-8")
        self.assertIn("machine.yaml:1", self.call("plan", "job.yaml", "--ranks", 2).out)
        self.assertIsNone(self.plan()["predicted"])
        finished = self.call("run", "job.yaml", ranks=2)
        self.assertRegex(finished.err, "zoogram: warning: no prediction: .*machine.yaml:1")
        self.assertEqual((finished.out + finished.err).count("machine.yaml:1"), 1, finished.report)
        self.assertNotIn("measured/predicted", finished.out)

    def test_no_effect_on_plan_and_results(self):
        before_plan = self.plan(ranks=2)
        self.call("run", "job.yaml", "--quiet", ranks=2)
        before = self.results()
        self.machine(self.usual, **STATED, form_double=1, kernel_rbf=1e-3)
        after_plan = self.plan(ranks=2)
        self.assertGreater(after_plan.pop("predicted")["total"], 0)
        for key in ("predicted", "memory_limit"):  # the latter is what is free just now
            before_plan.pop(key)
            after_plan.pop(key, None)
        self.assertEqual(after_plan, before_plan)
        finished = self.call("run", "job.yaml", ranks=2)
        self.assertIn("complete already", finished.out)
        (self.path / "results.h5").unlink()
        finished = self.call("run", "job.yaml", ranks=2)
        self.assertEqual(len(re.findall(r"(?m)^  predicted  ", finished.out)), 2, finished.out)
        self.assertRegex(finished.out, r"measured/predicted \d+\.\d\d")
        self.assertEqual(self.results(), before)


class Calibration(PredictionTestCase):
    def test_two_ranks_and_the_usual_file(self):
        with tempfile.TemporaryDirectory(prefix="zg-") as own, mock.patch.dict(os.environ, {"TMPDIR": own}):
            finished = self.call("calibrate", ranks=2)
            self.assertEqual(list(Path(own).glob("zoogram-calibrate-*")), [])
        self.assertEqual(os.listdir(self.usual.parent), ["machine.yaml"])
        self.assertIn(str(self.usual), finished.out)
        rates = yaml.safe_load(self.usual.read_text(encoding="utf-8"))
        self.assertIn("2 ranks", rates.pop("name"))
        self.assertRegex(rates.pop("calibrated"), r"^\d{4}-\d\d-\d\dT")
        self.assertEqual(rates["ranks_per_node"], 2)
        page = zoogram("help", "formats").out
        for key, value in rates.items():
            self.assertGreater(float(value), 0, key)
            self.assertRegex(page, rf"(?m)^  {key}\b")
        self.assertEqual(set(re.findall(r"(?m)^  (\w+) +(?:\w+/)?s  ", page)), set(rates) - {"ranks_per_node"})
        self.assertGreater(self.plan(ranks=2)["predicted"]["total"], 0)
        self.assertRegex(self.call("run", "job.yaml", ranks=2).out, "measured/predicted")
        self.refuse_foreign_files()

    def refuse_foreign_files(self):
        """Rates that somebody has stated are never overwritten."""
        own = self.machine(**STATED)
        text = own.read_text(encoding="utf-8")
        for ranks in (None, 2):
            finished = self.call("calibrate", "machine.yaml", code=CANNOT_CREATE, ranks=ranks)
            self.assertIn("machine.yaml", finished.errors[0])
        self.assertEqual(own.read_text(encoding="utf-8"), text)

    def test_places_that_cannot_be_written(self):
        for place in ("missing/machine.yaml", "job.yaml/machine.yaml", "."):
            finished = self.call("calibrate", place, code=CANNOT_CREATE)
            self.assertIn(place, finished.errors[0])
        self.assertEqual(self.files(), ["job.yaml", "zoo.h5"])

    def test_directories_that_cannot_be_made(self):
        """The one of the data, the one of the usual file, and no place for that at all."""
        elsewhere = {"OMPI_MCA_orte_tmpdir_base": str(self.path)}  # MPI would make a missing one
        for variables, words in (({"TMPDIR": str(self.path / "zoo.h5"), **elsewhere}, "zoo.h5/zoogram-calibrate-"),
                                 ({"XDG_CACHE_HOME": str(self.path / "zoo.h5")}, "zoo.h5/zoogram: cannot be made: Not a directory"),
                                 ({"XDG_CACHE_HOME": "", "HOME": ""}, "no home directory")):
            with self.subTest(variables), mock.patch.dict(os.environ, variables):
                self.assertIn(words, self.call("calibrate", code=CANNOT_CREATE).errors[0])

    @unittest.skipUnless(FAULTS, "ZOOGRAM_FAULTS does not name the library that makes calls fail")
    def test_files_that_cannot_be_written(self):
        """The data and the rates."""
        data, rates = self.path / "data", self.path / "rates"
        data.mkdir(), rates.mkdir()
        for place, fault, code, words in ((data, "kind=open at=2", CANNOT_CREATE, "cannot be made"),
                                          (data, "kind=write at=2", CANNOT_WRITE, "cannot be written"),
                                          (rates, "kind=rename at=1", CANNOT_WRITE, "machine.yaml: cannot be written")):
            variables = {"TMPDIR": str(data), "LD_PRELOAD": FAULTS, "FAULTS": f"{fault} paths={place}/"}
            with self.subTest(fault=fault), mock.patch.dict(os.environ, variables):
                self.assertIn(words, self.call("calibrate", rates / "machine.yaml", code=code).errors[0])
                self.assertEqual([*data.iterdir(), *rates.iterdir()], [])

    def test_a_signal_stops_it(self):
        with mock.patch.dict(os.environ, {"TMPDIR": str(self.path)}):
            process = subprocess.Popen([os.environ["ZOOGRAM"], "calibrate"], env=environment(), stderr=subprocess.PIPE,
                                       stdout=subprocess.DEVNULL, text=True)
            while not list(self.path.glob("zoogram-calibrate-*/*")) and process.poll() is None:
                time.sleep(0.01)
            process.terminate()
            err = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, STOPPED, err)
        self.assertIn("stopped by signal 15", err)
        self.assertEqual(list(self.path.glob("zoogram-calibrate-*")), [])

    def test_operands(self):
        self.call("calibrate", "a", "b", code=USAGE)
        self.assertIn("calibrate [FILE]", self.call("calibrate", "--help").out)


if __name__ == "__main__":
    unittest.main()
