/* Prints label and probability of each line of standard input; with --all, the probability of each label after them. */

#define _POSIX_C_SOURCE 200809L /* getline */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgedistil.h"

int main(int count, char **arguments) {
    char error[200], *text = NULL;
    size_t room = 0;
    int has_all = count == 3 && !strcmp(arguments[1], "--all");
    if (count != 2 + has_all) {
        fprintf(stderr, "usage: %s [--all] MODEL.tflite < texts.txt\n", arguments[0]);
        return 2;
    }
    const char *path = arguments[count - 1];
    EdgeDistil *model = edgedistil_open(path, error, sizeof error);
    if (!model) {
        fprintf(stderr, "error: %s: %s\n", path, error);
        return 1;
    }
    while (getline(&text, &room, stdin) >= 0) {
        text[strcspn(text, "\r\n")] = 0;
        const float *probabilities = edgedistil_classify(model, text, error, sizeof error);
        if (!probabilities) {
            fprintf(stderr, "error: %s\n", error);
            return 1;
        }
        size_t best = edgedistil_best(model);
        printf("%s\t%.4f", edgedistil_label(model, best), probabilities[best]);
        for (size_t index = 0; has_all && index < edgedistil_label_count(model); index++)
            printf("\t%.9g", probabilities[index]);
        printf("\n");
        fflush(stdout);
    }
    free(text);
    edgedistil_close(model);
    return 0;
}
