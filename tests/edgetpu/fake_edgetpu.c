/* A stand-in for libedgetpu: a delegate that runs the op which Coral's compiler makes, and fails when it is told to.
 *
 * It claims the nodes `edgetpu-custom-op` of a graph. Such an op carries a table, made by the tests from what the
 * encoder answers on a CPU: hash of the input bytes -> output bytes. So a right answer proves that every byte of every
 * input arrived; an input that is not in the table is an error.
 *
 *     uint32 count | uint32 bytes of an output | count times: uint64 hash, output       (little endian)
 *
 * Environment: FAKE_EDGETPU_MODE, one of the words below or nothing; FAKE_EDGETPU_LOG, a file that gets a line
 * `process event detail` for each call, from whichever process.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tflite_delegate_abi.h"

#define EXPORT __attribute__((visibility("default")))
enum { MOST_INPUTS = 4, HEADER = 8, KEY = 8 };

typedef struct {
  const unsigned char* table;
  size_t table_size;
  int inputs[MOST_INPUTS]; /* in the op's own order; the runtime may give a delegate's kernel another */
  int num_inputs;
  int output;
} Kernel;

static bool is_mode(const char* mode) {
  const char* chosen = getenv("FAKE_EDGETPU_MODE");
  return chosen && strcmp(chosen, mode) == 0;
}

static void log_event(const char* event, const char* detail) {
  const char* path = getenv("FAKE_EDGETPU_LOG");
  int file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
  if (file < 0) return;
  dprintf(file, "%d %s %s\n", (int)getpid(), event, detail);
  close(file);
}

static void hang(void) {
  for (;;) pause();
}

/* FNV-1a, 64 bits. */
static uint64_t hash(uint64_t seed, const unsigned char* bytes, size_t size) {
  for (size_t i = 0; i < size; ++i) seed = (seed ^ bytes[i]) * 0x100000001b3u;
  return seed;
}

static uint32_t read_uint32(const unsigned char* bytes) {
  uint32_t value;
  memcpy(&value, bytes, sizeof value);
  return value;
}

static bool is_edgetpu_op(Context* context, int index, Node** node) {
  Registration* registration;
  return context->GetNodeAndRegistration(context, index, node, &registration) == STATUS_OK &&
         registration->custom_name && strcmp(registration->custom_name, "edgetpu-custom-op") == 0;
}

static void* kernel_init(Context* context, const char* buffer, size_t length) {
  (void)length;
  if (is_mode("too_old")) return NULL; /* as the real one, which logs why */
  const DelegateParams* params = (const DelegateParams*)buffer;
  Kernel* kernel = calloc(1, sizeof *kernel);
  Node* node;
  if (!kernel || params->nodes_to_replace->size != 1 ||
      !is_edgetpu_op(context, params->nodes_to_replace->data[0], &node))
    return kernel; /* without a table, which kernel_prepare refuses */
  kernel->table = node->custom_initial_data;
  kernel->table_size = (size_t)node->custom_initial_data_size;
  kernel->num_inputs = node->inputs->size;
  for (int i = 0; i < node->inputs->size && i < MOST_INPUTS; ++i) kernel->inputs[i] = node->inputs->data[i];
  kernel->output = node->outputs->data[0];
  return kernel;
}

static void kernel_free(Context* context, void* data) {
  (void)context;
  free(data);
}

static int kernel_prepare(Context* context, Node* node) {
  const Kernel* kernel = node->user_data;
  bool is_sound = kernel && kernel->table && kernel->table_size >= HEADER && kernel->num_inputs <= MOST_INPUTS;
  if (is_sound) {
    const Tensor* output = &context->tensors[kernel->output];
    size_t entry = KEY + output->bytes;
    is_sound = output->type == TYPE_INT8 && read_uint32(kernel->table + 4) == output->bytes &&
               kernel->table_size == HEADER + read_uint32(kernel->table) * entry;
  }
  if (!is_sound) context->ReportError(context, "fake_edgetpu: the op has no sound table");
  return is_sound ? STATUS_OK : STATUS_ERROR;
}

static int answer(Context* context, const Kernel* kernel) {
  uint64_t key = 0xcbf29ce484222325u;
  for (int i = 0; i < kernel->num_inputs; ++i) {
    const Tensor* input = &context->tensors[kernel->inputs[i]];
    key = hash(key, input->data, input->bytes);
  }
  Tensor* output = &context->tensors[kernel->output];
  const unsigned char* end = kernel->table + kernel->table_size;
  for (const unsigned char* entry = kernel->table + HEADER; entry < end; entry += KEY + output->bytes) {
    if (memcmp(entry, &key, KEY) != 0) continue;
    memcpy(output->data, entry + KEY, output->bytes);
    return STATUS_OK;
  }
  context->ReportError(context, "fake_edgetpu: the input is not in the table");
  return STATUS_ERROR;
}

static int kernel_invoke(Context* context, Node* node) {
  const Kernel* kernel = node->user_data;
  log_event("invoke", "");
  if (is_mode("crash_in_invoke")) raise(SIGSEGV);
  if (is_mode("hang_in_invoke")) hang();
  if (is_mode("slow")) usleep(500); /* time for another thread to write over the inputs */
  if (is_mode("zeros")) {
    Tensor* output = &context->tensors[kernel->output];
    memset(output->data, -128, output->bytes); /* of quantized probabilities */
    return STATUS_OK;
  }
  return answer(context, kernel);
}

static int delegate_prepare(Context* context, Delegate* delegate) {
  IntArray* plan;
  if (context->GetExecutionPlan(context, &plan) != STATUS_OK) return STATUS_ERROR;
  Registration kernel = {.init = kernel_init,
                         .free = kernel_free,
                         .prepare = kernel_prepare,
                         .invoke = kernel_invoke,
                         .custom_name = "fake_edgetpu",
                         .version = 1};
  int nodes = plan->size, claimed = 0;
  IntArray* one = malloc(sizeof *one + sizeof(int)); /* a kernel for each op, as the real one has it */
  if (!one) return STATUS_ERROR;
  one->size = 1;
  for (int i = 0; i < nodes; ++i) {
    Node* node;
    one->data[0] = plan->data[i];
    if (is_mode("claims_nothing") || !is_edgetpu_op(context, one->data[0], &node)) continue;
    ++claimed;
    if (context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, one, delegate) != STATUS_OK) break;
    if (context->GetExecutionPlan(context, &plan) != STATUS_OK) break;
  }
  free(one);
  char detail[64];
  snprintf(detail, sizeof detail, "%d of %d", claimed, nodes);
  log_event("claim", detail);
  return STATUS_OK;
}

EXPORT Delegate* tflite_plugin_create_delegate(char** keys, char** values, size_t count, void (*report)(const char*)) {
  char detail[256] = "";
  for (size_t i = 0, used = 0; i < count && used < sizeof detail; ++i)
    used += (size_t)snprintf(detail + used, sizeof detail - used, "%s%s=%s", i ? " " : "", keys[i], values[i]);
  log_event("create", detail);
  if (is_mode("crash_in_create")) abort();
  if (is_mode("hang_in_create")) hang();
  if (is_mode("talks")) dprintf(STDOUT_FILENO, "I say what I like, {}");
  if (is_mode("bad_option")) report("Invalid option");
  if (is_mode("no_device") || is_mode("bad_option")) return NULL; /* the real one is silent about the first */
  Delegate* delegate = calloc(1, sizeof *delegate);
  if (!delegate) return NULL;
  delegate->Prepare = delegate_prepare;
  delegate->flags = ALLOW_DYNAMIC_TENSORS;
  return delegate;
}

EXPORT void tflite_plugin_destroy_delegate(Delegate* delegate) {
  if (delegate) log_event("destroy", "");
  free(delegate);
}
