/* Keeps WebSockets busy: on each of them a message of bytes is sent, and the next one when it has come back.

   usage: messages PORT PATH WEBSOCKETS BYTES SECONDS

   One thread waits for all of them (epoll), so that it takes little of the processors. Prints as JSON how many messages
   came back, in how many seconds, how long each took, and how many were others than those that were sent. */

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The longest message whose length is in the second byte of its frame (RFC 6455, 5.2). */
#define LONGEST 125

struct websocket {
    int fd;
    size_t received;
    uint64_t sent_at;
    unsigned char frame[2 + LONGEST];
};

static unsigned char message[6 + LONGEST], answer[2 + LONGEST];
static size_t size;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t) time.tv_sec * 1000000000 + time.tv_nsec;
}

/* A message of a client, masked, and the one of a server that it comes back as. */
static void make_message(void)
{
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    message[0] = answer[0] = 0x82;
    message[1] = 0x80 | size;
    answer[1] = size;
    memcpy(message + 2, mask, 4);
    for (size_t at = 0; at < size; at++) {
        answer[2 + at] = 'a' + at % 26;
        message[6 + at] = answer[2 + at] ^ mask[at % 4];
    }
}

static void send_message(struct websocket *socket)
{
    socket->received = 0;
    socket->sent_at = now();
    if (write(socket->fd, message, 6 + size) != (ssize_t) (6 + size))
        fail("a message is not sent");
}

static void open_websocket(struct websocket *opened, int port, const char *path)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char head[4096];
    size_t length = 0;
    int one = 1;
    opened->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (opened->fd < 0 || connect(opened->fd, (struct sockaddr *) &address, sizeof address))
        fail("no connection");
    setsockopt(opened->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    dprintf(opened->fd, "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path);
    do {
        ssize_t got = read(opened->fd, head + length, sizeof head - 1 - length);
        if (got <= 0)
            fail("no handshake");
        length += got;
        head[length] = 0;
    } while (!strstr(head, "\r\n\r\n"));
    if (strncmp(head, "HTTP/1.1 101 ", 13)) {
        fputs(head, stderr);
        exit(1);
    }
}

static int compare(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *) one, b = *(const uint32_t *) other;
    return (a > b) - (a < b);
}

int main(int count, char **words)
{
    if (count != 6)
        return 2;
    int port = atoi(words[1]), number = atoi(words[3]);
    size = atoi(words[4]);
    if (number < 1 || size > LONGEST)
        return 2;
    make_message();
    int epoll = epoll_create1(0);
    struct websocket *all = calloc(number, sizeof *all);
    for (int index = 0; index < number; index++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[index]};
        open_websocket(&all[index], port, words[2]);
        epoll_ctl(epoll, EPOLL_CTL_ADD, all[index].fd, &event);
    }
    size_t back = 0, room = 0, errors = 0;
    uint32_t *took = NULL;
    uint64_t start = now(), end = start + (uint64_t) (atof(words[5]) * 1e9);
    for (int index = 0; index < number; index++)
        send_message(&all[index]);
    while (now() < end) {
        struct epoll_event events[64];
        int found = epoll_wait(epoll, events, 64, 1000);
        for (int index = 0; index < found; index++) {
            struct websocket *one = events[index].data.ptr;
            ssize_t got = read(one->fd, one->frame + one->received, 2 + size - one->received);
            if (got <= 0)
                fail("a WebSocket has ended");
            one->received += got;
            if (one->received < 2 + size)
                continue;
            errors += memcmp(one->frame, answer, 2 + size) != 0;
            if (back == room && !(took = realloc(took, (room = 2 * room + 65536) * sizeof *took)))
                fail("memory");
            took[back++] = (now() - one->sent_at) / 1000;
            send_message(one);
        }
    }
    double seconds = (now() - start) / 1e9;
    if (!back)
        return 1;
    qsort(took, back, sizeof *took, compare);
    printf("{\"rate\": %.1f, \"count\": %zu, \"p50\": %.3f, \"p99\": %.3f, \"worst\": %.3f, \"errors\": %zu}\n", back / seconds, back,
           took[back / 2] / 1e3, took[back * 99 / 100] / 1e3, took[back - 1] / 1e3, errors);
    return 0;
}
