"""What every generated C file begins with."""

PRELUDE = r"""#include <math.h>
#include <stdlib.h>
#include <time.h>
#if THREADS > 1
#include <omp.h>
#define BARRIER _Pragma("omp barrier")
#else
#define BARRIER
#endif
#define KERNEL static __attribute__((noinline)) void  // inlined, a kernel would lose what restrict says
#ifdef __clang__  // a list of calls has nothing to be optimized, which would take longer than linear in their number
#define CALLS static __attribute__((optnone, noinline)) void
#else
#define CALLS static __attribute__((optimize("O0"))) void
#endif
#define MARK(i) if (times) { BARRIER if (!t) times[i] = seconds(); }

// The vector versions of glibc's functions; declaring them so, and not -ffast-math, keeps NaN, infinity and denormals as they are.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__OPTIMIZE__)
#define VECTOR __attribute__((simd("notinbranch")))
VECTOR float logf(float);
VECTOR float sinf(float);
VECTOR float cosf(float);
VECTOR float powf(float, float);
VECTOR double exp(double);
VECTOR double log(double);
#if __GLIBC_PREREQ(2, 35)
VECTOR float tanhf(float);
VECTOR float erfcf(float);
VECTOR float expm1f(float);
VECTOR float log1pf(float);
VECTOR float log2f(float);
VECTOR float log10f(float);
VECTOR float tanf(float);
VECTOR float atanf(float);
VECTOR double tanh(double);
VECTOR double erfc(double);
#endif
#endif

// e^x to 0.9 units in the last place, as 2^k e^r with r in [-ln 2 / 2, ln 2 / 2] and the Taylor series of e^r. glibc's vector version
// goes element by element where one is infinite, as masked scores are. 2^k is made in two halves, so that it may be denormal.
typedef union { unsigned bits; float value; } word;
static inline float exponentialf(float x) {
    const float z = x > 89.0f ? 89.0f : x < -104.0f ? -104.0f : x;
    const float n = rintf(z * 1.44269504f);
    const float r = (z - n * 0.693145752f) - n * 1.42860677e-6f;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const int k = (int)n, half = k / 2;
    const word a = {(unsigned)(half + 127) << 23}, b = {(unsigned)(k - half + 127) << 23};
    return p * a.value * b.value;
}
static inline double exponential(double x) { return exp(x); }

static inline float logisticf(float x) {
    const float e = exponentialf(-fabsf(x));
    return (x < 0 ? e : 1.0f) / (1.0f + e);
}
static inline double logistic(double x) {
    const double e = exp(-fabs(x));
    return (x < 0 ? e : 1.0) / (1.0 + e);
}
static inline float normal_cdff(float x) { return 0.5f * erfcf(x * -0.70710678118654752f); }
static inline double normal_cdf(double x) { return 0.5 * erfc(x * -0.70710678118654752); }
// Written in two steps: as one expression, gcc makes branches of a chain of them.
static inline float maximumf(float x, float y) { const float m = x > y ? x : y; return x != x ? x : m; }
static inline float minimumf(float x, float y) { const float m = x < y ? x : y; return x != x ? x : m; }
static inline double maximum(double x, double y) { const double m = x > y ? x : y; return x != x ? x : m; }
static inline double minimum(double x, double y) { const double m = x < y ? x : y; return x != x ? x : m; }
static inline float signf(float x) { return x != x ? x : (float)((x > 0) - (x < 0)); }
static inline double sign(double x) { return x != x ? x : (double)((x > 0) - (x < 0)); }

static inline double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// Where the share of thread t in n begins; parts keeps the threads off one another's cache lines.
static inline long part(long n, int t) { return n * t / THREADS; }
static inline long parts(long n, int t, long step) {
    const long start = (n * t / THREADS + step - 1) / step * step;
    return start < n ? start : n;
}

// Memory of a thread's own, kept from call to call.
static struct { void *start; unsigned long size; } own[THREADS];
static inline void *scratch(int t, unsigned long size) {
    if (own[t].size < size) {
        free(own[t].start);
        own[t].start = aligned_alloc(64, (size + 63) / 64 * 64);
        if (!own[t].start) abort();
        own[t].size = size;
    }
    return own[t].start;
}

// Matrix products, by rows: c (m, n) = a (m, k) b (k, n), each matrix by rows or, transposed, by columns. BLAS counts by columns.
typedef void gemm_s(const char *, const char *, const int *, const int *, const int *, const float *, const float *, const int *,
                    const float *, const int *, const float *, float *, const int *);
typedef void gemm_d(const char *, const char *, const int *, const int *, const int *, const double *, const double *, const int *,
                    const double *, const int *, const double *, double *, const int *);
static gemm_s *sgemm;
static gemm_d *dgemm;
void blas(void *s, void *d) { sgemm = (gemm_s *)s; dgemm = (gemm_d *)d; }

// OpenBLAS does products of up to a million multiplications without copying their factors first: somewhat larger ones are cut.
#define SMALL 1000000L
static inline void gemm_of_floats(int ta, int tb, int m, int n, int k, const float *a, int lda, const float *b, int ldb, float beta,
                                  float *c, int ldc) {
    const float one = 1;
    const long volume = (long)m * n * k, pieces = (volume + SMALL - 1) / SMALL;
    if (pieces > 1 && pieces <= 4 && n >= 16 * pieces) {
        for (long i = 0; i < pieces; i++) {
            const long lo = n * i / pieces / 16 * 16, hi = i + 1 < pieces ? n * (i + 1) / pieces / 16 * 16 : n;
            const int width = (int)(hi - lo);
            sgemm(tb ? "T" : "N", ta ? "T" : "N", &width, &m, &k, &one, b + (tb ? lo * ldb : lo), &ldb, a, &lda, &beta, c + lo, &ldc);
        }
        return;
    }
    sgemm(tb ? "T" : "N", ta ? "T" : "N", &n, &m, &k, &one, b, &ldb, a, &lda, &beta, c, &ldc);
}
static inline void gemm_of_doubles(int ta, int tb, int m, int n, int k, const double *a, int lda, const double *b, int ldb, double beta,
                                   double *c, int ldc) {
    const double one = 1;
    dgemm(tb ? "T" : "N", ta ? "T" : "N", &n, &m, &k, &one, b, &ldb, a, &lda, &beta, c, &ldc);
}
#define product_s(ta, tb, m, n, k, a, lda, b, ldb, c, ldc) gemm_of_floats(ta, tb, m, n, k, a, lda, b, ldb, 0, c, ldc)
#define product_d(ta, tb, m, n, k, a, lda, b, ldb, c, ldc) gemm_of_doubles(ta, tb, m, n, k, a, lda, b, ldb, 0, c, ldc)
#define accumulate_s(ta, tb, m, n, k, a, lda, b, ldb, c, ldc) gemm_of_floats(ta, tb, m, n, k, a, lda, b, ldb, 1, c, ldc)
#define accumulate_d(ta, tb, m, n, k, a, lda, b, ldb, c, ldc) gemm_of_doubles(ta, tb, m, n, k, a, lda, b, ldb, 1, c, ldc)
"""
