/* How late this machine wakes a program: the noise beneath schedule_bench.py.
 *
 * usage: ticker TICK_US SECONDS BUSY_US
 *
 * Wakes every TICK_US by an absolute schedule, spins for BUSY_US, and counts by milliseconds how much later than its due
 * moment plus BUSY_US each tick was done. Prints "lateness" and the 64 counts; the last: or more.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BINS 64

static int64_t microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s TICK_US SECONDS BUSY_US\n", argv[0]);
        return 2;
    }
    int64_t tick = atoll(argv[1]), busy = atoll(argv[3]), start = microseconds();
    int64_t ticks = (int64_t)(atof(argv[2]) * 1e6) / tick;
    uint64_t counts[BINS] = {0};
    for (int64_t t = 1; t <= ticks; t++) {
        int64_t due = start + t * tick;
        struct timespec until = {due / 1000000, due % 1000000 * 1000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        for (int64_t begun = microseconds(); busy && microseconds() - begun < busy;)
            ;
        int64_t late = (microseconds() - due - busy) / 1000;
        counts[late < 0 ? 0 : late >= BINS ? BINS - 1 : late]++;
    }
    printf("lateness");
    for (int i = 0; i < BINS; i++)
        printf(" %llu", (unsigned long long)counts[i]);
    printf("\n");
    return 0;
}
