/* Threads that libc makes for itself, with all signals blocked: of asynchronous input and output, and of name lookups. */
//# cflags: -pthread
//# memory: changes
#include "thread.h"
#include <aio.h>
#include <netdb.h>

enum { SIZE = 64 << 10 };

static int notified;

static void on_completion(union sigval value) {
    CHECK(value.sival_int == 4711);
    count_up(&notified);
    wait_at_gate();
}

static void finish_request(struct aiocb *request, size_t size) {
    const struct aiocb *list[] = {request};
    while (aio_error(request) == EINPROGRESS) CHECK(aio_suspend(list, 1, NULL) == 0 || errno == EINTR);
    CHECK(aio_return(request) == (ssize_t)size);
}

static void look_up(void) {
    static const struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST};
    struct gaicb request = {.ar_name = "127.0.0.1", .ar_request = &numeric}, *list[] = {&request};
    CHECK(getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) == 0);
    while (gai_error(&request) == EAI_INPROGRESS) gai_suspend((const struct gaicb **)list, 1, NULL);
    CHECK(gai_error(&request) == 0 && request.ar_result);
    freeaddrinfo(request.ar_result);
}

int main(void) {
    static char content[SIZE];
    int fd = new_file("data", SIZE, 81);
    /* Idle helpers stay. */
    struct aioinit settings = {.aio_threads = 4, .aio_num = 16, .aio_idle_time = 1000};
    aio_init(&settings);
    struct aiocb request = {.aio_fildes = fd, .aio_buf = content, .aio_nbytes = SIZE};
    request.aio_sigevent.sigev_notify = SIGEV_THREAD;
    request.aio_sigevent.sigev_notify_function = on_completion;
    request.aio_sigevent.sigev_value.sival_int = 4711;
    CHECK(aio_read(&request) == 0);
    wait_until_counted(&notified, 1);
    look_up();
    say_ready();
    /* The helper of lookups ends when it has had nothing to do for a second. */
    while (!is_released()) look_up();
    finish_request(&request, SIZE);
    CHECK(is_filled(content, SIZE, 81));
    open_gate();
    fill(content, SIZE, 82);
    CHECK(aio_write(&request) == 0);
    wait_until_counted(&notified, 2);
    finish_request(&request, SIZE);
    memset(content, 0, SIZE);
    request.aio_sigevent.sigev_notify = SIGEV_NONE;
    CHECK(aio_read(&request) == 0);
    finish_request(&request, SIZE);
    CHECK(is_filled(content, SIZE, 82));
    return SURVIVED;
}
