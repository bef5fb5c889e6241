/* What the generated kernels compute with: vectors of 32-bit numbers, a lane for each instance.
 *
 * F float, I int32, U uint32; masks are I, -1 where true. int8 to uint16 live in I, wrapped after
 * each operation. Rounding, NaN, infinities, signed zeros and out-of-range operands are as XLA
 * defines them. */

#include <math.h>
#include <stdint.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float F __attribute__((vector_size(4 * LANES)));
typedef int32_t I __attribute__((vector_size(4 * LANES)));
typedef uint32_t U __attribute__((vector_size(4 * LANES)));
typedef double D __attribute__((vector_size(4 * LANES))); /* half of the lanes */
typedef float H __attribute__((vector_size(2 * LANES)));  /* half of the lanes */

#define INLINE static inline __attribute__((always_inline))
#define FOR_LANES for (int lane = 0; lane < LANES; lane++)

#define FLOAT(c) ((c) - (F){0})
#define INT(c) ((c) + (I){0})
#define UINT(c) ((c) + (U){0})

/* As bits, in every type: gcc makes them blends. */
#define SELECT(T, m, a, b) ((T)(((m) & (I)(a)) | (~(m) & (I)(b))))
INLINE F select_F(I m, F a, F b) { return SELECT(F, m, a, b); }
INLINE I select_I(I m, I a, I b) { return SELECT(I, m, a, b); }
INLINE U select_U(I m, U a, U b) { return SELECT(U, m, a, b); }

INLINE int any(I m) {
  uint64_t pairs[LANES / 2], found = 0;
  __builtin_memcpy(pairs, &m, sizeof m);
  for (int i = 0; i < LANES / 2; i++) found |= pairs[i];
  return found != 0;
}

/* Casts */

INLINE I wrap_int8(I x) { return x << 24 >> 24; }
INLINE I wrap_int16(I x) { return x << 16 >> 16; }
INLINE I wrap_uint8(I x) { return x & 0xff; }
INLINE I wrap_uint16(I x) { return x & 0xffff; }

INLINE F float_of_I(I x) { return __builtin_convertvector(x, F); }
INLINE F float_of_U(U x) { return __builtin_convertvector(x, F); }

/* Toward zero; NaN is 0; beyond the range, its end. */
INLINE I int_of_F(F x) {
  I low = x < -0x1p31f, high = x >= 0x1p31f;
  F inside = select_F((x == x) & ~low & ~high, x, (F){0});
  I result = __builtin_convertvector(inside, I);
  return select_I(high, INT(INT32_MAX), select_I(low, INT(INT32_MIN), result));
}
INLINE U uint_of_F(F x) {
  I high = x >= 0x1p32f, upper = (x >= 0x1p31f) & ~high;
  F inside = select_F((x > 0.0f) & ~high, x, (F){0});
  F lowered = select_F(upper, inside - 0x1p31f, inside);
  U result = (U)__builtin_convertvector(lowered, I) + ((U)upper & 0x80000000u);
  return select_U(high, UINT(UINT32_MAX), result);
}
INLINE I clip_I(I x, int32_t low, int32_t high) {
  x = select_I(x < low, INT(low), x);
  return select_I(x > high, INT(high), x);
}

/* Floats */

INLINE F neg_F(F x) { return (F)((U)x ^ 0x80000000u); }
INLINE F abs_F(F x) { return (F)((U)x & 0x7fffffffu); }
INLINE F sign_F(F x) {
  F one = (F)(((U)x & 0x80000000u) | (U)FLOAT(1.0f));
  return select_F((x != x) | (x == 0.0f), x, one);
}
INLINE I is_finite_F(F x) { return ((U)x & 0x7f800000u) != 0x7f800000u; }

/* NaN if either is; +0 is more than -0: equal numbers differ in the sign of zero only. */
INLINE F max_F(F a, F b) {
  F other = (F)((I)b & ((I)a | ~(a == b)));
  return select_F((a > b) | (a != a), a, other);
}
INLINE F min_F(F a, F b) {
  F other = (F)((I)b | ((I)a & (a == b)));
  return select_F((a < b) | (a != a), a, other);
}
/* The same where b is a constant and no NaN. */
INLINE F max_F_positive(F x, F b) { return select_F(x <= b, b, x); }
INLINE F max_F_negative(F x, F b) { return select_F(x < b, b, x); }
INLINE F min_F_positive(F x, F b) { return select_F(x > b, b, x); }
INLINE F min_F_negative(F x, F b) { return select_F(x >= b, b, x); }

#define EACH_1(name, function)                          \
  INLINE F name##_F(F x) {                              \
    F result;                                           \
    FOR_LANES result[lane] = function(x[lane]);         \
    return result;                                      \
  }
#define EACH_2(name, function)                          \
  INLINE F name##_F(F x, F y) {                         \
    F result;                                           \
    FOR_LANES result[lane] = function(x[lane], y[lane]); \
    return result;                                      \
  }
EACH_1(sqrt, sqrtf)
EACH_1(floor, floorf)
EACH_1(ceil, ceilf)
EACH_1(round_half_even, rintf)
EACH_1(round_half_away, roundf)
INLINE F rsqrt_F(F x) { return 1.0f / sqrt_F(x); }

/* The C library's, lane by lane: right, and slow. */
EACH_2(rem, fmodf)
EACH_2(pow, powf)
EACH_2(atan2, atan2f)
EACH_1(cbrt, cbrtf)
EACH_1(tan, tanf)
EACH_1(asin, asinf)
EACH_1(acos, acosf)
EACH_1(atan, atanf)
EACH_1(sinh, sinhf)
EACH_1(cosh, coshf)
EACH_1(tanh, tanhf)
EACH_1(asinh, asinhf)
EACH_1(acosh, acoshf)
EACH_1(atanh, atanhf)
EACH_1(exp, expf)
EACH_1(exp2, exp2f)
EACH_1(expm1, expm1f)
EACH_1(log, logf)
EACH_1(log1p, log1pf)
EACH_1(erf, erff)
EACH_1(erfc, erfcf)

/* Sine and cosine. x = k * pi/2 + r in double precision, |r| <= pi/4, then one of two polynomials.
 *
 * pi/2 is split as in FreeBSD's e_rem_pio2f.c: k < 2^24 times the first part (25 bits) is exact.
 * The coefficients are those of the Taylor series up to r^9 and r^10: their remainders, at most
 * (pi/4)^11 / 11! = 1.8e-9 and (pi/4)^12 / 12! = 1.1e-10, are below half a unit of the last place
 * of sin(r) >= r * 0.9 and cos(r) >= 0.7, and r, the terms and the sums are rounded to float. */
#define TRIG_MAX 0x1p24f

typedef struct { F r; I k; } Angle;

INLINE Angle reduce_half(F x) {
  const double two_over_pi = 0x1.45f306dc9c883p-1;
  const double first = 0x1.921fb50000000p+0, second = 0x1.110b4611a6263p-26;
  const double magic = 0x1.8p52; /* adding and subtracting it rounds to the nearest integer */
  Angle angle;
  H halves[2], rest[2];
  __builtin_memcpy(halves, &x, sizeof x);
  typedef int32_t J __attribute__((vector_size(2 * LANES)));
  J quadrants[2];
  for (int half = 0; half < 2; half++) {
    D wide = __builtin_convertvector(halves[half], D);
    D k = (wide * two_over_pi + magic) - magic;
    D r = (wide - k * first) - k * second;
    rest[half] = __builtin_convertvector(r, H);
    quadrants[half] = __builtin_convertvector(k, J);
  }
  __builtin_memcpy(&angle.r, rest, sizeof angle.r);
  __builtin_memcpy(&angle.k, quadrants, sizeof angle.k);
  return angle;
}

INLINE F sine_part(F r) {
  F s = r * r;
  F p = FLOAT(0x1.71de3ap-19f);
  p = p * s - 0x1.a01a02p-13f;
  p = p * s + 0x1.111112p-7f;
  p = p * s - 0x1.555556p-3f;
  return r + r * s * p;
}
INLINE F cosine_part(F r) {
  F s = r * r;
  F p = FLOAT(-0x1.27e4fcp-22f);
  p = p * s + 0x1.a01a02p-16f;
  p = p * s - 0x1.6c16c2p-10f;
  p = p * s + 0x1.555556p-5f;
  return 1.0f - (s * 0.5f - s * s * p);
}
INLINE F trigonometric(Angle angle, I quadrant) {
  F part = select_F((quadrant & 1) != 0, cosine_part(angle.r), sine_part(angle.r));
  return (F)((I)part ^ ((quadrant & 2) << 30));
}

/* Beyond TRIG_MAX, or not finite: the C library's. */
static __attribute__((noinline)) F large_sine(F x, F otherwise) {
  FOR_LANES if (!(fabsf(x[lane]) <= TRIG_MAX)) otherwise[lane] = sinf(x[lane]);
  return otherwise;
}
static __attribute__((noinline)) F large_cosine(F x, F otherwise) {
  FOR_LANES if (!(fabsf(x[lane]) <= TRIG_MAX)) otherwise[lane] = cosf(x[lane]);
  return otherwise;
}
INLINE F sin_F(F x) {
  I large = ~(abs_F(x) <= TRIG_MAX);
  Angle angle = reduce_half(select_F(large, (F){0}, x));
  F result = trigonometric(angle, angle.k);
  result = select_F(x == 0.0f, x, result); /* the sign of zero */
  return __builtin_expect(any(large), 0) ? large_sine(x, result) : result;
}
INLINE F cos_F(F x) {
  I large = ~(abs_F(x) <= TRIG_MAX);
  Angle angle = reduce_half(select_F(large, (F){0}, x));
  F result = trigonometric(angle, angle.k + 1);
  return __builtin_expect(any(large), 0) ? large_cosine(x, result) : result;
}

/* Integers */

INLINE I abs_I(I x) { return select_I(x < 0, -x, x); }
INLINE I sign_I(I x) { return (x < 0) - (x > 0); }
INLINE U sign_U(U x) { return (U)(x != 0u) & 1u; }
INLINE I max_I(I a, I b) { return select_I(a > b, a, b); }
INLINE I min_I(I a, I b) { return select_I(a < b, a, b); }
INLINE U max_U(U a, U b) { return select_U(a > b, a, b); }
INLINE U min_U(U a, U b) { return select_U(a < b, a, b); }

/* By zero: all bits. The least number by -1: itself. */
INLINE I div_I(I a, I b) {
  I zero = b == 0, over = b == -1;
  I quotient = a / select_I(zero | over, INT(1), b);
  return select_I(zero, INT(-1), select_I(over, -a, quotient));
}
INLINE I rem_I(I a, I b) {
  I zero = b == 0, over = b == -1;
  I rest = a % select_I(zero | over, INT(1), b);
  return select_I(zero, a, select_I(over, INT(0), rest));
}
INLINE U div_U(U a, U b) {
  I zero = b == 0u;
  return select_U(zero, UINT(UINT32_MAX), a / select_U(zero, UINT(1u), b));
}
INLINE U rem_U(U a, U b) {
  I zero = b == 0u;
  return select_U(zero, a, a % select_U(zero, UINT(1u), b));
}

/* By as many bits as there are or more: nothing is left but the sign. */
INLINE U shift_left_U(U a, U b) { return (a << (b & 31)) & (U)(b < 32u); }
INLINE U shift_right_logical_U(U a, U b) { return (a >> (b & 31)) & (U)(b < 32u); }
INLINE U shift_right_arithmetic_U(U a, U b) {
  return (U)((I)a >> (I)select_U(b < 32u, b, UINT(31u)));
}
INLINE I shift_left_I(I a, I b) { return (I)shift_left_U((U)a, (U)b); }
INLINE I shift_right_logical_I(I a, I b) { return (I)shift_right_logical_U((U)a, (U)b); }
INLINE I shift_right_arithmetic_I(I a, I b) { return (I)shift_right_arithmetic_U((U)a, (U)b); }
