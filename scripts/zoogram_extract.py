#!/usr/bin/env python3
"""Record the activations of PyTorch models in a zoo file that zoogram reads.

From Python, with your own models and data loader:

    from zoogram_extract import ZooWriter, extract

    with ZooWriter("zoo.h5") as zoo:
        for name, model in models.items():
            extract(model, loader, zoo, name, layers=["layer*"], maps="pool:2")

From the command line, with factories that can be imported from the working directory:

    zoogram_extract.py --model a=nets:small --model b=nets:large \\
        --data nets:test_loader --layers 'layer*' --output zoo.h5

or with torchvision's models by name:

    zoogram_extract.py --torchvision resnet18,vit_b_16 --weights none \\
        --images random:64 --maps pool --tokens mean --output zoo.h5 \\
        --layers 'layer?' 'encoder.layers.*' --exclude 'encoder.layers.*.*'

What is recorded.  A layer is a module whose dotted name (model.named_modules()) matches
a shell pattern; `*` also matches dots, and the model as a whole is not a layer.  The
output is copied the moment the module returns, so that a later in-place operation does
not change it.  A module that is called several times in one forward pass is recorded as
`name`, `name:2`, `name:3` ...  Of an output with several parts (tuple, list, dict,
dataclass, ModelOutput) the first tensor, depth first, is taken.  Its first axis must be
the batch.  Layers are stored in the order in which their modules first return,
a slash in a name as `|`.

What becomes of a tensor, n samples first:
    maps [n, c, h, w]  `flatten`: c h w features; `pool`: mean over h and w, c features;
                       `pool:K`: adaptive mean to K x K, c K K features (an axis shorter
                       than K stays as it is)
    tokens [n, t, d]   `flatten`: t d features; `mean` over tokens; `first` token (cls)
    others             flattened in C order

What a batch may be: a tensor; (inputs, labels); (inputs, labels, ids); or a mapping of
keyword arguments, from which `label`/`labels` and `id`/`ids` are taken out first.
Labels are stored if they are one integer per sample, ids if one integer or string.
All models of a zoo must see the same samples in the same order.

What --record (record=... in Python) adds, in evaluation mode and by all parameters,
frozen or not, flattened in the order of model.named_parameters():
    weights           every parameter, with its kind; convolutions with their sizes
    logits            [n, C], the model's output
    gradients         of the mean loss, by --tasks: of all samples, of each class, of
                      each batch; from Python also of other losses and data
    sample-gradients  of the loss of each of the first --gradient-samples
    tangent           d logits / d parameters of the first --tangent-samples, as the
                      factors that each layer's tangent kernel follows from
    jacobian          the same as one array [m, C, p]: for small models
    sharpness         largest rise of the loss found within the --radii around the
                      parameters, by gradient ascent
    attention         [m, heads, queries, keys] of the first --attention-samples: of
                      torch.nn.MultiheadAttention, scaled_dot_product_attention, Hugging
                      Face's layers (switched to eager attention for that time), and of
                      any module that gives such weights; what is masked is 0
    cross-attention   [m, tokens, h, w], the mean over heads on a --cross-grid, each
                      token's map scaled to the sum 1
    head-importance   [heads]: mean of abs(d loss / d mask) of every head's mask
                      (Michel, Levy and Neubig 2019)
    margin-gradients  [n, C] and logits: norm of d(logit_c - logit_k) / d input, c the
                      top class, k the --margin-classes next ones
    maps              [n, 2 or 3]: t-SNE, PCA or UMAP of recorded layers, --map-layers
    graph             operations and data flow by torch.fx with the shapes; the tree of
                      modules where forward() cannot be traced
"""

import datetime
import fnmatch
import sys
import warnings
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path

import torch

# The neighbouring modules, also when this file is loaded by its path.
sys.path.append(str(Path(__file__).resolve().parent))

import zoogram_sources as sources
from zoogram_batches import (
    expected_count,
    refuse_shuffling,
    repeatable,
    split_batch,
)
from zoogram_hooks import Recorder, Reduction, inference, select_modules
from zoogram_network import Network, stored
from zoogram_options import make_parser
from zoogram_records import WITHOUT_LOADER, RecordSettings, record_beside
from zoogram_zoo import ExtractError, ZooWriter

# Options of the command line that are keywords of extract(), the second line's of what
# is recorded beside activations.
SETTINGS = ("exclude", "maps", "tokens", "dtype", "limit", "device")
RECORD_SETTINGS = tuple(field.name for field in fields(RecordSettings))


def extract(
    model,
    loader,
    zoo,
    name,
    layers=("*",),
    *,
    exclude=(),
    maps="flatten",
    tokens="flatten",
    dtype="float32",
    limit=None,
    device=None,
    attributes=None,
    **records,
):
    """Run a model over a loader and add its activations to a zoo, and what else is
    asked for.

    model    torch.nn.Module.  Its mode (train/eval, module by module) is restored; if
             `device` is given, the model is moved there and stays.
    loader   iterable of batches, see the module's docstring; it must not shuffle.  None
             if only weights and the graph are recorded; the input_size of convolutions
             and the graph's shapes are then left out.
    zoo      a ZooWriter, or a path, which is made or appended to.
    name     the model's name in the zoo, new there.
    layers   shell patterns over module names, () for no activations; `exclude` takes
             some away again.
    maps     flatten | pool | pool:K; tokens: flatten | mean | first.
    dtype    float32 | float16 of the stored numbers; what does not fit is an error.
    limit    number of samples at most, None or 0 for all.
    device   where to run; None: where the model's first parameter is.
    attributes  {name: value} written on the model beside the provenance.
    records  what to record beside activations: record=("weights", "tangent", ...) and
             the settings of zoogram_records.RecordSettings.

    Returns the names of the recorded layers in order.  Needs the memory of one batch,
    for derivatives with its graph.  Raises ExtractError; the zoo is then as before.
    """
    settings = RecordSettings(**records)
    layers = [layers] if isinstance(layers, str) else list(layers)
    exclude = [exclude] if isinstance(exclude, str) else list(exclude)
    if limit is not None and limit < 0:
        raise ExtractError(f"limit {limit}: must not be negative")
    reduction = Reduction(maps, tokens, dtype)
    modules = select_modules(model, layers, exclude) if layers else {}
    streams = bool(modules) or settings.needs_logits
    if loader is None and (streams or settings.needs_loader):
        raise ExtractError(
            f"model {name}: only weights and graph can be recorded without a loader"
        )
    if not (modules or settings.record):
        raise ExtractError(f"model {name}: nothing to record: no layers, and no record")
    refuse_shuffling(loader, name)
    loader = repeatable(loader) if settings.record else loader
    if device is None:
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
    else:
        model.to(device)
    network = Network(name, model, device, settings.to_logits, settings.loss)

    provenance = _provenance(model, reduction, layers + [f"!{e}" for e in exclude])
    provenance["record"] = " ".join(settings.record)
    is_open = isinstance(zoo, ZooWriter)
    with nullcontext(zoo) if is_open else ZooWriter(zoo, append=True) as writer:
        with writer.new_model(name, {**provenance, **(attributes or {})}) as target:
            if streams:
                with Recorder(name, modules, reduction) as recorder, inference(model):
                    logits = settings.needs_logits
                    _stream(network, loader, recorder, target, limit, logits)
                _check_executed(name, modules, recorder.executed, layers)
            record_beside(network, target, loader, settings, limit)
            return target.layers


def _stream(network, loader, recorder, target, limit, with_logits):
    """Forward every batch and append what the recorder caught, and the logits if they
    are asked for, up to `limit`."""
    expected = expected_count(loader, limit)
    for given in loader:
        batch = split_batch(given).moved(network.device)
        if not batch.size:
            raise ExtractError(f"model {target.name}: a batch has no input tensor")
        recorder.begin(batch.size)
        output = network(batch)
        if recorder.is_idle:
            raise ExtractError(
                f"model {target.name}: none of the chosen layers was run"
            )
        take = min(batch.size, limit - target.count) if limit else batch.size
        if with_logits:
            logits = stored(network.logits_of(output, batch.size)[:take])
            target.extend("logits", logits, expected)
        target.append(
            {
                layer: replace(recorded, rows=recorded.rows[:take])
                for layer, recorded in recorder.layers.items()
            },
            {key: values and values[:take] for key, values in batch.samples.items()},
            take,
            expected,
        )
        if limit and target.count >= limit:
            break
    if not target.count:
        raise ExtractError(f"model {target.name}: the loader gave no samples")


def _check_executed(name, modules, executed, patterns):
    """A pattern of which nothing ran is an error; a single module is a warning."""
    for pattern in patterns:
        matching = fnmatch.filter(modules, pattern)
        if matching and not executed.intersection(matching):
            raise ExtractError(
                f"model {name}: no layer of {pattern!r} was run by forward()"
            )
    idle = [module for module in modules if module not in executed]
    if idle:
        warnings.warn(
            f"model {name}: not run by forward(), so not recorded: {', '.join(idle)}",
            stacklevel=3,
        )


def _provenance(model, reduction, patterns):
    cls = type(model)
    return {
        "model_class": f"{cls.__module__}.{cls.__qualname__}",
        "parameters": sum(p.numel() for p in model.parameters()),
        "torch_version": str(torch.__version__),
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(
            timespec="seconds"
        ),
        "layer_patterns": " ".join(patterns),
        "dtype": reduction.dtype,
        "maps": reduction.maps,
        "tokens": reduction.tokens,
    }


def _record_settings(options):
    """The options' settings of what to record, functions imported."""
    settings = {name: getattr(options, name) for name in RECORD_SETTINGS}
    for name in ("to_logits", "loss"):
        if settings[name]:
            settings[name] = sources.load_factory(settings[name])
    return settings


def _requested_models(options):
    """[(name, function that makes the model)] of the command line, in its order."""
    wanted = []
    for text in options.model:
        name, factory = sources.named(text)
        wanted.append(
            (
                name or factory.rpartition(":")[2],
                lambda factory=factory: sources.factory_model(factory),
            )
        )
    for text in filter(None, options.torchvision.split(",")):
        name, architecture = sources.named(text)
        wanted.append(
            (
                name or architecture,
                lambda architecture=architecture: sources.torchvision_model(
                    architecture, options.weights
                ),
            )
        )
    if not wanted:
        raise ExtractError("no model: give --model or --torchvision")
    return wanted


def _requested_loader(options):
    """A function that makes the loader of the command line."""
    if not (options.layers or set(options.record) - WITHOUT_LOADER):
        if not (options.data or options.images):
            return lambda: None
    if bool(options.data) == bool(options.images):
        raise ExtractError("give either --data or --images")
    if options.images:
        return lambda: sources.image_loader(
            options.images, options.image_size, options.batch_size
        )
    return sources.load_factory(options.data)


def _patterns_by_model(wanted, patterns):
    """{model: the patterns that match in it}.

    Models of different kinds share one list, so a pattern need not match in all of
    them, but in one; and each model needs one.  Makes every model once, so that these
    errors come before any work.
    """
    if not patterns:
        return {name: [] for name, _ in wanted}
    chosen = {}
    for name, make_model in wanted:
        names = [layer for layer, _ in make_model().named_modules() if layer]
        chosen[name] = [p for p in patterns if fnmatch.filter(names, p)]
        if not chosen[name]:
            known = ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")
            raise ExtractError(
                f"model {name}: no layer matches {' '.join(patterns)}; "
                f"there are: {known or 'none'}"
            )
    for pattern in patterns:
        if not any(pattern in matching for matching in chosen.values()):
            raise ExtractError(f"no layer of any model matches {pattern!r}")
    return chosen


def _run(options):
    wanted = _requested_models(options)
    make_loader = _requested_loader(options)
    settings = {key: getattr(options, key) for key in SETTINGS}
    settings.update(_record_settings(options))
    patterns = _patterns_by_model(wanted, options.layers)
    with ZooWriter(options.output, append=options.append, gzip=options.gzip) as zoo:
        for index, (name, make_model) in enumerate(wanted):
            torch.manual_seed(options.seed + index)
            layers = extract(
                make_model(),
                make_loader(),
                zoo,
                name,
                patterns[name],
                **settings,
            )
            beside = ", ".join(["", *options.record])
            print(f"{options.output}: {name}: {len(layers)} layers{beside}")


def main(arguments=None):
    """Exit status 0, or 2 after a message on standard error."""
    parser = make_parser(__doc__)
    options = parser.parse_args(arguments)
    try:
        _run(options)
    except ExtractError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
