/* launch.c: see launch.h. */
#include "launch.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_PATH 4096

static volatile sig_atomic_t asked; /* how often: a signal handler has no other way to say something */

static void on_signal(int number) {
    (void)number;
    asked++;
}

static bool under_launcher(void) {
    return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMIX_RANK") || getenv("PMI_RANK");
}

/* This program, and the mpirun that came with it, if any. */
static rad_status find_programs(char self[MAX_PATH], char mpirun[MAX_PATH], rad_error *err) {
    const ssize_t n = readlink("/proc/self/exe", self, MAX_PATH - 1);
    if (n <= 0)
        return rad_error_set(err, RAD_E_IO, "cannot find this program's own file: %s", strerror(errno));
    self[n] = 0;
    const char *slash = strrchr(self, '/');
    const int k = snprintf(mpirun, MAX_PATH, "%.*s/mpirun", (int)(slash - self), self);
    if (k < 0 || k >= MAX_PATH || access(mpirun, X_OK) != 0)
        (void)snprintf(mpirun, MAX_PATH, "mpirun");
    return RAD_OK;
}

/* mpirun -n N SELF run ... */
static char **make_arguments(int argc, char **argv, char *count, char *self, char *mpirun) {
    static char quiet[] = "-q", crowd[] = "--oversubscribe", bind[] = "--bind-to", none[] = "none", n[] = "-n";
    char **out = rad_calloc((size_t)argc + 16, sizeof *out);
    int k = 0;
    if (!out)
        return NULL;
    out[k++] = mpirun;
    out[k++] = quiet; /* of what it says about exit statuses: ours are no failures */
    out[k++] = crowd; /* the coordinator needs no core of its own */
    out[k++] = bind;  /* two ranks would get a core each, of which the coordinator needs none: those that compute share all */
    out[k++] = none;
    out[k++] = n;
    out[k++] = count;
    out[k++] = self;
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--ranks") == 0)
            i++;
        else if (strncmp(argv[i], "--ranks=", 8) != 0)
            out[k++] = argv[i];
    return out;
}

/* The exit status that rank 0 left, or -1. */
static int read_status(const char *path) {
    json_t *j = json_load_file(path, 0, NULL), *code = json_object_get(j, "exit_code");
    const int v = json_is_integer(code) ? (int)json_integer_value(code) : -1;
    json_decref(j);
    return v;
}

static int wait_for(pid_t child) {
    int state = 0, passed = 0;
    while (waitpid(child, &state, 0) < 0 && errno == EINTR)
        for (; passed < asked; passed++)
            (void)kill(child, SIGUSR1);
    return WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
}

/* Becomes mpirun, in a process group of its own: a terminal's Ctrl-C reaches us alone. */
static void become(char **arguments) {
    (void)setpgid(0, 0);
    (void)setenv("HWLOC_COMPONENTS", "-gl", 0); /* mpirun would ask the X server for graphics cards */
    (void)execvp(arguments[0], arguments);
    (void)fprintf(stderr, "radcohort run: error: cannot start '%s': %s; install Open MPI, or leave --ranks out\n", arguments[0],
                  strerror(errno));
    _exit(127);
}

rad_status rad_cli_launch(int argc, char **argv, int n_rank, const char *status, int *ret_code, rad_error *err) {
    char self[MAX_PATH], mpirun[MAX_PATH], count[16], **arguments = NULL;
    rad_status st = RAD_OK;
    if (under_launcher())
        return rad_error_set(err, RAD_E_USAGE, "--ranks: a launcher has started this already; leave one of the two out");
    RAD_TRY(find_programs(self, mpirun, err));
    (void)snprintf(count, sizeof count, "%d", n_rank);
    arguments = make_arguments(argc, argv, count, self, mpirun);
    if (!arguments) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
        goto out;
    }
    if (status)
        (void)unlink(status); /* of an earlier run */
    struct sigaction a = {.sa_handler = on_signal};
    sigemptyset(&a.sa_mask);
    const int passed_on[] = {SIGINT, SIGTERM, SIGUSR1};
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        (void)sigaction(passed_on[i], &a, NULL);
    const pid_t child = fork();
    if (child < 0) {
        st = rad_error_set(err, RAD_E_IO, "cannot start a process: %s", strerror(errno));
        goto out;
    }
    if (child == 0)
        become(arguments);
    const int launcher = wait_for(child), code = status ? read_status(status) : -1;
    /* no word of rank 0: it was killed, or never came to be */
    *ret_code = code >= 0                                                ? code
                : asked > 0                                              ? RAD_EXIT_STOPPED
                : launcher > RAD_EXIT_OK && launcher <= RAD_EXIT_STOPPED ? launcher
                                                                         : RAD_EXIT_FAILED;
out:
    free(arguments);
    return st;
}
