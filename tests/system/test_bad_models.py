"""Tangent factors, weights and gradients that are not what they have to be, and options that cannot be: the right exit
code, one line that names what is wrong, nothing left behind."""

import unittest

import h5py
import numpy as np

from arrays import mlp_factors, mlp_weights
from networks import Factors, Network, Stored
from tables import entry
from test_bad_input import BAD_JOB, DATA, BadInputTestCase
from zoogram import SHORT, zoogram

RANKS = (3,) if SHORT else (None, 3)


class BadModelsTestCase(BadInputTestCase):
    def refused(self, network, asked, *words, other=None, code=DATA, ranks=(3,), **keywords):
        """A zoo of this network, beside a sound one, is refused."""
        self.zoo({"sound": other or Network(tangent=mlp_factors(1)), "faulty": network}, **keywords)
        self.job([asked])
        self.assertRefused(code, *words, ranks=ranks)


class TangentFactors(BadModelsTestCase):
    ASKED = entry("ntk_distance")

    def spoilt(self, *words, ranks=(3,), **layer):
        """One layer, fc1, beside others that are sound."""
        tangent = mlp_factors(2)
        tangent["fc1"] = Factors(**layer)
        self.refused(Network(tangent=tangent), self.ASKED, "zoo.h5", "faulty", "fc1", *words, ranks=ranks)

    def test_halves(self):
        random = np.random.default_rng(1)
        inputs, signal = random.standard_normal((11, 5)), random.standard_normal((11, 4, 3))
        index = np.zeros((11, 6), dtype=int)
        self.spoilt("signal", inputs=inputs, ranks=RANKS)
        self.spoilt("signal", index=index)
        self.spoilt("input", signal=signal)
        self.spoilt(inputs=inputs, index=index, signal=signal)
        self.spoilt("direct", direct=np.ones((11, 4, 2)), inputs=inputs, signal=signal)
        self.spoilt()

    def test_shapes_that_differ_within_a_model(self):
        random = np.random.default_rng(2)
        normal = random.standard_normal
        self.spoilt(inputs=normal((10, 5)), signal=normal((10, 4, 3)))
        self.spoilt(inputs=normal((11, 5)), signal=normal((10, 4, 3)))
        self.spoilt(inputs=normal((11, 5)), signal=normal((11, 3, 3)))
        self.spoilt(inputs=normal((11, 6, 5)), signal=normal((11, 4, 3)))
        self.spoilt(inputs=normal((11, 6, 5)), signal=normal((11, 4, 7, 3)))
        self.spoilt(inputs=normal((11, 5)), signal=normal((11, 4, 7, 3)))
        self.spoilt(index=np.zeros((11, 5), int), signal=normal((11, 4, 3)))
        self.spoilt(direct=normal((11, 5, 2)))

    def test_axes_and_types(self):
        normal = np.random.default_rng(3).standard_normal
        self.spoilt(inputs=normal(11), signal=normal((11, 4, 3)))
        self.spoilt(inputs=normal((11, 2, 2, 5)), signal=normal((11, 4, 3)))
        self.spoilt(inputs=normal((11, 5)), signal=normal((11, 4)))
        self.spoilt(direct=normal((11, 4)))
        self.spoilt("index", index=normal((11, 6)), signal=normal((11, 4, 6, 3)))
        self.spoilt("index", index=np.zeros((11, 6, 1), int), signal=normal((11, 4, 6, 3)))
        self.spoilt(inputs=np.array([["a"] * 5] * 11, dtype="S1"), signal=normal((11, 4, 3)))

    def test_alignment_checks_as_well(self):
        tangent = {"fc": Factors(inputs=np.ones((11, 5)))}
        self.refused(Network(tangent=tangent), entry("ntk_alignment"), "faulty", "fc", "signal")

    def test_other_measures_do_not_look(self):
        """A fault in what a job does not read is none of its business."""
        tangent = {"fc": Factors(inputs=np.ones((11, 5)))}
        self.zoo({f"m{k}": Network(tangent=tangent, logits=np.ones((5, 3))) for k in range(2)})
        finished = zoogram("run", self.job([entry("fisher")]), ranks=2)
        self.assertEqual(finished.code, 0, finished.report)

    def test_check_lists_every_fault(self):
        self.zoo({"a": Network(tangent={"one": Factors(inputs=np.ones((4, 5))), "two": Factors(signal=np.ones((4, 2, 3)))}),
                  "b": Network(tangent={"three": Factors(inputs=np.ones((4, 5)), signal=np.ones((5, 2, 3)))},
                               weights={"kernel": np.ones((2, 2, 3, 3)), "spoilt": np.full(3, np.nan)},
                               gradients={"still": np.zeros(9)})})
        finished = zoogram("show", self.path / "zoo.h5", "--check")
        self.assertEqual(finished.code, DATA, finished.report)
        for name in ("one", "two", "three", "kernel", "spoilt", "still"):
            self.assertIn(name, finished.out + finished.err)


class ShownFaults(BadModelsTestCase):
    """What show --check says of attention, maps, margins and graphs."""

    @staticmethod
    def sound(n=6):
        random = np.random.default_rng(5)
        uniform = random.uniform
        attention = uniform(size=(n, 2, 3, 3))
        maps = uniform(size=(n, 2, 4, 5))
        margins = uniform(size=(n, 3))
        margins[:, 1] = np.nan
        return Network(activations={"x": uniform(size=(n, 4))}, logits=uniform(size=(n, 3)), margin_gradients=margins,
                       attention={"x": (attention / attention.sum(-1, keepdims=True)).astype(np.float16)},
                       head_importance={"x": np.array([-1.0, 2.0])},
                       cross_attention={"x": maps / maps.sum((-2, -1), keepdims=True)},
                       maps={"x": uniform(size=(n, 2))},
                       graph={"op": ["input", "relu", "output"], "edge": np.array([[0, 1], [1, 2]])})

    def faults(self, **changes):
        network = self.sound()
        for name, array in changes.items():
            setattr(network, name, array)
        self.zoo({"m": network})
        finished = zoogram("show", self.path / "zoo.h5", "--check")
        self.assertEqual(finished.code, DATA if changes else 0, finished.report)
        return finished.out + finished.err

    def test_sound(self):
        self.assertIn("no faults", self.faults())

    def test_values(self):
        whole = {name: getattr(self.sound(), name) for name in ("attention", "cross_attention", "margin_gradients")}
        attention, maps, margins = whole["attention"]["x"], whole["cross_attention"]["x"], whole["margin_gradients"]
        short, negative, missing = attention.copy(), attention.copy(), attention.copy()
        short[5, 1, 2] *= 0.98
        negative[0, 0, 0] = [1.5, -0.5, 0]
        missing[2, 1, 0, 0] = np.nan
        heavy, infinite = maps.copy(), margins.copy()
        heavy[5, 1] *= 1.02
        infinite[0, 0] = np.inf
        for changes, words in (({"attention": {"x": short}}, ("m/attention/x", "rows", "sum to 1")),
                               ({"attention": {"x": negative}}, ("m/attention/x", "negative")),
                               ({"attention": {"x": missing}}, ("m/attention/x", "NaN")),
                               ({"cross_attention": {"x": heavy}}, ("m/cross_attention/x", "maps", "sum to 1")),
                               ({"margin_gradients": infinite}, ("m/margin_gradients", "infinite")),
                               ({"margin_gradients": -margins}, ("m/margin_gradients", "negative")),
                               ({"head_importance": {"x": [np.nan, 1]}}, ("m/head_importance/x", "NaN")),
                               ({"maps": {"x": np.full((6, 2), np.inf)}}, ("m/maps/x", "infinite"))):
            with self.subTest(words):
                out = self.faults(**changes)
                for word in (*words, "1 fault"):
                    self.assertIn(word, out)

    def test_what_does_not_fit_together(self):
        ones = np.ones
        for changes, words in (({"maps": {"x": ones((5, 3))}}, ("m/maps/x", "5", "6")),
                               ({"maps": {"y": ones((6, 3))}}, ("m/maps/y", "no activations")),
                               ({"maps": {"x": ones((6, 4))}}, ("map 'x'", "[n, 2 or 3]")),
                               ({"head_importance": {"x": ones(3)}}, ("m/head_importance/x", "3 heads", "2")),
                               ({"margin_gradients": ones((6, 2))}, ("m/margin_gradients", "6 x 2", "6 x 3")),
                               ({"logits": None}, ("m/margin_gradients", "without logits")),
                               ({"graph": {"op": ["a", "b"], "edge": [[0, 2]]}}, ("m/graph/edge", "node 2 of 2")),
                               ({"graph": {"op": ["a", "b"], "edge": [[0, -1]]}}, ("m/graph/edge", "negative")),
                               ({"graph": {"op": ["a", "b"]}}, ("'m'", "graph", "no edge")),
                               ({"graph": {"edge": [[0, 0]]}}, ("'m'", "graph", "no op"))):
            with self.subTest(words):
                out = self.faults(**changes)
                for word in (*words, "1 fault"):
                    self.assertIn(word, out)

    def test_catalogue(self):
        self.zoo({"m": self.sound()})
        finished = zoogram("show", self.path / "zoo.h5")
        for line in ("attention", "6 x 2 x 3 x 3", "graph/op", "string", "graph/edge", "maps", "margin_gradients"):
            self.assertIn(line, finished.out)


class OtherData(BadModelsTestCase):
    def test_axes(self):
        good = Network(logits=np.ones((5, 3)), gradients={"t": np.ones(4)}, weights={"w": np.ones((2, 2))},
                       sample_gradients=np.ones((3, 4)), jacobian=np.ones((3, 2, 4)),
                       sharpness=Stored(np.ones((1, 2)), attributes={"radius": [0.1]}))
        for network, asked, word in (
                (Network(logits=np.ones(5)), entry("fisher"), "logits"),
                (Network(logits=np.ones((5, 3, 1))), entry("fisher"), "logits"),
                (Network(gradients={"wrong": np.ones((2, 2))}), entry("gradient_cosine"), "wrong"),
                (Network(sample_gradients=np.ones(4)), entry("fisher", form="task"), "sample_gradients"),
                (Network(jacobian=np.ones((3, 4))), entry("ntk_distance"), "jacobian"),
                (Network(sharpness=Stored(np.ones(2), attributes={"radius": [0.1]})), entry("sharpness"), "sharpness")):
            with self.subTest(word):
                self.refused(network, asked, "zoo.h5", "faulty", word, other=good)

    def test_strings_and_links(self):
        good = Network(gradients={"t": np.ones(4)})
        words = Network(gradients={"words": np.array(["a", "b"], "S1")})
        self.refused(words, entry("gradient_conflict"), "faulty", "words", other=good)
        for link in (h5py.SoftLink("/nowhere"), h5py.ExternalLink("gone.h5", "/x")):
            self.zoo({"sound": good, "faulty": Network(gradients={"t": np.ones(4)})})
            with h5py.File(self.path / "zoo.h5", "r+") as zoo:
                zoo["models/faulty/gradients/broken"] = link
            self.job([entry("gradient_cosine")])
            self.assertRefused(DATA, "zoo.h5", "broken", ranks=(2,))

    def test_damaged_chunk(self):
        """Only part of one array cannot be read, so only some ranks see it."""
        random = np.random.default_rng(4)
        packed = Stored(random.standard_normal(100_000), {"chunks": (5000,), "compression": "gzip"})
        self.zoo({"m": Network(gradients={"sound": random.standard_normal(100_000), "damaged": packed})})
        with h5py.File(self.path / "zoo.h5") as zoo:
            chunk = zoo["models/m/gradients/damaged"].id.get_chunk_info(13)
        with open(self.path / "zoo.h5", "r+b") as file:
            file.seek(chunk.byte_offset)
            file.write(b"\xff" * chunk.size)
        self.job([entry("gradient_cosine")])
        self.assertRefused(DATA, "damaged", ranks=RANKS)

    def test_numbers_and_names_that_are_elsewhere_and_gone(self):
        """Indices and graphs whose datasets lie in a file beside the zoo that is not there."""
        graph = {"op": np.array([b"input", b"relu"]), "edge": np.array([[0, 1]])}
        tangent = {"emb": Factors(index=np.zeros((11, 6), int), signal=np.ones((11, 4, 6, 3)))}
        for network, asked, place in ((Network(tangent=tangent), entry("ntk_distance"), "ntk/emb/index"),
                                      (Network(graph=graph), entry("architecture"), "graph/edge"),
                                      (Network(graph=graph), entry("architecture"), "graph/op")):
            with self.subTest(place):
                self.zoo({"m": network, "k": network})
                with h5py.File(self.path / "zoo.h5", "r+") as zoo:
                    model = zoo["models/m"]
                    shape, kind = model[place].shape, model[place].dtype
                    del model[place]
                    model.create_dataset(place, shape, kind, external=[("gone.bin", 0, int(np.prod(shape)) * kind.itemsize)])
                self.job([asked])
                self.assertRefused(DATA, "zoo.h5", "cannot be read", ranks=(2,))

    def test_flattening_that_would_be_a_guess(self):
        """Neither `parameters` nor an order of the weights."""
        weights = {"b": np.ones(2), "a": np.ones(3)}
        network = Network(weights=weights, sample_gradients=np.ones((4, 5)))
        self.refused(network, entry("fisher", form="quadratic"), "parameters", other=network, track_order=False, ranks=RANKS)

    def test_parameters_that_are_not_the_weights(self):
        """Names that there are no weights of or that come twice, or numbers that do not add up: shapes that do not fit,
        no value."""
        weights = mlp_weights(1, (3, 2))
        sound = Network(weights=weights, sample_gradients=np.ones((4, 8)))
        for names, p in ((["fc0.weight", "elsewhere"], 8), (["fc0.weight"], 8), (["fc0.weight", "fc0.bias"], 9),
                         (["fc0.weight", "fc0.weight"], 8)):
            with self.subTest(names=names, p=p):
                faulty = Network(weights=weights, sample_gradients=Stored(np.ones((4, p)), attributes={"parameters": names}))
                self.zoo({"sound": sound, "faulty": faulty})
                found = self.compute([entry("fisher", "quadratic", form="quadratic")])["quadratic"]
                np.testing.assert_array_equal(found.codes, [[0, 3], [3, 3]])
                np.testing.assert_array_equal(np.isnan(found.values), found.codes == 3)
                self.assertRegex(zoogram("show", "zoo.h5", "--check", directory=self.path).out, "sample_gradients.*(parameters|weights)")

    def test_gradients_that_are_not_finite_are_not_the_fault_of_the_weights(self):
        weights = mlp_weights(1, (3, 2))
        gradients = np.ones((4, 8))
        spoilt = gradients.copy()
        spoilt[2, 5] = np.nan
        self.zoo({"m0": Network(weights=weights, sample_gradients=gradients), "m1": Network(weights=weights, sample_gradients=spoilt),
                  "m2": Network(weights={**weights, "fc0.bias": np.array([1, np.inf])}, sample_gradients=gradients)})
        for ranks in RANKS:
            (self.path / "results.h5").unlink(missing_ok=True)
            finished = zoogram("run", self.job([entry("fisher", form="quadratic")]), ranks=ranks)
            self.assertEqual(finished.code, 3, finished.report)
            first, second = (line for line in finished.err.splitlines() if "NaN or infinite" in line)
            self.assertIn("model 'm1', sample_gradients: ", first)
            self.assertIn("model 'm2', weights: ", second)


class Options(BadInputTestCase):
    """Each is refused with 78, its line and the word concerned."""

    GOOD = "zoo: [zoo.h5]\noutput: results.h5\nmeasures:\n"

    def setUp(self):
        super().setUp()
        self.zoo({"m": Network(tangent=mlp_factors(1), logits=np.ones((5, 3)))})

    def refused(self, measure, option, value, *words):
        text = self.GOOD + f"- measure: {measure}\n  {option}: {value}\n"
        (self.path / "job.yaml").write_text(text, encoding="utf-8")
        self.assertRefused(BAD_JOB, "job.yaml:5:", option, *words, ranks=(2,))

    def test_unknown_options_and_values(self):
        for measure, option, value in (
                ("ntk_distance", "centred", 1), ("ntk_alignment", "keep_kernels", 1), ("ntk_distance", "reduction", "sum"),
                ("ntk_distance", "scale", "spectral"), ("ntk_distance", "source", "both"), ("ntk_distance", "sketch", -1),
                ("ntk_distance", "sketch", 1.5), ("ntk_distance", "keep_kernel", 2), ("ntk_alignment", "centred", "half"),
                ("weight_frobenius", "relative", 2), ("weight_frobenius", "per", "layer"), ("fisher", "form", "diagonal"),
                ("path_norm", "norm", "path3"), ("gradient_cosine", "form", "x"), ("gradient_conflict", "sketch", 8),
                ("sharpness", "form", "first"), ("fisher", "kernel", "rbf")):
            with self.subTest(measure=measure, option=option, value=value):
                self.refused(measure, option, value)

    def test_lists_of_radii(self):
        for value in ("[]", "[0.05, -1]", "[0]", "[0.05, many]", "[[0.05]]", "{a: 1}", "[.nan]", "[.inf]", "[0.05, null]"):
            with self.subTest(value):
                text = self.GOOD + f"- measure: sharpness\n  form: quadratic\n  radius: {value}\n"
                (self.path / "job.yaml").write_text(text, encoding="utf-8")
                self.assertRefused(BAD_JOB, "job.yaml:6:", "radius", ranks=(2,))

    def test_options_without_effect(self):
        self.refused("sharpness", "radius", "[0.05]", "quadratic")

    def test_sketches_need_factors(self):
        text = self.GOOD + "- measure: ntk_distance\n  source: jacobian\n  sketch: 64\n"
        (self.path / "job.yaml").write_text(text, encoding="utf-8")
        self.assertRefused(BAD_JOB, "job.yaml:", "sketch", ranks=(2,))


if __name__ == "__main__":
    unittest.main()
