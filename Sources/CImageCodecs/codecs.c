#include "image_codecs.h"
#include "allocate.h"
#include <stdio.h>
#include <stdlib.h>

int image_allocate(image_rgb *image, int64_t width, int64_t height, char *error) {
    if (width < 1 || height < 1 || width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE ||
        width * height > IMAGE_MAX_PIXELS) {
        snprintf(error, IMAGE_ERROR_BYTES, "it claims %lld x %lld pixels, more than the limit of %d in all",
                 (long long)width, (long long)height, IMAGE_MAX_PIXELS);
        return 1;
    }
    image->pixels = malloc((size_t)width * (size_t)height * 3);
    if (!image->pixels) {
        snprintf(error, IMAGE_ERROR_BYTES, "there is no memory for its %lld x %lld pixels", (long long)width,
                 (long long)height);
        return 1;
    }
    image->width = (int32_t)width;
    image->height = (int32_t)height;
    return 0;
}

void image_free(image_rgb *image) {
    free(image->pixels);
    image->pixels = NULL;
}
