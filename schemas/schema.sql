-- radcohort result file, schema version 1.
--
-- One SQLite file holds a study: the cohort tables as they were read, the runs over them, every score with the way back to
-- the voxels and weights it came from, every exclusion with its reason, and the statistics. One process writes it (rank 0);
-- anyone may read it at any time. Every table and column is described in the table data_dictionary, filled at the end of this file;
-- schemas/README.md is the tour.
--
-- Rules
--  1. Ids (columns ending in _id) are internal and mean nothing outside the file; names (center, patient, lesion, model, class) do.
--  2. A result is stored once under its content key and shared by all runs that need it (promise 2).
--  3. What a run knew about a patient (center, cohort, label) is kept with the run, so that later changes of the cohort tables do not
--     rewrite old numbers.
--  4. Voxel indices are zero-based; boxes are first inclusive, last exclusive. Lengths are in mm. Times are UTC, ISO 8601.
--  5. A call is positive when score >= threshold. Labels in the views are 1 (the class), 0 (another class) or NULL (unknown).
--  6. Scores are stored as the 8-byte IEEE numbers that were computed; nothing is rounded.
PRAGMA application_id = 1380009027; -- 'RADC'

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- ------------------------------------------------------------------------------------------------ the cohort, as last read

CREATE TABLE center (
    center_id INTEGER PRIMARY KEY,
    center    TEXT NOT NULL UNIQUE,
    cohort    TEXT NOT NULL CHECK (cohort IN ('internal', 'external')),
    name      TEXT,
    country   TEXT
) STRICT;

CREATE TABLE patient (
    patient_id INTEGER PRIMARY KEY,
    patient    TEXT NOT NULL UNIQUE,
    center_id  INTEGER NOT NULL REFERENCES center,
    label      TEXT,
    fold       INTEGER CHECK (fold >= 0),
    age        REAL CHECK (age BETWEEN 0 AND 90),
    sex        TEXT
) STRICT;
CREATE INDEX patient_center ON patient (center_id);

CREATE TABLE patient_covariate (
    patient_id INTEGER NOT NULL REFERENCES patient,
    name       TEXT NOT NULL,
    value      TEXT NOT NULL,
    number     REAL,
    PRIMARY KEY (patient_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE lesion (
    lesion_id  INTEGER PRIMARY KEY,
    patient_id INTEGER NOT NULL REFERENCES patient,
    lesion     TEXT NOT NULL,
    label      TEXT,
    i0 INTEGER, j0 INTEGER, k0 INTEGER,
    i1 INTEGER, j1 INTEGER, k1 INTEGER,
    point_i REAL, point_j REAL, point_k REAL,
    mask       TEXT,
    size_mm    REAL CHECK (size_mm >= 0),
    UNIQUE (patient_id, lesion),
    CHECK ((i0 IS NULL) = (k1 IS NULL)),
    CHECK ((point_i IS NULL) = (point_k IS NULL))
) STRICT;

CREATE TABLE lesion_covariate (
    lesion_id INTEGER NOT NULL REFERENCES lesion,
    name      TEXT NOT NULL,
    value     TEXT NOT NULL,
    number    REAL,
    PRIMARY KEY (lesion_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE image (
    image_id   INTEGER PRIMARY KEY,
    patient_id INTEGER NOT NULL REFERENCES patient,
    lesion_id  INTEGER REFERENCES lesion,
    study      TEXT NOT NULL,
    sequence   TEXT NOT NULL,
    path       TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX image_row ON image (patient_id, coalesce(lesion_id, 0), study, sequence, path);

CREATE TABLE reading (
    reading_id       INTEGER PRIMARY KEY,
    reader           TEXT NOT NULL,
    patient_id       INTEGER NOT NULL REFERENCES patient,
    lesion_id        INTEGER REFERENCES lesion,
    call             TEXT,
    rating           REAL,
    experience_years REAL
) STRICT;
CREATE INDEX reading_patient ON reading (patient_id, lesion_id);

-- ------------------------------------------------------------------------------------------------ what was read and what scored it

CREATE TABLE volume (
    volume_id   INTEGER PRIMARY KEY,
    content     TEXT NOT NULL UNIQUE CHECK (length(content) = 32),
    type        TEXT NOT NULL,
    n_dim       INTEGER NOT NULL CHECK (n_dim BETWEEN 1 AND 7),
    dims        TEXT NOT NULL CHECK (json_valid(dims)),
    nx INTEGER NOT NULL CHECK (nx > 0),
    ny INTEGER NOT NULL CHECK (ny > 0),
    nz INTEGER NOT NULL CHECK (nz > 0),
    spacing_x REAL, spacing_y REAL, spacing_z REAL,
    orientation TEXT NOT NULL,
    affine      TEXT NOT NULL CHECK (json_valid(affine)),
    file_bytes  INTEGER NOT NULL CHECK (file_bytes >= 0)
) STRICT;

CREATE TABLE model (
    model_id     INTEGER PRIMARY KEY,
    sha256       TEXT NOT NULL UNIQUE CHECK (length(sha256) = 64),
    graph_hash   TEXT NOT NULL,
    opset        INTEGER NOT NULL,
    parameters   INTEGER NOT NULL,
    input_shape  TEXT NOT NULL,
    output_shape TEXT NOT NULL,
    summary      TEXT
) STRICT;

-- ------------------------------------------------------------------------------------------------ a run and its manifest

CREATE TABLE run (
    run_id          INTEGER PRIMARY KEY,
    identity        TEXT NOT NULL CHECK (length(identity) = 64),
    state           TEXT NOT NULL CHECK (state IN ('running', 'stopped', 'finished', 'failed')),
    job             TEXT NOT NULL,
    job_sha256      TEXT NOT NULL,
    job_text        TEXT NOT NULL,
    cohort_sha256   TEXT NOT NULL,
    cohort_dir      TEXT,
    case_unit       TEXT NOT NULL CHECK (case_unit IN ('lesion', 'patient')),
    lesion_rule     TEXT NOT NULL,
    patient_rule    TEXT NOT NULL,
    positive_class  INTEGER,
    strata          TEXT NOT NULL,
    backend         TEXT NOT NULL,
    backend_version TEXT NOT NULL,
    precision       TEXT NOT NULL,
    radcohort_version TEXT NOT NULL,
    versions        TEXT CHECK (versions IS NULL OR json_valid(versions)),
    host            TEXT,
    launch_mode     TEXT,
    command_line    TEXT,
    n_rank          INTEGER NOT NULL,
    threads         INTEGER NOT NULL,
    started         TEXT NOT NULL,
    finished        TEXT,
    session_started TEXT NOT NULL,
    session_done    INTEGER NOT NULL,
    sessions        INTEGER NOT NULL
) STRICT;
CREATE INDEX run_identity ON run (identity);

CREATE TABLE run_class (
    run_id      INTEGER NOT NULL REFERENCES run,
    class_index INTEGER NOT NULL CHECK (class_index >= 0),
    class       TEXT NOT NULL,
    PRIMARY KEY (run_id, class_index),
    UNIQUE (run_id, class)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_model (
    run_model_id INTEGER PRIMARY KEY,
    run_id       INTEGER NOT NULL REFERENCES run,
    position     INTEGER NOT NULL,
    model        TEXT NOT NULL,
    model_id     INTEGER NOT NULL REFERENCES model,
    file         TEXT NOT NULL,
    input        TEXT NOT NULL,
    input_text   TEXT NOT NULL,
    output       TEXT,
    activation   TEXT NOT NULL CHECK (activation IN ('none', 'softmax', 'sigmoid')),
    fold         INTEGER,
    UNIQUE (run_id, model),
    UNIQUE (run_id, position)
) STRICT;

CREATE TABLE operating_point (
    run_id    INTEGER NOT NULL REFERENCES run,
    position  INTEGER NOT NULL,
    point     TEXT NOT NULL,
    threshold REAL NOT NULL,
    origin    TEXT NOT NULL CHECK (origin IN ('fixed', 'tuned')),
    tuned_on  TEXT,
    PRIMARY KEY (run_id, point)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_patient (
    run_id      INTEGER NOT NULL REFERENCES run,
    patient_id  INTEGER NOT NULL REFERENCES patient,
    center_id   INTEGER NOT NULL REFERENCES center,
    cohort      TEXT NOT NULL CHECK (cohort IN ('internal', 'external')),
    class_index INTEGER,
    PRIMARY KEY (run_id, patient_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE manifest (
    case_id     INTEGER PRIMARY KEY,
    run_id      INTEGER NOT NULL REFERENCES run,
    position    INTEGER NOT NULL,
    patient_id  INTEGER NOT NULL REFERENCES patient,
    lesion_id   INTEGER REFERENCES lesion,
    study       TEXT NOT NULL,
    class_index INTEGER,
    UNIQUE (run_id, position),
    FOREIGN KEY (run_id, patient_id) REFERENCES run_patient
) STRICT;
CREATE UNIQUE INDEX manifest_case ON manifest (run_id, patient_id, coalesce(lesion_id, 0), study);

CREATE TABLE work (
    case_id     INTEGER PRIMARY KEY REFERENCES manifest,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'leased', 'done', 'quarantined')),
    attempts    INTEGER NOT NULL CHECK (attempts >= 0),
    interrupted INTEGER NOT NULL CHECK (interrupted >= 0),
    rank        INTEGER
) STRICT;
CREATE INDEX work_state ON work (state);

CREATE TABLE image_use (
    case_id   INTEGER NOT NULL REFERENCES manifest,
    input     TEXT NOT NULL,
    channel   INTEGER NOT NULL,
    image_id  INTEGER NOT NULL REFERENCES image,
    volume_id INTEGER REFERENCES volume,
    PRIMARY KEY (case_id, input, channel)
) STRICT, WITHOUT ROWID;
CREATE INDEX image_use_image ON image_use (image_id);
CREATE INDEX image_use_volume ON image_use (volume_id);

CREATE TABLE unused_image (
    run_id   INTEGER NOT NULL REFERENCES run,
    image_id INTEGER NOT NULL REFERENCES image,
    reason   TEXT NOT NULL,
    PRIMARY KEY (run_id, image_id)
) STRICT, WITHOUT ROWID;

-- ------------------------------------------------------------------------------------------------ results

CREATE TABLE result (
    result_id  INTEGER PRIMARY KEY,
    result_key TEXT NOT NULL UNIQUE CHECK (length(result_key) = 64),
    model_id   INTEGER NOT NULL REFERENCES model,
    n_slice    INTEGER NOT NULL CHECK (n_slice > 0),
    n_class    INTEGER NOT NULL CHECK (n_class > 0)
) STRICT;

CREATE TABLE slice (
    result_id    INTEGER NOT NULL REFERENCES result,
    slice        INTEGER NOT NULL CHECK (slice >= 0),
    stored_slice INTEGER NOT NULL CHECK (stored_slice >= 0),
    x0 INTEGER NOT NULL, y0 INTEGER NOT NULL,
    x1 INTEGER NOT NULL, y1 INTEGER NOT NULL,
    PRIMARY KEY (result_id, slice)
) STRICT, WITHOUT ROWID;

CREATE TABLE slice_score (
    result_id   INTEGER NOT NULL,
    class_index INTEGER NOT NULL CHECK (class_index >= 0),
    slice       INTEGER NOT NULL,
    score       REAL NOT NULL,
    PRIMARY KEY (result_id, class_index, slice),
    FOREIGN KEY (result_id, slice) REFERENCES slice
) STRICT, WITHOUT ROWID;

CREATE TABLE run_result (
    case_id      INTEGER NOT NULL REFERENCES manifest,
    run_model_id INTEGER NOT NULL REFERENCES run_model,
    result_id    INTEGER NOT NULL REFERENCES result,
    PRIMARY KEY (case_id, run_model_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_result_result ON run_result (result_id);

CREATE TABLE case_score (
    run_model_id INTEGER NOT NULL REFERENCES run_model,
    unit         TEXT NOT NULL CHECK (unit IN ('lesion', 'patient')),
    patient_id   INTEGER NOT NULL REFERENCES patient,
    case_id      INTEGER REFERENCES manifest,
    class_index  INTEGER NOT NULL,
    score        REAL NOT NULL,
    n_part       INTEGER NOT NULL CHECK (n_part > 0),
    n_missing    INTEGER NOT NULL CHECK (n_missing >= 0),
    CHECK ((unit = 'lesion') = (case_id IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX case_score_unit ON case_score (run_model_id, unit, patient_id, coalesce(case_id, 0), class_index);

CREATE TABLE exclusion (
    exclusion_id INTEGER PRIMARY KEY,
    run_id       INTEGER NOT NULL REFERENCES run,
    unit         TEXT NOT NULL CHECK (unit IN ('lesion', 'patient')),
    patient_id   INTEGER NOT NULL REFERENCES patient,
    case_id      INTEGER REFERENCES manifest,
    run_model_id INTEGER REFERENCES run_model,
    stage        TEXT NOT NULL CHECK (stage IN ('intake', 'load', 'prepare', 'infer', 'farm', 'aggregate')),
    reason       TEXT NOT NULL CHECK (length(reason) > 0),
    text         TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX exclusion_unit ON exclusion (run_id, unit, patient_id, coalesce(case_id, 0), coalesce(run_model_id, 0));
CREATE INDEX exclusion_case ON exclusion (case_id);

CREATE TABLE warning (
    run_id   INTEGER NOT NULL REFERENCES run,
    case_id  INTEGER REFERENCES manifest,
    image_id INTEGER REFERENCES image,
    stage    TEXT NOT NULL,
    text     TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX warning_row ON warning (run_id, coalesce(case_id, 0), coalesce(image_id, 0), stage, text);

CREATE TABLE time_ledger (
    case_id    INTEGER PRIMARY KEY REFERENCES manifest,
    rank       INTEGER NOT NULL,
    host       TEXT,
    device     TEXT,
    read_s     REAL NOT NULL,
    prepare_s  REAL NOT NULL,
    infer_s    REAL NOT NULL,
    read_bytes INTEGER NOT NULL,
    stored     TEXT NOT NULL
) STRICT;

CREATE TABLE statistic (
    statistic_id INTEGER PRIMARY KEY,
    run_id       INTEGER NOT NULL REFERENCES run,
    run_model_id INTEGER NOT NULL REFERENCES run_model,
    unit         TEXT NOT NULL CHECK (unit IN ('slice', 'lesion', 'patient')),
    class_index  INTEGER NOT NULL,
    stratum_kind TEXT NOT NULL CHECK (stratum_kind IN ('all', 'cohort', 'center', 'contrast')),
    stratum      TEXT NOT NULL,
    cohort       TEXT CHECK (cohort IN ('internal', 'external')),
    point        TEXT,
    name         TEXT NOT NULL,
    method       TEXT NOT NULL,
    n            INTEGER NOT NULL CHECK (n >= 0),
    n_pos        INTEGER NOT NULL CHECK (n_pos BETWEEN 0 AND n),
    n_missing    INTEGER NOT NULL CHECK (n_missing >= 0),
    n_cluster    INTEGER NOT NULL CHECK (n_cluster >= 0),
    est   REAL,
    se    REAL,
    lower REAL,
    upper REAL,
    level REAL CHECK (level > 0 AND level < 1),
    p     REAL CHECK (p BETWEEN 0 AND 1),
    reason TEXT,
    query  TEXT NOT NULL,
    FOREIGN KEY (run_id, class_index) REFERENCES run_class,
    CHECK (est IS NOT NULL OR reason IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX statistic_row
    ON statistic (run_id, run_model_id, unit, class_index, stratum_kind, stratum, coalesce(point, ''), name);

CREATE TABLE data_dictionary (
    object      TEXT NOT NULL,
    column_name TEXT NOT NULL,
    description TEXT NOT NULL CHECK (length(description) > 0),
    PRIMARY KEY (object, column_name)
) STRICT, WITHOUT ROWID;

-- ------------------------------------------------------------------------------------------------ views: the stable surface

-- Stable. One row per scored lesion or patient, model and class; two-class jobs have the positive class only.
CREATE VIEW v_case_score (run_id, model, unit, center, cohort, patient, lesion, class, score, label) AS
SELECT rm.run_id, rm.model, s.unit, c.center, rp.cohort, p.patient, l.lesion, k.class, s.score,
       CASE s.unit WHEN 'lesion' THEN m.class_index = s.class_index ELSE rp.class_index = s.class_index END
  FROM case_score s
  JOIN run_model rm ON rm.run_model_id = s.run_model_id
  JOIN run r ON r.run_id = rm.run_id
  JOIN run_class k ON k.run_id = rm.run_id AND k.class_index = s.class_index
  JOIN run_patient rp ON rp.run_id = rm.run_id AND rp.patient_id = s.patient_id
  JOIN patient p ON p.patient_id = s.patient_id
  JOIN center c ON c.center_id = rp.center_id
  LEFT JOIN manifest m ON m.case_id = s.case_id
  LEFT JOIN lesion l ON l.lesion_id = m.lesion_id
 WHERE r.positive_class IS NULL OR r.positive_class = s.class_index;

CREATE VIEW v_slice_score (run_id, model, center, cohort, patient, lesion, study, slice, stored_slice, x0, y0, x1, y1, class, score, label,
                           model_sha256, result_key) AS
SELECT m.run_id, rm.model, c.center, rp.cohort, p.patient, l.lesion, m.study, s.slice, s.stored_slice, s.x0, s.y0, s.x1, s.y1, k.class,
       ss.score, m.class_index = ss.class_index, mo.sha256, re.result_key
  FROM manifest m
  JOIN run r ON r.run_id = m.run_id
  JOIN run_result rr ON rr.case_id = m.case_id
  JOIN run_model rm ON rm.run_model_id = rr.run_model_id
  JOIN model mo ON mo.model_id = rm.model_id
  JOIN result re ON re.result_id = rr.result_id
  JOIN slice s ON s.result_id = rr.result_id
  JOIN slice_score ss ON ss.result_id = s.result_id AND ss.slice = s.slice
  JOIN run_class k ON k.run_id = m.run_id AND k.class_index = ss.class_index
  JOIN run_patient rp ON rp.run_id = m.run_id AND rp.patient_id = m.patient_id
  JOIN patient p ON p.patient_id = m.patient_id
  JOIN center c ON c.center_id = rp.center_id
  LEFT JOIN lesion l ON l.lesion_id = m.lesion_id
 WHERE r.positive_class IS NULL OR r.positive_class = ss.class_index;

CREATE VIEW v_source (run_id, model, patient, lesion, study, input, channel, sequence, path, content, type, dims, orientation,
                      model_sha256, result_key) AS
SELECT m.run_id, rm.model, p.patient, l.lesion, m.study, u.input, u.channel, i.sequence, i.path, v.content, v.type, v.dims, v.orientation,
       mo.sha256, re.result_key
  FROM manifest m
  JOIN run_model rm ON rm.run_id = m.run_id
  JOIN model mo ON mo.model_id = rm.model_id
  JOIN image_use u ON u.case_id = m.case_id AND u.input = rm.input
  JOIN image i ON i.image_id = u.image_id
  JOIN patient p ON p.patient_id = m.patient_id
  LEFT JOIN lesion l ON l.lesion_id = m.lesion_id
  LEFT JOIN volume v ON v.volume_id = u.volume_id
  LEFT JOIN run_result rr ON rr.case_id = m.case_id AND rr.run_model_id = rm.run_model_id
  LEFT JOIN result re ON re.result_id = rr.result_id;

CREATE VIEW v_exclusion (run_id, model, unit, center, cohort, patient, lesion, study, stage, reason, text) AS
SELECT e.run_id, rm.model, e.unit, c.center, rp.cohort, p.patient, l.lesion, m.study, e.stage, e.reason, e.text
  FROM exclusion e
  JOIN run_patient rp ON rp.run_id = e.run_id AND rp.patient_id = e.patient_id
  JOIN patient p ON p.patient_id = e.patient_id
  JOIN center c ON c.center_id = rp.center_id
  LEFT JOIN run_model rm ON rm.run_model_id = e.run_model_id
  LEFT JOIN manifest m ON m.case_id = e.case_id
  LEFT JOIN lesion l ON l.lesion_id = m.lesion_id;

CREATE VIEW v_warning (run_id, patient, lesion, path, stage, text) AS
SELECT w.run_id, p.patient, l.lesion, i.path, w.stage, w.text
  FROM warning w
  LEFT JOIN manifest m ON m.case_id = w.case_id
  LEFT JOIN patient p ON p.patient_id = m.patient_id
  LEFT JOIN lesion l ON l.lesion_id = m.lesion_id
  LEFT JOIN image i ON i.image_id = w.image_id;

CREATE VIEW v_statistic (run_id, model, class, unit, stratum_kind, stratum, cohort, point, name, method, n, n_pos, n_missing, n_cluster,
                         est, se, lower, upper, level, p, reason, query) AS
SELECT s.run_id, rm.model, k.class, s.unit, s.stratum_kind, s.stratum, s.cohort, s.point, s.name, s.method, s.n, s.n_pos, s.n_missing,
       s.n_cluster, s.est, s.se, s.lower, s.upper, s.level, s.p, s.reason, s.query
  FROM statistic s
  JOIN run_model rm ON rm.run_model_id = s.run_model_id
  JOIN run_class k ON k.run_id = s.run_id AND k.class_index = s.class_index;

-- One row per two-class score and operating point; call and outcome by the rule score >= threshold.
CREATE VIEW v_call (run_id, model, unit, center, cohort, patient, lesion, class, point, threshold, score, call, label, outcome) AS
SELECT s.run_id, s.model, s.unit, s.center, s.cohort, s.patient, s.lesion, s.class, o.point, o.threshold, s.score,
       s.score >= o.threshold, s.label,
       CASE WHEN s.label IS NULL THEN NULL
            WHEN s.label = 1 THEN iif(s.score >= o.threshold, 'TP', 'FN')
            ELSE iif(s.score >= o.threshold, 'FP', 'TN') END
  FROM v_case_score s
  JOIN run r ON r.run_id = s.run_id AND r.positive_class IS NOT NULL
  JOIN operating_point o ON o.run_id = s.run_id;

-- Promise 3, one row per model: n_neither and n_both must be 0 in a finished run, at both units.
CREATE VIEW v_manifest_check (run_id, model, case_unit, n_case, n_scored, n_excluded, n_neither, n_both,
                              n_patient, n_patient_scored, n_patient_excluded, n_patient_neither) AS
WITH per_case AS (
    SELECT m.run_id, rm.run_model_id,
           EXISTS (SELECT 1 FROM run_result rr WHERE rr.case_id = m.case_id AND rr.run_model_id = rm.run_model_id) AS scored,
           EXISTS (SELECT 1 FROM exclusion e WHERE e.case_id = m.case_id
                     AND (e.run_model_id IS NULL OR e.run_model_id = rm.run_model_id)) AS excluded
      FROM run_model rm JOIN manifest m ON m.run_id = rm.run_id),
sum_case AS (
    SELECT run_id, run_model_id, count(*) AS n, sum(scored) AS scored, sum(excluded) AS excluded,
           sum(NOT scored AND NOT excluded) AS neither, sum(scored AND excluded) AS both
      FROM per_case GROUP BY run_id, run_model_id),
per_patient AS (
    SELECT rp.run_id, rm.run_model_id,
           EXISTS (SELECT 1 FROM case_score s WHERE s.run_model_id = rm.run_model_id AND s.unit = 'patient'
                     AND s.patient_id = rp.patient_id) AS scored,
           EXISTS (SELECT 1 FROM exclusion e WHERE e.run_id = rp.run_id AND e.unit = 'patient' AND e.patient_id = rp.patient_id
                     AND (e.run_model_id IS NULL OR e.run_model_id = rm.run_model_id)) AS excluded
      FROM run_model rm JOIN run_patient rp ON rp.run_id = rm.run_id),
sum_patient AS (
    SELECT run_id, run_model_id, count(*) AS n, sum(scored) AS scored, sum(excluded AND NOT scored) AS excluded,
           sum(NOT scored AND NOT excluded) AS neither
      FROM per_patient GROUP BY run_id, run_model_id)
SELECT r.run_id, rm.model, r.case_unit, coalesce(c.n, 0), coalesce(c.scored, 0), coalesce(c.excluded, 0), coalesce(c.neither, 0),
       coalesce(c.both, 0), coalesce(p.n, 0), coalesce(p.scored, 0), coalesce(p.excluded, 0), coalesce(p.neither, 0)
  FROM run r
  JOIN run_model rm ON rm.run_id = r.run_id
  LEFT JOIN sum_case c ON c.run_model_id = rm.run_model_id
  LEFT JOIN sum_patient p ON p.run_model_id = rm.run_model_id;

CREATE VIEW v_run (run_id, job, state, started, finished, backend, backend_version, precision, n_rank, threads, host, launch_mode,
                   radcohort_version, job_sha256, cohort_sha256, n_model, n_case, n_finished, n_excluded, n_warning,
                   read_s, prepare_s, infer_s, read_bytes) AS
SELECT r.run_id, r.job, r.state, r.started, r.finished, r.backend, r.backend_version, r.precision, r.n_rank, r.threads, r.host, r.launch_mode,
       r.radcohort_version, r.job_sha256, r.cohort_sha256,
       (SELECT count(*) FROM run_model rm WHERE rm.run_id = r.run_id),
       (SELECT count(*) FROM manifest m WHERE m.run_id = r.run_id),
       (SELECT count(*) FROM manifest m JOIN work w ON w.case_id = m.case_id WHERE m.run_id = r.run_id AND w.state IN ('done', 'quarantined')),
       (SELECT count(DISTINCT e.case_id) FROM exclusion e WHERE e.run_id = r.run_id),
       (SELECT count(*) FROM warning w WHERE w.run_id = r.run_id),
       t.read_s, t.prepare_s, t.infer_s, t.read_bytes
  FROM run r
  LEFT JOIN (SELECT m.run_id, sum(t.read_s) AS read_s, sum(t.prepare_s) AS prepare_s, sum(t.infer_s) AS infer_s,
                    sum(t.read_bytes) AS read_bytes
               FROM time_ledger t JOIN manifest m ON m.case_id = t.case_id GROUP BY m.run_id) t ON t.run_id = r.run_id;

-- The same file under two patients, in any run: a sign of a mix-up or of leakage.
CREATE VIEW v_shared_volume (content, n_patient, patients) AS
SELECT content, count(*), group_concat(patient, ', ')
  FROM (SELECT DISTINCT v.content, p.patient
          FROM volume v
          JOIN image_use u ON u.volume_id = v.volume_id
          JOIN image i ON i.image_id = u.image_id
          JOIN patient p ON p.patient_id = i.patient_id
         ORDER BY v.content, p.patient)
 GROUP BY content HAVING count(*) > 1;

-- ------------------------------------------------------------------------------------------------ the data dictionary

INSERT INTO data_dictionary (object, column_name, description) VALUES
    ('meta', '', 'facts about the file itself'),
    ('meta', 'key', 'name of the fact'),
    ('meta', 'value', 'the fact as text'),
    ('center', '', 'a hospital, as in centers.tsv when last read'),
    ('center', 'center_id', 'internal id'),
    ('center', 'center', 'the center''s name in the cohort tables'),
    ('center', 'cohort', 'internal or external, as last read; the value that counted in a run is in run_patient'),
    ('center', 'name', 'full name, if given'),
    ('center', 'country', 'country, if given'),
    ('patient', '', 'a person under a pseudonym, as in patients.tsv when last read'),
    ('patient', 'patient_id', 'internal id'),
    ('patient', 'patient', 'pseudonym'),
    ('patient', 'center_id', 'the patient''s center'),
    ('patient', 'label', 'class as written; NULL when the table has none (labels may be at the lesions)'),
    ('patient', 'fold', 'cross-validation fold, from 0'),
    ('patient', 'age', 'years, capped at 90'),
    ('patient', 'sex', 'as written'),
    ('patient_covariate', '', 'extra columns of patients.tsv, one row per patient and column; empty cells have no row'),
    ('patient_covariate', 'patient_id', 'the patient'),
    ('patient_covariate', 'name', 'column name'),
    ('patient_covariate', 'value', 'as written'),
    ('patient_covariate', 'number', 'value as a number; NULL when it is not one'),
    ('lesion', '', 'a finding, as in lesions.tsv when last read'),
    ('lesion', 'lesion_id', 'internal id'),
    ('lesion', 'patient_id', 'the patient'),
    ('lesion', 'lesion', 'the lesion''s name, unique within its patient'),
    ('lesion', 'label', 'class as written; NULL means the patient''s'),
    ('lesion', 'i0', 'box: first voxel index along the first stored axis'),
    ('lesion', 'j0', 'box: first voxel index along the second stored axis'),
    ('lesion', 'k0', 'box: first voxel index along the third stored axis'),
    ('lesion', 'i1', 'box: one past the last voxel index along the first stored axis'),
    ('lesion', 'j1', 'box: one past the last voxel index along the second stored axis'),
    ('lesion', 'k1', 'box: one past the last voxel index along the third stored axis'),
    ('lesion', 'point_i', 'point: voxel index along the first stored axis (voxel centre = integer)'),
    ('lesion', 'point_j', 'point: voxel index along the second stored axis'),
    ('lesion', 'point_k', 'point: voxel index along the third stored axis'),
    ('lesion', 'mask', 'path of the mask image, relative to the cohort folder'),
    ('lesion', 'size_mm', 'size in mm as given'),
    ('lesion_covariate', '', 'extra columns of lesions.tsv, one row per lesion and column; empty cells have no row'),
    ('lesion_covariate', 'lesion_id', 'the lesion'),
    ('lesion_covariate', 'name', 'column name'),
    ('lesion_covariate', 'value', 'as written'),
    ('lesion_covariate', 'number', 'value as a number; NULL when it is not one'),
    ('image', '', 'one row of images.tsv: a volume or still of one sequence or phase'),
    ('image', 'image_id', 'internal id'),
    ('image', 'patient_id', 'the patient'),
    ('image', 'lesion_id', 'the lesion it belongs to; NULL = serves all lesions of the patient'),
    ('image', 'study', 'the visit, empty when the table has none'),
    ('image', 'sequence', 'sequence (MR) or phase (CT, CEUS) as written'),
    ('image', 'path', 'relative to the cohort folder'),
    ('reading', '', 'a human''s call or rating, as in readings.tsv when last read'),
    ('reading', 'reading_id', 'internal id'),
    ('reading', 'reader', 'the reader'),
    ('reading', 'patient_id', 'the patient'),
    ('reading', 'lesion_id', 'the lesion; NULL = about the patient'),
    ('reading', 'call', 'class the reader chose'),
    ('reading', 'rating', 'rating on the study''s scale'),
    ('reading', 'experience_years', 'years of experience of the reader'),
    ('volume', '', 'what an image file held when it was read: one row per distinct content'),
    ('volume', 'volume_id', 'internal id'),
    ('volume', 'content', 'XXH3-128 of the file''s bytes, 32 hex digits'),
    ('volume', 'type', 'voxel type in the file'),
    ('volume', 'n_dim', 'number of axes'),
    ('volume', 'dims', 'JSON array: voxels along each axis'),
    ('volume', 'nx', 'voxels along the first stored axis'),
    ('volume', 'ny', 'voxels along the second stored axis'),
    ('volume', 'nz', 'voxels along the third stored axis'),
    ('volume', 'spacing_x', 'mm between voxels along the first stored axis'),
    ('volume', 'spacing_y', 'mm between voxels along the second stored axis'),
    ('volume', 'spacing_z', 'mm between voxels along the third stored axis'),
    ('volume', 'orientation', 'closest anatomical directions of the three stored axes, such as LAS'),
    ('volume', 'affine', 'JSON array of 12: first three rows of the matrix from voxel index to RAS+ mm'),
    ('volume', 'file_bytes', 'size of the file on disk'),
    ('model', '', 'a network file: one row per distinct content'),
    ('model', 'model_id', 'internal id'),
    ('model', 'sha256', 'SHA-256 of the ONNX file'),
    ('model', 'graph_hash', 'hash of graph and weights after loading'),
    ('model', 'opset', 'ONNX operator set version'),
    ('model', 'parameters', 'number of weights'),
    ('model', 'input_shape', 'shape of one input sample'),
    ('model', 'output_shape', 'shape of one output sample'),
    ('model', 'summary', 'description of the graph'),
    ('run', '', 'one execution of a job, over as many sessions as it took'),
    ('run', 'run_id', 'the run''s number'),
    ('run', 'identity', 'SHA-256 of what decides the results: job text, cohort tables, models, backend version, precision'),
    ('run', 'state', 'running, stopped (resumable), finished, failed (resumable)'),
    ('run', 'job', 'name of the job'),
    ('run', 'job_sha256', 'SHA-256 of the job file'),
    ('run', 'job_text', 'the job file as read'),
    ('run', 'cohort_sha256', 'SHA-256 of the five cohort tables'),
    ('run', 'cohort_dir', 'folder of the cohort tables'),
    ('run', 'case_unit', 'what is scored as one case: lesion or patient (one study of a patient)'),
    ('run', 'lesion_rule', 'how slice scores become a lesion score'),
    ('run', 'patient_rule', 'how lesion scores (or, when the case is the patient, slice scores) become a patient score'),
    ('run', 'positive_class', 'class_index of the positive class of a two-class job, else NULL'),
    ('run', 'strata', 'JSON array: strata of the statistics the job asks for'),
    ('run', 'backend', 'inference backend'),
    ('run', 'backend_version', 'backend, library version and instruction set or device; part of the identity'),
    ('run', 'precision', 'numeric precision of inference'),
    ('run', 'radcohort_version', 'program version of the latest session'),
    ('run', 'versions', 'JSON object: versions of the libraries, latest session'),
    ('run', 'host', 'host of the coordinator, latest session'),
    ('run', 'launch_mode', 'how the processes were started, latest session'),
    ('run', 'command_line', 'command line of the latest session'),
    ('run', 'n_rank', 'number of processes, latest session'),
    ('run', 'threads', 'threads per process, latest session'),
    ('run', 'started', 'start of the first session'),
    ('run', 'finished', 'end of the run; NULL until then'),
    ('run', 'session_started', 'start of the latest session'),
    ('run', 'session_done', 'cases that were finished when the latest session started'),
    ('run', 'sessions', 'number of sessions'),
    ('run_class', '', 'the classes of a run, in the order of the network outputs'),
    ('run_class', 'run_id', 'the run'),
    ('run_class', 'class_index', 'position among the outputs, from 0'),
    ('run_class', 'class', 'name of the class'),
    ('run_model', '', 'a model as a run used it'),
    ('run_model', 'run_model_id', 'internal id'),
    ('run_model', 'run_id', 'the run'),
    ('run_model', 'position', 'order in the job, from 0'),
    ('run_model', 'model', 'name of the model in the job'),
    ('run_model', 'model_id', 'the network file'),
    ('run_model', 'file', 'path as written in the job'),
    ('run_model', 'input', 'name of the input declaration'),
    ('run_model', 'input_text', 'the input declaration as one canonical line: channels, region, window, resize, normalisation'),
    ('run_model', 'output', 'output tensor, if the job names one'),
    ('run_model', 'activation', 'applied to the network output before scores are stored'),
    ('run_model', 'fold', 'fold whose patients this file scores; NULL = all'),
    ('operating_point', '', 'thresholds of a run'),
    ('operating_point', 'run_id', 'the run'),
    ('operating_point', 'position', 'order in the job, from 0'),
    ('operating_point', 'point', 'name of the operating point'),
    ('operating_point', 'threshold', 'a call is positive when score >= threshold'),
    ('operating_point', 'origin', 'fixed in the job, or tuned on a cohort'),
    ('operating_point', 'tuned_on', 'the cohort it was tuned on; NULL when fixed'),
    ('run_patient', '', 'what a run knew about each patient; statistics use these values'),
    ('run_patient', 'run_id', 'the run'),
    ('run_patient', 'patient_id', 'the patient'),
    ('run_patient', 'center_id', 'center at that time'),
    ('run_patient', 'cohort', 'internal or external at that time'),
    ('run_patient', 'class_index', 'label of the patient; NULL = unknown. From the patient, else from the lesions when they agree, else positive when one is'),
    ('manifest', '', 'the cases of a run: everything that was to be scored'),
    ('manifest', 'case_id', 'internal id of the case'),
    ('manifest', 'run_id', 'the run'),
    ('manifest', 'position', 'order in the manifest, from 0'),
    ('manifest', 'patient_id', 'the patient'),
    ('manifest', 'lesion_id', 'the lesion; NULL when the case is a study of a patient'),
    ('manifest', 'study', 'the visit, empty when unnamed'),
    ('manifest', 'class_index', 'label of the case; NULL = unknown: scored, but not in the statistics'),
    ('work', '', 'where each case stands'),
    ('work', 'case_id', 'the case'),
    ('work', 'state', 'pending, leased (sent to a rank), done (has results or exclusions), quarantined (took its rank down)'),
    ('work', 'attempts', 'leases that never came back, this one included'),
    ('work', 'interrupted', 'sessions that ended with this case on lease before they finished anything'),
    ('work', 'rank', 'rank that holds or held the lease'),
    ('image_use', '', 'which image serves which channel of which input of a case'),
    ('image_use', 'case_id', 'the case'),
    ('image_use', 'input', 'name of the input declaration'),
    ('image_use', 'channel', 'channel entry, from 0'),
    ('image_use', 'image_id', 'the image'),
    ('image_use', 'volume_id', 'what the file held when this run read it; NULL until then'),
    ('unused_image', '', 'images that no case takes, with the reason'),
    ('unused_image', 'run_id', 'the run'),
    ('unused_image', 'image_id', 'the image'),
    ('unused_image', 'reason', 'why it is not used'),
    ('result', '', 'the output of one model on one prepared input, stored once under its content key'),
    ('result', 'result_id', 'internal id'),
    ('result', 'result_key', 'SHA-256 of voxels, region, preparation, model, activation, precision and engine version'),
    ('result', 'model_id', 'the network file'),
    ('result', 'n_slice', 'number of slices scored'),
    ('result', 'n_class', 'number of classes'),
    ('slice', '', 'a scored slice'),
    ('slice', 'result_id', 'the result'),
    ('slice', 'slice', 'index along the third axis after reorientation'),
    ('slice', 'stored_slice', 'the same slice along the stored axis it lies on'),
    ('slice', 'x0', 'region in the reoriented slice: first column; may lie outside the image'),
    ('slice', 'y0', 'region: first row'),
    ('slice', 'x1', 'region: one past the last column'),
    ('slice', 'y1', 'region: one past the last row'),
    ('slice_score', '', 'score of one slice for one class'),
    ('slice_score', 'result_id', 'the result'),
    ('slice_score', 'class_index', 'position of the class among the outputs'),
    ('slice_score', 'slice', 'the slice'),
    ('slice_score', 'score', 'after the activation'),
    ('run_result', '', 'which result a run uses for a case and a model'),
    ('run_result', 'case_id', 'the case'),
    ('run_result', 'run_model_id', 'the model in the run'),
    ('run_result', 'result_id', 'the result'),
    ('case_score', '', 'slice scores brought to lesion or patient by the run''s rules'),
    ('case_score', 'run_model_id', 'the model in the run'),
    ('case_score', 'unit', 'lesion or patient'),
    ('case_score', 'patient_id', 'the patient'),
    ('case_score', 'case_id', 'the case; NULL for patients'),
    ('case_score', 'class_index', 'position of the class'),
    ('case_score', 'score', 'aggregated score'),
    ('case_score', 'n_part', 'slices (lesion) or cases (patient) that went in'),
    ('case_score', 'n_missing', 'cases of the patient without a score; 0 for lesions'),
    ('exclusion', '', 'a unit that could not be scored, and why'),
    ('exclusion', 'exclusion_id', 'internal id'),
    ('exclusion', 'run_id', 'the run'),
    ('exclusion', 'unit', 'lesion or patient'),
    ('exclusion', 'patient_id', 'the patient'),
    ('exclusion', 'case_id', 'the case; NULL when the patient as a whole is meant'),
    ('exclusion', 'run_model_id', 'the model; NULL = all models of the run'),
    ('exclusion', 'stage', 'intake, load, prepare, infer, farm or aggregate'),
    ('exclusion', 'reason', 'typed reason in one word'),
    ('exclusion', 'text', 'the reason in full'),
    ('warning', '', 'things worth knowing that did not stop a case'),
    ('warning', 'run_id', 'the run'),
    ('warning', 'case_id', 'the case, if one is meant'),
    ('warning', 'image_id', 'the image, if one is meant'),
    ('warning', 'stage', 'where it was noticed'),
    ('warning', 'text', 'what was noticed'),
    ('time_ledger', '', 'where the time went, per case'),
    ('time_ledger', 'case_id', 'the case'),
    ('time_ledger', 'rank', 'rank that did the work'),
    ('time_ledger', 'host', 'its host'),
    ('time_ledger', 'device', 'its device'),
    ('time_ledger', 'read_s', 'seconds to read and inflate'),
    ('time_ledger', 'prepare_s', 'seconds to prepare'),
    ('time_ledger', 'infer_s', 'seconds of inference'),
    ('time_ledger', 'read_bytes', 'bytes read from disk'),
    ('time_ledger', 'stored', 'when the result was stored'),
    ('statistic', '', 'numbers computed from the scores, each with its unit, denominators and query'),
    ('statistic', 'statistic_id', 'internal id'),
    ('statistic', 'run_id', 'the run'),
    ('statistic', 'run_model_id', 'the model in the run'),
    ('statistic', 'unit', 'what n counts: slice, lesion or patient'),
    ('statistic', 'class_index', 'class taken as positive'),
    ('statistic', 'stratum_kind', 'all, cohort, center or contrast (a difference between strata)'),
    ('statistic', 'stratum', 'all; internal or external; the center; or the two strata of a contrast'),
    ('statistic', 'cohort', 'cohort of the stratum, NULL when it holds both'),
    ('statistic', 'point', 'operating point, NULL when the number needs none'),
    ('statistic', 'name', 'auc, auc_difference, sensitivity, specificity, accuracy'),
    ('statistic', 'method', 'how estimate and interval were computed, with its assumption about clustering'),
    ('statistic', 'n', 'units used'),
    ('statistic', 'n_pos', 'positives among n (for sensitivity, specificity and accuracy: correct calls among n)'),
    ('statistic', 'n_missing', 'units of the stratum without a score or without a known label'),
    ('statistic', 'n_cluster', 'patients among n'),
    ('statistic', 'est', 'estimate; NULL = undefined, see reason'),
    ('statistic', 'se', 'standard error'),
    ('statistic', 'lower', 'lower limit of the interval'),
    ('statistic', 'upper', 'upper limit of the interval'),
    ('statistic', 'level', 'confidence level of the interval'),
    ('statistic', 'p', 'two-sided p value'),
    ('statistic', 'reason', 'why something is NULL or degenerate'),
    ('statistic', 'query', 'SQL that returns the rows (label, score) the number was computed from'),
    ('data_dictionary', '', 'what every table, view and column means'),
    ('data_dictionary', 'object', 'table or view'),
    ('data_dictionary', 'column_name', 'column; empty for the table or view itself'),
    ('data_dictionary', 'description', 'meaning, unit, and what NULL means'),
    ('v_case_score', '', 'stable: scores per lesion and patient, for tables and ROC curves; two-class jobs show the positive class only'),
    ('v_case_score', 'run_id', 'the run'),
    ('v_case_score', 'model', 'name of the model in the job'),
    ('v_case_score', 'unit', 'lesion or patient: filter on it before counting'),
    ('v_case_score', 'center', 'center of the patient in this run'),
    ('v_case_score', 'cohort', 'internal or external'),
    ('v_case_score', 'patient', 'pseudonym'),
    ('v_case_score', 'lesion', 'lesion; NULL for unit patient'),
    ('v_case_score', 'class', 'class the score is for'),
    ('v_case_score', 'score', 'aggregated score, higher = more likely the class'),
    ('v_case_score', 'label', '1 = truth is the class, 0 = another class, NULL = unknown'),
    ('v_slice_score', '', 'scores per slice, with where the slice lies and the way back to weights and voxels'),
    ('v_slice_score', 'run_id', 'the run'),
    ('v_slice_score', 'model', 'name of the model in the job'),
    ('v_slice_score', 'center', 'center of the patient in this run'),
    ('v_slice_score', 'cohort', 'internal or external'),
    ('v_slice_score', 'patient', 'pseudonym'),
    ('v_slice_score', 'lesion', 'lesion; NULL when the case is a study'),
    ('v_slice_score', 'study', 'the visit'),
    ('v_slice_score', 'slice', 'index after reorientation'),
    ('v_slice_score', 'stored_slice', 'index along the stored axis'),
    ('v_slice_score', 'x0', 'region: first column'),
    ('v_slice_score', 'y0', 'region: first row'),
    ('v_slice_score', 'x1', 'region: one past the last column'),
    ('v_slice_score', 'y1', 'region: one past the last row'),
    ('v_slice_score', 'class', 'class the score is for'),
    ('v_slice_score', 'score', 'after the activation'),
    ('v_slice_score', 'label', 'label of the case: 1, 0 or NULL'),
    ('v_slice_score', 'model_sha256', 'SHA-256 of the ONNX file'),
    ('v_slice_score', 'result_key', 'content key of the result'),
    ('v_source', '', 'which files a score came from'),
    ('v_source', 'run_id', 'the run'),
    ('v_source', 'model', 'name of the model in the job'),
    ('v_source', 'patient', 'pseudonym'),
    ('v_source', 'lesion', 'lesion; NULL when the case is a study'),
    ('v_source', 'study', 'the visit'),
    ('v_source', 'input', 'name of the input declaration'),
    ('v_source', 'channel', 'channel entry, from 0'),
    ('v_source', 'sequence', 'sequence or phase'),
    ('v_source', 'path', 'relative to the cohort folder'),
    ('v_source', 'content', 'XXH3-128 of the file''s bytes; NULL when it was not read'),
    ('v_source', 'type', 'voxel type'),
    ('v_source', 'dims', 'JSON array: voxels along each axis'),
    ('v_source', 'orientation', 'closest anatomical directions of the stored axes'),
    ('v_source', 'model_sha256', 'SHA-256 of the ONNX file'),
    ('v_source', 'result_key', 'content key of the result; NULL when the model has no score for the case'),
    ('v_exclusion', '', 'exclusions with names; model NULL = all models'),
    ('v_exclusion', 'run_id', 'the run'),
    ('v_exclusion', 'model', 'the model; NULL = all models'),
    ('v_exclusion', 'unit', 'lesion or patient'),
    ('v_exclusion', 'center', 'center of the patient in this run'),
    ('v_exclusion', 'cohort', 'internal or external'),
    ('v_exclusion', 'patient', 'pseudonym'),
    ('v_exclusion', 'lesion', 'lesion, if one is meant'),
    ('v_exclusion', 'study', 'the visit, if a case is meant'),
    ('v_exclusion', 'stage', 'where it was excluded'),
    ('v_exclusion', 'reason', 'typed reason in one word'),
    ('v_exclusion', 'text', 'the reason in full'),
    ('v_warning', '', 'warnings with names'),
    ('v_warning', 'run_id', 'the run'),
    ('v_warning', 'patient', 'pseudonym, if a case is meant'),
    ('v_warning', 'lesion', 'lesion, if one is meant'),
    ('v_warning', 'path', 'image, if one is meant'),
    ('v_warning', 'stage', 'where it was noticed'),
    ('v_warning', 'text', 'what was noticed'),
    ('v_statistic', '', 'statistics with names; always read unit and method with est'),
    ('v_statistic', 'run_id', 'the run'),
    ('v_statistic', 'model', 'name of the model in the job'),
    ('v_statistic', 'class', 'class taken as positive'),
    ('v_statistic', 'unit', 'what n counts'),
    ('v_statistic', 'stratum_kind', 'all, cohort, center or contrast'),
    ('v_statistic', 'stratum', 'all; internal or external; the center; or the two strata of a contrast'),
    ('v_statistic', 'cohort', 'cohort of the stratum, NULL when it holds both'),
    ('v_statistic', 'point', 'operating point, if any'),
    ('v_statistic', 'name', 'name of the number'),
    ('v_statistic', 'method', 'how it was computed'),
    ('v_statistic', 'n', 'units used'),
    ('v_statistic', 'n_pos', 'positives among n (for sensitivity, specificity and accuracy: correct calls among n)'),
    ('v_statistic', 'n_missing', 'units without a score or known label'),
    ('v_statistic', 'n_cluster', 'patients among n'),
    ('v_statistic', 'est', 'estimate'),
    ('v_statistic', 'se', 'standard error'),
    ('v_statistic', 'lower', 'lower limit'),
    ('v_statistic', 'upper', 'upper limit'),
    ('v_statistic', 'level', 'confidence level'),
    ('v_statistic', 'p', 'two-sided p value'),
    ('v_statistic', 'reason', 'why something is NULL or degenerate'),
    ('v_statistic', 'query', 'SQL that returns the rows the number was computed from'),
    ('v_call', '', 'calls at each operating point, two-class jobs'),
    ('v_call', 'run_id', 'the run'),
    ('v_call', 'model', 'name of the model in the job'),
    ('v_call', 'unit', 'lesion or patient'),
    ('v_call', 'center', 'center of the patient in this run'),
    ('v_call', 'cohort', 'internal or external'),
    ('v_call', 'patient', 'pseudonym'),
    ('v_call', 'lesion', 'lesion; NULL for unit patient'),
    ('v_call', 'class', 'the positive class'),
    ('v_call', 'point', 'operating point'),
    ('v_call', 'threshold', 'its threshold'),
    ('v_call', 'score', 'aggregated score'),
    ('v_call', 'call', '1 when score >= threshold, else 0'),
    ('v_call', 'label', '1, 0 or NULL = unknown'),
    ('v_call', 'outcome', 'TP, FP, FN, TN; NULL when the label is unknown'),
    ('v_manifest_check', '', 'does everything add up: cases = scored + excluded, per model'),
    ('v_manifest_check', 'run_id', 'the run'),
    ('v_manifest_check', 'model', 'name of the model in the job'),
    ('v_manifest_check', 'case_unit', 'what a case is'),
    ('v_manifest_check', 'n_case', 'cases in the manifest'),
    ('v_manifest_check', 'n_scored', 'cases with a result'),
    ('v_manifest_check', 'n_excluded', 'cases with an exclusion'),
    ('v_manifest_check', 'n_neither', 'cases with neither: 0 in a finished run'),
    ('v_manifest_check', 'n_both', 'cases with both: always 0'),
    ('v_manifest_check', 'n_patient', 'patients of the cohort'),
    ('v_manifest_check', 'n_patient_scored', 'patients with a patient score'),
    ('v_manifest_check', 'n_patient_excluded', 'patients without a score and with an exclusion'),
    ('v_manifest_check', 'n_patient_neither', 'patients with neither: 0 in a finished run'),
    ('v_run', '', 'runs with their counts and times'),
    ('v_run', 'run_id', 'the run'),
    ('v_run', 'job', 'name of the job'),
    ('v_run', 'state', 'running, stopped, finished or failed'),
    ('v_run', 'started', 'start of the first session'),
    ('v_run', 'finished', 'end of the run'),
    ('v_run', 'backend', 'inference backend'),
    ('v_run', 'backend_version', 'backend, library version and instruction set or device'),
    ('v_run', 'precision', 'numeric precision'),
    ('v_run', 'n_rank', 'number of processes, latest session'),
    ('v_run', 'threads', 'threads per process, latest session'),
    ('v_run', 'host', 'host of the coordinator, latest session'),
    ('v_run', 'launch_mode', 'how the processes were started, latest session'),
    ('v_run', 'radcohort_version', 'program version, latest session'),
    ('v_run', 'job_sha256', 'SHA-256 of the job file'),
    ('v_run', 'cohort_sha256', 'SHA-256 of the cohort tables'),
    ('v_run', 'n_model', 'models'),
    ('v_run', 'n_case', 'cases in the manifest'),
    ('v_run', 'n_finished', 'cases with their results or exclusions stored'),
    ('v_run', 'n_excluded', 'cases that at least one model could not score'),
    ('v_run', 'n_warning', 'warnings'),
    ('v_run', 'read_s', 'seconds of reading, summed over ranks'),
    ('v_run', 'prepare_s', 'seconds of preparation, summed over ranks'),
    ('v_run', 'infer_s', 'seconds of inference, summed over ranks'),
    ('v_run', 'read_bytes', 'bytes read from disk'),
    ('v_shared_volume', '', 'files with the same bytes under more than one patient'),
    ('v_shared_volume', 'content', 'XXH3-128 of the file''s bytes'),
    ('v_shared_volume', 'n_patient', 'number of patients'),
    ('v_shared_volume', 'patients', 'their pseudonyms');
