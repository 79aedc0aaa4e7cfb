"""CKA and HSIC straight from their definitions, as slow and as plain as they read.

Nothing here shares a formula with the program beyond the definition itself: kernels are formed whole, distances by
direct differences, centring by subtracting means of rows and columns, and sums of kernels run in extended precision.

A layer is an array as stored, [n, ...]; trailing axes are flattened. N layers give tensors [N, N].
"""

from dataclasses import asdict, dataclass, replace

import numpy as np

OK, NONFINITE, ZERO_VARIANCE, FEW_SAMPLES = 0, 1, 2, 4
LEAST_SAMPLES = 4
EXTENDED = np.longdouble


@dataclass(frozen=True)
class Measure:
    """One measure of a job with its options; `batch` counts only for minibatch, `bandwidth` only for rbf."""

    measure: str = "cka"
    kernel: str = "linear"
    estimator: str = "debiased"
    bandwidth: float = 0.4
    batch: int = 256

    def options(self):
        """The options that have an effect."""
        without_effect = {"bandwidth"} if self.kernel != "rbf" else set()
        without_effect |= {"batch"} if self.estimator != "minibatch" else set()
        return {key: value for key, value in asdict(self).items() if key not in {"measure"} | without_effect}

    def entry(self):
        """The mapping that stands for it in a job file: what differs from the defaults."""
        defaults = Measure()
        chosen = {key: value for key, value in self.options().items() if value != getattr(defaults, key)}
        return {"measure": self.measure, **chosen}

    @property
    def name(self):
        """The default name of its tensor."""
        entry = self.entry()
        values = [entry.pop("measure")]
        for option, value in entry.items():
            values += [option, value if isinstance(value, str) else f"{value:g}"]
        return "_".join(values)


def every_measure(bandwidths=(0.4,), batches=(256,)):
    """cka and hsic with every kernel, estimator and the given bandwidths and batch sizes."""
    for measure in ("cka", "hsic"):
        for kernel in ("linear", "rbf"):
            for bandwidth in bandwidths if kernel == "rbf" else (0.4,):
                for estimator in ("debiased", "biased", "minibatch"):
                    for batch in batches if estimator == "minibatch" else (256,):
                        yield Measure(measure, kernel, estimator, bandwidth, batch)


# Kernels


def flattened(layer):
    """[n, d] in extended precision."""
    layer = np.asarray(layer)
    return layer.reshape(len(layer), -1).astype(EXTENDED)


def squared_distances(X):
    """[n, n], each entry by direct difference, so that near-duplicates lose nothing and double precision is enough."""
    X = X.astype(np.float64)
    return np.array([((X - x) ** 2).sum(axis=1) for x in X], dtype=EXTENDED)


def linear_kernel(X):
    return X @ X.T


def rbf_kernel(X, bandwidth):
    """exp(-d^2 / (2 t^2 m)) - 1, m the median of all n^2 squared distances; 0 when m = 0. HSIC does not depend on the
    constant, without which a wide kernel would be ones up to the last digits."""
    distances = squared_distances(X)
    median = np.median(distances)
    if median == 0:
        return np.zeros_like(distances)
    return np.expm1(-distances / (2 * EXTENDED(bandwidth) ** 2 * median))


def kernel_of(X, measure):
    return linear_kernel(X) if measure.kernel == "linear" else rbf_kernel(X, measure.bandwidth)


# HSIC of all pairs


def biased_hsic(kernels):
    """tr(K H L H) / (n-1)^2, H = I - 11'/n."""
    n = kernels.shape[1]
    rows = kernels.mean(axis=2, keepdims=True)
    columns = kernels.mean(axis=1, keepdims=True)
    centred = kernels - rows - columns + kernels.mean(axis=(1, 2), keepdims=True)
    return pair_products(centred) / (n - 1) ** 2


def debiased_hsic(kernels):
    """Song et al. 2012, equation 5, with explicit zero diagonals."""
    n = kernels.shape[1]
    hollow = kernels * (1 - np.eye(n, dtype=EXTENDED))
    row_sums = hollow.sum(axis=2)
    sums = row_sums.sum(axis=1)
    total = pair_products(hollow) + np.outer(sums, sums) / ((n - 1) * (n - 2))
    return (total - 2 * row_sums @ row_sums.T / (n - 2)) / (n * (n - 3))


def minibatch_hsic(batches):
    """Mean over batches of the debiased HSIC, weighted by n_b (n_b - 3). One batch of all samples is the debiased
    HSIC itself."""
    weights = [kernels.shape[1] * (kernels.shape[1] - 3) for kernels in batches]
    return sum(w * debiased_hsic(kernels) for w, kernels in zip(weights, batches)) / sum(weights)


def pair_products(matrices):
    """<A_i, A_j> for all pairs, [N, N]."""
    vectors = matrices.reshape(len(matrices), -1)
    return vectors @ vectors.T


def batches_of(count, measure):
    """Slices of samples that have kernels of their own: consecutive batches for minibatch, of which a last one of
    fewer than 4 is dropped, else all samples."""
    batch = measure.batch if measure.estimator == "minibatch" else count
    ends = [(start, min(start + batch, count)) for start in range(0, count, batch)]
    return [slice(start, end) for start, end in ends if end - start >= LEAST_SAMPLES]


def hsic(layers, measure):
    """HSIC of all pairs of layers that are sound, [N, N], extended precision."""
    arrays = [flattened(layer) for layer in layers]
    # A mean of 10^4 standard deviations costs eight digits of X X'; HSIC does not depend on the mean.
    arrays = [X - X.mean(axis=0) for X in arrays]
    batches = [np.array([kernel_of(X[b], measure) for X in arrays]) for b in batches_of(len(arrays[0]), measure)]
    if measure.estimator == "biased":
        return biased_hsic(batches[0])
    return minibatch_hsic(batches)


# Whole tensors


def item_code(layer, measure):
    """Status of one layer's own data."""
    layer = np.asarray(layer)
    if len(layer) < LEAST_SAMPLES:
        return FEW_SAMPLES
    X = flattened(layer)
    if not np.isfinite(X).all():
        return NONFINITE
    spread = ((X - X.mean(axis=0)) ** 2).sum()
    if spread <= X.size * (4 * EXTENDED(np.finfo(layer.dtype).eps) * np.abs(X).max()) ** 2:
        return ZERO_VARIANCE
    if measure.kernel == "rbf" and not any(kernel_of(X[b], measure).any() for b in batches_of(len(X), measure)):
        return ZERO_VARIANCE
    return OK


def pair_code(a, b):
    """The smaller code of the two that is not ok: what cannot be read weighs more than what does not vary."""
    return min((code for code in (a, b) if code != OK), default=OK)


def tensor(layers, measure):
    """Values [N, N] (double) and status codes [N, N] (int8) of one measure."""
    return tensors(layers, [measure])[measure]


def tensors(layers, measures):
    """{measure: (values, codes)}; cka and hsic of equal options share their products."""
    products = {}
    found = {}
    for measure in measures:
        items = [item_code(layer, measure) for layer in layers]
        sound = [i for i, code in enumerate(items) if code == OK]
        key = replace(measure, measure="hsic")
        if sound and key not in products:
            products[key] = hsic([layers[i] for i in sound], measure)
        found[measure] = finished(items, sound, products.get(key), measure)
    return found


def finished(items, sound, products, measure):
    """Values and codes from the items' codes, the positions of the sound ones, and the HSIC of these."""
    codes = np.array([[pair_code(a, b) for b in items] for a in items], dtype=np.int8)
    undefined = {"cka": (NONFINITE, FEW_SAMPLES, ZERO_VARIANCE), "hsic": (NONFINITE, FEW_SAMPLES)}[measure.measure]
    values = np.where(np.isin(codes, undefined), np.nan, EXTENDED(0))
    if sound:
        if measure.measure == "cka":
            norms = np.sqrt(np.diag(products))
            products = products / np.outer(norms, norms)
        values[np.ix_(sound, sound)] = products
    return values.astype(np.float64), codes


def deviation(values, expected):
    """Largest difference relative to max(|expected|, 1e-3 of the largest finite one expected); infinite when the
    undefined or the infinite entries are not the same."""
    finite = np.isfinite(expected)
    if not np.array_equal(values[~finite], expected[~finite], equal_nan=True) or not np.isfinite(values[finite]).all():
        return np.inf
    if not finite.any():
        return 0.0
    values, expected = values[finite], expected[finite]
    scale = np.maximum(np.abs(expected), 1e-3 * np.max(np.abs(expected)))
    difference = np.abs(values - expected)
    return float(np.max(np.divide(difference, scale, out=np.zeros_like(difference), where=difference > 0)))
