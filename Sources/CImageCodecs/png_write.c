#include "image_codecs.h"

#include <png.h>
#include <stdio.h>
#include <string.h>

int image_encode_png(const image_rgb *image, uint8_t *bytes, size_t *count, char *error) {
    png_image file;
    memset(&file, 0, sizeof file);
    file.version = PNG_IMAGE_VERSION;
    file.width = (png_uint_32)image->width;
    file.height = (png_uint_32)image->height;
    file.format = PNG_FORMAT_RGB;
    png_alloc_size_t size = *count;
    const int done = png_image_write_to_memory(&file, bytes, &size, 0, image->pixels, 0, NULL);
    if (!done) snprintf(error, IMAGE_ERROR_BYTES, "%s", file.message[0] ? file.message : "libpng refuses it");
    png_image_free(&file);
    *count = size;
    return done ? 0 : 1;
}
