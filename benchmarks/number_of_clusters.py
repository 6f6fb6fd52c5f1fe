"""Which rule finds the number of groups, if rows differ even within a group?

    python benchmarks/number_of_clusters.py [--quick] [--only NAME] [--n-jobs N]

writes tables of docs/how_many_clusters.md. Each simulated collection has 60 rows of counts in 20 bins, of groups that
are known. Each group has a distribution, and each row one of its own, drawn from a Dirichlet distribution around that
of its group. No threshold was adjusted to the simulations; the rule that joins silhouette and stability was added when
the results of the others were known. Each rule chooses among 1 to 20 clusters, but the share of information and
`Significance`, the slowest rule, which is tried on every second collection, may choose more. The first three
tables take some minutes on two cores, and the others as long. The tables are

- rules: how often each rule finds the number of groups, and how well its clusters agree with them
- ways: which rules find too few clusters, and which too many
- separation: the same by the counts of a row and the distance of the groups
- scale: how large the largest silhouette is, with groups and without
- totals: what to do if the totals of rows differ a hundredfold
- labelled: the same rules for real data whose groups are known
"""

from __future__ import annotations

import argparse
import runpy
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import marks
import numpy as np
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.utils import resample

from skdiv import DivergenceClustering, Significance, pairwise_divergences

DOCS = Path(__file__).resolve().parents[1] / "docs" / "how_many_clusters.md"
NUMBERS = range(2, 21)
N_SUBSETS = 20
ROWS, BINS = 60, 20

GROUPS = {"3 equal": (20, 20, 20), "3 unequal": (40, 14, 6), "5 equal": (12,) * 5, "5 unequal": (24, 15, 10, 7, 4)}
ONE_GROUP = (60,)
WITHIN = {"not at all": np.inf, "a little": 100.0, "much": 20.0}  # how rows of a group differ: the concentration
DISTANCES = {"near": 0.5, "far": 1.0}  # the share of its own in the distribution of a group
COUNTS = (50, 300)
PERCENT = "\N{NO-BREAK SPACE}%"

Answer = tuple[int, float]  # a number of clusters, and their adjusted Rand index with the groups


# --- Collections ---


def collection(
    rng: np.random.Generator, sizes: tuple[int, ...], concentration: float, own: float, totals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of counts, and the group of each."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    groups = (1 - own) * rng.dirichlet(np.ones(BINS)) + own * rng.dirichlet(np.ones(BINS), len(sizes))
    rows = groups[labels]
    if np.isfinite(concentration):
        rows = np.array([rng.dirichlet(concentration * row) for row in rows])
    return np.array([rng.multinomial(*pair) for pair in zip(totals, rows, strict=True)]), labels


# --- Rules ---


@dataclass
class Tree:
    """A tree of rows, by Ward linkage or by information with totals as weights, and what rules need of it."""

    X: np.ndarray
    linkage: str = "ward"

    def __post_init__(self) -> None:
        self.model = self.fitted(self.X)
        self.numbers = [k for k in NUMBERS if k < self.X.shape[0]]
        self.labels = {k: self.model.cut(k) for k in (1, *self.numbers)}

    def fitted(self, X: np.ndarray, n_clusters: int | Significance = 2) -> DivergenceClustering:
        with warnings.catch_warnings():  # of totals that differ
            warnings.simplefilter("ignore", UserWarning)
            weights = "counts" if self.linkage == "information" else None
            return DivergenceClustering(n_clusters, linkage=self.linkage).fit(X, sample_weight=weights)

    def silhouettes(self) -> dict[int, float]:
        distances = pairwise_divergences(self.X)
        return {k: float(silhouette_score(distances, self.labels[k], metric="precomputed")) for k in self.numbers}

    def stabilities(self) -> dict[int, float]:
        """For each number, the mean agreement with the clusters of subsets of 80 % of the rows."""
        n, sums = self.X.shape[0], dict.fromkeys(self.numbers, 0.0)
        for seed in range(N_SUBSETS):
            subset = resample(np.arange(n), replace=False, n_samples=4 * n // 5, random_state=seed)
            model = self.fitted(self.X[subset])
            for k in self.numbers:
                sums[k] += adjusted_rand_score(self.labels[k][subset], model.cut(k))
        return {k: total / N_SUBSETS for k, total in sums.items()}

    def by_significance(self) -> np.ndarray:
        return self.fitted(self.X, Significance(random_state=0)).labels_


def last_stable(stabilities: dict[int, float], least: float) -> int:
    """Return the largest number of clusters of at least that stability, or 1 if there is none."""
    return max((k for k, value in stabilities.items() if value >= least), default=1)


def largest_gap(model: DivergenceClustering) -> int:
    """Return the number of clusters between the two successive merges whose heights differ most."""
    heights = np.sort(model.distances_)[::-1][: max(NUMBERS)]
    return int(np.argmax(heights[:-1] - heights[1:])) + 2


def retaining(tree: Tree, share: float) -> int:
    n_clusters, retained = tree.model.information_curve_
    return int(n_clusters[retained >= share][0])


def answers(X: np.ndarray, groups: np.ndarray, test: bool = True) -> dict[str, Answer]:
    """Return what each rule finds."""
    ward, information = Tree(X), Tree(X, "information")
    silhouettes, stabilities = ward.silhouettes(), ward.stabilities()
    k_silhouette = max(silhouettes, key=silhouettes.__getitem__)
    k_true, k_retaining = len(np.unique(groups)), retaining(information, 0.9)
    labels = {
        "silhouette": ward.labels[k_silhouette],
        "both": ward.labels[k_silhouette if stabilities[k_silhouette] >= 0.9 else 1],
        "most stable": ward.labels[max(stabilities, key=stabilities.__getitem__)],
        "stable90": ward.labels[last_stable(stabilities, 0.9)],
        "stable95": ward.labels[last_stable(stabilities, 0.95)],
        "gap": ward.model.cut(largest_gap(ward.model)),
        "information": information.model.cut(k_retaining),
        "known, ward": ward.model.cut(k_true),
        "known, information": information.model.cut(k_true),
    }
    if test:
        labels["significance"] = ward.by_significance()
    return {rule: answer(each, groups) for rule, each in labels.items()}


def answer(labels: np.ndarray, groups: np.ndarray) -> Answer:
    return len(np.unique(labels)), adjusted_rand_score(groups, labels)


RULES = {
    "silhouette": "the largest silhouette",
    "both": "the largest silhouette if its stability is 0.9 or more, else one cluster",
    "most stable": "the largest stability",
    "stable90": "the most clusters of stability 0.9 or more",
    "stable95": "the most clusters of stability 0.95 or more",
    "gap": "the largest gap between the heights of merges",
    "information": "the fewest clusters that retain 90\N{NO-BREAK SPACE}% of the information",
    "significance": "`Significance()`",
}
KNOWN = {
    "known, ward": "the true number, Ward linkage",
    "known, information": "the true number, linkage by information",
}


# --- Simulations ---


@dataclass(frozen=True)
class Case:
    groups: str
    within: str
    distance: str
    counts: int


def simulated(case: Case, seed: int) -> tuple[Case, int, dict[str, Answer]]:
    sizes = GROUPS.get(case.groups, ONE_GROUP)
    rng = np.random.default_rng([seed, len(sizes), case.counts])
    totals = np.full(ROWS, case.counts)
    X, labels = collection(rng, sizes, WITHIN[case.within], DISTANCES[case.distance], totals)
    return case, len(sizes), answers(X, labels, test=seed % 2 == 0)


def simulations(parallel: Parallel, repeats: int) -> list[tuple[Case, int, dict[str, Answer]]]:
    several = [Case(*each) for each in product(GROUPS, WITHIN, DISTANCES, COUNTS)]
    one = [Case("1", within, "far", counts) for within in WITHIN for counts in COUNTS]
    tasks = [(case, seed) for case in several for seed in range(repeats)]
    tasks += [(case, seed) for case in one for seed in range(4 * repeats)]
    return parallel(delayed(simulated)(*task) for task in tasks)


def summary(found: Iterable[tuple[int, Answer]]) -> str:
    """Return how often the number is right, and the mean adjusted Rand index."""
    pairs = list(found)
    right = np.mean([n_clusters == n_groups for n_groups, (n_clusters, _) in pairs])
    return f"{100 * right:.0f}{PERCENT}, {np.mean([index for _, (_, index) in pairs]):.2f}"


def rules_table(results: list[tuple[Case, int, dict[str, Answer]]]) -> str:
    header = " | ".join(f"differ {within}" for within in WITHIN)
    lines = [f"| rule | {header} |", "| --- | --- | --- | --- |"]
    for rule, name in (RULES | KNOWN).items():
        cells = [
            summary((n, found[rule]) for case, n, found in results if case.within == within and n > 1 and rule in found)
            for within in WITHIN
        ]
        if rule in KNOWN:
            cells = [cell.split(", ")[1] for cell in cells]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def ways_table(results: list[tuple[Case, int, dict[str, Answer]]]) -> str:
    """Where rows of a group differ: too few, right, too many; and what is said about a single group."""
    lines = [
        "| rule | too few | right | too many | right, where it finds two or more | one group: two or more |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for rule, name in RULES.items():
        differing = [(n, found[rule][0]) for case, n, found in results if case.within != "not at all" and rule in found]
        several = np.array([pair for pair in differing if pair[0] > 1])
        single = np.array([pair for pair in differing if pair[0] == 1])
        signs = np.sign(several[:, 1] - several[:, 0])
        shares = [np.mean(signs == sign) for sign in (-1, 0, 1)]
        shares += [np.mean(signs[several[:, 1] > 1] == 0), np.mean(single[:, 1] > 1)]
        lines.append(f"| {name} | {' | '.join(f'{100 * share:.0f}{PERCENT}' for share in shares)} |")
    return "\n".join(lines)


def separation_table(results: list[tuple[Case, int, dict[str, Answer]]]) -> str:
    """Where rows of a group differ: by the counts of a row and the distance of the groups."""
    settings = list(product(DISTANCES, COUNTS))
    header = " | ".join(f"{distance}, {counts}" for distance, counts in settings)
    lines = [f"| rule | {header} |", "| --- |" + " --- |" * len(settings)]
    for rule, name in (RULES | KNOWN).items():
        cells = [
            summary(
                (n, found[rule])
                for case, n, found in results
                if n > 1 and rule in found and case.within != "not at all" and (case.distance, case.counts) == setting
            )
            for setting in settings
        ]
        if rule in KNOWN:
            cells = [cell.split(", ")[1] for cell in cells]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


# --- How large silhouettes are ---


def largest_silhouette(groups: str, within: str, distance: str, counts: int, seed: int) -> float:
    rng = np.random.default_rng([seed, counts, 5])
    sizes = GROUPS.get(groups, ONE_GROUP)
    X, _ = collection(rng, sizes, WITHIN[within], DISTANCES[distance], np.full(ROWS, counts))
    return max(Tree(X).silhouettes().values())


def scale_table(parallel: Parallel, repeats: int) -> str:
    """The middle nine tenths of the largest silhouettes, of one group and of three."""
    kinds = {"one group": ("1", "far"), "three groups, near": ("3 equal", "near"), "three, far": ("3 equal", "far")}
    lines = [
        f"| rows of a group differ | counts a row | {' | '.join(kinds)} |",
        "| --- | --- |" + " --- |" * len(kinds),
    ]
    for within, counts in product(WITHIN, COUNTS):
        cells = []
        for groups, distance in kinds.values():
            tasks = (delayed(largest_silhouette)(groups, within, distance, counts, seed) for seed in range(repeats))
            low, high = np.percentile(parallel(tasks), [5, 95])
            cells.append(f"{low:.2f} to {high:.2f}")
        lines.append(f"| {within} | {counts} | {' | '.join(cells)} |")
    return "\n".join(lines)


# --- Totals that differ ---


def of_totals(groups: str, within: str, distance: str, seed: int) -> tuple[str, int, dict[tuple[str, str], Answer]]:
    """Totals from 10 to 1,000: three ways to make the tree, and three rules for its number of clusters.

    The tree is that of all rows, by Ward linkage; or of all rows, by information with their totals as weights; or that
    of the rows with at least a tenth of the largest total, by Ward linkage, and the others join the nearest of these.
    """
    sizes = GROUPS[groups]
    rng = np.random.default_rng([seed, len(sizes), 7])
    totals = np.exp(rng.uniform(np.log(10), np.log(1000), ROWS)).astype(int)
    X, labels = collection(rng, sizes, WITHIN[within], DISTANCES[distance], totals)
    large = totals >= totals.max() / 10
    trees = {"ward": Tree(X), "information": Tree(X, "information"), "large": Tree(X[large])}
    found = {}
    for way, tree in trees.items():
        silhouettes, stabilities = tree.silhouettes(), tree.stabilities()
        chosen = {
            "known": tree.labels[len(sizes)],
            "silhouette": tree.labels[max(silhouettes, key=silhouettes.__getitem__)],
            "stable90": tree.labels[last_stable(stabilities, 0.9)],
        }
        if seed % 2 == 0:
            chosen["significance"] = tree.by_significance()
        for rule, each in chosen.items():
            all_rows = each if way != "large" else with_nearest(X, large, each)
            found[way, rule] = answer(all_rows, labels)
    return within, len(sizes), found


def with_nearest(X: np.ndarray, fitted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Give each row that was left out the label of the fitted row that is nearest to it."""
    return labels[pairwise_divergences(X, X[fitted]).argmin(axis=1)]


def totals_table(parallel: Parallel, repeats: int) -> str:
    cases = product(GROUPS, ("not at all", "much"), DISTANCES, range(repeats))
    results = parallel(delayed(of_totals)(*case) for case in cases)
    ways = {
        "ward": "all rows",
        "information": "by information",
        "large": "without small rows",
    }
    lines = [
        "| rows of a group differ | tree | true number | silhouette | stability 0.9 | `Significance()` |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for within, way in product(("not at all", "much"), ways):
        cells = [
            summary((n, found[way, rule]) for each, n, found in results if each == within and (way, rule) in found)
            for rule in ("known", "silhouette", "stable90", "significance")
        ]
        cells[0] = cells[0].split(", ")[1]
        lines.append(f"| {within} | {ways[way]} | {' | '.join(cells)} |")
    return "\n".join(lines)


# --- Real data ---


def digits() -> tuple[np.ndarray, np.ndarray]:
    return load_digits(return_X_y=True)


def docstrings() -> tuple[np.ndarray, np.ndarray]:
    """The texts of examples/scipy_docstrings.py."""
    example = runpy.run_path(str(DOCS.parents[1] / "examples" / "scipy_docstrings.py"))
    texts, packages = example["documentation"]()
    counts = CountVectorizer(token_pattern=r"[a-z]{3,}", min_df=3).fit_transform(texts)
    return counts.astype(float), np.unique(packages, return_inverse=True)[1]


def labelled_table(parallel: Parallel, _: int) -> str:
    del parallel
    data = {"digits": digits(), "texts": docstrings()}
    found = {name: answers(*each, test=False) for name, each in data.items()}
    header = " | ".join(f"{name} ({X.shape[0]:,} rows, {len(np.unique(y))} groups)" for name, (X, y) in data.items())
    lines = [f"| rule | {header} |", "| --- |" + " --- |" * len(data)]
    for rule, name in (RULES | KNOWN).items():
        if rule == "significance":  # for counts of independent observations, which neither words nor grey levels are
            continue
        cells = [f"{each[rule][0]}, {each[rule][1]:.2f}" for each in found.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    silhouettes = [f"{max(Tree(X).silhouettes().values()):.2f}" for X, _ in data.values()]
    lines.append(f"| how large the largest silhouette is | {' | '.join(silhouettes)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few repeats, nothing written")
    parser.add_argument("--only", metavar="NAME", help="one table, by its name")
    parser.add_argument("--n-jobs", type=int, default=-1, help="the number of workers; all cores by default")
    parser.add_argument("--print", action="store_true", help="print the tables, and write nothing")
    arguments = parser.parse_args()
    repeats = 2 if arguments.quick else 8

    def of_simulations(parallel: Parallel, repeats: int) -> dict[str, str]:
        results = simulations(parallel, repeats)
        return {"rules": rules_table(results), "ways": ways_table(results), "separation": separation_table(results)}

    parts: dict[str, Callable[[Parallel, int], dict[str, str]]] = {
        "rules": of_simulations,
        "scale": lambda parallel, repeats: {"scale": scale_table(parallel, 5 * repeats)},
        "totals": lambda parallel, repeats: {"totals": totals_table(parallel, repeats)},
        "labelled": lambda parallel, repeats: {"labelled": labelled_table(parallel, repeats)},
    }
    with Parallel(n_jobs=arguments.n_jobs) as parallel:
        for part, make in parts.items():
            if arguments.only not in (None, part):
                continue
            start = time.perf_counter()
            tables = make(parallel, repeats if part == "rules" else repeats // 2)
            print(f"{part}: {time.perf_counter() - start:.0f} s", flush=True)
            for name, table in tables.items():
                print(table, flush=True)
                if not (arguments.quick or arguments.print):
                    marks.write(DOCS, name, table)


if __name__ == "__main__":
    main()
