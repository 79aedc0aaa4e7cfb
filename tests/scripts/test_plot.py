"""scripts/plot_results.py on results files made here."""

import unittest
import xml.etree.ElementTree as ElementTree

import h5py
import numpy as np
from matplotlib import colors
from matplotlib.image import imread

from support import FolderCase
import plot_results  # on the path since support

SCRIPT = "plot_results.py"
ITEMS = ["a/in", "a/mid", "a/out", "b/in", "b/out", "net é/only"]


def similarities(count):
    """A symmetric matrix with a diagonal of 1."""
    points = np.linspace(0, 1, count)
    return 1 - np.abs(points[:, None] - points)


def write_results(path, tensors, items=ITEMS, axis="item"):
    """A results file; tensors: {name: (values, attributes)}."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": "zoogram-results", "version": 1, "complete": 1})
        scales = []
        for side in ("a", "b"):
            name = f"{axis}_{side}"
            file.create_dataset(name, data=items, dtype=h5py.string_dtype())
            file[name].make_scale(name)
            scales.append(file[name])
        for name, (values, attributes) in tensors.items():
            for group, data in ((file, values), (file.require_group("status"), None)):
                data = np.isnan(values).astype("i1") if data is None else data
                dataset = group.create_dataset(name, data=data)
                for dimension, scale in zip(dataset.dims, scales):
                    dimension.attach_scale(scale)
            file[name].attrs.update(attributes)


class PlotCase(FolderCase):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "results.h5"
        self.values = similarities(len(ITEMS))
        self.values[4] = self.values[:, 4] = np.nan
        write_results(self.path, {"cka": (self.values, {"measure": "cka"})})

    def plot(self, *arguments):
        run = self.run_script(SCRIPT, self.path, *arguments)
        self.assertEqual(run.returncode, 0, run.stderr)

    def texts(self, figure):
        """All texts that a figure shows."""
        found = figure.findobj(lambda artist: hasattr(artist, "get_text"))
        return [artist.get_text() for artist in found]


class Pictures(PlotCase):
    def test_heat_map_as_png(self):
        self.plot("cka", "--output", "map.png", "--title", "six layers")
        picture = imread(self.folder / "map.png")
        self.assertGreater(min(picture.shape[:2]), 300)
        self.assertGreater(
            len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)), 9
        )

    def test_heat_map_and_curve_as_svg(self):
        self.plot("--output", "map.svg")
        self.plot("--curve", "a", "b", "--output", "curve.svg")
        for name in ("map.svg", "curve.svg"):
            root = ElementTree.parse(self.folder / name).getroot()
            self.assertTrue(root.tag.endswith("svg"))


class HeatMap(PlotCase):
    def test_labels_name_layers_and_models(self):
        figure = plot_results.heat_map(plot_results.read_tensor(self.path))
        axes = figure.axes[0]
        layers = [label.get_text() for label in axes.get_yticklabels()]
        self.assertEqual(layers, ["in", "mid", "out", "in", "out", "only"])
        models = [text.get_text() for text in axes.texts]
        self.assertEqual(sorted(models), sorted(["a", "b", "net é"] * 2))

    def test_undefined_entries_are_masked_and_explained(self):
        figure = plot_results.heat_map(plot_results.read_tensor(self.path))
        drawn = figure.axes[0].images[0].get_array()
        np.testing.assert_array_equal(np.ma.getmaskarray(drawn), np.isnan(self.values))
        self.assertEqual(figure.axes[0].patch.get_hatch(), "////")
        self.assertIn("undefined", self.texts(figure))

    def test_first_row_is_on_top(self):
        values = self.values.copy()
        values[0, 3] = 0.123
        write_results(self.path, {"cka": (values, {})})
        axes = plot_results.heat_map(plot_results.read_tensor(self.path)).axes[0]
        self.assertGreater(axes.get_ylim()[0], axes.get_ylim()[1])
        self.assertEqual(axes.images[0].get_array()[0, 3], 0.123)

    def test_labels_of_many_items_do_not_overlap(self):
        items = [f"model{m}/layer{k}" for m in range(150) for k in range(4)]
        write_results(self.path, {"cka": (similarities(600), {})}, items)
        figure = plot_results.heat_map(plot_results.read_tensor(self.path))
        axes = figure.axes[0]
        self.assertEqual(len(axes.get_yticklabels()), 0, "no room for layers")
        renderer = plot_results.FigureCanvasAgg(figure).get_renderer()
        rows = [text for text in axes.texts if text.get_ha() == "right"]
        self.assertGreater(len(rows), 50)
        boxes = sorted(
            (t.get_window_extent(renderer) for t in rows), key=lambda b: b.y0
        )
        for below, above in zip(boxes, boxes[1:]):
            self.assertLessEqual(below.y1, above.y0 + 1)

    def test_models_as_items_are_labelled_singly(self):
        write_results(
            self.path, {"ntk": (similarities(3), {})}, ["x", "y", "z"], "model"
        )
        figure = plot_results.heat_map(plot_results.read_tensor(self.path))
        labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        self.assertEqual(labels, ["x", "y", "z"])
        self.assertEqual(len(figure.axes[0].texts), 0)

    def test_patterns_select_rows_and_columns(self):
        tensor = plot_results.read_tensor(self.path)
        part = plot_results.select(tensor, ["a", "net*"], ["?n", "on*"])
        self.assertEqual(part.items, ["a/in", "net é/only"])
        np.testing.assert_array_equal(part.values, self.values[np.ix_([0, 5], [0, 5])])


class Colours(PlotCase):
    def scale(self, values, **attributes):
        write_results(self.path, {"t": (values, attributes)}, ["a/1", "a/2"])
        return plot_results.colouring(plot_results.read_tensor(self.path))

    def test_normalised_similarity_runs_from_0_to_1(self):
        name, norm = self.scale(np.array([[1, 0.3], [0.3, 1]]), kind="similarity")
        self.assertEqual((name, norm.vmin, norm.vmax), ("viridis", 0, 1))

    def test_distance_is_bright_where_things_are_alike(self):
        name, norm = self.scale(np.array([[0, 0.7], [0.7, 0]]), kind="distance")
        self.assertEqual((name, norm.vmin, norm.vmax), ("viridis_r", 0, 0.7))

    def test_signed_values_are_centred_on_zero(self):
        _, norm = self.scale(np.array([[1, -0.5], [-0.5, 1]]))
        self.assertEqual((norm.vmin, norm.vmax), (-1, 1))

    def test_nothing_defined_still_has_a_scale(self):
        _, norm = self.scale(np.full((2, 2), np.nan))
        self.assertLess(norm.vmin, norm.vmax)

    def test_logarithmic_scale_covers_the_positive_values(self):
        write_results(
            self.path, {"t": (np.array([[0, 1e-3], [1e-3, 1e4]]), {})}, ["a/1", "a/2"]
        )
        tensor = plot_results.read_tensor(self.path)
        _, norm = plot_results.colouring(tensor, is_log=True)
        self.assertIsInstance(norm, colors.LogNorm)
        self.assertEqual((norm.vmin, norm.vmax), (1e-3, 1e4))


class Curve(PlotCase):
    def test_counterparts_are_by_name_or_by_depth(self):
        named = plot_results.corresponding(["in", "out"], ["in", "mid", "out"])
        self.assertEqual(named.tolist(), [0, 2])
        by_depth = plot_results.corresponding(
            ["x", "y", "z"], ["1", "2", "3", "4", "5"]
        )
        self.assertEqual(by_depth.tolist(), [0, 2, 4])

    def test_most_similar_is_the_largest_similarity_or_smallest_distance(self):
        block = np.array([[0.1, 0.9, np.nan], [0.8, 0.2, 0.3], [np.nan] * 3])
        best = plot_results.most_similar(block, is_distance=False)
        self.assertEqual(best.tolist(), [1, 0, -1])
        best = plot_results.most_similar(block, is_distance=True)
        self.assertEqual(best.tolist(), [0, 1, -1])

    def test_lines_show_the_values_of_the_tensor(self):
        values = similarities(len(ITEMS))
        values[0, 4] = 0.95
        write_results(self.path, {"cka": (values, {})})
        figure = plot_results.curve(plot_results.read_tensor(self.path), "b", "a")
        counterpart, best = figure.axes[0].lines[:2]
        np.testing.assert_array_equal(
            counterpart.get_ydata(), [values[3, 0], values[4, 2]]
        )
        np.testing.assert_array_equal(best.get_ydata(), values[3:5, :3].max(axis=1))
        self.assertEqual([t.get_text() for t in figure.axes[0].texts], ["out", "out"])


class Refusals(PlotCase):
    def test_bad_requests_end_with_status_2(self):
        for arguments, word in (
            (["--output", "map.gif"], ".png"),
            (["hsic", "--output", "map.png"], "no tensor hsic; there are: cka"),
            (["--models", "z*", "--output", "map.png"], "z*"),
            (["--curve", "a", "c", "--output", "map.png"], "no model c"),
            (["--range", "1", "0", "--output", "map.png"], "LOW < HIGH"),
            (["--output", "nowhere/map.png"], "nowhere"),
        ):
            with self.subTest(arguments=arguments):
                run = self.run_script(SCRIPT, self.path, *arguments)
                self.assert_refused(run, SCRIPT, word)

    def test_tensor_must_be_named_where_there_are_several(self):
        tensor = (self.values, {})
        write_results(self.path, {"cka": tensor, "hsic": tensor})
        run = self.run_script(SCRIPT, self.path, "--output", "map.png")
        self.assert_refused(run, SCRIPT, "which tensor", "cka, hsic")

    def test_file_that_is_missing_or_no_results(self):
        run = self.run_script(SCRIPT, "none.h5", "--output", "map.png")
        self.assert_refused(run, SCRIPT, "none.h5")
        with h5py.File(self.path, "w") as file:
            file.attrs["format"] = "zoogram-zoo"
        run = self.run_script(SCRIPT, self.path, "--output", "map.png")
        self.assert_refused(run, SCRIPT, "is not a zoogram results file")


if __name__ == "__main__":
    unittest.main()
