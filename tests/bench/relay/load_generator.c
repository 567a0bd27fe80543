/* The load of relay_bench.py: two-way G.711 streams, each from a port of its own.
 *
 * usage: load_generator FIRST_SOURCE_PORT SECONDS < ports
 *
 * Reads the relay's port of each stream from stdin, a line each. Stream i sends 172 octets from
 * 127.0.0.1:FIRST+i every 20 ms; the streams are spread evenly over these 20 ms. Prints
 * "sent N received M lost L worst_lag_us W", lag being how late a send was.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_STREAMS 4096
#define STEPS 20 /* sends are paced in steps of a millisecond */
#define PACKET 172

static int fds[MAX_STREAMS];
static uint32_t ssrcs[MAX_STREAMS];
static unsigned char sink[8][2048];

static int64_t microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t drain(int fd)
{
    static struct mmsghdr headers[8];
    static struct iovec iov[8];
    for (int i = 0; i < 8; i++) {
        iov[i] = (struct iovec){sink[i], sizeof sink[i]};
        headers[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    int got = recvmmsg(fd, headers, 8, MSG_DONTWAIT, NULL);
    uint64_t count = 0;
    for (int i = 0; i < got; i++)
        if (headers[i].msg_len == PACKET && sink[i][0] >> 6 == 2)
            count++;
    return count;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s FIRST_SOURCE_PORT SECONDS < ports\n", argv[0]);
        return 2;
    }
    int first = atoi(argv[1]), count = 0, port;
    double duration = atof(argv[2]);
    while (count < MAX_STREAMS && scanf("%d", &port) == 1) {
        struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        name.sin_port = htons((uint16_t)(first + count));
        if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof name) < 0) {
            perror("bind");
            return 1;
        }
        name.sin_port = htons((uint16_t)port);
        if (connect(fd, (struct sockaddr *)&name, sizeof name) < 0) {
            perror("connect");
            return 1;
        }
        ssrcs[count] = 0x10000000u + (uint32_t)count * 7919u;
        fds[count++] = fd;
    }
    if (!count) {
        fprintf(stderr, "no ports on stdin\n");
        return 2;
    }
    unsigned char packet[PACKET];
    memset(packet, 0xD5, sizeof packet);
    uint64_t sent = 0, received = 0;
    int64_t begin = microseconds(), worst = 0;
    int64_t steps = (int64_t)(duration * 1000);
    for (int64_t step = 0; step < steps; step++) {
        int64_t due = begin + step * 1000, now = microseconds();
        if (now < due) {
            struct timespec until = {due / 1000000, due % 1000000 * 1000};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        } else if (now - due > worst)
            worst = now - due;
        uint32_t round = (uint32_t)(step / STEPS);
        for (int i = (int)(step % STEPS); i < count; i += STEPS) {
            uint32_t word = htonl(0x80000000u | (round & 0xFFFF)), stamp = htonl(round * 160), ssrc = htonl(ssrcs[i]);
            memcpy(packet, &word, 4);
            memcpy(packet + 4, &stamp, 4);
            memcpy(packet + 8, &ssrc, 4);
            if (send(fds[i], packet, sizeof packet, 0) == (ssize_t)sizeof packet)
                sent++;
            received += drain(fds[i]);
        }
    }
    usleep(100000);
    for (int i = 0; i < count; i++)
        received += drain(fds[i]);
    printf("sent %llu received %llu lost %lld worst_lag_us %lld\n", (unsigned long long)sent,
           (unsigned long long)received, (long long)(sent - received), (long long)worst);
    return 0;
}
