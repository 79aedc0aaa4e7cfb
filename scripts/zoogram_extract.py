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
"""

import argparse
import datetime
import fnmatch
import sys
import warnings
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch

# The neighbouring modules, also when this file is loaded by its path.
sys.path.append(str(Path(__file__).resolve().parent))

import zoogram_sources as sources
from zoogram_batches import expected_count, moved, refuse_shuffling, split_batch
from zoogram_hooks import (
    DTYPES,
    TOKEN_RULES,
    Recorder,
    Reduction,
    first_tensor,
    inference,
    select_modules,
)
from zoogram_zoo import ExtractError, ZooWriter

# Options of the command line that are keywords of extract().
SETTINGS = ("exclude", "maps", "tokens", "dtype", "limit", "device")


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
):
    """Run a model over a loader and add its activations to a zoo.

    model    torch.nn.Module.  Its mode (train/eval, module by module) is restored; if
             `device` is given, the model is moved there and stays.
    loader   iterable of batches, see the module's docstring; it must not shuffle.
    zoo      a ZooWriter, or a path, which is made or appended to.
    name     the model's name in the zoo, new there.
    layers   shell patterns over module names; `exclude` takes some away again.
    maps     flatten | pool | pool:K; tokens: flatten | mean | first.
    dtype    float32 | float16 of the stored numbers; what does not fit is an error.
    limit    number of samples at most, None or 0 for all.
    device   where to run; None: where the model's first parameter is.
    attributes  {name: value} written on the model beside the provenance.

    Returns the names of the recorded layers in order.  Needs the memory of one batch.
    Raises ExtractError; the zoo is then as before.
    """
    layers = [layers] if isinstance(layers, str) else list(layers)
    exclude = [exclude] if isinstance(exclude, str) else list(exclude)
    if limit is not None and limit < 0:
        raise ExtractError(f"limit {limit}: must not be negative")
    reduction = Reduction(maps, tokens, dtype)
    modules = select_modules(model, layers, exclude)
    refuse_shuffling(loader, name)
    if device is None:
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
    else:
        model.to(device)

    provenance = _provenance(model, reduction, layers + [f"!{e}" for e in exclude])
    is_open = isinstance(zoo, ZooWriter)
    with nullcontext(zoo) if is_open else ZooWriter(zoo, append=True) as writer:
        with writer.new_model(name, {**provenance, **(attributes or {})}) as target:
            with Recorder(name, modules, reduction) as recorder, inference(model):
                _stream(model, loader, recorder, target, device, limit)
            _check_executed(name, modules, recorder.executed, layers)
            return target.layers


def _stream(model, loader, recorder, target, device, limit):
    """Forward every batch and append what the recorder caught, up to `limit`."""
    expected = expected_count(loader, limit)
    for batch in loader:
        inputs, keywords, samples = split_batch(batch)
        leading = first_tensor([*inputs, *keywords.values()])
        if leading is None or leading.ndim == 0:
            raise ExtractError(f"model {target.name}: a batch has no input tensor")
        size = len(leading)
        recorder.begin(size)
        model(*moved(inputs, device), **moved(keywords, device))
        if not recorder.layers:
            raise ExtractError(
                f"model {target.name}: none of the chosen layers was run"
            )
        take = min(size, limit - target.count) if limit else size
        target.append(
            {
                layer: replace(recorded, rows=recorded.rows[:take])
                for layer, recorded in recorder.layers.items()
            },
            {key: values and values[:take] for key, values in samples.items()},
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


def _parser():
    description, _, details = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=description,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    models = parser.add_argument_group("models (both kinds may be mixed)")
    models.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="[NAME=]MODULE:FACTORY",
        help="a model, or a function or class that makes one without "
        "arguments; NAME is its name in the zoo (default: FACTORY); "
        "repeat for more models",
    )
    models.add_argument(
        "--torchvision",
        default="",
        metavar="[NAME=]ARCH,...",
        help="torchvision models by name",
    )
    models.add_argument(
        "--weights",
        default="none",
        metavar="none|default|PATH",
        help="of the torchvision models: random (default); torchvision's "
        "best, downloaded unless cached; or a state dict",
    )
    models.add_argument(
        "--seed",
        type=int,
        default=0,
        help="torch's seed when the first model is made, one more for each next one "
        "(default: 0)",
    )
    data = parser.add_argument_group("data (one of the first two)")
    data.add_argument(
        "--data",
        metavar="MODULE:FACTORY",
        help="a function that makes the data loader; called for each model",
    )
    data.add_argument(
        "--images",
        metavar="DIR|random:N",
        help="a folder of images (subfolders are classes), or N random ones",
    )
    data.add_argument(
        "--image-size", type=int, default=224, help="pixels (default: 224)"
    )
    data.add_argument(
        "--batch-size", type=int, default=32, help="of --images (default: 32)"
    )
    data.add_argument(
        "--limit",
        type=int,
        default=0,
        metavar="N",
        help="use the first N samples (default: all)",
    )
    layers = parser.add_argument_group("layers")
    layers.add_argument(
        "--layers",
        nargs="+",
        default=["*"],
        metavar="PATTERN",
        help="shell patterns over module names, each for the models that have such "
        "(default: '*')",
    )
    layers.add_argument(
        "--exclude",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="modules to leave out again",
    )
    layers.add_argument(
        "--maps",
        default="flatten",
        metavar="flatten|pool|pool:K",
        help="what becomes of [n, c, h, w] (default: flatten)",
    )
    layers.add_argument(
        "--tokens",
        default="flatten",
        choices=TOKEN_RULES,
        help="what becomes of [n, t, d] (default: flatten)",
    )
    layers.add_argument(
        "--dtype",
        default="float32",
        choices=DTYPES,
        help="of the stored numbers (default: float32)",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--output", required=True, metavar="ZOO.h5")
    output.add_argument("--append", action="store_true", help="add to an existing zoo")
    output.add_argument(
        "--gzip",
        type=int,
        default=4,
        choices=range(10),
        metavar="0-9",
        help="compression, 0 for none (default: 4)",
    )
    parser.add_argument(
        "--device", help="torch device to run on (default: the model's)"
    )
    return parser


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
                **{key: getattr(options, key) for key in SETTINGS},
            )
            print(f"{options.output}: {name}: {len(layers)} layers")


def main(arguments=None):
    """Exit status 0, or 2 after a message on standard error."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        _run(options)
    except ExtractError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
