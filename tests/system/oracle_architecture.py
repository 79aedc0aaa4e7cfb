"""Architecture similarities straight from their definitions; graphs are {"op": words, "edge": [edges, 2]}."""

import hashlib
from collections import Counter

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from oracle_pairs import ABSENT, BOUND, MISFIT, OK, pairwise

EXACT_NODES = 16


def edges_of(graph):
    """The set of (from, to)."""
    return {(int(u), int(v)) for u, v in np.asarray(graph["edge"], dtype=int).reshape(-1, 2)}


def words_of(graph):
    return [word.decode() if isinstance(word, bytes) else str(word) for word in graph["op"]]


def code_of(graph):
    if "op" not in graph or "edge" not in graph:
        return ABSENT
    ends = np.asarray(graph["edge"], dtype=int).reshape(-1, 2)
    return OK if ((ends >= 0) & (ends < len(graph["op"]))).all() else MISFIT


def architecture(networks, form="wl", height=3):
    graphs = [network.graph for network in networks.values()]
    codes = [code_of(graph) for graph in graphs]
    if form == "edit":
        return edit(networks, graphs, codes)
    compare, prepare = {"wl": (cosine, lambda graph: label_counts(graph, height)), "spectral": (nearness, spectrum)}[form]
    prepared = [None if code else prepare(graph) for graph, code in zip(graphs, codes)]
    return pairwise(networks, codes, lambda i, j: (compare(prepared[i], prepared[j]), OK))


# wl


def label_counts(graph, height):
    """How often each label occurs in each round; a label of a round is the digest of the triple."""
    labels, edges = words_of(graph), edges_of(graph)
    before, behind = ([[] for _ in labels] for _ in range(2))
    for u, v in edges:
        before[v].append(u)
        behind[u].append(v)
    counts = Counter((0, label) for label in labels)
    for t in range(1, height + 1):
        triples = [(labels[u], sorted(labels[v] for v in before[u]), sorted(labels[v] for v in behind[u]))
                   for u in range(len(labels))]
        labels = [hashlib.sha256(repr(triple).encode()).hexdigest() for triple in triples]
        counts.update((t, label) for label in labels)
    return counts


def cosine(a, b):
    product = sum(times * b[label] for label, times in a.items())
    squares = sum(times**2 for times in a.values()) * sum(times**2 for times in b.values())
    return 1.0 if product**2 == squares else product / np.sqrt(squares)


# spectral


def spectrum(graph):
    """Ascending eigenvalues of the normalised Laplacian of the undirected graph; those of isolated nodes are 0."""
    count = len(graph["op"])
    A = np.zeros((count, count))
    for u, v in edges_of(graph):
        A[u, v] = A[v, u] = 1
    degree = A.sum(axis=1)
    root = np.sqrt(np.where(degree > 0, degree, 1))
    return np.linalg.eigvalsh(np.diag(1.0 * (degree > 0)) - A / np.outer(root, root))


def nearness(x, y):
    most = max(len(x), len(y))
    x, y = (np.concatenate([np.zeros(most - len(s)), s]) for s in (x, y))
    return 1 / (1 + np.linalg.norm(x - y))


# edit


def edit_distance(a, b):
    """The least number of edits, by an integer program: x[u, v] maps node u to node v, y[e, f] edge e to edge f, which needs
    both ends mapped. Everything is deleted and inserted but what is mapped."""
    words, edges = [words_of(g) for g in (a, b)], [sorted(edges_of(g)) for g in (a, b)]
    n, m = map(len, words)
    k, l = map(len, edges)
    everything = n + m + k + l
    gain = [2.0 if words[0][u] == words[1][v] else 1.0 for u in range(n) for v in range(m)] + [2.0] * (k * l)
    rows = []
    for u in range(n):
        rows.append({u * m + v: 1 for v in range(m)})
    for v in range(m):
        rows.append({u * m + v: 1 for u in range(n)})
    limits = [1] * (n + m)
    for e, (u, u2) in enumerate(edges[0]):
        for end in (0, 1):
            for v in range(m):  # images of edge e that begin (end) at v, if its beginning (end) is mapped there
                row = {n * m + e * l + f: 1 for f in range(l) if edges[1][f][end] == v}
                if row:
                    row[(u, u2)[end] * m + v] = -1
                    rows.append(row)
                    limits.append(0)
    matrix = np.zeros((len(rows), n * m + k * l))
    for r, row in enumerate(rows):
        matrix[r, list(row)] = list(row.values())
    result = milp(-np.array(gain), constraints=LinearConstraint(matrix, ub=limits), bounds=Bounds(0, 1),
                  integrality=np.ones(len(gain)))
    assert result.success, result.message
    return everything - round(-result.fun)


def edit(networks, graphs, codes):
    """Only for pairs that are exact; kept: the lower bound, here the distance itself."""
    count = len(graphs)
    lower = np.full((count, count), np.nan)

    def pair(i, j):
        lower[i, j] = distance = 0 if i == j else edit_distance(graphs[i], graphs[j])
        sizes = [len(g["op"]) + len(edges_of(g)) for g in (graphs[i], graphs[j])]
        largest = max(len(graphs[i]["op"]), len(graphs[j]["op"]))
        return 1 - distance / sum(sizes), OK if i == j or largest <= EXACT_NODES else BOUND

    return pairwise(networks, codes, pair, kept={"lower_bound": lower})
