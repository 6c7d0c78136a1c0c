-- A result file of schema version 1 as it was when version 1 was made: test_store_migrate.c reads it and brings it forward. Never edited
-- again: when the schema changes after a release, files like this one are what users have. Until then it may be made anew:
--   build/release/tests/store_bench -k v1.sqlite 4 1 1
--   sqlite3 v1.sqlite "DELETE FROM data_dictionary; DELETE FROM seal_marks; DELETE FROM seal; DELETE FROM result_seal;
--     DELETE FROM statistic WHERE name <> 'auc' OR stratum_kind <> 'all'"    (what would make it long)
--   sqlite3 v1.sqlite .dump, and the two lines at the end
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES('file_id','5ede76901154967a0e8012bffc3bfe21');
INSERT INTO meta VALUES('schema_made_by','0.1.0-g5abf8c94f73d');
CREATE TABLE center (
    center_id INTEGER PRIMARY KEY,
    center    TEXT NOT NULL UNIQUE,
    cohort    TEXT NOT NULL CHECK (cohort IN ('internal', 'external')),
    name      TEXT,
    country   TEXT
) STRICT;
INSERT INTO center VALUES(1,'C00','internal','Hospital of Łódź',NULL);
INSERT INTO center VALUES(2,'C01','external',NULL,NULL);
INSERT INTO center VALUES(3,'C02','external',NULL,NULL);
INSERT INTO center VALUES(4,'C03','external',NULL,NULL);
CREATE TABLE patient (
    patient_id INTEGER PRIMARY KEY,
    patient    TEXT NOT NULL UNIQUE,
    center_id  INTEGER NOT NULL REFERENCES center,
    label      TEXT,
    fold       INTEGER CHECK (fold >= 0),
    age        REAL CHECK (age BETWEEN 0 AND 90),
    sex        TEXT
) STRICT;
INSERT INTO patient VALUES(1,'P0000',1,NULL,NULL,NULL,NULL);
INSERT INTO patient VALUES(2,'P0001',2,NULL,NULL,41.0,NULL);
INSERT INTO patient VALUES(3,'P0002',3,NULL,NULL,42.0,NULL);
INSERT INTO patient VALUES(4,'P0003',4,NULL,NULL,43.0,NULL);
CREATE TABLE patient_covariate (
    patient_id INTEGER NOT NULL REFERENCES patient,
    name       TEXT NOT NULL,
    value      TEXT NOT NULL,
    number     REAL,
    PRIMARY KEY (patient_id, name)
) STRICT, WITHOUT ROWID;
INSERT INTO patient_covariate VALUES(1,'bmi','20.5',20.499999999999999999);
INSERT INTO patient_covariate VALUES(2,'bmi','21.5',21.5);
INSERT INTO patient_covariate VALUES(3,'bmi','22.5',22.5);
INSERT INTO patient_covariate VALUES(4,'bmi','23.5',23.499999999999999999);
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
    slices     TEXT,
    UNIQUE (patient_id, lesion),
    CHECK ((i0 IS NULL) = (k1 IS NULL)),
    CHECK ((point_i IS NULL) = (point_k IS NULL))
) STRICT;
INSERT INTO lesion VALUES(1,1,'L0','malignant',1,2,3,4,5,6,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO lesion VALUES(2,1,'L1','malignant',1,2,3,4,5,6,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO lesion VALUES(3,2,'L0','benign',1,2,3,4,5,6,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO lesion VALUES(4,2,'L1','malignant',1,2,3,4,5,6,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO lesion VALUES(5,3,'L0','benign',1,2,3,4,5,6,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO lesion VALUES(6,3,'L1','malignant',1,2,3,4,5,6,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO lesion VALUES(7,4,'L0','benign',1,2,3,4,5,6,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO lesion VALUES(8,4,'L1','benign',1,2,3,4,5,6,NULL,NULL,NULL,NULL,NULL,NULL);
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
    path       TEXT NOT NULL,
    slices     TEXT
) STRICT;
INSERT INTO image VALUES(1,1,NULL,'s1','T1','img/P0000_T1.nii.gz',NULL);
INSERT INTO image VALUES(2,1,NULL,'s1','T2','img/P0000_T2.nii.gz',NULL);
INSERT INTO image VALUES(3,2,NULL,'s1','T1','img/P0001_T1.nii.gz',NULL);
INSERT INTO image VALUES(4,2,NULL,'s1','T2','img/P0001_T2.nii.gz',NULL);
INSERT INTO image VALUES(5,3,NULL,'s1','T1','img/P0002_T1.nii.gz',NULL);
INSERT INTO image VALUES(6,3,NULL,'s1','T2','img/P0002_T2.nii.gz',NULL);
INSERT INTO image VALUES(7,4,NULL,'s1','T1','img/P0003_T1.nii.gz',NULL);
INSERT INTO image VALUES(8,4,NULL,'s1','T2','img/P0003_T2.nii.gz',NULL);
INSERT INTO image VALUES(9,1,NULL,'s1','FLAIR','img/flair.nii.gz',NULL);
CREATE TABLE image_covariate (
    image_id INTEGER NOT NULL REFERENCES image,
    name     TEXT NOT NULL,
    value    TEXT NOT NULL,
    number   REAL,
    PRIMARY KEY (image_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE reading (
    reading_id       INTEGER PRIMARY KEY,
    reader           TEXT NOT NULL,
    patient_id       INTEGER NOT NULL REFERENCES patient,
    lesion_id        INTEGER REFERENCES lesion,
    session          TEXT,
    repeat           INTEGER NOT NULL DEFAULT 0 CHECK (repeat >= 0),
    call             TEXT,
    rating           REAL,
    experience_years REAL
) STRICT;
INSERT INTO reading VALUES(1,'R1',1,NULL,NULL,0,'benign',3.0,NULL);
CREATE TABLE reading_feature (
    reading_id INTEGER NOT NULL REFERENCES reading,
    name       TEXT NOT NULL,
    value      TEXT NOT NULL,
    number     REAL,
    PRIMARY KEY (reading_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE volume (
    volume_id   INTEGER PRIMARY KEY,
    content     TEXT NOT NULL CHECK (length(content) = 32),
    volumes     TEXT NOT NULL DEFAULT '',
    type        TEXT NOT NULL,
    n_dim       INTEGER NOT NULL CHECK (n_dim BETWEEN 1 AND 7),
    dims        TEXT NOT NULL CHECK (dims LIKE '[%]'),
    nx INTEGER NOT NULL CHECK (nx > 0),
    ny INTEGER NOT NULL CHECK (ny > 0),
    nz INTEGER NOT NULL CHECK (nz > 0),
    spacing_x REAL, spacing_y REAL, spacing_z REAL,
    orientation TEXT NOT NULL,
    affine      TEXT NOT NULL CHECK (affine LIKE '[%]'),
    file_bytes  INTEGER NOT NULL CHECK (file_bytes >= 0),
    signature   TEXT CHECK (length(signature) BETWEEN 2 AND 328),
    UNIQUE (content, volumes)
) STRICT;
INSERT INTO volume VALUES(1,'fe62f6c5958a19910000000000000000','','int16',3,'[8,8,41]',8,8,41,1.0,1.0,3.0,'LAS','[-1,0,0,0,0,0,0,0,0,0,0,0]',1000,NULL);
INSERT INTO volume VALUES(2,'fe62f6c5958a19910000000000000001','','int16',3,'[8,8,41]',8,8,41,1.0,1.0,3.0,'LAS','[-1,0,0,0,0,0,0,0,0,0,0,0]',1000,NULL);
INSERT INTO volume VALUES(3,'dcdf2a09f08601220000000000000000','','int16',3,'[8,8,41]',8,8,41,1.0,1.0,3.0,'LAS','[-1,0,0,0,0,0,0,0,0,0,0,0]',1001,NULL);
INSERT INTO volume VALUES(4,'dcdf2a09f08601220000000000000001','','int16',3,'[8,8,41]',8,8,41,1.0,1.0,3.0,'LAS','[-1,0,0,0,0,0,0,0,0,0,0,0]',1001,NULL);
INSERT INTO volume VALUES(5,'3a4e24771cdad1990000000000000000','','int16',3,'[8,8,41]',8,8,41,1.0,1.0,3.0,'LAS','[-1,0,0,0,0,0,0,0,0,0,0,0]',1002,NULL);
INSERT INTO volume VALUES(6,'3a4e24771cdad1990000000000000001','','int16',3,'[8,8,41]',8,8,41,1.0,1.0,3.0,'LAS','[-1,0,0,0,0,0,0,0,0,0,0,0]',1002,NULL);
INSERT INTO volume VALUES(7,'98a74d52995b0f170000000000000000','','int16',3,'[8,8,41]',8,8,41,1.0,1.0,3.0,'LAS','[-1,0,0,0,0,0,0,0,0,0,0,0]',1003,NULL);
INSERT INTO volume VALUES(8,'98a74d52995b0f170000000000000001','','int16',3,'[8,8,41]',8,8,41,1.0,1.0,3.0,'LAS','[-1,0,0,0,0,0,0,0,0,0,0,0]',1003,NULL);
INSERT INTO volume VALUES(9,'732d5b8331fa5afb0000000000000000','','int16',3,'[8,8,41]',8,8,41,1.0,1.0,3.0,'LAS','[-1,0,0,0,0,0,0,0,0,0,0,0]',1004,NULL);
INSERT INTO volume VALUES(10,'732d5b8331fa5afb0000000000000001','','int16',3,'[8,8,41]',8,8,41,1.0,1.0,3.0,'LAS','[-1,0,0,0,0,0,0,0,0,0,0,0]',1004,NULL);
INSERT INTO volume VALUES(11,'1c3fac684bf9b89a0000000000000000','','int16',3,'[8,8,41]',8,8,41,1.0,1.0,3.0,'LAS','[-1,0,0,0,0,0,0,0,0,0,0,0]',1006,NULL);
INSERT INTO volume VALUES(12,'1c3fac684bf9b89a0000000000000001','','int16',3,'[8,8,41]',8,8,41,1.0,1.0,3.0,'LAS','[-1,0,0,0,0,0,0,0,0,0,0,0]',1006,NULL);
INSERT INTO volume VALUES(13,'4cb45a3cf79859350000000000000000','','int16',3,'[8,8,41]',8,8,41,1.0,1.0,3.0,'LAS','[-1,0,0,0,0,0,0,0,0,0,0,0]',1007,NULL);
INSERT INTO volume VALUES(14,'4cb45a3cf79859350000000000000001','','int16',3,'[8,8,41]',8,8,41,1.0,1.0,3.0,'LAS','[-1,0,0,0,0,0,0,0,0,0,0,0]',1007,NULL);
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
INSERT INTO model VALUES(1,'9404eea3257ed58d13e1106e33d7090229719000fb5e65770efae4fa7569aacb','g',13,10,'1,8,8','2','a net');
CREATE TABLE run (
    run_id          INTEGER PRIMARY KEY,
    identity        TEXT NOT NULL CHECK (length(identity) = 64),
    state           TEXT NOT NULL CHECK (state IN ('running', 'stopped', 'finished', 'failed')),
    job             TEXT NOT NULL,
    job_sha256      TEXT NOT NULL,
    job_text        TEXT NOT NULL,
    job_path        TEXT,
    cohort_sha256   TEXT NOT NULL,
    cohort_dir      TEXT,
    case_unit       TEXT NOT NULL CHECK (case_unit IN ('lesion', 'patient')),
    lesion_rule     TEXT NOT NULL,
    patient_rule    TEXT NOT NULL,
    vote_threshold  REAL NOT NULL,
    positive_class  INTEGER,
    strata          TEXT NOT NULL,
    backend         TEXT NOT NULL,
    backend_version TEXT NOT NULL,
    precision       TEXT NOT NULL,
    radcohort_version TEXT NOT NULL,
    versions        TEXT CHECK (versions LIKE '{%}'),
    host            TEXT,
    launch_mode     TEXT,
    command_line    TEXT,
    n_rank          INTEGER NOT NULL,
    threads         INTEGER NOT NULL,
    started         TEXT NOT NULL,
    finished        TEXT,
    result_sha256   TEXT CHECK (length(result_sha256) = 64),
    session_started TEXT NOT NULL,
    session_done    INTEGER NOT NULL,
    sessions        INTEGER NOT NULL
) STRICT;
INSERT INTO run VALUES(1,'adf6dafd7f8e4d90003aa186157c2070c865897009139ee933852bfcf9c05478','finished','fixture','12fe326c9deed1b307711743e384a2f194bc0a8baaf3ed797b66de1caef7ac2d','name: fixture # 2 1 2','/archive/fixture.yaml','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','cohort','lesion','max','mean',0.5,1,'["all","cohort","center"]','ref','ref 1','fp32','0.1.0-g5abf8c94f73d','{"sqlite":"3"}','node1','single','radcohort run fixture.yaml',1,1,'2026-11-22T12:44:51Z','2026-11-22T12:44:51Z','698a2ce63955fe02407afc3e5f55705f859648a30e1eb16775e7b9abbfff2ee2','2026-11-22T12:44:51Z',0,1);
CREATE TABLE run_class (
    run_id      INTEGER NOT NULL REFERENCES run,
    class_index INTEGER NOT NULL CHECK (class_index >= 0),
    class       TEXT NOT NULL,
    grade       INTEGER,
    rule        TEXT CHECK (rule IN ('sum', 'argmax')),
    PRIMARY KEY (run_id, class_index),
    UNIQUE (run_id, class)
) STRICT, WITHOUT ROWID;
INSERT INTO run_class VALUES(1,0,'benign',NULL,NULL);
INSERT INTO run_class VALUES(1,1,'malignant',NULL,NULL);
CREATE TABLE run_class_part (
    run_id      INTEGER NOT NULL,
    class_index INTEGER NOT NULL,
    part_index  INTEGER NOT NULL,
    PRIMARY KEY (run_id, class_index, part_index),
    FOREIGN KEY (run_id, class_index) REFERENCES run_class,
    FOREIGN KEY (run_id, part_index) REFERENCES run_class
) STRICT, WITHOUT ROWID;
INSERT INTO run_class_part VALUES(1,0,0);
INSERT INTO run_class_part VALUES(1,1,1);
CREATE TABLE run_model (
    run_model_id INTEGER PRIMARY KEY,
    run_id       INTEGER NOT NULL REFERENCES run,
    position     INTEGER NOT NULL,
    model        TEXT NOT NULL,
    file         TEXT NOT NULL,
    input        TEXT NOT NULL,
    input_text   TEXT NOT NULL,
    output       TEXT,
    activation   TEXT NOT NULL CHECK (activation IN ('none', 'softmax', 'sigmoid')),
    folds        INTEGER CHECK (folds >= 2),
    trained_on   TEXT,
    cam_rule     TEXT,
    UNIQUE (run_id, model),
    UNIQUE (run_id, position)
) STRICT;
INSERT INTO run_model VALUES(1,1,0,'net0','net0.onnx','in0','channels=T1:0 region=auto',NULL,'softmax',NULL,NULL,NULL);
CREATE TABLE run_model_file (
    run_model_id INTEGER NOT NULL REFERENCES run_model,
    position     INTEGER NOT NULL,
    model_id     INTEGER NOT NULL REFERENCES model,
    file         TEXT NOT NULL,
    fold         INTEGER,
    PRIMARY KEY (run_model_id, position)
) STRICT, WITHOUT ROWID;
INSERT INTO run_model_file VALUES(1,0,1,'net0.onnx',NULL);
CREATE TABLE operating_point (
    run_id      INTEGER NOT NULL REFERENCES run,
    position    INTEGER NOT NULL,
    point       TEXT NOT NULL,
    threshold   REAL,
    origin      TEXT NOT NULL CHECK (origin IN ('fixed', 'tuned')),
    tune        TEXT CHECK (tune IN ('youden', 'sensitivity', 'specificity')),
    target      REAL CHECK (target > 0 AND target < 1),
    tuned_on    TEXT CHECK (tuned_on IN ('internal', 'external')),
    tuned_model TEXT,
    PRIMARY KEY (run_id, point),
    CHECK ((origin = 'fixed') = (threshold IS NOT NULL)),
    CHECK ((origin = 'tuned') = (tune IS NOT NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO operating_point VALUES(1,0,'half',0.5,'fixed',NULL,NULL,NULL,NULL);
CREATE TABLE tuned_threshold (
    run_id       INTEGER NOT NULL,
    point        TEXT NOT NULL,
    run_model_id INTEGER NOT NULL REFERENCES run_model,
    unit         TEXT NOT NULL CHECK (unit IN ('lesion', 'patient')),
    class_index  INTEGER NOT NULL,
    threshold    REAL NOT NULL,
    PRIMARY KEY (run_id, point, run_model_id, unit, class_index),
    FOREIGN KEY (run_id, point) REFERENCES operating_point
) STRICT, WITHOUT ROWID;
CREATE TABLE regression (
    run_id     INTEGER NOT NULL REFERENCES run,
    position   INTEGER NOT NULL,
    regression TEXT NOT NULL,
    place      INTEGER NOT NULL,
    predictor  TEXT NOT NULL,
    PRIMARY KEY (run_id, position, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE run_patient (
    run_id      INTEGER NOT NULL REFERENCES run,
    patient_id  INTEGER NOT NULL REFERENCES patient,
    center_id   INTEGER NOT NULL REFERENCES center,
    cohort      TEXT NOT NULL CHECK (cohort IN ('internal', 'external')),
    class_index INTEGER,
    fold        INTEGER,
    PRIMARY KEY (run_id, patient_id)
) STRICT, WITHOUT ROWID;
INSERT INTO run_patient VALUES(1,1,1,'internal',1,NULL);
INSERT INTO run_patient VALUES(1,2,2,'external',1,NULL);
INSERT INTO run_patient VALUES(1,3,3,'external',1,NULL);
INSERT INTO run_patient VALUES(1,4,4,'external',0,NULL);
CREATE TABLE unselected_patient (
    run_id     INTEGER NOT NULL REFERENCES run,
    patient_id INTEGER NOT NULL REFERENCES patient,
    reason     TEXT NOT NULL,
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
INSERT INTO manifest VALUES(1,1,0,1,1,'s1',1);
INSERT INTO manifest VALUES(2,1,1,1,2,'s1',1);
INSERT INTO manifest VALUES(3,1,2,2,3,'s1',0);
INSERT INTO manifest VALUES(4,1,3,2,4,'s1',1);
INSERT INTO manifest VALUES(5,1,4,3,5,'s1',0);
INSERT INTO manifest VALUES(6,1,5,3,6,'s1',1);
INSERT INTO manifest VALUES(7,1,6,4,7,'s1',0);
INSERT INTO manifest VALUES(8,1,7,4,8,'s1',0);
CREATE TABLE work (
    case_id     INTEGER PRIMARY KEY REFERENCES manifest,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'leased', 'done', 'quarantined')),
    attempts    INTEGER NOT NULL CHECK (attempts >= 0),
    lost        INTEGER NOT NULL CHECK (lost >= 0),
    interrupted INTEGER NOT NULL CHECK (interrupted >= 0),
    rank        INTEGER
) STRICT;
INSERT INTO work VALUES(1,'done',1,0,0,1);
INSERT INTO work VALUES(2,'done',1,0,0,1);
INSERT INTO work VALUES(3,'done',1,0,0,1);
INSERT INTO work VALUES(4,'done',1,0,0,1);
INSERT INTO work VALUES(5,'done',1,0,0,1);
INSERT INTO work VALUES(6,'done',0,0,0,NULL);
INSERT INTO work VALUES(7,'done',1,0,0,1);
INSERT INTO work VALUES(8,'done',1,0,0,1);
CREATE TABLE image_use (
    case_id   INTEGER NOT NULL REFERENCES manifest,
    input     TEXT NOT NULL,
    channel   INTEGER NOT NULL,
    image_id  INTEGER NOT NULL REFERENCES image,
    volumes   TEXT NOT NULL DEFAULT '',
    volume_id INTEGER REFERENCES volume,
    PRIMARY KEY (case_id, input, channel)
) STRICT, WITHOUT ROWID;
INSERT INTO image_use VALUES(1,'in0',0,1,'',1);
INSERT INTO image_use VALUES(1,'in1',0,2,'',2);
INSERT INTO image_use VALUES(2,'in0',0,1,'',3);
INSERT INTO image_use VALUES(2,'in1',0,2,'',4);
INSERT INTO image_use VALUES(3,'in0',0,3,'',5);
INSERT INTO image_use VALUES(3,'in1',0,4,'',6);
INSERT INTO image_use VALUES(4,'in0',0,3,'',7);
INSERT INTO image_use VALUES(4,'in1',0,4,'',8);
INSERT INTO image_use VALUES(5,'in0',0,5,'',9);
INSERT INTO image_use VALUES(5,'in1',0,6,'',10);
INSERT INTO image_use VALUES(7,'in0',0,7,'',11);
INSERT INTO image_use VALUES(7,'in1',0,8,'',12);
INSERT INTO image_use VALUES(8,'in0',0,7,'',13);
INSERT INTO image_use VALUES(8,'in1',0,8,'',14);
CREATE TABLE unused_image (
    run_id   INTEGER NOT NULL REFERENCES run,
    image_id INTEGER NOT NULL REFERENCES image,
    reason   TEXT NOT NULL,
    PRIMARY KEY (run_id, image_id)
) STRICT, WITHOUT ROWID;
INSERT INTO unused_image VALUES(1,9,'no channel takes sequence FLAIR');
CREATE TABLE result (
    result_id  INTEGER PRIMARY KEY,
    result_key TEXT NOT NULL UNIQUE CHECK (length(result_key) = 64),
    model_id   INTEGER NOT NULL REFERENCES model,
    n_slice    INTEGER NOT NULL CHECK (n_slice > 0),
    n_class    INTEGER NOT NULL CHECK (n_class > 0),
    input_mean REAL,
    input_sd   REAL CHECK (input_sd >= 0)
) STRICT;
INSERT INTO result VALUES(1,'47eeba15a2bf7408a4d12ce5345d85ae200241ef72c54f918e95c2e2261c96dc',1,1,2,0.0,0.0);
INSERT INTO result VALUES(2,'2dc3550471ead8e6c0c5fea5f4bf208fe84dccfdd7334ad89b409769f79ff1c8',1,1,2,0.0,0.0);
INSERT INTO result VALUES(3,'00ced7fe211ee95e8dd7106359b990249f764518243ebea95cff25632c8dea0f',1,1,2,0.0,0.0);
INSERT INTO result VALUES(4,'241eebdc2a89a2a6fbf3d2416b7940585da4bd9395ab6c0bd794537706205858',1,1,2,0.0,0.0);
INSERT INTO result VALUES(5,'054be44209f3a08505a078966296b283a0ab7073e6186c22d1e9adcbd38ca89a',1,1,2,0.0,0.0);
INSERT INTO result VALUES(6,'dd951401bb217eecf52ce33eed82efcf4dd37ed24ef14c83110a29cf50fdf9b3',1,1,2,0.0,0.0);
CREATE TABLE slice (
    result_id    INTEGER NOT NULL REFERENCES result,
    slice        INTEGER NOT NULL CHECK (slice >= 0),
    stored_slice INTEGER NOT NULL CHECK (stored_slice >= 0),
    x0 INTEGER NOT NULL, y0 INTEGER NOT NULL,
    x1 INTEGER NOT NULL, y1 INTEGER NOT NULL,
    mismatch_mm REAL NOT NULL CHECK (mismatch_mm >= 0),
    PRIMARY KEY (result_id, slice)
) STRICT, WITHOUT ROWID;
INSERT INTO slice VALUES(1,3,40,-1,0,9,9,0.0);
INSERT INTO slice VALUES(2,3,40,-1,0,9,9,0.0);
INSERT INTO slice VALUES(3,3,40,-1,0,9,9,0.0);
INSERT INTO slice VALUES(4,3,40,-1,0,9,9,0.0);
INSERT INTO slice VALUES(5,3,40,-1,0,9,9,0.0);
INSERT INTO slice VALUES(6,3,40,-1,0,9,9,0.0);
CREATE TABLE slice_score (
    result_id   INTEGER NOT NULL,
    class_index INTEGER NOT NULL CHECK (class_index >= 0),
    slice       INTEGER NOT NULL,
    score       REAL NOT NULL,
    PRIMARY KEY (result_id, class_index, slice),
    FOREIGN KEY (result_id, slice) REFERENCES slice
) STRICT, WITHOUT ROWID;
INSERT INTO slice_score VALUES(1,0,3,0.14786428420259081772);
INSERT INTO slice_score VALUES(1,1,3,0.852135715797409099);
INSERT INTO slice_score VALUES(2,0,3,0.31716934939849045216);
INSERT INTO slice_score VALUES(2,1,3,0.68283065060150960334);
INSERT INTO slice_score VALUES(3,0,3,0.6726302204879121005);
INSERT INTO slice_score VALUES(3,1,3,0.327369779512087955);
INSERT INTO slice_score VALUES(4,0,3,0.4857740813896904708);
INSERT INTO slice_score VALUES(4,1,3,0.51422591861030952919);
INSERT INTO slice_score VALUES(5,0,3,0.73968616815401366793);
INSERT INTO slice_score VALUES(5,1,3,0.26031383184598633206);
INSERT INTO slice_score VALUES(6,0,3,0.62968212118248167996);
INSERT INTO slice_score VALUES(6,1,3,0.37031787881751837554);
CREATE TABLE run_result (
    case_id      INTEGER NOT NULL REFERENCES manifest,
    run_model_id INTEGER NOT NULL REFERENCES run_model,
    result_id    INTEGER NOT NULL REFERENCES result,
    reused       INTEGER NOT NULL CHECK (reused IN (0, 1)),
    PRIMARY KEY (case_id, run_model_id)
) STRICT, WITHOUT ROWID;
INSERT INTO run_result VALUES(1,1,1,0);
INSERT INTO run_result VALUES(2,1,2,0);
INSERT INTO run_result VALUES(3,1,3,0);
INSERT INTO run_result VALUES(4,1,4,0);
INSERT INTO run_result VALUES(5,1,5,0);
INSERT INTO run_result VALUES(7,1,6,0);
CREATE TABLE cam (
    cam_id         INTEGER PRIMARY KEY,
    cam_key        TEXT NOT NULL UNIQUE CHECK (length(cam_key) = 64),
    result_id      INTEGER NOT NULL REFERENCES result,
    rule           TEXT NOT NULL,
    class_index    INTEGER NOT NULL CHECK (class_index >= 0),
    deciding_slice INTEGER NOT NULL CHECK (deciding_slice >= 0),
    depth          INTEGER CHECK (depth > 0),
    height         INTEGER NOT NULL CHECK (height > 0),
    width          INTEGER NOT NULL CHECK (width > 0),
    file           TEXT UNIQUE,
    file_bytes     INTEGER CHECK (file_bytes > 0),
    file_sha256    TEXT CHECK (length(file_sha256) = 64),
    scale          REAL NOT NULL CHECK (scale > 0),
    CHECK ((file IS NULL) = (file_bytes IS NULL) AND (file IS NULL) = (file_sha256 IS NULL))
) STRICT;
CREATE TABLE cam_slice (
    cam_id     INTEGER NOT NULL REFERENCES cam,
    slice      INTEGER NOT NULL CHECK (slice >= 0),
    peak_i INTEGER NOT NULL, peak_j INTEGER NOT NULL, peak_k INTEGER NOT NULL,
    peak_x REAL NOT NULL, peak_y REAL NOT NULL, peak_z REAL NOT NULL,
    peak_value REAL NOT NULL,
    low_value  REAL NOT NULL,
    energy     REAL NOT NULL CHECK (energy >= 0),
    energy_inside REAL CHECK (energy_inside BETWEEN 0 AND 1.000001),
    peak_inside INTEGER CHECK (peak_inside IN (0, 1)),
    iou        REAL CHECK (iou BETWEEN 0 AND 1),
    PRIMARY KEY (cam_id, slice)
) STRICT, WITHOUT ROWID;
CREATE TABLE run_cam (
    case_id      INTEGER NOT NULL REFERENCES manifest,
    run_model_id INTEGER NOT NULL REFERENCES run_model,
    cam_id       INTEGER NOT NULL REFERENCES cam,
    PRIMARY KEY (case_id, run_model_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE case_score (
    run_model_id INTEGER NOT NULL REFERENCES run_model,
    patient_id   INTEGER NOT NULL REFERENCES patient,
    case_key     INTEGER NOT NULL CHECK (case_key >= 0),
    class_index  INTEGER NOT NULL,
    score        REAL NOT NULL,
    n_part       INTEGER NOT NULL CHECK (n_part > 0),
    n_missing    INTEGER NOT NULL CHECK (n_missing >= 0),
    unit         TEXT NOT NULL GENERATED ALWAYS AS (iif(case_key > 0, 'lesion', 'patient')) VIRTUAL,
    case_id      INTEGER GENERATED ALWAYS AS (nullif(case_key, 0)) VIRTUAL REFERENCES manifest,
    PRIMARY KEY (run_model_id, patient_id, case_key, class_index)
) STRICT, WITHOUT ROWID;
INSERT INTO case_score VALUES(1,1,0,0,0.23251681680054064882,2,0);
INSERT INTO case_score VALUES(1,1,0,1,0.76748318319945929566,2,0);
INSERT INTO case_score VALUES(1,1,1,0,0.14786428420259081772,1,0);
INSERT INTO case_score VALUES(1,1,1,1,0.852135715797409099,1,0);
INSERT INTO case_score VALUES(1,1,2,0,0.31716934939849045216,1,0);
INSERT INTO case_score VALUES(1,1,2,1,0.68283065060150960334,1,0);
INSERT INTO case_score VALUES(1,2,0,0,0.57920215093880123014,2,0);
INSERT INTO case_score VALUES(1,2,0,1,0.42079784906119876985,2,0);
INSERT INTO case_score VALUES(1,2,3,0,0.6726302204879121005,1,0);
INSERT INTO case_score VALUES(1,2,3,1,0.327369779512087955,1,0);
INSERT INTO case_score VALUES(1,2,4,0,0.4857740813896904708,1,0);
INSERT INTO case_score VALUES(1,2,4,1,0.51422591861030952919,1,0);
INSERT INTO case_score VALUES(1,3,0,0,0.73968616815401366793,1,1);
INSERT INTO case_score VALUES(1,3,0,1,0.26031383184598633206,1,1);
INSERT INTO case_score VALUES(1,3,5,0,0.73968616815401366793,1,0);
INSERT INTO case_score VALUES(1,3,5,1,0.26031383184598633206,1,0);
INSERT INTO case_score VALUES(1,4,0,0,0.62968212118248167996,1,1);
INSERT INTO case_score VALUES(1,4,0,1,0.37031787881751837554,1,1);
INSERT INTO case_score VALUES(1,4,7,0,0.62968212118248167996,1,0);
INSERT INTO case_score VALUES(1,4,7,1,0.37031787881751837554,1,0);
CREATE TABLE case_grade (
    run_model_id INTEGER NOT NULL REFERENCES run_model,
    unit         TEXT NOT NULL CHECK (unit IN ('lesion', 'patient')),
    patient_id   INTEGER NOT NULL REFERENCES patient,
    case_id      INTEGER REFERENCES manifest,
    grade        REAL NOT NULL,
    call         INTEGER NOT NULL,
    CHECK ((unit = 'lesion') = (case_id IS NOT NULL))
) STRICT;
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
INSERT INTO exclusion VALUES(1,1,'lesion',3,6,NULL,'intake','channel','no image with sequence T1');
INSERT INTO exclusion VALUES(2,1,'lesion',4,8,NULL,'load','truncated','file ends early');
CREATE TABLE warning (
    run_id   INTEGER NOT NULL REFERENCES run,
    case_id  INTEGER REFERENCES manifest,
    image_id INTEGER REFERENCES image,
    stage    TEXT NOT NULL,
    text     TEXT NOT NULL
) STRICT;
INSERT INTO warning VALUES(1,1,1,'load','sform and qform disagree by 2.5 mm');
INSERT INTO warning VALUES(1,1,2,'load','sform and qform disagree by 2.5 mm');
CREATE TABLE time_ledger (
    case_id    INTEGER PRIMARY KEY REFERENCES manifest,
    rank       INTEGER NOT NULL,
    host       TEXT,
    device     TEXT,
    read_s     REAL NOT NULL,
    inflate_s  REAL NOT NULL,
    prepare_s  REAL NOT NULL,
    wait_s     REAL NOT NULL,
    infer_s    REAL NOT NULL,
    write_s    REAL NOT NULL,
    read_bytes INTEGER NOT NULL,
    stored     TEXT NOT NULL
) STRICT;
INSERT INTO time_ledger VALUES(1,1,'node1','cpu',0.10000000000000000555,0.0,0.2000000000000000111,0.0,0.29999999999999998889,0.00056358599977102130651,2000,'2026-11-22T12:44:51Z');
INSERT INTO time_ledger VALUES(2,1,'node1','cpu',0.10000000000000000555,0.0,0.2000000000000000111,0.0,0.29999999999999998889,4.3104999349452555179e-05,2000,'2026-11-22T12:44:51Z');
INSERT INTO time_ledger VALUES(3,1,'node1','cpu',0.10000000000000000555,0.0,0.2000000000000000111,0.0,0.29999999999999998889,3.0445997253991663455e-05,2000,'2026-11-22T12:44:51Z');
INSERT INTO time_ledger VALUES(4,1,'node1','cpu',0.10000000000000000555,0.0,0.2000000000000000111,0.0,0.29999999999999998889,2.8652997571043670177e-05,2000,'2026-11-22T12:44:51Z');
INSERT INTO time_ledger VALUES(5,1,'node1','cpu',0.10000000000000000555,0.0,0.2000000000000000111,0.0,0.29999999999999998889,2.8141999791841953992e-05,2000,'2026-11-22T12:44:51Z');
INSERT INTO time_ledger VALUES(7,1,'node1','cpu',0.10000000000000000555,0.0,0.2000000000000000111,0.0,0.29999999999999998889,2.7932001103181391954e-05,2000,'2026-11-22T12:44:51Z');
INSERT INTO time_ledger VALUES(8,1,'node1','cpu',0.10000000000000000555,0.0,0.2000000000000000111,0.0,0.29999999999999998889,6.2312999943969771265e-05,2000,'2026-11-22T12:44:51Z');
CREATE TABLE statistic (
    statistic_id INTEGER PRIMARY KEY,
    run_id       INTEGER NOT NULL REFERENCES run,
    run_model_id INTEGER NOT NULL REFERENCES run_model,
    unit         TEXT NOT NULL CHECK (unit IN ('slice', 'lesion', 'patient')),
    class_index  INTEGER,
    stratum_kind TEXT NOT NULL CHECK (stratum_kind IN ('all', 'cohort', 'center', 'fold', 'contrast')),
    stratum      TEXT NOT NULL,
    cohort       TEXT CHECK (cohort IN ('internal', 'external')),
    point        TEXT,
    name         TEXT NOT NULL,
    versus       TEXT,
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
    p_adjusted REAL CHECK (p_adjusted BETWEEN 0 AND 1),
    reason TEXT,
    query  TEXT NOT NULL,
    FOREIGN KEY (run_id, class_index) REFERENCES run_class,
    CHECK (est IS NOT NULL OR reason IS NOT NULL)
) STRICT;
INSERT INTO statistic VALUES(2,1,1,'lesion',1,'all','all',NULL,NULL,'auc',NULL,'DeLong (units treated as independent)',6,3,2,4,1.0,0.0,1.0,1.0,0.94999999999999995559,NULL,NULL,'DeLong variance is 0: the interval is a point, not evidence of certainty','SELECT cohort, patient, label, score FROM v_case_score WHERE run_id = 1 AND model = ''net0'' AND unit = ''lesion'' AND class = ''malignant''');
INSERT INTO statistic VALUES(135,1,1,'patient',1,'all','all',NULL,NULL,'auc',NULL,'DeLong',4,3,0,4,0.66666666666666662965,NULL,NULL,NULL,0.94999999999999995559,NULL,NULL,'one negative case: no variance','SELECT cohort, patient, label, score FROM v_case_score WHERE run_id = 1 AND model = ''net0'' AND unit = ''patient'' AND class = ''malignant''');
CREATE TABLE result_seal (
    result_id INTEGER PRIMARY KEY REFERENCES result,
    seal      TEXT NOT NULL CHECK (length(seal) = 64),
    marks     BLOB NOT NULL
) STRICT;
CREATE TABLE seal (
    seal_id  INTEGER PRIMARY KEY,
    run_id   INTEGER NOT NULL REFERENCES run,
    object   TEXT NOT NULL,
    n_row    INTEGER NOT NULL CHECK (n_row >= 0),
    content  TEXT NOT NULL CHECK (length(content) = 64),
    previous TEXT NOT NULL CHECK (length(previous) IN (0, 64)),
    seal     TEXT NOT NULL CHECK (length(seal) = 64)
) STRICT;
CREATE TABLE seal_marks (
    seal_id INTEGER NOT NULL REFERENCES seal DEFERRABLE INITIALLY DEFERRED,
    part    INTEGER NOT NULL CHECK (part >= 0),
    marks   BLOB NOT NULL,
    PRIMARY KEY (seal_id, part)
) STRICT, WITHOUT ROWID;
CREATE TABLE file_stamp (
    path        TEXT PRIMARY KEY,
    bytes       INTEGER NOT NULL,
    inode       INTEGER NOT NULL,
    seconds     INTEGER NOT NULL,
    nanoseconds INTEGER NOT NULL,
    content     TEXT CHECK (length(content) = 32),
    since_run   INTEGER NOT NULL REFERENCES run
) STRICT, WITHOUT ROWID;
CREATE TABLE failed_result (
    result_key TEXT PRIMARY KEY CHECK (length(result_key) = 64),
    stage      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    text       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE nightly (
    nightly_id    INTEGER PRIMARY KEY,
    run_id        INTEGER NOT NULL REFERENCES run,
    versus_run_id INTEGER REFERENCES run,
    finished      TEXT NOT NULL,
    n_file        INTEGER NOT NULL,
    n_moved       INTEGER NOT NULL,
    n_read        INTEGER NOT NULL,
    n_run         INTEGER NOT NULL,
    n_keep        INTEGER NOT NULL,
    n_excluded    INTEGER NOT NULL,
    n_gone        INTEGER NOT NULL,
    n_change      INTEGER NOT NULL,
    n_flip        INTEGER NOT NULL,
    n_alarm       INTEGER NOT NULL,
    headline      TEXT NOT NULL,
    summary       TEXT NOT NULL,
    json          TEXT NOT NULL CHECK (json LIKE '{%}')
) STRICT;
CREATE TABLE nightly_case (
    nightly_id INTEGER NOT NULL REFERENCES nightly,
    position   INTEGER NOT NULL,
    what       TEXT NOT NULL CHECK (what IN ('run', 'excluded', 'failed', 'gone')),
    patient    TEXT,
    lesion     TEXT,
    study      TEXT,
    reasons    TEXT NOT NULL,
    detail     TEXT,
    PRIMARY KEY (nightly_id, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE drift (
    nightly_id INTEGER NOT NULL REFERENCES nightly,
    center     TEXT NOT NULL,
    variable   TEXT NOT NULL,
    unit       TEXT NOT NULL CHECK (unit IN ('image', 'lesion', 'patient')),
    test       TEXT NOT NULL CHECK (test IN ('ks', 'chisq')),
    n_base     INTEGER NOT NULL,
    n_recent   INTEGER NOT NULL,
    psi        REAL,
    statistic  REAL,
    p          REAL CHECK (p BETWEEN 0 AND 1),
    p_adjusted REAL CHECK (p_adjusted BETWEEN 0 AND 1),
    base       TEXT,
    recent     TEXT,
    alarm      INTEGER NOT NULL CHECK (alarm IN (0, 1)),
    reason     TEXT,
    PRIMARY KEY (nightly_id, center, variable, unit),
    CHECK (psi IS NOT NULL OR reason IS NOT NULL)
) STRICT, WITHOUT ROWID;
CREATE TABLE near_copy (
    run_id     INTEGER NOT NULL REFERENCES run,
    image_a    INTEGER NOT NULL REFERENCES image,
    image_b    INTEGER NOT NULL REFERENCES image,
    similarity REAL NOT NULL CHECK (similarity BETWEEN 0 AND 1.000001),
    same       INTEGER NOT NULL CHECK (same IN (0, 1)),
    PRIMARY KEY (run_id, image_a, image_b)
) STRICT, WITHOUT ROWID;
CREATE TABLE data_dictionary (
    object      TEXT NOT NULL,
    column_name TEXT NOT NULL,
    description TEXT NOT NULL CHECK (length(description) > 0),
    PRIMARY KEY (object, column_name)
) STRICT, WITHOUT ROWID;
CREATE INDEX patient_center ON patient (center_id);
CREATE UNIQUE INDEX image_row ON image (patient_id, coalesce(lesion_id, 0), study, sequence, path);
CREATE INDEX reading_patient ON reading (patient_id, lesion_id);
CREATE UNIQUE INDEX reading_row ON reading (reader, patient_id, coalesce(lesion_id, 0), coalesce(session, ''));
CREATE INDEX run_identity ON run (identity);
CREATE INDEX run_model_file_model ON run_model_file (model_id);
CREATE UNIQUE INDEX manifest_case ON manifest (run_id, patient_id, coalesce(lesion_id, 0), study);
CREATE INDEX image_use_volume ON image_use (volume_id);
CREATE INDEX run_result_result ON run_result (result_id);
CREATE INDEX cam_result ON cam (result_id);
CREATE INDEX run_cam_cam ON run_cam (cam_id);
CREATE UNIQUE INDEX case_grade_unit ON case_grade (run_model_id, patient_id, unit, coalesce(case_id, 0));
CREATE UNIQUE INDEX exclusion_unit ON exclusion (run_id, unit, patient_id, coalesce(case_id, 0), coalesce(run_model_id, 0));
CREATE INDEX exclusion_case ON exclusion (case_id);
CREATE UNIQUE INDEX warning_row ON warning (run_id, coalesce(case_id, 0), coalesce(image_id, 0), stage, text);
CREATE UNIQUE INDEX statistic_row
    ON statistic (run_id, run_model_id, unit, coalesce(class_index, -1), stratum_kind, stratum, coalesce(point, ''), name,
                  coalesce(versus, ''));
CREATE INDEX seal_run ON seal (run_id, object);
CREATE INDEX nightly_run ON nightly (run_id);
CREATE VIEW v_case_score (run_id, model, unit, center, cohort, patient, lesion, class, score, label, fold) AS
SELECT rm.run_id, rm.model, s.unit, c.center, rp.cohort, p.patient, l.lesion, k.class, s.score,
       CASE WHEN iif(s.unit = 'lesion', m.class_index, rp.class_index) IS NOT NULL
            THEN EXISTS (SELECT 1 FROM run_class_part cp WHERE cp.run_id = rm.run_id AND cp.class_index = s.class_index
                            AND cp.part_index = iif(s.unit = 'lesion', m.class_index, rp.class_index)) END,
       rp.fold
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
CREATE VIEW v_case_grade (run_id, model, unit, center, cohort, patient, lesion, label, label_grade, grade, call, call_grade) AS
SELECT rm.run_id, rm.model, g.unit, c.center, rp.cohort, p.patient, l.lesion, t.class, t.grade, g.grade, k.class, k.grade
  FROM case_grade g
  JOIN run_model rm ON rm.run_model_id = g.run_model_id
  JOIN run_class k ON k.run_id = rm.run_id AND k.class_index = g.call
  JOIN run_patient rp ON rp.run_id = rm.run_id AND rp.patient_id = g.patient_id
  JOIN patient p ON p.patient_id = g.patient_id
  JOIN center c ON c.center_id = rp.center_id
  LEFT JOIN manifest m ON m.case_id = g.case_id
  LEFT JOIN lesion l ON l.lesion_id = m.lesion_id
  LEFT JOIN run_class t ON t.run_id = rm.run_id AND t.class_index = CASE g.unit WHEN 'lesion' THEN m.class_index ELSE rp.class_index END;
CREATE VIEW v_slice_score (run_id, model, center, cohort, patient, lesion, study, slice, stored_slice, x0, y0, x1, y1, mismatch_mm, class, score, label,
                           model_sha256, result_key, file, fold) AS
SELECT m.run_id, rm.model, c.center, rp.cohort, p.patient, l.lesion, m.study, s.slice, s.stored_slice, s.x0, s.y0, s.x1, s.y1, s.mismatch_mm, k.class,
       CASE k.rule WHEN 'sum' THEN (SELECT sum(x.score) FROM run_class_part cp JOIN slice_score x ON x.result_id = s.result_id
                                       AND x.class_index = cp.part_index AND x.slice = s.slice
                                     WHERE cp.run_id = m.run_id AND cp.class_index = k.class_index)
                   WHEN 'argmax' THEN EXISTS (SELECT 1 FROM run_class_part cp WHERE cp.run_id = m.run_id AND cp.class_index = k.class_index
                                                 AND cp.part_index = (SELECT x.class_index FROM slice_score x WHERE x.result_id = s.result_id
                                                                         AND x.slice = s.slice ORDER BY x.score DESC, x.class_index LIMIT 1))
                   ELSE ss.score END,
       CASE WHEN m.class_index IS NOT NULL
            THEN EXISTS (SELECT 1 FROM run_class_part cp WHERE cp.run_id = m.run_id AND cp.class_index = k.class_index
                            AND cp.part_index = m.class_index) END, mo.sha256, re.result_key,
       coalesce((SELECT f.file FROM run_model_file f WHERE f.run_model_id = rm.run_model_id AND f.model_id = re.model_id
                    AND (f.fold IS NULL OR f.fold = rp.fold)),
                (SELECT min(f.file) FROM run_model o JOIN run_model_file f ON f.run_model_id = o.run_model_id
                  WHERE o.run_id = m.run_id AND f.model_id = re.model_id)), rp.fold
  FROM manifest m
  JOIN run r ON r.run_id = m.run_id
  JOIN run_result rr ON rr.case_id = m.case_id
  JOIN run_model rm ON rm.run_model_id = rr.run_model_id
  JOIN result re ON re.result_id = rr.result_id
  JOIN model mo ON mo.model_id = re.model_id
  JOIN slice s ON s.result_id = rr.result_id
  JOIN run_class k ON k.run_id = m.run_id
  LEFT JOIN slice_score ss ON ss.result_id = s.result_id AND ss.slice = s.slice AND ss.class_index = k.class_index
  JOIN run_patient rp ON rp.run_id = m.run_id AND rp.patient_id = m.patient_id
  JOIN patient p ON p.patient_id = m.patient_id
  JOIN center c ON c.center_id = rp.center_id
  LEFT JOIN lesion l ON l.lesion_id = m.lesion_id
 WHERE (r.positive_class IS NULL OR r.positive_class = k.class_index) AND (ss.score IS NOT NULL OR k.rule IS NOT NULL);
CREATE VIEW v_cam (run_id, model, center, cohort, patient, lesion, study, class, slice, stored_slice, deciding, score, label, peak_i, peak_j,
                   peak_k, peak_x, peak_y, peak_z, peak_value, low_value, energy, energy_inside, peak_inside, iou, x0, y0, x1, y1, depth,
                   height, width, file, scale) AS
SELECT m.run_id, rm.model, ce.center, rp.cohort, p.patient, l.lesion, m.study, k.class, s.slice, sl.stored_slice, s.slice = c.deciding_slice,
       ss.score, m.class_index = c.class_index, s.peak_i, s.peak_j, s.peak_k, s.peak_x, s.peak_y, s.peak_z, s.peak_value, s.low_value,
       s.energy, s.energy_inside, s.peak_inside, s.iou, sl.x0, sl.y0, sl.x1, sl.y1, c.depth, c.height, c.width, c.file, c.scale
  FROM manifest m
  JOIN run_cam rc ON rc.case_id = m.case_id
  JOIN run_model rm ON rm.run_model_id = rc.run_model_id
  JOIN cam c ON c.cam_id = rc.cam_id
  JOIN cam_slice s ON s.cam_id = c.cam_id
  JOIN slice sl ON sl.result_id = c.result_id AND sl.slice = s.slice
  JOIN slice_score ss ON ss.result_id = c.result_id AND ss.slice = s.slice AND ss.class_index = c.class_index
  JOIN run_class k ON k.run_id = m.run_id AND k.class_index = c.class_index
  JOIN run_patient rp ON rp.run_id = m.run_id AND rp.patient_id = m.patient_id
  JOIN patient p ON p.patient_id = m.patient_id
  JOIN center ce ON ce.center_id = rp.center_id
  LEFT JOIN lesion l ON l.lesion_id = m.lesion_id;
CREATE VIEW v_source (run_id, model, patient, lesion, study, input, channel, sequence, path, volumes, content, type, dims,
                      orientation, model_sha256, result_key, file, fold) AS
SELECT m.run_id, rm.model, p.patient, l.lesion, m.study, u.input, u.channel, i.sequence, i.path, u.volumes, v.content, v.type, v.dims,
       v.orientation, mo.sha256, re.result_key,
       coalesce((SELECT f.file FROM run_model_file f WHERE f.run_model_id = rm.run_model_id AND f.model_id = re.model_id
                    AND (f.fold IS NULL OR f.fold = rp.fold)),
                (SELECT min(f.file) FROM run_model o JOIN run_model_file f ON f.run_model_id = o.run_model_id
                  WHERE o.run_id = m.run_id AND f.model_id = re.model_id)), rp.fold
  FROM manifest m
  JOIN run_patient rp ON rp.run_id = m.run_id AND rp.patient_id = m.patient_id
  JOIN run_model rm ON rm.run_id = m.run_id
  JOIN image_use u ON u.case_id = m.case_id AND u.input = rm.input
  JOIN image i ON i.image_id = u.image_id
  JOIN patient p ON p.patient_id = m.patient_id
  LEFT JOIN lesion l ON l.lesion_id = m.lesion_id
  LEFT JOIN volume v ON v.volume_id = u.volume_id
  LEFT JOIN run_result rr ON rr.case_id = m.case_id AND rr.run_model_id = rm.run_model_id
  LEFT JOIN result re ON re.result_id = rr.result_id
  LEFT JOIN model mo ON mo.model_id = re.model_id;
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
                         est, se, lower, upper, level, p, reason, query, versus, p_adjusted) AS
SELECT s.run_id, rm.model, k.class, s.unit, s.stratum_kind, s.stratum, s.cohort, s.point, s.name, s.method, s.n, s.n_pos, s.n_missing,
       s.n_cluster, s.est, s.se, s.lower, s.upper, s.level, s.p, s.reason, s.query, s.versus, s.p_adjusted
  FROM statistic s
  JOIN run_model rm ON rm.run_model_id = s.run_model_id
  LEFT JOIN run_class k ON k.run_id = s.run_id AND k.class_index = s.class_index;
CREATE VIEW v_call (run_id, model, unit, center, cohort, patient, lesion, class, point, threshold, score, call, label, outcome) AS
SELECT s.run_id, s.model, s.unit, s.center, s.cohort, s.patient, s.lesion, s.class, o.point, coalesce(o.threshold, t.threshold), s.score,
       s.score >= coalesce(o.threshold, t.threshold), s.label,
       CASE WHEN s.label IS NULL THEN NULL
            WHEN s.label = 1 THEN iif(s.score >= coalesce(o.threshold, t.threshold), 'TP', 'FN')
            ELSE iif(s.score >= coalesce(o.threshold, t.threshold), 'FP', 'TN') END
  FROM v_case_score s
  JOIN run r ON r.run_id = s.run_id
  JOIN run_class k ON k.run_id = s.run_id AND k.class = s.class AND (r.positive_class IS NOT NULL OR k.rule IS NOT NULL)
  JOIN operating_point o ON o.run_id = s.run_id
  JOIN run_model rm ON rm.run_id = s.run_id AND rm.model = s.model
  LEFT JOIN tuned_threshold t ON t.run_id = s.run_id AND t.point = o.point AND t.run_model_id = rm.run_model_id AND t.unit = s.unit
        AND t.class_index = k.class_index
 WHERE coalesce(o.threshold, t.threshold) IS NOT NULL;
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
           EXISTS (SELECT 1 FROM case_score s WHERE s.run_model_id = rm.run_model_id AND s.case_key = 0
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
                   read_s, inflate_s, prepare_s, wait_s, infer_s, write_s, read_bytes, n_result, n_reused) AS
SELECT r.run_id, r.job, r.state, r.started, r.finished, r.backend, r.backend_version, r.precision, r.n_rank, r.threads, r.host,
       r.launch_mode, r.radcohort_version, r.job_sha256, r.cohort_sha256,
       (SELECT count(*) FROM run_model rm WHERE rm.run_id = r.run_id),
       (SELECT count(*) FROM manifest m WHERE m.run_id = r.run_id),
       (SELECT count(*) FROM manifest m JOIN work w ON w.case_id = m.case_id
         WHERE m.run_id = r.run_id AND w.state IN ('done', 'quarantined')),
       (SELECT count(DISTINCT e.case_id) FROM exclusion e WHERE e.run_id = r.run_id),
       (SELECT count(*) FROM warning w WHERE w.run_id = r.run_id),
       t.read_s, t.inflate_s, t.prepare_s, t.wait_s, t.infer_s, t.write_s, t.read_bytes, coalesce(u.n, 0), coalesce(u.reused, 0)
  FROM run r
  LEFT JOIN (SELECT rm.run_id, count(*) AS n, sum(rr.reused) AS reused
               FROM run_result rr JOIN run_model rm ON rm.run_model_id = rr.run_model_id GROUP BY rm.run_id) u ON u.run_id = r.run_id
  LEFT JOIN (SELECT m.run_id, sum(t.read_s) AS read_s, sum(t.inflate_s) AS inflate_s, sum(t.prepare_s) AS prepare_s,
                    sum(t.wait_s) AS wait_s, sum(t.infer_s) AS infer_s, sum(t.write_s) AS write_s,
                    sum(t.read_bytes) AS read_bytes
               FROM time_ledger t JOIN manifest m ON m.case_id = t.case_id GROUP BY m.run_id) t ON t.run_id = r.run_id;
CREATE VIEW v_shared_volume (content, n_patient, patients) AS
SELECT content, count(*), group_concat(patient, ', ')
  FROM (SELECT DISTINCT v.content, p.patient
          FROM volume v
          JOIN image_use u ON u.volume_id = v.volume_id
          JOIN image i ON i.image_id = u.image_id
          JOIN patient p ON p.patient_id = i.patient_id
         ORDER BY v.content, p.patient)
 GROUP BY content HAVING count(*) > 1;
CREATE VIEW v_reading (run_id, unit, reader, center, cohort, patient, lesion, session, repeat, call, rating, experience_years, label_class,
                       reading_id) AS
SELECT rp.run_id, iif(rd.lesion_id IS NULL, 'patient', 'lesion'), rd.reader, c.center, rp.cohort, p.patient, l.lesion, rd.session, rd.repeat,
       rd.call, rd.rating, rd.experience_years,
       (SELECT k.class FROM run_class k WHERE k.run_id = rp.run_id AND k.class_index =
           iif(rd.lesion_id IS NULL, rp.class_index, (SELECT m.class_index FROM manifest m WHERE m.run_id = rp.run_id
                                                         AND m.patient_id = rd.patient_id AND m.lesion_id = rd.lesion_id LIMIT 1))),
       rd.reading_id
  FROM reading rd
  JOIN run_patient rp ON rp.patient_id = rd.patient_id
  JOIN patient p ON p.patient_id = rd.patient_id
  JOIN center c ON c.center_id = rp.center_id
  LEFT JOIN lesion l ON l.lesion_id = rd.lesion_id;
CREATE VIEW v_reading_feature (run_id, unit, reader, center, cohort, patient, lesion, session, repeat, label_class, name, value, number) AS
SELECT r.run_id, r.unit, r.reader, r.center, r.cohort, r.patient, r.lesion, r.session, r.repeat, r.label_class, f.name, f.value, f.number
  FROM v_reading r JOIN reading_feature f ON f.reading_id = r.reading_id;
CREATE VIEW v_reading_missing (run_id, unit, reader, center, cohort, patient, lesion, study) AS
WITH who AS (SELECT DISTINCT run_id, unit, reader FROM v_reading),
what AS (
    SELECT m.run_id, 'lesion' AS unit, m.patient_id, m.lesion_id, m.study FROM manifest m WHERE m.lesion_id IS NOT NULL
    UNION ALL
    SELECT rp.run_id, 'patient', rp.patient_id, NULL, NULL FROM run_patient rp)
SELECT w.run_id, w.unit, o.reader, c.center, rp.cohort, p.patient, l.lesion, w.study
  FROM what w
  JOIN who o ON o.run_id = w.run_id AND o.unit = w.unit
  JOIN run_patient rp ON rp.run_id = w.run_id AND rp.patient_id = w.patient_id
  JOIN patient p ON p.patient_id = w.patient_id
  JOIN center c ON c.center_id = rp.center_id
  LEFT JOIN lesion l ON l.lesion_id = w.lesion_id
 WHERE NOT EXISTS (SELECT 1 FROM reading rd WHERE rd.reader = o.reader AND rd.patient_id = w.patient_id AND rd.lesion_id IS w.lesion_id);
CREATE VIEW v_near_copy (run_id, patient_a, path_a, center_a, fold_a, patient_b, path_b, center_b, fold_b, similarity, same, leakage) AS
SELECT n.run_id, pa.patient, ia.path, ca.center, ra.fold, pb.patient, ib.path, cb.center, rb.fold, n.similarity, n.same,
       coalesce(ra.fold <> rb.fold, 0)
  FROM near_copy n
  JOIN image ia ON ia.image_id = n.image_a
  JOIN image ib ON ib.image_id = n.image_b
  JOIN patient pa ON pa.patient_id = ia.patient_id
  JOIN patient pb ON pb.patient_id = ib.patient_id
  JOIN run_patient ra ON ra.run_id = n.run_id AND ra.patient_id = ia.patient_id
  JOIN run_patient rb ON rb.run_id = n.run_id AND rb.patient_id = ib.patient_id
  JOIN center ca ON ca.center_id = ra.center_id
  JOIN center cb ON cb.center_id = rb.center_id;
CREATE VIEW v_patient (run_id, model, patient, center, cohort, fold, age, sex, label, n_lesion, n_case, n_case_scored, class, score, reason) AS
SELECT rp.run_id, rm.model, p.patient, c.center, rp.cohort, rp.fold, p.age, p.sex, k.class,
       (SELECT count(DISTINCT m.lesion_id) FROM manifest m WHERE m.run_id = rp.run_id AND m.patient_id = rp.patient_id),
       (SELECT count(*) FROM manifest m WHERE m.run_id = rp.run_id AND m.patient_id = rp.patient_id),
       (SELECT count(*) FROM manifest m JOIN run_result rr ON rr.case_id = m.case_id AND rr.run_model_id = rm.run_model_id
         WHERE m.run_id = rp.run_id AND m.patient_id = rp.patient_id),
       sk.class, s.score,
       (SELECT e.stage || ': ' || e.reason FROM exclusion e WHERE e.run_id = rp.run_id AND e.patient_id = rp.patient_id AND e.unit = 'patient'
           AND (e.run_model_id IS NULL OR e.run_model_id = rm.run_model_id) ORDER BY e.exclusion_id LIMIT 1)
  FROM run_patient rp
  JOIN run r ON r.run_id = rp.run_id
  JOIN run_model rm ON rm.run_id = rp.run_id
  JOIN patient p ON p.patient_id = rp.patient_id
  JOIN center c ON c.center_id = rp.center_id
  LEFT JOIN run_class k ON k.run_id = rp.run_id AND k.class_index = rp.class_index
  LEFT JOIN case_score s ON s.run_model_id = rm.run_model_id AND s.case_key = 0 AND s.patient_id = rp.patient_id AND s.class_index =
       coalesce(r.positive_class, (SELECT x.class_index FROM case_score x JOIN run_class xk ON xk.run_id = rp.run_id
                                      AND xk.class_index = x.class_index AND xk.rule IS NULL
                                    WHERE x.run_model_id = rm.run_model_id AND x.case_key = 0 AND x.patient_id = rp.patient_id
                                    ORDER BY x.score DESC, x.class_index LIMIT 1))
  LEFT JOIN run_class sk ON sk.run_id = rp.run_id AND sk.class_index = s.class_index;
CREATE VIEW v_center (run_id, model, center, cohort, n_patient, n_scored, n_excluded, n_positive, n_negative, n_unknown, auc, auc_lower,
                      auc_upper) AS
SELECT v.run_id, v.model, v.center, v.cohort, count(*), count(v.score), sum(v.score IS NULL),
       iif(r.positive_class IS NULL, NULL, sum(v.score IS NOT NULL AND v.label IS v.class)),
       iif(r.positive_class IS NULL, NULL, sum(v.score IS NOT NULL AND v.label <> v.class)),
       sum(v.score IS NOT NULL AND v.label IS NULL), a.est, a.lower, a.upper
  FROM v_patient v
  JOIN run r ON r.run_id = v.run_id
  JOIN run_model rm ON rm.run_id = v.run_id AND rm.model = v.model
  LEFT JOIN statistic a ON a.run_model_id = rm.run_model_id AND a.unit = 'patient' AND a.stratum_kind = 'center' AND a.stratum = v.center
       AND a.name = 'auc' AND a.versus IS NULL AND a.class_index = r.positive_class
 GROUP BY v.run_id, v.model, v.center;
CREATE VIEW v_reader (run_id, unit, reader, experience_years, n_reading, n_case, n_center, n_missing, n_called, n_correct, accuracy) AS
SELECT v.run_id, v.unit, v.reader, max(v.experience_years), count(*), count(DISTINCT v.patient || '/' || coalesce(v.lesion, '')),
       count(DISTINCT v.center),
       (SELECT count(*) FROM v_reading_missing x WHERE x.run_id = v.run_id AND x.unit = v.unit AND x.reader = v.reader),
       sum(v.call IS NOT NULL AND v.label_class IS NOT NULL), sum(v.call IS NOT NULL AND v.call IS v.label_class),
       1.0 * sum(v.call IS NOT NULL AND v.call IS v.label_class) / nullif(sum(v.call IS NOT NULL AND v.label_class IS NOT NULL), 0)
  FROM v_reading v
 GROUP BY v.run_id, v.unit, v.reader;
CREATE VIEW v_failure (run_id, unit, center, cohort, stage, reason, n, example) AS
SELECT run_id, unit, center, cohort, stage, reason, count(DISTINCT patient || '/' || coalesce(lesion, '') || '/' || coalesce(study, '')), min(text)
  FROM v_exclusion
 GROUP BY run_id, unit, center, cohort, stage, reason;
CREATE VIEW v_flip (run_id, run_before, model, unit, center, cohort, patient, lesion, class, point, label, score_before, score, call_before,
                    call) AS
SELECT b.run_id, a.run_id, b.model, b.unit, b.center, b.cohort, b.patient, b.lesion, b.class, b.point, b.label, a.score, b.score, a.call, b.call
  FROM run r
  JOIN v_call b ON b.run_id = r.run_id
  JOIN v_call a ON a.run_id = (SELECT max(o.run_id) FROM run o WHERE o.job = r.job AND o.run_id < r.run_id AND o.state = 'finished')
       AND a.model = b.model AND a.unit = b.unit AND a.patient = b.patient AND a.lesion IS b.lesion AND a.class = b.class AND a.point = b.point
 WHERE a.call <> b.call;
COMMIT;
PRAGMA application_id = 1380009027;
PRAGMA user_version = 1;
