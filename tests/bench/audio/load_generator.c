/* The load of the media benchmarks: RTP streams in real time, each from an address of its own.
 *
 * usage: load_generator FIRST_PORT SECONDS WARM_SECONDS PAYLOADS STAMP < streams
 *
 * Reads a line "PORT SET" for each stream: where it sends to on 127.0.0.1, and what (a set of PAYLOADS; -1: nothing).
 * Stream i is 127.1.0.1 + i / 20, port FIRST_PORT + i % 20: one socket is a whole group of streams, whose packets go
 * out in one call with their source addresses beside them (ip(7), IP_PKTINFO). The 20 groups are a millisecond apart.
 *
 * PAYLOADS holds sets one after the other: payload type, timestamp step and number of payloads as 32-bit words of this
 * machine, then each payload behind its length of 16 bits. Packet r of stream i has sequence number r, SSRC 0x10000000 +
 * i * 7919 and payload (r + 37 * i) modulo the number of payloads.
 *
 * Says "begin" after WARM_SECONDS and "end sent N received M cpu_us C lag_us L" SECONDS later, both for what lies
 * between (C: its own CPU time, L: how late a group went out at worst); then "total sent N received M flat F" from the
 * very start (F: packets with 16 equal octets in a row, which are no audio). With STAMP 1 payloads begin with the time
 * they were sent at, and "delay_us median A p999 B max C" tells how much later the kernel had them back.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_STREAMS 10000
#define MAX_SETS 4096
#define GROUPS 20
#define BATCH 64
#define SLOT 1500
#define HEADER 12
#define BINS 20000 /* of 10 us */

struct set {
    uint32_t type, step, count;
    unsigned char **payloads;
    uint16_t *lengths;
};

struct control {
    struct cmsghdr header;
    struct in_pktinfo info;
};

static struct set sets[MAX_SETS];
static int destination[MAX_STREAMS], set_of[MAX_STREAMS], streams;
static int fds[GROUPS], stamping;
static uint64_t sent, received, flat, delays[BINS + 1];

static unsigned char out_data[BATCH][SLOT], in_data[BATCH][SLOT], in_control[BATCH][64];
static struct mmsghdr out[BATCH], in[BATCH];
static struct iovec out_iov[BATCH], in_iov[BATCH];
static struct sockaddr_in out_names[BATCH];
static struct control out_control[BATCH];

static int64_t nanoseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t cpu_microseconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void read_payloads(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail(path);
    for (int s = 0; s < MAX_SETS && fread(&sets[s], sizeof(uint32_t), 3, file) == 3; s++) {
        struct set *set = &sets[s];
        set->payloads = calloc(set->count, sizeof *set->payloads);
        set->lengths = calloc(set->count, sizeof *set->lengths);
        for (uint32_t p = 0; p < set->count; p++) {
            if (fread(&set->lengths[p], 2, 1, file) != 1 || set->lengths[p] > SLOT - HEADER)
                fail("a payload's length");
            set->payloads[p] = malloc(set->lengths[p]);
            if (fread(set->payloads[p], 1, set->lengths[p], file) != set->lengths[p])
                fail("a payload");
        }
    }
    fclose(file);
}

static void open_sockets(int first)
{
    for (int g = 0; g < GROUPS; g++) {
        struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(first + g))};
        int buffer = 16 << 20, one = 1;
        fds[g] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (setsockopt(fds[g], SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) < 0)
            setsockopt(fds[g], SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
        if (stamping && setsockopt(fds[g], SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one) < 0)
            fail("SO_TIMESTAMPNS");
        if (bind(fds[g], (struct sockaddr *)&name, sizeof name) < 0)
            fail("bind");
    }
    for (int i = 0; i < BATCH; i++) {
        struct control *control = &out_control[i];
        *control = (struct control){.header = {CMSG_LEN(sizeof control->info), IPPROTO_IP, IP_PKTINFO}};
        out_names[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        out_iov[i].iov_base = out_data[i];
        out[i].msg_hdr = (struct msghdr){.msg_name = &out_names[i], .msg_namelen = sizeof out_names[i],
                                         .msg_iov = &out_iov[i], .msg_iovlen = 1, .msg_control = control,
                                         .msg_controllen = sizeof *control};
        in_iov[i] = (struct iovec){in_data[i], SLOT};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &in_iov[i], .msg_iovlen = 1};
    }
}

static int prepare(int slot, int stream, uint32_t round)
{
    const struct set *set = &sets[set_of[stream]];
    uint32_t which = (round + (uint32_t)stream * 37) % set->count;
    uint32_t words[3] = {htonl(0x80000000u | set->type << 16 | (round & 0xFFFF)), htonl(round * set->step),
                         htonl(0x10000000u + (uint32_t)stream * 7919u)};
    unsigned char *packet = out_data[slot];
    memcpy(packet, words, HEADER);
    memcpy(packet + HEADER, set->payloads[which], set->lengths[which]);
    out_iov[slot].iov_len = HEADER + set->lengths[which];
    out_names[slot].sin_port = htons((uint16_t)destination[stream]);
    out_control[slot].info.ipi_spec_dst.s_addr = htonl(0x7F010001u + (uint32_t)(stream / GROUPS));
    return slot + 1;
}

static void send_batch(int group, int count)
{
    if (stamping) {
        int64_t now = nanoseconds(CLOCK_REALTIME);
        for (int i = 0; i < count; i++)
            memcpy(out_data[i] + HEADER, &now, sizeof now);
    }
    for (int done = 0; done < count;) {
        int got = sendmmsg(fds[group], out + done, (unsigned)(count - done), 0);
        if (got <= 0)
            break; /* what is not sent is not counted */
        done += got;
        sent += (uint64_t)got;
    }
}

static void came(const struct mmsghdr *message, const unsigned char *packet)
{
    if (message->msg_len <= HEADER || packet[0] >> 6 != 2)
        return;
    received++;
    if (message->msg_len >= HEADER + 24 && !memcmp(packet + HEADER + 8, packet + HEADER + 9, 15))
        flat++;
    if (!stamping)
        return;
    struct cmsghdr *control = CMSG_FIRSTHDR(&message->msg_hdr);
    if (!control || control->cmsg_type != SO_TIMESTAMPNS)
        return;
    struct timespec at;
    int64_t then;
    memcpy(&at, CMSG_DATA(control), sizeof at);
    memcpy(&then, packet + HEADER, sizeof then);
    int64_t bin = ((int64_t)at.tv_sec * 1000000000 + at.tv_nsec - then) / 10000;
    delays[bin < 0 ? 0 : bin > BINS ? BINS : bin]++;
}

static void drain(void)
{
    for (int g = 0; g < GROUPS; g++) {
        int got;
        do {
            for (int i = 0; i < BATCH && stamping; i++) {
                in[i].msg_hdr.msg_control = in_control[i];
                in[i].msg_hdr.msg_controllen = sizeof in_control[i];
            }
            got = recvmmsg(fds[g], in, BATCH, MSG_DONTWAIT, NULL);
            for (int i = 0; i < got; i++)
                came(&in[i], in_data[i]);
        } while (got == BATCH);
    }
}

static double delay(double part)
{
    uint64_t all = 0, at = 0;
    for (int i = 0; i <= BINS; i++)
        all += delays[i];
    for (int i = 0; i <= BINS; i++)
        if ((at += delays[i]) >= (uint64_t)((double)all * part) && at)
            return i * 10.0 + 5.0;
    return -1.0;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: %s FIRST_PORT SECONDS WARM_SECONDS PAYLOADS STAMP < streams\n", argv[0]);
        return 2;
    }
    stamping = atoi(argv[5]);
    read_payloads(argv[4]);
    open_sockets(atoi(argv[1]));
    while (streams < MAX_STREAMS && scanf("%d %d", &destination[streams], &set_of[streams]) == 2)
        if (set_of[streams++] >= MAX_SETS || (set_of[streams - 1] >= 0 && !sets[set_of[streams - 1]].count)) {
            fprintf(stderr, "stream %d: there is no set %d\n", streams - 1, set_of[streams - 1]);
            return 2;
        }
    int64_t warm = (int64_t)(atof(argv[3]) * 1000), steps = warm + (int64_t)(atof(argv[2]) * 1000);
    int64_t start = nanoseconds(CLOCK_MONOTONIC), lag = 0, cpu = 0;
    uint64_t sent_before = 0, received_before = 0;
    for (int64_t step = 0; step < steps; step++) {
        int64_t due = start + step * 1000000, late = nanoseconds(CLOCK_MONOTONIC) - due;
        struct timespec until = {due / 1000000000, due % 1000000000};
        if (late < 0)
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        else if (late > lag)
            lag = late;
        if (step == warm) {
            puts("begin");
            fflush(stdout);
            sent_before = sent, received_before = received, lag = 0, cpu = cpu_microseconds();
            memset(delays, 0, sizeof delays);
        }
        int group = (int)(step % GROUPS), slot = 0;
        for (int i = group; i < streams; i += GROUPS) {
            if (set_of[i] >= 0)
                slot = prepare(slot, i, (uint32_t)(step / GROUPS));
            if (slot == (stamping ? BATCH / 4 : BATCH)) {
                send_batch(group, slot);
                slot = 0;
            }
        }
        if (slot)
            send_batch(group, slot);
        drain();
    }
    printf("end sent %llu received %llu cpu_us %lld lag_us %lld\n", (unsigned long long)(sent - sent_before),
           (unsigned long long)(received - received_before), (long long)(cpu_microseconds() - cpu),
           (long long)(lag / 1000));
    fflush(stdout);
    usleep(100000);
    drain();
    printf("total sent %llu received %llu flat %llu\n", (unsigned long long)sent, (unsigned long long)received,
           (unsigned long long)flat);
    if (stamping)
        printf("delay_us median %.0f p999 %.0f max %.0f\n", delay(0.5), delay(0.999), delay(1.0));
    return 0;
}
