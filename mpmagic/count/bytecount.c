/* Counts one byte value in memory.

   Compiled when mpmagic is installed, where there is a C compiler; `native.py` loads it, and numpy
   does the same where it isn't there, in two passes instead of one. */

#include <stddef.h>
#include <stdint.h>

/* As many lanes as four vectors of AVX-512 hold: one alone waits for its own sums (measured: 53
   GB/s with one, 105 with four, out of a core's cache). */
#define LANES 256
/* A lane is a byte, and holds at most 255. */
#define STRETCH (255 * LANES)

#if defined(CLONES)
/* The loader takes what the processor has; needs the indirect functions of glibc's loader. */
__attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#endif
size_t mpmagic_count_byte(const uint8_t *data, size_t size, uint8_t wanted)
{
    size_t found = 0;
    while (size > 0) {
        const size_t stretch = size < STRETCH ? size : STRETCH;
        uint8_t lanes[LANES] = {0};
        size_t at = 0;
        for (; at + LANES <= stretch; at += LANES)
            for (size_t lane = 0; lane < LANES; lane++)
                lanes[lane] += data[at + lane] == wanted;
        for (; at < stretch; at++)
            found += data[at] == wanted;
        for (size_t lane = 0; lane < LANES; lane++)
            found += lanes[lane];
        data += stretch;
        size -= stretch;
    }
    return found;
}
