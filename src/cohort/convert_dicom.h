/* convert_dicom.h (private to src/cohort): the few fields of a DICOM header that tell what a file is. PS3.5 (encoding), PS3.6 (tags). */
#ifndef RAD_COHORT_CONVERT_DICOM_H
#define RAD_COHORT_CONVERT_DICOM_H

#include "radcohort/base.h"

enum { DICOM_TEXT = 160, DICOM_UID = 72 };
#define RAD_MAX_DICOM_ELEMENTS 4000000 /* of one file */
#define RAD_MAX_DICOM_FRAMES 65536
#define RAD_MAX_DICOM_NESTING 16

/* Texts are UTF-8 without control characters (what is neither UTF-8 nor Latin 1 by declaration has '?'), without padding. Of several
 * values '\\' separates, as in the file. */
typedef enum dicom_text {
    DICOM_PATIENT_ID,
    DICOM_ISSUER,
    DICOM_PATIENT_NAME,
    DICOM_BIRTH_DATE,
    DICOM_SEX,
    DICOM_AGE,
    DICOM_ACCESSION,
    DICOM_STUDY_UID,
    DICOM_SERIES_UID,
    DICOM_SOP_CLASS,
    DICOM_STUDY_DATE,
    DICOM_STUDY_TIME,
    DICOM_SERIES_TIME,
    DICOM_ACQUISITION_TIME,
    DICOM_CONTRAST_TIME,
    DICOM_MODALITY,
    DICOM_DESCRIPTION,
    DICOM_PROTOCOL,
    DICOM_AGENT,
    DICOM_INSTITUTION,
    DICOM_STATION,
    DICOM_MANUFACTURER,
    DICOM_MODEL,
    DICOM_BODY_PART,
    DICOM_KERNEL,
    DICOM_IMAGE_TYPE,
    DICOM_SCANNING_SEQUENCE,
    DICOM_SEQUENCE_NAME,
    DICOM_CHARSET,
    DICOM_SERIES_NUMBER,
    DICOM_TEXT_COUNT
} dicom_text;

typedef enum dicom_number {
    DICOM_ECHO_TIME,
    DICOM_REPETITION_TIME,
    DICOM_INVERSION_TIME,
    DICOM_FLIP_ANGLE,
    DICOM_SLICE_THICKNESS,
    DICOM_FIELD_STRENGTH,
    DICOM_KVP,
    DICOM_B_VALUE,
    DICOM_NUMBER_COUNT
} dicom_number;

typedef struct dicom_series {
    char text[DICOM_TEXT_COUNT][DICOM_TEXT];
    double low[DICOM_NUMBER_COUNT], high[DICOM_NUMBER_COUNT]; /* NaN: not stated */
    double orientation[6];                                    /* NaN: not stated */
} dicom_series;

typedef struct dicom_instance {
    uint64_t sop[2]; /* hash of the SOP instance UID */
    int64_t instance, acquisition;
    double position[3]; /* mm, LPS; NaN */
    double location, echo_time;
    bool has_image, mosaic;
    int64_t n_frame;
    double (*frame)[3]; /* positions of the frames of a multi-frame file, or NULL; heap */
} dicom_instance;

/* Reads a header. *ret_is_dicom false (RAD_OK): no DICOM file. Errors: IO, NOTFOUND, FORMAT, TRUNCATED, UNSUPPORTED, LIMIT, NOMEM. */
rad_status dicom_read(const char *path, bool *ret_is_dicom, dicom_series *ret_series, dicom_instance *ret_instance, uint64_t *ret_size,
                      uint64_t *ret_mtime, rad_error *err) RAD_MUST_CHECK;
/* "HHMMSS.ffffff" (or with colons) to seconds of the day; NaN. */
double dicom_seconds(const char *s);
/* "YYYYMMDD" to days since 1970-01-01; false when it is no date. */
bool dicom_days(const char *s, int64_t *ret) RAD_MUST_CHECK;

#endif
