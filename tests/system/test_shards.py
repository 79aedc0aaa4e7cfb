"""Job arrays: shards of a job, run one by one on any ranks, and the merge of what they leave."""

import hashlib
import json
import os
import signal
import subprocess
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np

from arrays import related
from oracle import Measure
from zoogram import SHORT, TIMEOUT, SystemTestCase, environment, execute, read_results, zoogram

USAGE, DATA, MISSING, REFUSED, STOPPED = 64, 65, 66, 73, 75

JOBS = Path(__file__).resolve().parents[2] / "jobs"
# Every form, and everything that a pass may be made of: parameters, groups, orders, costs, no tasks at all.
EVERYTHING = [
    {"name": "linear", "measure": "cka"},
    {"name": "rbf", "measure": "cka", "kernel": "rbf"},
    {"name": "batches", "measure": "hsic", "kernel": "rbf", "estimator": "minibatch", "batch": 25},
    {"name": "ntk", "measure": "ntk_distance", "reduction": "full", "scale": "trace"},
    {"name": "ntk_sketched", "measure": "ntk_alignment", "sketch": 64},
    {"name": "ntk_kept", "measure": "ntk_alignment", "keep_kernel": 1},
    {"name": "weights", "measure": "weight_frobenius"},
    {"name": "cosine", "measure": "cosine"},
    {"name": "output", "measure": "fisher", "form": "output"},
    {"name": "quadratic", "measure": "fisher", "form": "quadratic"},
    {"name": "conflict", "measure": "gradient_conflict"},
    {"name": "attention", "measure": "attention_kl"},
    {"name": "cross_attention", "measure": "cross_attention"},
    {"name": "mmd", "measure": "mmd"},
    {"name": "gaussian", "measure": "wasserstein", "form": "gaussian"},
    {"name": "tsne", "measure": "tsne_error"},
    {"name": "path_norm", "measure": "path_norm"},
    {"name": "isotropy", "measure": "isotropy"},
    {"name": "edit", "measure": "architecture", "form": "edit"},
    {"name": "sharpness", "measure": "sharpness", "form": "quadratic", "radius": [0.1]},
]
MODELS = ["cnn-seed[01]", "cnn-untrained0", "vit-seed0", "mlp-seed[01]", "reader-seed[01]"]


def digest(path):
    """SHA-256 of the contents of all datasets of a file, with their names, types and shapes."""
    total = hashlib.sha256()

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            values = item[()]
            if values.dtype == object:
                values = np.array([s.decode() if isinstance(s, bytes) else s for s in values.ravel()])
            total.update(f"{name} {values.dtype} {values.shape}".encode())
            total.update(np.ascontiguousarray(values).tobytes())

    with h5py.File(path, "r") as file:
        file.visititems(add)
    return total.hexdigest()


class Shards(SystemTestCase):
    def run_job(self, job, *arguments, ranks=2, code=0):
        finished = zoogram("run", job, *arguments, ranks=ranks)
        self.assertEqual(finished.code, code, finished.report)
        return finished

    def part(self, number, count):
        return self.path / f"results.h5.shard-{number}-of-{count}"

    def parts(self, count):
        return [self.part(number, count) for number in range(1, count + 1)]

    def merge(self, *parts, ranks=2, code=0, output="results.h5"):
        finished = zoogram("merge", self.path / output, *parts, ranks=ranks)
        self.assertEqual(finished.code, code, finished.report)
        self.assertEqual(len(finished.errors), 0 if code == 0 else 1, finished.report)
        return finished

    def single(self, job):
        """The digest of the undivided run, which is then forgotten."""
        self.run_job(job)
        expected = digest(self.path / "results.h5")
        (self.path / "results.h5").unlink()
        return expected

    def check(self, job, expected, ranks, merging=2):
        """One shard for each number of ranks."""
        count = len(ranks)
        for number, of_shard in enumerate(ranks, 1):
            self.run_job(job, "--shard", f"{number}/{count}", ranks=of_shard)
            self.assertFalse((self.path / "results.h5").exists())
        self.assertEqual(sorted(self.path.glob("results.h5*")), sorted(self.parts(count)))
        self.merge(*reversed(self.parts(count)), ranks=merging)
        self.assertEqual(digest(self.path / "results.h5"), expected)
        for path in self.path.glob("results.h5*"):
            path.unlink()


class SameBits(Shards):
    def test_every_form(self):
        job = self.job(EVERYTHING, zoo=[str(JOBS / "digits.h5"), str(JOBS / "digits-readers.h5")], team_size=1,
                       select={"models": MODELS, "samples": 70})
        expected = self.single(job)
        self.check(job, expected, (1, 3), merging=4)
        if not SHORT:
            self.check(job, expected, (4, None, 2), merging=None)

    def test_many_samples(self):
        """Products of features; bandwidths from a search over tiles; panels that are shared."""
        layers = related(2300, [5, 9, 12, 3], seed=3)
        layers["outlier"] = layers["layer1"].copy()
        layers["outlier"][13] *= 1e3
        self.zoo({"m": {name: layer.astype(np.float32) for name, layer in layers.items()}})
        job = self.job([Measure(), Measure(kernel="rbf"), Measure(measure="hsic", kernel="rbf", estimator="biased")],
                       team_size=1)
        expected = self.single(job)
        self.check(job, expected, (2, 1, 4, 3), merging=3)
        for number in (1, 2):
            log = self.run_job(job, "--shard", f"{number}/2", ranks=number).out
            self.assertEqual("has the bandwidths of" in log, number == 2)

    def test_shards_that_do_not_see_one_another(self):
        """Each finds its own bandwidths; parts may be moved."""
        self.zoo({"m": {name: layer.astype(np.float32) for name, layer in related(1300, [5, 9, 12]).items()}})
        job = self.job([Measure(kernel="rbf"), {"name": "mmd", "measure": "mmd"}], team_size=1)
        expected = self.single(job)
        (self.path / "elsewhere").mkdir()
        for number, ranks in ((1, 2), (2, 1), (3, 3)):
            log = self.run_job(job, "--shard", f"{number}/3", ranks=ranks).out
            self.assertNotIn("has the bandwidths of", log)
            self.part(number, 3).rename(self.path / f"elsewhere/{number}")
        self.merge(*(self.path / "elsewhere").iterdir())
        self.assertEqual(digest(self.path / "results.h5"), expected)

    def test_more_shards_than_tasks(self):
        self.zoo({"m": related(40, [5, 9])})
        job = self.job([Measure(kernel="rbf"), {"name": "isotropy", "measure": "isotropy"},
                        {"name": "gaussian", "measure": "wasserstein", "form": "gaussian"}])
        self.check(job, self.single(job), (1, 2, 3, 1, 2), merging=1)

    def test_teams_agree_to_rounding(self):
        self.zoo({"m": related(300, [20, 30, 10])})
        job = self.job([Measure(), Measure(kernel="rbf")], team_size=2, precision="double")
        self.run_job(job, ranks=2)
        expected = read_results(self.path / "results.h5")
        (self.path / "results.h5").unlink()
        for number in (1, 2):
            self.run_job(job, "--shard", f"{number}/2", ranks=2 * number)
        self.merge(*self.parts(2), ranks=4)
        for name, tensor in read_results(self.path / "results.h5").items():
            np.testing.assert_allclose(tensor.values, expected[name].values, rtol=1e-11)

    def test_bad_input_is_told_by_the_merge(self):
        layers = related(90, [5, 9])
        layers["layer0"][3, 2] = np.nan
        self.zoo({"m": layers})
        job = self.job([Measure()])
        for number in (1, 2):
            self.run_job(job, "--shard", f"{number}/2")
        finished = zoogram("merge", self.path / "results.h5", *self.parts(2), ranks=2)
        self.assertEqual(finished.code, 3, finished.report)
        self.assertIn("layer0", finished.err)


class Interrupted(Shards):
    def stop(self, job, ranks):
        """Start the second of two shards and have it stop when it has written a checkpoint; what it has said."""
        before = self.segments()
        launcher = os.environ.get("ZOOGRAM_MPIRUN") or "mpirun"
        command = [launcher, "-n", str(ranks), os.environ["ZOOGRAM"], "run", str(job), "--shard", "2/2"]
        settings = environment()
        settings.pop("OMPI_MCA_orte_abort_on_non_zero_status")  # mpirun's own code counts here
        process = subprocess.Popen(command, env=settings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True)
        while process.poll() is None and not self.segments() - before:
            time.sleep(0.01)
        process.send_signal(signal.SIGUSR1)  # which mpirun forwards
        return process, *process.communicate(timeout=TIMEOUT)

    def segments(self):
        return set(self.path.glob("results.h5.shard-2-of-2.state/pass*[0-9]"))

    def test_interrupted_shard_goes_on(self):
        samples, count = (2400, 16) if SHORT else (10_000, 32)
        layers = related(samples, [48] * count, seed=3)
        self.zoo({"m": {name: layer.astype(np.float32) for name, layer in layers.items()}})
        job = self.job([Measure(kernel="rbf"), Measure(estimator="minibatch")], checkpoint=0.05, team_size=1)
        expected = self.single(job)
        stops, log = 0, ""
        for ranks in (1, 2, 3, 1):
            process, out, err = self.stop(job, ranks)
            log += out
            if process.returncode in (0, -signal.SIGUSR1):  # it had ended, or was about to
                break
            self.assertEqual(process.returncode, STOPPED, err)
            self.assertIn("shard-2-of-2: stopped by signal 10", err)
            self.assertFalse(self.part(2, 2).exists())
            stops += 1
        log += self.run_job(job, "--shard", "2/2").out
        self.assertGreater(stops, 0)
        self.assertRegex(log, r"pass \d resumes: [1-9]\d* tiles of the shard are done")
        self.run_job(job, "--shard", "1/2", ranks=3)
        self.merge(*self.parts(2))
        self.assertEqual(digest(self.path / "results.h5"), expected)
        self.assertEqual(self.files(), ["job.yaml", "results.h5", "results.h5.shard-1-of-2",
                                        "results.h5.shard-2-of-2", "zoo.h5"])


class Shown(Shards):
    """What `zoogram show` says of parts."""

    def setUp(self):
        super().setUp()
        self.zoo({"m": related(60, [5, 9])})
        self.the_job = self.job([Measure(kernel="rbf", bandwidth=0.5), {"name": "mine", "measure": "cosine"}])
        for number in (1, 3):
            self.run_job(self.the_job, "--shard", f"{number}/3", ranks=None)

    def show(self, *arguments, code=0, directory=None):
        finished = zoogram("show", *arguments, directory=directory)
        self.assertEqual(finished.code, code, finished.report)
        return finished

    def test_what_it_is(self):
        said = self.show(self.part(3, 3)).out
        for words in ("shard 3 of 3, complete", str(self.the_job), "parts of 2 of 3 shards; missing 2\n",
                      "written    by zoogram"):
            self.assertIn(words, said)
        rows = [" ".join(line.split()) for line in said.splitlines()]
        self.assertIn("mine cosine distance item pairing=flattened", rows)
        self.assertIn("cka_kernel_rbf_bandwidth_0.5 cka similarity item kernel=rbf estimator=debiased bandwidth=0.5 "
                      "median=exact", rows)
        self.run_job(self.the_job, "--shard", "2/3")
        self.assertIn("the parts of all 3 shards: ready for zoogram merge", self.show(self.part(3, 3)).out)

    def test_json(self):
        shown = json.loads(self.show(self.part(1, 3), "--json").out)
        self.assertEqual((shown["format"], shown["complete"], shown["shard"], shown["shards"], shown["missing"]),
                         ("zoogram-part", True, 1, 3, [2]))
        self.assertEqual(shown["job"], self.the_job.read_text())
        self.assertEqual([t["name"] for t in shown["tensors"]], ["cka_kernel_rbf_bandwidth_0.5", "mine"])
        self.assertEqual(shown["tensors"][0]["options"],
                         {"kernel": "rbf", "estimator": "debiased", "bandwidth": 0.5, "median": "exact"})

    def test_under_another_name(self):
        """The others cannot be looked for then, however short the name is."""
        os.rename(self.part(1, 3), self.path / "p")
        self.assertNotIn("beside it", self.show("p", directory=self.path).out)
        self.assertIsNone(json.loads(self.show(self.path / "p", "--json").out)["missing"])

    def test_what_cannot_be_shown(self):
        one, two = self.part(1, 3), self.part(2, 3)
        self.assertIn("merge all parts", self.show(one, "mine", code=DATA).errors[0])
        one.write_bytes(one.read_bytes()[:-9])
        self.assertIn("is damaged", self.show(one, code=DATA).errors[0])
        (self.path / f"{two.name}.state").mkdir()
        self.assertIn("is not finished", self.show(two, code=MISSING).errors[0])
        (self.path / f"{two.name}.state").rmdir()
        self.assertIn("No such file", self.show(two, code=MISSING).errors[0])


class Mistakes(Shards):
    def setUp(self):
        super().setUp()
        self.zoo({"m": related(60, [5, 9])})
        self.the_job = self.job([Measure()])
        for number in (1, 2):
            self.run_job(self.the_job, "--shard", f"{number}/2", ranks=None)

    def refuse(self, words, code, *parts):
        finished = self.merge(*parts, ranks=2, code=code)
        for word in words:
            self.assertIn(word, finished.errors[0])
        self.assertFalse((self.path / "results.h5").exists())

    def test_parts_that_do_not_go_together(self):
        one, two = self.parts(2)
        self.refuse(["shard 2/2 is missing", "job.yaml"], MISSING, one)
        self.refuse([str(one), "is the part of shard 1/2, as is", str(one)], DATA, one, two, one)
        self.refuse(["shard-3-of-3", "No such file"], MISSING, one, self.part(3, 3))
        self.refuse(["zoo.h5", "is not a part"], DATA, one, self.path / "zoo.h5")
        self.run_job(self.the_job, "--shard", "3/3")
        self.refuse(["shard-3-of-3", "another number of shards"], DATA, one, self.part(3, 3))
        self.job([Measure()], name="other.yaml", output="other.h5", precision="double")
        self.run_job(self.path / "other.yaml", "--shard", "2/2")
        self.refuse(["other.h5.shard-2-of-2", "of another job"], DATA, one, self.path / "other.h5.shard-2-of-2")

    def test_unfinished_and_damaged_parts(self):
        one, two = self.parts(2)
        data = two.read_bytes()
        two.write_bytes(data[:-5])
        self.refuse([str(two), "is damaged"], DATA, one, two)
        two.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
        self.refuse([str(two), "is damaged"], DATA, one, two)
        two.rename(f"{two}.state")
        self.refuse([str(two), "is not finished"], MISSING, one, two)

    def test_parts_of_another_version(self):
        two = self.part(2, 2)
        data = two.read_bytes()
        two.write_bytes(data[:6] + b"9" + data[7:])
        self.refuse([str(two), "another version"], DATA, *self.parts(2))

    def test_parts_of_another_plan(self):
        self.job([Measure()], team_size=2, name="job.yaml")
        self.part(2, 2).unlink()
        self.run_job(self.the_job, "--shard", "2/2", ranks=2)
        self.refuse([str(self.part(2, 2)), "another plan"], DATA, *self.parts(2))

    def test_the_zoo_has_to_be_there_and_the_same(self):
        zoo = self.path / "zoo.h5"
        zoo.rename(self.path / "moved.h5")
        self.refuse(["zoo.h5"], MISSING, *self.parts(2))
        self.zoo({"m": related(60, [5, 9], seed=8)})
        self.refuse(["shard-1-of-2", "other inputs"], DATA, *self.parts(2))

    def test_outputs_that_are_there(self):
        again = self.run_job(self.the_job, "--shard", "1/2")
        self.assertIn("shard-1-of-2 is complete already", again.out)
        self.merge(*self.parts(2))
        before = (self.path / "results.h5").read_bytes()
        self.assertIn("results.h5 is complete already", self.merge(*self.parts(2)).out)
        self.assertIn("results.h5 is complete already", self.run_job(self.the_job, "--shard", "2/2").out)
        self.assertIn("results.h5 is complete already", self.run_job(self.the_job).out)
        self.assertEqual((self.path / "results.h5").read_bytes(), before)
        self.job([Measure(measure="hsic")])
        self.run_job(self.the_job, "--shard", "1/2", code=REFUSED)
        (self.path / "results.h5").unlink()
        refused = self.run_job(self.the_job, "--shard", "1/2", code=REFUSED)
        self.assertIn("shard-1-of-2: is a part of another job", refused.err)
        self.run_job(self.the_job)
        merged = self.merge(*self.parts(2), code=REFUSED)
        self.assertIn("holds the results of another job", merged.err)

    def test_what_lies_beside_the_output_is_left_alone(self):
        notes = self.path / "results.h5.state" / "pass0-notes"
        notes.parent.mkdir()
        notes.write_text("of something else")
        merged = self.merge(*self.parts(2))
        self.assertIn("results.h5.state: holds something else", merged.out + merged.err)
        self.assertIn("is complete already", self.merge(*self.parts(2)).out)
        self.assertEqual(notes.read_text(), "of something else")

    def test_something_else_has_the_name_of_a_part(self):
        self.part(1, 2).write_text("no part")
        refused = self.run_job(self.the_job, "--shard", "1/2", code=REFUSED)
        self.assertIn("shard-1-of-2: exists and is no part, or damaged", refused.errors[0])
        self.assertEqual(self.part(1, 2).read_text(), "no part")

    def test_the_output_may_have_any_name_and_the_job_file_be_gone(self):
        os.rename(self.the_job, self.path / "gone.yaml")
        self.merge(*self.parts(2), output="elsewhere.h5")
        with h5py.File(self.path / "elsewhere.h5") as file:
            self.assertIn("merge of 2 shards of", file.attrs["history"])
            self.assertEqual(file.attrs["complete"], 1)

    def test_command_line(self):
        for text in ("", "1", "0/2", "3/2", "1/2/3", "one/two"):
            with self.subTest(shard=text):
                finished = self.run_job(self.the_job, "--shard", text, code=USAGE)
                self.assertIn("expected K/N", finished.errors[0])
        for arguments in (["merge"], ["merge", "results.h5"], ["merge", "--restart", "a", "b"]):
            with self.subTest(arguments=arguments):
                finished = execute([environment()["ZOOGRAM"], *arguments])
                self.assertEqual(finished.code, USAGE, finished.report)

    def test_a_shard_that_runs_owns_its_part(self):
        """Of two runs of a shard one waits for the other, and finds the part complete."""
        self.part(2, 2).unlink()
        with ThreadPoolExecutor() as pool:
            both = [pool.submit(self.run_job, self.the_job, "--shard", "2/2") for _ in range(2)]
            outs = [run.result().out for run in both]
        self.assertEqual(sorted(("done in" in out, "is complete already" in out) for out in outs),
                         [(False, True), (True, False)], outs)
        self.assertFalse((self.path / "results.h5.shard-2-of-2.lock").exists())


if __name__ == "__main__":
    unittest.main()
