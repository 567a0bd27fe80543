/* The C reference of relay_bench.py: a relay that batches as media/engine.py does.
 *
 * usage: relay_reference PORTS STREAMS FIRST_SOURCE_PORT TICK_US
 *
 * PORTS shared UDP sockets on 127.0.0.1. Stream i is on socket i % PORTS, its peer is at 127.1.0.1 + i / 20, port
 * FIRST + i % 20 (audio/load_generator.c), and its bridge partner is i ^ 1. Prints "PORT 0" for each stream, as the load
 * reads it, then "ready", then runs until SIGTERM and prints "relayed N cpu_us M".
 *
 * Per tick: epoll_wait for the ready sockets, recvmmsg of each into one buffer, look-up of (socket, source) in a hash
 * table, header checks, counters and jitter, header rewrite (SSRC, sequence, timestamp, payload type), one sendmmsg
 * per outgoing socket straight from the receive buffer, sleep.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 1024
#define SLOT 1600
#define MAX_PORTS 64
#define TABLE 32768 /* power of two, four times the streams */
#define GROUPS 20   /* as the load's: streams that share an address */

struct stream {
    uint64_t key;
    struct sockaddr_in remote;
    int socket, peer;
    uint32_t expect, own_ssrc;
    int heard;
    uint32_t time_shift;
    uint16_t seq_shift, own_seq;
    int64_t top;
    uint64_t received, octets, late, sent, sent_octets;
    int64_t transit;
    double jitter;
    double last;
    uint8_t payload[128];
};

static volatile sig_atomic_t stop;
static void on_signal(int signal) { (void)signal; stop = 1; }

static struct stream *streams;
static int table[TABLE];
static unsigned char data[SLOTS][SLOT];
static struct mmsghdr in[SLOTS], out[MAX_PORTS][SLOTS];
static struct iovec in_iov[SLOTS], out_iov[MAX_PORTS][SLOTS];
static struct sockaddr_in names[SLOTS];
static int came_by[SLOTS];

static unsigned slot_of(uint64_t key) { return (unsigned)((key * 0x9E3779B97F4A7C15ull) >> 49); }

static uint64_t key_of(const struct sockaddr_in *name, int socket)
{
    return (uint64_t)name->sin_addr.s_addr << 32 | (uint64_t)name->sin_port << 16 | (uint64_t)socket;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static struct stream *find(uint64_t key)
{
    for (unsigned at = slot_of(key) & (TABLE - 1); table[at] >= 0; at = (at + 1) & (TABLE - 1))
        if (streams[table[at]].key == key)
            return &streams[table[at]];
    return NULL;
}

/* The header of one packet checked, counted and rewritten; the stream it goes to, NULL: dropped. */
static struct stream *handle(unsigned char *packet, unsigned length, struct stream *from, double now)
{
    uint32_t first, stamp, ssrc;
    memcpy(&first, packet, 4);
    memcpy(&stamp, packet + 4, 4);
    memcpy(&ssrc, packet + 8, 4);
    first = ntohl(first);
    stamp = ntohl(stamp);
    ssrc = ntohl(ssrc);
    if (length < 12 || first >> 30 != 2)
        return NULL;
    struct stream *to = &streams[from->peer];
    uint16_t seq = (uint16_t)first;
    int64_t transit = (int64_t)(now * 8000.0) - stamp;
    if (!from->heard || ssrc != from->expect) {
        if (from->heard && now - from->last < 0.06)
            return NULL;
        from->heard = 1;
        from->expect = ssrc;
        from->top = seq - 1;
        from->transit = transit;
        to->seq_shift = (uint16_t)(to->own_seq + 1 - seq);
        to->time_shift = (uint32_t)(rand() - (int)stamp);
    }
    int16_t ahead = (int16_t)(seq - (uint16_t)from->top);
    if (ahead < -99 || ahead > 3000)
        return NULL;
    if (ahead > 0)
        from->top += ahead;
    else
        from->late++;
    from->received++;
    from->octets += length - 12;
    int32_t drift = (int32_t)(transit - from->transit);
    from->transit = transit;
    from->jitter += ((drift < 0 ? -drift : drift) - from->jitter) / 16.0;
    from->last = now;
    uint8_t type = from->payload[first >> 16 & 127];
    if (type == 255)
        return NULL;
    to->own_seq = (uint16_t)(seq + to->seq_shift);
    first = htonl((first & 0xFF800000u) | (uint32_t)type << 16 | to->own_seq);
    stamp = htonl(stamp + to->time_shift);
    ssrc = htonl(to->own_ssrc);
    memcpy(packet, &first, 4);
    memcpy(packet + 4, &stamp, 4);
    memcpy(packet + 8, &ssrc, 4);
    to->sent++;
    to->sent_octets += length - 12;
    return to;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: %s PORTS STREAMS FIRST_SOURCE_PORT TICK_US\n", argv[0]);
        return 2;
    }
    int ports = atoi(argv[1]), count = atoi(argv[2]), first_source = atoi(argv[3]), tick = atoi(argv[4]);
    if (ports < 1 || ports > MAX_PORTS || count < 2 || count > TABLE / 4) {
        fprintf(stderr, "1-%d ports, 2-%d streams\n", MAX_PORTS, TABLE / 4);
        return 2;
    }
    int fds[MAX_PORTS], local[MAX_PORTS], epoll = epoll_create1(0);
    for (int p = 0; p < ports; p++) {
        struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof name;
        int buffer = 4 << 20;
        fds[p] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        setsockopt(fds[p], SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
        if (fds[p] < 0 || bind(fds[p], (struct sockaddr *)&name, size) < 0) {
            perror("bind");
            return 1;
        }
        getsockname(fds[p], (struct sockaddr *)&name, &size);
        local[p] = ntohs(name.sin_port);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)p};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fds[p], &event);
    }
    streams = calloc((size_t)count, sizeof *streams);
    memset(table, -1, sizeof table);
    for (int i = 0; i < count; i++) {
        struct stream *s = &streams[i];
        s->socket = i % ports;
        s->peer = i ^ 1;
        s->own_ssrc = (uint32_t)rand();
        s->remote.sin_family = AF_INET;
        s->remote.sin_port = htons((uint16_t)(first_source + i % GROUPS));
        s->remote.sin_addr.s_addr = htonl(0x7F010001u + (uint32_t)(i / GROUPS));
        s->key = key_of(&s->remote, s->socket);
        memset(s->payload, 255, sizeof s->payload);
        s->payload[0] = 0;
        s->payload[101] = 101;
        unsigned at = slot_of(s->key) & (TABLE - 1);
        while (table[at] >= 0)
            at = (at + 1) & (TABLE - 1);
        table[at] = i;
        printf("%d 0\n", local[s->socket]);
    }
    printf("ready\n");
    fflush(stdout);
    for (int i = 0; i < SLOTS; i++) {
        in_iov[i] = (struct iovec){data[i], SLOT};
        in[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_iov = &in_iov[i], .msg_iovlen = 1};
        for (int p = 0; p < ports; p++)
            out[p][i].msg_hdr =
                (struct msghdr){.msg_namelen = sizeof names[0], .msg_iov = &out_iov[p][i], .msg_iovlen = 1};
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    uint64_t relayed = 0;
    while (!stop) {
        struct epoll_event ready[MAX_PORTS];
        int n = epoll_wait(epoll, ready, MAX_PORTS, 1000), at = 0, queued[MAX_PORTS] = {0};
        int share = n > 0 && SLOTS / n > 16 ? SLOTS / n : 16;
        for (int e = 0; e < n; e++) {
            int p = (int)ready[e].data.u32, room = share < SLOTS - at ? share : SLOTS - at;
            if (!room)
                break;
            for (int i = at; i < at + room; i++)
                in[i].msg_hdr.msg_namelen = sizeof names[0];
            int got = recvmmsg(fds[p], in + at, (unsigned)room, MSG_DONTWAIT, NULL);
            for (int i = 0; i < got; i++)
                came_by[at++] = p;
        }
        double now = seconds();
        for (int i = 0; i < at; i++) {
            struct stream *from = find(key_of(&names[i], came_by[i]));
            struct stream *to = from ? handle(data[i], in[i].msg_len, from, now) : NULL;
            if (!to)
                continue;
            int q = queued[to->socket]++;
            out[to->socket][q].msg_hdr.msg_name = &to->remote;
            out_iov[to->socket][q] = (struct iovec){data[i], in[i].msg_len};
        }
        for (int p = 0; p < ports; p++) {
            int done = 0;
            while (done < queued[p]) {
                int got = sendmmsg(fds[p], out[p] + done, (unsigned)(queued[p] - done), MSG_DONTWAIT);
                if (got <= 0)
                    break;
                done += got;
            }
            relayed += (uint64_t)done;
        }
        if (at < SLOTS) {
            struct timespec pause = {0, tick * 1000L};
            nanosleep(&pause, NULL);
        }
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    printf("relayed %llu cpu_us %.0f\n", (unsigned long long)relayed, cpu);
    return 0;
}
