"""Low-dimensional maps of layers: t-SNE, PCA, UMAP."""

import fnmatch

import numpy as np

from zoogram_zoo import ExtractError, entry_name

METHODS = ("tsne", "pca", "umap")


def record_maps(target, layers, method, dimensions, perplexity, seed):
    """Write maps/<layer> [n, dimensions] of the model's recorded activations.

    target: zoogram_zoo.ModelWriter that has them; layers: shell patterns over the names
    of recorded layers, each of which must match one; the rest as layer_map takes it.
    """
    chosen = [
        layer
        for layer in target.layers
        if any(fnmatch.fnmatchcase(layer, pattern) for pattern in layers)
    ]
    for pattern in layers:
        if not fnmatch.filter(chosen, pattern):
            known = ", ".join(target.layers[:20]) or "none"
            raise ExtractError(
                f"model {target.name}: maps: no recorded layer matches {pattern!r}; "
                f"there are: {known}"
            )
    for layer in chosen:
        rows = target.dataset(f"activations/{entry_name(layer)}")[:]
        try:
            placed, attributes = layer_map(rows, method, dimensions, perplexity, seed)
        except ExtractError as error:
            raise ExtractError(
                f"model {target.name}, layer {layer}: map: {error}"
            ) from None
        target.write(f"maps/{entry_name(layer)}", placed, attributes)


def layer_map(rows, method="tsne", dimensions=2, perplexity=30.0, seed=0):
    """A map [n, dimensions] of rows [n, ...], float32, and {attribute: value} of it.

    t-SNE starts from the first principal components; perplexity is t-SNE's, and the
    number of neighbours of UMAP.  The same seed and library give the same map.
    """
    rows = np.asarray(rows, np.float32).reshape(len(rows), -1)
    if not np.all(np.isfinite(rows)):
        raise ExtractError("the activations are not finite")
    least = max(perplexity, dimensions) if method != "pca" else dimensions
    if len(rows) <= least:
        raise ExtractError(
            f"{len(rows)} samples are too few for {method} in {dimensions} dimensions"
            + (f" with perplexity {perplexity:g}" if method != "pca" else "")
        )
    if rows.shape[1] < dimensions:
        raise ExtractError(
            f"{rows.shape[1]} features are fewer than {dimensions} dimensions"
        )
    attributes = {"method": method, "seed": seed}
    if method != "pca":
        attributes["perplexity"] = float(perplexity)
    if method == "umap":
        placed = _umap(rows, dimensions, perplexity, seed)
    else:
        placed = _scikit(rows, method, dimensions, perplexity, seed)
    return placed.astype(np.float32), attributes


def _scikit(rows, method, dimensions, perplexity, seed):
    try:
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise ExtractError(f"{method} needs scikit-learn: {error}") from None
    if method == "pca":
        return PCA(dimensions, svd_solver="full").fit_transform(rows)
    places = TSNE(
        dimensions,
        perplexity=perplexity,
        init="pca",
        learning_rate="auto",
        random_state=seed,
    )
    return places.fit_transform(rows)


def _umap(rows, dimensions, perplexity, seed):
    try:
        from umap import UMAP
    except ImportError as error:
        raise ExtractError(f"umap needs the package umap-learn: {error}") from None
    neighbours = max(2, round(perplexity))
    places = UMAP(neighbours, n_components=dimensions, random_state=seed, n_jobs=1)
    return places.fit_transform(rows)
