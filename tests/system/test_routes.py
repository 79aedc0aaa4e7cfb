"""The routes that a Gram pass can take: packed panels in single precision, and products of features, which linear
kernels take when there are many more samples than features."""

import json
import os
import unittest
import unittest.mock

import numpy as np

from arrays import related
from oracle import Measure
from test_values import ValuesTestCase
from zoogram import read_results, zoogram

LINEAR = [Measure(measure, "linear", estimator) for measure in ("cka", "hsic") for estimator in ("debiased", "biased")]
SAMPLES = 2100  # by features from 2,049 on


class Packed(ValuesTestCase):
    """Enough samples for single precision, few enough for tiles: panels of 48 rows, the last of them not full."""

    MEASURES = [Measure("cka", kernel, estimator) for kernel in ("linear", "rbf") for estimator in ("debiased", "biased")]

    def layers(self, samples=701):
        layers = related(samples, (1, 5, 48, 97), seed=5)
        layers["outlier"] = layers["layer2"].copy()
        layers["outlier"][13] *= 1e3  # formed in double among packed ones
        layers["constant"] = np.ones((samples, 2))
        return {name: layer.astype(np.float32) for name, layer in layers.items()}

    def test_values(self):
        for ranks, keys in ((1, {}), (3, {}), (2, {"team_size": "all"}), (5, {"team_size": 1})):
            with self.subTest(ranks=ranks, **keys):
                self.check({"m": self.layers()}, self.MEASURES, ranks=ranks, code=3, **keys)

    def test_same_bits_on_any_number_of_ranks(self):
        self.zoo({"m": self.layers()})
        found = [self.compute(self.MEASURES, ranks=ranks, code=3, team_size=1) for ranks in (1, 2, 3, 4)]
        for name, first in found[0].items():
            for other in found[1:]:
                self.assertEqual(other[name].values.tobytes(), first.values.tobytes(), name)


    def test_same_bits_with_threads(self):
        """Threads share the items of a tile; those that are formed in double, batches and medians among them."""
        self.zoo({"m": self.layers()})
        measures = [*self.MEASURES, Measure("cka", "rbf", "minibatch", batch=100)]
        found = []
        for threads in ("1", "3"):
            with unittest.mock.patch.dict(os.environ, {"OPENBLAS_NUM_THREADS": threads}):
                found.append(self.compute(measures, ranks=2, code=3))
        for name, first in found[0].items():
            self.assertEqual(found[1][name].values.tobytes(), first.values.tobytes(), name)

    def test_same_bits_whether_all_panels_have_room_or_not(self):
        """With room they are shared by the ranks and read once, else every rank reads what it needs when it does."""
        layers = {name: layer.astype(np.float32) for name, layer in related(1100, (256,) * 30, seed=7).items()}
        layers["layer3"] = layers["layer3"].astype(np.float16)
        layers["layer4"] = layers["layer4"].astype(np.float64)
        layers["layer5"][13] *= 1e3
        self.zoo({"m": layers})
        roomy = self.plan("1GiB")
        self.assertTrue(roomy["resident"])
        tight = f"{(roomy['memory_per_rank']['total'] - 2**20) // 2**10}KiB"
        self.assertFalse(self.plan(tight)["resident"])
        found = [self.compute(self.MEASURES, ranks=2, memory_per_rank=memory) for memory in ("1GiB", tight)]
        for name, first in found[0].items():
            self.assertEqual(found[1][name].values.tobytes(), first.values.tobytes(), name)

    def test_panels_take_the_form_that_a_pass_needs(self):
        """Layers of many features of noise, whose distances are nearly equal, are formed in double by RBF kernels only."""
        noise = np.random.default_rng(3).standard_normal((601, 3000)).astype(np.float32)
        self.zoo({"m": {**self.layers(601), "noise": noise}})
        measures = [Measure(kernel="rbf"), Measure(kernel="linear"), Measure(kernel="rbf", bandwidth=2)]
        together = self.compute(measures, ranks=3, code=3)
        for measure in measures:
            alone = self.compute([measure], ranks=2, code=3)
            self.assertEqual(alone[measure.name].values.tobytes(), together[measure.name].values.tobytes(), measure.name)

    def plan(self, memory):
        finished = zoogram("plan", self.job(self.MEASURES, memory_per_rank=memory), "--ranks", "2", "--json")
        self.assertEqual(finished.code, 0, finished.report)
        return json.loads(finished.out)


class Features(ValuesTestCase):
    def layers(self, samples=SAMPLES, widths=(3, 17, 1, 40)):
        layers = related(samples, widths, seed=11)
        layers["far"] = 1e3 + layers["layer1"] @ np.random.default_rng(1).standard_normal((widths[1], 5))
        layers["copy"] = layers["layer0"] * 3
        layers["constant"] = np.ones((samples, 2))
        return {name: layer.astype(np.float32) for name, layer in layers.items()}

    def route(self, measures):
        finished = zoogram("plan", self.job(measures), "--ranks", "2", "--json")
        self.assertEqual(finished.code, 0, finished.report)
        return json.loads(finished.out)["route"]

    def test_route_follows_from_the_headers(self):
        for samples, measures, expected in ((SAMPLES, LINEAR, "features"), (2000, LINEAR, "gram"),
                                            (SAMPLES, [*LINEAR, Measure(kernel="rbf")], "gram+features"),
                                            (SAMPLES, [Measure(estimator="minibatch")], "gram")):
            with self.subTest(samples=samples, measures=len(measures)):
                self.zoo({"m": self.layers(samples)})
                self.assertEqual(self.route(measures), expected)
        self.zoo({"m": {"wide": np.ones((SAMPLES, 3000), np.float16)}})
        self.assertEqual(self.route(LINEAR), "gram")

    def test_values(self):
        self.check({"m": self.layers()}, LINEAR, ranks=3, code=3)

    def test_values_beside_tiles(self):
        measures = [*LINEAR, Measure(kernel="rbf"), Measure(estimator="minibatch")]
        self.check({"m": self.layers(SAMPLES, (3, 9))}, measures, ranks=3, code=3)

    def test_same_bits_on_any_number_of_ranks(self):
        """Slices are of 4,096 samples, so that there are three of them here and a rank without work."""
        self.zoo({"m": self.layers(9000, (3, 5))})
        found = [self.compute(LINEAR, ranks=ranks, code=3) for ranks in (1, 2, 3, 4)]
        for name, first in found[0].items():
            for other in found[1:]:
                self.assertEqual(other[name].values.tobytes(), first.values.tobytes(), name)

    def test_one_sample_that_outweighs_the_others_goes_back_to_tiles(self):
        layers = self.layers(SAMPLES, (3, 9))
        layers["layer1"][77] *= 1e4
        self.check({"m": layers}, LINEAR, ranks=2, code=3)
        self.assertEqual(self.route(LINEAR), "features")

    def test_complete_results_are_recognised(self):
        self.zoo({"m": self.layers(SAMPLES, (2, 3))})
        self.compute(LINEAR, code=3)
        finished = zoogram("run", self.job(LINEAR), ranks=2)
        self.assertEqual(finished.code, 0, finished.report)
        self.assertIn("is complete already", finished.out)
        self.assertEqual(set(read_results(self.path / "results.h5")), {m.name for m in LINEAR})


if __name__ == "__main__":
    unittest.main()
