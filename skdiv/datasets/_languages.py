"""The bigrams of 55 languages."""

from importlib.resources import files

import numpy as np
import scipy.sparse as sp
from sklearn.utils import Bunch


def load_languages() -> Bunch:
    """Bigram counts of 55 languages of Europe, Asia and Africa.

    Returns
    -------
    Bunch
        ``data``, a CSR array of shape (55, 26427), the counts; ``codes`` and ``names``, arrays of shape (55,), the
        ISO 639-1 codes and English names of the languages; ``bigrams``, an array of shape (26427,); ``DESCR``, the
        origin and licence of the data.

    See Also
    --------
    sklearn.datasets.fetch_20newsgroups_vectorized : Counts of words in messages.

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
