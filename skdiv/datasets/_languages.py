"""The bigrams of 55 languages."""

from importlib.resources import files

import numpy as np
import scipy.sparse as sp
from sklearn.utils import Bunch


def load_languages() -> Bunch:
    """Load the bigram counts of 55 languages of Europe, Asia and Africa.

    A bigram is a pair of characters that follow each other in a text. Row i of the data says how often each bigram
    occurs in abstracts of the Wikipedia in language i. The data are part of the package; nothing is downloaded.

    Returns
    -------
    Bunch
        A dictionary whose entries are also attributes:

        - ``data``: CSR array of shape (55, 26427), the counts;
        - ``codes``: array of shape (55,), the ISO 639-1 codes of the languages;
        - ``names``: array of shape (55,), the English names of the languages;
        - ``bigrams``: array of shape (26427,), the bigram of each column;
        - ``DESCR``: str, the origin and the licence of the data.

    See Also
    --------
    sklearn.datasets.fetch_20newsgroups_vectorized : Loads counts of words in messages.

    References
    ----------
    Derived from the profiles of langdetect 1.0.9 (Apache License 2.0), counted by Nakatani Shuyo in the abstracts of
    Wikipedia.

    Examples
    --------
    >>> from skdiv.datasets import load_languages
    >>> languages = load_languages()
    >>> languages.data.shape
    (55, 26427)
    >>> str(languages.names[8])
    'German'
    """
    folder = files("skdiv.datasets") / "data"
    with (folder / "languages.npz").open("rb") as file, np.load(file) as stored:
        shape = (len(stored["codes"]), len(stored["bigrams"]))
        counts = sp.csr_array((stored["data"].astype(np.float64), stored["indices"], stored["indptr"]), shape=shape)
        return Bunch(
            data=counts,
            codes=stored["codes"],
            names=stored["names"],
            bigrams=stored["bigrams"],
            DESCR=(folder / "languages.rst").read_text(encoding="utf-8"),
        )
