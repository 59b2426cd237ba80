#include "allocate.h"
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct png_source {
    const uint8_t *bytes;
    size_t count, position;
    char *error;
};

static void fail(png_structp png, png_const_charp message) {
    struct png_source *source = png_get_error_ptr(png);
    snprintf(source->error, IMAGE_ERROR_BYTES, "%s", message);
    png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void supply(png_structp png, png_bytep target, size_t count) {
    struct png_source *source = png_get_io_ptr(png);
    if (count > source->count - source->position) png_error(png, "the file ends early");
    memcpy(target, source->bytes + source->position, count);
    source->position += count;
}

/* 16-bit greyscale as PIL converts it to RGB: values above 255 become 255, where every other 16-bit form keeps its high
 * byte. In place, from the end: a pixel grows from two bytes to three. */
static void clip_deep_grey(uint8_t *row, int32_t width) {
    for (int32_t x = width - 1; x >= 0; x--) {
        const uint8_t value = row[2 * (size_t)x] ? 255 : row[2 * (size_t)x + 1];
        memset(row + 3 * (size_t)x, value, 3);
    }
}

int image_decode_png(const uint8_t *bytes, size_t count, image_rgb *image, char *error) {
    struct png_source source = {bytes, count, 0, error};
    png_bytep *volatile rows = NULL;
    image->pixels = NULL;
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, fail, ignore);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        snprintf(error, IMAGE_ERROR_BYTES, "there is no memory to read it");
        return 1;
    }
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_read_struct(&png, &info, NULL);
        free(rows);
        image_free(image);
        return 1;
    }
    png_set_user_limits(png, IMAGE_MAX_SIDE * 4, IMAGE_MAX_SIDE * 4);
    /* Texts and colour profiles, which nobody here looks at: each is undone, though, and a file may hold many. */
    png_set_chunk_malloc_max(png, 8 << 20);
    png_set_chunk_cache_max(png, 32);
    png_set_read_fn(png, &source, supply);
    png_read_info(png, info);
    const int depth = png_get_bit_depth(png, info), color = png_get_color_type(png, info);
    if (image_allocate(image, png_get_image_width(png, info), png_get_image_height(png, info), error)) {
        png_destroy_read_struct(&png, &info, NULL);
        return 1;
    }
    const int deep_grey = depth == 16 && color == PNG_COLOR_TYPE_GRAY;
    if (!deep_grey) {
        png_set_expand(png); /* palettes and low depths to 8 bits; tRNS to alpha, dropped below */
        png_set_strip_16(png);
        png_set_strip_alpha(png);
        png_set_gray_to_rgb(png);
    }
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != (size_t)image->width * (deep_grey ? 2 : 3))
        png_error(png, "its rows have an unknown form");
    rows = malloc(sizeof(png_bytep) * (size_t)image->height);
    if (!rows) png_error(png, "there is no memory to read it");
    for (int32_t y = 0; y < image->height; y++) rows[y] = image->pixels + (size_t)y * (size_t)image->width * 3;
    png_read_image(png, rows);
    if (deep_grey)
        for (int32_t y = 0; y < image->height; y++) clip_deep_grey(rows[y], image->width);
    png_read_end(png, NULL);
    png_destroy_read_struct(&png, &info, NULL);
    free(rows);
    return 0;
}
