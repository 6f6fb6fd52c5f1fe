"""Derive the data of `skdiv.datasets.load_languages` from the language profiles of the PyPI package langdetect.

    pip install langdetect==1.0.9 numpy
    python tools/build_languages.py

A profile (Apache-2.0; made by Nakatani Shuyo from Wikipedia abstracts) counts the character n-grams of one language.
Those of two characters become one row of a matrix of languages × bigrams, unchanged.
"""

import json
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import numpy as np

TARGET = Path(__file__).parents[1] / "skdiv" / "datasets" / "data" / "languages.npz"

# ISO 639-1 codes, as the profiles use them.
NAMES = {
    "af": "Afrikaans", "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech",
    "cy": "Welsh", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian",
    "fa": "Persian", "fi": "Finnish", "fr": "French", "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi",
    "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "kn": "Kannada",
    "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "mk": "Macedonian", "ml": "Malayalam", "mr": "Marathi",
    "ne": "Nepali", "nl": "Dutch", "no": "Norwegian", "pa": "Punjabi", "pl": "Polish", "pt": "Portuguese",
    "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "so": "Somali", "sq": "Albanian",
    "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tl": "Tagalog", "tr": "Turkish",
    "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh-cn": "Chinese (simplified)",
    "zh-tw": "Chinese (traditional)",
}  # fmt: skip


def main() -> None:
    if version("langdetect") != "1.0.9":
        raise SystemExit("This data set is defined by langdetect 1.0.9.")
    counts = {}
    for code in NAMES:
        profile = json.loads((files("langdetect") / "profiles" / code).read_text(encoding="utf-8"))
        counts[code] = {gram: count for gram, count in profile["freq"].items() if len(gram) == 2}
    bigrams = sorted(set().union(*counts.values()))
    column = {bigram: i for i, bigram in enumerate(bigrams)}
    rows = [sorted((column[bigram], count) for bigram, count in counts[code].items()) for code in NAMES]
    indices, data = zip(*(entry for row in rows for entry in row), strict=True)
    TARGET.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        TARGET,
        data=np.array(data, dtype=np.int32),
        indices=np.array(indices, dtype=np.int32),
        indptr=np.cumsum([0, *map(len, rows)], dtype=np.int32),
        codes=np.array(list(NAMES)),
        names=np.array(list(NAMES.values())),
        bigrams=np.array(bigrams),
    )
    print(f"{TARGET}: {len(rows)} languages, {len(bigrams)} bigrams, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
