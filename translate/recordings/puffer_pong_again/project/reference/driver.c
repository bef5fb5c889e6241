/* PufferLib's pong.h, unmodified, as a program that speaks simlift's line protocol.
 *
 * The game is the discrete one with every number of pong.py, but for max_score, which is 3. rand() comes from a
 * generator that can be seeded and saved, is logged, and is answered from a tape when one is given. The snapshot is
 * every field of struct Pong that changes, but for `log`, which nothing reads; the parameters are in setup(). c_step
 * begins the next game itself when one ends (auto_reset); reset begins with the struct as init() leaves it. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { OBSERVATIONS = 8, MAX_DRAWS = 4, LINE = 1 << 14 };

static uint64_t stream;                 /* SplitMix64's state */
static long value[MAX_DRAWS], tape[MAX_DRAWS];
static int drawn, taped;                /* draws of this call; draws on the tape, or -1 */
static int short_tape;                  /* a draw for which the tape held nothing */

static int logged_rand(void) {
    uint64_t z = (stream += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    long number = (long)((z ^ (z >> 31)) >> 33);
    if (taped >= 0 && drawn < taped) number = tape[drawn];
    if (taped >= 0 && drawn >= taped) short_tape = 1;
    value[drawn++] = number;
    return (int)number;
}

#define rand logged_rand
#include "pong.h"
#undef rand

static Pong env;

static void setup(void) {
    env = (Pong){.width = 500, .height = 640, .paddle_width = 20, .paddle_height = 70, .ball_width = 32,
                 .ball_height = 32, .paddle_speed = 8, .ball_initial_speed_x = 10, .ball_initial_speed_y = 1,
                 .ball_speed_y_increment = 3, .ball_max_speed_y = 13, .max_score = 3, .frameskip = 1,
                 .continuous = 0};
    allocate(&env);
}

/* The fields of a snapshot beside `observations` and `stream`. */
static const struct { const char *name, *dtype; void* at; } FIELDS[] = {
    {"paddle_yl", "float32", &env.paddle_yl}, {"paddle_yr", "float32", &env.paddle_yr},
    {"ball_x", "float32", &env.ball_x},       {"ball_y", "float32", &env.ball_y},
    {"ball_vx", "float32", &env.ball_vx},     {"ball_vy", "float32", &env.ball_vy},
    {"paddle_dir", "float32", &env.paddle_dir},
    {"score_l", "uint32", &env.score_l},      {"score_r", "uint32", &env.score_r},
    {"tick", "int32", &env.tick},             {"n_bounces", "int32", &env.n_bounces},
    {"win", "int32", &env.win},
};
enum { NUM_FIELDS = sizeof FIELDS / sizeof *FIELDS };

static void print_float(float x) {
    if (x == 0) printf(signbit(x) ? "-0.0" : "0.0"); /* JSON readers drop the sign of -0 */
    else printf("%.9g", x);
}

static void print_floats(const float* x, int n) {
    for (int i = 0; i < n; i++) {
        putchar(i ? ',' : '[');
        print_float(x[i]);
    }
    putchar(']');
}

/* What follows "key": in a request, without the brackets and quotes before a number; NULL where it is not there. */
static char* find(char* line, const char* key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\"", key);
    char* at = strstr(line, quoted);
    return at ? at + strlen(quoted) + strspn(at + strlen(quoted), ": [\"") : NULL;
}

static void read_tape(char* line) {
    drawn = short_tape = 0;
    taped = -1;
    char* at = strstr(line, "\"tape\"");
    if (!at) return;
    for (taped = 0; (at = strstr(at, "\"serve\"")) && taped < MAX_DRAWS; taped++) {
        strtod(at + strlen("\"serve\"") + strspn(at + strlen("\"serve\""), ", "), &at); /* the bound */
        tape[taped] = strtol(at + strspn(at, ", "), &at, 10);
    }
}

static void hello(void) {
    printf(",\"protocol\":1,\"name\":\"pufferlib-pong\",\"version\":\"3.0.0\",\"observation\":{\"shape\":[%d],"
           "\"dtype\":\"float32\"},\"action\":{\"n\":3},\"draw_sites\":{\"serve\":2147483648},\"forcing\":true,"
           "\"auto_reset\":true,\"snapshot_fields\":{",
           OBSERVATIONS);
    for (int i = 0; i < NUM_FIELDS; i++) printf("\"%s\":\"%s\",", FIELDS[i].name, FIELDS[i].dtype);
    printf("\"observations\":\"float32\",\"stream\":\"uint64\"}");
}

static void outcome(void) {
    if (short_tape) {
        printf(",\"error\":{\"kind\":\"tape\",\"message\":\"the tape ends before this draw\",\"site\":\"serve\"}");
        return;
    }
    printf(",\"observation\":");
    print_floats(env.observations, OBSERVATIONS);
    printf(",\"reward\":");
    print_float(env.rewards[0]);
    printf(",\"terminated\":%s,\"draws\":[", env.terminals[0] ? "true" : "false");
    for (int i = 0; i < drawn; i++) printf("%s[\"serve\",2147483648,%ld]", i ? "," : "", value[i]);
    putchar(']');
}

static void reset(char* line) {
    read_tape(line);
    stream = strtoull(find(line, "seed"), NULL, 10);
    env.rewards[0] = 0;
    env.terminals[0] = 0;
    init(&env);
    c_reset(&env);
    outcome();
}

static void step(char* line) {
    read_tape(line);
    long action = strtol(find(line, "action"), NULL, 10);
    if (action < 0 || action > 2) {
        printf(",\"error\":{\"kind\":\"action\",\"message\":\"actions are 0 (stay), 1 (up) and 2 (down)\"}");
        return;
    }
    env.actions[0] = (float)action;
    c_step(&env);
    outcome();
}

static void snapshot(void) {
    printf(",\"snapshot\":{");
    for (int i = 0; i < NUM_FIELDS; i++) {
        printf("\"%s\":", FIELDS[i].name);
        if (*FIELDS[i].dtype == 'f') print_float(*(float*)FIELDS[i].at);
        else printf("%ld", *FIELDS[i].dtype == 'u' ? (long)*(unsigned*)FIELDS[i].at : (long)*(int*)FIELDS[i].at);
        putchar(',');
    }
    printf("\"observations\":");
    print_floats(env.observations, OBSERVATIONS);
    printf(",\"stream\":\"%llu\"}", (unsigned long long)stream);
}

static void restore(char* line) {
    for (int i = 0; i < NUM_FIELDS; i++) {
        char* at = find(line, FIELDS[i].name);
        if (*FIELDS[i].dtype == 'f') *(float*)FIELDS[i].at = strtof(at, NULL);
        else *(unsigned*)FIELDS[i].at = (unsigned)strtol(at, NULL, 10);
    }
    char* at = find(line, "observations");
    for (int i = 0; i < OBSERVATIONS; i++, at += strspn(at, ", ")) env.observations[i] = strtof(at, &at);
    stream = strtoull(find(line, "stream"), NULL, 10);
}

int main(void) {
    static char line[LINE];
    setup();
    while (fgets(line, sizeof line, stdin)) {
        char* verb = find(line, "verb");
        printf("{\"id\":%ld", strtol(find(line, "id"), NULL, 10));
        if (!strncmp(verb, "hello", 5)) hello();
        else if (!strncmp(verb, "reset", 5)) reset(line);
        else if (!strncmp(verb, "step", 4)) step(line);
        else if (!strncmp(verb, "snapshot", 8)) snapshot();
        else restore(line);
        puts("}");
        fflush(stdout);
    }
}
