#!/usr/bin/env python3
"""What else could compute a zoo's similarities on one machine, as small programs in numpy and PyTorch.

    bench_alternatives.py METHOD zoo.h5 tensors.npz [--product mkl|onednn]

They are written to be fast: float32 products on as many threads as OMP_NUM_THREADS says, layers
read once, symmetric work done once where the method allows it, buffers used again. Prints one line of JSON: seconds
for reading and for computing, peak memory in bytes, versions. Needs numpy and h5py, and PyTorch for `streamed` and
`stacked`; scripts/bench runs it in the environment that has it.
"""

import argparse
import json
import resource
import time

import h5py
import numpy as np

TILE = 256  # samples; from 192 to 512 the times differ by a few per cent


# ---- layers ----


def read_layers(path):
    """All layers as one array [layer, sample, feature] and their names; they are of one width."""
    with h5py.File(path) as file:
        found = [
            (f"{model}/{name}", data)
            for model, group in file["models"].items()
            for name, data in group["activations"].items()
        ]
        layers = np.empty((len(found), *found[0][1].shape), np.float32)
        for layer, (_, data) in zip(layers, found):
            data.read_direct(layer)
    return [name for name, _ in found], layers


def centre(layers):
    """Take the mean over samples off every feature, in place; squared norms of the samples, [layer, sample]."""
    norms = np.empty(layers.shape[:2])
    for layer, norm in zip(layers, norms):
        layer -= layer.mean(0, dtype=np.float64).astype(np.float32)
        np.einsum("ij,ij->i", layer, layer, out=norm, dtype=np.float64)
    return norms


def similarities(inner, norms):
    """Biased and debiased CKA from inner products <K, L> of centred kernels and the kernels' diagonals
    (Kornblith et al. 2019; the U-statistic of Song et al. 2007, with what centring makes of its sums)."""
    n = norms.shape[1]
    traces, diagonals = norms.sum(1), norms @ norms.T
    unbiased = inner - diagonals * (1 + 2 / (n - 2)) + np.outer(traces, traces) / ((n - 1) * (n - 2))
    return {"biased": normalised(inner), "debiased": normalised(unbiased)}


def normalised(hsic):
    scale = np.sqrt(np.diag(hsic))
    return hsic / np.outer(scale, scale)


# ---- methods ----
# Each takes a path and the name of a product, and gives ({tensor: array}, seconds of reading, seconds of computing).


def from_layers(inner_products):
    """The method that gets <K, L> of all layers by this function of the centred layers."""

    def method(path, product):
        start = time.perf_counter()
        names, layers = read_layers(path)
        after_reading = time.perf_counter()
        norms = centre(layers)
        tensors = similarities(inner_products(layers, product), norms)
        end = time.perf_counter()
        return {"names": names, **tensors}, after_reading - start, end - after_reading

    return method


class Mkl:
    """PyTorch's ordinary products."""

    def __init__(self, layers):
        self.layers = layers
        self.buffer = layers.new_empty(len(layers) * TILE * TILE)

    def grams(self, rows, columns):
        """Products of these rows with these columns of all layers, [layer, pair]; overwritten by the next call."""
        import torch

        a, b = self.layers[:, rows], self.layers[:, columns].transpose(1, 2)
        out = self.buffer[: len(a) * a.shape[1] * b.shape[2]].view(len(a), a.shape[1], b.shape[2])
        return torch.bmm(a, b, out=out).view(len(a), -1)

    def square(self, v):
        return v @ v.T


class OneDnn(Mkl):
    """The same by PyTorch's other library, which takes products as linear layers."""

    def __init__(self, layers):
        from torch.nn.functional import linear

        super().__init__(layers)
        self.linear = linear
        self.rows, self.converted = None, []

    def grams(self, rows, columns):
        if rows != self.rows:
            self.rows, self.converted = rows, [layer[rows].to_mkldnn() for layer in self.layers]
        count = len(self.layers)
        for k, (left, layer) in enumerate(zip(self.converted, self.layers)):
            gram = self.linear(left, layer[columns]).to_dense().view(-1)
            self.buffer[k * gram.numel() : (k + 1) * gram.numel()].copy_(gram)
        return self.buffer[: count * gram.numel()].view(count, -1)

    def square(self, v):
        return self.linear(v.to_mkldnn(), v).to_dense()


def streamed(layers, product):
    """Gram matrices tile by tile: bmm for a pair of tiles, then V V'; each pair of tiles once."""
    import torch

    products = {"mkl": Mkl, "onednn": OneDnn}[product](torch.from_numpy(layers))
    starts = range(0, layers.shape[1], TILE)
    total = torch.zeros(len(layers), len(layers), dtype=torch.float64)
    with torch.no_grad():
        for i in starts:
            for j in range(0, i + 1, TILE):
                v = products.grams(slice(i, i + TILE), slice(j, j + TILE))
                total += (1 if i == j else 2) * products.square(v).double()
    return total.numpy()


def stacked(layers, _):
    """All Gram matrices as rows of one matrix [layer, n^2], then one product."""
    import torch

    x = torch.from_numpy(layers)
    v = torch.bmm(x, x.transpose(1, 2)).view(len(x), -1)
    return (v @ v.T).double().numpy()


def pairs(layers, _):
    """In feature space, pair by pair: F(X' Y)^2."""
    inner = np.zeros((len(layers), len(layers)))
    for i, x in enumerate(layers):
        for j, y in enumerate(layers[: i + 1]):
            inner[i, j] = inner[j, i] = float(np.linalg.norm(x.T @ y)) ** 2
    return inner


def kernels(path, _):
    """Distances of tangent kernels: whole kernels in memory, layer by layer."""
    start, reading, found = time.perf_counter(), 0.0, []
    with h5py.File(path) as file:
        names = list(file["models"])
        for model in file["models"].values():
            kernel = 0
            for layer in model["ntk"].values():
                before = time.perf_counter()
                a, b = layer["input"][:], layer["signal"][:]
                reading += time.perf_counter() - before
                classes = b.shape[1]
                b = b.reshape(len(a) * classes, -1)
                kernel = kernel + np.repeat(np.repeat(a @ a.T + 1, classes, 0), classes, 1) * (b @ b.T)
            found.append(kernel)
    distance = np.zeros((len(found), len(found)))
    for i, first in enumerate(found):
        for j, second in enumerate(found[:i]):
            distance[i, j] = distance[j, i] = np.linalg.norm(first - second)
    return {"names": names, "distance": distance}, reading, time.perf_counter() - start - reading


METHODS = {
    "streamed": from_layers(streamed),
    "stacked": from_layers(stacked),
    "pairs": from_layers(pairs),
    "kernels": kernels,
}
NEEDS_TORCH = ("streamed", "stacked")


def versions(method):
    if method not in NEEDS_TORCH:
        return {"numpy": np.__version__}
    import torch

    mkl = torch.__config__.show().partition("Math Kernel Library Version ")[2].split(" ")[0]
    return {"numpy": np.__version__, "torch": torch.__version__, "mkl": mkl or "none"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("zoo")
    parser.add_argument("output")
    parser.add_argument("--product", choices=("mkl", "onednn"), default="mkl", help="where PyTorch multiplies")
    options = parser.parse_args()
    used = versions(options.method)  # imports what is needed before the clock starts
    tensors, reading, computing = METHODS[options.method](options.zoo, options.product)
    np.savez(options.output, **tensors)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"reading": reading, "computing": computing, "memory": peak, "versions": used}))


if __name__ == "__main__":
    main()
