/* seal_objects.c: which columns of which tables are sealed with a run, under which names. A column that is added to one of these tables is
 * added here: a test changes every column and expects it to be noticed. */
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
    "SELECT rm.model" B "f.position, f.file, f.fold, mo.sha256, mo.graph_hash, mo.opset, mo.parameters, mo.input_shape, mo.output_shape"
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
static const char SQL_RESULT[] =
    "SELECT rm.model" B CASE_NAME ", re.result_key, rs.seal FROM run_model rm JOIN run_result rr ON rr.run_model_id = rm.run_model_id"
    " LEFT JOIN manifest m ON m.case_id = rr.case_id" CASE_JOINS " LEFT JOIN result re ON re.result_id = rr.result_id"
    " LEFT JOIN result_seal rs ON rs.result_id = rr.result_id WHERE rm.run_id = ?1 ORDER BY 1, 2, 3";
static const char SQL_CAM[] =
    "SELECT rm.model" B CASE_NAME ", c.cam_key, c.rule, c.class_index, c.deciding_slice, c.height, c.width, c.file, c.scale"
    " FROM run_model rm JOIN run_cam rc ON rc.run_model_id = rm.run_model_id LEFT JOIN manifest m ON m.case_id = rc.case_id" CASE_JOINS
    " LEFT JOIN cam c ON c.cam_id = rc.cam_id WHERE rm.run_id = ?1 ORDER BY 1, 2";
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

static const rad_seal_object OBJECT[] = {{"run", SQL_RUN, false},
                                         {"run_class", SQL_CLASS, false},
                                         {"run_class_part", SQL_PART, false},
                                         {"run_model", SQL_MODEL, false},
                                         {"run_model_file", SQL_FILE, false},
                                         {"operating_point", SQL_POINT, false},
                                         {"regression", SQL_REGRESSION, false},
                                         {"run_patient", SQL_PATIENT, false},
                                         {"unselected_patient", SQL_UNSELECTED, false},
                                         {"manifest", SQL_MANIFEST, false},
                                         {"run_result", SQL_RESULT, false},
                                         {"run_cam", SQL_CAM, false},
                                         {"case_score", SQL_SCORE, false},
                                         {"case_grade", SQL_GRADE, false},
                                         {"exclusion", SQL_EXCLUSION, false},
                                         {"tuned_threshold", SQL_TUNED, false},
                                         {"statistic", SQL_STATISTIC, false},
                                         {"provenance", SQL_PROVENANCE, true}};

const rad_seal_object *rad_seal_object_at(int i) {
    return i < (int)(sizeof OBJECT / sizeof OBJECT[0]) ? &OBJECT[i] : NULL;
}
