"""What scripts/bench measures of each case, and what its measurements share."""

import math
import sys

import bench_machine as machine
from bench_cases import TABLE
from bench_compare import Alternatives
from bench_runs import Program, RunError, figures, measure, ratio, write_job

PATIENCE = 40  # seconds after which a case or alternative is not run again


class Bench:
    """Everything that the measurements share: options, the machine, a folder for data, and one zoo at a time."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.machine = machine.describe(options.program, options.ranks)
        self.core = self.machine.get("blas_core", "")
        self.alternatives = Alternatives(options.torch_python, self.core, options.ranks, folder)
        self.zoo, self.zoo_path = None, folder / "zoo.h5"
        self.calibrations = {}

    def program(self, ranks=None, threads=1):
        return Program(self.options.program, self.options.mpirun, ranks or self.options.ranks, threads)

    def calibration(self, program):
        """The file with the machine's rates for its ranks and threads, measured when first asked for; None where there
        are to be none."""
        threads = program.threads
        if threads not in self.calibrations:
            path = self.options.out / ("machine.yaml" if threads == 1 else f"machine-{threads}-threads.yaml")
            self.calibrations[threads] = path if not self.options.quick and program.calibrate(path) else None
        return self.calibrations[threads]

    def sgemm(self, cores):
        return machine.sgemm(cores, self.core, seconds=0.1 if self.options.quick else 1)

    def job(self, zoo, measures, **keys):
        """A job file on this zoo, which is made where it is not there yet."""
        if zoo != self.zoo:
            zoo.write(self.zoo_path)
            self.zoo = zoo
        return write_job(self.folder, self.zoo_path, measures, **{"memory_per_rank": self.options.memory, **keys})

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def keep_log(self, name, log):
        folder = self.options.out / "logs"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.log").write_text(log.replace(str(self.folder), "..."), encoding="utf-8")


def run_case(bench, case, others):
    """The figures of a case, with those of its alternatives; `others` are the cases before it by name."""
    quick, ranks = bench.options.quick, max(1, bench.options.ranks // case.threads)
    zoo = case.quick if quick else case.zoo
    job = lambda: bench.job(zoo, case.measures, **(case.quick_job if quick else case.job))
    prepare = lambda: machine.forget(bench.zoo_path) if case.cold else None
    program = bench.program(ranks, case.threads)
    rates = bench.calibration(program)
    predicted = program.predicted(job(), rates) if rates else None
    runs = measure(program, job, bench.sgemm, bench.options.repeat, PATIENCE, prepare)
    bench.keep_log(case.name, min(runs, key=lambda run: run["seconds"])["log"])
    found = figures(runs, ranks * case.threads, ranks, case.useful_flop(zoo))
    prepare()
    found["reading"] = machine.read_seconds(bench.zoo_path, ranks)
    found["of reading"] = ratio(found["inside_seconds"], found["reading"])
    found["predicted"] = predicted
    found["measured of predicted"] = ratio(found["own_seconds"], predicted)
    if case.same_as in others:
        found["relative"] = ratio(found["seconds"], others[case.same_as]["seconds"])
    return {**found, "runs": [{k: v for k, v in run.items() if k != "log"} for run in runs], "ranks": ranks,
            "threads": case.threads, "layers": zoo.layers, **run_alternatives(bench, case, found)}


def run_alternatives(bench, case, found):
    """Rows of the alternatives; and for each method how many times the program's phases its fastest variant's
    reading and computing take ("against METHOD")."""
    rows = [
        bench.alternatives.measure(variant, bench.zoo_path, bench.folder / "results.h5", bench.options.repeat, PATIENCE)
        for variant in bench.alternatives.variants(case.alternatives)
    ]
    against = {}
    for method in case.alternatives:
        times = [row["seconds"] for row in rows if row["method"] == method and "seconds" in row]
        against[f"against {method}"] = ratio(min(times, default=None), found["inside_seconds"])
    return {"alternatives": rows, **against}


def goals(case, found):
    """[{figure, sense, goal, reached}] of a case; `reached` is None where the figure is not known."""
    rows = []
    for figure, (sense, goal) in case.goals.items():
        value = found.get(figure)
        reached = None if value is None else bool(value >= goal if sense == ">=" else value <= goal)
        rows.append({"figure": figure, "sense": sense, "goal": goal, "value": value, "reached": reached})
    return rows


def run_cases(bench, names):
    found = {}
    for case in TABLE:
        if case.name not in names:
            continue
        bench.say(f"{case.name}: {'small sizes' if bench.options.quick else case.what}")
        row = {"name": case.name, "what": case.what}
        try:
            row.update(run_case(bench, case, found))
            row["goals"] = [] if bench.options.quick else goals(case, row)
        except RunError as error:
            row["error"] = str(error).replace(str(bench.folder), "...")
            bench.say(f"{case.name}: {row['error']}")
        found[case.name] = row
    return list(found.values())


def largest_deviation(rows):
    """The largest of the alternatives' deviations from the program, infinite where one is no number; None: no rows."""
    others = (other for row in rows for other in row.get("alternatives", ()))
    found = (value for other in others for value in other.get("deviation", {}).values())
    return max((value if math.isfinite(value) else math.inf for value in found), default=None)
