/* phantom_designs.c: the tables behind `radcohort phantom --design NAME`. */
#include "phantom.h"

#include <string.h>

/* Two internal and two external hospitals. The external scanners are noisier, lose detail and have another gain: a network trained on the
 * internal ones is worse there, as in life. */
static const phantom_center demo_center[] = {
    {"north", "Northern University Hospital", "NO", false, {24, 24}, false, {1.00, 0, 0.05, 14, 1.00, 1.5, 4, "LAS", 0, 1}},
    {"south", "Southern General", "IT", false, {20, 20}, true, {1.05, 10, 0.08, 17, 0.95, 1.5, 4, "RAS", 0, 0.5}},
    {"east", "Eastern Cancer Center", "PL", true, {22, 22}, false, {1.12, -15, 0.15, 32, 0.70, 1.8, 5, "LPS", 8, 1}},
    {"west", "Western Clinic", "PT", true, {18, 18}, true, {0.85, 30, 0.20, 34, 0.70, 1.3, 4, "RPI", 0, 2}},
};

static const phantom_design design[] = {
    {.name = "demo",
     .summary = "benign and malignant lesions on T2, two internal and two external centers",
     .n_class = 2,
     .positive = 1,
     .class_name = {"benign", "malignant"},
     .separation = 2.4,
     .n_sequence = 1,
     .sequence = {{"T2", 320, 480, 130, 90}},
     .n_center = 4,
     .center = demo_center,
     .second_lesion = 0.1,
     .size = 64,
     .slices = 16,
     .age_mean = 58,
     .age_sd = 13,
     .male = 0.55,
     .n_reader = 2,
     .reader = {{"senior", 0.90, 20}, {"junior", 0.76, 2}}},
    {.name = NULL},
};

const phantom_design *phantom_list(void) {
    return design;
}

const phantom_design *phantom_find(const char *name) {
    for (const phantom_design *d = design; d->name; d++)
        if (strcmp(d->name, name) == 0)
            return d;
    return NULL;
}
