"""What a zoo may say of one model, as the tests hold it in memory, and how it is written to a file."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Stored:
    """An array with the way in which it is to be stored: arguments of h5py's create_dataset, and attributes."""

    data: object
    options: dict = field(default_factory=dict)
    attributes: dict = field(default_factory=dict)


def stored(array):
    """The array as Stored; as it is where it is that already."""
    return array if isinstance(array, Stored) else Stored(array)


def contents(array):
    """The numbers of an array or Stored, as they will be stored."""
    return np.asarray(stored(array).data)


def attribute(array, name, default=None):
    """An attribute of a Stored, the default where it has none."""
    return stored(array).attributes.get(name, default)


@dataclass
class Factors:
    """Tangent-kernel factors of one layer; what is None is not written.

    inputs   [m, in] or [m, S, in]       index   [m, S], instead of inputs
    signal   [m, C, out] or [m, C, S, out]
    direct   [m, C, q], instead of the others
    bias     0, 1 or None (which means 1)
    """

    inputs: object = None
    index: object = None
    signal: object = None
    direct: object = None
    bias: object = None

    def datasets(self):
        """{name in the file: array} of what there is."""
        named = {"input": self.inputs, "index": self.index, "signal": self.signal, "direct": self.direct}
        return {name: array for name, array in named.items() if array is not None}


@dataclass
class Network:
    """One model. Arrays may be Stored; what is empty or None is not written.

    activations        {layer: [n, ...]}
    weights            {parameter: array, Stored with `kind` and a convolution's geometry}
    gradients          {task: [p]}
    sample_gradients   [m, p]
    jacobian           [m, C, p]
    tangent            {layer: Factors}
    logits             [n, C]
    sharpness          [radii, batches], Stored with `radius`
    margin_gradients   [n, C]
    attention          {layer: [n, heads, queries, keys]}
    head_importance    {layer: [heads]}
    cross_attention    {layer: [n, tokens, h, w]}
    maps               {layer: [n, 2 or 3]}
    graph              {"op": [nodes] strings, "edge": [edges, 2] integers}
    """

    activations: dict = field(default_factory=dict)
    weights: dict = field(default_factory=dict)
    gradients: dict = field(default_factory=dict)
    sample_gradients: object = None
    jacobian: object = None
    tangent: dict = field(default_factory=dict)
    logits: object = None
    sharpness: object = None
    margin_gradients: object = None
    attention: dict = field(default_factory=dict)
    head_importance: dict = field(default_factory=dict)
    cross_attention: dict = field(default_factory=dict)
    maps: dict = field(default_factory=dict)
    graph: dict = field(default_factory=dict)

    GROUPS = ("activations", "weights", "gradients", "attention", "head_importance", "cross_attention", "maps", "graph")
    SINGLES = ("sample_gradients", "jacobian", "logits", "sharpness", "margin_gradients")

    def write(self, group, track_order=True):
        """Write into the model's group of an open HDF5 file."""
        for name in self.GROUPS:
            if getattr(self, name):
                write_arrays(group.create_group(name, track_order=track_order), getattr(self, name))
        singles = {name: getattr(self, name) for name in self.SINGLES}
        write_arrays(group, {name: array for name, array in singles.items() if array is not None})
        if self.tangent:
            layers = group.create_group("ntk", track_order=track_order)
            for layer, factors in self.tangent.items():
                entry = layers.create_group(layer, track_order=track_order)
                write_arrays(entry, factors.datasets())
                if factors.bias is not None:
                    entry.attrs["bias"] = factors.bias


def write_arrays(group, arrays):
    for name, array in arrays.items():
        array = stored(array)
        dataset = group.create_dataset(name, data=array.data, **array.options)
        dataset.attrs.update(array.attributes)
