/* What an instrumented build of a C reference offers, and nothing in an ordinary one. A shim includes this file
 * before upstream's source, and puts begin_arcs(i) before and end_arcs() after the step of instance i. */
#ifndef SIMLIFT_INSTRUMENT_H
#define SIMLIFT_INSTRUMENT_H

#ifdef SIMLIFT_COVERAGE /* compiled with --coverage: how often each branch was taken, over all instances */
void __gcov_reset(void);
void __gcov_dump(void);
void simlift_coverage_reset(void) { __gcov_reset(); }
void simlift_coverage_dump(void) { __gcov_dump(); }
#endif

#ifdef SIMLIFT_ARCS /* compiled with -fsanitize-coverage=trace-pc: which arcs each instance took in its last step */
#if __GNUC__ < 12
#error "following arcs needs gcc 12 or newer"
#endif
#include <stdint.h>
#include <string.h>

#define UNTRACED __attribute__((no_sanitize_coverage))

enum { ARC_WORDS = 16 };
static uint64_t* arc_table;           /* [instances, ARC_WORDS], the caller's; NULL when nobody asks */
static _Thread_local uint64_t* arcs;  /* the row of the instance that steps now */
static _Thread_local uint64_t last_block;

UNTRACED void simlift_arcs_into(uint64_t* table) { arc_table = table; }

UNTRACED static void begin_arcs(int i) {
    if (!arc_table) return;
    arcs = memset(arc_table + (size_t)i * ARC_WORDS, 0, ARC_WORDS * sizeof(uint64_t));
    last_block = 0;
}

UNTRACED static void end_arcs(void) { arcs = NULL; }

/* The compiler calls this at every basic block. An arc is a bit of the row, chosen by a hash. */
UNTRACED void __sanitizer_cov_trace_pc(void) {
    if (!arcs) return;
    /* relative, so that it is the same wherever the library was loaded */
    uint64_t block = (uintptr_t)__builtin_return_address(0) - (uintptr_t)&simlift_arcs_into;
    uint64_t bit = (block * 0x9E3779B97F4A7C15u ^ last_block * 0xD1B54A32D192ED03u) * 0xBF58476D1CE4E5B9u >> 54;
    arcs[bit >> 6] |= (uint64_t)1 << (bit & 63);
    last_block = block;
}
#else
#define begin_arcs(i) ((void)0)
#define end_arcs() ((void)0)
#endif

#endif
