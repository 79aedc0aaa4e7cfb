#!/usr/bin/python3
"""The machine that scripts/bench measures on: its description, environments for the programs, and its own speed in
matrix products and in reading, which other users' work moves as it moves the programs'.

Run by itself it is one process of such a measurement: bench_machine.py sgemm SECONDS, or read FILE FIRST LAST.
"""

import ctypes
import os
import re
import subprocess
import sys
import time
from datetime import datetime, timezone

# Settings of the user's that would make one program's products unlike another's.
TUNING = re.compile(r"(OPENBLAS|GOTO|MKL|OMP|BLIS)_")
SGEMM_SHAPE = (2048, 2048, 512)
READ_BYTES = 8 << 20


# ---- description ----


def cpu():
    """What the kernel says of the first processor: {"vendor_id": ..., "model name": ..., ...}."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        processor = file.read().split("\n\n", maxsplit=1)[0]
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in processor.splitlines())}


def versions(program):
    """{what: version} of the program and its libraries, with the BLAS core that suits this machine."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, env=environment(1))
    pairs = (line.split(maxsplit=1) for line in done.stdout.replace("BLAS core", "blas_core").splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def describe(program, cores):
    """What a reader of the results has to know of machine and program."""
    found = cpu()
    name, family, model = (found.get(key, "?") for key in ("model name", "cpu family", "model"))
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": f"{name}, family {family}, model {model}",
        "cores": os.cpu_count(),
        "cores_used": cores,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "python": sys.version.split()[0],
        **versions(program),
    }


# ---- environments ----


def environment(threads, core=""):
    """This process's environment without settings that tune products, with so many threads. For other programs than
    zoogram, which finds the BLAS core by itself, `core` names the one that is best here."""
    kept = {name: value for name, value in os.environ.items() if not TUNING.match(name)}
    kept.update({f"{library}_NUM_THREADS": str(threads) for library in ("OPENBLAS", "OMP", "MKL")})
    if core:
        kept["OPENBLAS_CORETYPE"] = core
    if os.geteuid() == 0:  # in a container, say
        kept.update({"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"})
    return kept


# ---- speed ----


def in_processes(arguments, environ):
    """Run this file once for each tuple of arguments, all at the same time; the number that each prints."""
    running = [
        subprocess.Popen([sys.executable, __file__, *map(str, words)], env=environ, stdout=subprocess.PIPE, text=True)
        for words in arguments
    ]
    return [float(process.communicate()[0]) for process in running]


def sgemm(cores, core, seconds=1.0):
    """Operations per second and core of single-precision products on so many cores at once, the best in so long."""
    return sum(in_processes([("sgemm", seconds)] * cores, environment(1, core))) / cores


def read_seconds(path, processes):
    """Seconds in which so many processes read a file once, each its share."""
    size = os.path.getsize(path)
    shares = [("read", path, size * k // processes, size * (k + 1) // processes) for k in range(processes)]
    return max(in_processes(shares, environment(1)))


def forget(path):
    """Drop a file from the page cache."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure_sgemm(seconds):
    """Operations per second of this process's products, the best of those in so long."""
    import numpy as np  # here, so that BLAS finds the environment set

    library = ctypes.CDLL("libopenblas.so.0")
    m, n, k = (ctypes.c_int(size) for size in SGEMM_SHAPE)
    one, zero = ctypes.c_float(1), ctypes.c_float(0)
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal((size.value, k.value), dtype=np.float32) for size in (m, n))
    c = np.zeros((n.value, m.value), np.float32)
    a, b, c = (array.ctypes.data_as(ctypes.c_void_p) for array in (a, b, c))
    by, letter = ctypes.byref, ctypes.c_char_p
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        library.sgemm_(letter(b"T"), letter(b"N"), by(m), by(n), by(k), by(one), a, by(k), b, by(k), by(zero), c, by(m))
        best = min(best, time.perf_counter() - start)
    return 2.0 * m.value * n.value * k.value / best


def measure_reading(path, first, last):
    """Seconds in which this process reads the bytes from `first` to before `last`."""
    buffer = bytearray(READ_BYTES)
    with open(path, "rb", buffering=0) as file:
        start = time.perf_counter()
        file.seek(first)
        while first < last:
            first += file.readinto(memoryview(buffer)[: last - first])
        return time.perf_counter() - start


if __name__ == "__main__":
    if sys.argv[1] == "sgemm":
        print(measure_sgemm(float(sys.argv[2])))
    else:
        print(measure_reading(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
