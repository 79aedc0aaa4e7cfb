"""Calls that fail, files and disks that go away, ranks that stand still: how a run ends, and that the next one goes on."""

import contextlib
import os
import shutil
import subprocess
import time
import unittest
from pathlib import Path

import h5py
import numpy as np

from arrays import related
from oracle import Measure
from zoogram import SHORT, SystemTestCase, environment, execute, read_results, with_rank_codes, zoogram, RANK_SCRIPT

ROOT = Path(__file__).resolve().parents[2]
MEASURES = [Measure(), Measure(kernel="rbf")]
LIBRARY = os.environ.get("ZOOGRAM_FAULTS", "")  # tests/torture/faults.c; not with sanitizers
NOBODY = "65534"


def as_root():
    return os.geteuid() == 0


class Case(SystemTestCase):
    """A zoo and a job whose results lie in a folder of their own, `self.place`."""

    samples, layers = 300, 6

    def setUp(self):
        super().setUp()
        layers = related(self.samples, [16] * self.layers, seed=4)
        self.zoo({"m": {name: layer.astype(np.float32) for name, layer in layers.items()}})
        self.place = self.path / "place"
        self.place.mkdir()
        self.output = self.place / "results.h5"
        self.file = self.job(MEASURES, output="place/results.h5", checkpoint=0.001)

    def run_job(self, *arguments, ranks=2, before=(), faults=None, paths=None):
        """Run the job; `before` are words of a command that the ranks are started by. Faults are of files whose paths
        begin so."""
        paths = paths or f"{self.path}/"
        preload = ["-x", f"LD_PRELOAD={LIBRARY}", "-x", f"FAULTS={faults} paths={paths}"] if faults else []
        launcher = [os.environ.get("ZOOGRAM_MPIRUN") or "mpirun", "-n", ranks, *preload, "sh", "-c", RANK_SCRIPT, "sh"]
        program = os.environ["ZOOGRAM"]
        return with_rank_codes(execute([*before, *launcher, program, "run", self.file, *arguments]), ranks)

    def reference(self):
        self.assertEqual(self.run_job().code, 0)
        tensors = read_results(self.output)
        self.output.unlink()
        return tensors

    def assertFails(self, finished, codes, *words):
        """All ranks with one of these codes, one message with these words, and no output."""
        self.assertIn(finished.code, codes, finished.report)
        self.assertEqual(len(finished.errors), 1, finished.report)
        for word in words:
            self.assertIn(word, finished.errors[0])
        self.assertFalse(self.output.exists())

    def assertGoesOn(self, expected):
        finished = self.run_job()
        self.assertEqual(finished.code, 0, finished.report)
        found = read_results(self.output)
        for name, tensor in expected.items():
            self.assertEqual(found[name].values.tobytes(), tensor.values.tobytes(), name)
        self.assertEqual([path.name for path in self.place.iterdir()], ["results.h5"])


@unittest.skipUnless(as_root(), "needs root: a file system of its own is mounted")
class Disk(Case):
    """A small file system under the output, which fills up or becomes read-only."""

    layers = 40

    def mount(self, size):
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.place)]
        if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode:
            self.skipTest("nothing can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.place)], check=False)

    def resize(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.place)], check=True)

    def free(self):
        status = os.statvfs(self.place)
        return status.f_bavail * status.f_bsize

    def fill(self, room):
        """Leave so many bytes."""
        with open(self.place / "ballast", "wb") as file:
            file.write(bytes(max(0, self.free() - room)))

    def test_disk_full_at_any_time(self):
        expected = self.reference()
        self.mount("4m")
        codes = set()
        for room in (0, 4, 16, 32, 48, 64, 96, 128):  # KiB: the file, its segments, the values do not fit
            with self.subTest(room=room):
                self.fill(1024 * room)
                finished = self.run_job()
                if finished.code == 0:
                    self.output.unlink()
                else:
                    self.assertFails(finished, {73, 74}, "results.h5", "No space left on device")
                codes.add(finished.code)
                (self.place / "ballast").unlink()
        self.assertTrue(codes & {73, 74})
        self.assertGoesOn(expected)

    def test_read_only(self):
        expected = self.reference()
        self.mount("8m")
        subprocess.run(["mount", "-o", "remount,ro", str(self.place)], check=True)
        self.assertFails(self.run_job(), {73}, "results.h5", "Read-only file system")
        subprocess.run(["mount", "-o", "remount,rw", str(self.place)], check=True)
        self.assertGoesOn(expected)

    def test_no_permission(self):
        """As a user who may read everything and write nothing."""
        words = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
        program = os.environ["ZOOGRAM"]
        if execute([*words, program, "--version"]).code != 0:
            self.skipTest("the program's folder is not for everybody")
        expected = self.reference()
        for path in (self.path, self.place):
            path.chmod(0o755)
        self.assertFails(self.run_job(before=words), {73}, "results.h5", "Permission denied")
        self.assertGoesOn(expected)


class Vanished(Case):
    samples, layers = (1200, 12) if SHORT else (6000, 24)

    def test_output_folder_removed_while_running(self):
        """Again and again, at moments that differ: it is gone before, during or after the computation."""
        expected = self.reference()
        launcher = [os.environ.get("ZOOGRAM_MPIRUN") or "mpirun", "-n", "2", "sh", "-c", RANK_SCRIPT, "sh"]
        failures = 0
        for delay in (0.0, 0.05, 0.2):
            with self.subTest(delay=delay):
                command = [*launcher, os.environ["ZOOGRAM"], "run", str(self.file)]
                process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                           text=True)
                end = time.monotonic() + 20
                while not list(self.place.glob("results.h5*")) and time.monotonic() < end:
                    time.sleep(0.005)
                time.sleep(delay)
                shutil.rmtree(self.place, ignore_errors=True)
                out, err = process.communicate(timeout=60)
                finished = with_rank_codes(type(execute(["true"]))(process.returncode, out, err), 2)
                if finished.code != 0:  # 0: it was done before
                    self.assertFails(finished, {73, 74}, "results.h5", "No such file or directory")
                    failures += 1
                self.place.mkdir(exist_ok=True)
                with contextlib.suppress(FileNotFoundError):
                    self.output.unlink()
        self.assertGreater(failures, 0)
        self.assertGoesOn(expected)


@unittest.skipUnless(LIBRARY, "ZOOGRAM_FAULTS does not name the library that makes calls fail")
class Durable(Case):
    def test_no_name_before_every_rank_has_synced(self):
        """What a rank has written may be in the memory of a node of its own."""
        expected = self.reference()
        for rank in (0, 2):
            with self.subTest(rank=rank):
                finished = self.run_job(ranks=3, faults=f"kind=sync at=1 rank={rank} paths=/results.h5.part")
                self.assertFails(finished, {74}, "results.h5.part: cannot be written", "Input/output error")
        self.assertGoesOn(expected)


@unittest.skipUnless(LIBRARY, "ZOOGRAM_FAULTS does not name the library that makes calls fail")
class StandingStill(Case):
    """A rank that hangs: the watchdog ends the run, with 71, and names the rank and the place."""

    def assertBarks(self, fault, *words, limit="2"):
        start = time.monotonic()
        launcher = [os.environ.get("ZOOGRAM_MPIRUN") or "mpirun", "-n", 3]
        launcher += ["-x", f"LD_PRELOAD={LIBRARY}", "-x", f"FAULTS={fault} action=hang paths={self.path}/"]
        without = ["env", "-u", "OMPI_MCA_orte_abort_on_non_zero_status"]  # mpirun does what it does for users
        finished = execute([*without, *launcher, os.environ["ZOOGRAM"], "run", self.file, "--watchdog", limit])
        self.assertEqual(finished.code, 71, finished.report)
        self.assertLess(time.monotonic() - start, 15)
        for word in words:
            self.assertIn(word, finished.errors[0])
        self.assertFalse(self.output.exists())
        self.assertEqual(execute(["pgrep", "-f", str(self.file)]).out, "")

    def test_file_system_that_never_answers(self):
        self.assertBarks("kind=read at=9 rank=1 paths=/zoo.h5", "rank 1 has not come on for 2", "reading", "zoo.h5: m: layer")

    def test_output_that_cannot_be_written(self):
        self.assertBarks("kind=write at=3 rank=0", "rank 0 has not come on for 2", "results.h5")

    def test_rank_that_does_not_come(self):
        """Inside MPI all ranks wait, and none can tell who is missing: the last resort, after twice the time."""
        self.assertBarks("kind=mpi at=40 rank=2", "for the other ranks")

    def test_rank_that_does_not_start(self):
        self.assertBarks("kind=mpi at=1 rank=1", "starting MPI")

    def test_goes_on_afterwards(self):
        expected = self.reference()
        self.assertBarks("kind=read at=60 rank=1", "rank 1")
        self.assertGoesOn(expected)


class Semaphores(Case):
    """Open MPI names one like the file, whoever's that is and wherever it lies; a run that is killed leaves it."""

    def leave(self):
        name = f"{self.path.name}.h5"  # of no other run
        self.output = self.place / name
        self.file = self.job(MEASURES, output=f"place/{name}")
        semaphore = Path(f"/dev/shm/sem.OMPIO_{name}.part")
        semaphore.write_bytes(bytes(32))  # it lets nobody pass
        semaphore.chmod(0o600)
        self.addCleanup(semaphore.unlink, missing_ok=True)

    def assertRuns(self, **keywords):
        finished = self.run_job(**keywords)
        self.assertEqual(finished.code, 0, finished.report)
        self.assertEqual(list(self.place.iterdir()), [self.output])

    def test_of_a_killed_run(self):
        self.leave()
        self.assertRuns()

    @unittest.skipUnless(as_root(), "needs root: another user runs the program")
    def test_of_another_user(self):
        words = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
        if execute([*words, os.environ["ZOOGRAM"], "--version"]).code != 0:
            self.skipTest("the program's folder is not for everybody")
        self.path.chmod(0o755)
        self.place.chmod(0o777)
        self.leave()
        self.assertRuns(before=words)


class Outputs(Case):
    def test_something_else_has_the_name_of_the_state(self):
        Path(f"{self.output}.state").write_text("no directory")
        self.assertFails(self.run_job(), {73}, "results.h5.state: cannot be", "Not a directory")

    @unittest.skipUnless(LIBRARY, "ZOOGRAM_FAULTS does not name the library that makes calls fail")
    def test_any_write_to_the_results(self):
        """From the file's creation over tensors of one triangle and of two, and what is kept, to the mark that it is
        complete."""
        maps = np.random.default_rng(1).random((2, self.samples, 1, 3, 3))
        with h5py.File(self.path / "zoo.h5", "r+") as file:
            for k, weights in enumerate(maps):
                file[f"models/m/attention/layer{k}"] = weights / weights.sum(axis=-1, keepdims=True)
        self.file = self.job([Measure(), {"measure": "attention_kl"}, {"measure": "isotropy"}], output="place/results.h5")
        words = set()
        for at in (1, 4, 8, *range(14, 64)):
            finished = self.run_job(faults=f"kind=write at={at} errno=EIO", paths=f"{self.output}.part", ranks=1)
            if finished.code == 0:
                break
            self.assertFails(finished, {73, 74}, "results.h5.part", "Input/output error")
            words.add(finished.errors[0].split("results.h5.part: ")[1])
        self.assertTrue(any("cannot be written" in text for text in words), words)
        self.assertEqual(finished.code, 0)

    @unittest.skipUnless(LIBRARY, "ZOOGRAM_FAULTS does not name the library that makes calls fail")
    def test_a_lock_that_another_rank_cannot_take(self):
        finished = self.run_job(faults="kind=open at=1 rank=1 paths=/results.h5.lock")
        self.assertFails(finished, {73}, "results.h5.lock: cannot be made", "Input/output error")

    @unittest.skipUnless(LIBRARY, "ZOOGRAM_FAULTS does not name the library that makes calls fail")
    def test_a_part_that_cannot_be_named(self):
        finished = self.run_job("--shard", "1/2", faults="kind=rename at=1")
        self.assertFails(finished, {73, 74}, "results.h5.shard-1-of-2")


@unittest.skipUnless(LIBRARY, "ZOOGRAM_FAULTS does not name the library that makes calls fail")
class Libraries(Case):
    def test_one_that_does_not_start(self):
        for kind, name in (("mpi", "MPI"), ("hdf5", "HDF5")):
            with self.subTest(name):
                finished = self.run_job(ranks=1, faults=f"kind={kind} at=1 from=on action=fail")
                self.assertFails(finished, {71}, f"{name} cannot be started")


@unittest.skipUnless(LIBRARY, "ZOOGRAM_FAULTS does not name the library that makes calls fail")
class Memory(Case):
    def test_no_memory_for_a_library(self):
        """Allocations inside libraries, which report it, follow the null pointer or leave: the run ends as where ours fail,
        or can do without."""
        for library, sites in (("libyaml", (2, 20, 35)), ("libhdf5", (100, 1000, 3000, 5000, 7000, 9000))):
            for at in sites:
                with self.subTest(library=library, at=at):
                    finished = self.run_job(ranks=1, faults=f"kind=memory at={at} object={library}")
                    self.output.unlink(missing_ok=True)
                    self.assertIn(finished.code, (0, 71), finished.report)
                    self.assertEqual(len(finished.errors), finished.code == 71, finished.report)

    def test_no_memory_for_a_digest(self):
        """In the process that reads the zoo for the first time, again and again."""
        finished = self.run_job(ranks=1, faults="kind=memory at=1 from=on object=libxxhash")
        self.assertFails(finished, {65}, "zoo.h5", "memory")

    def test_limit_of_address_space(self):
        for megabytes in (300, 400, 500, 800):
            with self.subTest(megabytes=megabytes):
                finished = execute(["prlimit", f"--as={megabytes << 20}", os.environ["ZOOGRAM"], "run", self.file])
                self.output.unlink(missing_ok=True)
                self.assertIn(finished.code, (0, 71), finished.report)


@unittest.skipUnless(LIBRARY, "ZOOGRAM_FAULTS does not name the library that makes calls fail")
class Torture(unittest.TestCase):
    def test_short_form(self):
        command = [ROOT / "scripts" / "torture" / "faults", "--program", os.environ["ZOOGRAM"], "--library", LIBRARY,
                   "--launcher", os.environ.get("ZOOGRAM_MPIRUN") or "mpirun", "--short"]
        finished = execute(command, timeout=300)
        self.assertEqual(finished.code, 0, finished.report)


if __name__ == "__main__":
    unittest.main()
