"""Features of distributions whose squared Euclidean distances are, or nearly are, the sums of a divergence's terms.

The term of squared Hellinger, ½ (√p − √q)², is a squared difference as it stands. That of Jensen-Shannon is a mixture,
with a positive density over the frequencies ω, of

    p + q − 2 √(pq) cos(ω ln(p/q)) = |√p exp(iω ln p) − √q exp(iω ln q)|²

(Fuglede & Topsøe 2004; Vedaldi & Zisserman 2012). A few frequencies with positive weights come so near to it that the
relative error is below a bound for all p and q, zeros included, and therefore for all pairs of distributions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skdiv._utils.typing import FloatArray


@dataclass(frozen=True)
class Spectrum:
    """Frequencies and their weights, which say what features stand for one bin.

    A frequency of 0 gives one feature, √w √p, and any other two, √w √p cos(ω ln p) and √w √p sin(ω ln p).

    Parameters
    ----------
    frequencies, weights : tuple of float
        The frequencies ω and their weights w.
    distortion : float
        The largest relative error of the squared distance, as an approximation of the sum of terms; 0 if it is exact.
    """

    frequencies: tuple[float, ...]
    weights: tuple[float, ...]
    distortion: float

    @property
    def n_features(self) -> int:
        """Return the number of features of one bin."""
        return sum(1 if frequency == 0 else 2 for frequency in self.frequencies)

    def features(self, p: FloatArray) -> list[FloatArray]:
        """Return the features of probabilities, in double precision: one array of the shape of ``p`` for each.

        The features of p = 0 are 0.
        """
        roots = np.sqrt(p, dtype=np.float64)
        logs = np.log(p, out=np.zeros(p.shape), where=p > 0, dtype=np.float64)
        features = []
        for frequency, weight in zip(self.frequencies, self.weights, strict=True):
            weighted = np.sqrt(weight) * roots
            if frequency == 0:
                features.append(weighted)
            else:
                features += [weighted * np.cos(frequency * logs), weighted * np.sin(frequency * logs)]
        return features


HELLINGER = (Spectrum((0.0,), (0.5,), 0.0),)

# Found by tools/js_frequencies.py; tests/test_spectra.py proves the distortions. The last digit of each is rounded up.
JENSEN_SHANNON = (
    Spectrum((0.0,), (0.409383891,), 0.1813),
    Spectrum((0.33247,), (0.333531513,), 0.03801),
    Spectrum((0.0, 0.59122), (0.247895002, 0.10270305), 0.01162),
    Spectrum((0.21935, 0.81912), (0.310416154, 0.034658267), 0.004336),
    Spectrum((0.0, 0.41034, 1.02706), (0.190990353, 0.143052405, 0.013162115), 0.001823),
    Spectrum((0.17701, 0.58842, 1.22022), (0.27903126, 0.061745131, 0.005509597), 0.0008318),
    Spectrum((0.0, 0.338, 0.75738, 1.4013), (0.161860319, 0.155059696, 0.027299664, 0.002493731), 0.0004044),
    Spectrum((0.15395, 0.49558, 0.92284, 1.56063), (0.256194775, 0.076884734, 0.012174703, 0.001241935), 0.0002241),
    Spectrum(
        (0.0, 0.29431, 0.6359, 1.06956, 1.73088),
        (0.14280733, 0.158383477, 0.03852546, 0.006276285, 0.000619447),
        0.0001122,
    ),
)

# Found by least squares of the relative error, weighted until its extremes are nearly equal. It is for differences of
# sums of divergences, which must keep their digits.
FINE_JENSEN_SHANNON = Spectrum(
    (
        0.0480891826683,
        0.140440916349,
        0.226820575123,
        0.321304922871,
        0.428858463255,
        0.544099330925,
        0.665044933835,
        0.792264073342,
        0.926079650879,
        1.06650798274,
        1.21367579461,
        1.36730127277,
        1.52661010027,
        1.6910626739,
        1.86108827993,
        2.03815538422,
        2.2241079234,
        2.42044084554,
        2.62822519299,
        2.84864317095,
        3.08360561107,
        3.33611358444,
        3.61023662446,
        3.91210992856,
        4.25402934803,
        4.6567194254,
        5.15532677766,
        5.9040540403,
    ),
    (
        0.0935908813445,
        0.074474956547,
        0.0575058481474,
        0.0463818735972,
        0.0314570186272,
        0.0189485897458,
        0.0109142955663,
        0.00612895974115,
        0.00336365463259,
        0.00181482301752,
        0.0009640429759,
        0.000503444782341,
        0.000259193223896,
        0.000132400899502,
        6.73891105594e-05,
        3.40798647056e-05,
        1.69676619306e-05,
        8.23690108876e-06,
        3.87656955217e-06,
        1.76388049197e-06,
        7.73106959281e-07,
        3.2384569563e-07,
        1.28011693099e-07,
        4.71491723365e-08,
        1.57548721766e-08,
        4.46488836641e-09,
        9.87295594226e-10,
        1.31098370952e-10,
    ),
    5e-11,
)


def fine_spectrum(spectra: tuple[Spectrum, ...]) -> Spectrum:
    """Return the spectrum of least distortion for a divergence with these spectra."""
    return FINE_JENSEN_SHANNON if spectra == JENSEN_SHANNON else spectra[-1]
