"""The command line beside `run` itself: plan, show, list, help, version, options, usage errors."""

import json
import os
import unittest

import h5py
import numpy as np

from arrays import related
from oracle import Measure
from zoogram import SystemTestCase, execute, read_results, text, write_zoo, zoogram

USAGE, DATA, MISSING, CANNOT_WRITE, BAD_JOB = 64, 65, 66, 74, 78
ESCAPE = "\x1b["


class CommandTestCase(SystemTestCase):
    def setUp(self):
        super().setUp()
        layers = list(related(30, [3, 8, 5, 4, 6]).values())
        layers[4] = layers[4].reshape(30, 2, 3).astype(np.float16)
        self.models = {"cnn": {"conv": layers[4], "fc": layers[0]}, "mlp_ä": {"fc1": layers[1], "fc2": layers[2], "fc10": layers[3]}}
        self.zoo(self.models, ids=np.arange(30), labels=np.arange(30) % 3)

    def call(self, *arguments, code=0, ranks=None):
        """Run a command that has to end with this code; what it printed."""
        finished = zoogram(*arguments, ranks=ranks, directory=self.path)
        self.assertEqual(finished.code, code, finished.report)
        self.assertEqual(len(finished.errors), 0 if code == 0 else 1, finished.report)
        return finished

    def json(self, *arguments, code=0):
        return json.loads(self.call(*arguments, "--json", code=code).out)


class Usage(CommandTestCase):
    def test_mistakes(self):
        self.job()
        for arguments, word in (
            ([], "command"),
            (["rnu", "job.yaml"], "run"),
            (["run"], "JOB.yaml"),
            (["run", "job.yaml", "extra.yaml"], "extra.yaml"),
            (["run", "job.yaml", "--quite"], "--quiet"),
            (["run", "job.yaml", "--log"], "--log"),
            (["run", "job.yaml", "--quiet=yes"], "--quiet"),
            (["run", "job.yaml", "--quiet", "--quiet"], "twice"),
            (["run", "job.yaml", "--max-time", "soon"], "--max-time"),
            (["plan", "job.yaml"], "--ranks P is required"),
            (["plan", "job.yaml", "--ranks", "0"], "--ranks"),
            (["plan", "job.yaml", "--ranks", "two"], "--ranks"),
            (["plan", "job.yaml", "--ranks", "2", "--memory-per-rank", "much"], "--memory-per-rank"),
            (["show"], "FILE"),
            (["show", "results.h5", "cka", "--colour", "pink"], "--colour"),
            (["list"], "measures"),
            (["list", "layers"], "measures"),
            (["list", "measures", "cak"], "cka"),
            (["help", "format"], "formats"),
            (["--versoin"], "--versoin"),
        ):
            with self.subTest(arguments=arguments):
                finished = self.call(*arguments, code=USAGE)
                self.assertIn(word, finished.errors[0])
        self.assertEqual(self.files(), ["job.yaml", "zoo.h5"])

    def test_every_rank_leaves_and_one_speaks(self):
        for arguments in (["run"], ["run", "job.yaml", "--quite"], ["rnu"]):
            for ranks in (1, 3):
                with self.subTest(arguments=arguments, ranks=ranks):
                    self.call(*arguments, code=USAGE, ranks=ranks)


    def test_standard_output_that_cannot_be_written(self):
        finished = execute(["sh", "-c", '"$@" > /dev/full', "sh", os.environ["ZOOGRAM"], "list", "measures"])
        self.assertEqual(finished.code, CANNOT_WRITE, finished.report)
        self.assertRegex(finished.errors[0], "standard output: No space left on device")


class Texts(CommandTestCase):
    def test_version(self):
        out = self.call("--version").out
        for word in ("zoogram", "Open MPI", "HDF5", "BLAS", "ScaLAPACK"):
            self.assertIn(word, out)
        self.assertRegex(out, r"\d+\.\d+\.\d+")

    def test_help(self):
        for arguments in (["--help"], ["help"], ["-h"]):
            out = self.call(*arguments).out
            for word in ("run JOB.yaml", "plan JOB.yaml", "show FILE", "list measures", "help", "--version", "--ranks", "--check"):
                self.assertIn(word, out)
        for command in ("run", "plan", "show", "list"):
            self.assertEqual(self.call(command, "--help").out, self.call("help", command).out)

    def test_help_formats(self):
        out = self.call("help", "formats").out
        for word in ("zoogram-zoo", "zoogram-results", "/samples/id", "/models/", "activations", "select", "precision", "storage",
                     "team_size", "estimator", "/status/", "/items/"):
            self.assertIn(word, out)
        for code in (3, 64, 65, 66, 70, 71, 73, 74, 75, 78):
            self.assertRegex(out, rf"\b{code}\b")

    def test_list_measures(self):
        out = self.call("list", "measures").out
        self.assertIn("cka", out)
        self.assertIn("hsic", out)
        one = self.call("list", "measures", "cka").out
        for word in ("kernel", "linear", "rbf", "estimator", "debiased", "biased", "minibatch", "bandwidth", "0.4", "batch", "256",
                     "Kornblith", "Song"):
            self.assertIn(word, one)

    def test_list_measures_json(self):
        catalogue = {m["name"]: m for m in self.json("list", "measures")["measures"]}
        self.assertLessEqual({"cka", "hsic"}, set(catalogue))
        for name in ("cka", "hsic"):
            measure = catalogue[name]
            self.assertEqual((measure["axis"], measure["kind"], measure["symmetric"]), ("item", "similarity", True))
            self.assertTrue(measure["formula"] and measure["reference"])
            options = {o["name"]: o for o in measure["options"]}
            self.assertEqual({k: o["default"] for k, o in options.items()},
                             {"kernel": "linear", "estimator": "debiased", "bandwidth": 0.4, "median": "exact",
                              "batch": 256})
            self.assertEqual(options["estimator"]["choices"], ["debiased", "biased", "minibatch"])
        self.assertEqual([m["name"] for m in self.json("list", "measures", "hsic")["measures"]], ["hsic"])


class Plan(CommandTestCase):
    def test_writes_nothing_and_agrees_with_the_run(self):
        measures = [Measure(), Measure("hsic", "rbf"), Measure(estimator="minibatch", batch=8)]
        for ranks, keys in ((1, {}), (2, {"team_size": "all", "precision": "double"}), (3, {"team_size": 2})):
            with self.subTest(ranks=ranks, **keys):
                (self.path / "results.h5").unlink(missing_ok=True)
                self.job(measures, **keys)
                before = self.files()
                planned = self.json("plan", "job.yaml", "--ranks", ranks)
                self.call("plan", "job.yaml", "--ranks", ranks)
                self.assertEqual(self.files(), before)
                self.call("run", "job.yaml", "--quiet", ranks=ranks)
                with h5py.File(self.path / "results.h5") as results:
                    done = dict(word.split("=", 1) for word in text(results.attrs["plan"]).split())
                for key in ("route", "precision", "ranks", "teams", "team_size", "tile", "panels"):
                    self.assertEqual(done[key], str(planned[key]), key)
                self.assertEqual(planned["items"], 5)
                self.assertEqual(planned["samples"], 30)
                self.assertEqual(planned["features"], 3 + 8 + 5 + 4 + 6)
                self.assertEqual(planned["ranks"], ranks)
                self.assertEqual(planned["teams"] * planned["team_size"] + planned["idle"], ranks)

    def test_text_names_what_matters(self):
        self.job()
        out = self.call("plan", "job.yaml", "--ranks", 2).out
        for word in ("teams", "tile", "memory", "per rank"):
            self.assertIn(word, out)

    def test_too_little_memory_is_said(self):
        random = np.random.default_rng(0)
        self.zoo({"m": {f"l{k}": random.standard_normal((2000, 50)) for k in range(20)}})
        self.job()
        finished = self.call("plan", "job.yaml", "--ranks", 2, "--memory-per-rank", "1MiB", code=71)
        self.assertRegex(finished.errors[0], "memory|rank")

    def test_refuses_what_run_refuses(self):
        (self.path / "job.yaml").write_text("zoo: [zoo.h5]\noutput: results.h5\nmeasures: [{measure: ckaa}]\n")
        self.call("plan", "job.yaml", "--ranks", 2, code=BAD_JOB)
        self.job(zoo=["gone.h5"])
        self.call("plan", "job.yaml", "--ranks", 2, code=MISSING)
        self.zoo({"m": {"a": self.models["cnn"]["fc"], "short": self.models["cnn"]["fc"][:20]}})
        self.job()
        self.call("plan", "job.yaml", "--ranks", 2, code=DATA)


class ShowZoo(CommandTestCase):
    def test_catalogue(self):
        out = self.call("show", "zoo.h5").out
        for word in ("cnn", "mlp_ä", "2 models", "5 layers", "30 x 2 x 3", "float16", "float64"):
            self.assertIn(word, out)

    def test_json(self):
        zoo = self.json("show", "zoo.h5")
        self.assertEqual(zoo["format"], "zoogram-zoo")
        self.assertEqual((zoo["sample_ids"], zoo["sample_labels"]), (30, 30))
        self.assertEqual([m["name"] for m in zoo["models"]], list(self.models))
        self.assertEqual([[layer["name"] for layer in m["layers"]] for m in zoo["models"]], [list(m) for m in self.models.values()])
        conv = zoo["models"][0]["layers"][0]
        self.assertEqual((conv["n"], conv["d"], conv["shape"], conv["dtype"]), (30, 6, [30, 2, 3], "float16"))

    def test_sound_zoo_has_no_faults(self):
        self.assertIn("no faults", self.call("show", "zoo.h5", "--check").out)
        self.assertEqual(self.json("show", "zoo.h5", "--check")["faults"], [])

    def test_every_planted_fault_is_listed(self):
        sound = self.models["cnn"]["fc"]
        nan, infinite = sound.copy(), sound.astype(np.float32)
        nan[29, 2] = np.nan
        infinite[0, 0] = np.inf
        faults = {"layer_a": nan, "layer_b": infinite, "layer_c": np.full((30, 2), 7.5, np.float32), "layer_d": sound[:20],
                  "layer_e": np.array([["a"]] * 30, "S1"), "layer_f": 1.0}
        self.zoo({"m": {"sound": sound, **faults}, "k": {"fine": -sound}}, ids=np.arange(29))
        with h5py.File(self.path / "zoo.h5", "r+") as zoo:
            zoo["models/m/activations/layer_g"] = h5py.SoftLink("/nowhere")
        listed = [f"{fault['where']} {fault['what']}" for fault in self.json("show", "zoo.h5", "--check", code=DATA)["faults"]]
        printed = self.call("show", "zoo.h5", "--check", code=DATA).out
        for name in (*faults, "layer_g", "samples/id"):
            with self.subTest(name):
                self.assertEqual(len([fault for fault in listed if name in fault]), 1, listed)
                self.assertIn(name, printed)
        self.assertEqual(len(listed), len(faults) + 2, listed)

    def test_what_is_no_zoo(self):
        (self.path / "text.h5").write_text("no HDF5")
        self.call("show", "text.h5", code=DATA)
        self.call("show", "text.h5", "--check", code=DATA)
        self.call("show", "gone.h5", code=MISSING)
        with h5py.File(self.path / "other.h5", "w") as file:
            file["x"] = 1
        self.call("show", "other.h5", code=DATA)
        write_zoo(self.path / "future.h5", {"m": {"l": self.models["cnn"]["fc"]}}, attributes={"format": "zoogram-zoo", "version": 2})
        self.assertIn("version", self.call("show", "future.h5", code=DATA).errors[0])


class ShowResults(CommandTestCase):
    def setUp(self):
        super().setUp()
        spoilt = self.models["cnn"]["fc"].copy()
        spoilt[2] = np.nan
        self.models["mlp_ä"]["spoilt"] = spoilt
        self.zoo(self.models)
        self.tensors = self.compute([Measure(), Measure("hsic", "rbf")], code=3)

    def test_list(self):
        out = self.call("show", "results.h5").out
        for word in ("cka", "hsic_kernel_rbf", "6 x 6", "similarity"):
            self.assertIn(word, out)
        listed = self.json("show", "results.h5")
        self.assertEqual(listed["format"], "zoogram-results")
        self.assertTrue(listed["complete"])
        self.assertEqual({t["name"] for t in listed["tensors"]}, set(self.tensors))

    def test_tensor(self):
        out = self.call("show", "results.h5", "cka").out
        self.assertNotIn(ESCAPE, out)
        for name in self.tensors["cka"].rows:
            self.assertIn(name, out)
        self.assertIn("1.0000", out)
        self.assertIn(f"{self.tensors['cka'].at('cnn/fc', 'mlp_ä/fc1'):.4f}", out)

    def test_colours(self):
        self.assertIn(ESCAPE, self.call("show", "results.h5", "cka", "--colour", "always").out)
        self.assertNotIn(ESCAPE, self.call("show", "results.h5", "cka", "--colour", "never").out)

    def test_tensor_json(self):
        for name, expected in self.tensors.items():
            tensor = self.json("show", "results.h5", name)
            self.assertEqual((tensor["rows"], tensor["columns"]), (expected.rows, expected.columns))
            np.testing.assert_array_equal(np.array(tensor["values"], dtype=float), expected.values)
            np.testing.assert_array_equal(tensor["status"], expected.codes)

    def test_unknown_tensor(self):
        finished = self.call("show", "results.h5", "cca", code=DATA)
        self.assertIn("cca", finished.errors[0])
        self.assertIn("hsic_kernel_rbf", finished.errors[0])


    def test_damaged(self):
        """Statuses that are missing, have another shape or cannot be read, and a tensor without names."""

        def without_status(file):
            del file["status/cka"]

        def of_another_shape(file):
            without_status(file)
            file["status/cka"] = np.zeros((2, 6), np.int8)

        def unreadable(file):
            without_status(file)
            file["status"].create_dataset("cka", (6, 6), np.int8, external=[("gone.bin", 0, 36)])

        def without_names(file):
            file["cka"].dims[1].detach_scale(file["item_b"])

        sound = (self.path / "results.h5").read_bytes()
        for spoil, name, words in ((without_status, "cka", "'/status/cka' is missing"),
                                   (of_another_shape, "cka", "'/status/cka' is missing or of another shape"),
                                   (unreadable, "cka", "tensor 'cka' cannot be read"),
                                   (unreadable, None, "'/status/cka' is damaged"),
                                   (without_names, "cka", "tensor 'cka' cannot be read")):
            with self.subTest(spoil=spoil.__name__, name=name):
                (self.path / "results.h5").write_bytes(sound)
                with h5py.File(self.path / "results.h5", "r+") as file:
                    spoil(file)
                finished = self.call("show", "results.h5", *([name] if name else []), code=DATA)
                self.assertIn(words, finished.errors[0])


class RunOptions(CommandTestCase):
    def test_log_says_what_happens(self):
        finished = self.call("run", self.job(), ranks=2)
        for word in ("zoogram", "2 models", "5 layers", "2 ranks", "tile", "memory", "results.h5", "BLAS"):
            self.assertIn(word, finished.out)

    def test_quiet(self):
        for ranks in (None, 2):
            (self.path / "results.h5").unlink(missing_ok=True)
            finished = self.call("run", self.job(), "--quiet", ranks=ranks)
            self.assertEqual(finished.out, "")
            self.assertEqual(len(read_results(self.path / "results.h5")), 1)

    def test_log_file(self):
        finished = self.call("run", self.job(), "--log", "run.log", ranks=2)
        log = (self.path / "run.log").read_text(encoding="utf-8")
        for line in finished.out.splitlines():
            self.assertIn(line, log)
        (self.path / "results.h5").unlink()
        self.call("run", self.job(), "--quiet", "--log", "run.log", ranks=2)
        again = (self.path / "run.log").read_text(encoding="utf-8")
        self.assertTrue(again.startswith(log))
        self.assertGreater(len(again), len(log))

    def test_log_that_cannot_be_made(self):
        for ranks in (None, 3):
            finished = self.call("run", self.job(), "--log", "missing/run.log", code=73, ranks=ranks)
            self.assertIn("missing/run.log", finished.errors[0])
            self.assertFalse((self.path / "results.h5").exists())

    def test_restart_is_accepted(self):
        self.call("run", self.job(), "--restart", ranks=2)
        self.assertEqual(len(read_results(self.path / "results.h5")), 1)


if __name__ == "__main__":
    unittest.main()
