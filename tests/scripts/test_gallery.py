"""scripts/make_gallery.py on results files made here."""

import re
import unittest
from html.parser import HTMLParser

import h5py
import numpy as np
from matplotlib.image import imread

from support import FolderCase
from test_plot import ITEMS, similarities, write_results
import make_gallery

SCRIPT = "make_gallery.py"
MEANINGS = "ok non_finite_input zero_variance shapes_do_not_fit"


class GalleryCase(FolderCase):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "results.h5"
        some, none = similarities(len(ITEMS)), np.full((len(ITEMS),) * 2, np.nan)
        some[4] = some[:, 4] = np.nan
        tensors = {
            "zz": (
                some,
                {"measure": "unheard", "kind": "distance", "formula": "<x> * y"},
            ),
            "boundary": (none, {"measure": "boundary", "kind": "distance"}),
            "cka": (some, {"measure": "cka", "kernel": "linear", "kind": "similarity"}),
        }
        write_results(self.path, tensors)
        with h5py.File(self.path, "r+") as file:
            status = file["status/cka"]
            status[4] = status[:, 4] = 3
            status.attrs["flag_meanings"] = MEANINGS

    def make(self, output, *arguments):
        run = self.run_script(SCRIPT, self.path, "--output", output, *arguments)
        self.assertEqual(run.returncode, 0, run.stderr)
        return (self.folder / output).read_text()


class Pages(GalleryCase):
    def test_markdown_has_a_picture_and_a_sentence_for_each_tensor(self):
        page = self.make("page.md")
        headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
        spaces = ["Activations", "Architectures and functions", "Other"]
        expected = [spaces[0], "cka", spaces[1], "boundary", spaces[2], "zz"]
        self.assertEqual(headings[1:], expected)
        self.assertIn(make_gallery.READING["Activations"]["cka"], page)
        self.assertIn(make_gallery.GENERAL[True], page)
        self.assertIn("cka: kernel linear", page)
        self.assertIn(r"\<x\> \* y", page)
        self.assertIn("11 shapes do not fit (of 36 entries)", page.replace("\\", ""))
        pictures = re.findall(r"\]\((.*)\)", page)
        self.assertEqual(pictures, ["page/cka.png", "page/zz.png"], "not of NaN alone")
        for picture in pictures:
            self.assertGreater(min(imread(self.folder / picture).shape[:2]), 200)
        self.assertIn("6 of 6 items have no value", page)
        self.assertIn("1 of 6 items have no value", page)

    def test_html_holds_its_pictures_and_is_well_formed(self):
        page = self.make("page.html", "--names", "c*", "zz", "--title", "a < b")
        self.assertEqual(page.count('src="data:image/png;base64,iVBOR'), 2)
        self.assertIn("<h1>a &lt; b</h1>", page)
        self.assertIn("&lt;x&gt; * y", page)
        self.assertNotIn("boundary", page.partition("<h2>")[2])
        open_tags = []
        parser = HTMLParser()
        parser.handle_starttag = lambda tag, _: tag in (
            "img",
            "meta",
        ) or open_tags.append(tag)
        parser.handle_endtag = lambda tag: self.assertEqual(tag, open_tags.pop())
        parser.feed(page)
        self.assertEqual(open_tags, [])

    def test_undefined_items_are_left_out_of_the_picture(self):
        with h5py.File(self.path) as file:
            entry = make_gallery._entry(self.path, file, "cka")
        shown = make_gallery.defined_part(entry.tensor)
        self.assertEqual(shown.items, ITEMS[:4] + ITEMS[5:])
        self.assertTrue(np.all(np.isfinite(shown.values)))

    def test_what_cannot_be_done(self):
        for arguments, *words in (
            ((self.path, "--output", "page.pdf"), "page.pdf", ".html, .md"),
            ((self.path, "--output", "p.md", "--names", "q"), "no tensor", "boundary"),
            (("none.h5", "--output", "p.md"), "none.h5", "cannot be read"),
        ):
            self.assert_refused(self.run_script(SCRIPT, *arguments), SCRIPT, *words)


if __name__ == "__main__":
    unittest.main()
