/* wire_bytes.h (private to wire_*.c): what encoder and decoder share. */
#ifndef RAD_FARM_WIRE_BYTES_H
#define RAD_FARM_WIRE_BYTES_H

#include "wire.h"

#define RAD_WIRE_MAGIC 0x314d4652 /* "RFM1" */

#endif
