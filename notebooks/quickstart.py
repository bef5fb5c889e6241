# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Quickstart
#
# Make an environment, step it, step thousands of it, and train an agent that wins. Puffer Pong here
# is PufferLib's `pong.h`, bit for bit; the calls are those of gymnax.

# %%
import dataclasses
import os

import jax
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import simlift
from simlift.train.evaluate import evaluate
from simlift.train.ppo import PPO, make_train
from simlift.train.presets import find_preset

QUICK = bool(os.environ.get("SIMLIFT_QUICK"))
simlift.list_environments()

# %% [markdown]
# ## One environment
#
# `reset` and `step` are pure functions: the state goes in and comes out, and randomness is a key.

# %%
env, params = simlift.make("PufferPong-v0", frameskip=8)
key = jax.random.key(0)

observation, state = env.reset(key, params)
print("observation", observation)
print("actions    ", env.action_space(params))

observation, state, reward, terminated, truncated, info = env.step(key, state, 1, params)
print("observation", observation)
print("reward     ", reward, "terminated", terminated)

# %% [markdown]
# A state can be looked at. The agent is the right paddle, and just went up.

# %%
Image.fromarray(env.render(state, params))

# %% [markdown]
# ## Thousands of them
#
# `vmap` adds the batch, `scan` the time, `jit` makes one program of it. Episodes that end start
# anew by themselves. Here every agent plays at random.

# %%
NUM_ENVS, NUM_STEPS = 1024, 1000


@jax.jit
def play(key):
    key_reset, key_steps = jax.random.split(key)
    _, states = jax.vmap(env.reset, (0, None))(jax.random.split(key_reset, NUM_ENVS), params)

    def step(states, key):
        key_action, key_step = jax.random.split(key)
        actions = jax.random.randint(key_action, (NUM_ENVS,), 0, env.num_actions)
        _, states, reward, terminated, _, _ = jax.vmap(env.step, (0, 0, 0, None))(
            jax.random.split(key_step, NUM_ENVS), states, actions, params
        )
        return states, (reward.mean(), terminated.sum())

    return jax.lax.scan(step, states, jax.random.split(key_steps, NUM_STEPS))


states, (rewards, ends) = play(key)
print(f"{NUM_ENVS * NUM_STEPS:,} steps, {ends.sum()} games, {rewards.mean():+.3f} points a step")

# %% [markdown]
# Any of the states can be taken out of the batch again:

# %%
Image.fromarray(env.render(jax.tree.map(lambda x: x[7], states), params))

# %% [markdown]
# ## Train
#
# PPO, from the first reset to the last update, is one function to compile. The preset is the one of
# `simlift train pong --preset demo`.

# %%
config = find_preset("pong", "demo").config
if QUICK:
    config = dataclasses.replace(config, total_steps=300_000)

runner, metrics = jax.jit(make_train(config, env, params))(jax.random.key(1))
means = metrics.means()
score = means["episode_score_r"] - means["episode_score_l"]
steps = np.cumsum(metrics.updates) * config.batch_size

figure, axes = plt.subplots(figsize=(6, 3), dpi=80, layout="constrained")
axes.plot(steps, score)
axes.axhline(0, color="grey", linewidth=0.5)
axes.set(xlabel="environment steps", ylabel="score difference", ylim=(-22, 22))
plt.show()

# %% [markdown]
# ## Watch it win
#
# Whole games, without exploration:

# %%
policy = PPO(config, env, params).policy(runner)
games = evaluate(policy, env, params, jax.random.key(2), num_episodes=64)
difference = games.last_info["score_r"].astype(int) - games.last_info["score_l"]
print(f"score difference over {len(difference)} games: mean {difference.mean():+.1f}")

# %% [markdown]
# A policy is asked for the actions of a batch of observations, here of one. These are the first 60
# steps of a game, every twelfth of them.

# %%
observation, state = env.reset(jax.random.key(3), params)
carry = policy.initial_carry(1)
pictures = []
for key_step in jax.random.split(jax.random.key(4), 60):
    action, carry = policy.act(observation[None], carry, deterministic=True)
    observation, state, *_ = env.step(key_step, state, action[0], params)
    pictures.append(env.render(state, params))

framed = [np.pad(picture, ((0, 0), (0, 12), (0, 0)), constant_values=255) for picture in pictures]
Image.fromarray(np.concatenate(framed[::12], axis=1)).reduce(3)
