"""The languages, as they are shipped."""

import numpy as np
import scipy.sparse as sp

from skdiv import DivergenceClustering
from skdiv.datasets import load_languages


def test_the_languages_are_complete():
    languages = load_languages()
    assert sp.issparse(languages.data)
    assert languages.data.format == "csr"
    assert languages.data.dtype == np.float64
    assert languages.data.shape == (55, 26_427) == (len(languages.codes), len(languages.bigrams))
    assert len(languages.names) == len(set(languages.codes)) == 55
    assert len(set(languages.bigrams)) == 26_427
    assert {len(bigram) for bigram in languages.bigrams} == {2}
    assert (languages.data.data > 0).all()
    assert (languages.data.data == languages.data.data.round()).all()


def test_known_counts_of_the_profiles():
    """As they stand in langdetect's files."""
    languages = load_languages()
    codes, bigrams = list(languages.codes), list(languages.bigrams)
    known = {("en", "th"): 4_782_590, ("en", "in"): 4_877_222, ("de", "en"): 2_309_793, ("hi", "का"): 35_945,
             ("zh-cn", "中国"): 13_581}  # fmt: skip
    for (code, bigram), count in known.items():
        assert languages.data[codes.index(code), bigrams.index(bigram)] == count


def test_the_description_states_size_origin_and_licence():
    languages = load_languages()
    n_bins, density = languages.data.shape[1], languages.data.nnz / np.prod(languages.data.shape)
    for fact in (f"{n_bins:,}", f"{density:.1%}".replace("%", " %"), "langdetect 1.0.9", "Apache License, Version 2.0"):
        assert fact in languages.DESCR
    totals = languages.data.sum(axis=1)
    assert f"{totals.min() / 1e3:.0f} thousand to {totals.max() / 1e6:.0f} million" in languages.DESCR


def test_the_families_of_languages_come_out():
    languages = load_languages()
    labels = DivergenceClustering(20, metric="js_distance", linkage="ward").fit_predict(languages.data)
    clusters = {frozenset(languages.names[labels == label]) for label in range(20)}
    for family in (
        {"Catalan", "Spanish", "French", "Italian", "Portuguese", "Romanian"},
        {"Afrikaans", "Welsh", "Danish", "German", "English", "Dutch", "Norwegian", "Swedish"},
        {"Czech", "Croatian", "Polish", "Slovak", "Slovenian"},
        {"Bulgarian", "Macedonian", "Russian", "Ukrainian"},
        {"Hindi", "Marathi", "Nepali"},
        {"Arabic", "Persian", "Urdu"},
    ):
        assert family in clusters
