/* How late this machine wakes a program: the noise beneath schedule_bench.py.
 *
 * usage: ticker TICK_US SECONDS BUSY_US
 *
 * Wakes every TICK_US by an absolute schedule, does work that takes BUSY_US, and counts by milliseconds how much later
 * than its due moment plus BUSY_US each tick was done. How much work that is, is measured for a second at the start: on a
 * machine whose speed changes, the same work takes longer a moment later, as it does for everybody. Prints "lateness" and
 * the 64 counts, the last: or more; then "busy" and the thousandths of the core that it has used.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BINS 64
#define TABLE 65536 /* words: a quarter of a megabyte, as a mixer's working set */
#define STEPS 256   /* of work between looks at the clock */

static uint32_t table[TABLE];
static uint32_t at = 1;

static int64_t microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t cpu(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

/* Arithmetic and memory by turns. */
static void work(int64_t rounds)
{
    for (int64_t round = 0; round < rounds; round++)
        for (int step = 0; step < STEPS; step++) {
            at = at * 1664525u + 1013904223u;
            table[at >> 16] += at;
        }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s TICK_US SECONDS BUSY_US\n", argv[0]);
        return 2;
    }
    int64_t tick = atoll(argv[1]), busy = atoll(argv[3]), rounds = 0;
    if (busy) {
        int64_t begun = microseconds();
        while (microseconds() - begun < 1000000) {
            work(10);
            rounds += 10;
        }
        rounds = rounds * busy / 1000000;
    }
    int64_t used = cpu(), start = microseconds();
    int64_t ticks = (int64_t)(atof(argv[2]) * 1e6) / tick;
    uint64_t counts[BINS] = {0};
    for (int64_t t = 1; t <= ticks; t++) {
        int64_t due = start + t * tick;
        struct timespec until = {due / 1000000, due % 1000000 * 1000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        work(rounds);
        int64_t late = (microseconds() - due - busy) / 1000;
        counts[late < 0 ? 0 : late >= BINS ? BINS - 1 : late]++;
    }
    printf("lateness");
    for (int i = 0; i < BINS; i++)
        printf(" %llu", (unsigned long long)counts[i]);
    printf("\nbusy %lld\n", (long long)((cpu() - used) * 1000 / (microseconds() - start)));
    return 0;
}
