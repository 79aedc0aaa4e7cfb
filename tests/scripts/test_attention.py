"""What the extractor records of attention, against attention worked out from queries,
keys and values, and head importance against differences of an explicit head mask."""

import itertools
import unittest

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from support import FolderCase
import make_digits_zoo
from zoogram_extract import ExtractError, extract

HAS_FUSED = hasattr(functional, "scaled_dot_product_attention")
TOKENS = torch.randn(
    5, 6, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64
)
LABELS = torch.arange(5) % 3
BATCHES = [(TOKENS[:3], LABELS[:3]), (TOKENS[3:], LABELS[3:])]
HEADS = 2


def weights_by_hand(x, y, projection, bias, mask=None):
    """Attention [n, heads, queries, keys] of tokens x on tokens y, [n, tokens, d]; the
    projection [3 d, d] is that of torch.nn.MultiheadAttention; mask: True where out."""
    d = x.shape[-1]
    width = d // HEADS
    maps = np.zeros((len(x), HEADS, x.shape[1], y.shape[1]))
    for n, head in itertools.product(range(len(x)), range(HEADS)):
        rows = slice(head * width, (head + 1) * width)
        query = x[n] @ projection[:d][rows].T + bias[:d][rows]
        key = y[n] @ projection[d : 2 * d][rows].T + bias[d : 2 * d][rows]
        scores = query @ key.T / np.sqrt(width)
        if mask is not None:
            scores = np.where(mask[n], -np.inf, scores)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        maps[n, head] = weights / weights.sum(axis=1, keepdims=True)
    return maps


class Classifier(nn.Module):
    """Two attention layers, mean over tokens, logits; `gates` [2, heads] mask heads.

    kind: "module", torch.nn.MultiheadAttention; "softmax", attention written out with a
    torch.nn.Softmax inside; "returned", which gives its weights beside its output;
    "fused", torch's kernel."""

    def __init__(self, kind, d=8, causal=False):
        super().__init__()
        self.layers = nn.ModuleList(
            (
                nn.MultiheadAttention(d, HEADS, batch_first=True)
                if kind == "module"
                else Written(kind, d)
            )
            for _ in range(2)
        )
        self.head = nn.Linear(d, 3)
        self.causal = causal

    def forward(self, x):
        count = x.shape[1]
        mask = torch.ones(count, count, dtype=torch.bool).triu(1)
        mask = mask if self.causal else torch.zeros_like(mask)
        for layer in self.layers:
            x = x + layer(x, x, x, need_weights=False, attn_mask=mask)[0]
        return self.head(torch.tanh(x).mean(1))


class Written(nn.Module):
    """torch.nn.MultiheadAttention's parameters, with the attention written out."""

    def __init__(self, kind, d):
        super().__init__()
        self.kind = kind
        self.in_proj_weight = nn.Parameter(torch.randn(3 * d, d) / d**0.5)
        self.in_proj_bias = nn.Parameter(torch.randn(3 * d))
        self.out_proj = nn.Linear(d, d)
        self.softmax = nn.Softmax(-1) if kind == "softmax" else None
        self.dropout = nn.Dropout(0.5)
        self.gate = torch.ones(HEADS, dtype=torch.float64)

    def forward(self, x, _key, _value, need_weights, attn_mask):
        rows = functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        shape = *x.shape[:2], 3, HEADS, -1
        query, key, value = rows.reshape(shape).permute(2, 0, 3, 1, 4)
        if self.kind == "fused":
            weights = None
            context = functional.scaled_dot_product_attention(
                query, key, value, ~attn_mask
            )
        else:
            scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
            scores = scores.masked_fill(attn_mask, -torch.inf)
            softmax = self.softmax or (lambda s: s.softmax(-1))
            weights = self.dropout(softmax(scores))
            context = weights @ value
        context = context * self.gate[:, None, None]
        output = self.out_proj(context.transpose(1, 2).flatten(2))
        return output, weights if self.kind == "returned" else None


class AttentionCase(FolderCase):
    def setUp(self):
        super().setUp()
        torch.manual_seed(0)
        self.path = self.folder / "zoo.h5"

    def record(self, model, *record, batches=BATCHES, name="m", **settings):
        """{path in the model: array} of what was recorded."""
        extract(model, batches, self.path, name, (), record=record, **settings)
        found = {}
        with h5py.File(self.path, "r") as zoo:
            group = zoo[f"models/{name}"]
            group.visititems(
                lambda path, entry: found.update(
                    {path: entry[()]} if isinstance(entry, h5py.Dataset) else {}
                )
            )
        return found


def expected_maps(model, causal=False):
    """The two layers' attention of all TOKENS by hand."""
    count = TOKENS.shape[1]
    mask = np.triu(np.ones((count, count), bool), 1) if causal else None
    masks = None if mask is None else [mask] * len(TOKENS)
    x, maps = TOKENS, []
    for layer in model.layers:
        parameters = layer.in_proj_weight, layer.in_proj_bias
        numbers = [p.detach().numpy() for p in parameters]
        maps.append(weights_by_hand(x.numpy(), x.numpy(), *numbers, masks))
        with torch.no_grad():
            attn_mask = torch.zeros(count, count, dtype=torch.bool)
            attn_mask = attn_mask if mask is None else torch.tensor(mask)
            x = x + layer(x, x, x, need_weights=False, attn_mask=attn_mask)[0]
    return maps


class Maps(AttentionCase):
    def check(self, kind, causal):
        model = Classifier(kind, causal=causal).double().eval()
        found = self.record(model, "attention", name=f"{kind}{causal}")
        for index, expected in enumerate(expected_maps(model, causal)):
            weights = found[f"attention/layers.{index}"]
            np.testing.assert_allclose(weights, expected, rtol=1e-12, atol=1e-15)
            np.testing.assert_array_equal(weights == 0, expected == 0)
            self.assertEqual(bool((weights == 0).any()), causal)
        self.assertEqual(len(found), 2)

    def test_multihead_attention(self):
        for causal in (False, True):
            self.check("module", causal)

    def test_softmax_module_and_returned_weights(self):
        for kind, causal in itertools.product(("softmax", "returned"), (False, True)):
            self.check(kind, causal)

    @unittest.skipUnless(HAS_FUSED, "before PyTorch 2")
    def test_fused_kernel(self):
        for causal in (False, True):
            self.check("fused", causal)

    @unittest.skipUnless(HAS_FUSED, "before PyTorch 2")
    def test_fused_kernels_options(self):
        """Causal flag, scale, a mask of numbers, shared keys."""
        query = TOKENS.reshape(5, 6, 4, 2).transpose(1, 2)  # 4 heads of width 2
        key, value = query[:, :2] * 0.5, query[:, 2:]
        mask = torch.randn(6, 6, dtype=torch.float64)
        for options in (
            dict(is_causal=True, scale=0.3),
            dict(attn_mask=mask),
            dict(attn_mask=mask > 0, enable_gqa=True),
        ):
            keys, values = (key, value) if "enable_gqa" in options else (query, query)
            if "attn_mask" in options and options["attn_mask"].dtype == torch.bool:
                options["attn_mask"] = options["attn_mask"] | torch.eye(6).bool()
            model = Wrapped(
                lambda x: functional.scaled_dot_product_attention(
                    query[: len(x)], keys[: len(x)], values[: len(x)], **options
                ).mean((1, 2))
            )
            logits = model(TOKENS)
            name = "-".join(options)
            found = self.record(
                model, "attention", "logits", batches=[TOKENS], name=name
            )
            weights = torch.tensor(found["attention/attention"])
            shared = values.repeat_interleave(4 // values.shape[1], 1)
            np.testing.assert_allclose(
                (weights @ shared).mean((1, 2)), logits, rtol=1e-12
            )
            self.assertEqual(weights.shape, (5, 4, 6, 6))

    def test_padding_mask_of_an_encoder_layer(self):
        layer = nn.TransformerEncoderLayer(8, HEADS, 16, batch_first=True).double()
        padding = torch.zeros(5, 6, dtype=torch.bool)
        padding[1, 4:] = padding[3, 2:] = True
        batches = [{"src": TOKENS, "src_key_padding_mask": padding}]
        found = self.record(layer, "attention", batches=batches)
        attention = layer.self_attn
        numbers = attention.in_proj_weight, attention.in_proj_bias
        mask = padding[:, None, :].expand(5, 6, 6).numpy()
        x = TOKENS.numpy()
        expected = weights_by_hand(x, x, *(p.detach().numpy() for p in numbers), mask)
        np.testing.assert_allclose(found["attention/self_attn"], expected, rtol=1e-12)
        np.testing.assert_array_equal(found["attention/self_attn"] == 0, expected == 0)

    def test_vision_transformer_of_the_digits(self):
        model = make_digits_zoo.VisionTransformer().eval()
        images = torch.randn(4, 1, 8, 8)
        settings = dict(batches=[images], attention_layers="block[12]*")
        found = self.record(model, "attention", **settings)
        self.assertEqual(
            list(found), ["attention/block1.self_attn", "attention/block2.self_attn"]
        )
        weights = found["attention/block1.self_attn"]
        tokens = model.block1.norm1(model.embed(images))
        _, expected = model.block1.self_attn(
            tokens, tokens, tokens, average_attn_weights=False
        )
        np.testing.assert_allclose(weights, expected.detach(), rtol=1e-5)
        self.assertEqual(weights.shape, (4, 4, 5, 5))

    def test_model_is_left_as_it_was(self):
        model = Classifier("module").double().train()
        before = model(TOKENS)
        self.record(model, "attention")
        self.assertTrue(model.training)
        self.assertTrue(torch.equal(model(TOKENS), before))
        for module in model.modules():
            self.assertNotIn("forward", vars(module))
            self.assertFalse(module._forward_hooks or module._forward_pre_hooks)

    def test_samples_and_dtype(self):
        model = Classifier("module").double()
        settings = dict(attention_samples=4, attention_dtype="float16")
        weights = self.record(model, "attention", **settings)["attention/layers.0"]
        self.assertEqual((weights.shape, weights.dtype), ((4, 2, 6, 6), np.float16))

    def test_convolutional_maps_are_no_attention(self):
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sigmoid(), nn.Flatten())
        with self.assertRaisesRegex(ExtractError, "model m: .*fused kernel.*eager"):
            self.record(model, "attention", batches=[torch.randn(4, 1, 6, 6)])

    def test_windows_are_an_error(self):
        model = nn.Sequential(
            nn.Unflatten(2, (2, 4)), nn.Flatten(0, 1), nn.Linear(4, 3)
        )
        model.insert(2, nn.Unflatten(1, (2, 1)))
        model.insert(3, nn.Softmax(-1))
        with self.assertRaisesRegex(
            ExtractError, r"\[30, 2, 1, 4\] for 5 samples.*window"
        ):
            self.record(model, "attention", batches=[TOKENS])

    def test_patterns_choose_layers_and_need_one(self):
        model = Classifier("module").double()
        found = self.record(model, "attention", attention_layers=["*.1", "other"])
        self.assertEqual(list(found), ["attention/layers.1"])
        with self.assertRaisesRegex(
            ExtractError, "no attention layer matches l9; .* layers.0, layers.1"
        ):
            self.record(model, "attention", attention_layers="l9", name="other")

    def test_varying_length_is_an_error(self):
        model = Classifier("module").double()
        batches = [TOKENS, TOKENS[:, :4]]
        with self.assertRaisesRegex(ExtractError, r"layers.0: .*\[2, 4, 4\].*before"):
            self.record(model, "attention", batches=batches)

    def test_query_without_any_key_is_an_error(self):
        layer = nn.TransformerEncoderLayer(8, HEADS, 16, batch_first=True).double()
        batches = [{"src": TOKENS, "src_key_padding_mask": torch.ones(5, 6).bool()}]
        with self.assertRaisesRegex(ExtractError, "self_attn: rows .* sum to 1"):
            self.record(layer, "attention", batches=batches)


class Wrapped(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class CrossAttention(AttentionCase):
    """Two queries that look at a class token and a grid of 2 x 3 patches."""

    def setUp(self):
        super().setUp()
        self.patches = torch.randn(5, 7, 8, dtype=torch.float64)
        self.queries = nn.Parameter(torch.randn(2, 8, dtype=torch.float64))
        self.model = Wrapped(self.forward)
        self.model.cross = nn.MultiheadAttention(8, HEADS, batch_first=True).double()
        self.model.queries = self.queries

    def forward(self, patches):
        queries = self.queries.expand(len(patches), -1, -1)
        return self.model.cross(queries, patches, patches)[0].flatten(1)

    def by_hand(self):
        attention = self.model.cross
        numbers = attention.in_proj_weight, attention.in_proj_bias
        x = self.queries.detach().expand(5, -1, -1).numpy()
        numbers = (p.detach().numpy() for p in numbers)
        return weights_by_hand(x, self.patches.numpy(), *numbers).mean(axis=1)

    def test_maps_over_keys(self):
        settings = dict(batches=[self.patches], cross_grid=(2, 3))
        maps = self.record(self.model, "cross-attention", **settings)
        maps = maps["cross_attention/cross"]
        expected = self.by_hand()[:, :, 1:].reshape(5, 2, 2, 3)
        expected /= expected.sum(axis=(2, 3), keepdims=True)
        np.testing.assert_allclose(maps, expected, rtol=1e-6)
        np.testing.assert_allclose(maps.sum(axis=(2, 3)), 1, rtol=1e-6)

    def test_maps_over_queries(self):
        settings = dict(batches=[self.patches], cross_grid=(1, 2), cross_over="queries")
        maps = self.record(self.model, "cross-attention", **settings)
        expected = self.by_hand().transpose(0, 2, 1)[:, :, None]
        expected = expected / expected.sum(axis=(2, 3), keepdims=True)
        np.testing.assert_allclose(maps["cross_attention/cross"], expected, rtol=1e-6)

    def test_grid_that_does_not_fit(self):
        for grid, words in ((None, "7 positions are no square"), ((3, 3), "3 x 3")):
            with self.assertRaisesRegex(ExtractError, f"layer cross: .*{words}"):
                batches = [self.patches]
                self.record(
                    self.model, "cross-attention", batches=batches, cross_grid=grid
                )


class HeadImportance(AttentionCase):
    def test_against_differences_of_an_explicit_mask(self):
        """Every kind of layer has the importance of the layer written out with a mask."""
        written = Classifier("returned").double()
        expected = self.by_differences(written)
        self.assertGreater(expected.min(), 1e-3)
        for kind in ("module", "softmax", "returned", "fused"):
            if kind == "fused" and not HAS_FUSED:
                continue
            model = Classifier(kind).double()
            model.load_state_dict(written.state_dict())
            found = self.record(model, "head-importance", name=kind)
            self.assertEqual(len(found), 2)
            np.testing.assert_allclose(
                list(found.values()), expected, rtol=1e-6, err_msg=kind
            )

    def by_differences(self, model, step=1e-5):
        """Mean over samples of abs(d loss / d gate), [layers, heads]."""
        model.eval()
        importance = np.zeros((2, HEADS))
        for layer, head in np.ndindex(2, HEADS):
            gate = model.layers[layer].gate
            losses = []
            for value in (1 + step, 1 - step):
                gate[head] = value
                with torch.no_grad():
                    logits = model(TOKENS)
                    loss = functional.cross_entropy(logits, LABELS, reduction="none")
                losses.append(loss.numpy())
            gate[head] = 1
            importance[layer, head] = np.mean(np.abs(losses[0] - losses[1])) / 2 / step
        return importance

    def test_layer_that_the_loss_does_not_see(self):
        model = Classifier("softmax").double()
        model.layers[1].out_proj.forward = lambda x: torch.zeros_like(x)
        with self.assertRaisesRegex(ExtractError, "layers.1: the loss does not"):
            self.record(model, "head-importance")


if __name__ == "__main__":
    unittest.main()
