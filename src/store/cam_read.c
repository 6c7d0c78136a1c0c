/* cam_read.c: class activation maps with all that is needed to show them. */
#include "db.h"

#include <inttypes.h>
#include <string.h>

/* The image of the first channel entry is what the map is drawn on; the input's rules say how its slices lie. */
static const char SQL_CAMS[] =
    "SELECT v.model, v.patient, v.lesion, v.study, v.class, v.cohort, v.score, v.label, v.slice, v.deciding, v.x0, v.y0, v.x1, v.y1,"
    " v.peak_i, v.peak_j, v.peak_k, v.peak_value, v.energy_inside, v.peak_inside, v.iou, v.file, v.scale, i.path, rm.input_text, "
    "r.cohort_dir,"
    " (SELECT o.threshold FROM operating_point o WHERE o.run_id = v.run_id ORDER BY o.position LIMIT 1), l.mask, l.i0, l.j0, l.k0, l.i1, "
    "l.j1,"
    " l.k1, v.depth FROM v_cam v JOIN run r ON r.run_id = v.run_id JOIN run_model rm ON rm.run_id = v.run_id AND rm.model = v.model"
    " JOIN patient p ON p.patient = v.patient LEFT JOIN lesion l ON l.patient_id = p.patient_id AND l.lesion = v.lesion"
    " JOIN manifest m ON m.run_id = v.run_id AND m.patient_id = p.patient_id AND m.lesion_id IS l.lesion_id AND m.study = v.study"
    " LEFT JOIN image_use u ON u.case_id = m.case_id AND u.input = rm.input AND u.channel = 0 LEFT JOIN image i ON i.image_id = u.image_id"
    " WHERE v.run_id = ?1 ORDER BY rm.position, v.patient, v.lesion, v.study, v.slice";

rad_status rad_store_each_cam(rad_store *st, int64_t run, int (*row)(const rad_cam_row *r, void *payload), void *payload, rad_error *err) {
    bool more = false;
    rad_status s;
    rad_query q = rad_query_start(st, SQL_CAMS);
    rad_bind_int(&q, run);
    while ((s = rad_query_row(&q, &more, err)) == RAD_OK && more) {
        rad_cam_row r = {.model = rad_column_text(&q, 0),
                         .patient = rad_column_text(&q, 1),
                         .lesion = rad_column_text(&q, 2),
                         .study = rad_column_text(&q, 3),
                         .class_name = rad_column_text(&q, 4),
                         .cohort = rad_column_text(&q, 5),
                         .score = rad_column_real(&q, 6),
                         .label = (int)rad_column_index(&q, 7),
                         .slice = sqlite3_column_int64(q.stmt, 8),
                         .deciding = sqlite3_column_int(q.stmt, 9) != 0,
                         .peak_value = rad_column_real(&q, 17),
                         .energy_inside = rad_column_real(&q, 18),
                         .peak_inside = (int)rad_column_index(&q, 19),
                         .iou = rad_column_real(&q, 20),
                         .file = rad_column_text(&q, 21),
                         .scale = rad_column_real(&q, 22),
                         .image = rad_column_text(&q, 23),
                         .cohort_dir = rad_column_text(&q, 25),
                         .threshold = rad_column_real(&q, 26),
                         .mask = rad_column_text(&q, 27),
                         .deep = sqlite3_column_type(q.stmt, 34) != SQLITE_NULL,
                         .has_box = sqlite3_column_type(q.stmt, 28) != SQLITE_NULL};
        const char *rules = rad_column_text(&q, 24), *at = rules ? strstr(rules, "orientation=") : NULL;
        if (at && strlen(at) >= 15)
            memcpy(r.orientation, at + 12, 3);
        for (int i = 0; i < 4; i++)
            r.region[i] = sqlite3_column_int64(q.stmt, 10 + i);
        for (int i = 0; i < 3; i++)
            r.peak[i] = sqlite3_column_int64(q.stmt, 14 + i);
        for (int i = 0; i < 6; i++)
            r.box[i] = sqlite3_column_int64(q.stmt, 28 + i);
        if (row(&r, payload) != 0)
            break;
    }
    rad_query_end(&q);
    return s;
}
