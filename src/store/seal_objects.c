/* seal_objects.c: which columns of which tables are sealed with a run, under which names. A column that is added to one of these tables is
 * added here: a test changes every column of the schema and expects it to be noticed, but for those that it names with a reason. */
#include "seal.h"

#define B "||char(31)||"
#define LESION "coalesce(l.lesion, '')"
/* m: the case */
#define CASE_NAME "coalesce(p.patient, '?')" B LESION B "coalesce(m.study, '')"
#define CASE_JOINS " LEFT JOIN patient p ON p.patient_id = m.patient_id LEFT JOIN lesion l ON l.lesion_id = m.lesion_id"
/* s: unit, patient_id, case_id, run_model_id. An id that leads nowhere stands for itself. */
#define UNIT_NAME                                                                                                                          \
    "coalesce(rm.model, s.run_model_id, '')" B "s.unit" B "coalesce(p.patient, '?')" B LESION B "coalesce(m.study, s.case_id, '')"
#define UNIT_JOINS                                                                                                                         \
    " LEFT JOIN manifest m ON m.case_id = s.case_id LEFT JOIN patient p ON p.patient_id = s.patient_id"                                    \
    " LEFT JOIN lesion l ON l.lesion_id = m.lesion_id"
/* i: an image of patient ip and, where it is a lesion's, lesion il; `own`: the row that refers to it */
#define IMAGE_NAME(i, own) "coalesce(" i "p.patient" B "coalesce(" i "l.lesion, '')" B i ".study" B i ".sequence" B i ".path, " own ", '')"
#define IMAGE_JOIN(i, id)                                                                                                                  \
    " LEFT JOIN image " i " ON " i ".image_id = " id " LEFT JOIN patient " i "p ON " i "p.patient_id = " i ".patient_id"                   \
    " LEFT JOIN lesion " i "l ON " i "l.lesion_id = " i ".lesion_id"
#define CLASS_JOIN(run) " LEFT JOIN run_class k ON k.run_id = " run " AND k.class_index = s.class_index"
#define CLASS_NAME "coalesce(k.class, s.class_index, '')"

static const char SQL_RUN[] = "SELECT job, identity, job_sha256, job_text, cohort_sha256, case_unit, lesion_rule, patient_rule, "
                              "vote_threshold, positive_class, strata,"
                              " backend, backend_version, precision, radcohort_version, result_sha256 FROM run WHERE run_id = ?1";
static const char SQL_CLASS[] = "SELECT class, class_index, grade, rule FROM run_class WHERE run_id = ?1 ORDER BY 1, 2";
static const char SQL_PART[] =
    "SELECT coalesce(k.class, s.class_index)" B "coalesce(part.class, s.part_index), s.class_index, s.part_index"
    " FROM run_class_part s" CLASS_JOIN("s.run_id") " LEFT JOIN run_class part ON part.run_id = s.run_id"
                                                    " AND part.class_index = s.part_index WHERE s.run_id = ?1 ORDER BY 1, 2, 3";
static const char SQL_MODEL[] = "SELECT model, position, file, input, input_text, output, activation, folds, trained_on, cam_rule"
                                " FROM run_model WHERE run_id = ?1 ORDER BY 1, 2";
static const char SQL_FILE[] =
    "SELECT rm.model" B "f.position, f.file, f.fold, mo.sha256, mo.graph_hash, mo.opset, mo.parameters, mo.input_shape, mo.output_shape,"
    " mo.summary"
    " FROM run_model rm JOIN run_model_file f ON f.run_model_id = rm.run_model_id LEFT JOIN model mo ON mo.model_id = f.model_id"
    " WHERE rm.run_id = ?1 ORDER BY 1, 2";
static const char SQL_POINT[] =
    "SELECT point, position, threshold, origin, tune, target, tuned_on, tuned_model FROM operating_point WHERE run_id = ?1 ORDER BY 1, 2";
static const char SQL_REGRESSION[] = "SELECT regression" B "position" B "place, predictor FROM regression WHERE run_id = ?1 ORDER BY 1, 2";
static const char SQL_TUNED[] =
    "SELECT s.point" B "coalesce(rm.model, '?')" B "s.unit" B CLASS_NAME ", s.threshold FROM tuned_threshold s"
    " LEFT JOIN run_model rm ON rm.run_model_id = s.run_model_id" CLASS_JOIN("s.run_id") " WHERE s.run_id = ?1 ORDER BY 1, 2";
static const char SQL_PATIENT[] =
    "SELECT coalesce(p.patient, '?'), c.center, rp.cohort, k.class, rp.class_index, rp.fold FROM run_patient rp"
    " LEFT JOIN patient p ON p.patient_id = rp.patient_id LEFT JOIN center c ON c.center_id = rp.center_id"
    " LEFT JOIN run_class k ON k.run_id = rp.run_id AND k.class_index = rp.class_index WHERE rp.run_id = ?1 ORDER BY 1, 2";
static const char SQL_UNSELECTED[] = "SELECT coalesce(p.patient, '?'), u.reason FROM unselected_patient u"
                                     " LEFT JOIN patient p ON p.patient_id = u.patient_id WHERE u.run_id = ?1 ORDER BY 1, 2";
static const char SQL_MANIFEST[] =
    "SELECT " CASE_NAME ", m.position, m.class_index FROM manifest m" CASE_JOINS " WHERE m.run_id = ?1 ORDER BY 1, 2";
static const char SQL_IMAGE_USE[] = "SELECT " CASE_NAME B "s.input" B "s.channel, " IMAGE_NAME(
    "i", "s.image_id") ", s.volumes, v.content, v.volumes, v.type, v.n_dim, v.dims, v.nx, v.ny, v.nz,"
                       " v.spacing_x, v.spacing_y, v.spacing_z, v.orientation, v.affine, v.file_bytes FROM manifest m JOIN image_use s ON "
                       "s.case_id = m.case_id" CASE_JOINS IMAGE_JOIN(
                           "i", "s.image_id") " LEFT JOIN volume v ON v.volume_id = s.volume_id WHERE m.run_id = ?1 ORDER BY 1, 2";
static const char SQL_UNUSED[] = "SELECT " IMAGE_NAME("i", "s.image_id") ", s.reason FROM unused_image s" IMAGE_JOIN(
    "i", "s.image_id") " WHERE s.run_id = ?1 ORDER BY 1, 2";
static const char SQL_COPY[] = "SELECT " IMAGE_NAME("a", "s.image_a")
    B IMAGE_NAME("b", "s.image_b") ", s.similarity, s.same FROM near_copy s" IMAGE_JOIN("a", "s.image_a")
        IMAGE_JOIN("b", "s.image_b") " WHERE s.run_id = ?1 ORDER BY 1, 2, 3";
static const char SQL_WARNING[] = "SELECT " CASE_NAME B IMAGE_NAME("i", "s.image_id") B
    "s.stage, s.text, s.case_id IS NULL FROM warning s"
    " LEFT JOIN manifest m ON m.case_id = s.case_id" CASE_JOINS IMAGE_JOIN("i", "s.image_id") " WHERE s.run_id = ?1 ORDER BY 1, 2";
static const char SQL_RESULT[] =
    "SELECT rm.model" B CASE_NAME ", re.result_key, rs.seal FROM run_model rm JOIN run_result rr ON rr.run_model_id = rm.run_model_id"
    " LEFT JOIN manifest m ON m.case_id = rr.case_id" CASE_JOINS " LEFT JOIN result re ON re.result_id = rr.result_id"
    " LEFT JOIN result_seal rs ON rs.result_id = rr.result_id WHERE rm.run_id = ?1 ORDER BY 1, 2, 3";
static const char SQL_CAM[] =
    "SELECT rm.model" B CASE_NAME ", c.cam_key, re.result_key, c.rule, c.class_index, c.deciding_slice, c.depth, c.height, c.width,"
    " c.file, c.scale FROM run_model rm JOIN run_cam rc ON rc.run_model_id = rm.run_model_id LEFT JOIN manifest m ON m.case_id = "
    "rc.case_id" CASE_JOINS
    " LEFT JOIN cam c ON c.cam_id = rc.cam_id LEFT JOIN result re ON re.result_id = c.result_id WHERE rm.run_id = ?1 ORDER BY 1, 2";
static const char SQL_CAM_SLICE[] =
    "SELECT rm.model" B CASE_NAME B "printf('%05d', s.slice), s.peak_i, s.peak_j, s.peak_k, s.peak_x, s.peak_y, s.peak_z, s.peak_value,"
    " s.low_value, s.energy, s.energy_inside, s.peak_inside, s.iou FROM run_model rm JOIN run_cam rc ON rc.run_model_id = rm.run_model_id"
    " JOIN cam_slice s ON s.cam_id = rc.cam_id LEFT JOIN manifest m ON m.case_id = rc.case_id" CASE_JOINS
    " WHERE rm.run_id = ?1 ORDER BY 1, 2";
static const char SQL_SCORE[] =
    "SELECT " UNIT_NAME B CLASS_NAME ", s.score, s.n_part, s.n_missing FROM run_model rm"
    " JOIN case_score s ON s.run_model_id = rm.run_model_id" UNIT_JOINS CLASS_JOIN("rm.run_id") " WHERE rm.run_id = ?1 ORDER BY 1, 2, 3, 4";
static const char SQL_GRADE[] =
    "SELECT " UNIT_NAME ", s.grade, s.call FROM run_model rm"
    " JOIN case_grade s ON s.run_model_id = rm.run_model_id" UNIT_JOINS " WHERE rm.run_id = ?1 ORDER BY 1, 2, 3";
static const char SQL_EXCLUSION[] =
    "SELECT " UNIT_NAME ", s.stage, s.reason, s.text FROM exclusion s"
    " LEFT JOIN run_model rm ON rm.run_model_id = s.run_model_id" UNIT_JOINS " WHERE s.run_id = ?1 ORDER BY 1, 2, 3, 4";
static const char SQL_STATISTIC[] =
    "SELECT coalesce(rm.model, '?')" B "s.unit" B CLASS_NAME B "s.stratum_kind" B "s.stratum" B "coalesce(s.point, '')" B "s.name" B
    "coalesce(s.versus, ''), s.cohort, s.method, s.n, s.n_pos, s.n_missing, s.n_cluster, s.est, s.se, s.lower, s.upper, s.level, s.p,"
    " s.p_adjusted, s.reason, s.query FROM statistic s LEFT JOIN run_model rm ON rm.run_model_id = s.run_model_id" CLASS_JOIN(
        "s.run_id") " WHERE s.run_id = ?1 ORDER BY 1, 2";
static const char SQL_PROVENANCE[] = "SELECT job, cohort_dir, job_path, versions, host, launch_mode, command_line, n_rank, threads, "
                                     "started, finished, session_started, session_done,"
                                     " sessions FROM run WHERE run_id = ?1";

static const char SQL_WORK[] = "SELECT " CASE_NAME ", s.state, s.attempts, s.lost, s.interrupted, s.rank FROM manifest m"
                               " JOIN work s ON s.case_id = m.case_id" CASE_JOINS " WHERE m.run_id = ?1 ORDER BY 1, 2";
static const char SQL_TIME[] =
    "SELECT " CASE_NAME ", s.* FROM manifest m JOIN time_ledger s ON s.case_id = m.case_id" CASE_JOINS " WHERE m.run_id = ?1 ORDER BY 1, 2";

/* Nights are told by their number, which stands in their summaries. */
#define NIGHT_NAME(s) "printf('%09d', " s ".nightly_id)"
static const char SQL_NIGHT[] = "SELECT " NIGHT_NAME("s") ", s.* FROM nightly s WHERE s.run_id = ?1 ORDER BY 1";
static const char SQL_NIGHT_CASE[] = "SELECT " NIGHT_NAME("s") B "printf('%09d', s.position), s.* FROM nightly n JOIN nightly_case s"
                                                                 " ON s.nightly_id = n.nightly_id WHERE n.run_id = ?1 ORDER BY 1";
static const char SQL_DRIFT[] = "SELECT " NIGHT_NAME("s") B "s.center" B "s.variable" B "s.unit, s.* FROM nightly n JOIN drift s"
                                                            " ON s.nightly_id = n.nightly_id WHERE n.run_id = ?1 ORDER BY 1";

static const char SQL_CENTER[] = "SELECT center||'', cohort, name, country FROM center ORDER BY 1";
static const char SQL_COHORT_PATIENT[] = "SELECT p.patient||'', c.center, p.label, p.fold, p.age, p.sex FROM patient p LEFT JOIN center c "
                                         "ON c.center_id = p.center_id ORDER BY 1";
static const char SQL_PATIENT_COVARIATE[] =
    "SELECT coalesce(p.patient, s.patient_id)" B "s.name, s.value, s.number FROM patient_covariate s"
    " LEFT JOIN patient p ON p.patient_id = s.patient_id ORDER BY 1";
static const char SQL_LESION[] =
    "SELECT coalesce(p.patient, l.patient_id)" B "l.lesion, l.label, l.i0, l.j0, l.k0, l.i1, l.j1, l.k1, l.point_i, l.point_j, l.point_k,"
    " l.mask, l.size_mm, l.slices FROM lesion l LEFT JOIN patient p ON p.patient_id = l.patient_id ORDER BY 1";
static const char SQL_LESION_COVARIATE[] =
    "SELECT coalesce(p.patient" B "l.lesion, s.lesion_id)" B "s.name, s.value, s.number FROM lesion_covariate s"
    " LEFT JOIN lesion l ON l.lesion_id = s.lesion_id LEFT JOIN patient p ON p.patient_id = l.patient_id ORDER BY 1";
static const char SQL_IMAGE[] = "SELECT " IMAGE_NAME(
    "i",
    "i.image_id") ", i.slices, i.lesion_id IS NULL FROM image i"
                  " LEFT JOIN patient ip ON ip.patient_id = i.patient_id LEFT JOIN lesion il ON il.lesion_id = i.lesion_id ORDER BY 1, 2";
static const char SQL_IMAGE_COVARIATE[] = "SELECT " IMAGE_NAME("i", "s.image_id") B
    "s.name, s.value, s.number FROM image_covariate s" IMAGE_JOIN("i", "s.image_id") " ORDER BY 1, 2";
#define READING_NAME "coalesce(s.reader" B "p.patient" B LESION B "coalesce(s.session, ''), s.reading_id)"
#define READING_JOINS " LEFT JOIN patient p ON p.patient_id = s.patient_id LEFT JOIN lesion l ON l.lesion_id = s.lesion_id"
static const char SQL_READING[] = "SELECT " READING_NAME ", s.lesion_id IS NULL, s.session IS NULL, s.repeat, s.call, s.rating,"
                                  " s.experience_years FROM reading s" READING_JOINS " ORDER BY 1, 2, 3";
static const char SQL_FEATURE[] = "SELECT coalesce(" READING_NAME ", f.reading_id)" B "f.name, f.value, f.number FROM reading_feature f"
                                  " LEFT JOIN reading s ON s.reading_id = f.reading_id" READING_JOINS " ORDER BY 1, 2";

static const rad_seal_object OBJECT[] = {{"center", SQL_CENTER, RAD_SEAL_COHORT},
                                         {"patient", SQL_COHORT_PATIENT, RAD_SEAL_COHORT},
                                         {"patient_covariate", SQL_PATIENT_COVARIATE, RAD_SEAL_COHORT},
                                         {"lesion", SQL_LESION, RAD_SEAL_COHORT},
                                         {"lesion_covariate", SQL_LESION_COVARIATE, RAD_SEAL_COHORT},
                                         {"image", SQL_IMAGE, RAD_SEAL_COHORT},
                                         {"image_covariate", SQL_IMAGE_COVARIATE, RAD_SEAL_COHORT},
                                         {"reading", SQL_READING, RAD_SEAL_COHORT},
                                         {"reading_feature", SQL_FEATURE, RAD_SEAL_COHORT},
                                         {"run", SQL_RUN, RAD_SEAL_RUN},
                                         {"run_class", SQL_CLASS, RAD_SEAL_RUN},
                                         {"run_class_part", SQL_PART, RAD_SEAL_RUN},
                                         {"run_model", SQL_MODEL, RAD_SEAL_RUN},
                                         {"run_model_file", SQL_FILE, RAD_SEAL_RUN},
                                         {"operating_point", SQL_POINT, RAD_SEAL_RUN},
                                         {"regression", SQL_REGRESSION, RAD_SEAL_RUN},
                                         {"run_patient", SQL_PATIENT, RAD_SEAL_RUN},
                                         {"unselected_patient", SQL_UNSELECTED, RAD_SEAL_RUN},
                                         {"manifest", SQL_MANIFEST, RAD_SEAL_RUN},
                                         {"image_use", SQL_IMAGE_USE, RAD_SEAL_RUN},
                                         {"unused_image", SQL_UNUSED, RAD_SEAL_RUN},
                                         {"near_copy", SQL_COPY, RAD_SEAL_RUN},
                                         {"warning", SQL_WARNING, RAD_SEAL_RUN},
                                         {"run_result", SQL_RESULT, RAD_SEAL_RUN},
                                         {"run_cam", SQL_CAM, RAD_SEAL_RUN},
                                         {"cam_slice", SQL_CAM_SLICE, RAD_SEAL_RUN},
                                         {"case_score", SQL_SCORE, RAD_SEAL_RUN},
                                         {"case_grade", SQL_GRADE, RAD_SEAL_RUN},
                                         {"exclusion", SQL_EXCLUSION, RAD_SEAL_RUN},
                                         {"tuned_threshold", SQL_TUNED, RAD_SEAL_RUN},
                                         {"statistic", SQL_STATISTIC, RAD_SEAL_RUN},
                                         {"provenance", SQL_PROVENANCE, RAD_SEAL_RUN},
                                         {"work", SQL_WORK, RAD_SEAL_RUN},
                                         {"time_ledger", SQL_TIME, RAD_SEAL_RUN},
                                         {"nightly", SQL_NIGHT, RAD_SEAL_NIGHT},
                                         {"nightly_case", SQL_NIGHT_CASE, RAD_SEAL_NIGHT},
                                         {"drift", SQL_DRIFT, RAD_SEAL_NIGHT}};

const rad_seal_object *rad_seal_object_at(int i) {
    return i < (int)(sizeof OBJECT / sizeof OBJECT[0]) ? &OBJECT[i] : NULL;
}
