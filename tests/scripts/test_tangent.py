"""Tangent kernels of the extractor: kernels from the recorded factors, by the file
format's own formula, against Jacobians by autograd and closed forms."""

import unittest
from unittest import mock

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from support import FolderCase
import zoogram_tangent
from zoogram_extract import ExtractError, extract
from zoogram_network import Network

SAMPLES = 5


def values(*shape, seed=1):
    """Normal numbers in double: products then agree to far below any mistake."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


IMAGES = values(SAMPLES, 4, 7, 6)
VECTORS = values(SAMPLES, 6)
TOKENS = values(SAMPLES, 4, 8)
WORDS = torch.randint(0, 11, (SAMPLES, 5), generator=torch.Generator().manual_seed(2))


def layer_kernel(group):
    """Kernel [m, C, m, C] of one ntk group: sum over positions of (input . input' +
    bias) (signal . signal'), or direct . direct'."""
    if "direct" in group:
        rows = group["direct"][:]
        return np.einsum("acq,bdq->acbd", rows, rows)
    signal = group["signal"][:]
    if "index" in group:
        index = group["index"][:]
        same = (index[:, :, None, None] == index[None, None]).astype(float)
        assert group.attrs["bias"] == 0
        return np.einsum("asbt,acso,bdto->acbd", same, signal, signal)
    inputs = group["input"][:]
    if inputs.ndim == 2:
        inputs, signal = inputs[:, None], signal[:, :, None]
    products = np.einsum("asi,bti->asbt", inputs, inputs) + group.attrs["bias"]
    return np.einsum("asbt,acso,bdto->acbd", products, signal, signal)


def jacobian(model, batch):
    """d logits / d parameters [m, C, p], by one backward pass for each row."""
    model = model.eval()
    parameters = list(model.parameters())
    rows = []
    for number in range(len(batch)):
        logits = model(batch[number : number + 1])[0]
        for logit in logits:
            parts = torch.autograd.grad(
                logit, parameters, retain_graph=True, allow_unused=True
            )
            rows.append(
                torch.cat(
                    [
                        (torch.zeros_like(p) if g is None else g).reshape(-1)
                        for p, g in zip(parameters, parts)
                    ]
                )
            )
    return torch.stack(rows).reshape(len(batch), len(logits), -1).numpy()


class Functional(nn.Module):
    """A model whose forward is function(self, inputs), with the given parts."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, inputs):
        return self.function(self, inputs)


class TangentCase(FolderCase):
    def setUp(self):
        super().setUp()
        torch.manual_seed(0)
        self.path = self.folder / "zoo.h5"

    def record(self, model, batch, name="m", **settings):
        """Extract the tangent alone; gives the layers' names."""
        settings = {"record": "tangent", **settings}
        extract(model, [batch[:3], batch[3:]], self.path, name, (), **settings)
        with h5py.File(self.path, "r") as zoo:
            return list(zoo[f"models/{name}"].get("ntk", {}))

    def kernel(self, name="m"):
        with h5py.File(self.path, "r") as zoo:
            return sum(layer_kernel(g) for g in zoo[f"models/{name}/ntk"].values())

    def assert_kernel(self, model, batch, **settings):
        """The recorded kernel is J J' in both forms; gives the factors' layer names."""
        rows = jacobian(model, batch)
        expected = np.einsum("acp,bdp->acbd", rows, rows)
        scale = np.abs(expected).max()
        for form in ("auto", "factors"):
            names = self.record(model, batch, form, tangent_form=form, **settings)
            # a few hundred roundings of double
            np.testing.assert_allclose(
                self.kernel(form), expected, rtol=0, atol=1e-12 * scale, err_msg=form
            )
        return names

    def parts(self, layer, name="factors"):
        """{dataset: shape} of a layer, and its attribute bias."""
        with h5py.File(self.path, "r") as zoo:
            group = zoo[f"models/{name}/ntk/{layer}"]
            shapes = {part: data.shape for part, data in group.items()}
            return {**shapes, "bias": group.attrs["bias"]}


class Kernels(TangentCase):
    def test_linear_model_in_closed_form(self):
        model = nn.Sequential(nn.Linear(6, 3)).double()
        self.assertEqual(self.record(model, VECTORS), ["0"])
        products = (VECTORS @ VECTORS.t() + 1).numpy()
        expected = np.einsum("ab,cd->acbd", products, np.eye(3))
        np.testing.assert_allclose(self.kernel(), expected, rtol=1e-13, atol=1e-13)

    def test_perceptron_with_in_place_activations(self):
        model = nn.Sequential(
            nn.Linear(6, 9),
            nn.ReLU(inplace=True),
            nn.Linear(9, 8, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(8, 3),
        ).double()
        names = self.assert_kernel(model, VECTORS)
        self.assertEqual(names, ["0", "2", "4"])
        self.assertEqual(self.parts("0")["bias"], 1)
        self.assertEqual(
            self.parts("2"),
            {"input": (SAMPLES, 9), "signal": (SAMPLES, 3, 8), "bias": 0},
        )

    def test_convolutions_with_stride_padding_dilation_and_groups(self):
        for number, options in enumerate(
            (
                dict(kernel_size=3),
                dict(kernel_size=(3, 2), stride=(2, 1), padding=(1, 0)),
                dict(kernel_size=3, dilation=(2, 1), padding=2, bias=False),
                dict(kernel_size=(2, 4), padding="same"),
                dict(kernel_size=3, padding="valid", groups=2),
                dict(kernel_size=3, padding=1, padding_mode="circular", stride=2),
                dict(kernel_size=3, padding=(2, 1), padding_mode="reflect"),
            )
        ):
            with self.subTest(**options):
                self.path = self.folder / f"{number}.h5"
                convolution = nn.Conv2d(4, 6, **options)
                model = nn.Sequential(
                    convolution, nn.ReLU(True), nn.AdaptiveAvgPool2d((2, 1))
                )
                model.add_module("flatten", nn.Flatten())
                model.add_module("head", nn.Linear(12, 3))
                names = self.assert_kernel(model.double(), IMAGES)
                groups = options.get("groups", 1)
                expected = ["0"] if groups == 1 else ["0.group0", "0.group1"]
                self.assertEqual(names, expected + ["head"])

    def test_one_and_three_dimensional_convolutions(self):
        for number, (convolution, shape) in enumerate(
            (
                (nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), (SAMPLES, 4, 9)),
                (nn.Conv3d(2, 3, 2, dilation=(1, 2, 1)), (SAMPLES, 2, 3, 4, 5)),
            )
        ):
            with self.subTest(type(convolution).__name__):
                self.path = self.folder / f"{number}.h5"
                model = nn.Sequential(convolution, nn.Flatten(), nn.LazyLinear(2))
                model = model.double()
                model(values(*shape))
                self.assert_kernel(model, values(*shape))

    def test_transformer_with_positions_class_token_and_packed_projections(self):
        for batch_first in (True, False):
            with self.subTest(batch_first=batch_first):
                self.path = self.folder / f"{batch_first}.h5"

                def forward(model, tokens):
                    cls = model.cls.expand(len(tokens), -1, -1)
                    tokens = torch.cat([cls, tokens], 1) + model.position
                    if not batch_first:
                        tokens = tokens.transpose(0, 1)
                    tokens = model.block(tokens)
                    cls = tokens[:, 0] if batch_first else tokens[0]
                    return model.head(model.norm(cls))

                model = Functional(
                    forward,
                    cls=nn.Parameter(torch.randn(1, 1, 8)),
                    position=nn.Parameter(torch.randn(1, 5, 8)),
                    block=nn.TransformerEncoderLayer(
                        8, 2, 16, activation="gelu", batch_first=batch_first
                    ),
                    norm=nn.LayerNorm(8),
                    head=nn.Linear(8, 3),
                ).double()
                names = self.assert_kernel(model, TOKENS)
                self.assertIn("block.self_attn.in_proj", names)
                self.assertEqual(
                    self.parts("block.self_attn.in_proj"),
                    {
                        "input": (SAMPLES, 5, 8),
                        "signal": (SAMPLES, 3, 5, 24),
                        "bias": 1,
                    },
                )
                self.assertEqual(
                    self.parts("block.norm1"), {"direct": (SAMPLES, 3, 16), "bias": 0}
                )
                self.assertEqual(self.parts("cls")["direct"], (SAMPLES, 3, 8))

    def test_embedding_with_padding(self):
        def forward(model, words):
            return model.head(model.words(words).tanh().sum(1))

        model = Functional(
            forward,
            words=nn.Embedding(11, 6, padding_idx=int(WORDS[0, 0])),
            head=nn.Linear(6, 3),
        ).double()
        self.assert_kernel(model, WORDS)
        self.assertEqual(
            self.parts("words"),
            {"index": (SAMPLES, 5), "signal": (SAMPLES, 3, 5, 6), "bias": 0},
        )

    def test_norms_in_evaluation_mode(self):
        model = nn.Sequential(
            nn.Conv2d(4, 6, 3),
            nn.BatchNorm2d(6),
            nn.GroupNorm(2, 6),
            nn.InstanceNorm2d(6, affine=True),
            nn.Tanh(),
            nn.Flatten(),
            nn.LazyLinear(3),
        ).double()
        model(IMAGES)  # moves the running statistics away from 0 and 1
        self.assert_kernel(model, IMAGES)
        self.assertEqual(self.parts("1"), {"direct": (SAMPLES, 3, 12), "bias": 0})

    def test_module_that_is_called_several_times(self):
        def forward(model, vectors):
            for _ in range(3):
                vectors = model.step(vectors).tanh_()
            return model.head(vectors)

        model = Functional(forward, step=nn.Linear(6, 6), head=nn.Linear(6, 2)).double()
        self.assert_kernel(model, VECTORS)
        self.assertEqual(self.parts("step")["input"], (SAMPLES, 3, 6))

    def test_weights_that_are_used_in_two_ways(self):
        tied = Functional(
            lambda m, words: functional.linear(m.words(words).sum(1), m.words.weight),
            words=nn.Embedding(11, 4),
        )
        two_biases = Functional(
            lambda m, x: m.a(x) + m.b(x) + functional.linear(x, m.a.weight),
            a=nn.Linear(6, 2),
            b=nn.Linear(6, 2),
        )
        two_biases.b.bias = two_biases.a.bias
        one_bias = Functional(
            lambda m, x: m.a(x) * m.b(x), a=nn.Linear(6, 2), b=nn.Linear(6, 2)
        )
        one_bias.b.bias = one_bias.a.bias
        penalised = Functional(
            lambda m, x: m.a(x) / m.a.weight.norm(), a=nn.Linear(6, 2)
        )
        weight_norm = nn.Sequential(nn.utils.weight_norm(nn.Linear(6, 2)), nn.Tanh())
        for name, model, batch in (
            ("tied", tied, WORDS),
            ("two biases", two_biases, VECTORS),
            ("one bias", one_bias, VECTORS),
            ("penalised", penalised, VECTORS),
            ("weight norm", weight_norm, VECTORS),
        ):
            with self.subTest(name):
                self.path = self.folder / f"{name}.h5"
                self.assert_kernel(model.double(), batch)

    def test_several_images_of_one_sample(self):
        def forward(model, images):  # each channel an image of its own
            maps = model.conv(images.reshape(-1, 1, 7, 6)).relu()
            return model.head(maps.mean((2, 3)).reshape(len(images), -1))

        model = Functional(
            forward, conv=nn.Conv2d(1, 3, 3), head=nn.Linear(12, 2)
        ).double()
        self.assert_kernel(model, IMAGES)

    def test_frozen_and_unused_parameters(self):
        model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2)).double()
        model.requires_grad_(False)
        model.idle = nn.Linear(3, 3)
        model.aside = nn.Linear(6, 3).double()  # is called, but does not matter

        def forward(vectors):
            model.aside(vectors)
            return model[1](model[0](vectors).tanh())

        model.forward = forward
        with torch.no_grad():
            self.assertEqual(self.record(model, VECTORS), ["0", "1"])
        self.assertFalse(any(p.requires_grad for p in model[0].parameters()))
        model.requires_grad_(True)
        rows = jacobian(model, VECTORS)
        expected = np.einsum("acp,bdp->acbd", rows, rows)
        np.testing.assert_allclose(self.kernel(), expected, rtol=1e-12, atol=1e-12)


class Options(TangentCase):
    MODEL = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)).double()

    def test_samples_and_classes_are_chosen(self):
        classes = [2, 0]
        self.record(self.MODEL, VECTORS, tangent_samples=4, tangent_classes=classes)
        rows = jacobian(self.MODEL, VECTORS)[:4, classes]
        expected = np.einsum("acp,bdp->acbd", rows, rows)
        np.testing.assert_allclose(self.kernel(), expected, rtol=1e-12)
        with h5py.File(self.path, "r") as zoo:
            self.assertEqual(zoo["models/m/ntk"].attrs["classes"].tolist(), classes)

    def test_limit_holds_for_the_samples_too(self):
        self.record(self.MODEL, VECTORS, limit=2)
        self.assertEqual(self.parts("0", "m")["input"], (2, 6))

    def test_auto_takes_the_product_where_it_is_smaller(self):
        model = nn.Sequential(
            nn.Conv2d(4, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(84, 3)
        ).double()
        self.record(model, IMAGES, "auto")
        # 42 positions * (36 inputs + 3 classes * 2 outputs) > 3 classes * 74 parameters
        parts = {"direct": (SAMPLES, 3, 74), "bias": 0}
        self.assertEqual(self.parts("0", "auto"), parts)
        self.assertIn("input", self.parts("3", "auto"))

    def test_patches_are_those_of_unfold(self):
        options = dict(padding=(2, 1), stride=(1, 2), dilation=(2, 1))
        ours = zoogram_tangent.patches(
            IMAGES[:1],
            (3, 2),
            **{key: options[key] for key in ("stride", "padding", "dilation")},
        )
        theirs = functional.unfold(IMAGES[:1], (3, 2), **options)
        np.testing.assert_array_equal(ours, theirs[0].t())

    def test_jacobian_of_chosen_classes(self):
        settings = dict(record="jacobian", tangent_samples=3, tangent_classes=[1, 2])
        self.record(self.MODEL, VECTORS, **settings)
        with h5py.File(self.path, "r") as zoo:
            data = zoo["models/m/jacobian"]
            np.testing.assert_allclose(
                data, jacobian(self.MODEL, VECTORS)[:3, 1:], rtol=1e-12
            )
            names = [name for name, _ in self.MODEL.named_parameters()]
            self.assertEqual(list(data.attrs["parameters"]), names)

    def test_single_precision_is_recorded_in_single(self):
        model = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))
        self.record(model, VECTORS.float())
        with h5py.File(self.path, "r") as zoo:
            self.assertEqual(zoo["models/m/ntk/0/signal"].dtype, np.float32)
        rows = jacobian(model, VECTORS.float())
        expected = np.einsum("acp,bdp->acbd", rows, rows)
        # float32 has 6e-8; sums of some ten products
        np.testing.assert_allclose(self.kernel(), expected, rtol=1e-5, atol=1e-6)


class Refusals(TangentCase):
    def assert_refused(self, words, model, batch, **settings):
        with self.assertRaises(ExtractError) as caught:
            self.record(model, batch, **settings)
        for word in words:
            self.assertIn(word, str(caught.exception))
        self.assertFalse(self.path.exists())

    def test_wrong_factors_are_found_and_the_layer_named(self):
        model = nn.Sequential(nn.Conv2d(4, 2, 3), nn.Flatten(), nn.Linear(40, 3))
        wrong = lambda images, kernel, *rest: patches(images.flip(-1), kernel, *rest)
        patches = zoogram_tangent.patches
        for batch in (IMAGES, IMAGES.float()):
            with mock.patch.object(zoogram_tangent, "patches", wrong):
                words = ["model m", "layer 0", "differ from autograd", "jacobian"]
                self.assert_refused(words, model.to(batch.dtype), batch)

    def test_batch_statistics_name_the_layer(self):
        model = nn.Sequential(
            nn.Linear(6, 4), nn.BatchNorm1d(4, track_running_stats=False)
        )
        words = ["model m", "layer 1", "track_running_stats"]
        self.assert_refused(words, model.double(), VECTORS)

    def test_samples_that_depend_on_one_another(self):
        model = Functional(lambda m, x: m.a(x - x.mean(0)), a=nn.Linear(6, 2)).double()
        self.assert_refused(["model m", "shares its batch"], model, VECTORS)

    def test_positions_that_vary(self):
        def forward(model, words):
            kept = words[:, : 2 + int(words[0, 0]) % 2]
            return model.head(model.words(kept).sum(1))

        model = Functional(forward, words=nn.Embedding(11, 4), head=nn.Linear(4, 2))
        words = torch.tensor([[1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 6]])
        self.assert_refused(
            ["model m", "layer words", "positions must not vary"], model, words
        )

    def test_parameters_that_are_used_for_some_samples_only(self):
        def one_or_other(model, words):
            return (model.b if words[0, 0] > 1 else model.a)(words.float())

        def also_other(model, words):
            other = model.b(words.float()) if words[0, 0] > 1 else 0
            return model.a(words.float()) + other

        def also_directly(model, words):
            factor = model.a.weight.norm() if words[0, 0] > 1 else 1
            return model.a(words.float()) * factor

        words = torch.tensor([[1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 6]])
        for forward, name in (
            (one_or_other, "a.weight"),
            (also_other, "b.weight"),
            (also_directly, "a.weight"),
        ):
            model = Functional(forward, a=nn.Linear(3, 2), b=nn.Linear(3, 2))
            with mock.patch.object(Network, "refuse_dependence"):
                expected = ["model m", f"parameter {name}", "some samples only"]
                self.assert_refused(expected, model, words)

    def test_parameter_that_belongs_to_no_layer(self):
        model = nn.Sequential(nn.Linear(6, 3)).double()
        with mock.patch.object(zoogram_tangent, "_named_layers", lambda *_: []):
            with mock.patch.object(zoogram_tangent, "_check_plan"):
                expected = ["model m", "parameter 0.weight", "no layer"]
                self.assert_refused(expected, model, VECTORS)

    def test_derivatives_out_of_all_proportion(self):
        model = Functional(lambda m, x: x @ m.matrix, matrix=nn.Parameter(values(6, 3)))
        with mock.patch.object(zoogram_tangent, "DIRECT_NUMBERS", 50):
            self.assert_refused(["layer matrix", "18 parameters"], model, VECTORS)

    def test_logits_without_gradient_or_of_another_shape(self):
        cut = Functional(lambda m, x: m.a(x).detach(), a=nn.Linear(6, 2)).double()
        self.assert_refused(["do not depend on any parameter"], cut, VECTORS)
        self.assert_refused(
            ["4, 2]", "to_logits"],
            nn.Sequential(nn.Linear(8, 2)).double(),
            TOKENS,
        )

    def test_classes_that_are_not_there(self):
        model = nn.Sequential(nn.Linear(6, 3)).double()
        self.assert_refused(
            ["[0, 3]", "from 0 to 2"], model, VECTORS, tangent_classes=[0, 3]
        )


if __name__ == "__main__":
    unittest.main()
