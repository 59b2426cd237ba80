#include "allocate.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
/* after stdio.h, which it needs */
#include <jerror.h>
#include <jpeglib.h>

struct jpeg_failure {
    struct jpeg_error_mgr manager;
    jmp_buf escape;
    char *error;
};

static void fail(j_common_ptr info) {
    struct jpeg_failure *failure = (struct jpeg_failure *)info->err;
    char message[JMSG_LENGTH_MAX];
    info->err->format_message(info, message);
    snprintf(failure->error, IMAGE_ERROR_BYTES, "%s", message);
    longjmp(failure->escape, 1);
}

/* libjpeg only warns where data end early or codes are bad, and invents the rest: an error here. What PIL passes over
 * too (bytes between markers, odd version numbers) stays a warning. */
static void warn(j_common_ptr info, int level) {
    if (level >= 0) return;
    switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
        fail(info);
        break;
    default: break;
    }
}

/* Called before each row of a scan is read. */
static void watch(j_common_ptr info) {
    struct jpeg_failure *failure = (struct jpeg_failure *)info->err;
    if (((j_decompress_ptr)info)->input_scan_number <= IMAGE_MAX_SCANS) return;
    snprintf(failure->error, IMAGE_ERROR_BYTES, "it has more than %d scans", IMAGE_MAX_SCANS);
    longjmp(failure->escape, 1);
}

static uint8_t scaled(unsigned value, unsigned by) {
    unsigned product = value * by + 128;
    return (uint8_t)(((product >> 8) + product) >> 8);
}

/* CMYK as PIL converts it: always taken as Adobe writes it, inverted, whether Adobe's marker is there or not. */
static void cmyk_to_rgb(const uint8_t *line, uint8_t *rgb, int32_t width) {
    for (int32_t x = 0; x < width; x++, line += 4, rgb += 3) {
        unsigned white = line[3];
        for (int channel = 0; channel < 3; channel++)
            rgb[channel] = (uint8_t)(white - scaled(255u - line[channel], white));
    }
}

int image_decode_jpeg(const uint8_t *bytes, size_t count, image_rgb *image, char *error) {
    struct jpeg_decompress_struct info;
    struct jpeg_failure failure;
    uint8_t *volatile line = NULL;
    image->pixels = NULL;
    info.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = fail;
    failure.manager.emit_message = warn;
    failure.error = error;
    if (setjmp(failure.escape)) {
        jpeg_destroy_decompress(&info);
        free(line);
        image_free(image);
        return 1;
    }
    jpeg_create_decompress(&info);
    info.mem->max_memory_to_use = 1L << 30;
    struct jpeg_progress_mgr progress = {.progress_monitor = watch};
    info.progress = &progress;
    jpeg_mem_src(&info, bytes, (unsigned long)count);
    jpeg_read_header(&info, TRUE);
    if (image_allocate(image, info.image_width, info.image_height, error)) {
        jpeg_destroy_decompress(&info);
        return 1;
    }
    const int cmyk = info.num_components == 4;
    info.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&info);
    if (cmyk) line = malloc((size_t)image->width * 4);
    if (cmyk && !line) {
        jpeg_destroy_decompress(&info);
        image_free(image);
        snprintf(error, IMAGE_ERROR_BYTES, "there is no memory for a line of it");
        return 1;
    }
    while (info.output_scanline < info.output_height) {
        uint8_t *target = image->pixels + (size_t)info.output_scanline * (size_t)image->width * 3;
        JSAMPROW row = cmyk ? line : target;
        jpeg_read_scanlines(&info, &row, 1);
        if (cmyk) cmyk_to_rgb(line, target, image->width);
    }
    jpeg_finish_decompress(&info);
    jpeg_destroy_decompress(&info);
    free(line);
    return 0;
}
