#include "edgedistil.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "litert.h"

#define SIGNATURE "classify_text"
#define COMMENT_BYTES 82     /* "edgedistil sha256:" and 64 hexadecimal digits, the end of each file */
#define END_BYTES 22         /* ZIP's end of the directory, without the comment */
#define ENTRY_BYTES 46       /* ZIP's entry of a file in the directory, without its name */
#define HEADER_BYTES 30      /* ZIP's header before a file, without its name */
#define LARGEST_LABELS (4 << 20)
#define SHORTEST_ROW 128     /* bytes: longer rows are powers of two, so that few texts change the shape of the graph */
#define LONGEST_TEXT (1 << 24)

/* Memory that LiteRT reads or writes: an input of int32 or an output of float32, of one dimension. */
typedef struct {
    LiteRtTensorBuffer buffer;
    void *memory;
    size_t length;
} Tensor;

struct EdgeDistil {
    LiteRtEnvironment environment;
    LiteRtModel model;
    LiteRtCompiledModel compiled;
    size_t signature, output_count, probabilities, unknown_score; /* indices; unknown_score is SIZE_MAX if there is none */
    Tensor row, outputs[2];
    char *label_text, **labels;
    size_t label_count;
};

static void *fail(char *error, size_t size, const char *reason) {
    snprintf(error, size, "%s", reason);
    return NULL;
}

/* ---- labels.txt, a member of the archive at the end of the file ---- */

static uint32_t number(const unsigned char *at, int bytes) {
    uint32_t value = 0;
    while (bytes--) value = value << 8 | at[bytes];
    return value;
}

/* Reads `bytes` bytes at `offset`, with a zero after them; NULL if the file ends before or memory does. */
static unsigned char *read_part(FILE *file, long offset, size_t bytes) {
    unsigned char *part = malloc(bytes + 1);
    if (part && (fseek(file, offset, SEEK_SET) || fread(part, 1, bytes, file) != bytes)) {
        free(part);
        return NULL;
    }
    if (part) part[bytes] = 0;
    return part;
}

static unsigned char *inflate_raw(unsigned char *packed, size_t packed_bytes, size_t bytes) {
    unsigned char *content = malloc(bytes + 1);
    z_stream stream = {.next_in = packed, .avail_in = packed_bytes, .next_out = content, .avail_out = bytes};
    int is_whole = content && inflateInit2(&stream, -MAX_WBITS) == Z_OK;
    if (is_whole) {
        is_whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == bytes;
        inflateEnd(&stream);
    }
    if (!is_whole) {
        free(content);
        return NULL;
    }
    content[bytes] = 0;
    return content;
}

static unsigned char *read_member(FILE *file, const unsigned char *entry) {
    size_t packed_bytes = number(entry + 20, 4), bytes = number(entry + 24, 4);
    long start = number(entry + 42, 4);
    if (packed_bytes > LARGEST_LABELS || bytes > LARGEST_LABELS) return NULL;
    unsigned char *header = read_part(file, start, HEADER_BYTES);
    if (!header) return NULL;
    start += HEADER_BYTES + number(header + 26, 2) + number(header + 28, 2); /* after the name and the extra field */
    free(header);
    unsigned char *content = read_part(file, start, packed_bytes);
    if (content && number(entry + 10, 2) == 0) return content;
    unsigned char *inflated = content ? inflate_raw(content, packed_bytes, bytes) : NULL;
    free(content);
    return inflated;
}

static char *read_label_text(FILE *file) {
    if (fseek(file, -(long)(COMMENT_BYTES + END_BYTES), SEEK_END)) return NULL;
    unsigned char *end = read_part(file, ftell(file), END_BYTES);
    if (!end || memcmp(end, "PK\5\6", 4)) {
        free(end);
        return NULL;
    }
    size_t directory_bytes = number(end + 12, 4), at = 0;
    long directory_start = number(end + 16, 4);
    free(end);
    if (directory_bytes > LARGEST_LABELS) return NULL;
    unsigned char *directory = read_part(file, directory_start, directory_bytes), *found = NULL;
    while (directory && !found && at + ENTRY_BYTES <= directory_bytes) {
        const unsigned char *entry = directory + at;
        size_t name_bytes = number(entry + 28, 2);
        at += ENTRY_BYTES + name_bytes + number(entry + 30, 2) + number(entry + 32, 2);
        if (at > directory_bytes) break;
        if (name_bytes == 10 && !memcmp(entry + ENTRY_BYTES, "labels.txt", 10)) found = read_member(file, entry);
    }
    free(directory);
    return (char *)found;
}

/* Splits the text into a label for each line. */
static int split_labels(EdgeDistil *model) {
    size_t count = 0;
    for (const char *at = model->label_text; (at = strchr(at, '\n')); at++) count++;
    model->labels = calloc(count ? count : 1, sizeof *model->labels);
    if (!model->labels) return 0;
    char *line = model->label_text;
    for (model->label_count = 0; model->label_count < count; model->label_count++) {
        char *end = strchr(line, '\n');
        *end = 0;
        model->labels[model->label_count] = line;
        line = end + 1;
    }
    return count > 0;
}

static int read_labels(EdgeDistil *model, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return 0;
    model->label_text = read_label_text(file);
    fclose(file);
    return model->label_text && split_labels(model);
}

/* ---- tensors ---- */

static void release(Tensor *tensor) {
    if (tensor->buffer) LiteRtDestroyTensorBuffer(tensor->buffer);
    free(tensor->memory);
    memset(tensor, 0, sizeof *tensor);
}

static int allocate(Tensor *tensor, int element_type, size_t length) {
    release(tensor);
    size_t bytes = (length * 4 + LITERT_ALIGNMENT - 1) / LITERT_ALIGNMENT * LITERT_ALIGNMENT;
    LiteRtRankedTensorType type = {element_type, {.rank = 1, .dimensions = {(int32_t)length}}};
    tensor->memory = aligned_alloc(LITERT_ALIGNMENT, bytes);
    tensor->length = length;
    return tensor->memory && LiteRtCreateTensorBufferFromHostMemory(&type, tensor->memory, length * 4, NULL,
                                                                    &tensor->buffer) == 0;
}

/* ---- the model ---- */

/* Finds the signature and its outputs by name: their order is not part of the format. */
static int find_signature(EdgeDistil *model) {
    size_t count = 0;
    LiteRtSignature signature = NULL;
    const char *name = "";
    if (LiteRtGetNumModelSignatures(model->model, &count)) return 0;
    for (model->signature = 0; model->signature < count; model->signature++) {
        if (LiteRtGetModelSignature(model->model, model->signature, &signature)) return 0;
        if (LiteRtGetSignatureKey(signature, &name) == 0 && !strcmp(name, SIGNATURE)) break;
    }
    if (model->signature == count || LiteRtGetNumSignatureOutputs(signature, &model->output_count)) return 0;
    if (model->output_count < 1 || model->output_count > 2) return 0;
    model->probabilities = model->unknown_score = SIZE_MAX;
    for (size_t index = 0; index < model->output_count; index++) {
        if (LiteRtGetSignatureOutputName(signature, index, &name)) return 0;
        if (!strcmp(name, "probabilities")) model->probabilities = index;
        if (!strcmp(name, "unknown_score")) model->unknown_score = index;
    }
    return model->probabilities != SIZE_MAX;
}

static int compile(EdgeDistil *model) {
    LiteRtOptions options = NULL;
    int is_ready = LiteRtCreateOptions(&options) == 0 &&
                   LiteRtSetOptionsHardwareAccelerators(options, LITERT_CPU) == 0 &&
                   LiteRtCreateCompiledModel(model->environment, model->model, options, &model->compiled) == 0;
    if (options) LiteRtDestroyOptions(options);
    for (size_t index = 0; is_ready && index < model->output_count; index++)
        is_ready = allocate(&model->outputs[index], LITERT_FLOAT32,
                            index == model->probabilities ? model->label_count : 1);
    return is_ready;
}

EdgeDistil *edgedistil_open(const char *path, char *error, size_t size) {
    EdgeDistil *model = calloc(1, sizeof *model);
    const char *reason = NULL;
    if (!model)
        return fail(error, size, "There is no memory for a model.");
    if (!read_labels(model, path))
        reason = "The file cannot be read, or is not one that EdgeDistil wrote. Convert again.";
    else if (LiteRtCreateEnvironment(0, NULL, &model->environment) ||
             LiteRtCreateModelFromFile(model->environment, path, &model->model))
        reason = "LiteRT cannot read the model.";
    else if (!find_signature(model))
        reason = "The model has no signature " SIGNATURE " with probabilities: it takes no text. Convert again.";
    else if (!compile(model))
        reason = "LiteRT cannot run the model. Update libLiteRt.so.";
    if (!reason) return model;
    edgedistil_close(model);
    return fail(error, size, reason);
}

const float *edgedistil_classify(EdgeDistil *model, const char *text, char *error, size_t size) {
    size_t bytes = strlen(text), length = SHORTEST_ROW;
    if (bytes > LONGEST_TEXT) return fail(error, size, "The text is longer than 16 MiB.");
    while (length < bytes) length *= 2;
    if (model->row.length != length) {
        /* Always before a run with another length: LiteRT does not compare the buffer with the input's shape. */
        int shape = (int)length;
        if (!allocate(&model->row, LITERT_INT32, length) ||
            LiteRtCompiledModelResizeInputTensor(model->compiled, model->signature, 0, &shape, 1)) {
            release(&model->row); /* so that the next call resizes again */
            return fail(error, size, "LiteRT cannot take a text of this length.");
        }
    }
    int32_t *row = model->row.memory;
    for (size_t index = 0; index < length; index++) row[index] = index < bytes ? (unsigned char)text[index] : 0;
    LiteRtTensorBuffer inputs[] = {model->row.buffer};
    LiteRtTensorBuffer outputs[] = {model->outputs[0].buffer, model->outputs[1].buffer};
    if (LiteRtRunCompiledModel(model->compiled, model->signature, 1, inputs, model->output_count, outputs))
        return fail(error, size, "LiteRT could not run the model.");
    return model->outputs[model->probabilities].memory;
}

float edgedistil_unknown_score(const EdgeDistil *model) {
    return model->unknown_score == SIZE_MAX ? NAN : *(const float *)model->outputs[model->unknown_score].memory;
}

size_t edgedistil_best(const EdgeDistil *model) {
    const float *probabilities = model->outputs[model->probabilities].memory;
    size_t best = 0;
    for (size_t index = 1; index < model->label_count; index++)
        if (probabilities[index] > probabilities[best]) best = index;
    return best;
}

size_t edgedistil_label_count(const EdgeDistil *model) { return model->label_count; }

const char *edgedistil_label(const EdgeDistil *model, size_t index) { return model->labels[index]; }

void edgedistil_close(EdgeDistil *model) {
    if (!model) return;
    release(&model->row);
    for (size_t index = 0; index < 2; index++) release(&model->outputs[index]);
    if (model->compiled) LiteRtDestroyCompiledModel(model->compiled);
    if (model->model) LiteRtDestroyModel(model->model);
    if (model->environment) LiteRtDestroyEnvironment(model->environment);
    free(model->labels);
    free(model->label_text);
    free(model);
}
