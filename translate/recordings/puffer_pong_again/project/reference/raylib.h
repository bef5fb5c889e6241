/* The part of raylib's interface that pong.h names, doing nothing: the reference runs without a window. */
#ifndef SIMLIFT_RAYLIB_STUB_H
#define SIMLIFT_RAYLIB_STUB_H

typedef struct { unsigned char r, g, b, a; } Color;
typedef struct { float x, y; } Vector2;
typedef struct { float x, y, width, height; } Rectangle;
typedef struct { unsigned int id; int width, height, mipmaps, format; } Texture2D;

#define KEY_ESCAPE 256
#define WHITE ((Color){255, 255, 255, 255})

#define InitWindow(...) ((void)0)
#define CloseWindow() ((void)0)
#define SetTargetFPS(...) ((void)0)
#define LoadTexture(...) ((Texture2D){0})
#define IsKeyDown(...) 0
#define BeginDrawing() ((void)0)
#define EndDrawing() ((void)0)
#define ClearBackground(...) ((void)0)
#define DrawRectangle(...) ((void)0)
#define DrawTexturePro(...) ((void)0)
#define DrawText(...) ((void)0)
#define TextFormat(...) ""
#define MeasureText(...) 0

#endif
