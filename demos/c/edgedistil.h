/* Text in, label out: a text classifier in a .tflite file that EdgeDistil wrote, by LiteRT's C API. */

#ifndef EDGEDISTIL_H
#define EDGEDISTIL_H

#include <stddef.h>

typedef struct EdgeDistil EdgeDistil;

/* Opens a file. Returns NULL if this fails, with the reason in `error`, which is cut to `size` bytes. */
EdgeDistil *edgedistil_open(const char *path, char *error, size_t size);

/* Classifies a text in UTF-8, which a NUL ends. Returns a probability for each label, which are valid until the next
 * call, or NULL with the reason in `error`. A model may be used by one thread at a time. */
const float *edgedistil_classify(EdgeDistil *model, const char *text, char *error, size_t size);

/* Returns how little the last text is like those of any label: the output `unknown_score` of a file that was converted
 * with `--unknown-label`, NAN for other files. */
float edgedistil_unknown_score(const EdgeDistil *model);

/* Returns the index of the most probable label of the last text, the first of equal ones. */
size_t edgedistil_best(const EdgeDistil *model);

size_t edgedistil_label_count(const EdgeDistil *model);
const char *edgedistil_label(const EdgeDistil *model, size_t index);

/* Releases all memory of a model. */
void edgedistil_close(EdgeDistil *model);

#endif
