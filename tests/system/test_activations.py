"""cosine against the oracle, closed forms and invariances."""

import unittest

import numpy as np

from arrays import hard, related
from networks import Network, Stored
from tables import TablesTestCase, entry, expected, print_deviations
from zoogram import zoogram

tearDownModule = print_deviations
PRECISIONS = ("double", "single")


def layers(**arrays):
    return Network(activations=arrays)


class Cosine(TablesTestCase):
    FLATTENED, SAMPLES = entry("cosine", "flattened"), entry("cosine", "samples", pairing="samples")
    BOTH = [FLATTENED, SAMPLES]

    def test_layers_that_break_careless_arithmetic(self):
        alpha, beta = hard()
        self.check({"alpha": Network(activations=alpha), "beta": Network(activations=beta)}, self.BOTH, ranks=3)

    def test_layers_of_equal_width(self):
        """In all types; a map and its flattened form are the same layer."""
        random = np.random.default_rng(1)
        shared = random.standard_normal((53, 60))
        arrays = [(shared + 0.3 * (k + 1) * random.standard_normal(shared.shape)).astype(dtype)
                  for k, dtype in enumerate((np.float64, np.float32, np.float16, np.float64))]
        arrays[3] = np.maximum(arrays[3] + 1, 1e-3)
        networks = {f"m{k}": layers(a=array, map=array.reshape(53, 3, 4, 5)) for k, array in enumerate(arrays)}
        for ranks in (1, 2, 3, 4):
            tensors = self.check(networks, self.BOTH, ranks=ranks)
            for tensor in tensors.values():
                self.assertEqual(tensor.at("m2/a", "m2/map"), 0)
                np.testing.assert_array_equal(tensor.values, tensor.values.T)

    def test_closed_forms(self):
        e = np.eye(8)[:, :5]  # rows of length 1, three of zeros
        f = np.roll(e, 1, axis=1)
        rows = np.tile(np.eye(4), (3, 1))
        self.zoo({"m": layers(a=e + 0, opposite=-3 * e, orthogonal=f)})
        for precision in PRECISIONS:
            values = self.compute([self.FLATTENED], precision=precision)["flattened"].values
            np.testing.assert_allclose(values, [[0, 2, 1], [2, 0, 1], [1, 1, 0]], atol=1e-12)
        mixed = rows.copy()
        mixed[:3] = -7 * rows[:3]  # cosine -1 in a quarter of the samples
        mixed[3:6] = np.roll(rows[3:6], 1, axis=1)  # 0 in another
        self.zoo({"m": layers(a=rows, mixed=mixed)})
        for precision in PRECISIONS:
            values = self.compute([self.SAMPLES], precision=precision)["samples"].values
            self.assertAlmostEqual(values[0, 1], 2 / 4 + 1 / 4, places=12)

    def test_near_equal(self):
        """Distances down to 1e-14 are right relative to themselves, and say that they were refined."""
        random = np.random.default_rng(3)
        base = random.standard_normal((40, 50))
        networks = {"m": layers(base=base, scaled=3 * base, **{
            f"near{k}": base + 10.0**-k * random.standard_normal(base.shape) for k in (2, 4, 7)})}
        self.zoo(networks)
        for asked in self.BOTH:
            table = expected(networks, asked)
            for precision in PRECISIONS:
                found = self.compute([asked], precision=precision)[asked["name"]]
                np.testing.assert_allclose(found.values, table.values, rtol=1e-6, atol=1e-30)
                self.assertEqual(found.code("m/base", "m/near7"), 8)

    def test_statuses(self):
        random = np.random.default_rng(4)
        sound = random.standard_normal((20, 6))
        dead, spoilt = sound.copy(), sound.copy()
        dead[7] = 0
        spoilt[11, 3] = np.inf
        networks = {"m": layers(sound=sound, other=sound[:, :5], zero=0 * sound, dead=dead, spoilt=spoilt,
                                square=sound.reshape(20, 2, 3))}
        tensors = self.check(networks, self.BOTH, code=3, ranks=2)
        self.assertEqual(tensors["flattened"].code("m/sound", "m/dead"), 0)
        self.assertEqual(tensors["samples"].code("m/sound", "m/dead"), 2)
        self.assertEqual(tensors["samples"].code("m/sound", "m/other"), 3)

    def test_magnitudes(self):
        """Squares beyond the range of float32, and of double; rows of very different lengths."""
        for scale, dtype in ((1e30, np.float32), (1e-30, np.float32), (1e200, np.float64), (1e-200, np.float64)):
            with self.subTest(scale=scale):
                arrays = {name: (scale * array).astype(dtype) for name, array in related(12, [7, 7, 7], seed=5).items()}
                self.check({"m": Network(activations=arrays)}, self.BOTH)
        arrays = related(12, [7, 7, 7], seed=6)
        arrays["layer1"] = arrays["layer1"] * np.logspace(-150, 150, 12)[:, None]
        self.check({"m": Network(activations=arrays)}, self.BOTH)

    def test_the_sample_limit(self):
        networks = {"m": Network(activations=related(40, [5, 5, 5], seed=7))}
        self.zoo(networks)
        tensors = self.compute(self.BOTH, precision="double", select={"samples": 13})
        for asked in self.BOTH:
            pairing = asked.get("pairing", "flattened")
            limited = {"m": Network(activations={name: a[:13] for name, a in networks["m"].activations.items()})}
            self.assertTable(tensors[asked["name"]], expected(limited, {**asked, "pairing": pairing}), asked["name"])

    def test_long_and_compressed(self):
        """More than one slice of each vector, in single precision; the same bits on 1, 2, 3 and 4 ranks."""
        random = np.random.default_rng(8)
        shared = random.standard_normal((3001, 70))
        networks = {f"m{k}": layers(a=Stored((shared + k * random.standard_normal(shared.shape)).astype(np.float32), {
            "compression": "gzip", "compression_opts": 1, "chunks": (500, 70)})) for k in range(3)}
        first = self.check(networks, self.BOTH, ranks=1)
        for ranks in (2, 3, 4):
            again = self.compute(self.BOTH, ranks=ranks, precision="single")
            for name in again:
                np.testing.assert_array_equal(again[name].values, first[name].values)

    def test_samples_have_to_agree(self):
        random = np.random.default_rng(9)
        self.zoo({"m": layers(a=random.standard_normal((20, 3)), b=random.standard_normal((19, 3)))})
        finished = zoogram("run", self.job([self.FLATTENED]), ranks=2)
        self.assertEqual(finished.code, 65, finished.report)
        self.assertEqual(len(finished.errors), 1)


if __name__ == "__main__":
    unittest.main()
