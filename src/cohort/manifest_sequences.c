/* manifest_sequences.c: sequences that a job names and no image has. With `missing: zero` a slip of the pen would otherwise be planes of
 * zeros for everybody, and without it a study without cases. */
#include "select.h"

#include <string.h>
#include <strings.h>

enum { MAX_WORDS = 64 }; /* distinct sequences of images that are compared */

/* True when an image has it. Else *ret_near: the images' sequence that may be meant, the same but for case or the nearest word, or NULL. */
static bool has_image(const rad_cohort *c, const char *sequence, const char **ret_near) {
    const char *word[MAX_WORDS + 1] = {NULL}, *same = NULL;
    int n = 0;
    for (int64_t i = 0; i < c->n_image; i++) {
        const char *s = c->image[i].sequence;
        int k = 0;
        if (strcmp(s, sequence) == 0)
            return true;
        if (strcasecmp(s, sequence) == 0)
            same = s;
        while (k < n && strcmp(word[k], s) != 0)
            k++;
        if (k == n && n < MAX_WORDS)
            word[n++] = s;
    }
    *ret_near = same ? same : rad_nearest_word(sequence, word);
    return false;
}

void rad_sequences_check(const rad_cohort *c, const rad_job *job, rad_issues *issues) {
    for (int i = 0; i < job->n_input; i++)
        for (int k = 0; k < job->input[i].n_channel; k++) {
            const rad_channel_spec *ch = &job->input[i].channel[k];
            const char *near = NULL;
            if (has_image(c, ch->sequence, &near))
                continue;
            rad_issues_add(issues, RAD_SEVERITY_WARNING, c->file[RAD_TABLE_IMAGES] ? c->file[RAD_TABLE_IMAGES] : c->dir, 0, "sequence",
                           "no image has sequence '%.60s' of the job's input '%s': %s%s%.60s%s", ch->sequence, job->input[i].name,
                           ch->zero_if_missing ? "its planes are zeros for every case" : "it excludes every case",
                           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        }
}
