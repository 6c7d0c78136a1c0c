/* metrics.h (private to src/farm): the figures of a running job in the text format of Prometheus, for node_exporter's textfile collector.
 * No patient, no path. */
#ifndef RAD_FARM_METRICS_H
#define RAD_FARM_METRICS_H

#include "session.h"

/* Appends the whole exposition. `f` as of `now`. Errors: NOMEM, LIMIT. */
rad_status rad_metrics_put(rad_buf *b, const rad_session_figures *f, const char *state, rad_error *err) RAD_MUST_CHECK;

#endif
