#!/usr/bin/env python3
"""Train a small zoo on scikit-learn's digits and record it for zoogram.

Three architectures (a multilayer perceptron, a convolutional network, a vision
transformer), each trained from three seeds, and the untrained copies of the first two:
<architecture>-seed<k> began as <architecture>-untrained<k>.  The probe set is part of
the held-out images.  Beside activations the zoo gets logits, gradients of the margins,
sharpness, graphs and t-SNE maps of two layers of all, the weights of all but the
transformers, the attention and the heads' importance of these, and tangent kernels and
gradients of some.  At the end a table says how alike the layers of different seeds are,
by debiased linear CKA, with and without training.  Less than a minute on one core; the
same seeds and the same versions of the libraries give the same numbers.

--networks readers makes another zoo of the same samples: two networks in which a query
for each class looks at a grid of patches, 4 x 4 or 2 x 2.  It gets their cross
attention, logits, gradients of the margins and graphs, but no activations.
"""

import argparse
import itertools
import os
import platform
import sys

# One order of summation, the same bits every time; OpenBLAS reads this when it is loaded.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import h5py
import numpy as np
import sklearn
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from zoogram_extract import ExtractError, ZooWriter, extract

SPLIT_SEED = 0  # of the permutation that parts training and held-out images
HELD_OUT = 360  # images, of 1797
TRAINED, UNTRAINED = 3, 2  # copies of each architecture
BATCH = 64
RECORDED = dict(maps="pool:4", tokens="mean", dtype="float16")
# Beside the activations, of every copy: only the smaller two architectures' weights.
OF_ALL = ("logits", "margin-gradients", "graph")
OF_CLASSIFIERS = (*OF_ALL, "sharpness", "maps")
RECORDS = {
    "mlp": ("weights", *OF_CLASSIFIERS),
    "cnn": ("weights", *OF_CLASSIFIERS),
    "vit": (*OF_CLASSIFIERS, "attention", "head-importance"),
    "reader": (*OF_ALL, "cross-attention"),
    "reader-coarse": (*OF_ALL, "cross-attention"),
}
MAPPED = {"mlp": ["hidden[14]"], "cnn": ["conv[14]"], "vit": ["block[14]"]}
# What is large, of some trained copies, in float16: the file is to stay below 4 MB.
TANGENT = dict(record=("tangent",), tangent_samples=32, derivative_dtype="float16")
GRADIENTS = dict(
    record=("gradients", "sample-gradients"),
    tasks="class",
    gradient_samples=16,
    derivative_dtype="float16",
)
MORE_RECORDS = {
    "mlp-seed0": TANGENT,
    "mlp-seed1": TANGENT,
    "cnn-seed0": TANGENT,
    "cnn-seed1": GRADIENTS,
    "cnn-seed2": GRADIENTS,
}
SHARPNESS = dict(radii=(0.01, 0.03, 0.1), sharpness_batches=2)


class Perceptron(nn.Sequential):
    """Four hidden layers of 64 ReLU units."""

    def __init__(self):
        widths = [64] * 5
        hidden = [
            nn.Sequential(nn.Linear(before, after), nn.ReLU())
            for before, after in zip(widths, widths[1:])
        ]
        super().__init__()
        self.flatten = nn.Flatten()
        for number, layer in enumerate(hidden, 1):
            self.add_module(f"hidden{number}", layer)
        self.head = nn.Linear(widths[-1], 10)


class ConvNet(nn.Sequential):
    """Four convolutions with batch norm and ReLU, 4 x 4 and then 2 x 2 maps."""

    def __init__(self):
        super().__init__()
        self.conv1 = self._stage(1, 8, kernel=5, stride=2)
        self.conv2 = self._stage(8, 8)
        self.conv3 = self._stage(8, 16, stride=2)
        self.conv4 = self._stage(16, 16)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(16, 10)

    @staticmethod
    def _stage(before, after, kernel=3, stride=1):
        return nn.Sequential(
            nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        )


class Embedding(nn.Module):
    """Image [n, 1, 8, 8] -> class token and four 4 x 4 patches, [n, 5, d]."""

    def __init__(self, width):
        super().__init__()
        self.patches = nn.Conv2d(1, width, 4, stride=4)
        self.cls = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.position = nn.Parameter(0.02 * torch.randn(1, 5, width))

    def forward(self, images):
        patches = self.patches(images).flatten(2).transpose(1, 2)
        cls = self.cls.expand(len(images), -1, -1)
        return torch.cat([cls, patches], dim=1) + self.position


class VisionTransformer(nn.Module):
    """Four pre-norm blocks of width 24; the class token is read out."""

    def __init__(self, width=24, heads=4, depth=4):
        super().__init__()
        self.embed = Embedding(width)
        blocks = (
            nn.TransformerEncoderLayer(
                width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        for number, block in enumerate(blocks, 1):
            self.add_module(f"block{number}", block)
        self.depth = depth
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, images):
        tokens = self.embed(images)
        for number in range(1, self.depth + 1):
            tokens = getattr(self, f"block{number}")(tokens)
        return self.head(self.norm(tokens)[:, 0])


class Reader(nn.Module):
    """A query for each class looks at the image's patches; what it finds is its logit."""

    def __init__(self, patch=2, width=24, heads=2):
        super().__init__()
        sides = 8 // patch
        self.patches = nn.Conv2d(1, width, patch, stride=patch)
        self.position = nn.Parameter(0.02 * torch.randn(1, sides * sides, width))
        self.queries = nn.Parameter(torch.randn(10, width))
        self.norm = nn.LayerNorm(width)
        self.cross = nn.MultiheadAttention(width, heads, batch_first=True)
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU())
        self.score = nn.Linear(width, 1)

    def forward(self, images):
        patches = self.patches(images).flatten(2).transpose(1, 2) + self.position
        patches = self.norm(patches)
        queries = self.queries.expand(patches.shape[0], -1, -1)
        found = self.cross(queries, patches, patches)[0]
        return self.score(self.head(queries + found)).flatten(1)


class CoarseReader(Reader):
    """The same on 2 x 2 patches of 4 x 4 pixels."""

    def __init__(self):
        super().__init__(patch=4)


# name: class, recorded layers, and the training settings (AdamW, one-cycle schedule)
READERS = {
    "reader": (
        Reader,
        [],
        dict(epochs=20, learning_rate=1e-2, weight_decay=0.1),
    ),
    "reader-coarse": (
        CoarseReader,
        [],
        dict(epochs=20, learning_rate=1e-2, weight_decay=0.1),
    ),
}
ARCHITECTURES = {
    "mlp": (
        Perceptron,
        ["hidden?", "head"],
        dict(epochs=40, learning_rate=3e-3, weight_decay=1.0),
    ),
    "cnn": (
        ConvNet,
        ["conv?", "pool", "head"],
        dict(epochs=40, learning_rate=1e-2, weight_decay=1.0),
    ),
    "vit": (
        VisionTransformer,
        ["embed", "block?", "norm", "head"],
        dict(epochs=30, learning_rate=6e-3, weight_decay=1.0),
    ),
}


class Digits:
    """The data: standardised images [n, 1, 8, 8], labels [n], and their two parts."""

    def __init__(self):
        pixels, labels = load_digits(return_X_y=True)
        order = np.random.RandomState(SPLIT_SEED).permutation(len(labels))
        self.held_out, self.training = order[:HELD_OUT], order[HELD_OUT:]
        seen = pixels[self.training]
        images = (pixels - seen.mean()) / seen.std()
        self.images = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8)
        self.labels = torch.tensor(labels)

    def probe(self, count):
        """Batches (images, labels, ids) of the first held-out images; an id is the
        image's number in scikit-learn's data set."""
        for ids in np.array_split(self.held_out[:count], max(1, count // BATCH)):
            yield self.images[ids], self.labels[ids], ids


def train(model, digits, seed, epochs, learning_rate, weight_decay):
    """Minimise the cross entropy; the seed orders the batches."""
    images, labels = digits.images[digits.training], digits.labels[digits.training]
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * -(-len(images) // BATCH)
    optimiser = torch.optim.AdamW(
        model.parameters(), learning_rate, weight_decay=weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=steps
    )
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        for batch in order.split(BATCH):
            optimiser.zero_grad()
            functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimiser.step()
            schedule.step()


def accuracy(model, digits):
    """Share of the held-out images that the model classifies rightly."""
    model.eval()
    with torch.no_grad():
        guesses = model(digits.images[digits.held_out]).argmax(dim=1)
    return (guesses == digits.labels[digits.held_out]).float().mean().item()


def records_of(architecture, name):
    """What extract() records of a copy beside its activations."""
    more = MORE_RECORDS.get(name, {})
    record = RECORDS[architecture] + more.get("record", ())
    maps = {"map_layers": MAPPED.get(architecture, ())}
    return {**more, **SHARPNESS, **maps, "record": record}


def add_copies(zoo, architecture, design, digits, samples):
    """Make, train and record the copies of an architecture; gives their accuracies.

    design: its entry of ARCHITECTURES or READERS.
    """
    make, layers, settings = design
    copies = [(f"{architecture}-seed{seed}", seed, 1) for seed in range(TRAINED)]
    copies += [
        (f"{architecture}-untrained{seed}", seed, 0) for seed in range(UNTRAINED)
    ]
    accuracies = {}
    for name, seed, trained in copies:
        torch.manual_seed(seed)
        model = make()
        if trained:
            train(model, digits, seed, **settings)
        accuracies[name] = accuracy(model, digits)
        attributes = dict(
            architecture=architecture,
            seed=seed,
            trained=trained,
            test_accuracy=accuracies[name],
            **(settings if trained else {}),
        )
        extract(
            model,
            digits.probe(samples),
            zoo,
            name,
            layers,
            limit=samples,
            attributes=attributes,
            **RECORDED,
            **records_of(architecture, name),
        )
        print(f"{name}: accuracy {accuracies[name]:.3f}", flush=True)
    return accuracies


def provenance(designs, samples, accuracies):
    """Root attributes that say how the zoo came to be."""
    training = "; ".join(
        f"{name}: " + ", ".join(f"{key} {value:g}" for key, value in settings.items())
        for name, (_, _, settings) in designs.items()
    )
    return {
        "title": "small networks on the digits data set, trained and untrained",
        "made_by": "scripts/make_digits_zoo.py",
        "data": "sklearn.datasets.load_digits: 1797 images of 8 x 8 pixels, 10 classes "
        "(UCI optical recognition of handwritten digits, test part)",
        "probe_set": f"{samples} of {HELD_OUT} held-out images; numpy RandomState("
        f"{SPLIT_SEED}).permutation; samples/id is the image's number in the data",
        "seeds": f"trained {list(range(TRAINED))}, untrained {list(range(UNTRAINED))}; "
        "a trained model starts from the untrained one of its seed",
        "training": f"AdamW, one-cycle, cross entropy, batch {BATCH}; {training}",
        "test_accuracy": ", ".join(f"{k} {v:.3f}" for k, v in accuracies.items()),
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"scikit-learn {sklearn.__version__}, numpy {np.__version__}, "
        f"h5py {h5py.__version__}",
    }


def debiased_cka(x, y):
    """Linear CKA of x [n, d] and y [n, e] with the HSIC estimator of Song et al. 2012,
    equation 5."""
    n = len(x)

    def gram(features):
        centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
        kernel = centred @ centred.T
        np.fill_diagonal(kernel, 0)
        return kernel

    def hsic(k, l):
        means = k.sum() * l.sum() / ((n - 1) * (n - 2))
        cross = 2 * (k.sum(axis=0) @ l.sum(axis=0)) / (n - 2)
        return ((k * l).sum() + means - cross) / (n * (n - 3))

    k, l = gram(x), gram(y)
    return hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l))


def mean_similarity(models, layer):
    """Mean CKA of one layer over all pairs of the given model groups."""
    rows = [model["activations"][layer][:] for model in models]
    return np.mean([debiased_cka(a, b) for a, b in itertools.combinations(rows, 2)])


def similarity_table(path):
    """Per architecture and layer, in order: mean CKA of trained and untrained pairs.

    Returns [(architecture, layer, trained, untrained)]; path is a zoo of this script.
    """
    table = []
    with h5py.File(path, "r") as zoo:
        models = zoo["models"].values()
        for architecture in ARCHITECTURES:
            groups = [
                [
                    model
                    for model in models
                    if model.attrs["architecture"] == architecture
                    and model.attrs["trained"] == trained
                ]
                for trained in (1, 0)
            ]
            activations = groups[0][0]["activations"]
            layers = sorted(activations, key=lambda n: activations[n].attrs["order"])
            for layer in layers:
                means = (mean_similarity(group, layer) for group in groups)
                table.append((architecture, layer, *means))
    return table


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", required=True, metavar="ZOO.h5")
    parser.add_argument(
        "--samples",
        type=int,
        default=256,
        metavar="N",
        help=f"size of the probe set, 4 to {HELD_OUT} (default: 256)",
    )
    parser.add_argument(
        "--networks",
        choices=("classifiers", "readers"),
        default="classifiers",
        help="which zoo to make (default: classifiers)",
    )
    options = parser.parse_args(arguments)
    if not 4 <= options.samples <= HELD_OUT:
        parser.error(f"--samples {options.samples}: expected 4 to {HELD_OUT}")
    return options


def main(arguments=None):
    """Exit status 0, or 2 after a message on standard error."""
    options = parse_arguments(arguments)
    torch.set_num_threads(1)  # as above
    torch.use_deterministic_algorithms(True)
    digits = Digits()
    designs = READERS if options.networks == "readers" else ARCHITECTURES
    accuracies = {}
    try:
        with ZooWriter(options.output, gzip=9, compact=True) as zoo:
            for architecture, design in designs.items():
                accuracies.update(
                    add_copies(zoo, architecture, design, digits, options.samples)
                )
            zoo.set_attributes(provenance(designs, options.samples, accuracies))
    except ExtractError as error:
        print(f"make_digits_zoo.py: error: {error}", file=sys.stderr)
        return 2
    if designs is ARCHITECTURES:
        print_similarities(options.output)
    return 0


def print_similarities(path):
    print("\nmean debiased linear CKA between seeds\n")
    print(f"{'model':6} {'layer':8} {'trained':>8} {'untrained':>10}")
    for architecture, layer, trained, untrained in similarity_table(path):
        print(f"{architecture:6} {layer:8} {trained:8.3f} {untrained:10.3f}")


if __name__ == "__main__":
    sys.exit(main())
