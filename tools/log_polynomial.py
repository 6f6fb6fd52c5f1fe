"""Print the polynomials by which the compiled kernel takes logarithms.

    python tools/log_polynomial.py

log2(1.5 + f) − log2(1.5), for f from −0.5 to 0.5, interpolated at Chebyshev's nodes in 50 digits: as many terms as
bring the error near the rounding of the sums that the logarithm enters.
"""

import mpmath

TERMS = {"double": 16, "single": 8}


def log2(f: mpmath.mpf) -> mpmath.mpf:
    return mpmath.log(1 + f / 1.5, 2)


def coefficients(n_terms: int) -> list[mpmath.mpf]:
    """Of f, f², …; the constant, which is near 0, is left out."""
    nodes = [mpmath.cos(mpmath.pi * (k + 0.5) / (n_terms + 1)) / 2 for k in range(n_terms + 1)]
    powers = mpmath.matrix([[node**k for k in range(n_terms + 1)] for node in nodes])
    return list(mpmath.lu_solve(powers, mpmath.matrix([log2(node) for node in nodes])))[1:]


def main() -> None:
    mpmath.mp.dps = 50
    for precision, n_terms in TERMS.items():
        terms = [mpmath.mpf(float(term)) for term in coefficients(n_terms)]
        grid = [mpmath.mpf(k) / 1000 - 0.5 for k in range(1001)]
        errors = [sum(term * f ** (k + 1) for k, term in enumerate(terms)) - log2(f) for f in grid]
        print(f"{precision}: error {mpmath.nstr((max(errors) - min(errors)) / 2, 2)} about its mean")
        for term in terms:
            print(f"    {float(term)!r},")


if __name__ == "__main__":
    main()
