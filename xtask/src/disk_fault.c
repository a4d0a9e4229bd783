/* Loaded in front of the C library: lets one call to the disk fail as a broken medium would (EIO).
 * DISK_FAULT is "sync:N" or "write:N": the N-th of these calls of the process. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long syncs = -1, writes = -1;

__attribute__((constructor)) static void arm(void) {
    const char *fault = getenv("DISK_FAULT");
    long n;
    if (fault && sscanf(fault, "sync:%ld", &n) == 1) syncs = n;
    if (fault && sscanf(fault, "write:%ld", &n) == 1) writes = n;
}

static int fails(atomic_long *left) {
    static const char said[] = "disk fault: this call fails\n";
    if (*left <= 0 || atomic_fetch_sub(left, 1) != 1) return 0;
    if (write(STDERR_FILENO, said, sizeof said - 1) < 0) abort();
    errno = EIO;
    return 1;
}

int fsync(int fd) { return fails(&syncs) ? -1 : (int)syscall(SYS_fsync, fd); }

int fdatasync(int fd) { return fails(&syncs) ? -1 : (int)syscall(SYS_fdatasync, fd); }

ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t at) {
    return fails(&writes) ? -1 : syscall(SYS_pwrite64, fd, from, bytes, at);
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t at) {
    return pwrite64(fd, from, bytes, at);
}
