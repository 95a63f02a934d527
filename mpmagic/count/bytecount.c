/* Counts one byte value in memory and in files, and lines that hold a literal or match a pattern.

   Compiled when mpmagic is installed, where there is a C compiler; `native.py` loads it, and numpy
   does the same where it isn't there, in two passes instead of one. */

#define _FILE_OFFSET_BITS 64

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* As many lanes as four vectors of AVX-512 hold: one alone waits for its own sums (measured: 53
   GB/s with one, 105 with four, out of a core's cache). */
#define LANES 256
/* A lane is a byte, and holds at most 255. */
#define STRETCH (255 * LANES)

#if defined(CLONES)
/* The loader takes what the processor has; needs the indirect functions of glibc's loader. */
#define CLONED __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define CLONED
#endif

CLONED
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

/* How many starts are tried at once: two vectors of AVX-512. */
#define STARTS 128

struct literal {
    const uint8_t *bytes;
    size_t length;
    size_t first, second; /* the places of two bytes of it that are rare in texts */
};

/* Where the literal stands from `at` on, and below `stop`; `stop` if it doesn't. */
CLONED
static size_t find(const uint8_t *data, size_t at, size_t stop, const struct literal *wanted)
{
    const uint8_t one = wanted->bytes[wanted->first], two = wanted->bytes[wanted->second];
    uint8_t fits[STARTS];
    while (at < stop) {
        const uint8_t *ones = data + at + wanted->first, *twos = data + at + wanted->second;
        const size_t starts = stop - at < STARTS ? stop - at : STARTS;
        uint64_t any = 0, eight[STARTS / 8];
        if (starts == STARTS) {
            for (size_t k = 0; k < STARTS; k++)
                fits[k] = (uint8_t)((ones[k] == one) & (twos[k] == two));
        } else {
            memset(fits, 0, STARTS);
            for (size_t k = 0; k < starts; k++)
                fits[k] = (uint8_t)((ones[k] == one) & (twos[k] == two));
        }
        memcpy(eight, fits, STARTS);
        for (size_t word = 0; word < STARTS / 8; word++)
            any |= eight[word];
        for (size_t word = 0; any && word < STARTS / 8; word++)
            for (size_t k = 8 * word; eight[word] && k < 8 * word + 8; k++)
                if (fits[k] && memcmp(data + at + k, wanted->bytes, wanted->length) == 0)
                    return at + k;
        at += starts;
    }
    return stop;
}

/* Counts the lines that hold a literal, which has no newline in it, and copies them to `lines`,
   which has room for all, unless it is null. */
size_t mpmagic_lines_with(const uint8_t *data, size_t size, const struct literal *wanted,
                          uint8_t *lines, size_t *written)
{
    size_t found = 0, at = 0;
    const size_t stop = size < wanted->length ? 0 : size - wanted->length + 1;
    for (size_t hit; (hit = find(data, at, stop, wanted)) < stop;) {
        const uint8_t *end = memchr(data + hit, '\n', size - hit);
        const size_t next = end == NULL ? size : (size_t)(end - data) + 1;
        found++;
        if (lines != NULL) {
            size_t start = hit;
            while (start > at && data[start - 1] != '\n')
                start--;
            memcpy(lines + *written, data + start, next - start);
            *written += next - start;
        }
        at = next;
        if (at >= stop)
            break;
    }
    return found;
}

/* Whether all is ASCII without carriage returns: then bytes and text are the same, line by line. */
CLONED
int mpmagic_is_plain(const uint8_t *data, size_t size)
{
    while (size > 0) {
        const size_t stretch = size < STRETCH ? size : STRETCH;
        uint8_t strange = 0;
        for (size_t at = 0; at < stretch; at++)
            strange |= (uint8_t)((data[at] & 0x80) | (data[at] == '\r'));
        if (strange)
            return 0;
        data += stretch;
        size -= stretch;
    }
    return 1;
}

/* `pcre2_match_8` of PCRE2, which isn't linked but handed in. */
typedef int (*matcher)(const void *code, const uint8_t *subject, size_t length, size_t start,
                       uint32_t options, void *match, void *context);

/* Counts the lines that match, one match a line. `bounds` is where `match` holds the match's. What
   PCRE2 says if it gives up is left in `failure`. */
size_t mpmagic_matching_lines(matcher run, const void *code, void *match, const size_t *bounds,
                              const uint8_t *data, size_t size, int *failure)
{
    const int no_match = -1;
    size_t found = 0, at = 0;
    while (at < size) {
        const int said = run(code, data, size, at, 0, match, NULL);
        if (said < 0) {
            *failure = said == no_match ? 0 : said;
            break;
        }
        found++;
        const uint8_t *end = memchr(data + bounds[0], '\n', size - bounds[0]);
        at = end == NULL ? size : (size_t)(end - data) + 1;
    }
    return found;
}
