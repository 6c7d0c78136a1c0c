/* seats.h (private to onednn/): which processors a team's threads may use while it computes one sample.
 *
 * The kernel may wake a thread of the team on the processor of its leader, although another one is idle (in a virtual machine one that
 * sleeps may count as busy), and OpenMP's barriers spin for milliseconds before they let the other thread run: a sample of 5 ms then
 * takes 18. So for as long as a sample takes, the leader stays where it is and the others keep away from there. Nobody is bound to more
 * than that: several processes may share the processors. */
#ifndef RAD_ONEDNN_SEATS_H
#define RAD_ONEDNN_SEATS_H

struct dn_seats;

/* NULL when memory is out; free() releases. */
struct dn_seats *dn_seats_create(void);
/* On the leader's thread, for its OpenMP team of `threads`. Does nothing where the kernel does not tell or allow, or with fewer processors.
 */
void dn_seats_take(struct dn_seats *s, int threads);
/* The leader may run again where it might before; on its thread, however often. */
void dn_seats_leave(struct dn_seats *s);

#endif
