#pragma once
#include "image_codecs.h"

/* Checks the size against the limits before it asks for memory. */
int image_allocate(image_rgb *image, int64_t width, int64_t height, char *error);
