"""Test cases for measures on models, weights and gradients: zoos of Networks, entries of job files, tensors against the
oracles' Tables."""

import os
from collections import defaultdict

import numpy as np

import oracle
import oracle_activations
import oracle_architecture
import oracle_attention
import oracle_fisher
import oracle_gradients
import oracle_maps
import oracle_parameters
import oracle_tangent
from oracle_pairs import OK, REFINED
from zoogram import SystemTestCase, text

ORACLES = {
    "architecture": oracle_architecture.architecture,
    "cosine": oracle_activations.cosine,
    "isotropy": oracle_activations.isotropy,
    "tsne_error": oracle_maps.tsne_error,
    "weight_frobenius": oracle_parameters.weight_frobenius,
    "path_norm": oracle_parameters.path_norm,
    "fisher": oracle_fisher.fisher,
    "gradient_cosine": oracle_gradients.gradient_cosine,
    "gradient_conflict": oracle_gradients.gradient_conflict,
    "sharpness": oracle_gradients.sharpness,
    "attention_kl": oracle_attention.attention_kl,
    "head_importance": oracle_attention.head_importance,
    "cross_attention": oracle_attention.cross_attention,
    "boundary": oracle_attention.boundary,
    "ntk_distance": oracle_tangent.ntk_distance,
    "ntk_alignment": oracle_tangent.ntk_alignment,
}

# Largest deviation allowed, relative to max(|value|, 1e-3 of the tensor's largest): single-precision products of long
# vectors round at 1e-6 or so, and an entry near 0 is a difference of larger ones.
TOLERANCE = {"double": 1e-9, "single": 2e-5}

met = defaultdict(float)  # (measure with options, precision) -> largest deviation met


def print_deviations():
    """Print the largest deviation met per measure and precision, and forget them; for tearDownModule."""
    lines = ["| tensor | double | single |", "|---|---|---|"]
    for name in sorted({name for name, _ in met}):
        cells = [f"{met[name, precision]:.1e}" if (name, precision) in met else "" for precision in TOLERANCE]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    print("\nLargest deviation from the oracle, relative to max(|value|, 1e-3 of the tensor's largest)\n")
    print("\n".join(lines), "\n")
    path = os.environ.get("ZOOGRAM_DEVIATIONS")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    met.clear()


def entry(measure, name=None, **options):
    """A measure of a job file; the name is the default one where none is given."""
    words = [measure] + [f"{key}_{value}" for key, value in options.items()]
    return {"measure": measure, **options, "name": name or "_".join(words)}


def expected(networks, asked):
    """The Table of an entry."""
    options = {key: value for key, value in asked.items() if key not in ("measure", "name")}
    return ORACLES[asked["measure"]](networks, **options)


EVERY_ENTRY = [
    *(entry("ntk_distance", reduction=reduction, scale=scale)
      for reduction in ("trace", "full") for scale in ("none", "trace", "frobenius")),
    *(entry("ntk_alignment", reduction=reduction, centred=centred) for reduction in ("trace", "full") for centred in (1, 0)),
    *(entry("weight_frobenius", relative=relative, per=per) for relative in (0, 1) for per in ("model", "matrix")),
    *(entry("fisher", form=form) for form in ("output", "quadratic", "task")),
    *(entry("path_norm", norm=norm) for norm in ("spectral", "path1", "path2")),
    entry("gradient_cosine"),
    entry("gradient_conflict"),
    entry("sharpness", form="recorded"),
    entry("sharpness", "sharpness_quadratic", form="quadratic", radius=[0.05, 0.5, 3]),
]


class TablesTestCase(SystemTestCase):
    def assertCodes(self, found, codes, name=""):
        """Every status code is one of those that the oracle allows; a value may have been refined."""
        wrong = [f"{found.rows[i]}, {found.columns[j]}: {found.codes[i, j]} instead of {sorted(codes[i, j])}"
                 for i, j in np.ndindex(codes.shape)
                 if int(found.codes[i, j]) not in codes[i, j] | ({REFINED} if OK in codes[i, j] else set())]
        if wrong:
            self.fail(f"{name}: {wrong[:5]}")

    def assertTable(self, found, table, name, precision="double", tolerance=None):
        """Names, status codes and values are the oracle's; the diagonal is exact."""
        self.assertEqual(found.rows, table.names, name)
        self.assertEqual(found.columns, table.names, name)
        self.assertCodes(found, table.codes, name)
        deviation = oracle.deviation(found.values.astype(np.float64), table.values)
        met[name, precision] = max(met[name, precision], deviation)
        if deviation > (tolerance or TOLERANCE[precision]):
            difference = np.nan_to_num(abs(found.values - table.values))
            worst = np.unravel_index(np.argmax(difference), difference.shape)
            self.fail(f"{name}, {precision}: deviation {deviation:.2e}; largest difference at {found.rows[worst[0]]}, "
                      f"{found.columns[worst[1]]}: {found.values[worst]!r}, oracle {table.values[worst]!r}")
        diagonal = np.diag(found.values)[~np.isnan(np.diag(table.values))]
        measure = text(found.attributes["measure"])
        exact = 1.0 if measure in ("architecture", "gradient_cosine", "ntk_alignment", "cross_attention") else 0.0
        self.assertTrue((diagonal == exact).all(), f"{name}: diagonal {diagonal}")

    def assertTables(self, tensors, tables, precision="double", tolerance=None):
        for name, table in tables.items():
            with self.subTest(name, precision=precision):
                self.assertTable(tensors[name], table, name, precision, tolerance)

    def check(self, networks, entries, precisions=("double", "single"), tolerance=None, **keys):
        """Compute a zoo of these networks and compare with the oracles; the tensors of the last precision."""
        self.zoo(networks)
        tables = {asked["name"]: expected(networks, asked) for asked in entries}
        for precision in precisions:
            tensors = self.compute(entries, precision=precision, **keys)
            self.assertTables(tensors, tables, precision, tolerance)
        return tensors
