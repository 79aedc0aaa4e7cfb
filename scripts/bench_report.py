"""The results of scripts/bench as a Markdown page and as a JSON file."""

import json
import math

MIB = 2.0**20

# What a plan promises of every case: measured / planned lies within this range.
PROMISES = {"memory of plan": (1 / 1.3, 1), "measured of predicted": (1 / 1.5, 1.5)}


def write_json(results, path):
    path.write_text(json.dumps(finite(results), indent=1) + "\n", encoding="utf-8")


def finite(value):
    """The same with null where JSON has no number."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ---- cells ----


def seconds(value):
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def fraction(value):
    return "-" if value is None else f"{value:.2f}"


def times(a, b):
    return "-" if not b else f"{a / b:.2f} x"


def mebibytes(value):
    return "-" if value is None else f"{value / MIB:.0f}"


def millions(value):
    return "-" if value is None else f"{value / 1e6:.3g}"


def table(headings, rows):
    """Lines of a table; cells are texts."""
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows] + [""]


# ---- sections ----


def header(results):
    own = results["machine"]
    quick = "Run with --quick, on small sizes instead of those below: no measurement of speed."
    return [
        "# Benchmark",
        "",
        f"{own['date']}, zoogram {own.get('zoogram', '?')} ({own.get('build', '?')}).",
        f"{own['cores_used']} of {own['cores']} cores: {own['cpu']}, {own['memory_bytes'] / 2**30:.0f} GiB; "
        f"BLAS core {own.get('blas_core', '?')}; {own.get('libraries', '?')}.",
        *([quick] if results["quick"] else []),
        "",
    ]


def cases(rows):
    """Speed of each case."""
    done = [row for row in rows if "error" not in row]
    lines = ["## Cases", ""] + table(
        ["case", "work", "s (median)", "sgemm, Gflop/s a core", "computing", "all phases", "whole", "MiB a rank",
         "planned", "s of its own", "predicted"],
        [
            [row["name"], row["what"], f"{seconds(row['seconds'])} ({seconds(row['median'])})",
             f"{row['sgemm'] / 1e9:.0f}", *(fraction(row[key]) for key in ("computing", "inside", "whole")),
             mebibytes(row["memory"]), mebibytes(row["memory_planned"]), seconds(row["own_seconds"]),
             seconds(row["predicted"])]
            for row in done
        ],
    )
    lines += [
        "Seconds are those of the whole program from the launcher's start to its end, the fastest run and the median. "
        "Computing, all phases (with reading and packing) and whole (with start-up) are useful operations a second "
        "and core in these times, as a part of sgemm's, measured on all cores before and after each run. Seconds of "
        "its own, from the program's start, are those that a calibrated plan predicts.",
        "",
    ]
    return lines + [f"{row['name']} did not run: {row['error']}\n" for row in rows if "error" in row]


def goals(rows):
    found = [(row, goal) for row in rows for goal in row.get("goals", ())]
    verdict = {True: "yes", False: "no", None: "not measured"}
    if not found:
        return []
    return ["## Goals", ""] + table(
        ["case", "figure", "goal", "measured", "reached"],
        [
            [row["name"], goal["figure"], f"{goal['sense']} {goal['goal']:.4g}",
             "-" if goal["value"] is None else f"{goal['value']:.3g}", verdict[goal["reached"]]]
            for row, goal in found
        ],
    ) + [
        "Inside: all phases. Against METHOD: reading and computing of its fastest variant in units of zoogram's "
        "phases. Relative: time in units of the case that does the same. Of reading: phases in units of the time in which as "
        "many processes read the file. Memory in all: bytes, ranks times the largest peak of one.",
        "",
    ]


def promises(rows):
    """A line for each promise of the plan: in how many cases it was kept, and where it was not."""
    lines = []
    for figure, (low, high) in PROMISES.items():
        values = {row["name"]: row[figure] for row in rows if row.get(figure) is not None}
        broken = [f"{name} ({value:.2f})" for name, value in values.items() if not low <= value <= high]
        if values:
            kept = f"- {figure}: from {low:.2f} to {high:.2f} in {len(values) - len(broken)} of {len(values)} cases"
            lines.append(kept + (f"; not in {', '.join(broken)}" if broken else ""))
    return ["## The plan's promises", "", *lines, ""] if lines else []


def alternatives(rows):
    found = [(row, other) for row in rows for other in row.get("alternatives", ())]
    if not found:
        return []
    lines = ["## Alternatives", ""] + table(
        ["case", "program", "read s", "compute s", "both (median)", "of zoogram's phases", "whole s",
         "of zoogram's whole", "MiB", "deviation"],
        [alternative_cells(row, other) for row, other in found],
    )
    versions = {}
    for _, other in found:
        versions.update(other.get("versions", {}))
    named = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return lines + [
        f"{named}, on as many threads as zoogram has cores. Reading and computing, without the start of Python and "
        "imports, stand against zoogram's phases, without its start; whole processes against one another. The "
        "deviation is the largest between their tensors and zoogram's, in units of the largest entry.",
        "",
    ]


def alternative_cells(row, other):
    if "skipped" in other:
        return [row["name"], other["what"], other["skipped"], *[""] * 7]
    both = other["seconds"]
    return [row["name"], other["what"], seconds(other["reading"]), seconds(other["computing"]),
            f"{seconds(both)} ({seconds(other['median'])})", times(both, row["inside_seconds"]),
            seconds(other["process"]), times(other["process"], row["seconds"]), mebibytes(other["memory"]),
            ", ".join(f"{name} {value:.0e}" for name, value in sorted(other["deviation"].items()))]


def scaling(series):
    lines = ["## Time against size", ""]
    for one in series:
        power = one["exponents"]
        lines += table(
            [f"{one['size']} ({one['what']})", "computing s", "whole s"],
            [[f"{point['size']:,}", seconds(point["computing"]), seconds(point["seconds"])] for point in one["points"]],
        )
        lines += [f"Computing grows as {one['size']}^{power['computing']:.2f}, the whole as "
                  f"{one['size']}^{power['seconds']:.2f}, the operations n² (D + N²/2) as "
                  f"{one['size']}^{power['flop']:.2f}.", ""]
    return lines


def words(rows):
    lines = ["## Words a rank reads and sends", ""]
    if not rows:
        return lines + ["This version of the program does not count them.", ""]
    return lines + table(
        ["ranks", "read, M", "sent, M", "model, M", "bound 1.3 n D/√P + N²/2, M", "of bound"],
        [[row["ranks"], *(millions(row[key]) for key in ("read", "sent", "model", "bound")), fraction(row["of bound"])]
         for row in rows],
    )


def sketch(rows):
    return ["## Sketched tangent kernels", ""] + table(
        ["numbers per sample", "error of distances (root mean square, relative)", "standard error kept"],
        [[row["numbers"], f"{row['error']:.4f}", f"{row['stated']:.4f}"] for row in rows],
    )


# What stands where; a section gets the cases or its series, and a picture follows it where it was drawn.
OF_CASES = (
    (cases, ("speed",)),
    (goals, ()),
    (promises, ("plan",)),
    (alternatives, ("alternatives",)),
)
OF_SERIES = (("scaling", scaling, ("scaling",)), ("words", words, ("words",)), ("sketch", sketch, ()))
CAPTIONS = {
    "speed": "Speed of the cases against sgemm",
    "plan": "Memory and time against the plan",
    "alternatives": "Seconds of the alternatives",
    "scaling": "Time against the numbers of layers and samples",
    "words": "Words a rank reads and sends",
}


def markdown(results, pictures):
    """The page; `pictures` are the names of those that were drawn."""
    sections = [(section(results["cases"]), names) for section, names in OF_CASES if results["cases"]]
    sections += [(section(results[name]), names) for name, section, names in OF_SERIES if name in results]
    lines = header(results)
    for text, names in sections:
        lines += text
        lines += [line for name in names if name in pictures for line in (f"![{CAPTIONS[name]}]({name}.png)", "")]
    return "\n".join(lines)
