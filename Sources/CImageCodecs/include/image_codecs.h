/* JPEG and PNG files in memory to interleaved 8-bit RGB, with libjpeg-turbo and libpng.
 *
 * Pixels are those of PIL's Image.open(f).convert("RGB"): greyscale and palettes expanded, alpha dropped, EXIF rotation
 * and gamma ignored; 16-bit channels keep their high byte, but 16-bit greyscale without alpha is clipped at 255 (PIL 9 to
 * 13), so that nearly all of such an image is white; CMYK and YCCK are taken as inverted, as Adobe writes them. Every function returns 0, or another value after writing one clause into `error`. */
#ifndef IMAGE_CODECS_H
#define IMAGE_CODECS_H
#include <stddef.h>
#include <stdint.h>

#define IMAGE_ERROR_BYTES 256
#define IMAGE_MAX_SIDE 32768
#define IMAGE_MAX_PIXELS 89478485 /* PIL's own limit */
#define IMAGE_MAX_SCANS 100       /* of a progressive JPEG; encoders write about ten, and each costs a pass over the image */

typedef struct {
    int32_t width, height;
    uint8_t *pixels; /* width * height * 3; free with image_free */
} image_rgb;

int image_decode_jpeg(const uint8_t *bytes, size_t count, image_rgb *image, char *error);
int image_decode_png(const uint8_t *bytes, size_t count, image_rgb *image, char *error);
void image_free(image_rgb *image);

/* A PNG file of 8-bit RGB. Writes at most *count bytes to `bytes` and the file's size into *count; with `bytes` NULL it only
 * tells the size. */
int image_encode_png(const image_rgb *image, uint8_t *bytes, size_t *count, char *error);

#endif
