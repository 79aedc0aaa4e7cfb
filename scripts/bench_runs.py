"""Running zoogram for scripts/bench and reading what its log says."""

import json
import os
import re
import statistics
import subprocess
import time

import bench_machine as machine

# ---- the log ----

AMOUNT = r"([\d.]+(?:e[+-]?\d+)? ?[kKMGTP]?i?)"  # 1.23 M, 28.5 Mi
DURATION = r"(\d+:\d\d:\d\d|[\d.]+ m?s)"
PREFIXES = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5}

# What is looked for in the text of a run; what is not there is None.
AMOUNTS = {
    "flop": rf"work +{AMOUNT}flop, [^\n]*per busy rank",
    "rate": rf"work +[^\n]*, {AMOUNT}flop/s per busy rank",
    "bytes_read": rf"read +{AMOUNT}B in all",
    "memory": rf"peak memory +{AMOUNT}B",
    "memory_planned": rf"peak memory +[^\n]*planned {AMOUNT}B",
    "words_read": rf"words +{AMOUNT} read",
    "words_sent": rf"words +[^\n]*read, {AMOUNT} sent",
    "words_model": rf"words +[^\n]*model {AMOUNT}",
}
DURATIONS = {"own_seconds": rf"done in {DURATION}"}
WORDS = {"route": r"route +(\w[\w+]*),"}
PHASE = re.compile(rf"^  (\w[\w ]*?)  +{DURATION} +{DURATION} +\d+$", re.MULTILINE)


def amount(text):
    """The number that "1.5 M" or "28.5 Mi" stands for."""
    number, prefix, binary = re.fullmatch(r"([\d.e+-]+) ?([kKMGTP]?)(i?)", text.strip()).groups()
    return float(number) * (1024 if binary else 1000) ** PREFIXES[prefix.replace("K", "k")]


def seconds(text):
    """The seconds in "0:01:05", "1.5 s" or "0.3 ms"."""
    if ":" in text:
        hours, minutes, rest = map(int, text.split(":"))
        return 3600.0 * hours + 60 * minutes + rest
    number, unit = text.split()
    return float(number) * {"s": 1, "ms": 1e-3}[unit]


def read_log(log):
    """What a log says: amounts, durations, words, and the phases' seconds on the slowest rank."""
    found = {}
    for patterns, convert in ((AMOUNTS, amount), (DURATIONS, seconds), (WORDS, str)):
        for name, pattern in patterns.items():
            match = re.search(pattern, log)
            found[name] = convert(match.group(1)) if match else None
    footer = log.rpartition("\ntime  ")[2]
    found["phases"] = {name: seconds(most) for name, _, most in PHASE.findall(footer)}
    return found


# ---- runs ----


class RunError(RuntimeError):
    """The program refused a job or failed; the message is its own."""


class Program:
    """The program on a fixed number of ranks and threads."""

    def __init__(self, path, mpirun, ranks, threads=1):
        self.path, self.ranks, self.threads = path, ranks, threads
        binding = ["--map-by", f"slot:PE={threads}"] if threads > 1 else []
        crowd = ["--oversubscribe", "--bind-to", "none"] if ranks * threads > os.cpu_count() else binding
        self.launcher = [mpirun, "-n", str(ranks), *crowd]

    def call(self, *arguments, launcher=()):
        done = subprocess.run([*launcher, self.path, *map(str, arguments)], capture_output=True, text=True, check=False,
                              env=machine.environment(self.threads))
        if done.returncode:
            errors = re.findall(r"^zoogram: error: (.*)$", done.stderr, re.MULTILINE)
            raise RunError(errors[0] if errors else f"exit code {done.returncode}: {done.stderr[-500:].strip()}")
        return done.stdout

    def run(self, job):
        """Run a job file; {"seconds": of the whole, from mpirun's start to its end, and what read_log finds}."""
        start = time.perf_counter()
        log = self.call("run", job, launcher=self.launcher)
        return {"seconds": time.perf_counter() - start, **read_log(log), "log": log}

    def calibrate(self, path):
        """Measure the machine for predictions; False where this version of the program cannot."""
        try:
            self.call("calibrate", path, launcher=self.launcher)
        except RunError:
            return False
        return True

    def predicted(self, job, machine_file):
        """Seconds that `zoogram plan` predicts with a machine that was calibrated, or None where it does not."""
        plan = json.loads(self.call("plan", job, "--ranks", self.ranks, "--machine", machine_file, "--json"))
        found = plan.get("predicted")
        return found.get("total") if isinstance(found, dict) else found


def write_job(folder, zoo, measures, **keys):
    """Write a job file in the folder; its output is results.h5 beside it, and not there yet."""
    job = folder / "job.yaml"
    content = {"zoo": [str(zoo)], "output": "results.h5", **keys, "measures": list(measures)}
    job.write_text(json.dumps(content, indent=1), encoding="utf-8")  # JSON is YAML
    (folder / "results.h5").unlink(missing_ok=True)
    return job


# ---- measuring ----


def repeatedly(run, times, patience):
    """Results of run(), so many times, but not again once they have taken `patience` seconds together."""
    runs, start = [], time.perf_counter()
    while not runs or (len(runs) < times and time.perf_counter() - start < patience):
        runs.append(run())
    return runs


def measure(program, make_job, sgemm, times, patience, prepare=lambda: None):
    """Run a job several times, between measurements by sgemm(cores): a run's "sgemm" is the mean of before and after.
    """
    cores = program.ranks * program.threads
    rates = [sgemm(cores)]

    def once():
        job = make_job()
        prepare()
        run = program.run(job)
        rates.append(sgemm(cores))
        return {**run, "sgemm_before": rates[-2], "sgemm_after": rates[-1], "sgemm": (rates[-2] + rates[-1]) / 2}

    return repeatedly(once, times, patience)


def figures(runs, cores, ranks, useful_flop=None):
    """What a case comes to: its fastest run, by the useful operations, which are those of Gram matrices, or by those
    that the log states.

    seconds, median            of the whole program, the least and the median
    phases, computing_seconds  of the fastest run: all phases without start-up; the computing ones, the mean over ranks
    whole, inside, computing   rate of a core in those three times, as a part of sgemm's
    memory, memory_planned     bytes of a rank; "memory in all" of all ranks, "memory of plan" the ratio of the two
    and what read_log finds    of the fastest run
    """
    best = min(runs, key=lambda run: run["seconds"])
    by_grams = all(run["route"] == "gram" for run in runs)
    flop = useful_flop if useful_flop and by_grams else best["flop"]
    inside = sum(best["phases"].values())
    computing = ratio(ratio(best["flop"], best["rate"]), ranks)
    memory, planned = best["memory"], best["memory_planned"]
    per_core = ratio(flop, best["sgemm"] * cores)
    return {
        "seconds": best["seconds"],
        "median": statistics.median(run["seconds"] for run in runs),
        "inside_seconds": inside,
        "computing_seconds": computing,
        "flop": flop,
        "whole": ratio(per_core, best["seconds"]),
        "inside": ratio(per_core, inside),
        "computing": ratio(per_core, computing),
        "memory in all": memory and memory * ranks,
        "memory of plan": ratio(memory, planned),
        **{name: best[name] for name in ("sgemm", "phases", *AMOUNTS, *DURATIONS, *WORDS) if name != "flop"},
    }


def ratio(a, b):
    """a / b, or None where one is not known or b is 0."""
    return a / b if a is not None and b else None
