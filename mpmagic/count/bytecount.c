/* Counts one byte value in memory, and in files.

   Compiled when mpmagic is installed, where there is a C compiler; `native.py` loads it, and numpy
   does the same where it isn't there, in two passes instead of one. */

#define _FILE_OFFSET_BITS 64

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

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

/* Reads a stretch of a file, and counts in each block while it is in the core's own cache.

   `found` takes the count of each block. Gives how many bytes were read: fewer than `size` where the
   file ends, or can't be read, which the caller meets again when it goes on from there. */
int64_t mpmagic_count_file(int descriptor, int64_t offset, int64_t size, uint8_t *room,
                           size_t block, uint8_t wanted, int64_t *found)
{
    int64_t done = 0;
    while (done < size) {
        const size_t goal = size - done < (int64_t)block ? (size_t)(size - done) : block;
        size_t filled = 0;
        while (filled < goal) {
            const ssize_t got =
                pread(descriptor, room + filled, goal - filled, offset + done + (int64_t)filled);
            if (got <= 0)
                break;
            filled += (size_t)got;
        }
        *found++ = (int64_t)mpmagic_count_byte(room, filled, wanted);
        done += (int64_t)filled;
        if (filled < goal)
            break;
    }
    return done;
}
