"""The zoos that scripts/bench measures on: data without meaning, of the sizes that are asked for, always the same."""

from dataclasses import dataclass
from typing import Callable

import h5py
import numpy as np


@dataclass(frozen=True)
class Zoo:
    """A zoo to be made. Two that are equal have the same content."""

    make: Callable
    sizes: tuple

    def write(self, path):
        with h5py.File(path, "w", track_order=True) as file:
            file.attrs.update({"format": "zoogram-zoo", "version": 1})
            self.make(file, *self.sizes)

    @property
    def layers(self):
        """(layers N, samples n, width d) of a zoo of layers, else None."""
        return self.sizes[:3] if self.make is write_layers else None


def layers(count, samples, width, models=4):
    return Zoo(write_layers, (count, samples, width, models))


def tangents(samples, classes, widths, models=4):
    return Zoo(write_tangents, (samples, classes, widths, models))


def convolutions(samples, classes, models=2):
    return Zoo(write_convolutions, (samples, classes, models))


def weights(models, size):
    return Zoo(write_weights, (models, size))


def attention(models, count, heads, samples, tokens):
    return Zoo(write_attention, (models, count, heads, samples, tokens))


def convolution_kernel(channels, edge, padding):
    return Zoo(write_convolution_kernel, (channels, edge, padding))


def write_layers(file, count, samples, width, models):
    """Activations of models whose deeper layers have more in common."""
    rng = np.random.default_rng(4)
    common = rng.standard_normal((samples, width), dtype=np.float32)
    for i in range(models):
        group = file.create_group(f"models/m{i}/activations", track_order=True)
        for layer in range(count // models):
            share = np.float32(layer * models / count)
            group[f"l{layer}"] = rng.standard_normal((samples, width), dtype=np.float32) + share * common


def write_factors(group, name, rng, samples, classes, inside, outside, positions=0):
    layer = group.create_group(f"ntk/{name}")
    layer.attrs["bias"] = 1
    middle = (positions,) if positions else ()
    layer["input"] = rng.standard_normal((samples, *middle, inside), dtype=np.float32)
    layer["signal"] = rng.standard_normal((samples, classes, *middle, outside), dtype=np.float32)


def write_tangents(file, samples, classes, widths, models):
    """Factors of multilayer perceptrons."""
    rng = np.random.default_rng(5)
    for i in range(models):
        group = file.create_group(f"models/m{i}")
        for layer, (inside, outside) in enumerate(zip(widths, widths[1:])):
            write_factors(group, f"l{layer}", rng, samples, classes, inside, outside)


def write_convolutions(file, samples, classes, models):
    """Factors of a small convolutional network: patches and positions."""
    rng = np.random.default_rng(6)
    for i in range(models):
        group = file.create_group(f"models/m{i}")
        for layer, (inside, outside, positions) in enumerate(((27, 32, 256), (288, 64, 64), (576, 64, 16))):
            write_factors(group, f"c{layer}", rng, samples, classes, inside, outside, positions)
        write_factors(group, "head", rng, samples, classes, 64, classes)


def write_weights(file, models, size):
    """Models that hardly differ."""
    rng = np.random.default_rng(7)
    base = rng.standard_normal(size, dtype=np.float32)
    for i in range(models):
        values = base + np.float32(1e-3) * rng.standard_normal(size, dtype=np.float32)
        file[f"models/m{i:03d}/weights/w"] = values.reshape(1000, -1)


def write_attention(file, models, count, heads, samples, tokens):
    """Softmax of scores of which all heads have a part in common."""
    rng = np.random.default_rng(9)
    common = rng.standard_normal((samples, 1, tokens, tokens), dtype=np.float32) / 2
    for i in range(models):
        group = file.create_group(f"models/m{i}/attention", track_order=True)
        for layer in range(count):
            values = np.exp(rng.standard_normal((samples, heads, tokens, tokens), dtype=np.float32) + common)
            group[f"l{layer}"] = values / values.sum(axis=-1, keepdims=True)


def write_convolution_kernel(file, channels, edge, padding):
    rng = np.random.default_rng(8)
    data = file.create_dataset("models/m/weights/conv", data=rng.standard_normal((channels, channels, 3, 3)) / 48)
    data.attrs.update({"kind": "conv", "input_size": [edge, edge], "padding": 1, "padding_mode": padding})
