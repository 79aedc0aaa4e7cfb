"""The options of zoogram_extract.py's command line."""

import argparse

from zoogram_gradients import TASKS
from zoogram_hooks import DTYPES, TOKEN_RULES
from zoogram_records import CHOICES, RECORDS, RecordSettings


def make_parser(manual):
    """The parser; the manual's first paragraph goes before the options, the rest after.

    The attributes of what it parses are named as the keywords of extract() that they
    become.
    """
    description, _, details = manual.partition("\n\n")
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
        nargs="*",
        default=["*"],
        metavar="PATTERN",
        help="shell patterns over module names, each for the models that have such "
        "(default: '*'; none: no activations)",
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
    _add_record_options(parser.add_argument_group("what to record beside activations"))
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


def _add_record_options(group):
    defaults = RecordSettings()

    def add(option, help_text, **settings):
        name = option.strip("-").replace("-", "_")
        default = getattr(defaults, name)
        shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
        if default:
            help_text += f" (default: {shown})"
        if name in CHOICES:
            settings["choices"] = CHOICES[name]
        group.add_argument(option, default=default, help=help_text, **settings)

    add(
        "--record",
        "see above; nothing but activations if not given",
        nargs="+",
        choices=RECORDS,
        metavar="WHAT",
    )
    add(
        "--to-logits",
        "a function of the model's output that gives [n, C]; its first tensor if not "
        "given",
        metavar="MODULE:FUNCTION",
    )
    add(
        "--loss",
        "a function (logits, labels) -> mean loss; cross entropy if not given",
        metavar="MODULE:FUNCTION",
    )
    add("--tasks", "whose gradients are recorded", choices=TASKS)
    add("--gradient-samples", "m of sample-gradients", type=int, metavar="M")
    add("--tangent-samples", "m of tangent and jacobian", type=int, metavar="M")
    add(
        "--tangent-classes",
        "indices of the logits for these two; all if not given",
        type=int,
        nargs="+",
        metavar="C",
    )
    add(
        "--tangent-form",
        "auto: a layer's derivatives multiplied out where that has fewer numbers",
    )
    add(
        "--radii",
        "of sharpness, Euclidean, over all parameters",
        type=float,
        nargs="+",
        metavar="R",
    )
    add("--sharpness-steps", "of the ascent", type=int, metavar="K")
    add("--sharpness-batches", "the first so many", type=int, metavar="B")
    add(
        "--derivative-dtype",
        "of gradients, sample-gradients, tangent, jacobian",
    )
    patterns = dict(nargs="+", metavar="PATTERN")
    add("--attention-samples", "m of attention, cross-attention", type=int, metavar="M")
    add(
        "--attention-layers",
        "modules that give attention maps, for attention and head-importance",
        **patterns,
    )
    add("--attention-dtype", "in float16 weights below 6e-8 become 0")
    add("--cross-layers", "modules of cross-attention", **patterns)
    add(
        "--cross-grid",
        "of the positions of cross-attention; their square if not given",
        type=_grid,
        metavar="HxW",
    )
    add("--cross-over", "which axis of the attention has the grid")
    add("--map-layers", "recorded layers of which maps are made", **patterns)
    add("--map-method", "of maps; umap needs umap-learn")
    add("--map-dimensions", "of maps", type=int)
    add("--map-perplexity", "of t-SNE; neighbours of UMAP", type=float, metavar="P")
    add("--map-seed", "of t-SNE and UMAP", type=int, metavar="SEED")
    add("--margin-classes", "next to the top one", type=int, metavar="K")
    add("--graph-source", "auto: the tree of modules where torch.fx fails")
    add("--graph-labels", "shape: operations with the shape of their result")


def _grid(text):
    """ "HxW" -> (H, W)"""
    height, _, width = text.partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r}: expected HxW, such as 14x14")
    return int(height), int(width)
