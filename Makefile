# simlift's commands; `make help` lists them. A fresh machine needs Python 3.11 or newer, gcc and
# make; Node.js and Chromium for some tests. Everything else is installed into .venv.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
# VENV=none: take PYTHON as it is, install nothing, need no network.
VENV ?= .venv
EXTRAS := dev,evidence,mujoco,notebooks,peers,plots,pong,tensorboard,translate,video
# TORCH=1: also install a CPU-only torch where pip finds one, for the test of tensor sharing.
TORCH ?=
TORCH_WHEEL := torch==2.13.0+cpu
# QUICK=: notebooks in their full form.
QUICK ?= 1
ACCELERATED := -c 'import jax; raise SystemExit(jax.default_backend() == "cpu")'
BATCHES := 1024,4096,16384,65536,262144,1048576
CHEETAH_BATCHES := 1024,4096,16384,32768,65536
POKEMON_BATCHES := 4096,16384,65536,262144,1048576,4194304

# The checkout under the package's name, for programs that cannot follow an editable install.
SOURCE := build/src
LINK := $(SOURCE)/simlift

ifeq ($(VENV),none)
  INSTALLED := $(LINK)
  PY := PYTHONPATH="$(CURDIR)/$(SOURCE)$${PYTHONPATH:+:$$PYTHONPATH}" $(PYTHON)
  SIMLIFT := $(PY) -c 'from simlift.cli import main; raise SystemExit(main())'
else
  INSTALLED := $(VENV)/.installed $(LINK)
  PY := $(VENV)/bin/python
  SIMLIFT := $(VENV)/bin/simlift
endif

# $(call apt,package,what for): install a Debian package where this user may, else say how.
apt = if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	    --no-install-recommends $(1) >/dev/null; \
	else echo "$(1) is missing ($(2)): apt-get install $(1)"; fi

NOTEBOOKS := $(wildcard notebooks/*.ipynb)

.PHONY: help demo test lint notebooks wheel bench-gpu figures verify-long certificates clean bubblewrap chromium torch

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) bubblewrap  ## a recorded translation judged anew; then Pong: verify, train, measure
	rm -rf build/demo
	$(SIMLIFT) translate replay yacht --out build/demo/yacht
	$(SIMLIFT) verify pong --episodes 40 --out build/demo
	$(SIMLIFT) train pong --preset demo --out build/demo/train
	$(SIMLIFT) bench pong --quick --out build/demo/bench.json
	@echo "certificate of the translation: $(CURDIR)/build/demo/yacht/certificate.json"
	@echo "report: $(CURDIR)/build/demo/report.html"

test: lint bubblewrap chromium torch  ## lint, tests, notebooks in quick form, wheel
	SIMLIFT_QUICK=$(QUICK) $(PY) -m pytest -n auto --dist worksteal --nbmake tests $(NOTEBOOKS)
	$(MAKE) --no-print-directory wheel

lint: $(INSTALLED)  ## formatting, lint rules, types
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy -p simlift

notebooks: $(INSTALLED)  ## run the notebooks, in quick form unless QUICK= is empty
	SIMLIFT_QUICK=$(QUICK) $(PY) -m pytest --nbmake $(NOTEBOOKS)

wheel: $(INSTALLED)  ## build the wheel and try it in an empty environment
	rm -rf dist
	@$(PY) -m build --outdir dist . >build/wheel.log 2>&1 || { cat build/wheel.log; exit 1; }
	@echo "installing the wheel into an empty environment" && empty=$$(mktemp -d) && trap 'rm -rf "$$empty"' EXIT && $(PYTHON) -m venv "$$empty" && \
	    "$$empty/bin/pip" install -q dist/*.whl && cp tests/wheel_check.py "$$empty" && \
	    cd "$$empty" && bin/python wheel_check.py "$(CURDIR)"

# half_cheetah's peers: what is not installed is told, and left out. pip install -e
# '.[cuda,mujoco,mujoco-peers]' installs them all beside simlift; or let SIMLIFT_PEER_PYTHON name the
# Python of an environment of its own: pip install 'jax[cuda12]' brax==0.14.2 mujoco-mjx==3.17.0.
bench-gpu: $(INSTALLED)  ## measure on the accelerator of this machine, into notebooks/results
	@$(PY) $(ACCELERATED) || { [ "$(VENV)" != none ] && command -v nvidia-smi >/dev/null && \
	    $(PY) -m pip install -q -e '.[cuda]' && $(PY) $(ACCELERATED); } || \
	    { echo "no accelerator is seen by JAX here: check nvidia-smi and 'pip install jax[cuda12]'"; \
	    exit 2; }
	$(SIMLIFT) bench pong --batch $(BATCHES) --out-dir notebooks/results
	$(SIMLIFT) bench half_cheetah --batch $(CHEETAH_BATCHES) --peers mujoco-c,mjx,mjx-4-8,brax \
	    --out-dir notebooks/results
	$(SIMLIFT) bench pokemon --batch $(POKEMON_BATCHES) --out-dir notebooks/results

figures: $(INSTALLED)  ## write README's tables from notebooks/results
	$(PY) -m simlift.train.throughput_report README.md notebooks/results

verify-long: $(INSTALLED)  ## ten million compared transitions of Pong, and the slow tests
	$(SIMLIFT) verify pong --episodes 2000 --seed 12345 --out build/verify-long
	$(PY) -m pytest -n auto --dist worksteal -m slow

# 24,000 battles of each of pokemon's three are more than ten million decisions.
certificates: $(INSTALLED)  ## verify everything at every level, into verify/certificates
	for env in pong cart_pole; do \
	    $(SIMLIFT) verify $$env --level all --out build/certificates/$$env && \
	    cp build/certificates/$$env/certificate.json verify/certificates/$$env.json; done
	$(SIMLIFT) verify pokemon --format gen1randombattle gen1ou "any moves" --policy mixed \
	    --battles 24000 --out build/certificates/pokemon
	cp build/certificates/pokemon/certificate.json verify/certificates/pokemon.json

clean:  ## remove everything that these commands made
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml
	@echo "installing simlift and its tools into $(VENV), which takes a minute or two"
	@[ -x $(VENV)/bin/pip ] || $(PYTHON) -m venv $(VENV) || \
	    { $(call apt,python3-venv,makes $(VENV)) && $(PYTHON) -m venv $(VENV); }
	@$(VENV)/bin/python -m pip install -q -e '.[$(EXTRAS)]'
	@touch $@

$(LINK):
	@mkdir -p $(SOURCE)
	@ln -sfn ../.. $(LINK)

bubblewrap:
	@command -v bwrap >/dev/null || \
	    { $(call apt,bubblewrap,agents and what they write run in it); }

chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null || \
	    { $(call apt,chromium,the report is tested in it); }

torch: $(INSTALLED)
	@[ -z "$(TORCH)" ] || $(PY) -c 'import torch' 2>/dev/null || \
	    $(PY) -m pip install -q '$(TORCH_WHEEL)' || \
	    echo "pip finds no $(TORCH_WHEEL): the test of tensor sharing skips"
