"""architecture against the oracle, networkx, closed forms and invariances."""

import unittest

import h5py
import networkx
import numpy as np

import oracle_architecture
from networks import Network
from tables import TablesTestCase, entry, expected, print_deviations

tearDownModule = print_deviations
WL, SPECTRAL, EDIT = (entry("architecture", form, form=form) for form in ("wl", "spectral", "edit"))
OPS = ("conv", "relu", "add", "linear", "norm")


def graph(words, edges):
    return Network(graph={"op": np.array(words, dtype="S"), "edge": np.array(edges, dtype=np.int64).reshape(-1, 2)})


def chain(words):
    return graph(words, [(k, k + 1) for k in range(len(words) - 1)])


def cycles(*lengths, word="x"):
    """Directed cycles side by side."""
    edges, start = [], 0
    for length in lengths:
        edges += [(start + k, start + (k + 1) % length) for k in range(length)]
        start += length
    return graph([word] * start, edges)


def random_dag(seed, nodes, edges, words=OPS):
    random = np.random.default_rng(seed)
    pairs = [(u, v) for v in range(nodes) for u in range(v)]
    chosen = random.choice(len(pairs), size=min(edges, len(pairs)), replace=False)
    return graph(random.choice(words, nodes), [pairs[k] for k in chosen])


def residual(blocks, seed=0, word="conv"):
    """A chain of blocks with skip connections."""
    words, edges, last = ["input"], [], 0
    for k in range(blocks):
        start = len(words)
        words += [word, "norm", "relu", "add"]
        edges += [(last, start), (start, start + 1), (start + 1, start + 2), (start + 2, start + 3), (last, start + 3)]
        last = start + 3
    return graph(words, edges)


def relabelled(network, seed=0):
    """The same graph with its nodes and edges in another order."""
    random = np.random.default_rng(seed)
    words, edges = network.graph["op"], network.graph["edge"]
    order = random.permutation(len(words))
    place = np.argsort(order)
    return graph(words[order], random.permutation(place[edges]))


def as_networkx(network):
    built = networkx.DiGraph()
    for node, word in enumerate(oracle_architecture.words_of(network.graph)):
        built.add_node(node, op=word)
    built.add_edges_from(oracle_architecture.edges_of(network.graph))
    return built


class Architecture(TablesTestCase):
    def check(self, networks, entries, ranks=(2,)):
        """On each of these numbers of ranks; what is kept as well."""
        self.zoo(networks)
        tables = {asked["name"]: expected(networks, asked) for asked in entries}
        for count in ranks:
            tensors = self.compute(entries, ranks=count)
            self.assertTables(tensors, tables)
            for name, table in tables.items():
                for quantity, values in table.kept.items():
                    np.testing.assert_array_equal(tensors[name].kept[quantity], values)

    def small(self):
        """Graphs with loops, edges that are there twice, isolated nodes, no edges."""
        sizes = ((1, 0), (4, 5), (6, 8), (7, 9), (9, 10))
        networks = {f"dag{k}": random_dag(k, nodes, edges) for k, (nodes, edges) in enumerate(sizes)}
        networks["loop"] = graph(["conv", "relu", "add"], [(0, 0), (0, 1), (1, 2), (2, 1)])
        networks["twice"] = graph(["conv", "relu", "add"], [(0, 1), (0, 1), (1, 2), (2, 1), (0, 1)])
        networks["isolated"] = graph(["conv", "relu", "conv", "Conv"], [(0, 1)])
        networks["edgeless"] = graph(["conv", "relu"], [])
        networks["skip"] = residual(2)
        return networks

    def test_oracle(self):
        self.check(self.small(), [WL, SPECTRAL, EDIT], ranks=(1, 2, 3, 4))

    def test_more_ranks_than_tasks(self):
        self.check({"a": chain(["a", "b"]), "b": chain(["a", "c", "b"])}, [WL, SPECTRAL, EDIT], ranks=(5,))

    def test_heights(self):
        networks = {f"m{k}": random_dag(k, 20 + k, 30) for k in range(4)}
        networks["other"] = residual(30)
        self.check(networks, [entry("architecture", f"height{h}", height=h) for h in (0, 1, 2, 5, 12)])
        self.check(networks, [entry("architecture")], ranks=(3,))

    def test_isomorphic_graphs(self):
        """Exactly 1, and as far from others as the original."""
        networks = {"a": random_dag(1, 14, 20), "b": random_dag(2, 15, 20), "large": random_dag(3, 120, 300)}
        networks.update({f"{name}2": relabelled(network, 5) for name, network in list(networks.items())})
        self.zoo(networks)
        tensors = self.compute([WL, SPECTRAL, EDIT], ranks=3)
        for name in ("a", "b", "large"):
            self.assertEqual(tensors["wl"].at(name, f"{name}2"), 1)
            self.assertEqual(tensors["edit"].at(name, f"{name}2"), 1)
            self.assertAlmostEqual(tensors["spectral"].at(name, f"{name}2"), 1, delta=1e-12)
        self.assertEqual(tensors["wl"].at("a", "b"), tensors["wl"].at("a2", "b2"))
        self.assertEqual(tensors["edit"].at("a", "b"), tensors["edit"].at("a2", "b2"))

    def test_what_colours_cannot_tell_apart(self):
        """A 6-cycle and two triangles without labels: 1 for wl; but spectra and edits differ."""
        self.zoo({"hexagon": cycles(6), "triangles": cycles(3, 3)})
        tensors = self.compute([WL, SPECTRAL, EDIT])
        self.assertEqual(tensors["wl"].at("hexagon", "triangles"), 1)
        self.assertLess(tensors["spectral"].at("hexagon", "triangles"), 0.7)
        self.assertEqual(tensors["edit"].at("hexagon", "triangles"), 1 - 4 / 24)

    def test_edits_of_cycles(self):
        """Cutting a cycle and closing it elsewhere takes two edits per cycle; at 16 nodes, without labels."""
        networks = {"one": cycles(16), "two": cycles(8, 8), "three": cycles(5, 5, 6), "path": chain(["x"] * 16),
                    "shorter": cycles(15), "other": cycles(16, word="y")}
        self.zoo(networks)
        found = self.compute([EDIT], ranks=3)["edit"]
        self.assertEqual(list(found.kept["lower_bound"][0]), [0, 4, 6, 1, 4, 16])
        self.assertEqual(found.at("one", "two"), 1 - 4 / 64)
        self.assertTrue((found.codes == 0).all())

    def test_direction_counts(self):
        """An edge turned around: wl and edit notice, the undirected spectrum does not."""
        self.zoo({"a": graph(["x"] * 3, [(0, 1), (1, 2)]), "b": graph(["x"] * 3, [(0, 1), (2, 1)])})
        tensors = self.compute([WL, SPECTRAL, EDIT])
        self.assertLess(tensors["wl"].at("a", "b"), 1)
        self.assertAlmostEqual(tensors["spectral"].at("a", "b"), 1, places=14)
        self.assertEqual(tensors["edit"].at("a", "b"), 1 - 2 / 10)

    def test_networkx(self):
        """Spectra and edit distances of another program."""
        networks = {f"m{k}": random_dag(10 + k, 4 + k % 3, 5 + k % 3, OPS[:2]) for k in range(6)}
        networks["lonely"] = graph(["conv", "relu", "conv"], [(2, 0)])
        self.zoo(networks)
        tensors = self.compute([SPECTRAL, EDIT])
        built = [as_networkx(network) for network in networks.values()]
        spectra = [networkx.normalized_laplacian_spectrum(g.to_undirected()).real for g in built]
        for i, a in enumerate(built):
            for j, b in enumerate(built[:i]):
                distance = networkx.graph_edit_distance(a, b, node_match=lambda x, y: x["op"] == y["op"])
                self.assertEqual(tensors["edit"].kept["lower_bound"][i, j], distance)
                sizes = a.number_of_nodes() + a.number_of_edges() + b.number_of_nodes() + b.number_of_edges()
                self.assertAlmostEqual(tensors["edit"].values[i, j], 1 - distance / sizes, places=14)
                nearness = oracle_architecture.nearness(np.sort(spectra[i]), np.sort(spectra[j]))
                self.assertAlmostEqual(tensors["spectral"].values[i, j], nearness, places=12)

    def test_bounds_beyond_sixteen_nodes(self):
        """The bounds enclose the distance of an integer program; status 9; one edit more is one edit."""
        networks = {f"m{k}": random_dag(20 + k, 15 + 2 * k, 17 + 2 * k) for k in range(4)}
        networks["skip"] = residual(5)
        edges = networks["skip"].graph["edge"]
        networks["cut"] = graph(networks["skip"].graph["op"], edges[1:])
        self.zoo(networks)
        found = self.compute([EDIT], ranks=3)["edit"]
        names = list(networks)
        for i, a in enumerate(networks.values()):
            for j, b in enumerate(networks.values()):
                beyond = i != j and max(len(a.graph["op"]), len(b.graph["op"])) > 16
                self.assertEqual(found.codes[i, j], 9 if beyond else 0, (names[i], names[j]))
                if i <= j:
                    continue
                everything = sum(len(g.graph["op"]) + len(g.graph["edge"]) for g in (a, b))
                upper, lower = (1 - found.values[i, j]) * everything, found.kept["lower_bound"][i, j]
                distance = oracle_architecture.edit_distance(a.graph, b.graph)
                self.assertLessEqual(lower, distance)
                self.assertGreaterEqual(upper, distance - 1e-9)
                self.assertEqual(lower, found.kept["lower_bound"][j, i])
        self.assertEqual(found.at("skip", "cut"), 1 - 1 / (2 * (21 + 25) - 1))
        self.assertEqual(found.kept["lower_bound"][4, 5], 1)

    def test_statuses(self):
        networks = {"sound": chain(["a", "b", "c"]), "other": chain(["a", "c"]), "none": Network(logits=np.ones((4, 2))),
                    "astray": graph(["a", "b"], [(0, 2)]), "negative": graph(["a", "b"], [(-1, 0)])}
        self.check(networks, [WL, SPECTRAL, EDIT], ranks=(3,))

    def test_large_graphs(self):
        """Thousands of nodes; the same bits on 1, 2, 3 and 4 ranks."""
        networks = {"small": residual(20), "deep": residual(300), "deeper": residual(500), "random": random_dag(7, 900, 2000)}
        self.zoo(networks)
        first = self.compute([WL, SPECTRAL, EDIT], ranks=1)
        for name in ("wl", "spectral"):
            self.assertTable(first[name], expected(networks, entry("architecture", name, form=name)), name)
        for ranks in (2, 3, 4):
            again = self.compute([WL, SPECTRAL, EDIT], ranks=ranks)
            for name in again:
                np.testing.assert_array_equal(again[name].values, first[name].values)

    def test_strings_of_any_kind(self):
        """Fixed or variable length, ASCII or UTF-8, are the same words."""
        edges = np.array([[0, 1], [1, 2]])
        words = ["Größe", "b", "c"]
        kinds = {"variable": h5py.string_dtype("utf-8"), "fixed": h5py.string_dtype("utf-8", 12)}
        networks = {name: Network(graph={"op": np.array([w.encode() for w in words], dtype=kind), "edge": edges})
                    for name, kind in kinds.items()}
        self.zoo(networks)
        self.assertEqual(self.compute([WL])["wl"].values[0, 1], 1)


if __name__ == "__main__":
    unittest.main()
