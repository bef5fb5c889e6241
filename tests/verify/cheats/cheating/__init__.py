"""Environments that are not what they claim. Each is Pong but for one dishonesty, or one fault."""
