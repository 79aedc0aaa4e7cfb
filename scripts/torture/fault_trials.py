"""Small jobs, runs of them in which one call fails, and what such a run has to leave behind."""

import contextlib
import dataclasses
import hashlib
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))
from arrays import mlp_factors, related  # noqa: E402
from networks import Network  # noqa: E402
from zoogram import ERROR_PREFIX, RANK_PREFIX, RANK_SCRIPT, environment, write_zoo  # noqa: E402

FILE_KINDS = ("open", "read", "write", "sync", "close", "rename", "unlink", "mkdir", "truncate")
CAUSES = {"EIO": "Input/output error", "ENOSPC": "No space left on device", "EDQUOT": "Disk quota exceeded",
          "EACCES": "Permission denied", "EROFS": "Read-only file system", "ENOMEM": "Cannot allocate memory"}
INPUT_CODES, OUTPUT_CODES, MEMORY_CODE = {65, 66}, {73, 74}, 71
DONE = {0, 3}
READING = threading.Lock()  # HDF5 is one thread's at a time, also where opening fails


# Jobs


def single(layers):
    return {name: layer.astype(np.float32) for name, layer in layers.items()}


def attention(seed, n=12, heads=2, tokens=5):
    weights = np.random.default_rng(seed).random((n, heads, tokens, tokens)) + 0.1
    return weights / weights.sum(axis=-1, keepdims=True)


def network(seed):
    """A model that has something for every form."""
    random = np.random.default_rng(seed)
    return Network(
        activations=single(related(60, [7, 5], seed=seed)),
        weights={"fc.weight": random.standard_normal((6, 4))},
        gradients={f"task{k}": random.standard_normal(40) for k in range(2)},
        attention={"block": attention(seed)},
        tangent=mlp_factors(seed, m=8),
    )


JOBS = {  # name: measures
    "gram": ["cka", {"measure": "cka", "kernel": "rbf"}],
    "pairs": [{"measure": "wasserstein", "form": "exact"}, {"measure": "wasserstein", "form": "gaussian"}],
    "vectors": ["gradient_cosine", "attention_kl", "weight_frobenius", "cosine"],
    "tangent": ["ntk_distance", {"measure": "ntk_distance", "sketch": 64, "name": "sketched"}],
    "profiles": ["isotropy", "path_norm"],
}


def make_job(folder, measures, **keys):
    """A zoo of two files and a job in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(2):
        write_zoo(folder / f"zoo{k}.h5", {f"model{2 * k + j}": network(2 * k + j) for j in range(2)})
    entries = [m if isinstance(m, dict) else {"measure": m} for m in measures]
    content = {"zoo": ["zoo*.h5"], "output": "results.h5", "checkpoint": 0.001, **keys, "measures": entries}
    (folder / "job.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def contents(path):
    """A digest of what a results file holds: names, numbers, axes, attributes of tensors; not when it was made."""
    digest = hashlib.sha256()

    def add(name, item):
        digest.update(name.encode())
        if isinstance(item, h5py.Dataset):
            values = item[()]
            digest.update(repr(values.tolist()).encode() if values.dtype == object else values.tobytes())
            digest.update(repr(sorted((k, str(v)) for k, v in item.attrs.items() if "_LIST" not in k)).encode())

    with READING, h5py.File(path, "r") as file:
        if file.attrs["complete"] != 1:
            return "incomplete"
        file.visititems(add)
    return digest.hexdigest()


# Faults


@dataclass(frozen=True)
class Fault:
    """One call of one kind that fails; the fields are the variables of tests/torture/faults.c."""

    kind: str
    at: int
    rank: object = None  # None: all
    errno: str = "EIO"
    action: str = "fail"
    lasting: bool = False
    object: str = ""
    depth: int = 0  # of the object's frames that tell sites apart; 0: all
    site: int = 0  # 0: `at` counts the calls from all sites

    def variable(self, paths, log):
        words = {"kind": self.kind, "at": self.at, "errno": self.errno, "action": self.action, "paths": paths, "log": log}
        if self.rank is not None:
            words["rank"] = self.rank
        if self.lasting:
            words["from"] = "on"
        if self.object:
            words["object"] = self.object
        if self.depth:
            words["depth"] = self.depth
        if self.site:
            words["site"] = f"{self.site:x}"
        return " ".join(f"{key}={value}" for key, value in words.items())

    def __str__(self):
        whose = "all ranks" if self.rank is None else f"rank {self.rank}"
        what = self.errno if self.action == "fail" and self.kind in FILE_KINDS else self.action
        there = f" at {self.site:x}" if self.site else ""
        return f"{self.kind} {self.at}{'+' if self.lasting else ''}{there} of {whose}: {what}"


@dataclass(frozen=True)
class Record:
    """What tests/torture/faults.c tells."""

    calls: int = 0
    fired: int = 0
    where: str = ""
    stack: str = ""
    sites: dict = dataclasses.field(default_factory=dict)  # number: calls


def read_record(path):
    head, site = struct.Struct("qq544s512s"), np.dtype([("number", "u8"), ("calls", "i8")])
    with contextlib.suppress(OSError, struct.error):
        data = path.read_bytes()
        calls, fired, *texts = head.unpack_from(data)
        where, stack = (text.split(b"\0")[0].decode(errors="replace") for text in texts)
        sites = np.frombuffer(data, site, offset=head.size)
        return Record(calls, fired, where, stack.strip(), dict(sites[sites["calls"] > 0].tolist()))
    return Record()


@dataclass
class Run:
    """What a run left behind: the ranks' codes, mpirun's own, the error lines, what became of the fault."""

    code: object
    codes: list
    errors: list
    err: str
    seconds: float
    records: list

    @property
    def fired(self):
        return any(record.fired for record in self.records)

    @property
    def places(self):
        """The calls that failed, by rank: with all ranks these need not be the same."""
        return [record.where for record in self.records if record.fired]

    @property
    def where(self):
        return ", ".join(dict.fromkeys(self.places))


class Laboratory:
    """Runs the program with and without faults, in folders of its own."""

    def __init__(self, program, library, ranks=2, launcher="mpirun", limit=60):
        self.program, self.library, self.ranks, self.launcher = program, library, ranks, launcher
        self.limit = limit  # seconds after which a run counts as hanging
        self.temporary = tempfile.TemporaryDirectory(prefix="zoogram-faults-")
        self.path = Path(self.temporary.name)
        self.expected, self.runs = {}, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.temporary.cleanup()

    def run(self, folder, fault=None):
        """Run the job of a folder on all ranks, each in a shell that tells its exit code."""
        log = folder.parent / f"{folder.name}.record"
        settings = environment()
        if fault and fault.kind in ("memory", "mpi"):  # mpirun ends the other ranks, as it does for users
            settings.pop("OMPI_MCA_orte_abort_on_non_zero_status")
        command = [self.launcher, "-n", str(self.ranks)]
        if fault:
            command += ["-x", f"LD_PRELOAD={self.library}", "-x", f"FAULTS={fault.variable(f'{folder}/', log)}"]
        command += ["sh", "-c", RANK_SCRIPT, "sh", self.program, "run", str(folder / "job.yaml")]
        start = time.monotonic()
        process = subprocess.Popen(command, env=settings, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
        try:
            _, err = process.communicate(timeout=self.limit)
            code = process.returncode
        except subprocess.TimeoutExpired:
            code = "hang"
            end_tree(process.pid)
            _, err = process.communicate()
        seconds = time.monotonic() - start
        lines = err.splitlines()
        codes = [int(line[len(RANK_PREFIX):]) for line in lines if line.startswith(RANK_PREFIX)]
        errors = [line for line in lines if line.startswith(ERROR_PREFIX)]
        records = [read_record(Path(f"{log}.{rank}")) for rank in range(self.ranks)] if fault else []
        for rank in range(self.ranks):
            Path(f"{log}.{rank}").unlink(missing_ok=True)
        if code == 0 and codes != [0] * self.ranks:  # mpirun has been told not to mind
            code = codes[0] if len(set(codes)) == 1 and len(codes) == self.ranks else "different codes"
        return Run(code, codes, errors, err, seconds, records)

    def template(self, job):
        """The folder of a job as a run finds it; its undisturbed results are known from then on."""
        base = job.removesuffix("+state")
        folder = self.path / f"template-{job}"
        if folder.exists():
            return folder
        if job != base:
            shutil.copytree(self.template(base), folder)
            self.leave_state(folder)
            self.expected[job] = self.expected[base]
            return folder
        make_job(folder, JOBS[job])
        trial = self.copy(folder)
        run = self.run(trial)
        if run.code != 0:
            raise SystemExit(f"job {job} does not run undisturbed:\n{run.err}")
        self.expected[job] = contents(trial / "results.h5")
        shutil.rmtree(trial)
        return folder

    def leave_state(self, folder):
        """What a run leaves that was killed when it had written checkpoints of two thirds of its work."""
        calls = self.count(folder, "mpi")[0].calls
        for share in (0.66, 0.75, 0.55, 0.85):
            self.run(folder, Fault("mpi", int(calls * share), action="kill"))
            if any(folder.glob("results.h5.state/pass*")) and not (folder / "results.h5").exists():
                return
        raise SystemExit(f"{folder.name}: no run left a state")

    def copy(self, template):
        self.runs += 1
        trial = self.path / f"{self.runs}"
        shutil.copytree(template, trial)
        return trial

    def count(self, template, kind, **more):
        """Records of the calls of a kind in an undisturbed run, by rank."""
        trial = self.copy(template)
        run = self.run(trial, Fault(kind, 0, **more))
        shutil.rmtree(trial)
        return run.records

    def callers(self, run):
        """The functions of the program that were under way at the first failing call, innermost first."""
        addresses = next((record.stack.split() for record in run.records if record.fired), [])
        before = [hex(int(address, 16) - 1) for address in addresses]  # the call, not where it returns to
        said = subprocess.run(["addr2line", "-f", "-e", self.program, *before], capture_output=True, text=True, check=False)
        return " < ".join(said.stdout.splitlines()[::2]) if addresses else "nobody"

    def trial(self, job, fault):
        """Run a job with a fault, and again without, unless all is done. \\return (what is wrong, the disturbed run)."""
        trial = self.copy(self.template(job))
        run = self.run(trial, fault)
        wrong = [*judge(run, fault), *self.look_at_output(trial, job, run)]
        wrong += [f"left running: {left}" for left in still_running(trial)]
        if run.code not in DONE or leftovers(trial):
            again = self.run(trial)
            if again.code not in DONE:
                wrong.append(f"does not resume: {again.codes} {' '.join(again.errors)}")
            else:
                wrong += self.look_at_output(trial, job, again)
                wrong += [f"left behind: {' '.join(leftovers(trial))}"] * bool(leftovers(trial))
        shutil.rmtree(trial)
        return wrong, run

    def look_at_output(self, folder, job, run):
        """Under the final name is the right file or none, and none only when the run failed."""
        output = folder / "results.h5"
        if not output.exists():
            return ["done without an output"] * (run.code in DONE)
        try:
            found = contents(output)
        except (OSError, KeyError) as error:
            return [f"unreadable output: {error}"]
        return ["incomplete or wrong output"] * (found != self.expected[job])


def leftovers(folder):
    """Names of what is there beside inputs and results."""
    names = {path.name for path in folder.iterdir() if ".locktest." not in path.name}  # MPI-IO's own
    return sorted(names - {"zoo0.h5", "zoo1.h5", "job.yaml", "results.h5"})


def end_tree(pid):
    """Kill a launcher and what it has started."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            words = path.read_text().rsplit(")", 1)[1].split()
            if int(words[3]) == pid or int(words[1]) == pid:  # session or parent
                os.kill(int(path.parent.name), signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def still_running(folder, patience=8):
    """Command lines of processes that still work on a folder after a while."""
    end = time.monotonic() + patience
    while True:
        left = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_bytes().split(b"\0")
                if f"{folder}/job.yaml".encode() in words:
                    left.append(f"{path.parent.name} {words[0].decode()}")
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.1)


def allowed_codes(fault, places):
    """Exit codes that a failed call may lead to; success is right where the program can do without it."""
    if fault.kind == "memory":
        return {MEMORY_CODE, *DONE}
    if fault.lasting:  # another call may be the first that matters
        return INPUT_CODES | OUTPUT_CODES | DONE
    inputs = [re.search(r"(zoo\d\.h5|job\.yaml)$", place) is not None for place in places]
    return DONE | (INPUT_CODES if any(inputs) else set()) | (set() if all(inputs) else OUTPUT_CODES)


def judge(run, fault):
    """What is wrong with how a run ended."""
    if run.code == "hang":
        return [f"hang after {run.where}"]
    if not run.fired:
        return [] if run.code == 0 else [f"failed without the fault: {run.codes} {run.errors}"]
    if fault.kind == "mpi":  # ranks that die cannot say why
        return [f"launcher ends with {run.code}"] * (run.code == 0)
    wrong = []
    if run.code == "different codes":
        wrong.append(f"ranks end with {run.codes}")
    elif run.code not in allowed_codes(fault, run.places):
        wrong.append(f"code {run.code}")
    if run.code in DONE:
        return wrong
    if len(run.errors) != 1 and not (fault.kind == "memory" and fault.rank is None and run.errors):
        wrong.append(f"{len(run.errors)} error messages: {' / '.join(run.errors)}")
    elif fault.kind in FILE_KINDS:
        wrong += judge_message(run, fault)
    return wrong


def judge_message(run, fault):
    """A message names the file, or the one that it belongs to, and the cause."""
    message = run.errors[0]
    names = re.findall(r"zoo\d\.h5|job\.yaml|results\.h5", message if fault.lasting else run.where)
    if any(name.startswith("zoo") for name in names):  # children that try the files count for themselves
        names += ["zoo0.h5", "zoo1.h5"]
    wrong = [f"file is not named: {message}"] * (not any(name in message for name in names))
    says = fault.action != "fail" or CAUSES[fault.errno] in message
    # Where MPI-IO fails that has no way to say why, or takes what it could not read for zeros.
    inside_mpi = "cannot be opened by rank" in message or "was damaged while values were written" in message
    return wrong + [f"cause is not named: {message}"] * (not says and not inside_mpi)


def variants(fault):
    """The same fault on each rank and on all."""
    return [dataclasses.replace(fault, rank=rank) for rank in (0, 1, None)]
