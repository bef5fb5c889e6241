"""A suite: what "the same" means between one reference and one environment."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..envs.core import Environment
from ..references.core import DrawLog, Outcome, Snapshot, VectorReference

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from .coverage import CoveragePlan
    from .floats import FloatPlan
    from .prove import Domain
    from .record import Recording
    from .transfer import TransferPlan


FINAL = "final."
"""Before the name of a reference's field: what it is before an auto-reset."""


class SuiteError(ValueError):
    """The suite itself is wrong, e.g. a field of the reference that no table mentions."""


class Transition(NamedTuple):
    """What a field may be read from: one transition of our side, one instance."""

    before: Mapping[str, Array]  # the reference's fields before the step
    action: Array
    observation: Array
    state: Any  # after the step, auto-reset included
    final_state: Any  # after the step, before any reset
    reward: Array
    terminated: Array
    truncated: Array
    info: Mapping[str, Any]
    draws_used: Mapping[str, Array]  # by the step and by a reset, int32 [] for each site
    legal: Array
    params: Any
    derived: Any = None  # what `Suite.derived` makes of all the others
    ended: Any = None  # another of these, with `final_state` as its `state`; of suites with `final`


@dataclasses.dataclass(frozen=True)
class Compare:
    """How one field of the reference is compared.

    kind: "exact" (floats bit by bit), or "close": within `ulp` units in the last place or `atol`
    plus `rtol` times the largest magnitude in the reference's field, whichever is wider, or
    "ignored", which needs a reason.
    """

    kind: Literal["exact", "close", "ignored"]
    ulp: int = 0
    atol: float = 0.0
    rtol: float = 0.0
    why: str = ""

    def __post_init__(self) -> None:
        if self.kind == "ignored" and not self.why:
            raise SuiteError("a field may only be ignored for a reason: give `why`")

    @property
    def words(self) -> str:
        """How close, in words."""
        if self.kind == "exact":
            return "exactly, floats bit by bit"
        sizes = [f"{self.atol:g}"] if self.atol or not self.rtol else []
        sizes += [f"{self.rtol:g} of the field's largest entry"] if self.rtol else []
        units = f"{self.ulp} units in the last place or " if self.ulp else ""
        return f"within {units}{' plus '.join(sizes)}" + (", whichever is wider" if units else "")

    def differs(self, ours: Any, theirs: Any, batch: int = 0) -> Any:
        """bool, entry by entry: whether two arrays of one shape differ; numpy's or JAX's alike.

        batch: how many leading axes are those of a batch; the others are one field's. Exact floats
        are compared at the wider of the two widths, so that a narrow one has to hold all that the
        other does; close ones at the width of `ours`, whose units `ulp` counts. Raises SuiteError
        where the shapes disagree.
        """
        if ours.shape != theirs.shape:
            raise SuiteError(f"shapes differ: ours {ours.shape}, the reference's {theirs.shape}")
        kinds = [x.dtype.kind for x in (ours, theirs)]
        if "f" not in kinds:
            return _differ_as_integers(ours, theirs)
        floats = [x.dtype for x in (ours, theirs) if x.dtype.kind == "f"]
        dtype = max(floats, key=lambda d: d.itemsize) if self.kind == "exact" else floats[0]
        ours, theirs = ours.astype(dtype), theirs.astype(dtype)
        a, b = ordered_bits(ours), ordered_bits(theirs)
        if self.kind == "exact":
            return a != b
        with np.errstate(invalid="ignore", over="ignore"):  # infinities; JAX says nothing anyway
            allowed = self.atol
            if self.rtol:
                axes = tuple(range(batch, theirs.ndim))
                allowed = allowed + self.rtol * abs(theirs).max(axis=axes, keepdims=True)
            near = (abs(ours - theirs) <= allowed) & (allowed < np.inf)
        # The distance of two integers may wrap; both halves of the range are far apart then.
        far = (a < 0) != (b < 0)
        return ~near & (far | (abs(a - b) > self.ulp))

    def mismatch(self, ours: Any, theirs: Any) -> Any:
        """bool []: whether any entry differs, see `differs`."""
        return self.differs(ours, theirs).any()


def _differ_as_integers(ours: Any, theirs: Any) -> Any:
    if isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray):
        return ours != theirs  # by value, whatever the widths
    widest = jnp.int64 if jax.config.read("jax_enable_x64") else jnp.int32
    return ours.astype(widest) != theirs.astype(widest)


def ordered_bits(x: Any) -> Any:
    """The bit pattern of floats as integers of the same width, in which neighbours differ by one;
    -0 is -1, below +0."""
    width = np.dtype(f"int{x.dtype.itemsize * 8}")
    bits = x.view(width)
    return bits ^ ((bits >> (x.dtype.itemsize * 8 - 1)) & width.type(np.iinfo(width).max))


EXACT = Compare("exact")


def ignored(why: str) -> Compare:
    """A comparator for a field that cannot or need not agree; the certificate lists the reason."""
    return Compare("ignored", why=why)


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of the reference's snapshot: where our side says the same, and how they compare."""

    ours: Callable[[Transition], Array] | None = None
    """Of a program, none: its snapshot has a field of the same name."""
    compare: Compare = EXACT
    module: str = ""
    """The function of the translation that writes it: where to look first."""


OUTCOME_FIELDS: Mapping[str, Field] = {
    "outcome.observation": Field(lambda t: t.observation, module="observe"),
    "outcome.reward": Field(lambda t: t.reward, module="transition"),
    "outcome.terminated": Field(lambda t: t.terminated, module="transition"),
    "outcome.truncated": Field(lambda t: t.truncated, module="is_truncated"),
    "outcome.legal": Field(lambda t: t.legal, module="legal_actions"),
    "outcome.final_observation": Field(lambda t: t.info["final_observation"], module="observe"),
}
"""What every suite compares besides the reference's own fields. A suite's `fields` may say what
answers to one of these on our side, where that is something else. The observation before the
auto-reset, which values are bootstrapped from, is compared where the reference shows it, as closely
as the one after."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """One configuration of both sides. `parameters` go to the reference and to our Params alike."""

    name: str
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    x64: bool = False
    """Whether our side runs with 64-bit types switched on."""


def configured(env: Environment, variant: Variant) -> tuple[Environment, Any]:
    """(env, its default Params with the variant's `parameters` in their place and dtype)."""
    defaults = env.default_params
    changed = {k: jnp.asarray(v, getattr(defaults, k).dtype) for k, v in variant.parameters.items()}
    return env, defaults.replace(**changed)


Policy = Callable[[np.random.Generator, Outcome, Snapshot], np.ndarray]
"""(generator, last outcome [B], last snapshot [B]) -> actions [B]."""


@dataclasses.dataclass(frozen=True)
class Scenario:
    """An interaction of several modules, played on both sides (L2).

    place: the reference's fields to overwrite after a reset; actions: the tape; happened: given
    the reference's (snapshot, outcome) after each step, one instance, whether the interaction
    really took place: a scenario that does not happen is a failure of its own.
    """

    name: str
    variant: Variant
    place: Mapping[str, Any]
    actions: Sequence[Any]
    happened: Callable[[Sequence[tuple[Snapshot, Outcome]]], bool]


@dataclasses.dataclass(frozen=True)
class Property:
    """A claim about one module for all inputs in its declared ranges (L1).

    inputs: a hypothesis strategy of a pytree of arrays, of the same shapes and dtypes every time;
    holds(env, params, inputs) -> bool []: pure, one example, fit for `jax.jit` and `jax.vmap`.
    """

    name: str
    module: str
    variant: Variant
    inputs: "SearchStrategy[Any]"
    holds: Callable[[Environment, Any, Any], Array]


@dataclasses.dataclass(frozen=True)
class Part:
    """Some of what a step computes, held against the reference, to judge mutants by.

    cases: seed -> what the reference did, a pytree of arrays [N, ...]; agrees(env, params, case) ->
    bool []: pure, of one case, traced for each mutant and never compiled.
    """

    name: str
    variant: Variant
    cases: Callable[[int], Any]
    agrees: Callable[[Environment, Any, Any], Array]


@dataclasses.dataclass(frozen=True)
class Equivalent:
    """A mutant that changes nothing that matters, by an argument; the certificate lists it.

    module: without its package; change: as the level "mutants" shows it; count: how many survivors
    of one function it stands for. It is stale, and they are open, where there are others.
    """

    module: str
    function: str
    change: str
    why: str
    count: int = 1

    def __post_init__(self) -> None:
        if not self.why:
            raise SuiteError("a mutant is equivalent for a reason only: give `why`")


def _absent(*_: Any) -> Any:
    """Stands for what a suite of a program does not have."""
    raise SuiteError("a program has no environment, and nothing that is made of one")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suite:
    """What equality means for one system, and how to go looking for a difference.

    The candidate is an environment, then `environment`, `state` and `draws` are given, or a program
    (program.py), then nothing that is made of an environment is: see OF_ENVIRONMENTS.
    """

    name: str
    package: str
    """Full name of the package, or module, that holds the translation. It is loaded where it is
    watched, so a suite imports it inside its functions only. Of a program, the path of the folder
    that holds its sources."""
    variants: Sequence[Variant]
    environment: Callable[[Variant], tuple[Environment, Any]] = _absent
    program: Callable[[Variant], Sequence[str]] | None = None
    """The command of a program that speaks the line protocol (references/README.md), obeys tapes
    and whose snapshot has every compared field of the reference, and no field that it lacks."""
    reference: Callable[[Variant, int], VectorReference]
    fields: Mapping[str, Field]
    final: bool = False
    """Whether the reference shows how episodes end (`VectorReference.final_snapshot`). Every field
    is then compared twice: under its name after an auto-reset, under `final.` and its name before
    it."""
    outcome: Mapping[str, Compare] = dataclasses.field(default_factory=dict)
    """How OUTCOME_FIELDS are compared that need not be equal bit by bit."""
    state: Callable[[Mapping[str, Array], Any], Any] = _absent
    """(the reference's fields of one instance, params) -> our state, for re-synchronisation."""
    draws: Callable[[DrawLog], tuple[Any, Any]] = _absent
    """The reference's log [B] -> (draws of the step, draws of its reset), numpy with axis [B]."""
    reset_draws_used: Mapping[str, int | Callable[[Any], Array]] = dataclasses.field(
        default_factory=dict
    )
    """How many draws of a site a reset consumes; where that depends on them, a function of the
    state that it leaves, int32 []."""
    score: Callable[[Snapshot, np.ndarray], np.ndarray]
    """(snapshot right after the step that ended an episode, returns [B]) -> its score [B]."""
    policies: Callable[[Variant], Mapping[str, Policy]]
    scenarios: Sequence[Scenario] = ()
    properties: Callable[[], Sequence[Property]] = tuple
    targets: Sequence[str] = ()
    """Full names of the modules of the translation: what mutants are made of."""
    parts: Callable[[], Sequence[Part]] = tuple
    """Where a step is too long a program to be compiled with all mutants in it: what each mutant is
    put to instead of L2, L3, L4 and E1, in this order and until one sees it; L1 comes last."""
    equivalent: Sequence[Equivalent] = ()
    """Mutants that no level can kill, where no prover can say so."""
    domain: Callable[[Variant], "Domain"] | None = None
    """Declared ranges of states, actions and draws, for proofs."""
    place: Callable[[Any, Any], Mapping[str, Array]] | None = None
    """(our state, params) -> the reference's fields to overwrite: `state` the other way round."""
    coverage: "CoveragePlan | None" = None
    """Which source files of the reference must be reached, and what is waived."""
    content: Callable[["Recording"], Mapping[str, Mapping[str, int]]] | None = None
    """What of the game a recording used and how often: kind -> item -> count."""
    floats: Sequence["FloatPlan"] = ()
    """How rounding is judged where fields cannot be equal bit by bit."""
    chaotic: str = ""
    """Why whole episodes cannot agree whoever computes them. E3 is not attempted then: the plans of
    `floats` belong to L3, and late in an episode distributions are compared."""
    seed_sites: Sequence[str] = ()
    """Where our side draws from the reference's own generator, which is part of the state: the draw
    sites that are an episode's seed. Nothing else is handed over, and E3 is E4 then."""
    blind: Sequence[str] = ()
    """Policies that look at nothing, so that a chaotic system's episodes under them have one
    distribution on both sides though each takes its own course."""
    recompiled: Callable[[Variant], Compare] | None = None
    """How close the floats of one step have to be in two programs made of it (alone, in a batch,
    operation by operation), where compilers may round differently; bit by bit by default."""
    derived: Callable[[Transition], Any] | None = None
    """What several fields are read from, computed once and handed on as `Transition.derived`."""
    finished: Callable[[Variant, int], VectorReference] | None = None
    """The reference, told to go on to the end where it iterates. As installed it may stop short of
    the solution that it has for its own; single steps in which this is why the two sides differ are
    counted apart."""
    tallies: Mapping[str, Callable[[Transition], Array]] = dataclasses.field(default_factory=dict)
    """Numbers, int32 [], that our side says of itself, such as failures that it handles: summed
    over all compared transitions and reported, whatever they are."""
    transfer: "TransferPlan | None" = None
    """What is trained for L4, and the margins with their reason."""
    reference_name: str
    reference_version: str

    def __post_init__(self) -> None:
        if self.chaotic and not self.floats:
            raise SuiteError(f"{self.name} is chaotic: give plans of `floats` for its free runs")
        absent = [name for name in OF_EVERY_ENVIRONMENT if getattr(self, name) is _absent]
        if self.program is None and absent:
            raise SuiteError(
                f"{self.name}: give `program`, or {', '.join(f'`{name}`' for name in absent)}: the "
                "candidate is a program or an environment"
            )
        given = [f.name for f in dataclasses.fields(self) if f.name in OF_ENVIRONMENTS]
        given = [name for name in given if getattr(self, name) not in NOTHING]
        if self.program is not None and given:
            raise SuiteError(
                f"{self.name}: the candidate is a program, which has nothing of an environment: "
                f"leave out {', '.join(given)}"
            )

    @property
    def field_names(self) -> set[str]:
        """What a candidate is asked for, besides the numbers of draws."""
        return {*self.compared_fields(), *(tally_name(name) for name in self.tallies)}

    def compared_fields(self) -> dict[str, Field]:
        """Every field but the ignored ones, the outcome's included."""
        outcome = {
            name: dataclasses.replace(field, compare=self.outcome.get(like, field.compare))
            for name, default in OUTCOME_FIELDS.items()
            for field in [self.fields.get(name, default)]
            for like in [name.replace("final_", "")]
        }
        table = {**self._of_the_end(), **self.fields, **outcome}
        return {name: field for name, field in table.items() if field.compare.kind != "ignored"}

    def _of_the_end(self) -> dict[str, Field]:
        def of_the_end(field: Field) -> Field:
            if (ours := field.ours) is None:
                return field
            return dataclasses.replace(field, ours=lambda t: ours(t.ended))

        own = {name: self.fields[name] for name in self._own} if self.final else {}
        return {f"{FINAL}{name}": of_the_end(field) for name, field in own.items()}

    @property
    def _own(self) -> list[str]:
        """The reference's fields."""
        names = self.fields.keys() - OUTCOME_FIELDS.keys()
        return [name for name in self.fields if name in names and not name.startswith(FINAL)]

    def compare_shown(self, name: str) -> Compare:
        """How two of our own states are compared: "observation" as the outcome's, a leaf ("state."
        before its name) as the field of that name, bit by bit where there is none."""
        name = "outcome.observation" if name == "observation" else name.removeprefix("state.")
        field = self.compared_fields().get(name)
        return EXACT if field is None else field.compare

    def check_total(self, snapshot: Snapshot) -> None:
        """Raises SuiteError unless the table names exactly the reference's fields."""
        own = {*self._own}
        missing, unknown = snapshot.keys() - own, own - snapshot.keys()
        if missing or unknown:
            raise SuiteError(
                f"{self.name}: the table of fields must be total; without a comparator: "
                f"{sorted(missing)}, not in the reference: {sorted(unknown)}"
            )


OF_EVERY_ENVIRONMENT = ("environment", "state", "draws")
OF_ENVIRONMENTS = {
    *OF_EVERY_ENVIRONMENT,
    *("reset_draws_used", "properties", "targets", "parts", "equivalent", "domain", "place"),
    *("floats", "recompiled", "derived", "tallies", "transfer"),
}
"""Fields of a Suite that a program's does not have."""
NOTHING: Sequence[Any] = (_absent, None, tuple, (), [], {})


def tally_name(name: str) -> str:
    """Under which name a candidate answers with one of a suite's tallies."""
    return f"tally.{name}"


def derive_seed(seed: int, *names: str) -> int:
    """A 32-bit seed for one named part of a run."""
    words = [zlib.crc32(name.encode()) for name in names]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1)[0])
