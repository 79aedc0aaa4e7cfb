"""The bundled zoos jobs/digits.h5 and jobs/digits-readers.h5, and the script that makes
them."""

import contextlib
import io
import itertools
import unittest
from unittest import mock

import h5py
import numpy as np
from sklearn.datasets import load_digits

from support import ROOT, FolderCase
import make_digits_zoo  # on the path since support

ZOO = ROOT / "jobs" / "digits.h5"
READERS = ROOT / "jobs" / "digits-readers.h5"
ARCHITECTURES = ("mlp", "cnn", "vit")


def u_centred(x):
    """Kernel x x' of x [n, d] after U-centring (Szekely and Rizzo 2014)."""
    n = len(x)
    kernel = x @ x.T
    np.fill_diagonal(kernel, 0)
    rows = kernel.sum(axis=0)
    kernel -= (rows[:, None] + rows) / (n - 2) - rows.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(kernel, 0)
    return kernel


def debiased_cka(x, y):
    """Cosine of U-centred kernels: Song's estimator by another road."""
    k, l = u_centred(x.astype(float)), u_centred(y.astype(float))
    return (k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum())


class BundledZoo(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.zoo = h5py.File(ZOO, "r")
        cls.addClassCleanup(cls.zoo.close)

    def layers(self, model):
        """Activations [n, d] by layer, in order."""
        layers = self.zoo["models"][model]["activations"].values()
        ordered = sorted(layers, key=lambda layer: layer.attrs["order"])
        return {layer.name.rpartition("/")[2]: layer[:] for layer in ordered}

    def test_file_is_small(self):
        self.assertLessEqual(ZOO.stat().st_size, 4 * 2**20)

    def test_models_are_three_trained_and_two_untrained_of_each_architecture(self):
        copies = ("seed0", "seed1", "seed2", "untrained0", "untrained1")
        expected = [f"{a}-{copy}" for a in ARCHITECTURES for copy in copies]
        models = self.zoo["models"]
        self.assertEqual(
            sorted(models, key=lambda m: models[m].attrs["order"]), expected
        )

    def test_every_layer_has_all_samples_in_float16(self):
        count = len(self.zoo["samples/id"])
        self.assertTrue(240 <= count <= 300)
        for name, model in self.zoo["models"].items():
            layers = model["activations"]
            self.assertTrue(5 <= len(layers) <= 8, name)
            for layer in layers.values():
                self.assertEqual((len(layer), layer.dtype), (count, np.float16))
                self.assertTrue(np.all(np.isfinite(layer)), layer.name)

    def test_ids_and_labels_are_those_of_the_data_set(self):
        ids, labels = self.zoo["samples/id"][:], self.zoo["samples/label"][:]
        self.assertEqual(len(set(ids)), len(ids))
        np.testing.assert_array_equal(load_digits().target[ids], labels)

    def test_attributes_tell_how_the_zoo_was_made(self):
        attributes = self.zoo.attrs
        self.assertEqual(
            (attributes["format"], attributes["version"]), ("zoogram-zoo", 1)
        )
        for key in ("made_by", "data", "probe_set", "seeds", "training", "versions"):
            self.assertTrue(attributes[key], key)

    def test_trained_models_classify_and_untrained_do_not(self):
        for name, model in self.zoo["models"].items():
            accuracy = model.attrs["test_accuracy"]
            if model.attrs["trained"]:
                self.assertGreater(accuracy, 0.95, name)
            else:
                self.assertLess(accuracy, 0.3, name)

    def test_logits_hold_the_accuracy_on_the_probe_set(self):
        labels = self.zoo["samples/label"][:]
        for name, model in self.zoo["models"].items():
            guesses = model["activations/head"][:].argmax(axis=1)
            self.assertAlmostEqual(
                np.mean(guesses == labels), model.attrs["test_accuracy"], delta=0.05
            )

    def test_logits_are_the_last_layer_and_sharpness_rises_with_the_radius(self):
        for name, model in self.zoo["models"].items():
            logits, head = model["logits"][:], model["activations/head"][:]
            np.testing.assert_allclose(logits, head, rtol=1e-3, atol=1e-4)  # float16
            sharpness = model["sharpness"]
            self.assertEqual(sharpness.attrs["radius"].tolist(), [0.01, 0.03, 0.1])
            self.assertTrue(np.all(np.diff(sharpness, axis=0) > 0), name)

    def test_weights_of_perceptrons_give_their_logits(self):
        """Also the inputs of the tangent's first layer are then the images."""
        images = load_digits().data[self.zoo["samples/id"][:]]
        seen = np.random.RandomState(0).permutation(1797)[360:]
        pixels = load_digits().data[seen]
        images = (images - pixels.mean()) / pixels.std()
        for name, model in self.zoo["models"].items():
            self.assertEqual("weights" in model, not name.startswith("vit"), name)
            if not name.startswith("mlp"):
                continue
            weights = model["weights"]
            order = sorted(weights, key=lambda entry: weights[entry].attrs["order"])
            rows = images
            for weight, bias in zip(order[::2], order[1::2]):
                self.assertEqual(weights[weight].attrs["kind"], "linear")
                last = rows @ weights[weight][:].T + weights[bias][:]
                rows = np.maximum(last, 0)
            np.testing.assert_allclose(last, model["logits"], rtol=1e-4, atol=1e-4)
            if "ntk" in model:
                first = model["ntk/hidden1.0/input"]
                np.testing.assert_allclose(first, images[:32], rtol=1e-3, atol=1e-4)

    def test_tangent_factors_and_gradients_are_there_for_pairs(self):
        having = {
            kind: [name for name, model in self.zoo["models"].items() if kind in model]
            for kind in ("ntk", "gradients", "sample_gradients")
        }
        self.assertEqual(having["ntk"], ["mlp-seed0", "mlp-seed1", "cnn-seed0"])
        self.assertEqual(having["gradients"], ["cnn-seed1", "cnn-seed2"])
        self.assertEqual(having["sample_gradients"], having["gradients"])
        for name in having["ntk"]:
            for layer in self.zoo[f"models/{name}/ntk"].values():
                data = layer["direct" if "direct" in layer else "signal"]
                self.assertEqual(data.shape[:2], (32, 10))
                self.assertTrue(np.all(np.isfinite(data)), data.name)
        for name in having["gradients"]:
            model = self.zoo[f"models/{name}"]
            sizes = sum(weight.size for weight in model["weights"].values())
            self.assertEqual(model["sample_gradients"].shape, (16, sizes))
            tasks = model["gradients"]
            self.assertEqual(list(tasks), [f"class{label}" for label in range(10)])
            self.assertEqual(list(tasks.attrs["parameters"]), list(model["weights"]))

    def test_margin_gradients_are_of_the_three_classes_next_to_the_top(self):
        for name, model in self.zoo["models"].items():
            logits, norms = model["logits"][:], model["margin_gradients"][:]
            ranks = np.argsort(np.argsort(-logits, axis=1), axis=1)
            known = (ranks > 0) & (ranks <= 3)
            np.testing.assert_array_equal(np.isfinite(norms), known, err_msg=name)
            self.assertTrue(np.all(norms[known] > 0), name)

    def test_margin_gradients_of_a_perceptron_are_those_of_its_weights(self):
        model = self.zoo["models/mlp-seed0"]
        images = model["ntk/hidden1.0/input"][0].astype(float)
        weights = [w[:].astype(float) for w in model["weights"].values()]
        rows, jacobian = images, np.eye(64)
        for weight, bias in zip(weights[:-2:2], weights[1:-2:2]):
            rows = weight @ rows + bias
            jacobian = (rows > 0)[:, None] * (weight @ jacobian)
            rows = np.maximum(rows, 0)
        jacobian = weights[-2] @ jacobian
        norms = model["margin_gradients"][0]
        expected = np.linalg.norm(
            jacobian[model["logits"][0].argmax()] - jacobian, axis=1
        )
        known = np.isfinite(norms)
        np.testing.assert_allclose(norms[known], expected[known], rtol=1e-3)  # float16

    def test_maps_are_of_two_layers_of_each_model(self):
        for name, model in self.zoo["models"].items():
            maps = model["maps"]
            self.assertEqual(len(maps), 2, name)
            for layer, placed in maps.items():
                rows = model["activations"][layer]
                self.assertEqual(placed.shape, (len(rows), 2))
                self.assertTrue(np.all(np.isfinite(placed)))

    def test_attention_and_head_importance_of_the_transformers(self):
        for name, model in self.zoo["models"].items():
            self.assertEqual("attention" in model, name.startswith("vit"))
            self.assertEqual("head_importance" in model, name.startswith("vit"))
            if not name.startswith("vit"):
                continue
            self.assertEqual(list(model["attention"]), list(model["head_importance"]))
            for layer, weights in model["attention"].items():
                self.assertEqual(weights.shape, (64, 4, 5, 5))
                np.testing.assert_allclose(weights[:].sum(axis=3), 1, rtol=1e-5)
                importance = model["head_importance"][layer][:]
                self.assertEqual(importance.shape, (4,))
                self.assertTrue(np.all(importance > 0), name)

    def test_graphs_are_those_of_the_architectures(self):
        ops = {}
        for name, model in self.zoo["models"].items():
            graph = [op.decode() for op in model["graph/op"]]
            known = ops.setdefault(name.partition("-")[0], graph)
            self.assertEqual(graph, known)
            self.assertEqual(model["graph"].attrs["source"], "fx")
            edges = model["graph/edge"][:]
            self.assertTrue(np.all(edges[:, 0] < edges[:, 1]), "in order of the flow")
        hidden = ["Linear", "ReLU"] * 4
        self.assertEqual(ops["mlp"], ["input", "Flatten", *hidden, "Linear", "output"])
        self.assertEqual(ops["cnn"].count("Conv2d"), 4)
        self.assertEqual(ops["vit"].count("TransformerEncoderLayer"), 4)

    def test_early_layers_agree_between_trained_seeds_more_than_untrained(self):
        for architecture in ARCHITECTURES:
            copies = {
                kind: [
                    self.layers(model)
                    for model in self.zoo["models"]
                    if model.startswith(f"{architecture}-{kind}")
                ]
                for kind in ("seed", "untrained")
            }
            early = list(copies["seed"][0])[:2]
            for layer in early:
                trained, untrained = (
                    np.mean(
                        [
                            debiased_cka(a[layer], b[layer])
                            for a, b in itertools.combinations(copies[kind], 2)
                        ]
                    )
                    for kind in ("seed", "untrained")
                )
                self.assertGreater(trained, untrained + 0.05, (architecture, layer))
                self.assertGreater(trained, 0.8, (architecture, layer))


class BundledReaders(unittest.TestCase):
    def test_readers_have_cross_attention_on_their_grids(self):
        with h5py.File(READERS, "r") as zoo, h5py.File(ZOO, "r") as other:
            np.testing.assert_array_equal(zoo["samples/id"], other["samples/id"])
            self.assertEqual(len(zoo["models"]), 10)
            for name, model in zoo["models"].items():
                side = 2 if "coarse" in name else 4
                maps = model["cross_attention/cross"]
                self.assertEqual(maps.shape, (64, 10, side, side))
                np.testing.assert_allclose(maps[:].sum(axis=(2, 3)), 1, rtol=1e-5)
                self.assertNotIn("activations", model)
                if model.attrs["trained"]:
                    self.assertGreater(model.attrs["test_accuracy"], 0.9, name)


class MakeDigitsZoo(FolderCase):
    def make(self, name, *arguments):
        """Run the script with one epoch of its smallest network; gives its output."""
        network, layers, settings = make_digits_zoo.ARCHITECTURES["mlp"]
        table = {"mlp": (network, layers, {**settings, "epochs": 1})}
        printed = io.StringIO()
        with mock.patch.object(make_digits_zoo, "ARCHITECTURES", table):
            with contextlib.redirect_stdout(printed):
                status = make_digits_zoo.main(
                    ["--output", str(self.folder / name), "--samples", "40", *arguments]
                )
        self.assertEqual(status, 0)
        return printed.getvalue()

    def test_same_seeds_give_the_same_numbers(self):
        printed = [self.make(name) for name in ("a.h5", "b.h5")]
        self.assertEqual(*printed)
        with h5py.File(self.folder / "a.h5") as a, h5py.File(self.folder / "b.h5") as b:
            self.assertEqual(len(a["models"]), 5)
            for model in a["models"]:
                for layer, values in a[f"models/{model}/activations"].items():
                    self.assertEqual(len(values), 40)
                    np.testing.assert_array_equal(
                        values, b[f"models/{model}/activations/{layer}"]
                    )

    def test_printed_table_agrees_with_the_u_centred_form(self):
        table = make_digits_zoo.similarity_table(ZOO)
        with h5py.File(ZOO, "r") as zoo:
            pair = [
                zoo[f"models/mlp-untrained{seed}/activations/hidden1"][:]
                for seed in (0, 1)
            ]
        architecture, layer, _, untrained = table[0]
        self.assertEqual((architecture, layer), ("mlp", "hidden1"))
        self.assertAlmostEqual(untrained, debiased_cka(*pair), places=9)

    def test_existing_file_is_not_overwritten(self):
        (self.folder / "zoo.h5").write_text("mine")
        run = self.run_script("make_digits_zoo.py", "--output", "zoo.h5")
        self.assert_refused(run, "make_digits_zoo.py", "zoo.h5", "exists already")
        self.assertEqual((self.folder / "zoo.h5").read_text(), "mine")


if __name__ == "__main__":
    unittest.main()
