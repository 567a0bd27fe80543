/* RTP for many phones, driven over standard input; independent of the switch's own code.
 *
 *   add ID LOCAL_PORT REMOTE_IP REMOTE_PORT    open a socket, send a 20 ms G.711 packet every 20 ms from now on
 *   del ID                                     stop sending; 300 ms later print "stat ID SENT RECEIVED LOST" and close
 *   end                                        leave when all are gone
 *
 * LOST counts holes in the sequence numbers of what came in, from the first packet received to the last.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_STREAMS 8192
#define PACKET 172
#define SLOTS 20 /* one per millisecond of the packet interval: streams are spread over them */

struct stream {
    int fd, active, slot, started, seen;
    struct sockaddr_in to;
    uint16_t sequence, first, highest;
    uint32_t cycles, timestamp, ssrc;
    long sent, received;
    int64_t close_at;
};

static struct stream streams[MAX_STREAMS];
static int epoll_fd, next_slot, ending;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void send_packet(struct stream *s)
{
    unsigned char p[PACKET];
    memset(p, 0xd5, sizeof p);
    p[0] = 0x80;
    p[1] = s->started ? 0 : 0x80;
    s->started = 1;
    *(uint16_t *)(p + 2) = htons(s->sequence++);
    *(uint32_t *)(p + 4) = htonl(s->timestamp);
    *(uint32_t *)(p + 8) = htonl(s->ssrc);
    s->timestamp += 160;
    if (sendto(s->fd, p, sizeof p, 0, (struct sockaddr *)&s->to, sizeof s->to) == sizeof p)
        s->sent++;
}

static void receive(struct stream *s)
{
    unsigned char p[2048];
    for (;;) {
        ssize_t n = recv(s->fd, p, sizeof p, MSG_DONTWAIT);
        if (n < 0)
            return;
        if (n < 12 || (p[0] >> 6) != 2)
            continue;
        uint16_t sequence = ntohs(*(uint16_t *)(p + 2));
        if (!s->seen) {
            s->seen = 1;
            s->first = s->highest = sequence;
        } else if ((uint16_t)(sequence - s->highest) < 0x8000) {
            if (sequence < s->highest)
                s->cycles += 0x10000;
            s->highest = sequence;
        }
        s->received++;
    }
}

static void close_stream(int id)
{
    struct stream *s = &streams[id];
    receive(s);
    long expected = s->seen ? (long)(s->cycles + s->highest) - s->first + 1 : 0;
    long lost = expected > s->received ? expected - s->received : 0;
    printf("stat %d %ld %ld %ld\n", id, s->sent, s->received, lost);
    fflush(stdout);
    close(s->fd);
    memset(s, 0, sizeof *s);
    s->fd = -1;
}

static void add(int id, int local_port, const char *ip, int port)
{
    struct stream *s = &streams[id];
    memset(s, 0, sizeof *s);
    s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(local_port)};
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int size = 1 << 18;
    setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&local, sizeof local) < 0) {
        fprintf(stderr, "port %d: %s\n", local_port, strerror(errno));
        exit(1);
    }
    s->to.sin_family = AF_INET;
    s->to.sin_port = htons(port);
    inet_pton(AF_INET, ip, &s->to.sin_addr);
    s->ssrc = (uint32_t)random();
    s->sequence = (uint16_t)random();
    s->timestamp = (uint32_t)random();
    s->slot = next_slot++ % SLOTS;
    s->active = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)id};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &event);
}

static void command(char *line)
{
    int id, local_port, port;
    char ip[64];
    if (sscanf(line, "add %d %d %63s %d", &id, &local_port, ip, &port) == 4 && id >= 0 && id < MAX_STREAMS)
        add(id, local_port, ip, port);
    else if (sscanf(line, "del %d", &id) == 1 && id >= 0 && id < MAX_STREAMS && streams[id].active) {
        streams[id].active = 0;
        streams[id].close_at = now_us() + 300000;
    } else if (!strncmp(line, "end", 3))
        ending = 1;
}

static void read_commands(void)
{
    static char buffer[1 << 16];
    static size_t filled;
    ssize_t n = read(0, buffer + filled, sizeof buffer - filled - 1);
    if (n == 0)
        ending = 1;
    if (n <= 0)
        return;
    filled += (size_t)n;
    buffer[filled] = 0;
    char *line = buffer, *end;
    while ((end = strchr(line, '\n'))) {
        *end = 0;
        command(line);
        line = end + 1;
    }
    filled -= (size_t)(line - buffer);
    memmove(buffer, line, filled);
}

int main(void)
{
    for (int i = 0; i < MAX_STREAMS; i++)
        streams[i].fd = -1;
    epoll_fd = epoll_create1(0);
    fcntl(0, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &event);
    int64_t tick = now_us();
    for (long slot = 0;; slot++) {
        int busy = 0;
        for (int i = 0; i < MAX_STREAMS; i++) {
            struct stream *s = &streams[i];
            if (s->fd < 0)
                continue;
            busy = 1;
            if (s->active && s->slot == slot % SLOTS)
                send_packet(s);
            if (!s->active && now_us() >= s->close_at)
                close_stream(i);
        }
        if (ending && !busy)
            return 0;
        tick += 1000;
        do {
            struct epoll_event ready[512];
            int64_t wait = tick - now_us();
            int n = epoll_wait(epoll_fd, ready, 512, wait > 0 ? (int)((wait + 999) / 1000) : 0);
            for (int i = 0; i < n; i++) {
                if (ready[i].data.u32 == UINT32_MAX)
                    read_commands();
                else if (streams[ready[i].data.u32].fd >= 0)
                    receive(&streams[ready[i].data.u32]);
            }
        } while (now_us() < tick);
    }
}
