"""The series of scripts/bench: a size, a number of ranks or a sketch grows, and something is watched."""

import h5py
import numpy as np

import bench_cases as table
from bench_runs import RunError, figures, measure, ratio

WORDS_FACTOR = 1.3  # a rank's words are to be at most this times n D / sqrt(P), and N^2/2


def exponent(sizes, values):
    """The exponent p of the power law c size^p that fits best, by least squares of logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def scaling(bench):
    """Computing and whole time against N and against n, with fitted exponents, and those of the operations."""
    found = []
    for size, zoos in (table.SCALING_QUICK if bench.options.quick else table.SCALING).items():
        points = [scaling_point(bench, size, zoo) for zoo in zoos]
        sizes = [point["size"] for point in points]
        exponents = {key: exponent(sizes, [point[key] for point in points]) for key in ("computing", "seconds", "flop")}
        count, samples, width = zoos[0].layers
        fixed = {"N": f"n = {samples:,}", "n": f"N = {count}"}[size]
        found.append({"size": size, "what": f"{fixed}, d = {width}", "points": points, "exponents": exponents})
    return found


def scaling_point(bench, size, zoo):
    count, samples, width = zoo.layers
    job = lambda: bench.job(zoo, table.CKA[:1])
    runs = measure(bench.program(), job, bench.sgemm, bench.options.repeat, patience=20)
    own = figures(runs, bench.options.ranks, bench.options.ranks)
    return {"size": {"N": count, "n": samples}[size], "seconds": own["seconds"], "computing": own["computing_seconds"],
            "flop": samples**2 * (count * width + count**2 / 2), "sgemm": own["sgemm"]}


def words(bench):
    """Words that a rank reads and sends for P ranks, beside the bound; empty where the program does not count them."""
    quick = bench.options.quick
    zoo = table.WORDS_QUICK_ZOO if quick else table.WORDS_ZOO
    count, samples, width = zoo.layers
    found = []
    for ranks in table.WORDS_QUICK_RANKS if quick else table.WORDS_RANKS:
        try:
            run = bench.program(ranks).run(bench.job(zoo, table.CKA[:1]))
        except RunError as error:
            bench.say(f"words, {ranks} ranks: {error}")
            continue
        if run["words_read"] is None:
            break
        total = run["words_read"] + (run["words_sent"] or 0)
        bound = words_bound(count, samples, count * width, ranks)
        found.append({"ranks": ranks, "read": run["words_read"], "sent": run["words_sent"], "words": total,
                      "model": run["words_model"], "bound": bound, "of bound": ratio(total, bound)})
    return found


def words_bound(count, samples, features, ranks):
    return WORDS_FACTOR * samples * features / ranks**0.5 + count**2 / 2


def sketch(bench):
    """Relative error of sketched distances against the exact one, and what the program says of it."""
    sizes = table.SKETCHES_QUICK if bench.options.quick else table.SKETCHES
    measures = [{"name": "exact", "measure": "ntk_distance"}]
    measures += [{"name": f"m{size}", "measure": "ntk_distance", "sketch": size} for size in sizes]
    bench.program().run(bench.job(table.SKETCHES_ZOO, measures))
    found = []
    with h5py.File(bench.folder / "results.h5") as file:
        exact = file["exact"][:]
        off = ~np.eye(len(exact), dtype=bool)
        for size in sizes:
            error = np.sqrt(np.mean((file[f"m{size}"][:][off] / exact[off] - 1) ** 2))
            stated = np.sqrt(np.mean(file[f"kept/m{size}/standard_error"][:] ** 2)) / exact[off].mean()
            found.append({"numbers": size, "error": float(error), "stated": float(stated)})
    return found


SERIES = {"scaling": scaling, "words": words, "sketch": sketch}
