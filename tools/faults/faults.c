// Faults below HDF5 and SQLite: preloaded into a program (LD_PRELOAD), this stands between it and the system calls that
// change files, as libc exports them, for paths below one folder. It logs every such call with its bytes, and at the
// n-th one kills the process, fails the call, or does half of it.
//
//   LOGIT_FAULTS_FOLDER   absolute path without links; calls elsewhere pass through and are not counted
//   LOGIT_FAULTS_LOG      file outside that folder to which records (struct record, then paths and bytes) are appended
//   LOGIT_FAULTS          N:ACTION or N:ACTION+, where the N-th call counts from 1; absent: nothing fails
//
//   kill     SIGKILL before the call                    torn   half of a write, then SIGKILL
//   short    half of a write, and that is what it returns (a program must write the rest)
//   ENOSPC, EIO   the call fails with this; with + so do all later ones: ENOSPC those that take space, EIO all.
//                 short+ is short and then ENOSPC+: how a disk fills up.
//
// What the program does not call is not here; a log that misses a call is found out: it does not make the same files.
// fsync and fdatasync are logged and not carried out: the log says what would be on the disk, and tests run faster.
// Build: cc -O2 -shared -fPIC -o libfaults.so faults.c
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE = 1, SYNC, TRUNCATE, CREATE, RENAME, LINK, UNLINK, MKDIR, RMDIR, CLOSE, OUTPUT };
enum action { NONE, KILL, TORN, SHORT, FAIL };

// One call; `path`, `other` and `data` are the lengths of what follows. Little-endian, read by fault_log.py.
struct record {
    uint32_t kind;
    uint32_t injected;  // 1: this is the call that was chosen
    int32_t error;      // 0, or the errno it failed with; -1: not carried out, the process was killed before
    uint32_t path, other, data;
    uint64_t inode;
    uint64_t offset;  // of a write; the new length of a truncation
};

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX];
static size_t folder_length;
static int log_descriptor = -1;
static unsigned long chosen, calls;
static enum action chosen_action;
static int chosen_error, sticky;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("LOGIT_FAULTS_FOLDER"), *log = getenv("LOGIT_FAULTS_LOG");
    const char *fault = getenv("LOGIT_FAULTS");
    if (!path || !log) return;
    folder_length = strlen(path);
    if (folder_length >= sizeof folder) abort();
    memcpy(folder, path, folder_length + 1);
    log_descriptor = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log_descriptor < 0) abort();
    if (!fault) return;
    char *name;
    chosen = strtoul(fault, &name, 10);
    if (*name++ != ':') abort();
    size_t length = strlen(name);
    sticky = length > 0 && name[length - 1] == '+';
    length -= (size_t)sticky;
#define IS(text) (length == sizeof text - 1 && !strncmp(name, text, length))
    chosen_error = IS("EIO") ? EIO : ENOSPC;
    if (IS("kill")) chosen_action = KILL;
    else if (IS("torn")) chosen_action = TORN;
    else if (IS("short")) chosen_action = SHORT;
    else if (IS("ENOSPC") || IS("EIO")) chosen_action = FAIL;
    else abort();
}

static int is_below(const char *path) {
    if (!folder_length || strncmp(path, folder, folder_length)) return 0;
    return path[folder_length] == '/' || !path[folder_length];
}

// The absolute path of `path`; 1 where it lies below ours.
static int locate(const char *path, char out[PATH_MAX]) {
    if (!folder_length || !path) return 0;
    if (path[0] == '/') snprintf(out, PATH_MAX, "%s", path);
    else if (getcwd(out, PATH_MAX)) snprintf(out + strlen(out), PATH_MAX - strlen(out), "/%s", path);
    else return 0;
    return is_below(out);
}

static int locate_open(int descriptor, char out[PATH_MAX]) {
    if (!folder_length) return 0;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, out, PATH_MAX - 1);
    if (length < 0) return 0;
    out[length] = 0;
    return is_below(out);
}

static uint64_t inode_of(int descriptor) {
    struct stat info;
    return fstat(descriptor, &info) ? 0 : (uint64_t)info.st_ino;
}

static uint64_t inode_at(const char *path) {
    struct stat info;
    return lstat(path, &info) ? 0 : (uint64_t)info.st_ino;
}

static void note(struct record record, const char *path, const char *other, const void *data, size_t bytes) {
    record.path = path ? (uint32_t)strlen(path) : 0;
    record.other = other ? (uint32_t)strlen(other) : 0;
    record.data = (uint32_t)bytes;
    struct iovec parts[] = {{&record, sizeof record},
                            {(void *)(path ? path : ""), record.path},
                            {(void *)(other ? other : ""), record.other},
                            {(void *)(data ? data : ""), bytes}};
    size_t all = sizeof record + record.path + record.other + bytes;
    if ((size_t)syscall(SYS_writev, log_descriptor, parts, 4) != all) abort();
}

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

// What is to happen to this call. Called holding `turn`, once a call.
static enum action decide(enum kind kind, struct record *record, const char *path, const char *other) {
    calls++;
    int takes_space = kind == WRITE || kind == CREATE || kind == MKDIR || kind == RENAME || kind == LINK;
    record->kind = kind;
    if (chosen && calls == chosen) {
        record->injected = 1;
        if (chosen_action == KILL) {
            record->error = -1;
            note(*record, path, other, NULL, 0);
            die();
        }
        return chosen_action;
    }
    if (chosen && sticky && calls > chosen && kind != CLOSE && (chosen_error == EIO || takes_space)) return FAIL;
    return NONE;
}

// The frame of every call but writes: decides, carries out `call`, logs. A torn or short one of these is a failing one.
#define CALL(KIND, PATH, OTHER, RECORD, OUTCOME, call)                                           \
    do {                                                                                         \
        enum action action = decide(KIND, &(RECORD), PATH, OTHER);                               \
        if (action != NONE) { errno = chosen_error; OUTCOME = -1; } else OUTCOME = (call);       \
        (RECORD).error = OUTCOME < 0 ? errno : 0;                                                \
    } while (0)

static long finish(struct record record, const char *path, const char *other, long outcome) {
    note(record, path, other, NULL, 0);
    pthread_mutex_unlock(&turn);
    if (outcome < 0) errno = record.error;
    return outcome;
}

// MARK: Writes

static ssize_t put_really(int descriptor, const void *bytes, size_t count, off_t offset, int is_placed) {
    if (is_placed) return syscall(SYS_pwrite64, descriptor, bytes, count, offset);
    return syscall(SYS_write, descriptor, bytes, count);
}

static ssize_t put(int descriptor, const void *bytes, size_t count, off_t offset, int is_placed) {
    char path[PATH_MAX];
    if (log_descriptor >= 0 && (descriptor == 1 || descriptor == 2) && !is_placed) {
        ssize_t done = syscall(SYS_write, descriptor, bytes, count);
        int error = errno;
        pthread_mutex_lock(&turn);
        note((struct record){.kind = OUTPUT, .inode = (uint64_t)descriptor}, NULL, NULL, NULL, 0);
        pthread_mutex_unlock(&turn);
        errno = error;
        return done;
    }
    if (!locate_open(descriptor, path)) return put_really(descriptor, bytes, count, offset, is_placed);
    pthread_mutex_lock(&turn);
    if (!is_placed) {
        struct stat info;
        int appends = fcntl(descriptor, F_GETFL) & O_APPEND;
        offset = appends && !fstat(descriptor, &info) ? info.st_size : lseek(descriptor, 0, SEEK_CUR);
    }
    struct record record = {.inode = inode_of(descriptor), .offset = (uint64_t)offset};
    enum action action = decide(WRITE, &record, path, NULL);
    size_t wanted = action == TORN || action == SHORT ? count / 2 : count;
    ssize_t done = -1;
    if (action == FAIL || (action == SHORT && wanted == 0)) errno = chosen_error;
    else done = put_really(descriptor, bytes, wanted, offset, is_placed);
    record.error = done < 0 ? errno : 0;
    note(record, path, NULL, bytes, done > 0 ? (size_t)done : 0);
    if (action == TORN) die();
    pthread_mutex_unlock(&turn);
    if (done < 0) errno = record.error;
    return done;
}

ssize_t write(int file, const void *bytes, size_t count) { return put(file, bytes, count, 0, 0); }
ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) { return put(file, bytes, count, offset, 1); }
ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    return put(file, bytes, count, offset, 1);
}

static int set_length(int descriptor, off_t length) {
    char path[PATH_MAX];
    if (!locate_open(descriptor, path)) return (int)syscall(SYS_ftruncate, descriptor, length);
    pthread_mutex_lock(&turn);
    struct record record = {.inode = inode_of(descriptor), .offset = (uint64_t)length};
    long outcome;
    CALL(TRUNCATE, path, NULL, record, outcome, syscall(SYS_ftruncate, descriptor, length));
    return (int)finish(record, path, NULL, outcome);
}

int ftruncate(int descriptor, off_t length) { return set_length(descriptor, length); }
int ftruncate64(int descriptor, off64_t length) { return set_length(descriptor, length); }

// MARK: Making durable

static int make_durable(int descriptor, int call) {
    char path[PATH_MAX];
    if (!locate_open(descriptor, path)) return (int)syscall(call, descriptor);
    pthread_mutex_lock(&turn);
    struct record record = {.inode = inode_of(descriptor)};
    long outcome;
    CALL(SYNC, path, NULL, record, outcome, 0);
    return (int)finish(record, path, NULL, outcome);
}

int fsync(int descriptor) { return make_durable(descriptor, SYS_fsync); }
int fdatasync(int descriptor) { return make_durable(descriptor, SYS_fdatasync); }

int close(int descriptor) {
    char path[PATH_MAX];
    if (descriptor >= 0 && descriptor == log_descriptor) return 0;
    if (!locate_open(descriptor, path) || (fcntl(descriptor, F_GETFL) & O_ACCMODE) == O_RDONLY) {
        return (int)syscall(SYS_close, descriptor);
    }
    pthread_mutex_lock(&turn);
    struct record record = {.inode = inode_of(descriptor)};
    enum action action = decide(CLOSE, &record, path, NULL);
    long outcome = syscall(SYS_close, descriptor);
    if (action != NONE) { errno = chosen_error; outcome = -1; }
    record.error = outcome < 0 ? errno : 0;
    return (int)finish(record, path, NULL, outcome);
}

// MARK: Names

static int open_file(const char *given, int flags, mode_t mode) {
    char path[PATH_MAX];
    struct stat info;
    int changes = (flags & (O_CREAT | O_TRUNC)) && locate(given, path);
    int exists = changes && !lstat(path, &info);
#define REALLY syscall(SYS_openat, AT_FDCWD, given, flags, mode)
    // An open that neither makes a file nor empties one changes nothing.
    if (!changes || (exists && (!(flags & O_TRUNC) || info.st_size == 0))) return (int)REALLY;
    pthread_mutex_lock(&turn);
    struct record record = {0};
    long outcome;
    CALL(exists ? TRUNCATE : CREATE, path, NULL, record, outcome, REALLY);
#undef REALLY
    if (outcome >= 0) record.inode = inode_of((int)outcome);
    return (int)finish(record, path, NULL, outcome);
}

#define OPEN(more)                                          \
    mode_t mode = 0;                                        \
    if (flags & (O_CREAT | __O_TMPFILE)) {                  \
        va_list list;                                       \
        va_start(list, flags);                              \
        mode = (mode_t)va_arg(list, int);                   \
        va_end(list);                                       \
    }                                                       \
    return open_file(path, flags | (more), mode);

int open(const char *path, int flags, ...) { OPEN(0) }
int open64(const char *path, int flags, ...) { OPEN(O_LARGEFILE) }

// Two names, of which one is below the folder, by a call without flags.
static int two_names(enum kind kind, long call, const char *name, const char *other) {
    char path[PATH_MAX] = "", other_path[PATH_MAX] = "";
    int below = locate(name, path), other_below = locate(other, other_path);
    if (!below && !other_below) return (int)syscall(call, name, other);
    pthread_mutex_lock(&turn);
    struct record record = {0};
    long outcome;
    CALL(kind, path, other_path, record, outcome, syscall(call, name, other));
    if (outcome >= 0) record.inode = inode_at(other_path);
    return (int)finish(record, path, other_path, outcome);
}

static int one_name(enum kind kind, long call, const char *name, mode_t mode) {
    char path[PATH_MAX] = "";
    // Removing what is not there, and making a folder that is, changes nothing.
    if (!locate(name, path) || (kind == MKDIR) == (inode_at(path) != 0)) return (int)syscall(call, name, mode);
    pthread_mutex_lock(&turn);
    struct record record = {0};
    long outcome;
    CALL(kind, path, NULL, record, outcome, syscall(call, name, mode));
    if (outcome >= 0 && kind == MKDIR) record.inode = inode_at(path);
    return (int)finish(record, path, NULL, outcome);
}

int rename(const char *path, const char *other) { return two_names(RENAME, SYS_rename, path, other); }
int link(const char *path, const char *other) { return two_names(LINK, SYS_link, path, other); }
int unlink(const char *path) { return one_name(UNLINK, SYS_unlink, path, 0); }
int rmdir(const char *path) { return one_name(RMDIR, SYS_rmdir, path, 0); }
int mkdir(const char *path, mode_t mode) { return one_name(MKDIR, SYS_mkdir, path, mode); }
