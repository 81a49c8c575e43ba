/* Appends a line to the file $THRESHER_TEST_OPERATIONS for each file operation of a process that
 * this library is preloaded into: its kind, a blank, and the path. When the process exits, it
 * appends the bytes that were read and written below each folder of a work directory, as
 * "read+BYTES" and "write+BYTES" with the path of the folder. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 65536
#define FOLDERS 256
/* Folders of which bytes are counted: those of the stages in a job's work directory, and the inputs. */
static const struct { const char *path; int by_child; } ROOTS[] = {{"/state/work", 1}, {"/inputs", 0}};

static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;
static char folders[FOLDERS][512];
static _Atomic int folders_count;
static _Atomic long long bytes_read[FOLDERS], bytes_written[FOLDERS];
/* The folder of each open file, counted from 1. */
static _Atomic unsigned char folder_of[FILES];

static void append(const char *line, int length) {
  static int log = -2;
  if (log == -2) {
    const char *name = getenv("THRESHER_TEST_OPERATIONS");
    log = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
  }
  if (log >= 0) syscall(SYS_write, log, line, (size_t)length);
}

static void note(const char *kind, const char *path) {
  char line[4200];
  if (!path) return;
  int length = snprintf(line, sizeof line, "%s %s\n", kind, path);
  if (length > 0 && length < (int)sizeof line) append(line, length);
}

static int path_of(int file, char *path, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return 1;
}

static void note_open_file(const char *kind, int file) {
  char path[4096];
  if (path_of(file, path, sizeof path)) note(kind, path);
}

/* Remembers the folder whose bytes an open file counts for. */
static int opened(int file, const char *path) {
  if (file < 0 || file >= FILES) return file;
  folder_of[file] = 0;
  for (size_t i = 0; i < sizeof ROOTS / sizeof *ROOTS; i++) {
    const char *below = strstr(path, ROOTS[i].path);
    if (!below) continue;
    below += strlen(ROOTS[i].path);
    if (ROOTS[i].by_child && *below++ != '/') continue;
    size_t length = (size_t)(below - path) + strcspn(below, "/");
    if (length >= sizeof folders[0]) return file;
    pthread_mutex_lock(&adding);
    int found = 0;
    while (found < folders_count && (strncmp(folders[found], path, length) || folders[found][length])) found++;
    if (found == folders_count && found < FOLDERS - 1) {
      memcpy(folders[found], path, length);
      folders_count++;
    }
    pthread_mutex_unlock(&adding);
    folder_of[file] = (unsigned char)(found < FOLDERS - 1 ? found + 1 : 0);
    return file;
  }
  return file;
}

static ssize_t count(_Atomic long long *sums, int file, ssize_t bytes) {
  if (bytes > 0 && file >= 0 && file < FILES && folder_of[file]) sums[folder_of[file] - 1] += bytes;
  return bytes;
}

__attribute__((destructor)) static void note_bytes(void) {
  char line[600];
  for (int i = 0; i < folders_count; i++) {
    append(line, snprintf(line, sizeof line, "read+%lld %s\n", (long long)bytes_read[i], folders[i]));
    append(line, snprintf(line, sizeof line, "write+%lld %s\n", (long long)bytes_written[i], folders[i]));
  }
}

#define NEXT(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
#define KIND(flags) ((flags) & O_CREAT ? "create" : "open")

int open(const char *path, int flags, ...) { MODE(flags) note(KIND(flags), path); return opened(NEXT(open)(path, flags, mode), path); }
int open64(const char *path, int flags, ...) { MODE(flags) note(KIND(flags), path); return opened(NEXT(open64)(path, flags, mode), path); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags) note(KIND(flags), path); return opened(NEXT(openat)(folder, path, flags, mode), path); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags) note(KIND(flags), path); return opened(NEXT(openat64)(folder, path, flags, mode), path); }
ssize_t read(int file, void *to, size_t size) { return count(bytes_read, file, syscall(SYS_read, file, to, size)); }
ssize_t pread64(int file, void *to, size_t size, off64_t at) { return count(bytes_read, file, NEXT(pread64)(file, to, size, at)); }
ssize_t readv(int file, const struct iovec *to, int parts) { return count(bytes_read, file, NEXT(readv)(file, to, parts)); }
ssize_t write(int file, const void *from, size_t size) { return count(bytes_written, file, syscall(SYS_write, file, from, size)); }
ssize_t pwrite64(int file, const void *from, size_t size, off64_t at) { return count(bytes_written, file, NEXT(pwrite64)(file, from, size, at)); }
ssize_t writev(int file, const struct iovec *from, int parts) { return count(bytes_written, file, NEXT(writev)(file, from, parts)); }
int close(int file) { if (file >= 0 && file < FILES) folder_of[file] = 0; return NEXT(close)(file); }
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
int unlinkat(int folder, const char *path, int flags) {
  char whole[4096];
  if (*path == '/' || folder == AT_FDCWD) note("remove", path);
  else if (path_of(folder, whole, sizeof whole) && strlen(whole) + strlen(path) + 2 < sizeof whole) {
    strcat(strcat(whole, "/"), path);
    note("remove", whole);
  }
  return NEXT(unlinkat)(folder, path, flags);
}
