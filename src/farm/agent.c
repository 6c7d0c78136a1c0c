/* agent.c: see agent.h. */
#include "agent.h"

#include <string.h>
#include <unistd.h>

static rad_status send_fault(rad_agent *a, rad_status why, const char *text, const int64_t *guilty, int64_t n, rad_error *err) {
    rad_wire_fault f = {why, text, {n, guilty}};
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_MESSAGE);
    a->faulted = true;
    rad_status st = rad_wire_put_fault(&b, &f, err);
    if (st == RAD_OK)
        return rad_transport_send(a->t, 0, &b, err);
    rad_buf_release(&b);
    return st;
}

rad_status rad_agent_refuse(rad_agent *a, rad_transport *t, rad_status why, const char *text, rad_error *err) {
    *a = (rad_agent){.t = t};
    return send_fault(a, why, text, NULL, 0, err);
}

rad_status rad_agent_start(rad_agent *a, rad_transport *t, const rad_worker_opts *o, rad_error *err) {
    *a = (rad_agent){.t = t, .journal = o->journal};
    rad_error why = {0};
    rad_status st = rad_worker_create(o, &a->w, &why);
    if (st != RAD_OK)
        return send_fault(a, st, why.text, NULL, 0, err);
    char host[256] = "";
    (void)gethostname(host, sizeof host - 1);
    char room[256];
    (void)rad_resources_text(&o->room, room, sizeof room);
    rad_wire_hello h = {host, o->backend_version, room, rad_worker_window(a->w), o->room.threads};
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_MESSAGE);
    st = rad_wire_put_hello(&b, &h, err);
    if (st == RAD_OK)
        return rad_transport_send(t, 0, &b, err);
    rad_buf_release(&b);
    return st;
}

/* Gives back all that nobody has begun. */
static rad_status give_back(rad_agent *a, rad_error *err) {
    int64_t index[RAD_MAX_LEASE_CASES], n;
    while ((n = rad_worker_drain(a->w, RAD_MAX_LEASE_CASES, index)) > 0) {
        rad_buf b;
        rad_buf_init(&b, RAD_MAX_MESSAGE);
        rad_wire_cases c = {n, index};
        rad_status st = rad_wire_put_return(&b, &c, err);
        if (st == RAD_OK)
            st = rad_transport_send(a->t, 0, &b, err);
        else
            rad_buf_release(&b);
        if (st != RAD_OK)
            return st;
    }
    return RAD_OK;
}

rad_status rad_agent_handle(rad_agent *a, const rad_buf *message, rad_error *err) {
    rad_wire_kind kind;
    rad_status st = rad_wire_peek(message->data, message->size, &kind, err);
    if (st != RAD_OK)
        return st;
    switch (kind) {
    case RAD_WIRE_LEASE:
        if (!a->w || a->faulted)
            return RAD_OK; /* crossed our fault on the way: the coordinator gives it to another */
        st = rad_worker_submit(a->w, message->data, message->size, err);
        return st == RAD_OK && a->draining ? give_back(a, err) : st;
    case RAD_WIRE_DRAIN:
        a->draining = true;
        return a->w && !a->faulted ? give_back(a, err) : RAD_OK;
    case RAD_WIRE_COMMITTED: {
        int64_t n;
        st = rad_wire_get_committed(message->data, message->size, &n, err);
        if (st == RAD_OK)
            rad_journal_committed(a->journal, n);
        return st;
    }
    case RAD_WIRE_LEAVE:
        a->leave = true;
        a->quit = true;
        return RAD_OK;
    case RAD_WIRE_QUIT:
        a->quit = true;
        return RAD_OK;
    default:
        return rad_error_set(err, RAD_E_COMM, "a worker got a message of kind %d", (int)kind);
    }
}

/* A sign of life when it is time. */
static rad_status say_alive(rad_agent *a, rad_error *err) {
    const double now = rad_clock_seconds();
    if (now - a->said_alive < RAD_ALIVE_SECONDS)
        return RAD_OK;
    a->said_alive = now;
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_MESSAGE);
    rad_status st = rad_wire_put_signal(&b, RAD_WIRE_ALIVE, err);
    if (st == RAD_OK)
        return rad_transport_send(a->t, 0, &b, err);
    rad_buf_release(&b);
    return st;
}

rad_status rad_agent_pump(rad_agent *a, double seconds, bool stop, rad_error *err) {
    rad_buf b;
    rad_status st = say_alive(a, err);
    if (st != RAD_OK)
        return st;
    if (!a->w || a->faulted) { /* nothing to wait for */
        rad_transport_nap(seconds);
        seconds = 0;
    }
    while (st == RAD_OK && a->w && rad_worker_take(a->w, seconds, &b)) {
        st = rad_transport_send(a->t, 0, &b, err);
        seconds = 0;
    }
    if (st != RAD_OK || !a->w || a->faulted)
        return st;
    int64_t guilty[RAD_MAX_LEASE_CASES], n = 0;
    rad_error why = {0};
    rad_status fault = rad_worker_fault(a->w, RAD_MAX_LEASE_CASES, guilty, &n, &why);
    if (fault != RAD_OK)
        return send_fault(a, fault, why.text, guilty, n, err);
    if (a->draining && rad_worker_held(a->w) > 0)
        st = give_back(a, err); /* what was being read when it was asked to stop */
    if (st == RAD_OK && stop && !a->draining) {
        a->draining = true;
        st = give_back(a, err);
        if (st == RAD_OK) {
            st = send_fault(a, RAD_E_STOPPED, "stopped on request", NULL, 0, err);
            a->faulted = false; /* what is in work goes on to its end */
        }
    }
    return st;
}

void rad_agent_end(rad_agent *a, double patience) {
    rad_worker_destroy(&a->w, patience);
}
