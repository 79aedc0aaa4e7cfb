"""The table of what scripts/bench runs: one case a row, with its goals and the alternatives it is held against."""

from dataclasses import dataclass, field

from bench_zoos import Zoo, attention, convolution_kernel, convolutions, layers, tangents, weights

CKA = ({"measure": "cka", "name": "debiased"}, {"measure": "cka", "name": "biased", "estimator": "biased"})
RBF = ({"measure": "cka", "kernel": "rbf"},)
SAMPLED = ({"measure": "cka", "kernel": "rbf", "median": "sampled"},)
TRACE = ({"measure": "ntk_distance", "name": "distance"}, {"measure": "ntk_alignment"})
FULL = tuple({**measure, "reduction": "full"} for measure in TRACE)

MLP = (784, 512, 512, 10)


@dataclass(frozen=True)
class Case:
    """A job on a zoo.

    quick         the zoo in its place where speed does not matter
    job           further keys of the job file; those of `quick_job` where speed does not matter
    threads       of a rank; there are fewer ranks then, so that all cases keep as many cores busy
    formations    how often every tile of a Gram matrix has to be formed: sizes the useful work,
                  n^2 (formations D + N^2/2); None, or where it goes another way than by Gram matrices: what the
                  program's log calls its work
    alternatives  names in bench_alternatives.METHODS
    goals         {figure: (">=" or "<=", value)}; the figures are those of bench_runs.figures
    same_as       a case that computes the same otherwise; "relative" is the time in units of its
    cold          the zoo is dropped from the page cache before every run
    """

    name: str
    what: str
    zoo: Zoo
    quick: Zoo
    measures: tuple = CKA
    job: dict = field(default_factory=dict)
    quick_job: dict = field(default_factory=dict)
    threads: int = 1
    formations: int = None
    alternatives: tuple = ()
    goals: dict = field(default_factory=dict)
    same_as: str = None
    cold: bool = False

    def useful_flop(self, zoo):
        """Operations that the result needs on this zoo, or None."""
        if self.formations is None or not zoo.layers:
            return None
        count, samples, width = zoo.layers
        return samples**2 * (self.formations * count * width + count**2 / 2)


FLAGSHIP = {"zoo": layers(48, 4096, 512), "quick": layers(8, 512, 64)}
LARGE = {"zoo": layers(96, 8192, 512), "quick": layers(16, 1024, 64)}
LONG = {"zoo": layers(12, 400_000, 64), "quick": layers(8, 3000, 16)}
PERCEPTRONS = {"zoo": tangents(4000, 10, MLP), "quick": tangents(400, 10, MLP)}

# Cases on the same zoo stand together: it is made once, and one zoo at a time takes disk space.
TABLE = (
    Case("linear", "N = 48 layers, n = 4096, d = 512, linear", **FLAGSHIP, formations=1,
         alternatives=("streamed", "stacked", "pairs"),
         goals={"inside": (">=", 0.90), "against streamed": (">=", 1.4)}),
    Case("tight", "the same in 195 MiB a rank", **FLAGSHIP, formations=1, job={"memory_per_rank": "195MiB"},
         quick_job={"memory_per_rank": "80MiB"}, goals={"memory in all": ("<=", 400e6)}, same_as="linear"),
    Case("hybrid", "the same, half the ranks with two threads each", **FLAGSHIP, formations=1, threads=2,
         goals={"relative": ("<=", 1.1)}, same_as="linear"),
    Case("rbf", "the same, rbf, exact median", **FLAGSHIP, measures=RBF, formations=2,
         goals={"whole": (">=", 0.60)}),
    Case("rbf-sampled", "the same, rbf, sampled median", **FLAGSHIP, measures=SAMPLED, formations=1,
         goals={"whole": (">=", 0.60)}),
    Case("large", "N = 96, n = 8192, d = 512, linear", **LARGE, formations=1, alternatives=("streamed",),
         goals={"whole": (">=", 0.85)}),
    Case("large-rbf", "the same, rbf, exact median", **LARGE, measures=RBF, formations=2,
         goals={"whole": (">=", 0.60)}),
    Case("large-rbf-sampled", "the same, rbf, sampled median", **LARGE, measures=SAMPLED, formations=1,
         goals={"whole": (">=", 0.60)}),
    Case("many", "N = 1000, n = 2048, d = 256, linear", zoo=layers(1000, 2048, 256), quick=layers(100, 512, 32),
         formations=1, alternatives=("streamed",), goals={"whole": (">=", 0.85)}),
    Case("crowd", "N = 20,000, n = 512, d = 16, linear", zoo=layers(20_000, 512, 16), quick=layers(500, 64, 8),
         measures=CKA[:1], formations=1, goals={"inside": (">=", 0.60), "memory of plan": ("<=", 1.0)}),
    Case("wide", "N = 4, n = 40,000, d = 1024, rbf, 2 GiB a rank", zoo=layers(4, 40_000, 1024),
         quick=layers(4, 1500, 64), measures=RBF, formations=2, job={"memory_per_rank": "2GiB"},
         goals={"inside": (">=", 0.70)}),
    Case("long", "N = 12, n = 400,000, d = 64, linear, by features", **LONG, alternatives=("pairs",),
         goals={"of reading": ("<=", 1.5)}),
    Case("long-cold", "the same, file not in memory", **LONG, cold=True, goals={"of reading": ("<=", 1.5)}),
    Case("team", "N = 2, n = 16,384, d = 1024, rbf, all ranks one team", zoo=layers(2, 16_384, 1024, models=1),
         quick=layers(2, 512, 64, models=1), measures=RBF, job={"team_size": "all"}, quick_job={"team_size": "all"},
         formations=1, goals={"computing": (">=", 0.80)}),
    Case("tangent-full", "4 models, m = 4000, C = 10, MLP 784-512-512-10, all class pairs", **PERCEPTRONS,
         measures=FULL),
    Case("tangent-trace", "the same, trace", **PERCEPTRONS, measures=TRACE),
    Case("tangent-small", "the same, m = 400, all class pairs", zoo=tangents(400, 10, MLP), quick=tangents(60, 10, MLP),
         measures=FULL, alternatives=("kernels",)),
    Case("tangent-convolution", "2 models, m = 256, C = 10, three convolutions, all class pairs",
         zoo=convolutions(256, 10), quick=convolutions(32, 10), measures=FULL[:1]),
    Case("weights", "64 models of 10^7 near-equal parameters, distances", zoo=weights(64, 10_000_000),
         quick=weights(16, 1_000_000), measures=({"measure": "weight_frobenius"},)),
    Case("attention", "500 heads of attention, n = 64, 128 x 128, divergences of all pairs",
         zoo=attention(5, 10, 10, 64, 128), quick=attention(2, 2, 3, 8, 16),
         measures=({"measure": "attention_kl", "per": "head"},), goals={"computing": (">=", 0.70)}),
    Case("norm-zeros", "operator norm of 512 x 512 x 3 x 3 on 32 x 32, zero padding",
         zoo=convolution_kernel(512, 32, "zeros"), quick=convolution_kernel(64, 16, "zeros"),
         measures=({"measure": "path_norm"},)),
    Case("norm-circular", "the same, circular padding", zoo=convolution_kernel(512, 32, "circular"),
         quick=convolution_kernel(64, 16, "circular"), measures=({"measure": "path_norm"},)),
)

CASES = {case.name: case for case in TABLE}


# Zoos in which one size grows; of few enough samples to be computed by tiles throughout.
SCALING = {
    "N": tuple(layers(count, 1024, 256) for count in (12, 24, 48, 96, 192, 384, 768, 1536)),
    "n": tuple(layers(48, samples, 512) for samples in (1024, 2048, 4096, 8192, 16_384)),
}
SCALING_QUICK = {
    "N": tuple(layers(count, 128, 32) for count in (4, 8, 16)),
    "n": tuple(layers(8, samples, 64) for samples in (64, 128, 256)),
}

# Words read and sent: ranks, on one zoo, more of them than the machine has cores.
WORDS_RANKS, WORDS_ZOO = (1, 2, 3, 4, 6, 8, 9, 12, 16), layers(16, 4096, 512)
WORDS_QUICK_RANKS, WORDS_QUICK_ZOO = (1, 2, 4), layers(8, 256, 64)

# Sketched tangent kernels: numbers per sample, against the exact distances.
SKETCHES, SKETCHES_ZOO = (256, 1024, 4096, 16_384, 65_536), tangents(64, 10, MLP)
SKETCHES_QUICK = (256, 1024, 4096)
