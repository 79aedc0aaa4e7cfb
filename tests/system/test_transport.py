"""MMD and Wasserstein distances against the oracle, against closed forms, and with what they must refuse."""

import unittest

import numpy as np

import oracle
import oracle_transport
from arrays import related
from oracle_pairs import MISFIT, NONFINITE, OK
from oracle_transport import FEW_SAMPLES
from tables import TOLERANCE, entry, met, print_deviations
from zoogram import SystemTestCase, text, zoogram

REFINED = 8
tearDownModule = print_deviations

MMD = [entry("mmd", **options) for options in (
    {}, {"estimator": "biased"}, {"sigma": 2.5}, {"estimator": "biased", "sigma": 300},
    {"kernel": "linear"}, {"kernel": "linear", "estimator": "biased"})]
WASSERSTEIN = [entry("wasserstein", **options) for options in (
    {}, {"projections": 7, "seed": 3}, {"form": "gaussian"}, {"form": "sinkhorn", "epsilon": 0.5})]
EXACT = entry("wasserstein", form="exact")


def options_of(asked):
    return {key: value for key, value in asked.items() if key not in ("measure", "name")}


class TransportTestCase(SystemTestCase):
    def layers_zoo(self, layers):
        self.zoo({"m": layers})
        return {f"m/{name}": array for name, array in layers.items()}

    def check(self, layers, entries, tolerance=None, **keys):
        """Compute, and compare with the oracle; the tensors."""
        named = self.layers_zoo(layers)
        tensors = self.compute(entries, **keys)
        for asked in entries:
            table = getattr(oracle_transport, asked["measure"])(named, **options_of(asked))
            found, name = tensors[asked["name"]], asked["name"]
            with self.subTest(name):
                self.assertEqual(found.rows, table.names)
                deviation = oracle.deviation(found.values, table.values)
                met[name, "double"] = max(met[name, "double"], deviation)
                self.assertLess(deviation, tolerance or TOLERANCE["double"])
                self.assertCodes(found, table)
        return tensors

    def assertCodes(self, found, table):
        for i, j in np.ndindex(table.codes.shape):
            allowed = table.codes[i, j] | ({REFINED} if OK in table.codes[i, j] else set())
            self.assertIn(int(found.codes[i, j]), allowed, f"{found.rows[i]}, {found.columns[j]}")

    def assertDistance(self, tensor):
        np.testing.assert_array_equal(tensor.values, tensor.values.T)
        diagonal = np.diag(tensor.values)
        self.assertTrue((diagonal[~np.isnan(diagonal)] == 0).all())


class OracleItself(unittest.TestCase):
    """The oracle against textbook formulas and closed forms."""

    def test_gaussian_by_matrix_roots(self):
        random = np.random.default_rng(1)
        X, Y = random.standard_normal((40, 5)), 1 + random.standard_normal((30, 5)) @ random.standard_normal((5, 5))
        self.assertAlmostEqual(oracle_transport.gaussian(X, Y), oracle_transport.gaussian_by_roots(X, Y), places=10)

    def test_steps(self):
        """Quantile functions of 2 and 3 steps, cut at 1/3, 1/2 and 2/3."""
        found = oracle_transport.squared_in_one_dimension(np.array([5.0, 1]), np.array([0.0, 6, 3]))
        self.assertAlmostEqual(found, ((1 - 0) ** 2 * 2 + (1 - 3) ** 2 + (5 - 3) ** 2 + (5 - 6) ** 2 * 2) / 6)

    def test_transport_between_two_points_a_side(self):
        stays = 1 / (1 + np.exp(-1 / 0.3))
        expected = (1 - stays) + 0.3 * (stays * np.log(2 * stays) + (1 - stays) * np.log(2 - 2 * stays))
        self.assertAlmostEqual(oracle_transport.transport(np.array([[0.0, 1], [1, 0]]), 0.3), expected, places=12)

    def test_directions(self):
        W = oracle_transport.directions(0, 2000, 3)
        np.testing.assert_allclose((W**2).sum(axis=1), 1)
        np.testing.assert_allclose(W.T @ W / 2000, np.eye(3) / 3, atol=0.03)


class Oracle(TransportTestCase):
    def mixed(self, dtype=np.float64):
        """Layers of three widths, of different numbers of samples, with fewer and with more samples than features."""
        random = np.random.default_rng(5)
        shapes = [(40, 5), (40, 5), (57, 5), (38, 7), (38, 7), (40, 60), (51, 60), (29, 1), (40, 1)]
        return {f"l{k}": ((1 + 0.3 * k) * random.standard_normal(shape) + 0.4 * k).astype(dtype)
                for k, shape in enumerate(shapes)}

    def test_mixed_layers(self):
        for ranks, dtype in ((1, np.float64), (2, np.float32), (3, np.float64), (4, np.float16)):
            with self.subTest(ranks=ranks, dtype=dtype):
                self.check(self.mixed(dtype), MMD + WASSERSTEIN, ranks=ranks)

    def test_precisions_give_the_same(self):
        """Both measures are computed in double whatever the job's precision."""
        layers = self.mixed(np.float32)
        single, double = (self.check(layers, MMD + WASSERSTEIN, precision=p) for p in ("single", "double"))
        for name, tensor in single.items():
            self.assertEqual(tensor.values.tobytes(), double[name].values.tobytes(), name)

    def test_exact(self):
        layers = {k: v.astype(np.float32) for k, v in related(83, [6, 6, 6, 40, 40, 1, 1], seed=2).items()}
        for ranks in (1, 3):
            self.assertDistance(self.check(layers, [EXACT], ranks=ranks)[EXACT["name"]])

    def test_far_from_zero(self):
        """A common offset of 1e5 standard deviations costs no digits that matter."""
        layers = {k: 1e5 + v for k, v in related(40, [6, 6, 6], seed=3).items()}
        self.check(layers, MMD[:4] + WASSERSTEIN + [EXACT], tolerance=1e-8)

    def test_many_rows_for_the_median(self):
        """More pooled distances than are selected from at once; more than 1,000 rows in an item; several widths."""
        random = np.random.default_rng(8)
        layers = {f"l{k}": (1 + k % 3) * random.standard_normal((n, d)) + 0.1 * k
                  for k, (n, d) in enumerate([(1100, 3), (700, 3), (500, 3), (600, 4), (300, 4)])}
        for ranks in (1, 3):
            tensor = self.check(layers, MMD[:1], ranks=ranks)[MMD[0]["name"]]
        np.testing.assert_allclose(tensor.kept["sigma"], oracle_transport.pooled_sigma(
            {name: layers[name.split("/")[1]] for name in tensor.rows}), rtol=1e-12)

    def test_median_of_ties(self):
        layers = {f"l{k}": np.round(np.random.default_rng(k).standard_normal((900, 1))) for k in range(3)}
        self.check(layers, MMD[:2])

    def test_one_seed_one_set_of_directions(self):
        entries = [entry("wasserstein", f"s{seed}", seed=seed, projections=5) for seed in (1, 2)]
        tensors = self.check(self.mixed(), entries)
        self.assertGreater(abs(np.nan_to_num(tensors["s1"].values - tensors["s2"].values)).max(), 1e-3)


class Bits(TransportTestCase):
    def test_any_number_of_ranks(self):
        """More ranks than blocks as well; the exact form goes with equal numbers of samples."""
        random = np.random.default_rng(6)
        layers = {f"l{k}": (1 + 0.1 * k) * random.standard_normal((33, 3 + k % 2)) for k in range(9)}
        for chosen in (layers, dict(list(layers.items())[:2])):
            self.layers_zoo(chosen)
            tensors = [self.compute(MMD + WASSERSTEIN + [EXACT], ranks=ranks) for ranks in (1, 2, 3, 4, 5)]
            for other in tensors[1:]:
                for name, tensor in tensors[0].items():
                    self.assertEqual(other[name].values.tobytes(), tensor.values.tobytes(), name)
                    self.assertEqual(other[name].codes.tobytes(), tensor.codes.tobytes(), name)

    def test_little_memory(self):
        """Items are prepared again and again where few fit."""
        random = np.random.default_rng(7)
        self.layers_zoo({f"l{k}": random.standard_normal((400, 8)) for k in range(12)})
        entries = [entry("wasserstein", projections=1024)]  # 3.1 MiB an item
        plenty, little = (self.compute(entries, memory_per_rank=memory) for memory in ("1GiB", "66MiB"))
        for name, tensor in plenty.items():
            self.assertEqual(little[name].values.tobytes(), tensor.values.tobytes())
        finished = zoogram("run", self.job(entries, memory_per_rank="60MiB", output="other.h5"), ranks=2)
        self.assertEqual(finished.code, 71, finished.report)
        self.assertRegex(finished.err, "measure wasserstein needs .* of memory per rank .* would help")


class ClosedForms(TransportTestCase):
    def value(self, layers, asked, code=0):
        self.layers_zoo(layers)
        tensor = self.compute([asked], code=code)[asked["name"]]
        self.assertIn(int(tensor.codes[0, 1]), (OK, REFINED))
        return tensor.values[0, 1]

    def test_translation(self):
        """W_2(X, X + c) = |c| in every form; sliced: the root mean square of the components along the directions."""
        X, c = related(48, [5], seed=1)["layer0"], np.array([1.0, -2, 0.5, 0, 3])
        along = oracle_transport.directions(0, 256, 5) @ c
        for form, expected in (("sliced", np.sqrt((along**2).mean())), ("gaussian", np.linalg.norm(c)),
                               ("exact", np.linalg.norm(c)), ("sinkhorn", np.linalg.norm(c))):
            with self.subTest(form):
                shuffled = np.random.default_rng(0).permutation(X + c)
                found = self.value({"a": X, "b": shuffled}, entry("wasserstein", form=form))
                self.assertAlmostEqual(found / expected, 1, places=10)

    def test_one_dimension_is_sorting(self):
        random = np.random.default_rng(2)
        x, y = random.standard_normal((31, 1)), 2 * random.exponential(size=(31, 1))
        expected = np.sqrt(((np.sort(x[:, 0]) - np.sort(y[:, 0])) ** 2).mean())
        for form in ("sliced", "exact"):
            self.assertAlmostEqual(self.value({"a": x, "b": y}, entry("wasserstein", form=form)), expected, places=12)

    def orthogonal(self, n, d):
        """Centred columns of unit variance, without correlation."""
        random = np.random.default_rng(3)
        Q = np.linalg.qr(np.hstack([np.ones((n, 1)), random.standard_normal((n, d))]))[0][:, 1:]
        return Q * np.sqrt(n - 1)

    def test_commuting_covariances(self):
        """W_2^2 = |m - m'|^2 + sum (s_k - s'_k)^2 for covariances with the same eigenvectors."""
        n, d = 30, 6
        Z, rotation = self.orthogonal(n, d), np.linalg.qr(np.random.default_rng(4).standard_normal((d, d)))[0]
        s, t = np.array([3, 2, 1, 1e-3, 5, 0.1]), np.array([1, 2.5, 1, 2e-3, 0.2, 0.4])
        X, Y = (np.random.default_rng(5).permutation(Z) * s) @ rotation, (Z * t) @ rotation + 0.7
        expected = np.sqrt(d * 0.7**2 + ((s - t) ** 2).sum())
        self.assertAlmostEqual(self.value({"a": X, "b": Y}, entry("wasserstein", form="gaussian")), expected, places=11)

    def test_covariances_of_different_rank(self):
        """Fewer samples than features on one side: the spectrum of one is a part of the other's, in the same axes."""
        n, d = 40, 30
        Z = self.orthogonal(n, d)
        s = np.linspace(1, 2, d)
        few = self.orthogonal(9, 8) * s[:8] @ np.eye(8, d)  # 9 samples, rank 8
        expected = np.sqrt((s[8:] ** 2).sum())
        self.assertAlmostEqual(self.value({"a": Z * s, "b": few}, entry("wasserstein", form="gaussian")), expected, places=11)

    def test_near_copies_keep_their_digits(self):
        """X against (1 + e) X about its mean: the gaussian distance is e sqrt(tr S), whatever e is."""
        for n, d in ((50, 8), (12, 30)):
            X = related(n, [d], seed=6)["layer0"]
            X -= X.mean(axis=0)
            for e in (1e-3, 1e-6, 1e-9):
                expected = e * np.sqrt((X**2).sum() / (n - 1))
                found = self.value({"a": X, "b": X * (1 + e)}, entry("wasserstein", form="gaussian"))
                self.assertLess(abs(found / expected - 1), 1e-15 / e + 1e-9)
                found = self.value({"a": X, "b": X * (1 + e)}, EXACT)
                self.assertLess(abs(found / (e * np.sqrt((X**2).sum() / n)) - 1), 1e-15 / e + 1e-9)

    def test_near_copies_of_other_rank(self):
        """n rows against (1 + e) times k copies of each, scaled to one covariance: factors of n and of min(n k, d) columns."""
        n, e = 9, 1e-5
        for d, k in ((200, 30), (60, 3), (60, 6)):
            X = related(n, [d], seed=8)["layer0"]
            X -= X.mean(axis=0)
            copies = np.tile(X, (k, 1)) * (1 + e) * np.sqrt((n * k - 1) / (k * (n - 1)))
            expected = e * np.sqrt((X**2).sum() / (n - 1))
            for layers in ({"a": X, "b": copies}, {"a": copies, "b": X}):
                found = self.value(layers, entry("wasserstein", form="gaussian"))
                self.assertLess(abs(found / expected - 1), 1e-15 / e + 1e-9)

    def test_copies(self):
        X = related(40, [5], seed=7)["layer0"].astype(np.float32)
        self.layers_zoo({"a": X, "b": X, "constant": np.ones((40, 5)), "same": np.ones((9, 5))})
        for name, tensor in self.compute(WASSERSTEIN + MMD).items():
            with self.subTest(name):
                self.assertEqual(tensor.code("m/constant", "m/same") & ~REFINED, OK)
                if name.startswith("wasserstein") or text(tensor.attributes["estimator"]) == "biased":
                    self.assertEqual(tensor.at("m/constant", "m/same"), 0)
                    self.assertLess(abs(tensor.at("m/a", "m/b")), 1e-12 if "gaussian" in name else 1e-300)

    def test_bounds(self):
        """sliced <= exact <= paired; the gaussian form with covariances over n, not n - 1, bounds exact from below
        (Gelbrich); sinkhorn tends to exact."""
        n = 60
        layers = related(n, [4] * 5, seed=8)
        named = self.layers_zoo(layers)
        forms = [entry("wasserstein", form, form=form) for form in ("sliced", "gaussian", "exact")]
        forms.append(entry("wasserstein", "sinkhorn", form="sinkhorn", epsilon=1e-4))
        found = {name: t.values for name, t in self.compute(forms).items()}
        arrays = list(named.values())
        means = np.array([[((X.mean(0) - Y.mean(0)) ** 2).sum() for Y in arrays] for X in arrays])
        paired = np.array([[np.sqrt(((X - Y) ** 2).sum(axis=1).mean()) for Y in arrays] for X in arrays])
        off = ~np.eye(len(arrays), dtype=bool)
        self.assertTrue((found["sliced"] < found["exact"])[off].all())
        self.assertTrue((found["exact"] < paired)[off].all())
        gelbrich = np.sqrt(means + (found["gaussian"] ** 2 - means) * (n - 1) / n)
        self.assertTrue((gelbrich < found["exact"])[off].all())
        np.testing.assert_allclose(found["sinkhorn"], found["exact"], rtol=1e-5)

    def test_mmd_of_normal_distributions(self):
        """E k(x, y) = |I + (S1 + S2)/s^2|^-1/2 exp(-D'(s^2 I + S1 + S2)^-1 D / 2)."""
        n, d, width = 3000, 3, 1.7
        random = np.random.default_rng(9)
        covariances, shift = [np.diag([1.0, 0.5, 2]), np.diag([0.3, 1.5, 1])], np.array([0.5, 0, -1])
        X = random.standard_normal((n, d)) * np.sqrt(np.diag(covariances[0]))
        Y = random.standard_normal((n, d)) * np.sqrt(np.diag(covariances[1])) + shift

        def mean_kernel(S, D):
            M = width**2 * np.eye(d) + S
            return np.sqrt(width ** (2 * d) / np.linalg.det(M)) * np.exp(-D @ np.linalg.solve(M, D) / 2)

        S, T = covariances
        expected = mean_kernel(2 * S, 0 * shift) + mean_kernel(2 * T, 0 * shift) - 2 * mean_kernel(S + T, shift)
        found = self.value({"a": X, "b": Y}, entry("mmd", sigma=width))
        self.assertLess(abs(found - expected), 0.1 * expected)  # about three standard deviations at this n

    def test_mmd_is_the_distance_of_the_means(self):
        """Linear kernel; and a wide rbf kernel times sigma^2."""
        layers = related(40, [5, 5], seed=10)
        apart = ((layers["layer0"].mean(0) - layers["layer1"].mean(0)) ** 2).sum()
        self.assertAlmostEqual(self.value(layers, entry("mmd", kernel="linear", estimator="biased")) / apart, 1, places=12)
        wide = self.value(layers, entry("mmd", estimator="biased", sigma=1e7))
        self.assertAlmostEqual(wide * 1e14 / apart, 1, places=9)

    def test_kernel_without_width(self):
        """Where 1/sigma^2 is not a number k(x, y) still is: 1 for equal rows, else 0. There are no such features."""
        layers = related(30, [5, 5], seed=10)
        self.assertAlmostEqual(self.value(layers, entry("mmd", estimator="biased", sigma=1e-200)), 2 / 30, places=15)
        self.assertAlmostEqual(self.value(layers, entry("mmd", sigma=1e-200)), 0, places=15)
        (tensor,) = self.compute([entry("mmd", features=8, sigma=1e-310)], code=3).values()
        self.assertTrue((tensor.codes == NONFINITE).all() and np.isnan(tensor.values).all())

    def test_features(self):
        """Both estimators within five of the stated standard deviations; the diagonal is exact."""
        layers = related(60, [5, 5, 5, 5], seed=11)
        self.layers_zoo(layers)
        for estimator in ("unbiased", "biased"):
            exact, random = self.compute([entry("mmd", "exact", estimator=estimator),
                                          entry("mmd", "random", estimator=estimator, features=5000)]).values()
            self.assertEqual(exact.kept["sigma"].tobytes(), random.kept["sigma"].tobytes())
            squares = exact.values - np.diag(exact.values)[:, None]  # at least MMD^2, off the diagonal
            deviation = 2 * np.sqrt(np.maximum(squares, 0.01) / 5000)
            self.assertTrue((abs(exact.values - random.values) < 5 * deviation).all())
            self.assertGreater(abs(exact.values - random.values).max(), 0)


class Refusals(TransportTestCase):
    def test_status_of_faulty_layers(self):
        layers = {**related(30, [4, 4, 6], seed=12), "few": np.ones((3, 4)), "five": related(5, [4])["layer0"]}
        for name, bad in (("nan", np.nan), ("inf", np.inf)):
            layers[name] = layers["layer0"].copy()
            layers[name][7, 2] = bad
        tensors = self.check(layers, MMD[:2] + WASSERSTEIN, code=3)
        for tensor in tensors.values():
            self.assertEqual(tensor.code("m/layer0", "m/layer2"), MISFIT)
            self.assertEqual(tensor.code("m/layer0", "m/nan"), NONFINITE)
            self.assertEqual(tensor.code("m/layer1", "m/few"), FEW_SAMPLES)
            self.assertEqual(tensor.code("m/layer1", "m/five") & ~REFINED, OK)

    def test_numbers_whose_squares_overflow(self):
        """No distance of theirs is a double. They have no part in the pooled median, and do no harm to other layers."""
        layers = related(30, [4, 4], seed=13)
        for name, scale in (("huge", 1e155), ("larger", 1e307), ("last", 1e152)):
            layers[name] = layers["layer0"] * scale
        for ranks in (1, 2):
            tensors = self.check(layers, MMD + WASSERSTEIN + [EXACT], ranks=ranks, code=3)
            for tensor in tensors.values():
                self.assertEqual(tensor.code("m/layer0", "m/last"), NONFINITE)
                self.assertEqual(tensor.code("m/huge", "m/larger"), NONFINITE)
        self.layers_zoo({name: layers[name] for name in ("huge", "larger")})
        for tensor in self.compute([*MMD, entry("mmd", features=64), *WASSERSTEIN, EXACT], code=3).values():
            self.assertTrue((tensor.codes == NONFINITE).all())

    def test_large_numbers_whose_squares_do_not(self):
        """Neither do distances vanish among them, nor where one layer has numbers of another size."""
        layers = {name: 1e140 * array for name, array in related(30, [4, 4, 4], seed=14).items()}
        layers["small"] = 1e-140 * layers["layer0"]
        self.check(layers, WASSERSTEIN + [EXACT])

    def test_few_samples_everywhere(self):
        self.layers_zoo({"a": np.ones((3, 2)), "b": np.ones((2, 2))})
        for asked in (MMD[0], WASSERSTEIN[0]):
            finished = zoogram("run", self.job([asked]), ranks=2)
            self.assertEqual(finished.code, 65, finished.report)
            self.assertRegex(finished.errors[0], "too few: at least 4")

    def test_exact_needs_as_many_samples(self):
        self.layers_zoo({"a": np.ones((5, 2)), "b": np.ones((6, 2))})
        finished = zoogram("run", self.job([EXACT]), ranks=2)
        self.assertEqual(finished.code, 65, finished.report)
        self.assertIn("layer 'b' has 6 samples", finished.errors[0])

    def test_no_width(self):
        """A pooled median of 0, as most rows are equal: there is no kernel."""
        X = np.ones((30, 2))
        self.layers_zoo({"a": X, "b": X})
        (tensor,) = self.compute(MMD[:1], code=3).values()
        self.assertEqual(set(tensor.codes.ravel()), {2})
        self.assertTrue(np.isnan(tensor.values).all())

    def test_options(self):
        self.layers_zoo(related(30, [4, 4]))
        for asked, words in ((entry("mmd", sigma=-1), "sigma.*auto or a number > 0"), (entry("mmd", sigma=0), "auto or"),
                             (entry("mmd", kernel="linear", sigma=2), "needs kernel: rbf"),
                             (entry("mmd", kernel="linear", features=9), "needs kernel: rbf"),
                             (entry("wasserstein", form="gaussian", seed=2), "needs form: sliced"),
                             (entry("wasserstein", epsilon=0.1), "needs form: sinkhorn")):
            with self.subTest(asked=asked):
                finished = zoogram("run", self.job([asked]), ranks=None)
                self.assertEqual(finished.code, 78, finished.report)
                self.assertRegex(finished.errors[0], words)
        tensors = self.compute([{"measure": "mmd", "sigma": "auto", "name": "a"}, {"measure": "mmd", "name": "b"}])
        self.assertEqual(tensors["a"].values.tobytes(), tensors["b"].values.tobytes())
        self.assertEqual(text(tensors["a"].attributes["sigma"]), "auto")


if __name__ == "__main__":
    unittest.main()
