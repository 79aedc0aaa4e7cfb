"""The oracles of tangent kernels, gradients and parameters, held against closed forms and other programs' definitions."""

import unittest
from itertools import product

import numpy as np

import oracle_fisher
import oracle_gradients
import oracle_parameters
import oracle_tangent
from arrays import cnn_factors, mlp_factors, mlp_weights, transformer_factors
from networks import Factors, Network, Stored
from oracle_pairs import ABSENT, MISFIT, NONFINITE, ZERO_NORM

try:
    import torch
except ImportError:
    torch = None

CLOSE = 1e-12  # double against extended precision


def weights(**arrays):
    return Network(weights=arrays)


class Parameters(unittest.TestCase):
    def test_distance_is_the_length_of_a_perturbation(self):
        base = mlp_weights(0)
        step = {name: 1e-6 * np.cos(np.arange(array.size)).reshape(array.shape) for name, array in base.items()}
        length = np.sqrt(sum((s**2).sum() for s in step.values()))
        moved = {name: base[name] + step[name] for name in reversed(base)}
        table = oracle_parameters.weight_frobenius({"a": Network(weights=base), "b": Network(weights=moved)})
        self.assertAlmostEqual(table.values[0, 1] / length, 1, places=9)  # the sums round at 1e-16 / 1e-6
        self.assertEqual(table.values[0, 0], 0)

    def test_relative(self):
        table = oracle_parameters.weight_frobenius({"a": weights(w=np.eye(2)), "b": weights(w=-3 * np.eye(2)),
                                                    "zero": weights(w=np.zeros((2, 2)))}, relative=1)
        self.assertAlmostEqual(table.values[0, 1], 2, places=14)
        self.assertEqual((table.values[0, 2], table.codes[2, 2]), (2, {ZERO_NORM}))

    def test_codes(self):
        table = oracle_parameters.weight_frobenius({
            "sound": weights(w=np.eye(2)), "other_name": weights(v=np.eye(2)), "other_shape": weights(w=np.ones(4)),
            "nan": weights(w=np.full((2, 2), np.nan)), "none": Network()})
        self.assertEqual([set(c) for c in table.codes[0]], [{0}, {MISFIT}, {MISFIT}, {NONFINITE}, {ABSENT}])
        self.assertEqual(table.codes[3, 4], {NONFINITE, ABSENT})

    def geometries(self):
        """Convolutions of every kind with few enough entries to write out."""
        random = np.random.default_rng(3)
        for padding_mode, groups, stride, dilation, padding in product(
                ("zeros", "circular"), (1, 2), (1, (2, 1)), (1, (1, 2)), (0, (1, 2), [2, 0, 1, 1])):
            kernel = random.standard_normal((4, 4 // groups, 3, 2))
            yield Stored(kernel, attributes={"kind": "conv", "input_size": (6, 5), "groups": groups, "stride": stride,
                                             "dilation": dilation, "padding": padding, "padding_mode": padding_mode})

    @unittest.skipIf(torch is None, "no PyTorch")
    def test_convolution_matrix_against_pytorch(self):
        random = np.random.default_rng(4)
        for array in self.geometries():
            with self.subTest(str(array.attributes)):
                x = random.standard_normal((4, 6, 5))
                top, bottom, left, right = oracle_parameters.padding_of(array)
                mode = {"zeros": "constant"}.get(array.attributes["padding_mode"], "circular")
                padded = torch.nn.functional.pad(torch.tensor(x)[None], (left, right, top, bottom), mode=mode)
                expected = torch.nn.functional.conv2d(
                    padded, torch.tensor(array.data), groups=array.attributes["groups"],
                    stride=array.attributes["stride"], dilation=array.attributes["dilation"])
                found = oracle_parameters.convolution_matrix(array) @ x.ravel()
                np.testing.assert_allclose(found, expected.numpy().ravel(), atol=CLOSE)

    def test_delta_kernel_is_an_isometry(self):
        delta = np.zeros((2, 2, 3, 3))
        delta[0, 1, 1, 1] = delta[1, 0, 1, 1] = 1
        for mode in ("zeros", "circular"):
            array = Stored(delta, attributes={"kind": "conv", "input_size": 5, "padding": 1, "padding_mode": mode})
            self.assertAlmostEqual(float(oracle_parameters.operator_norm(array)), 1, places=13)

    def test_spectral_norms(self):
        rotation = np.linalg.qr(np.random.default_rng(5).standard_normal((5, 5)))[0]
        networks = {"rotation": weights(w=rotation), "cubed": weights(v=2 * rotation, w=4 * rotation),
                    "diagonal": weights(w=np.diag([0.5, -3.0, 1.0])), "zero": weights(w=np.zeros((2, 2))),
                    "huge": Network(weights={f"w{k}": 1e30 * np.eye(2) for k in range(20)})}
        table = oracle_parameters.path_norm(networks)
        np.testing.assert_allclose(table.kept["log_value"], [0, np.log(8), np.log(3), np.nan, 600 * np.log(10)], atol=CLOSE)
        np.testing.assert_allclose(table.kept["value"], [1, 8, 3, np.nan, np.inf], rtol=CLOSE)
        self.assertAlmostEqual(table.values[0, 1], np.log(8), places=13)
        self.assertEqual(table.codes[0, 3], {ZERO_NORM})

    def test_paths_by_brute_force(self):
        chain = {name: array for name, array in mlp_weights(6, (3, 4, 2, 3)).items()}
        for power in (1, 2):
            total = sum(abs(chain["fc0.weight"][b, a] * chain["fc1.weight"][c, b] * chain["fc2.weight"][d, c]) ** power
                        for a, b, c, d in product(range(3), range(4), range(2), range(3)))
            table = oracle_parameters.path_norm({"m": Network(weights=chain)}, f"path{power}")
            self.assertAlmostEqual(table.kept["value"][0], total ** (1 / power), places=12)

    def test_chains_and_convolutions_that_cannot_be(self):
        kernel = np.ones((2, 2, 3, 3))
        networks = {"sound": weights(w=np.ones((3, 2)), v=np.ones((4, 3))), "broken": weights(w=np.ones((3, 2)), v=np.ones((4, 2))),
                    "conv": weights(w=np.ones((3, 2)), k=kernel)}
        table = oracle_parameters.path_norm(networks, "path1")
        self.assertEqual([set(c) for c in table.codes[0]], [{0}, {MISFIT}, {MISFIT}])
        reflect = Stored(kernel, attributes={"input_size": 5, "padding_mode": "reflect"})
        table = oracle_parameters.path_norm({"no_size": weights(k=kernel), "reflect": weights(k=reflect)})
        self.assertEqual((table.codes[0, 0], table.codes[1, 1]), ({ABSENT}, {ABSENT}))


class Fisher(unittest.TestCase):
    def output(self, a, b):
        return oracle_fisher.fisher({"a": Network(logits=np.array(a)), "b": Network(logits=np.array(b))}).values[0, 1]

    def test_bernoulli(self):
        """4 arcsin of half the chord of angles arcsin sqrt p is 2 |arcsin sqrt p - arcsin sqrt q|."""
        for p, q in ((0.2, 0.7), (0.5, 0.500001), (1e-9, 0.3)):
            logits = [[[np.log(r / (1 - r)), 0.0]] * 3 for r in (p, q)]
            self.assertAlmostEqual(self.output(*logits) / (2 * abs(np.arcsin(p**0.5) - np.arcsin(q**0.5))), 1, places=8)

    def test_disjoint(self):
        self.assertAlmostEqual(self.output([[1e4, 0]], [[0, 1e4]]), np.pi, places=14)
        self.assertAlmostEqual(self.output([[1e4, 0], [5, 3]], [[0, 1e4], [5, 3]]), np.pi / 2**0.5, places=14)

    def test_quadratic(self):
        """One sample each: half of either squared projection, in the order that the gradients name."""
        a = Network(weights={"u": np.array([1.0, 2.0]), "v": np.array([3.0])},
                    sample_gradients=Stored(np.array([[10.0, 1.0, 0.0]]), attributes={"parameters": ["v", "u"]}))
        b = Network(weights={"u": np.array([0.0, 2.0]), "v": np.array([5.0])}, sample_gradients=np.array([[0.0, 7.0, 1.0]]))
        table = oracle_fisher.fisher({"a": a, "b": b}, "quadratic")
        self.assertAlmostEqual(table.values[0, 1], np.sqrt((19.0**2 + 2.0**2) / 2), places=13)

    def test_task(self):
        """Disjoint supports are at distance 1; f does not depend on the gradients' scale."""
        table = oracle_fisher.fisher({
            "a": Network(sample_gradients=np.array([[3.0, 0.0], [4.0, 0.0]])),
            "b": Network(sample_gradients=np.array([[0.0, 1e5]])),
            "half": Network(sample_gradients=np.array([[1.0, 1.0]])), "zero": Network(sample_gradients=np.zeros((2, 2)))}, "task")
        self.assertAlmostEqual(table.values[0, 1], 1, places=14)
        self.assertAlmostEqual(table.values[0, 2], np.sqrt(1 - 0.5**0.5), places=14)
        self.assertEqual(table.codes[0, 3], {ZERO_NORM})


class Gradients(unittest.TestCase):
    def table(self, measure, **tasks):
        return measure({"m": Network(gradients=tasks)})

    def test_two_vectors(self):
        e, f = np.eye(2)
        for a, b, cosine, conflict in ((e, -e, -1, -2), (e, f, 0, 2**0.5 - 2), (e, 3 * e, 1, 0)):
            self.assertAlmostEqual(self.table(oracle_gradients.gradient_cosine, a=a, b=b).values[0, 1], cosine, places=15)
            self.assertAlmostEqual(self.table(oracle_gradients.gradient_conflict, a=a, b=b).values[0, 1], conflict, places=15)

    def test_near_parallel(self):
        """|a||b| = 1 and an angle t: 2 cos(t/2) - 2 = -4 sin^2(t/4)."""
        for t in (1e-3, 1e-7):
            a, b = np.array([1.0, 0.0], np.longdouble), np.array([np.cos(np.longdouble(t)), np.sin(np.longdouble(t))])
            conflict = self.table(oracle_gradients.gradient_conflict, a=a, b=b).values[0, 1]
            self.assertAlmostEqual(conflict / (-4 * np.sin(t / 4) ** 2), 1, places=8)

    def test_zero_and_total(self):
        table = self.table(oracle_gradients.gradient_conflict, **{str(k): row for k, row in enumerate(np.eye(5))}, zero=np.zeros(5))
        self.assertEqual((table.values[0, 5], table.codes[0, 5]), (0, {0}))
        self.assertAlmostEqual(table.kept["total"][0], 5**0.5 - 5, places=14)
        self.assertEqual(self.table(oracle_gradients.gradient_cosine, a=np.ones(3), b=np.zeros(3)).codes[0, 1], {ZERO_NORM})


class Sharpness(unittest.TestCase):
    def test_one_gradient(self):
        """F = g g': the step goes along g; r |g| + (r |g|)^2 / 2."""
        g = np.array([[3.0, 0.0, 4.0]])
        for r in (1e-4, 0.05, 10.0):
            self.assertAlmostEqual(float(oracle_gradients.quadratic_maximum(g, r)) / (5 * r + (5 * r) ** 2 / 2), 1, places=12)

    def test_at_a_minimum(self):
        """No mean gradient: r^2 l_1 / 2."""
        samples = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        self.assertAlmostEqual(float(oracle_gradients.quadratic_maximum(samples, 0.3)), 0.09 * 2 / 2, places=14)

    def test_hard_case(self):
        """The mean has nothing along the top direction. F = diag(4, 1), g = (0, 1): the step has y = 1 / (4 - 1) where the
        radius allows it, and the rest of it goes along x."""
        samples = np.array([[2.0, 1.0], [-2.0, 1.0]])
        y = 1 / 3
        expected = y + y**2 / 2 + 4 * (1 - y**2) / 2
        self.assertAlmostEqual(float(oracle_gradients.quadratic_maximum(samples, 1.0)), expected, places=12)

    def test_no_step_within_the_radius_does_better(self):
        random = np.random.default_rng(8)
        for m, p, radius in ((5, 2, 0.5), (3, 3, 2.0), (2, 3, 0.05)):
            samples = random.standard_normal((m, p)) + 0.3
            steps = random.standard_normal((200_000, p))
            steps *= radius / np.linalg.norm(steps, axis=1, keepdims=True)
            values = steps @ samples.mean(axis=0) + ((steps @ samples.T) ** 2).mean(axis=1) / 2
            best = float(oracle_gradients.quadratic_maximum(samples, radius))
            self.assertLessEqual(values.max(), best)
            self.assertGreater(values.max(), best * 0.999)

    def test_profiles(self):
        def recorded(values, radius=(0.1, 0.2)):
            return Network(sharpness=Stored(np.array(values), attributes={"radius": radius}))

        table = oracle_gradients.sharpness({"a": recorded([[1.0, 3.0], [2.0, 2.0]]), "b": recorded([[5.0, 5.0], [6.0, 6.0]]),
                                            "c": recorded([[5.0, 5.0], [6.0, 6.0]], (0.1, 0.3)), "none": Network()})
        self.assertAlmostEqual(table.values[0, 1], 5, places=14)
        self.assertEqual((table.codes[0, 2], table.codes[0, 3]), ({MISFIT}, {ABSENT}))


class Tangent(unittest.TestCase):
    def test_linear_model(self):
        """One logit, signal 1: J = (x, 1), Theta = XX' + 1."""
        X = np.random.default_rng(9).standard_normal((7, 4))
        network = Network(tangent={"fc": Factors(inputs=X, signal=np.ones((7, 1, 1)))})
        K = oracle_tangent.kernel(oracle_tangent.jacobian(network))
        np.testing.assert_allclose(K.astype(float), X @ X.T + 1, atol=CLOSE)

    def test_factors_contract_as_products_of_grams(self):
        """Theta = (AA' + 1) o (BB'), summed over pairs of positions; an index matches itself."""
        for factors in (mlp_factors(1), cnn_factors(2), transformer_factors(3)):
            m, C = 11, 4
            full = np.zeros((m, C, m, C))
            for layer in factors.values():
                if layer.direct is not None:
                    D = layer.direct.astype(float)
                    full += np.einsum("acq,bdq->acbd", D, D)
                    continue
                B = layer.signal.astype(float)
                B = B[:, :, None] if B.ndim == 3 else B
                if layer.index is not None:
                    match = (layer.index[:, :, None, None] == layer.index[None, None]).astype(float)
                else:
                    A = layer.inputs.astype(float)
                    A = A[:, None] if A.ndim == 2 else A
                    match = np.einsum("api,bqi->apbq", A, A)
                match += layer.bias in (None, 1)
                full += np.einsum("apbq,acpo,bdqo->acbd", match, B, B)
            J = oracle_tangent.jacobian(Network(tangent=factors))
            np.testing.assert_allclose(oracle_tangent.kernel(J, "full").astype(float), full.reshape(m * C, m * C), atol=1e-10)
            np.testing.assert_allclose(oracle_tangent.kernel(J).astype(float), np.einsum("acbc->ab", full), atol=1e-10)

    @unittest.skipIf(torch is None, "no PyTorch")
    def test_jacobian_of_a_small_network_by_differentiation(self):
        """Embedding, token-wise layer with bias, mean over tokens, head: factors as an extractor would record them."""
        torch.manual_seed(0)
        embedding, hidden, head = torch.nn.Embedding(6, 3), torch.nn.Linear(3, 5), torch.nn.Linear(5, 2)
        modules = [module.double() for module in (embedding, hidden, head)]
        index = torch.tensor([[0, 3, 3, 1], [5, 0, 2, 3], [4, 4, 4, 4]])
        embedded = embedding(index)
        before = hidden(embedded)
        pooled = torch.tanh(before).mean(dim=1)
        logits = head(pooled)

        def rows(output):
            return np.stack([torch.autograd.grad(logits[:, c].sum(), output, retain_graph=True)[0].numpy() for c in (0, 1)], axis=1)

        network = Network(tangent={
            "embedding": Factors(index=index.numpy(), signal=rows(embedded), bias=0),
            "hidden": Factors(inputs=embedded.detach().numpy(), signal=rows(before), bias=1),
            "head": Factors(inputs=pooled.detach().numpy(), signal=np.tile(np.eye(2), (3, 1, 1))),
        })
        parameters = [p for module in modules for p in module.parameters()]
        gradients = [torch.autograd.grad(logits[a, c], parameters, retain_graph=True) for a in range(3) for c in range(2)]
        explicit = np.stack([np.concatenate([g.numpy().ravel() for g in row]) for row in gradients])
        K = oracle_tangent.kernel(oracle_tangent.jacobian(network), "full")
        np.testing.assert_allclose(K.astype(float), explicit @ explicit.T, atol=CLOSE)

    def test_measures(self):
        """Kernels 2 I and diag(2, 0) of two samples."""
        a = Network(jacobian=np.sqrt(2) * np.eye(2)[:, None])
        b = Network(jacobian=np.array([[[np.sqrt(2)]], [[0.0]]]))
        networks = {"a": a, "b": b}
        for scale, expected in (("none", 2), ("trace", 0.5**0.5), ("frobenius", np.sqrt(2 - 2**0.5))):
            self.assertAlmostEqual(oracle_tangent.ntk_distance(networks, scale=scale).values[0, 1], expected, places=14)
        self.assertAlmostEqual(oracle_tangent.ntk_alignment(networks, centred=0).values[0, 1], 0.5**0.5, places=14)
        self.assertAlmostEqual(oracle_tangent.ntk_alignment(networks).values[0, 1], 1, places=14)

    def test_codes(self):
        flat = Network(jacobian=np.ones((3, 1, 2)))
        networks = {"sound": Network(jacobian=np.arange(6.0).reshape(3, 1, 2)), "flat": flat,
                    "zero": Network(jacobian=np.zeros((3, 1, 2))), "classes": Network(jacobian=np.ones((3, 2, 2))),
                    "samples": Network(jacobian=np.ones((4, 1, 2))), "factors": Network(tangent=mlp_factors(0, 3, classes=1)),
                    "none": Network()}
        expected = {"trace": [0, 0, 0, 0, MISFIT, 0, ABSENT], "full": [0, 0, 0, MISFIT, MISFIT, 0, ABSENT]}
        for reduction, codes in expected.items():
            self.assertEqual(list(oracle_tangent.ntk_distance(networks, reduction).codes[0]), [{c} for c in codes])
        self.assertEqual(oracle_tangent.ntk_distance(networks, source="jacobian").codes[0, 5], {ABSENT})
        self.assertEqual(oracle_tangent.ntk_distance(networks, scale="trace").codes[0, 2], {ZERO_NORM})
        self.assertEqual([set(c) for c in oracle_tangent.ntk_alignment(networks).codes[0, 1:3]], [{ZERO_NORM}] * 2)
        self.assertEqual([set(c) for c in oracle_tangent.ntk_alignment(networks, centred=0).codes[0, 1:3]], [{0}, {ZERO_NORM}])


if __name__ == "__main__":
    unittest.main()
