"""Making zoos and job files, running the program under mpirun, reading results.

The environment names the program (ZOOGRAM) and, where it is not `mpirun`, the launcher (ZOOGRAM_MPIRUN).
ZOOGRAM_TEST_SHORT=1 asks for fewer rank counts and repetitions (for slow builds).
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import unittest
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import yaml

from networks import Network, write_arrays
from oracle import Measure

SHORT = os.environ.get("ZOOGRAM_TEST_SHORT", "0") not in ("", "0")
TIMEOUT = 300 if SHORT else 60  # seconds after which a run counts as hanging
ERROR_PREFIX = "zoogram: error: "

# What each rank is wrapped in, to see that all of them leave by themselves and with the same code.
RANK_PREFIX = "exit code of a rank: "
RANK_SCRIPT = f'"$@"; code=$?; echo "{RANK_PREFIX}$code" >&2; exit $code'


def natural(text):
    """Sort key by which layer2 comes before layer10."""
    runs = "".join(c if c.isdigit() else f" {c} " for c in text).split()
    return [(int(run), "") if run.isdigit() else (float("inf"), run) for run in runs]


# Zoos


def write_zoo(path, models, ids=None, labels=None, track_order=True, attributes=None):
    """Write a zoo file.

    models       {model: Network, or {layer: array or Stored} where there are only activations}, created in this order
    ids, labels  contents of /samples, where given
    track_order  whether the file remembers the order of creation
    attributes   of the root, instead of those that make the file a zoo
    """
    with h5py.File(path, "w", track_order=track_order) as file:
        file.attrs.update({"format": "zoogram-zoo", "version": 1} if attributes is None else attributes)
        for name, values in (("id", ids), ("label", labels)):
            if values is not None:
                file[f"samples/{name}"] = values
        group = file.create_group("models", track_order=track_order)
        for model, content in models.items():
            entry = group.create_group(model, track_order=track_order)
            if isinstance(content, Network):
                content.write(entry, track_order)
            else:
                write_arrays(entry.create_group("activations", track_order=track_order), content)
    return Path(path)


# Results


def strings(dataset):
    """The strings of a dataset, of whatever length type, as a list of str."""
    return [s.decode("utf-8") if isinstance(s, bytes) else str(s) for s in dataset[()]]


def text(attribute):
    return attribute.decode("utf-8") if isinstance(attribute, bytes) else str(attribute)


@dataclass
class Tensor:
    values: np.ndarray
    codes: np.ndarray
    rows: list
    columns: list
    attributes: dict
    kept: dict = field(default_factory=dict)  # what the measure keeps beside it: {quantity: array}

    def at(self, row, column):
        return self.values[self.rows.index(row), self.columns.index(column)]

    def code(self, row, column):
        return self.codes[self.rows.index(row), self.columns.index(column)]


def read_results(path):
    """{tensor name: Tensor} of a results file."""
    with h5py.File(path, "r") as file:
        return {
            name: Tensor(
                file[name][()],
                file["status"][name][()],
                *(strings(dimension[0]) for dimension in file[name].dims),
                dict(file[name].attrs),
                {quantity: dataset[()] for quantity, dataset in file.get(f"kept/{name}", {}).items()},
            )
            for name in file["status"]
        }


# Running


@dataclass
class Finished:
    """What a run left behind. The code is that of all ranks; where they do not agree it is a text that says so."""

    code: object
    out: str
    err: str

    @property
    def errors(self):
        """The program's own error lines, without what mpirun adds."""
        return [line for line in self.err.splitlines() if line.startswith(ERROR_PREFIX)]

    @property
    def report(self):
        return f"exit code {self.code}\n--- out\n{self.out[-3000:]}\n--- err\n{self.err[-3000:]}"


class Hang(AssertionError):
    """A run did not end in time."""


def environment():
    """This process's environment with what Open MPI needs as root and with more ranks than cores; mpirun does not end
    the other ranks when one leaves with an error."""
    defaults = {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_MCA_hwloc_base_binding_policy": "none",
        "OMPI_MCA_orte_abort_on_non_zero_status": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "LC_ALL": "C.UTF-8",
    }
    return {**defaults, **os.environ}


def execute(command, timeout=TIMEOUT, directory=None):
    """Run a command to its end; raise Hang, after ending it, when it takes longer than the timeout."""
    process = subprocess.Popen(
        [str(word) for word in command], cwd=directory, env=environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.terminate()  # mpirun then ends its ranks
        try:
            out, err = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
        raise Hang(f"no end after {timeout} s: {command}\n{out[-2000:]}\n{err[-2000:]}") from None
    return Finished(process.returncode, out, err)


def zoogram(*arguments, ranks=None, timeout=TIMEOUT, directory=None):
    """Run the program; ranks=None starts it alone, without a launcher."""
    program = os.environ.get("ZOOGRAM")
    if not program:
        raise unittest.SkipTest("ZOOGRAM does not name the program")
    if ranks is None:
        return execute([program, *arguments], timeout, directory)
    launcher = [os.environ.get("ZOOGRAM_MPIRUN") or "mpirun", "-n", ranks, "sh", "-c", RANK_SCRIPT, "sh"]
    return with_rank_codes(execute([*launcher, program, *arguments], timeout, directory), ranks)


def with_rank_codes(finished, ranks):
    """The same with the ranks' common exit code, and without the lines that told it."""
    lines = finished.err.splitlines(keepends=True)
    codes = [int(line[len(RANK_PREFIX):]) for line in lines if line.startswith(RANK_PREFIX)]
    err = "".join(line for line in lines if not line.startswith(RANK_PREFIX))
    agreed = len(codes) == ranks and len(set(codes)) == 1
    code = codes[0] if agreed else f"codes {codes} of {ranks} ranks; mpirun {finished.code}"
    return Finished(code, finished.out, err)


def children(pid):
    """Processes that this one has started."""
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):  # gone meanwhile
            if f"\nPPid:\t{pid}\n" in status.read_text():
                yield int(status.parent.name)


def kill_with_ranks(process):
    """Ranks outlive a killed launcher by a second or two, in which a short run may end."""
    for pid in [*children(process.pid), process.pid]:
        os.kill(pid, signal.SIGKILL)


class SystemTestCase(unittest.TestCase):
    """A test with a directory of its own, `self.path`."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="zoogram-test-")
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)

    def zoo(self, models, name="zoo.h5", **keywords):
        return write_zoo(self.path / name, models, **keywords)

    def job(self, measures=(Measure(),), name="job.yaml", **keys):
        """Write a job file; measures are oracle.Measure objects or mappings."""
        entries = [m if isinstance(m, dict) else m.entry() for m in measures]
        content = {"zoo": ["zoo.h5"], "output": "results.h5", **keys, "measures": entries}
        path = self.path / name
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return path

    def files(self):
        """Names of everything in the test's directory."""
        return sorted(str(p.relative_to(self.path)) for p in self.path.rglob("*"))

    def compute(self, measures=(Measure(),), ranks=2, code=0, **keys):
        """Run a job that has to end with this exit code; its tensors, in the order of the measures."""
        measures = list(measures)
        output = self.path / keys.get("output", "results.h5")
        output.unlink(missing_ok=True)
        finished = zoogram("run", self.job(measures, **keys), ranks=ranks)
        self.assertEqual(finished.code, code, finished.report)
        tensors = read_results(output)
        names = [m["name"] if isinstance(m, dict) else m.name for m in measures]
        self.assertEqual(set(tensors), set(names))
        return {name: tensors[name] for name in names}
