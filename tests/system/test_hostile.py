"""Files that are damaged or made to harm: each costs its own models, or ends in one clear error, within seconds and in
bounded memory, and the rest of the zoo gets the right numbers."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

import h5py
import numpy as np

from arrays import related
from networks import Network, Stored
from oracle import Measure
from zoogram import SHORT, SystemTestCase, children, environment, read_results, write_zoo, zoogram

DATA, SYSTEM, REFUSED, STOPPED, BAD_JOB, PARTIAL = 65, 71, 73, 75, 78, 3
LIMIT = 100 if SHORT else 30  # seconds; ten where nothing else runs
MUTATE = Path(__file__).resolve().parents[2] / "scripts" / "torture" / "mutate"
SAMPLES = 20


class HostileTestCase(SystemTestCase):
    def setUp(self):
        super().setUp()
        self.layers = related(SAMPLES, [3, 5])
        self.zoo({"sound": self.layers})

    def hostile(self, add, name="hostile.h5"):
        """A zoo of one model named like the file, whose group of activations `add` is given, with a sound layer in it."""
        model = Path(name).stem
        path = self.zoo({model: {"sound": self.layers["layer0"]}}, name=name)
        with h5py.File(path, "r+") as file:
            add(file[f"models/{model}/activations"])
        return path

    def call(self, *arguments, **keywords):
        begin = time.monotonic()
        finished = zoogram(*arguments, directory=self.path, **keywords)
        self.assertLess(time.monotonic() - begin, LIMIT, arguments)
        return finished


def unwritten(*shape):
    return lambda group: group.create_dataset("bad", shape=shape, chunks=(SAMPLES,) + (1,) * (len(shape) - 1), dtype="f4")


def link(entry):
    def add(group):
        group["bad"] = entry
    return add


def cycle(group):
    group["bad"] = group.file["models"]


def virtual(shape, *sources):
    """A virtual dataset whose parts, of 20 x 3, come from these (file, dataset)."""
    def add(group):
        layout = h5py.VirtualLayout(shape, "f8")
        for k, (file, name) in enumerate(sources):
            layout[:SAMPLES, 3 * k:3 * k + 3] = h5py.VirtualSource(file, name, (SAMPLES, 3))
        group.create_virtual_dataset("bad", layout)
    return add


SOUND = ("zoo.h5", "/models/sound/activations/layer0")


class Refused(HostileTestCase):
    """What HDF5 reads as it stands and makes no sense is an error that names it, whatever else is in the zoo."""

    CASES = {
        "many samples": (unwritten(1 << 60, 2), "too many"),
        "many numbers": (unwritten(1 << 30, 1 << 28), "not written, or damaged"),
        "few million numbers": (unwritten(SAMPLES, 1 << 20), "not written, or damaged"),
        "many axes": (unwritten(SAMPLES, 1 << 40, 1 << 40), "shape is too large"),
        "contiguous": (lambda group: group.create_dataset("bad", shape=(1 << 30, 1 << 20), dtype="f8"), "not written"),
        "unmapped": (virtual((1 << 30, 1 << 20), SOUND), "not written"),
        "soft loop": (link(h5py.SoftLink("bad")), "cannot be opened"),
        "external loop": (link(h5py.ExternalLink("hostile.h5", "/models/hostile/activations/bad")), "cannot be opened"),
        "device": (link(h5py.ExternalLink("/dev/zero", "/x")), "cannot be opened"),
        "cycle": (cycle, "not a dataset"),
    }

    def test_shapes_and_links(self):
        self.job(zoo=["zoo.h5", "hostile.h5"])
        for name, (add, words) in self.CASES.items():
            with self.subTest(name):
                self.hostile(add)
                for arguments in (("run", "job.yaml"), ("plan", "job.yaml", "--ranks", 4), ("show", "hostile.h5")):
                    finished = self.call(*arguments)
                    self.assertEqual(finished.code, DATA, finished.report)
                    self.assertEqual(len(finished.errors), 1, finished.report)
                    self.assertRegex(finished.errors[0], f"hostile.h5: .*bad.*{words}")
                finished = self.call("show", "hostile.h5", "--check")
                self.assertEqual(finished.code, DATA, finished.report)
                self.assertRegex(finished.out, f"'bad': .*{words}")

    def test_names_that_are_not_utf8(self):
        """Results could not say them."""
        self.job(zoo=["zoo.h5", "hostile.h5"])
        for place in ("models/hostile/activations", "models"):
            self.hostile(lambda group, place=place: group.file[place].create_dataset(b"name\xff", data=self.layers["layer0"]))
            finished = self.call("run", "job.yaml")
            self.assertEqual((finished.code, len(finished.errors)), (DATA, 1), finished.report)
            self.assertRegex(finished.errors[0], "hostile.h5: .*not UTF-8")

    def test_no_regular_file(self):
        os.mkfifo(self.path / "pipe.h5")
        for path in ("pipe.h5", "/dev/zero", "."):
            with self.subTest(path):
                self.job(zoo=["zoo.h5", path])
                for arguments in (("run", "job.yaml"), ("plan", "job.yaml", "--ranks", 1), ("show", path), ("show", path, "--check")):
                    finished = self.call(*arguments)
                    self.assertEqual(finished.code, DATA, finished.report)
                    self.assertIn("no regular file", finished.errors[0])

    def test_an_attribute_of_megabytes_is_no_format(self):
        with h5py.File(self.path / "hostile.h5", "w", libver="latest") as file:
            file.attrs.create("format", np.array(b"z" * (5 << 20)))
        self.job(zoo=["zoo.h5", "hostile.h5"])
        finished = self.call("run", "job.yaml")
        self.assertEqual((finished.code, len(finished.errors)), (DATA, 1), finished.report)
        self.assertLess(len(finished.errors[0]), 300)

    def test_twenty_thousand_links_to_one_layer(self):
        def add(group):
            for k in range(20_000):
                group[f"k{k}"] = h5py.SoftLink("sound")
        self.hostile(add)
        self.assertEqual(self.call("show", "hostile.h5").code, 0)
        self.job(zoo=["hostile.h5"], memory_per_rank="64MiB", measures=[Measure()])
        finished = self.call("run", "job.yaml")
        self.assertEqual((finished.code, len(finished.errors)), (SYSTEM, 1), finished.report)


class Outputs(HostileTestCase):
    def test_results_that_wait_for_ever(self):
        """What has the output's name is tried as well before it is read in the run."""
        os.mkfifo(self.path / "pipe")
        output = self.path / "results.h5"
        with h5py.File(output, "w") as file:
            file.attrs["format"] = "zoogram-results"
            file["bad"] = h5py.ExternalLink("pipe", "/x")
        before = output.read_bytes()
        self.job()
        for ranks in (None, 2):
            finished = self.call("run", "job.yaml", ranks=ranks)
            self.assertEqual((finished.code, len(finished.errors)), (REFUSED, 1), finished.report)
            self.assertIn("results.h5: exists, and reading it was stuck", finished.errors[0])
        self.assertEqual(output.read_bytes(), before)


    def test_results_whose_root_is_gone(self):
        output = self.path / "results.h5"
        with h5py.File(output, "w") as file:
            file.attrs.update({"format": "zoogram-results", "version": 1, "complete": 1})
            file["cka"] = np.eye(2)
        output.write_bytes(output.read_bytes().replace(b"TREE", b"none"))
        finished = self.call("show", "results.h5")
        self.assertEqual((finished.code, len(finished.errors)), (DATA, 1), finished.report)
        self.assertIn("results.h5: its root cannot be listed: damaged", finished.errors[0])


class Meanwhile(HostileTestCase):
    """Files are tried in a child while MPI starts, and whatever becomes of the run, nothing is left of the child."""

    def setUp(self):
        super().setUp()
        os.mkfifo(self.path / "pipe")
        self.hostile(link(h5py.ExternalLink("pipe", "/x")))
        self.job(zoo=["zoo.h5", "hostile.h5"])

    @contextlib.contextmanager
    def trying(self, *before, **settings):
        """A run whose child waits for the pipe; `before` is what starts it. At the end nothing may be left of the child."""
        process = subprocess.Popen([*before, os.environ["ZOOGRAM"], "run", "job.yaml"], cwd=self.path, text=True,
                                   env={**environment(), **settings}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.child = self.until(lambda: [child for child in children(process.pid) if any(children(child))])[0]
        tried = [*children(self.child)]
        yield process
        self.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in [self.child, *tried]), seconds=5)
        self.assertFalse((self.path / "results.h5").exists())

    def until(self, condition, seconds=LIMIT):
        """What the condition gives once it holds, or in the end."""
        end = time.monotonic() + seconds
        while not (holds := condition()) and time.monotonic() < end:
            time.sleep(0.01)
        self.assertTrue(holds)
        return holds

    def test_the_log_begins_before_all_files_are_tried(self):
        with self.trying() as process:
            self.assertIn("zoogram", process.stdout.readline())
            self.assertTrue(any(children(self.child)))
            process.kill()
            process.communicate()

    def test_a_request_to_stop(self):
        with self.trying() as process:
            process.terminate()
            _, err = process.communicate(timeout=LIMIT)
            self.assertEqual(process.returncode, STOPPED, err)
            self.assertIn("stopped by signal 15", err)

    def test_mpi_that_cannot_be_started(self):
        with self.trying(OMPI_MCA_pml="none_of_these") as process:
            _, err = process.communicate(timeout=LIMIT)
            self.assertEqual(process.returncode, 1, err)  # which is Open MPI's

    def test_a_child_that_is_killed(self):
        """Also where a shell has had the ends of children ignored, which then could not be waited for."""
        with self.trying("env", "--ignore-signal=CHLD") as process:
            os.kill(self.child, signal.SIGKILL)
            _, err = process.communicate(timeout=LIMIT)
            self.assertEqual((process.returncode, err.count("error:")), (SYSTEM, 1), err)
            self.assertIn("job.yaml: reading its zoo: a child process was ended by signal 9", err)


class LeftOut(HostileTestCase):
    """What HDF5 does not survive is left out and named, and the rest is computed."""

    def setUp(self):
        super().setUp()
        os.mkfifo(self.path / "pipe")

    STUCK = {
        "link.h5": link(h5py.ExternalLink("pipe", "/x")),
        "virtual.h5": virtual((SAMPLES, 6), SOUND, ("pipe", "/x")),
        "raw.h5": lambda group: group.create_dataset("bad", shape=(SAMPLES, 4), dtype="f8", external=[("pipe", 0, SAMPLES * 32)]),
    }

    def stuck(self):
        for name, add in self.STUCK.items():
            self.hostile(add, name)
        return sorted(self.STUCK)

    def test_files_that_wait_for_ever(self):
        names = self.stuck()
        expected = self.compute([Measure()], ranks=1)["cka"]
        for ranks in (None, 3):
            with self.subTest(ranks=ranks):
                (self.path / "results.h5").unlink(missing_ok=True)
                self.job([Measure()], zoo=[names[0], "zoo.h5", *names[1:]])
                finished = self.call("run", "job.yaml", ranks=ranks)
                self.assertEqual(finished.code, PARTIAL, finished.report)
                self.assertEqual(finished.errors, [])
                left_out = re.findall(r"^zoogram: warning: \S*?([a-z]+\.h5): left out with its models: .*stuck", finished.err, re.M)
                self.assertEqual(sorted(left_out), names, finished.report)
                found = read_results(self.path / "results.h5")["cka"]
                self.assertEqual(found.rows, expected.rows)
                np.testing.assert_array_equal(found.values, expected.values)
                with h5py.File(self.path / "results.h5") as file:
                    inputs = json.loads(file.attrs["inputs"])
                self.assertEqual(sorted(Path(entry["path"]).name for entry in inputs if "left_out" in entry), names)
                self.assertEqual(self.call("run", "job.yaml", ranks=ranks).code, 0)  # complete: nothing is changed

    def test_nothing_is_left(self):
        names = self.stuck()
        self.job(zoo=names)
        finished = self.call("run", "job.yaml", ranks=2)
        self.assertEqual((finished.code, len(finished.errors)), (DATA, 1), finished.report)
        self.assertRegex(finished.errors[0], f"{names[0]}: .*stuck.* no other file is left")
        self.assertEqual(self.files(), sorted(["job.yaml", "pipe", "zoo.h5", *names]))

    def test_plan_and_show(self):
        self.hostile(self.STUCK["link.h5"], "link.h5")
        self.job(zoo=["zoo.h5", "link.h5"])
        finished = self.call("plan", "job.yaml", "--ranks", 2)
        self.assertEqual(finished.code, PARTIAL, finished.report)
        self.assertIn("link.h5: left out", finished.err)
        finished = self.call("show", "link.h5", "--check", "--json")
        self.assertEqual((finished.code, len(finished.errors)), (DATA, 1), finished.report)
        self.assertRegex(finished.errors[0], "link.h5: .*stuck")

    def test_a_virtual_dataset_that_is_its_own_source(self):
        """Crashes HDF5 1.10; others may see what it is, or read nothing."""
        self.hostile(virtual((SAMPLES, 3), ("hostile.h5", "/models/hostile/activations/bad")))
        expected = self.compute([Measure()], ranks=1)["cka"]
        (self.path / "results.h5").unlink()
        self.job([Measure()], zoo=["zoo.h5", "hostile.h5"])
        finished = self.call("run", "job.yaml", ranks=2)
        self.assertIn(finished.code, (0, PARTIAL, DATA), finished.report)
        if finished.code == DATA:
            self.assertEqual(len(finished.errors), 1, finished.report)
            self.assertIn("hostile.h5", finished.errors[0])
        else:
            found = read_results(self.path / "results.h5")["cka"]
            np.testing.assert_array_equal(found.values[:2, :2], expected.values)
            self.assertEqual(finished.code == PARTIAL and "left out" in finished.err, len(found.rows) == 2, finished.report)
        self.assertIn(self.call("show", "hostile.h5", "--check").code, (0, DATA))

    def test_strings_whose_heap_is_gone(self):
        """References of strings of variable length lead to somewhere else in the file, and beyond it."""
        words = np.array(["conv", "relu"], dtype=h5py.string_dtype())
        path = write_zoo(self.path / "hostile.h5", {"m": Network(activations=self.layers,
                                                                 weights={"w": Stored(np.eye(3), attributes={"kind": "linear"})},
                                                                 graph={"op": words, "edge": np.array([[0, 1]])})})
        sound = path.read_bytes()
        heap = sound.index(b"GCOL")
        reference = heap.to_bytes(8, "little")
        self.job([Measure(), {"measure": "architecture", "name": "graphs"}], zoo=["zoo.h5", "hostile.h5"])
        self.assertEqual(sound.count(reference) > 1, True)
        for target in (0, heap + 16, len(sound) - 8, len(sound) + 4096, (1 << 64) - 2):
            with self.subTest(target=target):
                (self.path / "results.h5").unlink(missing_ok=True)
                path.write_bytes(sound.replace(reference, target.to_bytes(8, "little")))
                finished = self.call("run", "job.yaml")
                self.assertIn(finished.code, (PARTIAL, DATA), finished.report)
                self.assertEqual(len(finished.errors), finished.code == DATA, finished.report)
                self.assertIn("hostile.h5", finished.err)


class Jobs(HostileTestCase):
    """Job files of any content end in 78 with one line, at once."""

    GOOD = "zoo: [zoo.h5]\noutput: results.h5\n"
    MEBIBYTE = 1 << 20

    def assertRefused(self, content, *words):
        (self.path / "job.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        finished = self.call("plan", "job.yaml", "--ranks", 2)
        self.assertEqual((finished.code, len(finished.errors)), (BAD_JOB, 1), finished.report)
        self.assertRegex(finished.errors[0], r"^zoogram: error: \S*job.yaml:\d+: ")
        for word in words:
            self.assertIn(word, finished.errors[0])

    def test_nesting(self):
        for nested in ("[", "{", "[ ", "- ", "? ", "[{a: "):
            with self.subTest(nested):
                self.assertRefused(nested * (self.MEBIBYTE // len(nested)), "nested")
        self.assertRefused("[" * 1000 + "]" * 1000, "nested")
        self.assertRefused("zoo: " + "[" * 10 + "]" * 10, "zoo")

    def test_a_mebibyte_of_anything(self):
        for part in ("a: ", "&a ", "*", "!", "%", "|", "\n", " ", "\t", "#\n", "---\n", "a,", '"', "'", "a: b\n"):
            with self.subTest(part):
                self.assertRefused(part * (self.MEBIBYTE // len(part)))
        self.assertRefused("#" * (self.MEBIBYTE + 1), "1 MiB")

    def test_aliases(self):
        letters = "abcdefghi"
        bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip(letters, letters[1:]))
        for text in (bomb, "zoo: &a [*a]\noutput: x.h5\nmeasures: [cka]\n", "&a {zoo: *a, output: *a, measures: *a}\n",
                     self.GOOD + "measures: &m [*m]\n", self.GOOD + "measures: [&m {measure: *m}]\n"):
            with self.subTest(text):
                self.assertRefused(text)

    def test_bytes_that_are_no_text(self):
        good = self.GOOD + "measures: [cka]\n"
        for content in (good.encode() + b"\0", (self.GOOD + 'measures: ["c\\0ka"]\n').encode(), good.encode() + b"# \xe4\n",
                        good.encode("utf-16"), b"\xff" * 1000, bytes(1000), b"\x89HDF\r\n\x1a\n"):
            with self.subTest(content[:20]):
                self.assertRefused(content)

    def test_numbers_out_of_all_bounds(self):
        for number in ("1e300", "9223372036854775808", "1e9999", "-1e300", ".nan", "0x10", "1e-300"):
            with self.subTest(number):
                self.assertRefused(self.GOOD + f"select: {{samples: {number}}}\nmeasures: [cka]\n", "samples", number)
                self.assertRefused(self.GOOD + f"team_size: {number}\nmeasures: [cka]\n", "team_size", number)
                self.assertRefused(self.GOOD + f"measures: [{{measure: cka, estimator: minibatch, batch: {number}}}]\n", "batch")
        for size in ("1e300GiB", "99999999999TiB", "1e-9KiB", "-1GiB"):
            self.assertRefused(self.GOOD + f"memory_per_rank: {size}\nmeasures: [cka]\n", "memory_per_rank", size)


class Torture(unittest.TestCase):
    """The short form of scripts/torture/mutate."""

    def test_spoilt_files(self):
        program = os.environ.get("ZOOGRAM")
        if not program:
            raise unittest.SkipTest("ZOOGRAM does not name the program")
        count = 20 if SHORT else 100
        command = [sys.executable, str(MUTATE), "--program", program, "--launcher", os.environ.get("ZOOGRAM_MPIRUN") or "mpirun",
                   "--count", str(count), "--seed", "7", "--limit", str(LIMIT)]
        finished = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
        self.assertEqual(finished.returncode, 0, finished.stdout + finished.stderr)


if __name__ == "__main__":
    unittest.main()
