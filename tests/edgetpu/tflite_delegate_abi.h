/* The part of TensorFlow Lite's delegate interface that a library like libedgetpu is built against.
 *
 * Layouts are those of the public header tensorflow/lite/core/c/common.h (tflite/core/c/common.h in LiteRT), which no
 * Python package brings along; they have only ever grown at their ends. What is not used here is a void pointer.
 */
#ifndef EDGEDISTIL_TFLITE_DELEGATE_ABI_H_
#define EDGEDISTIL_TFLITE_DELEGATE_ABI_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STATUS_OK = 0, STATUS_ERROR = 1 };
enum { TYPE_INT8 = 9 };
/* Without it the runtime prepares all ops before the delegate, and stops at one that it does not know. */
enum { ALLOW_DYNAMIC_TENSORS = 1 };

typedef struct {
  int size;
  int data[];
} IntArray;

typedef struct {
  int type;
  void* data;
  IntArray* dims;
  struct {
    float scale;
    int32_t zero_point;
  } params;
  int allocation_type;
  size_t bytes;
  const void* allocation;
  const char* name;
  void* delegate;
  int buffer_handle;
  bool data_is_stale;
  bool is_variable;
  struct {
    int type;
    void* params;
  } quantization;
  void* sparsity;
  const IntArray* dims_signature;
} Tensor;

typedef struct {
  IntArray* inputs;
  IntArray* outputs;
  IntArray* intermediates;
  IntArray* temporaries;
  void* user_data;
  void* builtin_data;
  const void* custom_initial_data;
  int custom_initial_data_size;
} Node; /* only ever seen through a pointer, so its end may be missing */

typedef struct Context Context;
typedef struct Delegate Delegate;

typedef struct {
  void* (*init)(Context*, const char* buffer, size_t length);
  void (*free)(Context*, void* data);
  int (*prepare)(Context*, Node*);
  int (*invoke)(Context*, Node*);
  const char* (*profiling_string)(const Context*, const Node*);
  int32_t builtin_code;
  const char* custom_name;
  int version;
  void* registration_external;
  void* async_kernel;
  uint64_t inplace_operator;
} Registration;

typedef struct {
  Delegate* delegate;
  IntArray* nodes_to_replace;
  IntArray* input_tensors;
  IntArray* output_tensors;
} DelegateParams; /* what `init` of a delegate's kernel gets as its buffer */

struct Context { /* likewise without its end */
  size_t tensors_size;
  int (*GetExecutionPlan)(Context*, IntArray** plan);
  Tensor* tensors;
  void* impl;
  void* ResizeTensor;
  void (*ReportError)(Context*, const char* format, ...);
  void* AddTensors;
  int (*GetNodeAndRegistration)(Context*, int node, Node**, Registration**);
  int (*ReplaceNodeSubsetsWithDelegateKernels)(Context*, Registration, const IntArray* nodes, Delegate*);
};

struct Delegate {
  void* data;
  int (*Prepare)(Context*, Delegate*);
  void* CopyFromBufferHandle;
  void* CopyToBufferHandle;
  void* FreeBufferHandle;
  int64_t flags;
  void* opaque_delegate_builder;
};

#endif
