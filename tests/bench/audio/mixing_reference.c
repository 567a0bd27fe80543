/* What conferences and hold music of G.711 cost the plain way: the reference of audio_bench.py.
 *
 * usage: mixing_reference PORTS STREAMS FIRST_PORT ROOM
 *
 * Streams share PORTS sockets and are found by source address. A ticker of 20 ms drains all sockets, decodes each packet
 * by table into its stream's ring (two frames deep, placed by timestamp), adds up each room of ROOM streams, takes every
 * member's own frame out of what it hears, encodes by table and sends with sendmmsg. ROOM 0: every stream hears the same
 * tune, encoded once, and what streams send is decoded all the same. No statistics, no RTCP, no jitter beyond the ring.
 *
 * Prints "PORT SET" for each stream, as the load reads it, then "ready".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define FRAME 160
#define RING 8
#define DEPTH 2
#define BATCH 256
#define SLOT 256
#define HEADER 12
#define MAX_PORTS 64
#define MAX_STREAMS 8192
#define TABLE 32768
#define GROUPS 20 /* as the load's: streams that share an address */

struct stream {
    uint64_t key;
    struct sockaddr_in remote;
    int socket;
    uint32_t ssrc, stamp, base; /* base: the timestamp of the first packet heard */
    uint16_t seq;
    int heard;
    uint32_t played; /* frames played since then */
    int there[RING];
    int16_t ring[RING][FRAME];
};

static volatile sig_atomic_t stop;
static void on_signal(int signal) { (void)signal; stop = 1; }

static struct stream streams[MAX_STREAMS];
static int table[TABLE];
static int16_t linear[256];
static unsigned char law[65536]; /* by sample + 32768 */
static unsigned char in_data[BATCH][SLOT], out_data[MAX_STREAMS][HEADER + FRAME];
static struct mmsghdr in[BATCH], out[MAX_PORTS][MAX_STREAMS / 2];
static struct iovec in_iov[BATCH], out_iov[MAX_STREAMS];
static struct sockaddr_in names[BATCH];

static void make_tables(void)
{
    for (int code = 0; code < 256; code++) {
        int u = ~code & 0xFF, magnitude = (((u & 15) << 3) + 132) << (u >> 4 & 7);
        linear[code] = (int16_t)(u & 0x80 ? 132 - magnitude : magnitude - 132);
    }
    for (int sample = -32768; sample < 32768; sample++) {
        int magnitude = abs(sample) > 32635 ? 32635 + 132 : abs(sample) + 132, segment = 7;
        while (segment && !(magnitude & 0x80 << segment))
            segment--;
        law[sample + 32768] = (unsigned char)~((sample < 0 ? 0x80 : 0) | segment << 4 | (magnitude >> (segment + 3) & 15));
    }
}

static uint64_t key_of(const struct sockaddr_in *name, int socket)
{
    return (uint64_t)name->sin_addr.s_addr << 32 | (uint64_t)name->sin_port << 16 | (uint64_t)socket;
}

static unsigned slot_of(uint64_t key) { return (unsigned)((key * 0x9E3779B97F4A7C15ull) >> 49); }

static struct stream *find(uint64_t key)
{
    for (unsigned at = slot_of(key); table[at] >= 0; at = (at + 1) & (TABLE - 1))
        if (streams[table[at]].key == key)
            return &streams[table[at]];
    return NULL;
}

static void take(struct stream *s, const unsigned char *packet, unsigned length)
{
    uint32_t stamp;
    if (length != HEADER + FRAME || packet[0] != 0x80 || packet[1] & 0x7F)
        return;
    memcpy(&stamp, packet + 4, 4);
    stamp = ntohl(stamp);
    if (!s->heard) {
        s->heard = 1;
        s->base = stamp - DEPTH * FRAME - s->played * FRAME;
    }
    uint32_t place = (stamp - s->base) / FRAME;
    if ((int32_t)(place - s->played) < 0 || place - s->played >= RING)
        return;
    int16_t *frame = s->ring[place % RING];
    for (int i = 0; i < FRAME; i++)
        frame[i] = linear[packet[HEADER + i]];
    s->there[place % RING] = 1;
}

static void drain(const int *fds, int ports)
{
    for (int p = 0; p < ports; p++) {
        int got;
        do {
            for (int i = 0; i < BATCH; i++)
                in[i].msg_hdr.msg_namelen = sizeof names[0];
            got = recvmmsg(fds[p], in, BATCH, MSG_DONTWAIT, NULL);
            for (int i = 0; i < got; i++) {
                struct stream *s = find(key_of(&names[i], p));
                if (s)
                    take(s, in_data[i], in[i].msg_len);
            }
        } while (got == BATCH);
    }
}

/* What a stream said in this frame; silence where nothing came. */
static const int16_t *said(struct stream *s)
{
    static const int16_t silence[FRAME];
    int place = (int)(s->played % RING);
    return s->there[place] ? s->ring[place] : silence;
}

static void passed(struct stream *s)
{
    s->there[s->played % RING] = 0;
    s->played++;
}

static void mix(int first, int count)
{
    int total[FRAME] = {0};
    for (int m = first; m < first + count; m++) {
        const int16_t *frame = said(&streams[m]);
        for (int i = 0; i < FRAME; i++)
            total[i] += frame[i];
    }
    for (int m = first; m < first + count; m++) {
        const int16_t *own = said(&streams[m]);
        unsigned char *payload = out_data[m] + HEADER;
        for (int i = 0; i < FRAME; i++) {
            int sample = total[i] - own[i];
            sample = sample > 32767 ? 32767 : sample < -32768 ? -32768 : sample;
            payload[i] = law[sample + 32768];
        }
    }
}

static void play(int count, uint32_t tick)
{
    unsigned char tune[FRAME];
    for (int i = 0; i < FRAME; i++)
        tune[i] = law[32768 + (int)(6000.0 * sin((tick * FRAME + (uint32_t)i) * 0.3455))];
    for (int s = 0; s < count; s++)
        memcpy(out_data[s] + HEADER, tune, FRAME);
}

static void send_all(const int *fds, int ports, int count)
{
    int queued[MAX_PORTS] = {0};
    for (int i = 0; i < count; i++) {
        struct stream *s = &streams[i];
        uint32_t words[3] = {htonl(0x80000000u | ++s->seq), htonl(s->stamp += FRAME), htonl(s->ssrc)};
        memcpy(out_data[i], words, HEADER);
        struct msghdr *message = &out[s->socket][queued[s->socket]++].msg_hdr;
        message->msg_name = &s->remote;
        message->msg_namelen = sizeof s->remote;
        message->msg_iov = &out_iov[i];
        message->msg_iovlen = 1;
        passed(s);
    }
    for (int p = 0; p < ports; p++)
        for (int done = 0, got; done < queued[p]; done += got)
            if ((got = sendmmsg(fds[p], out[p] + done, (unsigned)(queued[p] - done), MSG_DONTWAIT)) <= 0)
                break;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: %s PORTS STREAMS FIRST_PORT ROOM\n", argv[0]);
        return 2;
    }
    int ports = atoi(argv[1]), count = atoi(argv[2]), first = atoi(argv[3]), room = atoi(argv[4]), fds[MAX_PORTS];
    if (ports < 2 || ports > MAX_PORTS || count < 1 || count > MAX_STREAMS) {
        fprintf(stderr, "2-%d ports, 1-%d streams\n", MAX_PORTS, MAX_STREAMS);
        return 2;
    }
    make_tables();
    memset(table, -1, sizeof table);
    int local[MAX_PORTS];
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
    }
    for (int i = 0; i < count; i++) {
        struct stream *s = &streams[i];
        s->socket = i % ports;
        s->ssrc = (uint32_t)rand();
        s->remote.sin_family = AF_INET;
        s->remote.sin_port = htons((uint16_t)(first + i % GROUPS));
        s->remote.sin_addr.s_addr = htonl(0x7F010001u + (uint32_t)(i / GROUPS));
        s->key = key_of(&s->remote, s->socket);
        unsigned at = slot_of(s->key);
        while (table[at] >= 0)
            at = (at + 1) & (TABLE - 1);
        table[at] = i;
        out_iov[i] = (struct iovec){out_data[i], HEADER + FRAME};
        printf("%d 0\n", local[s->socket]);
    }
    for (int i = 0; i < BATCH; i++) {
        in_iov[i] = (struct iovec){in_data[i], SLOT};
        in[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_iov = &in_iov[i], .msg_iovlen = 1};
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    printf("ready\n");
    fflush(stdout);
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (uint32_t tick = 0; !stop; tick++) {
        next.tv_nsec += 20000000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        drain(fds, ports);
        if (!room)
            play(count, tick);
        for (int at = 0; room && at + room <= count; at += room)
            mix(at, room);
        send_all(fds, ports, count);
    }
    return 0;
}
