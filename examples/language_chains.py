"""How surprised is a reader of Danish by Norwegian?
=================================================

How many bits does a text cost if it is encoded for another language than its own? A letter of Danish encoded for
Norwegian costs 0.1 bits more than encoded for Danish, and one of Dutch encoded for German 0.5.

The data are the counts of pairs of characters in 22 European languages that are part of skdiv. They make a Markov chain
of each language: after a character, each next one has its probability. The divergence rate of two chains is the number
of bits that each character of a text in the first language costs in addition if it is encoded by the chain of the
second. Only what follows a character has an effect, and not how often the character itself is used.

The picture shows the tree by average linkage of the mean rates of both directions, beside the matrix of these rates, in
bits a letter.
``python examples/language_chains.py`` saves it as language_chains.png, and prints for each language the one whose chain
encodes it best.
"""

import numpy as np
from numpy.typing import NDArray

from skdiv import DivergenceClustering
from skdiv.datasets import load_languages
from skdiv.models import markov_divergences
from skdiv.plotting import ClusterMapDisplay

LANGUAGES = [
    "Catalan", "Croatian", "Czech", "Danish", "Dutch", "English", "Estonian", "Finnish", "French", "German",
    "Hungarian", "Italian", "Latvian", "Lithuanian", "Norwegian", "Polish", "Portuguese", "Romanian", "Slovak",
    "Slovenian", "Spanish", "Swedish",
]  # fmt: skip
PSEUDOCOUNT = 100.0  # added to the count of each pair; a language has from 2 to 309 million pairs
N_CLUSTERS = 7


def transitions() -> tuple[list[str], NDArray[np.float64]]:
    """Return the languages, and the probabilities of each next character, over the characters that any of them uses."""
    data = load_languages()
    rows = [int(np.flatnonzero(data.names == name)[0]) for name in LANGUAGES]
    counts = data.data[rows]
    used = np.flatnonzero(counts.sum(axis=0))
    pairs = data.bigrams[used]
    states, codes = np.unique([list(pair) for pair in pairs], return_inverse=True)
    first, second = codes.reshape(-1, 2).T
    of_pairs = np.full((len(rows), len(states), len(states)), PSEUDOCOUNT)
    of_pairs[:, first, second] += counts[:, used].toarray()
    return LANGUAGES, of_pairs / of_pairs.sum(axis=2, keepdims=True)


def print_nearest(names: list[str], bits: NDArray[np.float64]) -> None:
    """Print the chain of another language that encodes each language best."""
    others = bits + np.diag(np.full(len(names), np.inf))
    print("language      best encoded as   bits a letter lost\n")
    for row in np.argsort(others.min(axis=1)):
        best = others[row].argmin()
        print(f"{names[row]:<14}{names[best]:<18}{others[row, best]:.2f}")


def main() -> None:
    names, chains = transitions()
    bits = markov_divergences(chains, base=2)
    print(f"{len(names)} languages, chains over {chains.shape[1]} characters\n")
    print_nearest(names, bits)
    distances = (bits + bits.T) / 2
    clustering = DivergenceClustering(N_CLUSTERS, metric="precomputed", linkage="average").fit(distances)
    display = ClusterMapDisplay.from_estimator(clustering, distances, labels=names)
    display.figure_.savefig("language_chains.png", dpi=100)
    print("\nSaved language_chains.png: the tree beside the matrix of rates, the mean of both directions.")


if __name__ == "__main__":
    main()
