/* Drives PufferLib's pong.h, unmodified, in batches. Its only change of the program: the calls of rand() come here,
 * where they are logged, and answered from a tape when one is given. */
#include <stdint.h>
#include <stdlib.h>

#include "../instrument.h"

enum { MAX_DRAWS = 4 };

typedef struct {
    uint64_t stream;        /* SplitMix64 state; answers rand() when nothing is forced */
    int32_t forced;         /* number of forced draws, or -1 */
    int32_t count;          /* draws consumed by the last call */
    int64_t value[MAX_DRAWS];
    int64_t tape[MAX_DRAWS];
} Draws;

static _Thread_local Draws* current;

static uint64_t splitmix64(uint64_t* state) {
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static int logged_rand(void) {
    Draws* d = current;
    int32_t i = d->count++;
    int64_t value = (int64_t)(splitmix64(&d->stream) >> 33); /* 0 .. RAND_MAX */
    if (d->forced >= 0) value = i < d->forced ? d->tape[i] : 0; /* a wrong count is reported by the caller */
    if (i < MAX_DRAWS) d->value[i] = value;
    return (int)value;
}

#define rand logged_rand
#include "pong.h"
#undef rand

size_t simlift_sizeof_env(void) { return sizeof(Pong); }
size_t simlift_sizeof_draws(void) { return sizeof(Draws); }

/* Both: clear the log, so that it holds what this call alone adds. */
void simlift_reset(Pong* envs, Draws* draws, int n) {
    for (int i = 0; i < n; i++) {
        current = &draws[i];
        current->count = 0;
        envs[i].log = (Log){0};
        c_reset(&envs[i]);
    }
}

void simlift_step(Pong* envs, Draws* draws, int n) {
    for (int i = 0; i < n; i++) {
        current = &draws[i];
        current->count = 0;
        envs[i].log = (Log){0};
        begin_arcs(i);
        c_step(&envs[i]);
        end_arcs();
    }
}

void simlift_init(Pong* envs, int n) {
    for (int i = 0; i < n; i++) init(&envs[i]);
}

/* The peer of a benchmark: every environment takes `steps` steps with uniformly random discrete actions. Returns a
 * checksum of what was observed, so that nothing can be optimised away. */
float simlift_random_play(Pong* envs, Draws* draws, int n, long steps, uint64_t seed) {
    float checksum = 0;
    for (long t = 0; t < steps; t++) {
        for (int i = 0; i < n; i++) {
            current = &draws[i];
            current->count = 0;
            envs[i].actions[0] = (float)((splitmix64(&seed) >> 32) * 3 >> 32);
            c_step(&envs[i]);
            checksum += envs[i].observations[3] + envs[i].rewards[0];
        }
    }
    return checksum;
}
