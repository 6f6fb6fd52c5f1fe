"""A logarithm that the compiler can vectorise."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numba
from llvmlite import ir
from numba.extending import intrinsic

# For each type: the number of bits, the number of fraction bits, and the coefficients of f, f², … in the polynomial for
# the logarithm (see `log2`), which tools/log_polynomial.py has computed.
_FLOATS: dict[Any, tuple[int, int, list[float]]] = {
    numba.float64: (64, 52, [
        0.961796693925446, -0.32059889797499086, 0.1424883992016248, -0.07124419961413112, 0.037996900772511076,
        -0.02110938889019983, 0.012062650899587152, -0.00703655310318517, 0.0041679037449898135,
        -0.0025006845346370247, 0.0015299746361025735, -0.0009352579421149098, 0.0005134928679240052,
        -0.00031720213417236635, 0.00033916839678272824, -0.00021265579458876327,
    ]),
    numba.float32: (32, 23, [
        0.9617959853848299, -0.3205984711766482, 0.14252592843168116, -0.07126680308992456, 0.037466490279208745,
        -0.020790033199250185, 0.014770571157943693, -0.008665699308321175,
    ]),
}  # fmt: skip


# The largest error of each polynomial about its mean, which cancels; tools/log_polynomial.py prints it.
ERRORS_OF_LOG2 = {"float64": 2.4e-14, "float32": 6e-8}


@intrinsic  # type: ignore[untyped-decorator]
def log2(_: Any, x: Any) -> Any:
    """Return log2(x / 1.5) for x > 0, with an absolute error of 2.4e-14 (in single precision 6e-8).

    For x = 0 the result is finite and means nothing; it is multiplied by 0. The constant −log2(1.5) does no harm,
    because it cancels in g(p, q) − g(p, 0) − g(0, q), as does most of the error of the polynomial where p and q nearly
    agree. There is no division, no branch and no table, so a loop with this function can be vectorised.
    """
    n_bits, fraction_bits, coefficients = _FLOATS[x]
    bias = 2 ** (n_bits - fraction_bits - 2) - 1

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        """Emit LLVM IR that splits x into 2**exponent · mantissa and evaluates a polynomial in f = mantissa − 1.5.

        Since 1 ≤ mantissa < 2, log2(x / 1.5) is exponent + log2(1 + f / 1.5), where the polynomial for the second term
        has no constant term. Horner's scheme adds the exponent in place of the constant.
        """
        # By default LLVM uses only half of a 512-bit register. Processors without such registers ignore the attribute.
        # llvmlite refuses an attribute that it does not know, so `set.add` bypasses its check; should another version
        # not hold the attributes in a set, the default remains.
        with suppress(AttributeError, TypeError):
            set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        value = arguments[0]
        real, integer = value.type, ir.IntType(n_bits)
        multiply_add = builder.module.declare_intrinsic("llvm.fmuladd", [real], ir.FunctionType(real, [real] * 3))
        bits = builder.bitcast(value, integer)
        # The biased exponent is converted to a float without a conversion instruction. In a float from 2**fraction_bits
        # up to twice that, the fraction bits hold the integer by which it exceeds 2**fraction_bits; the exponent is put
        # there. The bits of the float 2**fraction_bits itself are
        bits_of_power = (bias + fraction_bits) << fraction_bits
        exponent = builder.bitcast(
            builder.or_(builder.lshr(bits, integer(fraction_bits)), integer(bits_of_power)), real
        )
        exponent = builder.fsub(exponent, real(2.0**fraction_bits + bias))
        mantissa = builder.or_(builder.and_(bits, integer(2**fraction_bits - 1)), integer(bias << fraction_bits))
        f = builder.fsub(builder.bitcast(mantissa, real), real(1.5))
        result = real(coefficients[-1])
        for addend in [*(real(each) for each in coefficients[-2::-1]), exponent]:
            result = builder.call(multiply_add, [result, f, addend])
        return result

    return x(x), generate
