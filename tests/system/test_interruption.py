"""Runs that are killed, stopped or in each other's way: what is left, and what the next run makes of it."""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
import unittest
from pathlib import Path

import numpy as np

from arrays import related
from oracle import Measure
from zoogram import (SHORT, TIMEOUT, SystemTestCase, children, environment, execute, kill_with_ranks, read_results,
                     zoogram)

SAMPLES, LAYERS = (4000, 20) if SHORT else (10_000, 32)
MEASURES = [Measure(), Measure(kernel="rbf"), Measure(measure="hsic", estimator="biased")]


class Interruption(SystemTestCase):
    def setUp(self):
        super().setUp()
        layers = related(SAMPLES, [48] * LAYERS, seed=3)
        self.zoo({"m": {name: layer.astype(np.float32) for name, layer in layers.items()}})
        self.output = self.path / "results.h5"

    def start(self, ranks, *arguments):
        """Start a run with frequent checkpoints and do not wait for it."""
        job = self.job(MEASURES, checkpoint=0.1)
        self.before = self.segments()
        settings = environment()
        settings.pop("OMPI_MCA_orte_abort_on_non_zero_status")  # mpirun's own code counts here
        launcher = [os.environ.get("ZOOGRAM_MPIRUN") or "mpirun", "-n", str(ranks)] if ranks else []
        return subprocess.Popen([*launcher, os.environ["ZOOGRAM"], "run", str(job), *arguments], env=settings,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def segments(self):
        """Checkpoints that are complete."""
        return {p for p in self.path.glob("results.h5.state/pass*") if ".tmp" not in p.name}

    def wait_for_state(self, process):
        """Until the run has written a checkpoint, or has ended."""
        end = time.monotonic() + TIMEOUT
        while process.poll() is None and time.monotonic() < end:
            if self.segments() - self.before:
                return True
            time.sleep(0.01)
        return False

    def finish(self, ranks=2, code=0, arguments=()):
        return self.assertFinished(zoogram("run", self.job(MEASURES, checkpoint=0.1), *arguments, ranks=ranks), code)

    def assertFinished(self, finished, code):
        self.assertEqual(finished.code, code, finished.report)
        return finished

    def reference(self):
        """The tensors of an undisturbed run, which is then forgotten."""
        self.finish()
        tensors = read_results(self.output)
        self.output.unlink()
        return tensors

    def assertBits(self, expected):
        found = read_results(self.output)
        self.assertEqual(set(found), set(expected))
        for name, tensor in expected.items():
            self.assertEqual(found[name].values.tobytes(), tensor.values.tobytes(), name)

    def assertNothingLeft(self):
        self.assertEqual(self.files(), ["job.yaml", "results.h5", "zoo.h5"])

    def interrupt(self, ranks, delay, how):
        """Start a run, and when it has a checkpoint and the delay is over, do something to it."""
        process = self.start(ranks)
        interrupted = self.wait_for_state(process)
        time.sleep(delay)
        interrupted = interrupted and process.poll() is None
        if interrupted:
            how(process)
        out, err = process.communicate(timeout=TIMEOUT)
        return interrupted, process.returncode, out, err

    def test_killed_runs_go_on_with_the_same_bits(self):
        expected = self.reference()
        interrupted, log = 0, ""
        for ranks, delay in ((2, 0.0), (3, 0.05), (1, 0.02), (2, 0.0), (1, 0.0)):
            happened, _, out, _ = self.interrupt(ranks, delay, lambda p: os.kill(p.pid, signal.SIGKILL))
            interrupted += happened
            log += out
            if self.output.exists():  # ranks outlive their launcher by a second, which may be enough
                break
        self.assertGreater(interrupted, 0, "no run lasted long enough to be killed")
        log += self.finish().out
        self.assertRegex(log, r"pass \d resumes: [1-9]\d* of \d+ tiles are done|is complete already")
        self.assertBits(expected)
        self.assertNothingLeft()

    def test_signals_stop_all_ranks_with_75(self):
        expected = self.reference()
        stopped = 0
        for ranks, number in ((3, signal.SIGUSR1), (None, signal.SIGTERM), (None, signal.SIGUSR1)):
            with self.subTest(ranks=ranks, signal=number):
                happened, code, out, err = self.interrupt(ranks, 0, lambda p, n=number: p.send_signal(n))
                if not happened:
                    continue
                stopped += 1
                self.assertEqual(code, 75, out + err)
                self.assertEqual(sum(line.startswith("zoogram: error: ") for line in err.splitlines()), 1, err)
                self.assertIn("results.h5: stopped by signal", err)
                self.assertFalse(self.output.exists())
        self.assertGreater(stopped, 0, "no run lasted long enough to be stopped")
        self.finish()
        self.assertBits(expected)
        self.assertNothingLeft()

    def test_a_signal_to_one_rank_stops_all(self):
        def one_rank(process):
            os.kill(max(children(process.pid)), signal.SIGTERM)

        happened, code, out, err = self.interrupt(3, 0, one_rank)
        self.assertTrue(happened, out + err)
        self.assertEqual(code, 75, out + err)
        self.assertIn("results.h5: stopped by signal 15", err)
        self.assertTrue(self.segments())
        self.assertRegex(self.finish(ranks=3).out, r"pass \d resumes: [1-9]\d* of \d+ tiles are done")

    def test_a_stop_file_stops_with_75_and_lets_no_run_begin(self):
        expected = self.reference()
        stop = self.path / "results.h5.stop"
        happened, code, out, err = self.interrupt(2, 0, lambda _: stop.touch())
        self.assertTrue(happened, out + err)
        self.assertEqual(code, 75, out + err)
        self.assertIn("results.h5: stopped by", err)
        self.assertIn("results.h5.stop", err)
        refused = self.finish(code=73)
        self.assertEqual(len(refused.errors), 1, refused.report)
        self.assertIn("results.h5.stop: asks runs to stop; remove it", refused.err)
        self.assertNotIn("resumes", refused.out)
        stop.unlink()
        self.assertIn(" resumes: ", self.finish().out)
        self.assertBits(expected)
        self.assertNothingLeft()
        stop.touch()  # which is no reason to fail when there is nothing to stop
        self.assertIn("is complete already", self.finish().out)

    def test_time_limit_stops_with_75(self):
        expected = self.reference()
        finished = self.finish(code=75, arguments=("--max-time", "0:00:00.1"))
        self.assertIn("stopped by --max-time", finished.err)
        self.assertFalse(self.output.exists())
        left = bool(self.segments())
        self.assertEqual(" resumes: " in self.finish(ranks=3).out, left)
        self.assertBits(expected)

    def test_state_of_another_job_is_refused_until_it_is_discarded(self):
        for _ in range(5):
            happened, *_ = self.interrupt(2, 0, kill_with_ranks)
            if happened and not self.output.exists():
                break
            self.output.unlink(missing_ok=True)
        self.assertTrue(happened and self.segments(), "no run lasted long enough to be killed")
        other = self.job([Measure(estimator="minibatch")])
        finished = self.assertFinished(zoogram("run", other, ranks=2), 73)
        self.assertIn("--restart", finished.err)
        self.assertFalse(self.output.exists())
        self.assertFinished(zoogram("run", other, "--restart", ranks=2), 0)
        self.assertNothingLeft()

    def test_second_run_waits_for_the_first(self):
        first = self.start(2)
        self.assertTrue(self.wait_for_state(first))
        second = self.finish()
        out, err = first.communicate(timeout=TIMEOUT)
        self.assertEqual(first.returncode, 0, out + err)
        self.assertIn("is complete already", second.out)
        self.assertNothingLeft()

    def test_leftovers_beside_a_complete_output_are_cleared(self):
        self.finish()
        state = self.path / "results.h5.state"
        state.mkdir()
        (state / "pass0-1").write_bytes(b"killed before it was removed")
        self.assertIn("is complete already", self.finish().out)
        self.assertNothingLeft()

    def test_ranks_leave_when_their_launcher_dies(self):
        process = self.start(2)
        self.assertTrue(self.wait_for_state(process))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=TIMEOUT)
        end = time.monotonic() + 10
        while time.monotonic() < end and execute(["pgrep", "-f", str(self.path)]).out:
            time.sleep(0.2)
        self.assertEqual(execute(["pgrep", "-f", str(self.path)]).out, "")


def computed(pid):
    """The CPU time of the busiest process that this one has started, in seconds."""
    ticks = [0]
    for child in children(pid):
        with contextlib.suppress(OSError):  # gone meanwhile
            words = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()
            ticks.append(int(words[11]) + int(words[12]))
    return max(ticks) / os.sysconf("SC_CLK_TCK")


class LongSteps(SystemTestCase):
    """A step that would last for half a minute, in which nobody asks whether to stop."""

    def test_a_request_is_obeyed_in_time(self):
        random = np.random.default_rng(0)
        self.zoo({"m": {name: scale * random.normal(size=(7000, 2)) for name, scale in (("a", 1), ("b", 2))}})
        job = self.job([{"measure": "wasserstein", "form": "exact", "name": "exact"}])
        settings = environment()
        settings.pop("OMPI_MCA_orte_abort_on_non_zero_status")
        process = subprocess.Popen(
            [os.environ.get("ZOOGRAM_MPIRUN") or "mpirun", "-n", "2", os.environ["ZOOGRAM"], "run", str(job)],
            env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        end = time.monotonic() + TIMEOUT
        while computed(process.pid) < 4 and time.monotonic() < end:  # seconds, which nothing else here takes
            time.sleep(0.01)
        asked = time.monotonic()
        process.send_signal(signal.SIGUSR1)
        out, err = process.communicate(timeout=TIMEOUT)
        self.assertLess(time.monotonic() - asked, 20)
        self.assertEqual(process.returncode, 75, out + err)
        lines = [line for line in err.splitlines() if line.startswith("zoogram: error: ")]
        self.assertEqual(len(lines), 1, err)
        self.assertIn("stopped by signal 10 (User defined signal 1) in the midst of a step", lines[0])
        self.assertFalse((self.path / "results.h5").exists())

    def test_a_request_is_obeyed_while_another_run_has_the_output(self):
        self.zoo({"m": related(20, [3, 5])})
        lock = open(self.path / "results.h5.lock", "w")
        self.addCleanup(lock.close)
        fcntl.lockf(lock, fcntl.LOCK_EX)
        process = subprocess.Popen([os.environ["ZOOGRAM"], "run", str(self.job())], env=environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(3)  # until it has come there; before, it would stop all the same
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        out, err = process.communicate(timeout=TIMEOUT + 30)
        self.assertLess(time.monotonic() - asked, 20)
        self.assertEqual(process.returncode, 75, out + err)
        self.assertIn("stopped by signal 15 (Terminated)", err)


if __name__ == "__main__":
    unittest.main()
