/* job_keys.c: every key of a job file with its kind, range and default. The order of words follows the enums of job.h. */
#include "job_keys.h"

#include "radcohort/job.h"

/* Columns of a table are read, not reflowed. */
// clang-format off

#define LARGEST 1e9 /* of pixel values, millimetres, thresholds: beyond this a number is a slip of the pen */

static const char *const unit_words[] = {"lesion", "patient", NULL};
static const char *const slices_words[] = {"lesion", "lesion-all", "all", "listed", NULL};
static const char *const edge_words[] = {"replicate", "zero", NULL};
static const char *const from_words[] = {"auto", "whole", "box", "mask", "point", NULL};
static const char *const shape_words[] = {"square", "rectangle", NULL};
static const char *const frames_words[] = {"first", "slices", NULL};
static const char *const match_words[] = {"linear", "nearest", NULL};
static const char *const over_words[] = {"volume", "nonzero", "region", NULL};
static const char *const component_words[] = {"luma", "r", "g", "b", NULL};
static const char *const interpolation_words[] = {"linear", "nearest", NULL};
static const char *const missing_words[] = {"exclude", "zero", NULL};
static const char *const nonfinite_words[] = {"exclude", NULL};
static const char *const preset_words[] = {"imagenet", NULL};
static const char *const method_words[] = {"bilinear", "nearest", NULL};
static const char *const activation_words[] = {"none", "softmax", "sigmoid", NULL};
static const char *const without_fold_words[] = {"exclude", "mean", NULL};
static const char *const collapse_words[] = {"sum", "argmax", NULL};
static const char *const tune_words[] = {"youden", NULL};
static const char *const tuned_on_words[] = {"internal", "external", NULL};
static const char *const copies_words[] = {"read", "all", "none", NULL};
static const char *const split_words[] = {"patient", "lesion", "image", NULL};
static const char *const strata_words[] = {"all", "cohort", "center", NULL};
static const char *const cam_words[] = {"none", "case", "slice", NULL};
static const char *const backend_words[] = {"onednn", "cudnn", "ref", "checked", NULL};
static const char *const precision_words[] = {"fp32", "tf32", "fp16", "bf16", NULL};

static const key_def window_keys[] = {
    [WINDOW_LOW] = {.name = "low", .kind = KEY_NUMBER, .min = -LARGEST, .max = LARGEST, .example = "-160"},
    [WINDOW_HIGH] = {.name = "high", .kind = KEY_NUMBER, .min = -LARGEST, .max = LARGEST, .example = "240"},
    [WINDOW_LEVEL] = {.name = "level", .kind = KEY_NUMBER, .min = -LARGEST, .max = LARGEST, .example = "40"},
    [WINDOW_WIDTH] = {.name = "width", .kind = KEY_NUMBER, .min = 0, .max = LARGEST, .above_min = true, .example = "400"},
    [WINDOW_PERCENTILE] = {.name = "percentile", .kind = KEY_NUMBERS, .min = 0, .max = 100, .min_items = 2, .max_items = 2,
                           .example = "[1, 99]"},
    [WINDOW_OVER] = {.name = "over", .kind = KEY_WORD, .words = over_words, .example = "volume"},
    {.name = NULL}};
static const key_group window_group = {"window", window_keys};

#define INTENSITY_KEYS(P)                                                                                                                  \
    [P##_WINDOW] = {.name = "window", .kind = KEY_MAP, .example = "{level: 40, width: 400}", .group = &window_group},                      \
    [P##_ZSCORE] = {.name = "zscore", .kind = KEY_WORD, .words = over_words, .example = "volume"},                                         \
    [P##_PADDING] = {.name = "padding", .kind = KEY_NUMBER, .min = -LARGEST, .max = LARGEST, .example = "-3024"},                          \
    [P##_NONFINITE] = {.name = "nonfinite", .kind = KEY_EITHER, .words = nonfinite_words, .min = -LARGEST, .max = LARGEST,                 \
                       .example = "exclude"}

static const key_def channel_keys[] = {
    [CHANNEL_SEQUENCE] = {.name = "sequence", .kind = KEY_TEXT, .required = true, .example = "T2"},
    [CHANNEL_OFFSET] = {.name = "offset", .kind = KEY_INTS, .min = -100, .max = 100, .min_items = 1, .max_items = RAD_MAX_OFFSETS,
                        .preset = "0", .example = "[-1, 0, 1]"},
    [CHANNEL_COMPONENT] = {.name = "component", .kind = KEY_WORD, .words = component_words, .preset = "luma", .example = "r"},
    [CHANNEL_INTERPOLATION] = {.name = "interpolation", .kind = KEY_WORD, .words = interpolation_words, .preset = "linear",
                               .example = "nearest"},
    [CHANNEL_B_VALUE] = {.name = "b_value", .kind = KEY_NUMBERS, .min = 0, .max = 100000, .min_items = 1, .max_items = 2, .example = "800"},
    [CHANNEL_MISSING] = {.name = "missing", .kind = KEY_WORD, .words = missing_words, .preset = "exclude", .example = "zero"},
    INTENSITY_KEYS(CHANNEL),
    {.name = NULL}};
static const key_group channel_group = {"channel", channel_keys};

static const key_def region_keys[] = {
    [REGION_FROM] = {.name = "from", .kind = KEY_WORD, .words = from_words, .example = "mask"},
    [REGION_SHAPE] = {.name = "shape", .kind = KEY_WORD, .words = shape_words, .preset = "square", .example = "square"},
    [REGION_MARGIN_MM] = {.name = "margin_mm", .kind = KEY_NUMBER, .min = 0, .max = 1000, .preset = "0", .example = "5"},
    [REGION_MARGIN_PX] = {.name = "margin_px", .kind = KEY_NUMBER, .min = 0, .max = 10000, .preset = "0", .example = "4"},
    [REGION_SIZE_MM] = {.name = "size_mm", .kind = KEY_NUMBER, .min = 0, .max = 1000, .above_min = true, .example = "40"},
    [REGION_DRAWN_ON] = {.name = "drawn_on", .kind = KEY_TEXT, .example = "DWI"},
    {.name = NULL}};
static const key_group region_group = {"region", region_keys};

static const key_def volume_keys[] = {
    [VOLUME_SIZE] = {.name = "size", .kind = KEY_INTS, .required = true, .min = 1, .max = RAD_MAX_SIDE, .min_items = 1, .max_items = 3,
                     .example = "[64, 96, 96]"},
    [VOLUME_SPACING_MM] = {.name = "spacing_mm", .kind = KEY_NUMBERS, .required = true, .min = 0, .max = 1000, .above_min = true,
                           .min_items = 1, .max_items = 3, .example = "1.5"},
    [VOLUME_ANTIALIAS] = {.name = "antialias", .kind = KEY_BOOL, .preset = "false", .example = "true"},
    {.name = NULL}};
static const key_group volume_group = {"volume", volume_keys};

#define CROP_KEY(N) {.name = N, .kind = KEY_INT, .min = 0, .max = 32767, .preset = "0", .example = "40"}
static const key_def crop_keys[] = {
    [CROP_TOP] = CROP_KEY("top"), [CROP_BOTTOM] = CROP_KEY("bottom"), [CROP_LEFT] = CROP_KEY("left"), [CROP_RIGHT] = CROP_KEY("right"),
    {.name = NULL}};
static const key_group crop_group = {"crop", crop_keys};

static const key_def match_keys[] = {
    [MATCH_TOLERANCE_MM] = {.name = "tolerance_mm", .kind = KEY_NUMBER, .min = 0, .max = 1000, .example = "2.5"},
    [MATCH_SLICES] = {.name = "slices", .kind = KEY_WORD, .words = match_words, .preset = "linear", .example = "linear"},
    {.name = NULL}};
static const key_group match_group = {"match", match_keys};

static const key_def resize_keys[] = {
    [RESIZE_HEIGHT] = {.name = "height", .kind = KEY_INT, .min = 1, .max = 8192, .example = "224"},
    [RESIZE_WIDTH] = {.name = "width", .kind = KEY_INT, .min = 1, .max = 8192, .example = "224"},
    [RESIZE_SIZE] = {.name = "size", .kind = KEY_INT, .min = 1, .max = 8192, .example = "224"},
    [RESIZE_METHOD] = {.name = "method", .kind = KEY_WORD, .words = method_words, .preset = "bilinear", .example = "bilinear"},
    [RESIZE_ANTIALIAS] = {.name = "antialias", .kind = KEY_BOOL, .preset = "false", .example = "true"},
    {.name = NULL}};
static const key_group resize_group = {"resize", resize_keys};

static const key_def normalise_keys[] = {
    [NORMALISE_MEAN] = {.name = "mean", .kind = KEY_NUMBERS, .min = -LARGEST, .max = LARGEST, .min_items = 1,
                        .max_items = RAD_MAX_PLANES, .example = "[0.485, 0.456, 0.406]"},
    [NORMALISE_STD] = {.name = "std", .kind = KEY_NUMBERS, .min = 0, .max = LARGEST, .above_min = true, .min_items = 1,
                       .max_items = RAD_MAX_PLANES, .example = "[0.229, 0.224, 0.225]"},
    [NORMALISE_PRESET] = {.name = "preset", .kind = KEY_WORD, .words = preset_words, .example = "imagenet"},
    {.name = NULL}};
static const key_group normalise_group = {"normalise", normalise_keys};

const key_def job_input_keys[] = {
    [INPUT_CHANNELS] = {.name = "channels", .kind = KEY_MAPS, .required = true, .min_items = 1, .max_items = RAD_MAX_CHANNELS,
                        .example = "[{sequence: T2, offset: [-1, 0, 1]}]", .group = &channel_group},
    [INPUT_ORIENTATION] = {.name = "orientation", .kind = KEY_AXES, .preset = "LPS", .example = "LPS"},
    [INPUT_SLICES] = {.name = "slices", .kind = KEY_WORD, .words = slices_words, .preset = "lesion", .example = "lesion"},
    [INPUT_EVERY] = {.name = "every", .kind = KEY_INT, .min = 1, .max = 32767, .preset = "1", .example = "3"},
    [INPUT_VOLUME] = {.name = "volume", .kind = KEY_MAP, .example = "{size: [64, 96, 96], spacing_mm: 1.5}", .group = &volume_group},
    [INPUT_EDGE] = {.name = "edge", .kind = KEY_WORD, .words = edge_words, .preset = "replicate", .example = "replicate"},
    [INPUT_REGION] = {.name = "region", .kind = KEY_MAP, .example = "{from: mask, margin_mm: 5}", .group = &region_group},
    [INPUT_CROP] = {.name = "crop", .kind = KEY_MAP, .example = "{top: 40, right: 60}", .group = &crop_group},
    [INPUT_FRAMES] = {.name = "frames", .kind = KEY_WORD, .words = frames_words, .preset = "first", .example = "slices"},
    [INPUT_MATCH] = {.name = "match", .kind = KEY_MAP, .example = "{tolerance_mm: 2.5}", .group = &match_group},
    INTENSITY_KEYS(INPUT),
    [INPUT_RESIZE] = {.name = "resize", .kind = KEY_MAP, .example = "{size: 224}", .group = &resize_group},
    [INPUT_NORMALISE] = {.name = "normalise", .kind = KEY_MAP, .example = "{mean: 0.5, std: 0.25}", .group = &normalise_group},
    {.name = NULL}};
static const key_group input_group = {"input", job_input_keys};

static const key_def model_keys[] = {
    [MODEL_NAME] = {.name = "name", .kind = KEY_NAME, .required = true, .example = "resnet50"},
    [MODEL_FILE] = {.name = "file", .kind = KEY_TEXT, .required = true, .example = "models/resnet50.onnx"},
    [MODEL_SHA256] = {.name = "sha256", .kind = KEY_SHA256,
                      .example = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    [MODEL_INPUT] = {.name = "input", .kind = KEY_NAME, .example = "mri"},
    [MODEL_OUTPUT] = {.name = "output", .kind = KEY_TEXT, .example = "logits"},
    [MODEL_ACTIVATION] = {.name = "activation", .kind = KEY_WORD, .required = true, .words = activation_words, .example = "softmax"},
    [MODEL_WHEN_MISSING] = {.name = "when_missing", .kind = KEY_NAME, .example = "t2-only"},
    [MODEL_FOLDS] = {.name = "folds", .kind = KEY_INT, .min = 2, .max = RAD_MAX_FOLDS, .example = "10"},
    [MODEL_WITHOUT_FOLD] = {.name = "without_fold", .kind = KEY_WORD, .words = without_fold_words, .preset = "exclude", .example = "mean"},
    [MODEL_TRAINED_ON] = {.name = "trained_on", .kind = KEY_TEXT, .example = "models/trained_on.tsv"},
    {.name = NULL}};
static const key_group model_group = {"model", model_keys};

static const key_def aggregate_keys[] = {
    [AGGREGATE_LESION] = {.name = "lesion", .kind = KEY_TEXT, .preset = "max", .example = "top-3"},
    [AGGREGATE_PATIENT] = {.name = "patient", .kind = KEY_TEXT, .preset = "max", .example = "max"},
    [AGGREGATE_VOTE] = {.name = "vote_threshold", .kind = KEY_NUMBER, .min = -LARGEST, .max = LARGEST, .preset = "0.5", .example = "0.5"},
    {.name = NULL}};
static const key_group aggregate_group = {"aggregate", aggregate_keys};

static const key_def collapse_keys[] = {
    [COLLAPSE_NAME] = {.name = "name", .kind = KEY_NAME, .required = true, .example = "malignant"},
    [COLLAPSE_OF] = {.name = "of", .kind = KEY_TEXTS, .required = true, .min_items = 1, .max_items = RAD_MAX_CLASSES,
                     .example = "[primary, metastatic]"},
    [COLLAPSE_RULE] = {.name = "rule", .kind = KEY_WORD, .words = collapse_words, .preset = "sum", .example = "sum"},
    {.name = NULL}};
static const key_group collapse_group = {"endpoint", collapse_keys};

static const key_def point_keys[] = {
    [POINT_NAME] = {.name = "name", .kind = KEY_NAME, .required = true, .example = "half"},
    [POINT_THRESHOLD] = {.name = "threshold", .kind = KEY_NUMBER, .min = -LARGEST, .max = LARGEST, .example = "0.5"},
    [POINT_TUNE] = {.name = "tune", .kind = KEY_WORD, .words = tune_words, .example = "youden"},
    [POINT_SENSITIVITY] = {.name = "sensitivity", .kind = KEY_NUMBER, .min = 0, .max = 0.9999, .above_min = true, .example = "0.95"},
    [POINT_SPECIFICITY] = {.name = "specificity", .kind = KEY_NUMBER, .min = 0, .max = 0.9999, .above_min = true, .example = "0.9"},
    [POINT_TUNED_ON] = {.name = "tuned_on", .kind = KEY_WORD, .words = tuned_on_words, .preset = "internal", .example = "internal"},
    [POINT_MODEL] = {.name = "model", .kind = KEY_NAME, .example = "net"},
    {.name = NULL}};
static const key_group point_group = {"operating_point", point_keys};

static const key_def split_keys[] = {
    [SPLIT_UNIT] = {.name = "unit", .kind = KEY_WORD, .required = true, .words = split_words, .example = "patient"},
    [SPLIT_TABLE] = {.name = "table", .kind = KEY_TEXT, .example = "split.tsv"},
    {.name = NULL}};
static const key_group split_group = {"split", split_keys};

static const key_def cam_keys[] = {
    [CAM_MODELS] = {.name = "models", .kind = KEY_TEXTS, .min_items = 1, .max_items = RAD_MAX_MODELS, .example = "[resnet50]"},
    [CAM_WRITE] = {.name = "write", .kind = KEY_WORD, .words = cam_words, .preset = "case", .example = "case"},
    [CAM_CLASS] = {.name = "class", .kind = KEY_TEXT, .example = "predicted"},
    {.name = NULL}};
static const key_group cam_group = {"cam", cam_keys};

static const key_def regression_keys[] = {
    [REGRESSION_NAME] = {.name = "name", .kind = KEY_NAME, .required = true, .example = "clinical"},
    [REGRESSION_PREDICTORS] = {.name = "predictors", .kind = KEY_TEXTS, .required = true, .min_items = 1, .max_items = RAD_MAX_PREDICTORS,
                               .example = "[score, age, sex, size_mm]"},
    {.name = NULL}};
static const key_group regression_group = {"regression", regression_keys};

static const key_def select_keys[] = {
    [SELECT_COLUMN] = {.name = "column", .kind = KEY_TEXT, .required = true, .example = "set"},
    [SELECT_VALUES] = {.name = "values", .kind = KEY_TEXTS, .required = true, .min_items = 1, .max_items = RAD_MAX_SELECT_VALUES,
                       .example = "[validation]"},
    {.name = NULL}};
static const key_group select_group = {"select", select_keys};

static const char *const entity_words[] = {"task", "acq", "ce", "trc", "stain", "rec", "dir", "run", "mod", "echo", "flip", "inv", "mt",
                                           "part", "proc", "space", "split", "recording", "chunk", "res", "desc", NULL};
#define BIDS_COLUMN(N, E) {.name = N, .kind = KEY_TEXT, .example = E}
static const key_def bids_keys[] = {
    [BIDS_LABEL] = BIDS_COLUMN("label", "diagnosis"), [BIDS_CENTER] = BIDS_COLUMN("center", "site"),
    [BIDS_FOLD] = BIDS_COLUMN("fold", "fold"), [BIDS_AGE] = BIDS_COLUMN("age", "age_at_scan"), [BIDS_SEX] = BIDS_COLUMN("sex", "gender"),
    [BIDS_COVARIATES] = {.name = "covariates", .kind = KEY_TEXTS, .min_items = 1, .max_items = RAD_MAX_BIDS_ITEMS,
                         .example = "[height, weight]"},
    [BIDS_ENTITIES] = {.name = "entities", .kind = KEY_WORDS, .words = entity_words, .min_items = 1, .max_items = 21,
                       .example = "[acq, echo]"},
    [BIDS_MASKS] = {.name = "masks", .kind = KEY_TEXT, .example = "lesions"},
    [BIDS_MASK_LABELS] = {.name = "mask_labels", .kind = KEY_TEXTS, .min_items = 1, .max_items = RAD_MAX_BIDS_ITEMS,
                          .example = "[lesion]"},
    {.name = NULL}};
const key_group bids_group = {"bids", bids_keys};

static const key_def job_keys[] = {
    [JOB_NAME] = {.name = "job", .kind = KEY_NAME, .required = true, .example = "liver-mri"},
    [JOB_COHORT] = {.name = "cohort", .kind = KEY_TEXT, .required = true, .example = "../cohort"},
    [JOB_REGRESSIONS] = {.name = "regressions", .kind = KEY_MAPS, .min_items = 1, .max_items = RAD_MAX_REGRESSIONS,
                         .example = "[{name: clinical, predictors: [score, age, sex, size_mm]}]", .group = &regression_group},
    [JOB_SELECT] = {.name = "select", .kind = KEY_MAPS, .min_items = 1, .max_items = RAD_MAX_SELECTS,
                    .example = "[{column: set, values: [validation]}]", .group = &select_group},
    [JOB_DATABASE] = {.name = "database", .kind = KEY_TEXT, .example = "../results/liver-mri.sqlite"},
    [JOB_GOLDEN] = {.name = "golden", .kind = KEY_TEXT, .example = "golden.tsv"},
    [JOB_UNIT] = {.name = "unit", .kind = KEY_WORD, .required = true, .words = unit_words, .example = "lesion"},
    [JOB_CLASSES] = {.name = "classes", .kind = KEY_TEXTS, .required = true, .min_items = 2, .max_items = RAD_MAX_CLASSES,
                     .example = "[benign, malignant]"},
    [JOB_POSITIVE] = {.name = "positive", .kind = KEY_TEXT, .example = "malignant"},
    [JOB_ORDINAL] = {.name = "ordinal", .kind = KEY_BOOL, .preset = "false", .example = "true"},
    [JOB_INPUTS] = {.name = "inputs", .kind = KEY_NAMED, .required = true, .min_items = 1, .max_items = RAD_MAX_INPUTS,
                    .example = "{mri: {channels: [{sequence: T2}]}}", .group = &input_group},
    [JOB_MODELS] = {.name = "models", .kind = KEY_MAPS, .required = true, .min_items = 1, .max_items = RAD_MAX_MODELS,
                    .example = "[{name: net, file: net.onnx, activation: softmax}]", .group = &model_group},
    [JOB_AGGREGATE] = {.name = "aggregate", .kind = KEY_MAP, .example = "{lesion: max, patient: max}", .group = &aggregate_group},
    [JOB_COLLAPSE] = {.name = "collapse", .kind = KEY_MAPS, .min_items = 0, .max_items = RAD_MAX_ENDPOINTS,
                      .example = "[{name: malignant, of: [primary, metastatic], rule: sum}]", .group = &collapse_group},
    [JOB_POINTS] = {.name = "operating_points", .kind = KEY_MAPS, .min_items = 0, .max_items = RAD_MAX_POINTS,
                    .example = "[{name: half, threshold: 0.5}]", .group = &point_group},
    [JOB_STRATA] = {.name = "strata", .kind = KEY_WORDS, .words = strata_words, .min_items = 1, .max_items = 3,
                    .preset = "[all, cohort, center]", .example = "[all, cohort, center]"},
    [JOB_NEAR_COPIES] = {.name = "near_copies", .kind = KEY_WORD, .words = copies_words, .preset = "read", .example = "all"},
    [JOB_SPLIT] = {.name = "split", .kind = KEY_MAP, .example = "{unit: patient}", .group = &split_group},
    [JOB_CAM] = {.name = "cam", .kind = KEY_MAP, .example = "{write: case}", .group = &cam_group},
    [JOB_VERIFY] = {.name = "verify_files", .kind = KEY_BOOL, .preset = "false", .example = "true"},
    [JOB_REMEMBER] = {.name = "remember_files", .kind = KEY_BOOL, .preset = "true", .example = "false"},
    [JOB_BATCH] = {.name = "batch", .kind = KEY_INT, .min = 1, .max = 4096, .preset = "16", .example = "16"},
    [JOB_BACKEND] = {.name = "backend", .kind = KEY_WORD, .words = backend_words, .preset = "onednn", .example = "onednn"},
    [JOB_PRECISION] = {.name = "precision", .kind = KEY_WORD, .words = precision_words, .preset = "fp32", .example = "fp32"},
    [JOB_BIDS] = {.name = "bids", .kind = KEY_MAP, .example = "{label: diagnosis, center: site}", .group = &bids_group},
    {.name = NULL}};
const key_group job_group = {"job", job_keys};
