"""What CKA and HSIC must and must not notice, and closed forms: no oracle, only mathematics."""

import unittest
from itertools import permutations

import numpy as np

from arrays import related
from oracle import Measure, every_measure
from zoogram import SystemTestCase

PRECISIONS = ("double", "single")
EQUAL = {"double": 1e-9, "single": 2e-5}
CKA = [m for m in every_measure((0.4,), (16,)) if m.measure == "cka"]


class Invariance(SystemTestCase):
    """Layer a and copies of it that have been changed, each against a and against an independent layer b."""

    def setUp(self):
        super().setUp()
        random = np.random.default_rng(31)
        n, d = 64, 12
        layers = related(n, [d, 9], seed=31)
        a, b = layers["layer0"], layers["layer1"]
        orthogonal = np.linalg.qr(random.standard_normal((d, d)))[0]
        # Permuted within the batches of 16, so that the mini-batch estimator sees the same batches.
        shuffled = np.concatenate([16 * k + random.permutation(16) for k in range(n // 16)])
        self.same = {
            "orthogonal": a @ orthogonal,
            "scaled": 37.5 * a,
            "reflected": -a,
            "translated": a + 100 * random.standard_normal(d),
            "features_permuted": a[:, random.permutation(d)],
            "padded": np.hstack([a, np.zeros((n, 5))]),
            "all_at_once": 0.01 * (a @ orthogonal) + random.standard_normal(d),
        }
        self.other = {
            "invertible": a @ (random.standard_normal((d, d)) + 0.1 * np.eye(d)),
            "stretched": a * np.linspace(0.2, 3, d),
            "samples_permuted": a[shuffled],
            "without_a_feature": a[:, 1:],
        }
        self.a, self.b, self.shuffled = a, b, shuffled

    def test_invariances(self):
        self.zoo({"m": {"a": self.a, "b": self.b, **self.same}})
        for precision in PRECISIONS:
            for name, tensor in self.compute(CKA, precision=precision).items():
                for row in self.same:
                    with self.subTest(name, precision=precision, row=row):
                        self.assertAlmostEqual(tensor.at(f"m/{row}", "m/a"), 1, delta=EQUAL[precision])
                        self.assertAlmostEqual(
                            tensor.at(f"m/{row}", "m/b"), tensor.at("m/a", "m/b"), delta=EQUAL[precision])

    def test_non_invariances(self):
        self.zoo({"m": {"a": self.a, "b": self.b, **self.other}})
        for name, tensor in self.compute(CKA).items():
            for row in self.other:
                with self.subTest(name, row=row):
                    self.assertLess(tensor.at(f"m/{row}", "m/a"), 0.9999)
                    self.assertGreater(abs(tensor.at(f"m/{row}", "m/b") - tensor.at("m/a", "m/b")), 1e-4)

    def test_joint_permutation_of_samples(self):
        """The same samples in another order, in all layers, are the same data."""
        tensors = []
        for rows in (slice(None), self.shuffled):
            self.zoo({"m": {"a": self.a[rows], "b": self.b[rows], "c": self.other["stretched"][rows]}})
            tensors.append(self.compute(every_measure((0.4,), (16,)), precision="double"))
        for name, tensor in tensors[0].items():
            np.testing.assert_allclose(tensors[1][name].values, tensor.values, rtol=1e-9, err_msg=name)

    def test_hsic_scales_with_the_square_of_each_kernel(self):
        self.zoo({"m": {"a": self.a, "b": self.b, "doubled": 2 * self.a}})
        for estimator in ("debiased", "biased", "minibatch"):
            (tensor,) = self.compute([Measure("hsic", estimator=estimator)], precision="double").values()
            plain = tensor.at("m/a", "m/b")
            self.assertAlmostEqual(tensor.at("m/doubled", "m/b") / plain, 4, places=9)
            self.assertAlmostEqual(tensor.at("m/doubled", "m/doubled") / tensor.at("m/a", "m/a"), 16, places=9)


class Form(SystemTestCase):
    """Diagonal, symmetry, bounds and definiteness of whole tensors."""

    def setUp(self):
        super().setUp()
        self.zoo({f"model{m}": {k: v.astype(np.float32) for k, v in
                                related(61, [3, 20, 90, 1, 7], seed=m, noise=0.3 * (m + 1)).items()} for m in range(8)})

    def test_tensors_are_gram_matrices_of_unit_vectors(self):
        """CKA is a cosine: the diagonal is exactly 1, entries lie within [-1, 1], no eigenvalue is negative."""
        for precision in PRECISIONS:
            for ranks in (1, 3):
                for name, tensor in self.compute(CKA, ranks=ranks, precision=precision).items():
                    with self.subTest(name, precision=precision, ranks=ranks):
                        self.assertTrue((np.diag(tensor.values) == 1).all())
                        self.assertTrue((abs(tensor.values) <= 1 + 1e-6).all())
                        self.assertGreater(np.linalg.eigvalsh(tensor.values).min(), -1e-6)

    def test_symmetric_to_the_last_bit(self):
        for precision in PRECISIONS:
            for ranks, team in ((1, "auto"), (3, "all"), (4, 2)):
                measures = every_measure((0.4,), (16,))
                for name, tensor in self.compute(measures, ranks=ranks, team_size=team, precision=precision).items():
                    with self.subTest(name, precision=precision, ranks=ranks):
                        np.testing.assert_array_equal(tensor.values, tensor.values.T)
                        np.testing.assert_array_equal(tensor.codes, tensor.codes.T)

    def test_biased_lies_between_0_and_1(self):
        measures = [Measure(kernel=kernel, estimator="biased") for kernel in ("linear", "rbf")]
        for name, tensor in self.compute(measures).items():
            self.assertGreaterEqual(tensor.values.min(), 0, name)
            self.assertLessEqual(tensor.values.max(), 1, name)

    def test_arccos_of_biased_cka_is_a_metric(self):
        """The triangle inequality over all triples."""
        (tensor,) = self.compute([Measure(estimator="biased")], precision="double").values()
        angles = np.arccos(tensor.values.clip(-1, 1))
        detours = (angles[:, :, None] + angles[None, :, :]).min(axis=1)
        self.assertTrue((angles <= detours + 1e-7).all())


class ClosedForms(SystemTestCase):
    def test_one_batch_of_all_samples_is_the_debiased_estimator(self):
        n = 53
        self.zoo({"m": related(n, [4, 30, 11], seed=41)})
        measures = list(every_measure((0.4,), (n,)))
        for precision in PRECISIONS:
            tensors = self.compute(measures, precision=precision)
            for minibatch in (m for m in measures if m.estimator == "minibatch"):
                debiased = tensors[Measure(minibatch.measure, minibatch.kernel).name]
                np.testing.assert_allclose(
                    tensors[minibatch.name].values, debiased.values, rtol=EQUAL[precision], err_msg=minibatch.name)

    def test_wide_rbf_tends_to_linear(self):
        """exp(-d^2/s) = 1 - d^2/s + ...: the constant drops out, the square is the linear kernel's. In single
        precision a kernel of almost only ones would have nothing left of it."""
        self.zoo({"m": related(64, [4, 30, 11], seed=42)})
        for precision in PRECISIONS:
            for estimator in ("debiased", "biased"):
                linear, rbf = self.compute(
                    [Measure(estimator=estimator), Measure(kernel="rbf", estimator=estimator, bandwidth=1000.0)],
                    precision=precision).values()
                np.testing.assert_allclose(
                    rbf.values, linear.values, atol=EQUAL["single"], err_msg=f"{estimator} {precision}")

    def test_bias_of_independent_gaussians(self):
        """E CKA = sqrt(p q / ((n+p)(n+q))) for layers that have nothing in common, d/(n+d) for equal widths; the
        debiased estimator gives 0."""
        n, each = 120, 12
        random = np.random.default_rng(43)
        widths = np.repeat([30, 240], each)
        self.zoo({"m": {f"l{k}": random.standard_normal((n, d)).astype(np.float32) for k, d in enumerate(widths)}})
        biased, debiased = self.compute([Measure(estimator="biased"), Measure()]).values()
        narrow, wide = slice(0, each), slice(each, None)
        off_diagonal = ~np.eye(each, dtype=bool)
        for rows, columns, mask in ((narrow, narrow, off_diagonal), (wide, wide, off_diagonal), (narrow, wide, ...)):
            p, q = widths[rows][0], widths[columns][0]
            expected = np.sqrt(p * q / ((n + p) * (n + q)))
            self.assertAlmostEqual(biased.values[rows, columns][mask].mean() / expected, 1, delta=0.02)
            self.assertAlmostEqual(debiased.values[rows, columns][mask].mean(), 0, delta=0.005)

    def test_mean_over_all_permutations_is_zero(self):
        """The debiased HSIC of X with Y, averaged over all 120 orders of Y's five samples; the biased one is not 0."""
        random = np.random.default_rng(44)
        X, Y = random.standard_normal((5, 3)), random.standard_normal((5, 2))
        orders = [list(order) for order in permutations(range(5))]
        self.zoo({"x": {"X": X}, "y": {f"order{k}": Y[order] for k, order in enumerate(orders)}})
        for kernel in ("linear", "rbf"):
            for precision in PRECISIONS:
                with self.subTest(kernel=kernel, precision=precision):
                    measures = [Measure("hsic", kernel), Measure("hsic", kernel, "biased")]
                    debiased, biased = (t.values for t in self.compute(measures, precision=precision).values())
                    size = abs(debiased[0, 1:]).max()
                    self.assertLess(abs(debiased[0, 1:].mean()), EQUAL[precision] * size)
                    self.assertGreater(biased[0, 1:].mean(), 0.1 * size)

    def test_two_point_layers(self):
        """A balanced +-1 feature against another: HSIC = n^2 c^2/(n-1)^2 with c their correlation; CKA = c^2."""
        n = 16
        a = np.repeat([1.0, -1.0], n // 2)
        b = a.copy()
        b[[0, 1, -1, -2]] *= -1
        c = (a @ b) / n
        self.zoo({"m": {"a": a[:, None], "b": b[:, None]}})
        for precision in PRECISIONS:
            cka, hsic = self.compute(
                [Measure(estimator="biased"), Measure("hsic", estimator="biased")], precision=precision).values()
            self.assertAlmostEqual(cka.values[0, 1], c**2, places=6)
            self.assertAlmostEqual(hsic.values[0, 1], n**2 * c**2 / (n - 1) ** 2, places=6)


if __name__ == "__main__":
    unittest.main()
