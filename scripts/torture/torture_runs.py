"""What the torture scripts share: small jobs of all forms, runs with their processes, contents of results."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "tests" / folder) for folder in ("system", "slurm")]
import private_slurm
from zoogram import environment

MARK = "ZOOGRAM_TORTURE"  # in the environment of every process of a run


def contents(path):
    """A digest of everything that a results file holds, but for what tells of the run."""
    import h5py  # noqa: PLC0415 (not every script reads results)

    digest = hashlib.sha256()

    def add(name, thing):
        if isinstance(thing, h5py.Dataset):
            digest.update(repr((name, thing.shape, thing.dtype.str)).encode())
            values = thing[()]
            digest.update(repr(values.tolist()).encode() if values.dtype == object else values.tobytes())

    with h5py.File(path) as file:
        if file.attrs["complete"] != 1:
            raise AssertionError(f"{path} has its name and is not complete")
        file.visititems(add)
    return digest.hexdigest()


def marked(mark):
    """Processes that carry this mark."""
    return private_slurm.processes_with(f"{MARK}={mark}".encode())


def kill(pids):
    for pid in pids:
        private_slurm.kill(pid)


class Run:
    """A run that has been started: `zoogram run JOB` on so many ranks, by a launcher (its words up to the number of
    ranks) or, with ranks=None, alone."""

    def __init__(self, program, job, ranks, mark, launcher=("mpirun", "-n"), settings=None, arguments=()):
        self.mark, self.program = mark, os.path.realpath(program)
        variables = environment()
        variables.pop("OMPI_MCA_orte_abort_on_non_zero_status", None)  # mpirun ends a run that has lost a rank
        words = [*launcher, str(ranks)] if ranks else []
        self.log = open(Path(job).parent / "log", "w+")  # not a pipe: nobody may be left to read it
        self.process = subprocess.Popen(
            [*words, program, "run", str(job), *arguments], env={**variables, MARK: mark, **(settings or {})},
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)

    def ranks(self):
        """The processes of the program itself."""
        found = []
        for pid in marked(self.mark):
            try:
                if os.readlink(f"/proc/{pid}/exe") == self.program:
                    found.append(pid)
            except OSError:
                continue
        return found

    def is_running(self):
        return self.process.poll() is None

    def wait(self, seconds):
        """The exit code; AssertionError, with all processes ended, when that takes too long."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            kill([*marked(self.mark), self.process.pid])
            self.process.wait()
            raise AssertionError(f"no end after {seconds} s:\n{self.said()}") from None

    def wait_for_all(self, seconds):
        """Until no process of it is left."""
        end = time.monotonic() + seconds
        while left := marked(self.mark):
            if time.monotonic() > end:
                kill(left)
                raise AssertionError(f"processes {left} are left after {seconds} s:\n{self.said()}")
            time.sleep(0.01)

    def said(self):
        return Path(self.log.name).read_text(errors="replace")

    def close(self):
        self.log.close()
