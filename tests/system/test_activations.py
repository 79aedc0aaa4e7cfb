"""cosine and isotropy against the oracle, closed forms and invariances."""

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


def with_spectrum(n, singular_values, seed=0, offset=0.0):
    """[n, d] whose centred singular values are these."""
    random = np.random.default_rng(seed)
    d = len(singular_values)
    left = random.standard_normal((n, d))
    U = np.linalg.qr(left - left.mean(axis=0))[0]
    V = np.linalg.qr(random.standard_normal((d, d)))[0]
    return (U * singular_values) @ V.T + offset


class Isotropy(TablesTestCase):
    ENTRY = entry("isotropy")

    def check(self, networks, tolerance=1e-9, **keys):
        """As above, once: precision is always double; what is kept as well."""
        tensors = super().check(networks, [self.ENTRY], precisions=["single"], tolerance=tolerance, **keys)
        kept = expected(networks, self.ENTRY).kept
        found = tensors["isotropy"].kept
        self.assertEqual(set(found), set(kept))
        np.testing.assert_array_equal(found["rank"], kept["rank"])
        np.testing.assert_allclose(found["I"], kept["I"], rtol=1e3 * tolerance)
        np.testing.assert_allclose(found["effective_rank"], kept["effective_rank"], rtol=1e-9)
        return tensors["isotropy"]

    def test_layers_that_break_careless_arithmetic(self):
        alpha, beta = hard()
        for ranks in (1, 2, 3, 4):
            self.check({"alpha": Network(activations=alpha), "beta": Network(activations=beta)}, 1e-8, ranks=ranks)

    def test_counts_may_differ(self):
        """n and d of any size beside one another; 6 wherever n <= d."""
        random = np.random.default_rng(1)
        shapes = [(4, 1), (4, 3), (4, 4), (5, 40), (30, 29), (30, 30), (700, 3), (70, 3, 5, 7), (20, 3, 5, 7), (9, 2, 1, 1)]
        networks = {f"m{k}": layers(a=random.standard_normal(shape)) for k, shape in enumerate(shapes)}
        found = self.check(networks, ranks=3)
        deficient = np.array([shape[0] <= np.prod(shape[1:]) for shape in shapes])
        np.testing.assert_array_equal(found.codes == 6, deficient[:, None] | deficient)

    def test_given_spectra(self):
        """(s_1/s_d)^2, down to s_d = 1e-9 s_1: a covariance has no such digits."""
        ratios = [1, 10, 1e3, 1e6, 1e9]
        networks = {f"m{k}": layers(a=with_spectrum(60 + k, np.logspace(0, -np.log10(r), 12), k, offset=5.0))
                    for k, r in enumerate(ratios)}
        self.zoo(networks)
        found = self.compute([self.ENTRY])["isotropy"]
        logs = 2 * np.log(ratios)
        np.testing.assert_allclose(found.values, abs(logs[:, None] - logs), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(found.kept["I"], np.square(ratios), rtol=1e-4)
        self.assertTrue((found.kept["rank"] == 12).all())
        self.assertTrue((found.codes == 0).all())

    def test_rank(self):
        """Directions without variance do not count, but are told."""
        networks = {"full": layers(a=with_spectrum(50, [4.0, 2, 1])),
                    "deficient": layers(a=np.hstack([with_spectrum(50, [4.0, 2, 1]), np.zeros((50, 2))])),
                    "wide": layers(a=with_spectrum(50, [8.0, 2]) @ np.linalg.qr(np.ones((300, 2)) + np.eye(300, 2))[0].T)}
        self.zoo(networks)
        found = self.compute([self.ENTRY])["isotropy"]
        np.testing.assert_allclose(found.values, np.log(4) * np.array([[0, 0, .0], [0, 0, 0], [0, 0, 0]]), atol=1e-12)
        np.testing.assert_array_equal(found.codes, [[0, 6, 6], [6, 6, 6], [6, 6, 6]])
        np.testing.assert_array_equal(found.kept["rank"], [3, 3, 2])
        np.testing.assert_allclose(found.kept["effective_rank"], [21**2 / 273, 21**2 / 273, 68**2 / (64**2 + 16)])

    def test_white_noise_has_the_edges_of_marchenko_and_pastur(self):
        """((1 + sqrt g) / (1 - sqrt g))^2 with g = d/n, up to the width of the edges."""
        random = np.random.default_rng(5)
        n = 4000
        widths = [40, 400, 1000]
        self.zoo({"m": {f"d{d}": random.standard_normal((n, d)).astype(np.float32) for d in widths}})
        found = self.compute([self.ENTRY])["isotropy"]
        g = np.sqrt(np.array(widths) / n)
        np.testing.assert_allclose(found.kept["I"], ((1 + g) / (1 - g)) ** 2, rtol=0.03)

    def test_rotation_scale_and_translation(self):
        random = np.random.default_rng(6)
        base = with_spectrum(80, np.linspace(1, 9, 15), 6)
        rotation = np.linalg.qr(random.standard_normal((15, 15)))[0]
        self.zoo({"m": {"base": base, "rotated": base @ rotation, "scaled": -1e-6 * base,
                        "moved": base + 1e3 * random.standard_normal(15),
                        "all": 1e5 * (base @ rotation) + 1e7, "stretched": base * np.linspace(1, 3, 15)}})
        found = self.compute([self.ENTRY])["isotropy"]
        np.testing.assert_allclose(found.values[:5, :5], 0, atol=1e-9)
        self.assertGreater(found.values[0, 5], 0.1)

    def test_statuses(self):
        random = np.random.default_rng(7)
        sound = random.standard_normal((20, 6))
        spoilt = sound.copy()
        spoilt[11, 3] = np.nan
        networks = {"m": layers(sound=sound, spoilt=spoilt, constant=np.full((20, 3), 0.1), few=sound[:3], wide=sound[:5]),
                    "none": Network(logits=np.ones((4, 2)))}
        found = self.check(networks, code=3, ranks=2)
        self.assertEqual(list(found.codes[0]), [0, 1, 2, 4, 6])
        del networks["m"].activations["spoilt"], networks["m"].activations["constant"]
        self.check(networks, code=0, ranks=4)

    def test_too_few_samples_everywhere(self):
        self.zoo({"m": layers(a=np.eye(3), b=np.eye(2))})
        finished = zoogram("run", self.job([self.ENTRY]), ranks=2)
        self.assertEqual(finished.code, 65, finished.report)

    def test_the_sample_limit(self):
        random = np.random.default_rng(8)
        shapes = {"a": (40, 5), "b": (10, 5), "c": (60, 30)}
        networks = {"m": layers(**{name: random.standard_normal(shape) for name, shape in shapes.items()})}
        self.zoo(networks)
        found = self.compute([self.ENTRY], select={"samples": 25})["isotropy"]
        self.assertTable(found, expected(networks, {**self.ENTRY, "samples": 25}), "isotropy")

    def test_blocks(self):
        """Layers of many blocks, compressed, tall and wide; the same bits on 1, 2, 3 and 4 ranks."""
        random = np.random.default_rng(9)
        tall, wide = random.standard_normal((70_000, 24)), random.standard_normal((33, 40_000))
        networks = {"m": layers(
            tall=tall * np.linspace(1, 50, 24), wide=wide,
            packed=Stored(tall.astype(np.float32), {"compression": "gzip", "chunks": (999, 24)}),
            maps=Stored(wide.reshape(33, 40, 100, 10).astype(np.float16), {"compression": "gzip"}))}
        first = self.check(networks, ranks=1)
        for ranks in (2, 3, 4):
            again = self.compute([self.ENTRY], ranks=ranks)["isotropy"]
            np.testing.assert_array_equal(again.values, first.values)


if __name__ == "__main__":
    unittest.main()
