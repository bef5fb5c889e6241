/* How XLA calls a generated kernel: XLA's FFI (xla/ffi/api/c_api.h), in plain C.
 *
 * The generated file defines, before it includes this one,
 *     INPUT_LEAVES, OUTPUT_LEAVES      a {type, number of elements} for each array of an instance
 *     NUM_INPUTS, NUM_OUTPUTS          how many arrays,
 *     INPUT_ELEMENTS, OUTPUT_ELEMENTS  and elements of all of them there are
 *     CHUNK                            the instances that a thread takes at a time
 *     static void simlift_block(const I *inputs, I *outputs);
 * where simlift_block computes LANES instances from all elements of all inputs, a vector each.
 * Arrays arrive as [B, ...] in C order, or as [1, ...] for what all instances share. */

#include <fenv.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "xla/ffi/api/c_api.h"

typedef struct {
  int type; /* XLA_FFI_DataType */
  int64_t size;
} Leaf;

static const Leaf INPUTS[NUM_INPUTS] = {INPUT_LEAVES};
static const Leaf OUTPUTS[NUM_OUTPUTS] = {OUTPUT_LEAVES};

typedef struct {
  const char *data;
  int64_t stride; /* elements from one instance to the next: 0 where they share one */
} Source;

typedef struct {
  Source inputs[NUM_INPUTS];
  char *outputs[NUM_OUTPUTS];
  int64_t num_instances, num_chunks;
  fenv_t environment; /* rounding and the treatment of subnormal numbers are the caller's */
  atomic_int_least64_t next_chunk, finished_chunks;
  atomic_int owners;
} Job;

#define LOAD(T)                                                                         \
  for (int64_t element = 0; element < size; element++)                                  \
    FOR_LANES out[element][lane] =                                                      \
        ((const T *)source.data)[(first + (lane < count ? lane : count - 1)) *          \
                                     source.stride + element];
#define STORE(T)                                                                        \
  for (int64_t element = 0; element < size; element++)                                  \
    for (int lane = 0; lane < count; lane++)                                            \
      ((T *)data)[(first + lane) * size + element] = (T)in[element][lane];

static void load(Leaf leaf, Source source, int64_t first, int count, I *out) {
  const int64_t size = leaf.size;
  switch (leaf.type) {
    case XLA_FFI_DataType_PRED:
      LOAD(uint8_t)
      for (int64_t element = 0; element < size; element++) out[element] = out[element] != 0;
      break;
    case XLA_FFI_DataType_S8: LOAD(int8_t) break;
    case XLA_FFI_DataType_U8: LOAD(uint8_t) break;
    case XLA_FFI_DataType_S16: LOAD(int16_t) break;
    case XLA_FFI_DataType_U16: LOAD(uint16_t) break;
    default: LOAD(int32_t) break;
  }
}

static void store(Leaf leaf, char *data, int64_t first, int count, const I *in) {
  const int64_t size = leaf.size;
  switch (leaf.type) {
    case XLA_FFI_DataType_PRED:
      for (int64_t element = 0; element < size; element++)
        for (int lane = 0; lane < count; lane++)
          ((uint8_t *)data)[(first + lane) * size + element] = in[element][lane] != 0;
      break;
    case XLA_FFI_DataType_S8: case XLA_FFI_DataType_U8: STORE(uint8_t) break;
    case XLA_FFI_DataType_S16: case XLA_FFI_DataType_U16: STORE(uint16_t) break;
    default: STORE(int32_t) break;
  }
}

static void run_chunk(const Job *job, int64_t chunk) {
  I inputs[INPUT_ELEMENTS], outputs[OUTPUT_ELEMENTS];
  const int64_t begin = chunk * CHUNK;
  const int64_t end = begin + CHUNK < job->num_instances ? begin + CHUNK : job->num_instances;
  for (int64_t first = begin; first < end; first += LANES) {
    const int count = end - first < LANES ? (int)(end - first) : LANES;
    I *in = inputs;
    for (int i = 0; i < NUM_INPUTS; in += INPUTS[i].size, i++)
      if (first == begin || job->inputs[i].stride) load(INPUTS[i], job->inputs[i], first, count, in);
    simlift_block(inputs, outputs);
    const I *out = outputs;
    for (int i = 0; i < NUM_OUTPUTS; out += OUTPUTS[i].size, i++)
      store(OUTPUTS[i], job->outputs[i], first, count, out);
  }
}

/* Chunk by chunk, until there are none left. Comes too late, perhaps, to find one. */
static void help(void *data) {
  Job *job = data;
  fenv_t before;
  fegetenv(&before);
  fesetenv(&job->environment);
  int64_t chunk;
  while ((chunk = atomic_fetch_add(&job->next_chunk, 1)) < job->num_chunks) {
    run_chunk(job, chunk);
    atomic_fetch_add(&job->finished_chunks, 1);
  }
  fesetenv(&before);
  if (atomic_fetch_sub(&job->owners, 1) == 1) free(job);
}

/* How many threads of XLA's pool, and cores that this process may use, are there to help. */
static int64_t num_threads(const XLA_FFI_CallFrame *frame) {
  int64_t threads = 1;
  XLA_FFI_ThreadPool_NumThreads_Args args = {
      .struct_size = XLA_FFI_ThreadPool_NumThreads_Args_STRUCT_SIZE,
      .ctx = frame->ctx,
      .num_threads = &threads};
  XLA_FFI_Error *error = frame->api->XLA_FFI_ThreadPool_NumThreads(&args);
  if (error) {
    XLA_FFI_Error_Destroy_Args destroy = {
        .struct_size = XLA_FFI_Error_Destroy_Args_STRUCT_SIZE, .error = error};
    frame->api->XLA_FFI_Error_Destroy(&destroy);
    return 1;
  }
#ifdef __linux__
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0 && CPU_COUNT(&cores) < threads)
    threads = CPU_COUNT(&cores);
#endif
  return threads;
}

/* Returns whether a thread will come to help. */
static int call_for_help(const XLA_FFI_CallFrame *frame, Job *job) {
  XLA_FFI_ThreadPool_Schedule_Args args = {
      .struct_size = XLA_FFI_ThreadPool_Schedule_Args_STRUCT_SIZE,
      .ctx = frame->ctx,
      .task = help,
      .data = job};
  XLA_FFI_Error *error = frame->api->XLA_FFI_ThreadPool_Schedule(&args);
  if (!error) return 1;
  XLA_FFI_Error_Destroy_Args destroy = {
      .struct_size = XLA_FFI_Error_Destroy_Args_STRUCT_SIZE, .error = error};
  frame->api->XLA_FFI_Error_Destroy(&destroy);
  return 0;
}

static XLA_FFI_Error *refuse(const XLA_FFI_CallFrame *frame, const char *message) {
  XLA_FFI_Error_Create_Args args = {
      .struct_size = XLA_FFI_Error_Create_Args_STRUCT_SIZE,
      .message = message,
      .errc = XLA_FFI_Error_Code_INVALID_ARGUMENT};
  return frame->api->XLA_FFI_Error_Create(&args);
}

static int64_t num_elements(const XLA_FFI_Buffer *buffer) {
  int64_t elements = 1;
  for (int64_t axis = 0; axis < buffer->rank; axis++) elements *= buffer->dims[axis];
  return elements;
}

XLA_FFI_Error *simlift_kernel(XLA_FFI_CallFrame *frame) {
  __auto_type extension = frame->extension_start; /* its type has two names */
  if (extension && extension->type == XLA_FFI_Extension_Metadata) {
    XLA_FFI_Metadata *metadata = ((XLA_FFI_Metadata_Extension *)extension)->metadata;
    metadata->api_version.major_version = XLA_FFI_API_MAJOR;
    metadata->api_version.minor_version = XLA_FFI_API_MINOR;
    return NULL;
  }
  if (frame->args.size != NUM_INPUTS || frame->rets.size != NUM_OUTPUTS)
    return refuse(frame, "simlift: this kernel was generated for other arguments");
  Job *job = malloc(sizeof *job);
  if (!job) return refuse(frame, "simlift: no memory");
  const XLA_FFI_Buffer *result = frame->rets.rets[0];
  job->num_instances = num_elements(result) / OUTPUTS[0].size;
  for (int i = 0; i < NUM_INPUTS; i++) {
    const XLA_FFI_Buffer *buffer = frame->args.args[i];
    const int shared = num_elements(buffer) == INPUTS[i].size;
    job->inputs[i] = (Source){buffer->data, shared ? 0 : INPUTS[i].size};
  }
  for (int i = 0; i < NUM_OUTPUTS; i++)
    job->outputs[i] = ((XLA_FFI_Buffer *)frame->rets.rets[i])->data;
  job->num_chunks = (job->num_instances + CHUNK - 1) / CHUNK;
  atomic_init(&job->next_chunk, 0);
  atomic_init(&job->finished_chunks, 0);
  fegetenv(&job->environment);

  int64_t threads = job->num_chunks > 1 ? num_threads(frame) : 1;
  if (threads > job->num_chunks) threads = job->num_chunks;
  const int64_t num_chunks = job->num_chunks;
  atomic_init(&job->owners, (int)threads + 1); /* and this function, which waits */
  for (int64_t i = 1; i < threads; i++)
    if (!call_for_help(frame, job)) atomic_fetch_sub(&job->owners, 1);
  help(job);
  while (atomic_load(&job->finished_chunks) < num_chunks) sched_yield();
  if (atomic_fetch_sub(&job->owners, 1) == 1) free(job);
  return NULL;
}
