"""Margin gradients against those of a linear and a ReLU network by hand; maps of layers
against a singular value decomposition and the neighbours that they are to keep."""

import unittest

import h5py
import numpy as np
import torch
from torch import nn

from support import FolderCase
from zoogram_extract import ExtractError, extract
from zoogram_maps import layer_map

try:
    import umap
except ImportError:
    umap = None

INPUTS = torch.randn(
    7, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64
)
CLUSTERS = np.random.default_rng(0).normal(size=(60, 5)) + 20 * np.repeat(
    np.eye(5)[:3], 20, axis=0
)


class RecordCase(FolderCase):
    def setUp(self):
        super().setUp()
        torch.manual_seed(0)
        self.path = self.folder / "zoo.h5"

    def record(self, model, batches, *record, layers=(), **settings):
        """The model's group in the zoo, open."""
        extract(model, batches, self.path, "m", layers, record=record, **settings)
        zoo = h5py.File(self.path)
        self.addCleanup(zoo.close)
        return zoo["models/m"]


class MarginGradients(RecordCase):
    def by_hand(self, logits, jacobians, classes):
        """[n, C] from logits [n, C] and jacobians [n, C, inputs]."""
        norms = np.full(logits.shape, np.nan)
        for n, (row, jacobian) in enumerate(zip(logits, jacobians)):
            top, *others = np.argsort(-row)
            for k in others[:classes]:
                norms[n, k] = np.linalg.norm(jacobian[top] - jacobian[k])
        return norms

    def test_linear_classifier_has_the_distances_of_its_weights(self):
        """logits / norm is then the exact distance to the boundary."""
        model = nn.Linear(4, 5).double()
        batches = [INPUTS[:3], INPUTS[3:]]
        found = self.record(model, batches, "margin-gradients", margin_classes=2)
        weight, bias = (p.detach().numpy() for p in model.parameters())
        logits = INPUTS.numpy() @ weight.T + bias
        expected = self.by_hand(logits, [weight] * 7, 2)
        np.testing.assert_allclose(found["margin_gradients"], expected, rtol=1e-13)
        np.testing.assert_allclose(found["logits"], logits, rtol=1e-13)
        top, second = np.argsort(-logits[0])[:2]
        normal = weight[top] - weight[second]
        distance = (logits[0, top] - logits[0, second]) / found["margin_gradients"][
            0, second
        ]
        moved = INPUTS[0].numpy() - distance * normal / np.linalg.norm(normal)
        moved = weight @ moved + bias
        self.assertAlmostEqual(moved[top], moved[second], places=12)

    def test_hidden_layer_images_and_all_classes(self):
        images = INPUTS.reshape(7, 1, 2, 2)
        model = nn.Sequential(
            nn.Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)
        ).double()
        found = self.record(model, [images], "margin-gradients", margin_classes=9)
        first, second = (model[i].weight.detach().numpy() for i in (1, 3))
        hidden = INPUTS.numpy() @ first.T + model[1].bias.detach().numpy()
        jacobians = [second @ (row[:, None] * first) for row in hidden > 0]
        logits = model(images).detach().numpy()
        expected = self.by_hand(logits, jacobians, 9)
        np.testing.assert_allclose(found["margin_gradients"], expected, rtol=1e-12)
        self.assertEqual(np.isnan(found["margin_gradients"]).sum(), 7)

    def test_limit(self):
        model = nn.Linear(4, 3).double()
        found = self.record(model, [INPUTS], "margin-gradients", limit=4)
        self.assertEqual(found["margin_gradients"].shape, (4, 3))
        self.assertEqual(found["logits"].shape, (4, 3))

    def test_indices_and_batch_statistics_are_errors(self):
        words = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(8, 3))
        with self.assertRaisesRegex(ExtractError, "no real numbers"):
            self.record(words, [torch.randint(9, (5, 2))], "margin-gradients")
        norm = nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False)).double()
        with self.assertRaisesRegex(ExtractError, "statistics from the batch"):
            self.record(norm, [INPUTS], "margin-gradients")


class Maps(RecordCase):
    def test_pca_is_the_singular_value_decomposition(self):
        for dimensions in (2, 3):
            placed, attributes = layer_map(CLUSTERS, "pca", dimensions)
            centred = CLUSTERS - CLUSTERS.mean(axis=0)
            left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
            expected = left[:, :dimensions] * lengths[:dimensions]
            np.testing.assert_allclose(np.abs(placed), np.abs(expected), atol=1e-4)
            self.assertEqual(attributes, {"method": "pca", "seed": 0})

    def check_clusters(self, placed):
        """A sample's nearest neighbour on the map is of its own cluster."""
        self.assertEqual((placed.shape, placed.dtype), ((60, 2), np.float32))
        distances = np.linalg.norm(placed[:, None] - placed, axis=2)
        np.fill_diagonal(distances, np.inf)
        np.testing.assert_array_equal(
            distances.argmin(axis=1) // 20, np.arange(60) // 20
        )

    def test_tsne_keeps_clusters_and_is_repeatable(self):
        placed, attributes = layer_map(CLUSTERS, "tsne", 2, 10, 3)
        self.check_clusters(placed)
        np.testing.assert_array_equal(placed, layer_map(CLUSTERS, "tsne", 2, 10, 3)[0])
        self.assertEqual(attributes, {"method": "tsne", "seed": 3, "perplexity": 10.0})

    @unittest.skipUnless(umap, "umap-learn is not installed")
    def test_umap_keeps_clusters(self):
        self.check_clusters(layer_map(CLUSTERS, "umap", 2, 10)[0])

    @unittest.skipIf(umap, "umap-learn is installed")
    def test_umap_that_is_not_installed(self):
        with self.assertRaisesRegex(ExtractError, "umap-learn"):
            layer_map(CLUSTERS, "umap", 2, 10)

    def test_maps_are_of_the_recorded_layers(self):
        model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
        data = torch.tensor(CLUSTERS, dtype=torch.float32)
        settings = dict(map_layers=["[02]"], map_method="pca")
        found = self.record(
            model, [data[:32], data[32:]], "maps", layers="*", **settings
        )
        self.assertEqual(list(found["maps"]), ["0", "2"])
        for layer, placed in found["maps"].items():
            rows = found["activations"][layer][:]
            np.testing.assert_array_equal(placed, layer_map(rows, "pca")[0])

    def test_what_cannot_be_mapped(self):
        model = nn.Linear(5, 1)
        data = [torch.tensor(CLUSTERS, dtype=torch.float32)]
        for layers, settings, words in (
            ((), {}, r"no recorded layer matches '\*'; there are: none"),
            (("*",), dict(map_perplexity=60), "60 samples are too few for tsne"),
            (("*",), dict(map_method="pca"), "1 features are fewer than 2"),
        ):
            with self.assertRaisesRegex(ExtractError, words):
                self.record(
                    nn.Sequential(model), data, "maps", layers=layers, **settings
                )
        with self.assertRaisesRegex(ExtractError, "not finite"):
            layer_map(np.full((50, 3), np.nan))


if __name__ == "__main__":
    unittest.main()
