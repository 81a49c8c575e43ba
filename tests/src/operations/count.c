/* Appends a line to the file $THRESHER_TEST_OPERATIONS for each file operation of a process that
 * this library is preloaded into: its kind, a blank, and the path. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void note(const char *kind, const char *path) {
  static int log = -2;
  char line[4200];
  if (log == -2) {
    const char *name = getenv("THRESHER_TEST_OPERATIONS");
    log = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
  }
  if (log < 0 || !path) return;
  int length = snprintf(line, sizeof line, "%s %s\n", kind, path);
  if (length > 0 && length < (int)sizeof line) syscall(SYS_write, log, line, (size_t)length);
}

static void note_open_file(const char *kind, int file) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  if (length < 0) return;
  path[length] = 0;
  note(kind, path);
}

#define NEXT(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
#define KIND(flags) ((flags) & O_CREAT ? "create" : "open")

int open(const char *path, int flags, ...) { MODE(flags) note(KIND(flags), path); return NEXT(open)(path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) note(KIND(flags), path); return NEXT(open64)(path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags) note(KIND(flags), path); return NEXT(openat)(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags) note(KIND(flags), path); return NEXT(openat64)(folder, path, flags, mode); }
int stat64(const char *path, struct stat64 *out) { note("stat", path); return NEXT(stat64)(path, out); }
int statx(int folder, const char *restrict path, int flags, unsigned mask, struct statx *restrict out) {
  if (*path) note("stat", path);
  return NEXT(statx)(folder, path, flags, mask, out);
}
int fsync(int file) { note_open_file("sync", file); return NEXT(fsync)(file); }
int fdatasync(int file) { note_open_file("sync", file); return NEXT(fdatasync)(file); }
int link(const char *from, const char *to) { note("name", to); return NEXT(link)(from, to); }
int linkat(int a, const char *from, int b, const char *to, int flags) { note("name", to); return NEXT(linkat)(a, from, b, to, flags); }
int rename(const char *from, const char *to) { note("name", to); return NEXT(rename)(from, to); }
int unlink(const char *path) { note("remove", path); return NEXT(unlink)(path); }
