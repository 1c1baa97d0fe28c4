/* Lengths that 8-bit gallery images leave of 8-bit probe cells, on AVX-512 VNNI; built by `python -m reid.fpr.vnni`.

   A cell is U s + t z with z in 8 bits. Of an image, the basis' first 2 K rows are r_k, the products of Q'
   with its part along U, as a high and a low row each; the others are q_m; T is triangular. Every row has a scale:
   length^2 = whole - t^2 (sum_m (scale q_m'z)^2 + sum_k s_k/t (scale r_k'z) + ||T s/t||^2). */
#include <immintrin.h>
#include <stdint.h>

#define ROWS 5   /* rows and (70 and 110 cells are multiples of it) */
#define LANES 4  /* vectors of 16 cells whose sums stay in registers: 20 of 32 */
#define AHEAD 32 /* cache lines fetched before they are used: with many channels a panel is larger than L1 */
#define UNROLLED _Pragma("GCC unroll 8") /* otherwise the sums lie in memory */
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vnni")))

/* Scaled products of some rows with 64 cells. */
static TARGET inline __attribute__((always_inline)) void products_of(
    int rows, const int8_t *basis, const int32_t *offsets, const float *scales, const uint8_t *cells,
    int channels, __m512 products[ROWS][LANES])
{
    __m512i sums[ROWS][LANES];
    UNROLLED for (int m = 0; m < rows; m++)
        UNROLLED for (int l = 0; l < LANES; l++) sums[m][l] = _mm512_set1_epi32(offsets[m]);
    const int8_t *end = basis + channels;
    for (; basis < end; basis += 4, cells += LANES * 64) {
        __m512i z[LANES];
        UNROLLED for (int l = 0; l < LANES; l++) {
            z[l] = _mm512_loadu_si512(cells + l * 64);
            _mm_prefetch((const char *)cells + (l + AHEAD) * 64, _MM_HINT_T0);
        }
        UNROLLED for (int m = 0; m < rows; m++) {
            __m512i q = _mm512_set1_epi32(*(const int32_t *)(basis + (long)m * channels));
            UNROLLED for (int l = 0; l < LANES; l++) /* not the intrinsic: gcc 12 copies every sum through memory */
                __asm__("vpdpbusd %2, %1, %0" : "+v"(sums[m][l]) : "v"(z[l]), "v"(q));
        }
    }
    UNROLLED for (int m = 0; m < rows; m++)
        UNROLLED for (int l = 0; l < LANES; l++)
            products[m][l] = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[m][l]), _mm512_set1_ps(scales[m]));
}

static TARGET inline __attribute__((always_inline)) void add_squares(
    int rows, const int8_t *basis, const int32_t *offsets, const float *scales, const uint8_t *cells,
    int channels, __m512 *total)
{
    __m512 products[ROWS][LANES];
    products_of(rows, basis, offsets, scales, cells, channels, products);
    UNROLLED for (int m = 0; m < rows; m++)
        UNROLLED for (int l = 0; l < LANES; l++)
            total[l] = _mm512_fmadd_ps(products[m][l], products[m][l], total[l]);
}

/* The high and the low row of one direction, then its row of T. */
static TARGET inline __attribute__((always_inline)) void add_direction(
    const int8_t *basis, const int32_t *offsets, const float *scales, const uint8_t *cells, const float *parts,
    const float *triangle, int channels, int k, int directions, __m512 *total)
{
    __m512 products[ROWS][LANES], along[LANES];
    products_of(2, basis, offsets, scales, cells, channels, products);
    UNROLLED for (int l = 0; l < LANES; l++) {
        __m512 s = _mm512_loadu_ps(parts + (k * LANES + l) * 16);
        total[l] = _mm512_fmadd_ps(s, _mm512_add_ps(products[0][l], products[1][l]), total[l]);
        along[l] = _mm512_setzero_ps();
    }
    for (int j = k; j < directions; j++)
        UNROLLED for (int l = 0; l < LANES; l++)
            along[l] = _mm512_fmadd_ps(_mm512_set1_ps(triangle[j]), _mm512_loadu_ps(parts + (j * LANES + l) * 16),
                                       along[l]);
    UNROLLED for (int l = 0; l < LANES; l++) total[l] = _mm512_fmadd_ps(along[l], along[l], total[l]);
}

/* basis (B, 2 K + M, C), offsets the same without C: -128 times each row's sum, scales likewise,
   triangle (B, K, K); per panel of 64 cells: cells (C / 4, 64, 4) of z + 128, parts (K, 64) of s / t, whole (64),
   squares (64) of t^2; lengths (B, panels * 64). C is a multiple of 4. */
TARGET void fpr_lengths(const int8_t *basis, const int32_t *offsets, const float *scales, const float *triangle,
                        const uint8_t *cells, const float *parts, const float *whole, const float *squares,
                        float *lengths, int images, int rows, int channels, int directions, int panels)
{
    for (int b = 0; b < images; b++, basis += rows * channels, offsets += rows, scales += rows,
             triangle += directions * directions)
        for (int p = 0; p < panels; p++) {
            const uint8_t *z = cells + (long)p * 64 * channels;
            const float *s = parts + (long)p * 64 * directions;
            __m512 total[LANES] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                                   _mm512_setzero_ps()};
            int m = 0;
            for (int k = 0; k < directions; k++, m += 2)
                add_direction(basis + m * channels, offsets + m, scales + m, z, s, triangle + k * directions,
                              channels, k, directions, total);
            for (; m + ROWS <= rows; m += ROWS)
                add_squares(ROWS, basis + m * channels, offsets + m, scales + m, z, channels, total);
            for (; m < rows; m++)
                add_squares(1, basis + m * channels, offsets + m, scales + m, z, channels, total);
            for (int l = 0; l < LANES; l++) {
                int at = p * 64 + l * 16;
                __m512 left = _mm512_fnmadd_ps(total[l], _mm512_loadu_ps(squares + at), _mm512_loadu_ps(whole + at));
                _mm512_storeu_ps(lengths + (long)b * panels * 64 + at,
                                 _mm512_sqrt_ps(_mm512_max_ps(left, _mm512_setzero_ps())));
            }
        }
}
