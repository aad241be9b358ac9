/* Sends the two matrix products that MLX's CPU backend asks of BLAS to the OpenBLAS inside numpy's wheel.
 *
 * The mlx-cpu wheel links the unblocked reference BLAS. Loaded with RTLD_GLOBAL before mlx.core, the symbols
 * below win the lookup. numpy's build uses 64-bit integers and its own symbol prefix, hence the widening. */
#include <stdint.h>
#ifdef __x86_64__
#include <xmmintrin.h>
#endif

extern void scipy_cblas_sgemm64_(int, int, int, int64_t, int64_t, int64_t, float, const float *, int64_t,
                                 const float *, int64_t, float, float *, int64_t);
extern void scipy_cblas_dgemm64_(int, int, int, int64_t, int64_t, int64_t, double, const double *, int64_t,
                                 const double *, int64_t, double, double *, int64_t);

void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda,
                 const float *b, int ldb, float beta, float *c, int ldc) {
  scipy_cblas_sgemm64_(order, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void cblas_dgemm(int order, int trans_a, int trans_b, int m, int n, int k, double alpha, const double *a, int lda,
                 const double *b, int ldb, double beta, double *c, int ldc) {
  scipy_cblas_dgemm64_(order, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

#ifdef __x86_64__
/* Flush denormals to zero: Adam moments and softmax tails decay into them and slow a training step twofold.
 * Threads started later inherit the setting. Bit 15 is FTZ, bit 6 is DAZ. */
__attribute__((constructor)) static void flush_denormals(void) { _mm_setcsr(_mm_getcsr() | 0x8040); }
#endif
