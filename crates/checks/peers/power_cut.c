// Writes down what a process does to the files of one directory, so that a test can take away what was not synced, as a power
// cut does. To be preloaded (LD_PRELOAD).
//   POWER_CUT_DIRECTORY  the directory, as the process names it
//   POWER_CUT_JOURNAL    the file for the entries, one line each; `W` is followed by the bytes that are written
//   POWER_CUT_BOOT_ID    a file that stands for the kernel's id of its start
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(result, name, ...) ((result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

enum { OTHER, FILE_OF_DIRECTORY, DIRECTORY };

static char kinds[65536];
static const char *directory, *boot_id;
static int journal = -1;
// The entries have the order of what they say.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
  directory = getenv("POWER_CUT_DIRECTORY");
  boot_id = getenv("POWER_CUT_BOOT_ID");
  journal = REAL(int, open64, const char *, int, ...)(getenv("POWER_CUT_JOURNAL"), O_WRONLY | O_CREAT | O_APPEND, 0600);
}

// The name of a file in the directory, or null.
static const char *name_in_directory(const char *path) {
  size_t length = strlen(directory);
  if (strncmp(path, directory, length) != 0 || path[length] != '/' || strchr(path + length + 1, '/')) return NULL;
  return path + length + 1;
}

static void note(const char *entry, const void *bytes, size_t count) {
  if (write(journal, entry, strlen(entry)) < 0 || (count > 0 && write(journal, bytes, count) < 0)) abort();
}

static unsigned long inode(int file) {
  struct stat status;
  return fstat(file, &status) == 0 ? status.st_ino : 0;
}

static int is_kind(int file, int kind) { return file >= 0 && file < (int)sizeof kinds && kinds[file] == kind; }

int open64(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = va_arg(more, mode_t);
  va_end(more);
  if (strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) path = boot_id;
  const char *name = name_in_directory(path);
  pthread_mutex_lock(&lock);
  int file = REAL(int, open64, const char *, int, ...)(path, flags, mode);
  if (file >= 0 && file < (int)sizeof kinds) {
    kinds[file] = name ? FILE_OF_DIRECTORY : strcmp(path, directory) == 0 ? DIRECTORY : OTHER;
    if (name && flags & O_CREAT) {
      char entry[PATH_MAX + 64];
      snprintf(entry, sizeof entry, "N %lu %s\n", inode(file), name);
      note(entry, NULL, 0);
    }
  }
  pthread_mutex_unlock(&lock);
  return file;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
  pthread_mutex_lock(&lock);
  if (is_kind(file, FILE_OF_DIRECTORY)) {
    char entry[128];
    snprintf(entry, sizeof entry, "W %lu %lld %zu\n", inode(file), (long long)offset, count);
    note(entry, bytes, count);
  }
  ssize_t written = REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)(file, bytes, count, offset);
  pthread_mutex_unlock(&lock);
  return written;
}

int ftruncate64(int file, off64_t length) {
  pthread_mutex_lock(&lock);
  if (is_kind(file, FILE_OF_DIRECTORY)) {
    char entry[128];
    snprintf(entry, sizeof entry, "T %lu %lld\n", inode(file), (long long)length);
    note(entry, NULL, 0);
  }
  int result = REAL(int, ftruncate64, int, off64_t)(file, length);
  pthread_mutex_unlock(&lock);
  return result;
}

// After the fact: what was not noted may be lost.
static void note_sync(int file) {
  char entry[64] = "D\n";
  if (is_kind(file, FILE_OF_DIRECTORY)) snprintf(entry, sizeof entry, "S %lu\n", inode(file));
  else if (!is_kind(file, DIRECTORY)) return;
  note(entry, NULL, 0);
}

int fsync(int file) {
  pthread_mutex_lock(&lock);
  int result = REAL(int, fsync, int)(file);
  if (result == 0) note_sync(file);
  pthread_mutex_unlock(&lock);
  return result;
}

int fdatasync(int file) {
  pthread_mutex_lock(&lock);
  int result = REAL(int, fdatasync, int)(file);
  if (result == 0) note_sync(file);
  pthread_mutex_unlock(&lock);
  return result;
}

int rename(const char *from, const char *to) {
  pthread_mutex_lock(&lock);
  int result = REAL(int, rename, const char *, const char *)(from, to);
  const char *old = name_in_directory(from), *new = name_in_directory(to);
  if (result == 0 && old && new) {
    char entry[2 * PATH_MAX];
    snprintf(entry, sizeof entry, "R %s %s\n", old, new);
    note(entry, NULL, 0);
  }
  pthread_mutex_unlock(&lock);
  return result;
}

int unlink(const char *path) {
  pthread_mutex_lock(&lock);
  int result = REAL(int, unlink, const char *)(path);
  const char *name = name_in_directory(path);
  if (result == 0 && name) {
    char entry[PATH_MAX + 8];
    snprintf(entry, sizeof entry, "U %s\n", name);
    note(entry, NULL, 0);
  }
  pthread_mutex_unlock(&lock);
  return result;
}
