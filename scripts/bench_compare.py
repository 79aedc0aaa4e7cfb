"""Running the alternatives of bench_alternatives.py for scripts/bench, and holding their numbers against zoogram's."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

import bench_machine as machine
from bench_alternatives import NEEDS_TORCH
from bench_runs import repeatedly

PROGRAM = Path(__file__).with_name("bench_alternatives.py")


@dataclass(frozen=True)
class Variant:
    """One way to run a method. `unlocked`: MKL is told that it may use its best kernels, which it keeps from CPUs of
    another maker than its own; what OPENBLAS_CORETYPE is for OpenBLAS."""

    method: str
    what: str
    product: str = "mkl"
    unlocked: bool = False


VARIANTS = (
    Variant("streamed", "PyTorch, Grams streamed tile by tile, MKL"),
    Variant("streamed", "PyTorch, streamed, MKL with its best kernels", unlocked=True),
    Variant("streamed", "PyTorch, streamed, oneDNN", product="onednn"),
    Variant("stacked", "PyTorch, all Grams stacked, MKL"),
    Variant("stacked", "PyTorch, stacked, MKL with its best kernels", unlocked=True),
    Variant("pairs", "numpy, in feature space, pair by pair"),
    Variant("kernels", "numpy, whole tangent kernels"),
)


class Alternatives:
    """The alternatives on so many threads, with the Python that has PyTorch, if any, in a folder for their output."""

    def __init__(self, torch_python, core, threads, folder):
        self.torch_python, self.core, self.threads, self.folder = torch_python, core, threads, folder
        self.preload = self.unlock_mkl() if torch_python and machine.cpu().get("vendor_id") != "GenuineIntel" else None

    def unlock_mkl(self):
        """A library that answers MKL's question for the maker of the CPU; None without a compiler."""
        library = self.folder / "unlock_mkl.so"
        source = "int mkl_serv_intel_cpu_true(void) { return 1; }"
        command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)]
        try:
            subprocess.run(command, input=source, text=True, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return library

    def run(self, variant, zoo):
        """{"process": seconds of the whole, "seconds": of reading and computing alone, ...} of one run; its tensors
        are in tensors.npz."""
        needs_torch = variant.method in NEEDS_TORCH
        environ = machine.environment(self.threads, self.core)
        if variant.unlocked:
            environ["LD_PRELOAD"] = str(self.preload)
        command = [self.torch_python if needs_torch else sys.executable, PROGRAM, variant.method, zoo,
                   self.folder / "tensors.npz", "--product", variant.product]
        start = time.perf_counter()
        done = subprocess.run([str(word) for word in command], env=environ, capture_output=True, text=True, check=False)
        end = time.perf_counter()
        if done.returncode:
            raise RuntimeError(done.stderr.strip().rpartition("\n")[2] or f"ended with code {done.returncode}")
        found = json.loads(done.stdout)
        return {**found, "process": end - start, "seconds": found["reading"] + found["computing"]}

    def measure(self, variant, zoo, results, times, patience):
        """The row of a variant: its fastest run and how far its tensors are from those in `results`, or why not."""
        row = {"method": variant.method, "what": variant.what}
        if variant.method in NEEDS_TORCH and not self.torch_python:
            return {**row, "skipped": "no PyTorch: give --torch-python"}
        try:
            runs = repeatedly(lambda: self.run(variant, zoo), times, patience)
        except RuntimeError as error:
            return {**row, "skipped": str(error)}
        best = min(runs, key=lambda run: run["seconds"])
        median = float(np.median([run["seconds"] for run in runs]))
        return {**row, **best, "median": median, "runs": len(runs), "deviation": self.deviation(results)}

    def deviation(self, results):
        """The largest difference between entries of tensors that both have, in units of a tensor's largest entry."""
        worst = {}
        with h5py.File(results) as file, np.load(self.folder / "tensors.npz") as own:
            for name in set(own.files) & set(file):
                axis = file[name].dims[0][0].asstr()[:].tolist()
                order = [axis.index(item) for item in own["names"]]
                theirs = file[name][:][np.ix_(order, order)]
                worst[name] = float(np.abs(own[name] - theirs).max() / np.abs(theirs).max())
        return worst

    def variants(self, methods):
        return [v for v in VARIANTS if v.method in methods and (self.preload or not v.unlocked)]
