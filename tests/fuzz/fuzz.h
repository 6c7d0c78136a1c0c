/* fuzz.h: the entry point that libFuzzer and standalone.c call. */
#ifndef RAD_FUZZ_H
#define RAD_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
